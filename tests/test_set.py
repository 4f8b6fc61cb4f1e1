"""Sets: add wins, equality is by canonical bytes, and every member has an author."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import ValueRefused
from crdtmem.values import freeze, key_of
from tests.crew import Time, alone, crew, exchange, tell
from tests.drawn import exact, values

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, True, 1.0, "1", None, [1], [True], {"a": 1}]) | values))
)
def test_alone_it_is_a_set_of_canonical_bytes(moves: list[tuple[bool, Any]]) -> None:
    members, model = alone().set("s"), dict[Any, Any]()
    for adding, value in moves:
        key = key_of(freeze(value))
        if adding:
            members.add(value)
            model.setdefault(key, value)
        else:
            assert members.discard(value) == (key in model)
            model.pop(key, None)
        assert (value in members) == adding
    assert sorted(map(repr, map(exact, members))) == sorted(map(repr, map(exact, model.values())))
    assert len(members) == len(model)


def test_one_one_point_zero_and_true_are_three_members() -> None:
    members = alone().set("s")
    members.update([1, 1.0, True])
    members.discard(1.0)
    assert [exact(member) for member in members] == [("int", "1"), ("bool", "True")]


def test_dicts_lists_and_none_are_welcome_and_tuples_become_lists() -> None:
    members = alone().set("s")
    members.update([{"b": 1, "a": [2]}, [1, 2], (1, 2), None])
    assert len(members) == 3
    assert {"a": [2], "b": 1} in members and (1, 2) in members and None in members
    assert members.add((3,)).value == [3]


def test_an_add_survives_a_removal_that_has_not_seen_it() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("x")
    tell(ann, bob)
    bob.set("s").discard("x")
    kept = ann.set("s").add("x", why="still open")
    exchange(ann, bob)
    assert list(bob.set("s")) == ["x"]
    assert bob.set("s").entries() == [kept]


def test_a_removal_takes_every_add_it_has_seen() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    ann.set("s").add("x")
    bob.set("s").add("x")
    tell(ann, cyd)
    tell(bob, cyd)
    assert len(cyd.set("s")) == 1
    cyd.set("s").remove("x")
    exchange(ann, bob, cyd)
    assert not ann.set("s") and not bob.set("s")


def test_two_who_add_the_same_value_make_one_member_and_the_later_one_shows() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("x")
    later = bob.set("s").add("x")
    exchange(ann, bob)
    assert list(ann.set("s")) == ["x"]
    assert ann.set("s").entries() == [later]


def test_removing_says_whether_there_was_something() -> None:
    members = alone().set("s")
    members.add("x")
    assert members.discard("x", why="done") is True
    assert members.discard("x") is False
    with pytest.raises(KeyError, match="x"):
        members.remove("x")


def test_what_is_no_value_is_no_member_but_cannot_be_added() -> None:
    members = alone().set("s")
    assert NOON not in members
    assert members.discard(NOON) is False
    with pytest.raises(ValueRefused, match=r"datetime is not a value; store value.isoformat\(\)"):
        members.add(NOON)
    with pytest.raises(ValueRefused, match=r"value\[1\]: datetime is not a value"):
        members.update(["x", NOON])
    assert not members


def test_update_is_one_change() -> None:
    ann = alone()
    entries = ann.set("s").update(["a", "b", "a"], why="import")
    assert [entry.value for entry in entries] == ["a", "b", "a"]
    assert sorted(ann.set("s")) == ["a", "b"]
    assert len(ann.changes()) == 1
    assert {entry.why for entry in ann.set("s").entries()} == {"import"}
    assert ann.set("s").update([]) == []
    assert len(ann.changes()) == 1


@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_its_operators_are_those_of_a_set(one: set[int], two: set[int]) -> None:
    ann = alone()
    ann.set("a").update(one)
    ann.set("b").update(two)
    for a in (ann.set("a"), one):
        for b in (ann.set("b"), two):
            assert sorted(a & b) == sorted(one & two)
            assert sorted(a | b) == sorted(one | two)
            assert sorted(a - b) == sorted(one - two)
            assert sorted(a ^ b) == sorted(one ^ two)
            assert (a <= b, a < b, a == b) == (one <= two, one < two, one == two)
            assert a.isdisjoint(b) == one.isdisjoint(two)
    assert sorted((ann.set("a") | ann.set("b")) & {0, 1}) == sorted((one | two) & {0, 1})


def test_what_operators_give_keeps_the_equality_of_values() -> None:
    ann = alone()
    ann.set("a").update([1, {"k": [1]}])
    ann.set("b").update([True, {"k": [True]}, {"k": [1]}])
    both = ann.set("a") | ann.set("b")
    assert len(both) == 4
    assert {"k": [1]} in both and NOON not in both
    assert [exact(value) for value in ann.set("a") & ann.set("b")] == [exact({"k": [1]})]
    assert repr(ann.set("a") - ann.set("b")) == "{1}"


def test_a_member_may_have_a_time_to_live() -> None:
    time = Time()
    members = alone(time=time).set("s")
    members.add("soon gone", ttl=10)
    members.add("stays")
    assert len(members) == 2
    time.passes(11)
    assert list(members) == ["stays"]
    assert len(members) == 1
    assert "soon gone" not in members
    assert [entry.value for entry in members.entries()] == ["stays"]


def test_members_are_handed_out_as_copies() -> None:
    members = alone().set("s")
    members.add(["a"])
    next(iter(members)).append("b")
    assert list(members) == [["a"]]


def test_it_shows_its_name_and_cannot_be_a_key() -> None:
    members = alone().set("s")
    assert repr(members) == "<Set 's' of Namespace(tenant='acme', task='test')>"
    with pytest.raises(TypeError, match="unhashable"):
        hash(members)
