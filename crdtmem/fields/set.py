"""An add-wins set: an add survives a removal that has not seen it."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, Unpack

from crdtmem.change import SET
from crdtmem.draft import KeyedDraft
from crdtmem.entry import About, Attributes, Entry
from crdtmem.errors import ValueRefused
from crdtmem.fields.field import Field, oldest_first
from crdtmem.values import Frozen, freeze, key_of, thaw

T = TypeVar("T")


class Set(Field[T], collections.abc.Set[T]):
    """A set of values; dicts and lists are welcome. Equality is by canonical bytes: 1, 1.0 and True are three members.

    >>> from crdtmem import Replica
    >>> questions = Replica("ann").open(tenant="acme").set("open_questions")
    >>> entry = questions.add("Why did churn rise?", why="spike in March")
    >>> "Why did churn rise?" in questions, len(questions)
    (True, 1)
    >>> questions.discard("Why did churn rise?", why="answered")
    True
    """

    __slots__ = ()
    _kind = SET

    def add(self, value: T, **attributes: Unpack[Attributes]) -> Entry:
        """Add a value; its entry replaces those of the same value seen here."""
        frozen = freeze(value)
        return self._memory._put(self._at, key_of(frozen), frozen, attributes)

    def update(self, values: Iterable[T], **attributes: Unpack[Attributes]) -> list[Entry]:
        """Add several values in one change."""
        frozen = [freeze(value, f"value[{i}]") for i, value in enumerate(values)]
        return self._memory._write(self._at, _update, attributes, frozen)

    def discard(self, value: T, **attributes: Unpack[Attributes]) -> bool:
        """Remove a value, as far as its adds are seen here; whether there was one."""
        try:
            key = key_of(freeze(value))
        except ValueRefused:
            return False
        return self._memory._write(self._at, _discard, attributes, key)

    def remove(self, value: T, **attributes: Unpack[Attributes]) -> None:
        """Remove a value.

        Raises:
            KeyError: it is not in the set.
        """
        if not self.discard(value, **attributes):
            raise KeyError(value)

    def __contains__(self, value: object) -> bool:
        try:
            key = key_of(freeze(value))
        except ValueRefused:
            return False
        return bool(self._memory._shown(self._at, key))

    def __iter__(self) -> Iterator[T]:
        return iter([thaw(entries[0]._frozen) for entries in self._memory._listed(self._at)])

    def __len__(self) -> int:
        return self._memory._count(self._at)

    def _all(self) -> list[Entry]:
        return oldest_first(oldest_first(entries)[-1] for entries in self._memory._listed(self._at))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return Values(it)

    __hash__ = None  # type: ignore[assignment]


class Values(collections.abc.Set[Any]):
    """What the set operators give: values, each once, equal as in the set itself.

    >>> 1.0 in Values([1, True]), len(Values([1, True, 1]))
    (False, 2)
    """

    __slots__ = ("_by_key",)

    def __init__(self, values: Iterable[Any]) -> None:
        self._by_key = {key_of(freeze(value)): value for value in values}

    def __contains__(self, value: object) -> bool:
        try:
            return key_of(freeze(value)) in self._by_key
        except ValueRefused:
            return False

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"

    __hash__ = None  # type: ignore[assignment]


def _add(part: KeyedDraft, about: About | None, frozen: Frozen) -> Entry:
    return part.put(key_of(frozen), frozen, about)


def _update(part: KeyedDraft, about: About | None, values: list[Frozen]) -> list[Entry]:
    return [_add(part, about, frozen) for frozen in values]


def _discard(part: KeyedDraft, about: About | None, key: Any) -> bool:
    seen = part.live(key)
    for entry in seen:
        part.remove(entry)
    return bool(seen)
