"""What the doctor says: signs, each a figure held against its limit, and what to do.

Levels: `ok`; `note`, worth knowing; `warn`, a limit is passed; `bad`, something is broken. Alerts are of the last two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from crdtmem.change import Version
from crdtmem.namespace import Namespace

OK, NOTE, WARN, BAD = LEVELS = ("ok", "note", "warn", "bad")


class Limits(TypedDict, total=False):
    """From where on something is told. Of what nobody wants to hear, set the limit high.

    checkpoint: changes behind the newest checkpoint, which opening has to apply, at 10 us each. 50,000.
    growth: changes in the log for each entry it shows. 50.
    hot: share of the newest changes that touch one field. 0.8.
    contested: share of the writes to a register that had to settle concurrent values. 0.05.
    skew: seconds by which clocks differ. 60.
    behind: changes that a connected peer has not been sent, or that wait here for others. 10,000.
    conflicts: seconds that a conflict stands open. A day.
    findings: seconds that a finding of a review stands open. A day.
    tainted: live entries that rest on what was retracted. 0.
    single: share of the newest changes that one agent, or one process, made. 0.98.
    reasons: share of the newest changes that give no reason. 0.5.
    unread: changes since the audit was last asked. 10,000.
    sessions: how many sessions have written. 5,000.
    context: tokens that a view of everything would take. 32,000.
    old: bytes of changes older than 90 days. 64 MiB.
    """

    checkpoint: float
    growth: float
    hot: float
    contested: float
    skew: float
    behind: float
    conflicts: float
    findings: float
    tainted: float
    single: float
    reasons: float
    unread: float
    sessions: float
    context: float
    old: float


LIMITS: dict[str, float] = {
    "checkpoint": 50_000,
    "growth": 50,
    "hot": 0.8,
    "contested": 0.05,
    "skew": 60,
    "behind": 10_000,
    "conflicts": 86_400,
    "findings": 86_400,
    "tainted": 0,
    "single": 0.98,
    "reasons": 0.5,
    "unread": 10_000,
    "sessions": 5_000,
    "context": 32_000,
    "old": 64 << 20,
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at: how it stands, and what to do if it does not stand well."""

    subject: str
    level: str
    says: str
    figure: float | None = None
    limit: float | None = None
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.level:4} {self.subject}: {self.says}" + (f". {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class Health:
    """All that the doctor saw of one memory, at one version.

    >>> from crdtmem import Replica
    >>> from crdtmem.doctor import examine
    >>> health = examine(Replica("ann").open(tenant="acme"))
    >>> health.level, health.alerts
    ('ok', ())
    """

    namespace: Namespace
    version: Version
    signs: tuple[Sign, ...]

    @property
    def level(self) -> str:
        """That of the worst sign."""
        return max((sign.level for sign in self.signs), key=LEVELS.index, default=OK)

    @property
    def alerts(self) -> tuple[Sign, ...]:
        """The signs that somebody should be told of: `warn` and `bad`."""
        return tuple(sign for sign in self.signs if sign.level in (WARN, BAD))

    def data(self) -> dict[str, Any]:
        """The same for programs: plain data."""
        return {
            "namespace": repr(self.namespace),
            "version": str(self.version),
            "level": self.level,
            "signs": [
                {name: told for name in Sign.__dataclass_fields__ if (told := getattr(sign, name)) not in (None, "")}
                for sign in self.signs
            ],
        }

    def __str__(self) -> str:
        return "\n".join(map(str, self.signs))


def some(count: int, what: str) -> str:
    """So many of something, in words.

    >>> some(1, "live entry"), some(2000, "entry"), some(0, "change")
    ('1 live entry', '2,000 entries', '0 changes')
    """
    if count == 1:
        return f"1 {what}"
    return f"{count:,} {what[:-1]}ies" if what.endswith("y") else f"{count:,} {what}s"
