"""The comparison with compare and swap is judged itself: what was lost is counted right, and each way is used right."""

import doctest
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import rows
from benchmarks.apart import family, resident
from benchmarks.cas import cells, contest
from benchmarks.cas.agent import Order, worked
from benchmarks.cas.cells import AGENTS, Cell, Plan, Round, Stage
from benchmarks.cas.crew import Crew, Servers
from benchmarks.cas.summary import Result, summary
from benchmarks.cas.tally import ACKNOWLEDGED, GIVEN_UP, UNDONE, Span, Sum, Task, percentile, pooled, summed
from benchmarks.cas.tasks import BUDGET, COUNTER, KINDS, LIST, NUMBERS, SPEND, TEXT, THINK, applied, empty, line, tags
from benchmarks.cas.ways import OURS, TRIES, WAYS, Done, GaveUp, Stored, Unreachable
from benchmarks.postgres import Absent
from benchmarks.rows import Row
from benchmarks.targets import CONTEST, Target

MS = 1_000_000


# -- adding up -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cells", "summary", "tally", "tasks", "ways"])
def test_the_examples_hold(name: str) -> None:
    assert doctest.testmod(import_module(f"benchmarks.cas.{name}")).failed == 0


@given(st.lists(st.integers(0, 50), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_enough_are_not_above(values: list[int], share: float) -> None:
    enough = [value for value in values if sum(other <= value for other in values) >= share * len(values)]
    assert percentile(values, share) == min(enough)


HISTORIES = st.lists(
    st.tuples(
        st.sampled_from([ACKNOWLEDGED, GIVEN_UP, UNDONE]),
        st.integers(0, 3),  # how often it is there in the end
        st.lists(st.integers(1, 9), max_size=3).map(tuple),  # thinking
        st.integers(0, 99),  # when it ended
    ),
    min_size=1,
    max_size=30,
)


@given(HISTORIES, st.sampled_from([LIST, THINK, TEXT]), st.integers(1, 3))
def test_what_is_lost_done_twice_and_thrown_away_is_what_one_counts_by_hand(
    history: list[tuple[str, int, tuple[int, ...], int]], kind: str, keys: int
) -> None:
    done, values = [], [empty(kind) for _ in range(keys)]
    lost = doubled = thrown = rate = 0
    for number, (became, there, thought, ended) in enumerate(history):
        tag, kept = f"1.2.{number}", became == ACKNOWLEDGED
        done.append(Task(tag, 0, ended, became, thought=thought))
        for time in range(there):
            values[(number + time) % keys] = applied(kind, values[(number + time) % keys], tag, "ann")
        lost += kept and there == 0
        doubled += max(there - 1, 0)
        thrown += sum(thought) - (thought[-1] if kept and thought else 0)
        rate += kept and ended <= 50
    found = summed(kind, done, values, Span(0, 50), seen=200)
    assert (found.lost, found.doubled, found.thrown) == (lost, doubled, thrown)
    assert found.rate == pytest.approx(rate / 50e-9)
    assert found.given_up == sum(became == GIVEN_UP for became, *_ in history)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_of_a_number_one_sees_only_how_many_are_missing_or_too_many(kept: int, value: int, given_up: int) -> None:
    done = [Task(str(number), 0, 1, ACKNOWLEDGED if number < kept else GIVEN_UP) for number in range(kept + given_up)]
    found = summed(COUNTER, done, [value], Span(0, 1), seen=1)
    assert found.lost == max(kept - value, 0)
    assert found.doubled == max(value - kept - given_up, 0)
    assert summed(SPEND, done, [0], Span(0, 1), seen=1).overspent == max(kept - BUDGET, 0)


def test_a_wait_is_all_but_one_thought_and_the_last_one_to_see_it_counts() -> None:
    done = [
        Task("1.1.0", 0, 100, ACKNOWLEDGED, retries=2, thought=(30, 20, 10)),
        Task("1.2.0", 0, 40, ACKNOWLEDGED),
    ]
    found = summed(THINK, done, [{"done": ["1.1.0", "1.2.0"]}], Span(0, 90), seen=150, cut=Span(30, 60))
    assert found.waits == (70, 40)
    assert (found.settled, found.cut_off, found.retries) == (150e-9, 1, 2)


def test_rounds_are_pooled_but_a_rate_is_a_median() -> None:
    one, two, three = (
        summed(LIST, [Task("1.1.0", 0, 5, ACKNOWLEDGED)] * count, [[line("1.1.0")]], Span(0, 10**9), seen)
        for count, seen in ((1, 7), (5, 900), (2, 8))
    )
    whole = pooled([one, two, three])
    assert (whole.rate, whole.tasks, whole.settled, len(whole.waits)) == (2, 8, 900e-9, 8)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NUMBERS])
