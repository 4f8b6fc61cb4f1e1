"""The only door for foreign bytes: what may enter, in which order, and what must wait.

A change enters when its bytes decode, its chain is unbroken up to a seal that verifies, and everything it names is
here. Until then it waits, bounded per sender by count and bytes; what is evicted is said, and asked for again.
Bad bytes accuse nobody (invariant 5): a wrong hash or seal refuses the bytes, never the author. The inbox decides and
remembers; storing and applying are its owner's (invariant 1), so it plans against what the state will be.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from crdtmem.change import FORMAT, RECORDS, Change, decode
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import Writer
from crdtmem.errors import BadBytes
from crdtmem.fields.ordered import missing
from crdtmem.identity import session_id, verify
from crdtmem.state import State, introduced

MAX_WAITING = 16384
MAX_WAITING_BYTES = 32 << 20
SEAL_EVERY = 64
_FORK = "the session has another change at this seq: altered bytes, or a fork"
KEPT_SEAL_DISTANCE = 512  # a seal is verified, and so kept, at least this often


class Refusal(NamedTuple):
    """Why some bytes did not enter."""

    reason: str
    session: bytes | None = None
    seq: int | None = None


class Received(NamedTuple):
    """What came of some bytes: changes applied, changes that still wait for others, and what was refused and why.

    `missing` names what the waiting ones wait for: (session, seq) of changes to ask for.
    """

    applied: int
    waiting: int
    refused: tuple[Refusal, ...]
    missing: tuple[tuple[bytes, int], ...] = ()


class _Waiting:
    __slots__ = ("awaits", "change", "sender", "session")

    def __init__(self, change: Change, sender: str, session: Writer | None) -> None:
        self.change = change
        self.sender = sender
        self.awaits = b""  # the hash its chain broke off at, when last looked
        self.session = session  # its session, once its chain and seal are in order and only its past is missing

    @property
    def sound(self) -> bool:
        return self.session is not None


class Inbox:
    """The waiting room of one memory, and the checks at its door."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._room: dict[bytes, _Waiting] = {}  # by hash, oldest first
        self._awaited: dict[Hashable, list[bytes]] = {}  # what is missing -> who waits for it
        self._load: dict[str, list[int]] = {}  # sender -> count, bytes
        self._session: Writer | None = None  # of the chain that was verified last
        self.newer: int | None = None  # an authentic change of this format has been seen

    def __len__(self) -> int:
        return len(self._room)

    def admit(self, records: Iterable[bytes], sender: str = "") -> tuple[list[Change], list[Refusal]]:
        """Take in records; return the changes that may now be stored and applied, in causal order, and the refusals."""
        refused: list[Refusal] = []
        news: dict[bytes, Change] = {}
        sealed: list[Change] = []
        sessions = self.state.sessions
        for data in records:
            try:
                change = self._decode(data)
            except BadBytes as error:
                refused.append(Refusal(str(error)))
                continue
            session = sessions.get(change.session)
            if session is not None and session.seq >= change.seq:
                if self.state.hash_of(change.session, change.seq) != change.hash:
                    refused.append(Refusal(_FORK, change.session, change.seq))
                continue
            held = self._room.get(change.hash)
            if held is None:
                if change.seal or change.hash not in news:
                    news[change.hash] = change
            elif change.seal and not held.sound:
                held.change = change
            if change.seal:
                sealed.append(change)
            if self._awaited:
                roused = self._awaited.pop(change.hash, ())
                sealed += [self._room[hash].change for hash in roused if hash in self._room]
        plan = _Plan(self.state)
        if len(sealed) > 1:
            sealed.sort(key=lambda c: (c.session, -c.seq))
        for change in sealed:
            if change.hash in news or (change.hash in self._room and not self._room[change.hash].sound):
                for sound in self._chain(change, news, refused):
                    key = plan.lacks(sound)
                    if key is not None:
                        self._hold(sound, sender, refused, sound=True)
                        self._awaited.setdefault(key, []).append(sound.hash)
                    else:
                        plan.add(sound)
                        if self._awaited:
                            self._rouse(plan)
        for change in news.values():
            self._hold(change, sender, refused, sound=False)
        if self._room and plan.changes:
            self._purge(plan, refused)
        return plan.changes, refused

    def missing(self) -> tuple[tuple[bytes, int], ...]:
        """The changes that the waiting ones wait for, as far as they can be named."""
        wanted: set[tuple[bytes, int]] = set()
        for key, who in self._awaited.items():
            if type(key) is tuple and type(key[0]) is bytes and any(hash in self._room for hash in who):
                wanted.add(key)
        for waiting in self._room.values():
            change = waiting.change
            session = self.state.sessions.get(change.session)
            if not waiting.sound and change.seq > 1 and change.prev not in self._room:
                if session is None or session.seq < change.seq - 1:
                    wanted.add((change.session, change.seq - 1))
        return tuple(sorted(wanted))

    # -- the checks, in order ----------------------------------------------------------------------

    def _decode(self, data: bytes) -> Change:
        if not isinstance(data, bytes):
            raise BadBytes(f"a record is bytes, not {type(data).__name__}")
        change = decode(data)
        if change.namespace != self.state.namespace:
            raise BadBytes("it belongs to another namespace")
        if change.intro is not None and session_id(change.namespace, change.intro) != change.session:
            raise BadBytes("its session id is not the hash of its introduction")
        return change

    def _chain(self, change: Change, news: dict[bytes, Change], refused: list[Refusal]) -> list[Change]:
        """The changes from the last known one up to this sealed one, verified and taken out of where they lay.

        Empty if it must wait or is refused.
        """
        session = self.state.sessions.get(change.session)
        path = [change]
        first = change
        start = session.seq + 1 if session else 1
        while first.seq > start:
            before = news.get(first.prev)
            if before is None:
                held = self._room.get(first.prev)
                broken = first.prev if held is None else held.awaits
                if broken and broken not in self._room and broken not in news:
                    self._break(path, news, broken)
                    return []
                assert held is not None
                if held.sound:
                    session = held.session
                    break
                before = held.change
            if before.session != change.session or before.seq != first.seq - 1:
                return []
            path.append(before)
            first = before
        else:
            if session is None:
                session = introduced(first)
            elif first.prev != session.hash:
                for lost in path:
                    self._forget(lost.hash, news)
                refused.append(Refusal("it does not continue its session's chain", change.session, change.seq))
                return []
        if not verify(session.key, change.seal, change.hash):
            self._unseal(change, news)
            refused.append(Refusal("its seal does not verify", change.session, change.seq))
            return []
        if change.format > FORMAT:
            self.newer = change.format
        for c in path:
            self._forget(c.hash, news)
        path.reverse()
        self._session = session
        return [c if c is change or not c.seal else self._thinned(c, session, len(path)) for c in path]

    def _thinned(self, change: Change, session: Writer, length: int) -> Change:
        """A change inside a sound chain: its seal is verified now and then, and dropped otherwise; none is kept unverified."""
        spaced = length > KEPT_SEAL_DISTANCE and change.seq % KEPT_SEAL_DISTANCE < SEAL_EVERY
        return change if spaced and verify(session.key, change.seal, change.hash) else change._replace(seal=b"")

    def _break(self, path: list[Change], news: dict[bytes, Change], broken: bytes) -> None:
        """Note for each of the path what its chain waits for."""
        for change in path:
            held = self._room.get(change.hash)
            if held is not None:
                held.awaits = broken
        self._awaited.setdefault(broken, []).append(path[0].hash)

    def _rouse(self, plan: _Plan) -> None:
        """Plan what waited for the change that was planned last, and what waits for that in turn."""
        ready = self._roused(plan)
        while ready:
            waiting = ready.pop()
            key = plan.lacks(waiting)
            if key is not None:
                self._awaited.setdefault(key, []).append(waiting.hash)
                continue
            plan.add(waiting)
            self._drop(waiting.hash)
            ready += self._roused(plan)

    def _roused(self, plan: _Plan) -> list[Change]:
        """Who waited for the change that was planned last."""
        last = plan.changes[-1]
        hashes = [*self._awaited.pop((last.session, last.seq), ()), *self._awaited.pop(plan.client, ())]
        return [self._room[hash].change for hash in reversed(hashes) if hash in self._room]

    # -- the room ----------------------------------------------------------------------------------

    def _hold(self, change: Change, sender: str, refused: list[Refusal], *, sound: bool) -> None:
        load = self._load.setdefault(sender, [0, 0])
        self._room[change.hash] = _Waiting(change, sender, self._session if sound else None)
        load[0] += 1
        load[1] += len(change.core)
        if len(self._awaited) > 2 * MAX_WAITING:
            self._awaited = {k: who for k, who in self._awaited.items() if any(h in self._room for h in who)}
        while load[0] > MAX_WAITING or load[1] > MAX_WAITING_BYTES:
            oldest = next(h for h, waiting in self._room.items() if waiting.sender == sender)
            lost = self._room[oldest].change
            self._drop(oldest)
            refused.append(Refusal("too many changes wait for others; ask for it again", lost.session, lost.seq))

    def _drop(self, hash: bytes) -> None:
        waiting = self._room.pop(hash)
        load = self._load[waiting.sender]
        load[0] -= 1
        load[1] -= len(waiting.change.core)
        if not load[0]:
            del self._load[waiting.sender]
        if not self._room:
            self._awaited.clear()

    def _purge(self, plan: _Plan, refused: list[Refusal]) -> None:
        """Refuse what waited for a place in a chain that another change has taken."""
        for hash, waiting in list(self._room.items()):
            change = waiting.change
            if not waiting.sound and plan.seq(change.session) >= change.seq:
                self._drop(hash)
                refused.append(Refusal("another change took its place in the chain", change.session, change.seq))

    def _forget(self, hash: bytes, news: dict[bytes, Change]) -> None:
        if news.pop(hash, None) is None:
            self._drop(hash)

    def _unseal(self, change: Change, news: dict[bytes, Change]) -> None:
        """Let it wait for a seal that verifies."""
        if change.hash in news:
            news[change.hash] = change._replace(seal=b"")
        else:
            self._room[change.hash].change = change._replace(seal=b"")


