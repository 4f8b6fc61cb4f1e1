"""Checkpoints: opening need not replay the log, and never depends on them; what is damaged is passed over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Closed, Identity, Memory, MemoryStore, Namespace, Record, Replica, StoreError, checkpoint
from crdtmem.store import Log
from crdtmem.values import encode
from tests.crew import SCOPE, alone, exchange, tell, tick
from tests.stories import STEPS, Step, entries, play

ANN = Identity(bytes(32))


class Shelf:
    """A store in memory whose one log can be made to fail, and counts what is asked of it."""

    def __init__(self) -> None:
        self.log: Any = MemoryStore().open(SCOPE)
        self.fails: Callable[[str, str], bool] = lambda what, name: False
        self.replayed = 0

    def open(self, namespace: Namespace) -> Log:
        return self

    def close(self) -> None:
        """Nothing is held."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def append(self, records: Sequence[Record]) -> None:
        self._may("append", "")
        self.log.append(records)

    def since(self, place: int) -> Any:
        found = list(self.log.since(place))
        self.replayed += len(found)
        return iter(found)

    def seal(self, *args: Any) -> None:
        self._may("seal", "")
        self.log.seal(*args)

    def put(self, name: str, data: bytes) -> None:
        self._may("put", name)
        self.log.put(name, data)

    def get(self, name: str) -> bytes | None:
        self._may("get", name)
        found: bytes | None = self.log.get(name)
        return found

    def drop(self, name: str) -> None:
        self._may("drop", name)
        self.log.drop(name)

    def _may(self, what: str, name: str) -> None:
        if self.fails(what, name):
            raise StoreError("the disk is full")

    def blobs(self) -> list[str]:
        """Manifests and parts."""
        return [name for name in self.log.names() if name.startswith("checkpoint/")]

    def manifests(self) -> list[str]:
        """Newest first."""
        return sorted((name for name in self.blobs() if name.count("/") == 1), reverse=True)


def opened(store: Any, agent: str = "ann") -> Memory:
    return Replica(agent, store=store, identity=ANN, time=tick).open(SCOPE)


def filled(count: int = 3) -> tuple[Shelf, Memory]:
    """A memory with so many checkpoints, each of one more write."""
    store = Shelf()
    ann = opened(store)
    for n in range(count):
        ann.set("s").add(n)
        ann.text("t").append(f"{n}")
        ann.checkpoint()
    return store, ann


# -- making them -----------------------------------------------------------------------------------


def test_three_are_kept_newest_first_and_no_part_of_any_other() -> None:
    store, ann = filled(5)
    kept = ann.checkpoints
    assert [one.changes for one in kept] == [10, 8, 6]
    assert [one.place for one in kept] == [10, 8, 6]
    assert kept == sorted(kept, key=lambda one: one.at, reverse=True)
    assert all(one.size == sum(len(store.log.get(n) or b"") for n in parts(store, i)) for i, one in enumerate(kept))
    assert len(store.manifests()) == 3
    assert {name[:27] for name in store.blobs()} == set(store.manifests())


def parts(store: Shelf, which: int) -> list[str]:
    return [name for name in store.blobs() if name.startswith(store.manifests()[which] + "/")]


def test_it_tells_what_was_made() -> None:
    store, ann = filled(1)
    made = ann.checkpoint()
    assert made == ann.checkpoints[0]
    assert (made.changes, made.place) == (2, 2)
    assert made.size == sum(len(store.log.get(name) or b"") for name in parts(store, 0))


def test_opening_replays_what_came_since_the_newest_and_nothing_else() -> None:
    store, ann = filled()
    ann.set("s").add("tail")
    store.replayed = 0
    again = opened(store)
    assert store.replayed == 1
    assert (again.digest(), again.version, entries(again)) == (ann.digest(), ann.version, entries(ann))


def test_several_made_at_one_place_are_several() -> None:
    """Whichever of them is damaged, another is not."""
    store, ann = filled(1)
    for _ in range(3):
        ann.checkpoint()
    assert [one.place for one in ann.checkpoints] == [2, 2, 2]
    for manifest in store.manifests()[:2]:
        store.log.drop(f"{manifest}/000000")
    store.replayed = 0
    assert opened(store).digest() == ann.digest()
    assert store.replayed == 0


