"""The log that many process starts leave behind, made without starting that many processes.

Each start is a session of its own that writes once and builds on the start before it, composed and sealed as a replica
would have done. Only the replica that would have replayed the log so far, every time, is left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from crdtmem import EntryId, Identity, MemoryStore, Namespace, Record
from crdtmem.change import COUNTER, REGISTER, Head, Intro, Keyed, compose
from crdtmem.identity import session_id

Write = Callable[[EntryId | None], Keyed]


def counts(before: EntryId | None) -> Keyed:
    """Every start counts itself: as many live entries as starts."""
    return Keyed(COUNTER, "starts", None, ((1,),), ())


def reports(before: EntryId | None) -> Keyed:
    """Every start says that it is there, in place of the one before: one live entry."""
    return Keyed(REGISTER, "started", None, (("yes",),), () if before is None else (tuple(before),))


def started(namespace: Namespace, count: int, write: Write) -> MemoryStore:
    """A store that so many process starts have written to."""
    store, identity = MemoryStore(), Identity()
    log = store.open(namespace)
    heads: tuple[Head, ...] = ()
    entry: EntryId | None = None
    hlc = int(time.time() * 1000) - count << 16
    for number in range(count):
        intro = Intro(identity.key, "worker", None, os.urandom(16))
        session = session_id(namespace.digest, intro)
        stamp = hlc + (number << 16)
        change = compose(namespace.digest, session, 1, b"", heads, intro, stamp, None, (write(entry),))
        log.append([Record(session, 1, change.hash, change.core, identity.sign(change.hash))])
        heads, entry = (change.head,), EntryId(session, 1, 0)
    return store


def copy(store: MemoryStore, namespace: Namespace) -> MemoryStore:
    """Another store with the same log, as another machine would hold it."""
    twin = MemoryStore()
    twin.open(namespace).append(list(store.open(namespace).records()))
    return twin
