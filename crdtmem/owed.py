"""History that is still to come: the changes behind a checkpoint that was taken from a peer.

They come newest first, from whoever has them all, and each is the very change that the one after it names: by hash,
back from the heads that the checkpoint gave. So at any moment the log is as if its oldest changes had been pruned.
Once all are here they are applied, and what they come to counts, whatever the checkpoint showed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem import base
from crdtmem.change import Change, decode, record
from crdtmem.difference import shown
from crdtmem.errors import BadBytes, StoreError
from crdtmem.identity import session_id, verify
from crdtmem.inbox import SEAL_BYTES, SEAL_EVERY
from crdtmem.pruned import OWED
from crdtmem.rebuild import become, came_and_went, inform, renew
from crdtmem.receiving import receive
from crdtmem.recovery import collection_paused, fits
from crdtmem.state import State
from crdtmem.store import Log, Record
from crdtmem.values import encode

if TYPE_CHECKING:
    from crdtmem.document import Document

log = logging.getLogger("crdtmem")
_SPARSE, _SPARSE_BYTES = SEAL_EVERY // 2, SEAL_BYTES // 4  # between seals that are kept, if there are more
_ATTIC, _CHEST = "attic/", 1 << 20  # on the shelf; bytes in a blob of it
_records = Decoder(list[bytes]).decode
_kept = Decoder(tuple[int, bytes, int, list[tuple[bytes, int, bytes]]]).decode


def note(place: int, digest: bytes, hlc: int, reached: Sequence[tuple[bytes, int, bytes]]) -> bytes:
    """What is kept on the shelf: where the checkpoint stands, what it shows, how far all had come there."""
    return encode((place, digest, hlc, reached))


def attic(records: Iterable[Record], kept_in: Log) -> dict[str, bytes]:
    """What was here of that history, in its order, for when nobody else has it: blobs by name."""
    found: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for kept in records:
        some.append(kept.data)
        size += len(kept.core)
        if size > _CHEST:
            found.append(encode(some))
            some, size = [], 0
    before = len(_attic_of(kept_in))
    return {f"{_ATTIC}{n:06}": data for n, data in enumerate([*found, encode(some)] if some else found, before)}


def _attic_of(kept_in: Log) -> list[str]:
    return [name for name in kept_in.names() if name.startswith(_ATTIC)]


class Owed:
    """The changes that one log still lacks.

    Args:
        kept_in: the log.
        state: what it adds up to, with the checkpoint.
        place: of the checkpoint in the log.
        digest: of what the checkpoint shows.
        hlc: a stamp above all in it.
        due: of each session the next that is to come, and its hash.
    """

    def __init__(
        self, kept_in: Log, state: State, place: int, digest: bytes, hlc: int, due: dict[bytes, tuple[int, bytes]]
    ) -> None:
        self.place = place
        self.digest = digest
        self.hlc = hlc
        self._log = kept_in
        self._state = state
        self._due = due
        self._attic: dict[bytes, int] = {}  # how far each session had come here before, of those kept from the first on
        for name in _attic_of(kept_in):
            for change in self._chest(name):
                begun = self._attic.get(change.session, 0)
                if change.seq == begun + 1 or (not begun and state.pruned.hash(change.session, change.seq - 1)):
                    self._attic[change.session] = change.seq
        self._bare: dict[bytes, tuple[int, int]] = {}  # of each session, changes and bytes since the last kept seal

    @classmethod
    def read(cls, kept_in: Log, state: State) -> Owed | None:
        """What the shelf says is still to come; None if it says nothing."""
        try:
            place, digest, hlc, reached = _kept(kept_in.get(OWED) or b"")
        except DecodeError:
            return None
        due = {id: _next(kept_in, id, seq, hash) for id, seq, hash in reached}
        return cls(kept_in, state, place, digest, hlc, due)

    def wanted(self) -> list[tuple[bytes, int]]:
        """The sessions of which changes are to come, and the newest of these."""
        wanted = self._lacked()
        if wanted and all(seq <= self._attic.get(id, 0) for id, seq in wanted):
            for name in _attic_of(self._log)[::-1]:
                here = [c for c in self._chest(name) if c.seq <= self._attic.get(c.session, 0)]
                self.take([record(change.core, change.seal) for change in reversed(here)])
            wanted = self._lacked()
        return wanted

    def _chest(self, name: str) -> list[Change]:
        return [decode(data) for data in _records(self._log.get(name) or encode([]))]

    def _lacked(self) -> list[tuple[bytes, int]]:
        pruned = self._state.pruned
        return [(id, seq) for id, (seq, _) in self._due.items() if seq and not pruned.hash(id, seq)]

    def lacks(self, session: bytes, seq: int) -> bool:
        """Whether a change is to come."""
        return seq <= self._due.get(session, (0, b""))[0] and not self._state.pruned.hash(session, seq)

    def count(self) -> int:
        """How many changes are to come, but for those that the giver had pruned."""
        return sum([seq for _, seq in self._lacked()])

    def take(self, records: Iterable[bytes]) -> int:
        """Keep records that come in front of the oldest; how many they are.

        Raises:
            BadBytes: one is not the change that the one after it names; none of them was kept.
            StoreError: they could not be kept.
        """
        due, bare = dict(self._due), dict(self._bare)
        found: list[Record] = []
        for data in records:
            change = decode(data)
            seq, hash = due.get(change.session, (0, b""))
            if change.seq > seq or self._state.pruned.hash(change.session, change.seq):
                continue  # it is here, or the base holds it
            if change.seq < seq or change.hash != hash:
                raise BadBytes("history that is not what the changes behind it name")
            due[change.session] = (seq - 1, change.prev)
            found.append(Record(change.session, seq, change.hash, change.core, self._sealed(change, bare)))
        self._log.fill(found)
        self._due, self._bare = due, bare
        return len(found)

    def let_go(self) -> None:
        """Forget all that came, so that it is asked for again."""
        for id, seq, _ in _kept(self._log.get(OWED) or b"")[3]:
            self._log.prune(id, seq)

    def forget(self) -> None:
        """Nothing is to come any more."""
        for name in [OWED, *_attic_of(self._log)]:
            self._log.drop(name)

    def _sealed(self, change: Change, bare: dict[bytes, tuple[int, int]]) -> bytes:
        """Its seal, verified if it is kept: of the newest of a session, and of some on the way, to prove forks with."""
        session = change.session
        writer = self._state.sessions[session]
        intro = change.intro
        if intro and (session_id(self._state.namespace, intro) != session or intro.key != writer.key):
            raise BadBytes("a session of another key than the checkpoint says")
        since, size = bare.get(session, (_SPARSE, 0))
        if not change.seal or (since < _SPARSE and size < _SPARSE_BYTES):
            bare[session] = (since + 1, size + len(change.core))
            return b""
        if not verify(writer.key, change.seal, change.hash):
            raise BadBytes("history whose seal does not verify")
        bare[session] = (1, len(change.core))
        return change.seal


def _next(kept_in: Log, session: bytes, seq: int, hash: bytes) -> tuple[int, bytes]:
    """What is to come next of a session that was handed over at this change: the one before the oldest that is here."""
    low, high = 1, seq + 1  # the oldest that is here lies between
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if kept_in.place_of(session, middle) is not None else (middle + 1, high)
    if high > seq:
        return seq, hash
    oldest = kept_in.read(session, high)
    return (high - 1, oldest.change.prev) if oldest is not None else (0, b"")  # damaged: to be mended first


def prove(document: Document, going: Callable[[], bool]) -> bool:
    """Once all is here, have what it comes to count, whatever the checkpoint showed; whether the two are the same.

    The log is applied again, 10 us a change, while the memory goes on. It is locked at the end alone, for what came
    meanwhile and for looking at what is live, a microsecond an entry.

    Args:
        document: the memory.
        going: whether to go on.
    """
    with document.lock:
        document.usable()
        owed, state, kept = document.owed, document.state, document.log
    if owed is None or owed.wanted():
        return False
    try:
        fresh, place = base.read(kept, state, owed.place) or (State(state.namespace, kept, state.owner), 0)
        inform(fresh, state)
        told, lasting = _told(state), place == owed.place
        place = _apply(fresh, kept, place, going)
        with document.checkpoints.making, document.lock, collection_paused():
            document.usable()
            if document.owed is not owed:
                return False
            _apply(fresh, kept, place, going)
            if {id: session.hash for id, session in fresh.sessions.items()} != {
                id: session.hash for id, session in state.sessions.items()
            }:
                raise StoreError("the history that has come is not whole")
            fresh.stale = told != _told(state)
            true = _settle(document, fresh, base_lasts=lasting)
        document.checkpoints.attempt()
        return true
    except StoreError as error:  # damage, or a fork that was proved meanwhile: another time
        log.warning("%r: what a checkpoint showed cannot be proved yet: %s", document.namespace, error)
        if going():
            with suppress(StoreError):  # then it is found out once more
                owe_again(document, owed)
        return False


def _settle(document: Document, fresh: State, *, base_lasts: bool) -> bool:
    """All history is here: show what it comes to; whether that is what the checkpoint showed.

    Args:
        fresh: what it comes to.
        base_lasts: whether the checkpoint is what the giver had pruned.
    """
    assert document.owed is not None
    document.checkpoints.drop()
    if not base_lasts:
        base.drop(document.log, document.owed.place)
    document.owed.forget()
    document.owed = None
    before, tainted = shown(document.state), dict(document.state.taint.tainted)
    waited = document.state.stale or fresh.stale  # for something else than the checkpoint to be made good
    become(document.state, fresh)
    document.state.resumed_over(document.log)
    document.audit.forget()
    document.go_on()
    anew = came_and_went(before, tainted, document.state)
    true = anew.empty or waited
    if document.state.stale:
        renew(document)
        anew = came_and_went(before, tainted, document.state)
    if not true:
        log.warning("%r: a checkpoint from a peer showed something else than the history behind it", document.namespace)
    if not anew.empty:
        document.tell((), local=False, anew=anew)
    with suppress(StoreError):
        receive(document, (), "")  # what waited for it
    return true


def owe_again(document: Document, owed: Owed) -> None:
    """All history is here and does not add up: unless damage or a fork is to blame it came in a wrong order."""
    with document.lock:
        if document.owed is owed and not (document.log.damage or document.state.stale or document.state.forks):
            owed.let_go()
            document.anew += 1
            document.audit.forget()
            document.owe()


def _told(state: State) -> tuple[set[bytes], set[Any]]:
    """What is known to be void."""
    return set(state.forks), set() if state.trust is None else set(state.trust.cuts)


def _apply(fresh: State, kept: Log, place: int, going: Callable[[], bool]) -> int:
    """Apply what lies behind a place, up to the end; where that is."""
    for at, found in kept.since(place):
        change = found.change
        if not going() or not fits(fresh, change):
            raise StoreError("the history that has come is not whole" if going() else "the peer was closed")
        fresh.apply(change, None, at)
        place = at
    return place
