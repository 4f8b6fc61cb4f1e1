"""Coming back after damage: opening never fails, nothing intact is lost, and a peer makes everything whole again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import decode as unpack

from crdtmem import Identity, Memory, MemoryStore, Namespace, Record, Replica, StoreError
from crdtmem import inbox as door
from crdtmem.change import SEQUENCE, TEXT, Keyed, Ordered, decode, record
from crdtmem.store import Damage, Log
from crdtmem.values import encode
from tests.crew import SCOPE, alone, crew, exchange, tell, tick
from tests.forger import Forger
from tests.stories import STEPS, Step, entries, play

ANN = Identity(bytes(32))
ChangeId = tuple[bytes, int]


class Rotten:
    """A store in memory whose records rot when told to: they are skipped, listed as damage, and can be mended."""

    def __init__(self) -> None:
        self.log: Any = MemoryStore().open(SCOPE)
        self.rotten: set[ChangeId] = set()

    def open(self, namespace: Namespace) -> Log:
        return _RottenLog(self)  # type: ignore[return-value]

    def close(self) -> None:
        """Nothing is held."""

    def records(self) -> list[Record]:
        """Those that are intact."""
        return [kept for kept in self.log.records() if kept[:2] not in self.rotten]


class _RottenLog:
    """The log as one process opens it: of what it finds broken it tells until it is mended, or kept again."""

    def __init__(self, store: Rotten) -> None:
        self._store = store
        self._log = store.log
        self.damage: list[Damage] = [Damage("broken", *id) for id in sorted(store.rotten)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, records: Sequence[Record]) -> None:
        self._log.append(records)
        self._settle({kept[:2] for kept in records})

    def _settle(self, ids: set[ChangeId]) -> None:
        self._store.rotten -= ids
        self.damage[:] = [broken for broken in self.damage if broken[1:] not in ids]

    def mend(self, record: Record) -> None:
        if record[:2] not in self._store.rotten:
            raise StoreError("it is not broken")
        chain = self._log._chains[record.session]
        self._log._records[chain.places[record.seq - 1 - chain.removed]] = encode(record)
        self._settle({record[:2]})

    def cut(self, session: bytes, first: int) -> None:
        self._log.cut(session, first)
        self._store.rotten -= {id for id in self._store.rotten if id[0] == session and id[1] >= first}

    def records(self) -> Iterator[Record]:
        return (kept for kept in self._log.records() if kept[:2] not in self._store.rotten)

    def backwards(self, before: int | None = None) -> Iterator[tuple[int, Record]]:
        return ((at, kept) for at, kept in self._log.backwards(before) if kept[:2] not in self._store.rotten)

    def since(self, place: int) -> Iterator[tuple[int, Record]]:
        return ((at, kept) for at, kept in self._log.since(place) if kept[:2] not in self._store.rotten)

    def read(self, session: bytes, seq: int) -> Record | None:
        found: Record | None = None if (session, seq) in self._store.rotten else self._log.read(session, seq)
        return found


def opened(store: Any) -> Memory:
    return Replica("ann", store=store, identity=ANN, time=tick).open(SCOPE)


def shelf(store: Rotten) -> set[ChangeId]:
    """The changes that were set aside."""
    names = [name for name in store.log.names() if name.startswith("astray/")]
    changes = [decode(data) for name in names for data in unpack(store.log.get(name))]
    return {(change.session, change.seq) for change in changes}


def ids(records: Sequence[bytes]) -> set[Any]:
    return {(change.session, change.seq, change.hash) for change in map(decode, records)}


def closed(memory: Memory) -> None:
    """What has been applied is a past that is whole."""
    seqs = {id: session.seq for id, session in memory._document.state.sessions.items()}
    for kept in memory._document.log.records():
        if kept.seq <= seqs.get(kept.session, 0):
            assert all(seqs.get(dep[0], 0) >= dep[1] for dep in kept.change.deps)
        else:
            raise AssertionError("a record was kept and not applied")


def lived(seed: int, count: int = 8) -> tuple[Rotten, Memory]:
    """What ann has written and heard, in several sessions, and a peer who knows all of it."""
    rng = random.Random(seed)
    store = Rotten()
    peers = crew("bob", "cyd")
    ann = opened(store)
    acts = ["add", "assign", "merge", "count", "insert", "move", "write", "cut", "together", "tell", "tell"]
    while len(ann.changes()) < count:
        memories = [ann, *peers]
        play(memories, (rng.randrange(3), rng.choice(acts), rng.randrange(9), rng.randrange(9)))
        if rng.random() < 0.15:
            ann.changes()
            ann = opened(store)
    exchange(ann, *peers)
    return store, peers[0]


@pytest.mark.parametrize("seed", range(8))
def test_whichever_one_or_two_records_are_damaged_nothing_intact_is_lost_and_all_comes_back(seed: int) -> None:
    store, peer = lived(seed)
    whole = list(store.log.records())
    everything = {kept[:2] for kept in whole}
    for broken in [{one[:2]} for one in whole] + [{a[:2], b[:2]} for a, b in combinations(whole, 2)]:
        store = Rotten()
        store.log.append(whole)
        store.rotten = set(broken)
        memory = opened(store)
        closed(memory)
        here = {(id, n) for id, s in memory._document.state.sessions.items() for n in range(1, s.seq + 1)}
        assert here | shelf(store) == everything - broken
        assert not here & shelf(store)
        assert {broken_[1:] for broken_ in memory.damage} >= broken
        again = opened(store)  # as a process that ends at once leaves it
        assert (again.digest(), again.version, shelf(store)) == (memory.digest(), memory.version, shelf(store))
        got = again.receive(peer.changes())
        assert (got.refused, got.waiting) == ((), 0)
        assert (again.digest(), again.version) == (peer.digest(), peer.version)
        assert ids(again.changes()) == ids(peer.changes())
        assert {broken_[1:] for broken_ in again.damage} <= shelf(store)
        assert opened(store).digest() == peer.digest()
        assert shelf(store) == set()


@given(STEPS, st.sets(st.integers(0, 40), max_size=3), st.integers(0, 40))
def test_damage_that_a_checkpoint_covers_leaves_the_state_whole_and_is_mended(
    steps: list[Step], broken: set[int], covered: int
) -> None:
    store = Rotten()
    memories = [opened(store), *crew("bob", "cyd")]
    made = 0
    for number, step in enumerate(steps):
        if number == covered:
            made = memories[0].checkpoint().place
        play(memories, step)
    exchange(*memories)
    ann, bob, _ = memories
    kept = list(store.log.records())
    lost = {kept[n][:2] for n in broken if n < len(kept)}
    store.rotten = set(lost)
    again = opened(store)
    closed(again)
    if lost <= {one[:2] for one in kept[:made]} and not shelf(store):  # there: edits that only the hole can place
        assert (again.digest(), again.version, entries(again)) == (ann.digest(), ann.version, entries(ann))
    assert set(again.receive([]).missing) >= lost
    got = again.receive(bob.changes())
    assert (got.refused, got.waiting) == ((), 0)
    assert (again.digest(), again.version) == (bob.digest(), bob.version)
    assert again._document.log.damage == []
    assert ids(again.changes()) == ids(bob.changes())
    reader = alone("reader")
    tell(again, reader)
    assert reader.digest() == bob.digest()


def holed() -> tuple[Rotten, Memory, Memory, ChangeId]:
    """A state that is whole over a log that is not: a checkpoint covers the hole."""
    store = Rotten()
    ann, bob = opened(store), alone("bob")
    ann.text("t").append("abc")
    ann.sequence("q").extend([1, 2, 3])
    ann.set("s").add("x")
    exchange(ann, bob)
    ann.checkpoint()
    [_, cells, _] = ann.changes()
    hole = (decode(cells).session, 2)
    return store, ann, bob, hole


def test_a_hole_is_asked_for_and_only_the_true_change_fills_it() -> None:
    store, _, bob, hole = holed()
    store.rotten = {hole}
    ann = opened(store)
    true = decode(bob.changes()[1])
    mallory = Forger()
    mallory.session = true.session
    fakes = []
    for parts in ([Keyed(1, "s", None, (("forged",),), ())], [Ordered(TEXT, "t", None, ((None, "forged"),), (), ())]):
        mallory.last = decode(bob.changes()[0])
        fakes.append(mallory.write(*parts))
    got = ann.receive([b"garbage", *fakes])
    assert hole in got.missing
    assert {broken[1:] for broken in ann._document.log.damage} == {hole}
    altered = record(true.core, bytes(64))
    got = ann.receive([*fakes, altered])
    assert ann.damage == ()
    assert [kept.hash for kept in ann._document.log.records()] == [change.hash for change in map(decode, bob.changes())]
    assert ann._document.log.read(*hole).seal == b""  # type: ignore[union-attr]
    tell(ann, alone("reader"))


def test_two_holes_in_a_row_are_filled_from_the_newer_one_down() -> None:
    store, _, bob, hole = holed()
    store.rotten = {hole, (hole[0], 1)}
    ann = opened(store)
    ann.receive(bob.changes()[:1])
    assert len(ann._document.log.damage) == 2  # nobody knows yet what the older one should be
    ann.receive(bob.changes()[:2])
    assert ann._document.log.damage == []
    assert ids(ann.changes()) == ids(bob.changes())


def test_a_hole_at_the_end_of_a_session_is_filled_by_what_the_state_names() -> None:
    store, _, bob, hole = holed()
    store.rotten = {(hole[0], 3)}
    ann = opened(store)
    assert ann.set("s")
    ann.receive(bob.changes())
    assert ann.damage == ()
    assert ids(ann.changes()) == ids(bob.changes())


def test_what_is_written_concurrently_to_what_the_hole_hides_waits_until_it_is_filled() -> None:
    """Where it stands depends on what its author had seen, and that is told by the log."""
    store = Rotten()
    ann, bob, cyd = opened(store), alone("bob"), alone("cyd")
    ann.text("t").append("abc")
    tell(ann, bob)
    tell(ann, cyd)
    ann.text("t").insert(1, "ann")
    ann.set("s").add("x")
    cyd.text("t").insert(1, "cyd")
    tell(ann, bob)
    bob.text("t").insert(1, "bob")
    tell(bob, ann)
    ann.checkpoint()
    [session] = [head.session for head in cyd.version.heads]
    store.rotten = {(decode(ann.changes()[0]).session, 2)}
    again = opened(store)
    news = [record for record in cyd.changes() if decode(record).session == session]
    for _ in range(2):
        got = again.receive(news)
        assert (got.applied, got.waiting, got.refused) == (0, 1, ())
        assert store.rotten <= set(got.missing)
    tell(cyd, bob)
    got = again.receive(bob.changes()[:3])
    assert (got.applied, got.waiting) == (1, 0)
    assert again.digest() == bob.digest()


def test_a_value_is_moved_though_the_change_that_wrote_it_is_damaged() -> None:
    for moved_by in ("ann", "bob"):
        store, _, bob, hole = holed()
        store.rotten = {hole}
        ann = opened(store)
        (ann if moved_by == "ann" else bob).sequence("q").move(0, 2)
        if moved_by == "bob":
            assert ann.receive(bob.changes()[-1:]).applied == 1
        bob.receive(ann.changes())
        assert ann._document.log.damage != []
        ann.receive(bob.changes())
        bob.receive(ann.changes())
        assert list(ann.sequence("q")) == list(bob.sequence("q")) == [2, 3, 1]
        assert ann.digest() == bob.digest()
        assert ann._document.state.voids == {}


def test_a_value_is_moved_though_it_is_gone_and_damaged() -> None:
    store, before, bob, hole = holed()
    bob.sequence("q").move(0, 2)
    before.sequence("q").remove(0)
    before.checkpoint()
    store.rotten = {hole}
    ann = opened(store)
    got = ann.receive(bob.changes()[-1:])
    assert (got.applied, got.waiting) == (1, 0)
    tell(before, bob)
    assert ann.receive(bob.changes()).waiting == 0
    assert ann.digest() == bob.digest()
    assert ann._document.state.voids == {}


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_move_of_what_never_was_is_judged_like_any_other_change_where_something_is_damaged(wrong: int) -> None:
    """It was let in before a record got lost, or comes after: what it names is not all that it takes to judge it."""
    for lost_first in (False, True):
        store, key, forger = Rotten(), Identity(bytes(32)), Forger()
        ann, bob = alone("ann"), alone("bob", store=store, identity=key)
        cells = forger.write(Ordered(SEQUENCE, "l", None, ((None, ("m",)),), (), ()))
        void = forger.write(Ordered(SEQUENCE, "l", None, (((forger.client, 1), ("v",)),), (), ()))
        ann.sequence("l").append("x")
        bob.receive([cells, void])
        tell(ann, bob)
        bob.prune()
        for n in range(5):
            ann.text("t").append(str(n))
        tell(ann, bob)
        bob.checkpoint()
        record = ann.changes()[3]
        missing = (decode(record).session, decode(record).seq)
        late = forger.write(Ordered(SEQUENCE, "l", None, (), (), ((None, (forger.session, wrong, 1)),)))
        if not lost_first:
            assert [refusal.reason for refusal in bob.receive([late]).refused] == ["void: l: a move names no entry"]
        store.rotten = {missing}
        bob = alone("bob", store=store, identity=key)
        bob.receive([late])
        bob.receive([record])
        ann.receive([cells, void, late])
        assert (bob.digest(), bob.version, bob._document.waiting) == (ann.digest(), ann.version, 0)


def test_opening_again_over_a_hole_applies_what_came_since_or_sets_it_aside() -> None:
    """A tail of concurrent edits behind the checkpoint, and the hole before it."""
    for lost in range(4):
        store = Rotten()
        ann, bob, cyd = opened(store), alone("bob"), alone("cyd")
        ann.text("t").append("abc")
        tell(ann, cyd)
        tell(ann, bob)
        cyd.text("t").insert(1, "cyd")
        bob.text("t").insert(1, "bob")
        ann.text("t").insert(1, "ann")
        ann.set("s").add("x")
        tell(bob, ann)
        ann.checkpoint()
        tell(cyd, ann)
        tell(ann, cyd)
        kept = list(store.log.records())
        store.rotten = {kept[lost][:2]}
        again = opened(store)
        closed(again)
        here = {(id, n) for id, s in again._document.state.sessions.items() for n in range(1, s.seq + 1)}
        assert here | shelf(store) | store.rotten == {one[:2] for one in kept}
        assert again.receive(cyd.changes()).waiting == 0
        assert (again.digest(), again.version) == (cyd.digest(), cyd.version)


# -- what is set aside ------------------------------------------------------------------------------


def test_our_own_tail_behind_a_hole_comes_back_though_nobody_else_has_it() -> None:
    """It was never sealed: whoever holds the key seals it again."""
    store = Rotten()
    ann, bob = opened(store), alone("bob")
    ann.set("s").add(1)
    tell(ann, bob)
    ann.set("s").add(2)
    [session] = ann._document.state.sessions
    given_ = decode(ann.changes()[1])
    bob.receive([record(given_.core, ANN.sign(given_.hash))])
    for n in (3, 4):
        ann.set("s").add(n)
    store.rotten = {(session, 2)}
    again = opened(store)
    assert list(again.set("s")) == [1]
    assert shelf(store) == {(session, 3), (session, 4)}
    assert [broken.reason for broken in again.damage if broken[1:] == (session, 3)] == [
        "intact, but it rests on a change that is damaged"
    ]
    assert again.receive([]).waiting == 2
    again.set("s").add("meanwhile")
    again.receive(bob.changes())
    assert sorted(map(str, again.set("s"))) == ["1", "2", "3", "4", "meanwhile"]
    tell(again, bob)
    assert bob.digest() == again.digest()
    assert opened(store).digest() == bob.digest()
    assert shelf(store) == set()


def test_what_was_set_aside_twice_is_all_still_there() -> None:
    """Two openings, each with damage of its own, and nothing written in between."""
    store = Rotten()
    ann, bob = opened(store), alone("bob")
    for n in range(6):
        ann.set("s").add(n)
    [session] = ann._document.state.sessions
    tell(ann, bob)
    for lost in (5, 3):
        store.rotten = {(session, lost)}
        opened(store)
    assert shelf(store) == {(session, 4), (session, 6)}
    again = opened(store)
    assert again.receive([]).waiting == 2
    got = again.receive([bob.changes()[n] for n in (2, 4)])
    assert (got.applied, got.waiting) == (4, 0)
    assert again.digest() == bob.digest()


def test_what_waits_and_had_to_leave_the_room_is_taken_in_by_the_next_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Rotten()
    ann, bob = opened(store), alone("bob")
    for n in range(6):
        ann.set("s").add(n)
    [session] = ann._document.state.sessions
    tell(ann, bob)
    store.rotten = {(session, 2)}
    with monkeypatch.context() as patched:
        patched.setattr(door, "MAX_WAITING", 1)
        again = opened(store)
        second = decode(bob.changes()[1])
        again.receive([record(second.core, ANN.sign(second.hash))])
    assert len(again.set("s")) < 6
    last = opened(store)
    assert (last.digest(), last.version) == (bob.digest(), bob.version)
    opened(store)
    assert shelf(store) == set()


def test_what_others_wrote_and_never_sealed_waits_for_them() -> None:
    store = Rotten()
    ann, bob = opened(store), alone("bob")
    for n in range(3):
        bob.set("s").add(n)
    tell(bob, ann)
    [session] = ann._document.state.sessions
    store.rotten = {(session, 1)}
    again = opened(store)
    assert (list(again.set("s")), shelf(store)) == ([], {(session, 2), (session, 3)})
    assert again.receive(bob.changes()[:1]).applied == 3
    assert again.digest() == bob.digest()


def test_a_reader_sets_nothing_aside() -> None:
    store, peer = lived(3)
    whole = [kept[:2] for kept in store.log.records()]
    store.rotten = {whole[1]}

    class ReadOnly(Rotten):
        def open(self, namespace: Namespace) -> Log:
            log = super().open(namespace)
            log.writable = False  # type: ignore[misc]
            return log

    reading = ReadOnly()
    reading.log, reading.rotten = store.log, store.rotten
    memory = opened(reading)
    assert {broken[1:] for broken in memory.damage} >= {whole[1]}
    assert [kept[:2] for kept in store.log.records()] == whole
    assert store.log.names() == []
    assert peer.version != memory.version


def test_a_store_that_will_not_mend_keeps_nobody_from_receiving() -> None:
    store, _, bob, hole = holed()
    store.rotten = {hole}

    class Stubborn(Rotten):
        def open(self, namespace: Namespace) -> Log:
            log: Any = super().open(namespace)
            log.mend = refuse
            return log  # type: ignore[no-any-return]

    def refuse(record: Record) -> None:
        raise StoreError("nothing tells where it was")

    stubborn = Stubborn()
    stubborn.log, stubborn.rotten = store.log, store.rotten
    ann = opened(stubborn)
    bob.set("s").add("news")
    assert ann.receive(bob.changes()).applied == 1
    assert [broken[1:] for broken in ann.damage] == [hole]
    assert ann.digest() == bob.digest()
