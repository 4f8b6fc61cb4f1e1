"""The short way of a kept change leaves what the long way leaves, is taken where it may be, and else does nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Memory, MemoryStore, Replica, Rules
from crdtmem.change import decode, record, skim
from crdtmem.clock import Clock
from crdtmem.errors import BadBytes
from crdtmem.recovery import resume
from crdtmem.replay import replay
from crdtmem.state import State
from crdtmem.store import Log
from tests.crew import SCOPE, Time, alone, exchange, tell
from tests.test_short import KEYS, SAID, VALUES, write

WRITES = st.tuples(
    st.sampled_from(["add", "count", "assign", "put", "discard", "clear", "both", "other"]), KEYS, VALUES
)


def log_of(memory: Memory) -> Log:
    return memory._document.log


def stepwise(log: Log) -> tuple[State, int]:
    """What the records add up to, each decoded whole and applied; and their newest stamp."""
    state = State(SCOPE.digest, log)
    stamps = [0]
    for at, kept in log.since(0):
        state.apply(kept.change, None, at)
        stamps.append(kept.change.hlc)
    return state, max(stamps)


def content(state: State) -> Any:
    """All that it holds, in the order in which it shows it."""
    fields = {
        at: (
            [(id, e.key, e._frozen, e._about, e.extra, e._weight, e.by, e.role, e.at) for id, e in field.by_id.items()],
            [
                (key, slot._id if type(slot) is not tuple else [e._id for e in slot])
                for key, slot in field.by_key.items()
            ],
            (field.forked, field.mortal, field.total, field.sum, field.notable),
        )
        for at, field in state.fields.items()
    }
    sessions = {id: (s.seq, s.hash, s.saw, s.whole) for id, s in state.sessions.items()}
    return fields, sessions, state.heads, state.count, state.version, state.digest()


@given(st.lists(st.tuples(WRITES, SAID, st.sampled_from(["alone", "alone", "told", "meet"])), max_size=30))
def test_it_leaves_what_the_long_way_leaves(steps: list[tuple[tuple[str, str, Any], Any, str]]) -> None:
    time = Time()
    ann, bob = alone(time=time), alone("bob", time=time)
    for (what, key, value), said, then in steps:
        time.passes(0.1)
        write(ann, what, key, value, said)
        if then != "alone":
            write(bob, what, key, "theirs", {})
            tell(bob, ann) if then == "told" else exchange(ann, bob)
    state = State(SCOPE.digest, log_of(ann))
    clock = Clock(time)
    found = resume(state, log_of(ann), 0, clock)
    slow, newest = stepwise(log_of(ann))
    assert content(state) == content(slow)
    assert state.digest() == ann._document.state.digest()
    assert not found.astray
    assert clock.now() > newest


def short(memory: Memory, owner: str | None = None) -> list[bool]:
    """Of each change, whether it goes the short way; it leaves the state alone if not."""
    log = log_of(memory)
    state = State(memory.namespace.digest, log, owner)
    found = []
    for at, kept in log.since(0):
        before = content(state)
        hlc = replay(state, kept)
        found.append(hlc is not None)
        if hlc is None:
            assert content(state) == before
            state.apply(kept.change, None, at)
        else:
            assert hlc == kept.change.hlc
    assert state.digest() == memory._document.state.digest()
    return found


@pytest.mark.parametrize(
    "work",
    [
        lambda m: m.set("s").add("x", why="because"),
        lambda m: m.set("s").add(["x"]),
        lambda m: m.counter("c").add(3),
        lambda m: m.register("g").assign("x"),
        lambda m: m.records("r").put("k", {"a": 1}),
        lambda m: m.acting_as("guest", "reader").set("s").add("x"),
    ],
)
def test_plain_writes_go_the_short_way_also_in_place_of_what_there_was(work: Any) -> None:
    memory = alone()
    for _ in range(4):
        work(memory)
    assert short(memory) == [False, True, True, True]  # the first change of a session makes it known, and the field


def twice(memory: Memory) -> None:
    with memory.change():
        memory.set("s").update(["b", "c"])


@pytest.mark.parametrize(
    "work",
    [
        lambda m: m.set("new").add("x"),
        lambda m: m.set("s").discard("a"),
        lambda m: m.set("s").add("b", ttl=5),
        lambda m: m.set("s").add("b", because=m.set("s").entries()[0]),
        twice,
        lambda m: m.text("t").append("x"),
        lambda m: m.records("r").merge("k", {"b": 1}),
        lambda m: m.retract(m.set("s").entries()[0], why="wrong"),
        lambda m: m.undo(m.counter("c").entries()[0], why="wrong"),
    ],
)
def test_what_is_more_than_a_plain_write_does_not(work: Any) -> None:
    memory = alone()
    memory.set("s").add("a")
    memory.counter("c").add(1)
    memory.records("r").put("k", {"a": 1})
    begun = len(short(memory))
    work(memory)
    assert short(memory)[begun:] == [False]


def test_who_merges_or_leaves_siblings_does_not() -> None:
    ann, bob = alone(), alone("bob")
    ann.register("g").assign("a")
    bob.register("g").assign("b")
    tell(bob, ann)
    ann.counter("c").add(1)
    ann.register("g").assign("c")
    assert short(ann) == [False, False, False, False]
    ann.register("g").assign("d")
    assert short(ann)[4:] == [True]


def test_a_sibling_that_comes_does_not() -> None:
    ann, bob = alone(), alone("bob")
    ann.register("g").assign("a")
    ann.register("g").assign("b")
    bob.set("s").add("x")
    bob.register("g").assign("c")
    tell(bob, ann)
    assert short(ann) == [False, True, False, False]
    assert len(ann.register("g").entries()) == 2


def test_where_there_are_rules_none_does() -> None:
    boss = Replica("boss").own(tenant="acme", rules=Rules())
    boss.set("s").add("a")
    boss.set("s").add("b")
    assert not any(short(boss, boss.namespace.owner))


def test_a_change_that_is_not_the_next_is_not_taken() -> None:
    store = MemoryStore()
    memory = alone(store=store)
    for value in "abcd":
        memory.set("s").add(value)
    records = list(log_of(memory).records())
    state = State(SCOPE.digest, log_of(memory))
    assert replay(state, records[0]) is None
    state.apply(records[0].change)
    state.apply(records[1].change)
    assert replay(state, records[1]) is None
    assert replay(state, records[3]) is None
    assert replay(state, records[2]._replace(core=records[3].core)) is None  # it follows another one
    assert replay(state, records[2]) is not None


@given(st.binary(max_size=300))
def test_any_bytes_are_skimmed_or_not(data: bytes) -> None:
    skim(data)


@given(st.data())
def test_what_is_skimmed_is_what_is_decoded(data: st.DataObject) -> None:
    memory = alone()
    memory.set("s").add("a", why="because")
    memory.set("s").add("a", why="again")
    core = bytearray(list(log_of(memory).records())[1].core)
    core[data.draw(st.integers(0, len(core) - 1))] = data.draw(st.integers(0, 255))
    found = skim(bytes(core))
    if found is not None:
        try:
            change = decode(record(bytes(core), b""))
        except BadBytes:
            return  # it does not check all: what is kept was checked when it came
        head, part, _ = found
        assert (head.seq, head.prev, head.hlc, head.actor) == (change.seq, change.prev, change.hlc, change.actor)
        assert change.parts == (part,)
