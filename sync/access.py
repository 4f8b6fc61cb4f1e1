"""What a peer may do: the namespaces it may read and write, and until when."""

from __future__ import annotations

from dataclasses import dataclass

from crdtmem.namespace import Namespace


class Refused(Exception):
    """A peer that has said Hello is turned away: a word for programs, and a line for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Grant:
    """What one connection may do.

    Args:
        read: the namespaces it may read, with all below them; None is every one.
        write: the same, for writing.
        until: seconds since 1970; None is for ever.
        id: by which it can be revoked.
        trusted: whether a checkpoint from there is taken, whoever vouches for it.

    >>> grant = Grant(read=(Namespace(tenant="acme"),), write=())
    >>> grant.reads(Namespace(tenant="acme", task="t")), grant.writes(Namespace(tenant="acme", task="t"))
    (True, False)
    """

    read: tuple[Namespace, ...] | None = None
    write: tuple[Namespace, ...] | None = None
    until: float | None = None
    id: str | None = None
    trusted: bool = False

    def reads(self, namespace: Namespace) -> bool:
        """Whether it may read that namespace."""
        return self.read is None or any(scope.covers(namespace) for scope in self.read)

    def writes(self, namespace: Namespace) -> bool:
        """Whether it may write to that namespace."""
        return self.write is None or any(scope.covers(namespace) for scope in self.write)


EVERYTHING = Grant()
TOGETHER = Grant(trusted=True)  # for those who use the same meeting place: they are one user's