def test_inside_an_open_block_it_holds_what_has_been_made_and_nothing_staged() -> None:
    store, ann = filled(1)
    digest = ann.digest()
    with ann.change():
        ann.set("s").add("staged")
        ann.checkpoint()
        assert "staged" in ann.set("s")
        assert opened(store).digest() == digest
    assert opened(store).digest() == ann.digest() != digest


def test_a_large_one_has_several_parts() -> None:
    store = Shelf()
    ann = opened(store)
    ann.set("s").update([f"{n:0200}" for n in range(3000)])
    ann.checkpoint()
    assert len(parts(store, 0)) == 3
    assert opened(store).digest() == ann.digest()


def test_of_an_empty_memory_there_is_one_too() -> None:
    store = Shelf()
    ann = opened(store)
    assert ann.checkpoint().changes == 0
    assert opened(store).fields() == {}


def test_a_closed_replica_makes_and_shows_none() -> None:
    replica = Replica("ann")
    memory = replica.open(SCOPE)
    replica.close()
    for use in (memory.checkpoint, lambda: memory.checkpoints):
        with pytest.raises(Closed):
            use()


# -- damage ----------------------------------------------------------------------------------------

DAMAGE = ["part", "missing part", "manifest", "missing manifest", "digest", "state", "many parts"]


