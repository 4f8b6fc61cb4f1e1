"""Two histories under one session: proved by their records, told to everyone, void from where they part."""

from __future__ import annotations

import logging
import os
import random
from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, Replica, SqliteStore
from crdtmem.change import decode, record
from tests.crew import SCOPE, tick
from tests.hostile import SET, TEXT, Evil
from tests.trusted import copied


def fresh(name: str, **options: Any) -> Memory:
    return Replica(name, time=tick, **options).open(SCOPE)


def pass_on(*memories: Memory) -> None:
    for _ in range(3):
        for giver in memories:
            for taker in memories:
                if giver is not taker:
                    taker.receive(giver.changes())
    assert len({memory.digest() for memory in memories}) == 1
    assert len({memory.version for memory in memories}) == 1


def twins(store: MemoryStore | None = None) -> tuple[Memory, Memory]:
    """A process that wrote, and its copy: both go on with one session."""
    store, identity = store or MemoryStore(), Identity()
    one = fresh("ann", store=store, identity=identity)
    one.set("s").add("before")
    one.text("t").append("ab")
    two = fresh("ann", store=copied(store), identity=identity)
    session = one._document.session
    assert session is not None
    two._document.session = two._document.state.sessions[session.id]
    two._document.seals._sealed[session.id] = session.seq
    return one, two


def test_neither_history_counts_and_everyone_is_told(caplog) -> None:
    one, two = twins()
    bob, eve = fresh("bob"), fresh("eve")
    one.set("s").add("one")
    two.set("s").add("two")
    two.set("s").add("two more")
    bob.receive(one.changes())
    eve.receive(two.changes())
    assert set(bob.set("s")) == {"before", "one"}
    with caplog.at_level(logging.WARNING, "crdtmem"):
        got = bob.receive(eve.changes())
    assert any("two histories" in refusal.reason for refusal in got.refused)
    assert "two histories" in caplog.text
    pass_on(bob, eve, one, two)
    late = fresh("late")
    late.receive(bob.changes())
    for memory in (one, two, bob, eve, late):
        assert set(memory.set("s")) == {"before"}
        [told] = memory.equivocations
        assert (told.by, told.seq) == ("ann", 3)
    assert late.digest() == bob.digest()
    one.set("s").add("in a session of its own")
    pass_on(one, two, bob, eve)
    assert "in a session of its own" in bob.set("s")


def test_what_others_typed_into_it_stays() -> None:
    one, two = twins()
    bob, eve = fresh("bob"), fresh("eve")
    one.text("t").append("CD")
    two.text("t").append("ef")
    bob.receive(one.changes())
    eve.receive(two.changes())
    bob.text("t").insert(3, "-bob-")
    eve.text("t").insert(3, "-eve-")
    bob.text("t").insert(len(bob.text("t")), "!")
    rests = eve.set("s").add("rests", because=[one.set("s").add("x")])
    pass_on(bob, eve, one, two)
    text = str(bob.text("t"))
    assert sorted(text) == sorted("ab-bob--eve-!")
    assert "-bob-" in text and "-eve-" in text and text.startswith("ab")
    assert eve.set("s").entries(text="rests")[0].tainted or not rests.tainted
    assert str(fresh_from(bob).text("t")) == text


def fresh_from(giver: Memory) -> Memory:
    memory = fresh("late")
    memory.receive(giver.changes())
    return memory


