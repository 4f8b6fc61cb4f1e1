"""The only door for foreign bytes: what may enter, in which order, and what must wait.

A change enters when its bytes decode, its chain is unbroken up to a seal that verifies, and everything it names is
here. Until then it waits, bounded per sender by count and bytes; what is evicted is said, and asked for again.
Bad bytes accuse nobody (invariant 5): a wrong hash or seal refuses the bytes, never the author. The inbox decides and
remembers; storing and applying are its owner's (invariant 1), so it plans against what the state will be.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from crdtmem.change import Change, decode
from crdtmem.change import Keyed as KeyedPart
from crdtmem.errors import BadBytes
from crdtmem.fields.ordered import missing
from crdtmem.identity import session_id, verify
from crdtmem.state import State

MAX_WAITING = 16384
MAX_WAITING_BYTES = 32 << 20
SEAL_EVERY = 64
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
    __slots__ = ("awaits", "change", "sender", "sound")

    def __init__(self, change: Change, sender: str) -> None:
        self.change = change
        self.sender = sender
        self.awaits = b""  # the hash its chain broke off at, when last looked
        self.sound = False  # chain and seal are in order; only its past is missing


class Inbox:
    """The waiting room of one memory, and the checks at its door."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._room: dict[bytes, _Waiting] = {}  # by hash, oldest first
        self._awaited: dict[Hashable, list[bytes]] = {}  # what is missing -> who waits for it
        self._load: dict[str, list[int]] = {}  # sender -> count, bytes
        self.newer: int | None = None  # an authentic change of this format has been seen

    def __len__(self) -> int:
        return len(self._room)

    def admit(self, records: Iterable[bytes], sender: str = "") -> tuple[list[Change], list[Refusal]]:
        """Take in records; return the changes that may now be stored and applied, in causal order, and the refusals."""
        refused: list[Refusal] = []
        sealed: list[Change] = []
        roused: list[bytes] = []
        for data in records:
            try:
                change = self._decode(data)
            except BadBytes as error:
                refused.append(Refusal(str(error)))
                continue
            reason = self._known(change)
            if reason is not None:
                if reason:
                    refused.append(Refusal(reason, change.session, change.seq))
                continue
            held = self._room.get(change.hash)
            if held is None:
                self._hold(change, sender, refused)
                roused += self._awaited.pop(change.hash, ())
            elif change.seal and not held.sound:
                held.change = change
            if change.seal:
                sealed.append(change)
        for hash in roused:
            if hash in self._room:
                sealed.append(self._room[hash].change)
        plan = _Plan(self.state)
        sealed.sort(key=lambda c: (c.session, -c.seq))
        done: set[bytes] = set()
        for change in sealed:
            if change.hash in self._room and change.hash not in done:
                for sound in self._chain(change, refused):
                    done.add(sound.hash)
                    self._settle(sound, plan)
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

    def _known(self, change: Change) -> str | None:
        """None for news, "" for what is here already, a reason for what contradicts it."""
        session = self.state.sessions.get(change.session)
        if session is None or session.seq < change.seq:
            return None
        here = self.state.hash_of(change.session, change.seq)
        return "" if here == change.hash else "the session has another change at this seq: altered bytes, or a fork"

    def _chain(self, change: Change, refused: list[Refusal]) -> list[Change]:
        """The changes from the last known one up to this sealed one, verified; empty if it must wait or is refused."""
        session = self.state.sessions.get(change.session)
        path = [change]
        first = change
        while first.seq > (session.seq + 1 if session else 1):
            held = self._room.get(first.prev)
            broken = first.prev if held is None else held.awaits
            if broken and broken not in self._room:
                for waiting in path:
                    self._room[waiting.hash].awaits = broken
                self._awaited.setdefault(broken, []).append(change.hash)
                return []
            if held is None or held.change.session != change.session or held.change.seq != first.seq - 1:
                return []
            if held.sound:
                break
            first = held.change
            path.append(first)
        else:
            if session is not None and first.prev != session.hash:
                for lost in path:
                    self._drop(lost.hash)
                refused.append(Refusal("it does not continue its session's chain", change.session, change.seq))
                return []
        if session is not None:
            key = session.intro.key
        elif first.intro is not None:
            key = first.intro.key
        else:
            key = self._introduction(first)
        if not verify(key, change.seal, change.hash):
            self._unseal(change)
            refused.append(Refusal("its seal does not verify", change.session, change.seq))
            return []
        if change.format > 1:
            self.newer = change.format
        path.reverse()
        return [self._soundly(c, c is change, key, path) for c in path]

    def _introduction(self, change: Change) -> bytes:
        """The key of a session whose first changes are sound but wait."""
        while change.intro is None:
            change = self._room[change.prev].change
        return change.intro.key

    def _soundly(self, change: Change, last: bool, key: bytes, path: list[Change]) -> Change:
        """Mark it sound. A seal in between is verified now and then, and dropped otherwise: none is kept unverified."""
        if not last and change.seal:
            spaced = change.seq % KEPT_SEAL_DISTANCE < SEAL_EVERY and len(path) > KEPT_SEAL_DISTANCE
            if not (spaced and verify(key, change.seal, change.hash)):
                change = change._replace(seal=b"")
        held = self._room[change.hash]
        held.change = change
        held.sound = True
        return change

    def _settle(self, change: Change, plan: _Plan) -> None:
        """Put a sound change, and all it rouses, into the plan, or let it wait for what it lacks."""
        ready = [change]
        while ready:
            next = ready.pop()
            key = plan.lacks(next)
            if key is not None:
                self._awaited.setdefault(key, []).append(next.hash)
                continue
            plan.add(next)
            self._drop(next.hash)
            for key in ((next.session, next.seq), plan.client):
                for hash in reversed(self._awaited.pop(key, ())):
                    if hash in self._room:
                        ready.append(self._room[hash].change)

    # -- the room ----------------------------------------------------------------------------------

    def _hold(self, change: Change, sender: str, refused: list[Refusal]) -> None:
        load = self._load.setdefault(sender, [0, 0])
        self._room[change.hash] = _Waiting(change, sender)
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

    def _unseal(self, change: Change) -> None:
        held = self._room[change.hash]
        held.change = change._replace(seal=b"")


