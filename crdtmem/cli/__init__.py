"""The command `crdtmem`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed; Ctrl-C ends it without a word, at whatever moment it comes."""
    try:
        from crdtmem.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
