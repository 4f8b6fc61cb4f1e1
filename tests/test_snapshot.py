"""A state as bytes and back: what comes back is the same, and behaves the same ever after."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given

from crdtmem import BadBytes, Memory, MemoryStore, Replica, snapshot
from crdtmem.change import REGISTER, SEQUENCE, TEXT, Keyed, Ordered, decode
from crdtmem.entry import Stamp
from crdtmem.fields.ordered import Ordered as Units
from crdtmem.snapshot import FORMAT, Snapshot, restore
from crdtmem.state import State
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.forger import Forger
from tests.hostile import Round
from tests.stories import STEPS, Step, entries, play


def dumped(state: State) -> bytes:
    return b"".join(Snapshot(state).pieces())


def twin(state: State) -> State:
    """The state that came back from its bytes, over the same log."""
    return restore(dumped(state), state.namespace, state._log, state.digest())


def told(entry: Any) -> Any:
    return None if entry is None else (entry._id, entry.field, entry.key, entry._frozen, entry._about, entry.extra)


def inside(state: State) -> dict[str, Any]:
    """All that a state holds, in plain values."""
    found: dict[Any, Any] = {
        "version": state.version,
        "digest": state.digest(),
        "count": state.count,
        "voids": state.voids,
        "taint": (state.taint.tainted, state.taint.retracted, state.taint.affirmed, state.taint.causes),
        "dependents": {id: sorted(others) for id, others in state.taint.dependents.items()},
        "heads": state.heads,
        "writers": {id: (w.client, w.key, w.agent, w.role, w.seq, w.hash, w.saw) for id, w in state.sessions.items()},
    }
    for at, field in state.fields.items():
        if not field.size():
            continue
        if isinstance(field, Units):
            owners = [
                (type(o), o._id, told(getattr(o, "entry", None)), stamped(o._stamp)) for o in field.units.owners()
            ]
            found[at] = (
                owners,
                list(field.units.clocks()),
                bytes(field.units.alive()),
                field.units.chars(),
                field.dead,
                field.moves,
            )
            found[at, "marks"] = (field.ticks, field.pairs, field.voids, field.latest, bool(field.mortal))
            found[at, "read"] = (list(map(told, field.entries())) if at[0] == SEQUENCE else field.text, field.digest())
            field.encoded()  # what Yjs is told later it knows then
            found[at, "yjs"] = str(field._root)
        else:
            found[at] = {id: (told(e), e._weight, stamped(e._stamp)) for id, e in field.by_id.items()}
            found[at, "keys"] = {key: list(map(told, field.live(key))) for key in field.by_key}
            found[at, "sums"] = (field.forked, field.total, field.sum % 2**128, field.mortal)
    return deepcopy(found)


def stamped(stamp: Stamp) -> Any:
    return stamp.writer.id, stamp.seq, stamp.hlc, stamp.actor


@given(STEPS, STEPS)
def test_it_comes_back_the_same_and_takes_what_follows_the_same_way(before: list[Step], after: list[Step]) -> None:
    """The twin is given every further change, of all three writers, in the order the first got them."""
    memories = crew("ann", "bob", "cyd")
    for step in before:
        play(memories, step)
    state = memories[0]._document.state
    copy = twin(state)
    assert inside(copy) == inside(state)
    with memories[0].changed(lambda batch: None), followed(state, copy):  # who is watched applies all one way
        for step in after:
            play(memories, step)
        exchange(*memories)
    assert inside(copy) == inside(state)
    assert inside(twin(copy)) == inside(state)


@contextmanager
def followed(state: State, copy: State) -> Iterator[None]:
    """Whatever is applied to the one is applied to the other, and does the same."""
    apply = State.apply

    def both(self: State, change: Any, *staged: Any) -> Any:
        effect = apply(self, change, *staged)
        if self is state:
            again = apply(copy, change)
            assert [list(map(told, some)) for some in effect[2:4]] == [list(map(told, some)) for some in again[2:4]]
            assert effect[4:] == again[4:]
        return effect

    State.apply = both  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        State.apply = apply  # type: ignore[method-assign]


@given(STEPS, STEPS)
def test_a_replica_that_starts_from_it_writes_what_others_understand(before: list[Step], after: list[Step]) -> None:
    """Its own edits build on what came back: their places, clocks and totals must fit."""
    stores = [MemoryStore() for _ in range(3)]
    names = ("ann", "bob", "cyd")
    replicas = [Replica(name, store=store) for name, store in zip(names, stores, strict=True)]
    memories = [replica.open(SCOPE) for replica in replicas]
    for step in before:
        play(memories, step)
    for number in (0, 1):
        memories[number].checkpoint()
        shown = entries(memories[number])
        replicas[number].close()
        memories[number] = Replica(names[number], store=stores[number]).open(SCOPE)
        assert entries(memories[number]) == shown
    for step in after:
        play(memories, step)
    exchange(*memories)
    shown = entries(memories[0])
    assert [entries(memory) for memory in memories] == [shown] * 3
    reader = alone("reader")
    tell(memories[2], reader)
    assert (entries(reader), reader.digest()) == (shown, memories[0].digest())


@pytest.mark.parametrize("seed", range(6))
def test_what_forged_and_void_changes_left_comes_back_too(seed: int) -> None:
    hostile = Round(seed, 150)
    hostile.run()
    state = hostile.victim.memory._document.state
    assert state.voids
    copy = twin(state)
    assert inside(copy) == inside(state)
    hostile.friend.memory.receive(hostile.victim.memory.changes())
    for _ in range(30):
        hostile.friend.write()
    for record in hostile.friend.memory.changes(hostile.victim.memory.version):
        change = decode(record)
        if change.seq > (state.sessions[change.session].seq if change.session in state.sessions else 0):
            assert state.apply(change)[4:] == copy.apply(change)[4:]
    assert inside(copy) == inside(state)


def test_taint_comes_back_and_falls_and_lifts_as_before() -> None:
    ann = alone()
    sources = [ann.set("s").add(n) for n in range(3)]
    middle = ann.register("r").assign(1, because=[sources[0]])
    brief = ann.text("t").append("brief", because=[middle])
    ann.register("r").assign(2, because=[sources[1]])
    notes = [ann.retract(sources[0], why="wrong"), ann.retract(sources[1], why="wrong")]
    answer = ann.affirm(ann.register("r").entries()[0], why="holds")
    state = ann._document.state
    copy = twin(state)
    assert inside(copy) == inside(state)
    assert [entry.tainted for entry in copy.fields[TEXT, "t"].shares()] == [True]  # type: ignore[union-attr]
    assert [entry.tainted for entry in copy.fields[REGISTER, "r"].by_id.values()] == [False]  # type: ignore[union-attr]
    start = ann.version
    ann.undo(answer, why="no")
    ann.undo(notes[0], why="no")
    ann.retract(sources[2], why="wrong")
    for record in ann.changes(start):
        copy.apply(decode(record))
    assert inside(copy) == inside(state)
    assert not brief.tainted


def test_a_field_that_has_been_emptied_keeps_its_past() -> None:
    store = MemoryStore()
    ann = Replica("ann", store=store).open(SCOPE)
    ann.set("s").add("x")
    ann.counter("n").add(1)
    ann.text("t").append("abc")
    version = ann.version
    ann.set("s").discard("x")
    ann.text("t").delete(0, 3)
    ann.checkpoint()
    again = Replica("ann", store=store).open(SCOPE)
    assert (list(again.at(version).set("s")), str(again.at(version).text("t"))) == (["x"], "abc")
    again.restore(version, why="back")
    assert (list(again.set("s")), str(again.text("t"))) == (["x"], "abc")


def test_a_moved_entry_keeps_its_time_to_live() -> None:
    time, store = Time(), MemoryStore()
    ann = Replica("ann", store=store, time=time).open(SCOPE)
    ann.sequence("q").append("x", ttl=5)
    ann.sequence("q").append("y")
    ann.sequence("q").move(0, 1)
    ann.checkpoint()
    again = Replica("ann", store=store, time=time).open(SCOPE)
    time.passes(6)
    assert list(again.sequence("q")) == list(ann.sequence("q")) == ["y"]


def test_a_run_written_where_its_author_had_written_last_lands_where_it_would_have() -> None:
    """What `latest` and `saw` are kept for: the neighbour of the day would be another."""
    ann, bob = crew("ann", "bob")
    ann.text("t").append("ac")
    exchange(ann, bob)
    ann.text("t").insert(1, "1")
    for n, piece in enumerate("xyz"):
        bob.text("t").insert(1 + n, piece)
    readers = [alone("one"), alone("two")]
    for reader in readers:
        tell(bob, reader)
        tell(ann, reader)
    state = readers[1]._document.state
    copy = twin(state)
    bob.text("t").insert(4, "w")
    ann.text("t").insert(2, "2")
    with followed(state, copy):
        tell(ann, readers[1])
        tell(bob, readers[1])
    assert inside(copy) == inside(state)
    tell(bob, readers[0])
    tell(ann, readers[0])
    assert copy.digest() == readers[0]._document.state.digest()


def test_it_is_of_one_namespace_and_one_format() -> None:
    ann = alone()
    ann.set("s").add("x")
    state = ann._document.state
    data, log = dumped(state), MemoryStore().open(SCOPE)
    with pytest.raises(BadBytes, match="another format, or of another namespace"):
        restore(data, bytes(16), log, state.digest())
    newer = data[:5] + bytes([FORMAT + 1]) + data[6:]
    with pytest.raises(BadBytes, match="another format"):
        restore(newer, SCOPE.digest, log, state.digest())
    for short in (b"", data[:3], data[:-1], data + b"\x00\x00\x00\x09"):
        with pytest.raises(BadBytes):
            restore(short, SCOPE.digest, log, state.digest())
    with pytest.raises(BadBytes, match="it does not give the state it was made of"):
        restore(data, SCOPE.digest, log, bytes(32))


def lived() -> Memory:
    """A memory with something of everything in it."""
    memories = crew("ann", "bob")
    mallory = Forger()
    rng = random.Random(5)
    names = ("insert", "write", "move", "cut", "remove", "put", "merge", "assign", "count", "add", "tell", "tell")
    for _ in range(60):
        play(memories, (rng.randrange(2), rng.choice(names), rng.randrange(9), rng.randrange(9)))
    exchange(*memories)
    ann = memories[0]
    bad = Ordered(TEXT, "t", None, ((None, "\U0001f600"), ((mallory.client, 0), "y")), (), ())
    ann.receive([mallory.write(bad, Keyed(REGISTER, "r", ("why", None, 0.5), ((7,),), ()))])
    source = ann.set("s").add("source", ttl=9)
    ann.set("s").add("brief", because=[source])
    ann.retract(source, why="wrong")
    assert ann._document.state.voids
    return ann


def test_any_bytes_give_a_state_or_bad_bytes() -> None:
    state = lived()._document.state
    data, log = dumped(state), MemoryStore().open(SCOPE)
    rng = random.Random(1)
    came_back = 0
    for _ in range(2000):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(broken))
            how = rng.randrange(4)
            if how == 0:
                broken[at] ^= 1 << rng.randrange(8)
            elif how == 1:
                broken[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
            elif how == 2:
                broken[at] = rng.choice((0, 0x7F, 0x80, 0x90, 0xC0, 0xCF, 0xD3, 0xDD, 0xFF))
            else:
                del broken[at:]
                broken = broken or bytearray(b"\x00")
        try:
            restore(bytes(broken), state.namespace, log, state.digest())
        except BadBytes:
            continue
        came_back += 1  # what is altered is told by a hash of all of it, and not here
    assert 0 < came_back < 1000


@pytest.mark.parametrize("length", [2**31, 2**62, -1, 0])
def test_lengths_are_not_believed(length: int) -> None:
    ann = alone()
    ann.text("t").append("abc")
    real = snapshot._units

    def units(*args: Any) -> Any:
        kind, name, stamps, table, runs, *rest = real(*args)
        return (kind, name, stamps, table, [runs[0], length], *rest)

    snapshot._units = units  # type: ignore[assignment]
    try:
        data = dumped(ann._document.state)
    finally:
        snapshot._units = real
    with pytest.raises(BadBytes):
        restore(data, SCOPE.digest, ann._document.log, ann._document.state.digest())


def test_it_is_taken_at_a_moment_and_written_while_the_memory_goes_on() -> None:
    ann = alone()
    for n in range(700):
        ann.set("s").add(n)
    ann.sequence("q").extend(range(50))
    ann.text("t").append("abc" * 50)
    state = ann._document.state
    due = inside(state)
    taken = Snapshot(state)
    pieces = []
    for number, piece in enumerate(taken.pieces()):
        pieces.append(piece)
        ann.set("s").discard(number)
        ann.set("new").add(number)
        ann.sequence("q").move(0, -1)
        ann.sequence("q").remove(0)
        ann.text("t").delete(number, number + 1)
    assert len(pieces) > 5
    found = restore(b"".join(pieces), state.namespace, state._log, taken.digest)
    assert inside(found) == due
