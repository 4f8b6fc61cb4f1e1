"""History that is still to come: the changes behind a checkpoint that was taken from a peer.

They come newest first, from whoever has them, and each is the very change that the one after it names: by hash, back
from the heads that the checkpoint gave. So at any moment the log is as if its oldest changes had been pruned. Once all
are here, applying them must come to what the checkpoint showed; if it does not, it was a lie, and the changes count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem import base
from crdtmem.change import Change, decode
from crdtmem.errors import BadBytes, StoreError
from crdtmem.identity import session_id, verify
from crdtmem.inbox import SEAL_BYTES, SEAL_EVERY
from crdtmem.pruned import OWED
from crdtmem.rebuild import inform
from crdtmem.recovery import fits
from crdtmem.state import State
from crdtmem.store import Log, Record
from crdtmem.values import encode

if TYPE_CHECKING:
    from crdtmem.document import Document

log = logging.getLogger("crdtmem")
_SPARSE, _SPARSE_BYTES = SEAL_EVERY // 2, SEAL_BYTES // 4  # between seals that are kept, if there are more
_kept = Decoder(tuple[int, bytes, list[tuple[bytes, int, bytes]]]).decode


def note(place: int, digest: bytes, reached: Sequence[tuple[bytes, int, bytes]]) -> bytes:
    """What is kept on the shelf: where the checkpoint stands, what it shows, how far each session had come there."""
    return encode((place, digest, reached))


class Owed:
    """The changes that one log still lacks.

    Args:
        kept_in: the log.
        state: what it adds up to, with the checkpoint.
        place: of the checkpoint in the log.
        digest: of what the checkpoint shows.
        due: of each session the next that is to come, and its hash.
    """

    def __init__(
        self, kept_in: Log, state: State, place: int, digest: bytes, due: dict[bytes, tuple[int, bytes]]
    ) -> None:
        self.place = place
        self.digest = digest
        self._log = kept_in
        self._state = state
        self._due = due
        self._bare: dict[bytes, tuple[int, int]] = {}  # of each session, changes and bytes since the last kept seal

    @classmethod
    def read(cls, kept_in: Log, state: State) -> Owed | None:
        """What the shelf says is still to come; None if it says nothing."""
        try:
            place, digest, reached = _kept(kept_in.get(OWED) or b"")
        except DecodeError:
            return None
        due = {id: _next(kept_in, id, seq, hash) for id, seq, hash in reached}
        return cls(kept_in, state, place, digest, due)

    def wanted(self) -> list[tuple[bytes, int]]:
        """The sessions of which changes are to come, and the newest of these."""
        pruned = self._state.pruned
        return [(id, seq) for id, (seq, _) in self._due.items() if seq and not pruned.hash(id, seq)]

    def count(self) -> int:
        """How many changes are to come, but for those that the giver had pruned."""
        return sum([seq for _, seq in self.wanted()])

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
            if change.seq > seq:
                continue  # it is here
            if change.seq < seq or change.hash != hash:
                raise BadBytes("history that is not what the changes behind it name")
            due[change.session] = (seq - 1, change.prev)
            found.append(Record(change.session, seq, change.hash, change.core, self._sealed(change, bare)))
        self._log.fill(found)
        self._due, self._bare = due, bare
        return len(found)

    def _sealed(self, change: Change, bare: dict[bytes, tuple[int, int]]) -> bytes:
        """Its seal, verified if it is kept: of the newest of a session, and of some on the way, to prove forks with."""
        session = change.session
        writer = self._state.sessions[session]
        intro = change.intro
        if intro is not None:
            said = (writer.key, writer.agent, writer.role)
            if session_id(self._state.namespace, intro) != session or intro[:3] != said:
                raise BadBytes("a session that introduces itself as another than the checkpoint says")
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
    """Once all is here: whether it comes to what the checkpoint showed. If not, the memory shows what it comes to.

    The log is applied again, 10 us a change; the memory is locked at the beginning and the end alone.

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
        true = _applied(kept, state, owed.place, going).digest() == owed.digest
    except StoreError as error:  # damage, or a fork that was proved meanwhile: another time
        log.warning("%r: what a checkpoint showed cannot be proved yet: %s", document.namespace, error)
        return False
    if not true:
        log.warning("%r: a checkpoint from a peer was false; its history counts", document.namespace)
    with document.checkpoints.making, document.lock:
        document.usable()
        if document.owed is owed:
            document.settle_owed(true=true)
    return true


def _applied(kept: Log, like: State, place: int, going: Callable[[], bool]) -> State:
    """What the changes up to a place come to."""
    fresh, after = base.read(kept, like, place) or (State(like.namespace, kept, like.owner), 0)
    if like.trust is not None:
        then = base.read(kept, like)
        assert then is not None
        inform(fresh, then[0])  # of what was known at that place, and not before it
    for at, record in kept.since(after):
        if at > place:
            break
        change = record.change
        if not going() or not fits(fresh, change):
            raise StoreError("the history that has come is not whole" if going() else "the peer was closed")
        fresh.apply(change, None, at)
    return fresh
