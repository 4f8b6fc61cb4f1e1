"""The way of crdtmem: each agent has a memory in a file of its own, and a peer that exchanges changes with a relay.

Whoever reads, thinks and writes reads all values that stand beside one another, and replaces those, and no others, by
what follows from all of them: that is what reconciling concurrent values costs here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.cas.tasks import (
    BUDGET,
    COUNTER,
    LIST,
    SET,
    TEXT,
    THINK,
    WHY,
    Spent,
    applied,
    empty,
    heading,
    line,
)
from benchmarks.cas.ways import Done, Think
from crdtmem import Memory, Namespace, Peer, Replica, SqliteStore

SPACE = Namespace(tenant="acme", task="benchmark")
_PATIENCE = 60.0


class Shared:
    """A memory that is shared.

    Args:
        address: the port of the relay.
        path: the file of this agent.
        durability: of that file.
    """

    def __init__(self, address: int, path: str, who: str, durability: Any) -> None:
        self._open = ExitStack()
        self._who = who
        store = self._open.enter_context(SqliteStore(path, durability=durability))
        self._memory: Memory = self._open.enter_context(Replica(who, store=store)).open(SPACE)
        self._peer = self._open.enter_context(Peer(self._memory, dial=f"ws://127.0.0.1:{address}").blocking())
        self._peer.synced(timeout=_PATIENCE)

    def make(self, kind: str, names: Sequence[str]) -> None:
        """Only a text begins with something."""
        for name in names:
            if kind == TEXT:
                self._memory.text(name).append(empty(TEXT))

    def do(self, kind: str, name: str, tag: str, think: Think) -> Done:
        """One write, to the agent's own file."""
        memory = self._memory
        if kind == LIST:
            memory.sequence(name).append(line(tag), why=WHY)
        elif kind == SET:
            memory.set(name).add(line(tag), why=WHY)
        elif kind == COUNTER:
            memory.counter(name).add(1, why=WHY)
        elif kind == TEXT:
            text, above = memory.text(name), heading(tag)
            text.insert(str(text).index(above) + len(above) + 1, f"{line(tag)}\n", why=WHY)
        elif kind == THINK:
            return self._think(name, tag, think)
        elif memory.counter(name).value >= BUDGET:
            raise Spent
        else:
            memory.counter(name).add(1, why=WHY)
        return Done()

    def _think(self, name: str, tag: str, think: Think) -> Done:
        records, version = self._memory.records("thoughts"), self._memory.version
        beside = [entry.value for entry in records.siblings(name)]
        think()
        value = {"done": _together(beside)}
        written = applied(THINK, value, tag, self._who)
        records.put(name, {"done": written["done"], "value": written["value"]}, seen=version, why=WHY)
        return Done(met=max(len(beside) - 1, 0))

    def mark(self, kind: str, names: Sequence[str]) -> Hashable:
        """A digest of all that is here."""
        return self._memory.digest()

    def view(self, kind: str, names: Sequence[str]) -> list[Any]:
        """What is here, once the relay has all of it: nothing is left to do when a round is over."""
        memory = self._memory
        self._peer.synced(timeout=_PATIENCE)
        if kind == LIST:
            return [list(memory.sequence(name)) for name in names]
        if kind == SET:
            return [sorted(memory.set(name)) for name in names]
        if kind == TEXT:
            return [str(memory.text(name)) for name in names]
        if kind == THINK:
            thoughts = memory.records("thoughts")
            return [{"done": _together([entry.value for entry in thoughts.siblings(name)])} for name in names]
        return [memory.counter(name).value for name in names]

    def close(self) -> None:
        """Say Bye, and close the file."""
        self._open.close()


def _together(beside: Sequence[Any]) -> list[str]:
    """The tags of all of them, each once, in order."""
    return list(dict.fromkeys(tag for value in beside for tag in value["done"]))


def connect(address: int, path: str, who: str, durability: str) -> Shared:
    """Open the agent's own file and find the others."""
    return Shared(address, path, who, durability)
