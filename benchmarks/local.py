"""What one operation costs in memory: writes, receiving, reading and digests, beside raw pycrdt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import thread_time_ns
from typing import Any

from benchmarks import grown, raw
from benchmarks.effort import FULL, Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row
from benchmarks.targets import RAW
from crdtmem import Memory, Replica

ALIKE = {
    "durability": "none, all in memory",
    "processes": "1",
    "payload": "a str of 6 to 10 characters, over 1,000 keys where there are keys",
}
WHY = "spike in March"
BATCH = 100

Writer = Callable[[Memory, Sequence[str], str | None], Run]


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    keys, values = _keys(effort.operations), [f"value {i}" for i in range(effort.operations)]
    yield from _writes(keys, values, effort)
    yield from _changes(keys, values, effort)
    yield from _receives(keys, values, effort)
    yield from _reads(effort)
    yield from _appends(values, effort)
    yield _flush(values, effort)
    yield _digest(effort)
    yield from grown.rows(effort)


def fresh(agent: str = "ann") -> Memory:
    """An empty memory of a new replica."""
    return Replica(agent).open(tenant="acme", task="benchmark")


# -- writing ---------------------------------------------------------------------------------------


def _set(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    return _loop(memory.set("questions").add, values, why)


def _register(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    return _loop(memory.register("status").assign, values, why)


def _counter(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    return _loop(memory.counter("tokens").add, [len(value) for value in values], why)


def _records(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    put = memory.records("facts").put
    pairs = list(zip(_keys(len(values)), values, strict=True))

    def bare() -> None:
        for key, value in pairs:
            put(key, value)

    def said() -> None:
        for key, value in pairs:
            put(key, value, why=why)

    return bare if why is None else said


def _sequence(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    return _loop(memory.sequence("findings").append, values, why)


def _text(memory: Memory, values: Sequence[str], why: str | None) -> Run:
    return _loop(memory.text("draft").append, values, why)


def _loop(write: Callable[..., object], values: Iterable[Any], why: str | None) -> Run:
    def bare() -> None:
        for value in values:
            write(value)

    def said() -> None:
        for value in values:
            write(value, why=why)

    return bare if why is None else said


KEYED: dict[str, Writer] = {
    "set.add": _set,
    "register.assign": _register,
    "records.put": _records,
    "counter.add": _counter,
}


def _writes(keys: Sequence[str], values: Sequence[str], effort: Effort) -> Iterator[Row]:
    """One change for each write. The first write of a session, which introduces it, is not timed."""
    sides = [raw.map_sets(keys, values)]
    for name, writer in KEYED.items():
        for why in (WHY, None):

            def prepare(writer: Writer = writer, why: str | None = why) -> Run:
                memory = fresh()
                writer(memory, ["first"], None)()
                return writer(memory, values, why)

            sides.append(Side(f"{name}, {_how(why)}", len(values), prepare))
    yield from _ratios(sides, effort)


def _changes(keys: Sequence[str], values: Sequence[str], effort: Effort) -> Iterator[Row]:
    """The same writes, a hundred in each change; the reason stands in the change."""
    sides = [raw.map_sets(keys, values)]
    for name, writer in KEYED.items():

        def prepare(writer: Writer = writer) -> Run:
            memory = fresh()
            writer(memory, ["first"], None)()
            return _in_changes(memory, [writer(memory, batch, None) for batch in _batches(values)])

        sides.append(Side(f"{name}, in a change of {BATCH}", len(values), prepare))

    def each_says() -> Run:
        memory = fresh()
        return _in_changes(memory, [_set(memory, batch, WHY) for batch in _batches(values)])

    def registers() -> Run:
        memory = fresh()
        fields = [memory.register(f"status {i}") for i in range(BATCH)]

        def assign(batch: Sequence[str]) -> None:
            for register, value in zip(fields, batch, strict=True):
                register.assign(value)

        return _in_changes(memory, [lambda batch=batch: assign(batch) for batch in _batches(values)])

    sides.append(Side(f"set.add, in a change of {BATCH}, each with why", len(values), each_says))
    sides.append(Side(f"register.assign, in a change of {BATCH}, to as many registers", len(values), registers))
    yield from _ratios(sides, effort)


def _in_changes(memory: Memory, writes: Sequence[Run]) -> Run:
    def run() -> None:
        for write in writes:
            with memory.change(why=WHY):
                write()

    return run


# -- receiving -------------------------------------------------------------------------------------


def _receives(keys: Sequence[str], values: Sequence[str], effort: Effort) -> Iterator[Row]:
    """One-write changes in batches of a hundred, each batch sealed as a flush seals it."""
    sides = [raw.applied_updates(keys, values)]
    for name, writer, why in (
        ("set adds", _set, WHY),
        ("set adds", _set, None),
        ("records puts", _records, WHY),
        ("counter adds", _counter, WHY),
    ):
        sides.append(Side(f"receive, {name} {_how(why)}", len(values), _receiver(writer, values, why)))
    yield from _ratios(sides, effort)


def _receiver(writer: Writer, values: Sequence[str], why: str | None) -> Callable[[], Run]:
    sender = fresh()
    batches = []
    for batch in _batches(values):
        before = sender.version
        writer(sender, batch, why)()
        batches.append(sender.changes(before))

    def prepare() -> Run:
        receive = fresh("bob").receive

        def run() -> None:
            applied = sum(receive(batch).applied for batch in batches)
            assert applied == len(values), f"{applied} of {len(values)} changes were applied"

        return run

    return prepare


# -- reading ---------------------------------------------------------------------------------------


def _reads(effort: Effort) -> Iterator[Row]:
    size = 2 * effort.operations
    memory = fresh()
    facts, questions = memory.records("facts"), memory.set("questions")
    plain, nested = "value", {"state": "open", "lines": [1, 2, 3]}
    for start in range(0, size, 1000):
        with memory.change():
            for i in range(start, start + 1000):
                facts.put(f"key {i}", plain)
                facts.put(f"nested {i}", nested)
                questions.add(f"value {i}")

    def gets(kind: str) -> Run:
        keys = [f"{kind} {i}" for i in range(size)]

        def run() -> None:
            get = facts.get
            for key in keys:
                get(key)

        return run

    def tests(kind: str) -> Run:
        values = [f"{kind} {i}" for i in range(size)]

        def run() -> None:
            for value in values:
                value in questions  # noqa: B015

        return run

    keys = [f"key {i}" for i in range(size)]
    found = measure(
        [
            Side("records.get", size, lambda: gets("key")),
            Side("records.get, a dict", size, lambda: gets("nested")),
            Side("value in set", size, lambda: tests("value")),
            Side("value in set, a miss", size, lambda: tests("other")),
            raw.map_gets(keys, [plain] * size),
        ],
        effort.rounds,
    )
    floor = found.pop("raw get")
    for name, figure in found.items():
        yield Row(name, "us", figure, {"raw get": floor} if "get" in name else {}, f"{size:,} live entries")


# -- ordered fields and the digest -----------------------------------------------------------------


def _appends(values: Sequence[str], effort: Effort) -> Iterator[Row]:
    for name, writer, floor in (
        ("sequence.append", _sequence, raw.array_appends(values)),
        ("text.append", _text, raw.text_appends(values)),
    ):
        sides = [floor]
        for why in (WHY, None):

            def prepare(writer: Writer = writer, why: str | None = why) -> Run:
                memory = fresh()
                writer(memory, ["first"], None)()
                return writer(memory, values, why)

            sides.append(Side(f"{name}, {_how(why)}", len(values), prepare))
        yield from _ratios(sides, effort, "x raw append")


def _flush(values: Sequence[str], effort: Effort) -> Row:
    """What sealing adds to each change, as it is not part of the write: a flush after every hundred."""

    def prepare() -> Run:
        memory = fresh()
        writes = [_set(memory, batch, WHY) for batch in _batches(values)]

        def run() -> int:
            spent = 0
            for write in writes:
                write()
                started = thread_time_ns()
                memory.changes(memory.version)
                spent += thread_time_ns() - started
            return spent

        return run

    found = measure([Side("flush", len(values), prepare)], effort.rounds)
    return Row(f"sealing, a flush for {BATCH} changes", "us", found["flush"], note="for each change, beside its write")


def _digest(effort: Effort) -> Row:
    memory = grown.filled("set.add", effort.grown)
    questions = memory.set("live")
    fresh_values = iter(range(10**9))
    times = 20

    def run() -> int:
        spent = 0
        for _ in range(times):
            questions.add(f"one more {next(fresh_values)}")
            started = thread_time_ns()
            memory.digest()
            spent += thread_time_ns() - started
        return spent

    memory.digest()
    found = measure([Side("digest", times, lambda: run)], effort.rounds)
    note = f"{effort.grown:,} entries in one set"
    return Row("digest after one more write", "us", found["digest"], note=note, reduced=effort.grown < FULL.grown)


# -- what the rows share ---------------------------------------------------------------------------


def _ratios(sides: Sequence[Side], effort: Effort, unit: str = RAW) -> Iterator[Row]:
    """A row for each side but the first, which is the floor of the others."""
    found = measure(sides, effort.rounds)
    floor: Figure = found.pop(sides[0].name)
    for name, figure in found.items():
        yield Row(name, unit, figure.over(floor), {"crdtmem": figure, sides[0].name: floor})


def _keys(count: int) -> list[str]:
    return [f"key {i % 1000}" for i in range(count)]


def _batches(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


def _how(why: str | None) -> str:
    return "bare" if why is None else "with why"
