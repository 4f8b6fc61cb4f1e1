"""Statements: what is read out of a text, the same always, and nothing that a text can do to its reader."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtmem.coherence.lexicon import alike, exclusive, opposite, plural, rivals, stem
from crdtmem.coherence.slots import kinds, slots
from crdtmem.coherence.statement import MOST, WIDTH, pieces, sentences, statement

UNITS = st.sampled_from(["km", "m", "kg", "minutes", "hours", "%", "GB", "euros"])


def told(text: str) -> list[tuple[str, str]]:
    return [(token.stem, token.kind) for token in statement(text).tokens if token.kind != "link"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("on 20 July 1985", "1985-07-20"),
        ("on July 20, 1985", "1985-07-20"),
        ("on 1985-07-20", "1985-07-20"),
        ("in July 1985", "1985-07"),
        ("in 1985", "1985"),
        ("in the 1980s", "1980-1989"),
        ("from 2005 to 2007", "2005-2007"),
        ("in 2005-2007", "2005-2007"),
        ("in the 19th century", "1801-1900"),
        ("on 3 May", "0000-05-03"),
    ],
)
def test_a_date_is_an_interval_of_days_however_it_is_written(text: str, found: str) -> None:
    assert (found, "date") in told(f"It began {text}.")


def test_early_and_late_parts_of_a_decade_do_not_meet() -> None:
    early, late = (
        next(t.days for t in statement(f"It began in the {part} 1990s.").tokens if t.kind == "date")
        for part in ("early", "late")
    )
    assert early is not None and late is not None
    assert early[1] < late[0]


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("25,000", 25_000, 25_000, ""),
        ("$1.5 million", 1_500_000, 1_500_000, "usd"),
        ("3.1%", 3.1, 3.1, "share"),
        ("3.1 percent", 3.1, 3.1, "share"),
        ("2 km", 2000, 2000, "length"),
        ("2,000 meters", 2000, 2000, "length"),
        ("twenty three", 23, 23, ""),
        ("two dozen", 24, 24, ""),
        ("about 100", 90, 110, ""),
        ("10 to 15", 10, 15, ""),
        ("10-15", 10, 15, ""),
        ("10\u201315 km", 10_000, 15_000, "length"),
        ("more than 200", 200, float("inf"), ""),
        ("up to 20", float("-inf"), 20, ""),
    ],
)
def test_a_number_is_read_with_its_unit_and_how_exact_it_is(text: str, low: float, high: float, unit: str) -> None:
    [quantity] = [t.quantity for t in statement(f"It came to {text}.").tokens if t.quantity is not None]
    assert (quantity.low, quantity.unit) == (pytest.approx(low), unit)
    assert quantity.high == pytest.approx(high)


@pytest.mark.parametrize("text", ["It isn't open.", "It is not open.", "It is never open.", "It isn\u2019t open."])
def test_a_negation_is_one_however_it_is_written(text: str) -> None:
    assert statement(text).negations == 1


def test_what_identifies_is_kept_whole_and_is_a_name() -> None:
    assert ("gate-3", "name") in told("The port of gate-3's server is 80.")
    assert statement("The port of gate-3 is 80.").names == {"gate-3"}


def test_an_assignment_is_a_question_and_an_answer() -> None:
    for text in ("acme.ceo = R. Chen", "acme ceo: R. Chen", "The CEO of Acme is R. Chen.", "Acme's CEO is R. Chen"):
        pair = statement(text).pair
        assert pair is not None
        asked, answered = pair
        assert asked == {stem("acme"), stem("ceo")}, text
        assert [token.word for token in answered] == ["r", "chen"], text


def test_a_long_text_is_cut_at_sentences_and_what_is_left_out_is_counted() -> None:
    sentence = "Nothing of note was found in this part of the log. "
    some, left = pieces(sentence * 2000)
    assert len(some) == MOST
    assert all(len(piece) <= WIDTH and piece.rstrip().endswith(".") for piece in some)
    assert left >= len(sentence) * 2000 - MOST * WIDTH
    whole, none = pieces("x" * (3 * WIDTH))
    assert ["".join(whole), none] == ["x" * (3 * WIDTH), 0]


def test_slots_say_where_a_value_stands() -> None:
    [slot] = slots(statement("It has a capacity of 25,000 spectators."))
    assert (slot.heads, slot.link, slot.noun) == ({stem("capacity")}, "=", stem("spectators"))
    [first] = slots(statement("In 1907, the house was sold."))
    assert first.heads == {stem("house"), stem("sold")}
    assert kinds(statement("Ann is a Turkish composer.")).nouns == {stem("composer")}


@pytest.mark.parametrize(
    "text",
    ["capacity of about 300", "capacity is roughly 300", "capacity: 300", "capacity of at least 300", "capacity, 300"],
)
def test_how_exact_a_number_is_does_not_move_it(text: str) -> None:
    [slot] = slots(statement(f"It has a {text} and is new."))
    assert (slot.heads, slot.link) == ({stem("capacity")}, "=")


def test_slots_say_of_what_when_and_for_whom() -> None:
    [slot] = slots(statement("The club was based in Rome."))
    assert (slot.thing, slot.tense, slot.some) == (stem("club"), "then", False)
    [slot] = slots(statement("It is home to clubs, also based in Rome."))
    assert (slot.thing, slot.tense, slot.some) == ("", "", True)
    [slot] = slots(statement("The fee is 20 EUR for adults, and is paid."))
    assert (slot.tense, slot.scope) == ("now", {"for", stem("adults")})


def test_a_title_or_an_initial_ends_no_sentence() -> None:
    [slot] = slots(statement("It was built by Dr. J. Bailey."))
    assert [token.word for token in slot.value] == ["dr", "j", "bailey"]
    assert statement("Plan A holds.").names == {"a"}


def test_scripts_without_spaces_and_right_to_left_are_tokens_too() -> None:
    assert len(statement("会议在周一").tokens) == 5
    assert statement("الاجتماع يوم الاثنين").content


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            ["may", "May", "5", "1985", "of", "to", "$", "%", "n't", "10", "not", "A.", "=", ":", "the", "is", "-", "k"]
        ),
        max_size=30,
    ).map(" ".join),
    st.text(alphabet="0123456789.,-$%kKmM: /", max_size=80),
)


@given(TEXTS)
@example("9" * 400)
@example("1e999999 = 5")
@example("may may may 5 may 1985 of may")
@example("2024-99-99 and 0000s")
@example("=" * 500)
def test_any_text_gives_a_statement_and_always_the_same(text: str) -> None:
    said = statement(text)
    assert said == statement(text)
    assert slots(said) == slots(said)
    assert len(said.tokens) <= 2 * len(text) + 1
    pieces(text)
    sentences(text)


@given(st.floats(min_value=0.5, max_value=1e9), UNITS)
def test_a_number_survives_its_unit(value: float, unit: str) -> None:
    [one] = [t.quantity for t in statement(f"It took {value:.2f} {unit}.").tokens if t.quantity is not None]
    [other] = [t.quantity for t in statement(f"It took {value:.2f} {unit}!").tokens if t.quantity is not None]
    assert one == other
    assert one is not None
    assert one.unit


WORDS: Any = st.sampled_from(
    [
        "increase",
        "fall",
        "open",
        "closed",
        "monday",
        "friday",
        "happy",
        "unhappy",
        "car",
        "truck",
        "show",
        "reveal",
        "possible",
        "impossible",
        "red",
        "blue",
    ]
)


@given(WORDS, WORDS)
def test_what_words_are_to_each_other_holds_both_ways_and_never_for_one_word(one: str, other: str) -> None:
    a, b = stem(one), stem(other)
    for relation in (opposite, exclusive, alike):
        assert relation(a, b) == relation(b, a)
    assert not opposite(a, a)
    assert not exclusive(a, a)
    assert alike(a, a)
    assert not (exclusive(a, b) and alike(a, b))


def test_a_kind_excludes_its_members_and_lists_take_many() -> None:
    assert stem("friday") in rivals(stem("monday"))
    assert plural(stem("tags"))
    assert not plural(stem("ceo"))
