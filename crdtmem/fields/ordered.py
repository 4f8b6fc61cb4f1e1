"""The one primitive of sequence and text: units in an order that Yjs keeps.

pycrdt integrates runs; this file keeps what they stand for. Every unit (a value, or a code point) has an owner, the
entry that put it there, and a clock, so that (owner's client, clock) is its Yjs id. pycrdt is only ever given updates
that `yupdate` wrote, each run in a transaction of its own: many updates in one transaction cost 84 us each instead of
2.4.

Rules kept here:
- Deletes never reach Yjs: they change no order. A deleted unit stays in its place and does not show.
- A run names the unit it follows. The unit it precedes is not the author's to say: it is the next one in its causal
  past, the same on every replica. Yjs orders concurrent runs alike everywhere only if each was written between two
  units that stood side by side; an author who could name both could make replicas differ.
- A run or delete that would cut a surrogate pair is void: with half a character Yjs replicas diverge.
- The place of a run is known where nothing concurrent stands between its neighbours; otherwise an observer is set for
  that one update. A standing observer costs 7 us an update, and time in proportion to the document.
- What an author writes on and on is told to Yjs in one run, when something else has to be told: Yjs joins it to the run
  before, and counts all of that anew for each letter (7 us in every 10,000).
- A moved value keeps its entry. Two concurrent moves leave it in two places; the later one (hlc, session) shows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from crdtmem.change import PART_SHIFT, TEXT
from crdtmem.change import Ordered as Part
from crdtmem.entry import Entry, Stamp, Writer
from crdtmem.fields.keyed import mortal
from crdtmem.fields.units import Place, Units
from crdtmem.values import encode
from crdtmem.yupdate import Unit, gap, insertion

if TYPE_CHECKING:
    from pycrdt import Doc

Past = Callable[[Stamp], bool]
LATER = 10_000  # units that Yjs is told later, at most


class Moved:
    """The owner of a unit that shows an entry somewhere else than where it was written."""

    __slots__ = ("_id", "_stamp", "entry")

    def __init__(self, id: tuple[bytes, int, int], stamp: Stamp, entry: Entry) -> None:
        self._id = id
        self._stamp = stamp
        self.entry = entry


class Gone:
    """The owner of a deleted unit: which write put it there, and in which change.

    A value of a sequence is kept: a late move may show it, when the log has been pruned or its history is on its way.
    """

    __slots__ = ("_id", "_stamp", "entry")

    def __init__(self, id: tuple[bytes, int, int], stamp: Stamp, entry: Entry | None = None) -> None:
        self._id = id
        self._stamp = stamp
        self.entry = entry


class Later:
    """A run that Yjs has not been told yet."""

    __slots__ = ("client", "clock", "content", "end", "left", "right")

    def __init__(self, client: int, clock: int, left: Unit | None, right: Unit | None) -> None:
        self.client = client
        self.clock = clock  # of its first unit
        self.end = clock  # and the one after its last
        self.left = left
        self.right = right
        self.content: list[Any] = []


class Ordered:
    """The units of one sequence or text field."""

    def __init__(self, kind: int, name: str) -> None:
        # at the head of the file it took a fifth of `import crdtmem`, and not all have such fields
        from pycrdt import Array, Doc, Text

        self.kind = kind
        self.name = name
        self._doc: Doc[Any] = Doc(allow_multithreading=True)
        self._root: Any = self._doc.get("", type=Text if kind == TEXT else Array)
        self.units = Units()  # deleted ones too; the owner of each is an Entry, Moved or Gone
        self.ticks: dict[int, int] = {}  # client -> its next clock
        self.pairs: dict[int, list[int]] = {}  # client -> sorted clocks of high surrogates
        self.voids: dict[int, list[int]] = {}  # client -> where the units of void parts begin and end, in turn
        self.moves = 0  # live units that are moved ones
        self.notable = False  # whether what came last says something of other entries
        self.mortal = 0  # entries of a sequence that were given a time to live
        self.latest: dict[int, tuple[Unit, Unit | None, int]] = {}  # client -> its last run: end, right, change
        self._hint: Place | None = None
        self._later: Later | None = None
        self._shown: Units | None = None
        self._entries: list[Entry] | None = None
        self._text: str | None = None

    def size(self) -> int:
        """How many units it keeps, deleted ones too."""
        return self.units.size

    @property
    def dead(self) -> int:
        """How many of them are deleted."""
        return self.units.dead

    # -- judging -----------------------------------------------------------------------------------

    def flaw(self, part: Part, client: int, past: Past | None) -> str | None:
        """Why this part is void, or None. It depends on the part and its causal past alone (invariant 4)."""
        mine = self.ticks.get(client, 0)
        for owner, clock, length in part.deletes:
            if self._unknown((owner, clock), length, client, mine):
                return "a delete names units that are not in its past"
            if self._cuts((owner, clock - 1)) or self._cuts((owner, clock + length - 1)):
                return "a delete cuts a surrogate pair"
        fresh: set[int] = set()
        for run in part.runs:
            flaw = self._astray(run[0], client, mine, fresh, past)
            if flaw:
                return flaw
            if self.kind != TEXT or run[1].isascii():
                mine += len(run[1])
            else:
                for char in run[1]:
                    if char > "\uffff":
                        fresh.add(mine)
                        mine += 1
                    mine += 1
        for move in part.moves:
            flaw = self._astray(move[0], client, mine, fresh, past)
            if flaw:
                return flaw
            mine += 1
        return None

    def _astray(self, left: Unit | None, client: int, mine: int, fresh: set[int], past: Past | None) -> str | None:
        """What is wrong with the unit that a run follows."""
        if left is None:
            return None
        if self._unknown(left, 1, client, mine):
            return "a run names a unit that is not in its past"
        if past is not None and left[0] != client and not past(self._stamp(left)):
            return "a run names a unit that its author had not seen"
        if self._cuts(left) or (left[0] == client and left[1] in fresh):
            return "a run cuts a surrogate pair"
        return None

    def _unknown(self, unit: Unit, length: int, client: int, mine: int) -> bool:
        last = unit[1] + length - 1
        if last >= (mine if unit[0] == client else self.ticks.get(unit[0], 0)):
            return True
        voids = self.voids.get(unit[0])
        if voids is None:
            return False
        before = bisect_right(voids, unit[1])
        return before % 2 == 1 or before != bisect_right(voids, last)

    def _cuts(self, unit: Unit) -> bool:
        """Whether it is the first half of a character."""
        pairs = self.pairs.get(unit[0])
        if not pairs:
            return False
        at = bisect_left(pairs, unit[1])
        return at < len(pairs) and pairs[at] == unit[1]

    def skip(self, part: Part, client: int) -> None:
        """Spend the clocks of a void part: whether a change may enter must not depend on verdicts (invariant 4)."""
        units = part.units
        if units:
            clock = self.ticks.get(client, 0)
            self._tell()
            self._doc.apply_update(gap(client, clock, units))
            self.ticks[client] = clock + units
            self.voids.setdefault(client, []).extend((clock, clock + units))

    # -- applying ----------------------------------------------------------------------------------

    def apply(
        self,
        part: Part,
        number: int,
        stamp: Stamp,
        staged: list[Entry] | None,
        moved: Sequence[Entry | None],
        past: Past | None,
    ) -> tuple[list[Entry], list[Entry]]:
        """Integrate a part that has no flaw; return the entries that appeared and those that went.

        Args:
            part: what to do.
            number: its place in the change.
            stamp: the change it is part of.
            staged: the entries our own write made for its runs, to be completed instead of new ones.
            moved: the entries of its moves; None for one that is void, which shows nowhere.
            past: whether a change was in the past of this one; None when all that is here was.
        """
        self._shown = self._entries = self._text = None
        gone = self._delete(part.deletes) if part.deletes else []
        added: list[Entry] = []
        session, seq = stamp.writer.id, stamp.seq
        n = number << PART_SHIFT
        for run in part.runs:
            entries: list[Entry] = []
            for value in run[1] if self.kind != TEXT else (run[1],):
                if staged is not None:
                    entry = staged[len(added) + len(entries)]
                    entry._id, entry._stamp = (session, seq, n), stamp
                else:
                    about = run[2] if len(run) > 2 else part.about
                    entry = Entry((session, seq, n), self.name, None, value, about, stamp)
                entries.append(entry)
                if entry._about is not None and len(entry._about) > 1:
                    self.notable = True
                    self.mortal += mortal(entry)
                n += 1
            self._insert(stamp, run[0], run[1], entries, past)
            added += entries
        for move, shown in zip(part.moves, moved, strict=True):
            if shown is None:
                self._insert(stamp, move[0], (None,), [Gone((session, seq, n), stamp)], past, live=False)
                n += 1
                continue
            self._insert(stamp, move[0], (None,), [Moved((session, seq, n), stamp, shown)], past)
            n += 1
            self.moves += 1
            added.append(shown)
        still = {entry._id for entry in moved if entry is not None}
        return added, [entry for entry in gone if entry._id not in still]

    def bury(self, part: Part, number: int, stamp: Stamp, past: Past | None) -> None:
        """Integrate a part that has no flaw and is void: others may have written on behind it, so its units take
        their places, and show nothing; what it deletes and moves stays where it is.
        """
        self._shown = self._entries = self._text = None
        session, seq = stamp.writer.id, stamp.seq
        n = number << PART_SHIFT
        for run in (*part.runs, *[(left, (None,)) for left, _ in part.moves]):
            size = 1 if type(run[1]) is str else len(run[1])
            owners = [Gone((session, seq, n + i), stamp) for i in range(size)]
            self._insert(stamp, run[0], run[1], owners, past, live=False)
            n += size

    def _insert(
        self,
        stamp: Stamp,
        left: Unit | None,
        content: Any,
        owners: list[Any],
        past: Past | None,
        *,
        live: bool = True,
    ) -> None:
        client = stamp.writer.client
        clock = self.ticks.get(client, 0)
        place = self.units.place(0) if left is None else self._behind(left)
        right, sure = self._right(stamp.writer, left, place, past)
        clocks, end = self._clocked(client, clock, content)
        if sure:
            self._tell_later(client, clock, end, left, right, content)
        else:
            text = content if self.kind == TEXT else len(content)
            place = self.units.place(self._observed(insertion(client, clock, left, right, text)))
        owners = owners * (len(clocks) // len(owners))
        alive = (b"\x01" if live else b"\x00") * len(owners)
        self._hint = self.units.insert(place, client, owners, clocks, alive, content if self.kind == TEXT else "")
        self.ticks[client] = end
        self.latest[client] = ((client, end - 1), right, stamp.seq)

    def _clocked(self, client: int, clock: int, content: Any) -> tuple[array[int], int]:
        """The clocks of new units, and the one that follows them."""
        if self.kind != TEXT or content.isascii() or max(content) <= "\uffff":
            return array("Q", range(clock, clock + len(content))), clock + len(content)
        clocks = array("Q")
        for char in content:
            clocks.append(clock)
            if char > "\uffff":
                self.pairs.setdefault(client, []).append(clock)
                clock += 1
            clock += 1
        return clocks, clock

    def _right(
        self, writer: Writer, left: Unit | None, place: Place | None, past: Past | None
    ) -> tuple[Unit | None, bool]:
        """The unit that follows `left` in the past of the change, and whether nothing concurrent stands in between."""
        here = behind = place and self.units.stand(place)
        if past is None:
            return unit_at(here), True
        end, right, seq = self.latest.get(writer.client, (None, None, 0))
        if left is not None and end == left and writer.saw <= seq:
            # the author wrote on where it had written last, having seen nothing new since
            return right, right == unit_at(here)
        while behind is not None and not past(behind[0].owners[behind[1]]._stamp):
            behind = self.units.stand((behind[0], behind[1] + 1))
        return unit_at(behind), behind == here

    def _delete(self, deletes: Sequence[tuple[int, int, int]]) -> list[Entry]:
        gone: list[Entry] = []
        husks: dict[int, Gone] = {}
        for client, clock, length in deletes:
            end = clock + length
            here: Place | None = None
            while clock < end:
                if here is None or unit_at(here) != (client, clock):
                    here = self._find((client, clock))
                piece, at = here
                clock += 1 + (self.kind == TEXT and piece.chars[at] > "\uffff")
                if piece.alive[at]:
                    owner = piece.owners[at]
                    if type(owner) is Moved:
                        self.moves -= 1
                    if self.kind != TEXT:
                        gone.append(shown_by(owner))
                    self.units.kill(here, husks.setdefault(id(owner), self._husk(owner)))
                self._hint = piece, at + 1
                here = self.units.stand(self._hint)
        return gone

    def _husk(self, owner: Any) -> Gone:
        return Gone(owner._id, owner._stamp, shown_by(owner) if self.kind != TEXT else None)

    def written(self, id: tuple[bytes, int, int]) -> Entry | None:
        """A value as it was written, as far as it is still here."""
        for owner in self.units.owners():
            entry: Entry | None = owner if type(owner) is Entry else owner.entry
            if entry is not None and entry._id == id:
                return entry
        return None

    def made(self, unit: Unit | None) -> Stamp | None:
        """The change that made a unit, if it has a place here."""
        if unit is None or unit[1] >= self.ticks.get(unit[0], 0):
            return None
        try:
            return self._stamp(unit)
        except ValueError:  # it was made by a part with a flaw
            return None

    def last(self, unit: Unit) -> Unit | None:
        """A unit of a forked session, if it is not void; else the last one before that has a place here."""
        client, clock = unit
        if clock >= self.ticks.get(client, 0):
            clock = self.ticks.get(client, 0) - 1
            voids = self.voids.get(client, [])
            while clock >= 0 and bisect_right(voids, clock) % 2:
                clock = voids[bisect_right(voids, clock) - 1] - 1
        return (client, clock) if clock >= 0 else None

    def clipped(self, span: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """What of a span of a forked session is not void."""
        client, clock, length = span
        length = min(length, self.ticks.get(client, 0) - clock)
        return (client, clock, length) if length > 0 else None

    def expect(self, at: int) -> None:
        """The next edit is likely to be at this place: it is looked for here first."""
        before = self.units.place(at - 1) if 0 < at <= self.units.size else None  # a fork may have taken what was there
        self._hint = before and (before[0], before[1] + 1)

    def _find(self, unit: Unit) -> Place:
        """Where a unit stands. Looks where the last edit was, and at the end."""
        client, clock = unit
        if self._cuts((client, clock - 1)):
            clock -= 1  # the second half of a character
        unit = client, clock
        if self._hint is not None:
            piece, at = self._hint
            if at and unit_at((piece, at - 1)) == unit:
                return piece, at - 1
            here = self.units.stand(self._hint)
            if here is not None and unit_at(here) == unit:
                return here
        if self.units.pieces:
            piece = self.units.pieces[-1]
            if unit_at((piece, len(piece.owners) - 1)) == unit:
                return piece, len(piece.owners) - 1
        return self.units.find(client, clock)

    def _behind(self, unit: Unit) -> Place:
        piece, at = self._find(unit)
        return piece, at + 1

    def _stamp(self, unit: Unit) -> Stamp:
        piece, at = self._find(unit)
        stamp: Stamp = piece.owners[at]._stamp
        return stamp

    # -- Yjs ---------------------------------------------------------------------------------------

    def _tell_later(
        self, client: int, clock: int, end: int, left: Unit | None, right: Unit | None, content: Any
    ) -> None:
        later = self._later
        on = later is not None and (later.client, later.end) == (client, clock) and left == (client, clock - 1)
        if later is None or not on or later.right != right or end - later.clock > LATER:
            self._tell()
            later = self._later = Later(client, clock, left, right)
        if self.kind == TEXT:
            later.content.append(content)
        later.end = end

    def _tell(self) -> None:
        later, self._later = self._later, None
        if later is not None:
            text = "".join(later.content) if self.kind == TEXT else later.end - later.clock
            self._doc.apply_update(insertion(later.client, later.clock, later.left, later.right, text))

    def _observed(self, update: bytes) -> int:
        """Apply the update of one run and let Yjs say where it stands."""
        self._tell()
        deltas: list[Any] = []
        watch = self._root.observe(lambda event: deltas.extend(event.delta))
        try:
            self._doc.apply_update(update)
        finally:
            self._root.unobserve(watch)
        at: int = deltas[0].get("retain", 0)
        return self.units.char(at) if self.kind == TEXT else at

    # -- checkpoints -------------------------------------------------------------------------------

    def encoded(self) -> bytes:
        """What Yjs keeps. It scans all of it: 0.7 ms for 80,000 units."""
        self._tell()
        update: bytes = self._doc.get_update()
        return update

    def resume(
        self,
        owners: list[Any],
        clocks: array[int],
        alive: bytes,
        chars: str,
        ticks: dict[int, int],
        pairs: dict[int, list[int]],
        voids: dict[int, list[int]],
        latest: dict[int, tuple[Unit, Unit | None, int]],
        update: bytes,
    ) -> None:
        """Be what it was when a checkpoint was made."""
        self.units = Units(owners, clocks, alive, chars)
        self._hint = None
        self.ticks, self.pairs, self.voids, self.latest = ticks, pairs, voids, latest
        self.moves = sum(type(owner) is Moved for owner in owners)
        self.mortal = _mortals(owners)
        self._doc.apply_update(update)

    # -- the past ----------------------------------------------------------------------------------

    def then(self, was: Callable[[Stamp], bool], alive: Callable[[Any, Unit, bool], Any]) -> Ordered:
        """What showed when only some changes had been made. The order of units is the same whoever looks.

        Args:
            was: whether a change had been made.
            alive: the owner that a unit of such a change had, or None if it was deleted; told the owner it has now,
                its name, and whether it shows.
        """
        found = Ordered(self.kind, self.name)
        owners, clocks, shows, chars = [], array("Q"), bytearray(), []
        for unit, owner, showing, char in self.units.each():
            if was(owner._stamp):
                before = alive(owner, unit, bool(showing))
                owners.append(owner if before is None else before)
                clocks.append(unit[1])
                shows.append(before is not None)
                chars.append(char)
        found.units = Units(owners, clocks, shows, "".join(chars))
        found.moves = sum(live and type(o) is Moved for o, live in zip(owners, shows, strict=True))
        found.mortal = _mortals(owners)
        return found

    # -- reading -----------------------------------------------------------------------------------

    def shown(self) -> Units:
        """Units of which those that do not show are deleted. It may change with the field."""
        if not self.moves:
            return self.units
        if self._shown is None:
            self._shown = self.units.copy(self.hidden())
        return self._shown

    def hidden(self) -> set[int]:
        """The places of entries that a later concurrent move shows elsewhere."""
        best: dict[Any, tuple[tuple[int, bytes], int]] = {}
        lost: set[int] = set()
        for at, (owner, lives) in enumerate(zip(self.units.owners(), self.units.alive(), strict=True)):
            if not lives:
                continue
            id = shown_by(owner)._id
            rank = (owner._stamp.hlc, owner._stamp.writer.id) if type(owner) is Moved else (-1, b"")
            other = best.get(id)
            if other is not None:
                lost.add(other[1] if rank > other[0] else at)
            if other is None or rank > other[0]:
                best[id] = (rank, at)
        return lost

    @property
    def text(self) -> str:
        """What a text reads."""
        if self._text is None:
            self._text = self.units.text()
        return self._text

    def entries(self) -> list[Entry]:
        """The entries of a sequence, in order."""
        if self._entries is None:
            owners = self.shown().showing()
            self._entries = list(map(shown_by, owners)) if self.moves else owners
        return self._entries[:]

    def shares(self) -> list[Entry]:
        """What is left of each insertion into a text, in its order."""
        return shares(self.units.showing(), self.text)

    def digest(self) -> bytes:
        """A digest of the visible content; empty when there is none."""
        if self.units.dead == self.units.size:
            return b""
        if self.kind == TEXT:
            return blake2b(self.text.encode(), digest_size=32).digest()
        data = encode([(entry._id, entry._frozen) for entry in self.entries()])
        return blake2b(data, digest_size=32).digest()


def unit_at(place: Place | None) -> Any:
    """The name of the unit at a place; None where there is none."""
    if place is None:
        return None
    piece, at = place
    return piece.owners[at]._stamp.writer.client, piece.clocks[at]


def shown_by(owner: Any) -> Entry:
    """The entry that a live unit shows."""
    return owner.entry if type(owner) is Moved else owner


def _mortals(owners: Iterable[Any]) -> int:
    """How many of these show an entry with a time to live."""
    return sum([mortal(shown_by(owner)) for owner in {id(o): o for o in owners if type(o) is not Gone}.values()])


def shares(owners: Sequence[Any], chars: str) -> list[Entry]:
    """The stretches of a text that belong to one entry, each as that entry with what is left of its text."""
    found: list[Entry] = []
    start = 0
    for at in range(1, len(owners) + 1):
        if at == len(owners) or owners[at] is not owners[start]:
            whole: Entry = owners[start]
            found.append(Entry(whole._id, whole.field, None, chars[start:at], whole._about, whole._stamp))
            start = at
    return found


def _named(part: Part) -> Iterable[Unit]:
    for run in (*part.runs, *part.moves):
        if run[0]:
            yield run[0]
    for client, clock, length in part.deletes:
        yield (client, clock + length - 1)


def missing(part: Part, author: int, ticks: Mapping[int, int], planned: Mapping[int, int]) -> int | None:
    """A client some of whose units the part names are not here yet, or None.

    Args:
        part: what is to be applied.
        author: the client of its session.
        ticks: the units that are here, by client.
        planned: the units about to be applied, by client.
    """
    for client, clock in _named(part):
        known = ticks.get(client, 0) + planned.get(client, 0)
        if clock >= (known + part.units if client == author else known):
            return client
    return None
