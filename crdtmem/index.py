"""The words of all live entries, for search: full text in SQLite's FTS5, and all entries in the order of time.

It holds what the state shows and nothing else. Before each answer it looks at the changes that came since, and does for
the entries they name what the state says of these now: so verdicts, undoings and retractions need no second telling.
What it followed is counted. Where that does not fit the state, because a cut, a fork or damage made it anew, all of it
is compared with the state, at 1 us an entry that is there already and 10 us for one that is not.

It lives in memory, as the state does: made from that when something is first searched. See decision 16.

A text is indexed by paragraphs, not by what is left of each insertion: a sentence that three agents corrected would be
in five pieces, none of which says what it says.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import count
from typing import Any, NamedTuple

from crdtmem.change import COUNTER, PART_SHIFT, SEQUENCE, TEXT
from crdtmem.change import Keyed as KeyedPart
from crdtmem.entry import Entry
from crdtmem.errors import StoreError
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import shares
from crdtmem.prose import expression, said
from crdtmem.store import Log

At = tuple[int, str]
Rank = tuple[int, Any, str, int]
LABEL = 0.5  # what a word in a label counts beside one in a text
_SPARE = 32
_KEPT = "content='', contentless_delete=1"  # the words alone: the texts are in the entries
_FOLDING = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'"


class Passage(NamedTuple):
    """A paragraph of a text: as an entry of whoever wrote most of it, and all that share in it."""

    entry: Entry
    shares: tuple[Entry, ...]


class Seen(NamedTuple):
    """What a state shows, seen at one moment: enough to make an index of it while others write on."""

    sessions: Any
    changes: int
    place: int
    shown: dict[At, dict[Any, Any]]

    @classmethod
    def of(cls, state: Any, place: int) -> Seen:
        """Of a state as it is, when the newest record of its log lies at this place. The caller holds its lock."""
        found = {at: dict(shown(at, state.fields[at])) for at in list(state.fields) if _searched(at)}
        return cls(state.sessions, state.count, place, found)


class Index:
    """The live entries of one state. The caller holds `lock`.

    A row is a number of an entry, or a paragraph, of no meaning elsewhere.
    """

    def __init__(self) -> None:
        from crdtmem.sqlite import scratch  # what never searches never loads it

        self.lock = threading.RLock()
        self._db = scratch()
        self._db.create_scalar_function("admits", self._admits, 1)  # type: ignore[arg-type]
        self._execute = self._db.cursor().execute
        self._admit: Callable[[int], object] = bool
        self._empty()

    def _empty(self) -> None:
        self._execute("DROP TABLE IF EXISTS words")
        self._execute(f'CREATE VIRTUAL TABLE words USING fts5(text, label, {_KEPT}, tokenize="{_FOLDING}")')
        self.entries: dict[int, Entry] = {}
        self.shares: dict[int, tuple[Entry, ...]] = {}  # of paragraphs
        self.kinds: dict[int, At] = {}
        self.digests: dict[int, bytes] = {}  # of their texts, as far as somebody asked for them
        self.rows: dict[At, dict[Any, int]] = {}
        self._order: dict[At, list[Rank]] = {}  # by time; some of the rows may be gone
        self._next = 1
        self._sessions: Any = None
        self._place = self._count = 0

    def _admits(self, row: Any) -> bool:
        return bool(self._admit(row))

    # -- keeping up --------------------------------------------------------------------------------

    def follow(self, state: Any, log: Log) -> None:
        """Hold what the state shows (invariant 8). The caller holds the lock of the memory too.

        Raises:
            StoreError: it could not.
        """
        if self._sessions is state.sessions and self._count == state.count and self._place == log.newest:
            return
        self._execute("BEGIN")
        try:
            if self._sessions is not state.sessions or not self._catch_up(state, log):
                self._compare(state)
            self._execute("COMMIT")
        except BaseException as error:
            self._execute("ROLLBACK")
            self._empty()
            from crdtmem.sqlite import Error

            if isinstance(error, Error):
                raise StoreError(f"the index of words could not be brought up to date: {error}") from error
            raise
        self._sessions, self._count, self._place = state.sessions, state.count, log.newest

    def begin(self, seen: Seen) -> None:
        """Hold what was seen of a state; needs no lock but its own."""
        self._execute("BEGIN")
        for at, shown in seen.shown.items():
            self._match(at, shown)
        self._execute("COMMIT")
        self._sessions, self._count, self._place = seen.sessions, seen.changes, seen.place

    def _compare(self, state: Any) -> None:
        for at in list(state.fields):
            if _searched(at):
                self._match(at, shown(at, state.fields[at]), afresh=True)

    def _catch_up(self, state: Any, log: Log) -> bool:
        """Look at what the changes since name; False if they are not those that the state has seen since."""
        if not 0 <= log.newest - self._place <= max(1000, len(self.entries) // 4):
            return False
        news = [kept.gist for _, kept in log.since(self._place)]
        if len(news) != state.count - self._count:
            return False
        longer: dict[At, set[Any]] = {}  # sequences to which some was only added: what
        others: set[At] = set()
        for change in news:
            part: Any
            for number, part in enumerate(change.parts):
                at = part[:2]
                field = state.fields.get(at)
                if field is None or not _searched(at):
                    continue
                n = number << PART_SHIFT
                if type(part) is KeyedPart:
                    added = [(change.session, change.seq, n + i) for i in range(len(part.adds))]
                    self._look(at, field, (*part.removes, *added))
                elif part.kind == SEQUENCE and not part.deletes and not part.moves:
                    size = sum([len(run[1]) for run in part.runs])
                    longer.setdefault(at, set()).update((change.session, change.seq, n + i) for i in range(size))
                else:
                    others.add(at)
        for at, ids in longer.items():
            if at not in others and not self._extend(at, state.fields[at], ids):
                others.add(at)
        for at in others:
            self._match(at, shown(at, state.fields[at]))
        return True

    def _look(self, at: At, field: Keyed, ids: Iterable[Any]) -> None:
        """Hold of these entries those that are live."""
        rows = self._rows(at)
        for id in ids:
            entry = field.by_id.get(id)
            if entry is None:
                if id in rows:
                    self._drop(at, rows.pop(id))
            elif id not in rows:
                insort(self._order[at], self._add(at, id, entry))

    def _extend(self, at: At, field: Any, ids: set[Any]) -> bool:
        """Take in what was appended; False if not all of it is near the end."""
        rows = self._rows(at)
        start = max(field.size() - len(ids) - _SPARE, 0)
        found = [owner for owner in field.units.showing(start) if owner._id in ids]
        if len(found) < len(ids):
            return False
        for entry in found:
            if entry._id not in rows:
                insort(self._order[at], self._add(at, entry._id, entry))
        return True

    def _match(self, at: At, shown: dict[Any, Any], *, afresh: bool = False) -> None:
        """Hold what a field shows; `afresh`, where its entries are other objects than before."""
        rows = self._rows(at)
        for id in rows.keys() - shown.keys():
            self._drop(at, rows.pop(id))
        if afresh:
            for id, row in rows.items():
                self._put(row, shown[id])
        self._order[at] += [self._add(at, id, shown[id]) for id in shown.keys() - rows.keys()]
        self._order[at].sort()

    def _rows(self, at: At) -> dict[Any, int]:
        self._order.setdefault(at, [])
        return self.rows.setdefault(at, {})

    def _put(self, row: int, item: Entry | Passage) -> Entry:
        if type(item) is Passage:
            self.shares[row] = item.shares
            item = item.entry
        self.entries[row] = item  # type: ignore[assignment]
        return item  # type: ignore[return-value]

    def _add(self, at: At, id: Any, item: Entry | Passage) -> Rank:
        row, self._next = self._next, self._next + 1
        entry = self._put(row, item)
        self.kinds[row] = at
        self.rows[at][id] = row
        self._execute("INSERT INTO words (rowid, text, label) VALUES (?, ?, ?)", (row, *said(at[0], entry)))
        return self.rank(row)

    def _drop(self, at: At, row: int) -> None:
        self._execute("DELETE FROM words WHERE rowid = ?", (row,))
        del self.entries[row], self.kinds[row]
        self.shares.pop(row, None)
        self.digests.pop(row, None)
        if len(self._order[at]) > 2 * len(self.rows[at]) + _SPARE:
            self._order[at] = [old for old in self._order[at] if old[3] in self.entries]

    # -- asking ------------------------------------------------------------------------------------

    def newest_first(self, *ats: At) -> Iterator[int]:
        """All rows, or those of some fields, the newest first; of one moment, in one order for everybody."""
        some = [reversed(self._order[at]) for at in ats or self._order]
        return (row for _, _, _, row in merge(*some, reverse=True) if row in self.entries)

    def rank(self, row: int) -> Rank:
        """When it was written, and what tells it from others of that moment: the same everywhere, up to the row."""
        at, entry = self.kinds[row], self.entries[row]
        text: Any = entry._frozen if at[0] == TEXT else ""
        return entry._stamp.hlc, entry._id, text, row  # type: ignore[union-attr]

    def ask(self, phrases: list[str], admit: Callable[[int], object], limit: int) -> list[tuple[float, int]]:
        """The rows that hold any of these phrases, best first, each with its score.

        Equal scores are ordered by time, then id: neither rows nor the order of arrival decide. So all that share the
        last score are looked at.
        """
        if not phrases:
            return []
        best = "SELECT rowid, bm25(words, 1.0, ?) AS score FROM words WHERE words MATCH ? {}ORDER BY score LIMIT ?"
        test, some = "", limit + _SPARE
        while True:
            rows: Any = self._execute(best.format(test), (LABEL, expression(phrases), some)).fetchall()
            found = [(_score(score), row) for row, score in rows if test or admit(row)]
            if len(rows) < some or (len(found) >= limit and found[limit - 1][0] != _score(rows[-1][1])):
                break
            if len(found) < limit:  # the filter turns away many, so it is asked within: 0.5 us for each with the words
                self._admit, test = admit, "AND admits(rowid) "
            some *= 8
        ranked = sorted([(score, *self.rank(row)) for score, row in found], reverse=True)
        return [(score, row) for score, _, _, _, row in ranked[:limit]]


def _score(bm25: float) -> float:
    """To nine digits: the last bits of a sum are the processor's to say."""
    return float(f"{-bm25:.9g}")


