"""The small scope, all of it: three replicas, up to two operations each, every way they may have seen each other.

A shape says what each operation had seen; a case adds which operations they are. Three writers make the changes of a
case, under the eyes of the model; then a fresh observer takes them in, one by one, in every causal order, with one of
them a second time. Every observer must show what the model says, and all have one digest. The clients of the three
have a fixed order, and shapes are told apart by who is who, so every tie-break occurs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import crdtmem.inbox
from crdtmem import Memory, Replica
from tests.model import ChangeId
from tests.world import FIELDS, IDENTITIES, NAMESPACE, Letter, World

Slot = tuple[int, int]  # replica, and which of its operations
Shape = tuple[tuple[Slot, tuple[int, int, int]], ...]  # each operation, and how many of each replica it has seen
Sizes = tuple[int, int, int]

BASE: dict[str, tuple[Any, ...]] = {
    "set": ("add", 1),
    "counter": ("add", 5),
    "register": ("assign", "base"),
    "records": ("put", "k", {"a": 0, "b": 0}),
    "sequence": ("extend", ["p", "q", "r"]),
    "text": ("append", "a😀b"),
}
CALLS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "set": (("add", 1), ("discard", 1), ("add", "a")),
    "counter": (("add", 1), ("add", -3)),
    "register": (("assign", "SLOT"), ("clear",), ("assign", "same")),
    "records": (("merge", "k", {"a": "SLOT"}), ("put", "k", {"a": "SLOT"}), ("delete", "k"), ("merge", "k", {"b": 1})),
    "sequence": (("move", 0, 1), ("insert", 1, "SLOT"), ("remove", 0), ("move", 0, 2), ("replace", 0, "SLOT")),
    "text": (("insert", 1, "😀"), ("delete", 1, 2), ("insert", 1, "SLOT"), ("replace", "😀", "é")),
}
NAMES = dict(reversed(FIELDS))


class Case(NamedTuple):
    """One history."""

    kind: str
    shape: Shape
    calls: tuple[int, ...]  # for each slot of the shape, which of CALLS


@lru_cache(maxsize=64)
def shapes(sizes: Sizes) -> tuple[Shape, ...]:
    """Every way in which so many operations of three replicas may have seen each other."""
    found: set[Shape] = set()
    visited: set[Shape] = set()

    def grow(seen: dict[Slot, tuple[int, ...]]) -> None:
        done = [sum(1 for slot in seen if slot[0] == who) for who in range(3)]
        if tuple(done) == sizes:
            found.add(tuple(sorted(seen.items())))  # type: ignore[arg-type]
        for who in range(3):
            if done[who] < sizes[who]:
                least = seen.get((who, done[who] - 1), (0, 0, 0))
                ranges = [range(least[q], done[q] + 1) if q != who else (done[q],) for q in range(3)]
                for past in product(*ranges):
                    if all(seen[q, k][p] <= past[p] for q in range(3) for k in range(past[q]) for p in range(3)):
                        larger = {**seen, (who, done[who]): past}
                        key = tuple(sorted(larger.items()))
                        if key not in visited:
                            visited.add(key)  # type: ignore[arg-type]
                            grow(larger)

    grow({})
    return tuple(sorted(found))


def orders(pasts: dict[ChangeId, frozenset[ChangeId]]) -> Iterator[list[ChangeId]]:
    """Every order in which each change comes after its past."""

    def extend(order: list[ChangeId]) -> Iterator[list[ChangeId]]:
        if len(order) == len(pasts):
            yield order
        for id, past in pasts.items():
            if id not in order and past <= set(order):
                yield from extend([*order, id])

    return extend([])


def cases(kind: str, sizes: Sizes, some: int | None = None, seed: int = 0) -> Iterator[Case]:
    """All cases of these sizes; or, for each shape, some, drawn with this seed."""
    calls = range(len(CALLS[kind]))
    draw = random.Random(f"{kind} {sizes} {seed}")
    for shape in shapes(sizes):
        every = product(calls, repeat=sum(sizes))
        for chosen in every if some is None else (tuple(draw.choices(calls, k=sum(sizes))) for _ in range(some)):
            yield Case(kind, shape, chosen)


def histories(case: Case) -> int:
    """Make the changes of a case and deliver them in every order; how many orders there were.

    None if one of its operations comes to nothing: what is left is a case of a smaller size.
    """
    kind, name = case.kind, NAMES[case.kind]
    world = World(3)
    try:
        letters: dict[Slot | None, Letter] = {}

        def write(who: int, slot: Slot | None, call: tuple[Any, ...]) -> bool:
            site = world.sites[who]
            size = world.size(site, kind, name) if kind in ("sequence", "text") else 9
            if slot is not None and size < 2 and call[0] != "insert":
                return False
            before = set(site.has)
            world.write(site, kind, call[0], name, *call[1:])
            if not site.has - before:
                return False
            letters[slot] = world.send(site)[-1]
            world.check(site)
            return True

        write(0, None, BASE[kind])
        for site in world.sites[1:]:
            world.deliver(site, [letters[None]])
        for slot, past in sorted(case.shape, key=lambda item: sum(item[1])):
            who = slot[0]
            seen = [letters[q, k] for q in range(3) for k in range(past[q]) if q != who]
            world.deliver(world.sites[who], seen)
            call = CALLS[kind][case.calls[[s for s, _ in case.shape].index(slot)]]
            if not write(who, slot, _named(call, f"{slot[0]}{slot[1]}")):
                return 0
        world.settle()
        made = {letter.id: letter for letter in letters.values()}
        pasts = {id: world.history.changes[id].past for id in made}
        digest, shown = world.sites[0].memory.digest(), _shown(world.sites[0].memory, kind, name)
        number = 0
        for number, order in enumerate(orders(pasts), 1):
            again = order[: 1 + number % len(order)][number // len(order) % (1 + number % len(order))]
            memory = Replica("observer", identity=IDENTITIES[4], time=lambda: world.now).open(NAMESPACE)
            for at, id in enumerate(order):
                got = memory.receive([made[id].data])
                assert got[:3] == (1, 0, ()), f"{got} in {order}"
                if at == number % len(order):
                    got = memory.receive([made[again].data])
                    assert got[:3] == (0, 0, ()), f"a duplicate: {got} in {order}"
            assert memory.digest() == digest, f"another digest in {order}"
            assert _shown(memory, kind, name) == shown, f"another content in {order}"
        return number
    finally:
        world.close()


def _named(call: tuple[Any, ...], slot: str) -> tuple[Any, ...]:
    """The call, with values of its own."""
    if isinstance(call[-1], dict):
        return (*call[:-1], {name: slot if value == "SLOT" else value for name, value in call[-1].items()})
    return tuple(slot if arg == "SLOT" else arg for arg in call)


def _shown(memory: Memory, kind: str, name: str) -> Any:
    field = getattr(memory, kind)(name)
    entries = [(entry.id, entry.value, entry.by) for entry in field.entries()]
    if kind == "set":
        return sorted(map(repr, field)), entries
    return dict(field) if kind == "records" else list(field) if kind == "sequence" else field.value, entries


@contextmanager
def seals_verified_once() -> Iterator[None]:
    """Remember which seals verify: the same few are judged by each of thousands of observers."""
    real = crdtmem.inbox.verify
    crdtmem.inbox.verify = lru_cache(maxsize=4096)(real)  # type: ignore[assignment]
    try:
        yield
    finally:
        crdtmem.inbox.verify = real


def explore(kind: str, sizes: Sizes, some: int | None = None, seed: int = 0) -> tuple[int, int]:
    """Try all these cases; how many cases and histories that were.

    Raises:
        AssertionError: one failed; its note holds the case.
    """
    tried = total = 0
    with seals_verified_once():
        for case in cases(kind, sizes, some, seed):
            try:
                number = histories(case)
            except Exception as error:
                error.add_note(f"case: {tuple(case)!r}")
                raise
            tried += number > 0
            total += number
    return tried, total
