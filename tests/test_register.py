"""Registers: one value, or the siblings of a disagreement, until someone who has seen them all decides."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import MisuseError, NotReached, Undecided, ValueRefused
from tests.crew import Time, alone, crew, exchange, tell


def test_it_holds_what_was_assigned_last() -> None:
    status = alone().register("status")
    assert (status.value, status.get("nothing yet"), status.siblings) == (None, "nothing yet", [])
    status.assign("draft")
    last = status.assign({"state": "final"}, confidence=0.8)
    assert status.value == {"state": "final"}
    assert status.siblings == status.entries() == [last]


def test_none_is_a_value() -> None:
    status = alone().register("status")
    status.assign(None)
    assert status.get("default") is None
    assert len(status.siblings) == 1


def test_clearing_says_whether_there_was_a_value() -> None:
    status = alone().register("status")
    assert status.clear() is False
    status.assign("x")
    assert status.clear(why="obsolete") is True
    assert status.get("default") == "default"


def test_concurrent_assignments_stand_side_by_side_until_one_has_seen_both() -> None:
    ann, bob = crew("ann", "bob")
    first, second = ann.register("r").assign("ann's"), bob.register("r").assign("bob's")
    exchange(ann, bob)
    assert ann.register("r").siblings == bob.register("r").siblings == [first, second]
    assert ann.register("r").value == bob.register("r").value == "bob's"
    [conflict] = ann.conflicts()
    assert str(conflict) == 'r: ann says "ann\'s"; bob says "bob\'s"'
    decided = ann.register("r").assign("both")
    exchange(ann, bob)
    assert bob.register("r").siblings == [decided]
    assert bob.conflicts() == []


def test_an_assignment_removes_only_what_it_saw() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    ann.register("r").assign("a")
    tell(ann, bob)
    cyd.register("r").assign("c")
    bob.register("r").assign("b")
    exchange(ann, bob, cyd)
    assert [entry.value for entry in ann.register("r").siblings] == ["c", "b"]


def test_with_seen_an_assignment_keeps_what_was_written_since() -> None:
    ann, bob = crew("ann", "bob")
    ann.register("r").assign("old")
    tell(ann, bob)
    seen = bob.version
    ann.register("r").assign("newer")
    tell(ann, bob)
    bob.register("r").assign("decided on the old", seen=seen)
    assert [entry.value for entry in bob.register("r").siblings] == ["newer", "decided on the old"]
    bob.register("r").assign("decided on both", seen=str(bob.version))
    assert [entry.value for entry in bob.register("r").siblings] == ["decided on both"]


def test_a_version_nobody_here_has_reached_cannot_be_what_was_seen() -> None:
    ann, bob = crew("ann", "bob")
    bob.register("r").assign("b")
    with pytest.raises(NotReached):
        ann.register("r").assign("a", seen=bob.version)


def test_inside_a_block_a_later_assignment_replaces_the_earlier_even_with_seen() -> None:
    ann = alone()
    start = ann.version
    with ann.change():
        ann.register("r").assign("first")
        ann.register("r").assign("second", seen=start)
        assert ann.register("r").value == "second"
    assert [entry.value for entry in ann.register("r").siblings] == ["second"]


@given(st.lists(st.sampled_from(["x", "y", None, 1]), min_size=2, max_size=4), st.randoms())
def test_whatever_the_order_of_arrival_all_see_the_same_siblings(values: list[object], random: object) -> None:
    memories = crew(*(f"agent{i}" for i in range(len(values))))
    for memory, value in zip(memories, values, strict=True):
        memory.register("r").assign(value)
    records = [record for memory in memories for record in memory.changes()]
    for memory in memories:
        random.shuffle(records)  # type: ignore[attr-defined]
        memory.receive(records)
        assert [entry.value for entry in memory.register("r").siblings] == values
        assert memory.register("r").value == values[-1]


def test_equal_siblings_are_no_disagreement() -> None:
    ann, bob = crew("ann", "bob")
    ann.register("r").assign([1])
    bob.register("r").assign((1,))
    exchange(ann, bob)
    assert len(ann.register("r").siblings) == 2
    assert ann.conflicts() == []


def test_a_resolution_is_chosen_by_the_reader() -> None:
    ann, bob = crew("ann", "bob")
    ann.register("r").assign("sure", confidence=0.9)
    bob.register("r").assign("later", confidence=0.1)
    exchange(ann, bob)
    assert ann.register("r").value == "later"
    assert ann.register("r", resolve="confident").value == "sure"
    assert ann.register("r", resolve=lambda entries: [entry.by for entry in entries]).value == ["ann", "bob"]
    with pytest.raises(
        Undecided, match=r"'r' is undecided: ann says 'sure'; bob says 'later'. Write the value that holds"
    ):
        _ = ann.register("r", resolve="escalate").value
    ann.register("r").assign("decided")
    assert ann.register("r", resolve="escalate").value == "decided"
    with pytest.raises(MisuseError, match="no resolution named 'newest'; use one of latest, confident"):
        ann.register("r", resolve="newest")


def test_a_value_may_have_a_time_to_live() -> None:
    time = Time()
    lock = alone(time=time).register("lock")
    lock.assign("ann", ttl=30)
    time.passes(29)
    assert lock.value == "ann"
    time.passes(1)
    assert (lock.value, lock.siblings) == (None, [])


def test_a_value_that_is_none_says_how_to_mend_it() -> None:
    with pytest.raises(ValueRefused, match=r"value: datetime is not a value; store value.isoformat\(\)"):
        alone().register("r").assign(datetime(2026, 3, 1, tzinfo=UTC))
