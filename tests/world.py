"""Several real replicas, a link that does what it likes, and the model beside them.

Every call goes to the replica and to the model, and every step compares the two. The model learns what was asked and
what had been seen; from the replicas it takes identities alone: session, client, stamp, the ids of entries. Time,
keys and nonces are handed in, so the same steps always give the same run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from crdtmem import Entry, EntryId, Identity, MemoryStore, MisuseError, Namespace, Record, Replica, StoreError, Version
from crdtmem.change import _SALTS, KINDS, Ordered, decode
from crdtmem.identity import client_id
from crdtmem.store import Log
from tests.model import DRAFT, Change, ChangeId, EntryKey, History, Op, Refused, View, canon

NAMESPACE = Namespace(tenant="acme", task="convergence")
FIELDS = (
    ("set", "s"),
    ("counter", "n"),
    ("register", "r"),
    ("records", "k"),
    ("sequence", "q"),
    ("sequence", "p"),
    ("text", "t"),
    ("text", "u"),
)
IDENTITIES = [Identity(bytes([n + 1]) * 32) for n in range(7)]


class Letter(NamedTuple):
    """A record under way, and what is written on it."""

    data: bytes
    id: ChangeId
    sealed: bool


class BrittleStore:
    """A store in memory that refuses every append while it is broken."""

    def __init__(self) -> None:
        self.log = BrittleLog(MemoryStore().open(NAMESPACE))
        self.broken = False

    def open(self, namespace: Namespace) -> Log:
        """The log of the one namespace."""
        self.log.broken = lambda: self.broken
        return self.log

    def close(self) -> None:
        """Nothing is held."""


class BrittleLog:
    """A log that refuses when told to."""

    broken: Callable[[], bool]

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, records: Sequence[Record]) -> None:
        """Keep these records, or none."""
        if self.broken():
            raise StoreError("the disk is full")
        self._log.append(records)


@dataclass
class Open:
    """What the model knows of an open `change()` block."""

    memory: Any
    block: Any
    context: Context
    by: str
    why: str | None
    ops: list[Op] = field(default_factory=list)
    results: list[list[Any]] = field(default_factory=list)
    touched: dict[Any, View] = field(default_factory=dict)


class Site:
    """One replica: its store survives, the rest dies with it."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.name = f"agent{number}"
        self.store = BrittleStore()
        self.offset = 0.0
        self.has: set[ChangeId] = set()
        self.start()

    def start(self) -> None:
        """Open a replica over the store: the first time, or after a crash."""
        self.replica = Replica(
            self.name, store=self.store, identity=IDENTITIES[self.number], time=lambda: self.world.now + self.offset
        )
        self.memory = self.replica.open(NAMESPACE)
        self.heard: dict[ChangeId, bool] = {}  # delivered but not applied: sealed or not
        self.open: Open | None = None

    @property
    def view(self) -> View:
        """What it has applied."""
        return frozenset(self.has)


@contextmanager
def nonces(seed: int) -> Iterator[None]:
    """Let the system's randomness be this seed's, so that sessions get the same ids on every run."""
    before = os.urandom
    _SALTS.clear()
    streams: dict[int, random.Random] = {}  # one for each size asked for, so that salts do not shift nonces
    os.urandom = lambda size: streams.setdefault(size, random.Random(seed * 65537 + size)).randbytes(size)
    try:
        yield
    finally:
        os.urandom = before


