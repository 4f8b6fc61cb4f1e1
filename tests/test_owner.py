"""Who owns a file: one process, until it closes it or ends, however it ends. Real processes, no waiting for time."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtmem import StoreError
from crdtmem.sqlite import SqliteStore
from tests.store_contract import ANN, HERE, kept

HOLD = """
import sys
from crdtmem.sqlite import SqliteStore
from tests.store_contract import ANN, HERE, kept
try:
    store = SqliteStore(sys.argv[1], readonly="readonly" in sys.argv)
except Exception as error:
    print(error, flush=True)
    sys.exit(3)
log = store.open(HERE)
print("open", flush=True)
for line in sys.stdin:
    if line == "append\\n":
        log.append([kept(ANN, log.newest + 1)])
    print(len(list(log.records())), flush=True)
"""


class Other:
    """Another process that opens the file."""

    def __init__(self, path: Path | str, *arguments: str, cwd: Path | None = None) -> None:
        command = [sys.executable, "-c", HOLD, str(path), *arguments]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=cwd
        )
        self.said = self.hears()

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def does(self, what: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.hears()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def other(path: Path) -> Iterator[Other]:
    other = Other(path)
    assert other.said == "open"
    yield other
    other.end()


def test_a_second_process_is_told_who_owns_the_file_and_what_to_do(path: Path, other: Other) -> None:
    about = json.loads(path.with_name("store.db-owner").read_text())
    assert about["pid"] == other.process.pid
    with pytest.raises(StoreError) as refusal:
        SqliteStore(path)
    for part in (
        f"is owned by pid {about['pid']} on {about['host']}, since {about['since']}",
        "one file per agent",
        "share with Peer",
        "readonly=True",
    ):
        assert part in str(refusal.value)
    assert other.does("append") == "1"


def test_the_same_process_is_refused_too_by_any_name_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    Path("link.db").symlink_to(path)
    with SqliteStore(path):
        for name in (path, "store.db", "link.db", f"../{path.parent.name}/store.db"):
            with pytest.raises(StoreError, match=rf"is owned by this process \(pid {os.getpid()}"):
                SqliteStore(name)
        refused = Other("link.db", cwd=path.parent)
        refused.end()
        assert f"is owned by pid {os.getpid()}" in refused.said
    SqliteStore("link.db").close()
    assert not path.with_name("store.db-owner").exists()


def test_whoever_was_killed_owns_nothing_and_lost_nothing(path: Path, other: Other) -> None:
    assert [other.does("append") for _ in range(3)] == ["1", "2", "3"]
    other.kill()
    with SqliteStore(path) as store:
        assert list(store.open(HERE).records()) == [kept(ANN, seq) for seq in (1, 2, 3)]
        assert store.open(HERE).damage == ()


def test_a_reader_follows_an_owner_in_another_process(path: Path, other: Other) -> None:
    with SqliteStore(path, readonly=True) as store:
        log = store.open(HERE)
        assert list(log.records()) == []
        for seq in (1, 2, 3):
            other.does("append")
            assert log.read(ANN, seq) == kept(ANN, seq)
            assert log.newest == seq
    reader = Other(path, "readonly")
    assert reader.does("count") == "3"
    assert other.does("append") == "4"
    assert reader.does("count") == "4"
    reader.end()


def test_a_file_whose_owner_was_killed_can_be_read(path: Path, other: Other) -> None:
    other.does("append")
    other.kill()
    with SqliteStore(path, readonly=True) as store:
        assert list(store.open(HERE).records()) == [kept(ANN, 1)]
    with SqliteStore(path) as store:
        assert list(store.open(HERE).records()) == [kept(ANN, 1)]


def test_of_many_that_start_at_once_one_wins(path: Path) -> None:
    for _ in range(10):
        results, go = os.pipe(), os.pipe()
        children = []
        for _ in range(8):
            child = os.fork()
            if not child:
                os.close(go[1])
                os.read(go[0], 1)  # ends for all when the parent closes its end
                try:
                    store = SqliteStore(path)
                    store.open(HERE)
                    os.write(results[1], b"won ")
                except StoreError as error:
                    os.write(results[1], b"lost" if "owned by" in str(error) else b"fail")
                os.read(results[0], 0)
                signal.pause()
            children.append(child)
        os.close(go[0])
        os.close(go[1])
        said = sorted(os.read(results[0], 4) for _ in children)
        assert said == [b"lost"] * 7 + [b"won "]
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for end in results:
            os.close(end)


def test_a_forked_child_may_neither_use_nor_close_nor_free_what_its_parent_owns(path: Path) -> None:
    with SqliteStore(path) as store:
        log = store.open(HERE)
        log.append([kept(ANN, 1), kept(ANN, 2)])
        log.append([kept(ANN, 3)])
        log.index()
        child = os.fork()
        if not child:
            told = 0
            for call in (lambda: log.append([kept(ANN, 4)]), lambda: list(log.records()), lambda: store.open(HERE)):
                try:
                    call()
                except StoreError as error:
                    told += "opened before fork(); open a file of its own" in str(error)
            store.close()
            del store, log
            try:
                SqliteStore(path)
            except StoreError as error:
                told += "is owned by" in str(error)
            os._exit(told)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
        log.append([kept(ANN, 4)])
        refused = Other(path)
        refused.end()
        assert "is owned by" in refused.said
    with SqliteStore(path) as store:
        assert [record.seq for record in store.open(HERE).records()] == [1, 2, 3, 4]


def test_a_child_that_outlives_its_parent_s_store_holds_nothing(path: Path) -> None:
    gate = os.pipe()
    with SqliteStore(path) as store:
        store.open(HERE)
        child = os.fork()
        if not child:
            os.close(gate[1])
            os.read(gate[0], 1)
            os._exit(0)
    os.close(gate[0])
    other = Other(path)
    assert other.said == "open"
    other.end()
    os.close(gate[1])
    os.waitpid(child, 0)


def test_an_owner_file_that_is_left_or_torn_means_nothing(path: Path) -> None:
    path.with_name("store.db-owner").write_text('{"pid": 1')
    with SqliteStore(path):
        path.with_name("store.db-owner").write_text("")
        with pytest.raises(StoreError, match="is owned by another process"):
            SqliteStore(path)


def test_where_nothing_may_be_written_a_file_can_still_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with SqliteStore(folder / "store.db") as store:
            store.open(HERE).append([kept(ANN, 1)])
        folder.chmod(0o555)
        child = os.fork()
        if not child:
            told = 0
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)  # root may write everywhere
                with SqliteStore(folder / "store.db", readonly=True) as store:
                    told += list(store.open(HERE).records()) == [kept(ANN, 1)]
                try:
                    SqliteStore(folder / "store.db")
                except StoreError as error:
                    told += "readonly=True) reads it" in str(error)
            finally:
                os._exit(told)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        folder.chmod(0o755)