def test_every_kind_of_task_leaves_its_tag_once(kind: str) -> None:
    value = empty(kind)
    for number in range(20):
        value = json.loads(json.dumps(applied(kind, value, f"1.2.{number}", "ann")))
    assert tags(kind, [value]) == Counter(f"1.2.{number}" for number in range(20))


# -- good users ------------------------------------------------------------------------------------


class Table:
    """Rows in memory, which refuse or break as often as they are told to."""

    def __init__(self, *, refuse: int = 0, breaks: str = "") -> None:
        self.refuse, self.breaks = refuse, list(breaks)
        self.values: dict[str, tuple[str, int]] = {}

    def make(self, kind: str, names: Sequence[str], text: str) -> None:
        self.values |= dict.fromkeys(names, (text, 0))

    def read(self, name: str) -> tuple[str, int]:
        return self.values[name]

    def get(self, name: str) -> str:
        return self.values[name][0]

    def swap(self, name: str, text: str, version: int) -> bool:
        """Breaks before (b) or after (a) it has written."""
        if self.refuse:
            self.refuse -= 1
            return False
        how = self.breaks.pop(0) if self.breaks else ""
        if how == "b":
            raise Unreachable
        if self.values[name][1] != version:
            return False
        self.write(name, text)
        if how == "a":
            raise Unreachable
        return True

    def write(self, name: str, text: str) -> None:
        self.values[name] = text, self.values[name][1] + 1

    @contextmanager
    def locked(self, name: str) -> Iterator[Any]:
        yield self.values[name][0], lambda text: self.write(name, text)

    def view(self, kind: str, names: Sequence[str], *, direct: bool) -> list[Any]:
        return [json.loads(self.values[name][0]) for name in names]

    def again(self) -> None:
        """It is there again."""

    def close(self) -> None:
        """Nothing is open."""


def test_who_is_refused_tries_again_after_ever_longer_pauses_and_gives_up() -> None:
    pauses, thought = list[float](), list[int]()
    table = Table(refuse=1000)
    stored = Stored(table, "swap", "ann", sleep=pauses.append)
    stored.make(THINK, ["k"])
    with pytest.raises(GaveUp) as gave_up:
        stored.do(THINK, "k", "1.1.0", lambda: thought.append(1))
    assert gave_up.value.retries == TRIES == len(thought) == len(pauses) + 1
    assert all(0 <= pause <= min(0.002 * 2**number, 0.5) for number, pause in enumerate(pauses, start=1))
    assert max(pauses[10:]) > max(pauses[:4])
    table.refuse = 3
    assert stored.do(THINK, "k", "1.1.1", lambda: None) == Done(retries=3)


@pytest.mark.parametrize(("breaks", "manner"), [("b", "swap"), ("a", "swap"), ("ba", "swap"), ("aab", "swap")])
def test_whoever_heard_no_answer_looks_before_doing_it_again(breaks: str, manner: str) -> None:
    stored = Stored(Table(breaks=breaks), manner, "ann", sleep=lambda seconds: None)
    stored.make(LIST, ["k"])
    stored.do(LIST, "k", "1.1.0", lambda: None)
    assert tags(LIST, stored.view(LIST, ["k"])) == {"1.1.0": 1}


def test_who_reaches_nobody_for_too_long_gives_up() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    stored = Stored(Table(breaks="b" * 10_000), "swap", "ann", clock=lambda: now[0], sleep=sleep)
    stored.make(LIST, ["k"])
    with pytest.raises(GaveUp):
        stored.do(LIST, "k", "1.1.0", lambda: None)
    assert 20 < now[0] < 22


@pytest.mark.parametrize(("manner", "lost"), [("overwrite", 1), ("swap", 0)])
def test_a_write_in_between_is_lost_only_to_who_overwrites(manner: str, lost: int) -> None:
    table = Table()
    ann, bob = (Stored(table, manner, who, sleep=lambda seconds: None) for who in ("ann", "bob"))
    ann.make(THINK, ["k"])
    meanwhile = iter([lambda: bob.do(THINK, "k", "1.2.0", lambda: None)])

    def think() -> None:
        with suppress(StopIteration):
            next(meanwhile)()

    ann.do(THINK, "k", "1.1.0", think)
    there = tags(THINK, ann.view(THINK, ["k"]))
    assert 2 - len(there) == lost


# -- time by hand ----------------------------------------------------------------------------------


class Hands:
    """A way whose writes take so long, by a clock that only they and pauses move."""

    def __init__(self, takes: int) -> None:
        self.now, self.takes, self.value = 0, takes, 0

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def do(self, kind: str, name: str, tag: str, think: Any) -> Done:
        think()
        self.now += self.takes
        self.value += 1
        return Done()

    def result(self, way: str, kind: str = COUNTER, think: float = 0) -> Result:
        """Three rounds of one agent."""
        work, sums = Round(kind, 1, think, 1.0), list[Sum]()
        for number in range(3):
            span = Span(self.now, self.now + 10**9)
            before = self.value
            order = Order(kind, ("k",), think, *span, look=1)
            done = worked(self, order, 0, number, clock=self.clock, sleep=self.sleep)  # type: ignore[arg-type]
            sums.append(summed(COUNTER, done, [self.value - before], span, seen=0))
        return Result(Cell(Stage(1), work), way, tuple(sums), 2**20)