class World:
    """Some sites, and the history they share."""

    def __init__(self, sites: int, seed: int = 0) -> None:
        self.now = 1_700_000_000.0
        self.history = History()
        self.names: dict[Any, EntryKey] = {}  # real entry id -> the model's
        self.handles: list[Handle] = []  # entries of sequences, as their writers got them
        self.versions: list[tuple[Version, View]] = []
        self._nonces = nonces(seed)
        self._nonces.__enter__()
        self.sites = [Site(self, n) for n in range(sites)]

    def close(self) -> None:
        """Drop the open blocks and give the system its randomness back."""
        for site in self.sites:
            self.abandon(site)
        self._nonces.__exit__(None, None, None)

    # -- writing -----------------------------------------------------------------------------------

    def write(self, site: Site, kind: str, verb: str, name: str, *args: Any, outside: bool = False, **how: Any) -> None:
        """One call, in the open block of the site unless it comes from outside.

        Args:
            site: where.
            kind: the kind of field; verb, name and args: the call.
            outside: write past the open block, as another thread would.
            how: `seen`, an index among the taken versions; `why`; `alias`, another author.
        """
        current = None if outside else site.open
        alias = how.get("alias") if current is None else None
        memory = current.memory if current else site.memory.acting_as(alias) if alias else site.memory
        keywords: dict[str, Any] = {"why": how["why"]} if how.get("why") else {}
        seen = None
        if how.get("seen") is not None:
            version, seen = self.versions[how["seen"]]
            keywords["seen"] = version if how["seen"] % 2 else str(version)
        given = [arg.entry if isinstance(arg, Handle) else arg for arg in args]
        meant = tuple(arg.name if isinstance(arg, Handle) else arg for arg in args)
        does = "insert" if verb in ("append", "extend") else verb
        if verb in ("append", "extend"):
            meant = (None, *meant)
        if (kind, does) == ("sequence", "insert") and verb != "extend":
            meant = (meant[0], [meant[1]])
        op = Op(kind, does, name, meant, site.view, seen, how.get("why"))
        place = (kind, name, op.key)
        if current:
            op = replace(op, saw=current.touched.get(place, site.view))
            if kind in ("sequence", "text"):
                current.touched[place] = op.saw
        draft = self._draft(site, current, op)
        field = getattr(memory, kind)(name)
        call = lambda: getattr(field, verb)(*given, **keywords)  # noqa: E731
        failing = site.store.broken and not current
        try:
            if seen is not None and not seen <= site.view:
                raise Refused("NotReached")
            expected = self.history.outcome(site.view, draft)
        except Refused as refusal:
            self._raises(refusal.error, call, current)
            if current and refusal.error != "NotReached" and kind in ("sequence", "text"):
                current.ops.append(replace(op, verb="look"))  # from here on the block sees this field as it is now
                current.results.append([])
            return
        logged = self._logged(site)
        try:
            answer = current.context.run(call) if current else call()
        except StoreError:
            assert failing, "the store had not failed"
            assert self._logged(site) == logged
            return
        self._answers(verb, kind, expected, answer)
        if current:
            if expected is not False:
                current.touched[place] = op.saw
                current.ops.append(op)
                current.results.append(_entries(answer))
        else:
            self._committed(site, logged, alias or site.name, op.why, [op], [_entries(answer)])

    def _draft(self, site: Site, current: Open | None, op: Op | None = None) -> Change:
        ops = [*(current.ops if current else ()), *([op] if op else ())]
        why = current.why if current else None
        return Change(DRAFT, 0, float("inf"), site.name, why, site.view, tuple(ops))

    def _raises(self, error: str, call: Callable[[], Any], current: Open | None) -> None:
        try:
            current.context.run(call) if current else call()
        except Exception as caught:
            assert type(caught).__name__ == error, f"{caught!r} where {error} was due"
        else:
            raise AssertionError(f"no {error}")

    def _answers(self, verb: str, kind: str, expected: Any, answer: Any) -> None:
        if kind == "sequence" and verb == "remove":
            answer = canon(answer.value)
        elif not isinstance(expected, bool | str):
            return
        assert answer == expected, f"{kind}.{verb} returned {answer!r}, not {expected!r}"

    def _logged(self, site: Site) -> int:
        return sum(1 for _ in site.store.log.records())

    def _committed(
        self, site: Site, logged: int, by: str, why: str | None, ops: list[Op], results: list[list[Any]]
    ) -> None:
        """Tell the model of the change that has been made, if there was one."""
        view = site.view
        if self._logged(site) == logged:
            silent = Change(DRAFT, 0, float("inf"), by, why, view, tuple(ops))
            assert self.history.idle(silent), "a write was lost"
            return
        _, kept = next(site.store.log.backwards())
        made = decode(kept.core + b"\xc4\x00")
        assert self._logged(site) == logged + 1, "one change was made, and several kept"
        client = client_id(kept.session)
        change = Change((kept.session, kept.seq), client, made.hlc, by, why, view, tuple(ops), origins(made))
        assert change.id not in self.history.changes, "a change took the place of another"
        late = max((self.history.changes[id].hlc for id in view), default=0)
        assert made.hlc > late, "a stamp is not later than all that was seen"
        self.history.add(change)
        site.has.add(change.id)
        for i, entries in enumerate(results):
            for j, entry in enumerate(entries):
                try:
                    id = entry.id
                except MisuseError:
                    continue  # staged in a block, and dropped again
                assert EntryId.parse(str(id)) == id, "an id that cannot be cited"
                if tuple(id[:2]) == change.id:
                    self.names.setdefault(id, (change.id, i, j))
                    assert entry.by == by
                    if ops[i].kind == "counter":
                        assert entry.extra == ops[i].args[0]
                    if ops[i].kind == "sequence":
                        self.handles.append(Handle(entry, self.names[id]))

    def begin(self, site: Site, why: str | None = None, alias: str | None = None) -> None:
        """Open a block, in a context of its own."""
        context = copy_context()
        memory = site.memory.acting_as(alias) if alias else site.memory
        block = memory.change(**({"why": why} if why else {}))
        context.run(block.__enter__)
        site.open = Open(memory, block, context, alias or site.name, why)

    def commit(self, site: Site) -> None:
        """Leave the block as its `with` statement would."""
        current, logged = site.open, self._logged(site)
        assert current
        site.open = None
        try:
            current.context.run(current.block.__exit__, None, None, None)
        except StoreError:
            assert site.store.broken and self._logged(site) == logged
            return
        self._committed(site, logged, current.by, current.why, current.ops, current.results)

    def abandon(self, site: Site) -> None:
        """Leave the block, if there is one, by an exception: nothing of it stays."""
        if site.open:
            logged = self._logged(site)
            site.open.context.run(site.open.block.__exit__, RuntimeError, RuntimeError(), None)
            site.open = None
            assert self._logged(site) == logged

    # -- the link ----------------------------------------------------------------------------------

    def send(self, site: Site, since: int | None = None) -> list[Letter]:
        """What a site hands out, all or since a taken version."""
        if since is None:
            records, known = site.memory.changes(), frozenset()
        else:
            version, known = self.versions[since]
            records = site.memory.changes(version)
        letters = []
        for data in records:
            change = decode(data)
            letters.append(Letter(data, (change.session, change.seq), bool(change.seal)))
        sent = {letter.id for letter in letters}
        assert site.has - known <= sent <= site.has, "what is handed out is not what the other lacks"
        assert sent == site.has - known or not known <= site.view, "more is handed out than the other lacks"
        so_far = site.has - sent
        for letter in letters:
            assert self.history.changes[letter.id].past <= so_far, "not in causal order"
            so_far.add(letter.id)
        return letters

    def deliver(self, site: Site, letters: Iterable[Letter], sender: str = "") -> None:
        """Hand records to a site; what it takes in, and what must wait, is known beforehand."""
        letters = list(letters)
        heard = dict(site.heard)
        for letter in letters:
            if letter.id not in site.has:
                heard[letter.id] = heard.get(letter.id, False) or letter.sealed
        ready = self._ready(site.has, heard)
        if site.store.broken and ready:
            before = site.memory.version
            records = [letter.data for letter in letters]
            self._raises("StoreError", lambda: site.memory.receive(records, sender=sender), None)
            assert site.memory.version == before
            site.heard = heard
            return
        got = site.memory.receive([letter.data for letter in letters], sender=sender)
        assert got.refused == (), got.refused
        assert got.applied == len(ready), f"{got.applied} changes entered, {len(ready)} could"
        site.has |= ready
        site.heard = {id: sealed for id, sealed in heard.items() if id not in site.has}
        assert got.waiting == len(site.heard), f"{got.waiting} changes wait, {len(site.heard)} should"
        assert not site.has & set(got.missing), "what is here is asked for"
        assert got.missing or not self._wanted(site), "nobody would ask for what is missing"

    def _ready(self, has: set[ChangeId], heard: dict[ChangeId, bool]) -> set[ChangeId]:
        """What may enter: whole stretches of a session up to a seal, whose past is here."""
        here = set(has)
        moved = True
        while moved:
            moved = False
            for session, seq in sorted(heard):
                if (session, seq) in here or (seq > 1 and (session, seq - 1) not in here):
                    continue
                sealed = False
                last = seq
                while (session, last) in heard and not sealed:
                    sealed = heard[session, last]
                    last += 1
                if sealed and self.history.changes[session, seq].past <= here:
                    here.add((session, seq))
                    moved = True
        return here - has

    def _wanted(self, site: Site) -> set[ChangeId]:
        """What waiting changes need and nobody has delivered: the one before, and for sealed ones their past."""
        wanted = set()
        for session, seq in site.heard:
            last = seq
            while not site.heard[session, last] and (session, last + 1) in site.heard:
                last += 1
            if site.heard[session, last]:
                wanted |= self.history.changes[session, seq].past
            elif seq > 1:
                wanted.add((session, seq - 1))
        return wanted - site.has - site.heard.keys()

    def crash(self, site: Site) -> None:
        """Go back to what the store holds, with a session of its own to come."""
        self.abandon(site)
        site.store.broken = False
        site.start()

    def keep(self, site: Site) -> None:
        """Make a checkpoint: where the next process begins, with what came since."""
        made = site.memory.checkpoint()
        assert made.changes == len(site.has)
        assert site.memory.checkpoints[0] == made

    def go_back(self, site: Site, taken: int) -> None:
        """Restore a version, and undo that; each time everybody follows.

        For the end of a run: of these changes the model knows nothing but what they must lead to.
        """
        version, view = self.versions[taken]
        before, start = self.values(site.memory), site.memory.version
        site.memory.restore(str(version), why="back")
        assert self.values(site.memory) == self.history.values(view), "what was restored is not what was there"
        self._follow(site)
        for change in map(decode, site.memory.changes(start)):
            site.memory.undo(EntryId(change.session, change.seq, 0), why="forth")
            assert self.values(site.memory) == before, "what was undone has left something"
        self._follow(site)
        assert site.memory.at(start).version == start
        assert self.values(site.memory.at(start)) == before

    def retract(self, site: Site) -> None:
        """Retract some of what is left: it goes, and taints what rests on it. For the very end of a run."""
        for kind, name in (("sequence", "q"), ("set", "s")):
            for entry in getattr(site.memory, kind)(name).entries()[:2]:
                resting = site.memory.register("r").assign("resting", because=[entry])
                site.memory.retract(entry, why="wrong")
                assert entry not in getattr(site.memory, kind)(name).entries()
                assert resting.tainted
        self._follow(site)
        tainted = {entry.tainted for s in self.sites for entry in s.memory.register("r").entries()}
        assert len(tainted) <= 1

    def _follow(self, site: Site) -> None:
        records = site.memory.changes()
        for other in self.sites:
            other.memory.receive(records)
            assert other.memory.digest() == site.memory.digest(), "not everybody took it the same way"

    def settle(self) -> None:
        """Heal everything, deliver everything, and compare everybody with everybody."""
        for site in self.sites:
            site.store.broken = False
            if site.open:
                self.commit(site)
        for source in self.sites:
            letters = self.send(source)
            for site in self.sites:
                self.deliver(site, letters, source.name)
        whole = frozenset(self.history.changes)
        for site in self.sites:
            assert site.has == whole, "a change did not arrive"
            assert not site.heard
            self.check(site)
        self.agree()

    # -- comparing ---------------------------------------------------------------------------------

    def check(self, site: Site) -> None:
        """Compare one site with the model: content, authors, siblings, conflicts, version."""
        view = site.view
        shown, due = self.read(site.memory), self.history.content(view)
        for place in shown | due:
            assert shown.get(place) == due.get(place), f"{site.name} shows another {place} than the model"
        assert self.conflicts(site.memory) == self.history.conflicts(view)
        assert {(head.session, head.seq) for head in site.memory.version.heads} == self.history.heads(view)
        if site.open and site.open.ops:
            draft = self._draft(site, site.open)
            assert site.open.context.run(self.values, site.open.memory) == self.history.values(view, draft)

    def agree(self) -> None:
        """Sites with the same changes have one version and one digest; others have not."""
        for site in self.sites:
            for other in self.sites[: site.number]:
                same = site.has == other.has
                assert (site.memory.version == other.memory.version) == same
                if same:
                    assert site.memory.digest() == other.memory.digest(), "the same changes, and other content"

    def look_back(self, site: Site, taken: int) -> None:
        """`at` shows what stood there, on every replica that has come so far."""
        version, view = self.versions[taken]
        assert site.memory.reached(version) == (view <= site.view), "a version was forgotten, or made up"
        if not view <= site.view:
            self._raises("NotReached", lambda: site.memory.at(version), None)
            return
        then = site.memory.at(str(version))
        assert self.read(then) == self.history.content(view)
        assert then.version == version

    def take(self, site: Site) -> None:
        """Remember where a site is."""
        self.versions.append((site.memory.version, site.view))

    def read(self, memory: Any) -> dict[tuple[str, str], Any]:
        """What a memory shows, in the words of the model."""
        found: dict[tuple[str, str], Any] = {}
        values = self.values(memory)
        for kind, name in FIELDS:
            field = getattr(memory, kind)(name)
            entries = field.entries()
            if kind == "set":
                shown: Any = {canon(e.value): (self.names[e.id], e.by, e.why) for e in entries}
                assert set(shown) == values.get((kind, name), set())
            elif kind == "counter":
                shown = field.value
                assert shown == sum(e.value for e in entries)
            elif kind == "register":
                shown = [(self.names[e.id], canon(e.value), e.by, e.why) for e in field.siblings]
                assert not shown or shown[-1][1] == values[kind, name]
            elif kind == "records":
                shown = {
                    key: (value, [(self.names[e.id], e.by, e.why) for e in self._speaking(field.siblings(key))])
                    for key, value in values.get((kind, name), {}).items()
                }
            elif kind == "sequence":
                shown = [(self.names[e.id], canon(e.value), e.by, e.why) for e in entries]
            else:
                shown = [(char, tuple(e.id[:2]), e.by, e.why) for e in entries for char in e.value]
            if shown:
                found[kind, name] = shown
        return found

    def _speaking(self, siblings: Sequence[Any]) -> list[Any]:
        """Without the patches all of whose sub-keys later ones give: they may stay, and say nothing."""
        said = []
        for entry in siblings:
            over = [e for e in siblings if entry.id in {tuple(id) for id in e.extra or ()}]
            if entry.extra is None or any(all(name not in e.value for e in over) for name in entry.value):
                said.append(entry)
        return said

    def values(self, memory: Any) -> dict[tuple[str, str], Any]:
        """What a memory reads, without authors; every way of reading a field agrees."""
        found: dict[tuple[str, str], Any] = {}
        for kind, name in FIELDS:
            field = getattr(memory, kind)(name)
            value: Any = None
            if kind == "set":
                items = list(field)
                value = {canon(item) for item in items}
                assert len(items) == len(value) == len(field) and all(item in field for item in items)
            elif kind == "counter":
                value = field.value
            elif kind == "register":
                value = canon(field.value) if field.siblings else None
            elif kind == "records":
                value = {key: canon(field[key]) for key in field}
                assert len(field) == len(value) and all(key in field for key in value)
            elif kind == "sequence":
                value = [canon(item) for item in field]
                assert len(field) == len(value)
            else:
                value = str(field)
            if value:
                found[kind, name] = value
        return found

    def conflicts(self, memory: Any) -> set[Any]:
        """The disagreements a memory reports, in the words of the model."""
        return {(c.field, c.key, frozenset(self.names[e.id] for e in c.entries)) for c in memory.conflicts()}

    def size(self, site: Site, kind: str, name: str, *, outside: bool = False) -> int:
        """How long an ordered field is for whoever writes next."""
        return len(self.sees(site, kind, name, outside=outside) or ())

    def sees(self, site: Site, kind: str, name: str, *, outside: bool = False) -> Any:
        """What whoever writes next sees of a field; None if it is empty."""
        draft = self._draft(site, None if outside else site.open)
        return self.history.values(site.view, draft).get((kind, name))


def origins(change: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Which units a change puts its runs behind, and how much they hold."""
    found = {}
    for part in change.parts:
        if isinstance(part, Ordered):
            runs = [(run[0], len(run[1])) for run in part.runs] + [(move[0], 1) for move in part.moves]
            found[KINDS[part.kind], part.field] = tuple(runs)
    return found


class Handle(NamedTuple):
    """An entry given as an argument: for the replica the entry, for the model its name."""

    entry: Any
    name: EntryKey


def _entries(answer: Any) -> list[Any]:
    found = answer if isinstance(answer, list) else [answer]
    return [entry for entry in found if isinstance(entry, Entry)]
