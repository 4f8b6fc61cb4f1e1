"""`crdtmem mcp`: the shared memory as an MCP server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from crdtmem.cli.naming import scope
from crdtmem.errors import MisuseError


def run(
    meet: Annotated[Path, typer.Option(help="the folder that all servers of one memory share; made on first use")],
    namespace: Annotated[str, typer.Option(help="which memory, as tenant=acme,task=q3")] = "tenant=local",
    http: Annotated[str, typer.Option(help="serve streamable HTTP at this host and port; port 0 takes any")] = "",
    load: Annotated[Path | None, typer.Option("--import", help="a file of the reference memory server")] = None,
    agent: Annotated[str, typer.Option(help="who writes where a host does not say its name")] = "mcp",
) -> None:
    """Serve a shared memory to a host that speaks MCP, over standard input and output, or over HTTP.

    Start one in each host, all with the same folder: they form one memory, each keeps all of it in a file of its own,
    and none of them needs the others. It has the nine tools of the reference memory server, and more.

    Example: `crdtmem mcp --meet ~/.crdtmem --import memory.jsonl`
    """
    try:
        from crdtmem.adapters.mcp import MemoryServer, serve
    except ImportError as error:
        raise MisuseError(str(error)) from None
    space = scope(namespace)
    listener = serve.listening(http) if http else None

    async def main() -> None:
        async with serve.shared(meet, space, agent=agent) as memory:
            server = MemoryServer(memory)
            if load is not None:
                found = server.desk(agent).graph.load(load.read_text(encoding="utf-8", errors="surrogateescape"))
                if found.unreadable:
                    lines = ", ".join(map(str, found.unreadable[:20]))
                    print(
                        f"crdtmem: {load}: {len(found.unreadable)} lines cannot be read and were left out: {lines}",
                        file=sys.stderr,
                    )
            if listener is None:
                await server.stdio()
            else:
                await serve.http(server, listener, lambda url: print(f"listening {url}", flush=True))

    asyncio.run(main())
