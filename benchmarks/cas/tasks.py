"""What agents do to what they share, and how one tells from the end whether it was kept. Pure.

1. A task leaves a mark of its own, its tag, in what is shared; a counter shows only how many there were.
2. `applied` is what a store that is read and written whole makes of a value; other stores do the same in their way.
3. Who, when and why go along where a structure has room for them: in lists, sets and records that are one document.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

LIST, SET, COUNTER, TEXT, THINK, SPEND = "list", "set", "counter", "text", "think", "spend"
KINDS = (LIST, SET, COUNTER, TEXT, THINK, SPEND)
NUMBERS = (COUNTER, SPEND)
WHY = "said in the meeting"
BUDGET = 40  # units that SPEND may spend
SECTIONS = 8
_REST = " churn rose in the north, the source is the crm of sales"


class Spent(Exception):
    """Nothing is left of the budget."""


def line(tag: str) -> str:
    """What is written: a text of 60 bytes that begins with its tag.

    >>> line("3.7"), len(line("3.7"))
    ('3.7 churn rose in the north, the source is the crm of sales ', 60)
    """
    return f"{tag}{_REST}".ljust(60)[:60]


def heading(tag: str) -> str:
    """The heading of the shared text below which a tag goes.

    >>> heading("3.7")
    '# 7'
    """
    return f"# {int(tag.rpartition('.')[2]) % SECTIONS}"


def about(who: str) -> dict[str, Any]:
    """What a good user keeps beside a value."""
    return {"by": who, "at": time.time(), "why": WHY}


def empty(kind: str) -> Any:
    """What is there before anybody has done anything.

    >>> empty(LIST), empty(COUNTER)
    ([], 0)
    """
    if kind == TEXT:
        return "".join(f"# {number}\n" for number in range(SECTIONS))
    return {LIST: [], SET: {}, COUNTER: 0, THINK: {"done": []}, SPEND: BUDGET}[kind]


def applied(kind: str, value: Any, tag: str, who: str) -> Any:
    """The value with a task done.

    >>> applied(COUNTER, 2, "3.7", "ann")
    3

    Raises:
        Spent: the budget is used up.
    """
    if kind == LIST:
        return [*value, {"value": line(tag), **about(who)}]
    if kind == SET:
        return value | {line(tag): about(who)}
    if kind == COUNTER:
        return value + 1
    if kind == TEXT:
        above = heading(tag)
        return value.replace(f"{above}\n", f"{above}\n{line(tag)}\n", 1)
    if kind == THINK:
        return {"done": [*value["done"], tag], "value": line(tag), **about(who)}
    if value < 1:
        raise Spent
    return value - 1


def holds(kind: str, value: Any, tag: str) -> bool:
    """Whether a value shows that a task was done; a number never does.

    >>> holds(THINK, {"done": ["3.7"]}, "3.7")
    True
    """
    return kind not in NUMBERS and tag in tags(kind, [value])


def tags(kind: str, values: Iterable[Any]) -> Counter[str]:
    """The tags that the values of some keys show, each as often as it is there.

    >>> tags(LIST, [[line("1.1"), line("1.2")], [line("1.1")]])["1.1"]
    2
    """
    found: Counter[str] = Counter()
    for value in values:
        if kind == THINK:
            found.update(value["done"])
        elif kind == TEXT:
            found.update(row.split()[0] for row in value.splitlines() if not row.startswith("#"))
        elif kind in (LIST, SET):
            found.update(_said(item).split()[0] for item in value)
    return found


def _said(item: Any) -> str:
    """The line in an item of a list: alone, or with who wrote it; as it is, or as JSON."""
    if isinstance(item, str) and item.startswith("{"):
        item = json.loads(item)
    return str(item["value"]) if isinstance(item, dict) else str(item)
