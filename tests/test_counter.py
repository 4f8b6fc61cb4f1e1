"""Counters: no increment is lost or counted twice, and none leaves int64."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import MisuseError, ValueRefused
from crdtmem.values import MAX_INT, MIN_INT
from tests.crew import alone, crew, exchange, tell

amounts = st.integers(-(2**40), 2**40)


@given(st.lists(st.tuples(st.integers(0, 2), amounts, st.booleans())))
def test_the_value_is_the_sum_of_what_everybody_counted(moves: list[tuple[int, int, bool]]) -> None:
    memories = crew("ann", "bob", "cyd")
    for who, amount, gossip in moves:
        entry = memories[who].counter("n").add(amount)
        assert (entry.extra, entry.by) == (amount, ("ann", "bob", "cyd")[who])
        if gossip:
            tell(memories[who], memories[who - 1])
            tell(memories[who], memories[who - 1])
    exchange(*memories)
    for memory in memories:
        assert memory.counter("n").value == int(memory.counter("n")) == sum(amount for _, amount, _ in moves)


def test_it_keeps_one_entry_for_each_session_with_its_running_total() -> None:
    ann, bob = crew("ann", "bob")
    for amount in (1, 10, 100):
        ann.counter("n").add(amount)
    bob.counter("n").add(-7, why="refund")
    exchange(ann, bob)
    assert [(entry.by, entry.value, entry.extra) for entry in bob.counter("n").entries()] == [
        ("ann", 111, 100),
        ("bob", -7, -7),
    ]
    assert [entry.why for entry in ann.counter("n").entries(by="bob")] == ["refund"]


def test_agents_of_one_process_share_a_session_but_each_increment_has_its_author() -> None:
    ann = alone()
    ann.counter("n").add(1)
    assert ann.acting_as("bob").counter("n").add(2).by == "bob"
    assert ann.counter("n").value == 3


def test_counting_starts_at_zero_and_steps_by_one() -> None:
    n = alone().counter("n")
    assert n.value == 0
    n.add()
    assert n.value == 1


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (1.5, r"amount: a counter counts in int, not float; use round\(...\)"),
        (True, "amount: a counter counts in int, not bool"),
        ("1", "amount: a counter counts in int, not str"),
        (2**63, "amount: 64 bits, more than int64"),
        (-(2**63) - 1, "amount: 64 bits, more than int64"),
    ],
)
def test_a_step_that_is_no_int64_is_refused(amount: Any, message: str) -> None:
    n = alone().counter("n")
    with pytest.raises(ValueRefused, match=message):
        n.add(amount)
    assert n.value == 0


@pytest.mark.parametrize(("limit", "step"), [(MAX_INT, 1), (MIN_INT, -1)])
def test_the_total_of_a_session_never_leaves_int64(limit: int, step: int) -> None:
    ann, bob = crew("ann", "bob")
    ann.counter("n").add(limit)
    with pytest.raises(ValueRefused, match="counter 'n': the total of one session would leave int64"):
        ann.counter("n").add(step)
    assert ann.counter("n").value == limit
    ann.counter("n").add(-step)
    bob.counter("n").add(limit)
    exchange(ann, bob)
    assert ann.counter("n").value == 2 * limit - step  # the sum is not bound to int64, only what one session writes


def test_when_a_block_would_leave_int64_nothing_of_it_happens() -> None:
    ann = alone()
    ann.counter("n").add(MAX_INT)
    with pytest.raises(ValueRefused), ann.change():
        staged = ann.set("s").add("x")
        ann.counter("n").add(1)
    assert "x" not in ann.set("s")
    with pytest.raises(MisuseError):
        _ = staged.id
    assert len(ann.changes()) == 1


def test_a_block_reads_its_own_increments() -> None:
    ann = alone()
    ann.counter("n").add(1)
    with ann.change(why="batch"):
        first, second = ann.counter("n").add(10), ann.counter("n").add(100, why="own")
        assert ann.counter("n").value == 111
        assert [entry.extra for entry in ann.counter("n").entries()] == [1, 10, 100]
    assert (first.value, first.extra, second.value, second.extra) == (11, 10, 111, 100)
    assert (first.why, second.why) == ("batch", "own")
    assert ann.counter("n").value == 111
    assert len(ann.counter("n").entries()) == 1


def test_what_is_taken_back_shows_in_no_listing_and_in_no_block_twice() -> None:
    ann, bob = crew("ann", "bob")
    first, second = ann.counter("n").add(5), ann.counter("n").add(7)
    with ann.change(why="never happened"):
        ann.retract(first, why="wrong")
        assert ann.counter("n").value == 7
        ann.counter("n").add(1)
        ann.retract(first, why="wrong")
        ann.retract(second, why="wrong")
        assert ann.counter("n").value == 1
    exchange(ann, bob)
    assert bob.counter("n").value == 1
    assert [(entry.value, entry.extra) for entry in bob.counter("n").entries()] == [(13, 1)]


def test_taking_back_leaves_the_running_total_alone_and_the_next_increment_goes_on_from_it() -> None:
    ann = alone()
    entry = ann.counter("n").add(MAX_INT - 1)
    ann.undo(entry, why="wrong")
    assert ann.counter("n").value == 0
    assert ann.counter("n").add(1).value == MAX_INT
    with pytest.raises(ValueRefused, match="the total of one session would leave int64"):
        ann.counter("n").add(1)
    assert ann.counter("n").value == 1
