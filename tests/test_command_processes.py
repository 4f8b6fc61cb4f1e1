"""The command as a process: beside a live owner, in a pipe that closes, in a terminal, stopped by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtmem import Replica
from tests.crew import SCOPE
from tests.test_commands import filled, read
from tests.test_forks import twins

CRDTMEM = (sys.executable, "-c", "from crdtmem.cli import main; main()")
OWNER = """
import sys
from crdtmem import Replica
with Replica("ann", store=sys.argv[1]) as replica:
    memory = replica.open(tenant="acme", task="q3")
    print("owns", flush=True)
    for line in sys.stdin:
        memory.sequence("log").append(line.rstrip(), why="told to")
        print("wrote", flush=True)
"""
CLEAN = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}


class Owner:
    """Another process that owns a file, and writes what it is told."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.heard()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def writes(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.heard() == "wrote\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    filled(tmp_path / "team.db")
    return tmp_path / "team.db"


@pytest.fixture
def owner(file: Path) -> Iterator[Owner]:
    made = Owner(file)
    yield made
    made.process.communicate()
    assert made.process.returncode == 0  # whatever commands did beside it


def ran(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [*CRDTMEM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**CLEAN, **more})


def following(file: Path, *more: str) -> subprocess.Popen[str]:
    command = [*CRDTMEM, "timeline", str(file), "--follow", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN)


# -- beside a live owner ---------------------------------------------------------------------------


def test_reading_goes_on_beside_a_live_owner(file: Path, owner: Owner) -> None:
    owner.writes("one")
    assert ran("get", file, "log").stdout == "one\n"
    told = json.loads(ran("status", file, "--json").stdout)
    assert f"pid {owner.process.pid} on " in told["owner"]
    for words in (
        ["show"],
        ["timeline"],
        ["audit"],
        ["conflicts"],
        ["search", "churn"],
        ["view"],
        ["explain", "draft"],
    ):
        ended = ran(words[0], file, *words[1:])
        assert (ended.returncode, ended.stderr) == (0, "") and ended.stdout
    assert ran("check", file).returncode == 1
    owner.writes("two")
    assert ran("get", file, "log").stdout == "one\ntwo\n"


@pytest.mark.parametrize(
    "words",
    [
        ["set", "status", "x"],
        ["resolve", "status", "--value", "x", "--why", "y"],
        ["retract", "draft", "--why", "y"],
        ["check", "--file"],
    ],
    ids=" ".join,
)
def test_a_write_beside_a_live_owner_says_who_it_is_and_what_to_do(words: list[str], file: Path, owner: Owner) -> None:
    refused = ran(words[0], file, *words[1:])
    assert refused.returncode == 1 and refused.stdout == "" and refused.stderr.count("\n") == 1
    assert f"is owned by pid {owner.process.pid} on " in refused.stderr
    assert "stop that process" in refused.stderr and "crdtmem node" in refused.stderr
    owner.writes("unharmed")
    assert ran("get", file, "log").stdout == "unharmed\n"


def test_the_timeline_follows_a_file_that_another_process_writes(file: Path, owner: Owner) -> None:
    with following(file, "--json", "--field", "log") as process:
        assert process.stdout is not None
        for value in ("first", "second", "third"):
            owner.writes(value)
            event = json.loads(process.stdout.readline())
            assert (event["value"], event["by"], event["why"]) == (value, "ann", "told to")
        process.send_signal(signal.SIGINT)
        rest = process.communicate()
    assert (process.returncode, *rest) == (130, "", "")


def test_what_is_followed_reads_like_the_rest(file: Path, owner: Owner) -> None:
    with following(file, "--last", "1") as process:
        assert process.stdout is not None
        head = [process.stdout.readline() for _ in range(3)]
        assert (
            head[0].startswith("... the last 1 events") and head[1].endswith("UTC\n") and "retracted sources" in head[2]
        )
        owner.writes("\x1b[31mred")
        assert process.stdout.readline().endswith(" UTC\n")  # another minute than three years ago
        line = process.stdout.readline()
        assert re.fullmatch(r"  :\d\d ann +added log '\\x1b\[31mred'  why: told to\n", line)
        process.send_signal(signal.SIGINT)
        process.communicate()


def test_following_goes_on_when_a_session_turns_out_forked(tmp_path: Path) -> None:
    one, two = twins()
    one.set("s").add("one")
    two.set("s").add("two")
    with Replica("bob", store=tmp_path / "bob.db") as replica:
        bob = replica.open(SCOPE)
        bob.receive(one.changes())
        with following(tmp_path / "bob.db", "--json") as process:
            assert process.stdout is not None
            while json.loads(process.stdout.readline())["value"] != "one":
                pass
            bob.receive(two.changes())
            bob.set("s").add("after")
            while json.loads(process.stdout.readline())["value"] != "after":
                pass
            process.send_signal(signal.SIGINT)
            assert process.communicate()[1] == ""


def test_a_file_whose_owner_was_killed_is_read_and_written(file: Path) -> None:
    owner = Owner(file)
    owner.writes("kept")
    owner.process.kill()
    owner.process.communicate()
    assert ran("get", file, "log").stdout == "kept\n"
    assert json.loads(ran("status", file, "--json").stdout)["owner"] is None
    assert ran("append", file, "log", "more", "--as", "ann").returncode == 0
    assert list(read(file).sequence("log")) == ["kept", "more"]


