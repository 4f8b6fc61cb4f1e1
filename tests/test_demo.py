"""`crdtmem demo` tells the truth: a whole run holds, and every claim turns red when what it claims is broken.

The agents are real processes on real sockets, as for whoever runs it; only the pauses for people are left out. What the
JSON file keeps is held against a model that shares no code with it.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from rich.console import Console

from crdtmem import MisuseError, Replica, StoreError
from crdtmem.cli.demo import acts, command, model
from crdtmem.cli.demo.answers import DISAGREE, DOUBT
from crdtmem.cli.demo.cables import Cables
from crdtmem.cli.demo.lines import Lines
from crdtmem.cli.demo.live import Terminal
from crdtmem.cli.demo.paper import Paper
from crdtmem.cli.demo.play import MORE, SIX, play
from crdtmem.cli.demo.scene import Outcome
from crdtmem.cli.demo.script import AGENTS, KEY, NOTES, QUESTIONS, SIDES, TASK, TENANT, Story, story
from tests.layout import ROOT
from tests.provider import provider

CRDTMEM = (sys.executable, "-c", "from crdtmem.cli import main; main()")
SEEDS = range(200)


# -- the script ------------------------------------------------------------------------------------


def kept_by_the_file(told: Story) -> tuple[set[tuple[str, Any]], int]:
    """Which writes a file keeps that is read and written whole, and how many tokens: a slow model of its own."""
    file: tuple[set[tuple[str, Any]], int] = set(), 0
    held = {}
    order = sorted(
        (tick, ends, turn)
        for turn, one in enumerate(told.turns)
        for tick, ends in ((one.reads, False), (one.writes_at, True))
    )
    for _, ends, turn in order:
        if not ends:
            held[turn] = file
            continue
        writes, tokens = held[turn]
        mine = [tuple(write) for write in told.turns[turn].writes]
        spent = sum(value for place, value in mine if place == "tokens")
        file = writes | {write for write in mine if write[0] != "tokens"}, tokens + spent
    return file


def test_a_seed_always_tells_the_same_story_and_another_one_another() -> None:
    assert story(5) == story(5)
    assert len({str(story(seed)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_seed_everybody_writes_and_thinking_overlaps(seed: int) -> None:
    told = story(seed)
    assert {who for who, _ in told.written} == set(AGENTS)
    assert len(set(told.written)) == len(told.written) == 28
    writes, tokens = kept_by_the_file(told)
    assert len(writes) < 28 and tokens < told.tokens
    assert told.rumour < told.churn < told.phantom and told.killed in SIDES[0]
    assert len(set(told.says.values())) == 2
    for agent in AGENTS:
        own = [turn for turn in told.turns if turn.agent == agent]
        assert all(one.writes_at < next.reads for one, next in pairwise(own))  # nobody thinks of two things at once


@pytest.mark.parametrize("seed", range(25))
def test_whatever_the_seed_the_review_finds_the_planted_disagreement_and_nothing_else(seed: int) -> None:
    told = story(seed)
    memory = Replica("web").open(tenant=TENANT, task=TASK)
    memory.set("questions").update(QUESTIONS)
    for texts in NOTES.values():
        memory.set("facts").update(texts)
    memory.records("figures").put(KEY, told.churn)
    assert acts.find(memory, None)["findings"] == []
    for name, text in told.says.items():
        memory.acting_as(name).set("facts").add(text)
    [found] = acts.find(memory, None)["findings"]
    assert (found["tier"], found["authors"]) == ("certain", sorted(told.says))


# -- a whole run -----------------------------------------------------------------------------------


class Everywhere:
    """One run, shown on several stages."""

    def __init__(self, *stages: Any) -> None:
        self.stages = stages

    def __getattr__(self, name: str) -> Any:
        def show(*words: Any) -> None:
            for stage in self.stages:
                getattr(stage, name)(*words)

        return show

    async def pause(self, seconds: float) -> None:
        pass


def console(out: io.StringIO, *, width: int = 80, terminal: bool = False) -> Console:
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False, force_terminal=terminal)


def test_a_run_holds_in_every_view_and_the_file_loses_what_a_model_says(tmp_path: Path) -> None:
    text, narrow, moving, lines = io.StringIO(), io.StringIO(), io.StringIO(), io.StringIO()
    with Terminal(console(moving, terminal=True), command.tries) as terminal:
        stages = (
            Paper(console(text), command.tries),
            Paper(console(narrow, width=60), command.tries),
            Lines(lines),
            terminal,
        )
        told = story(command.SEED)
        outcome = asyncio.run(play(told, Everywhere(*stages), tmp_path, beats=(*SIX, *MORE)))
    assert outcome.held, [check for check in outcome.checks if not check.held]

    opened, *beats, closed = map(json.loads, lines.getvalue().splitlines())
    assert (opened["seed"], opened["folder"]) == (command.SEED, str(tmp_path))
    assert [beat["name"] for beat in beats] == [beat.name for beat in (*SIX, *MORE)]
    assert closed["held"] and len(closed["checks"]) == sum(len(beat["checks"]) for beat in beats) + 1

    figures = beats[0]["figures"]
    kept, tokens = kept_by_the_file(told)
    assert {(one["place"], one["value"]) for one in figures["writes"] if one["json_file"]} == kept
    assert figures["tokens"] == {"spent": told.tokens, "json_file": tokens, "crdtmem": told.tokens}
    assert all(one["crdtmem"] for one in figures["writes"])
    picture = run_path(str(ROOT / "docs" / "pictures" / "loss.py"))
    assert picture["drawn"](command.SEED, figures) == picture["PICTURE"].read_text(encoding="utf-8")

    page = text.getvalue()
    assert page.isascii() and "\x1b" not in page and "FAIL" not in page
    for shown, width in ((page, 80), (narrow.getvalue(), 60)):
        wide = [line for line in shown.splitlines() if len(line) > width and "crdtmem" not in line]
        assert wide == [] and shown.count("\n  ok ") == len(closed["checks"])
        assert not any(line != line.rstrip() for line in shown.splitlines())
    assert f"All {len(closed['checks'])} checks held" in page
    assert "✓" in moving.getvalue() and "✗" not in moving.getvalue()

    for name in AGENTS:
        with Replica("reader", store=tmp_path / f"{name}.db") as replica:
            memory = replica.open(tenant=TENANT, task=TASK)
            assert len(memory.set("facts")) == 14 and memory.records("figures")[KEY] == "withdrawn"


def test_what_it_says_to_try_can_be_typed_word_for_word(tmp_path: Path) -> None:
    ran = subprocess.run([*CRDTMEM, "demo"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    *_, timeline, check, explain = ran.stdout.splitlines()
    for typed, code, says in (
        (timeline, 0, "retracted sources 'crm-export.csv'"),
        (check, 1, "certain "),  # it has found something, as it should
        (explain, 0, "rests on what was retracted"),
    ):
        assert typed.startswith("  ")
        tried = subprocess.run(typed, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (tried.returncode, tried.stderr) == (code, "") and says in tried.stdout


# -- every claim can fail --------------------------------------------------------------------------

LIES = """
    import crdtmem
    import crdtmem.cli.demo.acts as acts
    import crdtmem.cli.demo.agent as agent
    from crdtmem import Counter, Memory, Replica
    from crdtmem.cli.demo.answers import OTHER
    from crdtmem.cli.demo.script import SIDES, TASK, TENANT
    from crdtmem.facts import Facts

    make, look, add, spend, pages, review, close = (
        acts.make, agent.Agent._look, Counter.add, acts.spend, acts.pages, crdtmem.review, Replica.close
    )

    def turn(self, memory, path, writes):  # the file is read again before it is written; the memory gets a part of it
        look(self, memory, path)
        acts.board.change(self._copy, [acts.Write(*write) for write in writes])
        acts.board.replace(agent.Path(path), self._copy)
        elsewhere = agent.Path(path + ".copy")
        make(memory, acts.board.empty(), elsewhere, [write for write in writes if write[0] != "tokens"][1:])

    def forgets(self, amount=1, **said):  # acknowledged, and not written
        return None if (said.get("why") or "").split()[1:2] == ["7"] else add(self, amount, **said)

    def foresees(memory):  # what the other side reads
        told = pages(memory)
        mine = next(side for side in SIDES if memory.agent in side)
        others = [f"page {n} of {name}" for side in SIDES if side != mine for name in side for n in range(2000)]
        return {**told, "named": told["named"] + others}

    def adds_later(self):  # when nobody is there any more
        if self._gone is None:
            self.open(tenant=TENANT, task=TASK).set("late").add(self._actor.agent)
        close(self)

    agent.Agent._turn = turn
    Counter.add = forgets
    Replica.close = adds_later
    Memory.digest = lambda self: self.agent
    Facts.unknown = lambda self, text: []
    crdtmem.review = lambda memory: review(memory, fields=[])
    acts.ACTS.update(
        pages=foresees,
        timeline=lambda memory, field: [{"when": "", "by": memory.agent, "value": "", "why": ""}],
        retract=lambda memory, entry, why: None,
        tainted=lambda memory: [OTHER],
        spend=lambda memory, amounts: spend(memory, amounts * 2),
        prompt=lambda memory, about, tokens, at: {"text": memory.agent, "tokens": 601, "entries": 0, "left_out": 0},
        figure=lambda memory, key, at: memory.agent,
    )
    agent.main()
