"""Memories made up for the coherence benchmark: facts said in many ways, some of them twice, some against each other.

Nothing in it is taken from the lexicon of the judge, and every choice follows from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from crdtmem import Entry, Memory, Replica

SUBJECTS = ("billing", "search", "ingest", "checkout", "mailer", "ledger", "catalog", "sessions", "exports", "metrics")
PEOPLE = ("R. Okafor", "M. Lindqvist", "T. Nakamura", "S. Haddad", "J. Moreau", "P. Novak", "L. Duarte", "K. Weber")
HOSTS = ("atlas", "borea", "cetus", "draco", "eridan", "fornax", "gemini", "hydra")
MANY = ("tag", "reviewer", "dependency", "label")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Made(NamedTuple):
    """A memory, and the pairs of entries that were planted as contradictions."""

    memory: Memory
    planted: set[frozenset[Any]]
    statements: int


def _values(random: Random) -> dict[str, Callable[[], Any]]:
    day = lambda: (START + timedelta(days=random.randrange(700))).date().isoformat()  # noqa: E731
    return {
        "port": lambda: random.randrange(1024, 65536),
        "owner": lambda: random.choice(PEOPLE),
        "host": lambda: f"{random.choice(HOSTS)}-{random.randrange(1, 90)}",
        "deadline": day,
        "timeout": lambda: f"{random.randrange(1, 120)} seconds",
        "error rate": lambda: f"{random.randrange(1, 400) / 10}%",
        "monthly cost": lambda: f"${random.randrange(100, 90000)}",
        "encrypted": lambda: random.choice((True, False)),
        "replicas": lambda: random.randrange(1, 64),
        "status": lambda: random.choice(("enabled", "disabled")),
    }


def _written(random: Random, memory: Memory, who: str, what: str, value: Any, **about: Any) -> Entry:
    """One fact in one of the ways that agents write facts."""
    way = random.randrange(6)
    if way == 0:
        return memory.set("facts").add(f"{who}.{what.replace(' ', '_')} = {value}", **about)
    if way == 1:
        return memory.set("notes").add(f"{who} {what}: {value}", **about)
    if way == 2:
        return memory.sequence("log").append({"subject": who, "attribute": what, "value": value}, **about)
    if way == 3 and not isinstance(value, bool):
        return memory.set("facts").add(f"The {what} of {who} is {value}.", **about)
    if way == 4 and not isinstance(value, bool):
        return memory.set("notes").add(f"{who}'s {what} is {value}", **about)
    return memory.records(f"from {memory.agent}").put(f"{who}.{what}", value, **about)


def memory_of_facts(size: int, seed: int, *, planted: float = 0.2) -> Made:
    """A memory of about so many facts; a share of them is contradicted by somebody else."""
    random = Random(seed)
    memory = Replica("ann").open(tenant="bench")
    others = [memory.acting_as(name) for name in ("bob", "eve", "joe")]
    kinds = _values(random)
    found: set[frozenset[Any]] = set()
    written = 0
    with_values = [
        (f"{random.choice(SUBJECTS)}-{n}", what) for n in range(size // 3) for what in random.sample([*kinds], 2)
    ]
    for who, what in with_values[: size * 2 // 3]:
        value = kinds[what]()
        one = _written(random, memory, who, what, value)
        written += 1
        chance = random.random()
        if chance < planted:
            other = _written(random, random.choice(others), who, what, _another(kinds[what], value))
            found.add(frozenset((one.id, other.id)))
        elif chance < planted + 0.15:
            _written(random, random.choice(others), who, what, value)  # the same, in other words
        elif chance < planted + 0.25:
            later = {"valid": (START + timedelta(days=900), None)}
            memory.retract(one, why="said again, with its time")
            _written(random, memory, who, what, value, valid=(None, START + timedelta(days=900)))
            _written(random, random.choice(others), who, what, _another(kinds[what], value), **later)
            written += 1
        elif chance < planted + 0.35:
            many = random.choice(MANY)
            for name in random.sample(PEOPLE, 2):
                memory.set("facts").add(f"{who} {many}: {name}")
            written += 1
        else:
            continue
        written += 1
    return Made(memory, found, written)


def _another(make: Callable[[], Any], value: Any) -> Any:
    other = make()
    while other == value:
        other = make()
    return other


_PROSE = (
    "The {a} team moved {b}-{n} to the {c} region in {m} because the old machines were slow.",
    "{p} reviewed the plan for {b}-{n} and asked for {k} more tests before the release.",
    "Customers of {b}-{n} reported {k} slow requests on {d}.",
    "{b}-{n} is written in {l} and has {k} open issues.",
    "In {m} {y}, {b}-{n} served {k} million requests.",
    "{p} joined the {a} team in {y} and now works on {b}-{n}.",
    "The backup of {b}-{n} was made on {d} and took {k} minutes.",
    "{b}-{n} reads from {c}-{k} and writes to {a}-{n}.",
)


def coherent_prose(size: int, seed: int) -> Memory:
    """A memory of so many sentences that do not contradict each other: each is of a thing of its own."""
    random = Random(seed)
    memory = Replica("ann").open(tenant="bench")
    notes = memory.set("notes")
    months = ("January", "March", "May", "August", "October")
    for n in range(size):
        words = {
            "a": random.choice(SUBJECTS),
            "b": random.choice(SUBJECTS),
            "c": random.choice(HOSTS),
            "d": (START + timedelta(days=random.randrange(700))).date(),
            "k": random.randrange(2, 400),
            "l": random.choice(("Go", "Python", "Rust", "Java")),
            "m": random.choice(months),
            "n": n,
            "p": random.choice(PEOPLE),
            "y": random.randrange(2019, 2027),
        }
        notes.add(random.choice(_PROSE).format(**words))
    return memory
