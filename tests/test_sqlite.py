"""A store in a file keeps to the contract; who may open it, what versions it knows, and how it fails."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crdtmem import (
    MemoryStore,
    MisuseError,
    Namespace,
    ReadOnly,
    Record,
    Replica,
    Store,
    StoreError,
    UpgradeNeeded,
)
from crdtmem.sqlite import SqliteStore, schema
from crdtmem.store import Log
from tests.crew import SCOPE
from tests.disk import Disk, faults
from tests.make_store_v1 import STORED
from tests.store_contract import ANN, BOB, HERE, THERE, StoreContract, kept


class TestSqliteStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return SqliteStore(folder / "log.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


# -- agreement with the store in memory ----------------------------------------------------------------


class Agreement(RuleBasedStateMachine):
    """Whatever is done to both, a file and a memory show the same, also to the next process."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory(prefix="agreement-")
        self.path = Path(self.temporary.name) / "store.db"
        self.number = 0
        self.file: SqliteStore = self.opened()
        self.model: Store = MemoryStore()

    def opened(self) -> SqliteStore:
        store = SqliteStore(self.path)
        store.limit = 5000  # checkpoints come often
        return store

    def both(self, call: Callable[[Log], object], scope: Namespace) -> None:
        outcomes = []
        for store in self.file, self.model:
            try:
                call(store.open(scope))
                outcomes.append("done")
            except StoreError:
                outcomes.append("refused")
        assert len(set(outcomes)) == 1

    scopes = st.sampled_from([HERE, THERE])
    sessions = st.sampled_from([ANN, BOB, b"c" * 16])
    seqs = st.integers(0, 12)

    @rule(scope=scopes, batch=st.lists(st.tuples(sessions, st.sampled_from([0, 0, 0, 0, 1])), min_size=1, max_size=5))
    def append(self, scope: Namespace, batch: list[tuple[bytes, int]]) -> None:
        log = self.model.open(scope)
        records: list[Record] = []
        for session, offset in batch:
            self.number += 1
            newest = max((r.seq for r in [*log.records(), *records] if r.session == session), default=0)
            records.append(kept(session, newest + 1 + offset, bytes([self.number % 256]) * self.number))
        self.both(lambda log: log.append(records), scope)

    @rule(scope=scopes, session=sessions, upto=seqs)
    def prune(self, scope: Namespace, session: bytes, upto: int) -> None:
        self.both(lambda log: log.prune(session, upto), scope)

    @rule(scope=scopes, session=sessions, first=seqs)
    def cut(self, scope: Namespace, session: bytes, first: int) -> None:
        self.both(lambda log: log.cut(session, max(first, 1)), scope)

    @rule(scope=scopes, session=sessions, seq=seqs)
    def seal(self, scope: Namespace, session: bytes, seq: int) -> None:
        self.both(lambda log: log.seal(session, seq, bytes([seq]) * 64), scope)

    @rule(scope=scopes, name=st.sampled_from("ab"), size=st.integers(0, 9000), drop=st.booleans())
    def shelf(self, scope: Namespace, name: str, size: int, drop: bool) -> None:  # noqa: FBT001
        self.both(lambda log: log.drop(name) if drop else log.put(name, bytes(size)), scope)

    @rule()
    def close_and_open(self) -> None:
        self.file.close()
        self.file = self.opened()

    @rule()
    def crash(self) -> None:
        """What the file holds at this moment, under another name: a process that died here leaves no more."""
        files = [file for file in self.path.parent.iterdir() if file.is_file()]
        copy = self.path.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in files:
            shutil.copy(file, copy)
        self.file.close()
        for file in copy.iterdir():
            shutil.copy(file, self.path.parent)
        self.file = self.opened()

    @invariant()
    def same(self) -> None:
        for scope in HERE, THERE:
            log, model = self.file.open(scope), self.model.open(scope)
            records = list(model.records())
            assert list(log.records()) == records
            assert [record for _, record in log.backwards()] == records[::-1]
            assert [record for _, record in log.since(0)] == records
            for session in (ANN, BOB):
                assert [log.read(session, seq) for seq in range(8)] == [model.read(session, seq) for seq in range(8)]
            assert log.names() == model.names()
            assert [log.get(name) for name in log.names()] == [model.get(name) for name in model.names()]
            assert log.damage == ()

    def teardown(self) -> None:
        self.file.close()
        self.temporary.cleanup()


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=15, stateful_step_count=25)


# -- which files are opened ----------------------------------------------------------------------------


