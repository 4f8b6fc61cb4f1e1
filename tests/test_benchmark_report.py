"""The page of the benchmarks: it shows what was measured, whatever a file says; what is no result is one error."""

import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import install, plots, report, rivals, rows
from benchmarks.harness import Figure
from benchmarks.report import BadResult, best, page, parsed, read
from benchmarks.rows import Row, Series
from benchmarks.targets import TARGETS
from tests.layout import ROOT

LINE = Series("ours", "entries", "us", ((100, 1.0), (1000, 2.0)), exponent=0.3)


def written(path: Path, *measured: Row, benchmark: str = "local") -> Path:
    """A file as `--json` writes it."""
    result = {
        "format": 1,
        "setting": {"machine": "a <small> one", "commit": "abc"},
        "effort": {"rounds": 3},
        "benchmarks": [
            {"name": benchmark, "alike": {"payload": "a & b"}, "seconds": 1.5, "rows": [row.data() for row in measured]}
        ],
    }
    path.write_text(json.dumps(result))
    return path


class Cells(HTMLParser):
    """The rows of the tables of a page; every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def test_every_target_is_on_the_page_met_or_not_or_not_measured(tmp_path: Path) -> None:
    file = written(
        tmp_path / "one.json",
        Row("records.get", "us", Figure((0.5, 0.6, 0.7))),
        Row("value in set", "us", Figure((3.0, 4.0, 9.0)), reduced=True),
        Row("idle connection", "KiB", None, note="no server"),
    )
    html = page([read(file)], {})
    assert html.count("<span class='missed'>") == html.count("<span class='pending'>") == 2  # here, and among all rows
    cells = Cells(html)
    shown = {row[0]: row for row in cells.rows if len(row) == 7 and row[0] in TARGETS}
    assert shown.keys() == TARGETS.keys()
    assert shown["records.get"] == ["records.get", "at most 1 us", "0.6 us", "0.5 to 0.7", "met", "", "file 1"]
    assert shown["value in set"][2:6] == ["4 us", "3 to 9", "missed", "smaller, unsteady"]
    assert shown["idle connection"][4] == "pending"
    others = TARGETS.keys() - {"records.get", "value in set", "idle connection"}
    assert {shown[name][4] for name in others} == {"not measured"}
    assert f"Of {len(TARGETS)} targets: 1 met, 1 missed, 1 pending, {len(others)} not measured" in cells.text
    assert "a <small> one" in cells.text and "a & b" in cells.text


def test_of_several_files_full_size_counts_and_then_the_last(tmp_path: Path) -> None:
    def file(name: str, value: float | None, *, reduced: bool = False) -> Path:
        figure = None if value is None else Figure((value,))
        return written(tmp_path / name, Row("records.get", "us", figure, reduced=reduced))

    small, full, none = file("a", 0.1, reduced=True), file("b", 0.2), file("c", None)
    for paths, value, number in (
        ((small, full, none), 0.2, 2),
        ((full, small), 0.2, 1),
        ((full, full), 0.2, 2),
        ((none, small), 0.1, 2),
    ):
        row, where = best(map(read, paths))["records.get"]
        assert row.measured is not None
        assert (row.measured.median, where) == (value, number)


def test_rows_of_one_cell_stand_side_by_side(tmp_path: Path) -> None:
    file = written(
        tmp_path / "cas.json",
        Row("count, 8 agents: crdtmem", "tasks a second", Figure((200.0,)), also={"lost": 0, "MiB": 12.5}),
        Row("count, 8 agents: Redis", "tasks a second", Figure((100.0,)), also={"lost": 7}),
        benchmark="cas",
    )
    html = page([read(file)], {})
    table = [row for row in Cells(html).rows if row[:1] in (["crdtmem"], ["Redis"])]
    assert table == [
        ["crdtmem", "200 tasks a second", "", "", "0", "12.5"],
        ["Redis", "100 tasks a second", "", "", "7", ""],
    ]
    assert re.findall(r"width:([\d.]+)%", html) == ["100.0", "50.0"]


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(NAMES, NAMES, st.floats(-1e9, 1e9))
def test_nothing_in_a_file_becomes_markup(name: str, note: str, value: float) -> None:
    shown = report.Shown(
        name, note, report.Measured(value, value, value), "-", note=f"<script>{note}", also={note: value}
    )
    result = report.Result(1, {name: note}, {"rounds": note}, (report.Benchmark(note, {name: note}, 1.0, (shown,)),))
    html = page([result], {f"<b>{name}": "data:,"})
    assert f"<script>{note}" in Cells(html).text or not note.strip()
    assert "<script" not in html and "<b>" not in html.replace("<b>0</b>", "").replace(f"<b>{len(TARGETS)}</b>", "")
    assert unescape(html).count("<script>") >= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "invalid"),
        (b"[1]", "object"),
        (b"{}", "missing"),
        (b'{"format": 2, "setting": {}, "effort": {}, "benchmarks": []}', "format 2"),
        (b'{"format": 1, "setting": {}, "effort": {}, "benchmarks": [{}]}', "missing"),
        (b"[" * 100_000, ""),
    ],
)
def test_a_file_that_is_no_result_is_one_error(
    data: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(data)
    with pytest.raises(BadResult, match=f"bad.json: .*{reason}"):
        read(file)
    assert command.main(["report", str(file), "--into", str(tmp_path / "page")]) == 2
    assert "bad.json" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_result_or_one_error(data: bytes) -> None:
    try:
        parsed(data, "some.json")
    except BadResult as bad:
        assert str(bad).startswith("some.json: ")


def test_a_missing_file_is_the_same_error(tmp_path: Path) -> None:
    with pytest.raises(BadResult, match=r"nowhere.json"):
        read(tmp_path / "nowhere.json")


def test_the_command_writes_a_page_that_needs_nothing_else_and_pictures(tmp_path: Path) -> None:
    file = written(tmp_path / "scale.json", Row("writes, by size", "us", Figure((1.0,)), series=(LINE, LINE)))
    into = tmp_path / "page"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "report", str(file), "--into", str(into)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    html = (into / "index.html").read_text()
    assert not re.search(r"(?:src|href)=['\"](?!data:)", html) and "@import" not in html
    if "without plots" in ran.stderr:
        assert "matplotlib" in ran.stderr and "<img" not in html
    else:
        assert (into / "writes-by-size.png").read_bytes()[:4] == b"\x89PNG"
        assert html.count("src='data:image/svg+xml;base64,") == 1


def test_without_matplotlib_there_is_a_page_without_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    file = written(tmp_path / "scale.json", Row("writes, by size", "us", Figure((1.0,)), series=(LINE,)))
    assert command.main(["report", str(file), "--into", str(tmp_path)]) == 0
    assert "matplotlib" in capsys.readouterr().err
    assert "<img" not in (tmp_path / "index.html").read_text()


def test_a_plot_leaves_out_what_cannot_be_drawn_and_takes_no_text_for_a_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    line = report.Line("_a $x^2$", "n", "$", ((0, 1), (10, -1), (10, 5), (100, 50)), exponent=1.0)
    assert plots.drawn("$\\frac", [line], tmp_path / "a.png").startswith("data:image/svg+xml;base64,")


def test_a_line_that_cannot_be_drawn_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="ours"):
        Series("ours", "x", "y", ((0.0, 1.0),))


def nowhere(kept: Path | None) -> rivals.Server:
    raise rivals.Absent("no network")


def test_what_is_missing_is_said_and_not_installed_without_the_right_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "PACKAGES", {"no-such-program": "no-such-package"})
    monkeypatch.setattr(install.os, "getuid", lambda: 1000)
    monkeypatch.setattr(rivals, "RIVALS", {"a server": nowhere})
    assert install.main() == 0
    said = capsys.readouterr()
    assert "apt-get install no-such-package" in said.err and "not measured: no network" in said.err
    assert "installed in" in said.out


def test_rows_tell_the_rest_of_what_was_seen() -> None:
    row = Row(
        "count: ours", "tasks a second", Figure((2.0,)), note="n", series=(LINE,), also={"lost": 0, "ms median": 0.25}
    )
    assert "0 lost, 0.25 ms median; n" in rows.table([row])
    assert row.data()["also"] == {"lost": 0, "ms median": 0.25}
    assert row.data()["series"][0]["exponent"] == 0.3
