"""The harness of the benchmarks is measured itself: a planted slowdown shows, and what it prints can be read back."""

import asyncio
import doctest
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks import __main__ as command
from benchmarks import adapters, fanout, floor, harness, many, postgres, rivals, rows, store, sync, targets, view
from benchmarks.apart import Apart, Silent, resident, spent, told
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.race import race
from benchmarks.rows import Row, table, unmet
from benchmarks.targets import RAW, TARGETS, Target
from benchmarks.wire import Wire
from tests.layout import ROOT


def work(name: str, times: int) -> Side:
    """A side whose operation is so much real arithmetic."""

    def prepare() -> Run:
        def run() -> None:
            for _ in range(20):
                sum(range(20_000 * times))

        return run

    return Side(name, 20, prepare)


def test_a_planted_slowdown_of_two_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "TARGETS", {"same": Target(1.5, RAW), "slowed": Target(1.5, RAW)})
    found = measure([work("floor", 1), work("same", 1), work("slowed", 2)], rounds=21)
    judged = {name: Row(name, RAW, found[name].over(found["floor"])) for name in ("same", "slowed")}
    assert judged["slowed"].figure is not None
    assert 1.6 < judged["slowed"].figure.median < 2.5
    assert (judged["same"].verdict, judged["slowed"].verdict) == ("met", "MISSED")
    assert unmet(judged.values()) == ["slowed"]


class Ticks:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def side(self, name: str, log: list[str], *, own: int | None = None) -> Side:
        def prepare() -> Run:
            self.now += 10**9  # preparing is not timed

            def run() -> int | None:
                log.append(name)
                self.now += 4_000
                return own

            return run

        return Side(name, 2, prepare)


def test_sides_take_turns_the_warm_up_is_dropped_and_only_the_run_is_timed() -> None:
    ticks, log = Ticks(), list[str]()
    found = measure([ticks.side("a", log), ticks.side("b", log)], rounds=2, clock=ticks)
    assert log == ["b", "a", "a", "b", "b", "a"]
    assert found == {"a": Figure((2.0, 2.0)), "b": Figure((2.0, 2.0))}


def test_where_each_run_has_processes_of_its_own_no_round_is_thrown_away() -> None:
    ticks, log = Ticks(), list[str]()
    assert measure([ticks.side("a", log)], rounds=2, clock=ticks, warming=0) == {"a": Figure((2.0, 2.0))}
    assert log == ["a", "a"]


def test_a_run_may_time_a_part_of_itself() -> None:
    ticks = Ticks()
    assert measure([ticks.side("a", [], own=500)], rounds=1, clock=ticks) == {"a": Figure((0.25,))}


def test_ratios_are_taken_within_rounds() -> None:
    """When the machine slows down for a round, both sides slow down, and the ratio stays."""
    ours, floor = Figure((2.0, 20.0, 2.0)), Figure((1.0, 10.0, 1.0))
    assert ours.over(floor) == Figure((2.0, 2.0, 2.0))


def test_verdicts_and_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "TARGETS", {name: Target(2, "us") for name in ("within", "at it", "beyond", "absent")})
    judged = [
        Row("within", "us", Figure((1.0,)), reduced=True),
        Row("at it", "us", Figure((2.0,))),
        Row("beyond", "us", Figure((2.0, 3.0, 4.0)), {"ours": Figure((5.0,))}, "a note"),
        Row("absent", "us", None, note="nothing to measure"),
        Row("free", "bytes", Figure((1234.0,))),
    ]
    assert [row.verdict for row in judged] == ["met", "met", "MISSED", "pending", "-"]
    assert unmet(judged) == ["beyond", "absent"]
    lines = [" ".join(line.split()) for line in table(judged).splitlines()]
    assert lines[0] == "row target measured spread verdict made from"
    assert lines[1] == "within 2 us 1 us met, smaller"
    assert lines[3] == "beyond 2 us 3 us 2 to 4 MISSED, unsteady ours 5 us; a note"
    assert lines[4] == "absent 2 us none pending nothing to measure"
    assert lines[5] == "free 1,234 bytes -"


def test_a_figure_in_another_unit_than_its_target_is_an_error() -> None:
    with pytest.raises(ValueError, match="its target is in 'us'"):
        _ = Row("records.get", "ms", Figure((0.5,))).verdict


@pytest.mark.parametrize("module", [harness, rows, targets], ids=lambda module: module.__name__)
def test_the_examples_of_the_harness_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


