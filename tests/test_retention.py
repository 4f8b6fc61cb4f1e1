"""Retention: what is pruned changes nothing that shows, and no verdict; what is gone is said to be gone."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, StoreError, ValueRefused
from crdtmem.checkpoint import KEPT
from tests.crew import Time, alone, tell

KEY = Identity(bytes(32))


def kept(memory: Memory) -> int:
    return sum(1 for _ in memory._document.log.records())


def act(rng: Random, memory: Memory, n: int) -> Any:
    cells, text = memory.sequence("l"), memory.text("t")
    what = rng.choice((*range(11), *[5, 6, 7] * 5))
    if what == 0:
        memory.set("s").add(n % 4)
    elif what == 1:
        memory.set("s").discard(n % 4)
    elif what == 2:
        memory.register("r").assign(n)
    elif what == 3:
        memory.records("d").merge("ab"[n % 2], {"xyz"[n % 3]: n})
    elif what == 4:
        memory.counter("n").add(n)
    elif what == 5:
        cells.insert(rng.randrange(len(cells) + 1), n)
    elif what == 6 and len(cells):
        cells.remove(rng.randrange(len(cells)))
    elif what == 7 and len(cells) > 1:
        cells.move(rng.randrange(len(cells)), rng.randrange(len(cells)))
    elif what == 8 and len(text):
        text.delete(0, 1)
    else:
        text.insert(rng.randrange(len(text) + 1), ["ab", "é", "\U0001f600"][n % 3])


@pytest.mark.parametrize("seed", range(40))
def test_replicas_that_prune_end_as_one_that_never_did(seed: int) -> None:
    """What others lack is carried past the pruned logs; nothing waits, also not for what was deleted and pruned."""
    rng = Random(seed)
    stores = [MemoryStore() for _ in range(3)]
    memories = [alone(f"agent{n}", store=store, identity=KEY) for n, store in enumerate(stores)]
    known: list[list[bytes]] = [[], [], []]
    for n in range(rng.randrange(10, 60)):
        who = rng.randrange(3)
        memory = memories[who]
        if rng.random() < 0.15:
            other = rng.randrange(3)
            memories[other].receive(known[who])
            known[other] += [record for record in known[who] if record not in known[other]]
            continue
        before = memory.version
        act(rng, memory, n)
        known[who] += memory.changes(before)
        if rng.random() < 0.1:
            shown = memory.digest(), memory.version
            memory.prune(keep=rng.randrange(8))
            assert (memory.digest(), memory.version) == shown
        if rng.random() < 0.1:
            shown = memory.digest(), memory.version
            memory = memories[who] = alone(f"again{n}", store=stores[who], identity=KEY)
            assert (memory.digest(), memory.version) == shown
    everything = [record for records in known for record in records]
    witness = alone("witness")
    assert witness.receive(everything).waiting == 0
    for memory in memories:
        assert memory.receive(everything).waiting == 0
        assert (memory.digest(), memory.version) == (witness.digest(), witness.version)


def filled(count: int = 20, **options: Any) -> Memory:
    memory = alone(store=MemoryStore(), **options)
    for n in range(count):
        memory.register("r").assign(n)
    return memory


def test_by_count_the_newest_stay() -> None:
    ann = filled()
    then = ann.version
    ann.register("r").assign("last")
    size = ann._document.log.size()
    pruning = ann.prune(keep=5)
    assert (pruning.changes, kept(ann), pruning.size_before) == (16, 5, size)
    assert str(pruning) == f"16 changes pruned: {size:,} bytes before, {pruning.size_after:,} after"
    assert ann.register("r").value == "last"
    assert ann.at(then).register("r").value == 19
    assert len(ann.checkpoints) == KEPT
    assert ann.prune(keep=5).changes == 0


def test_by_age_what_is_younger_stays() -> None:
    time = Time()
    ann = alone(store=MemoryStore(), time=time)
    for n in range(4):
        ann.set("s").add(n)
        time.passes(60)
    assert ann.prune(older_than=timedelta(minutes=10)).changes == 0
    assert ann.prune(older_than=timedelta(seconds=150)).changes == 2
    assert ann.prune(older_than=datetime.fromtimestamp(time.now - 100, UTC)).changes == 1
    assert ann.prune(older_than=timedelta(0), keep=1).changes == 0
    assert set(ann.set("s")) == {0, 1, 2, 3}
    with pytest.raises(ValueRefused, match="a moment needs a time zone"):
        ann.prune(older_than=datetime(2030, 1, 1))


def test_what_was_pruned_is_said_to_be_gone() -> None:
    ann = filled()
    old = ann.register("r").siblings[0]
    then = ann.version
    for n in range(20):
        ann.register("r").assign(f"new {n}")
    ann.prune(keep=10)
    for ask in (lambda: ann.at(then).digest(), ann.changes, lambda: ann.changes(then), lambda: ann.undo(old, why="x")):
        with pytest.raises(StoreError, match="pruned"):
            ask()
    assert len(list(ann.audit())) == 20  # ten assigns, each with what it superseded


def test_a_replica_that_has_what_was_pruned_gets_the_rest() -> None:
    ann, bob = filled(), alone("bob")
    tell(ann, bob)
    ann.prune()
    since = bob.version
    ann.set("s").add("new")
    bob.set("s").add("bob's")
    assert bob.receive(ann.changes(since)).applied == 1
    assert ann.receive(bob.changes(since)).waiting == 0
    assert ann.digest() == bob.digest()


def test_a_live_entry_whose_change_was_pruned_can_be_retracted() -> None:
    ann = alone(store=MemoryStore())
    source, item, word = ann.set("s").add("x"), ann.sequence("l").append("y"), ann.text("t").append("z")
    rests = ann.register("r").assign("brief", because=[source])
    ann.prune()
    for entry in (source, item, word):
        ann.retract(entry, why="wrong")
    assert (set(ann.set("s")), list(ann.sequence("l")), str(ann.text("t"))) == (set(), [], "")
    assert rests.tainted


def test_pruning_survives_a_restart_and_damaged_checkpoints_fall_back() -> None:
    store = MemoryStore()
    ann = alone(store=store, identity=KEY)
    ann.counter("n").add(1)
    for _ in range(29):
        ann.counter("n").add(1)
    ann.prune(keep=3)
    log = ann._document.log
    for name in [name for name in log.names() if name.startswith("checkpoint/")][-2:]:
        log.put(name, b"damaged")
    again = alone(store=store, identity=KEY)
    assert again.counter("n").value == 30
    assert again.digest() == ann.digest()


def test_the_audit_tells_what_stays_and_of_what_was_pruned_nothing_even_if_it_is_made_anew() -> None:
    ann = filled()
    ann.text("t").append("ab")
    ann.prune(keep=2)
    assert [event.action for event in ann.audit()] == ["added", "superseded", "added"]
    store = MemoryStore()
    bob = alone("bob", store=store, identity=KEY)
    for n in range(9):
        bob.set("s").add(n)
    bob.prune(keep=3)
    again = alone("again", store=store, identity=KEY)
    again._document.log._index = None  # type: ignore[attr-defined]
    again = alone("again", store=store, identity=KEY)
    assert [event.value for event in again.audit()] == [6, 7, 8]
