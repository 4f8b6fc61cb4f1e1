"""The one primitive of set, counter, register and records: live entries by key.

A change adds entries and removes entries it names by id. Changes arrive in causal order and exactly once
(invariant 3), so an entry is added before anyone removes it, a removed one never comes back, and no tombstone is
needed: the state is the live entries alone. The idea is riak_dt's optimised OR-set with the version as its context.

Readers take no lock: an index slot holds an entry or an immutable tuple of siblings, and is only ever replaced.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from msgpack import packb

from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, SET, said
from crdtmem.change import Keyed as Part
from crdtmem.entry import Entry, EntryId, Stamp
from crdtmem.values import key_of

_DIGEST_MASK = 2**256 - 1


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
        self.sum = 0  # of the digests of the live entries; the same whatever the order

    def live(self, key: Any) -> tuple[Entry, ...]:
        """The entries under a key, siblings included."""
        slot = self.by_key.get(key)
        if slot is None:
            return ()
        return slot if type(slot) is tuple else (slot,)  # type: ignore[return-value]

    def keys(self) -> list[Any]:
        """The keys that have an entry."""
        return list(self.by_key)

    def apply(self, part: Part, number: int, stamp: Stamp, staged: list[Entry] | None) -> tuple[list[Entry], list[Entry]]:
        """Add and remove; return the entries that appeared and those that went.

        Args:
            part: what to do.
            number: its place in the change.
            stamp: the change it is part of.
            staged: the entries our own write made for its adds, to be completed instead of new ones.
        """
        by_id = self.by_id
        gone = []
        for target in part.removes:
            entry = by_id.pop(target, None)
            if entry is not None:
                self._unindex(entry)
                gone.append(entry)
        added = []
        base = number << PART_SHIFT
        for i, add in enumerate(part.adds):
            id = EntryId(stamp.session, stamp.seq, base + i)
            if staged is None:
                entry = self._entry(add, stamp)
            else:
                entry = staged[i]
            if self.kind == COUNTER:
                before = self.by_key.get(stamp.session)
                entry.extra = add[0] - (before._frozen if type(before) is Entry else 0)
                if type(before) is Entry:
                    del by_id[before._id]  # type: ignore[arg-type]
                    self._unindex(before)
                    gone.append(before)
            entry._id = id
            entry._stamp = stamp
            by_id[id] = entry
            self._index(entry)
            added.append(entry)
        return added, gone

    def _entry(self, add: tuple[Any, ...], stamp: Stamp) -> Entry:
        kind = self.kind
        about = said(add[1]) if len(add) > 1 else None
        if kind == SET:
            return Entry(None, self.name, key_of(add[0]), add[0], about, None)
        if kind == RECORDS:
            return Entry(None, self.name, add[2], add[0], about, None, add[3] if len(add) > 3 else None)
        return Entry(None, self.name, stamp.session if kind == COUNTER else None, add[0], about, None)

    def _index(self, entry: Entry) -> None:
        slot = self.by_key.get(entry.key)
        if slot is None:
            self.by_key[entry.key] = entry
        else:
            self.by_key[entry.key] = (*slot, entry) if type(slot) is tuple else (slot, entry)  # type: ignore[arg-type]
            self.forked.add(entry.key)
        if mortal(entry):
            self.mortal += 1
        if self.kind == COUNTER:
            self.total += entry._frozen  # type: ignore[operator]
        self.sum = (self.sum + _digest(entry)) & _DIGEST_MASK

    def _unindex(self, entry: Entry) -> None:
        slot = self.by_key[entry.key]
        if slot is entry:
            del self.by_key[entry.key]
        else:
            rest = tuple(other for other in slot if other is not entry)  # type: ignore[union-attr]
            if len(rest) == 1:
                self.by_key[entry.key] = rest[0]
                self.forked.discard(entry.key)
            else:
                self.by_key[entry.key] = rest
        if mortal(entry):
            self.mortal -= 1
        if self.kind == COUNTER:
            self.total -= entry._frozen  # type: ignore[operator]
        self.sum = (self.sum - _digest(entry)) & _DIGEST_MASK

    def digest(self) -> bytes:
        """A digest of the live entries; empty when there are none."""
        return self.sum.to_bytes(32, "little") if self.by_id else b""


def mortal(entry: Entry) -> bool:
    """Whether it has a time to live."""
    about = entry._about
    return (about is not None and about.ttl is not None) or entry._stamp.about.ttl is not None  # type: ignore[union-attr]


def _digest(entry: Entry) -> int:
    data = packb((entry._id, entry.key, entry._frozen, entry.extra))
    return int.from_bytes(blake2b(data, digest_size=32).digest(), "little")
