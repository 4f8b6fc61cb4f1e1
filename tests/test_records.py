"""Records: whole values and patches of single sub-keys; what was not seen stays, what was covered goes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import MisuseError, Undecided, ValueRefused
from tests.crew import Time, alone, crew, exchange, tell

subs = st.sampled_from("abc")
patches = st.dictionaries(subs, st.integers(0, 9), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(["put", "merge", "delete"]), st.sampled_from("kl"), patches)))
def test_alone_it_is_a_dict_of_dicts(moves: list[tuple[str, str, dict[str, int]]]) -> None:
    records, model = alone().records("r"), dict[str, dict[str, int]]()
    for what, key, patch in moves:
        if what == "put":
            assert records.put(key, patch).value == patch
            model[key] = patch
        elif what == "merge":
            assert records.merge(key, patch).value == patch
            model[key] = {**model.get(key, {}), **patch}
        else:
            assert records.delete(key) == (model.pop(key, None) is not None)
        assert dict(records) == model
        assert len(records) == len(model)


@given(st.lists(st.tuples(st.integers(0, 1), patches), max_size=12))
def test_merging_for_ever_leaves_one_patch_for_each_sub_key_and_author(moves: list[tuple[int, dict[str, int]]]) -> None:
    both = crew("ann", "bob")
    for who, patch in moves:
        both[who].records("r").merge("k", patch)
    exchange(*both)
    assert len(both[0].records("r").siblings("k")) <= 6


def test_it_is_a_mutable_mapping() -> None:
    records = alone().records("r")
    records["a"] = 1
    records.update({"b": [2], "c": None})
    assert (records["a"], records.get("c", "x"), records.get("d", "x")) == (1, None, "x")
    assert records == {"a": 1, "b": [2], "c": None}
    assert records.pop("a") == 1
    del records["b"]
    assert list(records.items()) == [("c", None)]
    assert "c" in records and "a" not in records and 7 not in records
    assert records.setdefault("e", {"x": 1}) == {"x": 1}
    for missing in (lambda: records["zzz"], lambda: records.__delitem__("zzz"), lambda: records.pop("zzz")):
        with pytest.raises(KeyError, match="zzz"):
            missing()
    records.clear()
    assert not records
    with pytest.raises(TypeError, match="unhashable"):
        hash(records)


def test_values_are_handed_out_as_copies() -> None:
    records = alone().records("r")
    records.put("k", {"a": [1]})
    records["k"]["a"].append(2)
    assert records["k"] == {"a": [1]}


def test_concurrent_merges_of_different_sub_keys_all_hold() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("42", {"state": "open", "sum": 12})
    tell(ann, bob)
    ann.records("r").merge("42", {"state": "refunded"}, why="damaged")
    bob.records("r").merge("42", {"note": "call back", "who": None})
    exchange(ann, bob)
    assert ann.records("r")["42"] == {"state": "refunded", "sum": 12, "note": "call back", "who": None}
    assert ann.conflicts() == []


def test_concurrent_merges_of_one_sub_key_are_a_disagreement_about_that_one_alone() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("42", {"state": "open", "sum": 12})
    tell(ann, bob)
    rivals = [
        ann.records("r").merge("42", {"state": "refunded", "by": "ann"}, confidence=0.9),
        bob.records("r").merge("42", {"state": "closed"}, confidence=0.1),
    ]
    exchange(ann, bob)
    assert ann.records("r")["42"] == bob.records("r")["42"] == {"state": "closed", "sum": 12, "by": "ann"}
    assert ann.records("r", resolve="confident")["42"]["state"] == "refunded"
    assert ann.records("r", resolve="append")["42"]["state"] == ["refunded", "closed"]
    with pytest.raises(Undecided, match="ann says 'refunded'; bob says 'closed'"):
        ann.records("r", resolve="escalate")["42"]
    [conflict] = bob.conflicts()
    assert (conflict.field, conflict.key, list(conflict.entries)) == ("r", "42", rivals)
    assert str(conflict).startswith("r['42']: ann says {'by': 'ann', 'state': 'refunded'}; bob says")
    bob.records("r").merge("42", {"state": "refunded"})
    assert bob.conflicts() == []
    assert bob.records("r", resolve="escalate")["42"] == {"state": "refunded", "sum": 12, "by": "ann"}


def test_a_whole_value_against_a_concurrent_patch() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("k", {"a": 1, "b": 1})
    tell(ann, bob)
    ann.records("r").put("k", {"a": 2, "c": 2})
    bob.records("r").merge("k", {"a": 3, "d": 3})
    exchange(ann, bob)
    assert ann.records("r")["k"] == {"a": 3, "c": 2, "d": 3}
    [conflict] = ann.conflicts()
    assert [entry.by for entry in conflict.entries] == ["ann", "bob"]


def test_of_two_whole_values_only_the_chosen_one_shows_and_a_patch_goes_over_it() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    ann.records("r").put("k", {"a": 1, "only in ann's": 1})
    bob.records("r").put("k", {"a": 2, "b": 2})
    tell(ann, cyd)
    tell(bob, cyd)
    cyd.records("r").merge("k", {"c": 3})
    exchange(ann, bob, cyd)
    assert ann.records("r")["k"] == {"a": 2, "b": 2, "c": 3}
    assert [conflict.key for conflict in ann.conflicts()] == ["k"]


def test_a_patch_wins_over_an_older_value_that_is_no_dict_and_yields_to_a_newer_one() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("k", "plain")
    bob.records("r").merge("k", {"a": 1})
    bob.records("r").merge("l", {"a": 1})
    ann.records("r").put("l", "plain")
    exchange(ann, bob)
    assert ann.records("r")["k"] == {"a": 1}
    assert ann.records("r")["l"] == "plain"
    ann.records("r").merge("k", {"b": 2})
    assert ann.records("r")["k"] == {"a": 1, "b": 2}
    with pytest.raises(ValueRefused, match=r"\['l'\]: it holds 'plain', not a dict"):
        ann.records("r").merge("l", {"b": 2})


def test_concurrent_whole_values_are_siblings() -> None:
    ann, bob = crew("ann", "bob")
    first, second = ann.records("r").put("k", 1), bob.records("r").put("k", value=True)
    exchange(ann, bob)
    assert ann.records("r").siblings("k") == ann.records("r").entries() == [first, second]
    assert ann.records("r")["k"] is True
    assert len(ann.conflicts()) == 1
    ann.records("r").put("k", 1)
    exchange(ann, bob)
    assert bob.records("r")["k"] == 1
    assert bob.conflicts() == []


def test_equal_concurrent_writes_are_no_disagreement() -> None:
    ann, bob = crew("ann", "bob")
    for memory in (ann, bob):
        memory.records("r").put("whole", {"a": 1})
        memory.records("r").merge("patched", {"a": 1})
    exchange(ann, bob)
    assert ann.conflicts() == []


def test_with_seen_a_put_keeps_what_was_written_since() -> None:
    ann = alone()
    ann.records("r").put("k", "old")
    seen = ann.version
    ann.records("r").put("k", "newer")
    ann.records("r").put("k", "decided on the old", seen=seen)
    assert [entry.value for entry in ann.records("r").siblings("k")] == ["newer", "decided on the old"]
    with ann.change():
        ann.records("r").put("k", "staged")
        ann.records("r").put("k", "staged again", seen=str(ann.version))
    assert [entry.value for entry in ann.records("r").siblings("k")] == ["staged again"]


def test_a_deletion_takes_what_it_saw_and_spares_what_it_did_not() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("k", {"a": 1})
    tell(ann, bob)
    ann.records("r").delete("k")
    bob.records("r").merge("k", {"b": 2})
    exchange(ann, bob)
    assert dict(ann.records("r")) == {"k": {"b": 2}}


def test_inside_a_block_merges_are_joined_over_what_is_staged() -> None:
    ann = alone()
    ann.records("r").put("k", {"z": 0})
    with ann.change(why="one reason"):
        ann.records("r").merge("k", {"a": 1})
        entry = ann.records("r").merge("k", {"b": 2})
        assert ann.records("r")["k"] == {"z": 0, "a": 1, "b": 2}
        ann.records("r").put("l", {"x": 1})
        ann.records("r").merge("l", {"y": 2})
        assert ann.records("r")["l"] == {"x": 1, "y": 2}
        ann.records("r").put("m", 1)
        assert ann.records("r").delete("m") is True
        assert "m" not in ann.records("r")
    assert dict(ann.records("r")) == {"k": {"z": 0, "a": 1, "b": 2}, "l": {"x": 1, "y": 2}}
    assert entry.value == {"a": 1, "b": 2}
    assert ann.records("r").entries()[-1].why == "one reason"


def test_merges_of_a_block_without_a_reason_are_joined_too() -> None:
    ann = alone()
    with ann.change():
        first = ann.records("r").merge("k", {"a": 1}, why="said once")
        assert ann.records("r").merge("k", {"b": 2}) is first
    assert (first.value, first.why) == ({"a": 1, "b": 2}, "said once")


def test_a_later_merge_of_a_block_may_say_its_own_reason() -> None:
    ann = alone()
    with ann.change(why="block"):
        ann.records("r").merge("k", {"a": 1})
        second = ann.records("r").merge("k", {"b": 2}, why="own", tags=["t"])
    assert (second.why, second.tags) == ("own", ("t",))


def test_merging_into_what_is_staged_beside_an_unseen_dict() -> None:
    ann = alone()
    start = ann.version
    ann.records("r").put("k", {"a": 1})
    with ann.change():
        ann.records("r").put("k", "plain", seen=start)
        with pytest.raises(ValueRefused, match="it holds 'plain', not a dict"):
            ann.records("r").merge("k", {"b": 2})


def test_a_patch_that_covers_another_sub_key_by_sub_key_replaces_it() -> None:
    ann = alone()
    for patch in ({"a": 1}, {"b": 1}, {"a": 2}, {"b": 2}, {"a": 3, "b": 3}):
        ann.records("r").merge("k", patch)
    assert [entry.value for entry in ann.records("r").siblings("k")] == [{"a": 3, "b": 3}]


def test_an_entry_may_have_a_time_to_live() -> None:
    time = Time()
    records = alone(time=time).records("r")
    records.put("short", 1, ttl=5)
    records.put("long", 1)
    records.put("patched", {"a": 1})
    records.merge("patched", {"a": 2}, ttl=5)
    assert (len(records), records["patched"]) == (3, {"a": 2})
    time.passes(6)
    assert dict(records) == {"long": 1, "patched": {"a": 1}}
    assert (len(records), "short" in records, records.siblings("short")) == (2, False, [])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda r: r.put(5, 1), "key 5: a str of at most 1024 characters"),
        (lambda r: r.put("k" * 1025, 1), "a str of at most 1024 characters"),
        (lambda r: r.put("\ud800", 1), "key: lone surrogate"),
        (lambda r: r.merge(5, {"a": 1}), "key 5: a str of at most 1024 characters"),
        (lambda r: r.put("k", {"due": datetime(2026, 3, 1, tzinfo=UTC)}), r"\['k'\]\['due'\]: datetime is not a value"),
        (
            lambda r: r.merge("k", {}),
            r"\['k'\]: merge takes a dict with at least one sub-key; put\(\) writes a whole value",
        ),
        (lambda r: r.merge("k", ["a"]), r"\['k'\]: merge takes a dict with at least one sub-key"),
        (lambda r: r.merge("k", {"a": {1}}), r"\['k'\]\['a'\]: set is not a value"),
        (lambda r: r.merge("plain", {"a": 1}), r"\['plain'\]: it holds 'text', not a dict; put\(\) replaces it"),
    ],
)
def test_a_write_that_cannot_be_says_why(write: Any, message: str) -> None:
    records = alone().records("r")
    records.put("plain", "text")
    with pytest.raises(ValueRefused, match=message):
        write(records)
    assert dict(records) == {"plain": "text"}


def test_a_resolution_nobody_knows_is_refused() -> None:
    with pytest.raises(MisuseError, match="no resolution named 'newest'"):
        alone().records("r", resolve="newest")


moves = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["put", "merge", "delete", "plain", "tell"]), patches), max_size=12
)


@given(moves)
def test_all_replicas_read_the_same_under_every_resolution(steps: list[tuple[int, str, dict[str, int]]]) -> None:
    memories = crew("ann", "bob", "cyd")
    for who, what, patch in steps:
        records = memories[who].records("r")
        if what == "put":
            records.put("k", patch)
        elif what == "plain":
            records.put("k", sorted(patch.values()))
        elif what == "delete":
            records.delete("k")
        elif what == "tell":
            tell(memories[who], memories[who - 1])
        elif isinstance(records.get("k", {}), dict):
            records.merge("k", patch)
            assert records["k"].items() >= patch.items()
    exchange(*memories)
    for resolve in ("latest", "confident", "append", "merge"):
        assert len({repr(memory.records("r", resolve=resolve).get("k")) for memory in memories}) == 1
    assert len({repr([entry.id for c in memory.conflicts() for entry in c.entries]) for memory in memories}) == 1


def test_a_patch_beside_what_is_no_dict_is_a_disagreement() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("k", {"a": 1})
    exchange(ann, bob)
    ann.records("r").put("k", "closed")
    bob.records("r").merge("k", {"a": 2})
    exchange(ann, bob)
    [conflict] = ann.conflicts()
    assert {entry.by for entry in conflict.entries} == {"ann", "bob"}


def test_a_patch_that_says_nothing_any_more_is_no_party_to_a_conflict() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("r").put("k", {"a": 0, "b": 0})
    exchange(ann, bob)
    ann.records("r").merge("k", {"a": 1})
    with ann.change():  # one patch over both sub-keys; the one before stays, and is covered
        ann.records("r").merge("k", {"b": 2})
        ann.records("r").merge("k", {"a": 3})
    bob.records("r").put("k", "closed")
    exchange(ann, bob)
    [conflict] = ann.conflicts()
    assert sorted((entry.value for entry in conflict.entries), key=str) == ["closed", {"a": 3, "b": 2}]
