"""Which value a reader gets where concurrent ones stand side by side. The siblings stay, whatever is chosen.

A resolution is a name or a function from the siblings, oldest first, to a value. It is a way of reading, not a write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crdtmem.entry import Entry
from crdtmem.errors import MisuseError, Undecided
from crdtmem.fields.field import oldest_first
from crdtmem.values import freeze, key_of

Resolve = str | Callable[[Sequence[Entry]], Any]


def latest(entries: Sequence[Entry]) -> Any:
    """The newest by its writer's clock, then by session."""
    return entries[-1].value


def confident(entries: Sequence[Entry]) -> Any:
    """The one its writer was surest of; a value without confidence counts as 0; the newest of equals."""
    return max(enumerate(entries), key=lambda pair: (pair[1].confidence or 0.0, pair[0]))[1].value


def append(entries: Sequence[Entry]) -> list[Any]:
    """All of them in one list, oldest first; lists are joined."""
    joined: list[Any] = []
    for entry in entries:
        value = entry.value
        joined += value if isinstance(value, list) else [value]
    return joined


def merge(entries: Sequence[Entry]) -> Any:
    """Dicts merged key by key and lists united, the newest winning where they differ; otherwise the newest."""
    values = [entry.value for entry in entries]
    if all(isinstance(value, dict) for value in values):
        return {key: item for value in values for key, item in value.items()}
    if all(isinstance(value, list) for value in values):
        return list({key_of(freeze(item)): item for value in values for item in value}.values())
    return values[-1]


def escalate(entries: Sequence[Entry]) -> Any:
    """No value until someone decides by writing one."""
    if len({key_of(entry._frozen) for entry in entries}) == 1:
        return entries[0].value
    voices = "; ".join(f"{entry.by} says {entry.value!r:.80}" for entry in entries)
    raise Undecided(f"{entries[0].field!r} is undecided: {voices}. Write the value that holds, having seen all of them")


_BY_NAME = {rule.__name__: rule for rule in (latest, confident, append, merge, escalate)}


def rule(given: Resolve) -> Callable[[Sequence[Entry]], Any]:
    """The function for a name, or the function itself.

    >>> rule("latest").__name__
    'latest'
    """
    if callable(given):
        return given
    found = _BY_NAME.get(given)
    if found is None:
        raise MisuseError(f"no resolution named {given!r}; use one of {', '.join(_BY_NAME)}, or a function")
    return found


def resolved(entries: Sequence[Entry], given: Resolve) -> Any:
    """The value of these siblings; a lone one is its own."""
    return entries[0].value if len(entries) == 1 else rule(given)(oldest_first(entries))
