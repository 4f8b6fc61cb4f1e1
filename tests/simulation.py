"""A team on a faulty network, in virtual time: real replicas, real hubs and sessions, and a seed that decides the rest.

    storm     writes go on while frames are late, lost, doubled and damaged, connections break, directions are blocked,
              processes crash and come back from what they had committed, clocks go wrong, the topology changes, some
              come late and take a checkpoint, some prune
    calm      everything works again, and all must have the same version and digest, which is what the model says

The same seed gives the same run to the byte; `Run.trace` proves it.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import random
import time
import traceback
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from itertools import count, pairwise
from typing import Any

from crdtmem.feed import Feed
from crdtmem.sync.access import TOGETHER
from crdtmem.sync.hub import Hub
from crdtmem.sync.link import Link
from crdtmem.sync.news import News
from tests.machine import KEYS, MEMBERS, PATCHES, TEXTS, VALUES, perform
from tests.model import View
from tests.world import Site, World

CALM = 180.0  # virtual seconds in which everybody must have caught up


class Node:
    """A site and its peer: both die with the process."""

    def __init__(self, run: Run, site: Site) -> None:
        self.run = run
        self.site = site
        self.wires: list[Wire] = []
        self.start()

    def start(self) -> None:
        """A new process over what was committed."""
        self.feed = Feed(self.site.memory)
        admit = lambda hello: (TOGETHER, None)  # noqa: E731
        self.hub = Hub(self.run.rng.randbytes(16), self.site.name, self.run.heard, admit)
        outlet = self.hub.share(self.feed)
        outlet.size, outlet.far = self.run.size, self.run.far
        self.site.has = set()
        self._noted: dict[bytes, int] = {}
        self.note()

    def note(self) -> None:
        """Tell the model what has been applied."""
        for id, seq, _ in self.feed.sessions():
            self.site.has.update((id, n) for n in range(self._noted.get(id, 0) + 1, seq + 1))
            self._noted[id] = seq

    def work(self) -> None:
        """Whatever has happened here: hand out what is new, to those who keep up as one frame."""
        [outlet] = self.hub.outlets.values()
        after = outlet.newest
        outlet.refresh()
        wires = list(self.wires)
        while wires and after < outlet.newest:
            (upto, _), frame = outlet.read(after, outlet.newest)
            even = []
            for wire in wires:
                link, far = wire.links[self], wire.other(self)
                channel = outlet.links.get(link)
                if frame and channel and wire.load[far] < self.run.room and link.follows(channel, after, upto):
                    self.run.followed += 1
                    wire.send(far, frame)
                    even.append(wire)
            wires, after = even, upto
        for wire in list(self.wires):
            wire.pump(self)


class Wire:
    """One connection. Each direction is in order; what is lost, doubled or damaged on it is so for good."""

    def __init__(self, run: Run, dialler: Node, listener: Node) -> None:
        self.run = run
        self.ends = (dialler, listener)
        self.links: dict[Node, Link] = {
            end: end.hub.link(dials=end is dialler, now=run.now, grant=TOGETHER) for end in self.ends
        }
        self.due = dict.fromkeys(self.ends, run.now)  # when the last message to this end arrives
        self.load = dict.fromkeys(self.ends, 0)  # bytes under way to this end
        self.messages: dict[Node, deque[bytes]] = {end: deque() for end in self.ends}  # the same, in their order
        self.open = True
        for end in self.ends:
            end.wires.append(self)
        self.pump(dialler)

    def other(self, end: Node) -> Node:
        """The far end."""
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def pump(self, end: Node) -> None:
        """Put on the wire what this end has to say."""
        link, far = self.links[end], self.other(end)
        link.pump(self.run.room - self.load[far])
        for data in link.session.data_to_send():
            self.send(far, data)
        if link.session.ended and self.open:
            self.run.at(self.due[far], self.cut)

    def send(self, far: Node, data: bytes) -> None:
        """One message under way."""
        run, rng = self.run, self.run.rng
        for _ in range(1 + (rng.random() < run.doubled)):
            if rng.random() < run.lost:
                continue
            if rng.random() < run.damaged:
                at = rng.randrange(len(data))
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            self.load[far] += len(data)
            late = rng.random() ** 4 * run.delay
            self.due[far] = max(self.due[far], run.now + late)
            self.messages[far].append(data)
            run.at(self.due[far], lambda: self.arrive(far))

    def arrive(self, end: Node) -> None:
        """The next message arrives, unless its direction is blocked: then it waits, and all behind it."""
        if not self.open:
            return
        if (self.other(end), end) in self.run.blocked:
            self.run.at(self.run.now + 0.5, lambda: self.arrive(end))
            return
        data = self.messages[end].popleft()
        self.load[end] -= len(data)
        self.run.record(end.site.name, data)
        end.hub.receive(self.links[end], data)
        end.note()
        end.work()

    def cut(self) -> None:
        """The connection is gone; what was under way is lost."""
        if self.open:
            self.open = False
            for end in self.ends:
                end.wires.remove(self)
                end.hub.gone(self.links[end])


class Run:
    """One seed's run."""

    def __init__(self, seed: int, steps: int = 200) -> None:
        self.rng = random.Random(seed)
        self.size = self.rng.choice((200, 2000, 64 * 1024))  # bytes handed out at once
        self.room = self.rng.choice((1000, 128 * 1024))  # bytes that a connection takes before it is clogged
        self.far = self.rng.choice((1, 10, 50, 10_000))  # changes that are worth a checkpoint
        self.steps = steps
        self.now = 0.0
        self.lost = self.doubled = self.damaged = 0.0
        self.delay = 0.3
        self.leaky = False  # whether messages may have been lost between others that arrived
        self.marked = self.followed = self.taken = 0
        self.pruned = False
        self.junk = False  # whether damaged messages may wait somewhere for what never was
        self.blocked: set[tuple[Node, Node]] = set()
        self.news: list[News] = []
        self._trace = blake2b(digest_size=8)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.world = World(self.rng.randrange(3, 8), seed)
        self.nodes = [Node(self, site) for site in self.world.sites]
        self.late = set(self.rng.sample(self.nodes, self.rng.randrange(3)))  # who joins the others later
        self.edges = self._topology()
        for node in self.nodes:
            self.at(self.rng.random(), lambda node=node: self._tick(node))

    @property
    def trace(self) -> str:
        """A hash of all that arrived, when and where."""
        return self._trace.hexdigest()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (when, next(self._numbers), what))

    def record(self, who: str, data: bytes) -> None:
        """Note what arrived."""
        self._trace.update(f"{self.now:.6f} {who} ".encode() + data)

    def heard(self, news: News) -> None:
        """What peers report. Divergence is a bug, unless the report itself was damaged on the way."""
        self.news.append(news)
        self.taken += "by a checkpoint" in news.detail
        assert self.junk or news.kind != "diverged", news

    def pass_time(self, seconds: float) -> None:
        """Let what is due happen."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, what = heapq.heappop(self._events)
            self.world.now = 1_700_000_000.0 + self.now
            what()
        self.now = end
        self.world.now = 1_700_000_000.0 + self.now

    def _tick(self, node: Node) -> None:
        """Once a second a peer looks at its connections and redials those it has lost."""
        node.hub.tick(self.now)
        node.note()
        for other in self.nodes:
            if (
                (node, other) in self.edges
                and not {node, other} & self.late
                and not any(other in wire.ends for wire in node.wires)
            ):
                Wire(self, node, other)
        node.work()
        self.at(self.now + 1, lambda: self._tick(node))

    def _topology(self) -> set[tuple[Node, Node]]:
        nodes = self.nodes[:]
        self.rng.shuffle(nodes)
        shape = self.rng.choice(("mesh", "ring", "star", "line", "random"))
        if shape == "mesh":
            pairs = [(a, b) for n, a in enumerate(nodes) for b in nodes[:n]]
        elif shape == "star":
            pairs = [(nodes[0], b) for b in nodes[1:]]
        else:
            pairs = list(pairwise(nodes))
            if shape == "ring" and len(nodes) > 2:
                pairs.append((nodes[-1], nodes[0]))
            if shape == "random":
                pairs += [tuple(self.rng.sample(nodes, 2)) for _ in range(2)]  # type: ignore[misc]
        return {pair if self.rng.random() < 0.5 else pair[::-1] for pair in pairs}  # type: ignore[misc]

    # -- the storm ---------------------------------------------------------------------------------

    def storm(self) -> None:
        """Writes and faults."""
        rng = self.rng
        harsh = rng.random() < 0.5
        joins, prunes = rng.randrange(self.steps), rng.random() < 0.2
        for number in range(self.steps):
            if number == joins:
                self.late.clear()
            if prunes and rng.random() < 0.02:
                self._prune(rng.choice(self.nodes))
            self._step(rng.random(), harsh=harsh)
            self.pass_time(rng.random() ** 3 * 2)

    def _step(self, what: float, *, harsh: bool) -> None:
        rng = self.rng
        node = rng.choice(self.nodes)
        if what < 0.6:
            perform(self.world, node.site, self._call())
            node.note()
            node.work()
        elif what < 0.66 and node.wires:
            rng.choice(node.wires).cut()
        elif what < 0.74:
            other = rng.choice(self.nodes)
            pairs = {(node, other), (other, node)} if rng.random() < 0.5 else {(node, other)}
            self.blocked |= pairs
        elif what < 0.84 and self.blocked:
            self.blocked.discard(rng.choice(sorted(self.blocked, key=lambda p: (p[0].site.number, p[1].site.number))))
        elif what < 0.88:
            self._crash(node)
        elif what < 0.9:
            node.site.offset = rng.choice((-120.0, -1.0, 0.0, 5.0, 120.0))
        elif what < 0.93:
            self.edges = self._topology()
        elif what < 0.96 and harsh:
            self.lost, self.doubled, self.damaged = rng.choice(((0.0, 0.0, 0.0), (0.05, 0.02, 0.01), (0.2, 0.1, 0.0)))
            self.junk = self.junk or self.damaged > 0
            self.leaky = self.leaky or self.lost > 0
            self.delay = rng.choice((0.01, 0.3, 3.0))
        elif what < 0.97:
            node.site.memory.checkpoint()
        elif what < 0.98:
            self._mark(node)
        elif what < 0.985:
            node.site.store.broken = not node.site.store.broken
        else:
            self.world.check(node.site)

    def _prune(self, node: Node) -> None:
        """Let go of old changes that all others have, but for those who come late: they take a checkpoint."""
        here = [other.site.has for other in self.nodes if other not in self.late]
        if node in self.late or node.feed.owed or node.site.store.broken or not all(h <= node.site.has for h in here):
            return
        kept = [(record.session, record.seq) for record in node.site.store.log.records()]
        common = next((n for n, id in enumerate(kept) if not all(id in has for has in here)), len(kept))
        node.site.memory.prune(keep=len(kept) - self.rng.randint(0, common))
        self.pruned = True

    def _mark(self, node: Node) -> None:
        """Ask at one end of a connection until all is stored at the other, and the other way round."""
        for wire in node.wires if not self.leaky else ():
            far = wire.other(node)
            mine, theirs = node.site.view, far.site.view

            def done(far: Node = far, mine: View = mine, theirs: View = theirs, wire: Wire = wire) -> None:
                assert self.leaky or (mine <= far.site.has and theirs <= node.site.has), "a mark was answered too soon"
                self.marked += 1

            wire.links[node].mark(next(iter(node.hub.outlets.values())), done)

    def _crash(self, node: Node) -> None:
        for wire in list(node.wires):
            wire.cut()
        self.world.crash(node.site)
        node.start()

    def _call(self) -> tuple[Any, ...]:
        rng = self.rng
        kind = rng.choice(
            ("set", "set", "counter", "register", "records", "records", "sequence", "sequence", "text", "text")
        )
        n, m = rng.randrange(10), rng.randrange(10)
        calls: dict[str, list[tuple[Any, ...]]] = {
            "set": [("add", rng.choice(MEMBERS)), ("discard", rng.choice(MEMBERS))],
            "counter": [("add", rng.choice((1, -2, 10)))],
            "register": [("assign", rng.choice(VALUES), None), ("clear",)],
            "records": [
                ("put", rng.choice(KEYS), rng.choice(VALUES), None),
                ("merge", rng.choice(KEYS), rng.choice(PATCHES)),
                ("delete", rng.choice(KEYS)),
            ],
            "sequence": [
                ("append", rng.choice(VALUES)),
                ("insert", n, rng.choice(VALUES)),
                ("remove", n),
                ("move", n, m),
            ],
            "text": [("append", rng.choice(TEXTS)), ("insert", n, rng.choice(TEXTS)), ("delete", n, m)],
        }
        return (kind, *rng.choice(calls[kind]))

    # -- the calm ----------------------------------------------------------------------------------

    def calm(self) -> None:
        """Nothing fails any more: everybody catches up, and shows what the model says."""
        self.lost = self.doubled = self.damaged = 0.0
        self.delay = 0.05
        self.blocked.clear()
        self.late.clear()
        nodes = self.nodes
        for node in nodes:
            node.site.store.broken = False
            self._mark(node)
        self.edges |= {(a, b) for a, b in pairwise(nodes) if (b, a) not in self.edges}
        whole = frozenset(self.world.history.changes)
        end = self.now + CALM
        while not all(node.site.has == whole and self._settled(node) for node in nodes):
            lacking = {node.site.name: len(whole - node.site.has) for node in nodes}
            assert self.now < end, f"not everybody has caught up after {CALM:g} s of calm: {lacking} are missing"
            self.pass_time(1)
        for node in nodes:
            self.world.check(node.site)
        self.world.agree()

    def _settled(self, node: Node) -> bool:
        """Whether nothing waits there, and no history is still to come."""
        return (self.junk or not node.feed.waiting) and not node.feed.owed

    def close(self) -> None:
        """Give back what was taken."""
        self.world.close()


def simulate(seed: int, steps: int = 200) -> Run:
    """A whole run.

    Raises:
        AssertionError: with the command that replays it.
    """
    run = Run(seed, steps)
    try:
        run.storm()
        run.calm()
    except BaseException as error:
        error.add_note(f"replay: python -m tests.campaign simulate --seed {seed} --seeds 1 --steps {steps}")
        error.add_note(f"trace:  {run.trace} at {run.now:.3f} s")
        raise
    finally:
        run.close()
    return run


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=20_000, help="how many runs")
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the next has the next")
    parser.add_argument("--steps", type=int, default=200, help="in each")


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    gc.disable()  # what a run allocates goes with it: to look through it meanwhile takes a tenth of the time
    for number, seed in enumerate(range(args.seed, args.seed + args.seeds), 1):
        gc.collect()
        try:
            run = simulate(seed, args.steps)
        except Exception as error:
            traceback.print_exception(error)
            return 1
        if args.seeds <= 10:
            many = len(run.world.history.changes)
            made = f"{len(run.nodes)} sites, {many} changes, {run.marked} marks, {run.taken} checkpoints"
            print(f"seed {seed}: {made}, trace {run.trace}")
        if number % max(1, args.seeds // 40) == 0:
            print(f"{number} seeds of {args.steps} steps, no failure, {time.monotonic() - began:.0f} s", flush=True)
    return 0


SIMULATE = ("a team on a faulty network in virtual time, against the model", _options, _run)
