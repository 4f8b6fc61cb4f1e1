"""The review: what it finds in a memory, that it never writes, and that it says the same whatever the order."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rich
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import FieldRule, Memory, Replica, Rules, ValueRefused, review
from crdtmem.coherence import Report, findings
from tests.crew import SCOPE, alone, crew, exchange, tell
from tests.layout import ROOT


def told(report: Report) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((one.kind, one.tier, one.authors) for one in report.findings)


def same(one: Report, other: Report) -> bool:
    """Whether two reports say the same, whatever they took."""
    return {**one.data(), "cost": 0} == {**other.data(), "cost": 0}


# -- what it finds ---------------------------------------------------------------------------------


def test_concurrent_values_are_certain_and_all_rivals_are_named() -> None:
    ann, bob, eve = crew("ann", "bob", "eve")
    for memory, value in ((ann, "draft"), (bob, "final"), (eve, "gone")):
        memory.register("status").assign(value)
        memory.records("facts").put("acme.ceo", f"{value} person")
    exchange(ann, bob, eve)
    report = review(ann)
    assert told(report) == [("siblings", "certain", ("ann", "bob", "eve"))] * 2
    assert report.coherent is False


def test_what_a_later_write_settles_is_coherent_again() -> None:
    ann, bob = crew("ann", "bob")
    ann.register("status").assign("draft")
    bob.register("status").assign("final")
    exchange(ann, bob)
    assert review(ann).coherent is False
    ann.register("status").assign("final")
    assert review(ann).coherent is True
    assert review(bob).coherent is False
    tell(ann, bob)
    assert review(bob).coherent is True


def test_concurrent_patches_of_other_sub_keys_agree_and_of_the_same_do_not() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("orders").put("42", {"state": "open", "sum": 12})
    tell(ann, bob)
    ann.records("orders").merge("42", {"state": "refunded"})
    bob.records("orders").merge("42", {"sum": 14})
    exchange(ann, bob)
    assert review(ann).coherent is True
    bob.records("orders").merge("42", {"state": "paid"})
    ann.records("orders").merge("42", {"state": "lost"})
    exchange(ann, bob)
    assert [one.kind for one in review(ann).findings] == ["siblings"]


def test_a_field_that_is_declared_to_hold_one_value_holds_one() -> None:
    boss = Replica("boss")
    rules = Rules(fields={"ceo": FieldRule("set", cardinality="one"), "sizes": FieldRule("set", tolerance=2)})
    memory = boss.own(tenant="acme", rules=rules)
    memory.set("ceo").add("R. Chen")
    memory.set("sizes").add(10)
    memory.set("sizes").add(30)
    assert review(memory).coherent is True
    memory.set("ceo").add("J. Smith")
    assert told(review(memory)) == [("single", "certain", ("boss", "boss"))]


def test_the_charter_says_what_is_single_what_is_many_and_what_is_near_enough() -> None:
    ann = alone()
    facts = ann.set("facts")
    facts.add("gate-3 colour: teal")
    facts.add("The colour of gate-3 is ochre.")
    facts.add("gate-3.load = 40")
    facts.add("gate-3's load is 41")
    assert {one.kind for one in review(ann).findings} == {"value", "numeric"}
    many = {"colour": {"single": False}, "load": {"tolerance": 2}}
    assert review(ann, charter=many).findings == ()
    ann.records("charter").put("load", {"tolerance": 2})
    ann.records("charter").put("gate-3.colour", {"single": True})
    [one] = review(ann).findings
    assert (one.kind, one.tier) == ("single", "certain")
    assert review(ann, charter={"gate-3.colour": {"single": False}}).findings == ()


def test_a_charter_that_somebody_else_understands_is_left_alone_and_a_wrong_argument_is_refused() -> None:
    ann = alone()
    ann.records("charter").put("load", {"single": "yes"})
    ann.records("charter").put("other", ["not", "a", "charter"])
    assert review(ann).coherent is True
    with pytest.raises(ValueRefused, match="charter"):
        review(ann, charter={"load": {"single": "yes"}})


def test_structured_values_are_walked_by_path_and_lists_of_things_told_apart() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("facts").put("acme", {"ceo": "R. Chen", "staff": {"engineers": 40}})
    bob.set("notes").add("The CEO of Acme is J. Smith.")
    ann.sequence("hosts").append({"name": "atlas", "port": 80})
    ann.sequence("hosts").append({"name": "borea", "port": 81})
    bob.sequence("hosts").append({"name": "atlas", "port": 82})
    bob.sequence("log").append({"source": "crm", "port": 1})
    ann.sequence("log").append({"source": "erp", "port": 2})
    exchange(ann, bob)
    assert told(review(ann)) == [("numeric", "certain", ("ann", "bob")), ("value", "certain", ("ann", "bob"))]


def test_sentences_of_a_text_are_compared_and_belong_to_who_wrote_them() -> None:
    ann, bob = crew("ann", "bob")
    ann.text("brief").append("The house was built in 1820. It is red. ")
    tell(ann, bob)
    bob.text("brief").append("The house was built in 1907.")
    exchange(ann, bob)
    assert told(review(ann)) == [("temporal", "certain", ("ann", "bob"))]
    bob.text("brief").replace("1907", "1820")
    assert review(bob).findings == ()


def test_what_holds_at_different_times_does_not_conflict() -> None:
    ann = alone()
    turn = datetime(2026, 7, 1, tzinfo=UTC)
    ann.set("facts").add("acme.ceo = R. Chen", valid=(None, turn))
    late = ann.set("facts").add("acme.ceo = J. Smith", valid=(turn, None))
    assert review(ann).findings == ()
    ann.retract(late, why="it was earlier")
    ann.set("facts").add("acme.ceo = J. Smith", valid=(datetime(2026, 6, 1, tzinfo=UTC), None))
    assert len(review(ann).findings) == 1


def test_an_update_is_told_from_a_contradiction() -> None:
    ann = alone()
    old = ann.set("facts").add("The port of gate-3 is 8080.")
    new = ann.set("facts").add("The port of gate-3 is 9090.", because=[old])
    report = review(ann)
    assert [(one.relation, one.tier, one.entries) for one in report.findings] == [
        ("superseded", "suspect", (old.id, new.id))
    ]
    assert report.coherent is True


# -- what it says ----------------------------------------------------------------------------------


def test_the_report_says_no_more_than_was_looked_at() -> None:
    ann = alone()
    ann.set("notes").add("The house is red.")
    assert str(review(ann)).startswith("no contradiction found by offline")
    ann.set("notes").add("Nothing of note was found. " * 3000)
    report = review(ann)
    assert (report.coherent, report.complete, report.coverage.cut > 0) == (None, False, True)
    assert str(report).startswith("unknown")


def test_the_report_names_the_version_it_holds_for_and_reads_the_past_too() -> None:
    ann = alone()
    ann.set("facts").add("The port of gate-3 is 8080.")
    before = ann.version
    ann.set("facts").add("The port of gate-3 is 9090.")
    report = review(ann)
    assert report.version == str(ann.version)
    assert review(ann.at(before)).coherent is True
    assert review(ann.at(report.version)).coherent is False


def test_a_review_never_writes() -> None:
    ann = alone()
    ann.set("facts").add("The port of gate-3 is 8080.")
    ann.set("facts").add("The port of gate-3 is 9090.")
    before = (ann.version, ann.digest(), ann.fields())
    review(ann)
    assert (ann.version, ann.digest(), ann.fields()) == before


def test_reports_are_data_for_programs_and_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    ann = alone()
    ann.set("facts").add("The port of gate-3 is 8080. [red]not markup[/red]")
    ann.set("facts").add("The port of gate-3 is 9090.")
    report = review(ann)
    data = json.loads(json.dumps(report.data()))
    assert (data["coherent"], len(data["findings"])) == (True, 1)
    assert "<pre>" in report._repr_html_()
    rich.print(report)
    shown = capsys.readouterr().out
    assert "numeric" in shown
    assert "[red]" in shown


def test_wrong_arguments_are_refused() -> None:
    ann = alone()
    for cap in (0, 101, "5", True):
        with pytest.raises(ValueRefused, match="cap"):
            review(ann, cap=cap)  # type: ignore[arg-type]
    with pytest.raises(ValueRefused, match="fields"):
        review(ann, fields="notes")


def test_only_some_fields_if_asked() -> None:
    ann = alone()
    ann.set("a").add("The port of gate-3 is 8080.")
    ann.set("b").add("The port of gate-3 is 9090.")
    assert review(ann, fields=["a"]).coherent is True
    assert review(ann).coherent is False


# -- laws ------------------------------------------------------------------------------------------

FACTS = [f"gate-{n}.port = {p}" for n in range(4) for p in (80, 81)] + [
    "The house was built in 1820.",
    "The house was built in 1907.",
    "The house is red.",
    "Ann was born in Paris.",
    "Ann was born in Rome.",
    "Revenue was 5 million in March 2024.",
    "Deploys are allowed on Friday.",
    "Deploys are forbidden on Friday.",
]


def test_a_thousand_orders_of_arrival_give_one_report() -> None:
    writers = crew("ann", "bob", "eve")
    for n, fact in enumerate(FACTS):
        writers[n % 3].set("facts").add(fact)
    for writer in writers:
        writer.register("status").assign(writer.agent)
    changes = [change for writer in writers for change in writer.changes()]
    random = Random(1)
    first: Report | None = None
    for number in range(1000):
        random.shuffle(changes)
        reader = Replica("reader").open(SCOPE)
        cut = random.randrange(len(changes))
        reader.receive(changes[:cut])
        if number % 10 == 0:
            review(reader)  # and it does not matter what was looked at on the way
        reader.receive(changes[cut:])
        report = review(reader)
        first = first or report
        assert same(report, first)
    assert first is not None and len(first.findings) == 8


STEPS: Any = st.lists(st.tuples(st.sampled_from(["add", "discard", "review"]), st.sampled_from(FACTS)), max_size=30)


@settings(max_examples=40)
@given(STEPS)
def test_a_review_that_goes_on_says_what_one_from_nothing_says(steps: list[tuple[str, str]]) -> None:
    ann = alone()
    for what, fact in steps:
        if what == "review":
            review(ann, cap=2)
        elif what == "add":
            ann.set("facts").add(fact)
        else:
            ann.set("facts").discard(fact)
    copy = Replica("copy").open(SCOPE)
    tell(ann, copy)
    assert same(review(ann, cap=2), review(copy, cap=2))


def test_an_unchanged_memory_costs_no_judgement_and_a_change_only_its_own() -> None:
    ann = alone()
    for fact in FACTS:
        ann.set("facts").add(fact)
    first = review(ann)
    assert first.cost.judgements == first.coverage.pairs
    assert review(ann).cost.judgements == 0
    ann.set("facts").add("gate-9.port = 80")
    again = review(ann)
    assert 0 < again.cost.judgements < first.cost.judgements


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.lists(ANYTHING, max_size=6))
def test_whatever_is_stored_can_be_reviewed(values: list[Any]) -> None:
    ann = alone()
    for n, value in enumerate(values):
        ann.set("s").add(value)
        ann.sequence("q").append(value)
        ann.register(f"r{n}").assign(value)
        ann.records("k").put(str(value)[:20] if "\x00" not in str(value) else "k", value)
    report = review(ann)
    assert report.coherent in (True, False)
    json.dumps(report.data())
    report.file()
    assert all(one.id in {f.id for f in report.findings} for one in findings(ann))


def test_a_memory_that_changes_while_it_is_reviewed_is_reviewed_as_of_one_version() -> None:
    ann = alone()
    for n in range(50):
        ann.set("facts").add(f"gate-{n}.port = {n + 1000}")

    def judge(asked: Any) -> dict[str, Any]:
        ann.set("facts").add(f"written meanwhile, {len(ann.set('facts'))}")
        return {"verdicts": []}

    before = str(ann.version)
    report = review(ann, judge)
    assert report.version == before
    assert report.coverage.entries == 50


def test_embedded_neighbours_are_asked_about() -> None:
    ann = alone()
    ann.set("notes").add("The cat sleeps.")
    ann.set("notes").add("A feline is dozing.")
    assert review(ann).coverage.pairs == 0
    assert review(ann, embed=lambda texts: [[1.0, 0.5] for _ in texts]).coverage.pairs == 1
    with pytest.raises(ValueRefused, match="embed"):
        review(alone_with("x y z"), embed=lambda texts: [])


def alone_with(text: str) -> Memory:
    memory = alone()
    memory.set("notes").add(text)
    return memory


def test_an_embedder_that_fails_once_leaves_nothing_half_known() -> None:
    memory = alone_with("The port of gate-3 is 8080.")
    memory.set("notes").add("The port of gate-3 is 9090.")
    away = [True]

    def embed(texts: list[str]) -> list[list[float]]:
        if away.pop() if away else False:
            raise OSError("the embedder is away")
        return [[1.0] for _ in texts]

    with pytest.raises(OSError, match="away"):
        review(memory, embed=embed)
    assert review(memory, embed=embed).coherent is False


def test_values_that_say_nothing_come_and_go() -> None:
    memory = alone()
    for value in (1, 2.5, b"x", None):
        memory.set("numbers").add(value)
    assert review(memory).coverage.statements == 0
    memory.set("numbers").discard(1)
    assert review(memory).coverage.entries == 3
    memory.set("numbers").discard(2.5)
    memory.set("numbers").add("The house is red.")
    assert review(memory).coverage.statements == 1


def test_replicas_with_other_hash_seeds_say_the_same(tmp_path: Path) -> None:
    ann = alone()
    for n, fact in enumerate([*FACTS, "Ann is a Turkish composer.", "Ann is a British physician and a pilot."]):
        ann.set("facts").add(fact)
        ann.set("more").add(f"{fact} It is large, red and open on Monday, n{n % 3}.")
    (tmp_path / "changes").write_text("\n".join(change.hex() for change in ann.changes()))
    script = (
        "import json, sys; from crdtmem import Replica, review; from tests.crew import SCOPE\n"
        "m = Replica('reader').open(SCOPE)\n"
        "m.receive([bytes.fromhex(line) for line in open(sys.argv[1]).read().split()])\n"
        "print(json.dumps(review(m).data()))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "changes")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert len(set(told)) == 1
    assert len(json.loads(told[0])["findings"]) > 8
