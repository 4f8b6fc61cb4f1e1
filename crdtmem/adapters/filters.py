"""Whether a value passes the filter of a search: what each key must be, or how it must compare."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from crdtmem.errors import ValueRefused

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def matches(value: Mapping[str, Any], filter: Mapping[str, Any] | None) -> bool:
    """Whether all that a filter says of a value holds.

    Only numbers are ordered with numbers and text with text: what cannot be compared does not match.

    Raises:
        ValueRefused: the filter has an operator that there is not.

    >>> matches({"n": 4, "tag": {"kind": "bug"}}, {"n": {"$gte": 4, "$lt": 9}, "tag": {"kind": "bug"}})
    True
    >>> matches({"n": "four"}, {"n": {"$gt": 3}})
    False
    """
    return not filter or all(_holds(value.get(key), wanted) for key, wanted in filter.items())


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(isinstance(key, str) and key.startswith("$") for key in wanted):
            return all(_compares(value, name, other) for name, other in wanted.items())
        return isinstance(value, Mapping) and all(_holds(value.get(key), part) for key, part in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(wanted)
            and all(_holds(one, part) for one, part in zip(value, wanted, strict=True))
        )
    return _equal(value, wanted)


def _compares(value: Any, name: str, other: Any) -> bool:
    if name == "$eq":
        return _equal(value, other)
    if name == "$ne":
        return not _equal(value, other)
    if name not in _ORDER:
        raise ValueRefused(f"filter: {name!r:.40} is no operator; use $eq, $ne, {', '.join(_ORDER)}")
    numbers = _is_number(value) and _is_number(other)
    return (numbers or (isinstance(value, str) and isinstance(other, str))) and _ORDER[name](value, other)


def _equal(value: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
