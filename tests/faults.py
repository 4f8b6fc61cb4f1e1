"""Damage on purpose: flip a bit of a store file or cut it short, open it, and see that nothing is lost in silence.

A template is made once: two namespaces, sessions that take turns, records from small to many pages, seals, pruned and
cut sessions, blobs; closed cleanly, or killed at some point between two checkpoints. Each case ruins a copy of one
and asks: what is served is what was kept, byte for byte and in order; what is not served is told, by an error or in
`damage`; what was lost is taken back.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from crdtmem import Memory, Namespace, Record, Replica, StoreError, UpgradeNeeded
from crdtmem.sqlite import SqliteStore
from tests.crew import Time

SCOPES = Namespace(tenant="acme"), Namespace(tenant="acme", task="other")


class Failure(Exception):
    """What must not happen has."""


class Template(NamedTuple):
    """A store in a folder, and what is in it."""

    folder: Path
    records: dict[Namespace, list[Record]]
    blobs: dict[Namespace, dict[str, bytes]]
    digests: dict[Namespace, bytes]


# -- making one --------------------------------------------------------------------------------------


def template(folder: Path, *, killed: bool, limit: int = 300_000) -> Template:
    """A store that was closed, or killed with some commits in the main file and some in the write-ahead log alone."""
    folder.mkdir()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.urandom = random.Random(1).randbytes  # the same sessions each time, so that a case can be replayed
            _fill(folder / "store.db", limit, killed=killed)
            code = 0
        finally:
            os.kill(os.getpid(), signal.SIGKILL) if killed and not code else os._exit(code)
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise Failure("the template could not be made")
    copy = folder.with_name(folder.name + "-read")
    shutil.copytree(folder, copy)
    with SqliteStore(copy / "store.db") as store:
        logs = {scope: store.open(scope) for scope in SCOPES}
        records = {scope: list(log.records()) for scope, log in logs.items()}
        blobs = {scope: {name: log.get(name) or b"" for name in log.names()} for scope, log in logs.items()}
        digests = {scope: memory.digest() for scope, memory in _memories(store).items()}
        if any(log.damage for log in logs.values()):
            raise Failure("a store that nobody ruined is damaged")
    shutil.rmtree(copy)
    return Template(folder, records, blobs, digests)


def _memories(store: SqliteStore) -> dict[Namespace, Memory]:
    replica = Replica("ann", store=store, time=Time())
    return {scope: replica.open(scope) for scope in SCOPES}


def _fill(path: Path, limit: int, *, killed: bool) -> None:
    store = SqliteStore(path)
    store.limit = limit
    mine = _memories(store)
    others = {scope: Replica("bob", time=Time()).open(scope) for scope in SCOPES}
    for number in range(60):
        for scope, memory in mine.items():
            other = others[scope]
            memory.set("s").add([number, "x" * (number % 7) * 40])
            memory.text("t").append(f"{number} ")
            other.counter("n").add(number)
            other.records("r").put(str(number % 5), ["y" * 30] * (number % 3))
            if number % 9 == 4:
                memory.receive(other.changes(memory.version))
                other.receive(memory.changes(other.version))
        if number == 30:
            mine[SCOPES[0]].register("large").assign("z" * 30_000)
        if number % 20 == 11:
            store.open(SCOPES[0]).put(f"blob/{number}", bytes(range(256)) * 40)
            store.open(SCOPES[1]).put("again", bytes([number]) * 900)
    if not killed:
        for memory in mine.values():
            memory.changes()  # sealed
        store.close()


# -- ruining and looking -----------------------------------------------------------------------------


def ruin(path: Path, rng: random.Random) -> str:
    """Flip one bit, or cut the file short; says what."""
    size = path.stat().st_size
    at = rng.randrange(size)
    if rng.random() < 0.2:
        os.truncate(path, at)
        return f"{path.name} cut at {at} of {size}"
    bit = rng.randrange(8)
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return f"bit {bit} of byte {at} of {size} of {path.name}"


def outcome(path: Path, made: Template) -> str:
    """What came of opening it.

    Raises:
        Failure: something is lost in silence, or served that was never kept.
    """
    try:
        store = SqliteStore(path)
    except (StoreError, UpgradeNeeded):
        return "refused"
    with store:
        try:
            told = [_look(store, scope, made) for scope in SCOPES]
        except (StoreError, UpgradeNeeded):
            return "refused"
        lost = [record for _, missing in told for record in missing]
        try:
            healed = _heal(store, made) if lost else False
        except StoreError:
            healed = False
    if lost and healed:
        with SqliteStore(path) as store:
            again = any(_look(store, scope, made)[1] for scope in SCOPES)
        return "lost, told, mended" + (", lost again, told" if again else "")  # a key out of order stays so
    return "lost, told" if lost else "told, nothing lost" if any(damage for damage, _ in told) else "harmless"


def _look(store: SqliteStore, scope: Namespace, made: Template) -> tuple[bool, list[Record]]:
    """Whether damage was told, and the records that are lost."""
    log, true = store.open(scope), made.records[scope]
    ways = {
        "forward": list(log.records()),
        "backward": [record for _, record in log.backwards()][::-1],
        "since": [record for _, record in log.since(0)],
        "one by one": list(filter(None, [log.read(record.session, record.seq) for record in true])),
    }  # where a key inside a tree is damaged, walking through it finds what going straight there does not
    named = {(damage.session, damage.seq) for damage in log.damage}
    lost = set[int]()
    for way, served in ways.items():
        if (None, None) in named:  # the newest commits may be gone, and with them the newest seals
            there = {record[:2]: record.seal for record in served}
            true = [record._replace(seal=there.get(record[:2], record.seal)) for record in true]
        places = {record: number for number, record in enumerate(true)}
        order = [places.get(record, -1) for record in served]
        if -1 in order:
            raise Failure(f"{way}: a record is served that was never kept: {served[order.index(-1)]}")
        if order != sorted(set(order)):
            raise Failure(f"{way}: records are served twice or in another order")
        lost |= set(range(len(true))) - set(order)
    if (None, None) not in named and any(true[number][:2] not in named for number in lost):
        raise Failure(f"{len(lost)} records are lost and not told: {log.damage}")
    for name, data in made.blobs[scope].items():
        got = log.get(name)
        if got != data and not (log.damage if got is None else (None, None) in named):
            raise Failure(f"blob {name} is lost or stale, and not told")
    return bool(log.damage), [made.records[scope][number] for number in sorted(lost)]


def _heal(store: SqliteStore, made: Template) -> bool:
    """Put back what has a name; whether that was all."""
    for scope in SCOPES:
        log = store.open(scope)
        true = {(record.session, record.seq): record for record in made.records[scope]}
        for damage in log.damage:
            if damage.session is not None and damage.seq is not None:
                log.mend(true[damage.session, damage.seq])
        if list(log.records()) != made.records[scope]:
            return False
    return True


def replicated(path: Path, made: Template) -> str:
    """What came of opening it through a replica.

    Raises:
        Failure: another digest, and nothing said.
    """
    try:
        with SqliteStore(path) as store:
            memories = _memories(store)
            same = all(memory.digest() == made.digests[scope] for scope, memory in memories.items())
            told = any(store.open(scope).damage for scope in SCOPES)
    except (StoreError, UpgradeNeeded):
        return "refused"
    if not same and not told:
        raise Failure("another digest, and nothing said")
    return "same digest" if same else "other digest, told"


def case(made: Template, name: str, seed: int) -> tuple[str, str, str]:
    """Ruin a copy of one file twice the same way: what was done, what the store says, what a replica says."""
    found = []
    for look in (outcome, replicated):
        with tempfile.TemporaryDirectory(prefix="ruined-") as folder:
            for file in made.folder.iterdir():
                shutil.copy(file, folder)
            what = ruin(Path(folder) / name, random.Random(seed))
            try:
                found.append(look(Path(folder) / "store.db", made))
            except Exception as error:
                error.add_note(f"{made.folder.name}: {what}")
                raise
    return what, found[0], found[1]


# -- the search --------------------------------------------------------------------------------------

PLAN = (("closed", "store.db"), ("killed", "store.db"), ("killed", "store.db-wal"), ("early", "store.db-wal"))


def damage(cases: int, seed: int, only: int | None = None) -> Counter[tuple[str, str, str, str]]:
    """Ruin so many copies; how often which outcome came.

    Raises:
        Failure: one was lost in silence; the note says which.
    """
    counts: Counter[tuple[str, str, str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        templates = {
            "closed": template(Path(folder) / "closed", killed=False),
            "killed": template(Path(folder) / "killed", killed=True),
            "early": template(Path(folder) / "early", killed=True, limit=1 << 30),
        }
        for number in range(cases) if only is None else [only]:
            kind, name = PLAN[number % len(PLAN)]
            try:
                _, stored, seen = case(templates[kind], name, seed * 1_000_003 + number)
            except Exception as error:
                error.add_note(f"replay: python -m tests.campaign damage --seed {seed} --only {number}")
                raise
            counts[kind, name, stored, seen] += 1
    return counts


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=2000, help="how many ruined files")
    parser.add_argument("--seed", type=int, default=1, help="of the choices")
    parser.add_argument("--only", type=int, help="this case alone, as printed with a failure")


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    counts = damage(args.cases, args.seed, args.only)
    for (kind, name, stored, seen), count in sorted(counts.items()):
        print(f"{count:6} {kind:6} {name:12} {stored:20} {seen}")
    print(f"{counts.total()} ruined files in {time.monotonic() - began:.0f} s: no difference without a word")
    return 0


DAMAGE = ("bit flips and truncations of a store file, none lost in silence", _options, _run)
