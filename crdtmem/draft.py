"""Writes that are staged and not yet made: what an open `change()` block, or one single write, is going to say.

A draft reads its own writes over the fields as they are, and holds no lock while it is open (invariant 9). A single
write is the draft of one field, begun and committed under the memory's lock, so both take one path.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from crdtmem.change import COUNTER, MAX_RUNS, PART_SHIFT, RECORDS, TEXT, utf16
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.entry import About, Entry, Writer, over, settled
from crdtmem.errors import ValueRefused
from crdtmem.fields.keyed import Keyed, mortal
from crdtmem.fields.ordered import Gone, Ordered, shares, shown_by, unit_at
from crdtmem.fields.units import Place
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
            before = self.field.by_key.get(session.id)
            running: int = before._frozen if before is not None else 0
            for entry in self._adds.values():
                if type(entry.key) is tuple:
                    continue  # it takes an increment back
                running += entry.extra
                if not MIN_INT <= running <= MAX_INT:
                    raise ValueRefused(f"counter {self.field.name!r}: the total of one session would leave int64")
                entry._frozen, entry.key = running, session.id
        return list(self._adds.values())

    def part(self, session: Writer, said: About | None) -> KeyedPart:
        """The part to write, once every entry has its id; `said` is what its entries say unless they say otherwise."""
        field = self.field
        adds: list[tuple[Any, ...]]
        if field.kind == RECORDS:
            adds = [_record(e, said) for e in self._adds.values()]
        elif field.kind == COUNTER:
            id = session.id
            entries = self._adds.values()
            adds = [(e._frozen,) if e._about is said and e.key is id else _counted(e, said) for e in entries]
        else:
            adds = [(e._frozen,) if e._about is said else (e._frozen, e._about) for e in self._adds.values()]
        return _part(KeyedPart, (field.kind, field.name, said, tuple(adds), tuple(self._removes)))


def put(part: KeyedDraft, about: About | None, key: Any, frozen: Frozen) -> Entry:
    """Stage one entry in place of all that is seen under its key; in a counter, an amount beside the others."""
    if part.field.kind == COUNTER:
        return part.add(key, frozen, about, frozen)
    return part.put(key, frozen, about)


def put_over(part: KeyedDraft, about: About | None, key: Any, frozen: Frozen, past: Mapping[bytes, int]) -> Entry:
    """The same for who has seen less: what was not in that past stays beside it."""
    for entry in part.live(key):
        if entry._id is None or entry._id[1] <= past.get(entry._id[0], 0):
            part.remove(entry)
    return part.add(key, frozen, about)


def _counted(entry: Entry, said: About | None) -> tuple[Any, ...]:
    about = None if entry._about is said else entry._about
    if type(entry.key) is tuple:
        return (entry._frozen, about, entry.key)
    return (entry._frozen,) if about is None else (entry._frozen, about)


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


class OrderedDraft:
    """Staged inserts, removals and moves of one ordered field, as a table of pieces over what stood there.

    It speaks of units by their Yjs ids, so what others write while it is open moves nothing.
    """

    __slots__ = ("_pieces", "_units", "field")

    def __init__(self, field: Ordered, *, snapshot: bool) -> None:
        self.field = field
        shown = field.shown()
        self._units = shown.copy() if snapshot and shown is field.units else shown  # what stood there
        self._pieces: list[Fresh | Stretch] = [Stretch(0, shown.size)] if shown.size else []

    @property
    def mortal(self) -> bool:
        """Whether an entry it sees may have a time to live."""
        return bool(self.field.mortal)

    def __len__(self) -> int:
        return sum(map(self._size, self._pieces))

    def _size(self, piece: Fresh | Stretch) -> int:
        """How much of it shows."""
        if type(piece) is Stretch:
            return self._units.live(piece.end) - self._units.live(piece.start)
        return len(piece)

    @property
    def text(self) -> str:
        """What a text would read."""
        return "".join(
            self._units.text(*piece) if type(piece) is Stretch else piece.content  # type: ignore[union-attr]
            for piece in self._pieces
        )

    def entries(self) -> list[Entry]:
        """What a sequence would hold."""
        found: list[Entry] = []
        for piece in self._pieces:
            found += map(shown_by, self._units.showing(*piece)) if type(piece) is Stretch else piece.entries  # type: ignore[union-attr]
        return found

    def entry(self, at: int) -> Entry:
        """What a sequence would hold at an index."""
        for piece in self._pieces:
            size = self._size(piece)
            if at < size:
                if type(piece) is not Stretch:
                    return piece.entries[at]  # type: ignore[union-attr]
                units = self._units
                [owner] = units.owners(place := units.nth(units.live(piece.start) + at), place + 1)
                return shown_by(owner)
            at -= size
        raise IndexError(at)

    def shares(self) -> list[Entry]:
        """What is left of each insertion into a text, in its order."""
        found: list[Entry] = []
        for piece in self._pieces:
            if type(piece) is Stretch:
                found += shares(self._units.showing(*piece), self._units.text(*piece))
            else:
                found += piece.entries  # type: ignore[union-attr]
        return found

    def insert(self, at: int, fresh: Fresh) -> None:
        """Put a run before what shows at this index, right behind what shows before that."""
        index = self._split(at - 1, behind=True) if at else 0
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
        if start < end:
            first = self._split(start, behind=False)
            del self._pieces[first : self._split(end - 1, behind=True)]

    def _split(self, at: int, *, behind: bool) -> int:
        """The index in the table of the piece that begins with what shows at this index, or right behind it."""
        for index, piece in enumerate(self._pieces):
            size = self._size(piece)
            if at < size:
                cut = at + behind
                if type(piece) is Stretch:
                    cut = self._units.nth(self._units.live(piece.start) + at) + behind - piece.start
                if cut == 0:
                    return index
                if cut < len(piece):
                    self._pieces[index : index + 1] = self._halves(piece, cut)
                return index + 1
            at -= size
        raise IndexError(at)

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
        if not separate and not self._gone():
            return None
        return [entry for piece in runs for entry in piece.entries]

    def part(self, session: Writer, said: About | None) -> OrderedPart:
        """The part to write, once every entry has its id; `said` is what its entries say unless they say otherwise."""
        text = self.field.kind == TEXT
        clock = self.field.ticks.get(session.client, 0)
        ends: dict[int, Unit] = {}  # id(piece) -> its last unit, once it is there
        runs: list[tuple[Any, ...]] = []
        moves: list[tuple[Any, ...]] = []
        for piece in (*self._fresh(moved=False), *self._fresh(moved=True)):
            left = self._left(piece, ends)
            clock += utf16(piece.content) if text else len(piece.content)
            ends[id(piece)] = (session.client, clock - 1)
            if piece.moved is not None:
                moves.append((left, tuple(piece.moved.id)))
                continue
            content = piece.content if text else tuple(piece.content)
            about = settled(piece.about)
            runs.append((left, content) if about is None or about == said else (left, content, about))
        deletes = self._deletes()
        self.field.expect(self._first())
        return OrderedPart(self.field.kind, self.field.name, said, tuple(runs), tuple(deletes), tuple(moves))

    def _first(self) -> int:
        """Where the first edit is, by what stood there."""
        at = 0
        for piece in self._pieces:
            if type(piece) is not Stretch or piece.start != at:
                break
            at = piece.end
        return at

    def _fresh(self, *, moved: bool) -> list[Fresh]:
        return [p for p in self._pieces if type(p) is Fresh and (p.moved is not None) == moved]

    def _left(self, fresh: Fresh, ends: Mapping[int, Unit]) -> Unit | None:
        """The unit that a run follows, of what is there when it comes."""
        left: Unit | None = None
        for piece in self._pieces:
            if piece is fresh:
                break
            left = self._last_unit(piece.end - 1) if type(piece) is Stretch else ends.get(id(piece), left)
        return left

    def _last_unit(self, at: int) -> Unit:
        """The last UTF-16 unit of what stood there."""
        place = self._units.place(at)
        client, clock = unit_at(place)
        return client, clock + self._wide(place)

    def _wide(self, place: Any) -> bool:
        """Whether a unit takes two clocks."""
        return self.field.kind == TEXT and place[0].chars[place[1]] > "\uffff"

    def _deletes(self) -> list[tuple[int, int, int]]:
        """The spans of Yjs units that showed and are gone from the table."""
        deletes: list[tuple[int, int, int]] = []
        for place in self._gone():
            client, clock = unit_at(place)
            size = 1 + self._wide(place)
            if deletes and deletes[-1][0] == client and sum(deletes[-1][1:]) == clock:
                deletes[-1] = (client, deletes[-1][1], deletes[-1][2] + size)
            else:
                deletes.append((client, clock, size))
        return deletes

    def _gone(self) -> list[Place]:
        """The units that showed and are gone from the table; with each moved entry all the places it stands in."""
        gone: list[Place] = []
        at = 0
        for piece in (*self._pieces, Stretch(self._units.size, self._units.size)):
            if type(piece) is Stretch:
                for units, start, end in self._units.between(at, piece.start):
                    gone += [(units, unit) for unit in range(start, end) if units.alive[unit]]
                at = piece.end
        if gone and self.field.moves:
            entries = {shown_by(piece.owners[at])._id for piece, at in gone}
            gone += [
                (piece, at)
                for piece in self._units.pieces
                for at, owner in enumerate(piece.owners)
                if not piece.alive[at] and type(owner) is not Gone and shown_by(owner)._id in entries
            ]
        return gone


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
) -> list[Any]:
    """The parts of a change.

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
    return [draft.part(session, said) for draft in spoken]