"""
IMPATIENT = """
    import crdtmem.cli.demo.agent as agent
    from crdtmem.coherence.judges.openai import OpenAIJudge

    OpenAIJudge.__init__.__kwdefaults__["retries"] = 0
    agent.main()
"""
CUT_FOR_EVER = """
    import crdtmem.cli.demo.play as demo
    from crdtmem.cli import main
    from crdtmem.cli.demo.cables import Cables
    from crdtmem.cli.demo.script import AGENTS

    class Cut(Cables):
        async def open(self):
            await super().open()
            self.cut(AGENTS[:1])

    play = demo.play
    demo.play = lambda *words, **more: play(*words, **{**more, "cables": Cut(AGENTS), "patience": 4.0})
    main()
"""


def program(planted: str) -> tuple[str, ...]:
    return sys.executable, "-c", textwrap.dedent(planted)


def test_when_what_it_claims_is_broken_every_single_check_says_so(tmp_path: Path) -> None:
    lines = io.StringIO()
    beats = (*SIX, *MORE)
    outcome = asyncio.run(play(story(3), Lines(lines), tmp_path, beats=beats, program=program(LIES)))
    assert [check for check in outcome.checks if check.held] == []
    assert lines.getvalue().count('"event": "beat"') == len(beats) and not outcome.held


def test_when_one_agent_is_never_reached_it_says_so_and_the_exit_code_is_1(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*program(CUT_FOR_EVER), "demo", "--plain"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "FAIL everybody is connected with everybody: not within 4 s" in ran.stdout
    assert "Not these:" in ran.stdout and ran.stdout.endswith("What was written until then is in crdtmem-demo.\n")


def test_when_an_agent_cannot_start_its_last_words_are_told(tmp_path: Path) -> None:
    broken = program("raise SystemExit('no room for me')")
    outcome = asyncio.run(play(story(3), Lines(io.StringIO()), tmp_path, program=broken))
    assert not outcome.held and "has ended: no room for me" in outcome.checks[0].claim


# -- ending early ----------------------------------------------------------------------------------


def owned(path: Path) -> bool:
    """Whether some process has this file open to write."""
    if not path.exists():
        return False
    try:
        Replica("looker", store=path).close()
    except StoreError:
        return True
    return False


@pytest.mark.parametrize(
    ("number", "at", "code"),
    [(signal.SIGTERM, "1. The loss", 143), (signal.SIGINT, "2. A cut", 130)],
)
def test_whoever_stops_it_leaves_no_process_and_a_whole_terminal(
    number: signal.Signals, at: str, code: int, tmp_path: Path
) -> None:
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*CRDTMEM, "demo"], cwd=tmp_path, stdin=there, stdout=there, stderr=subprocess.PIPE, env=environment
    )
    os.close(there)
    seen, told = b"", False
    with suppress(OSError):  # which is how a terminal says that its last program has ended
        while data := os.read(here, 65536):
            seen += data
            if not told and at.encode() in seen:
                process.send_signal(number)
                told = True
    os.close(here)
    with process:
        said = process.stderr.read().decode() if process.stderr else ""
    assert process.returncode == code
    assert said == "crdtmem: stopped; no process is left, and what they wrote is in crdtmem-demo\n"
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")  # the cursor is back
    assert not any(owned(tmp_path / "crdtmem-demo" / f"{name}.db") for name in AGENTS)


def test_when_nobody_reads_it_any_more_it_ends_without_a_word(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CRDTMEM, "demo", "--plain"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert not any(owned(tmp_path / "crdtmem-demo" / f"{name}.db") for name in AGENTS)


def test_agents_do_not_outlive_a_director_that_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([*CRDTMEM, "demo", "--json"], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline(), process.stdout.readline()  # it has opened, and the first beat is over
    with process:
        process.kill()
    files = [tmp_path / "crdtmem-demo" / f"{name}.db" for name in AGENTS]
    while any(map(owned, files)):  # for ever, if they do
        pass
    assert all(file.exists() for file in files)


# -- the network -----------------------------------------------------------------------------------


def test_a_cable_carries_ends_refuses_and_carries_again() -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(5))
            await reader.read()  # until it is over
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        cables = Cables(["ann", "bob", "eve"])
        await cables.open()
        assert (len(cables.to_dial("ann")), len(cables.to_dial("eve"))) == (0, 2)
        port = int(cables.to_dial("bob")[0].rpartition(":")[2])

        async def said() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"hello")
                return await reader.readexactly(5)
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            finally:
                writer.close()

        assert await said() == b""  # nobody listens there yet
        cables.lead_to("ann", server.sockets[0].getsockname()[1])
        assert await said() == b"hello"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        await reader.readexactly(5)
        assert cables.reach("bob") == {"ann", "eve"}
        cables.cut(["bob"])
        assert cables.reach("bob") == set() and cables.reach("ann") == {"eve"}
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        assert await said() == b""
        cables.heal()
        assert await said() == b"hello"
        server.close()
        await cables.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(main())


# -- the command -----------------------------------------------------------------------------------


def test_a_folder_is_new_or_empty_and_two_runs_never_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [str(command.fresh(None)) for _ in range(3)] == ["crdtmem-demo", "crdtmem-demo-2", "crdtmem-demo-3"]
    asked = Path("new/one")
    assert command.fresh(asked) == command.fresh(asked) == asked
    (asked / "web.db").touch()
    with pytest.raises(MisuseError, match=r"--folder new/one: there are files in it; name a new folder, or remove"):
        command.fresh(asked)
    with pytest.raises(MisuseError, match=r"--folder new/one/web\.db cannot be made: File exists"):
        command.fresh(asked / "web.db")


def test_where_nothing_can_be_written_it_goes_where_temporary_files_go_or_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, spare = tmp_path / "gone", tmp_path / "spare"
    gone.mkdir()
    spare.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()  # root may write anywhere, but not here
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    assert command.fresh(None).parent == spare
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(MisuseError, match="name one: --folder PATH"):
        command.fresh(None)


@contextmanager
def model_here(name: str, said: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A model on this machine that calls nothing a contradiction."""
    with provider([said]) as local:
        for known, url in (("ANTHROPIC", local.url), ("OPENAI", f"{local.url}/v1")):
            monkeypatch.setenv(f"{known}_BASE_URL", url)
            monkeypatch.setenv(f"{known}_API_KEY", "none")
        yield f"{name}:tiny"
        assert local.requests and {one["model"] for one in local.requests} == {"tiny"}


