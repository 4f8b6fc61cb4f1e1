"""The coherence benchmark: what it counts, against counts made by hand; data that is there or is not; tapes."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.cassette import Cassette
from benchmarks.coherence import judge_of, rows
from benchmarks.effort import QUICK
from benchmarks.labelled import balanced, blocking_recall, counted, memories, offline, sets, texts
from benchmarks.made_facts import coherent_prose, memory_of_facts
from benchmarks.targets import TARGETS, Target
from crdtmem import review
from crdtmem.coherence.judge import ask, question
from crdtmem.coherence.offline import Verdict

TINY = QUICK._replace(rounds=1, operations=60, grown=400)
BORN = {"a": "Ann was born in Paris.", "b": "Ann was born in Rome.", "contradiction": True}
SAME = {"a": "Ann was born in Paris.", "b": "Ann was born in Paris, in the winter.", "contradiction": False}
WHOSE = {"entity": "Ann", "model": "m", "tag": "strong"}


def written(folder: Path) -> str:
    (folder / "summedits_pairs.jsonl").write_text("\n".join(json.dumps(row) for row in (BORN, SAME)) + "\n")
    (folder / "chatprotect_pairs.jsonl").write_text("\n".join(json.dumps({**row, **WHOSE}) for row in (BORN, SAME)))
    return str(folder)


def test_counts_are_those_made_by_hand() -> None:
    told = {"x": Verdict("contradiction", "certain", "numeric"), "y": Verdict("contradiction", "suspect", "value")}
    rows_ = [("x", True), ("x", True), ("x", False), ("y", True), ("y", False), ("z", True), ("z", False), ("z", False)]
    counts = counted(
        [{"a": a, "b": "", "contradiction": so} for a, so in rows_], lambda a, b: told.get(a, Verdict("x"))
    )
    assert (counts.hits, counts.alarms, counts.missed, counts.passed) == (3, 2, 1, 2)
    assert counts.precision == pytest.approx(3 / 5)
    assert counts.recall == pytest.approx(3 / 4)
    assert counts.f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert counts.balanced == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert counts.certain == pytest.approx(2 / 3)
    assert counts.kinds == {"numeric": (2, 1), "value": (1, 1)}


def test_a_twin_lacks_what_contradicts_and_both_are_told_apart() -> None:
    [group] = memories([{**BORN, **WHOSE}, {**SAME, **WHOSE}])
    assert texts(group, coherent=True) == [SAME["a"], SAME["b"]]
    assert set(texts(group, coherent=False)) == {BORN["a"], BORN["b"], SAME["b"]}
    assert balanced([group], ["found"], [""]) == 1
    assert balanced([group], ["found"], ["alarm"]) == 0.5
    assert blocking_recall([group], 10) == 1
    assert offline(BORN["a"], BORN["b"]).relation == "contradiction"  # type: ignore[arg-type]


def test_what_contradicts_goes_from_a_twin_wherever_it_stands() -> None:
    again = {"a": BORN["b"], "b": "Ann lives in Rome.", "contradiction": False}
    [group] = memories([{**row, **WHOSE} for row in (again, BORN, {**SAME, "b": BORN["b"]})])
    assert texts(group, coherent=True) == ["Ann lives in Rome.", BORN["a"]]


def test_of_memories_only_what_is_labelled_counts(tmp_path: Path) -> None:
    unlabelled = {"a": "Ann was born in Oslo.", "b": "Ann was born in Bonn.", "contradiction": False}
    there = {"a": "Ann was born in Oslo.", "b": "Ann was born in Turin.", "contradiction": True}
    lines = [json.dumps({**row, **WHOSE}) for row in (SAME, {**unlabelled, "b": "Ann lives in Bonn."}, there)]
    (tmp_path / "chatprotect_pairs.jsonl").write_text("\n".join(lines))
    found = {row.name: row for row in rows(TINY._replace(data=str(tmp_path)))}
    share = {name: row.figure.median for name, row in found.items() if row.figure is not None}
    assert share["ChatProtect memories, balanced accuracy"] == 1
    assert share["ChatProtect memories, balanced accuracy, all pairs"] == 0.5  # Paris and Oslo: nobody labelled them
    assert share["ChatProtect, false alarms of certain"] == 0
    assert "2 certain findings" in found["ChatProtect memories, balanced accuracy, all pairs"].note
    (tmp_path / "chatprotect_pairs.jsonl").write_text("\n".join([*lines, json.dumps({**unlabelled, **WHOSE})]))
    found = {row.name: row for row in rows(TINY._replace(data=str(tmp_path)))}
    alarms = found["ChatProtect, false alarms of certain"]
    assert alarms.figure is not None and alarms.figure.median == 200  # one in the five statements of the twin


def test_what_is_planted_in_a_made_memory_is_found_and_a_coherent_one_is_left_alone() -> None:
    made = memory_of_facts(300, seed=1)
    found = {frozenset(one.entries) for one in review(made.memory).findings if one.relation == "contradiction"}
    assert made.planted
    assert found == made.planted
    assert review(coherent_prose(300, seed=2)).coherent is True
    assert memory_of_facts(300, seed=1).statements == made.statements


def test_it_says_clearly_what_it_skips_without_data_and_reads_it_where_it_is(tmp_path: Path) -> None:
    without = {row.name: row for row in rows(TINY)}
    assert "skipped" in without["labelled pairs"].note
    assert not any(name.startswith(("SummEdits", "ChatProtect")) for name in without)
    found = {row.name: row for row in rows(TINY._replace(data=written(tmp_path)))}
    asked = found["SummEdits pairs, precision"]
    assert asked.figure is not None and asked.figure.median == 1
    missing = [name for name in TARGETS if name.startswith(("SummEdits", "ChatProtect", "generated"))]
    assert missing and all(name in found for name in missing)


def test_other_sets_are_scored_by_their_names_and_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine_pairs.jsonl").write_text(json.dumps(BORN) + "\n\n")
    found = {row.name for row in rows(TINY._replace(data=str(tmp_path)))}
    assert "mine pairs, F1" in found
    assert "mine, blocking recall at 10" not in found
    for line in ("{", "[]", '{"a": 1, "b": "x", "contradiction": true}', '{"a": "x", "b": "y"}'):
        (tmp_path / "mine_pairs.jsonl").write_text(json.dumps(BORN) + "\n" + line)
        with pytest.raises(SystemExit, match="line 2"):
            sets(str(tmp_path))


def test_a_tape_plays_back_what_was_said_and_has_nothing_to_say_to_what_is_new(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    calls: list[Any] = []

    def judge(asked: Any) -> dict[str, Any]:
        calls.append(asked)
        quotes = {"entry_quote": "Paris", "candidate_quote": "Rome"}
        return {"verdicts": [{"candidate": 1, "reason": "", "relation": "contradiction", **quotes}], "tokens": 5}

    q = question({"text": BORN["a"]}, [{"text": BORN["b"]}])
    first = ask(Cassette(tape, judge), q)
    again = ask(Cassette(tape, judge), q)
    assert first == again
    assert (len(calls), first.opinions[0].relation, first.tokens) == (1, "contradiction", 5)
    assert "LookupError" in ask(Cassette(tmp_path / "other.jsonl"), q).failure
    effort = TINY._replace(data=written(tmp_path), cassette=str(tape))
    assert judge_of("", str(tape)) is not None
    named = {row.name for row in rows(effort)}
    assert "SummEdits pairs, by a model, precision" in named


def test_a_judge_is_named_on_the_command_line() -> None:
    assert judge_of("", "") is None
    assert judge_of("openai:m@http://127.0.0.1:1/v1", "").name == "openai m"  # type: ignore[union-attr]
    with pytest.raises(SystemExit, match="--judge"):
        judge_of("someone", "")


def test_the_command_takes_the_folder_and_a_target_may_be_at_least(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)
    assert command.main(["coherence", "--quick", "--data", written(tmp_path), "--no-check"]) == 0
    assert "at least 0.99" in capsys.readouterr().out
    assert Target(0.9, "share", least=True).met(0.95)
    assert not Target(0.9, "share", least=True).met(0.85)
    assert Target(10, "s").met(9)
