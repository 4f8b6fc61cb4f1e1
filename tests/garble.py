"""Garbled frames: a real peer with real memories hears whatever can be made of what peers say.

A good connection is recorded; then its frames come again altered, cut, swapped, repeated and made up, some in their
place and some not. The peer may end the connection, and must do it with a Bye. It may not raise, hang, or grow, nor
take in what nobody has sealed; and a good connection must work as before.
"""

from __future__ import annotations

import argparse
import random
import time
import traceback
import tracemalloc

import msgpack

from crdtmem import Memory
from crdtmem.sync.frames import (
    Bye,
    Changes,
    Digest,
    Have,
    Hello,
    Here,
    Mark,
    Open,
    Presence,
    Shut,
    Want,
    decode,
    encode,
)
from crdtmem.sync.link import Link
from tests.crew import SCOPE, alone
from tests.ends import End, joined

SLOW = 1.0  # seconds that one message may take, on a busy machine
GROWTH = 64 << 20
WORDS = (0, -1, 1, 2**31, 2**53, 2**63, None, True, 1.5, "", "acme", b"", bytes(16), bytes(17), [], [[]], {}, {"a": 1})


class Garbler:
    """One seed's stream of messages."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        ann, bob = alone("ann"), alone("bob")
        for n in range(12):
            ann.set("s").add(n)
            bob.text("t").append(f"{n} ")
            ann.sequence("q").append([n])
        wire = joined(End("bob", bob), End("ann", ann))
        wire.links[0].mark(wire.ends[0].outlets[0], lambda: None)
        wire.ends[0].hub.here(SCOPE.digest, "bob", "reads", "s")
        wire.tick(1)
        wire.tick(2)
        self.victim: Memory = ann
        self.end: End = wire.ends[1]
        self.before = ann.version, ann.digest()
        said = [encode(frame) for frame in wire.said[0] if frame is not None]
        records = bob.changes()
        id = bytes(range(16))
        self.hello = said[0]
        self.frames = [
            *said,
            encode(Open(0, ["acme", "test"], bytes(16))),
            encode(Open(7, ["acme", "other"], bytes(16))),
            encode(Have(0, [(id, 3, bytes(8)), (bytes(16), 2**52, bytes(8))], more=True)),
            encode(Changes(0, records[:3])),
            encode(Changes(0, [records[0][:-5], b"", records[1] + b"x"])),
            encode(Want(0, [(id, 1), (ann.version.heads[0].session, 1)])),
            encode(Mark(0, 5)),
            encode(Digest(0, bytes(16), bytes(32))),
            encode(Presence(0, [Here(id, n, 30.0, f"a{n}") for n in range(5)])),
            encode(Shut(["acme", "test"], "no")),
            encode(Hello(1, 0, id, "again")),
        ]

    def garbled(self) -> bytes:
        """One message."""
        rng = self.rng
        data = bytearray(rng.choice(self.frames))
        what = rng.random()
        if what < 0.35:
            return bytes(data)
        if what < 0.65:
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] = rng.choice(
                    (0, 1, 0x7F, 0x80, 0x90, 0xC4, 0xDD, 0xFF, rng.randrange(256))
                )
        elif what < 0.78:
            del data[rng.randrange(len(data)) :]
        elif what < 0.86:
            at = rng.randrange(len(data) + 1)
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            items = msgpack.unpackb(bytes(data))
            items[rng.randrange(len(items))] = rng.choice(WORDS)
            if rng.random() < 0.3:
                items.append(rng.choice(WORDS))
            return msgpack.packb(items)  # type: ignore[no-any-return]
        return bytes(data)

    def connection(self) -> int:
        """One connection's worth of messages; how many they were before it ended."""
        hub, rng = self.end.hub, self.rng
        link: Link = hub.link(dials=False, now=3)
        count = 0
        try:
            if rng.random() < 0.95:
                self._hear(link, self.hello)
                self._hear(link, encode(Open(0, ["acme", "test"], bytes(16))))
            for _ in range(rng.randrange(1, 60)):
                if link.session.ended is not None:
                    break
                self._hear(link, self.garbled())
                count += 1
            if rng.random() < 0.2:
                hub.tick(rng.randrange(3, 30))
            ended = link.session.ended
            last = link.session.data_to_send()
            assert ended is None or ended.theirs or not last or isinstance(decode(last[-1]), Bye), (
                "it ends without a Bye"
            )
        finally:
            hub.gone(link)
        return count

    def _hear(self, link: Link, data: bytes) -> None:
        began = time.monotonic()
        self.end.hub.receive(link, data)
        link.pump(1 << 20)
        if link.session.ended is None:
            link.session.data_to_send()
        assert time.monotonic() - began < SLOW, f"{len(data)} bytes took {time.monotonic() - began:.1f} s"

    def finish(self) -> None:
        """Nothing that bob has not written is there, and a good connection works."""
        self.end.news.clear()
        cyd = alone("cyd")
        wire = joined(End("cyd", cyd), self.end)
        cyd.set("s").add("still")
        wire.run()
        assert "still" in self.victim.set("s") and cyd.digest() == self.victim.digest()
        assert {entry.by for entry in self.victim.set("s").entries()} <= {"ann", "cyd"}
        assert len(self.end.hub.links) == 2  # with bob, and with cyd
        wire.cut()


def garble(seed: int, messages: int) -> int:
    """So many messages, on as many connections as they take; how many connections these were."""
    garbler = Garbler(seed)
    connections = 0
    while messages > 0:
        messages -= garbler.connection() + 1
        garbler.end.news.clear()
        connections += 1
    garbler.finish()
    return connections


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the first ten thousand; the next have the next")


def _run(args: argparse.Namespace) -> int:
    began, connections, chunk = time.monotonic(), 0, 10_000
    tracemalloc.start(1)
    first = 0
    for number, seed in enumerate(range(args.seed, args.seed + max(1, args.messages // chunk)), 1):
        try:
            connections += garble(seed, min(chunk, args.messages))
        except Exception as error:
            traceback.print_exception(error)
            print(f"replay: python -m tests.campaign garble --messages {chunk} --seed {seed}")
            return 1
        now = tracemalloc.get_traced_memory()[0]
        first = first or now
        if now - first > GROWTH:
            print(f"FAILED: {now - first:,} bytes more are held than after the first seed")
            return 1
        if number % 10 == 0:
            said = f"{number * chunk:,} messages on {connections:,} connections, none raised, hung or grew"
            print(f"{said}, {time.monotonic() - began:.0f} s", flush=True)
    return 0


GARBLE = ("altered, cut, swapped and made-up frames into a real peer", _options, _run)
