"""JSON lines: what a memory shows comes back as new entries; what cannot be read is named, and nothing is written."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import BadBytes, FieldRule, Memory, Replica, Rules, RulesRefused, StoreError
from crdtmem.lines import dump, meant, plain, save
from crdtmem.loading import MAX_LINE, Loaded, load
from tests.crew import SCOPE, Time, Unwilling, alone, crew, exchange, tell
from tests.drawn import exact, values
from tests.stories import STEPS, Step, content, play


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


def lines(memory: Memory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dump(memory)][1:]


def siblings(memory: Memory) -> Any:
    """What stands side by side."""
    return sorted(exact(entry.value)[1] for entry in memory.register("r").siblings)


@given(STEPS)
def test_what_a_memory_shows_comes_back_by_whoever_takes_it_in(folder: Path, steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cid")
    for step in steps:
        play(memories, step)
    exchange(*memories)
    memory = memories[0]
    count = save(memory, folder / "drawn")
    fresh = alone("new")
    loaded = load(fresh, folder / "drawn")
    assert loaded.entries == count == len(lines(memory)) and not loaded.expired
    assert content(fresh) == content(memory)
    assert siblings(fresh) == siblings(memory)
    written = [entry for name, kind in fresh.fields().items() for entry in getattr(fresh, kind)(name).entries()]
    assert {(entry.by, entry.source) for entry in written} <= {("new", "import")}


@given(values)
def test_every_value_has_a_line_of_its_own_and_comes_back(value: Any) -> None:
    told = json.loads(json.dumps(plain(value), allow_nan=False))
    assert exact(meant(told)) == exact(value)


@given(st.lists(values, max_size=5))
def test_values_survive_the_file(folder: Path, some: list[Any]) -> None:
    ann, bob = crew("ann", "bob")
    for value in some:
        ann.sequence("q").append(value)
    save(ann, folder / "values")
    load(bob, folder / "values")
    assert exact(list(bob.sequence("q"))) == exact(list(ann.sequence("q")))


def test_a_dict_that_looks_like_bytes_stays_a_dict() -> None:
    memory = alone("ann")
    for value in ({"bytes": "MTI="}, {"dict": {}}, b"12", {"bytes": "MTI=", "more": 1}):
        memory.sequence("q").append(value)
    assert [exact(meant(line["value"])) for line in lines(memory)] == [exact(value) for value in memory.sequence("q")]


def test_a_line_says_who_when_why_and_on_what(tmp_path: Path) -> None:
    clock = Time()
    memory = Replica("ann", role="analyst", time=clock).open(SCOPE)
    source = memory.sequence("sources").append("crm.csv")
    memory.records("facts").put(
        "churn",
        {"rate": 4.7},
        why="read it twice",
        because=[source],
        confidence=0.5,
        tags=["q3"],
        source="tool",
        ttl=60,
        valid=(datetime(2026, 1, 1, tzinfo=UTC), None),
    )
    assert lines(memory)[0] | {"id": ""} == {
        "id": "",
        "field": "facts",
        "kind": "records",
        "key": "churn",
        "value": {"rate": 4.7},
        "by": "ann",
        "at": "2023-11-14T22:13:20+00:00",
        "role": "analyst",
        "why": "read it twice",
        "because": [str(source.id)],
        "confidence": 0.5,
        "tags": ["q3"],
        "source": "tool",
        "ttl": 60.0,
        "valid_from": "2026-01-01T00:00:00+00:00",
    }
    save(memory, tmp_path / "a")
    clock.passes(20)
    other = Replica("bob", time=clock).open(tenant="other")
    load(other, tmp_path / "a")
    [fact] = other.records("facts").entries()
    assert (fact.by, fact.role, fact.source) == ("bob", None, "import")
    assert fact.why == "read it twice (written by ann at 2023-11-14 22:13:20 UTC)"
    assert fact.ttl == pytest.approx(40) and fact.tags == ("q3",) and fact.confidence == 0.5
    assert fact.valid == (datetime(2026, 1, 1, tzinfo=UTC), None)
    assert fact.because == (source.id,)  # the line of its source stands below it: it keeps the name it had
    clock.passes(100)
    late = Replica("cid", time=clock).open(tenant="other")
    assert load(late, tmp_path / "a") == Loaded(entries=1, changes=1, expired=1)
    assert "facts" not in late.fields()


def test_what_a_line_cites_above_it_is_the_entry_that_one_became(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("a_sources").add("crm.csv")
    ann.register("brief").assign("churn is 3.1 %", because=[source])
    save(ann, tmp_path / "a")
    load(bob, tmp_path / "a")
    [mine] = bob.set("a_sources").entries()
    assert bob.register("brief").entries()[0].because == (mine.id,)
    bob.retract(mine, why="last year's")
    assert bob.register("brief").entries()[0].tainted


def test_what_is_tainted_says_so_and_what_is_retracted_is_not_told(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("sources").add("crm.csv")
    ann.register("brief").assign("churn is 3.1 %", because=[source])
    ann.retract(source, why="last year's")
    [brief] = lines(ann)
    assert brief["tainted"] and brief["field"] == "brief"
    save(ann, tmp_path / "a")
    load(bob, tmp_path / "a")
    assert bob.register("brief").entries()[0].tags == ("tainted",)


def test_retracted_entries_of_append_only_fields_are_not_told() -> None:
    rules = Rules(fields={"log": FieldRule("sequence", append_only=True), "tags": FieldRule("set", append_only=True)})
    memory = Replica("boss").own(tenant="acme", rules=rules)
    memory.retract(memory.sequence("log").append("wrong"), why="it was not so")
    memory.retract(memory.set("tags").add("wrong"), why="it was not so")
    memory.sequence("log").append("right")
    assert [line["value"] for line in lines(memory)] == ["right"]


def test_siblings_come_back_side_by_side_and_one_value_takes_the_place_of_another(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob")
    for memory, value in ((ann, 1), (bob, 2)):
        memory.register("r").assign(value)
        memory.records("d").put("k", value)
    exchange(ann, bob)
    save(ann, tmp_path / "a")
    fresh = alone("new")
    fresh.register("r").assign("older")
    fresh.records("d").put("k", "older")
    load(fresh, tmp_path / "a")
    assert [entry.value for entry in fresh.register("r").siblings] == [1, 2]
    assert [entry.value for entry in fresh.records("d").siblings("k")] == [1, 2]
    assert len(fresh.conflicts()) == 2


def test_twice_is_twice_where_things_add_up(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob")
    ann.counter("n").add(5)
    tell(ann, bob)
    bob.counter("n").add(2)
    bob.set("s").add("x")
    bob.sequence("q").append("y")
    save(bob, tmp_path / "a")
    fresh = alone("new")
    load(fresh, tmp_path / "a")
    assert fresh.counter("n").value == 7
    load(fresh, tmp_path / "a")
    assert fresh.counter("n").value == 14 and list(fresh.set("s")) == ["x"] and list(fresh.sequence("q")) == ["y", "y"]


def test_of_the_past_too(tmp_path: Path) -> None:
    memory = alone("ann")
    memory.register("r").assign("then")
    version = memory.version
    memory.register("r").assign("now")
    save(memory.at(version), tmp_path / "a")
    fresh = alone("new")
    load(fresh, tmp_path / "a")
    assert fresh.register("r").value == "then"


# -- what cannot be read -----------------------------------------------------------------------------

GOOD = '{"field": "s", "kind": "set", "value": 1}'
BAD = [
    ("not json", "Expecting value"),
    ("[1]", "a JSON object"),
    ("{}", "no field"),
    ('{"field": "s"}', "no kind"),
    ('{"field": "s", "kind": "set"}', "no value"),
    ('{"field": "s", "kind": "sett", "value": 1}', "kind: one of set, counter"),
    ('{"field": "s", "kind": ["set"], "value": 1}', "kind: one of set, counter"),
    ('{"field": "@rules", "kind": "set", "value": 1}', "field: the printable name"),
    ('{"field": 7, "kind": "set", "value": 1}', "field: the printable name"),
    ('{"field": "d", "kind": "records", "value": 1}', "key: a text"),
    ('{"field": "s", "kind": "set", "key": "k", "value": 1}', "key: a text"),
    ('{"field": "d", "kind": "records", "key": "\\ud800", "value": 1}', "lone surrogate"),
    ('{"field": "s", "kind": "set", "value": 1, "auhtor": "x"}', "unknown name 'auhtor'; a line has id, field"),
    ('{"field": "s", "kind": "set", "value": 1, "value": 2}', "a name stands there twice"),
    ('{"field": "s", "kind": "set", "value": NaN}', "NaN is no number"),
    ('{"field": "s", "kind": "set", "value": 1e999}', "not a finite number"),
    ('{"field": "s", "kind": "set", "value": 9223372036854775808}', "outside int64"),
    ('{"field": "s", "kind": "set", "value": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ('{"field": "s", "kind": "set", "value": {"bytes": "?"}}', "Only base64 data"),
    ('{"field": "s", "kind": "set", "value": "' + "x" * 300_000 + '"}', "more than the 262144"),
    ('{"field": "s", "kind": "set", "value": ' + "[" * 100_000, "nested too deep"),
    ('{"field": "s", "kind": "set", "value": ' + "[" * 40 + "]" * 40 + "}", "nested deeper than 32"),
    ('{"field": "n", "kind": "counter", "value": 1.5}', "value: a whole number"),
    ('{"field": "n", "kind": "counter", "value": true}', "value: a whole number"),
    ('{"field": "t", "kind": "text", "value": ""}', "value: a text"),
    ('{"field": "s", "kind": "set", "value": 1, "why": 2}', "why: a text, not 2"),
    ('{"field": "s", "kind": "set", "value": 1, "by": {}}', "by: a text"),
    ('{"field": "s", "kind": "set", "value": 1, "by": "\\ud800"}', "lone surrogate"),
    ('{"field": "s", "kind": "set", "value": 1, "at": "yesterday"}', "Invalid isoformat"),
    ('{"field": "s", "kind": "set", "value": 1, "tags": "x"}', "tags: a list of texts"),
    ('{"field": "s", "kind": "set", "value": 1, "tags": [""]}', "tags: each a str"),
    ('{"field": "s", "kind": "set", "value": 1, "because": ["nonsense"]}', "is not an entry id"),
    ('{"field": "s", "kind": "set", "value": 1, "confidence": 2}', "confidence: a number from 0 to 1"),
    ('{"field": "s", "kind": "set", "value": 1, "confidence": "high"}', "confidence: a number"),
    ('{"field": "s", "kind": "set", "value": 1, "ttl": -1}', "ttl: seconds above 0"),
    ('{"field": "s", "kind": "register", "value": 1}', "field: 's' is a set in a line above"),
    ('{"field": "held", "kind": "set", "value": 1}', "'held' holds a register"),
    ("x" * (MAX_LINE + 1), "more than 4194304 bytes"),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=[why[:20] for _, why in BAD])
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_written(tmp_path: Path, line: str, why: str) -> None:
    memory = alone()
    memory.register("held").assign(1)
    before = memory.version
    (tmp_path / "a").write_text("\n".join([GOOD, "", line, GOOD]))
    with pytest.raises(BadBytes) as found:
        load(memory, tmp_path / "a")
    said = str(found.value)
    assert f"{tmp_path / 'a'}, line 3: " in said and why in said and said.endswith("Nothing was written")
    assert len(said) < 800 and memory.version == before


def test_other_beginnings(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe\n")
    with pytest.raises(BadBytes, match="line 1: 'utf-8' codec"):
        load(alone(), tmp_path / "a")
    (tmp_path / "a").write_text('{"crdtmem": "lines", "format": 2}\n')
    with pytest.raises(BadBytes, match=r"line 1: lines of format 2; this program reads format 1\. Nothing was written"):
        load(alone(), tmp_path / "a")
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n")
    assert load(alone(), tmp_path / "a").entries == 1
    (tmp_path / "a").write_bytes(b"")
    assert load(alone(), tmp_path / "a") == Loaded(0, 0, 0)


@given(st.binary(max_size=60), st.sampled_from(["value", "why", "at", "tags", "because", "kind", "ttl", "valid_from"]))
def test_any_bytes_give_entries_or_one_error(folder: Path, data: bytes, name: str) -> None:
    told = json.dumps({"field": "s", "kind": "set", "value": 1, name: "MARK"}).encode()
    for line in (data, told.replace(b'"MARK"', data)):
        (folder / "bytes").write_bytes(line)
        memory = alone()
        try:
            load(memory, folder / "bytes")
        except BadBytes as error:
            assert "line 1" in str(error) or "line 2" in str(error) or data.count(b"\n") > 0
            assert not memory._document.state.count


def test_what_is_refused_half_way_says_how_far_it_came(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        "".join(json.dumps({"field": "s", "kind": "set", "value": n}) + "\n" for n in range(600))
    )
    store = Unwilling()
    memory = Replica("ann", store=store).open(SCOPE)
    store.full = True
    with pytest.raises(StoreError, match="nothing was written: the disk is full"):
        load(memory, tmp_path / "a")
    store.full = False
    with pytest.raises(StoreError, match=r"lines up to 512 were written, and then: the disk is full"):
        _load_with(memory, tmp_path / "a", store)
    assert len(memory.set("s")) == 512


def _load_with(memory: Memory, path: Path, store: Unwilling) -> None:
    """Take lines in on a store that is full after the first change."""
    kept = memory._document.log
    append = kept.append

    def once(records: Any) -> None:
        append(records)
        store.full = True

    kept.append = once  # type: ignore[method-assign]
    load(memory, path)


def test_what_the_rules_forbid_is_told(tmp_path: Path) -> None:
    boss, bot = Replica("boss"), Replica("bot")
    rules = Rules(agents={bot.identity.key: "bot"}, fields={"plan": FieldRule("set", writers=["boss"])})
    owned = boss.own(tenant="acme", rules=rules)
    memory = bot.open(owned.namespace)
    tell(owned, memory)
    (tmp_path / "a").write_text('{"field": "plan", "kind": "set", "value": 1}\n')
    with pytest.raises(RulesRefused, match=r"nothing was written: set 'plan': by the rules only boss may write it"):
        load(memory, tmp_path / "a")


def test_many_lines_are_few_changes(tmp_path: Path) -> None:
    memory = alone("ann")
    for n in range(1500):
        memory.records("d").put(str(n % 700), n)
    assert save(memory, tmp_path / "a") == 700
    assert load(alone("new"), tmp_path / "a") == Loaded(entries=700, changes=2, expired=0)


def test_a_pipe_is_refused() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(BadBytes, match="is a pipe"):
        load(alone(), f"/dev/fd/{reading}")
    os.close(reading)


def test_the_longest_reason_still_says_who(tmp_path: Path) -> None:
    memory = alone("ann")
    memory.set("s").add(1, why="x" * 8192, tags=[f"t{n}" for n in range(32)])
    save(memory, tmp_path / "a")
    fresh = alone("new")
    load(fresh, tmp_path / "a")
    why = fresh.set("s").entries()[0].why
    assert why is not None and len(why) == 8192 and "written by ann at" in why


def test_two_fields_of_one_name_are_both_told() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("x").add(1)
    bob.register("x").assign(2)
    exchange(ann, bob)
    assert [(line["kind"], line["value"]) for line in lines(ann)] == [("set", 1), ("register", 2)]


def test_entries_that_outlived_their_time_are_not_told() -> None:
    clock = Time()
    memory = Replica("ann", time=clock).open(SCOPE)
    memory.set("s").add("short", ttl=timedelta(seconds=5))
    memory.sequence("q").append("short", ttl=5)
    assert len(lines(memory)) == 2
    clock.passes(6)
    assert lines(memory) == []