def test_a_file_of_version_1_is_brought_up_to_date_and_holds_what_it_held(path: Path) -> None:
    shutil.copy(STORED, path)
    before = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    assert before.pragma("user_version") == 1
    assert not before.table_exists("main", "quarantine")
    before.close()
    with SqliteStore(path) as store, Replica("bob", store=store) as replica:
        memory = replica.open(SCOPE)
        assert memory.digest() == "00aafb1d680ce25c03b213f0a1ae234fe9e0980032bdb0fd0d7bc5abfd0f217c"
        assert str(memory.text("t")) == "é, as it was"
        assert store.open(SCOPE).get("blob") == b"\x00\xff"
        memory.set("s").add("new")
    after = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    assert after.pragma("user_version") == len(schema.MIGRATIONS) == 2
    assert after.table_exists("main", "quarantine")
    after.close()


def test_a_file_of_version_1_can_be_read_as_it_is(path: Path) -> None:
    shutil.copy(STORED, path)
    with SqliteStore(path, readonly=True) as store:
        assert len(list(store.open(SCOPE).records())) == 4
    assert path.read_bytes() == STORED.read_bytes()


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(STORED, path)
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, "CREATE TABLE more (x); CREATE TABLE more (x);"])
    with pytest.raises(StoreError):
        SqliteStore(path)
    monkeypatch.undo()
    with SqliteStore(path) as store:
        assert len(list(store.open(SCOPE).records())) == 4


def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path, store: SqliteStore) -> None:
    store.open(HERE).append([kept(ANN, 1)])
    store.close()
    other = apsw.Connection(str(path))
    other.pragma("user_version", 9)
    other.close()
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(UpgradeNeeded, match=r"store\.db has schema version 9.* versions up to 2"):
            SqliteStore(path, readonly=readonly)
        assert path.read_bytes() == before
        assert not schema.size(f"{path}-wal")


def test_files_of_others_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all, and long enough to be one " * 50)
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE t (x)")
    other.close()
    (tmp_path / "empty.db").touch()
    (tmp_path / "gone.db-wal").write_bytes(bytes(5000))
    for name, why in {
        "notes.txt": "is no database",
        "other.db": "of another application",
        "empty.db": "is empty, which no store is",
        "gone.db": "is gone, but .*gone.db-wal is there",
    }.items():
        before = (tmp_path / name).read_bytes() if name != "gone.db" else b""
        with pytest.raises(StoreError, match=why):
            SqliteStore(tmp_path / name)
        assert not (tmp_path / name).exists() or (tmp_path / name).read_bytes() == before


def test_a_file_whose_tables_were_changed_is_refused(path: Path, store: SqliteStore) -> None:
    store.close()
    other = apsw.Connection(str(path))
    other.execute("CREATE TRIGGER t AFTER INSERT ON changes BEGIN DELETE FROM changes; END")
    other.close()
    with pytest.raises(StoreError, match="its schema is not that of version 2"):
        SqliteStore(path)


def test_paths_that_cannot_be_say_what_to_do(tmp_path: Path) -> None:
    for wrong, error, why in [
        (":memory:", MisuseError, r"use MemoryStore\(\), or leave store= out"),
        ("", MisuseError, "is not a file"),
        (7, MisuseError, "is not a path"),
        (tmp_path, StoreError, "is a folder"),
        (tmp_path / "missing" / "store.db", StoreError, "there is no folder"),
    ]:
        with pytest.raises(error, match=why):
            SqliteStore(wrong)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="no such file"):
        SqliteStore(tmp_path / "missing.db", readonly=True)
    with pytest.raises(MisuseError, match="neither 'process' nor 'power'"):
        SqliteStore(tmp_path / "store.db", durability="disk")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_being_made_is_made_anew(path: Path) -> None:
    path.with_name("store.db-new").write_bytes(b"half of one")
    with SqliteStore(path) as store:
        store.open(HERE).append([kept(ANN, 1)])
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


def test_it_tells_its_namespaces_and_itself(path: Path, store: SqliteStore) -> None:
    assert store.namespaces() == []
    store.open(HERE)
    store.open(THERE).append([kept(ANN, 1)])
    with SqliteStore(path, readonly=True) as reader:
        assert reader.namespaces() == store.namespaces() == [HERE, THERE]
        assert repr(reader) == f"<SqliteStore {str(path)!r}: reading, 2 namespaces>"
    assert repr(store) == f"<SqliteStore {str(path)!r}: writing, 2 namespaces>"
    store.close()
    assert repr(store) == f"<SqliteStore {str(path)!r}: closed, 2 namespaces>"


