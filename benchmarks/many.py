"""Many on one relay: what a connection costs that says nothing, and how soon small teams hear of each other."""

from __future__ import annotations

import gc
import heapq
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.apart import PATIENCE, Apart, Silent, resident, spent, told
from benchmarks.crowd import Reader, records_in
from benchmarks.effort import Effort
from benchmarks.harness import Figure
from benchmarks.relay import line, relay
from benchmarks.rows import Row, short
from benchmarks.wire import Many, Wire
from crdtmem import Namespace, Replica
from crdtmem.feed import Feed
from crdtmem.sync.frames import Changes

AGENTS = 10  # of a crew
EVERY = 10.0  # seconds between two writes of an agent
GENERATORS = 2
FULL_IDLE, FULL_CREWS = 2000, 200  # what the targets speak of
_SOME = 200  # connections made between two looks at those that are there
_QUIET = 5.0  # seconds that idle connections are watched


def rows(effort: Effort, folder: Path) -> Iterator[Row]:
    """The rows of idle connections, and of crews."""
    yield from _idle(effort, folder)
    yield from _crews(effort, folder)


def crew(number: int) -> Namespace:
    """What one crew shares."""
    return Namespace(tenant="acme", task=f"crew-{number}")


def more_files() -> None:
    """Let this process have as many connections as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# -- those who say nothing -------------------------------------------------------------------------


def idlers(end: Connection, url: str, count: int) -> None:
    """A crowd that joins and is silent, but for answering when it is asked whether it is there."""
    more_files()
    who: dict[Wire, Reader] = {}
    for number in range(1, count + 1):
        reader = Reader(url, crew(0))
        reader.greet()
        reader.wait()
        who[reader.wire] = reader
        if number % _SOME == 0:  # else the first of them are taken for dead before the last have joined
            _answer(who, time.monotonic() + 0.01, end)
    end.send("ready")
    _answer(who, time.monotonic() + PATIENCE, end)


def _answer(who: dict[Wire, Reader], until: float, end: Connection) -> None:
    """Answer what is asked, until a moment, or until nobody is there to be idle for."""
    for wire, messages in Many(who).arriving(until):
        for data in messages:
            if not records_in(data):
                who[wire].heard(data)
        if end.poll():
            return


def _idle(effort: Effort, folder: Path) -> Iterator[Row]:
    with Apart(relay, str(folder / "idle.db")) as server:
        url = server.hear()
        with Apart(idlers, url, 10) as first:  # what the first connections load and fill is not theirs
            first.hear()
        time.sleep(0.5)
        before = resident(server.pid)
        with Apart(idlers, url, effort.idle) as crowd:
            crowd.hear()
            time.sleep(1.0)
            held = resident(server.pid) - before
            started = spent(server.pid)
            time.sleep(_QUIET)
            busy = (spent(server.pid) - started) / _QUIET / 1e9
    note = f"{effort.idle:,} connections; they keep the relay busy for {short(100 * busy)} % of a core"
    reduced = effort.idle < FULL_IDLE
    yield Row("idle connection", "KiB", Figure((held / effort.idle / 1024,)), note=note, reduced=reduced)


# -- crews -----------------------------------------------------------------------------------------


class Agent:
    """One member of a crew: a memory of its own, whose changes go to the relay."""

    def __init__(self, url: str, shared: Namespace, name: str) -> None:
        self.memory = Replica(name).open(shared)
        self.feed = Feed(self.memory)
        self.memory.sequence("log").append("begun")
        self.place = 0
        self.reader = Reader(url, shared)
        self.reader.greet()

    def write(self, number: int) -> bytes:
        """Write once; the record that went out."""
        self.memory.sequence("log").append(line(number))
        return self.hand_out()[-1]

    def hand_out(self) -> list[bytes]:
        """Send what is new here."""
        stretch = self.feed.read(self.place, self.feed.newest())
        self.place = stretch.upto
        records = [record.data for record in stretch.records]
        self.reader.say(Changes(0, records))
        return records


def crews(end: Connection, url: str, numbers: range, seconds: float) -> None:
    """These crews; once told to begin, each agent writes every so often, and all that is heard is timed."""
    more_files()
    agents = [Agent(url, crew(number), f"agent-{n}") for number in numbers for n in range(AGENTS)]
    for agent in agents:
        agent.reader.wait()
    for agent in agents:
        agent.hand_out()
    who = {agent.reader.wire: agent.reader for agent in agents}
    many = Many(who)
    for wire, messages in many.arriving(time.monotonic() + 1):
        for data in messages:
            if not records_in(data):
                who[wire].heard(data)
    gc.collect()
    gc.freeze()  # these many memories are not what is measured: no pause is to come from looking through them
    end.send("ready")
    told(end)
    began = time.monotonic()
    due = [(began + EVERY * n / len(agents), n) for n in range(len(agents))]
    sent: dict[bytes, float] = {}
    taken: list[float] = []
    while due and due[0][0] < began + seconds:
        at, n = heapq.heappop(due)
        heapq.heappush(due, (at + EVERY, n))
        _listen(many, who, sent, taken, at)
        now = time.monotonic()
        sent[agents[n].write(n)] = now
    _listen(many, who, sent, taken, time.monotonic() + 1)
    end.send((len(sent) * (AGENTS - 1), taken))
    told(end)


def _listen(many: Many, who: dict, sent: dict[bytes, float], taken: list[float], until: float) -> None:  # type: ignore[type-arg]
    for wire, messages in many.arriving(until):
        for data in messages:
            records = records_in(data)
            now = time.monotonic()
            taken += [now - sent[record] for record in records if record in sent]
            if not records:
                who[wire].heard(data)


def _crews(effort: Effort, folder: Path) -> Iterator[Row]:
    rounds: list[float] = []
    middles: list[float] = []
    busy: list[float] = []
    for number in range(max(effort.rounds // 5, 1)):
        with ExitStack() as running:
            server = running.enter_context(Apart(relay, str(folder / f"crews-{number}.db")))
            url = server.hear()
            share = [range(n, effort.crews, GENERATORS) for n in range(GENERATORS)]
            sources = [running.enter_context(Apart(crews, url, part, effort.crew_seconds)) for part in share]
            for source in sources:
                source.hear()
            started, before = time.monotonic(), spent(server.pid)
            for source in sources:
                source.tell("begin")
            answers = [source.hear() for source in sources]
            busy.append((spent(server.pid) - before) / (time.monotonic() - started) / 1e9)
        taken = sorted(one for _, some in answers for one in some)
        wanted = sum(count for count, _ in answers)
        if len(taken) < wanted:
            raise Silent(f"of {wanted:,} changes that were to be heard, {len(taken):,} were")
        rounds.append(1000 * taken[int(0.99 * len(taken))])
        middles.append(1000 * taken[len(taken) // 2])
    note = (
        f"{effort.crews} crews of {AGENTS}, each agent writes every {EVERY:g} s; median {short(min(middles))} ms; "
        f"the relay is busy for {short(100 * min(busy))} % of a core"
    )
    yield Row("crews, 99th percentile", "ms", Figure(tuple(rounds)), note=note, reduced=effort.crews < FULL_CREWS)