# -- pipes and Ctrl-C ------------------------------------------------------------------------------


def test_a_pipe_that_closes_ends_it_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "big.db"
    with Replica("ann", store=path) as replica:
        replica.open(tenant="acme", task="q3").sequence("log").extend([f"line {n} " * 20 for n in range(5000)])
    for words in (["get", "log"], ["show", "--last", "5000"], ["show", "--json"], ["timeline", "--last", "5000"]):
        command = [*CRDTMEM, words[0], str(path), *words[1:]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


def test_a_write_whose_output_nobody_reads_is_made(file: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*CRDTMEM, "set", str(file), "status", "done"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, env=CLEAN)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")
    assert read(file).register("status").value == "done"


def test_ctrl_c_while_it_waits_for_input_writes_nothing(file: Path) -> None:
    command = [*CRDTMEM, "append", str(file), "plan", "-"]
    digest = read(file).digest()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN) as process:
        side = Path(f"{file}-owner")
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"x" * 200_000)  # more than a pipe holds: once it is written, somebody reads
        process.stdin.flush()
        assert side.exists()
        process.send_signal(signal.SIGINT)
        process.stdin.close()  # should it come just before the next read, that one ends, too
        assert process.stderr.read() == b""
    assert process.returncode == 130
    assert read(file).digest() == digest and not side.exists()


# -- terminals -------------------------------------------------------------------------------------


def in_terminal(columns: int, *arguments: object, **more: str) -> str:
    """What a command prints into a terminal so wide."""
    main, side = pty.openpty()
    pty_size = subprocess.run(["stty", "cols", str(columns)], stdin=side, check=True)
    assert pty_size.returncode == 0
    environment = {**CLEAN, "TERM": "xterm-256color", **more}
    with subprocess.Popen([*CRDTMEM, *map(str, arguments)], stdout=side, stderr=side, env=environment) as process:
        os.close(side)
        told = b""
        try:
            while part := os.read(main, 65536):
                told += part
        except OSError:  # the other side has closed
            pass
        process.wait()
    os.close(main)
    return told.decode()


def test_people_get_colours_within_the_width_of_their_terminal(file: Path) -> None:
    told = in_terminal(60, "timeline", file)
    assert "\x1b[31m" in told and "\x1b[33m" in told  # what is retracted, what is in conflict
    lines = re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()
    assert max(map(len, lines)) <= 60 and lines[0] == "2023-11-14 22:13 UTC"


def test_who_wants_no_colours_gets_none(file: Path) -> None:
    told = in_terminal(60, "timeline", file, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", told) and "churn.csv" in told
    assert "\x1b" not in in_terminal(60, "show", file, TERM="dumb")


def test_a_narrow_terminal_gets_help_and_errors_too(file: Path) -> None:
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", in_terminal(60, "timeline", "--help")).splitlines())) <= 60
    assert in_terminal(60, "get", file, "nothing").startswith("crdtmem: no field 'nothing' in this memory;")


def test_letters_that_the_terminal_lacks_are_spelled_out(file: Path) -> None:
    ran("set", file, "status", "Élan 東京", "--as", "ann")
    assert ran("get", file, "status", PYTHONIOENCODING="ascii").stdout == "\\xc9lan \\u6771\\u4eac\n"
    assert ran("get", file, "status", PYTHONIOENCODING="utf-8").stdout == "Élan 東京\n"


def test_a_shell_completes_commands_and_fields(file: Path) -> None:
    def completed(words: str) -> list[str]:
        asked = {"_CRDTMEM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return ran(**asked).stdout.split()

    assert completed("crdtmem time") == ["timeline"]
    assert completed(f"crdtmem get {file} ") == ["claims", "tokens", "status", "facts", "orders", "plan", "draft"]
    assert completed(f"crdtmem get {file} pl") == ["plan"]
    assert completed("crdtmem get none.db ") == []


# -- what is loaded --------------------------------------------------------------------------------

HEAVY = ["anthropic", "apsw", "jwt", "mcp", "openai", "rich", "snowballstemmer", "websockets"]
HEAVY += ["crdtmem.adapters", "crdtmem.coherence", "crdtmem.sync", "crdtmem.index"]


@pytest.mark.parametrize(
    ("words", "brings"),
    [
        (["version"], []),
        (["get", "{}", "status"], ["apsw"]),
        (["set", "{}", "status", "done"], ["apsw"]),
        (["show", "{}"], ["apsw", "rich"]),
        (["timeline", "{}"], ["apsw", "rich"]),
        (["timeline", "{}", "--json"], ["apsw"]),
        (["search", "{}", "churn", "--json"], ["apsw", "crdtmem.index", "snowballstemmer"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_a_command_loads_what_it_needs_and_no_more(words: list[str], brings: list[str], file: Path) -> None:
    script = (
        "import sys\nfrom crdtmem.cli.main import run\ncode = run(sys.argv[1:])\n"
        f"print(code, sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, *(word.format(file) for word in words)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=CLEAN)
    loaded = eval(told.stderr.partition(" ")[2])
    assert told.stderr.startswith("0 ") and set(loaded) <= set(brings), loaded
