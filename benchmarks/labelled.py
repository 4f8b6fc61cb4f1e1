"""Labelled pairs and memories, read from JSON lines; what a judge makes of them, as counts.

A file `NAME_pairs.jsonl` has an object a line: a, b, and whether the two contradict each other. Where each also names
an entity and a model, all distinct sentences of one entity by one model are a memory. No data is part of this project.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from crdtmem.coherence.blocking import Neighbours
from crdtmem.coherence.offline import CERTAIN, CONTRADICTION, Verdict, judged, read
from crdtmem.coherence.review import CAP

Row = Mapping[str, Any]
Verdicts = Callable[[str, str], Verdict]
_read = lru_cache(20_000)(read)


class Counts(NamedTuple):
    """What was right and what was wrong."""

    hits: int
    alarms: int
    missed: int
    passed: int
    certain_hits: int
    certain_alarms: int
    kinds: Mapping[str, tuple[int, int]]  # kind -> hits, alarms

    @property
    def precision(self) -> float:
        """The share of what was found that is so."""
        return self.hits / max(1, self.hits + self.alarms)

    @property
    def recall(self) -> float:
        """The share of what is so that was found."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def balanced(self) -> float:
        """The mean of how often it is right on contradictions, and on the rest."""
        return (self.recall + self.passed / max(1, self.passed + self.alarms)) / 2

    @property
    def certain(self) -> float:
        """The precision of what was called certain."""
        return self.certain_hits / max(1, self.certain_hits + self.certain_alarms)


def sets(folder: str) -> dict[str, list[Row]]:
    """The labelled sets of a folder, by name: each file `NAME_pairs.jsonl`.

    Raises:
        SystemExit: a line is not a labelled pair; the message says which.
    """
    found: dict[str, list[Row]] = {}
    for path in sorted(Path(folder).glob("*_pairs.jsonl")) if folder else ():
        name = path.name.removesuffix("_pairs.jsonl")
        lines = enumerate(path.read_text().splitlines(), start=1)
        found[_NAMES.get(name, name)] = [_row(line, f"{path}, line {number}") for number, line in lines if line.strip()]
    return found


_NAMES = {"summedits": "SummEdits", "chatprotect": "ChatProtect"}


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not (isinstance(row, dict) and type(row.get("a")) is type(row.get("b")) is str and "contradiction" in row):
        raise SystemExit(f"{where}: not a JSON object with a, b and contradiction")
    return row


def offline(one: str, other: str) -> Verdict:
    """The verdict of the offline judge on two texts."""
    return judged(_read(one), _read(other))


def counted(some: Iterable[Row], verdicts: Verdicts) -> Counts:
    """How a judge does on labelled pairs."""
    tally: Counter[Any] = Counter()
    for row in some:
        verdict = verdicts(row["a"], row["b"])
        found, so = verdict.relation == CONTRADICTION, bool(row["contradiction"])
        tally[found, so] += 1
        if found:
            tally["kind", verdict.kind, so] += 1
            tally["certain", verdict.tier == CERTAIN, so] += 1
    kinds = sorted({key[1] for key in tally if key[0] == "kind"})
    return Counts(
        tally[True, True],
        tally[True, False],
        tally[False, True],
        tally[False, False],
        tally["certain", True, True],
        tally["certain", True, False],
        {kind: (tally["kind", kind, True], tally["kind", kind, False]) for kind in kinds},
    )


def memories(some: Iterable[Row]) -> list[list[Row]]:
    """The rows of each entity and model."""
    found: dict[Any, list[Row]] = {}
    for row in some:
        found.setdefault((row["entity"], row["model"]), []).append(row)
    return list(found.values())


def texts(some: Sequence[Row], *, coherent: bool) -> list[str]:
    """The sentences of a memory; of its coherent twin, without those that contradict another one by their label.

    Such a sentence often stands in other pairs too, and goes from these as well.
    """
    wrong = {row["b"] for row in some if row["contradiction"]} if coherent else set()
    return [text for text in dict.fromkeys(row[side] for row in some for side in "ab") if text not in wrong]


def balanced(some: Sequence[list[Row]], found: Sequence[object], alarms: Sequence[object]) -> float:
    """How often memories and their coherent twins are told apart: the mean of both shares.

    Args:
        some: the memories.
        found: of each, what was found; nothing if it is called coherent.
        alarms: the same of its coherent twin.
    """
    wrong = [bool(what) for rows, what in zip(some, found, strict=True) if any(row["contradiction"] for row in rows)]
    hits = sum(wrong) / max(1, len(wrong))
    passed = sum([not what for what in alarms]) / max(1, len(some))
    return (hits + passed) / 2


def blocking_recall(some: Sequence[list[Row]], first: int) -> float:
    """The share of contradictory pairs where either is among the first that would be asked about the other.

    Args:
        some: the memories.
        first: how many of the candidates of each statement count, in the order in which a judge is asked about them.
    """
    hits = total = 0
    for rows_ in some:
        near = Neighbours(CAP)
        near.update({text: _read(text) for text in texts(rows_, coherent=False)}, ())
        for row in rows_:
            one, other = row["a"], row["b"]
            if row["contradiction"] and one != other:
                total += 1
                hits += other in _first(near, one, first) or one in _first(near, other, first)
    return hits / max(1, total)


def _first(near: Neighbours, text: str, count: int) -> list[str]:
    """Those near a statement, in the order to ask about them: what clashes, and then what is most alike."""
    ranked = [(offline(text, other).relation != CONTRADICTION, -score, other) for score, other in near.of(text)]
    return [other for _, _, other in sorted(ranked)[:count]]
