"""What is broken in a store file is found, set aside, never served, told, and put back; nothing is lost in silence."""

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from crdtmem import Record, StoreError
from crdtmem.sqlite import SqliteStore
from crdtmem.store import Damage, Log
from tests.faults import SCOPES, damage, template
from tests.kills import campaign
from tests.store_contract import ANN, BOB, HERE, kept

RECORDS = [kept(ANN, seq, bytes([64 + seq]) * 50) for seq in range(1, 6)] + [kept(BOB, 1), kept(ANN, 6), kept(BOB, 2)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed file with some records and a blob."""
    path = tmp_path / "store.db"
    with SqliteStore(path) as store:
        log = store.open(HERE)
        log.append(RECORDS)
        log.put("blob", b"B" * 500)
    return path


def change(path: Path, sql: str) -> None:
    """Change a closed file behind the store's back."""
    db = apsw.Connection(str(path))
    db.execute(sql).fetchall()
    db.close()


def flip(path: Path, there: bytes) -> None:
    """Change a byte of the only place where these stand."""
    data = path.read_bytes()
    assert data.count(there) == 1
    at = data.index(there) + len(there) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


def without(*lost: Record) -> list[Record]:
    return [record for record in RECORDS if record not in lost]


def shown(log: Log) -> list[Record]:
    assert list(log.backwards())[::-1] == list(log.since(0))
    return list(log.records())


def test_a_flipped_bit_costs_one_record_which_is_named_and_set_aside(path: Path) -> None:
    flip(path, bytes([64 + 3]) * 50)
    for _ in range(2):
        with SqliteStore(path) as store:
            log = store.open(HERE)
            assert shown(log) == without(RECORDS[2])
            assert log.read(ANN, 3) is None
            [told] = log.damage
            assert told[1:] == (ANN, 3)
            [(core, reason)] = store.db.execute("SELECT core, reason FROM quarantine").fetchall()
            assert (len(core), reason) == (50, "its checksum does not fit")
            with pytest.raises(StoreError, match="is not broken here"):
                log.mend(RECORDS[1])
            log.seal(ANN, 3, b"s" * 64)  # mending it brings its seal
            assert log.read(ANN, 3) is None


def test_a_record_is_mended_in_its_place_and_stays_so(path: Path) -> None:
    flip(path, bytes([64 + 3]) * 50)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert log.read(ANN, 3) is None
        log.mend(RECORDS[2])
        assert log.damage == ()
        assert shown(log) == RECORDS
        with pytest.raises(StoreError, match="is not broken here"):
            log.mend(RECORDS[2])
    with SqliteStore(path) as store:
        assert shown(store.open(HERE)) == RECORDS
        assert store.open(HERE).damage == ()


def test_reading_alone_tells_and_sets_nothing_aside(path: Path) -> None:
    flip(path, bytes([64 + 3]) * 50)
    before = path.read_bytes()
    with SqliteStore(path, readonly=True) as store:
        log = store.open(HERE)
        assert shown(log) == without(RECORDS[2])
        assert log.damage == (Damage("its checksum does not fit", ANN, 3),)
    assert path.read_bytes() == before


@pytest.mark.parametrize("gone", [[1], [4, 5], [8], [1, 2, 3, 4, 5, 6, 7, 8]], ids=str)
def test_rows_that_vanish_are_missed_as_soon_as_the_log_is_opened(path: Path, gone: list[int]) -> None:
    change(path, f"DELETE FROM changes WHERE place - (1 << 40) IN ({','.join(map(str, gone))})")
    with SqliteStore(path) as store:
        log = store.open(HERE)
        lost = [RECORDS[place - 1] for place in gone]
        assert {told[1:] for told in log.damage} == {(record.session, record.seq) for record in lost}
        assert shown(log) == without(*lost)
        for record in lost:
            log.mend(record)
        assert shown(log) == RECORDS
        log.append([kept(ANN, 7)])


def test_what_was_broken_and_cut_is_no_longer_told_once_it_came_again(path: Path) -> None:
    flip(path, bytes([64 + 3]) * 50)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert len(shown(log)) == 7
        log.cut(ANN, 3)
        assert [told[1:] for told in log.damage] == [(ANN, 3)]
        log.append([RECORDS[2]])
        assert log.damage == ()
        log.append([RECORDS[3]])
        log.append([RECORDS[4]])
        assert [record.seq for record in log.records()] == [1, 2, 1, 2, 3, 4, 5]


def test_what_is_pruned_is_no_longer_missed(path: Path) -> None:
    flip(path, bytes([64 + 3]) * 50)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert len(shown(log)) == 7
        log.prune(ANN, 3)
        assert log.damage == ()
    with SqliteStore(path) as store:
        assert shown(store.open(HERE)) == RECORDS[3:]
        assert store.open(HERE).damage == ()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "UPDATE runs SET count = count + 1 WHERE seq = 1",
        "UPDATE runs SET place = place + 1",
        "DELETE FROM sessions",
        "UPDATE sessions SET newest = newest + 1",
        "UPDATE sessions SET session = x'00' WHERE id = 1",
        "UPDATE namespaces SET upto = upto + 2",
        "UPDATE namespaces SET sessions = 7",
        "UPDATE namespaces SET digest = x'00'",
        "UPDATE namespaces SET labels = x'00'",
        "UPDATE namespaces SET crc = 'text'",
    ],
)
def test_what_can_be_made_again_is_made_again(path: Path, sql: str) -> None:
    change(path, sql)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert [log.read(record.session, record.seq) for record in RECORDS] == RECORDS
        assert shown(log) == RECORDS
        assert log.get("blob") == b"B" * 500
        assert [told.session for told in log.damage] == [None]
        assert "made again" in log.damage[0].reason
        log.append([kept(ANN, 7), kept(BOB, 3)])
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert shown(log) == [*RECORDS, kept(ANN, 7), kept(BOB, 3)]
        assert log.damage == ()
        assert store.namespaces() == [HERE]


