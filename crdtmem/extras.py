"""Packages that only some of crdtmem needs: who imports what needs one is told what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Stands around the imports that come with an extra of pyproject.toml.

    >>> with extra("mcp"):
    ...     import no_such_package
    Traceback (most recent call last):
    ImportError: No module named 'no_such_package'; this part of crdtmem comes with pip install 'crdtmem[mcp]'
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{error}; this part of crdtmem comes with pip install 'crdtmem[{name}]'") from error
