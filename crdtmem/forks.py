"""Forked sessions: two histories under one key and one session, proved by their own records.

A session is one unbroken chain (invariant 2). Who seals two different changes at one place has written two histories;
which of them came first nobody can know, so neither counts from that place on. The proof is the records of both
branches, up to the first seal of each: no new form, and whoever receives them finds out for himself. It is kept on the
shelf of the log and handed out with the changes; the branch that was applied here is taken out of the log.

Bad bytes accuse nobody (invariant 5): without a seal of the session's own key over each branch there is no proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem.change import Change, decode, record
from crdtmem.errors import BadBytes
from crdtmem.identity import verify
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.values import encode

_FOLDER = "fork/"
_MOST, _MOST_BYTES = 1024, 32 << 20  # rivals kept while their proof may be incomplete
_SESSIONS = 16  # so many at once of which changes are asked for
_ASKED = 64  # so many of the changes before a rival are asked for at once
_kept = Decoder(tuple[int, list[bytes], list[bytes]]).decode


class Fork(NamedTuple):
    """A proof: where the two histories part, and the records of each from there to its first seal."""

    session: bytes
    seq: int
    one: tuple[bytes, ...]
    other: tuple[bytes, ...]

    @property
    def records(self) -> tuple[bytes, ...]:
        """What to hand to others."""
        return self.one + self.other


class Equivocation(NamedTuple):
    """A session that wrote two histories; from the change on where they part, all of it is void.

    >>> print(Equivocation("mallory", bytes(32), bytes(16), 7))
    mallory wrote two histories: session 00000000 is void from its change 7 on
    """

    by: str
    key: bytes
    session: bytes
    seq: int

    def __str__(self) -> str:
        return f"{self.by} wrote two histories: session {self.session.hex()[:8]} is void from its change {self.seq} on"


class Rivals:
    """Changes whose place in their chain is taken by another, while it is not known whether they prove a fork."""

    def __init__(self) -> None:
        self._held: dict[bytes, Change] = {}
        self._size = 0
        self._known: set[bytes] = set()  # hashes in proofs that are kept
        self.news: set[bytes] = set()  # sessions of which more has come since `prove` looked
        self._sound: set[bytes] = set()  # hashes whose seal has been verified
        self._gaps: list[tuple[bytes, int]] | None = None  # until more is held, or less

    def __len__(self) -> int:
        return len(self._held)

    def has(self, session: bytes) -> bool:
        """Whether any of a session are held."""
        return any(change.session == session for change in self._held.values())

    def gaps(self, state: State) -> list[tuple[bytes, int]]:
        """What sealed rivals lack to join what is here: changes before them that their author must have made."""
        if self._gaps is None:
            lacked: dict[bytes, int] = {}
            for change in list(self._held.values()):
                known = state.sessions.get(change.session)
                if not change.seal or known is None:
                    continue
                if change.hash not in self._sound:
                    if not verify(known.key, change.seal, change.hash):
                        self._take(change.hash)  # no key needed to make it: nothing is asked for because of it
                        continue
                    self._sound.add(change.hash)
                first = _path(change, self._held)[0]
                if not self._joins(state, first):
                    lacked[change.session] = min(first.seq, lacked.get(change.session, first.seq))
            self._gaps = [
                (session, seq)
                for session, upto in list(lacked.items())[:_SESSIONS]
                for seq in range(max(1, upto - _ASKED), upto)
            ]
        return self._gaps

    def _joins(self, state: State, first: Change) -> bool:
        """Whether it follows what is here."""
        return first.seq == 1 or state.has(first.session, first.seq - 1, first.prev)

    def known(self, hash: bytes) -> bool:
        """Whether it is part of a proof that is kept."""
        return hash in self._known

    def keep(self, fork: Fork) -> None:
        """Its records are known."""
        self._known.update(decode(data).hash for data in fork.records)

    def add(self, change: Change) -> None:
        """One more; the oldest go, when they are too many."""
        if change.hash in self._known:
            return
        before = self._take(change.hash)
        if before is not None and not change.seal:
            change = before
        self._held[change.hash] = change
        self._gaps = None
        self._size += len(change.core)
        self.news.add(change.session)
        while len(self._held) > _MOST or self._size > _MOST_BYTES:
            self._take(next(iter(self._held)))

    def _take(self, hash: bytes) -> Change | None:
        found = self._held.pop(hash, None)
        self._gaps = None
        self._sound.discard(hash)
        self._size -= len(found.core) if found is not None else 0
        return found

    def prove(
        self, state: State, log: Log, older: Iterable[Fork], waiting: Sequence[Change]
    ) -> tuple[list[Fork], list[Change]]:
        """The forks that they prove, the earliest of each session, and the changes whose seal does not verify.

        Args:
            state: what is here.
            log: the branch that is here.
            older: the proofs that are kept.
            waiting: changes of the sessions in the news that wait for others: the end of a branch may be among them.
        """
        news, self.news = self.news, set()
        held = {change.hash: change for change in (*waiting, *self._held.values()) if change.session in news}
        found: dict[bytes, Fork] = {}
        false: list[Change] = []
        branches = {fork.session: fork for fork in older}
        for change in sorted(held.values(), key=lambda change: change.seq):
            known = state.sessions.get(change.session)
            if not change.seal or known is None:
                continue
            path = _path(change, held)
            first = path[0]
            place = found.get(first.session) or branches.get(first.session)
            if (place is not None and place.seq <= first.seq) or known.seq < first.seq or not self._joins(state, first):
                continue
            if not verify(known.key, change.seal, change.hash):
                false.append(change)
                continue
            mine = _branch(log, first.session, first.seq, branches.get(first.session))
            if mine and decode(mine[0]).hash != first.hash:
                found[first.session] = Fork(first.session, first.seq, mine, tuple(record(c.core, c.seal) for c in path))
        for change in false:
            self._take(change.hash)
        return list(found.values()), false

    def forget(self, session: bytes) -> None:
        """What is held of a session has served."""
        for hash in [hash for hash, change in self._held.items() if change.session == session]:
            self._take(hash)


def _path(sealed: Change, held: Mapping[bytes, Change]) -> list[Change]:
    """From the first that is held of its chain to this one."""
    path = [sealed]
    while (before := held.get(path[-1].prev)) is not None and before.seq == path[-1].seq - 1:
        path.append(before)
    path.reverse()
    return path


def _branch(log: Log, session: bytes, seq: int, later: Fork | None) -> tuple[bytes, ...]:
    """The records that are kept from there to the first seal; none if that far they are not kept or not sealed.

    Args:
        log: where they are kept.
        session: whose they are.
        seq: the first of them.
        later: a proof by which what came behind was taken out of the log.
    """
    found: list[bytes] = []
    while (kept := log.read(session, seq)) is not None:
        found.append(kept.data)
        if kept.seal:
            return tuple(found)
        seq += 1
    return (*found, *later.one) if later is not None and later.seq == seq else ()


def put(log: Log, fork: Fork) -> None:
    """Keep a proof."""
    log.put(_FOLDER + fork.session.hex(), encode((fork.seq, fork.one, fork.other)))


def kept(log: Log) -> Iterator[Fork]:
    """The proofs that are kept."""
    for name in log.names():
        if name.startswith(_FOLDER):
            try:
                seq, one, other = _kept(log.get(name) or b"")
                found = Fork(bytes.fromhex(name.removeprefix(_FOLDER)), seq, tuple(one), tuple(other))
                if all(decode(data).session == found.session for data in found.records):
                    yield found
            except (DecodeError, BadBytes, ValueError):
                continue  # damaged; whoever has it hands it over again
