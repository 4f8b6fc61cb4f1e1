"""What the LangGraph store costs, beside LangGraph's own stores: in memory, and in PostgreSQL where a write lasts.

Each side puts and gets items of one namespace, through the same calls. In memory, times are of the processor; where a
write lasts, of the clock on the wall. As they come, ours leaves a write to the operating system, so that it survives
kill -9, and PostgreSQL syncs it, so that it survives a loss of power; two more rows have both do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore

from benchmarks.effort import Effort
from benchmarks.harness import Run, Side, measure
from benchmarks.local import BATCH
from benchmarks.postgres import Absent, postgres
from benchmarks.rows import Row
from benchmarks.store import Place
from benchmarks.targets import IN_MEMORY, POSTGRES
from crdtmem import Replica
from crdtmem.adapters.langgraph import CrdtmemStore

ALIKE = {
    "payload": "a dict of a text and a number, over 1,000 keys of one namespace, each of which is there already",
    "processes": "1, and the server of PostgreSQL",
}
SPACE = ("users", "u1")
KEYS = 1000
_OURS, _THEIRS, _POSTGRES = "crdtmem", "InMemoryStore", "PostgresStore"


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    yield from _in_memory(effort)
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        place = Place(Path(folder))
        yield _lasting("store put, lasting, both as they come", place, effort, synced=(False, True))
        yield _lasting("store put, lasting, both survive kill -9", place, effort, synced=(False, False))
        yield _lasting("store put, lasting, both survive a loss of power", place, effort, synced=(True, True))
        place.clear()


def _in_memory(effort: Effort) -> Iterator[Row]:
    count = 5 * effort.operations

    def ours() -> BaseStore:
        return _filled(CrdtmemStore(Replica("ann").open(tenant="acme")))

    def theirs() -> BaseStore:
        return _filled(InMemoryStore())

    for what, work in (("put", _puts), (f"put, in batches of {BATCH}", _batches), ("get", _gets)):
        made = [
            Side(_OURS, count, lambda w=work: w(ours(), count)),
            Side(_THEIRS, count, lambda w=work: w(theirs(), count)),
        ]  # type: ignore[misc]
        found = measure(made, effort.rounds)
        if work is _gets:
            yield Row(f"store {what}", "us", found[_OURS], found)
        else:
            yield Row(f"store {what}", IN_MEMORY, found[_OURS].over(found[_THEIRS]), found)


def _lasting(name: str, place: Place, effort: Effort, *, synced: tuple[bool, bool]) -> Row:
    """Ours beside theirs; each syncs every write to the disk, or leaves it to the operating system."""
    count = max(effort.operations // 4, 50)
    try:
        from langgraph.store.postgres import PostgresStore
    except ImportError as error:
        note = f"pip install langgraph-checkpoint-postgres 'psycopg[binary]' ({error})"
        return Row(name, POSTGRES, None, note=note)
    try:
        with ExitStack() as running:
            server = running.enter_context(postgres(fsync=synced[1]))
            theirs = running.enter_context(PostgresStore.from_conn_string(server))
            theirs.setup()
            _filled(theirs)

            def ours() -> Run:
                memory, _ = place.memory("power" if synced[0] else "process")
                return _puts(_filled(CrdtmemStore(memory)), count)

            sides = [Side(_OURS, count, ours), Side(_POSTGRES, count, lambda: _puts(theirs, count))]
            found = measure(sides, min(effort.rounds, 7), perf_counter_ns)
        return Row(name, POSTGRES, found[_OURS].over(found[_POSTGRES]), found)
    except Absent as absent:
        return Row(name, POSTGRES, None, note=str(absent))


def _filled(store: BaseStore) -> BaseStore:
    for start in range(0, KEYS, BATCH):
        store.batch([PutOp(SPACE, f"k{number}", {"text": "first", "n": 0}) for number in range(start, start + BATCH)])
    for number in range(KEYS):
        store.put(SPACE, f"k{number}", {"text": "second", "n": number})
    return store


def _puts(store: BaseStore, count: int) -> Run:
    put: Callable[..., Any] = store.put
    values = [(f"k{number % KEYS}", {"text": f"value {number}", "n": number}) for number in range(count)]

    def run() -> None:
        for key, value in values:
            put(SPACE, key, value)

    return run


def _batches(store: BaseStore, count: int) -> Run:
    ops = [PutOp(SPACE, f"k{number % KEYS}", {"text": f"value {number}", "n": number}) for number in range(count)]
    batches = [ops[start : start + BATCH] for start in range(0, count, BATCH)]

    def run() -> None:
        for batch in batches:
            store.batch(batch)

    return run


def _gets(store: BaseStore, count: int) -> Run:
    get: Callable[..., Any] = store.get
    keys = [f"k{number % KEYS}" for number in range(count)]

    def run() -> None:
        for key in keys:
            get(SPACE, key)

    return run
