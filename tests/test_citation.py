"""Checking reports: what became of what they cite, and which figures, dates and names nobody wrote."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import Check, Memory, NotReached, Replica, Rules, View, check
from crdtmem.facts import Facts
from crdtmem.rules import FieldRule
from tests.crew import Time, alone, crew, exchange, tell


def phantoms(memory: Memory, text: str) -> list[str]:
    found = check(text, memory)
    assert all(text[one.start : one.end] == one.text for one in found.phantoms)
    assert [one.start for one in found.phantoms] == sorted(one.start for one in found.phantoms)
    return [one.text for one in found.phantoms]


# -- what nobody wrote -----------------------------------------------------------------------------

MEMORY = [
    "Churn rose to 4.7 % on 5 March 2026",
    "Acme Corp paid EUR 1,200 for 3 seats, says Bob Miller of Berlin",
    "the refund takes 12 days; GPT-4o was used at 14:03 with v2.3.1",
    "margin 0.031, revenue 2.5 million, −7 points",  # noqa: RUF001
    "見積もりは９００円",
]


@pytest.mark.parametrize(
    ("text", "unheard"),
    [
        ("Churn is 4.7 %.", []),
        ("Churn is 4.7%, or 4,7 percent.", []),
        ("Churn is 4.8 %.", ["4.8 %"]),
        ("Churn is 4.7 EUR.", ["4.7 EUR"]),
        ("The margin is 3.1 %.", []),
        ("The margin is 3.2 %.", ["3.2 %"]),
        ("They paid €1200, 1'200 EUR, 1.200 EUR and 1200.", []),
        ("They paid $1200.", ["$1200"]),
        ("They paid 1\u00a0200 EUR or 1\u202f300.", ["1\u202f300"]),
        ("They paid 1300 EUR and 1,300.", ["1300 EUR", "1,300"]),
        ("It takes 12 days, not 12 weeks.", ["12 weeks"]),
        ("Revenue was 2.5 million, 2,500,000 or 2500k, not 2.5 billion.", ["2.5 billion"]),
        ("It fell by 7 points, or -7.", []),
        ("It was on 2026-03-05, 05.03.2026, 3/5/2026, March 5, 5th of March 2026 and in March 2026.", []),
        ("It was on 2026-03-06.", ["2026-03-06"]),
        ("It was on March 6, and in April 2026.", ["March 6", "April 2026"]),
        ("It was on 6 March 2026 at 14:03, not 15:04.", ["6 March 2026", "15:04"]),
        ("Version 2.3.1, v2.3.1 and 2.4.0.", ["2.4.0"]),
        ("Bob Miller of Berlin said so, Jane Miller did not.", ["Jane"]),
        ("See Acme. Yesterday Bob came. Jane Doe came. Doe went.", ["Jane Doe", "Doe"]),
        ("The Outage in Lyon hit Acme's customers.", ["Outage", "Lyon"]),
        ("Globex Corp and Initech Holdings sued.", ["Globex", "Initech Holdings"]),
        ("Yesterday all was well. Tomorrow may come.", []),
        ("We asked GPT-4o, then GPT-5 and CRM.", ["GPT-5", "CRM"]),
        ("1. First point\n2) Second point\n- third\n# Heading here", []),
        ("The 3rd time, 1st of all.", []),
        ("On Monday in March we go.", []),
        ("## Executive Summary of Globex\nNEXT STEPS\nWe ask CRM.", ["CRM"]),
        ("９００ and ９０１", ["９０１"]),  # noqa: RUF001
        ("", []),
    ],
)  # fmt: skip
def test_what_no_entry_holds_is_named(text: str, unheard: list[str]) -> None:
    memory = alone()
    for said in MEMORY:
        memory.set("facts").add(said)
    assert phantoms(memory, text) == unheard


LONG = ["1", "1.", ",000", "1 ", "[f1]", "Ab ", " ", "may ", "-", "5 € ", "\n# ", "[", "'", "2026-", "1:", "EUR "]


@pytest.mark.parametrize("bit", LONG)
def test_long_texts_end_soon(bit: str) -> None:
    """Each takes some tenths of a second; anything superlinear would take minutes."""
    memory = alone()
    memory.set("facts").add("x")
    text = "1" + bit * (50_000 // len(bit)) + "1"
    check(text, memory)
    Facts.of([text])


@given(st.sampled_from(["weeks", "EUR", "km", "%"]))
def test_what_no_entry_holds_is_named_once(unit: str) -> None:
    memory = alone()
    memory.set("facts").add("It takes 12 days.")
    assert phantoms(memory, f"It takes 12 {unit}, not 12 days, says the 12th.") == [f"12 {unit}"]


def test_every_part_of_an_entry_counts_as_written() -> None:
    memory = alone()
    memory.records("Accounts").put("Initech", {"Region": {"name": "Lyon"}, "seats": 17}, confidence=0.35)
    memory.sequence("log").append(b"no words", why="said Jane Doe", tags=["Globex"])
    memory.counter("spent").add(1200)
    memory.text("draft").append("Umbrella sold 99 units.\nMore.")
    memory.register("ratio").assign(2.25)
    text = "Initech: Region Lyon, 17 seats, 0.35; Jane Doe of Globex; 1200 spent; Umbrella, 99, 2.25."
    assert phantoms(memory, "See " + text) == []
    memory.records("Accounts").delete("Initech")
    assert phantoms(memory, "See " + text) == ["See Initech", "Region Lyon", "17", "0.35"]


@given(
    st.lists(st.integers(0, 9999), min_size=1, max_size=20, unique=True),
    st.integers(10_000, 99_999),
    st.integers(0, 19),
    st.sampled_from(["{}", "{}%", "{} EUR", "{} days", "{}.75", "v {}"]),
)
def test_a_planted_phantom_is_named_and_what_is_there_is_not(
    numbers: list[int], phantom: int, place: int, form: str
) -> None:
    memory = alone()
    for nth, number in enumerate(numbers):
        if nth % 2:
            memory.set("a").add({"figure": number})
        else:
            memory.sequence("b").append(f"the figure is {number} as of now")
    words = [f"it was {number}" for number in numbers]
    assert phantoms(memory, "So: " + ", ".join(words)) == []
    words.insert(place % len(words), f"it was {form.format(phantom)}")
    [found] = phantoms(memory, "So: " + ", ".join(words))
    assert str(phantom) in found


@given(st.lists(st.text(max_size=40), max_size=4), st.text(max_size=200))
@settings(max_examples=300)
def test_any_text_is_checked_and_a_memory_of_it_knows_all_of_it(said: list[str], text: str) -> None:
    facts = Facts.of(said)
    for claim in facts.unknown(text):
        assert text[claim.start : claim.end] == claim.text
    assert Facts.of([text]).unknown(text) == []


# -- what is cited ---------------------------------------------------------------------------------


def statuses(found: Check) -> list[str]:
    return [one.status for one in found.citations]


def test_a_report_whose_evidence_was_retracted_afterwards_is_told_so() -> None:
    memory = alone()
    source = memory.set("sources").add("churn.csv")
    memory.register("brief").assign("churn is 3.1 %", because=[source])
    view = View(memory, tokens=500)
    ids = {entry.field: id for id, entry in view.entries.items()}
    report = f"Churn is 3.1 % [{ids['brief']}], from churn.csv [{ids['sources']}]."
    assert view.check(report).ok and str(view.check(report)).startswith("all that is cited holds")
    memory.retract(source, why="last year's file")
    found = view.check(report)
    assert statuses(found) == ["tainted", "retracted"] and not found.ok and found.phantoms == ()
    assert found.version == view.version
    assert [report[one.start : one.end] for one in found.citations] == [one.text for one in found.citations]
    assert f"[{ids['sources']}] at {found.citations[1].start}: retracted" in str(found)


def test_what_became_of_each_kind_of_entry_since() -> None:
    time = Time()
    memory = alone(time=time)
    entries = [
        memory.register("status").assign("one"),
        memory.set("facts").add("two"),
        memory.sequence("log").append("three"),
        memory.text("draft").append("four"),
        memory.set("facts").add("five", ttl=60),
        memory.counter("spent").add(6),
        memory.set("facts").add("seven"),
        memory.sequence("log").append("eight"),
    ]
    then = memory.at(memory.version)
    report = " ".join(f"[{entry.id}]" for entry in entries)
    assert statuses(check(report, then)) == ["live"] * 8
    memory.register("status").assign("other")
    memory.set("facts").discard("two")
    memory.sequence("log").remove(0)
    memory.text("draft").delete(0, 4)
    time.passes(61)
    memory.undo(entries[5], why="miscounted")
    assert statuses(check(report, then)) == [
        "superseded",
        "removed",
        "removed",
        "removed",
        "expired",
        "undone",
        "live",
        "live",
    ]
    assert statuses(check(report, memory)) == statuses(check(report, then))


def test_an_append_only_entry_that_was_retracted_is_retracted() -> None:
    memory = Replica("boss").own(tenant="acme", rules=Rules(fields={"log": FieldRule("sequence", append_only=True)}))
    entry = memory.sequence("log").append("churn fell")
    memory.retract(entry, why="a typo")
    assert statuses(check(f"[{entry.id}]", memory)) == ["retracted"]


def test_citations_that_name_nothing_here() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.set("facts").add("x")
    tell(ann, bob)
    then = bob.at(bob.version)
    later = ann.set("facts").add("y")
    unknown = entry.id._replace(n=77)
    elsewhere = Replica("cyd").open(tenant="other").set("facts").add("z")
    malformed = "A" * 30
    report = f"[{entry.id}, {later.id}] [{unknown}; {elsewhere.id}] [{malformed}] [f3] [not a citation] [{entry.id}"
    assert statuses(check(report, bob)) == ["live", "later", "unknown", "elsewhere", "malformed", "unknown"]
    exchange(ann, bob)
    assert statuses(check(report, then)) == ["live", "later", "unknown", "elsewhere", "malformed", "unknown"]
    assert statuses(check(report, bob))[1] == "live"
    view = View(bob, tokens=300)
    assert statuses(view.check("[f1] [f77] [s1]")) == ["live", "unknown", "unknown"]
    with pytest.raises(NotReached):
        check(report, bob.at(ann.acting_as("z").set("facts").add("w") and ann.version))


def test_the_ids_of_citations_are_no_figures() -> None:
    memory = alone()
    entry = memory.set("facts").add("churn")
    found = check(f"It is so [f1, f2] and so [{entry.id}].", memory)
    assert found.phantoms == ()


def test_summaries_are_cited_as_all_they_sum_up() -> None:
    memory = alone()
    for nth in range(200):
        memory.sequence("log").append(f"event number {nth}")
    view = View(memory, tokens=900, summarise=lambda some: "many things happened")
    assert set(statuses(view.check("As [s1] says."))) == {"live"}
    memory.retract(view.summaries["s1"][0], why="never happened")
    found = view.check("As [S1] says.")
    assert len(found.citations) == len(view.summaries["s1"]) and not found.ok
    assert statuses(found).count("retracted") == 1


@given(st.text(st.sampled_from("[]f1s2,; AQ_-\n"), max_size=80))
def test_any_brackets_are_read(text: str) -> None:
    memory = alone()
    memory.set("facts").add("x")
    found = View(memory, tokens=300).check(text)
    for one in found.citations:
        assert text[one.start : one.end] == one.text
        assert re.fullmatch("[a-z]+", one.status)


def test_what_is_no_text_is_refused() -> None:
    memory: Any = alone()
    with pytest.raises(TypeError, match="text: a str"):
        check(b"x", memory)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text: a str"):
        View(memory, tokens=300).check(None)  # type: ignore[arg-type]


def test_facts_are_kept_under_their_version_and_a_new_one_knows_more() -> None:
    memory = alone()
    memory.set("facts").add("4711")
    assert phantoms(memory, "It is 4712 and 4711.") == ["4712"]
    then = memory.at(memory.version)
    memory.set("facts").add("4712")
    assert phantoms(memory, "It is 4712 and 4711.") == []
    assert phantoms(then, "It is 4712 and 4711.") == ["4712"]
