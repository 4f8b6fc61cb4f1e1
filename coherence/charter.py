"""The charter: what a team has declared of its attributes, as that only one value holds at a time.

In an owned namespace the rules of a field say it (`FieldRule`). Elsewhere it is an ordinary record, so that every
replica reviews by the same: `memory.records("charter").put("ceo", {"single": True})`. An argument of `review` goes
over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crdtmem.change import RECORDS
from crdtmem.coherence.gather import CHARTER
from crdtmem.coherence.lexicon import stem
from crdtmem.errors import ValueRefused
from crdtmem.memory import Memory


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is declared of an attribute, or of a field.

    Args:
        single: whether only one value can hold at a time. False: any number can, and they never conflict.
        tolerance: how far two numbers may lie apart and agree.
    """

    single: bool = True
    tolerance: float = 0.0


class Charter:
    """Declared attributes, by name: "ceo", or "acme.ceo" for that of Acme alone.

    >>> charter = Charter({"acme.ceo": Attribute()})
    >>> charter.of(frozenset({"acm", "ceo"})), charter.of(frozenset({"initech", "ceo"}))
    (Attribute(single=True, tolerance=0.0), None)
    """

    def __init__(self, declared: Mapping[str, Attribute]) -> None:
        self.declared = dict(declared)
        stems = [(frozenset(_stems(name)), attribute) for name, attribute in sorted(declared.items())]
        self._by_stems = sorted(stems, key=lambda one: -len(one[0]))  # the most particular first

    def of(self, asked: frozenset[str]) -> Attribute | None:
        """What is declared of that question."""
        return next((attribute for stems, attribute in self._by_stems if stems and stems <= asked), None)

    def field(self, name: str) -> Attribute | None:
        """What is declared of a field as a whole."""
        return self.declared.get(name)


def charter(memory: Memory, given: Mapping[str, Attribute | Mapping[str, Any]] | None) -> Charter:
    """The charter of a memory, under the one that is given."""
    found: dict[str, Attribute] = {}
    rules = memory.rules
    for name, rule in (rules.fields if rules is not None else {}).items():
        if rule.cardinality == "one" or rule.tolerance:
            found[name] = Attribute(single=rule.cardinality == "one", tolerance=rule.tolerance or 0.0)
    found |= _recorded(memory)
    for name, told in (given or {}).items():
        made = told if isinstance(told, Attribute) else _attribute(told)
        if made is None:
            raise ValueRefused(
                f"charter[{name!r}]: Attribute(), or {{'single': True, 'tolerance': 0.1}}, not {told!r:.60}"
            )
        found[name] = made
    return Charter(found)


def _recorded(memory: Memory) -> dict[str, Attribute]:
    """What the record says; what is not understood there, or not agreed on, is left alone."""
    found = {}
    for entries in memory._listed((RECORDS, CHARTER)):
        made = _attribute(entries[0].value) if len(entries) == 1 else None
        if made is not None:
            found[entries[0].key] = made
    return found


def _attribute(told: Any) -> Attribute | None:
    if not isinstance(told, Mapping) or not told or not told.keys() <= {"single", "tolerance"}:
        return None
    single, tolerance = told.get("single", True), told.get("tolerance", 0.0)
    if type(single) is not bool or type(tolerance) not in (int, float) or not 0 <= tolerance < float("inf"):
        return None
    return Attribute(single, float(tolerance))


def _stems(name: str) -> list[str]:
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split()
    return [stem(word) for word in words]
