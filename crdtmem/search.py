"""Finding entries by their words, and by who wrote them, when, how sure they were.

What is found is live: what was retracted, superseded or removed is not in the index, what has outlived its time is left
out when asked, and what rests on a retracted entry is found and marked. The words rank (bm25); the filters only admit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtmem.change import KINDS, Version
from crdtmem.clock import aware, stamp
from crdtmem.entry import SOURCES, Entry
from crdtmem.errors import EmbedderFailed, ValueRefused
from crdtmem.fields.field import alive
from crdtmem.index import Index, Seen
from crdtmem.past import Pinned
from crdtmem.prose import leaves, words
from crdtmem.values import freeze, key_of

if TYPE_CHECKING:
    from crdtmem.memory import Memory
    from crdtmem.nearness import Embed, Nearness

MOST = 1000
_ROUNDS = 10  # of embedding what came while the rest was embedded
Names = str | Collection[str] | None
Moment = datetime | Version | str | None
Test = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Hit:
    """A live entry that was found.

    Attributes:
        entry: the entry; of a text a whole paragraph, as an entry of whoever wrote the most of it.
        kind: of its field: set, register, records, sequence or text.
        score: how well it fits; 0 where no words were asked for. Comparable within one answer only.
        tainted: whether it rests on what was retracted.
        shares: of a paragraph, what is left of each insertion into it; else nothing.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.text("draft").append("Churn rose.")
    >>> [hit] = memory.search("churn")
    >>> hit.field, hit.kind, hit.value, [share.by for share in hit.shares]
    ('draft', 'text', 'Churn rose.', ['ann'])
    """

    entry: Entry
    kind: str
    score: float
    tainted: bool
    shares: tuple[Entry, ...] = ()

    @property
    def field(self) -> str:
        """The name of its field."""
        return self.entry.field

    @property
    def key(self) -> str | None:
        """Its key, in records."""
        return self.entry.key if self.kind == "records" else None

    @property
    def value(self) -> Any:
        """What the entry says."""
        return self.entry.value

    def __str__(self) -> str:
        place = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"{place}: {self.value!r:.100} by {self.entry.by}{' (tainted)' if self.tainted else ''}"


class Filters(NamedTuple):
    """What is asked of an entry beside its words; `Memory.search` says what each means."""

    fields: Names = None
    by: Names = None
    role: Names = None
    tags: Names = None
    source: Names = None
    since: Moment = None
    until: Moment = None
    confidence: float | None = None
    where: Mapping[str, Any] | None = None


def search(memory: Memory, query: str, filters: Filters, *, limit: int, embed: Embed | None = None) -> list[Hit]:
    """The best hits."""
    phrases = asked(query, limit)
    question = _Question(memory, phrases, filters, limit)
    if embed is None or not query.strip():
        with reading(memory) as index:
            return question.told(index, question.by_words(index) if query.strip() else question.newest(index))
    from crdtmem.nearness import nearness

    document: Any = memory._document
    pinned = isinstance(document, Pinned)
    near = nearness(document.live if pinned else document, embed)
    vector = near.query(query)
    for _ in range(_ROUNDS):
        with reading(memory) as index:
            missing = near.missing(index, question.admitting(index))
            if not missing:
                return question.told(index, question.by_both(index, near, vector))
            live = None if pinned else set(index.digests.values())
        near.add(missing, live)
    raise EmbedderFailed("entries are written faster than the embedder takes them in; ask again, or narrow the search")


class _Question:
    """What is asked of an index, checked."""

    def __init__(self, memory: Memory, phrases: list[str], filters: Filters, limit: int) -> None:
        self._document: Any = memory._document
        self._phrases = phrases
        self._tests = _tests(memory, filters)
        self._fields = _names("fields", filters.fields)
        self._limit = limit

    def admitting(self, index: Index) -> Callable[[int], bool]:
        """Whether a row may be told."""
        document = self._document
        return admitting(index, self._tests, self._fields, document.state.taint.retracted, document.now())

    def by_words(self, index: Index) -> list[tuple[float, int]]:
        """The best by their words."""
        return index.ask(self._phrases, self.admitting(index), self._limit)

    def newest(self, index: Index) -> list[tuple[float, int]]:
        """The newest."""
        ats = [at for at in index.rows if self._fields is None or at[1] in self._fields]
        rows = filter(self.admitting(index), index.newest_first(*ats)) if ats else iter(())
        return [(0.0, row) for row in islice(rows, self._limit)]

    def by_both(self, index: Index, near: Nearness, vector: bytes) -> list[tuple[float, int]]:
        """What the words find and what is near by meaning, merged by their places."""
        from crdtmem.nearness import fused

        admit, pool = self.admitting(index), max(100, 5 * self._limit)
        by_words = [row for _, row in index.ask(self._phrases, admit, pool)]
        scores = fused(by_words, near.best(index, vector, admit, pool))
        best = nlargest(self._limit, scores, key=lambda row: (scores[row], index.rank(row)))
        return [(scores[row], row) for row in best]

    def told(self, index: Index, found: list[tuple[float, int]]) -> list[Hit]:
        """The rows as hits."""
        tainted = self._document.state.taint.tainted
        return [_hit(index, score, row, tainted) for score, row in found]


def asked(query: str, limit: int) -> list[str]:
    """The words of a query, once it and the limit are checked."""
    if not isinstance(query, str):
        raise TypeError(f"query: a str, not {type(query).__name__}")
    if type(limit) is not int:
        raise TypeError(f"limit: an int, not {type(limit).__name__}")
    if not 0 < limit <= MOST:
        raise ValueRefused(f"limit: from 1 to {MOST} hits, not {limit}; narrow the search by its filters")
    return words(query)


def outer_lock(memory: Memory) -> threading.RLock:
    """The lock under which changes come in, also of a memory that is pinned."""
    document: Any = memory._document
    return document.state.lock if isinstance(document, Pinned) else document.lock


@contextmanager
def reading(memory: Memory) -> Iterator[Index]:
    """The index of a memory, holding what it shows now, for as long as the block lasts.

    Writers wait while it takes in what came since, and no longer: the first time, it is made of what was seen at one
    moment. Its lock is taken inside that of the memory, which is not taken inside the block: so whoever holds the
    memory's may ask.
    """
    document: Any = memory._document
    index = _then(document) if isinstance(document, Pinned) else _now(document)
    try:
        yield index
    finally:
        index.lock.release()


def _now(document: Any) -> Index:
    """The index of a memory as it is, locked."""
    if document.kept.index is None:
        with document.lock:
            document.usable()
            seen = Seen.of(document.state, document.log.newest)
        fresh = Index()
        fresh.begin(seen)
        document.kept.index = fresh
    with document.lock:
        document.usable()
        index: Index = document.kept.index
        index.lock.acquire()
        try:
            index.follow(document.state, document.log)
        except BaseException:
            index.lock.release()
            raise
        return index


def _then(document: Any) -> Index:
    """The index of a memory as it was, locked: made at 10 us an entry, and kept under its version."""
    state = document.state
    with state.lock:
        document.usable()
        _ = state.taint  # to be worked out here: inside the block nobody takes the lock of the memory
        if state.version == state.now.version:
            return _now(document.live)
        index: Index | None = document.kept.find(state.now, "index", state.version)
        sessions = state.now.sessions
    if index is None:
        index = Index()
        index.begin(Seen.of(state, 0))  # what was stays so
        document.kept.keep(sessions, "index", state.version, index, most=2)
    index.lock.acquire()
    return index


def _hit(index: Index, score: float, row: int, tainted: Container[Any]) -> Hit:
    entry, some = index.entries[row], index.shares.get(row, ())
    return Hit(entry, KINDS[index.kinds[row][0]], score, any(one._id in tainted for one in some or (entry,)), some)


# -- filters ---------------------------------------------------------------------------------------


def admitting(
    index: Index, tests: list[Test], fields: Collection[str] | None, retracted: Container[Any], now: float
) -> Callable[[int], bool]:
    """Whether a row may be told: it is live, of these fields, and somebody who shares in it passes all tests."""
    entries, shared, kinds = index.entries, index.shares, index.kinds

    def passes(entry: Entry) -> bool:
        if entry._about is not None and len(entry._about) > 5 and not alive((entry,), now):
            return False
        if entry._id in retracted:  # in an append-only field it stays where it is
            return False
        return all(test(entry) for test in tests)

    def admit(row: int) -> bool:
        if fields is not None and kinds[row][1] not in fields:
            return False
        some = shared.get(row)
        return passes(entries[row]) if some is None else any(map(passes, some))

    return admit


def _tests(memory: Memory, asked: Filters) -> list[Test]:
    tests: list[Test] = []
    authors, roles = _names("by", asked.by), _names("role", asked.role)
    needed, sources = _names("tags", asked.tags) or set(), _names("source", asked.source)
    if authors is not None:
        tests.append(lambda e: e.by in authors)
    if roles is not None:
        tests.append(lambda e: e.role in roles)
    if needed:
        tests.append(lambda e: needed.issubset(e.tags))
    if sources is not None:
        if not sources <= set(SOURCES):
            raise ValueRefused(f"source: one of {', '.join(SOURCES)}, not {asked.source!r:.60}")
        tests.append(lambda e: e.source in sources)
    if asked.since is not None:
        old = _before(memory, asked.since)
        tests.append(lambda e: not old(e))
    if asked.until is not None:
        tests.append(_before(memory, asked.until))
    if asked.confidence is not None:
        sure = _share(asked.confidence)
        tests.append(lambda e: e.confidence is not None and e.confidence >= sure)
    if asked.where is not None:
        tests += [_holding(*one) for one in _where(asked.where)]
    return tests


def _before(memory: Memory, moment: datetime | Version | str) -> Test:
    """Whether an entry was written before a moment, or had been seen by a version."""
    if isinstance(moment, datetime):
        end = stamp(aware(moment)) & ~0xFFFF
        return lambda e: e.stamp.hlc < end
    past = memory._past(moment)
    return lambda e: e.stamp.seq <= past.get(e.stamp.writer.id, 0)


def _share(confidence: float) -> float:
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise TypeError(f"confidence: a number, not {type(confidence).__name__}")
    if not 0 <= confidence <= 1:
        raise ValueRefused(f"confidence: from 0 to 1, not {confidence}")
    return float(confidence)


def _where(where: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(where, Mapping) or not all(isinstance(path, str) for path in where):
        raise TypeError(f"where: a mapping of paths to values, not {where!r:.60}")
    return [(tuple(path.split(".")), key_of(freeze(value, f"where[{path!r}]"))) for path, value in where.items()]


def _holding(path: tuple[str, ...], wanted: Any) -> Test:
    """Whether a value has this at the end of a path; in a list it may be any item."""

    def holds(entry: Entry) -> bool:
        return any(at == path and key_of(leaf) == wanted for at, leaf in leaves(entry.value))

    return holds


def _names(what: str, given: Names) -> set[str] | None:
    if given is None or isinstance(given, str):
        return None if given is None else {given}
    if not isinstance(given, Collection) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"{what}: a name or a list of names, not {given!r:.60}")
    return set(given)
