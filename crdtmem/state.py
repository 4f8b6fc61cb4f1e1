"""What a set of changes adds up to: sessions, heads and fields. Pure: no clock, no lock, no store.

The owner applies changes in causal order and exactly once (invariant 3); the same changes give the same digest in
any such order (invariant 6). A part with a flaw is void: it is left out, its change keeps its seq (invariant 4). So is
what the rules of an owned namespace do not allow; `trust` says. What voids changes that were applied before makes the
state `stale`, and its owner makes it anew (rebuild.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec.structs import replace

from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, SEQUENCE, TEXT, Change, Head, Version
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import Entry, Stamp, Writer
from crdtmem.errors import StoreError
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered, Past
from crdtmem.identity import client_id
from crdtmem.pruned import Husk, Pruned
from crdtmem.store import Log, Record
from crdtmem.tails import Tails
from crdtmem.taint import Taint
from crdtmem.trust import Trust, Verdict
from crdtmem.values import encode


class Effect(NamedTuple):
    """What one change did to the fields."""

    change: Change
    stamp: Stamp
    added: list[Entry]
    removed: list[Entry]
    void: list[str]
    tainted: set[Any]  # the ids of entries that fell with a retraction


def introduced(change: Change) -> Writer:
    """The session that a first change introduces."""
    assert change.intro is not None
    key, agent, role, _ = change.intro
    return Writer(change.session, client_id(change.session), key, agent, role)


def _named(change: Change) -> dict[bytes, int]:
    """The changes that it names as its past, as the seq of each session."""
    marks = {dep[0]: dep[1] for dep in change.deps}
    if change.seq > 1:
        marks[change.session] = change.seq - 1
    return marks


Step = Record | Husk
Placed = tuple[int, Step]  # with its place in the log; of a husk, one that it does not lie behind
_NONE: set[Any] = set()
_NOTHING: list[Any] = []  # never written to
_ALL_HOLD: dict[int, Verdict] = {}
_END = (sys.maxsize, Record(b"", -1, b"", b"", b""))  # before any change
_PASTS = 64  # so many sessions write concurrently to a field before a past is worked out twice
_READ = 256  # changes, one by one; a walk reads as many in the time of a few of these
_WHOLE = 32  # of each session, so many of its changes are known to have seen all up to some place
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


class State:
    """The sessions, heads and fields that some changes add up to.

    Args:
        namespace: the digest of the scope.
        log: where the changes are kept, for what is no longer live.
        owner: the fingerprint of its owner's key, if it is owned.
    """

    __slots__ = (
        "_log",
        "_pasts",
        "_version",
        "count",
        "fields",
        "forks",
        "heads",
        "namespace",
        "plain",
        "pruned",
        "recalled",
        "sessions",
        "stale",
        "tails",
        "taint",
        "trust",
        "voids",
    )

    def __init__(self, namespace: bytes, log: Log, owner: str | None = None) -> None:
        self.namespace = namespace
        self._log = log
        self.pruned = Pruned(log)
        self._pasts: dict[bytes, tuple[int, dict[bytes, int]]] = {}  # session -> a seq, and what its change had seen
        self.recalled: dict[bytes, dict[bytes, int]] = {}  # hash of a change -> all it had seen, as another log told
        self.sessions: dict[bytes, Writer] = {}
        self.heads: dict[bytes, tuple[bytes, int, bytes]] = {}
        self.fields: dict[tuple[int, str], Keyed | Ordered] = {}
        self.taint = Taint()
        self.voids: dict[tuple[bytes, int], dict[int, str]] = {}  # of a change with void parts: which, and why
        self.trust = None if owner is None else Trust(owner)
        self.plain = owner is None  # whether nothing is void but for its own flaws: open, and no session forked
        self.forks = self.taint.forks  # session -> the first of its changes that is void
        self.tails = Tails(self.forks)
        self.stale = False  # whether something voids, or lifts, what was applied before
        self.count = 0
        self._version: Version | None = Version(namespace, ())

    @property
    def version(self) -> Version:
        """The heads, in one order for everybody."""
        if self._version is None:
            self._version = Version(self.namespace, tuple(Head(*head) for head in sorted(self.heads.values())))
        return self._version

    @property
    def owner(self) -> str | None:
        """The fingerprint of its owner's key, if it is owned."""
        return None if self.trust is None else self.trust.owner

    def recall(self, change: Change, older: State) -> None:
        """Take over from an older state what a change had seen, if its log alone can tell.

        Raises:
            StoreError: some of what it walks through is damaged.
        """
        marks = _named(change)
        if any(type(part) is OrderedPart for part in change.parts) and not self._all_in(marks):
            older.beyond(marks)
            self.recalled[change.hash] = marks

    def resumed_over(self, log: Log) -> None:
        """The log has begun anew under it."""
        self.pruned = Pruned(log)

    def resumed(self, count: int) -> None:
        """A checkpoint has filled it with what so many changes add up to."""
        self.count = count
        self._version = None

    def live(self) -> int:
        """How much it holds: entries of keyed fields, units of ordered ones."""
        return sum([field.size() for field in self.fields.values()])

    def has(self, session: bytes, seq: int, hash: bytes) -> bool:
        """Whether the change that was applied at this place is that one."""
        known = self.sessions.get(session)
        if self.forks and seq >= self.forks.get(session, seq + 1):
            return self.forks[session] <= (known.seq if known else 0) + 1  # as much of it as there will ever be
        if known is None or known.seq < seq:
            return False
        if known.seq == seq:
            return known.hash == hash
        kept = self._log.read(session, seq)
        if kept is not None:
            return kept.hash == hash
        begun = self.pruned.hash(session, seq)
        return hash.startswith(begun) if begun else True  # a damaged one: nobody here knows better

    def _backwards(self, before: int | None) -> Iterator[Placed]:
        """The changes that were applied, newest first, and then what is left of those that were pruned."""
        yield from self._log.backwards(before)
        yield from self.pruned.backwards()

    def beyond(self, marks: dict[bytes, int], before: int | None = None) -> list[Placed]:
        """Complete `marks` to all that some changes had seen; return what was applied beyond, newest first.

        Walks back only as far as the two differ, or to where one of those changes had seen all there was.

        Args:
            marks: the changes, as the seq of each session; takes what they had seen.
            before: the place in the log, if known, before which lies all that was applied.

        Raises:
            StoreError: some of what it walks through is damaged.
        """
        latest = {id: session.seq for id, session in self.sessions.items()}
        ahead = {id for id, seq in latest.items() if seq > marks.get(id, 0)}
        floor = max([self._floor(id, seq) for id, seq in marks.items()], default=0)
        steps = self._backwards(before)
        beyond: list[Placed] = []
        while ahead:
            place, kept = step = next(steps, _END)
            if place <= floor and not self._log.damage:
                marks.update({id: latest[id] for id in ahead})
                break
            if kept.seq > latest.get(kept.session, 0):
                continue
            if kept.seq < latest.get(kept.session, 0):
                raise StoreError(
                    "the history this asks for is still on its way from a peer"
                    if self.pruned.owed
                    else "history is not whole as far back as this asks: changes are damaged; a peer may have them"
                )
            latest[kept.session] = kept.seq - 1
            if kept.seq > marks.get(kept.session, 0):
                beyond.append(step)
                if latest[kept.session] <= marks.get(kept.session, 0):
                    ahead.discard(kept.session)
                continue
            deps: Any = kept.gist.deps
            if self.tails.sights:
                deps = (*deps, *self.tails.sights.get((kept.session, kept.seq), ()))
            for dep in deps:
                if dep[1] > marks.get(dep[0], 0):
                    marks[dep[0]] = dep[1]
                    floor = max(floor, self._floor(dep[0], dep[1]))
                    if latest.get(dep[0], 0) <= dep[1]:
                        ahead.discard(dep[0])
        return beyond

    def _floor(self, id: bytes, seq: int) -> int:
        """A place in the log: all up to there is in the past of this change. The sooner it merged, the lower."""
        session = self.sessions.get(id)
        return next((place for first, place in reversed(session.whole) if first <= seq), 0) if session else 0

    def _saw_whole(self, session: Writer, seq: int, place: int) -> None:
        """Take note that a change has seen all up to a place. A hole in the log may be filled later: then nothing is.

        The older they are, the fewer are kept: who names an old change has much to catch up with anyway.
        """
        if not self._log.damage and place > (session.whole[-1][1] if session.whole else 0):
            session.whole.append((seq, place))
            if len(session.whole) > _WHOLE:
                del session.whole[1::2]

    def client_of(self, session: bytes) -> int:
        """The Yjs client of a session, known or not."""
        known = self.sessions.get(session)
        return known.client if known else client_id(session)

    def field(self, kind: int, name: str) -> Keyed | Ordered:
        """The field of that kind and name, empty if nothing was written to it."""
        found = self.fields.get((kind, name))
        if found is None:
            found = self.fields[kind, name] = Ordered(kind, name) if kind >= SEQUENCE else Keyed(kind, name)
        return found

    def apply(self, change: Change, staged: list[list[Entry]] | None = None, place: int = 0) -> Effect:
        """Take in one change whose past is here.

        Args:
            change: the change.
            staged: for our own write, the entries of each part, to be completed.
            place: in the log, if known; all before it has been applied.

        Raises:
            StoreError: what it takes to judge the change turns out to be damaged; nothing was done.
        """
        said = parts = change.parts
        plain = self.plain
        if not plain and self.forks:
            parts = self.tails.without(change, self.client_of(change.session), self.field)
            change = replace(change, parts=parts)
        simple = plain and len(parts) == 1 and parts[0][0] < SEQUENCE  # most are: one keyed part, judged by nothing
        if not simple:
            ordered = any(part[0] >= SEQUENCE for part in parts)
            past, moved = self._looked_up(change, place) if ordered else (None, {})
        session = self.sessions.get(change.session)
        if session is None:
            session = self.sessions[change.session] = introduced(change)
            session.tainted = self.taint.tainted
        session.seq, session.hash = change.seq, change.hash
        heads = self.heads
        if change.deps:
            session.saw = change.seq
            for dep in change.deps:
                head = heads.get(dep[0])
                if head is not None and head[1] <= dep[1]:
                    del heads[dep[0]]
        if not plain and (change.session, change.seq) in self.tails.sights:
            session.saw = change.seq
        heads[change.session] = (change.session, change.seq, change.hash)
        if place and (change.deps or change.seq == 1) and len(heads) == 1:
            self._saw_whole(session, change.seq, place)
        self._version = None
        self.count += 1
        if simple:
            part = parts[0]
            stamp = Stamp(session, change.seq, change.hlc, change.actor)
            only: Any = self.fields.get(part[:2]) or self.field(part.kind, part.field)
            came, went = only.apply(part, 0, change.digests[0], stamp, staged[0] if staged else None)
            told = self._note(only, came, went) if only.notable else _NONE
            return _new(Effect, (change, stamp, came, went, _NOTHING, told))
        trust = self.trust
        added = removed = _NOTHING
        void: dict[int, str] = {}
        fallen: set[Any] = _NONE
        if trust is None:
            stamp = Stamp(session, change.seq, change.hlc, change.actor)
            verdicts: dict[int, Verdict] = _ALL_HOLD
        else:
            rights = trust.rights(change.rules, session.key, *(change.actor or (session.agent, session.role)))
            stamp = Stamp(session, change.seq, change.hlc, change.actor, rights.verified)
            verdicts = trust.judge(rights, change.session, change.seq, said)
        for number, part in enumerate(parts):
            if verdicts and number in verdicts:
                void[number], more = self._leave_out(part, number, stamp, verdicts[number], moved.get(number, []), past)
                fallen = fallen | more
                continue
            field = self.fields.get(part[:2]) or self.field(part.kind, part.field)
            mine = staged[number] if staged else None
            if type(field) is Keyed:
                came, went = field.apply(part, number, change.digests[number], stamp, mine)  # type: ignore[arg-type]
                if trust is not None and part[1][0] == "@":
                    self.stale = trust.learn(change, session.key, came, self.sessions) or self.stale
                if not plain and part[0] == COUNTER and (self.taint.voided or self.forks):
                    field.recount(self.taint.voiding)
            else:
                values = moved.get(number, [])
                came, went, flaw = self._order(field, part, number, stamp, mine, values, past)  # type: ignore[arg-type]
                if flaw:
                    void[number] = flaw
            added = added + came if added else came
            removed = removed + went if removed else went
            if field.notable:
                fallen = fallen | self._note(field, came, went)
        if void:
            self.voids[change.session, change.seq] = void
        whys = [f"{parts[number].field}: {flaw}" for number, flaw in void.items()] if void else _NOTHING
        return _new(Effect, (change, stamp, added, removed, whys, fallen))

    def follow(self, session: Writer, hash: bytes) -> None:
        """Note that the session, which is the one head, has gone on by one change."""
        seq = session.seq = session.seq + 1
        session.hash = hash
        self.heads[session.id] = (session.id, seq, hash)
        self._version = None
        self.count += 1

    def _leave_out(
        self,
        part: Any,
        number: int,
        stamp: Stamp,
        verdict: Verdict,
        moved: Sequence[Entry | None] | None,
        past: Past | None,
    ) -> tuple[str, set[Any]]:
        """Take note of a part that is void by a verdict; return why, and what is newly tainted."""
        why, client = verdict.why, stamp.writer.client
        size = len(part[3])
        if type(part) is OrderedPart:
            field: Any = self.field(part.kind, part.field)
            flaw = None
            if verdict.cuts:
                flaw = "a move names no entry" if moved is None else field.flaw(part, client, past)
            if verdict.cuts and not flaw:
                field.bury(part, number, stamp, past)
            else:
                field.skip(part, client)
                why = flaw or why
            if part.kind != TEXT:
                size = sum([len(run[1]) for run in part.runs])
        first = number << PART_SHIFT
        id = stamp.writer.id
        named = [(id, stamp.seq, first + n) for n in range(size)] if self.taint.dependents else ()
        fallen = self.taint.void((id, stamp.seq, number), verdict.cuts, named)
        if part[0] == COUNTER and part[:2] in self.fields:
            self.fields[part[:2]].recount(self.taint.voiding)  # type: ignore[union-attr]
        return why, fallen

    def stamp(self, change: Change) -> Stamp:
        """Who made it and when, for what is read from the log."""
        writer = self.sessions[change.session]
        known = False
        if self.trust is not None:
            who = change.actor or (writer.agent, writer.role)
            known = self.trust.rights(change.rules, writer.key, *who).verified
        return Stamp(writer, change.seq, change.hlc, change.actor, known)

    def _note(self, field: Keyed | Ordered, came: list[Entry], went: list[Entry]) -> set[Any]:
        """Take note of what entries say of others; return what is newly tainted."""
        fallen: set[Any] = set()
        for entry in came:
            if entry._about is not None and len(entry._about) > 1 and entry._about[1]:
                fallen |= self.taint.rest(entry._id, entry._about[1])
        field.notable = field.kind == RECORDS and field.name[0] == "@"
        return fallen | self.taint.notice(field.name, came, went) if field.notable else fallen

    def _order(
        self,
        field: Ordered,
        part: OrderedPart,
        number: int,
        stamp: Stamp,
        staged: list[Entry] | None,
        moved: Sequence[Entry | None] | None,
        past: Past | None,
    ) -> tuple[list[Entry], list[Entry], str | None]:
        flaw = "a move names no entry" if moved is None else field.flaw(part, stamp.writer.client, past)
        if moved is None or flaw:
            field.skip(part, stamp.writer.client)
            return [], [], flaw
        return *field.apply(part, number, stamp, staged, moved, past), None

    def _looked_up(self, change: Change, place: int) -> tuple[Past | None, dict[int, list[Entry | None] | None]]:
        """What it takes to judge a change: its past, and what each part moves. Looked up before anything is done.

        Raises:
            StoreError: it is damaged.
        """
        parts = enumerate(change.parts)
        moved = {n: self._moved(part) for n, part in parts if type(part) is OrderedPart and part.moves}
        return self._past(change, place), moved

    def _past(self, change: Change, place: int) -> Past | None:
        """Tells of a change whether it was in the past of this one; None when all that is here was."""
        marks = _named(change)
        if self._all_in(marks):
            return None
        id = change.session
        known = self._pasts.get(id) if not self.forks else None
        if self.forks:
            self.tails.look(change, self.fields, marks)
        session = self.sessions.get(id)
        if change.hash in self.recalled:
            marks = self.recalled.pop(change.hash)
        elif known is not None and not change.deps and session is not None and session.saw <= known[0]:
            marks = known[1]  # it has seen nothing new of others since
        elif not self.forks and (seen := self._read_on(marks)):
            marks = seen
        else:
            beyond = self.beyond(marks, place or None)
            if session is not None and beyond and type(beyond[-1][1]) is Record:
                self._saw_whole(session, change.seq, beyond[-1][0] - 1)
        self._pasts.pop(id, None)
        if len(self._pasts) >= _PASTS:
            del self._pasts[next(iter(self._pasts))]
        self._pasts[id] = (change.seq, marks)
        marks[id] = change.seq
        return lambda stamp: stamp.seq <= marks.get(stamp.writer.id, 0)

    def _read_on(self, marks: dict[bytes, int]) -> dict[bytes, int] | None:
        """All that these changes had seen, read from where it is known for earlier ones on; None if that is too much.

        Where many write and hear of each other late, this is little; to walk back to where all is known is far.
        """
        seen: dict[bytes, int] = {}
        ahead = list(marks.items())
        left = _READ
        while ahead:
            id, upto = ahead.pop()
            known = self._pasts.get(id)
            if known is not None and seen.get(id, 0) < known[0] <= upto:
                seen.update({other: seq for other, seq in known[1].items() if seq > seen.get(other, 0)})
            for seq in range(seen.get(id, 0) + 1, upto + 1):
                left -= 1
                kept = self._log.read(id, seq) if left >= 0 else None
                if kept is None:
                    return None
                ahead += [dep[:2] for dep in kept.gist.deps]
            seen[id] = max(upto, seen.get(id, 0))
        return seen

    def _all_in(self, marks: dict[bytes, int]) -> bool:
        """Whether all that is here is in the past of who has seen so much."""
        return all(head[1] <= marks.get(head[0], 0) for head in self.heads.values())

    def fork(self, session: bytes, seq: int) -> bool:
        """A session was forked at this change; whether changes from there on had been applied."""
        if seq >= self.forks.get(session, seq + 1):
            return False
        self.tails.note(session, seq, self.client_of(session))
        self.plain = False
        known = self.sessions.get(session)
        late = known is not None and known.seq >= seq
        self.stale = self.stale or late
        return late

    def _moved(self, part: OrderedPart) -> list[Entry | None] | None:
        """The entries its moves show elsewhere, as they were written; None if one never was."""
        read: dict[tuple[bytes, int], Change | None] = {}  # each once: it may have a megabyte and be moved from often
        found: list[Entry | None] = []
        for _, (session, seq, n) in part.moves:
            if self.taint.voiding((session, seq, n)):
                found.append(None)
                continue
            if self._never(session, seq, n):
                return None
            if (session, seq) not in read:
                kept = self._log.read(session, seq) if session in self.sessions else None
                read[session, seq] = kept.change if kept else None
            entry = self._written(part.field, read[session, seq], n) or self._still(part, (session, seq, n))
            if entry is None:
                known = self.sessions.get(session)
                lost = read[session, seq] is None and known is not None and seq <= known.seq
                if lost and not self.pruned.hash(session, seq):
                    raise StoreError("the value that a move shows elsewhere is damaged")
                return None
            found.append(entry)
        return found

    def hidden(self, change: Change, *, ahead: bool) -> bool:
        """Whether damage, or history to come, hides what is needed to judge a change.

        Args:
            change: the change.
            ahead: whether others are to be applied before it.
        """
        parts = [part for part in change.parts if type(part) is OrderedPart]
        if not (self._log.damage or self.pruned.owed) or not parts:
            return False
        for part in parts:
            for _, id in part.moves:
                known = self.sessions.get(id[0])
                if known is None or known.seq < id[1] or self.taint.voiding(id) or self._never(*id):
                    continue
                if not (self._log.read(id[0], id[1]) or self._still(part, id) or self.pruned.hash(id[0], id[1])):
                    return True
        marks = _named(change)
        if not ahead and self._all_in(marks):
            return False
        try:
            self.beyond(marks)
        except StoreError:
            return True
        return False

    def _still(self, part: OrderedPart, id: tuple[bytes, int, int]) -> Entry | None:
        """A value of a sequence whose change was pruned, or is damaged, if it is here all the same."""
        field: Any = self.fields.get((part.kind, part.field))
        return field.written(id) if field is not None and not self._log.read(id[0], id[1]) else None

    def _never(self, session: bytes, seq: int, n: int) -> bool:
        """Whether a value was in a part with a flaw."""
        return n >> PART_SHIFT in self.voids.get((session, seq), ())

    def _written(self, field: str, change: Change | None, n: int) -> Entry | None:
        number, place = divmod(n, 1 << PART_SHIFT)
        if change is None or number >= len(change.parts):
            return None
        part = change.parts[number]
        if type(part) is not OrderedPart or part.kind != SEQUENCE or part.field != field:
            return None
        for run in part.runs:
            if place < len(run[1]):
                stamp = self.stamp(change)
                id = (change.session, change.seq, n)
                return Entry(id, field, None, run[1][place], run[2] if len(run) > 2 else part.about, stamp)
            place -= len(run[1])
        return None

    def find(self, ids: set[Any]) -> tuple[Entry, ...]:
        """Those of these entries that are live. Walks through the ordered fields, so it is for rare occasions."""
        found: list[Entry] = []
        for field in self.fields.values() if ids else ():
            if type(field) is Keyed:
                found += [field.by_id[id] for id in ids if id in field.by_id]
            else:
                found += {e._id: e for e in field.entries() if e._id in ids}.values()  # type: ignore[union-attr]
        return tuple(found)

    def digest(self) -> bytes:
        """Equal on replicas with the same content."""
        parts = [(kind, name, field.digest()) for (kind, name), field in sorted(self.fields.items())]
        return blake2b(encode([part for part in parts if part[2]]), digest_size=32).digest()
