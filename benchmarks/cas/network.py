"""The network between agents and what they share: our proxy in a process of its own, late or cut when told to be."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from random import Random

from benchmarks.apart import told
from tests.processes.proxy import Link


def network(end: Connection, target: int) -> None:
    """Carry to a port and back. Told ("late", seconds), ("cut",) or ("mend",), it says when that was done."""
    asyncio.run(_carry(end, target))


async def _carry(end: Connection, target: int) -> None:
    link = Link(Random(0))
    link.target = target
    await link.open()
    end.send(link.port)
    while True:
        what, *words = await asyncio.to_thread(told, end)
        if what == "late":
            for way in link.ways:
                way.delay = words[0]
        elif what == "cut":
            link.target = None
            link.reset()
        else:
            link.target = target
        end.send(what)