def test_the_reviewer_asks_the_model_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_here("openai", '{"verdicts": []}', monkeypatch) as llm:
        stage = Paper(console(io.StringIO()), command.tries)
        outcome = asyncio.run(play(story(4), stage, tmp_path, beats=[DISAGREE], llm=llm))
    assert outcome.held, outcome.checks
    [answered] = [check for check in outcome.checks if check.claim == "openai tiny answered"]
    assert answered.figure.startswith("1 asked, ")


def test_either_provider_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Replica("reviewer").open(tenant=TENANT, task=TASK)
    memory.set("facts").update(DOUBT.values())
    with model_here("anthropic", [("record_verdicts", {"verdicts": []})], monkeypatch) as llm:
        found = acts.find(memory, llm)
    assert found["judges"] == ["offline", "anthropic tiny"]
    assert found["cost"]["calls"] == 1 and found["cost"]["failures"] == []


def test_a_model_that_fails_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")  # nobody is there
    out = io.StringIO()
    program = (sys.executable, "-c", textwrap.dedent(IMPATIENT))
    stage = Paper(console(out), command.tries)
    outcome = asyncio.run(play(story(4), stage, tmp_path, beats=[DISAGREE], llm="openai", program=program))
    assert [check.claim for check in outcome.checks if not check.held] == ["openai gpt-5-mini answered"]
    assert "Connection error" in out.getvalue()


