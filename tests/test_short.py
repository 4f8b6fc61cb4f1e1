"""The short way of a write: it must leave, byte for byte but for what is random, what the long way leaves.

Whoever is watched takes the long way, so one of two equal memories has a watcher.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import FieldRule, Memory, Replica, Rules, StoreError, ValueRefused, writing
from crdtmem.change import Change, decode
from tests.crew import SCOPE, Time, Unwilling, alone, exchange, tell

VALUES = st.sampled_from([None, True, 1, 1.0, -(2**63), "x", "\u00e9", "x" * 2000, b"x", [], {"a": [1]}])
KEYS = st.sampled_from(["", "k", "\U0001f600", "k" * 1024])
SAID: Any = st.fixed_dictionaries(
    {},
    optional={
        "why": st.sampled_from(["because", "\u00e9", ""]),
        "confidence": st.sampled_from([0, 0.5]),
        "tags": st.sampled_from([["a"], ["a", "b"]]),
        "source": st.just("tool"),
        "ttl": st.sampled_from([0.5, 60]),
    },
)
WRITES = st.tuples(
    st.sampled_from(["add", "count", "assign", "put", "discard", "clear", "both", "other"]), KEYS, VALUES
)


def write(memory: Memory, what: str, key: str, value: Any, said: Any) -> None:
    if what == "add":
        memory.set("s").add(value, **said)
    elif what == "count":
        try:
            memory.counter("c").add(value if type(value) is int else 2**62, **said)
        except ValueRefused as error:
            assert "int64" in str(error)
    elif what == "assign":
        memory.register("g").assign(value, **said)
    elif what == "put":
        memory.records("r").put(key, value, **said)
    elif what == "discard":
        memory.set("s").discard(value, **said)
    elif what == "clear":
        memory.register("g").clear(**said)
    elif what == "both":
        with memory.change(**said):
            memory.records("r").put(key, value)
            memory.counter("c").add(1)
    else:
        memory.acting_as("guest", "reader").records("r").put(key, value, **said)


def plain(memory: Memory) -> list[Any]:
    """All changes, without what is random or follows from it."""
    names = {change.session: f"session {i}" for i, change in enumerate(map(decode, memory.changes()))}
    return [named(decode(data), names) for data in memory.changes()]


def named(change: Change, names: dict[bytes, str]) -> Any:
    parts = [
        part._replace(removes=tuple((names[id[0]], *id[1:]) for id in part.removes))  # type: ignore[union-attr]
        for part in change.parts
    ]
    return change.seq, [names[dep[0]] for dep in change.deps], change.hlc, change.actor, change.rules, parts


def held(memory: Memory) -> Any:
    """What the fields keep beside their entries."""
    return {
        at: (field.total, field.mortal, field.notable, len(field.by_id), set(map(repr, field.forked)))
        for at, field in memory._document.state.fields.items()  # type: ignore[union-attr]
    }


@given(st.lists(st.tuples(WRITES, SAID, st.booleans()), max_size=40))
def test_it_leaves_what_the_long_way_leaves(steps: list[tuple[tuple[str, str, Any], Any, bool]]) -> None:
    time = Time()
    short, long = alone(time=time), alone(time=time)
    others = [alone("bob", time=time) for _ in range(2)]
    watches = [memory.changed(lambda _: None) for memory in (long, *others)]
    for (what, key, value), said, meet in steps:
        time.passes(0.1)
        for memory, other in zip((short, long), others, strict=True):
            write(memory, what, key, value, said)
            if meet:  # whoever merges takes the long way, and may leave siblings for the next write
                write(other, what, key, "theirs", {})
                exchange(memory, other)
        assert held(short) == held(long)
    for watch in watches:
        watch.close()
    assert plain(short) == plain(long)
    reader = alone("carl", time=time)
    tell(short, reader)
    assert reader.digest() == short.digest()
    assert shown(reader) == shown(short)


def shown(memory: Memory) -> Any:
    """All that is live, as its reader sees it and as the digest weighs it."""
    return {
        (*at, id): (e.key, e._frozen, e._about, e._weight, e.by, e.role, e.at)
        for at, field in memory._document.state.fields.items()
        for id, e in field.by_id.items()  # type: ignore[union-attr]
    }


def went_short(memory: Memory, monkeypatch: pytest.MonkeyPatch, work: Any) -> list[bool]:
    """Of each write that could go the short way, whether it did."""
    real, found = writing.commit_one, []

    def commit_one(*args: Any) -> Any:
        entry = real(*args)
        found.append(entry is not None)
        return entry

    with monkeypatch.context() as patch:
        patch.setattr(writing, "commit_one", commit_one)
        work(memory)
    return found


def four(memory: Memory) -> None:
    memory.set("s").add(1, why="w")
    memory.counter("c").add(1)
    memory.register("g").assign(1, confidence=0.5)
    memory.records("r").put("k", 1, tags=["t"])


def test_it_is_the_way_of_most_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = alone()
    four(memory)  # a session begins, and fields
    assert went_short(memory, monkeypatch, four) == [True] * 4


def test_who_is_watched_has_met_others_or_obeys_rules_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, other = alone(), alone("bob")
    four(memory)
    four(other)
    with memory.changed(lambda _: None):
        assert not any(went_short(memory, monkeypatch, four))
    exchange(memory, other)
    assert went_short(memory, monkeypatch, four)[0] is False  # it merges; and after that all is one line again
    owned = Replica("ann").own(tenant="acme", rules=Rules(fields={"s": FieldRule("set")}))
    four(owned)
    assert went_short(owned, monkeypatch, four) == []


def test_a_write_says_what_it_follows() -> None:
    memory, other = alone(), alone("bob")
    four(memory)
    four(other)
    exchange(memory, other)
    memory.set("s").add(2)
    [last] = [change for change in map(decode, memory.changes()) if change.seq == 5]
    assert [(head[0] != last.session, head[1]) for head in last.deps] == [(True, 4)]


def test_siblings_and_times_to_live_go_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, other = alone(), alone("bob")
    four(memory)
    four(other)
    exchange(memory, other)
    memory.register("other").assign(1)
    assert went_short(memory, monkeypatch, lambda m: m.register("g").assign(2)) == [False]
    memory.register("g").assign(2, ttl=60)
    assert went_short(memory, monkeypatch, lambda m: m.register("g").assign(3)) == [False]
    assert went_short(memory, monkeypatch, lambda m: m.register("g").assign(3)) == [True]
    assert memory.register("g").siblings[0].value == 3


def test_a_store_that_refuses_leaves_all_as_it_was() -> None:
    store = Unwilling()
    memory = Replica("ann", store=store).open(SCOPE)
    four(memory)
    before, total = memory.digest(), memory.counter("c").value
    store.full = True
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is full"):
            four(memory)
        with pytest.raises(StoreError, match="the disk is full"):
            memory.counter("c").add(1)
    assert (memory.digest(), memory.counter("c").value) == (before, total)
    store.full = False
    four(memory)
    reader = alone("carl")
    tell(memory, reader)
    assert reader.digest() == memory.digest()


def test_a_counter_at_its_end_refuses_and_keeps_its_total() -> None:
    counter = alone().counter("c")
    counter.add(2**63 - 1)
    with pytest.raises(ValueRefused, match="int64"):
        counter.add(1)
    assert counter.value == 2**63 - 1
