"""Keeps the tables of the audit up to date: lazily, in batches, and whole before any answer (invariant 8).

Each batch is one transaction: its rows, and how far they go. A change is taken in once the state has applied it, never
before. How far each session is followed is compared with the state; where the two do not fit, because records were cut
back, put back or kept a second time, the tables are made anew. Where a change is lost, the clocks and totals of its
session are unknown from there on, and what depends on them is told as lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crdtmem.change import COUNTER, RECORDS, skim
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.recovery import collection_paused
from crdtmem.state import State
from crdtmem.store import Log, Record
from crdtmem.taint import AFFIRMED, RETRACTED
from crdtmem.trail import MOVES, REMOVES, SPAN, SPEAKS, Trail, target_of

BATCH, BATCH_BYTES = 4096, 8 << 20  # records in a transaction of some 40 ms
_LOST = -1  # the clock of units behind a change that is lost

_INSERTS = {
    "said": "INSERT OR REPLACE INTO audit_said VALUES ({}, ?, ?, ?, ?, ?, ?, ?, ?)",
    "named": "INSERT OR IGNORE INTO audit_named VALUES ({}, ?, ?, ?, ?, ?, ?, ?)",
    "edit": "INSERT OR REPLACE INTO audit_edit VALUES ({}, ?, ?, ?, ?, ?, ?, ?)",
    "gone": "INSERT INTO audit_gone VALUES ({}, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET length = max(length, excluded.length)",
    "lost": "INSERT OR IGNORE INTO audit_lost VALUES ({}, ?, ?)",
    "field": "INSERT OR REPLACE INTO audit_field VALUES ({}, ?, ?, ?)",
    "name": "INSERT OR REPLACE INTO audit_name VALUES ({}, ?, ?)",
    "session": "INSERT OR REPLACE INTO audit_session VALUES ({}, ?, ?, ?, ?)",
    "tick": "INSERT OR REPLACE INTO audit_tick VALUES ({}, ?, ?, ?)",
}
Row = tuple[Any, ...]


class _Batch:
    """The rows of some changes."""

    def __init__(self) -> None:
        self.said: list[Row] = []
        self.named: list[Row] = []
        self.edit: list[Row] = []
        self.gone: list[Row] = []
        self.lost: list[Row] = []
        self.field: list[Row] = []
        self.name: list[Row] = []
        self.sessions: set[int] = set()  # that went on
        self.ticks: set[tuple[int, int]] = set()  # that went on
        self.unknown: list[tuple[int, int]] = []  # ticks that were known before


class Follower:
    """Brings a trail up to date. All calls are made under the lock of the memory.

    Args:
        trail: the tables.
        log: the records.
        state: what they add up to.
    """

    def __init__(self, trail: Trail, log: Log, state: State) -> None:
        self._trail = trail
        self._log = log
        self._state = state
        self._accepted: dict[bytes, Any] = {}  # where log and state differ even when all is made anew

    def follow(self) -> None:
        """Be complete: all that the state has seen is in the tables, and nothing else."""
        trail, namespace = self._trail, self._state.namespace
        try:
            if not trail.load(namespace):
                trail.empty(namespace)
            whole = not self._mended() and self._catch_up()
            if not whole or self._amiss() not in ({}, self._accepted):
                trail.empty(namespace)
                self._catch_up()
                self._accepted = self._amiss()
        except BaseException:
            trail.forget()  # a batch is kept whole or not at all, and what is remembered may be ahead of it
            raise

    def forget(self) -> None:
        """The log has become another: where it differs from the state is to be looked at again."""
        self._accepted = {}

    def _mended(self) -> bool:
        """Whether a change that was lost is here again. Of several in a row the newest comes back first."""
        trail = self._trail
        lost = [(trail.ids[session], seq) for session, seq in trail.lost if seq > trail.pruned[session]]
        return any(self._log.read(*change) is not None for change in lost)

    def _amiss(self) -> dict[bytes, Any]:
        """The sessions that the tables follow to another place than the state."""
        last, numbers, sessions = self._trail.last, self._trail.numbers, self._state.sessions
        here = {id: last[number] for id, number in numbers.items()}
        found = {id: (here.get(id, 0), session.seq) for id, session in sessions.items() if here.get(id) != session.seq}
        return found | {id: (seq, 0) for id, seq in here.items() if id not in sessions}

    def _catch_up(self) -> bool:
        """Follow the log to its end; False if it tells something again that the tables have."""
        records = self._log.since(self._trail.place)
        while some := _some(records):
            with collection_paused(), self._trail.writing():  # what a batch makes is gone when it ends
                batch = _Batch()
                for place, kept in some:
                    if not self._take(place, kept, batch):
                        return False
                self._keep(batch, some[-1][0])
        return True

    def _keep(self, batch: _Batch, place: int) -> None:
        trail, db = self._trail, self._trail.db
        ids, last, ticks = trail.ids, trail.last, trail.ticks
        db.executemany(
            f"DELETE FROM audit_tick WHERE ns = {trail.ns} AND field = ? AND session = ?", iter(batch.unknown)
        )
        found: dict[str, list[Row]] = {
            "said": batch.said,
            "named": batch.named,
            "edit": batch.edit,
            "gone": batch.gone,
            "lost": batch.lost,
            "field": batch.field,
            "name": batch.name,
            "session": [(number, ids[number], last[number], trail.pruned[number]) for number in batch.sessions],
            "tick": [(*at, ticks[at]) for at in batch.ticks if at in ticks],
        }
        for table, rows in found.items():
            db.executemany(_INSERTS[table].format(trail.ns), rows)
        db.execute(f"UPDATE audit_scope SET place = ? WHERE ns = {trail.ns}", (place,))
        trail.place = place

    # -- one change --------------------------------------------------------------------------------

    def _take(self, place: int, kept: Record, batch: _Batch) -> bool:
        """The rows of a change; False if it is in the tables already."""
        trail, seq = self._trail, kept.seq
        writer = self._state.sessions.get(kept.session)
        if writer is None or seq > writer.seq:
            return True  # it was never applied: it rests on what is lost, or its append failed half-way
        session = trail.numbers.get(kept.session)
        if session is None:
            session = len(trail.ids)
            trail.session(session, kept.session, 0)
        if seq != trail.last[session] + 1:
            if seq <= trail.last[session]:
                return False
            self._miss(session, seq - 1, batch)
            if self._state.pruned.hash(kept.session, seq - 1):
                trail.pruned[session] = seq - 1
        trail.last[session] = seq
        batch.sessions.add(session)
        change: Any
        parts: Sequence[Any]
        if found := skim(kept.core):
            change, *parts = found[:2]
        else:
            change = kept.gist
            parts = change.parts
        agent, role = change.actor or (writer.agent, writer.role)
        names = trail.names
        who = names[agent] if agent in names else self._name(agent, batch)
        what = names[role] if role in names else self._name(role, batch)
        for number, part in enumerate(parts):
            field = trail.fields.get(part[:2])
            if field is None:
                field = trail.fields[part[:2]] = len(trail.fields)
                batch.field.append((field, *part[:2]))
            base: int | None = None
            if type(part) is OrderedPart:
                base = self._edited(part, (field, session), seq, (number, place), batch)
                self._deleted(part, (field, session), seq, batch)
            elif part.kind == COUNTER:
                base = self._counted(part, (field, session), seq, (number, place), batch)
            elif part[4] or part[1][0] == "@":
                self._removed(part, (field, session), seq, batch)
            batch.said.append((change.hlc, session, seq, number, field, who, what, base))
        return True

    def _name(self, name: str | None, batch: _Batch) -> int:
        """The number of a name that is new; None never is."""
        names = self._trail.names
        number = names[name] = len(names)
        batch.name.append((number, name))
        return number

    def _removed(self, part: KeyedPart, at: tuple[int, int], seq: int, batch: _Batch) -> None:
        numbers, named = self._trail.numbers, batch.named
        for id in part.removes:
            if id[0] in numbers:
                named.append((numbers[id[0]], id[1], id[2], REMOVES, at[0], at[1], seq))
        if part.kind == RECORDS and part.field in (RETRACTED, AFFIRMED):
            for add in part.adds:
                target = target_of(add[2])
                if target is not None:
                    self._named(target, SPEAKS, at, seq, batch)

    def _named(self, id: Any, how: int, at: tuple[int, int], seq: int, batch: _Batch) -> None:
        target = self._trail.numbers.get(id[0])
        if target is not None:
            batch.named.append((target, id[1], id[2], how, at[0], at[1], seq))

    def _counted(
        self, part: KeyedPart, at: tuple[int, int], seq: int, where: tuple[int, int], batch: _Batch
    ) -> int | None:
        """The total of its session before this part; None if it is lost."""
        ticks = self._trail.ticks
        before = ticks.get(at, None if at[1] in self._trail.blind else 0)
        batch.edit.append((*at, seq, seq, where[0], 0, where[1]))
        for add in part.adds:
            if len(add) == 3:
                self._named(add[2], SPEAKS, at, seq, batch)
            else:
                ticks[at] = add[0]
                batch.ticks.add(at)
        return before

    def _edited(
        self, part: OrderedPart, at: tuple[int, int], seq: int, where: tuple[int, int], batch: _Batch
    ) -> int | None:
        """The clock of its first unit; None if it is lost."""
        ticks = self._trail.ticks
        clock = ticks.get(at, None if at[1] in self._trail.blind else 0)
        units = part.units
        batch.edit.append((*at, _LOST if clock is None else clock, seq, where[0], units, where[1]))
        if clock is not None and units:
            ticks[at] = clock + units
            batch.ticks.add(at)
        return clock

    def _deleted(self, part: OrderedPart, at: tuple[int, int], seq: int, batch: _Batch) -> None:
        """What it deletes and moves. A void part does neither, which is seen when it is told."""
        field, session = at
        for client, start, length in part.deletes:
            target = self._trail.clients.get(client)
            end = start + length
            while target is not None and start < end:
                upto = min(end, start - start % SPAN + SPAN)
                batch.gone.append((field, target, start, session, seq, upto - start))
                start = upto
        for _, id in part.moves:
            self._named(id, MOVES, at, seq, batch)

    def _miss(self, session: int, seq: int, batch: _Batch) -> None:
        """Changes of a session are lost, this one the newest of them."""
        trail = self._trail
        trail.lost.append((session, seq))
        trail.blind.add(session)
        batch.lost.append((session, seq))
        for at in [at for at in trail.ticks if at[1] == session]:
            del trail.ticks[at]
            batch.unknown.append(at)


def _some(records: Iterator[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """The next of these, as many as make a transaction."""
    found: list[tuple[int, Record]] = []
    size = 0
    for placed in records:
        found.append(placed)
        size += len(placed[1].core)
        if len(found) >= BATCH or size >= BATCH_BYTES:
            break
    return found
