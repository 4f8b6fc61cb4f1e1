"""Whether an operation costs more as the memory grows: the same writes at 1,000 live entries and at very many.

What "live entries" are: members of one set, keys of one records field, values of one sequence, registers of one
memory, and for a counter the sessions that ever counted. With two authors, each writes a turn and the other receives
it; an operation is then one write and its receipt. A turn has ten writes, so that the one seal a flush costs (190 us
to sign and verify) does not drown what is looked for; a sequence is filled in turns of one, the hardest case for Yjs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from time import thread_time_ns

from benchmarks.effort import FULL, Effort
from benchmarks.harness import Run, Side, measure
from benchmarks.rows import Row
from benchmarks.starts import copy, counts, started
from benchmarks.targets import GROWN
from crdtmem import Memory, MemoryStore, Namespace, Replica
from crdtmem.change import record

SMALL = 1_000
OPERATIONS = 200
TURN = 10
SPACE = Namespace(tenant="acme", task="benchmark")

Write = Callable[[Memory, int], object]

# Each writes one value, fresh by its number; a put and an assignment fall on what is there.
WRITES: dict[str, Write] = {
    "set.add": lambda memory, n: memory.set("live").add(f"value {n}"),
    "register.assign": lambda memory, n: memory.register(f"live {n % SMALL}").assign(f"value {n}"),
    "records.put": lambda memory, n: memory.records("live").put(f"key {n % SMALL}", f"value {n}"),
    "counter.add": lambda memory, n: memory.counter("starts").add(1),
    "sequence.append": lambda memory, n: memory.sequence("live").append(f"value {n}"),
}
_NUMBERS = count(10**6)  # of the writes that are timed: none collides with a filled one


def rows(effort: Effort) -> Iterator[Row]:
    """A row for each kind of write and number of authors."""
    for name in WRITES:
        yield _compared(name, "one author", effort.grown, effort.rounds, lambda size, name=name: _alone(name, size))
    for name in WRITES:
        size = effort.grown_together
        yield _compared(name, "two authors", size, effort.rounds, lambda size, name=name: _together(name, size))
    yield _compared("changes(since)", "two authors", effort.grown_together, effort.rounds, _handing_over)


def _compared(name: str, authors: str, size: int, rounds: int, build: Callable[[int], Run]) -> Row:
    """The small memory is made anew for each round; the large one once, it grows by a few per cent."""
    large = build(size)
    small_side = Side(f"at {SMALL:,}", OPERATIONS, lambda: build(SMALL))
    found = measure([small_side, Side(f"at {size:,}", OPERATIONS, lambda: large)], rounds)
    small, grown = found.values()
    return Row(f"{name}, grown, {authors}", GROWN, grown.over(small), found, reduced=size < FULL.grown)


# -- one author ------------------------------------------------------------------------------------


def filled(name: str, size: int) -> Memory:
    """A memory with so many live entries of the kind that this operation writes."""
    if name == "counter.add":
        return _reopened(started(SPACE, size, counts))
    memory = _reopened(MemoryStore())
    _fill(memory, name, 0, size)
    return memory


def _alone(name: str, size: int) -> Run:
    memory, write = filled(name, size), WRITES[name]

    def run() -> None:
        for _ in range(OPERATIONS):
            write(memory, next(_NUMBERS))

    return run


def _fill(memory: Memory, name: str, start: int, end: int) -> None:
    """So many entries in as few changes as their limits allow."""
    step = 200 if name == "register.assign" else 1000
    for at in range(start, end, step):
        with memory.change():
            for i in range(at, min(at + step, end)):
                if name == "register.assign":
                    memory.register(f"live {i}").assign(f"value {i}")
                elif name == "records.put":
                    memory.records("live").put(f"key {i}", f"value {i}")
                else:
                    WRITES[name](memory, i)


# -- two authors -----------------------------------------------------------------------------------


class _Pair:
    """Two replicas in turn, each receiving what the other wrote."""

    def __init__(self, name: str, size: int) -> None:
        stores = MemoryStore(), MemoryStore()
        if name == "counter.add":
            log = started(SPACE, size, counts)
            stores = log, copy(log, SPACE)
        self.stores = stores
        self.memories = tuple(_reopened(store) for store in stores)
        self.turn = 0
        if name == "sequence.append":
            for number in range(size):
                self.write(WRITES[name], [number])
        elif name != "counter.add":
            for at in range(0, size, 1000):
                writer, reader = self._next()
                _fill(writer, name, at, min(at + 1000, size))
                reader.receive(writer.changes(reader.version))

    def _next(self) -> tuple[Memory, Memory]:
        self.turn += 1
        return self.memories[self.turn % 2], self.memories[1 - self.turn % 2]

    def write(self, write: Write, numbers: Sequence[int], *, ask: bool = False) -> tuple[int, int]:
        """One turn; the nanoseconds of writing and receiving, and those of asking for the changes.

        Args:
            write: what to write.
            numbers: the numbers of the writes.
            ask: get the changes from `changes(since)`; else, as sync does, from the store by their names.
        """
        writer, reader = self._next()
        began = thread_time_ns()
        entries = [write(writer, number) for number in numbers]
        wrote = thread_time_ns()
        if ask:
            records = writer.changes(reader.version)
        else:
            writer.changes(writer.version)  # nothing is newer: it only seals the newest, as a flush does
            log = self.stores[self.turn % 2].open(SPACE)
            kept = [log.read(entry.id.session, entry.id.seq) for entry in entries]
            records = [record(one.core, one.seal) for one in kept if one]
        asked = thread_time_ns()
        received = reader.receive(records)
        done = thread_time_ns()
        assert received.applied == len(numbers), received
        return wrote - began + done - asked, asked - wrote


def _together(name: str, size: int) -> Run:
    pair, write = _Pair(name, size), WRITES[name]

    def run() -> int:
        return sum(pair.write(write, [next(_NUMBERS) for _ in range(TURN)])[0] for _ in range(OPERATIONS // TURN))

    return run


def _handing_over(size: int) -> Run:
    """Asking for the newest change alone, where the log holds `size` of one write each."""
    pair, write = _Pair("sequence.append", size), WRITES["sequence.append"]

    def run() -> int:
        return sum(pair.write(write, [next(_NUMBERS)], ask=True)[1] for _ in range(OPERATIONS))

    return run


def _reopened(store: MemoryStore) -> Memory:
    return Replica("ann", store=store).open(SPACE)
