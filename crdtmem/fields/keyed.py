"""The one primitive of set, counter, register and records: live entries by key.

A change adds entries and removes entries it names by id. Changes arrive in causal order and exactly once
(invariant 3), so an entry is added before anyone removes it, a removed one never comes back, and no tombstone is
needed: the state is the live entries alone. The idea is riak_dt's optimised OR-set with the version as its context.

The digest of a field is the sum of a weight for each live entry, taken from the digest of the part that added it: it
is the same in any order, and costs one addition a write.

Readers take no lock: an index slot holds an entry or an immutable tuple of siblings, and is only ever replaced. What
takes the place of something does so in one step, and so does a total: nobody reads a moment in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, SET
from crdtmem.change import Keyed as Part
from crdtmem.entry import ABOUT, About, Entry, Stamp
from crdtmem.values import Frozen, key_of

_TTL = ABOUT.index("ttl")
_MASK = 2**128 - 1
_DEEP = 500  # undoings of undoings
_number = int.from_bytes


class Keyed:
    """The live entries of one keyed field."""

    __slots__ = ("by_id", "by_key", "forked", "kind", "mortal", "name", "notable", "sum", "total")

    def __init__(self, kind: int, name: str) -> None:
        self.kind = kind
        self.name = name
        self.by_id: dict[Any, Entry] = {}
        self.by_key: dict[Any, Any] = {}  # key -> an entry, or a tuple of siblings
        self.forked: set[Any] = set()  # keys with several entries
        self.mortal = 0  # entries with a time to live
        self.total = 0  # of a counter
        self.sum = 0  # of the weights of the live entries
        self.notable = kind == RECORDS and name[:1] == "@"  # whether what came last says something of other entries

    def size(self) -> int:
        """How many entries are live."""
        return len(self.by_id)

    def live(self, key: Any) -> tuple[Entry, ...]:
        """The entries under a key, siblings included."""
        slot = self.by_key.get(key)
        if slot is None:
            return ()
        return slot if type(slot) is tuple else (slot,)

    def held(self) -> list[Any]:
        """The keys that have an entry."""
        return list(self.by_key)

    def apply(
        self, part: Part, number: int, digest: bytes, stamp: Stamp, staged: list[Entry] | None
    ) -> tuple[list[Entry], list[Entry]]:
        """Add and remove; return the entries that appeared and those that went.

        Args:
            part: what to do.
            number: its place in the change.
            digest: the digest of its bytes; the digest of the field is made of these.
            stamp: the change it is part of.
            staged: the entries our own write made for its adds, to be completed instead of new ones.
        """
        by_id, by_key = self.by_id, self.by_key
        gone: list[Entry] = []
        left: dict[Any, Any] = {}  # what is left under keys from which something went
        for target in part.removes:
            entry = by_id.get(target)
            if entry is not None:
                left[entry.key] = self._take(entry, left.get(entry.key) or by_key[entry.key])
                if self.kind == COUNTER:
                    self.total -= entry._frozen  # type: ignore[assignment, operator]
                gone.append(entry)
        added = staged
        if added is None:
            added = self._entries(part, stamp, number << PART_SHIFT)
        weight = _number(digest[:16], "little")
        for i, entry in enumerate(added):
            key = entry.key
            if self.kind == COUNTER:
                old = self._supersede(entry)
                if old is not None:
                    left[key] = self._take(old, old)
                    gone.append(old)
            entry._stamp = stamp
            entry._weight = weight * _power(i) & _MASK if i else weight
            by_id[entry._id] = entry
            slot = left.pop(key) if left and key in left else by_key.get(key)
            if slot is None:
                by_key[key] = entry
            else:
                by_key[key] = (*slot, entry) if type(slot) is tuple else (slot, entry)
                self.forked.add(key)
            if entry._about is not None and len(entry._about) > 1:
                self.notable = True
                self.mortal += mortal(entry)
            self.sum += entry._weight
        if left:
            for key, slot in left.items():
                if slot is None:
                    del by_key[key]
                else:
                    by_key[key] = slot
        return added, gone

    def put(
        self,
        id: tuple[bytes, int, int],
        key: Any,
        frozen: Frozen,
        about: About | None,
        stamp: Stamp,
        amount: int | None,
        digest: bytes,
        old: Entry | None,
    ) -> Entry:
        """Take in a write that says nothing of others: an entry, in place of all there was under its key.

        Args:
            id: its id.
            key: its key.
            frozen: its value.
            about: its attributes.
            stamp: the change it is part of.
            amount: what it adds to a counter.
            digest: the digest of its part, in which it is alone.
            old: what there was.
        """
        weight = _number(digest[:16], "little")
        entry = Entry(id, self.name, key, frozen, about, stamp, amount, weight)
        self.by_id[id] = entry
        if old is not None:
            del self.by_id[old._id]
            weight -= old._weight
        self.by_key[key] = entry
        self.sum += weight
        if amount is not None:
            self.total += amount
        return entry

    def resume(self, entries: Iterable[Entry]) -> None:
        """Take in entries that were live when a checkpoint was made."""
        by_id, by_key = self.by_id, self.by_key
        for entry in entries:
            by_id[entry._id] = entry
            slot = by_key.get(entry.key)
            if slot is None:
                by_key[entry.key] = entry
            else:
                by_key[entry.key] = (*slot, entry) if type(slot) is tuple else (slot, entry)
                self.forked.add(entry.key)
            self.sum += entry._weight
            if entry._about is not None and len(entry._about) > _TTL:
                self.mortal += mortal(entry)
        if self.kind == COUNTER:
            self.total = sum([e._frozen for e in by_id.values() if type(e.key) is bytes])  # type: ignore[misc]
            self.total -= sum([undone(self.live(key)) for key in by_key if type(key) is tuple])

    def recount(self, void: Callable[[Any], object]) -> None:
        """Make the total of a counter anew, where some of its increments are void: to take such a one back is nothing.

        Args:
            void: whether an entry is.
        """

        def counts(entry: Entry, seen: int = 0) -> bool:
            target = entry.key
            if void(target) or seen > _DEEP:
                return False
            under = self.by_id.get(target)  # an undoing that is undone in its turn
            return under is None or type(under.key) is not tuple or counts(under, seen + 1)

        self.total = sum([e._frozen for e in self.by_id.values() if type(e.key) is bytes])  # type: ignore[misc]
        for key in list(self.by_key):
            if type(key) is tuple:
                self.total -= undone([entry for entry in self.live(key) if counts(entry)])

    def written(self, part: Part, number: int, digest: bytes, stamp: Stamp) -> list[Entry]:
        """The entries that a part added, as they were then."""
        return [self.one_written(part, number, digest, stamp, i) for i in range(len(part.adds))]

    def one_written(self, part: Part, number: int, digest: bytes, stamp: Stamp, place: int) -> Entry:
        """One of them."""
        [entry] = self._entries(part._replace(adds=(part.adds[place],)), stamp, (number << PART_SHIFT) + place)
        entry._weight = _number(digest[:16], "little") * _power(place) & _MASK
        return entry

    def _entries(self, part: Part, stamp: Stamp, n: int) -> list[Entry]:
        kind, name, said = self.kind, self.name, part.about
        session, seq = stamp.writer.id, stamp.seq
        made = []
        key: Any
        for add in part.adds:
            size = len(add)
            value = add[0]
            about = said if size == 1 or add[1] is None else add[1]
            if kind == SET:
                key = value if type(value) is str else key_of(value)
            elif kind == RECORDS:
                key = add[2]
            elif kind == COUNTER:
                key = session if size < 3 else add[2]
            else:
                key = None
            made.append(Entry((session, seq, n), name, key, value, about, stamp, add[3] if size == 4 else None))
            n += 1
        return made

    def _supersede(self, entry: Entry) -> Entry | None:
        """A total takes the place of its session's earlier one; an increment is undone once, however often it is."""
        amount: Any = entry._frozen
        if type(entry.key) is tuple:
            before = self.live(entry.key)
            entry.extra = -amount
            self.total += undone(before) - undone((*before, entry))
            return None
        old: Entry | None = self.by_key.get(entry.key)
        entry.extra = amount if old is None else amount - old._frozen
        self.total += entry.extra
        return old

    def _take(self, entry: Entry, slot: Any) -> Any:
        """Remove a live entry; what is left under its key, where it stands until all of the part is done."""
        del self.by_id[entry._id]
        if self.mortal and mortal(entry):
            self.mortal -= 1
        self.sum -= entry._weight
        if slot is entry:
            return None
        rest = tuple([other for other in slot if other is not entry])
        if len(rest) > 1:
            return rest
        self.forked.discard(entry.key)
        return rest[0]

    def digest(self) -> bytes:
        """A digest of the live entries; empty when there are none."""
        return (self.sum & _MASK).to_bytes(16, "little") if self.by_id else b""


def undone(entries: Iterable[Entry]) -> int:
    """What these take off a counter: they all undo one increment, so the first of them by id counts."""
    first = min(entries, key=lambda entry: entry._id, default=None)
    return first._frozen if first else 0  # type: ignore[return-value]


def mortal(entry: Entry) -> bool:
    """Whether it has a time to live."""
    about = entry._about
    return about is not None and len(about) > _TTL and about[_TTL] is not None


def _power(n: int) -> int:
    """Distinct odd factors, so that the digest tells apart which entries of one part are live."""
    while n >= len(_POWERS):
        _POWERS.append(_POWERS[-1] * 0xDA942042E4DD58B5F1E97D3C9C8B4E6D & _MASK)
    return _POWERS[n]


_POWERS = [1]
