"""Kill -9, over and over, on one file: what was acknowledged is there, what was never attempted is not.

One life: a process opens the file, tells what it finds, and writes, acknowledging each call on a pipe once it has
returned, until it is killed: at a random moment, at the n-th write or sync of its disk (also half-way through one), or
by strace at the n-th such system call. The calls of a life follow from the seed and the life alone, so whoever counts
the acknowledgements knows what must be found: the state after the last acknowledged call, or after the next one.
All that is found is replayed into a memory that was never killed, and the digests are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from crdtmem import Memory, MemoryStore, Record, Replica
from crdtmem.sqlite import SqliteStore
from crdtmem.state import State
from tests.crew import SCOPE
from tests.faults import Failure

CALLS = "pwrite64,fdatasync,fsync,ftruncate,unlink,rename"
KEEP = 100  # values in the set, characters in the text: the log grows, the state does not
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


# -- what is written, and what it adds up to -----------------------------------------------------------


class Content(NamedTuple):
    """All that a reader sees."""

    total: int
    values: frozenset[int]
    text: str
    notes: dict[str, int]

    @classmethod
    def of(cls, memory: Memory) -> Content:
        values = frozenset[int](memory.set("values"))
        return cls(memory.counter("total").value, values, str(memory.text("text")), dict(memory.records("notes")))


NOTHING = Content(0, frozenset(), "", {})


class Call(NamedTuple):
    """One call, or several writes that are one change or one batch."""

    kind: str
    writes: tuple[Any, ...]


def calls(seed: int, life: int) -> Iterator[Call]:
    """The calls of a life."""
    rng = random.Random(f"{seed} {life}")
    number = life * 10_000
    left = rng.randrange(300, 1700)
    while left > 0:
        if rng.random() < 0.005:
            yield Call("checkpoint", ())  # these processes die too young for the background to come to it
        kind = rng.choice(("alone",) * 12 + ("block", "friend"))
        size = rng.randrange(2, 80) if kind == "block" else rng.randrange(1, 30) if kind == "friend" else 1
        writes = []
        for _ in range(size):
            number += 1
            what = rng.choice(("add", "count") if kind == "friend" else ("add", "count", "note") * 4 + ("append",))
            writes.append((what, number))
        left -= size
        yield Call(kind, tuple(writes))


def after(content: Content, call: Call) -> Content:
    """What is there when a call is done."""
    total, values, text, notes = content.total, set(content.values), content.text, dict(content.notes)
    for what, number in call.writes:
        match what:
            case "add":
                values.add(number)
                if call.kind != "friend" and len(values) > KEEP:
                    values.remove(min(values))
            case "count":
                total += number
            case "append":
                if len(text) > KEEP:
                    text = text[-KEEP // 2 :]
                text += f"{number} "
            case _:
                notes[str(number % 20)] = number
    return Content(total, frozenset(values), text, notes)


def do(memory: Memory, friend: Memory, call: Call, content: Content) -> None:
    """Make the call, given what is there."""
    if call.kind == "friend":
        seen = friend.version
        for what, number in call.writes:
            friend.set("values").add(number) if what == "add" else friend.counter("total").add(number)
        memory.receive(friend.changes(seen))
    elif call.kind == "checkpoint":
        memory.checkpoint()
    else:
        with memory.change():  # a write that makes room is two
            for write in call.writes:
                later = after(content, Call("", (write,)))
                _write(memory, *write, content, later)
                content = later


def _write(memory: Memory, what: str, number: int, content: Content, later: Content) -> None:
    match what:
        case "add":
            memory.set("values").add(number)
            for gone in content.values - later.values:
                memory.set("values").discard(gone)
        case "count":
            memory.counter("total").add(number)
        case "append":
            if len(content.text) > KEEP:
                memory.text("text").delete(0, len(content.text) - KEEP // 2)
            memory.text("text").append(f"{number} ")
        case _:
            memory.records("notes").put(str(number % 20), number)


# -- a life --------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What a process finds when it opens the file."""

    seconds: float
    content: tuple[int, list[int], str, dict[str, int]]
    digest: str
    changes: list[tuple[bytes, int, bytes, bytes, bytes]]
    place: int  # of the last of these
    damage: int