class _Plan:
    """What the state will know once the changes so far are applied."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.changes: list[Change] = []
        self.client = 0
        self._seqs: dict[bytes, int] = {}
        self._units: dict[tuple[int, str], dict[int, int]] = {}
        self._hashes: dict[tuple[bytes, int], bytes] = {}

    def lacks(self, change: Change) -> Hashable | None:
        """Something it names that is not here yet, or None."""
        session = change.session
        if change.format > 1:
            return ("newer", change.format)
        if self.seq(session) < change.seq - 1:
            return (session, change.seq - 1)
        for dep in change.deps:
            if self.seq(dep[0]) < dep[1]:
                return (dep[0], dep[1])
            if (self._hashes.get((dep[0], dep[1])) or self.state.hash_of(dep[0], dep[1])) != dep[2]:
                return ("fork", dep)
        client = self.state.client_of(session)
        for part in change.parts:
            if type(part) is KeyedPart:
                for gone in part.removes:
                    if self.seq(gone[0]) < gone[1]:
                        return (gone[0], gone[1])
                for add in part.adds:
                    for under in add[3] if len(add) > 3 else ():
                        if self.seq(under[0]) < under[1]:
                            return (under[0], under[1])
                continue
            for move in part.moves:  # type: ignore[union-attr]
                if self.seq(move[2][0]) < move[2][1]:
                    return (move[2][0], move[2][1])
            planned = self._units.get((part.kind, part.field), {})
            field = self.state.fields.get((part.kind, part.field))
            absent = missing(part, client, field.ticks if field else {}, planned)  # type: ignore[union-attr, arg-type]
            if absent is not None:
                return absent
        return None

    def add(self, change: Change) -> None:
        """Take it into the plan."""
        self.changes.append(change)
        self._seqs[change.session] = change.seq
        self._hashes[change.session, change.seq] = change.hash
        self.client = 0
        for part in change.parts:
            if type(part) is not KeyedPart:
                self.client = self.state.client_of(change.session)
                units = self._units.setdefault((part.kind, part.field), {})
                units[self.client] = units.get(self.client, 0) + part.units  # type: ignore[union-attr]

    def seq(self, session: bytes) -> int:
        """The last seq of a session, once the plan is carried out."""
        planned = self._seqs.get(session)
        if planned is not None:
            return planned
        known = self.state.sessions.get(session)
        return known.seq if known else 0

