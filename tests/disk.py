"""A disk that fails when told to: the n-th write or sync of a scripted run ends with ENOSPC or EIO, for every n.

Whatever fails, a call has either done its work or raised StoreError and done nothing; the log reads as before the
failed call, goes on working once the cause is gone, and is found so by the next process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import apsw

from crdtmem import MemoryStore, Record, StoreError
from crdtmem.sqlite import SqliteStore
from crdtmem.store import Log
from tests.faults import Failure
from tests.store_contract import ANN, BOB, HERE, kept

ERRORS: dict[str, Callable[[], Exception]] = {"ENOSPC": apsw.FullError, "EIO": apsw.IOError}


class Disk(apsw.VFS):
    """The system's disk, except for what is to fail."""

    def __init__(self) -> None:
        super().__init__("failing", "")
        self.heal()

    def heal(self) -> None:
        """Fail no more, and count from the start."""
        self.fail("EIO", 0, lasting=False)

    def fail(self, error: str, at: int, *, lasting: bool) -> None:
        """Let one operation fail, counted from here on, or all from then on; 0 none."""
        self.error, self.at, self.lasting, self.count = ERRORS[error], at, lasting, 0

    def step(self) -> None:
        """One more operation that changes the disk."""
        self.count += 1
        if self.at and (self.count == self.at or (self.lasting and self.count > self.at)):
            raise self.error("on purpose")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:
        """Open a file on it."""
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.step()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.step()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        self._disk.step()
        super().xTruncate(size)


# -- what is done on it ------------------------------------------------------------------------------

Call = Callable[[Log], object]


def script() -> Iterator[tuple[str, Call]]:
    """Calls of every kind, enough of them for some checkpoints."""
    yield "first", lambda log: log.append([kept(ANN, 1)])
    for seq in range(2, 8):
        yield f"one more, {seq}", lambda log, seq=seq: log.append([kept(ANN, seq, bytes([seq]) * 700)])
    yield "a batch", lambda log: log.append([kept(BOB, 1), kept(ANN, 8), kept(BOB, 2), kept(BOB, 3, b"x" * 9000)])
    yield "seal", lambda log: log.seal(ANN, 3, b"s" * 64)
    yield "put", lambda log: log.put("a", b"y" * 5000)
    yield "put again", lambda log: log.put("a", b"z" * 100)
    yield "cut", lambda log: log.cut(BOB, 3)
    yield "again from there", lambda log: log.append([kept(BOB, 3, b"other")])
    for seq in range(9, 14):
        yield f"one more, {seq}", lambda log, seq=seq: log.append([kept(ANN, seq, bytes([seq]) * 3000)])
    yield "prune", lambda log: log.prune(ANN, 11)
    yield "drop", lambda log: log.drop("a")
    yield "last", lambda log: log.append([kept(ANN, 14)])


def shown(log: Log) -> tuple[list[Record], dict[str, bytes | None]]:
    """All that a log has."""
    return list(log.records()), {name: log.get(name) for name in log.names()}


def attempt(disk: Disk, folder: Path, error: str, at: int, *, lasting: bool, durability: Any) -> tuple[int, int]:
    """Run the script with one fault: how many operations the disk saw, and how many calls failed.

    Raises:
        Failure: a call failed and did something, or did nothing and said no word.
    """
    path = folder / "store.db"
    model = MemoryStore().open(HERE)
    disk.fail(error, at, lasting=lasting)
    failed: list[tuple[str, Any]] = []  # and what would be there, had it not
    store = None
    try:
        store = SqliteStore(path, durability=durability, _vfs="failing")
        store.limit = 20_000
        log = store.open(HERE)
    except StoreError:
        if store is not None:
            store.close()
        disk.heal()
        with SqliteStore(path) as store:  # there was none, or a whole one
            log = store.open(HERE)
            if shown(log) != ([], {}) or log.damage:
                raise Failure("a store that could not be made is not empty") from None
        _clear(folder)
        return 0, 1
    for name, call in script():
        after = deepcopy(model)
        try:
            call(after)
        except StoreError:
            continue  # it follows a call that failed
        try:
            call(log)
        except StoreError:
            failed.append((name, shown(after)))
        else:
            model = after
        if shown(log) != shown(model):
            raise Failure(f"{name}: the log reads differently from what was acknowledged")
    store.close()
    count = disk.count
    disk.heal()
    with SqliteStore(path) as store:
        log = store.open(HERE)
        if shown(log) not in (shown(model), *[state for _, state in failed]) or log.damage:
            raise Failure(
                f"the next process finds something else; failed: {[name for name, _ in failed]}, {log.damage}"
            )
        log.append([kept(b"c" * 16, 1)])
    _clear(folder)
    return count, len(failed)


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


# -- the search --------------------------------------------------------------------------------------


def faults(step: int = 1) -> Counter[str]:
    """Every fault, or one of so many: how often a call failed, and how often none did.

    Raises:
        Failure: see `attempt`; the note says which.
    """
    disk, counts = Disk(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        for durability, error, lasting in product(("process", "power"), ERRORS, (False, True)):
            count, _ = attempt(disk, Path(name), error, 0, lasting=lasting, durability=durability)
            for at in range(1, count + 1, step):
                try:
                    _, failed = attempt(disk, Path(name), error, at, lasting=lasting, durability=durability)
                except Exception as problem:
                    problem.add_note(f"{error} at operation {at} of {count}, {lasting=}, {durability=}")
                    raise
                counts["some call failed" if failed else "no call failed"] += 1
    return counts


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--step", type=int, default=1, help="try every so manieth operation")


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    counts = faults(args.step)
    print(f"{counts.total()} faults in {time.monotonic() - began:.0f} s: {dict(counts)}; each durable or an error")
    return 0


FAULTS = ("every write of a scripted run fails in turn, with ENOSPC and EIO", _options, _run)
