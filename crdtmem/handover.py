"""What a replica hands to one that is far behind: what the memory shows, at once; its history follows (owed.py).

1. None of it can be verified before the history behind it has come, so it counts only from who is trusted: decision 13.
2. It is taken whole or not at all, in one commit. What the taker has beyond it is kept, and applied to it.
3. Of the giver's log it says one place, its end: the taker leaves that much room for the history.

    handover = piece ...        piece = length (4 bytes), msgpack array: what it is, then its content
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from crdtmem import base, owed
from crdtmem.difference import shown
from crdtmem.errors import BadBytes, StoreError
from crdtmem.pruned import FOLDER as PRUNED
from crdtmem.pruned import OWED
from crdtmem.rebuild import become, came_and_went
from crdtmem.recovery import collection_paused, fits
from crdtmem.snapshot import Snapshot, piece, restore, split
from crdtmem.state import State
from crdtmem.store import Log, Record

if TYPE_CHECKING:
    from crdtmem.document import Document

FORMAT = 1
_BEGIN, _HUSKS, _FLOOR, _SHOWN = range(4)
_DERIVED = ("checkpoint/", base.FOLDER, PRUNED)  # on the shelf, and of no use behind another past


class Handover(NamedTuple):
    """A handover, read.

    Args:
        room: how many places the giver's log had.
        hlc: a stamp above all in it.
        reached: how far each session had come, and the hash of its change there.
        digest: of what is shown.
        shown: the snapshot.
        state: the state in it.
        floor: of a giver that pruned: the place, digest and snapshot of its base.
        husks: what is left of what it pruned, by name.
    """

    room: int
    hlc: int
    reached: list[tuple[bytes, int, bytes]]
    digest: bytes
    shown: bytes
    state: State
    floor: tuple[int, bytes, bytes] | None
    husks: dict[str, bytes]


def give(document: Document) -> tuple[int, Iterator[bytes]]:
    """The place in the log up to which it goes, and the bytes, which are made as they are asked for."""
    with document.lock:
        document.flush()
        log, state = document.log, document.state
        snapshot, place = Snapshot(state, places=False), log.newest
        begin = piece(_BEGIN, FORMAT, place, document.stamp(), snapshot.digest)
        husks = [name for name in log.names() if name.startswith(PRUNED)]
        floor = base.read_if_any(log, state) if husks else None

    def made() -> Iterator[bytes]:
        yield begin
        for name in husks:
            yield piece(_HUSKS, name, log.get(name) or b"")
        if floor is not None:
            under = Snapshot(floor[0], places=False)
            for data in under.pieces():
                yield piece(_FLOOR, floor[1], under.digest, data)
        for data in snapshot.pieces():
            yield piece(_SHOWN, data)

    return place, made()


def read(data: bytes, namespace: bytes, log: Log, owner: str | None) -> Handover:
    """The handover in these bytes.

    Raises:
        BadBytes: they are none.
    """
    try:
        pieces = split(data)
        what, format, room, hlc, digest = next(pieces)
        if what != _BEGIN or format != FORMAT:
            raise BadBytes("a handover of another format")
        floor: tuple[int, bytes] | None = None
        under, seen = bytearray(), bytearray()
        husks: dict[str, bytes] = {}
        for what, *content in pieces:
            if what == _HUSKS:
                husks[content[0]] = content[1]
            elif what == _FLOOR:
                floor = (content[0], content[1])
                under += content[2]
            else:
                seen += content[0]
        if not all(name.startswith(PRUNED) for name in husks) or not 0 <= room < 2**39:
            raise BadBytes("a handover that does not add up")
        state = restore(bytes(seen), namespace, log, digest, owner)
        reached = [(session.id, session.seq, session.hash) for session in state.sessions.values()]
        return Handover(room, hlc, reached, digest, bytes(seen), state, floor and (*floor, bytes(under)), husks)
    except BadBytes:
        raise
    except Exception as error:
        raise BadBytes(f"not a handover: {type(error).__name__}: {error}") from None


def take(document: Document, data: bytes) -> int:
    """Show what was handed over, and what is here beyond it; how many changes that brought.

    Raises:
        BadBytes: it is none, or of another past.
        StoreError: it could not be kept; nothing has changed.
    """
    with document.checkpoints.making, document.lock, collection_paused():
        document.flush()
        state, log = document.state, document.log
        given = read(data, state.namespace, log, state.owner)
        fresh = given.state
        own = _beyond(state, fresh, log)
        if state.stale or state.forks or fresh.forks or state.pruned.owed:
            raise StoreError("a memory with forked sessions, or with history to come, takes no checkpoint")
        for place, change in enumerate([kept.change for kept in own], given.room + 1):
            if not fits(fresh, change):
                raise BadBytes("a change here rests on others that the checkpoint does not hold")
            fresh.recall(change, state)
            fresh.apply(change, None, place)
        came = fresh.count - state.count
        log.adopt(*_kept(given, log), own)
        fresh.resumed_over(log)
        before, tainted = shown(state), dict(state.taint.tainted)
        become(state, fresh)
        document.begun_anew(came_and_went(before, tainted, state), given.hlc, checkpoint=bool(own))
        return came


def _beyond(state: State, fresh: State, log: Log) -> list[Record]:
    """What is here and not in the checkpoint, in its order.

    Raises:
        BadBytes: the two do not tell one history.
    """
    for id, session in state.sessions.items():
        there = fresh.sessions.get(id)
        if there is not None and there.seq <= session.seq and not state.has(id, there.seq, there.hash):
            raise BadBytes("the checkpoint holds another change than is here")
    last = {id: session.seq for id, session in fresh.sessions.items()}
    if all(session.seq <= last.get(id, 0) for id, session in state.sessions.items()):
        return []
    return [kept for _, kept in log.since(0) if kept.seq > last.get(kept.session, 0)]


def _kept(given: Handover, log: Log) -> tuple[dict[bytes, int], int, dict[str, bytes | None]]:
    """What the log is to begin with: how far sessions had come, the room, the blobs."""
    blobs: dict[str, bytes | None] = {name: None for name in log.names() if name.startswith(_DERIVED)}
    blobs |= given.husks
    if given.floor is not None:
        blobs |= base.blobs(*given.floor)
    blobs |= base.blobs(given.room, given.digest, given.shown)
    blobs[OWED] = owed.note(given.room, given.digest, given.reached)
    return {id: seq for id, seq, _ in given.reached}, given.room, blobs
