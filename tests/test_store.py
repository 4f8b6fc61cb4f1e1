"""The store in memory keeps to the contract of stores; a replica says what it takes as one."""

from pathlib import Path

import pytest

from crdtmem import Memory, MemoryStore, MisuseError, Replica, Store, StoreError
from tests.crew import SCOPE, Unwilling, alone, crew, exchange, tell
from tests.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return MemoryStore()

    def reopen(self, store: Store, folder: Path) -> Store:
        store.close()
        return store  # it lives as long as the object


def unwilling() -> tuple[Unwilling, Memory]:
    store = Unwilling()
    return store, alone(store=store)


def test_when_the_store_refuses_a_write_nothing_happened() -> None:
    store, ann = unwilling()
    first = ann.set("s").add("kept")
    before = ann.digest(), ann.version, ann.changes()
    told: list[object] = []
    with ann.changed(told.append):
        store.full = True
        for write in (
            lambda: ann.set("s").add("lost"),
            lambda: ann.set("s").discard("kept"),
            lambda: ann.counter("n").add(1),
            lambda: ann.register("r").assign(1),
            lambda: ann.records("d").put("k", 1),
            lambda: ann.sequence("l").extend([1, 2]),
            lambda: ann.text("t").append("lost"),
        ):
            with pytest.raises(StoreError, match="the disk is full"):
                write()
    assert (ann.digest(), ann.version, ann.changes()) == before
    assert ann.fields() == {"s": "set"}
    assert list(ann.set("s")) == ["kept"]
    assert ann.counter("n").value == len(ann.sequence("l")) == len(ann.text("t")) == 0
    assert ann.set("s").entries() == [first]
    assert told == []


def test_a_block_the_store_refuses_leaves_entries_without_a_name() -> None:
    store, ann = unwilling()
    ann.counter("n").add(1)
    with pytest.raises(StoreError), ann.change():
        staged = [ann.counter("n").add(2), ann.sequence("l").append("x"), ann.text("t").append("y")]
        store.full = True
    for entry in staged:
        with pytest.raises(MisuseError):
            _ = entry.id
    assert ann.counter("n").value == 1


def test_after_a_refusal_the_next_write_works_and_never_continues_that_session() -> None:
    store, ann = unwilling()
    [bob] = crew("bob")
    first = ann.set("s").add("before")
    store.full = True
    with pytest.raises(StoreError):
        ann.text("t").append("lost")
    store.full = False
    after = ann.text("t").append("after")
    assert after.id.session != first.id.session
    assert (after.id.seq, after.by) == (1, "ann")
    ann.text("t").append(" that")
    exchange(ann, bob)
    assert str(bob.text("t")) == "after that"
    assert set(bob.set("s")) == {"before"}


def test_when_the_very_first_write_is_refused_the_next_one_still_introduces_itself() -> None:
    store, ann = unwilling()
    store.full = True
    with pytest.raises(StoreError):
        ann.set("s").add("lost")
    store.full = False
    ann.set("s").add("kept")
    [bob] = crew("bob")
    tell(ann, bob)
    assert list(bob.set("s")) == ["kept"]


def test_when_the_store_refuses_what_was_received_it_can_be_received_again() -> None:
    store, ann = unwilling()
    [bob] = crew("bob")
    bob.set("s").add(1)
    bob.set("s").add(2)
    first, second = bob.changes()
    store.full = True
    with pytest.raises(StoreError):
        ann.receive([first, second])
    assert not ann.set("s")
    store.full = False
    assert ann.receive([first, second]).applied == 2
    exchange(ann, bob)


def test_a_replica_takes_a_path_or_a_store() -> None:
    with pytest.raises(MisuseError, match="store: the path of a file or a Store, not 7"):
        Replica("ann", store=7)  # type: ignore[arg-type]


def test_closing_a_replica_leaves_a_store_that_was_handed_in() -> None:
    store = MemoryStore()
    with Replica("ann", store=store) as replica:
        replica.open(SCOPE).set("s").add("x")
    assert list(Replica("bob", store=store).open(SCOPE).set("s")) == ["x"]
