"""What every Store keeps to. A store of yours passes it so:

class TestMyStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return MyStore(folder / "log.db")
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdtmem import Namespace, Record, Replica, Store, StoreError
from crdtmem.store import Log

HERE, THERE = Namespace(tenant="acme"), Namespace(tenant="acme", task="other")
ANN, BOB = b"a" * 16, b"b" * 16


def kept(session: bytes, seq: int, core: bytes = b"core", seal: bytes = b"") -> Record:
    return Record(session, seq, bytes([seq % 256]) * 32, core, seal)


class StoreContract:
    """Subclass it, name it Test..., and say how to make an empty store."""

    def make(self, folder: Path) -> Store:
        """A store in an empty folder, or the one that was closed there."""
        raise NotImplementedError

    def reopen(self, store: Store, folder: Path) -> Store:
        """What the next process finds."""
        store.close()
        return self.make(folder)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.make(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def log(self, store: Store) -> Log:
        return store.open(HERE)

    def test_a_new_log_is_empty(self, log: Log) -> None:
        assert list(log.records()) == list(log.backwards()) == []
        assert log.read(ANN, 1) is None

    def test_records_come_back_as_they_were_in_the_order_of_their_append(self, log: Log) -> None:
        first = [kept(ANN, 1, b"\x00\xff" * 500_000), kept(BOB, 1, seal=b"s" * 64)]
        log.append(first)
        log.append([])
        log.append((kept(BOB, 2), kept(ANN, 2)))
        all_ = [*first, kept(BOB, 2), kept(ANN, 2)]
        assert list(log.records()) == all_
        assert list(log.backwards()) == list(log.since(0))[::-1]
        assert [record for _, record in log.backwards()] == all_[::-1]
        for number, (place, _) in enumerate(log.since(0)):
            assert [record for _, record in log.backwards(place)] == all_[:number][::-1]
        assert [log.read(record.session, record.seq) for record in all_] == all_
        assert all(type(record) is Record for record in log.records())

    def test_what_is_not_there_reads_as_none(self, log: Log) -> None:
        log.append([kept(ANN, 1)])
        for session, seq in ((ANN, 0), (ANN, 2), (ANN, -1), (BOB, 1)):
            assert log.read(session, seq) is None

    def test_namespaces_do_not_meet_and_a_log_can_be_opened_twice(self, store: Store) -> None:
        store.open(HERE).append([kept(ANN, 1, b"here")])
        store.open(THERE).append([kept(ANN, 1, b"there")])
        assert [record.core for record in store.open(HERE).records()] == [b"here"]
        assert [record.core for record in store.open(Namespace(tenant="acme", task="other")).records()] == [b"there"]

    @pytest.mark.parametrize(
        "batch",
        [
            [kept(ANN, 3)],
            [kept(ANN, 1)],
            [kept(ANN, 2), kept(ANN, 4)],
            [kept(BOB, 1), kept(ANN, 2), kept(ANN, 2)],
            [kept(BOB, 1), kept(BOB, 2), kept(BOB, 0)],
        ],
        ids=["gap", "again", "gap later", "twice", "backwards"],
    )
    def test_a_batch_that_breaks_a_chain_is_refused_whole(self, log: Log, batch: list[Record]) -> None:
        log.append([kept(ANN, 1)])
        with pytest.raises(StoreError):
            log.append(batch)
        assert list(log.records()) == [kept(ANN, 1)]
        assert log.read(BOB, 1) is None
        log.append([kept(ANN, 2), kept(BOB, 1)])
        assert list(log.records()) == [kept(ANN, 1), kept(ANN, 2), kept(BOB, 1)]

    def test_a_seal_is_put_beside_its_record_alone(self, log: Log) -> None:
        log.append([kept(ANN, 1), kept(ANN, 2), kept(BOB, 1)])
        for seal in (b"s" * 64, b"t" * 64):
            log.seal(ANN, 2, seal)
            assert log.read(ANN, 2) == kept(ANN, 2, seal=seal)
            assert list(log.records()) == [kept(ANN, 1), kept(ANN, 2, seal=seal), kept(BOB, 1)]

    def test_a_reader_half_way_through_is_not_disturbed_by_an_append(self, log: Log) -> None:
        log.append([kept(ANN, 1), kept(ANN, 2)])
        reader, backwards = log.records(), log.backwards()
        assert (next(reader), next(backwards)) == (kept(ANN, 1), (log.newest, kept(ANN, 2)))
        log.append([kept(ANN, 3)])
        assert next(reader) == kept(ANN, 2)
        assert [record for _, record in backwards] == [kept(ANN, 1)]

    def test_the_next_process_finds_what_was_kept(self, store: Store, tmp_path: Path) -> None:
        store.open(HERE).append([kept(ANN, 1), kept(ANN, 2)])
        store.open(HERE).seal(ANN, 1, b"s" * 64)
        store.close()
        again = self.reopen(store, tmp_path)
        assert list(again.open(HERE).records()) == [kept(ANN, 1, seal=b"s" * 64), kept(ANN, 2)]
        with pytest.raises(StoreError):
            again.open(HERE).append([kept(ANN, 2)])
        again.open(HERE).append([kept(ANN, 3)])
        again.close()

    def test_closing_twice_does_nothing(self, store: Store) -> None:
        store.close()
        store.close()

    def test_a_memory_goes_on_where_the_last_process_stopped(self, store: Store, tmp_path: Path) -> None:
        with Replica("ann", store=store) as replica:
            memory = replica.open(HERE)
            memory.set("s").update(["a", {"b": [1]}])
            memory.text("t").append("é\U0001f600")
            digest, version = memory.digest(), memory.version
        again = self.reopen(store, tmp_path)
        with Replica("ann", store=again) as replica:
            memory = replica.open(HERE)
            assert (memory.digest(), memory.version) == (digest, version)
            memory.set("s").discard("a")
            assert memory.at(version).digest() == digest
        again.close()

    def test_a_seal_for_what_is_not_there_is_refused(self, log: Log) -> None:
        log.append([kept(ANN, 1)])
        for session, seq in ((ANN, 2), (ANN, 0), (BOB, 1)):
            with pytest.raises(StoreError):
                log.seal(session, seq, b"s" * 64)

    def test_places_grow_and_since_gives_what_lies_behind_one(self, log: Log) -> None:
        assert log.newest == 0
        log.append([kept(ANN, 1), kept(BOB, 1)])
        log.append([kept(ANN, 2)])
        places = [place for place, _ in log.since(0)]
        assert places == sorted(set(places))
        assert places[0] > 0
        assert log.newest == places[-1]
        assert list(log.since(places[0])) == [(places[1], kept(BOB, 1)), (places[2], kept(ANN, 2))]
        assert list(log.since(log.newest)) == []

    def test_places_are_never_given_twice(self, store: Store, tmp_path: Path) -> None:
        log = store.open(HERE)
        log.append([kept(ANN, 1), kept(ANN, 2)])
        newest = log.newest
        log.cut(ANN, 1)
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        log.append([kept(ANN, 1)])
        [(place, _)] = log.since(0)
        assert place > newest
        assert list(log.since(newest)) == [(place, kept(ANN, 1))]
        store.close()

    def test_pruning_takes_the_oldest_of_one_session(self, store: Store, tmp_path: Path) -> None:
        log = store.open(HERE)
        log.append([kept(ANN, 1), kept(BOB, 1), kept(ANN, 2), kept(ANN, 3)])
        log.prune(ANN, 2)
        log.prune(ANN, 1)
        log.prune(b"c" * 16, 5)
        assert list(log.records()) == [kept(BOB, 1), kept(ANN, 3)]
        assert log.read(ANN, 2) is None
        assert log.read(ANN, 3) == kept(ANN, 3)
        log.append([kept(ANN, 4)])
        log.prune(ANN, 9)
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        assert list(log.records()) == [kept(BOB, 1)]
        with pytest.raises(StoreError):
            log.append([kept(ANN, 10)])
        log.append([kept(ANN, 5)])
        assert [log.read(ANN, seq) for seq in (4, 5)] == [None, kept(ANN, 5)]
        assert log.damage == ()
        store.close()

    def test_cutting_takes_the_newest_of_one_session(self, store: Store, tmp_path: Path) -> None:
        log = store.open(HERE)
        log.append([kept(ANN, 1), kept(BOB, 1), kept(ANN, 2), kept(ANN, 3), kept(BOB, 2)])
        log.cut(ANN, 2)
        log.cut(ANN, 9)
        log.cut(b"c" * 16, 1)
        assert list(log.records()) == [kept(ANN, 1), kept(BOB, 1), kept(BOB, 2)]
        with pytest.raises(StoreError):
            log.append([kept(ANN, 3)])
        log.append([kept(ANN, 2, b"another")])
        log.prune(BOB, 1)
        log.cut(BOB, 1)
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        assert list(log.records()) == [kept(ANN, 1), kept(ANN, 2, b"another")]
        log.append([kept(BOB, 2, b"another")])
        assert log.read(BOB, 2) == kept(BOB, 2, b"another")
        assert log.damage == ()
        store.close()

    def test_a_log_begins_behind_a_checkpoint_and_its_past_comes_newest_first(
        self, store: Store, tmp_path: Path
    ) -> None:
        log = store.open(HERE)
        store.open(THERE).append([kept(ANN, 1, b"there")])
        log.append([kept(ANN, 1, b"gone"), kept(BOB, 1, b"gone")])
        log.put("old", b"1")
        log.put("stays", b"2")
        log.adopt({ANN: 3, BOB: 2}, 7, {"old": None, "new": b"3"}, [kept(ANN, 4), kept(b"c" * 16, 1)])
        assert (log.names(), log.get("new")) == (["new", "stays"], b"3")
        assert list(log.since(0)) == [(8, kept(ANN, 4)), (9, kept(b"c" * 16, 1))]
        assert [log.read(ANN, seq) for seq in (1, 3)] == [None, None]
        for wrong in (kept(ANN, 2), kept(ANN, 4), kept(b"d" * 16, 1), kept(b"c" * 16, 0)):
            with pytest.raises(StoreError):
                log.fill([wrong])
        log.fill([kept(ANN, 3), kept(BOB, 2)])
        log.fill([])
        log.append([kept(BOB, 3)])
        with pytest.raises(StoreError):
            log.fill([kept(BOB, 1), kept(ANN, 1)])
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        log.fill([kept(ANN, 2), kept(ANN, 1), kept(BOB, 1)])
        log.append([kept(BOB, 4)])
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        past = [kept(BOB, 1), kept(ANN, 1), kept(ANN, 2), kept(BOB, 2), kept(ANN, 3)]
        tail = [kept(ANN, 4), kept(b"c" * 16, 1), kept(BOB, 3), kept(BOB, 4)]
        assert list(log.since(0)) == list(enumerate(past + tail, 3))
        assert list(log.backwards()) == list(log.since(0))[::-1]
        assert [log.read(kept.session, kept.seq) for kept in past + tail] == past + tail
        assert [record.core for record in store.open(THERE).records()] == [b"there"]
        assert log.damage == ()
        store.close()

    def test_what_has_no_room_is_not_kept(self, log: Log) -> None:
        log.adopt({ANN: 3}, 2, {}, [])
        with pytest.raises(StoreError):
            log.fill([kept(ANN, 3), kept(ANN, 2), kept(ANN, 1)])
        with pytest.raises(StoreError):
            log.adopt({ANN: 3}, 2, {}, [kept(ANN, 5)])
        assert list(log.records()) == []
        log.fill([kept(ANN, 3), kept(ANN, 2)])
        assert list(log.since(0)) == [(1, kept(ANN, 2)), (2, kept(ANN, 3))]
        log.append([kept(ANN, 4)])
        assert log.newest == 3

    def test_what_is_whole_is_not_mended(self, log: Log) -> None:
        log.append([kept(ANN, 1)])
        for record in (kept(ANN, 1, b"other"), kept(ANN, 2), kept(BOB, 1)):
            with pytest.raises(StoreError):
                log.mend(record)
        assert list(log.records()) == [kept(ANN, 1)]
        assert log.damage == ()
        assert log.writable

    def test_the_shelf_keeps_blobs_by_name(self, store: Store, tmp_path: Path) -> None:
        log = store.open(HERE)
        assert log.get("a") is None
        assert log.names() == []
        for name, data in (("b/2", b"two"), ("b/1", b"one"), ("é", b""), ("big", bytes(3_000_000))):
            log.put(name, data)
        log.put("b/2", b"again")
        log.drop("b/1")
        log.drop("never there")
        store.open(THERE).put("a", b"there")
        store = self.reopen(store, tmp_path)
        log = store.open(HERE)
        assert log.names() == ["b/2", "big", "é"]
        assert [log.get(name) for name in ("b/2", "b/1", "é", "big")] == [b"again", None, b"", bytes(3_000_000)]
        assert log.get("a") is None
        store.close()

    def test_the_index_is_a_database_for_each_log(self, store: Store) -> None:
        log = store.open(HERE)
        here, there = log.index(), store.open(THERE).index()
        assert log.index() is here
        with here:
            here.execute("CREATE TABLE IF NOT EXISTS mine (x)")
            here.execute("INSERT INTO mine VALUES (?)", (b"x",))
            log.append([kept(ANN, 1)])
        with there:
            there.execute("CREATE TABLE IF NOT EXISTS mine (x)")
            there.execute("INSERT INTO mine VALUES (?)", (b"y",))
        assert b"x" in [x for (x,) in here.execute("SELECT x FROM mine")]
        assert list(log.records()) == [kept(ANN, 1)]

    def test_the_size_follows_what_is_kept(self, log: Log) -> None:
        before = log.size()
        log.append([kept(ANN, seq, bytes(10_000)) for seq in range(1, 401)])
        full = log.size()
        assert full - before >= 4_000_000
        log.prune(ANN, 390)
        assert log.size() < full / 2

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    @given(steps=st.lists(st.tuples(st.booleans(), st.lists(st.tuples(st.booleans(), st.integers(-1, 1)), max_size=4))))
    def test_it_does_what_a_list_would(
        self, steps: list[tuple[bool, list[tuple[bool, int]]]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        store = self.make(tmp_path_factory.mktemp("store"))
        logs = {True: store.open(HERE), False: store.open(THERE)}
        models: dict[bool, list[Record]] = {True: [], False: []}
        for here, wanted in steps:
            model, batch, sound = models[here], list[Record](), True
            for is_ann, offset in wanted:
                session = ANN if is_ann else BOB
                due = 1 + sum(record.session == session for record in [*model, *batch])
                sound = sound and offset == 0
                batch.append(kept(session, due + offset))
            if sound:
                logs[here].append(batch)
                model += batch
            else:
                with pytest.raises(StoreError):
                    logs[here].append(batch)
            assert list(logs[here].records()) == model
            assert [record for _, record in logs[here].backwards()] == model[::-1]
        store.close()
