"""An add-wins set: an add survives a removal that has not seen it."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, Unpack

from crdtmem.change import SET
from crdtmem.draft import Draft
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
        return self._memory._write(_add, attributes, self.name, frozen)

    def update(self, values: Iterable[T], **attributes: Unpack[Attributes]) -> list[Entry]:
        """Add several values in one change."""
        frozen = [freeze(value, f"value[{i}]") for i, value in enumerate(values)]
        return self._memory._write(_update, attributes, self.name, frozen)

    def discard(self, value: T, **attributes: Unpack[Attributes]) -> bool:
        """Remove a value, as far as its adds are seen here; whether there was one."""
        try:
            key = key_of(freeze(value))
        except ValueRefused:
            return False
        return self._memory._write(_discard, attributes, self.name, key)

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
        return bool(self._memory._shown(SET, self.name, key))

    def __iter__(self) -> Iterator[T]:
        return iter([thaw(entries[0]._frozen) for entries in self._memory._listed(SET, self.name)])

    def __len__(self) -> int:
        return self._memory._count(SET, self.name)

    def _all(self) -> list[Entry]:
        return oldest_first(oldest_first(entries)[-1] for entries in self._memory._listed(SET, self.name))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return _Plain(it)

    __hash__ = None  # type: ignore[assignment]


class _Plain(list[Any]):
    """What set operators give: values, each once."""


def _add(draft: Draft, about: About | None, name: str, frozen: Frozen) -> Entry:
    return draft.keyed(SET, name).put(key_of(frozen), frozen, about)


def _update(draft: Draft, about: About | None, name: str, values: list[Frozen]) -> list[Entry]:
    return [_add(draft, about, name, frozen) for frozen in values]


def _discard(draft: Draft, about: About | None, name: str, key: Any) -> bool:
    part = draft.keyed(SET, name)
    seen = part.live(key)
    for entry in seen:
        part.remove(entry)
    return bool(seen)
