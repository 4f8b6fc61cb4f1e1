"""A scope, as a typed value and never a concatenated string.

Two namespaces are the same only when all six labels are; a partial one never matches by accident. Whoever wants
"everything below" asks for it with `covers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from hashlib import blake2b

from crdtmem.errors import NamespaceError
from crdtmem.values import encode

LABELS = ("tenant", "task", "role", "user", "thread", "agent")
NAMES = (*LABELS, "owner")
MAX_LABEL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The scope of one memory: a tenant, then any of task, role, user, thread, agent.

    An owned one also names its owner, by the fingerprint of the owner's key: so nobody can seize it, and the same
    labels under another owner are another scope. `Replica.own` makes one.

    Raises:
        NamespaceError: no tenant, or a label that is empty, too long, or holds control characters.

    >>> Namespace(tenant="acme", task="q3-brief")
    Namespace(tenant='acme', task='q3-brief')
    >>> Namespace(tenant="acme") == Namespace(tenant="acme", task="q3-brief")
    False
    >>> Namespace(tenant="acme").covers(Namespace(tenant="acme", task="q3-brief"))
    True
    """

    tenant: str
    task: str | None = None
    role: str | None = None
    user: str | None = None
    thread: str | None = None
    agent: str | None = None
    owner: str | None = None
    digest: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        labels = [getattr(self, name) for name in LABELS]
        if labels[0] is None:
            raise NamespaceError("a namespace needs a tenant: Namespace(tenant=..., task=...)")
        for name, label in zip(LABELS, labels, strict=True):
            if label is not None:
                _check(name, label)
        if self.owner is not None:  # the digests of open ones stay what they were
            _check("owner", self.owner)
            labels.append(self.owner)
        object.__setattr__(self, "digest", blake2b(encode(labels), digest_size=16, person=b"crdtmem scope").digest())

    def __hash__(self) -> int:
        return hash(self.digest)

    def covers(self, other: Namespace) -> bool:
        """Whether every label set here is the same there.

        >>> Namespace(tenant="acme", user="ann").covers(Namespace(tenant="acme", task="t"))
        False
        """
        return all(getattr(self, name) in (None, getattr(other, name)) for name in NAMES)

    def __repr__(self) -> str:
        given = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)[:7] if getattr(self, f.name) is not None)
        return f"Namespace({', '.join(given)})"


def _check(name: str, label: object) -> None:
    if not isinstance(label, str):
        raise NamespaceError(f"{name} must be a str, not {type(label).__name__}")
    if not label or len(label) > MAX_LABEL:
        raise NamespaceError(f"{name} must have 1 to {MAX_LABEL} characters; {label[:20]!r} has {len(label)}")
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in label):
        raise NamespaceError(f"{name} {label!r} holds a control character or a lone surrogate")
