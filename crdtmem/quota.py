"""How much one key may write: a bucket that fills with time. Pure: the moment is handed in.

The local writer spends from it before anything is written. A peer keeps one for each key it hears of, and slows the
connection down by the time that is owed; it never judges a change by it, so no verdict depends on arrival.
"""

from __future__ import annotations

from crdtmem.errors import QuotaExceeded
from crdtmem.rules import Rules

_MINUTE = 60.0


class Pace:
    """What one key has written lately, against the quotas of its rules.

    >>> pace, rules = Pace(), Rules(changes_per_minute=60)
    >>> [pace.wait(rules, now=0.0, size=100) for _ in range(60)][-1]
    0.0
    >>> pace.wait(rules, now=0.0, size=100), pace.wait(rules, now=1.0, size=100)
    (1.0, 0.0)
    """

    __slots__ = ("_bytes", "_changes", "_then")

    def __init__(self) -> None:
        self._changes = 0.0  # spent, and not yet given back
        self._bytes = 0.0
        self._then = 0.0

    def wait(self, rules: Rules, *, now: float, size: int) -> float:
        """Spend one change of so many bytes, and return 0; or, if the quota does not allow it yet, say for how long."""
        changes, volume, wait = rules.changes_per_minute, rules.bytes_per_minute, 0.0
        if changes is None and volume is None:
            return wait
        self._fill(rules, now)
        if changes is not None and self._changes + 1 > changes:
            wait = (self._changes + 1 - changes) * _MINUTE / changes
        if volume is not None and self._bytes and self._bytes + size > volume:
            wait = max(wait, min(self._bytes, self._bytes + size - volume) * _MINUTE / volume)
        if not wait:
            self._changes += 1
            self._bytes += size
        return wait

    def owed(self, rules: Rules, *, now: float, size: int) -> float:
        """Spend one change that was made in any case, and return how long it takes until the quota allows it.

        What is owed is a minute at most: a flood is not remembered for ever.
        """
        self._fill(rules, now)
        changes, volume = rules.changes_per_minute, rules.bytes_per_minute
        self._changes = min(self._changes + 1, 2 * changes) if changes is not None else 0.0
        self._bytes = min(self._bytes + size, max(2 * volume, size)) if volume is not None else 0.0
        debts = [0.0]
        if changes is not None:
            debts.append((self._changes - changes) * _MINUTE / changes)
        if volume is not None:
            debts.append((self._bytes - max(volume, size)) * _MINUTE / volume)
        return max(debts)

    def _fill(self, rules: Rules, now: float) -> None:
        passed = max(now - self._then, 0.0)
        self._then = max(now, self._then)
        self._changes = max(self._changes - passed * (rules.changes_per_minute or 0) / _MINUTE, 0.0)
        self._bytes = max(self._bytes - passed * (rules.bytes_per_minute or 0) / _MINUTE, 0.0)

    def spend(self, rules: Rules, now: float, size: int) -> None:
        """Spend one change of ours.

        Raises:
            QuotaExceeded: the quota does not allow it yet.
        """
        wait = self.wait(rules, now=now, size=size)
        if wait:
            limits = [f"{n:,} {what}" for n, what in _limits(rules) if n is not None]
            raise QuotaExceeded(f"the rules allow one key {' and '.join(limits)} a minute; go on in {wait:.1f} s")


def _limits(rules: Rules) -> list[tuple[int | None, str]]:
    return [(rules.changes_per_minute, "changes"), (rules.bytes_per_minute, "bytes")]
