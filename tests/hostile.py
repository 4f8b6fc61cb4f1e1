"""A peer with a valid key and no manners, and the search that lets it loose on the door.

The evil author writes its records with msgpack, blake2b and Ed25519 alone, so that what it says is not limited by what
crdtmem can say. `python -m tests.campaign hostile` sends its changes, and mutilated honest ones, through `receive`
between honest traffic, in one process after another, and asks after every round:

- has the process ended by a signal, has anything been raised, has one change taken more than `PATIENCE` seconds?
- does a replica that gets only what was applied, in another order, end with the same version and digest?
- do all readers still answer, and does the memory stay flat?
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgpack import ExtType, packb, unpackb

from crdtmem import Identity, Memory, MemoryStore, Namespace, Record, Replica
from crdtmem.store import Log

SET, COUNTER, REGISTER, RECORDS, SEQUENCE, TEXT = range(1, 7)
SCOPE = Namespace(tenant="acme", task="hostile")
PATIENCE = 3.0  # seconds that one record may keep the door busy, on a machine that does other things too
ROUND = 5000  # mutations between two comparisons of digests
SHARD = 10  # rounds in one process
GROWTH = 96 << 20  # bytes that one process may grow after its first rounds
BLAST = 256 << 20  # bytes that one bomb may leave behind


class Evil:
    """One session that says what it likes and seals it."""

    def __init__(self, rng: random.Random, scope: bytes = SCOPE.digest, agent: str = "mallory") -> None:
        self.rng = rng
        self.scope = scope
        self.key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.intro: Any = [self.key.public_key().public_bytes_raw(), agent, None, rng.randbytes(16)]
        self.session = blake2b(packb([scope, *self.intro]), digest_size=16, person=b"crdtmem session").digest()
        self.client = int.from_bytes(self.session[:8], "big") % (2**53 - 1) + 1
        self.seq = 0
        self.prev = b""

    def header(self, **odd: Any) -> dict[str, Any]:
        """The header of its next change; what is odd about it is given."""
        head = {"format": 1, "namespace": self.scope, "session": self.session, "seq": self.seq + 1, "prev": self.prev}
        head |= {"deps": [], "intro": None if self.seq else self.intro, "hlc": 1, "actor": None, "rules": None}
        return head | odd

    def part(self, kind: Any, field: Any, *body: Any, about: Any = None) -> bytes:
        """The bytes of one part."""
        return bytes(packb([self.rng.randbytes(16), kind, field, about, *body]))

    def write(self, *parts: bytes, advance: bool = True, sealed: bool = True, **odd: Any) -> bytes:
        """The record of a change with these parts; the next one follows it unless told otherwise."""
        header = odd.pop("raw", None) or packb(list(self.header(**odd).values()))
        hash = _digest(header, parts)
        if advance:
            self.seq, self.prev = self.seq + 1, hash
        self.hash = hash
        return bytes(packb([header, list(parts), self.key.sign(hash) if sealed else b""]))


def _digest(header: bytes, parts: Iterable[bytes]) -> bytes:
    digests = [blake2b(part, digest_size=32).digest() for part in parts]
    return blake2b(header + b"".join(digests), digest_size=32).digest()


def container(value: object) -> ExtType:
    """A list or dict as it travels."""
    return ExtType(1, packb(value))


# -- what it says ------------------------------------------------------------------------------------

_FIELDS = ("a", "b", "c")
_INTS = (0, 1, -1, 127, 128, 2**31, 2**32, 2**53 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)


class Babble:
    """A source of changes that are well formed to the last byte and mean harm, and of others that are nearly so."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.ids: list[tuple[bytes, int, int]] = []  # entries that somebody wrote
        self.units: list[tuple[int, int]] = []  # units that somebody wrote
        self.heads: list[tuple[bytes, int, bytes]] = []

    def heard(self, record: bytes) -> None:
        """Learn the names of what an honest or applied change brought."""
        header, items, _ = unpackb(record, strict_map_key=False)
        head = unpackb(header, use_list=False)
        session, seq = head[2], head[3]
        client = int.from_bytes(session[:8], "big") % (2**53 - 1) + 1
        hash = _digest(header, items)
        self.heads = [*self.heads[-30:], (session, seq, hash)]
        for number, item in enumerate(items):
            body = unpackb(item, use_list=False, strict_map_key=False)
            self.ids.append((session, seq, (number << 20) + self.rng.randrange(max(1, len(body[4])))))
            if body[1] in (SEQUENCE, TEXT):
                latest = max((clock for owner, clock in self.units if owner == client), default=-1)
                self.units += [(client, latest + 1 + n) for n in range(sum(len(run[1]) for run in body[4]))]
        self.ids, self.units = self.ids[-200:], self.units[-300:]

    def value(self) -> Any:
        """A value, mostly one that may be."""
        rng = self.rng
        if rng.random() < 0.7:
            return rng.randrange(9)
        return rng.choice(
            (
                lambda: rng.choice(("", "x", "ß", "\U0001f600", "\x00", "a" * 300)),
                lambda: rng.choice(_INTS),
                lambda: rng.choice((None, True, False, 0.5, -0.0, float("nan"), float("inf"), 1e308)),
                lambda: rng.randbytes(rng.randrange(20)),
                lambda: container([1, {"k": None}, "x"]),
                lambda: container({"k": rng.randrange(3), "m": [rng.random()]}),
                lambda: ExtType(rng.randrange(128), rng.randbytes(rng.randrange(12))),
                lambda: [1],
            )
        )()

    def id(self, evil: Evil) -> Any:
        """The id of an entry: of somebody's, of its own to come, of nobody's."""
        rng = self.rng
        if self.ids and rng.random() < 0.97:
            session, seq, n = rng.choice(self.ids)
            return [session, seq, n + rng.choice((0, 0, 0, 1, 1 << 20))]
        return rng.choice(
            (
                [evil.session, max(1, evil.seq), 0],
                [evil.session, evil.seq + 1, 0],
                [rng.randbytes(16), 1, 0],
                [evil.session, 2**53 - 1, 2**32 - 1],
            )
        )

    def unit(self, evil: Evil) -> Any:
        """A place between two units, on one side."""
        rng = self.rng
        if self.units and rng.random() < 0.85:
            client, clock = rng.choice(self.units)
            return [client, clock + rng.choice((0, 0, 0, 0, 1))]
        return rng.choice((None, None, None, [evil.client, rng.randrange(4)], [evil.client, 2**53 - 1], [1, 0]))

    def about(self, evil: Evil) -> Any:
        """What it says about it."""
        rng = self.rng
        if rng.random() < 0.95:
            return None
        said = [
            rng.choice((None, "because", "y" * 8193)),
            rng.choice((None, [self.id(evil)])),
            rng.choice((None, 0.5, 1.0, 2.0, float("nan"))),
            rng.choice((None, ["t"], [], ["t", "t"])),
            rng.choice((None, "user", "nobody")),
            rng.choice((None, 1.0, 1e-300, -1.0)),
            rng.choice((None, [0, 1], [2**52, None], [1, 0])),
        ]
        return said[: rng.randrange(1, 8)]

    def add(self, kind: int, evil: Evil) -> list[Any]:
        """One add."""
        value = self.rng.choice(_INTS) if kind == COUNTER else self.value()
        add = [value, self.about(evil)]
        if kind == RECORDS:
            add.append(self.rng.choice(("k", "l", "m", "n" * 1024)))
            if self.rng.random() < 0.4:
                add[0] = container({self.rng.choice("kmx"): self.rng.randrange(3)})
                add.append([self.id(evil) for _ in range(self.rng.randrange(3))])
            return add
        return add if add[1] is not None else add[:1]

    def run(self, kind: int, evil: Evil) -> list[Any]:
        """One run."""
        rng = self.rng
        content: Any = rng.choice(("a", "bc", "ß", "x\U0001f600", "\U0001f600\U0001f600", "é" * 5))
        if kind == SEQUENCE:
            content = [self.value() if rng.random() < 0.2 else rng.randrange(9) for _ in range(rng.randrange(1, 3))]
        run = [self.unit(evil), content]
        about = self.about(evil)
        return run if about is None else [*run, about]

    def part(self, evil: Evil) -> list[Any]:
        """One part, without its salt."""
        rng = self.rng
        kind = rng.randrange(1, 7)
        part: list[Any] = [kind, rng.choice(_FIELDS), self.about(evil)]
        if kind <= RECORDS:
            part.append([self.add(kind, evil) for _ in range(rng.randrange(3))])
            part.append([self.id(evil) for _ in range(0 if kind == COUNTER else rng.randrange(3))])
        else:
            part.append([self.run(kind, evil) for _ in range(rng.randrange(3))])
            spans = [(self.unit(evil) or [1, 0], rng.choice((1, 1, 2, 5, 2**52))) for _ in range(rng.randrange(2))]
            part.append([[*unit, length] for unit, length in spans])
            moves = rng.randrange(2) if kind == SEQUENCE else 0
            part.append([[self.unit(evil), self.id(evil)] for _ in range(moves)])
        return part

    def warped(self, tree: Any) -> Any:
        """The same with one node somewhere replaced by what does not belong there."""
        rng = self.rng
        if type(tree) is list and tree and rng.random() < 0.8:
            at = rng.randrange(len(tree))
            return [*tree[:at], self.warped(tree[at]), *tree[at + 1 :]]
        return rng.choice((None, [], [[]], {}, {"a": 1}, b"", bytes(16), "", -1, 2**64 - 1, 0.5, True, self.value()))

    def change(self, evil: Evil) -> bytes:
        """A sealed change that its chain can take, if the door can."""
        rng = self.rng
        bodies = [self.part(evil) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        odd: dict[str, Any] = {}
        dice = rng.random()
        if 0.2 < dice < 0.4:
            bodies[0] = self.warped(bodies[0])
        if dice < 0.1:
            odd["deps"] = [rng.choice(self.heads) for _ in range(rng.randrange(3))] if self.heads else [[b"", 1, b""]]
        elif dice < 0.15:
            odd["hlc"] = rng.choice((0, 2**62, 2**63 - 1, 2**63, -1, 1.0, None))
        elif dice < 0.2:
            odd["actor"] = rng.choice(
                (["bob", None], ["bob", "r"], ["\x1b[31m", None], ["", None], ["x" * 300, "r"], 1)
            )
        elif dice < 0.25:
            odd[rng.choice(("namespace", "session", "seq", "prev", "intro", "rules"))] = self.warped(None)
        elif dice < 0.26:
            odd["format"] = rng.choice((0, -1, None, True, "1", 1.0))  # a newer one would keep friends from writing
        parts = [self.packed(evil, body) for body in bodies]
        return evil.write(*parts, advance=False, **odd)

    def packed(self, evil: Evil, body: Any) -> bytes:
        """A part from its body, now and then in bytes that are not canonical."""
        whole = type(body) is list and len(body) > 2
        try:
            part = evil.part(*body[:2], *body[3:], about=body[2]) if whole else packb(body)
        except (ValueError, OverflowError):  # an integer that msgpack has no room for
            return b"\xc1"
        return part if self.rng.random() < 0.98 else _mutilated(self.rng, part)


def _mutilated(rng: random.Random, data: bytes, other: bytes = b"\xc0") -> bytes:
    """Bytes with a bit flipped, a piece cut out or put in, or the rest taken from another record."""
    if not data:
        return rng.randbytes(3)
    at = rng.randrange(len(data))
    how = rng.randrange(6)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + rng.randbytes(rng.randrange(1, 5)) + data[at:]
    if how == 2:
        return data[:at] + data[at + rng.randrange(1, 9) :]
    if how == 3:
        return data[:at] + other[rng.randrange(len(other)) :]
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


# -- one round ---------------------------------------------------------------------------------------


class Failure(Exception):
    """What must not happen, in words."""


class Tap:
    """A store, and the log in it, that lets a test see what is appended."""

    def __init__(self) -> None:
        self.log = MemoryStore().open(SCOPE)
        self.kept: list[Record] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def open(self, _: Namespace) -> Log:
        """The log of the one namespace."""
        return self

    def close(self) -> None:
        """Nothing is held."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep them, and a note of them."""
        self.log.append(records)
        self.kept += records


class Friend:
    """Somebody who means well, writing to fields that the others write to as well."""

    def __init__(self, agent: str, rng: random.Random, time: Callable[[], float]) -> None:
        self.rng = rng
        self.key = Identity(rng.randbytes(32))
        self.store = Tap()
        self.memory: Memory = Replica(agent, store=self.store, identity=self.key, time=time).open(SCOPE)
        self.store.kept.clear()
        m = self.memory
        self.fields = [(m.set(n), m.counter(n), m.register(n), m.records(n), m.sequence(n), m.text(n)) for n in _FIELDS]

    def write(self) -> None:
        """One write."""
        rng = self.rng
        members, total, register, records, sequence, text = rng.choice(self.fields)
        n = rng.randrange(9)
        choice = rng.randrange(10)
        if choice == 0:
            members.add(n)
        elif choice == 1:
            members.discard(n)
        elif choice == 2:
            total.add(n - 4)
        elif choice == 3:
            register.assign(n)
        elif choice == 4:
            records.put(rng.choice("klm"), {"k": n})
        elif choice == 5:
            records.delete(rng.choice("klm"))
        elif choice == 6:
            sequence.insert(rng.randint(0, len(sequence)), n)
        elif choice == 7 and len(sequence):
            at = rng.randrange(len(sequence))
            sequence.move(at, rng.randrange(len(sequence))) if n < 5 else sequence.remove(at)
        elif choice == 8 and len(text):
            at = rng.randrange(len(text))
            text.delete(at, at + 1)
        else:
            text.insert(rng.randint(0, len(text)), rng.choice(("a", "bc", "ß", "\U0001f600")))

    def news(self) -> list[bytes]:
        """The records of what it wrote itself since the last time, each sealed."""
        kept, self.store.kept = self.store.kept, []
        return [record.core + packb(self.key.sign(record.hash)) for record in kept if not record.seal]

    def read(self) -> None:
        """Ask everything there is to ask; nothing may be raised, whoever wrote it."""
        memory = self.memory
        repr(memory), memory.fields(), memory.conflicts(), memory.refusals
        for row in self.fields:
            for field in row:
                for entry in field.entries():
                    _ = (entry.value, entry.by, entry.role, entry.at, entry.why, entry.because, entry.confidence)
                    _ = (entry.tags, entry.source, entry.ttl, entry.valid, repr(entry), str(entry.id))
            members, total, register, records, sequence, text = row
            _ = (list(members), total.value, register.value, dict(records), list(sequence), str(text), len(text))
            for key in records:
                records.siblings(key)


class Round:
    """One comparison's worth of mutations, from one seed."""

    def __init__(self, seed: int, mutations: int) -> None:
        self.rng = rng = random.Random(seed)
        self.mutations = mutations
        self.now = 1_700_000_000.0
        self.victim = Friend("victim", rng, self.time)
        self.friend = Friend("friend", rng, self.time)
        self.babble = Babble(rng)
        self.authors = [Evil(rng) for _ in range(3)]
        self.seen: list[bytes] = []  # honest records, to be mutilated
        self.applied: list[bytes] = []  # evil records that the friend has yet to get
        self.sealed = self.taken = 0
        self.then = self.victim.memory.version, self.victim.memory.digest()
        self.disordered = 0  # whether a sequence or text differed afterwards
        self.slowest = 0.0

    def time(self) -> float:
        """A clock that only this round turns."""
        self.now += 0.01
        return self.now

    def run(self) -> None:
        """Send it all, then compare.

        Raises:
            Failure: the door let something through, broke, or took too long.
        """
        rng = self.rng
        for number in range(self.mutations):
            if number == self.mutations // 2:
                memory = self.victim.memory
                self.then = memory.version, memory.digest()
            dice = rng.random()
            while dice < 0.02 or not self.seen:
                self.traffic()
                dice = rng.random()
            if dice < 0.5:
                self.send(_mutilated(rng, rng.choice(self.seen), rng.choice(self.seen)))
            else:
                self.speak(rng.randrange(len(self.authors)))
        self.compare()

    def traffic(self) -> None:
        """Both friends write, and tell each other what is new, theirs and whatever else was applied."""
        for giver, taker in ((self.friend, self.victim), (self.victim, self.friend)):
            giver.write()
            news = giver.news()
            for record in news:
                self.seen = [*self.seen[-40:], record]
                self.babble.heard(record)
            if taker is self.friend:
                news = [*self.applied, *news]
                self.applied = []
            taker.memory.receive(news)

    def speak(self, which: int) -> None:
        """One sealed change of an evil author; it goes on from there if the door took it, and gives up if it waits."""
        evil = self.authors[which]
        record = self.babble.change(evil)
        self.sealed += 1
        got = self.send(record)
        if got.applied:
            self.taken += 1
            self.applied.append(record)
            evil.seq, evil.prev = evil.seq + 1, evil.hash
            self.babble.heard(record)
            if self.rng.random() < 0.01:
                self.seen = [*self.seen[-40:], record]
        elif got.waiting and not got.refused:
            self.authors[which] = Evil(self.rng)

    def send(self, record: bytes) -> Any:
        """Through the door, with a watch in the hand."""
        start = time.monotonic()
        got = self.victim.memory.receive([record], sender="mallory")
        took = time.monotonic() - start
        self.slowest = max(self.slowest, took)
        if took > PATIENCE:
            raise Failure(f"one record of {len(record)} bytes kept the door busy for {took:.1f} s")
        return got

    def compare(self) -> None:
        """What was applied gives the same to somebody who gets it in another order."""
        memory = self.victim.memory
        records = memory.changes()
        self.victim.read()
        if memory.at(self.then[0]).digest() != self.then[1]:
            raise Failure("an earlier version, made anew, has another digest than it had")
        again = Replica("again", store=self.victim.store, time=self.time).open(SCOPE)
        if (again.version, again.digest()) != (memory.version, memory.digest()):
            raise Failure("a restart gives another version or digest")
        for order in ("shuffled", "reversed"):
            other = Friend("other", self.rng, self.time)
            if order == "shuffled":
                self.rng.shuffle(records)
            else:
                records.reverse()
            while records:
                size = self.rng.randrange(1, 30)
                other.memory.receive(records[:size])
                records = records[size:]
            if other.memory.version != memory.version:
                raise Failure(f"{order}: another version from the same changes; {other.memory.receive([])}")
            if other.memory.digest() != memory.digest():
                fields = differing(memory, other.memory)
                if any(kind <= RECORDS for kind, _ in fields):
                    raise Failure(f"{order}: another digest from the same changes in {fields}")
                self.disordered = 1
            records = memory.changes()


def differing(one: Memory, other: Memory) -> list[tuple[int, str]]:
    """The fields whose content differs, by kind and name."""
    found = []
    for (kind, name), field in one._document.state.fields.items():
        twin = other._document.state.fields.get((kind, name))
        if twin is None or twin.digest() != field.digest():
            found.append((kind, name))
    return found


# -- bombs -------------------------------------------------------------------------------------------


def bombs(rng: random.Random, changes: int = 32) -> Iterator[tuple[str, list[bytes]]]:
    """Small bytes that would be much work, or much memory, to somebody who believes them: a name and records.

    Args:
        rng: where keys come from.
        changes: how many there are of those that do harm by their number.
    """
    last = 512 * changes

    def one(name: str, *parts: bytes, **odd: Any) -> tuple[str, list[bytes]]:
        return name, [Evil(rng).write(*parts, **odd)]

    def keyed(kind: int, adds: Any, removes: Any = ()) -> bytes:
        return Evil(rng).part(kind, "a", adds, removes)

    deep = b"\x91" * 33 + b"\xc0"
    for size in (1023, 4000, 250_000):
        nested = (b"\xdd\x00\x03\xd0\x90" * (size // 5))[: size - 1] + b"\xc0"
        yield one(f"arrays that claim to be long, in {size} bytes", keyed(SET, [[ExtType(1, nested)]]))
        yield one(f"arrays inside arrays, {size} deep", keyed(SET, [[ExtType(1, b"\x91" * size + b"\xc0")]]))
        maps = (b"\xdf\x00\x03\xd0\x90\xa1k" * (size // 7))[: size - 1] + b"\xc0"
        yield one(f"maps that claim to be long, in {size} bytes", keyed(SET, [[ExtType(1, maps)]]))
        yield one(f"a map under an array of keys, {size}", keyed(SET, [[ExtType(1, b"\x81" + nested)]]))
        yield one(f"a part of arrays, {size}", b"\xdc\x1f\xff" * (size // 3))
        yield one(f"a header of arrays, {size}", keyed(SET, []), raw=b"\xdc\x03\xff" * (size // 3))
        yield f"a record of arrays, {size}", [b"\x93" + b"\xdc\x00\xff" * (size // 3)]
    yield one("a value 33 deep", keyed(SET, [[ExtType(1, deep)]]))
    yield one("a path as long as its value", keyed(SET, [[container({"\x01" * 120_000: [1] * 120_000})]]))
    yield one("70,000 small lists", keyed(SET, [[container([[[]]] * 70_000)]]))
    yield one("a megabyte that is not a number", keyed(SET, [[1, [None, None, "x" * 1_000_000]]]))
    yield one("a megabyte of tags", keyed(SET, [[1, [None, None, None, ["\x00" * 900_000]]]]))
    yield one("a field with a long name", Evil(rng).part(SET, "a" * 1_000_000, [], []))
    yield one("8,192 values of one register", keyed(REGISTER, [[n] for n in range(8192)]))
    yield one("8,192 values of one key", keyed(RECORDS, [[n, None, "k"] for n in range(8192)]))
    yield one("8,192 members", keyed(SET, [[n] for n in range(8192)]))
    yield one("a counter from end to end", keyed(COUNTER, [[2**63 - 1], [-(2**63)]] * 4000))
    yield one("256 fields", *[Evil(rng).part(1 + n % 6, f"f{n}", [], [], *([[]] * (n % 6 > 3))) for n in range(256)])
    yield one("257 fields", *[Evil(rng).part(SET, f"f{n}", [], []) for n in range(257)])
    yield one("one field 256 times", *[Evil(rng).part(TEXT, "a", [[None, "x"]], [], []) for n in range(256)])
    yield one("1,024 deps", keyed(SET, []), deps=[[rng.randbytes(16), 1, bytes(32)] for _ in range(1024)])
    yield one("a text of a megabyte", Evil(rng).part(TEXT, "a", [[None, "\U0001f600" * 250_000]], [], []))
    heap = Evil(rng)
    yield (
        f"{last} runs at one place",
        [heap.write(heap.part(TEXT, "a", [[None, "x"]] * 512, [], [])) for _ in range(changes)],
    )
    chain = Evil(rng)
    yield (
        f"a chain of {last} runs of one unit",
        [
            chain.write(chain.part(SEQUENCE, "a", [[_at(chain, n - 1), [n]] for n in range(k, k + 512)], [], []))
            for k in range(0, last, 512)
        ],
    )
    back = Evil(rng)
    yield (
        f"{last} runs, each after the last but one",
        [
            back.write(back.part(TEXT, "a", [[_at(back, n - 2), "ß"] for n in range(k, k + 512)], [], []))
            for k in range(0, last, 512)
        ],
    )
    holes = Evil(rng)
    yield (
        "8,192 deletes of every other unit, many times",
        [
            holes.write(holes.part(TEXT, "a", [[None, "ß" * 20_000]], [], [])),
            *(
                holes.write(holes.part(TEXT, "a", [], [[holes.client, n, 1] for n in range(k, 16_384 + k, 2)], []))
                for k in (0, 1, 0)
            ),
        ],
    )
    mover = Evil(rng)
    yield (
        "512 moves of a value out of a large change",
        [
            mover.write(mover.part(SEQUENCE, "a", [[None, [0] * 8000] for _ in range(changes)], [], [])),
            mover.write(mover.part(SEQUENCE, "a", [], [], [[None, [mover.session, 1, 5]]] * 512)),
        ],
    )


def _at(evil: Evil, clock: int) -> list[int] | None:
    return [evil.client, clock] if clock >= 0 else None


def explode(rng: random.Random, changes: int = 32) -> tuple[int, str, float]:
    """Send every bomb to a fresh replica; how many, and which record kept it busy longest.

    Raises:
        Failure: one took too long, too much memory, or left two orders of arrival with different content.
    """
    count, worst, slowest = 0, "", 0.0
    for name, records in bombs(rng, changes):
        base = _resident()
        ends = []
        for order in (records, records[::-1]):
            friend = Friend("victim", rng, time.time)
            friend.memory.set("a").add("here before")
            for record in order:
                start = time.perf_counter()
                got = friend.memory.receive([record])
                took = (time.perf_counter() - start) / max(1, got.applied)
                if took > slowest:
                    worst, slowest = name, took
                if took > PATIENCE:
                    raise Failure(f"{name}: one record kept the door busy for {took:.1f} s")
            friend.memory.set("a").discard("here before")
            ends.append(friend.memory.digest())
            friend.read()
        if ends[0] != ends[1]:
            raise Failure(f"{name}: another digest in the other order")
        if _resident() - base > BLAST:
            raise Failure(f"{name}: {(_resident() - base) >> 20} MiB more than before")
        count += 1
    return count, worst, slowest


def _resident() -> int:
    """Bytes of memory this process holds."""
    gc.collect()
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the highest it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# -- the search --------------------------------------------------------------------------------------


def shard(seed: int, rounds: int, mutations: int) -> None:
    """Some rounds in this process, one line of figures each.

    Raises:
        Failure: what must not happen has.
    """
    chance = random.Random(seed)
    os.urandom = chance.randbytes  # salts and nonces: the same seed says the same
    floor = 0
    for number in range(rounds):
        chance.seed(seed + number)
        one = Round(seed + number, mutations)
        one.run()
        size = _resident()
        figures = (seed + number, mutations, one.sealed, one.taken, one.disordered, f"{one.slowest:.3f}", size)
        print(*figures, flush=True)
        del one
        floor = size if number == 2 else floor
        if floor and size > floor + GROWTH:
            raise Failure(f"memory grew from {floor >> 20} to {size >> 20} MiB")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mutations", type=int, default=2_000_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each further round adds one")
    parser.add_argument("--round", type=int, default=ROUND, help="mutations between two comparisons")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--shard", action="store_true", help="stay in this process")


def _run(args: argparse.Namespace) -> int:
    rounds = -(-args.mutations // args.round)
    if args.shard:
        shard(args.seed, rounds, args.round)
        return 0
    start = time.monotonic()
    count, worst, slowest = explode(random.Random(args.seed))
    print(f"{count} bombs: nothing raised, the slowest record took {slowest:.2f} s ({worst})", flush=True)
    shards = [(args.seed + first, min(SHARD, rounds - first)) for first in range(0, rounds, SHARD)]
    failed = 0
    sums = [0, 0, 0, 0]
    slowest = 0.0
    with ThreadPoolExecutor(args.jobs) as pool:
        for number, (seed, code, out, err) in enumerate(pool.map(lambda s: _spawn(*s, args.round), shards), 1):
            lines = [line.split() for line in out.splitlines()]
            sums = [sum(int(line[n]) for line in lines) + sums[n - 1] for n in (1, 2, 3, 4)]
            slowest = max([slowest, *(float(line[5]) for line in lines)])
            if code:
                failed += 1
                bad = seed + len(lines)
                how = f"signal {-code}" if code < 0 else "an error"
                print(f"FAILED with {how} in round {bad}:\n{err.strip()[-3000:]}")
                print(f"replay: python -m tests.campaign hostile --shard --seed {bad} --mutations {args.round}")
            rate = sums[0] / (time.monotonic() - start)
            if number % 5 == 0 or number == len(shards):
                state = f"{failed} shards failed, {sums[3]} rounds out of order"
                print(f"{sums[0]:,} mutations, {state}, {rate:,.0f} a second", flush=True)
    print(
        f"{sums[0]:,} mutations in {time.monotonic() - start:,.0f} s, {sums[1]:,} of them sealed, {sums[2]:,} applied; "
        f"{count} bombs; slowest record {slowest:.2f} s; {failed} of {len(shards)} shards failed; "
        f"in {sums[3]} of {rounds} rounds a sequence or text differed"
    )
    return 1 if failed or sums[3] else 0


def _spawn(seed: int, rounds: int, size: int) -> tuple[int, int, str, str]:
    command = [sys.executable, "-m", "tests.campaign", "hostile", "--shard"]
    command += ["--seed", str(seed), "--mutations", str(rounds * size), "--round", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return seed, done.returncode, done.stdout, done.stderr


COMMAND = ("a peer with a valid key and no manners, against the door", _options, _run)
