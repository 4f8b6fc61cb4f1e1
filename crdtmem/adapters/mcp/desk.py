"""What one client of the server works with: the memory under its name, the graph in it, and its citations."""

from __future__ import annotations

from crdtmem import Memory
from crdtmem.adapters.citing import Citations
from crdtmem.adapters.graph import Graph


class Desk:
    """One client's view of a memory.

    >>> from crdtmem import Replica
    >>> desk = Desk(Replica("server").open(tenant="acme"), "claude-desktop")
    >>> _ = desk.graph.create_entities([{"name": "Ann", "entityType": "person", "observations": []}])
    >>> desk.memory.records("entities").siblings("Ann")[0].by
    'claude-desktop'
    """

    def __init__(self, memory: Memory, client: str) -> None:
        self.memory = memory.acting_as(client)
        self.graph = Graph(self.memory)
        self.citations = Citations(self.memory)
