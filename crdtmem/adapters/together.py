"""Several writes as one change, also where one is open already."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from crdtmem import Memory


def together(memory: Memory, **about: Any) -> AbstractContextManager[object]:
    """One change that says this, or the one that this context has open.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> with memory.change(why="all of it"):
    ...     with together(memory, why="a part"):
    ...         _ = memory.set("facts").add(1)
    >>> [entry.why for entry in memory.set("facts").entries()]
    ['all of it']
    """
    return nullcontext() if memory._draft() is not None else memory.change(**about)
