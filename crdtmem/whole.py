"""A file that is there whole or not at all: it is written beside its place, and named once it is on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to; in place of what was there once the block has ended, and gone if it failed.

    >>> with whole("list.txt") as file:
    ...     _ = file.write(b"milk")
    >>> from pathlib import Path
    >>> Path("list.txt").read_text()
    'milk'
    """
    place = os.path.realpath(path)
    handle, draft = tempfile.mkstemp(prefix=f"{os.path.basename(place)}-", dir=os.path.dirname(place))
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        raise
