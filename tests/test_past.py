"""The past: every version that was can be read again, on every replica, whatever has come since; and a moment too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given

from crdtmem import (
    EntryId,
    Identity,
    Memory,
    MemoryStore,
    NotReached,
    ReadOnly,
    Replica,
    StoreError,
    ValueRefused,
    Version,
)
from crdtmem.change import COUNTER, SEQUENCE, SET, TEXT, Keyed, Ordered, decode
from crdtmem.identity import client_id
from tests.crew import SCOPE, Time, alone, crew, exchange, tell, tick
from tests.forger import Forger
from tests.hostile import Evil, Round
from tests.stories import ACTS, STEPS, Step, content, entries, play


def reopened(memory: Memory) -> Memory:
    """A replica that knows the same, and got it all at once."""
    other = alone("other")
    tell(memory, other)
    return other


@given(STEPS)
def test_every_version_that_was_can_be_read_again_everywhere(steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cyd")
    marks = []
    for step in steps:
        memory = play(memories, step)
        marks.append((memory.version, memory.digest(), entries(memory), repr(memory)))
        version, digest, shown, _ = marks[len(marks) // 2]
        if memory.reached(version):
            assert (memory.at(version).digest(), entries(memory.at(version))) == (digest, shown)
    exchange(*memories)
    for memory in (*memories, reopened(memories[0])):
        for version, digest, shown, named in marks:
            then = memory.at(str(version))
            assert (then.digest(), then.version, entries(then)) == (digest, version, shown)
            assert repr(then).partition(" of ")[2].partition(": ")[2] == named.partition(" of ")[2].partition(": ")[2]


@given(STEPS)
def test_a_pinned_memory_stays_what_it_was_when_more_comes_before_it_is_read(steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cyd")
    pinned = []
    for step in steps:
        memory = play(memories, step)
        pinned.append((memory.at(memory.version), memory.digest(), entries(memory)))
    exchange(*memories)
    for then, digest, shown in pinned:
        assert (entries(then), then.digest()) == (shown, digest)


@given(STEPS)
def test_a_moment_shows_what_was_stamped_until_then_and_what_that_rests_on(steps: list[Step]) -> None:
    """With clocks that agree, that is what a replica showed which had heard everything at once."""
    time = Time()
    memories = crew("ann", "bob", "cyd", time=time)
    marks = []
    for who, what, n, to in steps:
        time.passes(1)
        memory = play(memories, (who, what, n, to))
        exchange(*memories)
        marks.append((datetime.fromtimestamp(time.now + 0.5, UTC), memory.version, memory.digest()))
    for moment, version, digest in marks:
        for memory in memories:
            then = memory.at(moment)
            assert then.digest() == digest
            assert memory.at(then.version).digest() == digest
            assert {head[:2] for head in version.heads} <= {head[:2] for head in then.version.heads}


def test_a_moment_takes_in_what_later_stamps_rest_on_and_nothing_else() -> None:
    """A writer whose clock is behind builds on what is stamped later: the moment keeps the past whole."""
    late = Time()
    ann, bob = alone("ann", time=Time(late.now + 100)), alone("bob", time=late)
    ann.set("s").add("seen")
    ann.set("s").add("unseen")
    bob.receive(ann.changes()[:1])
    tell(ann, bob)
    assert list(bob.at(datetime.fromtimestamp(late.now + 50, UTC)).set("s")) == []
    assert sorted(bob.at(datetime.fromtimestamp(late.now + 200, UTC)).set("s")) == ["seen", "unseen"]


def test_before_the_first_change_there_is_nothing_and_after_the_last_all() -> None:
    ann = alone()
    ann.set("s").add("x")
    assert ann.at(datetime(1970, 1, 1, tzinfo=UTC)).fields() == {}
    assert ann.at(datetime(2999, 1, 1, tzinfo=UTC)).digest() == ann.digest()
    assert ann.at(Version(SCOPE.digest, ())).fields() == {}


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueRefused, match=r"a moment needs a time zone: datetime.now\(UTC\)"):
        alone().at(datetime.now())


@pytest.mark.parametrize("seed", range(6))
def test_what_forged_and_void_changes_did_is_read_again_too(seed: int) -> None:
    class Watched(Round):
        marks: list[tuple[Version, str]] = []  # noqa: RUF012

        def send(self, record: bytes) -> Any:
            got = super().send(record)
            memory = self.victim.memory
            if got.applied:
                self.marks.append((memory.version, memory.digest()))
            return got

    Watched.marks = []
    watched = Watched(seed, 120)
    watched.run()
    memory = watched.victim.memory
    assert len(Watched.marks) > 10
    for version, digest in Watched.marks:
        assert memory.at(version).digest() == digest


def test_a_void_part_takes_no_other_part_of_its_change_along() -> None:
    """Also not one for a field of the same name and another kind."""
    ann, mallory = alone(), Forger()
    nowhere = (mallory.client, 0, 1)
    parts = (Keyed(SET, "f", None, (("x",),), ()), Ordered(SEQUENCE, "f", None, ((None, ("y",)),), (nowhere,), ()))
    ann.receive([mallory.write(Keyed(SET, "f", None, (("a",),), ()))])
    before, digest = ann.version, ann.digest()
    [refusal] = ann.receive([mallory.write(*parts)]).refused
    assert refusal.reason.startswith("void: f: ")
    assert sorted(ann.set("f")) == ["a", "x"]
    assert (ann.at(before).digest(), list(ann.at(before).set("f"))) == (digest, ["a"])


def test_it_reads_and_refuses_every_write() -> None:
    ann = alone()
    entry = ann.register("r").assign(1)
    source = ann.set("s").add("x")
    start = ann.version
    ann.register("r").assign(2)
    then = ann.at(start)
    for write in (
        lambda: then.register("r").assign(3),
        lambda: then.retract(entry, why="x"),
        lambda: then.affirm(entry, why="x"),
        lambda: then.undo(source, why="x"),
        lambda: then.restore(start, why="x"),
        lambda: then.checkpoint(),
        lambda: then.receive([]),
        lambda: then.changes(),
        lambda: then.at(start),
        lambda: then.diff(start),
        lambda: then.changed(print),
        lambda: then.__class__.change(then).__enter__(),
    ):
        with pytest.raises(ReadOnly, match="pinned at a version"):
            write()
    assert then.digest() != ann.digest()


def test_a_pinned_memory_tells_its_disagreements_and_what_came_since_another_version() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("old")
    start = ann.version
    tell(ann, bob)
    for memory, n in ((ann, 1), (bob, 2)):
        memory.register("r").assign(n)
        memory.records("d").merge("k", {"a": n})
    exchange(ann, bob)
    ann.set("s").add("new")
    version = ann.version
    ann.register("r").clear()
    ann.records("d").pop("k")
    ann.set("s").discard("old")
    then = ann.at(version)
    assert [(c.field, c.key) for c in then.conflicts()] == [("r", None), ("d", "k")]
    assert then.fields() == {"d": "records", "r": "register", "s": "set"}
    assert [entry.value for entry in then.set("s").entries(since=start)] == ["new"]
    assert sorted(then.set("s")) == ["new", "old"]
    assert ann.conflicts() == []


def test_a_counter_of_the_past_has_its_totals_and_their_steps() -> None:
    ann, bob = crew("ann", "bob")
    marks = []
    for memory, step in ((ann, 5), (bob, 7), (ann, -2), (ann, 100), (bob, 1)):
        memory.counter("n").add(step)
        exchange(ann, bob)
        shown = sorted((entry.by, entry.value, entry.extra) for entry in ann.counter("n").entries())
        marks.append((ann.version, ann.counter("n").value, shown))
    for version, value, shown in marks:
        field = bob.at(version).counter("n")
        assert field.value == value
        assert sorted((entry.by, entry.value, entry.extra) for entry in field.entries()) == shown


def test_two_totals_in_one_forged_part_and_a_change_that_only_takes_back() -> None:
    ann, mallory = alone(), Forger()
    ann.receive([mallory.write(Keyed(COUNTER, "n", None, ((3,), (10,)), ()))])
    ann.receive([mallory.write(Keyed(COUNTER, "n", None, ((2, None, (mallory.session, 1, 1)),), ()))])
    version = ann.version
    assert ann.counter("n").value == 8
    ann.receive([mallory.write(Keyed(COUNTER, "n", None, ((50,),), ()))])
    [entry] = ann.at(version).counter("n").entries()
    assert (ann.at(version).counter("n").value, entry.value, entry.extra) == (8, 10, 7)


def test_it_shows_what_has_expired_since_and_a_moved_entry_with_its_time() -> None:
    time = Time()
    ann = alone(time=time)
    ann.sequence("q").extend(["x", "y"], ttl=5)
    ann.sequence("q").move(0, 1)
    version = ann.version
    time.passes(6)
    assert list(ann.sequence("q")) == []
    then = ann.at(version).sequence("q")
    assert list(then) == ["y", "x"]
    assert [entry.ttl for entry in then.entries()] == [5, 5]


def test_a_version_that_is_not_here_is_not_reached() -> None:
    ann, bob = crew("ann", "bob")
    bob.set("s").add("x")
    with pytest.raises(NotReached):
        ann.at(bob.version)
    assert not ann.reached(bob.version)


def test_a_version_whose_heads_lie_over_each_other_is_the_newest_of_them() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add(1)
    first = ann.version
    tell(ann, bob)
    bob.set("s").add(2)
    tell(bob, ann)
    both = Version(SCOPE.digest, tuple(sorted((*first.heads, *ann.version.heads))))
    ann.set("s").add(3)
    assert sorted(ann.at(both).set("s")) == [1, 2]


def test_the_past_before_damage_says_so_and_the_past_behind_it_stays() -> None:
    store = MemoryStore()
    ann = Replica("ann", store=store, identity=Identity(bytes(32)), time=tick).open(SCOPE)
    marks = []
    for n in range(4):
        ann.set("s").add(n)
        ann.set("s").discard(n)
        marks.append((ann.version, ann.digest()))
    ann.checkpoint()
    ann.set("s").add("after")
    log: Any = store.open(SCOPE)
    lost = decode(ann.changes()[3])
    log._records[log._chains[lost.session].places[3]] = None
    again = Replica("ann", store=store, time=tick).open(SCOPE)
    assert again.at(marks[3][0]).digest() == marks[3][1]
    with pytest.raises(StoreError):
        again.at(marks[0][0])


@pytest.mark.parametrize("act", ACTS)
def test_each_act_alone_can_be_looked_behind(act: str) -> None:
    ann = alone()
    for n in range(3):
        for name in ("add", "append", "write", "put", "count", "assign"):
            ACTS[name](ann, n, 0)
    before, digest, shown = ann.version, ann.digest(), content(ann)
    ACTS[act](ann, 1, 2)
    assert (ann.at(before).digest(), content(ann.at(before))) == (digest, shown)


def test_time_zones_do_not_matter_and_neither_does_who_asks() -> None:
    time = Time()
    ann = alone(time=time)
    ann.set("s").add("x")
    moment = datetime.fromtimestamp(time.now + 1, UTC)
    time.passes(10)
    ann.set("s").discard("x")
    for shown in (moment, moment.astimezone(), moment + timedelta(seconds=5)):
        assert list(ann.acting_as("other").at(shown).set("s")) == ["x"]


def test_an_entry_that_never_was_is_not_in_the_past() -> None:
    """A removal may name what nobody wrote; looking back finds nothing there, and raises nothing."""
    ann, mallory = alone(), Forger()
    entry = ann.set("s").add("x")
    before, digest = ann.version, ann.digest()
    for n in (1, 1 << 20, (5 << 20) + 7):
        ann.receive([mallory.write(Keyed(SET, "s", None, (), (tuple(EntryId(*entry.id[:2], n)),)), seen=ann)])
    ann.receive([mallory.write(Keyed(SET, "other", None, (), (tuple(entry.id),)), seen=ann)])
    assert (ann.at(before).digest(), ann.digest()) == (digest, digest)


@pytest.mark.parametrize("first", [0, 1])
def test_what_two_removed_at_once_is_gone_in_a_version_that_had_heard_of_one(first: int) -> None:
    """The other removal comes later, names the same, and has nothing to bring back."""
    memories = crew("ann", "bob")
    with memories[0].change():
        memories[0].set("s").add("x")
        memories[0].register("r").assign("x")
        memories[0].records("d").put("k", {"a": 1})
        memories[0].text("t").append("abc")
        memories[0].sequence("q").extend([1, 2])
    exchange(*memories)
    for memory in memories:
        with memory.change():
            for act in ("delete", "clear", "cut", "remove"):
                ACTS[act](memory, 0, 2)
            memory.set("s").discard("x")
    version, digest, shown = memories[first].version, memories[first].digest(), content(memories[first])
    exchange(*memories)
    for memory in memories:
        assert (memory.at(version).digest(), content(memory.at(version))) == (digest, shown)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("pruned", [False, True])
def test_what_two_removed_at_once_stays_gone_when_the_first_removal_is_pruned(pruned: bool, moved: bool) -> None:  # noqa: FBT001
    ann, bob = alone("ann", store=MemoryStore()), alone("bob")
    ann.sequence("l").extend(["x", "y", "z"])
    ann.text("t").append("xyz")
    tell(ann, bob)
    since = bob.version
    with bob.change():
        bob.sequence("l").remove(0)
        bob.sequence("l").remove(0)
        bob.text("t").delete(0, 2)
    if moved:
        ann.sequence("l").move(0, 2)
    ann.sequence("l").remove("yzx".index("x") if moved else 0)
    ann.text("t").delete(0, 1)
    then, shown, text = ann.version, list(ann.sequence("l")), str(ann.text("t"))
    if pruned:
        ann.prune()
    ann.receive(bob.changes(since))
    assert (list(ann.sequence("l")), str(ann.text("t"))) == (["z"], "z")
    past = ann.at(then)
    assert (list(past.sequence("l")), str(past.text("t"))) == (shown, text)


def test_of_a_text_and_a_sequence_of_one_name_the_one_that_is_void_takes_nothing_along() -> None:
    ann, bob, evil = alone("ann"), alone("bob"), Evil(Random(1), SCOPE.digest)
    ann.text("a").append("xy")
    bob.sequence("a").append(1)
    memory = alone("cyd")
    tell(ann, memory)
    tell(bob, memory)
    before, shown = memory.version, memory.digest()
    of_ann, of_bob = (client_id(one.version.heads[0].session) for one in (ann, bob))
    unseen = evil.part(SEQUENCE, "a", [[[of_bob, 0], [2]]], [], [])
    memory.receive([evil.write(unseen, evil.part(TEXT, "a", [], [[of_ann, 0, 1]], []))])
    assert list(memory._document.state.voids.values()) == [{0: "a run names a unit that its author had not seen"}]
    assert str(memory.text("a")) == "y"
    assert str(memory.at(before).text("a")) == "xy"
    assert memory.at(before).digest() == shown
