"""Sequences: a list in one order everywhere; values keep their entries wherever they move."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Memory, ValueRefused
from tests.crew import Time, alone, crew, exchange, tell
from tests.drawn import exact, values

places = st.integers(-7, 7)
moves = st.one_of(
    st.tuples(st.just("append"), values),
    st.tuples(st.just("extend"), st.lists(st.integers(0, 9), max_size=3)),
    st.tuples(st.just("insert"), places),
    st.tuples(st.just("remove"), places),
    st.tuples(st.just("replace"), places),
    st.tuples(st.just("move"), st.tuples(places, places)),
)


def play(memory: Memory, model: list[Any], what: str, how: Any) -> None:
    """Do the same to a sequence and to a list; both refuse, or both do it."""
    sequence = memory.sequence("s")
    value = f"{what} {how}"
    try:
        if what == "append":
            model.append(how)
        elif what == "extend":
            model.extend(how)
        elif what == "insert":
            model.insert(how, value)
        elif what == "remove":
            del model[how]
        elif what == "replace":
            model[how] = value
        else:
            at, to = how
            here, there = range(len(model))[at], range(len(model))[to]
            model.insert(there, model.pop(here))
    except IndexError:
        with pytest.raises(IndexError, match=r"sequence 's' has \d+ values; there is no"):
            getattr(sequence, what)(*([how, value] if what == "replace" else how if what == "move" else [how]))
        return
    if what in ("insert", "replace"):
        assert getattr(sequence, what)(how, value).value == value
    elif what == "move":
        sequence.move(*how)
    else:
        getattr(sequence, what)(how)


@given(st.lists(moves, max_size=12))
def test_alone_it_is_a_list(steps: list[tuple[str, Any]]) -> None:
    ann, model = alone(), list[Any]()
    for what, how in steps:
        play(ann, model, what, how)
        assert exact(list(ann.sequence("s"))) == exact(model)
    assert len(ann.sequence("s")) == len(model)


@given(st.lists(moves, max_size=8), st.lists(moves, max_size=8))
def test_a_block_does_what_single_writes_would(before: list[tuple[str, Any]], inside: list[tuple[str, Any]]) -> None:
    ann, reader = crew("ann", "reader")
    model = list[Any]()
    for what, how in before:
        play(ann, model, what, how)
    with ann.change():
        for what, how in inside:
            play(ann, model, what, how)
            assert exact(list(ann.sequence("s"))) == exact(model)
    assert exact(list(ann.sequence("s"))) == exact(model)
    tell(ann, reader)
    assert exact(list(reader.sequence("s"))) == exact(model)
    assert reader.digest() == ann.digest()


@given(st.lists(st.tuples(st.integers(0, 2), moves | st.tuples(st.just("tell"), st.none())), max_size=16))
def test_all_replicas_agree_on_order_and_authors(steps: list[tuple[int, tuple[str, Any]]]) -> None:
    memories = crew("ann", "bob", "cyd")
    for who, (what, how) in steps:
        if what == "tell":
            tell(memories[who], memories[who - 1])
        else:
            play(memories[who], list(memories[who].sequence("s")), what, how)
    exchange(*memories)
    seen = [
        [(exact(entry.value), entry.by, entry.id) for entry in memory.sequence("s").entries()] for memory in memories
    ]
    assert seen[0] == seen[1] == seen[2]
    assert len({id for _, _, id in seen[0]}) == len(seen[0])  # no entry shows twice, whatever moved


def test_it_reads_as_a_list() -> None:
    s = alone().sequence("s")
    assert s.extend(["a", {"k": [1]}, (2, 3), None])[2].value == [2, 3]
    assert (s[0], s[-1], s[1:3], s[::-2]) == ("a", None, [{"k": [1]}, [2, 3]], [None, {"k": [1]}])
    assert "a" in s and s.index(None) == 3 and s.count("a") == 1 and list(reversed(s))[-1] == "a"
    s[1]["k"].append(2)
    assert s[1] == {"k": [1]}
    with pytest.raises(IndexError):
        s[4]
    with pytest.raises(TypeError, match="unhashable"):
        hash(s)


def test_extending_is_one_change_and_with_nothing_none() -> None:
    ann = alone()
    entries = ann.sequence("s").extend(range(600), why="import")
    assert len({entry.id for entry in entries}) == 600
    assert len(ann.changes()) == 1
    assert ann.sequence("s").extend([]) == []
    assert len(ann.changes()) == 1
    assert entries[599].why == "import"


def test_concurrent_appends_all_stay_and_runs_stay_together() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").append("start")
    tell(ann, bob)
    ann.sequence("s").extend(["a1", "a2", "a3"])
    bob.sequence("s").extend(["b1", "b2", "b3"])
    exchange(ann, bob)
    assert sorted([list(ann.sequence("s"))[1:4], list(ann.sequence("s"))[4:]]) == [
        ["a1", "a2", "a3"],
        ["b1", "b2", "b3"],
    ]


def test_an_entry_is_removed_replaced_or_moved_wherever_it_is_now() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.sequence("s").append("mine", why="first")
    tell(ann, bob)
    bob.sequence("s").insert(0, "before")
    tell(bob, ann)
    assert ann.sequence("s").move(entry, 0) == entry
    assert list(ann.sequence("s")) == ["mine", "before"]
    assert ann.sequence("s").entries()[0].why == "first"
    new = ann.sequence("s").replace(entry, "mine, better")
    assert list(ann.sequence("s")) == ["mine, better", "before"]
    assert ann.sequence("s").remove(new, why="wrong") == new
    exchange(ann, bob)
    assert list(bob.sequence("s")) == ["before"]
    with pytest.raises(KeyError, match="is not in sequence 's'"):
        ann.sequence("s").remove(entry)


def test_inside_a_block_a_staged_entry_can_be_named_too() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").extend(["a", "b"])
    with ann.change():
        staged = ann.sequence("s").append("staged")
        other = ann.sequence("s").append("other")
        ann.sequence("s").move(staged, 0)
        ann.sequence("s").remove(other)
        assert list(ann.sequence("s")) == ["staged", "a", "b"]
    assert ann.sequence("s").entries()[0] == staged
    exchange(ann, bob)
    assert list(bob.sequence("s")) == ["staged", "a", "b"]


def test_of_two_concurrent_moves_the_later_holds_and_nothing_is_doubled() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").extend(["x", "a", "b", "c"])
    tell(ann, bob)
    ann.sequence("s").move(0, 3)
    bob.sequence("s").move(0, 1)
    exchange(ann, bob)
    assert list(ann.sequence("s")) == ["a", "x", "b", "c"]
    ann.sequence("s").move(1, 0)
    exchange(ann, bob)
    assert list(bob.sequence("s")) == ["x", "a", "b", "c"]


def test_removing_a_value_that_two_moved_removes_it_everywhere() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").extend(["x", "a", "b", "c"])
    tell(ann, bob)
    ann.sequence("s").move(0, 3)
    bob.sequence("s").move(0, 1)
    exchange(ann, bob)
    removed = bob.sequence("s").remove(1)
    exchange(ann, bob)
    assert removed.value == "x"
    assert list(ann.sequence("s")) == list(bob.sequence("s")) == ["a", "b", "c"]


def test_a_value_moved_while_another_removes_it_stays_where_it_was_moved() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").extend(["x", "a"])
    tell(ann, bob)
    ann.sequence("s").move(0, 1)
    bob.sequence("s").remove(0)
    exchange(ann, bob)
    assert list(ann.sequence("s")) == ["a", "x"]


def test_moving_a_value_to_where_it_is_writes_nothing() -> None:
    ann = alone()
    entry = ann.sequence("s").append("a")
    assert ann.sequence("s").move(0, -1) == entry
    assert len(ann.changes()) == 1


def test_two_concurrent_replacements_both_stay() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("s").append("old")
    tell(ann, bob)
    ann.sequence("s").replace(0, "ann's")
    bob.sequence("s").replace(0, "bob's")
    exchange(ann, bob)
    assert sorted(ann.sequence("s")) == ["ann's", "bob's"]


def test_indices_count_what_the_reader_sees_where_values_expire() -> None:
    time = Time()
    ann = alone(time=time)
    s = ann.sequence("s")
    s.append("gone", ttl=5)
    s.extend(["a", "b"])
    s.append("gone too", ttl=5)
    s.append("c")
    assert len(s) == 5
    time.passes(6)
    assert list(s) == ["a", "b", "c"]
    assert s.remove(0).value == "a"
    s.insert(1, "between b and c")
    assert list(s) == ["b", "between b and c", "c"]
    s.replace(-1, "C")
    s.move(0, 2)
    assert list(s) == ["between b and c", "C", "b"]
    s.insert(0, "first")
    s.append("last")
    assert list(s) == ["first", "between b and c", "C", "b", "last"]
    with pytest.raises(IndexError, match="sequence 's' has 5 values; there is none at 5"):
        s.remove(5)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda s: s.append(datetime(2026, 3, 1, tzinfo=UTC)),
            r"value: datetime is not a value; store value.isoformat\(\)",
        ),
        (lambda s: s.extend(["a", {1}]), r"value\[1\]: set is not a value"),
        (lambda s: s.remove("a"), "an index or an Entry, not str"),
    ],
)
def test_a_write_that_cannot_be_says_why(write: Any, message: str) -> None:
    s = alone().sequence("s")
    s.append("a")
    with pytest.raises(ValueRefused, match=message):
        write(s)
    assert list(s) == ["a"]


def test_a_change_holds_at_most_512_separate_insertions() -> None:
    ann = alone()
    ann.sequence("s").extend(range(600))
    with (
        pytest.raises(ValueRefused, match="513 separate insertions in 's', more than the 512 of one change"),
        ann.change(),
    ):
        for i in range(513):
            ann.sequence("s").insert(2 * i, "x")
    assert len(ann.sequence("s")) == 600
