"""Labelled pairs and memories, read from JSON lines; what a judge makes of them, as counts.

`summedits_pairs.jsonl`: a, b, contradiction, and what was edited. `chatprotect_pairs.jsonl`: a, b, contradiction, and
of which entity and by which model; all distinct sentences of one such pair are a memory. Neither is part of this
project.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from crdtmem.coherence.blocking import Neighbours, paired
from crdtmem.coherence.offline import CERTAIN, CONTRADICTION, Verdict, judged, read

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


def rows(folder: str, name: str) -> list[Row] | None:
    """The rows of a file, or None if it is not there."""
    path = Path(folder) / name
    return [json.loads(line) for line in path.read_text().splitlines() if line] if folder and path.exists() else None


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
    """The sentences of a memory; of its coherent twin, without what contradicts one of them."""
    pairs = [(row["a"], None if coherent and row["contradiction"] else row["b"]) for row in some]
    return list(dict.fromkeys(text for pair in pairs for text in pair if text is not None))


def balanced(some: Sequence[list[Row]], told: Callable[[list[Row]], bool], twin: Callable[[list[Row]], bool]) -> float:
    """How often memories and their coherent twins are told apart: the mean of both shares.

    Args:
        some: the memories.
        told: whether a memory is found to be incoherent.
        twin: whether its coherent twin is.
    """
    wrong = [rows for rows in some if any(row["contradiction"] for row in rows)]
    hits = sum([told(rows) for rows in wrong]) / max(1, len(wrong))
    passed = sum([not twin(rows) for rows in some]) / max(1, len(some))
    return (hits + passed) / 2


def blocking_recall(some: Sequence[list[Row]], cap: int) -> float:
    """The share of contradictory pairs that are among the candidates when their memory is reviewed."""
    hits = total = 0
    for rows_ in some:
        near = Neighbours(cap)
        near.update({text: _read(text) for text in texts(rows_, coherent=False)}, ())
        wanted = [paired(row["a"], row["b"]) for row in rows_ if row["contradiction"] and row["a"] != row["b"]]
        total += len(wanted)
        hits += sum([pair in near.asked for pair in wanted])
    return hits / max(1, total)
