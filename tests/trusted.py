"""An owned namespace for tests: its owner, three that write, one of whom keeps no rules; and a slow oracle.

The oracle takes the records alone, in no order, and works out which parts are void, what is live, and what is tainted.
It reads the wire itself and shares no code with `trust`, `state`, `rebuild` or the fields. Of the real side it takes
the order of units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import Any

from crdtmem import EntryId, Identity, Memory, MemoryStore, Namespace, Replica, Rules, RulesRefused, StoreError, Version
from crdtmem.change import COUNTER, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Change, decode
from crdtmem.rules import FieldRule
from crdtmem.state import State
from crdtmem.trust import Trust
from crdtmem.values import thaw
from tests.crew import tick
from tests.stories import ACTS

NAMES = ("boss", "ann", "bob", "mal")
FIELDS = {"s": "set", "r": "register", "d": "records", "n": "counter", "q": "sequence", "t": "text"}


def identity(name: str) -> Identity:
    return Identity(name.encode().ljust(32, b"-"))


def rules(shape: int = 0) -> Rules:
    """Some rules, one for each number."""
    fields: dict[str, FieldRule] = {}
    if shape & 1:
        fields["t"] = FieldRule("text", writers=["writer", "boss"])
    if shape & 2:
        fields["q"] = FieldRule("sequence", append_only=True)
    if shape & 4:
        fields["r"] = FieldRule("register", writers=["boss", "ann"])
    agents = {identity(name).key: (name, ["writer"] if name in ("ann", "bob") else []) for name in NAMES}
    return Rules(agents=agents, fields=fields, closed=shape == 7, schema=shape + 1)


class Site:
    """One replica, over a store that outlives it."""

    def __init__(self, name: str, scope: Namespace) -> None:
        self.name, self.scope, self.store = name, scope, MemoryStore()
        self.open()

    def open(self) -> None:
        self.replica = Replica(self.name, store=self.store, identity=identity(self.name), time=tick)
        self.memory = self.replica.open(self.scope)

    def restart(self, *, clean: bool) -> None:
        if clean:
            self.replica.close()
        self.open()

    @property
    def state(self) -> State:
        return self.memory._document.state


@contextmanager
def unruly(site: Site) -> Iterator[None]:
    """While this lasts, one who keeps no rules writes."""
    real = Trust.check
    if site.name == "mal":
        Trust.check = lambda *_: None  # type: ignore[method-assign, assignment]
    try:
        yield
    except RulesRefused:
        pass
    finally:
        Trust.check = real  # type: ignore[method-assign]


def copied(store: MemoryStore) -> MemoryStore:
    """What a copy of the machine would find."""
    found = MemoryStore()
    for scope, log in store._logs.items():
        twin: Any = found.open(scope)
        twin._records, twin._blobs = log._records[:], dict(log._blobs)
        for session, chain in log._chains.items():
            twin._chains[session] = type(chain)()
            twin._chains[session].places, twin._chains[session].removed = chain.places[:], chain.removed
    return found


class Realm:
    """All of them, and every record that was ever written."""

    def __init__(self, shape: int = 0) -> None:
        boss = Replica("boss", identity=identity("boss"))
        self.scope = boss.own(tenant="acme", rules=rules()).namespace
        self.sites = [Site(name, self.scope) for name in NAMES]
        self.boss = self.sites[0]
        self.boss.replica.own(tenant="acme", rules=rules(shape))
        self.versions: list[Version] = [self.boss.memory.version]
        self.archive: dict[bytes, bytes] = {}
        self.common: Version | None = None  # what all had before one of them pruned

    def site(self, n: int) -> Site:
        return self.sites[n % len(self.sites)]

    def twin(self, n: int) -> None:
        """A process is copied while it runs, with its store: both go on with one session."""
        site = self.site(n)
        session = site.memory._document.session
        if session is not None and len(self.sites) < 7:
            twin = Site(site.name, self.scope)
            twin.store = copied(site.store)
            twin.open()
            twin.memory._document.session = twin.state.sessions[session.id]
            twin.memory._document.seals._sealed[session.id] = session.seq
            self.sites.append(twin)

    def forks(self) -> dict[bytes, int]:
        """Where the histories of sessions part, by all that was ever written."""
        places: dict[tuple[bytes, int], set[bytes]] = {}
        for hash, data in self.archive.items():
            change = decode(data)
            places.setdefault((change.session, change.seq), set()).add(hash)
        found: dict[bytes, int] = {}
        for (session, seq), hashes in places.items():
            if len(hashes) > 1:
                found[session] = min(seq, found.get(session, seq))
        return found

    def keep(self) -> None:
        for site in self.sites:
            for kept in site.memory._document.log.records():
                if kept.seal or kept.hash not in self.archive:
                    self.archive[kept.hash] = kept.data

    def act(self, n: int, what: str, x: int, y: int) -> None:
        site = self.site(n)
        with unruly(site):
            ACTS[what](site.memory, x, y)

    def cite(self, n: int, x: int) -> None:
        """Write something that rests on something."""
        site = self.site(n)
        found = self.entries(site.memory)
        if found:
            with unruly(site):
                site.memory.set("s").add(f"rests {x} {len(found)}", because=[found[x % len(found)]])

    def judge(self, n: int, x: int) -> None:
        """Retract something, affirm what is tainted, or undo a change."""
        memory = self.site(n).memory
        found = self.entries(memory)
        with unruly(self.site(n)):
            if found and x % 3:
                act = memory.undo if x % 3 == 1 else memory.retract
                with suppress(StoreError):  # what it takes was pruned
                    act(found[x % len(found)], why="wrong")
            else:
                for id in sorted(self.site(n).state.taint.tainted)[:1]:
                    memory.affirm(EntryId(*id), why="holds")

    def restore(self, n: int, which: int) -> None:
        """Make it what it was, as far as one may."""
        memory = self.site(n).memory
        version = self.versions[which % len(self.versions)]
        if memory.reached(version):
            with unruly(self.site(n)), suppress(StoreError):
                memory.restore(version, why="better then")

    def entries(self, memory: Memory) -> list[Any]:
        fields = [getattr(memory, kind)(name) for name, kind in FIELDS.items() if kind != "text"]
        return [entry for field in fields for entry in field.entries()]

    def tell(self, giver: Site, taker: Site) -> None:
        if len(self.sites) > len(NAMES):
            self.keep()  # what turns out to be forked is taken out of the logs
        taker.memory.receive(giver.memory.changes(self.common))

    def cut(self, who: int, field: int, since: int) -> None:
        """The owner cuts one off: from all, or from a field."""
        name = NAMES[1 + who % 3]
        version = ([None, *self.versions])[since % (len(self.versions) + 1)]
        with unruly(self.boss):
            try:
                if field < 3:
                    self.boss.memory.revoke(name, since=version, why="poisoned")
                else:
                    self.boss.memory.demote(name, list(FIELDS)[field % 6], since=version, why="careless")
            except RuntimeError as error:
                assert "settled" in str(error), error

    def decree(self, shape: int) -> None:
        """The owner writes other rules, for those that have not been cut off."""
        made = rules(shape)
        for cut in self.boss.state.trust.cuts.values():  # type: ignore[union-attr]
            if cut.field is None:
                made = made.without(cut.key)
        self.boss.replica.own(tenant="acme", rules=made)

    def remember(self) -> None:
        self.versions = [*self.versions[-6:], self.boss.memory.version]

    def settle(self, n: int, keep: int) -> None:
        """What all have is settled, and one of them prunes."""
        self.everybody()
        self.boss.memory.settle()
        self.everybody()
        self.keep()
        site = self.site(n)
        self.common = self.boss.memory.version
        self.versions = [self.common]
        site.memory.prune(keep=keep)

    def everybody(self) -> None:
        for _ in range(4 if len(self.sites) > len(NAMES) else 2):
            for giver in self.sites:
                for taker in self.sites:
                    if giver is not taker:
                        self.tell(giver, taker)

    def agree(self) -> None:
        """Everybody has everything: all are equal, and as the oracle says."""
        self.everybody()
        self.keep()
        told = [facts(site.state) for site in self.sites]
        for site, one in zip(self.sites[1:], told[1:], strict=True):
            for what, here in told[0].items():
                assert one[what] == here, (site.name, what)
        truth = Oracle(self.archive.values(), self.scope, self.forks())
        for site in self.sites:
            truth.check(site.state)


def facts(state: State) -> dict[str, Any]:
    """What has to be equal on replicas that have seen the same."""
    return {
        "version": state.version,
        "digest": state.digest(),
        "voids": state.voids,
        "tainted": state.taint.tainted,
        "rules": state.trust and state.trust.current,
        "cuts": state.trust and set(state.trust.cuts),
        "totals": {at: field.total for at, field in state.fields.items() if at[0] == COUNTER and field.by_id},  # type: ignore[union-attr]
        "text": {at: field.text for at, field in state.fields.items() if at[0] == TEXT and field.text},  # type: ignore[union-attr]
        "order": {
            at: [unit for unit, *_ in field.units.each()]  # type: ignore[union-attr]
            for at, field in state.fields.items()
            if at[0] >= SEQUENCE and field.size()
        },
        "alive": {
            at: bytes(field.units.alive()) for at, field in state.fields.items() if at[0] >= SEQUENCE and field.size()
        },  # type: ignore[union-attr]
    }


class Oracle:
    """What a set of records means."""

    def __init__(self, records: Iterable[bytes], scope: Namespace, forks: dict[bytes, int]) -> None:
        every = list(map(decode, records))
        self.intro = {c.session: c.intro for c in every if c.intro}
        self.forks = forks
        self.changes: dict[tuple[bytes, int], Change] = {
            (c.session, c.seq): c for c in every if c.seq < forks.get(c.session, c.seq + 1)
        }
        self.owner = scope.owner
        self.rules: dict[bytes, Any] = {}
        self.cuts: dict[Any, Any] = {}
        self.settled: list[Any] = []
        for change in self.changes.values():
            for number, part in enumerate(change.parts):
                if self.owns(change):
                    self.learn(change, number, part)
        self.void: dict[tuple[bytes, int, int], frozenset[Any]] = {}
        for (session, seq), change in self.changes.items():
            for number, part in enumerate(change.parts):
                by = self.voiding(change, part)
                if by is not None:
                    self.void[session, seq, number] = frozenset(by)

    def owns(self, change: Change) -> bool:
        key = self.intro[change.session].key  # type: ignore[union-attr]
        return blake2b(key, digest_size=16, person=b"crdtmem owner").hexdigest() == self.owner

    def learn(self, change: Change, number: int, part: Any) -> None:
        for place, add in enumerate(part[3]):
            id = (change.session, change.seq, (number << 20) + place)
            if part[:2] == (REGISTER, "@rules"):
                self.rules[change.hash] = thaw(add[0])
            elif part[:2] == (SET, "@cuts"):
                self.cuts[id] = thaw(add[0])
            elif part[:2] == (REGISTER, "@settled"):
                self.settled.append(thaw(add[0]))

    def voiding(self, change: Change, part: Any) -> list[Any] | None:
        """The cuts that void a part; an empty list where the rules do, None if it holds."""
        kind, field = part[0], part[1]
        intro: Any = self.intro[change.session]
        if field[0] == "@" and field not in ("@retracted", "@affirmed"):
            return None if self.owns(change) else []
        if change.rules not in self.rules:
            return []
        told = self.rules[change.rules]
        agent, role = change.actor or (intro.agent, intro.role)
        mine = told["agents"].get(intro.key.hex())
        if mine is None:
            given = {word for name, roles in told["agents"].values() for word in (name, *roles)}
            asked = {word for rule in told["fields"].values() for word in rule.get("writers", ())}
            if agent in given or role in given or role in asked:
                return []
        elif agent != mine[0] or (role is not None and role not in mine[1]):
            return []
        rule = told["fields"].get(field)
        if field[0] == "@":
            if mine is None:
                return []
        elif rule is None:
            if told.get("closed"):
                return []
        else:
            if {"set": SET, "counter": COUNTER, "register": REGISTER, "records": RECORDS, "sequence": 5, "text": 6}[
                rule["kind"]
            ] != kind:
                return []
            if "writers" in rule and not (mine and {mine[0], *mine[1]} & set(rule["writers"])):
                return []
            if rule.get("append_only") and (part[4] or (kind >= SEQUENCE and part[5])):
                return []
        by = []
        for id, (key, where, marks, *_) in self.cuts.items():
            if key == intro.key and where in (None, field):
                upto = dict(map(tuple, marks)).get(change.session, 0)
                for reach, known, *_ in self.settled:
                    if list(id) not in known:
                        upto = max(upto, dict(map(tuple, reach)).get(change.session, 0))
                if change.seq > upto:
                    by.append(id)
        return by or None

    # -- what holds --------------------------------------------------------------------------------

    def parts(self, kind: int, field: str) -> Iterator[tuple[Change, int, Any]]:
        for (session, seq), change in sorted(self.changes.items()):
            for number, part in enumerate(change.parts):
                if part[:2] == (kind, field) and (session, seq, number) not in self.void:
                    yield change, number, part

    def live(self, kind: int, field: str) -> set[Any]:
        """The live entries of a keyed field."""
        added, removed, last = set(), set(), {}
        for change, number, part in self.parts(kind, field):
            for place, add in enumerate(part[3]):
                id = (change.session, change.seq, (number << 20) + place)
                if kind == COUNTER and len(add) < 3:
                    last[change.session] = id
                else:
                    added.add(id)
            removed |= {tuple(id) for id in part[4]}
        return (added - removed) | set(last.values())

    def total(self, field: str) -> int:
        totals: dict[bytes, int] = {}
        undoing: dict[Any, tuple[Any, int]] = {}
        target: dict[Any, Any] = {}
        for change, number, part in self.parts(COUNTER, field):
            for place, add in enumerate(part[3]):
                id = (change.session, change.seq, (number << 20) + place)
                if len(add) < 3:
                    totals[change.session] = add[0]
                else:
                    target[id] = tuple(add[2])
                    undoing[id] = (tuple(add[2]), add[0])

        def holds(id: Any) -> bool:
            return not self.is_void(id) and (id not in target or holds(target[id]))

        first: dict[Any, Any] = {}
        for _, (of, amount) in sorted(undoing.items()):
            if holds(of):
                first.setdefault(of, amount)
        return sum(totals.values()) - sum(first.values())

    def is_void(self, id: Any) -> bool:
        if id[1] >= self.forks.get(id[0], id[1] + 1):
            return True
        return (id[0], id[1], id[2] >> 20) in self.void

    def units(self, kind: int, field: str) -> dict[Any, Any]:
        """The live units of an ordered field, and what each shows: a character, or an entry."""
        clocks: dict[bytes, int] = {}
        found: dict[Any, Any] = {}
        gone: set[Any] = set()
        for (session, seq), change in sorted(self.changes.items()):
            for number, part in enumerate(change.parts):
                if part[:2] != (kind, field):
                    continue
                client = int.from_bytes(session[:8], "big") % (2**53 - 1) + 1
                holds = (session, seq, number) not in self.void
                n = number << 20
                for run in part[3]:
                    for value in run[1]:
                        shows = value if kind == TEXT else (session, seq, n)
                        if holds:
                            found[client, clocks.get(session, 0)] = shows
                        wide = kind == TEXT and value > "\uffff"
                        clocks[session] = clocks.get(session, 0) + 1 + wide
                        n += kind != TEXT
                for _, target in part[5]:
                    if holds and not self.is_void(target):
                        found[client, clocks.get(session, 0)] = tuple(target)
                    clocks[session] = clocks.get(session, 0) + 1
                if holds:
                    gone |= {(c, clock + i) for c, clock, length in part[4] for i in range(length)}
        return {unit: shows for unit, shows in found.items() if unit not in gone}

    def tainted(self) -> dict[Any, frozenset[Any]]:
        """By the least fixpoint."""
        causes: dict[Any, Any] = {}
        for (session, seq), change in self.changes.items():
            for number, part in enumerate(change.parts):
                if (session, seq, number) in self.void:
                    continue
                n = number << 20
                for about, count in _abouts(part):
                    for id in range(n, n + count):
                        if about and len(about) > 1 and about[1]:
                            causes[session, seq, id] = [tuple(cause) for cause in about[1]]
                    n += count
        retracted: dict[Any, set[Any]] = {}
        answered: dict[Any, list[set[Any]]] = {}
        notes = self.live(RECORDS, "@retracted") | self.live(RECORDS, "@affirmed")
        for field in ("@retracted", "@affirmed"):
            for change, number, part in self.parts(RECORDS, field):
                for place, add in enumerate(part[3]):
                    id = (change.session, change.seq, (number << 20) + place)
                    if id in notes:
                        target = tuple(EntryId.parse(add[2]))
                        if field == "@retracted":
                            retracted.setdefault(target, set()).add(id)
                        else:
                            answered.setdefault(target, []).append({tuple(EntryId.parse(t)) for t in thaw(add[0])})
        found: dict[Any, frozenset[Any]] = {}
        while True:
            before = dict(found)
            for id, rests in causes.items():
                by: set[Any] = set()
                for cause in rests:
                    by |= retracted.get(cause, set()) | found.get(cause, frozenset())
                    if cause[1] >= self.forks.get(cause[0], cause[1] + 1):
                        by.add((cause[0], self.forks[cause[0]], 0))
                    elif self.is_void(cause):
                        by |= self.void[cause[0], cause[1], cause[2] >> 20] or {cause}
                for named in answered.get(id, ()):
                    by -= named
                if by:
                    found[id] = frozenset(by)
            if found == before:
                return found

    def check(self, state: State) -> None:
        """What a state holds is what its records say."""
        assert {(s, q, n) for (s, q), parts in state.voids.items() for n in parts} == set(self.void)
        for (kind, name), field in state.fields.items():
            real: Any = field
            if kind < SEQUENCE:
                assert set(real.by_id) == self.live(kind, name), (kind, name)
                if kind == COUNTER:
                    assert real.total == self.total(name)
            else:
                units = self.units(kind, name)
                here = {unit: char for unit, _, alive, char in real.units.each() if alive}
                if kind == TEXT:
                    assert here == units
                else:
                    assert here.keys() == units.keys()
                    assert {e._id for e in real.entries()} == set(units.values())
        assert state.taint.tainted == self.tainted()
        assert state.forks == self.forks


def _abouts(part: Any) -> Iterator[tuple[Any, int]]:
    """What the entries of a part say of themselves, and how many say so."""
    for item in part[3]:
        if part[0] < SEQUENCE:
            yield (item[1] if len(item) > 1 and item[1] is not None else part[2]), 1
        else:
            yield (item[2] if len(item) > 2 else part[2]), 1 if part[0] == TEXT else len(item[1])
