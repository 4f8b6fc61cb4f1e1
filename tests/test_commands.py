"""The commands that read and write a file: what they do, print, refuse; what agents wrote never acts on a terminal."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from crdtmem import CrdtmemError, Memory, Namespace, Replica, SqliteStore
from crdtmem.cli import given, naming
from crdtmem.cli.main import GROUPS, run
from crdtmem.errors import NamespaceError
from crdtmem.mark import mark
from tests.provider import provider

NOON = 1_700_000_000.0


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CRDTMEM_AS", "CRDTMEM_MEMORY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A memory with one of everything: conflicts, a retraction and what rested on it, a contradiction in meaning."""
    filled(tmp_path / "team.db")
    return tmp_path / "team.db"


def filled(path: Path) -> None:
    clock = iter(range(int(NOON), int(NOON) + 10_000, 7))
    time: Callable[[], float] = lambda: float(next(clock))  # noqa: E731
    with Replica("ann", store=path, time=time) as replica:
        ann, bob = replica.open(tenant="acme", task="q3"), Replica("bob", time=time).open(tenant="acme", task="q3")
        source = ann.set("sources").add("churn.csv", source="import")
        fact = ann.records("facts").put("churn", "3.1 %", because=[source], why="CRM export", confidence=0.8)
        ann.text("draft").append("Churn is 3.1 %.", because=[fact])
        ann.sequence("plan").extend(["ask", "write"])
        ann.counter("tokens").add(1200)
        bob.receive(ann.changes())
        ann.register("status").assign("draft", why="first look")
        bob.register("status").assign("final")
        ann.records("orders").put("42", {"sum": 12})
        bob.receive(ann.changes())
        ann.records("orders").merge("42", {"state": "open", "sum": 10})
        bob.records("orders").merge("42", {"sum": 11})
        ann.set("claims").add("The port of gate-3 is 8080.")
        bob.set("claims").add("The port of gate-3 is 9090.")
        ann.receive(bob.changes())
        ann.retract(source, why="last year's file")


def read(path: Path) -> Memory:
    return Replica("eve", store=SqliteStore(path, readonly=True)).open(tenant="acme", task="q3")


class Ran:
    """A command that was run here: its exit code, and what it printed."""

    def __init__(self, *arguments: object, stdin: bytes = b"") -> None:
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        sys.stdout, sys.stderr = out, err = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
        try:
            self.code = run([str(one) for one in arguments])
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        for stream in (out, err):
            stream.seek(0)
        self.out, self.err = out.read(), err.read()

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def ok(self) -> Ran:
        assert (self.code, self.err) == (0, ""), self.err
        return self


READING: list[tuple[str, ...]] = [
    ("status",),
    ("show",),
    ("show", "facts", "draft"),
    ("get", "facts"),
    ("get", "plan"),
    ("get", "tokens"),
    ("conflicts",),
    ("timeline",),
    ("audit",),
    ("explain", "facts", "churn"),
    ("diff", "2023-01-01"),
    ("search", "churn"),
    ("check",),
    ("view", "--tokens", "600"),
]


