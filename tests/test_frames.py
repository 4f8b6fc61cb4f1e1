"""Frames and degrees: what is read out of a text, and that any text can be read."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtmem.coherence.degrees import degrees
from crdtmem.coherence.frames import MOST, Frame, frames
from crdtmem.coherence.most import most
from crdtmem.coherence.offline import CERTAIN, judged, read
from crdtmem.coherence.statement import statement
from crdtmem.coherence.wholes import wholes

FRAMES = [
    (
        "Ann began her long career as a cook in 1990.",
        [("began", "career long", "1990"), ("began as", "career long", "cook")],
    ),
    ("In 1990, she ended her reign.", [("ended", "reign", "1990")]),
    ("He made his debut against Wales in 2004.", [("made", "debut wale", "2004")]),
    ("It was bought by the city of Leeds in 1990.", [("bought by", "leed", "1990")]),
    ("Ann has worked at Acme since 3 May 2004.", [("since", "acm work", "3 may 2004")]),
    ("The hall was closed in 1990.", [("closed", "hall", "1990")]),
    ("Viola, played by Ann Lee and Bob Reed, sings.", [("played by", "viola", "ann lee bob reed")]),
    ("She is a former judge and poet.", [("former", "judg", "judge")]),
    ("She is a judge who still sits in Rome.", [("still", "judg", "judge")]),
]
OTHERS = [
    (most, "Her first film was Stormy Weather.", [("first ", "film first", "stormy weather")]),
    (most, "Bonn is the second largest city.", [("rank", "citi largest", "second")]),
    (most, "It got mostly positive reviews.", [("mostly", "review", "positive")]),
    (wholes, "The town is divided into three quarters.", [("parts", "quarter", "three")]),
]
NONE = [
    "She did not begin her career in 1990.",
    "She never joined Acme in 1990.",
    "She began to sing in 1990.",
    "She wants to be sold to Acme in 1990.",
    "It was closed in 1990.",
    "Ann joined Acme.",
    "Ann joined Acme on 3 May.",
    "She is a judge.",
]


@pytest.mark.parametrize(("text", "found"), FRAMES)
def test_a_frame_is_a_place_and_its_value(text: str, found: list[tuple[str, str, str]]) -> None:
    told = [(how, " ".join(sorted(what)), value) for _, (how, what), value in frames(statement(text).tokens)]
    assert [(how, what, " ".join(t.word for t in value)) for how, what, value in told] == found


@pytest.mark.parametrize(("read_by", "text", "found"), OTHERS)
def test_so_are_the_first_the_ranks_and_the_parts(
    read_by: Callable[..., tuple[Frame, ...]], text: str, found: list[tuple[str, str, str]]
) -> None:
    told = [(how, " ".join(sorted(what)), value) for _, (how, what), value in read_by(statement(text).tokens)]
    assert [(how, what, " ".join(t.word for t in value)) for how, what, value in told] == found


@pytest.mark.parametrize("text", NONE)
def test_what_is_denied_or_not_said_of_anybody_is_no_frame(text: str) -> None:
    assert frames(statement(text).tokens) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("He has a master's degree.", ("master", False, "", "", "")),
        ("Her Ph.D. in the field of law is from Bonn.", ("doctor", True, "law", "bonn", "")),
        (
            "She studied at the University of Bonn and took her law degree in 1931.",
            ("law", True, "", "university bonn", "1931"),
        ),
        ("Ann was awarded a degree in law.", ("", False, "law", "", "")),
    ],
)
def test_a_degree_is_its_level_field_school_and_year(text: str, told: tuple[str, bool, str, str, str]) -> None:
    [(level, hers, *rest)] = degrees(statement(text).tokens)
    assert (level, hers, *(" ".join(token.word for token in part) for part in rest)) == told


def test_degrees_in_the_plural_and_degrees_of_heat_are_none() -> None:
    assert degrees(statement("Her degrees are from Bonn. It is one degree too warm.").tokens) == ()


CUES = (
    "began made debut career her his their as a an and in on since until by played sold to joined left was is are were "
    "published opened closed first tallest film former retired judge who currently still degree phd Ph.D. master's law "
    "Ann Lee, Rome University of (Viola) 1990 2004. May 3, not again the for with from at attended , . public one "
    "divided into consists three regions covers hectares largest second mostly mixed positive reviews as Leeds Kent and"
)
SAID = st.lists(st.sampled_from(CUES.split()), max_size=24).map(" ".join)


@given(SAID, SAID)
@example("in", "in sold Rome")
@example("her degree", "a phd in")
def test_any_text_is_read_and_compared_the_same_from_both_sides(one: str, other: str) -> None:
    mine, theirs = read(one), read(other)
    assert len(mine.frames) <= MOST
    found, back = judged(mine, theirs), judged(theirs, mine)
    assert (found.tier, found.kind, found.mine) == (back.tier, back.kind, back.theirs)
    assert judged(mine, mine).tier != CERTAIN


@given(
    st.sampled_from(["began her career", "joined Acme", "has worked at Acme"]),
    st.integers(1900, 2020),
    st.integers(1900, 2020),
)
def test_two_years_of_one_frame_conflict_exactly_when_they_differ(what: str, one: int, other: int) -> None:
    link = "since" if what.startswith("has") else "in"
    found = judged(read(f"Ann {what} {link} {one}."), read(f"Ann Lee {what} {link} {other}, it is said."))
    assert (found.tier == CERTAIN) == (one != other)
