"""The floor: what pycrdt alone takes for the same number of operations on the same data, with no author and no reason.

Every write is a transaction of its own, and an observer takes its update, as whoever replicates a document must. The
document that updates are applied to has no observer: nothing of ours may look good beside a floor that is too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import iadd

from pycrdt import Array, Doc, Map, Text, TransactionEvent

from benchmarks.harness import Run, Side

RAW_SET, RAW_APPLY = "raw set", "raw apply_update"


def map_sets(keys: Sequence[str], values: Sequence[str]) -> Side:
    """One map set each."""

    def prepare() -> Run:
        _doc, root, _updates = _map()

        def run() -> None:
            for key, value in zip(keys, values, strict=True):
                root[key] = value

        return run

    return Side(RAW_SET, len(values), prepare)


def applied_updates(keys: Sequence[str], values: Sequence[str]) -> Side:
    """One `apply_update` each, of an update that sets one key."""
    _doc, root, updates = _map()
    for key, value in zip(keys, values, strict=True):
        root[key] = value

    def prepare() -> Run:
        doc = Doc[Map[str]]()
        doc.get("root", type=Map)
        apply = doc.apply_update

        def run() -> None:
            for update in updates:
                apply(update)

        return run

    return Side(RAW_APPLY, len(values), prepare)


def map_gets(keys: Sequence[str], values: Sequence[str]) -> Side:
    """One map get each."""

    def prepare() -> Run:
        _doc, root, _updates = _map()
        for key, value in zip(keys, values, strict=True):
            root[key] = value

        def run() -> None:
            for key in keys:
                root.get(key)

        return run

    return Side("raw get", len(keys), prepare)


def array_appends(values: Sequence[str]) -> Side:
    """One array append each."""

    def prepare() -> Run:
        doc = Doc[Array]()
        root = doc.get("root", type=Array)
        doc.observe(partial(_take, []))

        def run() -> None:
            for value in values:
                root.append(value)

        return run

    return Side("raw append", len(values), prepare)


def text_appends(values: Sequence[str]) -> Side:
    """One text append each."""

    def prepare() -> Run:
        doc = Doc[Text]()
        root = doc.get("root", type=Text)
        doc.observe(partial(_take, []))

        def run() -> None:
            for value in values:
                iadd(root, value)

        return run

    return Side("raw append", len(values), prepare)


def _map() -> tuple[Doc[Map[str]], Map[str], list[bytes]]:
    doc = Doc[Map[str]]()
    root: Map[str] = doc.get("root", type=Map)
    updates: list[bytes] = []
    doc.observe(partial(_take, updates))
    return doc, root, updates


def _take(updates: list[bytes], event: TransactionEvent) -> None:
    updates.append(event.update)
