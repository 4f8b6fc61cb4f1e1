"""The write-ahead log goes into the main file beside the writer, who does not wait; and nothing leaves it too soon."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from crdtmem import Record, StoreError
from crdtmem.sqlite import SqliteStore, schema
from crdtmem.store import Log
from tests.store_contract import ANN, HERE

LIMIT = 3 << 20
CORE = b"c" * 50_000


class Gate(apsw.VFS):
    """The system's disk, where the thread beside the writer waits until it may go on, or fails."""

    def __init__(self) -> None:
        super().__init__("gate", "")
        self.opening, self.syncing = threading.Event(), threading.Event()
        self.fails = False

    def open(self) -> None:
        self.opening.set()
        self.syncing.set()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_GateFile":
        if beside():
            self.opening.wait()
        return _GateFile(self, name, flags)


class _GateFile(apsw.VFSFile):
    def __init__(self, gate: Gate, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._gate = gate

    def xSync(self, flags: int) -> None:
        if beside():
            self._gate.syncing.wait()
            if self._gate.fails:
                raise apsw.IOError("on purpose")
        super().xSync(flags)


def beside() -> bool:
    return threading.current_thread().name == "crdtmem-backfill"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, gate: Gate) -> Iterator[SqliteStore]:
    store = SqliteStore(path, _vfs="gate")
    store.limit = LIMIT
    yield store
    gate.open()
    store.close()


def append(log: Log, number: int) -> None:
    log.append([Record(ANN, number, bytes([number % 256]) * 32, CORE, b"")])


def until(log: Log, started: int, done: Callable[[], bool]) -> int:
    """Append until something is so; the last number."""
    number = started
    while not done():
        number += 1
        append(log, number)
        assert number < 1000
    return number


def frames(path: Path) -> tuple[int, int]:
    """How many frames the write-ahead log has, and how many of them are in the main file."""
    db = schema.connect(str(path), None)
    try:
        db.pragma("schema_version")
        return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    finally:
        db.close()


def test_who_writes_goes_on_and_only_what_the_runs_know_leaves_it(path: Path, store: SqliteStore, gate: Gate) -> None:
    log = store.open(HERE)
    first = until(log, 0, lambda: store.beside._thread is not None)
    known, _ = frames(path)  # by the runs on the disk
    for number in range(first + 1, first + 11):  # the thread has not begun, and not read how far it may go
        append(log, number)
    gate.opening.set()
    for number in range(first + 11, first + 16):  # and waits for the disk
        append(log, number)
    thread = store.beside._thread
    assert thread is not None
    gate.syncing.set()
    thread.join()
    assert store.db.execute("SELECT upto FROM namespaces").get == (1 << 40) + first
    there, left = frames(path)
    assert left == known < there
    append(log, first + 16)
    assert store.beside._thread is None
    assert frames(path)[1] > there  # the rest was little, and is brought in at once
    assert len(list(log.records())) == first + 16
    store.close()
    with SqliteStore(path) as again:
        assert len(list(again.open(HERE).records())) == first + 16
        assert not again.open(HERE).damage


def test_the_write_ahead_log_begins_anew_however_much_is_written(path: Path, store: SqliteStore, gate: Gate) -> None:
    gate.open()
    log = store.open(HERE)
    for number in range(1, 401):
        append(log, number)
        assert os.path.getsize(f"{path}-wal") < 3 * LIMIT
    assert os.path.getsize(path) > 3 * LIMIT
    assert [record.seq for record in log.records()] == list(range(1, 401))


def waited_for(store: SqliteStore, gate: Gate) -> threading.Thread:
    """The thread, which goes on only when somebody waits for it."""
    thread = store.beside._thread
    assert thread is not None
    join = thread.join

    def released(timeout: float | None = None) -> None:
        gate.open()
        join(timeout)

    thread.join = released  # type: ignore[method-assign]
    return thread


def test_who_writes_more_than_the_disk_takes_waits_for_it(store: SqliteStore, gate: Gate) -> None:
    log = store.open(HERE)
    number = until(log, 0, lambda: store.beside._thread is not None)
    thread = waited_for(store, gate)
    number = until(log, number, lambda: store.beside._thread is not thread)
    assert not thread.is_alive()
    assert store.limit == LIMIT
    assert len(list(log.records())) == number


def test_a_disk_that_fails_there_costs_nothing(
    path: Path, store: SqliteStore, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.fails = True
    gate.open()
    log = store.open(HERE)
    number = until(log, 0, lambda: "grows on" in caplog.text)
    number = until(log, number, lambda: store.beside._thread is None)
    gate.fails = False
    for more in range(number + 1, number + 200):
        append(log, more)
    store.close()
    with SqliteStore(path) as again:
        assert len(list(again.open(HERE).records())) == number + 199
        assert not again.open(HERE).damage


def test_a_fork_waits_for_it(store: SqliteStore, gate: Gate) -> None:
    until(store.open(HERE), 0, lambda: store.beside._thread is not None)
    thread = waited_for(store, gate)
    child = os.fork()
    if not child:
        os._exit(7 if thread.is_alive() else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not thread.is_alive()


def test_closing_waits_for_it(path: Path, store: SqliteStore, gate: Gate) -> None:
    number = until(store.open(HERE), 0, lambda: store.beside._thread is not None)
    thread = waited_for(store, gate)
    store.close()
    assert not thread.is_alive()
    with SqliteStore(path) as again:
        assert len(list(again.open(HERE).records())) == number


def test_little_is_brought_in_at_once(path: Path) -> None:
    with SqliteStore(path) as store:
        store.limit = 100_000
        log = store.open(HERE)
        for number in range(1, 100):
            append(log, number)
            assert store.beside._thread is None


def test_another_file_that_was_put_there_is_not_written_into(path: Path, store: SqliteStore, gate: Gate) -> None:
    other = path.with_name("other.db")
    with SqliteStore(other) as backup:
        append(backup.open(HERE), 1)
    was = other.read_bytes()
    log = store.open(HERE)
    number = until(log, 0, lambda: store.beside._thread is not None)  # it waits before it opens the file
    os.replace(other, path)
    gate.open()
    store.beside.wait()
    assert path.read_bytes() == was
    with pytest.raises(StoreError, match="deleted or replaced"):
        until(log, number, lambda: False)


def test_an_interrupt_while_it_begins_leaves_a_store_that_writes_on(
    store: SqliteStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open()
    log = store.open(HERE)
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        until(log, 0, lambda: False)
    thread = store.beside._thread
    number = log.place & 0xFFFF
    until(log, number, lambda: store.beside._thread is not thread)
    assert store.limit == LIMIT
    assert thread is not None
    assert not thread.is_alive()


def test_without_the_lock_that_says_how_far_it_may_go_it_does_not_begin(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = store.open(HERE)
    monkeypatch.setattr(SqliteStore, "_hold", lambda self: None)
    for number in range(1, 200):
        append(log, number)
        assert store.beside._thread is None