@pytest.mark.parametrize("sql", ["DELETE FROM namespaces", "UPDATE namespaces SET id = 2"])
def test_a_file_that_lost_a_namespace_is_refused(path: Path, sql: str) -> None:
    change(path, sql)
    with pytest.raises(StoreError, match="does not list all its namespaces"):
        SqliteStore(path)


def test_a_broken_blob_is_told_and_not_served_and_may_be_put_again(path: Path) -> None:
    flip(path, b"B" * 500)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        assert log.get("blob") is None
        assert log.damage == (Damage("the checksum of blob 'blob' does not fit"),)
        assert log.get("blob") is None
        assert store.db.execute("SELECT length(core) FROM quarantine").get == 500
        log.put("blob", b"again")
        assert log.get("blob") == b"again"
        assert log.damage == ()


@pytest.mark.parametrize("sql", ["UPDATE changes SET crc = crc + 1", "UPDATE changes SET seq = seq + 1 WHERE seq = 2"])
def test_a_row_is_more_than_its_core(path: Path, sql: str) -> None:
    change(path, sql)
    with SqliteStore(path) as store:
        log = store.open(HERE)
        found = shown(log)
        assert all(record in RECORDS for record in found)
        assert {(record.session, record.seq) for record in without(*found)} == {told[1:] for told in log.damage}
        assert log.damage


# -- the write-ahead log of a process that was killed ---------------------------------------------------


def _cut(wal: Path) -> None:
    wal.write_bytes(wal.read_bytes()[: -wal.stat().st_size // 2])


def _flip_early(wal: Path) -> None:
    data = bytearray(wal.read_bytes())
    data[32 + 24 + 2072 * 3 + 100] ^= 1
    wal.write_bytes(data)


def _flip_last(wal: Path) -> None:
    data = bytearray(wal.read_bytes())
    data[-9] ^= 1
    wal.write_bytes(data)


def _flip_header(wal: Path) -> None:
    data = bytearray(wal.read_bytes())
    data[17] ^= 1
    wal.write_bytes(data)


@pytest.mark.parametrize("witness", [True, False], ids=["with shared memory", "without"])
@pytest.mark.parametrize("how", [_cut, _flip_early, _flip_last, _flip_header, Path.unlink])
def test_commits_lost_with_the_write_ahead_log_are_told(
    tmp_path: Path,
    how: Callable[[Path], object],
    witness: bool,  # noqa: FBT001
) -> None:
    if not witness and how in (_cut, Path.unlink):
        pytest.skip("nothing in the file tells that there was more")
    made = template(tmp_path / "killed", killed=True, limit=1 << 30)
    path = tmp_path / "killed" / "store.db"
    how(path.with_name("store.db-wal"))
    if not witness:
        path.with_name("store.db-shm").unlink()
    with SqliteStore(path) as store:
        for scope in SCOPES:
            log = store.open(scope)
            found = [record[:4] for record in log.records()]
            assert found == [record[:4] for record in made.records[scope]][: len(found)]
            assert log.damage
            assert "write-ahead log" in log.damage[0].reason
        assert store.db.execute("SELECT count(*) FROM quarantine").get == 1
    with SqliteStore(path) as store:
        assert [record[:4] for record in store.open(scope).records()] == found


def test_frames_older_than_the_main_file_are_not_read_over_it(tmp_path: Path) -> None:
    made = template(tmp_path / "killed", killed=True, limit=1 << 30)
    path = tmp_path / "killed" / "store.db"
    db = apsw.Connection(str(path))  # what is in the write-ahead log goes to the main file, and stays in both
    db.pragma("schema_version")
    assert db.wal_checkpoint()[1] > 700
    shutil.copytree(path.parent, tmp_path / "copy")
    db.close()
    _flip_early(tmp_path / "copy" / "store.db-wal")
    with SqliteStore(tmp_path / "copy" / "store.db") as store:
        for scope in SCOPES:
            assert list(store.open(scope).records()) == made.records[scope]
            assert "write-ahead log" in store.open(scope).damage[0].reason
    assert (tmp_path / "copy" / "store.db-wal-damaged").exists()


def test_a_commit_under_way_when_the_process_was_killed_is_no_damage(tmp_path: Path) -> None:
    template(tmp_path / "killed", killed=True, limit=1 << 30)
    path = tmp_path / "killed" / "store.db"
    wal = path.with_name("store.db-wal")
    whole = wal.read_bytes()
    frame = whole[-2072:]
    for torn in (frame[:24], frame[:24] + bytes(1000), bytes(2072)):
        wal.write_bytes(whole + torn)
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(path.parent, tmp_path / "copy")
        with SqliteStore(tmp_path / "copy" / "store.db") as store:
            assert store.open(SCOPES[0]).damage == ()


# -- the searches, in small ----------------------------------------------------------------------------


def test_of_some_ruined_files_none_differs_without_a_word() -> None:
    """More: `python -m tests.campaign damage`."""
    assert damage(60, seed=7).total() == 60


def test_after_some_kills_all_is_there_that_was_acknowledged_and_nothing_else() -> None:
    """More: `python -m tests.campaign kill`."""
    assert campaign(6, seed=7, strace=10).acknowledged > 0
