"""The changes of a namespace without what they show: for who keeps them and passes them on, and reads none.

The door asks the same of a change as everywhere: its chain, its seal, that what it names is here. Of its content that
takes one number: how many units each session has written to an ordered field. No field is built, nothing is judged,
and nothing can be written; a replica that gets the changes from here judges them.
"""

from __future__ import annotations

import time
from typing import Any

from crdtmem.change import Change
from crdtmem.clock import Clock
from crdtmem.document import Actor, Document
from crdtmem.errors import StoreError
from crdtmem.feed import Feed
from crdtmem.identity import Identity
from crdtmem.memory import Memory
from crdtmem.namespace import Namespace
from crdtmem.notify import Notifier
from crdtmem.state import State
from crdtmem.store import Store

UNKNOWN = bytes(32)  # the digest of content that is not read


class Count:
    """Of a field, how many units each session has written."""

    __slots__ = ("kind", "name", "notable", "ticks")

    def __init__(self, kind: int, name: str) -> None:
        self.kind = kind
        self.name = name
        self.notable = False
        self.ticks: dict[int, int] = {}

    def flaw(self, *_: object) -> None:
        """Nothing is judged here."""

    def apply(self, part: Any, _number: int, stamp: Any, *_: object) -> tuple[list[Any], list[Any]]:
        """Count the units of a part."""
        units = getattr(part, "units", 0)
        if units:
            client = stamp.writer.client
            self.ticks[client] = self.ticks.get(client, 0) + units
        return [], []

    def size(self) -> int:
        """Nothing is held."""
        return 0


class Tally(State):
    """Sessions, heads and counts."""

    __slots__ = ()

    def field(self, kind: int, name: str) -> Any:
        """The count of a field."""
        found: Any = self.fields.get((kind, name))
        if found is None:
            found = Count(kind, name)
            self.fields[kind, name] = found
        return found

    def _looked_up(self, change: Change) -> tuple[None, dict[int, Any]]:
        return None, {}

    def hidden(self, change: Change, *, ahead: bool) -> bool:
        """Nothing is needed to judge a change that is not judged."""
        return False

    def digest(self) -> bytes:
        """What it comes to is not known here."""
        return UNKNOWN


def ledger(namespace: Namespace, store: Store) -> Feed:
    """The changes of a namespace, as replication sees them.

    Raises:
        StoreError: the file has been pruned: what is gone cannot be passed on.

    >>> from crdtmem import MemoryStore, Replica
    >>> ann = Feed(Replica("ann").open(tenant="acme"))
    >>> _ = ann.memory.text("draft").append("hello")
    >>> kept = ledger(ann.namespace, MemoryStore())
    >>> stretch = ann.read(ann.start({}), ann.newest())
    >>> kept.receive([record.data for record in stretch.records], "ann").received.applied, kept.version == ann.version
    (1, True)
    """
    if any(name.startswith("pruned/") for name in store.open(namespace).names()):
        raise StoreError(f"{namespace!r} was pruned in this file; a relay needs one that keeps everything")
    actor, clock, notifier = Actor("relay"), Clock(time.time), Notifier()
    document = Document(
        namespace, store, Identity(), actor, clock, notifier, lambda: None, checkpoints=False, state=Tally
    )
    return Feed(Memory(document, actor))