def spoil(store: Shelf, which: int, how: str) -> None:
    manifest = store.manifests()[which]
    part = f"{manifest}/000000"
    data = store.log.get(part)
    place, hlc, _, size, digest, changes, hash = checkpoint._MANIFEST(store.log.get(manifest))
    if how == "part":
        store.log.put(part, data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "missing part":
        store.log.drop(part)
    elif how == "manifest":
        store.log.put(manifest, b"\xc1 nothing")
    elif how == "missing manifest":  # as a store tells of one whose checksum does not fit
        real = store.log
        store.log = _Without(real, manifest)
    elif how == "many parts":
        store.log.put(manifest, encode((place, hlc, 2**60, size, digest, changes, hash)))
    else:  # whole by its hash, and still not that state, or none
        data, digest = (data, bytes(32)) if how == "digest" else (b"junk", digest)
        told = (place, hlc, 1, len(data), digest, changes)
        store.log.put(part, data)
        store.log.put(manifest, encode((*told, blake2b(data + encode(told), digest_size=32).digest())))


class _Without:
    def __init__(self, log: Any, name: str) -> None:
        self._log = log
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def get(self, name: str) -> bytes | None:
        found: bytes | None = None if name == self._name else self._log.get(name)
        return found


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_damage_makes_opening_fall_back_to_an_older_one_and_at_last_to_the_log(
    how: str, damaged: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, ann = filled()
    ann.set("s").add("tail")
    for which in range(damaged):
        spoil(store, which, how)
    store.replayed = 0
    with caplog.at_level(logging.WARNING, logger="crdtmem"):
        again = opened(store)
    assert store.replayed == 1 + 2 * damaged if damaged < 3 else 7
    assert (again.digest(), again.version) == (ann.digest(), ann.version)
    assert caplog.text.count("a checkpoint is damaged and left out") == damaged
    assert len(again.checkpoints) <= 3
    again.checkpoint()
    store.replayed = 0
    assert opened(store).digest() == ann.digest()
    assert store.replayed == 0


@given(st.integers(0, 2), st.integers(0, 10**6), st.integers(0, 7))
def test_no_bit_of_a_checkpoint_can_be_wrong_without_being_noticed(which: int, place: int, bit: int) -> None:
    store, ann = filled()
    name = [*parts(store, which), *store.manifests()[which : which + 1]][place % 2]
    data = bytearray(store.log.get(name))
    data[place % len(data)] ^= 1 << bit
    store.log.put(name, bytes(data))
    again = opened(store)
    assert (again.digest(), again.version) == (ann.digest(), ann.version)


def test_one_that_was_never_finished_is_not_taken_for_one_and_cleared_away() -> None:
    store = Shelf()
    ann = opened(store)
    ann.set("s").update([f"{n:0200}" for n in range(3000)])
    ann.checkpoint()
    ann.set("s").add("more")
    written = []

    def power_fails(what: str, name: str) -> bool:
        written.append(name)
        return what == "put" and len(written) > 2

    store.fails = power_fails
    with pytest.raises(StoreError):
        ann.checkpoint()
    store.fails = lambda what, name: False
    assert len(store.manifests()) == 1 and len(store.blobs()) > len(parts(store, 0)) + 1
    again = opened(store)
    assert (again.digest(), len(again.checkpoints)) == (ann.digest(), 1)
    for n in range(3):
        again.set("s").add(n)
        again.checkpoint()
    assert {name[:27] for name in store.blobs()} == set(store.manifests())
    assert opened(store).digest() == again.digest()


def test_one_that_does_not_read_back_is_none() -> None:
    store, ann = filled(1)
    ann.set("s").add("more")
    real, old = store.log, list(store.blobs())

    class Lying:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def put(self, name: str, data: bytes) -> None:
            real.put(name, data if name.count("/") == 1 else data[:-1])

    store.log = Lying()
    with pytest.raises(StoreError, match="did not read back as it was written; the log is unharmed"):
        ann.checkpoint()
    store.log = real
    assert len(ann.checkpoints) == 1
    assert opened(store).digest() == ann.digest()
    ann.checkpoint()
    assert set(old) < set(store.blobs())


# -- by itself -------------------------------------------------------------------------------------


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 10)
    monkeypatch.setattr(checkpoint.time, "sleep", lambda seconds: None)


def join(memory: Memory) -> None:
    memory._document.checkpoints.join()


@pytest.mark.usefixtures("often")
def test_as_the_log_grows_it_makes_them_by_itself() -> None:
    store = Shelf()
    ann = opened(store)
    for n in range(35):
        ann.register("r").assign(n)
        join(ann)
    assert [one.changes for one in ann.checkpoints] == [30, 20, 10]
    bob = opened(Shelf(), "bob")
    bob.receive(ann.changes())
    join(bob)
    assert [one.changes for one in bob.checkpoints] == [35]


@pytest.mark.usefixtures("often")
def test_the_more_is_alive_the_rarer_they_are() -> None:
    ann = opened(Shelf())
    for n in range(60):
        ann.set("s").add(n)
        join(ann)
    assert [one.changes for one in ann.checkpoints] == [45, 30, 20]


@pytest.mark.usefixtures("often")
def test_what_lives_in_memory_alone_needs_none() -> None:
    ann = alone()
    for n in range(50):
        ann.set("s").add(n)
    assert ann.checkpoints == []
    assert ann._document.checkpoints._maker is None


@pytest.mark.usefixtures("often")
def test_one_is_made_at_close_when_enough_has_come() -> None:
    for count, made in ((2, 0), (3, 1), (9, 1)):
        store = Shelf()
        with Replica("ann", store=store, identity=ANN) as replica:
            for n in range(count):
                replica.open(SCOPE).register("r").assign(n)
        assert len(store.manifests()) == made
        store.replayed = 0
        assert opened(store).register("r").value == count - 1
        assert store.replayed == (0 if made else count)


@pytest.mark.usefixtures("often")
def test_others_write_on_while_one_is_made_and_it_is_right() -> None:
    store = Shelf()
    ann = opened(store)
    going, seen = threading.Event(), []

    def write() -> None:
        for n in range(150):
            with ann.change():
                ann.set("s").add(n)
                ann.set("s").discard(n - 3)
                ann.text("t").append("ab")
                ann.text("t").delete(0, 1)
                ann.counter("n").add(1)
            going.set()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    assert going.wait(20)
    while any(writer.is_alive() for writer in writers):
        made = ann.checkpoint()
        seen.append(made.changes)
    for writer in writers:
        writer.join(20)
    join(ann)
    assert seen == sorted(seen)
    for _ in range(len(ann.checkpoints) + 1):
        again = opened(store)
        assert (again.digest(), again.version, again.counter("n").value) == (ann.digest(), ann.version, 300)
        with suppress(IndexError):
            store.log.drop(store.manifests()[0])


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("what", ["put", "seal", "get", "drop"])
def test_a_store_that_fails_gives_a_warning_and_nothing_else(what: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Shelf()
    replica = Replica("ann", store=store, identity=ANN, time=tick)
    ann = replica.open(SCOPE)
    for n in range(9):
        ann.register("r").assign(n)
    ann.checkpoint()
    ann.checkpoint()
    ann.checkpoint()
    store.fails = lambda does, name: does == what and (what == "seal" or name.startswith("checkpoint/"))
    with caplog.at_level(logging.WARNING, logger="crdtmem"):
        for n in range(9, 30):
            ann.register("r").assign(n)
            join(ann)
    assert "no checkpoint was made: the disk is full" in caplog.text
    store.fails = lambda does, name: False
    assert opened(store).register("r").value == 29
    for n in range(30, 80):
        ann.register("r").assign(n)
        join(ann)
    assert ann.checkpoints[0].changes > 60  # it did not give up for good
    store.fails = lambda does, name: does == what and name.startswith("checkpoint/")
    replica.close()
    store.fails = lambda does, name: False
    assert opened(store).register("r").value == 79


@pytest.mark.usefixtures("often")
def test_closing_while_somebody_makes_one_waits_for_it() -> None:
    """Two locks are taken in one order by all: the maker's, then the memory's."""
    store = Shelf()
    replica = Replica("ann", store=store, identity=ANN)
    ann = replica.open(SCOPE)
    for n in range(9):
        ann.set("s").add(n)
    inside, go_on = threading.Event(), threading.Event()

    def slow(what: str, name: str) -> bool:
        if what == "get":
            inside.set()
            go_on.wait(20)
        return False

    store.fails = slow
    closer = threading.Thread(target=replica.close, daemon=True)
    document = ann._document
    real = document.checkpoints.join

    def late() -> None:
        real()
        maker.start()
        assert inside.wait(20)
        go_on.set()

    def make() -> None:
        with suppress(Closed):
            ann.checkpoint()

    maker = threading.Thread(target=make, daemon=True)
    document.checkpoints.join = late  # type: ignore[method-assign]
    closer.start()
    closer.join(20)
    maker.join(20)
    assert not closer.is_alive() and not maker.is_alive()


# -- what others see -------------------------------------------------------------------------------


@given(STEPS, STEPS, STEPS)
def test_a_restart_from_one_and_its_tail_is_a_restart_from_the_log(
    before: list[Step], tail: list[Step], after: list[Step]
) -> None:
    stores = [Shelf() for _ in range(3)]
    memories = [
        Replica(name, store=store, time=tick).open(SCOPE)
        for name, store in zip(("ann", "bob", "cyd"), stores, strict=True)
    ]
    identity = memories[0]._document._identity
    for step in before:
        play(memories, step)
    memories[0].checkpoint()
    for step in tail:
        play(memories, step)
    crashed = memories[0]
    bare = Shelf()
    bare.log.append(list(stores[0].log.records()))
    twins = [Replica("ann", store=store, identity=identity, time=tick).open(SCOPE) for store in (stores[0], bare)]
    for twin in twins:
        assert (twin.digest(), twin.version, entries(twin)) == (crashed.digest(), crashed.version, entries(crashed))
    assert [record[-64:] for record in twins[0].changes()] == [record[-64:] for record in twins[1].changes()]
    for twin in twins:  # everything it sends is sealed: the others take it
        reader = alone("reader")
        assert reader.receive(twin.changes()).waiting == 0
        assert reader.version == twin.version
    memories[0] = twins[0]
    for step in after:
        play(memories, step)
    exchange(*memories)
    tell(memories[0], twins[1])
    assert twins[1].digest() == memories[0].digest()


def test_a_key_that_has_changed_still_opens_what_the_other_sealed() -> None:
    store, ann = filled()
    ann.set("s").add("unsealed")
    heir = Replica("heir", store=store).open(SCOPE)
    assert heir.digest() == ann.digest()
    heir.set("s").add("mine")
    reader = alone("reader")
    assert reader.receive(heir.changes()).waiting == 2  # the unsealed one, and what builds on it
    assert reader.receive(ann.changes()).waiting == 0
    assert "mine" in reader.set("s")


def test_a_stamp_after_a_restart_is_later_than_all_before_it() -> None:
    store = Shelf()
    ann = Replica("ann", store=store, time=lambda: 2_000_000_000.0).open(SCOPE)
    old = ann.register("r").assign(1)
    ann.checkpoint()
    again = Replica("ann", store=store, time=lambda: 1_999_999_990.0).open(SCOPE)
    assert again.register("r").assign(2).stamp.hlc > old.stamp.hlc
