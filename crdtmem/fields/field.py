"""What every field type shares: its memory, its name, and reading entries with their authors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from crdtmem.change import Version
from crdtmem.entry import SOURCES, Entry
from crdtmem.errors import ValueRefused

if TYPE_CHECKING:
    from crdtmem.memory import Memory

T = TypeVar("T")


class Field(Generic[T]):
    """One named field of a memory."""

    __slots__ = ("_at", "_memory", "name")
    _kind: ClassVar[int]

    def __init__(self, memory: Memory, name: str) -> None:
        self._memory = memory
        self._at = (self._kind, name)
        self.name = name

    def _all(self) -> Iterable[Entry]:
        raise NotImplementedError

    def entries(
        self,
        *,
        by: str | Collection[str] | None = None,
        not_by: str | Collection[str] | None = None,
        tags: str | Collection[str] | None = None,
        source: str | Collection[str] | None = None,
        since: Version | datetime | None = None,
        text: str | None = None,
    ) -> list[Entry]:
        """The live entries, with who, when and why.

        Args:
            by: only those of this agent, or of one of these.
            not_by: none of this agent, or of these.
            tags: only those with all of these tags.
            source: only what comes from this: user, agent, tool or import; or from one of these.
            since: only those written after a version, or at or after a moment.
            text: only those whose value contains this, whatever the case.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.set("notes").add("Call Bob", tags=["todo"])
        >>> _ = memory.acting_as("bob").set("notes").add("Called")
        >>> [e.value for e in memory.set("notes").entries(not_by="bob", text="call")]
        ['Call Bob']
        >>> memory.set("notes").entries(source=["user", "tool"])
        []
        """
        tests: list[Callable[[Entry], bool]] = []
        if by is not None:
            wanted = _names(by)
            tests.append(lambda e: e.by in wanted)
        if not_by is not None:
            unwanted = _names(not_by)
            tests.append(lambda e: e.by not in unwanted)
        if tags is not None:
            needed = _names(tags)
            tests.append(lambda e: needed <= set(e.tags))
        if source is not None:
            sources = _names(source)
            if not sources <= set(SOURCES):
                raise ValueRefused(f"source: one of {', '.join(SOURCES)}, not {source!r:.60}")
            tests.append(lambda e: e.source in sources)
        if isinstance(since, datetime):
            moment = since
            tests.append(lambda e: e.at >= moment)
        elif since is not None:
            past = self._memory._past(since)
            tests.append(lambda e: e.stamp.seq > past.get(e.stamp.writer.id, 0))
        if text is not None:
            part = text.casefold()
            tests.append(lambda e: part in str(e.value).casefold())
        return [entry for entry in self._all() if all(test(entry) for test in tests)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._memory.namespace!r}>"


def _names(given: str | Collection[str]) -> set[str]:
    return {given} if isinstance(given, str) else set(given)


def alive(entries: Iterable[Entry], now: float) -> tuple[Entry, ...]:
    """Those whose time to live is not over."""
    return tuple([e for e in entries if e._stamp is None or e.ttl is None or (e._stamp.hlc >> 16) / 1000 + e.ttl > now])


def oldest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By time, then session: the same order on every replica. Staged ones come last."""
    return sorted(entries, key=_rank)


def _rank(entry: Entry) -> tuple[Any, ...]:
    return (1,) if entry._stamp is None else (0, entry._stamp.hlc, entry._id)
