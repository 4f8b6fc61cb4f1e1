"""The one primitive of set, counter, register and records: live entries by key.

A change adds entries and removes entries it names by id. Changes arrive in causal order and exactly once
(invariant 3), so an entry is added before anyone removes it, a removed one never comes back, and no tombstone is
needed: the state is the live entries alone. The idea is riak_dt's optimised OR-set with the version as its context.

The digest of a field is the sum of a weight for each live entry, taken from the digest of the part that added it: it
is the same in any order, and costs one addition a write.

Readers take no lock: an index slot holds an entry or an immutable tuple of siblings, and is only ever replaced.
"""

from __future__ import annotations

from typing import Any

from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, SET, said
from crdtmem.change import Keyed as Part
from crdtmem.entry import Entry, Stamp
from crdtmem.values import key_of

_MASK = 2**128 - 1


class Keyed:
    """The live entries of one keyed field."""

    __slots__ = ("by_id", "by_key", "forked", "kind", "mortal", "name", "sum", "total")

    def __init__(self, kind: int, name: str) -> None:
        self.kind = kind
        self.name = name
        self.by_id: dict[tuple[bytes, int, int], Entry] = {}
        self.by_key: dict[Any, Entry | tuple[Entry, ...]] = {}
        self.forked: set[Any] = set()  # keys with several entries
        self.mortal = 0  # entries with a time to live
        self.total = 0  # of a counter
        self.sum = 0  # of the weights of the live entries

    def live(self, key: Any) -> tuple[Entry, ...]:
        """The entries under a key, siblings included."""
        slot = self.by_key.get(key)
        if slot is None:
            return ()
        return slot if type(slot) is tuple else (slot,)  # type: ignore[return-value]

    def keys(self) -> list[Any]:
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
        for target in part.removes:
            entry = by_id.get(target)
            if entry is not None:
                self._take(entry)
                gone.append(entry)
        added = staged if staged is not None else [self._entry(add, stamp) for add in part.adds]
        session, seq = stamp.session, stamp.seq
        weight = int.from_bytes(digest[:16], "little")
        dies = stamp.about.ttl is not None
        n = number << PART_SHIFT
        for i, entry in enumerate(added):
            if self.kind == COUNTER:
                before = by_key.get(session)
                entry.extra = entry._frozen - (before._frozen if before else 0)  # type: ignore[operator, union-attr]
                if before is not None:
                    self._take(before)  # type: ignore[arg-type]
                    gone.append(before)  # type: ignore[arg-type]
                self.total += entry._frozen  # type: ignore[operator]
            entry._id = id = (session, seq, n + i)
            entry._stamp = stamp
            entry._weight = weight * _power(i) & _MASK
            by_id[id] = entry
            slot = by_key.get(entry.key)
            if slot is None:
                by_key[entry.key] = entry
            else:
                by_key[entry.key] = (*slot, entry) if type(slot) is tuple else (slot, entry)  # type: ignore[arg-type]
                self.forked.add(entry.key)
            if dies or (entry._about is not None and entry._about.ttl is not None):
                self.mortal += 1
            self.sum += entry._weight
        return added, gone

    def _entry(self, add: tuple[Any, ...], stamp: Stamp) -> Entry:
        kind = self.kind
        about = said(add[1]) if len(add) > 1 else None
        if kind == SET:
            return Entry(None, self.name, key_of(add[0]), add[0], about, None)
        if kind == RECORDS:
            return Entry(None, self.name, add[2], add[0], about, None, add[3] if len(add) > 3 else None)
        return Entry(None, self.name, stamp.session if kind == COUNTER else None, add[0], about, None)

    def _take(self, entry: Entry) -> None:
        """Remove a live entry."""
        del self.by_id[entry._id]  # type: ignore[arg-type]
        slot = self.by_key[entry.key]
        if slot is entry:
            del self.by_key[entry.key]
        else:
            rest = tuple([other for other in slot if other is not entry])  # type: ignore[union-attr]
            if len(rest) == 1:
                self.by_key[entry.key] = rest[0]
                self.forked.discard(entry.key)
            else:
                self.by_key[entry.key] = rest
        if self.kind == COUNTER:
            self.total -= entry._frozen  # type: ignore[operator]
        if mortal(entry):
            self.mortal -= 1
        self.sum -= entry._weight

    def digest(self) -> bytes:
        """A digest of the live entries; empty when there are none."""
        return (self.sum & _MASK).to_bytes(16, "little") if self.by_id else b""


def mortal(entry: Entry) -> bool:
    """Whether it has a time to live."""
    about = entry._about
    return (about is not None and about.ttl is not None) or entry._stamp.about.ttl is not None  # type: ignore[union-attr]


def _power(n: int) -> int:
    """Distinct odd factors, so that the digest tells apart which entries of one part are live."""
    while n >= len(_POWERS):
        _POWERS.append(_POWERS[-1] * 0xDA942042E4DD58B5F1E97D3C9C8B4E6D & _MASK)
    return _POWERS[n]


_POWERS = [1]
