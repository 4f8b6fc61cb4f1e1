"""What every field shares: entries with their authors, filtered, in one order everywhere."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import BadBytes, Entry, Memory, NamespaceError, NotReached, Replica, ValueRefused
from crdtmem.change import SET
from crdtmem.fields.field import Field
from tests.crew import Time, alone, crew, exchange, tell


def noted() -> tuple[Memory, list[Entry]]:
    time = Time()
    ann = alone(time=time)
    bob = ann.acting_as("bob", role="reviewer")
    entries = []
    for memory, value, tags in (
        (ann, "Churn rose", ["churn", "q3"]),
        (bob, {"text": "churn fell"}, ["churn"]),
        (bob, 3, []),
    ):
        time.passes(60)
        entries.append(memory.set("notes").add(value, tags=tags))
    return ann, entries


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [0, 1, 2]),
        ({"by": "bob"}, [1, 2]),
        ({"by": ["ann", "cyd"]}, [0]),
        ({"by": []}, []),
        ({"not_by": "bob"}, [0]),
        ({"not_by": {"ann", "bob"}}, []),
        ({"tags": "churn"}, [0, 1]),
        ({"tags": ["churn", "q3"]}, [0]),
        ({"text": "CHURN"}, [0, 1]),
        ({"text": "3"}, [2]),
        ({"by": "bob", "tags": "churn", "text": "fell"}, [1]),
        ({"by": "ann", "not_by": "ann"}, []),
    ],
)
def test_entries_pass_every_filter_given(filters: dict[str, object], found: list[int]) -> None:
    memory, entries = noted()
    assert memory.set("notes").entries(**filters) == [entries[i] for i in found]  # type: ignore[arg-type]


def test_since_a_moment_means_at_or_after() -> None:
    memory, entries = noted()
    notes = memory.set("notes")
    assert notes.entries(since=entries[1].at) == entries[1:]
    assert notes.entries(since=entries[2].at + timedelta(milliseconds=1)) == []


def test_since_a_version_means_what_that_version_had_not_seen() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("notes").add("old")
    tell(ann, bob)
    seen = ann.version
    new = [ann.set("notes").add("new"), bob.set("notes").add("concurrent")]
    exchange(ann, bob)
    assert ann.set("notes").entries(since=seen) == bob.set("notes").entries(since=str(seen)) == new  # type: ignore[arg-type]
    assert ann.set("notes").entries(since=ann.version) == []


def test_a_version_from_elsewhere_is_refused() -> None:
    ann, bob = crew("ann", "bob")
    bob.set("notes").add("x")
    with pytest.raises(NotReached):
        ann.set("notes").entries(since=bob.version)
    with pytest.raises(NamespaceError):
        ann.set("notes").entries(since=Replica("ann").open(tenant="other").version)
    with pytest.raises(BadBytes):
        ann.set("notes").entries(since="token")  # type: ignore[arg-type]


@given(st.permutations(range(4)))
def test_entries_come_in_one_order_everywhere(order: list[int]) -> None:
    memories = crew("ann", "bob", "cyd", "dan")
    for memory in memories:
        memory.set("notes").add(memory.agent)
    reader = alone("reader")
    for i in order:
        tell(memories[i], reader)
    assert [entry.by for entry in reader.set("notes").entries()] == ["ann", "bob", "cyd", "dan"]


def test_entries_with_one_time_still_have_one_order() -> None:
    still = Time()
    ann, bob = crew("ann", "bob", time=still)
    ann.records("r").put("k", 1)
    bob.records("r").put("k", 2)
    exchange(ann, bob)
    assert ann.records("r").entries() == bob.records("r").entries()


def test_an_entry_whose_time_is_over_is_no_longer_shown() -> None:
    time = Time()
    ann = alone(time=time)
    short, long = ann.set("notes").add("short", ttl=timedelta(seconds=5)), ann.set("notes").add("long", ttl=60)
    stays = ann.set("notes").add("stays")
    assert ann.set("notes").entries() == [short, long, stays]
    time.passes(5)
    assert ann.set("notes").entries() == [long, stays]
    time.passes(60)
    assert ann.set("notes").entries() == [stays]


def test_expiry_is_a_way_of_reading_and_changes_no_digest() -> None:
    time = Time()
    ann, bob = crew("ann", "bob", time=time)
    ann.set("notes").add("short", ttl=5)
    before = ann.digest()
    time.passes(60)
    tell(ann, bob)
    assert before == ann.digest() == bob.digest()
    assert not ann.set("notes") and not bob.set("notes")


def test_inside_a_block_staged_entries_come_last_and_do_not_expire() -> None:
    time = Time()
    ann = alone(time=time)
    ann.set("notes").add("first")
    with ann.change():
        ann.set("notes").add("staged", ttl=5)
        time.passes(60)
        assert [entry.value for entry in ann.set("notes").entries()] == ["first", "staged"]
    assert [entry.value for entry in ann.set("notes").entries()] == ["first", "staged"]
    time.passes(5)
    assert [entry.value for entry in ann.set("notes").entries()] == ["first"]


def test_a_field_shows_its_kind_its_name_and_where_it_is() -> None:
    assert repr(alone().counter("n")) == "<Counter 'n' of Namespace(tenant='acme', task='test')>"


def test_a_field_type_must_say_what_its_entries_are() -> None:
    class Bare(Field[int]):
        _kind = SET

    with pytest.raises(NotImplementedError):
        Bare(alone(), "x").entries()


def test_entries_by_where_they_come_from() -> None:
    notes = alone().set("notes")
    for source in ("user", "tool", "import", None):
        notes.add(source or "said by itself", source=source)
    assert [entry.value for entry in notes.entries(source="tool")] == ["tool"]
    assert [entry.value for entry in notes.entries(source=["user", "import"])] == ["user", "import"]
    assert [entry.value for entry in notes.entries(source="agent")] == ["said by itself"]
    with pytest.raises(ValueRefused, match="user, agent, tool, import"):
        notes.entries(source="rumour")
