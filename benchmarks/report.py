"""Results as a page: python -m benchmarks report FILE... [--into FOLDER]. Every target with its verdict, and plots.

The files are what `--json` wrote. Where several hold a row, the one counts that was measured at full size, and of those
the last one given. Targets that no file holds are listed too: as not measured.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import plots
from benchmarks.rows import MET, MISSED, PENDING, UNSTEADY, short
from benchmarks.targets import TARGETS

FORMAT = 1
NOT_MEASURED = "not measured"
_PLENTY = 64 << 20  # bytes of a file


class BadResult(Exception):
    """A file is no result of `--json`: says which, and what is wrong with it."""


class Measured(msgspec.Struct, frozen=True):
    """A figure."""

    median: float
    low: float
    high: float
    rounds: tuple[float, ...] = ()


class Line(msgspec.Struct, frozen=True):
    """A line of a plot."""

    name: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]
    exponent: float | None = None


class Shown(msgspec.Struct, frozen=True):
    """A row."""

    name: str
    unit: str
    measured: Measured | None
    verdict: str
    target: float | None = None
    at_least: bool = False
    sides_us: dict[str, Measured | None] = {}
    note: str = ""
    reduced: bool = False
    unsteady: bool = False
    series: tuple[Line, ...] = ()
    also: dict[str, float] = {}


class Benchmark(msgspec.Struct, frozen=True):
    """A benchmark with its rows."""

    name: str
    alike: dict[str, str]
    seconds: float
    rows: tuple[Shown, ...]


class Result(msgspec.Struct, frozen=True):
    """A file."""

    format: int
    setting: dict[str, str]
    effort: dict[str, Any]
    benchmarks: tuple[Benchmark, ...]


def read(path: Path) -> Result:
    """A result from a file.

    Raises:
        BadResult: it is none, or cannot be read.
    """
    try:
        if path.stat().st_size > _PLENTY:
            raise BadResult(f"{path}: more than {_PLENTY >> 20} MiB; a result of --json is far smaller")
        return parsed(path.read_bytes(), str(path))
    except OSError as error:
        raise BadResult(f"{path}: {error}; give a file that python -m benchmarks NAME --json FILE wrote") from error


def parsed(data: bytes, name: str) -> Result:
    """A result from its bytes.

    Raises:
        BadResult: they are none.
    """
    try:
        result = msgspec.json.decode(data, type=Result)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadResult(f"{name}: {error}; give a file that python -m benchmarks NAME --json FILE wrote") from error
    if result.format != FORMAT:
        raise BadResult(f"{name}: format {result.format}, and this reads format {FORMAT}; measure anew")
    return result


def best(results: Iterable[Result]) -> dict[str, tuple[Shown, int]]:
    """Each row by its name, with the number of its file: of full size rather than smaller, of a later file."""
    found: dict[str, tuple[Shown, int]] = {}
    for number, result in enumerate(results, start=1):
        for benchmark in result.benchmarks:
            for row in benchmark.rows:
                before = found.get(row.name)
                if before is None or _worth(row) >= _worth(before[0]):
                    found[row.name] = row, number
    return found


def _worth(row: Shown) -> tuple[bool, bool]:
    return row.measured is not None, not row.reduced


def page(results: Sequence[Result], drawn: dict[str, str]) -> str:
    """The page.

    Args:
        results: what to show.
        drawn: the plots, by the names of their rows, as addresses of pictures.
    """
    found = best(results)
    body = "\n".join(
        [
            "<h1>crdtmem: what was measured</h1>",
            _verdicts(found),
            "<h2>Targets</h2>",
            _targets(found),
            "<h2>Plots</h2>" if drawn else "",
            *(f"<figure><img src='{address}' alt='{escape(name)}'></figure>" for name, address in drawn.items()),
            *_contests(found),
            "<h2>All rows</h2>",
            *_everything(results),
            "<h2>Where and when</h2>",
            *(_setting(number, result) for number, result in enumerate(results, start=1)),
        ]
    )
    style = Path(__file__).with_name("report.css").read_text()
    head = f"<meta charset='utf-8'><title>crdtmem: what was measured</title>\n<style>\n{style}</style>"
    return f"<!doctype html>\n<html lang='en'><head>{head}</head>\n<body>\n{body}\n</body></html>\n"


def _verdicts(found: dict[str, tuple[Shown, int]]) -> str:
    judged = [found[name][0].verdict if name in found else NOT_MEASURED for name in TARGETS]
    words = [f"<b>{judged.count(one.lower())}</b> {one.lower()}" for one in (MET, MISSED, PENDING, NOT_MEASURED)]
    return f"<p>Of {len(TARGETS)} targets: {', '.join(words)}. A verdict is that of the median.</p>"


def _targets(found: dict[str, tuple[Shown, int]]) -> str:
    lines = []
    for name, target in TARGETS.items():
        row, number = found.get(name, (Shown(name, target.unit, None, NOT_MEASURED), 0))
        limit = f"{'at least' if target.least else 'at most'} {short(target.limit)} {target.unit}"
        lines.append(
            _cells([name, limit, *_figures(row), _verdict(row), _doubts(row), f"file {number}" if number else ""])
        )
    return _table(["row", "target", "measured", "spread", "verdict", "", ""], lines)


def _figures(row: Shown) -> list[str]:
    if row.measured is None:
        return ["", ""]
    one = row.measured
    spread = f"{short(one.low)} to {short(one.high)}" if one.low != one.high else ""
    return [f"{short(one.median)} {row.unit}", spread]


def _doubts(row: Shown) -> str:
    return ", ".join(["smaller"] * row.reduced + ["unsteady"] * row.unsteady)


def _contests(found: dict[str, tuple[Shown, int]]) -> Iterator[str]:
    """The rows of one cell side by side: those named alike up to the colon."""
    cells: dict[str, list[Shown]] = {}
    for row, _ in found.values():
        if row.also:
            cells.setdefault(row.name.partition(": ")[0], []).append(row)
    if cells:
        yield "<h2>Side by side</h2>"
    for name, rows in cells.items():
        columns = list(dict.fromkeys(key for row in rows for key in row.also))
        most = max((row.measured.median for row in rows if row.measured), default=0) or 1
        lines = []
        for row in rows:
            median = row.measured.median if row.measured else 0
            bar = f"<td class='bar'><i style='width:{100 * median / most:.1f}%'></i></td>"
            figures = [short(row.also[key]) if key in row.also else "" for key in columns]
            lines.append(_cells([row.name.partition(": ")[2], *_figures(row)]) + bar + _cells(figures))
        yield f"<h3>{escape(name)}</h3>"
        yield _table(["", "median", "spread", "", *columns], lines)


_ROW = ("row", "measured", "spread", "verdict", "", "made from")


def _everything(results: Sequence[Result]) -> Iterator[str]:
    for number, result in enumerate(results, start=1):
        for benchmark in result.benchmarks:
            alike = "; ".join(f"{what}: {words}" for what, words in benchmark.alike.items())
            lines = [
                _cells([row.name, *_figures(row), _verdict(row), _doubts(row), _made_from(row)])
                for row in benchmark.rows
            ]
            yield (
                f"<details><summary>{escape(benchmark.name)}, file {number}, {benchmark.seconds:.0f} s</summary>"
                f"<p>{escape(alike)}</p>{_table(_ROW, lines)}</details>"
            )


def _made_from(row: Shown) -> str:
    sides = [f"{name} {short(figure.median)} us" for name, figure in row.sides_us.items() if figure]
    return "; ".join(filter(None, [", ".join(sides), row.note]))


def _setting(number: int, result: Result) -> str:
    rounds = result.effort.get("rounds", "?")
    words = {
        **result.setting,
        "rounds": f"{rounds}, medians of them; unsteady where they differ by more than {UNSTEADY:g} times",
    }
    items = "".join(f"<dt>{escape(what)}</dt><dd>{escape(str(said))}</dd>" for what, said in words.items())
    return f"<h3>File {number}</h3><dl>{items}</dl>"


class _Raw(str):
    """Markup of ours."""


def _verdict(row: Shown) -> _Raw:
    known = row.verdict if row.verdict in ("met", "missed", "pending") else "other"
    return _Raw(f"<span class='{known}'>{escape(row.verdict)}</span>")


def _cells(words: Iterable[str]) -> str:
    return "".join(f"<td>{word if isinstance(word, _Raw) else escape(word)}</td>" for word in words)


def _table(head: Iterable[str], lines: Iterable[str]) -> str:
    columns = "".join(f"<th>{escape(word)}</th>" for word in head)
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div class='wide'><table><thead><tr>{columns}</tr></thead>\n<tbody>{rows}</tbody></table></div>"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its plots into a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks report", description="Show results as a page.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what --json wrote")
    parser.add_argument(
        "--into", type=Path, default=Path("report"), metavar="FOLDER", help="where index.html is written"
    )
    asked = parser.parse_args(arguments)
    try:
        results = [read(path) for path in asked.files]
    except BadResult as bad:
        print(f"report: {bad}", file=sys.stderr)
        return 2
    asked.into.mkdir(parents=True, exist_ok=True)
    with_lines = [row for row, _ in best(results).values() if row.series]
    drawn = {}
    try:
        for row in with_lines:
            picture = asked.into / f"{_slug(row.name)}.png"
            drawn[row.name] = plots.drawn(row.name, row.series, picture)
    except plots.Absent as absent:
        print(f"report: without plots: {absent}", file=sys.stderr)
    written = asked.into / "index.html"
    written.write_text(page(results, drawn))
    print(f"{written}: {len(TARGETS)} targets, {len(drawn)} plots")
    return 0


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "plot"