def live(path: str, seed: int, life: int, known: int, pipe: int, at: int = 0) -> None:
    """Open, tell what is there and what was kept behind a place, write; the disk kills at its operation `at`.

    It does not return.
    """
    vfs = _Deadly(at) if at else None
    began = time.perf_counter()
    store = SqliteStore(path, _vfs="deadly" if vfs else None)
    if life % 2:
        store.limit = 1_100_000  # of the write-ahead log: some of it is brought into the main file beside the writer
    memory = Replica("ann", store=store).open(SCOPE)
    seconds = time.perf_counter() - began
    content = Content.of(memory)
    shown = (content.total, sorted(content.values), content.text, content.notes)
    log = store.open(SCOPE)
    changes = [tuple(record) for _, record in log.since(known)]
    data = _encode(Found(seconds, shown, memory.digest(), changes, log.newest, len(memory.damage)))
    _send(pipe, len(data).to_bytes(4, "big") + data)
    friend = Replica("bob").open(SCOPE)
    for call in calls(seed, life):
        do(memory, friend, call, content)
        os.write(pipe, b".")
        content = after(content, call)
    os.kill(os.getpid(), signal.SIGKILL)


def _send(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


class _Deadly(apsw.VFS):
    """A disk that kills its process at one of its operations: before it, after it, or in the middle of a write."""

    def __init__(self, at: int) -> None:
        super().__init__("deadly", "")
        self.left = at

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _DeadlyFile:
        return _DeadlyFile(self, name, flags)


class _DeadlyFile(apsw.VFSFile):
    def __init__(self, disk: _Deadly, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def _step(self) -> bool:
        self._disk.left -= 1
        return self._disk.left == 0

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._step():
            part = (0, len(data) // 2, len(data))[os.getpid() % 3]
            super().xWrite(data[:part], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._step():
            os.kill(os.getpid(), signal.SIGKILL)
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        if self._step():
            os.kill(os.getpid(), signal.SIGKILL)
        super().xTruncate(size)


# -- the killer ----------------------------------------------------------------------------------------


class Killer:
    """Kills one life after the other, and compares.

    Args:
        folder: for the file.
        seed: of calls and moments.
        strace: how many of a hundred lives end by strace.
    """

    def __init__(self, folder: Path, seed: int, strace: int) -> None:
        self._path = str(folder / "killed.db")
        self._seed = seed
        self._rng = random.Random(seed)
        self._strace = strace if shutil.which("strace") else 0
        self._candidates = [NOTHING]  # one of them is to be found
        self._kept = MemoryStore().open(SCOPE)
        self._replay = State(SCOPE.digest, self._kept)
        self._place = 0  # of the last record in it
        self.life = self.acknowledged = self.slowest_life = 0
        self.slowest = 0.0
        self.ends: dict[str, int] = {}

    def kill(self) -> None:
        """One life and its end.

        Raises:
            Failure: what it found is not what must be there.
        """
        self.life += 1
        rng, read, pipe = self._rng, *os.pipe()
        how = rng.choices(("after some calls", "on the disk", "by strace"), (60, 40 - self._strace, self._strace))[0]
        pid = self._spawn(how, pipe)
        os.close(pipe)
        patience = rng.randrange(400) if how == "after some calls" else 1 << 30
        opening = how == "after some calls" and rng.random() < 0.1  # somewhere before or in its first calls
        with os.fdopen(read, "rb", buffering=0) as acks:
            if opening:
                time.sleep(rng.random() * 0.05)
                os.kill(pid, signal.SIGKILL)
            told, made = self._read(acks), 0
            while told and (got := acks.read(4096)):
                made += len(got)
                if made >= patience:
                    os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if status not in (signal.SIGKILL, signal.SIGKILL << 8, (128 + signal.SIGKILL) << 8):
            raise Failure(f"life {self.life} ended by itself, with status {status}")
        self.ends[how] = self.ends.get(how, 0) + 1
        if told:
            self._compare(told, traced=how == "by strace")
            self._follow(made)

    def _spawn(self, how: str, pipe: int) -> int:
        at = self._rng.randrange(1, 1500)
        pid = os.fork()
        if not pid:
            try:
                if how == "by strace":
                    self._traced(pipe, at)
                live(self._path, self._seed, self.life, self._place, pipe, at if how == "on the disk" else 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        return pid

    def _traced(self, pipe: int, at: int) -> None:
        os.set_inheritable(pipe, True)  # noqa: FBT003
        life = [self._path, *map(str, (self._seed, self.life, self._place, pipe))]
        options = [
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={CALLS}",
            "-e",
            f"inject={CALLS}:signal=KILL:when={at}",
        ]
        os.execvp("strace", ["strace", *options, sys.executable, "-m", "tests.kills", *life])

    def _read(self, acks: Any) -> Found | None:
        data = b""
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
            wanted = 4 - len(data) if len(data) < 4 else 4 + int.from_bytes(data[:4], "big") - len(data)
            got = acks.read(wanted)
            if not got:
                return None
            data += got
        return _decode(data[4:], type=Found)

    def _compare(self, told: Found, *, traced: bool) -> None:
        total, values, text, notes = told.content
        found = Content(total, frozenset(values), text, notes)
        if found not in self._candidates:
            raise Failure(f"life {self.life} found {found}, and not one of {self._candidates}")
        for change in told.changes:
            record = Record(*change)
            self._kept.append([record])
            self._replay.apply(record.change)
        if self._replay.digest().hex() != told.digest:
            raise Failure(f"life {self.life}: a replay gives another digest")
        if told.damage:
            raise Failure(f"life {self.life} found damage")
        if told.seconds > self.slowest and not traced:  # strace slows it down by as much again
            self.slowest, self.slowest_life = told.seconds, self.life
        self._candidates, self._place = [found], told.place

    def _follow(self, made: int) -> None:
        """What the next life must find: all acknowledged calls, and maybe the one under way."""
        [content] = self._candidates
        for number, call in enumerate(calls(self._seed, self.life)):
            done = after(content, call)
            if number == made:
                self._candidates = [content, done]
                return
            content = done
            self.acknowledged += len(call.writes)
        self._candidates = [content]

    def finish(self) -> tuple[int, int]:
        """Open it once more and replay all of it from the first change; how many there are, how many bytes."""
        with SqliteStore(self._path) as store, Replica("ann", store=store) as replica:
            memory = replica.open(SCOPE)
            if Content.of(memory) not in self._candidates:
                raise Failure("at last something else is found")
            log, again = store.open(SCOPE), State(SCOPE.digest, store.open(SCOPE))
            for record in log.records():
                again.apply(record.change)
            if again.digest().hex() != memory.digest():
                raise Failure("a replay of all gives another digest")
            return again.count, log.size()


def campaign(kills: int, seed: int, strace: int = 4, progress: int = 0) -> Killer:
    """So many kills; tells how it went, if there is progress to be told.

    Raises:
        Failure: an acknowledged write is lost, or one is there that was never attempted.
    """
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        killer = Killer(Path(folder), seed, strace)
        began = time.monotonic()
        try:
            for number in range(1, kills + 1):
                killer.kill()
                if progress and number % progress == 0:
                    print(
                        f"{number} kills, {killer.acknowledged:,} acknowledged writes, none lost, no phantom; "
                        f"slowest opening {killer.slowest:.3f} s, {time.monotonic() - began:.0f} s",
                        flush=True,
                    )
            count, size = killer.finish()
        except BaseException as error:
            error.add_note(f"replay: python -m tests.campaign kill --seed {seed} --kills {killer.life}")
            raise
    if progress:
        print(f"ends: {killer.ends}; {count:,} changes in {size / 1e6:.1f} MB, replayed: the same digest")
    return killer


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=2000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of calls and moments")
    parser.add_argument("--strace", type=int, default=4, help="so many of a hundred end by strace, at a system call")


def _run(args: argparse.Namespace) -> int:
    killer = campaign(args.kills, args.seed, args.strace, progress=max(1, args.kills // 20))
    slow = killer.slowest > 1
    print(f"{killer.acknowledged:,} acknowledged writes over {killer.life} kills: 0 lost, 0 phantom; ", end="")
    print(f"slowest opening {killer.slowest:.3f} s (life {killer.slowest_life}){': too slow' if slow else ''}")
    return int(slow)


KILL = ("kill -9 at random and aimed moments, on one file that grows", _options, _run)

if __name__ == "__main__":
    live(sys.argv[1], *map(int, sys.argv[2:]))
