"""A state as of some of the changes it has, worked out for one field at a time from what the field is now.

An entry was live then if its change is among them and no removal of it is. So what shows now stays if it had been
written, and what has been removed since comes back, read from the log. Nothing is replayed: the price is that of the
field and of the changes in between, not of the whole history. What is void now was void then: it counts in no version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from crdtmem import base
from crdtmem.audit import Audit
from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, TEXT, Change, Version
from crdtmem.change import Keyed as KeyedPart
from crdtmem.entry import Entry, Stamp
from crdtmem.errors import ReadOnly, StoreError
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Gone, Moved, Ordered
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.taint import AFFIRMED, RETRACTED, Taint
from crdtmem.trust import Trust
from crdtmem.values import encode
from crdtmem.yupdate import Unit

if TYPE_CHECKING:
    from crdtmem.document import Document

Id = Any
At = tuple[int, str]
_PLACE = (1 << PART_SHIFT) - 1


class PastState:
    """A state as of some of its changes: read-only.

    Args:
        state: as it is now.
        log: where its changes are kept.
        audit: who removed what, and which changes touched a field.
        since: the changes that are left out.
        had: whether a change is among those that are left in.
        version: how it is called.
        lock: that of the memory.
    """

    def __init__(
        self,
        state: State,
        log: Log,
        audit: Audit,
        since: Iterable[Change],
        had: Callable[[bytes, int], bool],
        version: Version,
        lock: threading.RLock,
    ) -> None:
        self.version = version
        self.lock = lock
        self.sessions = state.sessions
        self.plain = state.plain
        self.fields: Mapping[At, Keyed | Ordered] = _Fields(self)
        self.now = state
        self._log = log
        self.audit = audit
        self._had = had
        self.changes = list(since)
        self.count = state.count - len(self.changes)
        self._place = log.newest
        self._read: dict[tuple[bytes, int], Change] = {}
        self._since: dict[At, list[tuple[Change, int]]] = {}
        self._dead: dict[At, set[Unit]] = {}
        for change in self.changes:
            self._leave_out(change)

    def _leave_out(self, change: Change) -> None:
        for number, part in enumerate(change.parts):
            if number not in self._void(change):
                self._since.setdefault((part.kind, part.field), []).append((change, number))

    def since(self, at: At) -> list[tuple[Change, int]]:
        """The parts for a field that are left out: their changes, and which of its parts."""
        for place, kept in self._log.since(self._place):  # a field is worked out late: there is what came meanwhile
            self._place = place
            if not self._had(kept.session, kept.seq):
                self._leave_out(kept.change)
        return self._since.get(at, [])

    @property
    def trust(self) -> Trust | None:
        """The rules, as they are now."""
        return self.now.trust

    @cached_property
    def taint(self) -> Taint:
        """What was retracted and tainted then. Linear in the causes that were ever named."""
        with self.lock:
            said = {name: self.fields.get((RECORDS, name)) for name in (RETRACTED, AFFIRMED)}
            return self.now.taint.then(
                self.had,
                {name: list(field.by_id.values()) for name, field in said.items() if type(field) is Keyed},
            )

    def had(self, id: Id) -> bool:
        """Whether the change that wrote an entry is left in."""
        return self._had(id[0], id[1])

    def digest(self) -> bytes:
        """As the state would have given it."""
        parts = [(kind, name, field.digest()) for (kind, name), field in sorted(self.fields.items())]
        return blake2b(encode([part for part in parts if part[2]]), digest_size=32).digest()

    def field(self, kind: int, name: str) -> Keyed | Ordered:
        """The field as it was."""
        here = self.now.field(kind, name)
        return self._keyed(here) if type(here) is Keyed else self._ordered(here)  # type: ignore[arg-type]

    # -- keyed fields ------------------------------------------------------------------------------

    def _keyed(self, here: Keyed) -> Keyed:
        found = Keyed(here.kind, here.name)
        had = self._had
        kept = [entry for entry in list(here.by_id.values()) if had(entry._id[0], entry._id[1])]
        if here.kind == COUNTER:
            known: set[Any] = {entry.key for entry in kept}
            found.resume([*kept, *self._totals(here, known)])
            if self.now.taint.voided or self.now.forks:
                found.recount(self.now.taint.voiding)
            return found
        gone: dict[Any, None] = {
            id: None
            for change, number in self.since((here.kind, here.name))
            for id in change.parts[number][4]  # its removes
            if had(*id[:2])
        }
        at = (here.kind, here.name)
        void = self.now.taint.voiding
        came = [id for id in gone if not void(id) and not any(self._took(at, id))]
        found.resume([*kept, *(entry for id in came if (entry := self._written(found, id)) is not None)])
        return found

    def _took(self, at: At, id: Id) -> Iterator[bool]:
        """Of those who removed an entry, whether they had done so and it counts."""
        for session, seq in self.audit.removers(id).get(at, ()):
            void = self.now.voids.get((session, seq))
            if not void:
                yield self._had(session, seq)
            elif self._had(session, seq):
                parts = self.change(session, seq).parts
                yield any(part[:2] == at and number not in void for number, part in enumerate(parts))

    def _totals(self, here: Keyed, known: set[Any]) -> Iterator[Entry]:
        """The totals that sessions had reached which have counted on since."""
        first: dict[bytes, int] = {}
        for change, _ in self.since((COUNTER, here.name)):
            if change.session not in known:
                first[change.session] = min(change.seq, first.get(change.session, change.seq))
        for session, seq in sorted(first.items()):
            entry = self.total(here.name, session, seq)
            if entry is not None:
                yield entry

    def total(self, name: str, session: bytes, seq: int) -> Entry | None:
        """The total that a session had reached in a counter before one of its changes."""
        counted = self._counted(name, session, seq)
        if not counted:
            return None
        *rest, entry = counted
        before: Any = rest or self._counted(name, session, entry._id[1])
        entry.extra = entry._frozen - (before[-1]._frozen if before else 0)  # type: ignore[operator]
        return entry

    def _counted(self, name: str, session: bytes, seq: int) -> list[Entry]:
        """The totals in the newest of its changes before this one that has any."""
        earlier = [at for other, at in self.audit.touching(COUNTER, name) if other == session and at < seq]
        for at in sorted(earlier, reverse=True):
            change = self.change(session, at)
            for number, part in enumerate(change.parts):
                if part[:2] == (COUNTER, name) and number not in self._void(change):
                    counted = [entry for entry in self.written(change, number) if type(entry.key) is bytes]
                    if counted:  # else it only takes increments back
                        return counted
        return []

    def written(self, change: Change, number: int) -> list[Entry]:
        """The entries that a keyed part of a change added, as they were then."""
        part: Any = change.parts[number]
        field: Any = self.now.field(part.kind, part.field)
        made: list[Entry] = field.written(part, number, change.digests[number], self._stamp(change))
        return made

    def _written(self, field: Keyed, id: Id) -> Entry | None:
        """An entry as it was written."""
        number, place = id[2] >> PART_SHIFT, id[2] & _PLACE
        change = self.change(id[0], id[1])
        part = change.parts[number] if number < len(change.parts) else None
        if type(part) is not KeyedPart or part[:2] != (field.kind, field.name) or place >= len(part.adds):
            return None
        return field.one_written(part, number, change.digests[number], self._stamp(change), place)

    # -- ordered fields ----------------------------------------------------------------------------

    def _ordered(self, here: Ordered) -> Ordered:
        at = (here.kind, here.name)
        spans = [cut for change, number in self.since(at) for cut in change.parts[number][4]]
        gone = {(client, clock + i) for client, clock, length in spans for i in range(length)}
        if gone:  # what others had deleted as well was gone all the same; linear in the changes to this field
            for session, seq in self.audit.touching(*at):
                if gone and self._had(session, seq):
                    change = self.change(session, seq)
                    for number, part in enumerate(change.parts):
                        if part[:2] == at and number not in self._void(change):
                            for client, clock, length in part[4]:
                                gone.difference_update((client, clock + i) for i in range(length))
        void = self.now.taint.voiding
        owners = {owner._id: owner for owner in here.units.showing()}

        def alive(owner: Any, unit: Unit, shows: bool) -> Any:  # noqa: FBT001
            if shows:
                return owner
            if unit not in gone or void(owner._id) or self._pruned(at, unit, owner):
                return None
            if owner._id not in owners:
                owners[owner._id] = self._owner(here, owner)
            found = owners[owner._id]
            return None if type(found) is Moved and void(found.entry._id) else found

        return here.then(lambda stamp: self._had(stamp.writer.id, stamp.seq), alive)

    def _pruned(self, at: At, unit: Unit, owner: Any) -> bool:
        """Whether pruned changes had deleted a unit; the audit does not know them any more."""
        if self.now.pruned.owed and self._log.place_of(*owner._id[:2]) is None:
            raise StoreError("the history this asks for is still on its way from a peer")
        return bool(self.now.pruned.hash(*owner._id[:2])) and unit in self._buried(at)

    def _buried(self, at: At) -> set[Unit]:
        """The units of a field that pruned changes deleted: they had been made in whatever version can be asked for."""
        if at not in self._dead:
            found = base.read(self._log, self.now)
            under: Any = found and found[0].fields.get(at)
            self._dead[at] = {unit for unit, _, shows, _ in under.units.each() if not shows} if under else set()
        return self._dead[at]

    def _owner(self, field: Ordered, gone: Gone) -> Any:
        """Who owned a unit before it was deleted."""
        if gone.entry is not None:
            return gone.entry if gone.entry._id == gone._id else Moved(gone._id, gone._stamp, gone.entry)
        change = self.change(gone._id[0], gone._id[1])
        number, place = gone._id[2] >> PART_SHIFT, gone._id[2] & _PLACE
        part: Any = change.parts[number]
        for run in part.runs:
            values = (run[1],) if field.kind == TEXT else run[1]
            if place < len(values):
                about = run[2] if len(run) > 2 else part.about
                return Entry(gone._id, field.name, None, values[place], about, gone._stamp)
            place -= len(values)
        target = part.moves[place][1]
        origin = self.change(target[0], target[1])
        return Moved(gone._id, gone._stamp, self._owner(field, Gone(target, self._stamp(origin))))

    # -- reading the log ---------------------------------------------------------------------------

    def change(self, session: bytes, seq: int) -> Change:
        """A change of the past.

        Raises:
            StoreError: it is damaged, or was pruned.
        """
        found = self._read.get((session, seq))
        if found is None:
            kept = self._log.read(session, seq)
            if kept is None:
                raise StoreError("history is not whole as far back as this asks: changes are damaged, or were pruned")
            found = self._read[session, seq] = kept.change
        return found

    def _void(self, change: Change) -> Collection[int]:
        return self.now.voids.get((change.session, change.seq), ())

    def _stamp(self, change: Change) -> Stamp:
        return self.now.stamp(change)


class _Fields(Mapping[At, Keyed | Ordered]):
    """The fields as they were, each worked out when it is first asked for."""

    def __init__(self, past: PastState) -> None:
        self._past = past
        self._known: dict[At, Keyed | Ordered] = {}

    def __getitem__(self, at: At) -> Keyed | Ordered:
        found = self._known.get(at)
        if found is not None:
            return found
        with self._past.lock:
            found = self._known.get(at)
            if found is None:
                if at not in self._past.now.fields:
                    raise KeyError(at)
                with self._past.audit.opened():
                    found = self._known[at] = self._past.field(*at)
            return found

    def get(self, at: At, default: Any = None) -> Any:
        """A field, or a default. It is asked for every key that is read; what a Mapping brings takes its time."""
        found = self._known.get(at)
        return super().get(at, default) if found is None else found

    def __iter__(self) -> Iterator[At]:
        return iter(list(self._past.now.fields))

    def __len__(self) -> int:
        return len(self._past.now.fields)


class Pinned:
    """A document as of the past: it answers, and refuses every write."""

    def __init__(self, document: Document, state: PastState) -> None:
        self.namespace = document.namespace
        self.actor = document.actor
        self.lock = threading.RLock()
        self.state = state
        self.usable = document.usable
        self.past = document.past
        self.kept = document.kept
        self.live = document

    def now(self) -> float:
        """A pinned memory shows what stood there, also what has since outlived its time."""
        return 0.0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise ReadOnly("this memory is pinned at a version; write to, or ask, the memory it was taken from")