@pytest.mark.parametrize(
    ("llm", "says"),
    [
        ("oracle", "--llm oracle: anthropic or openai"),
        ("openai", "needs a key: set OPENAI_API_KEY"),
        (":x", "--llm :x"),
    ],
)
def test_a_model_that_cannot_be_asked_is_said_before_anything_starts(
    llm: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MisuseError, match=says):
        model.checked(llm)
    ran = subprocess.run([*CRDTMEM, "demo", "--llm", llm], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and ran.stderr.startswith("crdtmem: --llm") and ran.stderr.count("\n") == 1
    assert (ran.stdout, list(tmp_path.iterdir())) == ("", [])


def test_without_its_package_a_model_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtmem.cli.demo.model.find_spec", lambda name: None)
    with pytest.raises(MisuseError, match=r"pip install 'crdtmem\[openai\]'"):
        model.checked("openai")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_without_unicode_gets_none(encoding: str) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    with Terminal(Console(file=out, force_terminal=True, width=80), command.tries) as terminal:
        terminal.doing("four processes start")
        terminal.opens(story(1), Path("x"), None)
        terminal.failed("something")
        terminal.closes(Outcome(story(1), Path("x"), (), ("web.db",), 1.0))
    out.flush()
    shown = raw.getvalue().decode(encoding)
    assert ("✗" in shown) == (encoding == "utf-8") and ("FAIL" in shown) == (encoding == "ascii")


@pytest.mark.parametrize(
    ("setting", "moves", "colours"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)],
)
def test_it_moves_only_where_that_can_be_seen(
    setting: dict[str, str], *, moves: bool, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "TERM", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **setting}.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    with command._stage(plain=False, lines=False) as stage:
        assert isinstance(stage, Terminal) == moves
        stage.closes(Outcome(story(1), Path("x"), (), (), 1.0))
    assert ("\x1b[1;31m" in screen.getvalue()) == colours
    for plain, lines, kind in ((True, False, Paper), (False, True, Lines)):
        with command._stage(plain=plain, lines=lines) as stage:
            assert isinstance(stage, kind)
