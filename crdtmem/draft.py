"""Writes that are staged and not yet made: what an open `change()` block, or one single write, is going to say.

A draft reads its own writes over the fields as they are, and holds no lock while it is open (invariant 9). A single
write is the draft of one field, begun and committed under the memory's lock, so both take one path.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from crdtmem.change import COUNTER, MAX_RUNS, PART_SHIFT, RECORDS, TEXT, utf16
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import About, Entry, Writer, over, settled
from crdtmem.errors import ValueRefused
from crdtmem.fields.keyed import Keyed, mortal
from crdtmem.fields.ordered import Moved, Ordered, Owner, shares
from crdtmem.state import State
from crdtmem.values import MAX_INT, MIN_INT, Frozen
from crdtmem.yupdate import Unit


class KeyedDraft:
    """Staged adds and removes of one keyed field."""

    __slots__ = ("_adds", "_over", "_removes", "field")

    def __init__(self, field: Keyed) -> None:
        self.field = field
        self._adds: dict[int, Entry] = {}  # by id(), in order
        self._removes: list[tuple[bytes, int, int]] = []
        self._over: dict[Any, tuple[Entry, ...]] = {}

    @property
    def mortal(self) -> bool:
        """Whether an entry it sees may have a time to live."""
        return bool(self.field.mortal or any(map(mortal, self._adds.values())))

    @property
    def total(self) -> int:
        """Of a counter: what it shows, staged increments included."""
        added: int = sum(entry.extra for entry in self._adds.values())
        return self.field.total + added

    def live(self, key: Any) -> tuple[Entry, ...]:
        """The entries this draft sees under a key."""
        seen = self._over.get(key)
        return self.field.live(key) if seen is None else seen

    def held(self) -> list[Any]:
        """The keys this draft sees an entry under."""
        if not self._over:
            return list(self.field.by_key)
        mine = [key for key, seen in self._over.items() if seen and key not in self.field.by_key]
        return [key for key in list(self.field.by_key) if self._over.get(key, True)] + mine

    def add(self, key: Any, frozen: Frozen, about: About | None, extra: Any = None) -> Entry:
        """Stage an add beside what is seen."""
        entry = Entry(None, self.field.name, key, frozen, about, None, extra)
        self._adds[id(entry)] = entry
        self._over[key] = (*self.live(key), entry)
        return entry

    def put(self, key: Any, frozen: Frozen, about: About | None) -> Entry:
        """Stage an add that replaces all that is seen."""
        entry = Entry(None, self.field.name, key, frozen, about, None)
        if key in self._over or key in self.field.by_key:
            for old in self.live(key):
                self._drop(old)
        self._adds[id(entry)] = entry
        self._over[key] = (entry,)
        return entry

    def remove(self, entry: Entry) -> None:
        """Stage the removal of an entry this draft sees."""
        self._drop(entry)
        self._over[entry.key] = tuple([other for other in self.live(entry.key) if other is not entry])

    def _drop(self, entry: Entry) -> None:
        if entry._id is None:
            del self._adds[id(entry)]
        else:
            self._removes.append(entry._id)

    def finish(self, session: Writer) -> list[Entry] | None:
        """The entries to write, in order; None when nothing is left to say."""
        if not self._adds and not self._removes:
            return None
        if self.field.kind == COUNTER:
            before = self.field.live(session.id)
            running: int = before[0]._frozen if before else 0  # type: ignore[assignment]
            for entry in self._adds.values():
                running += entry.extra
                if not MIN_INT <= running <= MAX_INT:
                    raise ValueRefused(f"counter {self.field.name!r}: the total of one session would leave int64")
                entry._frozen, entry.key = running, session.id
        return list(self._adds.values())

    def part(self, session: Writer, said: About | None) -> tuple[KeyedPart, None]:
        """The part to write, once every entry has its id; `said` is what its entries say unless they say otherwise."""
        field = self.field
        adds: list[tuple[Any, ...]]
        if field.kind != RECORDS:
            adds = [(e._frozen,) if e._about is said else (e._frozen, e._about) for e in self._adds.values()]
        else:
            adds = [_record(e, said) for e in self._adds.values()]
        return _part(KeyedPart, (field.kind, field.name, said, tuple(adds), tuple(self._removes))), None


def _record(entry: Entry, said: About | None) -> tuple[Any, ...]:
    about = None if entry._about is said else entry._about
    if entry.extra is None:
        return (entry._frozen, about, entry.key)
    entry.extra = tuple([tuple(under.id) for under in entry.extra])
    return (entry._frozen, about, entry.key, entry.extra)


_part = tuple.__new__  # a NamedTuple's own constructor costs three times as much


class Fresh:
    """A staged run: new text, new values, or one value moved here."""

    __slots__ = ("about", "content", "entries", "moved")

    def __init__(self, content: Any, entries: list[Entry], about: About | None, moved: Entry | None = None) -> None:
        self.content = content
        self.entries = entries
        self.about = about
        self.moved = moved

    def __len__(self) -> int:
        return len(self.content)


class Stretch(NamedTuple):
    """Units that stood there when the draft began, from start to end."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def units(self) -> range:
        """Where they stood."""
        return range(self.start, self.end)


