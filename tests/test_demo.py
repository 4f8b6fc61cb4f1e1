"""`make demo` tells the truth: it ends with 0 when its claims hold, and with 1 when sync is broken."""

import importlib.util
import io
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType

import pytest

from tests.layout import ROOT

SCRIPT = ROOT / "examples" / "three_replicas.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("three_replicas", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_as_a_script_in_80_plain_columns() -> None:
    ran = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "FAIL" not in ran.stdout and "\x1b" not in ran.stdout
    assert [line for line in ran.stdout.splitlines() if len(line) > 80] == []
    *_, last = ran.stdout.splitlines()
    good, _, checked, *_ = last.split()
    assert good == checked == str(ran.stdout.count("\n  ok   "))


def nothing(crew: Mapping[str, object], rng: random.Random) -> Mapping[str, object]:
    return {}


def test_it_fails_when_nothing_is_exchanged(demo: ModuleType) -> None:
    assert "the three digests are equal" in failed(demo, nothing)


def test_it_fails_when_one_replica_is_left_out(demo: ModuleType) -> None:
    def swap(crew: Mapping[str, object], rng: random.Random) -> Mapping[str, object]:
        return demo.swap({name: memory for name, memory in crew.items() if name != "docs"}, rng)  # type: ignore[no-any-return]

    assert "the three read the same" in failed(demo, swap)


def test_it_fails_when_what_was_lost_is_never_sent_again(demo: ModuleType) -> None:
    def swap(crew: Mapping[str, object], rng: random.Random) -> Mapping[str, object]:
        class Lossy:
            def __init__(self, memory: object) -> None:
                self.memory = memory

            def receive(self, records: list[bytes], *, sender: str) -> object:
                return self.memory.receive([] if rng.random() < 0.1 else records, sender=sender)  # type: ignore[attr-defined]

            def changes(self) -> object:
                return self.memory.changes()[:-1]  # type: ignore[attr-defined]

        return demo.swap({name: Lossy(memory) for name, memory in crew.items()}, rng)  # type: ignore[no-any-return]

    assert failed(demo, swap)


def test_it_fails_when_a_change_counts_twice(demo: ModuleType) -> None:
    def swap(crew: Mapping[str, object], rng: random.Random) -> Mapping[str, object]:
        lines = demo.swap(crew, rng)
        lines["web"]["applied"] += 1
        return lines  # type: ignore[no-any-return]

    assert failed(demo, swap) == ["each applied every change of the others once, and nothing else"]


def failed(demo: ModuleType, exchange: object) -> list[str]:
    out = io.StringIO()
    assert demo.main(out, exchange) == 1
    return [line[7:] for line in out.getvalue().splitlines() if line.startswith("  FAIL ")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("setting", "colours"), [({}, {True}), ({"NO_COLOR": "1"}, {False}), ({"TERM": "dumb"}, {False})]
)
def test_colour_only_on_a_terminal_that_wants_it(
    demo: ModuleType, setting: dict[str, str], colours: set[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"NO_COLOR", "TERM"} & os.environ.keys():
        monkeypatch.delenv(name)
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    assert demo.main(out) == 0
    assert {"\x1b[" in out.getvalue()} == colours
