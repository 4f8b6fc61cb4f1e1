"""Agents that share in one way, with what stands between them: their processes, a server or a relay, and a network."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType

from benchmarks.apart import Apart, Silent, family, proportional
from benchmarks.cas.agent import Order, agent
from benchmarks.cas.cells import Round, Stage
from benchmarks.cas.network import network
from benchmarks.cas.tally import NANO, Span, Sum, summed
from benchmarks.cas.ways import WAYS
from benchmarks.postgres import Absent, postgres
from benchmarks.redis_server import free_port, redis
from benchmarks.relay import relay

_SETTLE = 30.0  # seconds until all see the same: only a failure takes them
_START = 0.05  # seconds for an order to reach everybody
_LOOK = 0.005
_NUMBERS = count(1)  # several crews share a server


class Servers:
    """The servers of one durability, each started when it is first needed."""

    def __init__(self, durability: str) -> None:
        self._synced = durability == "power"
        self._running = ExitStack()
        self._found: dict[str, tuple[int, int]] = {}

    def start(self, store: str) -> tuple[int, int]:
        """The port and the process of a server.

        Raises:
            Absent: it, or its driver, is not installed.
        """
        if store not in self._found:
            try:
                self._found[store] = self._redis() if store == "redis" else self._postgres()
            except ImportError as error:
                raise Absent(f"{error.name} is not installed: pip install -e '.[bench]'") from error
        return self._found[store]

    def _redis(self) -> tuple[int, int]:
        import redis as driver  # noqa: F401  # that it is there, before a server is started for it

        return self._running.enter_context(redis(fsync=self._synced))

    def _postgres(self) -> tuple[int, int]:
        from benchmarks.cas.postgres import made

        port = free_port()
        self._running.enter_context(postgres(fsync=self._synced, port=port))
        return port, made(port)

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)


class Crew:
    """Agents in processes of their own, until it is closed.

    Args:
        name: the way in which they share.
        stage: how many, and what is between them.
        servers: where they find what they need.
        folder: an empty one, for the files.

    Raises:
        Absent: what it needs is not installed.
    """

    def __init__(self, name: str, stage: Stage, servers: Servers, folder: Path) -> None:
        self.name = name
        self._stage = stage
        self._running = ExitStack()
        self._network: Apart | None = None
        try:
            address, self._server = self._found(servers, folder)
            if stage.network == "proxy":
                address = self._between(address)
            path = str(folder / "all.db") if WAYS[name].store == "sqlite" else str(folder / "agent-{}.db")
            self._agents = [
                self._running.enter_context(
                    Apart(agent, WAYS[name], address, path.format(number), number, stage.durability)
                )
                for number in range(stage.agents)
            ]
            for one in self._agents:
                one.hear()
        except BaseException:
            self._running.close()
            raise

    def _found(self, servers: Servers, folder: Path) -> tuple[int | None, int | None]:
        """The port and process of what they share through: a relay of their own, a server, or nothing."""
        store = WAYS[self.name].store
        if store == "sqlite":
            return None, None
        if store != "shared":
            return servers.start(store)
        running = self._running.enter_context(Apart(relay, str(folder / "relay.db")))
        return int(running.hear().rpartition(":")[2]), running.pid

    def _between(self, address: int | None) -> int:
        self._network = self._running.enter_context(Apart(network, address))
        port: int = self._network.hear()
        return port

    def round(self, work: Round) -> Sum:
        """Have all do it, and add it up."""
        number = next(_NUMBERS)
        names = tuple(f"round {number} key {key}" for key in range(work.keys))
        self._agents[0].ask(("make", work.kind, names))
        self._settled(work.kind, names)
        if self._network:
            self._network.ask(("late", work.late))
        begin = time.monotonic_ns() + int(_START * NANO)
        span = Span(begin, begin + int(work.seconds * NANO))
        order = Order(work.kind, names, work.think, *span, look=max(_LOOK, self._stage.agents / 1000))
        for one in self._agents:
            one.tell(order)
        cut = self._cut(work, span) if work.cut else None
        heard = [one.hear() for one in self._agents]
        done = [task for tasks, _ in heard for task in tasks]
        began = max(stopped for _, stopped in heard)
        seen = self._settled(work.kind, names)
        state = [one.ask(("view", work.kind, names)) for one in self._agents]
        if self._network:
            self._network.ask(("late", 0.0))
        return summed(work.kind, done, state[0], span, max(seen - began, 0), cut)

    def _cut(self, work: Round, span: Span) -> Span:
        """Cut everybody off in the middle, for so long."""
        assert self._network is not None
        _until(span.began + int((work.seconds - work.cut) / 2 * NANO))
        self._network.ask(("cut",))
        began = time.monotonic_ns()
        _until(began + int(work.cut * NANO))
        ended = time.monotonic_ns()
        self._network.ask(("mend",))
        return Span(began, ended)

    def _settled(self, kind: str, names: Sequence[str]) -> int:
        """Wait until all see the same; when the last of them did."""
        over = time.monotonic() + _SETTLE
        while True:
            for one in self._agents:
                one.tell(("mark", kind, names))
            seen: list[tuple[Hashable, int]] = [one.hear() for one in self._agents]
            if len({mark for mark, _ in seen}) == 1:
                return max(since for _, since in seen)
            if time.monotonic() > over:
                raise Silent(f"{self.name}: {self._stage.agents} agents do not see the same after {_SETTLE:g} s")
            time.sleep(_LOOK)

    def memory(self) -> int:
        """Bytes that the agents hold, and the server or relay with them."""
        return proportional(family([one.pid for one in self._agents] + ([self._server] if self._server else [])))

    def close(self) -> None:
        """End all processes."""
        self._running.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _until(moment: int) -> None:
    time.sleep(max(moment - time.monotonic_ns(), 0) / NANO)
