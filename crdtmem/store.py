"""Where the log of changes is kept: a small protocol, and a store in memory.

The log is the truth; everything else is derived from it. A store keeps the records of each namespace in the order
they were applied, with the seals beside them, and one `append` is one commit (invariant 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from crdtmem.errors import StoreError
from crdtmem.namespace import Namespace


class Record(NamedTuple):
    """One change as it is kept: its name, its bytes without the seal, and the seal or b""."""

    session: bytes
    seq: int
    hash: bytes
    core: bytes
    seal: bytes


class Log(Protocol):
    """The records of one namespace. Its memory serialises the calls."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep these records, all or none.

        Raises:
            StoreError: none was kept.
        """

    def seal(self, session: bytes, seq: int, seal: bytes) -> None:
        """Put a seal beside a record."""

    def records(self, *, newest_first: bool = False) -> Iterator[Record]:
        """All records, in the order of their append or the reverse."""

    def read(self, session: bytes, seq: int) -> Record | None:
        """One record."""


class Store(Protocol):
    """Where the logs of a replica are kept."""

    def open(self, namespace: Namespace) -> Log:
        """The log of a namespace, empty if nothing was kept."""

    def close(self) -> None:
        """Let go of what is held; closing twice does nothing."""


class MemoryStore:
    """A store that lives as long as the object. Handed to a second replica, it is what a restart would find.

    >>> from crdtmem import Replica
    >>> store = MemoryStore()
    >>> with Replica("ann", store=store) as replica:
    ...     _ = replica.open(tenant="acme").set("seen").add("a")
    >>> sorted(Replica("ann", store=store).open(tenant="acme").set("seen"))
    ['a']
    """

    def __init__(self) -> None:
        self._logs: dict[Namespace, _MemoryLog] = {}

    def open(self, namespace: Namespace) -> Log:
        """The log of a namespace, empty if nothing was kept."""
        return self._logs.setdefault(namespace, _MemoryLog())

    def close(self) -> None:
        """Nothing is held."""


class _MemoryLog:
    __slots__ = ("_chains", "_records")

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._chains: dict[bytes, list[int]] = {}  # session -> the place of each of its records

    def append(self, records: Sequence[Record]) -> None:
        chains, log = self._chains, self._records
        size = len(log)
        for record in records:
            chain = chains.get(record[0])
            if chain is None:
                chain = chains[record[0]] = []
            if record[1] != len(chain) + 1:
                for kept in log[size:]:
                    chains[kept[0]].pop()
                del log[size:]
                raise StoreError(f"record {record[1]} of a session does not follow {len(chain)}")
            chain.append(len(log))
            log.append(record)

    def seal(self, session: bytes, seq: int, seal: bytes) -> None:
        place = self._chains[session][seq - 1]
        self._records[place] = self._records[place]._replace(seal=seal)

    def records(self, *, newest_first: bool = False) -> Iterator[Record]:
        return reversed(self._records) if newest_first else iter(self._records[:])

    def read(self, session: bytes, seq: int) -> Record | None:
        chain = self._chains.get(session, ())
        return self._records[chain[seq - 1]] if 0 < seq <= len(chain) else None
