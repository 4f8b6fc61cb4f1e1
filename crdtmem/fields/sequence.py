"""A sequence of values in an order all replicas agree on. Yjs keeps the order, the entries keep the values."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, Unpack, overload

from crdtmem.change import SEQUENCE
from crdtmem.draft import Fresh, OrderedDraft
from crdtmem.entry import About, Attributes, Entry
from crdtmem.errors import ValueRefused
from crdtmem.fields.field import Field, alive
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
        return self._memory._write(self._at, _append, attributes, [freeze(value)])[0]

    def extend(self, values: Iterable[T], **attributes: Unpack[Attributes]) -> list[Entry]:
        """Add several values at the end, in one change."""
        frozen = [freeze(value, f"value[{i}]") for i, value in enumerate(values)]
        return self._memory._write(self._at, _append, attributes, frozen) if frozen else []

    def insert(self, index: int, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Put a value before an index; an index out of range means the near end, as in a list."""
        return self._memory._write(self._at, _insert, attributes, index, freeze(value), self._memory._document.now)

    def remove(self, at: int | Entry, **attributes: Unpack[Attributes]) -> Entry:
        """Take out the value at an index, or an entry wherever it is now.

        Raises:
            IndexError: no such index.
            KeyError: the entry is not in the sequence.
        """
        return self._memory._write(self._at, _remove, attributes, at, self._memory._document.now)

    def replace(self, at: int | Entry, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Put a new value in the place of an old one. Two concurrent replacements both stay."""
        return self._memory._write(self._at, _replace, attributes, at, freeze(value), self._memory._document.now)

    def move(self, at: int | Entry, to: int, **attributes: Unpack[Attributes]) -> Entry:
        """Move a value so that it ends up at index `to`. It stays the same entry; the later of two moves holds."""
        return self._memory._write(self._at, _move, attributes, at, to, self._memory._document.now)

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


def _shown(part: OrderedDraft, now: Callable[[], float]) -> collections.abc.Sequence[int]:
    """The places of what a reader sees: an index counts those alone."""
    if not part.mortal:
        return range(len(part))
    entries = part.entries()
    seen = set(map(id, alive(entries, now())))
    return [place for place, entry in enumerate(entries) if id(entry) in seen]


def _find(part: OrderedDraft, at: int | Entry, shown: collections.abc.Sequence[int]) -> tuple[int, Entry]:
    if isinstance(at, Entry):
        for place, entry in enumerate(part.entries()):
            if entry is at or entry == at:
                return place, entry
        raise KeyError(f"{at!r} is not in sequence {part.field.name!r}")
    if not isinstance(at, int):
        raise ValueRefused(f"an index or an Entry, not {type(at).__name__}")
    index = at + len(shown) if at < 0 else at
    if not 0 <= index < len(shown):
        raise IndexError(f"sequence {part.field.name!r} has {len(shown)} values; there is none at {at}")
    return shown[index], part.entry(shown[index])


def _append(part: OrderedDraft, about: About | None, values: list[Frozen]) -> list[Entry]:
    return _put(part, about, len(part), values)


def _insert(part: OrderedDraft, about: About | None, index: int, frozen: Frozen, now: Callable[[], float]) -> Entry:
    shown = _shown(part, now)
    at = max(0, index + len(shown)) if index < 0 else index
    return _put(part, about, shown[at] if at < len(shown) else len(part), [frozen])[0]


def _put(part: OrderedDraft, about: About | None, place: int, values: list[Frozen]) -> list[Entry]:
    entries = [Entry(None, part.field.name, None, frozen, about, None) for frozen in values]
    part.insert(place, Fresh(values, entries[:], about))
    return entries


def _remove(part: OrderedDraft, about: About | None, at: int | Entry, now: Callable[[], float]) -> Entry:
    place, entry = _find(part, at, _shown(part, now))
    part.delete(place, place + 1)
    return entry


def _replace(
    part: OrderedDraft, about: About | None, at: int | Entry, frozen: Frozen, now: Callable[[], float]
) -> Entry:
    place, _ = _find(part, at, _shown(part, now))
    part.delete(place, place + 1)
    return _put(part, about, place, [frozen])[0]


def _move(part: OrderedDraft, about: About | None, at: int | Entry, to: int, now: Callable[[], float]) -> Entry:
    shown = _shown(part, now)
    place, entry = _find(part, at, shown)
    size = len(shown)
    index = to + size if to < 0 else to
    if not 0 <= index < size:
        raise IndexError(f"sequence {part.field.name!r} has {size} values; there is no place {to}")
    target = shown[index]
    if target == place:
        return entry
    part.delete(place, place + 1)
    content: list[Any] = [entry._frozen]
    part.insert(target, Fresh(content, [entry], about, None if entry._id is None else entry))
    return entry