class _Planted:
    """A benchmark of one row that misses its target, and one that meets it."""

    ALIKE = {"processes": "1"}  # noqa: RUF012

    @staticmethod
    def rows(effort: Any) -> Iterator[Row]:
        yield Row("records.get", "us", Figure((5.0,)))
        yield Row("value in set", "us", Figure((0.5,)))


@pytest.mark.parametrize(("flags", "status"), [([], 1), (["--no-check"], 0)])
def test_the_command_ends_with_1_when_a_target_is_missed(
    flags: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.importlib, "import_module", lambda name: _Planted)
    assert command.main(["local", "--json", "-", *flags]) == status
    printed = capsys.readouterr()
    assert "not met: records.get" in printed.err
    [done] = json.loads(printed.out)["benchmarks"]
    assert [row["verdict"] for row in done["rows"]] == ["missed", "met"]


def test_all_runs_every_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(command.importlib, "import_module", lambda name: asked.append(name) or _Planted)
    command.main(["all", "--quick", "--json", str(tmp_path / "all.json")])
    assert asked == [f"benchmarks.{name}" for name in command.NAMES]


def test_several_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(command.importlib, "import_module", lambda name: asked.append(name) or _Planted)
    command.main(["growth", "store", "--quick", "--folder", str(tmp_path), "--json", str(tmp_path / "some.json")])
    assert asked == ["benchmarks.growth", "benchmarks.store"]
    assert json.loads((tmp_path / "some.json").read_text())["setting"]["folder"].startswith(f"{tmp_path}, ")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Silent])
def test_what_was_measured_until_it_is_stopped_or_fails_is_kept(
    stop: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped:
        ALIKE = _Planted.ALIKE

        @staticmethod
        def rows(effort: Any) -> Iterator[Row]:
            yield Row("records.get", "us", Figure((0.5,)))
            raise stop

    modules = {"benchmarks.local": _Planted, "benchmarks.growth": Stopped}
    monkeypatch.setattr(command.importlib, "import_module", modules.__getitem__)
    words = ["local", "growth", "store", "--json", str(tmp_path / "some.json")]
    if stop is KeyboardInterrupt:
        assert command.main(words) == 130
        assert "stopped" in capsys.readouterr().out
    else:
        with pytest.raises(stop):
            command.main(words)
    done = json.loads((tmp_path / "some.json").read_text())["benchmarks"]
    assert [(one["name"], len(one["rows"])) for one in done] == [("local", 2), ("growth", 1)]


def test_it_says_what_took_how_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command.importlib, "import_module", lambda name: _Planted)
    command.main(["growth", "store", "--no-check"])
    assert re.search(r"^\d+ s: (growth \d+, store \d+|store \d+, growth \d+)$", capsys.readouterr().out, re.MULTILINE)


def test_a_race_counts_what_all_have_done(tmp_path: Path) -> None:
    path = tmp_path / "row.db"
    floor.made(path, "normal").close()
    for worker in (floor.swapping, floor.queueing):
        nanoseconds = race(worker, [(str(path), "normal")] * 2, seconds=0.1)()
        assert nanoseconds is not None
        version, value = apsw.Connection(str(path)).execute("SELECT version, value FROM memory").get
        assert json.loads(value)["why"] == floor.WHY
    assert version > 0.1e9 / nanoseconds  # no write was lost, neither of this race nor of the one before


TINY = Effort(
    rounds=1,
    operations=100,
    grown=1_000,
    grown_together=100,
    starts=10,
    churn=100,
    opened=200,
    audited=200,
    paced=40,
    burst=50,
    caught_up=300,
    idle=20,
    crews=2,
    crew_seconds=0.5,
)


