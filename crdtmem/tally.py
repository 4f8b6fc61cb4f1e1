"""What a set of changes adds up to for who reads none of them: sessions, heads, and how many units a field has.

The door asks of a change that its chain and seal are in order and that what it names is here. Of content that takes one
number: how many units each session has written to an ordered field, gaps of void parts included. So no field is built,
nothing is judged, and rules are not needed; a replica that gets the changes judges them.
"""

from __future__ import annotations

from typing import Any

from crdtmem.change import Change
from crdtmem.state import State
from crdtmem.store import Log

UNKNOWN = bytes(32)  # the digest of content that is not read
Unit = tuple[int, int]


class Count:
    """Of a field, how many units each session has written."""

    __slots__ = ("kind", "name", "notable", "ticks")

    def __init__(self, kind: int, name: str) -> None:
        self.kind = kind
        self.name = name
        self.notable = False
        self.ticks: dict[int, int] = {}  # client -> its next clock

    def flaw(self, *_: object) -> None:
        """Nothing is judged here."""

    def apply(self, part: Any, _number: int, stamp: Any, *_: object) -> tuple[list[Any], list[Any]]:
        """Count the units of a part."""
        units = getattr(part, "units", 0)
        if units:
            client = stamp.writer.client
            self.ticks[client] = self.ticks.get(client, 0) + units
        return [], []

    def last(self, unit: Unit) -> Unit | None:
        """A unit of a forked session if it came before the fork, else the last one that did."""
        clock = min(unit[1], self.ticks.get(unit[0], 0) - 1)
        return (unit[0], clock) if clock >= 0 else None

    def clipped(self, span: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """What of a span of a forked session came before the fork."""
        length = min(span[2], self.ticks.get(span[0], 0) - span[1])
        return (*span[:2], length) if length > 0 else None

    def size(self) -> int:
        """Nothing is held."""
        return 0


class Tally(State):
    """Sessions, heads and counts. Whose the namespace is does not matter: nothing is judged."""

    __slots__ = ()

    def __init__(self, namespace: bytes, log: Log, owner: str | None = None) -> None:
        super().__init__(namespace, log)

    def field(self, kind: int, name: str) -> Any:
        """The count of a field."""
        found: Any = self.fields.get((kind, name))
        if found is None:
            found = Count(kind, name)
            self.fields[kind, name] = found
        return found

    def _looked_up(self, change: Change, place: int) -> tuple[None, dict[int, Any]]:
        return None, {}

    def hidden(self, change: Change, *, ahead: bool) -> bool:
        """Nothing is needed to judge a change that is not judged."""
        return False

    def digest(self) -> bytes:
        """What it comes to is not known here."""
        return UNKNOWN

    def again(self, log: Log) -> None:
        """Count again what is in the log, without what forks have made void."""
        fresh = Tally(self.namespace, log)
        for session, seq in self.forks.items():
            fresh.fork(session, seq)
        for at, kept in log.since(0):
            if kept.seq < fresh.forks.get(kept.session, kept.seq + 1):
                fresh.apply(kept.change, None, at)
        fresh.stale = False
        for name in State.__slots__:
            setattr(self, name, getattr(fresh, name))