def test_a_planted_slowdown_of_two_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "cas, counting alone, without a pause: crdtmem beside the best that checks"
    monkeypatch.setattr(rows, "TARGETS", {name: Target(0.9, "x its rate", least=True)})
    for takes, ratio, verdict in ((MS, 1, "met"), (2 * MS, 0.5, "MISSED")):
        results = [Hands(takes).result(OURS), Hands(MS).result("SQLite, version column")]
        found = {row.name: row for row in summary(results)}[name]
        assert found.figure is not None
        assert (found.figure.median, found.verdict) == (pytest.approx(ratio), verdict)
        assert results[0].row().also["ms median"] == takes / MS


def test_the_pause_is_no_part_of_a_write_and_thinking_counts_once() -> None:
    slow = Hands(10 * MS)
    result = slow.result(OURS, think=0.05)
    assert result.row().also["ms median"] == 10
    assert 14 < result.rate.median < 19  # tasks of 50 ms on average, and 10
    thinking = Hands(10 * MS).result(OURS, THINK, think=0.05)
    assert thinking.row().also["ms p99"] == 10
    assert thinking.pooled.thrown == 0


def test_after_the_end_nobody_thinks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused for ever: what was thought is thrown away, and the task is neither done nor given up."""
    hands = Hands(0)

    def refused(kind: str, name: str, tag: str, think: Any) -> Done:
        while True:
            think()

    monkeypatch.setattr(hands, "do", refused)
    [task] = worked(hands, Order(THINK, ("k",), 0.1, 0, 10**9, 1), 1, 1, clock=hands.clock, sleep=hands.sleep)  # type: ignore[arg-type]
    assert task.became == UNDONE
    assert 10**9 <= sum(task.thought) == task.thrown == task.ended < 1.2 * 10**9
    found = summed(THINK, [task], [empty(THINK)], Span(0, 10**9), seen=0)
    assert (found.given_up, found.tasks, found.thrown) == (0, 0, task.thrown)


def test_summaries_say_what_was_lost_by_whom() -> None:
    """Of rounds that were made up: each side's losses end up in its own row."""
    cell = Cell(Stage(AGENTS), Round(THINK, 1, 0.05, 1.0))

    def result(way: str, there: int) -> Result:
        done = [Task(f"1.1.{number}", 0, 5, ACKNOWLEDGED, retries=1, thought=(2, 2)) for number in range(3)]
        state = [{"done": [f"1.1.{number}" for number in range(there)]}]
        return Result(cell, way, (summed(THINK, done, state, Span(0, 10**9), 9),), 0)

    results = [result(OURS, 3), result("SQLite, version column", 2), result("Redis, last writer wins", 1)]
    found = {row.name: row for row in summary(results)}
    lost = {name: row.figure.median for name, row in found.items() if "lost" in name and row.figure}
    assert lost == {
        "cas, updates lost by crdtmem": 0,
        "cas, updates lost where stale writes are refused": 1,
        "cas, updates lost where the last writer wins": 2,
    }
    assert found["cas, updates lost where stale writes are refused"].verdict == "MISSED"
    assert found["cas, thinking thrown away by crdtmem"].figure == rows.Figure((50.0,))
    assert results[0].row().also["% of the thinking thrown away"] == 50


def test_a_plot_shows_how_much_of_the_time_is_thinking() -> None:
    """Two crews that do all that thinking allows, and half of it, however long they think."""
    results = []
    for agents, think in ((1, 0.1), (8, 0.1), (32, 1.0)):
        for way, share in ((OURS, 1.0), ("SQLite, version column", 0.5)):
            done = [Task(f"1.1.{number}", 0, 5, ACKNOWLEDGED) for number in range(round(10 * agents / think * share))]
            found = summed(THINK, done, [{"done": [task.tag for task in done]}], Span(0, 10**10), 0)
            results.append(Result(Cell(Stage(agents), Round(THINK, 1, think, 10.0)), way, (found,), 0))
    [row] = [row for row in summary(results) if row.series]
    ours, theirs = row.series
    assert ours.points == ((1, 1.0), (8, 1.0), (32, 1.0))
    assert theirs.points == ((1, 0.5), (8, 0.5), (32, 0.5))
    assert row.figure == rows.Figure((1.0,))


# -- real processes --------------------------------------------------------------------------------

