"""A memory as of a version, as of a moment, or without one change: which changes that leaves out (past.py: what shows).

A version says how far each session had come. The log is walked back only as far as it and what is here differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from crdtmem.change import Head, Version
from crdtmem.clock import stamp
from crdtmem.errors import NotReached, StoreError
from crdtmem.past import PastState
from crdtmem.state import Placed
from crdtmem.store import Record

if TYPE_CHECKING:
    from crdtmem.document import Document


def at(document: Document, version: Version) -> PastState:
    """The state as of a version."""
    with document.lock:
        return _then(document, *seen(document, version), version)


def when(document: Document, moment: datetime) -> PastState:
    """The state as of a moment, by the writers' clocks: what was stamped until then, and what that rests on."""
    with document.lock:
        sessions = document.state.sessions
        marks = {id: session.seq for id, session in sessions.items()} | dict(document.audit.reached(stamp(moment)))
        beyond = document.state.beyond(marks)
        heads = [
            Head(id, seq, sessions[id].hash if sessions[id].seq == seq else _kept(document, id, seq).hash)
            for id, seq in marks.items()
            if seq
        ]
        return _then(document, marks, beyond, Version(document.namespace.digest, tuple(sorted(heads))))


def _then(document: Document, marks: dict[bytes, int], beyond: list[Placed], version: Version) -> PastState:
    def had(session: bytes, seq: int) -> bool:
        return seq <= marks.get(session, 0)

    since = [kept.change for kept in _whole(beyond)]
    return PastState(document.state, document.log, document.audit, since, had, version, document.lock)


def without(document: Document, session: bytes, seq: int) -> PastState:
    """The state as if one change had not been made."""
    with document.lock:
        kept = _kept(document, session, seq)

        def had(other: bytes, place: int) -> bool:
            return other != session or place != seq

        now = document.state
        return PastState(now, document.log, document.audit, [kept.change], had, now.version, document.lock)


def _kept(document: Document, session: bytes, seq: int) -> Record:
    kept = document.log.read(session, seq)
    if kept is None:
        raise StoreError("a change this needs is not kept here: it was pruned, or is damaged")
    return kept


def unseen(document: Document, since: Version | None) -> Iterable[Record]:
    """The records that a replica at `since` lacks, in causal order.

    Raises:
        StoreError: some of them are not kept here.
    """
    if since is None or not since.heads:
        if document.state.pruned.any():
            raise StoreError("the oldest changes were pruned here; ask a replica that keeps them")
        if document.owed is not None:
            raise StoreError("the oldest changes are still on their way here; ask a replica that has them")
        return document.log.records()
    _, beyond = _back(document, since)
    return reversed(_whole(beyond))


def seen(document: Document, version: Version) -> tuple[dict[bytes, int], list[Placed]]:
    """How far each session had come in a version, and what is kept beyond it, newest first.

    Raises:
        NotReached: this replica has not seen it.
    """
    if not document.reached(version):
        raise NotReached(f"{document.namespace!r} has not reached that version yet; memory.wait(version) waits for it")
    return _back(document, version)


def _back(document: Document, version: Version) -> tuple[dict[bytes, int], list[Placed]]:
    """The same of any version: heads that are not here say nothing, and what only they could tell counts as beyond."""
    if version.heads == document.state.version.heads:
        return {session.id: session.seq for session in document.state.sessions.values()}, []
    marks = {head[0]: head[1] for head in version.heads if document.state.has(*head)}
    beyond = document.state.beyond(marks)
    return marks, beyond


def _whole(beyond: list[Placed]) -> list[Record]:
    found = [kept for _, kept in beyond if type(kept) is Record]
    if len(found) < len(beyond):
        raise StoreError("changes this needs were pruned here; ask a replica that keeps them")
    return found
