"""A hybrid logical clock: later than everything seen, close to wall time, one integer.

A stamp is milliseconds since 1970 shifted left by 16 bits, plus a counter. The time source is handed in. A stamp
from further ahead than `DRIFT` is reported and never drags this clock (invariant 4).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from crdtmem.errors import ValueRefused

MAX_STAMP = 2**63 - 1
DRIFT = 5 * 60 * 1000 << 16  # five minutes, as stamps

TimeSource = Callable[[], float]


class Clock:
    """Stamps for one memory. The owner serialises calls.

    >>> clock = Clock(lambda: 1.0)
    >>> clock.now() < clock.now()
    True
    >>> clock.saw(moment(clock.now()).timestamp().__int__() * 1000 << 16)
    True
    """

    __slots__ = ("_last", "_time")

    def __init__(self, time: TimeSource = time.time) -> None:
        self._time = time
        self._last = 0

    def now(self) -> int:
        """A stamp later than every one given or seen before."""
        stamp = int(self._time() * 1000) << 16
        if stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        return stamp

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._time()

    def saw(self, stamp: int) -> bool:
        """Take note of a foreign stamp; False when it is too far ahead to be followed."""
        if stamp <= self._last:
            return True
        if stamp > (int(self._time() * 1000) << 16) + DRIFT:
            return False
        self._last = stamp
        return True


def moment(stamp: int) -> datetime:
    """The wall time of a stamp, in UTC; beyond the calendar, the moment at its end.

    >>> moment(0)
    datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        return datetime.fromtimestamp((stamp >> 16) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return (datetime.max if stamp > 0 else datetime.min).replace(tzinfo=UTC)


def stamp(when: datetime) -> int:
    """The last stamp of a moment.

    >>> moment(stamp(moment(0))) == moment(0), stamp(moment(0)) + 1 == 1 << 16
    (True, True)
    """
    return (int(when.timestamp() * 1000) << 16) + 0xFFFF


def aware(when: datetime) -> datetime:
    """This moment, if it says its time zone.

    Raises:
        ValueRefused: it does not.
    """
    if when.tzinfo is None:
        raise ValueRefused("a moment needs a time zone: datetime.now(UTC), or when.astimezone()")
    return when