def _searched(at: At) -> bool:
    """Counters hold no words; reserved fields speak of other entries."""
    return at[0] != COUNTER and at[1][0] != "@"


def shown(at: At, field: Any) -> dict[Any, Any]:
    """The entries that a field shows, or the paragraphs of a text, each under what tells it from others."""
    if at[0] == TEXT:
        return passages(field)
    if at[0] == SEQUENCE:
        return {entry._id: entry for entry in field.entries()}
    return field.by_id  # type: ignore[no-any-return]


def passages(field: Any) -> dict[Any, Passage]:
    """The paragraphs of a text that say something, in its order, by what they are made of."""
    found: dict[Any, Passage] = {}
    text: str = field.text
    owners: list[Any] = field.units.showing()
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        if line.strip():
            some = tuple(shares(owners[start:end], line))
            made = tuple([(entry._id, entry._frozen) for entry in some])
            nth = next(nth for nth in count() if (made, nth) not in found)  # a line may be there twice
            found[made, nth] = Passage(_mostly(some, line), some)
        start = end + 1
    return found


def _mostly(some: tuple[Entry, ...], line: str) -> Entry:
    """The paragraph as an entry of whoever wrote the most of it."""
    sizes: dict[Any, int] = {}
    for entry in some:
        sizes[entry._id] = sizes.get(entry._id, 0) + len(entry._frozen)  # type: ignore[arg-type]
    most = max(some, key=lambda entry: (sizes[entry._id], entry._stamp.hlc, entry._id))  # type: ignore[union-attr]
    return Entry(most._id, most.field, None, line, most._about, most._stamp)
