"""How far what we wrote is sealed: at hand at once, for good a little later (decision 13).

Every 64th change is kept with its seal, so that a flush never has many to make. The newest change of a session that
goes on is sealed here and in what is handed out; the log gets the seal with the next flush, unless another stands for
it by then. Where a session ends it is stored then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crdtmem.entry import Writer
from crdtmem.errors import StoreError
from crdtmem.identity import Identity
from crdtmem.inbox import SEAL_BYTES, SEAL_EVERY
from crdtmem.store import Log, Record

SMALL = 4096  # bytes of a record that is kept at hand


class Seals:
    """The seals of our sessions in one log. The owner holds the lock of the memory.

    Args:
        log: the log.
        identity: the key that seals.
        sealed: how far each session of ours is sealed of which more may follow.
    """

    def __init__(self, log: Log, identity: Identity, sealed: dict[bytes, int]) -> None:
        self._log = log
        self._identity = identity
        self._sealed = sealed
        self._bytes = 0  # of our changes since the last seal that is stored
        self._newest: Record | None = None  # of the log, where it is not too large to be kept here
        self._late: Record | None = None  # our newest change, sealed, where its seal is not stored yet

    def begin(self, session: bytes) -> None:
        """A new session of ours."""
        self._sealed[session] = 0

    def wrote(self, kept: Record) -> bool:
        """A change of ours is the newest record; whether too much stands under one seal by now."""
        self._newest = kept
        self._bytes += len(kept[3])
        if kept[4]:
            self._sealed[kept[0]] = kept[1]
            self._bytes = 0
            if self._late is not None and self._late.session == kept[0]:
                self._late = None  # this one stands for it
        return self._bytes > SEAL_BYTES

    def took(self, kept: Record) -> None:
        """A foreign change is the newest record."""
        self._newest = kept if len(kept.core) <= SMALL else None

    def moved(self) -> None:
        """What was the newest record may not be any more."""
        self._newest = None

    def end(self, session: bytes) -> None:
        """Nothing of a session of ours is to be sealed any more."""
        self._sealed.pop(session, None)

    def seal(self, sessions: Mapping[bytes, Writer], current: Writer | None) -> None:
        """Seal all for good."""
        self.sign(sessions, current)
        self.keep()

    def sign(self, sessions: Mapping[bytes, Writer], current: Writer | None) -> None:
        """Seal what was written since the last time: the newest change of each session, and every 64th on the way.

        Args:
            sessions: as far as they have come.
            current: the one that goes on: its newest seal is held here, for mostly another one stands for it soon.
        """
        for id, sealed in list(self._sealed.items()):
            newest = sessions[id].seq
            goes_on = current is not None and current.id == id
            for seq in range(sealed + 1, newest + 1):
                if seq == newest and goes_on:
                    self._hold(id, seq)
                elif seq == newest or seq % SEAL_EVERY == 0:
                    self._log.seal(id, seq, self._identity.sign(self._hash(sessions[id], seq)))
            if newest % SEAL_EVERY == 0 or not goes_on:  # of a session that has ended no later seal will stand for it
                self.keep()
            self._sealed[id] = newest
            if not goes_on:
                self._newest = None  # maybe it was its
                del self._sealed[id]

    def _hash(self, session: Writer, seq: int) -> bytes:
        if seq == session.seq:
            return session.hash
        kept = self._log.read(session.id, seq)
        if kept is None:
            raise StoreError("a change that is to be sealed is not kept here: it is damaged")
        return kept.hash

    def _hold(self, session: bytes, seq: int) -> None:
        """Seal a change here alone."""
        last = self._newest
        kept = last if last is not None and last[:2] == (session, seq) else self._log.read(session, seq)
        if kept is not None:  # else it is damaged: nobody is handed it, and it comes back with its seal
            self._late = kept._replace(seal=self._identity.sign(kept.hash))
            if kept is last:
                self._newest = self._late

    def keep(self) -> None:
        """Store the seal that is not stored yet, if there is one."""
        if self._late is not None:
            self._log.seal(self._late.session, self._late.seq, self._late.seal)
            self._late, self._bytes = None, 0

    def between(self, after: int, upto: int) -> Iterator[tuple[int, Record]]:
        """The records behind one place, up to another, sealed as far as they are."""
        if upto == after + 1 and self._newest is not None and upto == self._log.newest:
            yield upto, self._newest  # as it mostly is: each change is handed out once it is made
            return
        for place, kept in self._log.since(after):
            if place > upto:
                return
            yield place, self.sealed(kept)

    def sealed(self, kept: Record) -> Record:
        """A record with its seal, if that is not stored yet."""
        late = self._late
        return late if late is not None and late.hash == kept.hash else kept