NEAR = Stage(AGENTS)
THINKING = Round(THINK, 1, 0.02, 0.4)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Redis and PostgreSQL, started when a test first needs them."""
    with Servers("process") as servers:
        yield servers


def crew(name: str, stage: Stage, servers: Servers, folder: Path) -> Crew:
    """Real processes; skips where their server or driver is not installed."""
    try:
        return Crew(name, stage, servers, folder)
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.manner in ("swap", "lock", "merge")])
def test_eight_who_think_at_one_key_lose_nothing(name: str, servers: Servers, tmp_path: Path) -> None:
    with crew(name, NEAR, servers, tmp_path) as eight:
        found = eight.round(THINKING)
    assert found.tasks >= 1
    assert (found.lost, found.doubled) == (0, 0)
    if name == OURS:
        assert (found.thrown, found.retries) == (0, 0)


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.manner == "overwrite"])
def test_eight_of_whom_the_last_one_wins_lose_updates_and_they_are_counted(
    name: str, servers: Servers, tmp_path: Path
) -> None:
    with crew(name, NEAR, servers, tmp_path) as eight:
        found = eight.round(THINKING)
    assert 0 < found.lost < found.tasks


@pytest.mark.parametrize("name", [OURS, *(name for name, way in WAYS.items() if way.manner == "direct")])
def test_every_kind_of_task_is_kept_by_one_statement_and_by_us(name: str, servers: Servers, tmp_path: Path) -> None:
    with crew(name, Stage(2), servers, tmp_path) as two:
        for kind in WAYS[name].tasks:
            found = two.round(Round(kind, 2, 0.01, 0.15))
            assert found.tasks >= 1, kind
            assert (found.lost, found.doubled, found.given_up) == (0, 0, 0), kind


@pytest.mark.parametrize("name", [OURS, "Redis, WATCH and MULTI", "PostgreSQL, version column"])
def test_work_goes_on_while_cut_off_only_where_nobody_is_asked(name: str, servers: Servers, tmp_path: Path) -> None:
    with crew(name, Stage(2, "proxy"), servers, tmp_path) as two:
        found = two.round(Round(LIST, 1, 0.02, 1.2, late=0.001, cut=0.6))
    assert (found.lost, found.doubled) == (0, 0)
    assert (found.cut_off > 0) == (name == OURS)


def test_a_plan_of_one_cell_has_all_its_rows_and_says_what_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(self: Servers, store: str) -> tuple[int, int]:
        raise Absent(f"no {store} here")

    monkeypatch.setattr(Servers, "start", nowhere)
    plan = Plan((Cell(Stage(2), Round(COUNTER, 1, 0.01, 0.1)),), rounds=2)
    names = ("SQLite, version column", "Redis, one command", "SQLite, one statement")
    found = {row.name: row for row in contest.measured(plan, tmp_path, names)}
    assert found["cas, Redis, one command"].note == "skipped: no redis here"
    for name in names[0], names[2]:
        row = found[f"count, 2 agents: {name}"]
        assert row.figure is not None and len(row.figure.rounds) == 2
        assert row.data()["also"]["lost"] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_plans_say_in_words_what_they_do() -> None:
    for plan in (cells.FULL, cells.QUICK):
        names = [cell.name for cell in plan.cells]
        assert len(set(names)) == len(names)
        assert {THINK, LIST, SPEND} <= {cell.work.kind for cell in plan.cells}
    full = cells.FULL.cells
    assert {cell.work.kind for cell in full} == set(KINDS)
    assert {cell.stage.agents for cell in full} == {1, 2, 8, 32}
    assert {cell.work.late for cell in full} == {0, 0.001, 0.02}
    assert {cell.work.cut for cell in full} == {0, 5}
    assert {cell.work.keys for cell in full} >= {1, 8, 64}


def test_every_target_of_the_comparison_has_a_row() -> None:
    """By what a run of all cells would hold, made up."""
    done = [Task("1.1.0", 0, 5, ACKNOWLEDGED, thought=(2,))]
    results = []
    for plan_cell in cells.QUICK.cells:
        for way in WAYS:
            state = [{"done": []}] if plan_cell.work.kind == THINK else [empty(plan_cell.work.kind)]
            found = summed(plan_cell.work.kind, done, state, Span(0, 10**9), 9, Span(0, 10))
            results.append(Result(plan_cell, way, (found,), 0))
    named = {row.name: row for row in summary(results)}
    assert set(CONTEST) <= named.keys()
    assert all(isinstance(row, Row) and row.verdict for row in named.values())


def test_the_memory_of_a_crew_is_that_of_its_processes(servers: Servers, tmp_path: Path) -> None:
    with crew("SQLite, one statement", Stage(2), servers, tmp_path) as two:
        pids = {one.pid for one in two._agents}
        assert pids < family([os.getpid()])
        assert 1 << 20 < two.memory() <= sum(map(resident, pids))
