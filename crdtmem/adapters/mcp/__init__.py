"""An MCP server over a memory: what the reference memory server offers, and what a shared memory adds to it."""

from crdtmem.extras import extra

with extra("mcp"):
    from crdtmem.adapters.mcp.server import MemoryServer

__all__ = ["MemoryServer"]