class OrderedDraft:
    """Staged inserts, removals and moves of one ordered field, as a table of pieces over what stood there.

    What others wrote while it was open is taken in before it is built: a run then follows the unit it was put behind,
    or the nearest one before that still stands.
    """

    __slots__ = ("_chars", "_clocks", "_edits", "_hidden", "_owners", "_pieces", "_tight", "field")

    def __init__(self, field: Ordered, *, snapshot: bool) -> None:
        self.field = field
        self._look(snapshot=snapshot)
        self._pieces: list[Fresh | Stretch] = [Stretch(0, len(self._owners))] if self._owners else []

    def _look(self, *, snapshot: bool) -> None:
        """Take in what stands there now."""
        field = self.field
        self._edits = field.edits
        self._chars = field.chars
        self._owners, self._clocks, self._tight = field.owners, field.clocks, field.tight
        if snapshot:
            self._owners, self._clocks, self._tight = field.owners[:], field.clocks[:], field.tight[:]
        self._hidden = field.hidden()  # units of entries that show elsewhere

    def _rebase(self) -> None:
        """Put the pieces over what shows now."""
        before = [self._unit(at) for at in range(len(self._owners))]
        gone = {before[at] for start, end in self._gaps() for at in range(start, end)}
        behind: dict[int, list[Fresh | Stretch]] = {}  # the unit they follow -> runs
        anchor = -1
        for piece in self._pieces:
            if type(piece) is Stretch:
                anchor = piece.end - 1
            else:
                behind.setdefault(anchor, []).append(piece)
        self._look(snapshot=False)
        here = {self._unit(at): at for at in range(len(self._owners))}
        follow: dict[int, list[Fresh | Stretch]] = {}
        for anchor, runs in behind.items():
            at = anchor
            while at >= 0 and before[at] not in here:
                at -= 1
            follow.setdefault(here[before[at]] if at >= 0 else -1, []).extend(runs)
        self._pieces = follow.get(-1, [])
        start = 0
        for unit, at in here.items():
            if unit in gone or at in follow:
                end = at if unit in gone else at + 1
                self._pieces += [Stretch(start, end)] if end > start else []
                self._pieces += follow.get(at, [])
                start = at + 1
        if start < len(self._owners):
            self._pieces.append(Stretch(start, len(self._owners)))

    @property
    def mortal(self) -> bool:
        """Whether an entry it sees may have a time to live."""
        return bool(self.field.mortal)

    def __len__(self) -> int:
        return sum(map(len, self._pieces)) - len(self._hidden)

    @property
    def text(self) -> str:
        """What a text would read."""
        return "".join(
            self._chars[piece.start : piece.end] if type(piece) is Stretch else piece.content  # type: ignore[union-attr]
            for piece in self._pieces
        )

    def entries(self) -> list[Entry]:
        """What a sequence would hold."""
        found: list[Entry] = []
        for piece in self._pieces:
            if type(piece) is Fresh:
                found += piece.entries
            else:
                found += [_shown(self._owners[at]) for at in piece.units() if at not in self._hidden]  # type: ignore[union-attr]
        return found

    def shares(self) -> list[Entry]:
        """What is left of each insertion into a text, in its order."""
        found: list[Entry] = []
        for piece in self._pieces:
            if type(piece) is Stretch:
                found += shares(self._owners[piece.start : piece.end], self._chars[piece.start : piece.end])
            else:
                found += piece.entries  # type: ignore[union-attr]
        return found

    def insert(self, at: int, fresh: Fresh) -> None:
        """Put a run before what shows at this index."""
        index = self._split(self._place(at))
        before = self._pieces[index - 1] if index else None
        if (
            self.field.kind != TEXT
            and type(before) is Fresh
            and before.about == fresh.about
            and not (before.moved or fresh.moved)
        ):
            before.content += fresh.content
            before.entries += fresh.entries
        else:
            self._pieces.insert(index, fresh)

    def delete(self, start: int, end: int) -> None:
        """Take out what shows from start to end."""
        if not self._hidden:
            if start < end:
                first = self._split(start)
                del self._pieces[first : self._split(end)]
            return
        for at in reversed(range(start, end)):
            entry = self.entries()[at]
            self._cut(self._place(at))
            for double in [unit for unit in self._hidden if _shown(self._owners[unit]) == entry]:
                self._hidden.discard(double)
                self._cut(self._standing(double))

    def _cut(self, place: int) -> None:
        first = self._split(place)
        del self._pieces[first : self._split(place + 1)]

    def _place(self, at: int) -> int:
        """How many units, hidden ones too, stand before what shows at this index."""
        if not self._hidden:
            return at
        place = 0
        for piece in self._pieces:
            for unit in piece.units() if type(piece) is Stretch else [-1] * len(piece):
                if unit not in self._hidden:
                    if not at:
                        return place
                    at -= 1
                place += 1
        return place

    def _standing(self, unit: int) -> int:
        """How many units stand before one that stood there when the draft began."""
        place = 0
        for piece in self._pieces:
            if type(piece) is Stretch and piece.start <= unit < piece.end:
                return place + unit - piece.start
            place += len(piece)
        raise KeyError(unit)

    def _split(self, at: int) -> int:
        """The index in the table at which a piece begins with this unit."""
        end = len(self._pieces)
        if end == 1 and at == len(self._pieces[0]):
            return 1
        for index, piece in enumerate(self._pieces):
            if at <= 0:
                return index
            size = len(piece)
            if at < size:
                self._pieces[index : index + 1] = self._halves(piece, at)
                return index + 1
            at -= size
        return end

    def _halves(self, piece: Fresh | Stretch, at: int) -> list[Fresh | Stretch]:
        if type(piece) is Stretch:
            return [Stretch(piece.start, piece.start + at), Stretch(piece.start + at, piece.end)]
        assert type(piece) is Fresh
        if self.field.kind != TEXT:
            rest = Fresh(piece.content[at:], piece.entries[at:], piece.about)
            piece.entries = piece.entries[:at]
        else:
            twin = Entry(None, self.field.name, None, piece.content[at:], piece.about, None)
            rest = Fresh(piece.content[at:], [twin], piece.about)
            piece.entries[0]._frozen = piece.content[:at]
        piece.content = piece.content[:at]
        return [piece, rest]

    # -- building ----------------------------------------------------------------------------------

    def finish(self, session: Writer) -> list[Entry] | None:
        """The entries to write, in order; None when nothing is left to say."""
        runs = self._fresh(moved=False)
        separate = len(runs) + len(self._fresh(moved=True))
        if separate > MAX_RUNS:
            raise ValueRefused(
                f"{separate} separate insertions in {self.field.name!r}, more than the {MAX_RUNS} of one change; "
                "split it, or join what stands together"
            )
        if not separate and next(self._gaps(), None) is None:
            return None
        if self._edits != self.field.edits:
            self._rebase()
        return [entry for piece in self._fresh(moved=False) for entry in piece.entries]

    def part(self, session: Writer, said: About | None) -> tuple[OrderedPart, list[int]]:
        """The part to write, and where each delete, run and move is to stand."""
        deletes, places = self._deletes()
        text = self.field.kind == TEXT
        clock = self.field.ticks.get(session.client, 0)
        ends: dict[int, tuple[Unit, Unit]] = {}  # id(piece) -> its first and last unit, once it is there
        between: list[tuple[Unit | None, Unit | None]] = []
        plan: list[tuple[int, str | int]] = []
        sure = True
        fresh = (*self._fresh(moved=False), *self._fresh(moved=True))
        for piece in fresh:
            left, right, place, tight = self._seat(piece, ends)
            sure = sure and tight
            size = utf16(piece.content) if text else len(piece.content)
            ends[id(piece)] = ((session.client, clock), (session.client, clock + size - 1))
            clock += size
            between.append((left, right))
            plan.append((place, piece.content if text else size))
        if not sure:
            between = self.field.neighbours(session.client, deletes, plan)
        runs: list[tuple[Any, ...]] = []
        moves: list[tuple[Any, ...]] = []
        for piece, (left, right) in zip(fresh, between, strict=True):
            if piece.moved is not None:
                moves.append((left, right, tuple(piece.moved.id)))
                continue
            content = piece.content if text else tuple(piece.content)
            about = settled(piece.about)
            runs.append((left, right, content) if about is None or about == said else (left, right, content, about))
        part = OrderedPart(self.field.kind, self.field.name, said, tuple(runs), tuple(deletes), tuple(moves))
        return part, places + [place for place, _ in plan]

    def _fresh(self, *, moved: bool) -> list[Fresh]:
        return [p for p in self._pieces if type(p) is Fresh and (p.moved is not None) == moved]

    def _seat(self, fresh: Fresh, ends: Mapping[int, tuple[Unit, Unit]]) -> tuple[Unit | None, Unit | None, int, bool]:
        """Between which units a run goes, at which place, and whether that is sure: nothing may hide in between."""
        left: Unit | None = None
        place = stood = 0
        pieces = iter(self._pieces)
        for piece in pieces:
            if piece is fresh:
                break
            if type(piece) is Stretch:
                left, stood = self._last_unit(piece.end - 1), piece.end
            elif id(piece) in ends:
                left = ends[id(piece)][1]
            else:
                continue
            place += len(piece)
        for piece in pieces:
            if type(piece) is Stretch:
                break
            if id(piece) in ends:
                return left, ends[id(piece)][0], place, bool(self._tight[stood])
        right = self._unit(stood) if stood < len(self._owners) else None
        return left, right, place, bool(self._tight[stood])

    def _unit(self, at: int) -> tuple[int, int]:
        return self._owners[at]._stamp.writer.client, self._clocks[at]  # type: ignore[union-attr]

    def _last_unit(self, at: int) -> tuple[int, int]:
        client, clock = self._unit(at)
        return client, clock + (self.field.kind == TEXT and self._chars[at] > "\uffff")

    def _deletes(self) -> tuple[list[tuple[int, int, int]], list[int]]:
        """The spans of Yjs units that are gone from the table, and where each begins."""
        deletes: list[tuple[int, int, int]] = []
        places: list[int] = []
        for start, end in self._gaps():
            for at in range(start, end):
                client, clock = self._unit(at)
                width = self._last_unit(at)[1] - clock + 1
                if places and at > start and deletes[-1][0] == client and sum(deletes[-1][1:]) == clock:
                    deletes[-1] = (client, deletes[-1][1], deletes[-1][2] + width)
                else:
                    deletes.append((client, clock, width))
                    places.append(at)
        return deletes, places

    def _gaps(self) -> Iterator[tuple[int, int]]:
        at = 0
        for piece in self._pieces:
            if type(piece) is Stretch:
                if piece.start > at:
                    yield at, piece.start
                at = piece.end
        if at < len(self._owners):
            yield at, len(self._owners)