@pytest.mark.parametrize(("durability", "mode"), [("process", 1), ("power", 2)])
def test_durability_is_how_sqlite_syncs(path: Path, durability: str, mode: int) -> None:
    with SqliteStore(path, durability=durability) as store:  # type: ignore[arg-type]
        assert store.db.pragma("synchronous") == mode
        assert store.db.pragma("journal_mode") == "wal"


def test_a_small_change_takes_less_than_400_bytes(path: Path) -> None:
    with SqliteStore(path) as store, Replica("ann", store=store) as replica:
        memory = replica.open(SCOPE)
        for number in range(1500):
            memory.set("s").add(f"what was found, {number}", why="a reason")
    assert path.stat().st_size / 1500 < 400


# -- failing -------------------------------------------------------------------------------------------


def test_a_closed_store_refuses_everything(store: SqliteStore) -> None:
    log = store.open(HERE)
    log.append([kept(ANN, 1)])
    reader = log.records()
    store.close()
    for call in (
        lambda: log.append([kept(ANN, 2)]),
        lambda: log.append([kept(ANN, 2), kept(ANN, 3)]),
        lambda: log.seal(ANN, 1, b"s"),
        lambda: log.prune(ANN, 1),
        lambda: log.cut(ANN, 1),
        lambda: log.put("a", b""),
        lambda: log.drop("a"),
        lambda: log.get("a"),
        lambda: log.names(),
        lambda: log.read(ANN, 1),
        lambda: list(log.records()),
        lambda: next(reader),
        lambda: log.size(),
        lambda: log.index(),
        lambda: store.open(THERE),
        lambda: store.namespaces(),
    ):
        with pytest.raises(StoreError, match="has been closed; open a new SqliteStore"):
            call()


