"""Several MCP servers on one folder, each the child of a host that calls it many times at once, and kill -9 in between.

Each host is a real client session over standard input and output. A call that was not answered is made again, by the
same host, to the server that takes the killed one's place. In the end every server must show the same graph, with all
that was asked for in it once, and the files of all servers must give one digest.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from crdtmem import Namespace, Replica, SqliteStore
from crdtmem.adapters.mcp.server import GRAPH

AT_ONCE = 16  # calls of one host that are under way together
PATIENCE = 120.0  # seconds
_TELL = "import os, sys; open(sys.argv.pop(1), 'w').write(str(os.getpid())); from crdtmem.cli import main; main()"
Call = tuple[str, dict[str, Any]]


class Storm(NamedTuple):
    """What came of one run."""

    calls: int
    repeated: int
    kills: int
    lost: int
    doubled: int
    graphs: int  # how many different ones the servers showed
    digests: int  # how many different ones their files gave
    seconds: float


def workload(host: int, calls: int) -> list[Call]:
    """What one host asks for: things of its own, and things that all of them ask for."""
    asked: list[Call] = []
    for number in range(calls):
        entity = {"name": f"h{host}-{number}", "entityType": "thing", "observations": [f"made by {host}"]}
        shared = {"name": f"shared-{number % 50}", "entityType": "thing", "observations": []}
        said = [{"entityName": "everybody", "contents": [f"{host} says {number}", f"all say {number % 50}"]}]
        link = {"from": f"h{host}-{number}", "to": "everybody", "relationType": "knows"}
        asked.append(
            [
                ("create_entities", {"entities": [entity, shared]}),
                ("add_observations", {"observations": said}),
                ("create_relations", {"relations": [link]}),
            ][number % 3]
        )
    return asked


class Expected:
    """What the graph must hold once all was answered."""

    def __init__(self, asked: list[Call]) -> None:
        self.entities = {"everybody"}
        self.observations: set[tuple[str, str]] = set()
        self.relations: set[tuple[str, ...]] = set()
        for _, arguments in asked:
            for entity in arguments.get("entities", ()):
                self.entities.add(entity["name"])
                self.observations |= {(entity["name"], said) for said in entity["observations"]}
            for one in arguments.get("observations", ()):
                self.observations |= {(one["entityName"], said) for said in one["contents"]}
            for link in arguments.get("relations", ()):
                self.relations.add(tuple(link.values()))

    def missing(self, graph: Any) -> int:
        """How much of it is not there."""
        here = _contents(graph)
        wanted = (self.entities, self.observations, self.relations)
        return sum(len(want - set(have)) for want, have in zip(wanted, here, strict=True))

    def doubled(self, graph: Any) -> int:
        """How much is there twice, or was never asked for."""
        here = _contents(graph)
        wanted = (self.entities, self.observations, self.relations)
        return sum(len(have) - len(want & set(have)) for want, have in zip(wanted, here, strict=True))


def _contents(graph: Any) -> tuple[list[Any], list[Any], list[Any]]:
    entities = [entity["name"] for entity in graph["entities"]]
    said = [(entity["name"], text) for entity in graph["entities"] for text in entity["observations"]]
    return entities, said, [tuple(link.values()) for link in graph["relations"]]


class Host:
    """One host with its server, which may be killed."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._mode = "legacy" if number % 2 else "auto"
        self._pid = folder / f"pid-{number}"
        self.changed = asyncio.Event()
        self.killed = 0
        self.repeated = 0

    def server(self) -> StdioServerParameters:
        """How it starts its server: as every other host does."""
        words = ["-c", _TELL, str(self._pid), "mcp", "--meet", str(self._folder / "team")]
        return StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))

    async def with_server(self, work: Callable[[Client], Awaitable[Any]]) -> Any:
        """Do something with a server; again with another one, as long as it is killed meanwhile."""
        while True:
            with suppress(MCPError, ExceptionGroup, OSError):
                async with asyncio.timeout(PATIENCE), Client(self.server(), mode=self._mode, cache=None) as client:
                    return await work(client)

    def kill(self) -> bool:
        """End the server at once."""
        try:
            os.kill(int(self._pid.read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            return False
        self.killed += 1
        return True

    async def run(self, asked: list[Call], answered: Callable[[], object]) -> None:
        """Have all calls answered."""
        todo = dict(enumerate(asked))
        started: set[int] = set()

        async def work(client: Client) -> None:
            waiting = iter(list(todo))

            async def caller() -> None:
                for number in waiting:
                    self.repeated += number in started
                    started.add(number)
                    result = await client.call_tool(*asked[number])
                    assert not result.is_error, result
                    del todo[number]
                    answered()

            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(caller())

        while todo:
            await self.with_server(work)

    async def settled(self, expected: Expected, ready: Callable[[], Awaitable[None]]) -> Any:
        """The graph, once all of it is there; told of each change rather than asking in vain."""

        async def work(client: Client) -> Any:
            async with asyncio.timeout(PATIENCE), client.listen(resource_subscriptions=[GRAPH]) as events:
                graph = (await client.call_tool("read_graph", {})).structured_content
                while expected.missing(graph):
                    await anext(events)
                    graph = (await client.call_tool("read_graph", {})).structured_content
            await ready()
            return graph

        self._mode = "auto"
        return await self.with_server(work)


async def storm(folder: Path, servers: int, calls: int, kills: int, seed: int = 1) -> Storm:
    """Run it; with an exception when a host gets stuck."""
    chance = random.Random(seed)
    began = time.monotonic()
    hosts = [Host(folder, number) for number in range(servers)]
    asked = [workload(number, calls) for number in range(servers)]
    everybody = {"name": "everybody", "entityType": "group", "observations": []}
    await hosts[0].with_server(lambda client: client.call_tool("create_entities", {"entities": [everybody]}))
    dates = {number: sorted(chance.sample(range(calls), kills)) for number in range(servers)}

    def watch(number: int) -> Callable[[], None]:
        done = 0

        def answered() -> None:
            nonlocal done
            done += 1
            if dates[number] and done > dates[number][0] and hosts[number].kill():
                dates[number].pop(0)

        return answered

    async with asyncio.TaskGroup() as group:
        for number, host in enumerate(hosts):
            group.create_task(host.run(asked[number], watch(number)))
    expected = Expected([call for some in asked for call in some])
    barrier = asyncio.Barrier(servers)
    in_use: set[Path] = set()

    async def ready() -> None:
        await barrier.wait()
        in_use.update(
            path.with_name(path.name.removesuffix("-owner")) for path in (folder / "team/stores").glob("*-owner")
        )
        await barrier.wait()

    graphs = await asyncio.gather(*[host.settled(expected, ready) for host in hosts])
    digests = {digest(path) for path in in_use}
    return Storm(
        servers * calls,
        sum(host.repeated for host in hosts),
        sum(host.killed for host in hosts),
        max(expected.missing(graph) for graph in graphs),
        max(expected.doubled(graph) for graph in graphs),
        len({repr([sorted(part) for part in _contents(graph)]) for graph in graphs}),
        len(digests) if len(in_use) >= servers else 0,
        time.monotonic() - began,
    )


def digest(path: Path) -> str:
    """Of what one server kept."""
    with SqliteStore(path) as store, Replica("judge", store=store) as replica:
        return replica.open(Namespace(tenant="local")).digest()


def options(parser: argparse.ArgumentParser) -> None:
    """Of the campaign."""
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--calls", type=int, default=1000, help="of each")
    parser.add_argument("--kills", type=int, default=5, help="of each server")
    parser.add_argument(
        "--seed", type=int, default=1, help="decides when servers are killed, not what the machine does"
    )


def run(args: argparse.Namespace) -> int:
    """The campaign."""
    with TemporaryDirectory() as folder:
        found = asyncio.run(storm(Path(folder), args.servers, args.calls, args.kills, args.seed))
    print(found)
    return 0 if (found.lost, found.doubled, found.graphs, found.digests) == (0, 0, 1, 1) else 1


MCP = ("MCP servers of several hosts on one folder, killed in between", options, run)