def _shown(owner: Owner) -> Entry:
    return owner.entry if type(owner) is Moved else owner  # type: ignore[return-value]


Staged = KeyedDraft | OrderedDraft


class Draft:
    """The writes of an open block."""

    __slots__ = ("_guard", "_state", "about", "cites", "lock", "open", "parts")

    def __init__(self, state: State, guard: threading.RLock, about: About | None) -> None:
        self._state = state
        self._guard = guard  # the memory's lock, held for the moment in which a part is begun
        self.about = about
        self.cites = about is not None  # whether something may cite an entry that has no id yet
        self.lock = threading.RLock()
        self.open = True
        self.parts: dict[tuple[int, str], Staged] = {}

    def part(self, at: tuple[int, str]) -> Staged:
        """The draft of one field, begun with its first write."""
        part = self.parts.get(at)
        if part is None:
            with self._guard:
                field = self._state.field(*at)
                part = KeyedDraft(field) if type(field) is Keyed else OrderedDraft(field, snapshot=True)  # type: ignore[arg-type]
                self.parts[at] = part
        return part

    def said(self, own: About | None) -> About | None:
        """What a write in this draft says: its own words over those of the block."""
        return self.about if own is None else over(self.about, own)


def build(
    drafts: Iterable[Staged], said: About | None, session: Writer, seq: int, staged: list[list[Entry]], *, cites: bool
) -> tuple[list[Any], list[list[int] | None]]:
    """The parts of a change, and the places of ordered ones.

    Args:
        drafts: what was staged, field by field.
        said: what all of it says about itself.
        session: whose change it is.
        seq: and which.
        staged: takes the entries of each part, whose ids are final now.
        cites: whether entries may cite others of the same change.
    """
    spoken: list[Staged] = []
    id = session.id
    n = 0
    for draft in drafts:
        entries = draft.finish(session)
        if entries is not None:
            staged.append(entries)
            for entry in entries:
                entry._id = (id, seq, n)
                n += 1
            spoken.append(draft)
            n = len(spoken) << PART_SHIFT
    if cites:
        plain = settled(said)
        for entries in staged:
            for entry in entries:
                entry._about = plain if entry._about is said else settled(entry._about)
        said = plain
    parts: list[Any] = []
    places: list[list[int] | None] = []
    for draft in spoken:
        part, expected = draft.part(session, said)
        parts.append(part)
        places.append(expected)
    return parts, places
