"""The one primitive of sequence and text: units in an order that Yjs keeps.

pycrdt integrates runs; this file keeps what they stand for. Every visible unit (a value, or a code point) has an
owner, the entry that put it there, and a clock, so that (owner's client, clock) is its Yjs id. pycrdt is only ever
given updates that `yupdate` wrote, each run in a transaction of its own: many updates in one transaction cost 84 us
each instead of 2.4.

Rules kept here:
- A run or delete that would cut a surrogate pair is void: with half a character Yjs replicas diverge.
- A run is written between two units that stand side by side in Yjs, deleted ones included: with others in between,
  replicas may order concurrent runs differently. Of what does not show we only keep whether there may be any (`tight`
  says there is none); where there may, `neighbours` lets Yjs make the edit on a copy and tells what it chose.
- The place of a foreign run is found without asking Yjs when its two neighbours still stand side by side where the
  run before it leads us to look; otherwise an observer is set for that one update. A standing observer costs 7 us an
  update, and time in proportion to the document where several authors interleave.
- A moved value keeps its entry. Two concurrent moves leave it in two places; the later one (hlc, session) shows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from pycrdt import Array, Doc, Text

from crdtmem.change import PART_SHIFT, TEXT, utf16
from crdtmem.change import Ordered as Part
from crdtmem.entry import Entry, Stamp
from crdtmem.fields.keyed import mortal
from crdtmem.values import encode
from crdtmem.yupdate import Unit, deletion, gap, insertion, neighbours


class Moved:
    """The owner of a unit that shows an entry somewhere else than where it was written."""

    __slots__ = ("_id", "_stamp", "entry")

    def __init__(self, id: tuple[bytes, int, int], stamp: Stamp, entry: Entry) -> None:
        self._id = id
        self._stamp = stamp
        self.entry = entry


Owner = Entry | Moved


class Ordered:
    """The units of one sequence or text field."""

    __slots__ = (
        "_cache",
        "_doc",
        "_root",
        "chars",
        "clocks",
        "edits",
        "hint",
        "kind",
        "mortal",
        "moves",
        "name",
        "owners",
        "pairs",
        "ticks",
        "tight",
        "voids",
    )

    def __init__(self, kind: int, name: str) -> None:
        self.kind = kind
        self.name = name
        self._doc: Doc[Any] = Doc(allow_multithreading=True)
        self._root: Any = self._doc.get("", type=Text if kind == TEXT else Array)
        self.owners: list[Owner] = []
        self.clocks = array("Q")
        self.tight = bytearray(b"\x01")  # for each place: whether nothing hidden stands before what shows there
        self.chars = ""  # of a text
        self.edits = 0  # parts applied so far
        self.ticks: dict[int, int] = {}  # client -> its next clock
        self.pairs: dict[int, list[int]] = {}  # client -> sorted clocks of high surrogates
        self.voids: dict[
            int, list[int]
        ] = {}  # client -> clocks at which the units of void parts begin and end, in turn
        self.moves = 0  # live units that are moved ones
        self.mortal = 0  # entries of a sequence that were given a time to live
        self.hint = 0
        self._cache: Any = None

    # -- judging -----------------------------------------------------------------------------------

    def flaw(self, part: Part, client: int) -> str | None:
        """Why this part is void, or None. It depends on the part and its causal past alone (invariant 4)."""
        mine = self.ticks.get(client, 0)
        fresh = self._fresh_pairs(part, mine)
        sizes = [*(_length(self.kind, run[2]) for run in part.runs), *(1 for _ in part.moves)]
        for run, size in zip((*part.runs, *part.moves), sizes, strict=True):
            if self._unknown(run[0], client, mine) or self._unknown(run[1], client, mine):
                return "a run names units that are not in its past"
            if self._cuts(run[0], client, fresh, 0) or self._cuts(run[1], client, fresh, -1):
                return "a run cuts a surrogate pair"
            mine += size
        mine = self.ticks.get(client, 0)
        for owner, clock, length in part.deletes:
            if self._unknown((owner, clock + length - 1), client, mine):
                return "a delete names units that are not in its past"
            if self._cuts((owner, clock), 0, (), -1) or self._cuts((owner, clock + length - 1), 0, (), 0):
                return "a delete cuts a surrogate pair"
        return None

    def _unknown(self, unit: Unit | None, client: int, mine: int) -> bool:
        if unit is None:
            return False
        if unit[1] >= (mine if unit[0] == client else self.ticks.get(unit[0], 0)):
            return True
        return unit[0] in self.voids and bisect_right(self.voids[unit[0]], unit[1]) % 2 == 1

    def skip(self, part: Part, client: int) -> None:
        """Spend the clocks of a void part: whether a change may enter must not depend on verdicts (invariant 4)."""
        units = part.units
        if units:
            clock = self.ticks.get(client, 0)
            self._doc.apply_update(gap(client, clock, units))
            self.ticks[client] = clock + units
            self.voids.setdefault(client, []).extend((clock, clock + units))

    def _cuts(self, unit: Unit | None, client: int, fresh: Iterable[int], shift: int) -> bool:
        if unit is None or self.kind != TEXT:
            return False
        clock = unit[1] + shift
        if unit[0] == client and clock in fresh:
            return True
        pairs = self.pairs.get(unit[0], ())
        at = bisect_left(pairs, clock)
        return at < len(pairs) and pairs[at] == clock

    def _fresh_pairs(self, part: Part, clock: int) -> set[int]:
        found: set[int] = set()
        if self.kind == TEXT:
            for run in part.runs:
                for char in "" if run[2].isascii() else run[2]:
                    if char > "\uffff":
                        found.add(clock)
                    clock += 1 + (char > "\uffff")
                if run[2].isascii():
                    clock += len(run[2])
        return found

    # -- applying ----------------------------------------------------------------------------------

    def apply(
        self,
        part: Part,
        number: int,
        stamp: Stamp,
        staged: list[Entry] | None,
        moved: list[Entry],
        places: list[int] | None,
    ) -> tuple[list[Entry], list[Entry]]:
        """Integrate a part that has no flaw; return the entries that appeared and those that went.

        Args:
            part: what to do.
            number: its place in the change.
            stamp: the change it is part of.
            staged: the entries our own write made for its runs, to be completed instead of new ones.
            moved: the entries of its moves.
            places: of our own write: where each delete begins, then where each run and move will show.
        """
        self._cache = None
        self.edits += 1
        hints = iter(places) if places else None
        gone: list[Entry] = []
        if part.deletes:
            gone = self._delete(part.deletes, [next(hints) for _ in part.deletes] if hints else None)
        added: list[Entry] = []
        base = number << PART_SHIFT
        n = 0
        for run in part.runs:
            entries = []
            for value in run[2] if self.kind != TEXT else (run[2],):
                entry = (
                    staged[n]
                    if staged
                    else Entry(None, self.name, None, value, run[3] if len(run) > 3 else part.about, None)
                )
                entry._id = (stamp.writer.id, stamp.seq, base + n)
                entry._stamp = stamp
                entries.append(entry)
                self.mortal += mortal(entry)
                n += 1
            self._insert(stamp.writer.client, run, entries, next(hints) if hints else None)
            added += entries
        for move, entry in zip(part.moves, moved, strict=True):
            owner = Moved((stamp.writer.id, stamp.seq, base + n), stamp, entry)
            n += 1
            self._insert(stamp.writer.client, (move[0], move[1], (None,)), [owner], next(hints) if hints else None)
            self.moves += 1
            added.append(entry)
        still = {entry._id for entry in moved}
        return added, [entry for entry in gone if entry._id not in still]

    def _insert(self, client: int, run: Any, owners: Any, place: int | None) -> None:
        left, right, content = run[:3]
        clock = self.ticks.get(client, 0)
        text = self.kind == TEXT
        update = insertion(client, clock, left, right, content if text else len(content))
        at = self._place(left, right) if place is None else place
        if place is not None and not self.tight[place]:
            at = None  # a copy chose the neighbours, and where runs lie about theirs it may be in another order
        if at is None:
            at = self._observed(update)[0][0]
            before = after = 0
        else:
            self._doc.apply_update(update)
            before = after = self.tight[at]
        if at == place:  # ours stands beside the units it names, which may be hidden ones
            before = left == (self._last_unit(at - 1) if at else None)
            after = right == (self._unit(at) if at < len(self.owners) else None)
        if text:
            clocks = array("Q")
            for char in content:
                clocks.append(clock)
                if char > "\uffff":
                    self.pairs.setdefault(client, []).append(clock)
                    clock += 1
                clock += 1
            self.chars = self.chars + content if at == len(self.chars) else self.chars[:at] + content + self.chars[at:]
            owners = owners * len(clocks)
        else:
            clocks = array("Q", range(clock, clock + len(content)))
            clock += len(content)
        if at == len(self.owners):
            self.owners += owners
            self.clocks += clocks
        else:
            self.owners[at:at] = owners
            self.clocks[at:at] = clocks
        self.tight[at : at + 1] = bytes((before, *(1,) * (len(owners) - 1), after))
        self.ticks[client] = clock
        self.hint = at + len(owners)

    def _delete(self, deletes: Iterable[tuple[int, int, int]], places: list[int] | None) -> list[Entry]:
        update = deletion(deletes)
        spans: list[tuple[int, int]] = []
        if places is not None:
            self._doc.apply_update(update)
            spans = [(place, self._width(place, span[2])) for place, span in zip(places, deletes, strict=True)]
            spans.sort()
        else:
            spans = self._observed(update)
        gone: list[Entry] = []
        for at, length in reversed(spans):
            for owner in self.owners[at : at + length]:
                if type(owner) is Moved:
                    self.moves -= 1
                    gone.append(owner.entry)
                elif not gone or gone[-1] is not owner:
                    gone.append(owner)  # type: ignore[arg-type]
            del self.owners[at : at + length]
            del self.clocks[at : at + length]
            self.tight[at : at + length + 1] = b"\x00"
            if self.kind == TEXT:
                self.chars = self.chars[:at] + self.chars[at + length :]
            self.hint = at
        if self.kind == TEXT:
            return []
        return gone

    def _width(self, place: int, units: int) -> int:
        """How many owners the span of so many units at `place` covers."""
        if self.kind != TEXT:
            return units
        count = seen = 0
        while seen < units:
            seen += 1 + (self.chars[place + count] > "\uffff")
            count += 1
        return count

    def _place(self, left: Unit | None, right: Unit | None) -> int | None:
        """Where a run between these two units shows, if they still stand side by side at a likely place."""
        size = len(self.owners)
        for at in (self.hint, size, 0):
            if (
                at <= size
                and (self._last_unit(at - 1) == left if at else left is None)
                and (self._unit(at) == right if at < size else right is None)
            ):
                return at
        return None

    def neighbours(
        self, client: int, deletes: Iterable[tuple[int, int, int]], plan: Iterable[tuple[int, str | int]]
    ) -> list[tuple[Unit | None, Unit | None]]:
        """Between which units Yjs would put some runs, one after the other.

        Takes time in proportion to the document: it is copied, and the edits are made on the copy.

        Args:
            client: their author.
            deletes: what is deleted first.
            plan: for each run the place where it is to show, and its text or how many values it has.
        """
        copy: Doc[Any] = Doc(client_id=client)
        root: Any = copy.get("", type=Text if self.kind == TEXT else Array)
        copy.apply_update(self._doc.get_update())
        copy.apply_update(deletion(deletes))
        updates: list[bytes] = []
        watch = copy.observe(lambda event: updates.append(event.update))
        clock = self.ticks.get(client, 0)
        found = []
        for place, content in plan:
            if isinstance(content, str):
                root.insert(len(str(root)[:place].encode()), content)
                clock += utf16(content)
            else:
                root.insert(place, None)
            left, right = neighbours(updates[-1])
            if isinstance(content, int):
                if content > 1:
                    copy.apply_update(insertion(client, clock + 1, (client, clock), right, content - 1))
                clock += content
            found.append((left, right))
        copy.unobserve(watch)
        return found

    def _unit(self, at: int) -> Unit:
        return (self.owners[at]._stamp.writer.client, self.clocks[at])  # type: ignore[union-attr]

    def _last_unit(self, at: int) -> Unit:
        """The last UTF-16 unit of what stands there: what follows it names that one."""
        wide = self.kind == TEXT and self.chars[at] > "\uffff"
        return (self.owners[at]._stamp.writer.client, self.clocks[at] + wide)  # type: ignore[union-attr]

    def _observed(self, update: bytes) -> list[tuple[int, int]]:
        """Apply an update and let Yjs say where: (place, length) of what went, (place, 0) of what came."""
        deltas: list[Any] = []
        watch = self._root.observe(lambda event: deltas.extend(event.delta))
        try:
            self._doc.apply_update(update)
        finally:
            self._root.unobserve(watch)
        spans: list[tuple[int, int]] = []
        data = self.chars.encode() if self.kind == TEXT and not self.chars.isascii() else None
        at = 0  # in what stood there before
        for step in deltas:
            if "retain" in step:
                at += step["retain"]
            elif "insert" in step:
                spans.append((at, 0))
            else:
                spans.append((at, step["delete"]))
                at += step["delete"]
        if data is None:
            return spans
        return [(len(data[:at].decode()), len(data[at : at + length].decode())) for at, length in spans]

    @property
    def text(self) -> str:
        """What a text reads."""
        return self.chars

    def shares(self) -> list[Entry]:
        """What is left of each insertion into a text, in its order."""
        return shares(self.owners, self.chars)

    # -- reading -----------------------------------------------------------------------------------

    def hidden(self) -> set[int]:
        """The places of entries that a later concurrent move shows elsewhere."""
        if not self.moves:
            return set()
        best: dict[Any, tuple[tuple[int, bytes], int]] = {}
        lost: set[int] = set()
        for at, owner in enumerate(self.owners):
            entry = owner.entry if type(owner) is Moved else owner
            rank = (owner._stamp.hlc, owner._stamp.writer.id) if type(owner) is Moved else (-1, b"")
            other = best.get(entry._id)
            if other is None or rank > other[0]:
                if other is not None:
                    lost.add(other[1])
                best[entry._id] = (rank, at)
            else:
                lost.add(at)
        return lost

    def entries(self) -> list[Entry]:
        """The entries of a sequence, in order."""
        cached = self._cache
        if cached is None:
            if self.moves:
                lost = self.hidden()
                cached = [o.entry if type(o) is Moved else o for i, o in enumerate(self.owners) if i not in lost]
            else:
                cached = self.owners
            self._cache = cached
        return cached[:]  # type: ignore[no-any-return]

    def digest(self) -> bytes:
        """A digest of the visible content; empty when there is none."""
        if not self.owners:
            return b""
        if self.kind == TEXT:
            return blake2b(self.chars.encode(), digest_size=32).digest()
        data = encode([(entry._id, entry._frozen) for entry in self.entries()])
        return blake2b(data, digest_size=32).digest()


def shares(owners: Sequence[Owner], chars: str) -> list[Entry]:
    """The stretches of a text that belong to one entry, each as that entry with what is left of its text."""
    found: list[Entry] = []
    start = 0
    for at in range(1, len(owners) + 1):
        if at == len(owners) or owners[at] is not owners[start]:
            whole: Entry = owners[start]  # type: ignore[assignment]
            found.append(Entry(whole._id, whole.field, None, chars[start:at], whole._about, whole._stamp))
            start = at
    return found


def _length(kind: int, content: Any) -> int:
    return utf16(content) if kind == TEXT else len(content)


def _named(part: Part) -> Iterable[Unit]:
    for run in (*part.runs, *part.moves):
        if run[0]:
            yield run[0]
        if run[1]:
            yield run[1]
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