def test_what_rests_on_it_is_tainted() -> None:
    one, two = twins()
    bob = fresh("bob")
    shaky = one.set("s").add("one")
    bob.receive(one.changes())
    rests = bob.register("r").assign("so", because=[shaky])
    two.set("s").add("two")
    bob.receive(two.changes())
    assert rests.tainted


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_it_outlives_a_restart_and_a_checkpoint(kept, tmp_path) -> None:
    one, two = twins()
    store, identity = MemoryStore() if kept == "memory" else tmp_path / "bob.db", Identity()
    one.set("s").add("one")
    two.set("s").add("two")
    with Replica("bob", store=store, identity=identity) as replica:
        bob = replica.open(SCOPE)
        bob.receive(one.changes())
        bob.text("t").append("bob")
        assert [event.value for event in bob.audit(by="ann", field="s")] == ["before", "one"]
        bob.checkpoint()
        bob.receive(two.changes())
        digest, version = bob.digest(), bob.version
        assert [event.value for event in bob.audit(by="ann", field="s")] == ["before"]
    for _ in range(2):
        with Replica("bob", store=store, identity=identity) as replica:
            bob = replica.open(SCOPE)
            assert (bob.digest(), bob.version) == (digest, version)
            assert len(bob.equivocations) == 1
            assert not bob.receive(two.changes()).applied
            assert [event.value for event in bob.audit(by="ann", field="s")] == ["before"]
            assert fresh_from(bob).digest() == digest
            bob.checkpoint()
    if kept == "file":
        reader = Replica("eve", store=SqliteStore(store, readonly=True))
        assert reader.open(SCOPE).digest() == digest


def test_a_fork_is_found_after_pruning_and_over_it() -> None:
    one, two = twins()
    bob = fresh("bob")
    bob.set("s").update(range(20))
    bob.text("t").append("kept")
    bob.receive(one.changes())
    assert bob.prune(keep=1).changes == 3
    one.set("s").add("one")
    two.set("s").add("two")
    bob.receive(one.changes())
    assert "one" in bob.set("s")
    bob.receive(two.changes())
    assert {"one", "two"}.isdisjoint(bob.set("s"))
    assert set(range(20)) <= set(bob.set("s"))
    assert "kept" in str(bob.text("t"))


def test_an_open_block_goes_on_over_what_a_fork_has_taken() -> None:
    one, two = twins()
    bob = fresh("bob")
    gone = one.set("s").add("one")
    one.text("t").append("CD")
    one.sequence("q").extend([1, 2])
    two.set("s").add("two")
    bob.receive(one.changes())
    with bob.change(why="long thought"):
        bob.text("t").insert(3, "-bob-")
        bob.sequence("q").append(3)
        bob.sequence("q").move(0, 1)
        bob.set("s").discard("one")
        bob.register("r").assign("so", because=[gone])
        bob.receive(two.changes())
        bob.text("t").append("!")
    assert sorted(str(bob.text("t"))) == sorted("ab-bob-!")
    assert list(bob.sequence("q")) == [3]
    assert bob.register("r").entries()[0].tainted
    pass_on(bob, one, two, fresh_from(bob))


def test_its_own_author_goes_on_in_a_block() -> None:
    one, two = twins()
    one.set("s").add("one")
    two.set("s").add("two")
    with one.change():
        one.text("t").append("mine")
        one.receive(two.changes())
    assert str(one.text("t")) == "abmine"
    pass_on(one, two)


def test_over_damage_it_waits_and_nothing_more_of_the_session_enters(monkeypatch) -> None:
    one, two = twins()
    bob = fresh("bob")
    one.set("s").add("one")
    two.set("s").add("two")
    bob.receive(one.changes())
    with monkeypatch.context() as patched:
        patched.setattr("crdtmem.rebuild.fits", lambda *_: False)
        bob.receive(two.changes())
        assert bob._document.state.stale
        one.set("s").add("one more")
        assert not bob.receive(one.changes()).applied
        bob.set("s").add("bob goes on")
    bob._document.patience = 0.0
    bob.receive([])
    assert not bob._document.state.stale
    assert set(bob.set("s")) == {"before", "bob goes on"}
    pass_on(bob, one, two)
    assert fresh_from(bob).digest() == bob.digest()


