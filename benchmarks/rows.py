"""A row of a result: what was measured, beside its target. Text for people, plain data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness import Figure
from benchmarks.targets import TARGETS, Target

MET, MISSED, PENDING, REPORTED = "met", "MISSED", "pending", "-"
UNSTEADY = 1.5  # rounds that differ by more than this say more about the machine than about us


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot. Both axes are logarithmic, so every point is positive.

    Args:
        name: of the line; the lines of one row share a plot.
        x: what grows, with its unit: `"entries"`.
        y: what it costs, with its unit: `"us a write"`.
        points: x and y of each.
        exponent: of the fitted power of x, if one was fitted.

    >>> Series("set", "entries", "us a write", ((100, 1.0), (1000, 2.0)), exponent=0.3).data()["points"]
    [[100, 1.0], [1000, 2.0]]
    """

    name: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]
    exponent: float | None = None

    def __post_init__(self) -> None:
        if not all(x > 0 and y > 0 for x, y in self.points):
            raise ValueError(f"{self.name}: a point that is not positive cannot be drawn: {self.points}")

    def data(self) -> dict[str, Any]:
        """The line for programs."""
        return {
            "name": self.name,
            "x": self.x,
            "y": self.y,
            "points": [list(point) for point in self.points],
            "exponent": self.exponent,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing.

    Args:
        name: its name, unique over all benchmarks; its target is looked up by it.
        unit: of the figure.
        figure: what was measured; None when it could not be.
        sides: what the figure was made from, in microseconds.
        note: what a reader must know, or why there is no figure.
        reduced: it was measured at a smaller size than its target speaks of, as `--quick` does.
        series: how the figure goes with size, for a plot.
        also: what else was seen in the same run, by name with its unit.
    """

    name: str
    unit: str
    figure: Figure | None
    sides: Mapping[str, Figure] = field(default_factory=dict)
    note: str = ""
    reduced: bool = False
    series: tuple[Series, ...] = ()
    also: Mapping[str, float] = field(default_factory=dict)

    @property
    def target(self) -> Target | None:
        """What is asked of it."""
        return TARGETS.get(self.name)

    @property
    def verdict(self) -> str:
        """Whether the median is within the target. What has a target and no figure is pending, and not met."""
        if self.target is None:
            return REPORTED
        if self.figure is None:
            return PENDING
        if self.target.unit != self.unit:
            raise ValueError(f"{self.name}: measured in {self.unit!r}, its target is in {self.target.unit!r}")
        return MET if self.target.met(self.figure.median) else MISSED

    @property
    def unsteady(self) -> bool:
        """Whether the rounds differ too much for the median to be trusted."""
        found = self.figure
        return found is not None and found.high - found.low > (UNSTEADY - 1) * abs(found.low)

    def data(self) -> dict[str, Any]:
        """The row for programs."""
        return {
            "name": self.name,
            "unit": self.unit,
            "target": self.target.limit if self.target else None,
            "at_least": self.target is not None and self.target.least,
            "measured": _data(self.figure),
            "verdict": "reported" if self.verdict == REPORTED else self.verdict.lower(),
            "sides_us": {name: _data(figure) for name, figure in self.sides.items()},
            "note": self.note,
            "reduced": self.reduced,
            "unsteady": self.unsteady,
            "series": [series.data() for series in self.series],
            "also": dict(self.also),
        }


def unmet(rows: Iterable[Row]) -> list[str]:
    """The rows whose target is missed or pending, by name."""
    return [row.name for row in rows if row.verdict in (MISSED, PENDING)]


def table(rows: Iterable[Row]) -> str:
    """The rows for people."""
    lines = [("row", "target", "measured", "spread", "verdict", "made from")]
    for row in rows:
        least = "at least " if row.target and row.target.least else ""
        target = f"{least}{short(row.target.limit)} {row.target.unit}" if row.target else ""
        measured, spread = "none", ""
        if row.figure is not None:
            measured = f"{short(row.figure.median)} {row.unit}"
            if row.figure.low != row.figure.high:
                spread = f"{short(row.figure.low)} to {short(row.figure.high)}"
        doubts = ["smaller"] * (row.reduced and row.target is not None) + ["unsteady"] * row.unsteady
        verdict = ", ".join([row.verdict, *doubts])
        sides = ", ".join(f"{name} {short(figure.median)} us" for name, figure in row.sides.items())
        also = ", ".join(f"{short(value)} {name}" for name, value in row.also.items())
        lines.append((row.name, target, measured, spread, verdict, "; ".join(filter(None, [sides, also, row.note]))))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def short(number: float) -> str:
    """Three digits, or all of a whole number.

    >>> short(4.7123), short(0.0471), short(123456), short(99.96)
    ('4.71', '0.0471', '123,456', '100')
    """
    if number >= 99.95 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _data(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"median": figure.median, "low": figure.low, "high": figure.high, "rounds": list(figure.rounds)}
