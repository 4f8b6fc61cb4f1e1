"""Who may write what in an owned namespace: the rules its owner has written, the cuts, and the verdict on each part.

1. A verdict depends on the part, the key that wrote it, the rules it names and the cuts; never on arrival
   (invariant 4). A change is judged by the rules it names, also when they are no longer current. Cuts hold whatever it
   names.
2. Only the owner's key writes rules, cuts and what is settled: the three fields below. Its rules change names the rules
   before it, so they are chained by hash; of several successors the one with the lowest hash is current.
3. A cut says of each session of a key how far it counts. What is settled lifts a cut that it had not seen up to there.
4. What the rules void never was: no honest author has seen it. What a cut voids was seen and built upon: it keeps its
   place in sequences and texts, and shows nothing.

It knows no fields, no log and no clock. The local writer asks it the same, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from crdtmem.change import KINDS, REGISTER, SET, Change
from crdtmem.change import Keyed as KeyedPart
from crdtmem.entry import Entry, Writer
from crdtmem.errors import RulesRefused, ValueRefused
from crdtmem.identity import fingerprint
from crdtmem.rules import NewerRules, Rules, one_of
from crdtmem.taint import AFFIRMED, FINDINGS, JUDGED, RETRACTED
from crdtmem.values import thaw

RULES, CUTS, SETTLED = (REGISTER, "@rules"), (SET, "@cuts"), (REGISTER, "@settled")
OWNERS = (RULES, CUTS, SETTLED)
_SPEAKING = (RETRACTED, AFFIRMED, FINDINGS, JUDGED)  # what any key may write that the rules know
_FREE, _APPEND = object(), object()
_MANY = 4096  # verdicts remembered for one author; more fields than that are made up
_REVOKED = "its author's right to write it was taken back"
Id = Any


class Cut(NamedTuple):
    """What a key wrote to a field, or to all, counts up to here in each of its sessions, and no further."""

    id: Id  # the entry that says so
    key: bytes
    field: str | None
    marks: Mapping[bytes, int]


class Settled(NamedTuple):
    """What no later cut reaches: each session up to here, and the cuts that were known."""

    id: Id
    marks: Mapping[bytes, int]
    cuts: frozenset[Id]


class Verdict(NamedTuple):
    """Why a part is void, and the cuts that void it; none of them where the rules do."""

    why: str
    cuts: tuple[Id, ...] = ()


class Rights:
    """What one author may do under some rules."""

    __slots__ = ("fields", "flaw", "key", "named", "owner", "rules", "verified")

    def __init__(self, rules: Rules | None, key: bytes, agent: str, role: str | None, *, owner: bool) -> None:
        self.rules = rules
        self.key = key
        self.owner = owner
        told = None if rules is None else rules.named(key)
        self.verified = told is not None
        self.flaw = _claim(rules, told, agent, role)
        self.named = told  # its agent and roles
        self.fields: dict[Any, Any] = {}  # (kind, name) -> free, append-only, or why not

    def of(self, kind: int, name: str) -> Any:
        """Whether it may write a field: free, append-only, or the reason why not."""
        if len(self.fields) >= _MANY:
            self.fields.clear()
        found = self.fields[kind, name] = self._of(kind, name)
        return found

    def _of(self, kind: int, name: str) -> Any:
        rules = self.rules
        if name[0] == "@":
            if (kind, name) in OWNERS:
                return _FREE if self.owner else "only the owner of the namespace writes it"
            if name not in _SPEAKING:
                return "its name is kept for crdtmem"
        if rules is None:
            return "it names no rules of this namespace"
        if self.flaw:
            return self.flaw
        if name in _SPEAKING:
            return _FREE if self.verified else "only keys that the rules list retract, affirm and review"
        rule = rules.fields.get(name)
        if rule is None:
            if not rules.closed:
                return _FREE
            return f"the rules declare no such field, and no others may be written{_moved(rules, name)}"
        if rule.number != kind:
            return f"the rules declare a {rule.kind} of that name, not a {KINDS[kind]}"
        if rule.writers is not None and (self.named is None or not one_of(rule)(self.named)):
            return f"by the rules only {rule.who} may write it{_moved(rules, name)}"
        return _APPEND if rule.append_only else _FREE


def _claim(rules: Rules | None, told: Any, agent: str, role: str | None) -> str | None:
    """What is wrong with the name an author gives itself."""
    if rules is None:
        return None
    if told is not None:
        if agent != told[0]:
            return f"it is signed {agent!r}, and the rules know this key as {told[0]!r}"
        if role is not None and role not in told[1]:
            return f"it claims the role {role!r}, which the rules do not give {agent!r}"
        return None
    for other, roles in rules.agents.values():
        if agent in (other, *roles) or role in (other, *roles):
            return "it claims a name or role that the rules give to another key"
    if role is not None and any(rule.writers and role in rule.writers for rule in rules.fields.values()):
        return "it claims a role that the rules do not give it"
    return None


def _moved(rules: Rules, name: str) -> str:
    new = rules.migrations.get(name)
    return f"; since schema {rules.schema} it is {new!r}" if new else ""


class Trust:
    """The rules and cuts of one owned namespace, as far as they are here.

    Args:
        owner: the fingerprint of the owner's key.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.book: dict[bytes, tuple[bytes | None, Rules]] = {}  # hash -> its predecessor, and the rules
        self.origin: dict[bytes, tuple[bytes, int]] = {}  # hash -> which change brought them
        self.missed: set[bytes] = set()  # rules that changes named which are judged, and that were not here
        self.current: bytes | None = None
        self.cuts: dict[Id, Cut] = {}
        self.settled: dict[Id, Settled] = {}
        self._against: dict[bytes, list[Cut]] = {}  # key -> its cuts
        self._rights: dict[Any, Rights] = {}

    @property
    def rules(self) -> Rules | None:
        """The rules that new writes are made under."""
        return self.book[self.current][1] if self.current is not None else None

    def owns(self, key: bytes) -> bool:
        """Whether it is the owner's key."""
        return fingerprint(key) == self.owner

    # -- judging -----------------------------------------------------------------------------------

    def rights(self, named: bytes | None, key: bytes, agent: str, role: str | None) -> Rights:
        """What an author may do under the rules that its change names."""
        at = (named, key, agent, role)
        found = self._rights.get(at)
        if found is None:
            page = self.book.get(named) if named is not None else None
            if page is None and named is not None:
                self.missed.add(named)
            found = Rights(page and page[1], key, agent, role, owner=self.owns(key))
            if page is not None or named is None:
                if len(self._rights) >= _MANY:
                    self._rights.clear()
                self._rights[at] = found
        return found

    def judge(self, rights: Rights, session: bytes, seq: int, parts: Sequence[Any]) -> dict[int, Verdict]:
        """The void ones among the parts of a change."""
        void: dict[int, Verdict] = {}
        fields = rights.fields
        for number, part in enumerate(parts):
            at = part[:2]
            found = fields.get(at) or rights.of(*at)
            if found is _FREE:
                continue
            if found is not _APPEND:
                void[number] = Verdict(found)
            elif part[4] or (type(part) is not KeyedPart and part[5]):
                void[number] = Verdict("by the rules it is append-only: nothing in it is removed, replaced or moved")
        cuts = self._against.get(rights.key)
        if cuts:
            for number, part in enumerate(parts):
                if number not in void:
                    ids = [c.id for c in cuts if c.field in (None, part[1]) and seq > self._mark(c, session)]
                    if ids:
                        void[number] = Verdict(_REVOKED, tuple(sorted(ids)))
        return void

    def _mark(self, cut: Cut, session: bytes) -> int:
        """How far a session counts in spite of a cut."""
        marks = [settled.marks.get(session, 0) for settled in self.settled.values() if cut.id not in settled.cuts]
        return max([cut.marks.get(session, 0), *marks])

    def check(self, writer: Writer, seq: int, agent: str, role: str | None, parts: Sequence[Any]) -> None:
        """Judge a change of ours before it is made.

        Raises:
            RulesRefused: some of it would be void on every replica.
        """
        rights = self.rights(self.current, writer.key, agent, role)
        if self.current is None and not all(part[:2] in OWNERS for part in parts):
            raise RulesRefused("the rules of this namespace are not here yet; receive them from its owner, or a peer")
        for number, verdict in self.judge(rights, writer.id, seq, parts).items():
            part = parts[number]
            raise RulesRefused(f"{KINDS[part[0]]} {part[1]!r}: {verdict.why}")

    # -- learning ----------------------------------------------------------------------------------

    def rules_in(self, change: Change, key: bytes) -> Rules | None:
        """The rules that a change brings, if it does.

        Raises:
            NewerRules: they are of a format that this program cannot judge by.
        """
        for part in change.parts:
            if part[:2] == RULES and type(part) is KeyedPart and len(part.adds) == 1 and self.owns(key):
                try:
                    return Rules.read(thaw(part.adds[0][0]))
                except NewerRules:
                    raise
                except ValueRefused:
                    return None
        return None

    def learn(self, change: Change, key: bytes, came: Iterable[Entry], sessions: Mapping[bytes, Writer]) -> bool:
        """Take in what an honoured change of the owner says; whether that voids, or lifts, what was applied before."""
        stale = False
        for entry in came:
            if entry.field == RULES[1]:
                try:
                    rules = self.rules_in(change, key)
                except NewerRules:
                    rules = None
                if rules is not None:
                    self.enter(change.hash, change.rules, rules, (change.session, change.seq))
                    stale = stale or change.hash in self.missed
            elif entry.field == CUTS[1]:
                cut = _cut(entry)
                if cut is not None and not self.owns(cut.key) and cut.id not in self.cuts:
                    self.add(cut)
                    stale = stale or any(
                        w.key == cut.key and w.seq > self._mark(cut, id) for id, w in list(sessions.items())
                    )
            elif entry.field == SETTLED[1]:
                settled = _settled(entry)
                if settled is not None and settled.id not in self.settled:
                    before = self._reach(sessions)
                    self.settled[settled.id] = settled
                    stale = stale or before != self._reach(sessions)
        return stale

    def enter(self, hash: bytes, before: bytes | None, rules: Rules, origin: tuple[bytes, int]) -> None:
        """Rules have come with a change."""
        self.book[hash] = (before, rules)
        self.origin[hash] = origin
        after: dict[bytes | None, list[bytes]] = {}
        for at, (named, _) in self.book.items():
            after.setdefault(named, []).append(at)
        current: bytes | None = None
        while current in after:
            current = min(after.pop(current))
        self.current = current

    def add(self, cut: Cut) -> None:
        """A cut has come."""
        self.cuts[cut.id] = cut
        self._against.setdefault(cut.key, []).append(cut)

    def _reach(self, sessions: Mapping[bytes, Writer]) -> dict[tuple[Id, bytes], int]:
        """How much of what is here each cut leaves standing."""
        return {
            (cut.id, id): min(self._mark(cut, id), writer.seq)
            for cut in self.cuts.values()
            for id, writer in list(sessions.items())
            if writer.key == cut.key
        }

    def heir(self, gone: Any) -> Trust:
        """One that knows rules, cuts and what is settled from the start; not those that a test says are gone."""
        found = Trust(self.owner)
        for hash, page in self.book.items():
            if not gone(self.origin[hash]):
                found.enter(hash, *page, self.origin[hash])
        for cut in self.cuts.values():
            if not gone(cut.id):
                found.add(cut)
        found.settled = {id: settled for id, settled in self.settled.items() if not gone(id)}
        return found

    def strange_to(self, other: Trust, sessions: Mapping[bytes, Writer]) -> bool:
        """Whether a state with these sessions, which knew what the other knows, is not what it would be with this."""
        if not other.missed.isdisjoint(self.book):
            return True
        if self.cuts.keys() == other.cuts.keys() and self.settled.keys() == other.settled.keys():
            return False
        mine, theirs = self._reach(sessions), other._reach(sessions)
        return any(mine.get(at, sessions[at[1]].seq) != theirs.get(at, sessions[at[1]].seq) for at in {*mine, *theirs})

    # -- what is settled ---------------------------------------------------------------------------

    def floor(self) -> dict[bytes, int]:
        """How far each session is settled."""
        found: dict[bytes, int] = {}
        for settled in self.settled.values():
            for session, seq in settled.marks.items():
                found[session] = max(seq, found.get(session, 0))
        return found


