"""What a set of changes adds up to: sessions, heads and fields. Pure: no clock, no lock, no store.

The owner applies changes in causal order and exactly once (invariant 3); the same changes give the same digest in
any such order (invariant 6). A part with a flaw is void: it is left out, its change keeps its seq (invariant 4).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from crdtmem.change import PART_SHIFT, SEQUENCE, Change, Head, Version, decode, record
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import Entry, Stamp, Writer
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered, Past
from crdtmem.identity import client_id
from crdtmem.store import Log, Record
from crdtmem.values import encode


class Effect(NamedTuple):
    """What one change did to the fields."""

    change: Change
    stamp: Stamp
    added: list[Entry]
    removed: list[Entry]
    void: list[str]


def introduced(change: Change) -> Writer:
    """The session that a first change introduces."""
    assert change.intro is not None
    key, agent, role, _ = change.intro
    return Writer(change.session, client_id(change.session), key, agent, role)


def walk(log: Log, latest: dict[bytes, int], marks: dict[bytes, int]) -> list[Record]:
    """Complete `marks` to all that some changes had seen; return what is kept beyond, newest first.

    Walks the log back only as far as the two differ.

    Args:
        log: where the changes are kept.
        latest: how far each session has come; what is kept beyond is not looked at. Used up.
        marks: the changes asked for, as the seq of each session; takes what they had seen.
    """
    ahead = {id for id, seq in latest.items() if seq > marks.get(id, 0)}
    beyond: list[Record] = []
    newest_first = log.records(newest_first=True)
    while ahead:
        kept = next(newest_first)
        if kept.seq > latest.get(kept.session, 0):
            continue
        latest[kept.session] = kept.seq - 1
        if kept.seq > marks.get(kept.session, 0):
            beyond.append(kept)
            if latest[kept.session] <= marks.get(kept.session, 0):
                ahead.discard(kept.session)
            continue
        for dep in decode(record(kept.core, b"")).deps:
            if dep[1] > marks.get(dep[0], 0):
                marks[dep[0]] = dep[1]
                if latest[dep[0]] <= dep[1]:
                    ahead.discard(dep[0])
    return beyond


_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


class State:
    """The sessions, heads and fields that some changes add up to.

    Args:
        namespace: the digest of the scope.
        log: where the changes are kept, for what is no longer live.
    """

    __slots__ = ("_log", "_pasts", "_version", "count", "fields", "heads", "namespace", "sessions")

    def __init__(self, namespace: bytes, log: Log) -> None:
        self.namespace = namespace
        self._log = log
        self._pasts: dict[bytes, tuple[int, dict[bytes, int]]] = {}  # session -> a seq, and what its change had seen
        self.sessions: dict[bytes, Writer] = {}
        self.heads: dict[bytes, tuple[bytes, int, bytes]] = {}
        self.fields: dict[tuple[int, str], Keyed | Ordered] = {}
        self.count = 0
        self._version: Version | None = Version(namespace, ())

    @property
    def version(self) -> Version:
        """The heads, in one order for everybody."""
        if self._version is None:
            self._version = Version(self.namespace, tuple(Head(*head) for head in sorted(self.heads.values())))
        return self._version

    def hash_of(self, session: bytes, seq: int) -> bytes | None:
        """The hash of a change that has been applied."""
        known = self.sessions.get(session)
        if known is None or known.seq < seq:
            return None
        if known.seq == seq:
            return known.hash
        kept = self._log.read(session, seq)
        return kept.hash if kept else None

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

    def apply(self, change: Change, staged: list[list[Entry]] | None = None) -> Effect:
        """Take in one change whose past is here.

        Args:
            change: the change.
            staged: for our own write, the entries of each part, to be completed.
        """
        session = self.sessions.get(change.session)
        if session is None:
            session = self.sessions[change.session] = introduced(change)
        session.seq, session.hash = change.seq, change.hash
        if change.deps:
            session.saw = change.seq
        heads = self.heads
        for dep in change.deps:
            head = heads.get(dep[0])
            if head is not None and head[1] <= dep[1]:
                del heads[dep[0]]
        heads[change.session] = (change.session, change.seq, change.hash)
        merged = len(heads) == 1  # all that is here was in its past
        self._version = None
        self.count += 1
        stamp = Stamp(session, change.seq, change.hlc, change.actor)
        added: list[Entry] = []
        removed: list[Entry] = []
        void: list[str] = []
        for number, part in enumerate(change.parts):
            field = self.fields.get(part[:2]) or self.field(part.kind, part.field)
            mine = staged[number] if staged else None
            if type(field) is Keyed:
                came, went = field.apply(part, number, change.digests[number], stamp, mine)  # type: ignore[arg-type]
            else:
                past = None if merged else self._past(change)
                came, went = self._order(field, part, number, stamp, mine, past, void)  # type: ignore[arg-type]
            added = added + came if added else came
            removed = removed + went if removed else went
        return _new(Effect, (change, stamp, added, removed, void))

    def _order(
        self,
        field: Ordered,
        part: OrderedPart,
        number: int,
        stamp: Stamp,
        staged: list[Entry] | None,
        past: Past | None,
        void: list[str],
    ) -> tuple[list[Entry], list[Entry]]:
        moved = self._moved(part)
        flaw = "a move names no entry" if moved is None else field.flaw(part, stamp.writer.client, past)
        if moved is None or flaw:
            void.append(f"{part.field}: {flaw}")
            field.skip(part, stamp.writer.client)
            return [], []
        return field.apply(part, number, stamp, staged, moved, past)

    def _past(self, change: Change) -> Past:
        """Tells of a change whether it was in the past of this one."""
        id = change.session
        known = self._pasts.get(id)
        if known is not None and self.sessions[id].saw <= known[0]:
            marks = known[1]  # it has seen nothing new of others since
        else:
            marks = {dep[0]: dep[1] for dep in change.deps}
            if change.seq > 1:
                marks[id] = change.seq - 1
            walk(self._log, {s.id: s.seq for s in self.sessions.values()}, marks)
        self._pasts[id] = (change.seq, marks)
        marks[id] = change.seq
        return lambda stamp: stamp.seq <= marks.get(stamp.writer.id, 0)

    def _moved(self, part: OrderedPart) -> list[Entry] | None:
        """The entries its moves show elsewhere, as they were written; None if one never was."""
        read: dict[
            tuple[bytes, int], Change | None
        ] = {}  # each change once: it may have a megabyte and be moved from often
        found: list[Entry] = []
        for _, (session, seq, n) in part.moves:
            if (session, seq) not in read:
                kept = self._log.read(session, seq) if session in self.sessions else None
                read[session, seq] = decode(record(kept.core, b"")) if kept else None
            entry = self._written(part.field, read[session, seq], n)
            if entry is None:
                return None
            found.append(entry)
        return found

    def _written(self, field: str, change: Change | None, n: int) -> Entry | None:
        number, place = divmod(n, 1 << PART_SHIFT)
        if change is None or number >= len(change.parts):
            return None
        part = change.parts[number]
        if type(part) is not OrderedPart or part.kind != SEQUENCE or part.field != field:
            return None
        for run in part.runs:
            if place < len(run[1]):
                stamp = Stamp(self.sessions[change.session], change.seq, change.hlc, change.actor)
                id = (change.session, change.seq, n)
                return Entry(id, field, None, run[1][place], run[2] if len(run) > 2 else part.about, stamp)
            place -= len(run[1])
        return None

    def digest(self) -> bytes:
        """Equal on replicas with the same content."""
        parts = [(kind, name, field.digest()) for (kind, name), field in sorted(self.fields.items())]
        return blake2b(encode([part for part in parts if part[2]]), digest_size=32).digest()
