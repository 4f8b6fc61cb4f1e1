"""The workloads of crdt-benchmarks and editing traces, beside raw pycrdt: what it costs that every edit has an author.

Each is measured by time, the size of updates, the size of the document, the time to load it, and the memory it takes.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from pycrdt import Array, Doc, Map, Text

from benchmarks.apart import Apart, resident, told
from benchmarks.edits import Alone, BadTrace, Both, Crowd, Edit, after, b1, b2, b3, read_trace, traces, typing
from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row, short
from crdtmem import Memory, MemoryStore, Namespace, Replica
from crdtmem.snapshot import Snapshot, restore

ALIKE = {
    "durability": "none, all in memory",
    "processes": "1; memory is that of another, which loads the document in copies",
    "payload": "the same edits, each an update of its own, bare; ours signs and hashes, and keeps all",
}
SPACE = Namespace(tenant="acme", task="benchmark")
RAW = "raw pycrdt"
OURS = "crdtmem"
UNIT = f"x {RAW}"
IN_A_CHANGE = 200  # edits: a change has at most 512 runs
COPIES = 10  # loaded at once
ROOM = 2 << 20  # bytes of documents that are loaded to see what memory one takes, in more copies if it is small
PAGE = 4096  # bytes: memory is counted in pages
FULL_SIZE = 6_000
KEYS = 5  # struck in the session that is made up, for each edit of the others


class Kept(NamedTuple):
    """What is left of a workload: what went out, and the document as bytes."""

    updates: Sequence[bytes]
    document: bytes
    digest: bytes = b""  # of ours


Case = tuple[str, int, Side, Side, Callable[[], tuple[Kept, Kept]]]  # name, edits, ours, raw, what is left of both


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    full = effort.rounds > 5
    size = FULL_SIZE if full else FULL_SIZE // 10
    rounds = 3 if full else 1
    costs: list[tuple[float, float, float]] = []
    with Apart(loader) as loads:
        for case in _cases(size, random.Random(1)):
            yield from _measured(case, rounds, loads, costs)
        for trace in _traced(effort.data, KEYS * size):
            if isinstance(trace, Row):
                yield trace
            else:
                yield from _measured(_alone(trace), 1, loads, costs)
    yield from _attribution(costs)


def _cases(size: int, chance: random.Random) -> Iterator[Case]:
    yield from map(_alone, b1(size, chance))
    yield from map(_both, b2(size, chance))
    yield from map(_crowd, b3(size))


def _traced(folder: str, keys: int) -> Iterator[Alone | Row]:
    yield typing(keys, random.Random(2))
    files = traces(Path(folder)) if folder else []
    if not files:
        yield Row("a recorded trace, time", UNIT, None, note="none given: --data DIR with *.json.gz or trace.js")
    for file in files:
        try:
            yield read_trace(file)
        except BadTrace as error:
            yield Row(f"{file.name}, time", UNIT, None, note=str(error))


def _measured(case: Case, rounds: int, loads: Apart, costs: list[tuple[float, float, float]]) -> Iterator[Row]:
    name, edits, ours, raw, left = case
    taken = measure([ours, raw], rounds)
    yield Row(f"{name}, time", UNIT, taken[OURS].over(taken[RAW]), taken, f"{edits:,} edits")
    mine, theirs = left()
    update, raw_update = (sum(map(len, kept.updates)) / len(kept.updates) for kept in (mine, theirs))
    yield _sized(f"{name}, update", "bytes", update, raw_update)
    yield _sized(f"{name}, document", "bytes", len(mine.document), len(theirs.document))
    yield Row(f"{name}, load", UNIT, *_loaded(mine, theirs, rounds))
    held, raw_held = (loads.ask(kept) / 1024 for kept in (mine, theirs))
    yield Row(f"{name}, memory", "KiB", Figure((held,)), note=f"{RAW} {short(raw_held)} KiB")
    if len(mine.updates) >= edits > 2:
        beyond = (len(mine.document) - len(theirs.document)) / edits
        costs.append((taken[OURS].median - taken[RAW].median, update - raw_update, beyond))


def _sized(name: str, unit: str, ours: float, raw: float) -> Row:
    return Row(name, UNIT, Figure((ours / raw,)), note=f"{OURS} {short(ours)} {unit}, {RAW} {short(raw)} {unit}")


def _attribution(costs: list[tuple[float, float, float]]) -> Iterator[Row]:
    """What an edit costs more than without an author: the median over the workloads of many edits, sent one by one."""
    note = f"beyond {RAW}, the median of {len(costs)} workloads of edits that are sent one by one"
    for what, unit, found in zip(
        ("time", "update", "document"), ("us", "bytes", "bytes"), zip(*costs, strict=True), strict=True
    ):
        yield Row(f"what attribution costs, {what}", f"{unit} an edit", Figure((median(found),)), note=note)


# -- one user --------------------------------------------------------------------------------------


def _alone(work: Alone) -> Case:
    wanted = after(work.begun, work.edits)
    done: dict[str, Any] = {}

    def ours() -> Run:
        memory = done[OURS] = Replica("ann").open(SPACE)
        field = memory.text("log") if isinstance(work.begun, str) else memory.sequence("log")
        _write(field, [(0, 0, work.begun)] if work.begun else [])
        return partial(_write, field, work.edits)

    def raw() -> Run:
        writer = done[RAW] = Writer(Text if isinstance(work.begun, str) else Array)
        writer.write([(0, 0, work.begun)] if work.begun else [])
        return partial(writer.write, _in_bytes(work))

    def left() -> tuple[Kept, Kept]:
        memory, writer = done[OURS], done[RAW]
        shown = str(memory.text("log")) if isinstance(wanted, str) else list(memory.sequence("log"))
        assert shown == wanted == writer.shown()
        return _kept(memory), writer.kept()

    count = len(work.edits)
    return work.name, count, Side(OURS, count, ours), Side(RAW, count, raw), left


def _write(field: Any, edits: Sequence[Edit]) -> None:
    for at, gone, content in edits:
        if gone:
            field.delete(at, at + gone)
        if isinstance(content, str):
            if content:
                field.insert(at, content)
        elif at == len(field):
            field.extend(content)
        else:
            for place, value in enumerate(content, at):
                field.insert(place, value)


def _in_bytes(work: Alone) -> Sequence[Edit]:
    """The edits as pycrdt counts a text: in bytes of UTF-8."""
    if all(not isinstance(content, str) or content.isascii() for content in (work.begun, *[e[2] for e in work.edits])):
        return work.edits
    text, found = str(work.begun), list[Edit]()
    for at, gone, content in work.edits:
        found.append((len(text[:at].encode()), len(text[at : at + gone].encode()), content))
        text = text[:at] + str(content) + text[at + gone :]
    return found


class Writer:
    """A document of pycrdt with one root, whose updates are taken."""

    def __init__(self, kind: Any) -> None:
        self._doc: Any = Doc()
        self.root: Any = self._doc.get("root", type=kind)
        self.updates: list[bytes] = []
        self._held = self._doc.observe(lambda event: self.updates.append(event.update))

    def write(self, edits: Sequence[Edit]) -> None:
        """Each in a transaction of its own."""
        root = self.root
        for at, gone, content in edits:
            if gone:
                del root[at : at + gone]
            if isinstance(content, str):
                if content:
                    root.insert(at, content)
            elif at == len(root):
                root.extend(content)
            else:
                for place, value in enumerate(content, at):
                    root.insert(place, value)

    def at_once(self, edits: Sequence[Edit]) -> None:
        """All in one transaction."""
        with self._doc.transaction():
            self.write(edits)

    def receive(self, updates: Sequence[bytes]) -> None:
        """Apply what others wrote."""
        for update in updates:
            self._doc.apply_update(update)

    def shown(self) -> Any:
        """What it holds."""
        return str(self.root) if isinstance(self.root, Text) else self.root.to_py()

    def kept(self) -> Kept:
        """What is left of it."""
        return Kept(self.updates, self._doc.get_update())


def _kept(memory: Memory) -> Kept:
    return Kept(memory.changes(), *_state(memory))


def _state(memory: Memory) -> tuple[bytes, bytes]:
    snapshot = Snapshot(memory._document.state)
    return b"".join(snapshot.pieces()), snapshot.digest


# -- two users -------------------------------------------------------------------------------------


def _both(work: Both) -> Case:
    done: dict[str, Any] = {}

    def ours() -> Run:
        ann, bob = done[OURS] = [Replica(name).open(SPACE) for name in ("ann", "bob")]
        ann.text("log").append(work.begun)
        bob.receive(ann.changes())

        def run() -> None:
            before = ann.version
            for memory, edits in ((ann, work.one), (bob, work.other)):
                for start, end in pairwise([*range(0, len(edits), IN_A_CHANGE), len(edits)]):
                    with memory.change():
                        _write(memory.text("log"), edits[start:end])
            sent = [memory.changes(before) for memory in (ann, bob)]
            ann.receive(sent[1])
            bob.receive(sent[0])
            done["sent"] = [record for some in sent for record in some]

        return run

    def raw() -> Run:
        pair = done[RAW] = [Writer(Text), Writer(Text)]
        pair[0].write([(0, 0, work.begun)])
        pair[1].receive(pair[0].updates)
        for writer in pair:
            writer.updates.clear()

        def run() -> None:
            for writer, edits in zip(pair, (work.one, work.other), strict=True):
                writer.at_once(edits)
            sent = [list(writer.updates) for writer in pair]
            pair[0].receive(sent[1])
            pair[1].receive(sent[0])
            done["raw sent"] = [update for some in sent for update in some]

        return run

    def left() -> tuple[Kept, Kept]:
        ann, bob = done[OURS]
        one, other = done[RAW]
        assert str(ann.text("log")) == str(bob.text("log")) and ann.digest() == bob.digest()
        assert one.shown() == other.shown() and len(one.shown()) == len(str(ann.text("log")))
        kept = Kept([b"".join(done["sent"])], *_state(ann))
        return kept, one.kept()._replace(updates=[b"".join(done["raw sent"])])

    count = len(work.one) + len(work.other)
    return work.name, count, Side(OURS, count, ours), Side(RAW, count, raw), left


# -- many users ------------------------------------------------------------------------------------


def _crowd(work: Crowd) -> Case:
    records = [_said(work, number, value) for number, value in enumerate(work.values)]
    updates = [_said_raw(work, value) for value in work.values]
    done: dict[str, Any] = {}

    def ours() -> Run:
        memory = done[OURS] = Replica("reader").open(SPACE)
        return lambda: done.update(received=memory.receive(records))

    def raw() -> Run:
        writer = done[RAW] = Writer(Array if work.listed else Map)
        return lambda: writer.receive(updates)

    def left() -> tuple[Kept, Kept]:
        memory, writer = done[OURS], done[RAW]
        assert done["received"].applied == len(records)
        if work.listed:
            assert sorted(memory.sequence("log")) == sorted(writer.shown()) == sorted(work.values)
        else:
            assert len(memory.records("log").entries()) == len(records) and writer.shown()["v"] in work.values
        return Kept(records, *_state(memory)), writer.kept()._replace(updates=updates)

    count = len(records)
    return work.name, count, Side(OURS, count, ours), Side(RAW, count, raw), left


def _said(work: Crowd, number: int, value: Any) -> bytes:
    memory = Replica(f"user-{number}").open(SPACE)
    if work.listed:
        memory.sequence("log").insert(0, value)
    else:
        memory.records("log").put("v", value)
    return memory.changes()[0]


def _said_raw(work: Crowd, value: Any) -> bytes:
    writer = Writer(Array if work.listed else Map)
    if work.listed:
        writer.root.insert(0, value)
    else:
        writer.root["v"] = value
    return writer.updates[0]


# -- loading ---------------------------------------------------------------------------------------


def _loaded(mine: Kept, theirs: Kept, rounds: int) -> tuple[Figure, dict[str, Figure], str]:
    found = measure([_loading(OURS, mine), _loading(RAW, theirs)], rounds)
    return found[OURS].over(found[RAW]), found, "from the bytes of a checkpoint, and of a full update"


def _loading(name: str, kept: Kept) -> Side:
    held: list[Any] = []
    return Side(name, COPIES, lambda: lambda: held.extend(_opened(kept) for _ in range(COPIES)))


def _opened(kept: Kept) -> Any:
    if kept.digest:
        return restore(kept.document, SPACE.digest, MemoryStore().open(SPACE), kept.digest)
    doc: Any = Doc()
    doc.apply_update(kept.document)
    return doc


def loader(end: Connection) -> None:
    """Told what to load, it says how many bytes one copy takes. What was loaded before stays, so as to make no room."""
    held: list[Any] = []
    while (kept := told(end)) is not None:
        held.append(_opened(kept))
        gc.collect()
        before = resident(os.getpid())
        copies = max(COPIES, min(200, ROOM // len(kept.document)))
        held += [_opened(kept) for _ in range(copies)]
        end.send(max(resident(os.getpid()) - before, PAGE) / copies)
