"""Every target in one place. A row is judged by the target of its name; a row without one is only reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RAW = "x raw"  # raw: one pycrdt map set in a transaction of its own, its update taken by an observer
GROWN = "x at 1,000"


class Target(NamedTuple):
    """At most so much."""

    limit: float
    unit: str


WRITE, IN_A_CHANGE, RECEIVE, READ, FLAT = (
    Target(2.5, RAW),
    Target(1, RAW),
    Target(3.5, RAW),
    Target(1, "us"),
    Target(2, GROWN),
)

TARGETS: Mapping[str, Target] = {
    "set.add, with why": WRITE,
    "register.assign, with why": WRITE,
    "records.put, with why": WRITE,
    "counter.add, with why": WRITE,
    "set.add, in a change of 100": IN_A_CHANGE,
    "register.assign, in a change of 100": IN_A_CHANGE,
    "records.put, in a change of 100": IN_A_CHANGE,
    "counter.add, in a change of 100": IN_A_CHANGE,
    "receive, set adds with why": RECEIVE,
    "receive, records puts with why": RECEIVE,
    "receive, counter adds with why": RECEIVE,
    "records.get": READ,
    "value in set": READ,
    "value in set, a miss": READ,
    "digest after one more write": Target(50, "us"),
    **{
        f"{operation}, grown, {authors}": FLAT
        for operation in ("set.add", "register.assign", "records.put", "counter.add", "sequence.append")
        for authors in ("one author", "two authors")
    },
    "state after increments": Target(300, "bytes"),
    "state after churn, beyond the live entries": Target(60, "bytes an entry"),
    "version token after process starts": Target(200, "bytes"),
    "opening and exchanging versions": Target(200, "ms"),
}
