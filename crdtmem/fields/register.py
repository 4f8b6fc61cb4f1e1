"""A register: one value, or the siblings of a disagreement that nobody has settled yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from crdtmem.change import REGISTER, Version
from crdtmem.draft import KeyedDraft, put_over
from crdtmem.entry import About, Attributes, Entry
from crdtmem.fields.field import Field, oldest_first
from crdtmem.fields.resolve import Resolve, resolved, rule
from crdtmem.values import freeze

if TYPE_CHECKING:
    from crdtmem.memory import Memory

T = TypeVar("T")


class Register(Field[T]):
    """One value. Concurrent assignments survive as siblings until one is made that has seen them.

    >>> from crdtmem import Replica
    >>> status = Replica("ann").open(tenant="acme").register("status")
    >>> status.value is None
    True
    >>> _ = status.assign("draft")
    >>> _ = status.assign("final", confidence=0.8)
    >>> status.value
    'final'
    """

    __slots__ = ("_resolve",)
    _kind = REGISTER

    def __init__(self, memory: Memory, name: str, resolve: Resolve = "latest") -> None:
        super().__init__(memory, name)
        rule(resolve)
        self._resolve = resolve

    def assign(self, value: T, *, seen: Version | str | None = None, **attributes: Unpack[Attributes]) -> Entry:
        """Give it a value, replacing what was seen.

        Args:
            value: the value.
            seen: the version the decision rests on; what was written since then stays as a sibling. Without it, all
                that is here counts as seen.
            attributes: why, because, confidence, tags, source, ttl, valid.
        """
        frozen = freeze(value)
        if seen is None:
            return self._memory._put(self._at, None, frozen, attributes)
        return self._memory._write(self._at, put_over, attributes, None, frozen, self._memory._past(seen))

    def clear(self, **attributes: Unpack[Attributes]) -> bool:
        """Take the value away, as far as it is seen here; whether there was one."""
        return self._memory._write(self._at, _clear, attributes)

    @property
    def value(self) -> T | None:
        """The value, by this register's resolution where siblings stand; None when there is none.

        Raises:
            Undecided: with `resolve="escalate"`, while siblings stand.
        """
        return self.get()  # type: ignore[no-any-return]

    def get(self, default: Any = None) -> Any:
        """The value, or a default."""
        seen = self._memory._shown(self._at, None)
        return resolved(seen, self._resolve) if seen else default

    @property
    def siblings(self) -> list[Entry]:
        """Every live assignment, oldest first; more than one is a disagreement."""
        return oldest_first(self._memory._shown(self._at, None))

    def _all(self) -> list[Entry]:
        return self.siblings


def _clear(part: KeyedDraft, about: About | None) -> bool:
    seen = part.live(None)
    for entry in seen:
        part.remove(entry)
    return bool(seen)
