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
        assert list(log.records()) == list(log.records(newest_first=True)) == []
        assert log.read(ANN, 1) is None

    def test_records_come_back_as_they_were_in_the_order_of_their_append(self, log: Log) -> None:
        first = [kept(ANN, 1, b"\x00\xff" * 500_000), kept(BOB, 1, seal=b"s" * 64)]
        log.append(first)
        log.append([])
        log.append((kept(BOB, 2), kept(ANN, 2)))
        all_ = [*first, kept(BOB, 2), kept(ANN, 2)]
        assert list(log.records()) == all_
        assert list(log.records(newest_first=True)) == all_[::-1]
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
        reader, newest_first = log.records(), log.records(newest_first=True)
        assert (next(reader), next(newest_first)) == (kept(ANN, 1), kept(ANN, 2))
        log.append([kept(ANN, 3)])
        assert next(reader) == kept(ANN, 2)
        assert list(newest_first) == [kept(ANN, 1)]

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

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
            assert list(logs[here].records(newest_first=True)) == model[::-1]
        store.close()