def asked(file: Path, words: tuple[str, ...], *more: str) -> Ran:
    return Ran(words[0], file, *words[1:], *more)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_reading_command_changes_nothing_and_says_it_to_people_and_programs(
    words: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    expected = 1 if words[0] == "check" else 0
    told = asked(file, words)
    assert (told.code, told.err) == (expected, "") and told.out.strip()
    assert "\x1b" not in told.out  # nobody looks, so no colours
    monkeypatch.setenv("COLUMNS", "60")
    lines = asked(file, words).out.splitlines()
    if words[0] not in ("get", "view"):
        assert max(len(line) for line in lines if not line.startswith("version  ")) <= 60
        assert [line.rstrip() for line in lines] == lines
    programs = asked(file, words, "--json")
    assert programs.code == expected and programs.json
    after = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    assert {name: data for name, data in after.items() if name in before} == before


def test_what_is_shown_is_what_the_memory_says(file: Path) -> None:
    memory = read(file)
    shown = Ran("show", file, "--json").ok().json
    assert {one["field"] for one in shown} == memory.fields().keys()
    [fact] = [one for one in shown if one["field"] == "facts"]
    [entry] = memory.records("facts").siblings("churn")
    assert fact == {
        "id": str(entry.id), "field": "facts", "kind": "records", "key": "churn", "value": "3.1 %", "by": "ann",
        "at": entry.at.isoformat(), "why": "CRM export", "because": [str(one) for one in entry.because],
        "confidence": 0.8, "tainted": True,
    }  # fmt: skip
    assert [one["by"] for one in shown if one.get("conflict")] == ["ann", "bob", "ann", "bob"]
    values = {name: Ran("get", file, name, "--json").ok().json for name in memory.fields()}
    assert values == {
        "claims": [["The port of gate-3 is 8080.", "The port of gate-3 is 9090."]],
        "tokens": [1200],
        "status": ["final"],
        "facts": [{"churn": "3.1 %"}],
        "orders": [{"42": {"sum": 11, "state": "open"}}],
        "plan": [["ask", "write"]],
        "draft": ["Churn is 3.1 %."],
    }


def test_get_prints_what_scripts_want(file: Path) -> None:
    assert Ran("get", file, "status").ok().out == "final\n"
    assert Ran("get", file, "status", "--resolve", "append").ok().out == '["draft", "final"]\n'
    assert Ran("get", file, "plan").ok().out == "ask\nwrite\n"
    assert Ran("get", file, "plan", "1").ok().out == "write\n"
    assert Ran("get", file, "orders", "42").ok().out == '{"sum": 11, "state": "open"}\n'
    assert Ran("get", file, "facts").ok().out == "churn\t3.1 %\n"
    assert Ran("get", file, "draft", "--raw").ok().out == "Churn is 3.1 %."
    assert Ran("get", file, "tokens", "--at", "2023-01-01").code == 1


def test_status_tells_what_needs_attention(file: Path) -> None:
    [told] = Ran("status", file, "--json").ok().json
    [one] = told["memories"]
    memory = read(file)
    assert (told["owner"], told["file"]) == (None, str(file))
    assert (one["memory"], one["version"], one["digest"]) == (
        "tenant=acme,task=q3",
        str(memory.version),
        memory.digest(),
    )
    assert (one["conflicts"], one["tainted"], one["findings"], one["agents"]) == (2, 2, 0, ["ann", "bob"])
    last = one["last"]
    assert (last["by"], last["fields"], last["when"][:13]) == ("ann", ["sources", "@retracted"], "2023-11-14T22")
    Ran("check", file, "--file")
    assert Ran("status", file, "--json").json[0]["memories"][0]["findings"] == 3
    assert "3 open findings" in Ran("status", file).out


def test_the_timeline_marks_what_somebody_should_look_at(file: Path) -> None:
    Ran("check", file, "--file")
    lines = Ran("timeline", file).ok().out.splitlines()
    assert lines[0] == "2023-11-14 22:13 UTC"
    signs = {" ".join(line.split()[-2:]) if line[:1] == "x" else line[21:].strip(): line[0] for line in lines[1:]}
    text = "\n".join(lines)
    assert "\nx :" in text and "added sources 'churn.csv'" in text and len(signs) > 5
    assert [line[0] for line in lines if "added draft" in line] == ["~"]
    assert [line[0] for line in lines if "added status" in line] == ["!", "!"]
    assert [line[0] for line in lines if "added claims" in line] == ["?", "?"]
    assert [line[0] for line in lines if "added plan" in line] == [" ", " "]
    assert sum("reviewer found a finding certain" in line for line in lines) == 3
    assert "why: last year's file" in text
    narrow = Ran("timeline", file, "--by", "bob", "--field", "status", "--json").json
    assert [(one["by"], one["field"], one["value"]) for one in narrow] == [("bob", "status", "final")]
    assert len(Ran("timeline", file, "--last", "2", "--json").json) == 2
    assert Ran("timeline", file, "--text", "CRM", "--json").json[0]["why"] == "CRM export"
    assert Ran("timeline", file, "--since", "2030-01-01").ok().out == "nothing happened\n"


def test_audit_goes_page_by_page(file: Path) -> None:
    whole = Ran("audit", file, "--json").ok().json
    found, after = [], []
    while True:
        page = Ran("audit", file, "--json", "--limit", "4", *after).ok().json
        found += [one for one in page if "next" not in one]
        if "next" not in page[-1]:
            break
        after = ["--after", page[-1]["next"]]
    assert found == whole and len(whole) == len(read(file).audit())
    draft = next(one for one in whole if one["field"] == "draft")["entry"]
    assert [one["field"] for one in Ran("audit", file, "--entry", draft, "--json").json] == ["draft"]


def test_explain_finds_what_is_meant(file: Path) -> None:
    [fact] = read(file).records("facts").siblings("churn")
    for words in (["facts"], ["facts", "churn"], [mark(fact)], [str(fact.id)]):
        [told] = Ran("explain", file, *words, "--json").ok().json
        assert told["entry"] == str(fact.id) and told["tainted"]
        assert [one["status"] for one in told["rests_on"]] == ["removed"]
    assert Ran("explain", file, "plan", "1").ok().out.splitlines()[1].startswith("plan: 'write'")
    assert Ran("explain", file, "claims", "The port of gate-3 is 9090.").ok()
    assert "rests on what was retracted" in Ran("explain", file, "draft").out


def test_the_past_is_there_by_version_and_moment(file: Path) -> None:
    version = str(read(file).version)
    Ran("set", file, "status", "done", "--as", "cid").ok()
    assert Ran("get", file, "status", "--at", version).ok().out == "final\n"
    [changed] = Ran("diff", file, version, "--json").ok().json
    assert [one["value"] for one in changed["added"]] == ["done"]
    assert [one["value"] for one in changed["removed"]] == ["draft", "final"]
    assert Ran("diff", file, version, version).ok().out == ""
    assert "sources" in {one["field"] for one in Ran("show", file, "--at", "2023-11-14T22:14:00", "--json").ok().json}


# -- writing ---------------------------------------------------------------------------------------


def test_every_type_of_field_is_written_and_read_back(tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    begin = ("--new", "--memory", "tenant=acme,task=q3")
    Ran("set", db, "status", "draft", *begin, "--as", "ann").ok()
    Ran("set", db, "level", "3", "--json-value").ok()
    Ran("add", db, "facts", "a b").ok()
    Ran("add", db, "facts", '{"x": [1, null]}', "--json-value").ok()
    Ran("add", db, "tokens", "5", "--counter").ok()
    Ran("add", db, "tokens", "-7").ok()
    Ran("append", db, "plan", "ask").ok()
    Ran("append", db, "plan", "-", stdin=b"two\nlines\n").ok()
    Ran("append", db, "draft", "-", "--text", stdin="Élan is 3.1 %.\n".encode()).ok()
    Ran("append", db, "draft", "More.").ok()
    Ran("put", db, "orders", "42", '{"a": 1}', "--json-value").ok()
    Ran("merge", db, "orders", "42", '{"b": 2}').ok()
    Ran("replace", db, "draft", "3.1", "4.7").ok()
    Ran("replace", db, "plan", "0", "think").ok()
    got = {name: json.loads(Ran("get", db, name, "--json").ok().out) for name in read(db).fields()}
    assert got == {
        "status": "draft",
        "level": 3,
        "facts": ["a b", {"x": [1, None]}],
        "tokens": -2,
        "plan": ["think", "two\nlines"],
        "draft": "Élan is 4.7 %.\nMore.",
        "orders": {"42": {"a": 1, "b": 2}},
    }
    Ran("remove", db, "facts", "a b").ok()
    Ran("remove", db, "facts", '{"x": [1, null]}', "--json-value").ok()
    [first, *_] = read(db).sequence("plan").entries()
    Ran("remove", db, "plan", mark(first)).ok()
    Ran("remove", db, "plan", "0").ok()
    assert Ran("remove", db, "orders", "42", "--json").ok().json == [{"field": "orders", "removed": "42"}]
    Ran("remove", db, "status").ok()
    Ran("remove", db, "draft", "Élan is 4.7 %.\n").ok()
    assert read(db).fields() == {"level": "register", "tokens": "counter", "draft": "text"}
    assert str(read(db).text("draft")) == "More."


def test_a_write_says_all_it_can_and_prints_its_name(file: Path) -> None:
    cause = Ran("add", file, "sources", "churn-2.csv", "--as", "ann", "--source", "import").ok().out.strip()
    told = Ran(
        "put", file, "facts", "churn", "4.7 %", "--as", "ann", "--role", "lead", "--why", "corrected",
        "--because", cause, "--confidence", "0.9", "--tag", "churn", "--tag", "q3", "--source", "tool", "--ttl", "2h",
        "--valid-from", "2026-01-01", "--valid-until", "2026-04-01T00:00:00+00:00", "--json",
    ).ok()  # fmt: skip
    [entry] = read(file).records("facts").siblings("churn")
    assert [mark(one) for one in entry.because] == [cause]
    assert (entry.by, entry.role, entry.why, entry.confidence) == ("ann", "lead", "corrected", 0.9)
    assert (entry.tags, entry.source, entry.ttl) == (("churn", "q3"), "tool", 7200.0)
    assert entry.valid == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert told.json[0]["id"] == str(entry.id) and told.json[0]["value"] == "4.7 %"


def test_who_writes_is_said_once_for_a_script(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDTMEM_AS", "nightly")
    Ran("add", file, "sources", "a").ok()
    Ran("add", file, "sources", "b", "--as", "ann").ok()
    assert {entry.value: entry.by for entry in read(file).set("sources").entries()} == {"a": "nightly", "b": "ann"}


def test_what_others_wrote_since_stays_beside_what_was_decided_before(file: Path) -> None:
    Ran("set", file, "status", "one").ok()
    seen = str(read(file).version)
    Ran("set", file, "status", "two", "--as", "bob").ok()
    Ran("set", file, "status", "three", "--seen", seen, "--as", "ann").ok()
    assert [entry.value for entry in read(file).register("status").siblings] == ["two", "three"]


# -- settling --------------------------------------------------------------------------------------


def test_a_conflict_is_resolved_by_one_of_its_entries_or_another_value(file: Path) -> None:
    ann, _ = read(file).register("status").siblings
    settled = Ran("resolve", file, "status", "--keep", mark(ann), "--why", "bob had not seen it").ok().out.strip()
    [entry] = read(file).register("status").siblings
    assert (mark(entry), entry.value, entry.because) == (settled, "draft", (ann.id,))
    patch = next(one for one in read(file).records("orders").siblings("42") if one.value == {"sum": 11})
    Ran("resolve", file, "orders", "42", "--keep", mark(patch), "--why", "counted again").ok()
    assert read(file).records("orders")["42"] == {"sum": 11, "state": "open"}
    assert Ran("conflicts", file).ok().out == "no conflicts\n"


def test_a_conflict_is_resolved_by_a_value(file: Path) -> None:
    Ran("resolve", file, "orders", "42", "--value", '{"sum": 0}', "--json-value", "--why", "cancelled").ok()
    Ran("resolve", file, "status", "--value", "cancelled", "--why", "cancelled").ok()
    assert read(file).conflicts() == []
    assert (read(file).records("orders")["42"], read(file).register("status").value) == ({"sum": 0}, "cancelled")


def test_a_finding_is_filed_and_settled(file: Path) -> None:
    told = Ran("check", file, "--file", "--json").json[0]
    numeric = next(one for one in told["findings"] if one["kind"] == "numeric")
    assert told["filed"] == 3 and told["coherent"] is False
    Ran("resolve", file, numeric["id"][:8], "--keep", numeric["entries"][0], "--why", "seen at the gate").ok()
    [again] = [one for one in Ran("check", file, "--json").json[0]["findings"] if one["id"] == numeric["id"]]
    assert again["status"] == "resolved" and again["resolution"]["keep"] == numeric["entries"][0]
    for words in (["status", "--value", "draft"], ["orders", "42", "--value", "{}", "--json-value"]):
        Ran("resolve", file, *words, "--why", "so be it").ok()
    assert Ran("check", file).code == 0


def test_check_says_by_its_code_whether_it_looked_at_all(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    with Replica("ann", store=db) as replica:
        memory = replica.open(tenant="acme", task="q3")
        memory.set("facts").add("The night guard of the north gate sleeps since noon.")
    assert Ran("check", db).ok().out.startswith("no contradiction found by offline")
    with Replica("ann", store=db) as replica:
        replica.open(tenant="acme", task="q3").set("facts").add(
            "The night guard of the north gate is awake since noon."
        )
    with provider(["{}"]) as local:
        model = f"openai:any@{local.url}/v1"
        told = Ran("check", db, "--llm", model, "--calls", "0")
        assert told.code == 3 and "--calls says how often" in told.out
        assert Ran("check", db, "--llm", model, "--calls", "0", "--json").json[0]["coherent"] is None


def test_a_model_that_cannot_be_asked_is_told_of(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(file.parent))
    with Replica("ann", store=file.with_name("a.db")) as replica:
        memory = replica.open(tenant="acme", task="q3")
        memory.set("facts").add("The night guard of the north gate sleeps since noon.")
        memory.set("facts").add("The night guard of the north gate is awake since noon.")
    told = Ran("check", file.with_name("a.db"), "--llm", "anthropic:any")
    assert told.code == 3 and "the model failed  TypeError" in told.out
    refused = Ran("check", file, "--llm", "openai:any")
    assert refused.code == 1 and "OPENAI_API_KEY" in refused.err and refused.err.count("\n") == 1


def test_a_model_is_asked_where_one_is_named(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    with Replica("ann", store=db) as replica:
        memory = replica.open(tenant="acme", task="q3")
        memory.set("facts").add("The night guard of the north gate sleeps since noon.")
        memory.set("facts").add("The night guard of the north gate is awake since noon.")
    clash = {"candidate": 1, "reason": "both", "relation": "contradiction", "entry_quote": "", "candidate_quote": ""}
    with provider([json.dumps({"verdicts": [clash]})]) as local:
        told = Ran("check", db, "--llm", f"openai:any@{local.url}/v1", "--json").json[0]
    assert told["judges"] == ["offline", "openai any"] and told["cost"]["calls"] > 0


def test_retract_affirm_undo_restore(file: Path) -> None:
    told = Ran("retract", file, "facts", "churn", "--why", "wrong export").ok().out
    assert "nothing that stands rests on it" in told  # the draft was tainted before
    assert "facts" not in read(file).fields()
    [back] = [one for one in read(file).audit(field="facts") if one.action == "retracted"]
    assert back.why == "wrong export" and back.via is not None and f"undo FILE {mark(back.via)} " in told
    Ran("undo", file, mark(back.via), "--why", "it was right").ok()
    assert read(file).records("facts")["churn"] == "3.1 %"
    assert Ran("affirm", file, "draft", "--why", "checked").ok().out.startswith("affirmed")
    assert not read(file).text("draft").entries()[0].tainted
    then = str(read(file).version)
    Ran("set", file, "status", "done").ok()
    assert Ran("restore", file, then, "--why", "too early", "--json").ok().json[0]["entries"] > 0
    assert read(file).register("status").value != "done"


def test_a_retraction_lists_what_falls(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    cause = Ran("add", db, "sources", "x.csv", "--new", "-m", "tenant=acme,task=q3").ok().out.strip()
    rests = Ran("set", db, "brief", "so it is", "--because", cause).ok().out.strip()
    told = Ran("retract", db, "sources", "x.csv", "--why", "old").ok().out
    assert "1 entry that stands rests on it" in told and "tainted" in told and rests in told and "so it is" in told


# -- what agents wrote never acts ------------------------------------------------------------------


NASTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAME = NASTY.filter(lambda text: text.isprintable() and 0 < len(text) <= 40 and text[0] not in "@qrt" and text.strip())


NASTIEST = (
    "\x1b[2J\x9b31m[red]x[/red]\u202e\r\n:warning:",
    "\x1b]0;k\x07",
    "[bold]why\x1b[0m\x08",
    "[red]ann[/red]",
    "[link=x]f",
)


def test_nothing_that_agents_wrote_acts_on_a_terminal() -> None:
    harmless(*NASTIEST)


@settings(max_examples=5)
@drawn(NASTY, NASTY, NASTY, NAME, NAME)
def test_whatever_agents_write_reaches_a_terminal_as_text(
    value: str, key: str, why: str, agent: str, field: str
) -> None:
    harmless(value, key, why, agent, field)


def harmless(value: str, key: str, why: str, agent: str, field: str) -> None:
    """Write these into a memory, and look at it by every command that reads."""
    with TemporaryDirectory() as folder:
        db = Path(folder, "a.db")
        with Replica("ann", store=db, time=lambda: NOON) as replica:
            memory = replica.open(tenant="acme", task="q3").acting_as(agent, role=agent)
            entry = memory.records("r").put(key[:100], value, why=why)
            memory.set(field).add(value, because=[entry], tags=[why[:50] or "x"], why=why)
            memory.text("t").append(value or "x", why=why)
            memory.sequence("q").append({key: value})
            memory.retract(entry, why=why or "x")
        words = [("status",), ("show",), ("timeline",), ("audit",), ("explain", "t"), ("diff", "2020-01-01")]
        words += [
            ("search", "x"),
            ("check",),
            ("view",),
            ("get", field),
            ("get", "t"),
            ("get", "q", "0"),
            ("conflicts",),
        ]
        for one in words:
            told = Ran(one[0], db, *one[1:])
            assert told.err == "" and told.code in (0, 1), (one, told.err)
            odd = [c for c in told.out if not (c.isprintable() or c in "\n\t")]
            assert not odd, (one, odd)
            lines = Ran(one[0], db, *one[1:], "--json")
            assert lines.out.isascii() and lines.json is not None
        assert Ran("get", db, "t", "--json").json == [value or "x"]
        assert Ran("get", db, "t", "--raw").out == (value or "x")
        assert Ran("get", db, field).out.count("\n") == 1  # no member poses as two
        if value.isprintable() and value:
            assert f"{value}\n" == Ran("get", db, "t").out


def test_markup_is_text(file: Path) -> None:
    Ran("add", file, "claims", "[bold]not bold[/bold] :smile: [link=http://x]y[/link]").ok()
    assert "[bold]not bold[/bold] :smile: [link=http://x]y[/link]" in Ran("show", file, "claims").ok().out


# -- which memory ----------------------------------------------------------------------------------


def two(path: Path) -> None:
    with Replica("ann", store=path) as replica:
        replica.open(tenant="acme", task="q3").set("s").add("one")
        replica.open(tenant="beta").set("s").add("other")


def test_where_a_file_holds_several_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two(tmp_path / "a.db")
    refused = Ran("show", tmp_path / "a.db")
    assert refused.code == 1
    assert "holds 2 memories: tenant=acme,task=q3 tenant=beta; name one: --memory tenant=acme,task=q3" in refused.err
    assert Ran("get", tmp_path / "a.db", "s", "-m", "tenant=beta").ok().out == "other\n"
    assert Ran("get", tmp_path / "a.db", "s", "-m", "task=q3,tenant=acme").ok().out == "one\n"
    part = Ran("get", tmp_path / "a.db", "s", "-m", "tenant=acme")
    assert part.code == 1 and "holds no memory tenant=acme; it holds tenant=acme,task=q3 tenant=beta" in part.err
    monkeypatch.setenv("CRDTMEM_MEMORY", "tenant=beta")
    assert Ran("get", tmp_path / "a.db", "s").ok().out == "other\n"
    assert len(Ran("status", tmp_path / "a.db", "--json").ok().json[0]["memories"]) == 1
    monkeypatch.delenv("CRDTMEM_MEMORY")
    assert len(Ran("status", tmp_path / "a.db", "--json").ok().json[0]["memories"]) == 2


def test_the_owner_of_an_owned_memory_need_not_be_named(tmp_path: Path) -> None:
    from crdtmem import Rules

    with Replica("boss", store=tmp_path / "a.db") as replica:
        replica.own(tenant="acme", rules=Rules()).set("s").add("owned")
    assert Ran("get", tmp_path / "a.db", "s", "-m", "tenant=acme").ok().out == "owned\n"
    with Replica("boss", store=tmp_path / "a.db") as replica:
        replica.open(tenant="acme").set("s").add("open")
    assert Ran("get", tmp_path / "a.db", "s", "-m", "tenant=acme").ok().out == "open\n"
    refused = Ran("add", tmp_path / "a.db", "s", "x", "--as", "stranger", "-m", "tenant=acme,owner=nobody")
    assert refused.code == 1 and "holds no memory" in refused.err


def test_a_slip_begins_no_memory(file: Path) -> None:
    refused = Ran("add", file, "s", "x", "-m", "tenant=acme,task=q4")
    assert refused.code == 1 and "holds no memory tenant=acme,task=q4" in refused.err and "add --new" in refused.err
    Ran("add", file, "s", "x", "-m", "tenant=acme,task=q4", "--new").ok()
    with SqliteStore(file, readonly=True) as store:
        assert len(store.namespaces()) == 2


LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@drawn(st.dictionaries(st.sampled_from(naming.NAMES), LABEL).filter(lambda labels: "tenant" in labels))
def test_a_memory_is_found_by_what_names_it(labels: dict[str, str]) -> None:
    space = Namespace(**labels)
    assert naming.scope(naming.named(space)) == space


@drawn(st.text(max_size=60) | st.text('tenant=,task{}":', max_size=40))
def test_whatever_is_typed_as_labels_is_a_scope_or_refused(text: str) -> None:
    try:
        assert isinstance(naming.scope(text), Namespace)
    except (CrdtmemError, NamespaceError) as error:
        assert "\n" not in str(error)


@drawn(
    st.text(max_size=40) | st.from_regex(r"[0-9]{1,20}(\.[0-9]+)?[smhdw:T-]+[0-9:.+-]*", fullmatch=True),
    st.floats(0, 4e9),
)
def test_whatever_is_typed_as_a_moment_is_one_or_refused(text: str, now: float) -> None:
    for read_it in (
        lambda: given.when(text, now),
        lambda: given.seconds(text),
        lambda: given.value(text, as_json=True),
    ):
        if text != "-":
            try:
                read_it()
            except CrdtmemError as error:
                assert repr(text[:10])[1:5] in str(error) or text == ""


# -- what is refused -------------------------------------------------------------------------------


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("show", "none.db"), 1, "none.db: no such file"),
    (("set", "none.db", "a", "b"), 1, "none.db: no such file; to begin one: add --new --memory tenant="),
    (("set", "none.db", "a", "b", "--new"), 1, "--new needs the name of what is to begin"),
    (("set", "nowhere/none.db", "a", "b", "--new", "-m", "tenant=a"), 1, "there is no folder"),
    (("show", "."), 1, "is a folder"),
    (("show", "text.db"), 1, "it is no database"),
    (("set", "text.db", "a", "b"), 1, "it is no database"),
    (("show", "zero.db"), 1, "is empty, which no store is"),
    (("show", "bare.db"), 1, "holds no memory yet"),
    (("set", "bare.db", "a", "b"), 1, "holds no memory yet; its first write begins one"),
    (("show", "team.db", "-m", "tenant"), 1, "labels as in tenant=acme,task=q3"),
    (("show", "team.db", "-m", "tenant=zeta"), 1, "holds no memory tenant=zeta; it holds tenant=acme,task=q3"),
    (("show", "team.db", "nothing"), 1, "no field 'nothing' in this memory; there are: claims"),
    (("show",), 2, "Missing argument 'FILE'"),
    (("get", "team.db"), 2, "Missing argument 'FIELD'"),
    (("shw", "team.db"), 2, "No such command 'shw'"),
    (("show", "team.db", "--frobnicate"), 2, "No such option"),
    (("show", "team.db", "--last", "0"), 2, "--last"),
    (("get", "team.db", "facts", "nobody"), 1, "facts has no key 'nobody'"),
    (("get", "team.db", "plan", "7"), 1, "plan has 2 values, and none at 7"),
    (("get", "team.db", "plan", "-x"), 2, "No such option"),
    (("get", "team.db", "plan", "x"), 1, "an index from 0 on"),
    (("get", "team.db", "status", "x"), 1, "status is a register, which has no keys"),
    (("get", "team.db", "status", "--resolve", "x"), 1, "no resolution named 'x'"),
    (("get", "team.db", "status", "--resolve", "escalate"), 1, "'status' is undecided: ann says"),
    (("get", "team.db", "status", "--at", "yesterday"), 1, "a moment is like 2026-03-14"),
    (("add", "team.db", "status", "x"), 1, "holds a register"),
    (("set", "team.db", "facts", "x"), 1, "holds a records"),
    (("add", "team.db", "tokens", "x"), 1, "a counter counts in whole numbers"),
    (("add", "team.db", "tokens", "9" * 5000), 1, "a counter counts in whole numbers"),
    (("add", "team.db", "tokens", "9" * 30), 1, "more than int64"),
    (("add", "team.db", "claims", "x", "--confidence", "2"), 1, "confidence: a number from 0 to 1"),
    (("add", "team.db", "claims", "x", "--confidence", "nan"), 1, "confidence: a number from 0 to 1"),
    (("add", "team.db", "claims", "x", "--ttl", "soon"), 1, "a span of time is a number with s, m, h, d or w"),
    (("add", "team.db", "claims", "x", "--source", "gossip"), 1, "source: one of user, agent, tool, import"),
    (("add", "team.db", "claims", "x", "--because", "claims"), 1, "names no entry"),
    (("add", "team.db", "claims", "x", "--because", "00000000.1"), 1, "no session begins so"),
    (("add", "team.db", "claims", "x", "--as", ""), 1, "agent: a printable str"),
    (("add", "team.db", "claims", "{", "--json-value"), 1, "'{' is not valid JSON"),
    (("add", "team.db", "claims", "[" * 100_000, "--json-value"), 1, "is not valid JSON"),
    (("add", "team.db", "@findings", "x"), 1, "the first of them not @"),
    (("append", "team.db", "draft", ""), 1, "at least one character"),
    (("merge", "team.db", "orders", "42", "[1]"), 1, "merge takes a dict"),
    (("replace", "team.db", "draft", "9.9", "1"), 1, "9.9"),
    (("replace", "team.db", "status", "draft", "x"), 1, "replaced by crdtmem set"),
    (("replace", "team.db", "plan", "9", "x"), 1, "none at 9"),
    (("remove", "team.db", "claims", "nobody said"), 1, "claims holds no 'nobody said'"),
    (("remove", "team.db", "claims"), 1, "say what of it"),
    (("remove", "team.db", "status", "x"), 1, "leave 'x' out"),
    (("remove", "team.db", "tokens", "5"), 1, "a negative amount is added"),
    (("explain", "team.db", "status"), 1, "2 entries; name one:"),
    (("explain", "team.db", "nowhere"), 1, "nor is it a field"),
    (("explain", "team.db", "facts", "churn", "x"), 1, "quote what has spaces"),
    (("explain", "team.db", "tokens", "1"), 1, "tokens is a counter"),
    (("retract", "team.db", "facts", "churn"), 2, "Missing option '--why'"),
    (("retract", "team.db", "facts", "nobody", "--why", "x"), 1, "nothing stands there"),
    (("restore", "team.db", "later", "--why", "x"), 1, "a moment is like"),
    (("diff", "team.db", "later"), 1, "a moment is like"),
    (("resolve", "team.db", "status", "--why", "x"), 1, "say --keep and one of its entries, or --value"),
    (("resolve", "team.db", "facts", "--why", "x"), 1, "is no conflict and no finding here"),
    (("resolve", "team.db", "status", "--how", "both", "--why", "x"), 1, "say --keep"),
    (("audit", "team.db", "--after", "xyz"), 1, "is not a place in a timeline"),
    (("search", "team.db", "x", "--limit", "0"), 2, "--limit"),
    (("check", "team.db", "--llm", "gpt"), 1, "anthropic:MODEL, openai:MODEL"),
    (("view", "team.db", "--tokens", "-1"), 2, "--tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "says"), BAD, ids=[" ".join(words)[:60] for words, _, _ in BAD])
def test_what_is_wrong_is_said_in_one_line(
    words: tuple[str, ...], code: int, says: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    Path("text.db").write_text("this is no database, just a text that somebody has named so\n" * 99)
    Path("zero.db").touch()
    SqliteStore("bare.db").close()
    digest = read(file).digest()
    told = Ran(*words)
    assert (told.code, told.out) == (code, "")
    assert says in told.err and told.err.startswith("crdtmem: ") and told.err.count("\n") == 1
    assert read(file).digest() == digest
    assert not Path("none.db").exists()


def test_a_file_that_may_not_be_read_says_so(file: Path) -> None:
    file.chmod(0)
    try:
        if os.access(file, os.R_OK):
            pytest.skip("whoever runs this may read everything")
        told = Ran("show", file)
        assert told.code == 1 and "permissions" in told.err
    finally:
        file.chmod(0o600)


# -- help ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for commands in GROUPS.values() for name in commands])
def test_help_shows_an_example_and_what_programs_get(name: str) -> None:
    told = Ran(name, "--help").ok().out
    assert f"Example: crdtmem {name}" in " ".join(told.split()) or name == "identity"
    assert " --json " in told or name == "mcp"


def test_without_a_command_it_says_what_there_is() -> None:
    told = Ran().ok().out
    assert all(name in told for commands in GROUPS.values() for name in commands)


def test_the_shell_is_told_of_fields(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crdtmem.cli.pick import fields

    class Typed:
        params: dict[str, Any] = {"file": file, "which": None}  # noqa: RUF012

    assert fields(Typed(), "t") == ["tokens"]  # type: ignore[arg-type]
    assert "plan" in fields(Typed(), "")  # type: ignore[arg-type]
    Typed.params = {"file": Path("none.db")}
    assert fields(Typed(), "") == []  # type: ignore[arg-type]


def test_bench_measures_each_line_and_leaves_nothing(tmp_path: Path) -> None:
    [told] = Ran("bench", "--folder", tmp_path, "--seconds", "0.01", "--json").ok().json
    assert {"write, to a file", "read by key", "change received", "compare and swap"} <= told["lines"].keys()
    assert all(0 < each["low"] <= each["us"] <= each["high"] for each in told["lines"].values())
    shown = Ran("bench", "--folder", tmp_path, "--seconds", "0.01").ok().out
    assert len(shown.splitlines()) == 1 + len(told["lines"]) and " x" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seconds", "0"), "from 0.01 to 60"),
        (("--seconds", "nan"), "from 0.01 to 60"),
        (("--folder", "/nowhere"), "no such folder"),
    ],
)
def test_bench_says_what_it_cannot_do(arguments: tuple[str, str], words: str) -> None:
    ran = Ran("bench", *arguments)
    assert ran.code == 1 and words in ran.err and ran.out == ""