class _Plan:
    """What the state will know once the changes so far are applied."""

    def __init__(self, state: State) -> None:
        self.changes: list[Change] = []
        self.client = 0  # of the change planned last, if it adds units
        self._state = state
        self._newest: dict[bytes, Change] = {}
        self._units: dict[tuple[int, str], dict[int, int]] = {}

    def lacks(self, change: Change) -> Hashable | None:
        """Something it names that is not here yet, or None."""
        session = change.session
        if change.format > FORMAT:
            return ("newer", change.format)
        if self.seq(session) < change.seq - 1:
            return (session, change.seq - 1)
        for dep in change.deps:
            if self.seq(dep[0]) < dep[1]:
                return (dep[0], dep[1])
            if self._hash(dep[0], dep[1]) != dep[2]:
                return ("fork", dep)
        for part in change.parts:
            for id in _ids(part):
                if self.seq(id[0]) < id[1]:
                    return (id[0], id[1])
            if type(part) is not KeyedPart:
                field = self._state.fields.get((part.kind, part.field))
                planned = self._units.get((part.kind, part.field), {})
                author = self._state.client_of(session)
                absent = missing(part, author, field.ticks if field else {}, planned)  # type: ignore[arg-type, union-attr]
                if absent is not None:
                    return absent
        return None

    def add(self, change: Change) -> None:
        """Take it into the plan."""
        self.changes.append(change)
        self._newest[change.session] = change
        self.client = 0
        for part in change.parts:
            if type(part) is not KeyedPart:
                self.client = self._state.client_of(change.session)
                units = self._units.setdefault((part.kind, part.field), {})
                units[self.client] = units.get(self.client, 0) + part.units  # type: ignore[union-attr]

    def seq(self, session: bytes) -> int:
        """The last seq of a session, once the plan is carried out."""
        newest = self._newest.get(session) or self._state.sessions.get(session)
        return newest.seq if newest is not None else 0

    def _hash(self, session: bytes, seq: int) -> bytes | None:
        newest = self._newest.get(session)
        if newest is None:
            return self._state.hash_of(session, seq)
        if newest.seq == seq:
            return newest.hash
        planned = (c.hash for c in reversed(self.changes) if c.session == session and c.seq == seq)
        return next(planned, None) or self._state.hash_of(session, seq)


def _ids(part: KeyedPart | OrderedPart) -> Iterable[tuple[bytes, int, int]]:
    """The entries of other changes that a part needs to be there."""
    if type(part) is not KeyedPart:
        return [move[2] for move in part.moves]  # type: ignore[union-attr]
    if part.kind != RECORDS:
        return part.removes
    return [*part.removes, *(under for add in part.adds if len(add) > 3 for under in add[3])]
