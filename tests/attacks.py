"""Families of attack on an owned memory, each with as many variants as one likes: `python -m tests.campaign attacks`.

A family is a function that takes a random source and a target, and yields the records of one variant after the other.
After each: nothing that the memory holds, shows or believes may be another than before. After all of them: whoever
gets its changes from the target holds the same as the target, and the process has not grown.

What is malformed is never stored. What is authentic and not allowed is stored, void, and handed on as such: so every
replica can tell what was tried.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

from msgpack import ExtType, packb, unpackb

from crdtmem import FieldRule, Identity, MemoryStore, Replica, Rules
from crdtmem.change import decode
from crdtmem.trust import RULES
from tests.crew import tick
from tests.hostile import COUNTER, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Evil
from tests.trusted import FIELDS, copied

VARIANTS = 1000
GROWTH = 64 << 20  # bytes that the process may grow by in one family


class Target:
    """An owned memory with something in it, one more that follows it, and the keys of two that may write there."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.store, self.identity = MemoryStore(), Identity(rng.randbytes(32))
        self.ann = Replica("ann", identity=Identity(rng.randbytes(32)), time=tick)
        self.gone = Replica("gone", identity=Identity(rng.randbytes(32)), time=tick)
        boss = Replica("boss", store=self.store, identity=self.identity, time=tick)
        rules = Rules(
            agents={self.ann.identity.key: ("ann", ["writer"]), self.gone.identity.key: ("gone", ["writer"])},
            fields={name: FieldRule(kind, writers=["writer", "boss"]) for name, kind in FIELDS.items()},
            closed=True,
        )
        self.memory = boss.own(tenant="acme", task="target", rules=rules)
        self.old = self.current()
        self.writer = self.ann.open(self.memory.namespace)
        self.revoked = self.gone.open(self.memory.namespace)
        for memory in (self.writer, self.revoked):
            memory.receive(self.memory.changes())
        self.writer.set("s").update(["a", "b"])
        self.writer.register("r").assign("calm")
        self.writer.records("d").put("k", {"v": 1})
        self.writer.counter("n").add(7)
        self.writer.sequence("q").extend([1, 2, 3])
        self.writer.text("t").append("nothing to see")
        self.revoked.set("s").add("once welcome")
        for giver in (self.writer, self.revoked):
            self.memory.receive(giver.changes())
            self.writer.receive(giver.changes())
            self.revoked.receive(self.writer.changes())
        self.memory.revoke("gone", since=self.memory.version, why="its key was stolen")
        self.memory.checkpoint()
        self.scope = self.memory.namespace.digest

    def current(self) -> bytes:
        trust = self.memory._document.state.trust
        assert trust is not None and trust.current is not None
        return trust.current

    def evil(self, agent: str = "mallory", role: str | None = None) -> Evil:
        """Somebody with a key that the rules do not know."""
        found = Evil(self.rng, self.scope, agent)
        if role is not None:
            found.intro[2] = role
            found.session = blake2b(
                packb([self.scope, *found.intro]), digest_size=16, person=b"crdtmem session"
            ).digest()
            found.client = int.from_bytes(found.session[:8], "big") % (2**53 - 1) + 1
        return found

    def beliefs(self) -> tuple[Any, ...]:
        """All that must stay as it is."""
        state = self.memory._document.state
        trust: Any = state.trust
        return state.digest(), trust.current, set(trust.cuts), dict(state.taint.tainted), dict(state.forks)

    def session(self) -> bytes:
        """Ann's."""
        return next(id for id, s in self.memory._document.state.sessions.items() if s.agent == "ann")


Family = Callable[[random.Random, Target], Iterator[list[bytes]]]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    FAMILIES[make.__name__] = make
    return make


def adds(evil: Evil, rng: random.Random) -> bytes:
    """A part that would do harm, of any kind."""
    return rng.choice(
        (
            lambda: evil.part(SET, "s", [[f"x{rng.random()}"]], []),
            lambda: evil.part(REGISTER, "r", [[rng.randrange(99)]], []),
            lambda: evil.part(RECORDS, "d", [[rng.randrange(99), None, "k"]], []),
            lambda: evil.part(COUNTER, "n", [[rng.randrange(1, 99)]], []),
            lambda: evil.part(SEQUENCE, "q", [[None, [rng.randrange(9)]]], [], []),
            lambda: evil.part(TEXT, "t", [[None, "evil"]], [], []),
        )
    )()


# -- bombs -------------------------------------------------------------------------------------------