@pytest.mark.parametrize("how", ["deleted", "replaced", "renamed"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_moment_later_nothing_is_acknowledged_into_a_file_that_is_gone(
    path: Path, store: SqliteStore, how: str, batch: int
) -> None:
    log = store.open(HERE)
    log.append([kept(ANN, 1), kept(ANN, 2)])
    log.append([kept(ANN, 3)])
    if how == "renamed":
        path.rename(path.with_name("elsewhere.db"))
    else:
        path.unlink()
    if how == "replaced":
        path.write_bytes(b"another")
    store.look_at = 0  # the moment has passed
    for _ in range(2):
        with pytest.raises(StoreError, match="was deleted or replaced while it was open"):
            log.append([kept(ANN, 4), kept(ANN, 5)][:batch])


def test_another_program_that_holds_the_file_is_named_and_survived(path: Path, store: SqliteStore) -> None:
    log = store.open(HERE)
    log.append([kept(ANN, 1), kept(ANN, 2)])
    log.append([kept(ANN, 3)])
    other = apsw.Connection(str(path))
    store.db.set_busy_timeout(0)
    other.execute("BEGIN IMMEDIATE")
    for batch in [kept(ANN, 4)], [kept(ANN, 4), kept(BOB, 1)]:
        with pytest.raises(StoreError, match="another program holds the file"):
            log.append(batch)
    other.execute("CREATE TABLE theirs (x)")
    other.execute("COMMIT")
    other.close()
    log.append([kept(ANN, 4)])
    assert [record.seq for record in log.records()] == [1, 2, 3, 4]


def test_the_fast_way_survives_that_another_program_has_written(path: Path, store: SqliteStore) -> None:
    log = store.open(HERE)
    for seq in (1, 2, 3):
        log.append([kept(ANN, seq)])
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    log.append([kept(ANN, 4)])
    assert [record.seq for record in log.records()] == [1, 2, 3, 4]


def test_a_full_disk_is_said_and_survived(path: Path) -> None:
    disk = Disk()
    with SqliteStore(path, _vfs="failing") as store, Replica("ann", store=store) as replica:
        memory = replica.open(SCOPE)
        memory.set("s").update(["a", "b"])
        before = memory.digest()
        disk.fail("ENOSPC", 1, lasting=True)
        for _ in range(3):
            with pytest.raises(StoreError, match="the disk is full; free some space and try again"):
                memory.set("s").add("c")
        assert memory.digest() == before
        disk.heal()
        memory.set("s").add("d")
        after = memory.digest()
    with Replica("ann", store=path) as replica:
        assert replica.open(SCOPE).digest() == after


def test_every_so_manieth_write_of_a_scripted_run_fails() -> None:
    """All of them: `python -m tests.campaign faults`."""
    counts = faults(step=41)
    assert counts["some call failed"] > 40


def test_threads_with_namespaces_of_their_own_share_a_file(store: SqliteStore) -> None:
    scopes = [Namespace(tenant="acme", task=str(number)) for number in range(4)]

    def work(scope: Namespace) -> None:
        log = store.open(scope)
        for seq in range(1, 101):
            log.append([kept(ANN, seq)] if seq % 10 else [kept(ANN, seq), kept(BOB, seq // 10)])
            if seq % 25 == 0:
                log.put("blob", bytes(seq))
                assert len(list(log.records())) == seq + seq // 10

    threads = [threading.Thread(target=work, args=(scope,)) for scope in scopes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for scope in scopes:
        log = store.open(scope)
        assert [log.read(ANN, seq) for seq in range(1, 101)] == [kept(ANN, seq) for seq in range(1, 101)]
        assert log.newest == 110


# -- reading -------------------------------------------------------------------------------------------


def test_a_reader_sees_what_the_owner_commits_and_writes_nothing(path: Path, store: SqliteStore) -> None:
    log = store.open(HERE)
    log.append([kept(ANN, 1)])
    log.put("a", b"one")
    with SqliteStore(path, readonly=True) as reader:
        seen, unknown = reader.open(HERE), reader.open(THERE)
        assert list(seen.records()) == [kept(ANN, 1)]
        assert list(unknown.records()) == []
        log.append([kept(ANN, 2), kept(BOB, 1)])
        log.put("a", b"two")
        store.open(Namespace(tenant="first"))
        store.open(THERE).append([kept(BOB, 1)])
        assert list(seen.records()) == [kept(ANN, 1), kept(ANN, 2), kept(BOB, 1)]
        assert (seen.read(BOB, 1), seen.newest, seen.get("a")) == (kept(BOB, 1), 3, b"two")
        assert list(unknown.records()) == [kept(BOB, 1)]
        store.checkpoint()
        log.prune(ANN, 1)
        assert list(seen.records()) == [kept(ANN, 2), kept(BOB, 1)]
        assert not seen.writable
        seen.index().execute("CREATE TABLE mine (x)")
        for call in (
            lambda: seen.append([kept(ANN, 3)]),
            lambda: seen.append([kept(ANN, 3), kept(ANN, 4)]),
            lambda: seen.seal(ANN, 2, b""),
            lambda: seen.mend(kept(ANN, 2)),
            lambda: seen.prune(ANN, 2),
            lambda: seen.cut(ANN, 2),
            lambda: seen.put("a", b""),
            lambda: seen.drop("a"),
        ):
            with pytest.raises(ReadOnly, match="its owner writes it"):
                call()
    assert store.open(HERE).damage == ()


def test_a_replica_may_read_a_closed_file(path: Path) -> None:
    with Replica("ann", store=path) as replica:
        replica.open(SCOPE).set("s").add("x")
    with SqliteStore(path, readonly=True) as store, Replica("eve", store=store) as replica:
        assert list(replica.open(SCOPE).set("s")) == ["x"]


# -- the index beside it -------------------------------------------------------------------------------


def test_the_index_lasts_and_what_is_no_index_is_made_anew(path: Path, store: SqliteStore) -> None:
    with store.open(HERE).index() as index:
        index.execute("CREATE TABLE mine (x)")
    store.close()
    with SqliteStore(path) as again:
        assert again.open(HERE).index().table_exists("main", "mine")
    path.with_name("store.db-index").write_bytes(b"no database" * 1000)
    with SqliteStore(path) as again:
        assert not again.open(HERE).index().table_exists("main", "mine")


def test_a_new_file_takes_no_index_of_an_old_one(path: Path, store: SqliteStore) -> None:
    with store.open(HERE).index() as index:
        index.execute("CREATE TABLE mine (x)")
    store.close()
    path.unlink()
    with SqliteStore(path) as again:
        assert not again.open(HERE).index().table_exists("main", "mine")


@pytest.mark.parametrize("size", [1, 3])
def test_what_an_interrupt_left_is_written_over(path: Path, size: int) -> None:
    """It came between a commit and its note: nobody was told that the record is kept, and its place is the next."""
    with SqliteStore(path) as store:
        log = store.open(HERE)
        log.append([kept(ANN, 1)])
        where = store.db.execute("SELECT max(place) FROM changes").get
        store.db.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, 0)", (where + 1, *kept(BOB, 1)))
        later = [kept(ANN, number) for number in range(2, 2 + size)]
        log.append(later)
        log.append([kept(ANN, 2 + size)])
        due = [kept(ANN, 1), *later, kept(ANN, 2 + size)]
        assert list(log.records()) == due
    with SqliteStore(path) as again:
        assert list(again.open(HERE).records()) == due
        assert not again.open(HERE).damage
