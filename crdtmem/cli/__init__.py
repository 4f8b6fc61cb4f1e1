"""The command `crdtmem`."""

from crdtmem.cli.main import main

__all__ = ["main"]
