"""Texts: offsets are code points whatever the characters; edits merge; match-then-replace is exact."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import AmbiguousMatch, Memory, NoMatch, ValueRefused
from tests.crew import alone, crew, exchange, tell
from tests.drawn import HARD, texts

pieces = texts.filter(bool)
places = st.integers(-6, 6)
moves = st.one_of(
    st.tuples(st.just("append"), pieces),
    st.tuples(st.just("insert"), st.tuples(places, pieces)),
    st.tuples(st.just("delete"), st.tuples(places, places | st.none())),
    st.tuples(st.just("replace"), st.tuples(st.sampled_from(HARD), texts)),
)


def play(memory: Memory, what: str, how: Any) -> None:
    """Do it to a text and to a str; both end the same."""
    text, model = memory.text("t"), str(memory.text("t"))
    size = len(model)
    if what == "append":
        assert text.append(how).value == how
        model += how
    elif what == "insert":
        at, piece = how
        if not -size <= at <= size:
            with pytest.raises(IndexError, match=f"text 't' has {size} characters; there is no place {at}"):
                text.insert(at, piece)
        else:
            assert text.insert(at, piece).value == piece
            model = model[:at] + piece + model[at:] if at else piece + model
    elif what == "delete":
        start, end = how
        if -size <= start <= size and (end is None or -size <= end <= size):
            assert text.delete(start, end) == model[start:end]
            first = start + size if start < 0 else start
            model = model[:first] + model[first + len(model[start:end]) :]
        else:
            with pytest.raises(IndexError, match=f"text 't' has {size} characters; there is no place"):
                text.delete(start, end)
    else:
        old, new = how
        found = [i for i in range(size) if model.startswith(old, i)]
        if len(found) == 1:
            entry = text.replace(old, new)
            assert (entry.value if entry else "") == new
            model = model.replace(old, new)
        else:
            with pytest.raises(AmbiguousMatch if found else NoMatch):
                text.replace(old, new)
    assert str(text) == text.value == model
    assert len(text) == len(model)
    assert "".join(entry.value for entry in text.entries()) == model


@given(st.lists(moves, max_size=10))
def test_alone_it_is_a_str_of_code_points(steps: list[tuple[str, Any]]) -> None:
    ann, reader = crew("ann", "reader")
    for what, how in steps:
        play(ann, what, how)
    tell(ann, reader)
    assert str(reader.text("t")) == str(ann.text("t"))
    assert ann.digest() == reader.digest()


@given(st.lists(moves, max_size=6), st.lists(moves, max_size=6))
def test_a_block_does_what_single_writes_would(before: list[tuple[str, Any]], inside: list[tuple[str, Any]]) -> None:
    ann, reader = crew("ann", "reader")
    for what, how in before:
        play(ann, what, how)
    with ann.change(why="edit"):
        for what, how in inside:
            play(ann, what, how)
        shown = str(ann.text("t"))
    assert str(ann.text("t")) == shown
    tell(ann, reader)
    assert str(reader.text("t")) == shown
    assert ann.digest() == reader.digest()


@given(st.lists(st.tuples(st.integers(0, 2), moves | st.tuples(st.just("tell"), st.none())), max_size=14))
def test_all_replicas_read_the_same(steps: list[tuple[int, tuple[str, Any]]]) -> None:
    memories = crew("ann", "bob", "cyd")
    for who, (what, how) in steps:
        if what == "tell":
            tell(memories[who], memories[who - 1])
        else:
            play(memories[who], what, how)
    exchange(*memories)
    assert len({str(memory.text("t")) for memory in memories}) == 1
    assert len({repr([(e.value, e.by, e.id) for e in memory.text("t").entries()]) for memory in memories}) == 1


@pytest.mark.parametrize("char", HARD)
def test_every_kind_of_character_counts_in_code_points(char: str) -> None:
    ann, bob = crew("ann", "bob")
    ann.text("t").append(f"{char}|{char}")
    tell(ann, bob)
    bob.text("t").insert(len(char), "<")
    bob.text("t").insert(len(char) + 2, ">")
    ann.text("t").delete(0, len(char))
    exchange(ann, bob)
    assert str(ann.text("t")) == f"<|>{char}"


def test_concurrent_edits_of_one_sentence_merge() -> None:
    ann, bob = crew("ann", "bob")
    ann.text("draft").append("Churn is 3.1% in March.")
    tell(ann, bob)
    ann.text("draft").replace("3.1%", "4.7%", why="CRM corrected")
    bob.text("draft").replace("in March", "in Q1")
    bob.text("draft").append(" \U0001f600")
    exchange(ann, bob)
    assert str(ann.text("draft")) == "Churn is 4.7% in Q1. \U0001f600"
    assert [(entry.value, entry.by) for entry in ann.text("draft").entries()] == [
        ("Churn is ", "ann"),
        ("4.7%", "ann"),
        (" ", "ann"),
        ("in Q1", "bob"),
        (".", "ann"),
        (" \U0001f600", "bob"),
    ]
    assert [entry.why for entry in bob.text("draft").entries(text="4.7")] == ["CRM corrected"]


def test_what_others_typed_into_a_passage_survives_its_deletion() -> None:
    ann, bob = crew("ann", "bob")
    ann.text("t").append("one two three")
    tell(ann, bob)
    ann.text("t").delete(3, 8)
    bob.text("t").insert(5, "NEW")
    exchange(ann, bob)
    assert str(ann.text("t")) == "oneNEWthree" or str(ann.text("t")) == "oneNEW three"


def test_a_passage_that_does_not_occur_shows_what_the_text_reads() -> None:
    text = alone().text("draft")
    with pytest.raises(
        NoMatch, match=r"'3.1%' does not occur in text 'draft', which reads ''; read it again and retry"
    ):
        text.replace("3.1%", "x")
    text.append("word " * 40)
    with pytest.raises(NoMatch, match=r"which reads 'word word .*\.\.\.'; read it again"):
        text.replace("absent", "x")
    assert str(text) == "word " * 40


def test_a_passage_that_occurs_twice_shows_where() -> None:
    text = alone().text("draft")
    text.append("Revenue fell in May. Costs rose. Revenue fell in June. aaaa")
    with pytest.raises(AmbiguousMatch) as refused:
        text.replace("Revenue fell", "Sales fell")
    assert str(refused.value) == (
        "'Revenue fell' occurs more than once in text 'draft': 'Revenue fell in May. Costs rose.'; "
        "'in May. Costs rose. Revenue fell in June. aaaa'; give more of what stands around it"
    )
    with pytest.raises(AmbiguousMatch):
        text.replace("aa", "b")  # occurrences that overlap count
    assert text.replace("aaaa", "") is None
    assert "aa" not in text and "June. " in text


def test_replacing_reads_what_this_block_wrote() -> None:
    ann = alone()
    ann.text("t").append("abc")
    with ann.change():
        ann.text("t").append("def")
        ann.text("t").replace("cd", "CD")
        assert ann.text("t").delete(0, 2) == "ab"
        assert [entry.value for entry in ann.text("t").entries()] == ["CD", "ef"]
    assert str(ann.text("t")) == "CDef"
    assert len(ann.changes()) == 2


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda t: t.append(5), "text: a str with at least one character, not 5"),
        (lambda t: t.append(""), "text: a str with at least one character, not ''"),
        (lambda t: t.insert(0, b"x"), "text: a str with at least one character, not b'x'"),
        (lambda t: t.append("\ud83d"), "text: lone surrogate"),
        (lambda t: t.replace("", "x"), "text: a str with at least one character, not ''"),
        (lambda t: t.replace("a", None), "text: a str, not NoneType"),
        (lambda t: t.replace("a", "\ude00"), "text: lone surrogate"),
    ],
)
def test_a_write_that_cannot_be_says_why(write: Any, message: str) -> None:
    text = alone().text("t")
    text.append("a")
    with pytest.raises(ValueRefused, match=message):
        write(text)
    assert str(text) == "a"


def test_a_subclass_of_str_is_written_as_plain_text() -> None:
    class Word(str):
        pass

    ann, bob = crew("ann", "bob")
    ann.text("t").append(Word("é"))
    ann.text("t").replace(Word("é"), Word("e"))
    exchange(ann, bob)
    assert str(bob.text("t")) == "e"


def test_an_untouched_text_is_empty() -> None:
    ann = alone()
    assert (str(ann.text("t")), len(ann.text("t")), ann.text("t").entries()) == ("", 0, [])
    assert ann.text("t").delete(0) == ""
    assert ann.changes() == []
