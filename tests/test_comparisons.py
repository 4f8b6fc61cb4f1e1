"""The benchmarks of other servers, of editing traces and of growth: what they count is so, and what grows is found."""

from __future__ import annotations

import doctest
import gzip
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import edits, fit, kept, peers, rivals, scale, targets, traces
from benchmarks.bulk import Operation
from benchmarks.edits import Alone, BadTrace, after, b1, b2, b3, read_trace, typing
from benchmarks.effort import QUICK
from benchmarks.fit import exponent, growth
from benchmarks.harness import Figure, Run, Side
from benchmarks.rows import Row, unmet
from tests.layout import ROOT

# -- growth ----------------------------------------------------------------------------------------


@given(st.floats(-3, 3), st.floats(1e-3, 1e6), st.lists(st.integers(1, 10**6), min_size=2, unique=True))
def test_the_exponent_of_a_power_is_found(power: float, factor: float, sizes: list[int]) -> None:
    points = [(size, factor * size**power) for size in sizes]
    assert math.isclose(exponent(points), power, abs_tol=1e-6)
    assert math.isclose(growth(points), power, abs_tol=1e-6)


@pytest.mark.parametrize(
    "points", [[], [(10, 1.0)], [(10, 1.0), (10, 2.0)], [(10, 1.0), (100, 0.0)], [(0, 1.0), (1, 1.0)]]
)
def test_nothing_is_said_of_growth_where_nothing_can_be(points: list[fit.Point]) -> None:
    with pytest.raises(ValueError, match=r"logarithm|one size"):
        exponent(points)


SIZES = (100, 1_000, 10_000, 100_000)


def costing(cost: Callable[[int], float]) -> Row:
    """The row of an operation that costs as much, in microseconds, at each size."""

    def prepare(size: int) -> Run:
        return lambda: round(cost(size) * 1000)

    [(_, points)] = scale.grown([Operation("planted", "us", 1, prepare)], lambda size: size, SIZES, 1)
    return scale.judged("write, by entries", "entries", "us a write", points)


