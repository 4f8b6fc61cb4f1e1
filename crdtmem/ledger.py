"""The changes of a namespace without what they show: for who keeps them and passes them on, and reads none.

It opens a document without its content: what state.py is to a memory, tally.py is here. Nothing can be written.
"""

from __future__ import annotations

import time

from crdtmem.clock import Clock
from crdtmem.document import Actor, Document
from crdtmem.feed import Feed, Pruned
from crdtmem.identity import Identity
from crdtmem.memory import Memory
from crdtmem.namespace import Namespace
from crdtmem.notify import Notifier
from crdtmem.store import Store
from crdtmem.tally import Tally


def ledger(namespace: Namespace, store: Store) -> Feed:
    """The changes of a namespace, as replication sees them.

    Raises:
        Pruned: the file has been pruned: what is gone cannot be passed on.

    >>> from crdtmem import MemoryStore, Replica
    >>> ann = Feed(Replica("ann").open(tenant="acme"))
    >>> _ = ann.memory.text("draft").append("hello")
    >>> kept = ledger(ann.namespace, MemoryStore())
    >>> stretch = ann.read(ann.start({}), ann.newest())
    >>> kept.receive([record.data for record in stretch.records], "ann").received.applied, kept.version == ann.version
    (1, True)
    """
    if any(name.startswith("pruned/") for name in store.open(namespace).names()):
        raise Pruned(f"{namespace!r} was pruned in this file; a relay needs one that keeps everything")
    actor, clock, notifier = Actor("relay"), Clock(time.time), Notifier()
    document = Document(
        namespace, store, Identity(), actor, clock, notifier, lambda: None, checkpoints=False, state=Tally
    )
    return Feed(Memory(document, actor))
