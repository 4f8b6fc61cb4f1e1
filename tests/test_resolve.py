"""Resolutions: which value a reader gets while several stand, the same on every replica."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Entry, KindMismatch, MisuseError, Undecided
from crdtmem.fields.resolve import append, confident, escalate, latest, merge, resolved, rule
from tests.crew import crew, exchange
from tests.drawn import exact, values


def siblings(*given_: Any) -> list[Entry]:
    """Concurrent assignments of these values, each later than the one before; a pair gives a confidence."""
    memories = crew(*(f"agent{i}" for i in range(len(given_))))
    for memory, value in zip(memories, given_, strict=True):
        value, confidence = value if isinstance(value, tuple) else (value, None)
        memory.register("r").assign(value, confidence=confidence)
    exchange(*memories)
    return memories[0].register("r").siblings


def test_latest_is_the_newest() -> None:
    assert latest(siblings("a", "c", "b")) == "b"


def test_confident_is_the_surest_and_the_newest_of_equals() -> None:
    assert confident(siblings(("a", 0.9), "b", ("c", 0.2))) == "a"
    assert confident(siblings(("a", 0.5), ("b", 0.5), "c")) == "b"
    assert confident(siblings("a", "b")) == "b"
    assert confident(siblings("a", ("b", 0.0))) == "b"


def test_append_lists_all_and_joins_lists() -> None:
    assert append(siblings("a", ["b", "c"], None)) == ["a", "b", "c", None]


def test_merge_joins_dicts_the_newest_winning() -> None:
    assert merge(siblings({"a": 1, "b": 1}, {"b": 2, "c": 2})) == {"a": 1, "b": 2, "c": 2}


def test_merge_unites_lists_by_the_equality_of_values() -> None:
    assert exact(merge(siblings([1, "x"], [True, 1.0, 1, "x"]))) == exact([1, "x", True, 1.0])


def test_merge_of_what_does_not_merge_is_the_newest() -> None:
    assert merge(siblings({"a": 1}, [1], "x")) == "x"


def test_escalate_names_every_voice() -> None:
    with pytest.raises(
        Undecided, match=r"^'r' is undecided: agent0 says 'a'; agent1 says 'b'. Write the value that holds"
    ):
        escalate(siblings("a", "b"))
    assert not issubclass(Undecided, KindMismatch)


@given(values, st.sampled_from([latest, confident, append, merge, escalate, lambda entries: "chosen"]))
def test_a_lone_value_is_its_own_whatever_the_resolution(value: Any, resolution: Any) -> None:
    assert exact(resolved(siblings(("x", None), (value, None))[1:], resolution)) == exact(value)


@given(
    st.lists(st.sampled_from([1, True, "x", None, [1], [True, 2], {"a": 1}, {"a": 2, "b": 1}]), min_size=2, max_size=4)
)
def test_no_order_of_the_siblings_changes_the_result(given_: list[Any]) -> None:
    entries = siblings(*given_)
    for name in ("latest", "confident", "append", "merge"):
        assert exact(resolved(entries, name)) == exact(resolved(entries[::-1], name))


def test_a_function_sees_the_siblings_oldest_first() -> None:
    assert resolved(siblings("a", "b")[::-1], lambda entries: [entry.value for entry in entries]) == ["a", "b"]


def test_a_resolution_nobody_knows_is_refused() -> None:
    with pytest.raises(
        MisuseError, match="no resolution named 'newest'; use one of latest, confident, append, merge, escalate, or"
    ):
        rule("newest")
    assert rule("merge") is merge
    assert rule(merge) is merge


def test_equal_siblings_need_no_decision() -> None:
    ann, bob = crew("ann", "bob")
    ann.register("r").assign("done")
    bob.register("r").assign("done")
    exchange(ann, bob)
    assert len(ann.register("r").siblings) == 2 and ann.conflicts() == []
    assert ann.register("r", resolve="escalate").value == "done"
