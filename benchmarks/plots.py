"""Lines as pictures, both axes logarithmic: a PNG beside the page, and an SVG within it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Protocol


class Absent(Exception):
    """Nothing is there that draws."""


class Drawable(Protocol):
    """A line, as `rows.Series` and what is read back of it."""

    @property
    def name(self) -> str: ...
    @property
    def x(self) -> str: ...
    @property
    def y(self) -> str: ...
    @property
    def points(self) -> Sequence[tuple[float, float]]: ...
    @property
    def exponent(self) -> float | None: ...


def drawn(title: str, lines: Sequence[Drawable], picture: Path) -> str:
    """Draw the lines of one row.

    Args:
        title: above the plot.
        lines: the first one stands out; points that are not positive are left out.
        picture: where the PNG is written.

    Returns:
        The address of the SVG, which is the SVG itself.

    Raises:
        Absent: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Absent("pip install -e '.[bench]' brings matplotlib") from error
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.set(title=_plain(title), xscale="log", yscale="log", xlabel=_plain(lines[0].x), ylabel=_plain(lines[0].y))
    for number, line in enumerate(lines):
        points = [(x, y) for x, y in line.points if x > 0 and y > 0]
        label = line.name if line.exponent is None else f"{line.name}: exponent {line.exponent:.2f}"
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker="o",
            markersize=4 if number else 6,
            linewidth=1.2 if number else 2.6,
            label=_plain(label),
        )
    axes.grid(visible=True, which="major", color="#e6eaf0")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    figure.savefig(picture, dpi=130)
    vector = BytesIO()
    figure.savefig(vector, format="svg")
    return f"data:image/svg+xml;base64,{b64encode(vector.getvalue()).decode()}"


def _plain(text: str) -> str:
    """Text in which nothing is taken for a formula."""
    return text.replace("$", r"\$").removeprefix("_")