def cut_value(key: bytes, field: str | None, marks: Mapping[bytes, int], version: str) -> list[Any]:
    """A cut as it travels."""
    return [key, field, sorted([session, seq] for session, seq in marks.items() if seq), version]


def settled_value(marks: Mapping[bytes, int], cuts: Iterable[Id], version: str) -> list[Any]:
    """What is settled, as it travels."""
    return [sorted([session, seq] for session, seq in marks.items() if seq), sorted(map(list, cuts)), version]


def _cut(entry: Entry) -> Cut | None:
    try:
        key, field, marks, *_ = entry.value
        if not (_is(key, 32) and (field is None or type(field) is str)):
            return None
        return Cut(entry._id, key, field, _marks(marks))
    except (TypeError, ValueError):
        return None


def _settled(entry: Entry) -> Settled | None:
    try:
        marks, cuts, *_ = entry.value
        return Settled(entry._id, _marks(marks), frozenset(tuple(id) for id in cuts))
    except (TypeError, ValueError):
        return None


def _marks(told: Any) -> dict[bytes, int]:
    marks = dict(told)
    if not all(_is(session, 16) and type(seq) is int for session, seq in marks.items()):
        raise ValueError("marks are sessions and how far they count")
    return marks


def _is(found: object, size: int) -> bool:
    return type(found) is bytes and len(found) == size
