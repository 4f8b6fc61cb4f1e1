"""What a replica hands to one that is far behind: what the memory shows, at once; its history follows (owed.py).

1. None of it can be verified before the history behind it has come, so it counts only from who is trusted: decision 15.
2. It is taken whole or not at all, in one commit. What the taker has beyond it is kept, and applied to it; so is what
   the taker has of its history. Who has more than what it wrote itself takes none, unless what it lacks was pruned:
   else two could wait for what each believes the other to have.
3. Of the giver's log it says one place, its end: the taker leaves that much room for the history.

    handover = piece ...        piece = length (4 bytes), msgpack array: what it is, then its content
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from crdtmem import base, owed
from crdtmem.difference import shown
from crdtmem.errors import BadBytes, StoreError
from crdtmem.inbox import Inbox
from crdtmem.pruned import FOLDER as PRUNED
from crdtmem.pruned import OWED, named
from crdtmem.rebuild import Renewed, become, came_and_went
from crdtmem.receiving import receive
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
        pruned: which changes that were.
    """

    room: int
    hlc: int
    reached: list[tuple[bytes, int, bytes]]
    digest: bytes
    shown: bytes
    state: State
    floor: tuple[int, bytes, bytes] | None
    husks: dict[str, bytes]
    pruned: list[tuple[bytes, int]]


def give(document: Document) -> Iterator[bytes]:
    """The bytes, which are made as they are asked for, of what is shown now."""
    with document.lock:
        document.flush()
        log, state = document.log, document.state
        snapshot = Snapshot(state, places=False)
        begin = piece(_BEGIN, FORMAT, log.newest, document.stamp(), snapshot.digest)
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

    return made()


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
        pruned = [change for left in husks.values() for change in named(left)]
        base_of = floor and (*floor, bytes(under))
        return Handover(room, hlc, reached, digest, bytes(seen), state, base_of, husks, pruned)
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
        last = {id: seq for id, seq, _ in given.reached}
        _compare(state, fresh)
        own = [kept for kept in log.records() if kept.seq > last.get(kept.session, 0)]
        if state.stale or state.forks or fresh.forks:
            raise StoreError("a memory with forked sessions takes no checkpoint")
        held = [kept for kept in log.records() if kept.seq <= last.get(kept.session, 0)]
        if not _helps(document, given) and any(writer.key != document.key for writer in state.sessions.values()):
            raise StoreError("what others wrote is here already, and the rest can come as changes")
        for place, change in enumerate([kept.change for kept in own], given.room + 1):
            if not fits(fresh, change):
                raise BadBytes("a change here rests on others that the checkpoint does not hold")
            fresh.recall(change, state)
            fresh.apply(change, None, place)
        if any(id not in fresh.sessions or fresh.sessions[id].seq < known.seq for id, known in state.sessions.items()):
            raise StoreError("what is still to come here, or was pruned, is not in the checkpoint: all would go back")
        came = fresh.count - state.count
        log.adopt(last, given.room, _shelf(given, held, log), own)
        fresh.resumed_over(log)
        before, tainted = shown(state), dict(state.taint.tainted)
        become(state, fresh)
        _begun_anew(document, came_and_went(before, tainted, state), checkpoint=bool(own))
        return came


def _begun_anew(document: Document, anew: Renewed, *, checkpoint: bool) -> None:
    """The state and the log have become others, under what is taken from a peer.

    Args:
        anew: what came and went.
        checkpoint: whether to make one at once, because opening could not do again what was done now.
    """
    document.anew += 1
    document.seals.moved()
    document.audit.forget()
    document.owe()
    document.go_on()
    document.checkpoints.done(document.state)
    if checkpoint:
        document.checkpoints.attempt()
    waiting, document.inbox = document.inbox.held(), Inbox(document.state)
    document.tell((), local=False, anew=anew)
    for sender, records in waiting.items():
        with suppress(StoreError):  # then they wait
            receive(document, records, sender)
    for waker in document.wakers:
        waker()


def _compare(state: State, fresh: State) -> None:
    """See that the two tell one history, as far as they overlap.

    Raises:
        BadBytes: they do not.
    """
    for id, session in state.sessions.items():
        there = fresh.sessions.get(id)
        if there is not None and there.seq <= session.seq and not state.has(id, there.seq, there.hash):
            raise BadBytes("the checkpoint holds another change than is here")


def _helps(document: Document, given: Handover) -> bool:
    """Whether something that is lacked here was pruned there; all else can come as changes, and as history."""
    sessions, owed = document.state.sessions, document.owed
    for session, seq in given.pruned:
        known = sessions.get(session)
        if known is None or known.seq < seq or (owed is not None and owed.lacks(session, seq)):
            return True
    return False


def _shelf(given: Handover, held: list[Record], log: Log) -> dict[str, bytes | None]:
    """What the shelf is to hold: no checkpoint of another past, and what is known of the one that is taken."""
    blobs: dict[str, bytes | None] = {name: None for name in log.names() if name.startswith(_DERIVED)}
    blobs |= given.husks
    if given.floor is not None:
        blobs |= base.blobs(*given.floor)
    blobs |= base.blobs(given.room, given.digest, given.shown)
    blobs |= owed.attic(held, log)
    blobs[OWED] = owed.note(given.room, given.digest, given.hlc, given.reached)
    return blobs