@family
def nested_value_bomb(rng, target):
    while True:
        depth = rng.choice((33, 40, 100, 1000, rng.randrange(33, 20000)))
        evil = target.evil()
        if rng.random() < 0.5:
            value: Any = ExtType(1, b"\x91" * depth + b"\x00")
        else:
            value = ExtType(1, b"\x81\xa1a" * depth + b"\x00")
        yield [evil.write(evil.part(SET, "s", [[value]], []), rules=target.current())]


@family
def chained_item_bomb(rng, target):
    while True:
        evil = target.evil()
        size = rng.randrange(513, 3000)
        runs = [[[evil.client, n - 1] if n else None, "x"] for n in range(size)]
        yield [evil.write(evil.part(TEXT, "t", runs, [], []), rules=target.current())]


@family
def oversized_lengths(rng, target):
    while True:
        evil = target.evil()
        record = bytearray(evil.write(adds(evil, rng), rules=target.current()))
        at = rng.randrange(len(record))
        huge = rng.choice(
            (b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc6\xff\xff\xff\xf0", b"\xdb\x80\0\0\0")
        )
        yield [bytes(record[:at] + huge + record[at:]), huge, huge + record]


@family
def pending_flood(rng, target):
    while True:
        evil = target.evil()
        ghost = [[rng.randbytes(16), rng.randrange(1, 2**40), rng.randbytes(32)] for _ in range(rng.randrange(1, 40))]
        yield [evil.write(adds(evil, rng), deps=ghost, rules=rng.choice((target.current(), rng.randbytes(32))))]


# -- who is who --------------------------------------------------------------------------------------


@family
def forged_client(rng, target):
    """In the session of another, so that its units would be that one's."""
    session = target.session()
    while True:
        evil = target.evil()
        known = target.memory._document.state.sessions[session]
        seq = known.seq + rng.choice((1, 1, 2, 0))
        prev = known.hash if rng.random() < 0.7 else rng.randbytes(32)
        yield [
            evil.write(adds(evil, rng), session=session, seq=max(seq, 2), prev=prev, intro=None, rules=target.current())
        ]


@family
def forged_session(rng, target):
    while True:
        evil = target.evil()
        intro = [target.ann.identity.key, "ann", "writer", rng.randbytes(16)]
        forged = rng.choice((intro, [*evil.intro[:3], rng.randbytes(16)], [evil.intro[0], "ann", None, evil.intro[3]]))
        odd = {"intro": forged}
        if rng.random() < 0.3:
            odd["session"] = rng.randbytes(16)
        yield [evil.write(adds(evil, rng), rules=target.current(), **odd)]


@family
def self_declared_role(rng, target):
    while True:
        evil = target.evil(f"m{rng.randrange(9)}", "writer")
        actor = rng.choice((None, ["mallory", "writer"], ["mallory", "owner"]))
        yield [evil.write(adds(evil, rng), rules=target.current(), actor=actor)]


@family
def squatted_name(rng, target):
    while True:
        evil = target.evil(rng.choice(("ann", "boss", "gone", "writer")))
        actor = rng.choice((None, ["ann", None], ["ann", "writer"], ["boss", None]))
        yield [evil.write(adds(evil, rng), rules=target.current(), actor=actor)]


# -- sequences and texts -----------------------------------------------------------------------------


@family
def forged_gc_or_skip(rng, target):
    """Updates as Yjs writes them, where runs belong."""
    while True:
        evil = target.evil()
        struct_ = bytes([1, 1]) + rng.randbytes(8) + bytes([rng.choice((0, 10)), rng.randrange(1, 200), 0])
        body = rng.choice(
            ([struct_, [], []], [[[None, struct_]], [], []], [[[struct_, "x"]], [], []], [[], [struct_], []])
        )
        yield [evil.write(evil.part(rng.choice((SEQUENCE, TEXT)), "t", *body), rules=target.current())]


@family
def clock_jump(rng, target):
    while True:
        evil = target.evil()
        far = rng.choice((2**20, 2**40, 2**53 - 2, rng.randrange(100, 2**50)))
        client = rng.choice((evil.client, target.memory._document.state.client_of(target.session())))
        body = rng.choice(
            ([[[[client, far], "x"]], [], []], [[], [[client, far, 1]], []], [[], [[client, 0, far]], []])
        )
        yield [evil.write(evil.part(TEXT, "t", *body), rules=target.current())]


@family
def foreign_delete(rng, target):
    client = target.memory._document.state.client_of(target.session())
    while True:
        evil = target.evil()
        at = rng.randrange(14)
        yield [
            evil.write(
                evil.part(TEXT, "t", [], [[client, at, rng.randrange(1, 15 - at)]], []),
                evil.part(SET, "s", [], [[target.session(), rng.randrange(1, 7), rng.randrange(2)]]),
                rules=target.current(),
                deps=[list(head) for head in target.memory.version.heads if head.session != evil.session],
            )
        ]


@family
def foreign_counter_entry(rng, target):
    while True:
        evil = target.evil()
        id = [target.session(), rng.randrange(1, 8), 0]
        body = rng.choice(
            ([[[5]], [id]], [[[-7, None, id]], []], [[[2**63 - 1]], []], [[[1.5]], []], [[[5, None, "k"]], []])
        )
        yield [evil.write(evil.part(COUNTER, "n", *body), rules=target.current())]


@family
def kind_confusion(rng, target):
    while True:
        evil = target.evil()
        kind, field = rng.choice((SET, COUNTER, REGISTER, RECORDS, SEQUENCE, TEXT, 0, 7, -1)), rng.choice("srdnqt")
        body = rng.choice(([[[1]], []], [[[None, "x"]], [], []], [[[None, [1]]], [], []], [[[1, None, "k"]], []]))
        yield [evil.write(evil.part(kind, field, *body), rules=target.current())]


@family
def duplicate_keys(rng, target):
    while True:
        evil = target.evil()
        one = evil.part(SET, "s", [["x"], ["x"]], [])
        two = evil.part(SET, "s", [[ExtType(1, b"\x82\xa1a\x01\xa1a\x02")]], [])
        three = evil.part(RECORDS, "d", [[1, None, "k"], [2, None, "k"]], [])
        four = evil.part(SET, "s", [[rng.randrange(9)]], [])
        parts = rng.choice(([one], [two], [three], [four, four]))
        yield [evil.write(*parts, rules=target.current())]


# -- rules -------------------------------------------------------------------------------------------


@family
def forked_rules(rng, target):
    """Rules, cuts and what is settled, by one who is not the owner."""
    while True:
        evil = target.evil(rng.choice(("mallory", "boss")))
        rules = {"format": 1, "agents": {evil.intro[0].hex(): ["mallory", []]}, "fields": {}}
        cut = [target.ann.identity.key, None, [], ""]
        part = rng.choice(
            (
                evil.part(*RULES, [[ExtType(1, packb(rules))]], []),
                evil.part(SET, "@cuts", [[ExtType(1, packb(cut))]], []),
                evil.part(REGISTER, "@settled", [[ExtType(1, packb([[], [], ""]))]], []),
            )
        )
        named = rng.choice((None, target.current(), target.old))
        first = evil.write(part, rules=named)
        yield [first, evil.write(adds(evil, rng), rules=evil.prev)]


@family
def old_rules_after_a_cut(rng, target):
    """By a key that they allowed, in a session of its own, under the rules that knew it."""
    while True:
        evil = target.evil("gone", rng.choice((None, "writer")))
        yield [_signed(target.gone.identity, evil, target, adds(evil, rng), rules=target.old)]


@family
def revoked_through_a_relay(rng, target):
    """The relay has not heard of the cut."""
    relay = Replica("relay", time=tick).open(target.memory.namespace)
    relay.receive(target.revoked.changes())
    while True:
        target.revoked.set("s").add(rng.random())
        target.revoked.text("t").insert(0, "x")
        version = relay.version
        relay.receive(target.revoked.changes(version))
        yield relay.changes(version)


def _signed(identity: Identity, evil: Evil, target: Target, *parts: bytes, **odd: Any) -> bytes:
    """A first change in a session of that key."""
    evil.intro[0] = identity.key
    evil.session = blake2b(packb([target.scope, *evil.intro]), digest_size=16, person=b"crdtmem session").digest()
    record = evil.write(*parts, sealed=False, **odd)
    return bytes(packb([*unpackb(record)[:2], identity.sign(evil.hash)]))


# -- chains, seals, clocks ---------------------------------------------------------------------------


@family
def replay_into_another_namespace(rng, target):
    other = Replica("ann", identity=target.ann.identity, time=tick).open(tenant="acme", task="target")
    other.set("s").update(range(20))
    records = other.changes()
    while True:
        header, parts, seal = unpackb(rng.choice(records))
        head = unpackb(header)
        head[1] = target.scope
        head[9] = rng.choice((None, target.current()))
        yield [rng.choice(records), bytes(packb([packb(head), parts, seal]))]


@family
def broken_chain(rng, target):
    """Honest records, reordered, dropped, spliced: only what is whole may come of them, and that is here already."""
    records = target.memory.changes()
    while True:
        some = rng.sample(records, rng.randrange(1, len(records)))
        one, two = rng.sample(records, 2)
        header, parts, _ = unpackb(one)
        _, others, seal = unpackb(two)
        head = unpackb(header)
        head[rng.choice((3, 4))] = rng.choice((head[3] + 1, rng.randbytes(32)))
        spliced = [packb([header, others, seal]), packb([packb(head), parts, seal])]
        yield [*some, *map(bytes, spliced)]


@family
def seal_of_another_batch(rng, target):
    records = [record for record in target.memory.changes() if unpackb(record)[2]]
    while True:
        evil = target.evil(rng.choice(("ann", "mallory")))
        record = evil.write(adds(evil, rng), rules=target.current())
        seal = rng.choice((unpackb(rng.choice(records))[2], rng.randbytes(64), bytes(64)))
        yield [bytes(packb([*unpackb(record)[:2], seal]))]


@family
def far_future_clock(rng, target):
    while True:
        evil = target.evil()
        yield [evil.write(adds(evil, rng), hlc=rng.choice((2**63 - 1, 2**62, 1 << 60)), rules=target.current())]


@family
def forged_proof_of_a_fork(rng, target):
    """Another change at a place of an honest session, with every seal but the right one."""
    records = {(c.session, c.seq): (r, c) for r, c in ((r, decode(r)) for r in target.memory.changes())}
    while True:
        record, change = rng.choice(list(records.values()))
        header, parts, seal = unpackb(record)
        evil = target.evil()
        parts = [adds(evil, rng) for _ in parts]
        seal = rng.choice((seal, b"", rng.randbytes(64), evil.key.sign(change.hash)))
        yield [bytes(packb([header, parts, seal]))]


# -- the disk ----------------------------------------------------------------------------------------


@family
def checkpoint_forgery(rng, target):
    """Blobs on the shelf are altered; opening must come to the same."""
    while True:
        store = copied(target.store)
        log = store.open(target.memory.namespace)
        for name in rng.sample(log.names(), rng.randrange(1, len(log.names()) + 1)):
            data = bytearray(log.get(name) or b"")
            for _ in range(rng.randrange(1, 9)):
                at = rng.randrange(len(data) + 1)
                data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
            log.put(name, bytes(data))
        again = Replica("boss", store=store, identity=target.identity, time=tick).open(target.memory.namespace)
        assert again.digest() == target.memory.digest()
        yield []


# -- running -----------------------------------------------------------------------------------------


def run(name: str, variants: int, seed: int = 1) -> str:
    """So many variants of a family; what was seen, in words. Raises AssertionError if one gets through."""
    rng = random.Random(f"{name} {seed}")
    target = Target(rng)
    before = target.beliefs()
    follower = Replica("follower", time=tick).open(target.memory.namespace)
    follower.receive(target.memory.changes())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    attacks = FAMILIES[name](rng, target)
    stored = slowest = 0.0
    for number in range(variants):
        records = next(attacks)
        began = time.monotonic()
        got = target.memory.receive(records, sender="attacker")
        slowest = max(slowest, time.monotonic() - began)
        stored += got.applied
        assert target.beliefs() == before, f"{name}: variant {number} of seed {seed} changed what is believed"
    now = target.memory._document.clock.now()
    assert now >> 16 < (tick() + 400) * 1000, f"{name}: the clock was dragged away"
    follower.receive(target.memory.changes())
    assert follower.digest() == target.memory.digest(), f"{name}: who follows differs"
    target.writer.receive(target.memory.changes())
    target.writer.set("s").add("life goes on")
    assert target.memory.receive(target.writer.changes()).applied
    assert "life goes on" in target.memory.set("s")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) << 10
    assert grown < GROWTH, f"{name}: grew by {grown >> 20} MB"
    took = time.monotonic() - started
    return (
        f"{name}: {variants} variants, 0 applied, {stored:.0f} stored as void, slowest {slowest * 1000:.0f} ms, "
        f"grown {grown >> 20} MB, {took:.1f} s"
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variants", type=int, default=VARIANTS, help="of each family")
    parser.add_argument("--only", choices=sorted(FAMILIES), help="this family alone")
    parser.add_argument("--seed", type=int, default=1)


def _run(args: argparse.Namespace) -> int:
    failed = 0
    for name in [args.only] if args.only else FAMILIES:
        try:
            print(run(name, args.variants, args.seed), flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            print(f"replay: python -m tests.campaign attacks --only {name} --seed {args.seed}")
    print(f"{len(FAMILIES)} families, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


ATTACKS = ("families of attack on an owned memory, each in many variants", _options, _run)
