"""A sequence of values in an order all replicas agree on. Yjs keeps the order, the entries keep the values."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, Unpack, overload

from crdtmem.change import SEQUENCE
from crdtmem.draft import Fresh, OrderedDraft
from crdtmem.entry import About, Attributes, Entry
from crdtmem.errors import ValueRefused
from crdtmem.fields.field import Field
from crdtmem.values import Frozen, freeze, thaw

T = TypeVar("T")


class Sequence(Field[T], collections.abc.Sequence[T]):
    """A list that several agents append to, insert into and reorder; concurrent appends all stay.

    >>> from crdtmem import Replica
    >>> findings = Replica("ann").open(tenant="acme").sequence("findings")
    >>> first = findings.append({"text": "churn is 3.1 %", "source": "crm"}, tags=["churn"])
    >>> _ = findings.extend(["b", "c"])
    >>> findings.move(2, 0).value
    'c'
    >>> findings[0], len(findings), findings.entries(tags="churn") == [first]
    ('c', 3, True)
    """

    __slots__ = ()
    _kind = SEQUENCE

    def append(self, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Add a value at the end."""
        return self._memory._write(self._at, _insert, attributes, None, [freeze(value)])[0]

    def extend(self, values: Iterable[T], **attributes: Unpack[Attributes]) -> list[Entry]:
        """Add several values at the end, in one change."""
        frozen = [freeze(value, f"value[{i}]") for i, value in enumerate(values)]
        return self._memory._write(self._at, _insert, attributes, None, frozen) if frozen else []

    def insert(self, index: int, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Put a value before an index; an index out of range means the near end, as in a list."""
        return self._memory._write(self._at, _insert, attributes, index, [freeze(value)])[0]

    def remove(self, at: int | Entry, **attributes: Unpack[Attributes]) -> Entry:
        """Take out the value at an index, or an entry wherever it is now.

        Raises:
            IndexError: no such index.
            KeyError: the entry is not in the sequence.
        """
        return self._memory._write(self._at, _remove, attributes, at)

    def replace(self, at: int | Entry, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Put a new value in the place of an old one. Two concurrent replacements both stay."""
        return self._memory._write(self._at, _replace, attributes, at, freeze(value))

    def move(self, at: int | Entry, to: int, **attributes: Unpack[Attributes]) -> Entry:
        """Move a value so that it ends up at index `to`. It stays the same entry; of two concurrent moves the later holds."""
        return self._memory._write(self._at, _move, attributes, at, to)

    def _entries(self) -> list[Entry]:
        return self._memory._in_order(self._at)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        found = self._entries()[index]
        if isinstance(found, list):
            return [thaw(entry._frozen) for entry in found]
        return thaw(found._frozen)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T]:
        return iter([thaw(entry._frozen) for entry in self._entries()])

    def __len__(self) -> int:
        return len(self._entries())

    def _all(self) -> list[Entry]:
        return self._entries()

    __hash__ = None  # type: ignore[assignment]


def _find(part: OrderedDraft, at: int | Entry) -> tuple[int, Entry]:
    entries = part.entries()
    if isinstance(at, Entry):
        for index, entry in enumerate(entries):
            if entry is at or entry == at:
                return index, entry
        raise KeyError(f"{at!r} is not in sequence {part.field.name!r}")
    if not isinstance(at, int):
        raise ValueRefused(f"an index or an Entry, not {type(at).__name__}")
    index = at + len(entries) if at < 0 else at
    if not 0 <= index < len(entries):
        raise IndexError(f"sequence {part.field.name!r} has {len(entries)} values; there is none at {at}")
    return index, entries[index]


def _insert(part: OrderedDraft, about: About | None, index: int | None, values: list[Frozen]) -> list[Entry]:
    size = len(part)
    at = size if index is None else max(0, index + size) if index < 0 else min(index, size)
    entries = [Entry(None, part.field.name, None, frozen, about, None) for frozen in values]
    part.insert(at, Fresh(values, entries[:], about))
    return entries


def _remove(part: OrderedDraft, about: About | None, at: int | Entry) -> Entry:
    index, entry = _find(part, at)
    part.delete(index, index + 1)
    return entry


def _replace(part: OrderedDraft, about: About | None, at: int | Entry, frozen: Frozen) -> Entry:
    index, _ = _find(part, at)
    part.delete(index, index + 1)
    fresh = Entry(None, part.field.name, None, frozen, about, None)
    part.insert(index, Fresh([frozen], [fresh], about))
    return fresh


def _move(part: OrderedDraft, about: About | None, at: int | Entry, to: int) -> Entry:
    index, entry = _find(part, at)
    size = len(part)
    target = to + size if to < 0 else to
    if not 0 <= target < size:
        raise IndexError(f"sequence {part.field.name!r} has {size} values; there is no place {to}")
    if target == index:
        return entry
    part.delete(index, index + 1)
    content: list[Any] = [entry._frozen]
    part.insert(target, Fresh(content, [entry], about, None if entry._id is None else entry))
    return entry