def test_a_crash_between_the_proof_and_the_cut_is_made_good() -> None:
    from crdtmem import forks

    one, two = twins()
    store, identity = MemoryStore(), Identity()
    one.set("s").add("one")
    two.set("s").add("two")
    other = fresh("other")
    other.receive(one.changes())
    other.receive(two.changes())
    [proof] = forks.kept(other._document.log)
    bob = fresh("bob", store=store, identity=identity)
    bob.receive(one.changes())
    bob.checkpoint()
    forks.put(bob._document.log, proof)
    again = fresh("bob", store=store, identity=identity)
    assert again.digest() == other.digest()
    assert again.version == other.version


def test_the_earliest_parting_counts_whatever_is_heard_first() -> None:
    rng = random.Random(5)
    evil = Evil(rng, SCOPE.digest)

    def says(value: str) -> bytes:
        return evil.write(evil.part(SET, "s", [[value]], []))

    root = [says("root")]
    at1 = evil.seq, evil.prev
    a = [says("a2"), says("a3")]
    at3 = evil.seq, evil.prev
    a4 = says("a4")
    evil.seq, evil.prev = at3
    b4 = says("b4")
    evil.seq, evil.prev = at1
    c2 = says("c2")
    everything = [*root, *a, a4, b4, c2]
    digests = set()
    for seed in range(30):
        memory = fresh("bob")
        order = random.Random(seed)
        batches = [*everything]
        order.shuffle(batches)
        while batches:
            memory.receive([batches.pop() for _ in range(min(len(batches), 1 + order.randrange(3)))])
        other = fresh("eve")
        other.receive([*root, *a, a4, b4])
        pass_on(memory, other)
        digests.add((memory.digest(), str(memory.version)))
        assert [told.seq for told in memory.equivocations] == [2]
    assert len(digests) == 1


def test_without_the_seal_of_its_key_there_is_no_proof() -> None:
    rng = random.Random(6)
    evil = Evil(rng, SCOPE.digest)
    mallory = Identity()
    first = evil.write(evil.part(SET, "s", [["a"]], []))
    at = evil.seq, evil.prev
    second = evil.write(evil.part(SET, "s", [["b"]], []))
    evil.seq, evil.prev = at
    rival = decode(evil.write(evil.part(SET, "s", [["c"]], [])))
    bob = fresh("bob")
    bob.receive([first, second])
    for seal in (b"", mallory.sign(rival.hash), bytes(64)):
        bob.receive([record(rival.core, seal)])
        assert set(bob.set("s")) == {"a", "b"}
        assert not bob.equivocations


def test_a_flood_of_rivals_is_bounded() -> None:
    rng = random.Random(7)
    evil = Evil(rng, SCOPE.digest)
    first = evil.write(evil.part(SET, "s", [["a"]], []))
    bob = fresh("bob")
    bob.receive([first])
    evil.seq, evil.prev = 0, b""
    for n in range(3000):
        evil.seq, evil.prev = 0, b""
        bob.receive([evil.write(evil.part(TEXT, "t", [[None, str(n)]], [], []), sealed=False)])
    assert len(bob._document.inbox.rivals) <= 1024
    assert not bob.equivocations


def test_a_store_copied_to_a_second_machine_is_no_fork() -> None:
    """Sessions are never resumed: whoever opens it writes in one of its own."""
    store, identity = MemoryStore(), Identity()
    with Replica("ann", store=store, identity=identity) as replica:
        replica.open(SCOPE).set("s").add("before")
    one, two = (fresh("ann", store=copied(store), identity=identity) for _ in range(2))
    one.set("s").add("one")
    two.set("s").add("two")
    pass_on(one, two)
    assert set(one.set("s")) == {"before", "one", "two"}
    assert not one.equivocations and not two.equivocations


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_process_cannot_go_on_with_the_session() -> None:
    memory = fresh("ann")
    memory.set("s").add("before")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            memory.set("s").add("in the child")
            os.write(writing, b"wrote")
        except Exception as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"ForkedReplica"
    os.close(reading)
    os.close(writing)