def test_a_planted_quadratic_fails_the_run_and_n_log_n_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A write whose cost grows with what is there makes the work of n writes grow with n squared."""
    flat, logarithmic = costing(lambda n: 10), costing(lambda n: math.log(n))
    quadratic = costing(lambda n: 100 + n / 100)  # hidden by a constant, where little is there
    assert [row.verdict for row in (flat, logarithmic, quadratic)] == ["met", "met", "MISSED"]

    class Planted:
        ALIKE = {"processes": "1"}  # noqa: RUF012

        @staticmethod
        def rows(effort: Any) -> Iterator[Row]:
            yield quadratic

    monkeypatch.setattr(command.importlib, "import_module", lambda name: Planted)
    assert command.main(["scale", "--json", "-"]) == 1
    [line] = json.loads(capsys.readouterr().out)["benchmarks"][0]["rows"][0]["series"]
    assert [size for size, _ in line["points"]] == list(SIZES) and line["exponent"] > 0.35


def test_a_tiny_run_of_scale_has_a_row_for_every_target_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "ENTRIES", (20, 50, 1_000_000))  # the last of each only in full
    monkeypatch.setattr(scale, "AGENTS", (1, 2, 128))
    monkeypatch.setattr(scale, "NAMESPACES", (1, 3, 1_000))
    monkeypatch.setattr(scale.spread, "WRITES", 5)
    measured = {row.name: row for row in scale.rows(QUICK._replace(folder=str(tmp_path)))}
    assert measured.keys() == targets.SCALE.keys()
    for row in measured.values():
        assert row.figure is not None and row.verdict in ("met", "MISSED")
        assert all(len(line.points) == 2 and line.exponent is not None for line in row.series)
    assert {len(row.series) for row in measured.values()} == {1, 2}  # beside raw pycrdt, where that does the same
    assert list(tmp_path.iterdir()) == []


# -- other servers ---------------------------------------------------------------------------------


def stand_in(dialect: str) -> rivals.Start:
    """A server of our own in place of an installed one."""

    def start(kept: Path | None) -> rivals.Server:
        given = [dialect, *([str(kept)] if kept else [])]
        return rivals.Server([sys.executable, "-m", "tests.y_server", *given], {"PYTHONPATH": str(ROOT)})

    return start


def nowhere(kept: Path | None) -> rivals.Server:
    raise rivals.Absent("it cannot be installed here: no network")


def test_a_tiny_run_of_peers_counts_what_is_left_and_names_who_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = {name: stand_in(name) for name in ("y-websocket", "hocuspocus")}
    monkeypatch.setattr(rivals, "RIVALS", {**servers, "pycrdt-websocket": nowhere})
    monkeypatch.setattr(peers, "READERS", 2)
    monkeypatch.setattr(peers, "_PRESSED", 7.2)  # of which a quick run takes a part
    measured = {row.name: row for row in peers.rows(QUICK._replace(rounds=1, burst=40, folder=str(tmp_path)))}
    assert targets.PEERS.keys() <= measured.keys()
    for what, _ in peers.UNITS.values():
        for name in ("crdtmem", "y-websocket", "hocuspocus"):
            figure = measured[f"peers, {what}, {name}"].figure
            assert figure is not None and figure.median > 0
        absent = measured[f"peers, {what}, pycrdt-websocket"]
        assert (absent.figure, absent.note) == (None, "it cannot be installed here: no network")
    left = {name.partition("kill -9, ")[2]: row.figure for name, row in measured.items() if "kill" in name}
    assert {name: figure and figure.median for name, figure in left.items()} == {
        "crdtmem, with its file": 100,
        "y-websocket, as its README starts it": 0,
        "y-websocket, with LevelDB": 100,
        "hocuspocus, as its README starts it": 0,
        "hocuspocus, with its Database extension": 100,
        "pycrdt-websocket": None,
    }
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_is_absent_and_says_why() -> None:
    for script, why in (("print('no such port')", "no such port"), ("", "it said nothing")):
        with pytest.raises(rivals.Absent, match=why):
            rivals.Server([sys.executable, "-c", script], {})


# -- workloads and traces --------------------------------------------------------------------------

SIZE = 40


def test_the_workloads_of_one_user_are_what_their_names_say() -> None:
    found = {work.name.partition(" ")[0]: work for work in b1(SIZE, random.Random(3))}
    assert list(found) == [f"B1.{number}" for number in range(1, 12)]
    shown = {name: after(work.begun, work.edits) for name, work in found.items()}
    assert shown["B1.1"] == shown["B1.2"] == shown["B1.3"][::-1] and len(shown["B1.1"]) == SIZE
    assert shown["B1.6"] == "" and len(shown["B1.4"]) == SIZE
    assert shown["B1.8"] == shown["B1.9"] == shown["B1.10"][::-1] and sorted(shown["B1.8"]) == sorted(shown["B1.11"])
    counts = [len(found[f"B1.{number}"].edits) for number in range(1, 12)]
    assert counts == [SIZE, 1, SIZE, SIZE, SIZE, 2, SIZE, SIZE, 1, SIZE, SIZE]
    assert all(2 <= len(edit[2]) <= 10 for edit in found["B1.5"].edits)
    assert {edit[1] > 0 for edit in found["B1.7"].edits} == {True, False}


@given(st.integers(1, 60), st.integers())
def test_no_edit_is_beyond_the_end_of_its_text(size: int, seed: int) -> None:
    chance = random.Random(seed)
    both = [Alone(work.name, side, work.begun) for work in b2(size, chance) for side in (work.one, work.other)]
    for begun, made in [(work.begun, work.edits) for work in (*b1(size, chance), *both, typing(size, chance))]:
        length = len(begun)
        for at, gone, content in made:
            assert at >= 0 and at + gone <= length
            length += len(content) - gone
        assert len(after(begun, made)) == length


def test_the_workloads_of_many_users() -> None:
    number, thing, word, listed = b3(100)
    assert [len(work.values) for work in (number, thing, word, listed)] == [200] * 4
    assert (number.values[7], thing.values[7], word.values[7]) == (7, {"name": "7", "address": "here"}, "7" * 200)
    assert [work.listed for work in (number, thing, word, listed)] == [False, False, False, True]


RECORDED = {
    "startContent": "né",
    "endContent": "née en été",
    "txns": [{"patches": [[2, 0, "e en "], [7, 0, "xt\u00e9"]]}, {"patches": [[7, 1, "\u00e9"]]}],
}
LISTED = 'const edits = [[0, 0, "h"], [1, 0, "i", "!"], [2, 1]]\nconst finalText = "hi"\nmodule.exports = { edits }\n'


def recorded(path: Path, what: object) -> Path:
    path.write_bytes(gzip.compress(json.dumps(what).encode()))
    return path


def test_both_forms_of_a_trace_are_read(tmp_path: Path) -> None:
    trace = read_trace(recorded(tmp_path / "note.json.gz", RECORDED))
    assert (trace.name, trace.begun, after(trace.begun, trace.edits)) == ("note", "né", "née en été")
    (tmp_path / "trace.js").write_text(LISTED)
    trace = read_trace(tmp_path / "trace.js")
    assert (trace.name, trace.edits) == ("trace", [(0, 0, "h"), (1, 0, "i!"), (2, 1, "")])
    assert [path.name for path in edits.traces(tmp_path)] == ["note.json.gz", "trace.js"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"endContent": "else"}, "do not come to"),
        ({"txns": [{"patches": [[3, 0, "x"]]}]}, "beyond the end"),
        ({"txns": [{"patches": [[-1, 0, "x"]]}]}, "not at a place"),
        ({"txns": [{"patches": [[0, 0, 1]]}]}, "text is wanted"),
        ({"txns": [{"patches": [[0, 0]]}]}, "is no editing trace"),
        ({"txns": [{"patches": [[0, 0, "x" * (1 << 20)]]}]}, "more than 1,048,576 characters"),
        ({"txns": 1}, "is no editing trace"),
        ({"kind": "concurrent"}, "only traces of one are read"),
    ],
)
def test_a_trace_that_is_none_says_why(change: dict[str, object], why: str, tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match=why):
        read_trace(recorded(tmp_path / "note.json.gz", {**RECORDED, **change}))


def test_a_trace_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "MAX_TRACE", 1000)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(BadTrace, match="more than 1,000 bytes"):
        read_trace(tmp_path / "bomb.json.gz")


@given(
    st.one_of(st.binary(), st.binary().map(gzip.compress), st.text().map(str.encode)),
    st.sampled_from(["a.json.gz", "trace.js"]),
)
def test_any_file_gives_a_trace_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with pytest.raises(BadTrace):
        read_trace(path)


def once(sides: list[Side], rounds: int) -> dict[str, Figure]:
    found = {}
    for side in sides:
        run, began = side.prepare(), time.thread_time_ns()
        run()
        found[side.name] = Figure((max(time.thread_time_ns() - began, 1) / 1000,))
    return found


def test_a_tiny_run_of_traces_has_five_rows_for_each_workload_and_names_a_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workloads check themselves that both sides come to the same."""
    monkeypatch.setattr(traces, "FULL_SIZE", 200)
    monkeypatch.setattr(traces, "measure", once)
    monkeypatch.setattr(traces, "ROOM", 1)
    recorded(tmp_path / "note.json.gz", RECORDED)
    recorded(tmp_path / "torn.json.gz", {})
    measured = {row.name: row for row in traces.rows(QUICK._replace(data=str(tmp_path)))}
    bad = measured.pop("torn.json.gz, time")
    assert bad.figure is None and "no editing trace" in bad.note
    costs = {name for name in measured if name.startswith("what attribution costs")}
    assert len(costs) == 3
    works = {name.rpartition(",")[0] for name in measured.keys() - costs}
    assert len(works) == 11 + 4 + 4 + 2
    assert measured.keys() - costs == {
        f"{work}, {what}" for work in works for what in ("time", "update", "document", "load", "memory")
    }
    assert all(row.figure is not None and row.figure.median > 0 for name, row in measured.items() if name not in costs)
    update = measured["what attribution costs, update"].figure
    assert update is not None and 80 < update.median < 150  # bytes: a header, a seal now and then
    assert unmet(measured.values()) == []


@pytest.mark.parametrize("module", [fit, edits, kept], ids=lambda module: module.__name__)
def test_the_examples_of_these_modules_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
