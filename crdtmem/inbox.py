"""The only door for foreign bytes: what may enter, in which order, and what must wait.

A change enters when its bytes decode, its chain is unbroken up to a seal that verifies, and everything it names is
here. Until then it waits, bounded per sender by count and bytes; what is evicted is said, and asked for again.
Bad bytes accuse nobody (invariant 5): a wrong hash or seal refuses the bytes, never the author. The inbox decides and
remembers; storing and applying are its owner's (invariant 1), so it plans against what the state will be.

Another change at a place that is taken may prove that its session was forked (forks.py). What is void with a forked
session stays outside, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from crdtmem.change import FORMAT, MAX_SEQ, RECORDS, Change, decode, record
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import Writer
from crdtmem.errors import BadBytes
from crdtmem.fields.ordered import missing
from crdtmem.forks import Fork, Rivals
from crdtmem.identity import session_id, verify
from crdtmem.rules import NewerRules
from crdtmem.state import State, introduced
from crdtmem.store import Log
from crdtmem.trust import Trust

MAX_WAITING = 16384
MAX_WAITING_BYTES = 32 << 20
SEAL_EVERY = 64
_FORK = "the session has another change at this seq: altered bytes, or a fork"
MAX_REASON = 200  # characters: what is refused is remembered, and hostile bytes may be quoted in it
KEPT_SEAL_DISTANCE = 512  # where there are seals, one is verified and kept at least this often


SEAL_BYTES = 8 << 20  # of changes, and a writer seals at the latest
MAX_UNSEALED, MAX_UNSEALED_BYTES = 640, 12 << 20  # under one seal: as much can be proved to be one of two branches
_UNSEALED = "too many changes under one seal: were they a branch of two, nobody could prove it"
FORKED = "its session has two histories: from the change on where they part, all of it is void"
_STORE = "store"  # what waits for the store to work, or to be whole, again


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
        self._awaited: dict[Hashable, dict[bytes, None]] = {}  # what is missing -> who waits for it, in turn
        self._awaits: dict[bytes, Hashable] = {}  # who -> what; only for who is in the room
        self._load: dict[str, list[int]] = {}  # sender -> count, bytes
        self._missing: tuple[tuple[bytes, int], ...] | None = ()  # until the room or what is planned changes
        self._session: Writer | None = None  # of the chain that was verified last
        self._met: list[Change] = []  # what came last and did not enter at once
        self.newer: int | None = None  # an authentic change, or rules, of this format have been seen
        self.rivals = Rivals()

    def __len__(self) -> int:
        return len(self._room)

    def admit(self, records: Iterable[bytes], sender: str = "") -> tuple[list[Change], list[Refusal]]:
        """Take in records; return the changes that may now be stored and applied, in causal order, and the refusals."""
        refused: list[Refusal] = []
        if records:  # else what came before is looked at again
            self._met = []
        news: dict[bytes, Change] = {}
        sealed: list[Change] = []
        forks = self.state.forks
        sessions, namespace, room, awaited = self.state.sessions, self.state.namespace, self._room, self._awaited
        for data in records:
            try:
                change = decode(data)
            except BadBytes as error:
                refused.append(Refusal(str(error)[:MAX_REASON]))
                continue
            if change.namespace != namespace:
                refused.append(Refusal("it belongs to another namespace", change.session, change.seq))
                continue
            if change.intro is not None and session_id(change.namespace, change.intro) != change.session:
                refused.append(Refusal("its session id is not that of its introduction", change.session, change.seq))
                continue
            if forks and change.seq >= forks.get(change.session, change.seq + 1):
                self.rivals.add(change)
                if not self.rivals.known(change.hash):
                    refused.append(Refusal(FORKED, change.session, change.seq))
                continue
            session = sessions.get(change.session)
            if session is not None and session.seq >= change.seq:
                if not self.state.has(change.session, change.seq, change.hash):
                    self.rivals.add(change)
                    refused.append(Refusal(_FORK, change.session, change.seq))
                continue
            held = room.get(change.hash) if room else None
            if held is None:
                if change.seal or change.hash not in news:
                    news[change.hash] = change
            else:
                self._met.append(change)
                if change.seal and not held.sound:
                    held.change = change
            if change.seal:
                sealed.append(change)
            if awaited:
                sealed += [self._room[hash].change for hash in self._waiters(change.hash)]
        plan = Plan(self.state)
        for hash in self._waiters(_STORE):
            if hash in self._room:
                key = plan.take(self._room[hash].change)
                if key is None:
                    self._drop(hash)
                    self._rouse(plan)
                else:
                    self._await(key, hash)
        if len(sealed) > 1:
            sealed.sort(key=lambda c: (c.session, -c.seq))
        for change in sealed:
            if change.hash in news or (change.hash in self._room and not self._room[change.hash].sound):
                for sound in self._chain(change, news, plan, refused):
                    key = plan.take(sound)
                    if key is not None:
                        self._hold(sound, sender, refused, sound=True)
                        if sound.hash in self._room:  # else its sender has no room left for it
                            self._await(key, sound.hash)
                    elif self._awaited:
                        self._rouse(plan)
        for change in news.values():
            self._hold(change, sender, refused, sound=False)
        if self._room and plan.changes:
            self._purge(plan, refused)
            self._missing = None
        if plan.newer is not None:
            self.newer = plan.newer
        return plan.changes, refused

    def keep(self, changes: Iterable[Change], sender: str = "") -> None:
        """Let these wait again, in this order: they could not be stored. The next `admit` returns them anew."""
        sessions = dict(self.state.sessions)
        for change in changes:
            self._session = sessions.get(change.session) or sessions.setdefault(change.session, introduced(change))
            self._hold(change, sender, [], sound=True)
            self._await(_STORE, change.hash)

    def held(self) -> dict[str, list[bytes]]:
        """The records that wait, by whom they came from, oldest first."""
        found: dict[str, list[bytes]] = {}
        for waiting in self._room.values():
            found.setdefault(waiting.sender, []).append(record(waiting.change.core, waiting.change.seal))
        return found

    def only_from(self, sender: str) -> bool:
        """Whether all that waits came from this sender."""
        return not self._load or (len(self._load) == 1 and sender in self._load)

    def late(self) -> list[tuple[bytes, int]]:
        """Of what came last, the changes that wait."""
        return [(change.session, change.seq) for change in self._met if change.hash in self._room]

    def proofs(self, log: Log, older: Iterable[Fork]) -> list[Fork]:
        """What has come since this was last asked may prove that sessions were forked: the proofs."""
        news = self.rivals.news
        waiting = [w.change for w in self._room.values() if w.change.session in news and not w.sound]
        found, false = self.rivals.prove(self.state, log, older, waiting)
        for change in false:
            if change.hash in self._room:
                self._unseal(change, {})
        return found

    def again(self) -> None:
        """What sound changes wait for may not be needed any more: the next `admit` looks."""
        forks = self.state.forks
        for hash, waiting in list(self._room.items()):
            change = waiting.change
            if change.seq >= forks.get(change.session, change.seq + 1):
                self._drop(hash)
                self.rivals.add(change)
            elif waiting.sound:
                self._await(_STORE, hash)

    def missing(self) -> tuple[tuple[bytes, int], ...]:
        """The changes that the waiting ones wait for, as far as they can be named."""
        if self._missing is not None:
            return self._missing
        wanted: set[tuple[bytes, int]] = set()
        for key in self._awaited:
            if type(key) is tuple and type(key[0]) is bytes:
                wanted.add(key)
        for waiting in self._room.values():
            change = waiting.change
            session = self.state.sessions.get(change.session)
            known = session.seq if session else 0
            if not waiting.sound and known < change.seq - 1 and change.prev not in self._room:
                wanted.add((change.session, change.seq - 1))
        self._missing = tuple(sorted(wanted))
        return self._missing

    # -- the checks, in order ----------------------------------------------------------------------

    def _chain(self, change: Change, news: dict[bytes, Change], plan: Plan, refused: list[Refusal]) -> list[Change]:
        """The changes from the last known one up to this sealed one, verified and taken out of where they lay.

        Empty if it must wait or is refused.
        """
        session, seq, hash = plan.chain(change.session)
        path = [change]
        first = change
        while first.seq > seq + 1:
            before = news.get(first.prev)
            if before is None:
                held = self._room.get(first.prev)
                broken = first.prev if held is None else b"" if held.awaits == hash else held.awaits
                if broken and broken not in self._room and broken not in news:
                    self._break(path, news, broken)
                    return []
                assert held is not None
                before = held.change
            else:
                held = None
            if before.session != change.session or before.seq != first.seq - 1:
                return []  # whoever sealed it builds on what is not his
            if held is not None and held.sound:
                session = held.session
                break
            path.append(before)
            first = before
        else:
            if session is None:
                session = introduced(first)
            elif first.prev != hash:
                for lost in path:
                    self.rivals.add(lost)
                    if news.pop(lost.hash, None) is None:
                        self._drop(lost.hash)
                refused.append(Refusal("it does not continue its session's chain", change.session, change.seq))
                return []
        assert session is not None
        if not verify(session.key, change.seal, change.hash):
            self._unseal(change, news)
            refused.append(Refusal("its seal does not verify", change.session, change.seq))
            return []
        weight = sum([len(c.core) for c in path])
        heavy = weight > SEAL_BYTES >> 6 and sum(map(_weight, path)) > SEAL_BYTES  # a piece has 2 bytes at the least
        sound = _thinned(path[::-1], session, apart=0 if heavy else KEPT_SEAL_DISTANCE)
        if (len(path) > MAX_UNSEALED or weight > MAX_UNSEALED_BYTES) and not _provable(sound):
            for c in path:
                if news.pop(c.hash, None) is None:
                    self._drop(c.hash)
            refused.append(Refusal(_UNSEALED, change.session, change.seq))
            return []
        for c in path:
            if c.format > FORMAT:
                self.newer = c.format
            if news.pop(c.hash, None) is None:
                self._drop(c.hash)
        self._session = session
        return sound

    def _break(self, path: list[Change], news: dict[bytes, Change], broken: bytes) -> None:
        """Note for each of the path what its chain waits for."""
        for change in path:
            held = self._room.get(change.hash)
            if held is not None:
                held.awaits = broken
        self._await(broken, path[0].hash)

    def _rouse(self, plan: Plan) -> None:
        """Plan what waited for the change that was planned last, and what waits for that in turn."""
        ready = self._roused(plan)
        while ready:
            waiting = ready.pop()
            key = plan.take(waiting)
            if key is not None:
                self._await(key, waiting.hash)
                continue
            self._drop(waiting.hash)
            ready += self._roused(plan)

    def _roused(self, plan: Plan) -> list[Change]:
        """Who waited for the change that was planned last."""
        last = plan.changes[-1]
        hashes = [*self._waiters((last.session, last.seq)), *self._waiters(plan.client)]
        if self.state.trust is not None:
            hashes += self._waiters(("rules", last.hash))
        return [self._room[hash].change for hash in reversed(hashes)]

    # -- the room ----------------------------------------------------------------------------------

    def _hold(self, change: Change, sender: str, refused: list[Refusal], *, sound: bool) -> None:
        self._missing = None
        self._met.append(change)
        if len(self.rivals) and self.rivals.has(change.session):
            self.rivals.news.add(change.session)
        load = self._load.setdefault(sender, [0, 0])
        self._room[change.hash] = _Waiting(change, sender, self._session if sound else None)
        load[0] += 1
        load[1] += _weight(change)
        while load[0] > MAX_WAITING or load[1] > MAX_WAITING_BYTES:
            oldest = next(waiting for waiting in self._room.values() if waiting.sender == sender)
            evicted = [oldest.change]
            if oldest.sound:  # what is sound because this is sound goes with it, and comes back with it
                evicted = [w.change for w in self._room.values() if w.session is oldest.session]
            for lost in evicted:
                self._drop(lost.hash)
                refused.append(Refusal("too many changes wait for others; ask for it again", lost.session, lost.seq))

    def _drop(self, hash: bytes) -> None:
        self._missing = None
        waiting = self._room.pop(hash)
        load = self._load[waiting.sender]
        load[0] -= 1
        load[1] -= _weight(waiting.change)
        if not load[0]:
            del self._load[waiting.sender]
        self._unlist(hash)

    def _await(self, key: Hashable, hash: bytes) -> None:
        """Note that this one waits for that."""
        self._missing = None
        self._unlist(hash)
        self._awaits[hash] = key
        self._awaited.setdefault(key, {})[hash] = None

    def _unlist(self, hash: bytes) -> None:
        key = self._awaits.pop(hash, None)
        if key is not None:
            who = self._awaited[key]
            del who[hash]
            if not who:
                del self._awaited[key]

    def _waiters(self, key: Hashable) -> list[bytes]:
        """Who waited for that; they wait for it no longer."""
        who = list(self._awaited.get(key, ()))
        for hash in who:
            self._unlist(hash)
        return who

    def _purge(self, plan: Plan, refused: list[Refusal]) -> None:
        """Refuse what waited for a place in a chain that another change has taken."""
        lost: set[bytes] = set()
        for hash, waiting in sorted(self._room.items(), key=lambda held: held[1].change.seq):
            change = waiting.change
            if plan.seq(change.session) >= change.seq or change.prev in lost:
                lost.add(hash)
                self._drop(hash)
                self.rivals.add(change)
                refused.append(Refusal("another change took its place in the chain", change.session, change.seq))

    def _unseal(self, change: Change, news: dict[bytes, Change]) -> None:
        """Let it wait for a seal that verifies."""
        if change.hash in news:
            news[change.hash] = replace(change, seal=b"")
        else:
            self._room[change.hash].change = replace(change, seal=b"")


def _thinned(path: Sequence[Change], session: Writer, *, apart: int) -> list[Change]:
    """A sound chain without the seals inside that are not needed. None is kept unverified.

    Needed is one without which more than `apart` changes would stand under the next, wherever in its session that is:
    so what went through any number of hands can still be handed on.
    """
    found = [replace(change, seal=b"") if change.seal else change for change in path]
    last = before = -1
    for place in [place for place, change in enumerate(path) if change.seal]:
        if before > last and place - last > apart:
            sealed = path[before]
            if verify(session.key, sealed.seal, sealed.hash):
                found[before], last = sealed, before
        before = place
    found[-1] = path[-1]
    return found


def _provable(path: Sequence[Change]) -> bool:
    """Whether no seal of a chain stands for more than a proof of a fork holds."""
    run = weight = 0
    for change in reversed(path):
        if change.seal:
            run = weight = 0
        run += 1
        weight += len(change.core)
        if run > MAX_UNSEALED or weight > MAX_UNSEALED_BYTES:
            return False
    return True


def _weight(change: Change) -> int:
    """About how much memory it takes while it waits: its bytes, and the tuples of its smallest pieces."""
    return len(change.core) + 64 * sum([len(part[3]) + len(part[4]) for part in change.parts])


class Plan:
    """What the state will know once the changes so far are applied."""

    def __init__(self, state: State) -> None:
        self.changes: list[Change] = []
        self.client = 0  # of the change planned last, if it adds units
        self.newer: int | None = None  # rules of this format have come
        self._state = state
        self._rules: set[bytes] = set()  # rules that are planned, by hash
        self._plain = state.plain
        self._reach = self.seq if state.plain else self.reach
        self._newest: dict[bytes, Change] = {}
        self._firsts: dict[bytes, Change] = {}
        self._units: dict[tuple[int, str], dict[int, int]] = {}

    def take(self, change: Change) -> Hashable | None:
        """Plan a change; or, if something it names is not here yet, say what."""
        session = change.session
        if change.format > FORMAT:
            return ("newer", change.format)
        newest = self._newest.get(session)
        if newest is None or newest.hash != change.prev or newest.seq != change.seq - 1:
            if self.seq(session) != change.seq - 1:
                return (session, change.seq - 1)
            if change.seq > 1 and not self._has(session, change.seq - 1, change.prev):
                return ("fork", change.prev)
        reach = self._reach
        for dep in change.deps:
            if reach(dep[0]) < dep[1]:
                return self._ask(dep[0], dep[1])
            if not self._has(*dep):
                return ("fork", dep)
        client = 0
        parts = change.parts
        if not self._plain:
            waits = self._guarded(change)
            if waits is not None:
                return waits
            parts = self._state.tails.without(change, self._state.client_of(session), self._state.field)
        for part in parts:
            keyed = type(part) is KeyedPart
            plain = keyed and (part.kind != RECORDS or (len(part.adds) == 1 and len(part.adds[0]) == 3))  # type: ignore[union-attr]
            for id in part.removes if plain else _ids(part):  # type: ignore[union-attr]
                if id[0] != session and reach(id[0]) < id[1]:
                    return self._ask(id[0], id[1])
            if not keyed:
                client = self._state.client_of(session)
                field = self._state.fields.get((part.kind, part.field))
                planned = self._units.get((part.kind, part.field), {})
                absent = missing(part, client, field.ticks if field else {}, planned)  # type: ignore[arg-type, union-attr]
                if absent is not None:
                    return absent
        if client and self._state.hidden(change, ahead=bool(self.changes)):
            return _STORE
        if client:
            for part in change.parts:
                if type(part) is OrderedPart:
                    units = self._units.setdefault((part.kind, part.field), {})
                    units[client] = units.get(client, 0) + part.units
        self.changes.append(change)
        self._newest[session] = change
        if change.intro is not None:
            self._firsts[session] = change
        self.client = client
        return None

    def chain(self, session: bytes) -> tuple[Writer | None, int, bytes]:
        """A session, and the seq and hash of its newest change, once the plan is carried out."""
        known = self._state.sessions.get(session)
        newest = self._newest.get(session)
        if newest is not None:
            return known or introduced(self._firsts[session]), newest.seq, newest.hash
        return (known, known.seq, known.hash) if known else (None, 0, b"")

    def seq(self, session: bytes) -> int:
        """The last seq of a session, once the plan is carried out."""
        newest = self._newest.get(session) or self._state.sessions.get(session)
        return newest.seq if newest is not None else 0

    def _guarded(self, change: Change) -> Hashable | None:
        """What to wait for where the namespace is owned, or sessions were forked."""
        trust = self._state.trust
        waits = self._named_rules(change, trust) if trust is not None else None
        if waits is not None or not self._state.forks:
            return waits
        return self._state.tails.awaited(change, self.seq)

    def _named_rules(self, change: Change, trust: Trust) -> Hashable | None:
        """What to wait for, unless the rules that a change names are here; take note of those it brings."""
        named = change.rules
        if named is not None and named not in trust.book and named not in self._rules:
            forked = self._state.forks
            if not (forked and any(trust.owns(key) for key in self._keys(forked))):  # they may be void, and nowhere
                return ("rules", named)
        author = self.chain(change.session)[0] or introduced(change)
        try:
            if trust.rules_in(change, author.key) is not None:
                self._rules.add(change.hash)
        except NewerRules as error:
            self.newer = error.args[0]
            return ("newer", self.newer)
        return None

    def reach(self, session: bytes) -> int:
        """How far a session has come, for those who name it: a forked one comes no further than to the fork."""
        seq, fork = self.seq(session), self._state.forks.get(session)
        return seq if fork is None or seq < fork - 1 else MAX_SEQ

    def _ask(self, session: bytes, seq: int) -> tuple[bytes, int]:
        """What to wait for, and to ask others for."""
        return session, min(seq, self._state.forks.get(session, seq + 1) - 1)

    def _keys(self, sessions: Iterable[bytes]) -> Iterable[bytes]:
        """Whose sessions these are, as far as it is known here."""
        return [known.key for id in sessions if (known := self._state.sessions.get(id)) is not None]

    def _has(self, session: bytes, seq: int, hash: bytes) -> bool:
        if not self._plain and seq >= self._state.forks.get(session, seq + 1):
            return True
        newest = self._newest.get(session)
        if newest is None:
            return self._state.has(session, seq, hash)
        if newest.seq == seq:
            return newest.hash == hash
        planned = (c.hash for c in reversed(self.changes) if c.session == session and c.seq == seq)
        found = next(planned, None)
        return self._state.has(session, seq, hash) if found is None else found == hash


def _ids(part: KeyedPart | OrderedPart) -> Iterable[tuple[bytes, int, int]]:
    """The entries of other changes that a part needs to be there."""
    if type(part) is not KeyedPart:
        return [move[1] for move in part.moves]  # type: ignore[union-attr]
    return [*part.removes, *(under for add in part.adds if len(add) > 3 for under in add[3])]
