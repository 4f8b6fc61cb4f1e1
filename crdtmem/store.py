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


class Store(Protocol):
    """What a memory needs of a store. Calls are serialised by the memory of each namespace."""

    def append(self, namespace: Namespace, records: Sequence[Record]) -> None:
        """Keep these records, all or none.

        Raises:
            StoreError: none was kept.
        """

    def seal(self, namespace: Namespace, session: bytes, seq: int, seal: bytes) -> None:
        """Put a seal beside a record."""

    def log(self, namespace: Namespace, *, newest_first: bool = False) -> Iterator[Record]:
        """All records, in the order of their append or the reverse."""

    def read(self, namespace: Namespace, session: bytes, seq: int) -> Record | None:
        """One record."""

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
        self._logs: dict[Namespace, list[Record]] = {}
        self._places: dict[Namespace, dict[bytes, list[int]]] = {}

    def append(self, namespace: Namespace, records: Sequence[Record]) -> None:
        """Keep these records."""
        log = self._logs.setdefault(namespace, [])
        places = self._places.setdefault(namespace, {})
        for record in records:
            chain = places.setdefault(record[0], [])
            if record[1] != len(chain) + 1:
                raise StoreError(f"record {record[1]} of a session does not follow {len(chain)}")
            chain.append(len(log))
            log.append(record)

    def seal(self, namespace: Namespace, session: bytes, seq: int, seal: bytes) -> None:
        """Put a seal beside a record."""
        place = self._places[namespace][session][seq - 1]
        self._logs[namespace][place] = self._logs[namespace][place]._replace(seal=seal)

    def log(self, namespace: Namespace, *, newest_first: bool = False) -> Iterator[Record]:
        """All records, in the order of their append or the reverse."""
        log = self._logs.get(namespace, [])
        return iter(log[::-1] if newest_first else log[:])

    def read(self, namespace: Namespace, session: bytes, seq: int) -> Record | None:
        """One record."""
        chain = self._places.get(namespace, {}).get(session, ())
        return self._logs[namespace][chain[seq - 1]] if 0 < seq <= len(chain) else None

    def close(self) -> None:
        """Nothing is held."""