def test_a_tiny_run_of_the_store_has_a_row_for_every_target_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "race", lambda *given: lambda: 1_000)
    measured = list(store.rows(TINY._replace(folder=str(tmp_path))))
    names = [row.name for row in measured]
    assert len(names) == len(set(names))
    assert set(targets.STORE) <= set(names)
    assert all(row.figure is not None and row.verdict for row in measured)
    assert "set.add, to disk" in table(measured)
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_run_of_sync_has_a_row_for_every_target_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_SETTLE", 0.2)
    monkeypatch.setattr(sync, "_IDLE", 1.0)
    measured = list(sync.rows(TINY._replace(folder=str(tmp_path))))
    assert {row.name for row in measured} == set(targets.SYNC)
    assert all(row.figure is not None and row.verdict for row in measured)
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_fan_out_has_a_row_for_every_target_and_names_the_servers_that_are_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(kept: Path | None) -> rivals.Server:
        raise rivals.Absent("it cannot be installed here: no network")

    monkeypatch.setattr(rivals, "RIVALS", dict.fromkeys(rivals.RIVALS, nowhere))
    monkeypatch.setattr(many, "_QUIET", 0.2)

    def once(sides: list[Side], rounds: int, *, warming: int) -> dict[str, Figure]:
        return {side.name: Figure((float(side.prepare()() or 0),)) for side in sides}

    monkeypatch.setattr(fanout, "measure", once)
    measured = {row.name: row for row in fanout.rows(TINY._replace(folder=str(tmp_path)))}
    assert set(targets.FANOUT) <= measured.keys()
    for name, row in measured.items():
        if " beside " in name:
            assert (row.figure, row.note) == (None, "it cannot be installed here: no network")
            assert row.sides["crdtmem"].median > 0
        else:
            assert row.figure is not None and row.figure.median > 0
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_run_of_the_adapters_has_a_row_for_every_target_and_says_that_postgres_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(name: str) -> str:
        raise postgres.Absent(f"no {name} here")

    monkeypatch.setattr(postgres, "program", nowhere)
    monkeypatch.setitem(sys.modules, "langgraph.store.postgres", SimpleNamespace(PostgresStore=Nowhere))
    measured = {row.name: row for row in adapters.rows(TINY._replace(folder=str(tmp_path)))}
    assert set(targets.ADAPTERS) <= measured.keys()
    for name, row in measured.items():
        if "lasting" in name:
            assert (row.figure, row.note) == (None, "no initdb here")
        else:
            assert row.figure is not None and row.figure.median > 0
    assert list(tmp_path.iterdir()) == []


class Nowhere:
    """Stands for a package that is not installed where the tests run."""


def test_a_wire_speaks_websocket() -> None:
    """Messages of all lengths of a length, both ways, and an answer to a ping."""
    sizes = (0, 1, 125, 126, 65_535, 65_536, 1_000_000)

    async def main() -> None:
        async def echo(connection: ServerConnection) -> None:
            async for message in connection:
                await (await connection.ping())
                await connection.send(message)

        async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            assert await asyncio.to_thread(talk, url) == list(sizes)

    def talk(url: str) -> list[int]:
        wire = Wire(url)
        found = []
        for size in sizes:
            wire.send(bytes(size))
            found.append(len(next(wire.messages())))
        wire.close()
        return found

    asyncio.run(main())


def test_a_process_that_does_not_answer_is_an_error_and_what_it_costs_is_seen() -> None:
    with Apart(_works_and_ends) as apart:
        assert apart.hear() == "done"
        assert spent(apart.pid) > 10_000_000 and resident(apart.pid) > 1 << 20
        with pytest.raises(Silent):
            apart.hear(patience=0.1)


def _works_and_ends(end: Connection) -> None:
    sum(range(1_000_000))
    end.send("done")
    told(end)


def test_reading_is_measured_at_a_tiny_size() -> None:
    measured = list(view.rows(QUICK._replace(rounds=1, grown=2000)))
    assert targets.VIEW.keys() <= {row.name for row in measured}
    assert all(row.figure is not None and row.figure.low > 0 for row in measured)
    assert {row.name for row in measured if row.reduced} == targets.VIEW.keys()


def test_a_quick_run_ends_in_json_with_a_row_for_every_target(tmp_path: Path) -> None:
    """The real thing, once: every target is measured by some row."""
    file = tmp_path / "result.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "local", "growth", "--quick", "--no-check", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    result = json.loads(file.read_text())
    assert result["effort"] == QUICK._asdict() != FULL._asdict()
    assert set(result["setting"]) == {"machine", "load", "commit", "folder", "versions"}
    local, growth = result["benchmarks"]
    assert (local["name"], growth["name"]) == ("local", "growth")
    measured = [row for done in result["benchmarks"] for row in done["rows"]]
    names = [row["name"] for row in measured]
    assert len(names) == len(set(names))
    rooms = (targets.STORE, targets.TRUST, targets.SYNC, targets.FANOUT, targets.VIEW, targets.SCALE, targets.PEERS)
    elsewhere = {name for room in (*rooms, targets.ADAPTERS, targets.COHERENCE, targets.CONTEST) for name in room}
    assert TARGETS.keys() - elsewhere <= set(names)
    for row in measured:
        if row["measured"] is not None:
            assert row["measured"]["low"] <= row["measured"]["median"] <= row["measured"]["high"]
        assert row["verdict"] in {"met", "missed", "pending", "reported"}
        assert row["name"] in ran.stdout
