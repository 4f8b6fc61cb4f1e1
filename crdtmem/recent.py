"""What the log of a memory says of its use: how much there is, and who wrote what lately. One pass, newest first.

Every record is read, and so checked against its sum; only the newest are decoded, 10 us each. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from crdtmem.change import REGISTER, Change
from crdtmem.change import Keyed as KeyedPart
from crdtmem.clock import moment

if TYPE_CHECKING:
    from crdtmem.memory import Memory


@dataclass(slots=True)
class Recent:
    """The log, and its newest changes.

    Attributes:
        records: how many changes the log holds.
        size: their bytes.
        oldest: when the oldest of the newest changes was written.
        newest: and the newest.
        agents: how many of them each agent made.
        keys: and each key.
        fields: how many touched each field.
        settled: how many settled concurrent values of a register, by its name.
        silent: how many gave no reason.
        ahead: by how many seconds the latest stamp is ahead of this clock, and whose it is.
        behind: by how many seconds somebody's stamp lies before one that it had seen: which tells of two clocks.
    """

    records: int = 0
    size: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    agents: Counter[str] = field(default_factory=Counter)
    keys: Counter[bytes] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    ahead: tuple[float, str] = (0.0, "")
    behind: tuple[float, str, str] = (0.0, "", "")

    @property
    def changes(self) -> int:
        """How many changes were looked at."""
        return self.keys.total()

    @property
    def days(self) -> float:
        """From the oldest of them to the newest."""
        if self.oldest is None or self.newest is None:
            return 0.0
        return (self.newest - self.oldest).total_seconds() / 86400


def recent(memory: Memory, most: int) -> Recent:
    """Look through the log of a memory, and closely at so many of its newest changes.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add(1, why="CRM"), memory.acting_as("bob").counter("n").add(1)
    >>> found = recent(memory, 1000)
    >>> found.records, dict(found.agents), found.silent
    (2, {'bob': 1, 'ann': 1}, 1)
    """
    document = memory._document
    with document.lock:
        document.usable()
        sessions = dict(document.state.sessions)
    found = Recent()
    named: dict[tuple[bytes, int], tuple[int, str]] = {}  # the lowest stamp of those that had seen a change, and whose
    now = document.now()
    for _, kept in document.log.backwards():
        writer = sessions.get(kept.session)
        if writer is None or kept.seq > writer.seq:
            continue  # beside its owner: written since this was opened
        found.records += 1
        found.size += len(kept.core) + len(kept.seal)
        if found.records <= most:
            change = kept.gist
            agent = change.actor[0] if change.actor else writer.agent
            _count(found, change, agent, writer.key)
            _compare(found, change, agent, named, now)
    return found


def _count(found: Recent, change: Change, agent: str, key: bytes) -> None:
    at = moment(change.hlc)
    found.oldest = at if found.oldest is None else min(at, found.oldest)
    found.newest = at if found.newest is None else max(at, found.newest)
    found.agents[agent] += 1
    found.keys[key] += 1
    explained = False
    for part in change.parts:
        found.fields[part.field] += 1
        explained = explained or bool(part.about and part.about[0])
        if type(part) is KeyedPart:
            explained = explained or any(len(add) > 1 and add[1] and add[1][0] for add in part.adds)
            if part.kind == REGISTER and len(part.removes) > 1:  # of records, patches go as well
                found.settled[part.field] += 1
    found.silent += not explained


def _compare(
    found: Recent, change: Change, agent: str, named: dict[tuple[bytes, int], tuple[int, str]], now: float
) -> None:
    """Look for clocks that are not right: a stamp ahead of ours, or of somebody who had seen it."""
    ahead = (change.hlc >> 16) / 1000 - now
    if ahead > found.ahead[0]:
        found.ahead = (ahead, agent)
    later = named.pop((change.session, change.seq), None)
    if later is not None and later[0] < change.hlc:
        seconds = ((change.hlc >> 16) - (later[0] >> 16)) / 1000
        if seconds > found.behind[0]:
            found.behind = (seconds, agent, later[1])
    for dep in change.deps:
        place = (dep[0], dep[1])
        known = named.get(place)
        if known is None or change.hlc < known[0]:
            named[place] = (change.hlc, agent)
