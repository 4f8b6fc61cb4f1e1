"""A counter that never loses an increment: one running total per session, summed."""

from __future__ import annotations

from typing import Unpack

from crdtmem.change import COUNTER
from crdtmem.entry import Attributes, Entry
from crdtmem.errors import ValueRefused
from crdtmem.fields.field import Field, oldest_first
from crdtmem.values import MAX_INT, MIN_INT


class Counter(Field[int]):
    """A sum of increments, negative ones included.

    >>> from crdtmem import Replica
    >>> tokens = Replica("ann").open(tenant="acme").counter("tokens_spent")
    >>> entry = tokens.add(1200)
    >>> entry = tokens.add(-200)
    >>> tokens.value, entry.extra
    (1000, -200)
    """

    __slots__ = ()
    _kind = COUNTER

    def add(self, amount: int = 1, **attributes: Unpack[Attributes]) -> Entry:
        """Count. The entry's value is the running total of this session, `extra` the amount."""
        if type(amount) is not int:
            raise ValueRefused(f"amount: a counter counts in int, not {type(amount).__name__}; use round(...)")
        if not MIN_INT <= amount <= MAX_INT:
            raise ValueRefused(f"amount: {amount.bit_length()} bits, more than int64")
        return self._memory._put(self._at, None, amount, attributes)

    @property
    def value(self) -> int:
        """The sum of all increments seen."""
        total: int = self._memory._view(self._at).total
        return total

    def __int__(self) -> int:
        return self.value

    def _all(self) -> list[Entry]:
        found = (entry for entries in self._memory._listed(self._at) for entry in entries)
        return oldest_first(entry for entry in found if type(entry.key) is not tuple)
