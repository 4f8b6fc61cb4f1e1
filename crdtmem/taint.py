"""What rests on what was retracted: the least set that contains every entry resting on a retracted or tainted one.

An entry rests on those it names in `because`. A retraction is an entry that names its target; an affirmation names
its target and the retractions it answers, so a later one taints again. What is void, because its author was cut off or
forked its session, is as if retracted by whatever says so. All of it is a function of the entries alone,
so it is the same on every replica, whatever the order they came in. What has since been superseded still passes taint
on: its edges are kept as long as the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crdtmem.change import PART_SHIFT
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import BadBytes

RETRACTED, AFFIRMED = "@retracted", "@affirmed"  # fields, records by the id of the entry they speak of
FINDINGS, JUDGED = "@findings", "@judged"  # fields, records of a review: what it found, what a judge has said

Id = Any  # a plain tuple: session, seq, n


class Taint:
    """The retractions, and what they taint.

    >>> taint = Taint()
    >>> taint.rest("brief", ["figure"]), taint.rest("figure", ["source"])
    (set(), set())
    >>> sorted(taint.retract("source", "wrong feed"))
    ['brief', 'figure']
    """

    __slots__ = ("affirmed", "causes", "dependents", "forks", "retracted", "tainted", "voided")

    def __init__(self) -> None:
        self.causes: dict[Id, Iterable[Id]] = {}
        self.dependents: dict[Id, list[Id]] = {}
        self.retracted: dict[Id, set[Id]] = {}  # target -> its retractions
        self.affirmed: dict[Id, dict[Id, frozenset[Id]]] = {}  # target -> its affirmations, and what each answers
        self.tainted: dict[Id, frozenset[Id]] = {}  # entry -> the retractions it falls with
        self.voided: dict[Id, tuple[Id, ...]] = {}  # (session, seq, part) -> the cuts that void it
        self.forks: dict[bytes, int] = {}  # session -> from where on it is void

    def rest(self, id: Id, causes: Iterable[Id]) -> set[Id]:
        """An entry rests on others; return what is newly tainted."""
        if id in self.causes:
            return set()  # it was moved, and said so before
        self.causes[id] = causes
        for cause in causes:
            self.dependents.setdefault(cause, []).append(id)
        return self._spread([id]) if self.retracted or self.voided or self.forks else set()

    def retract(self, target: Id, retraction: Id) -> set[Id]:
        """A retraction has come; return what is newly tainted."""
        self.retracted.setdefault(target, set()).add(retraction)
        return self._spread(self.dependents.get(target, ()))

    def void(self, part: Id, cuts: tuple[Id, ...], entries: Iterable[Id]) -> set[Id]:
        """A part of a change is void; return what is newly tainted."""
        self.voided[part] = cuts
        return self._spread([id for entry in entries for id in self.dependents.get(entry, ())])

    def voiding(self, id: Id) -> Iterable[Id]:
        """What makes an entry void: the cuts, or the fork, or, where the rules do, itself; nothing if it is not."""
        fork = self.forks.get(id[0])
        if fork is not None and id[1] >= fork:
            return ((id[0], fork, 0),)
        cuts = self.voided.get((id[0], id[1], id[2] >> PART_SHIFT))
        return () if cuts is None else cuts or (id,)

    def notice(self, field: str, came: Iterable[Entry], went: Iterable[Entry]) -> set[Id]:
        """Entries of one of the two fields have come and gone; return what is newly tainted."""
        if field not in (RETRACTED, AFFIRMED):
            return set()
        fallen: set[Id] = set()
        before = self.tainted.copy()
        settle = False
        for entry in came:
            target = _id(entry.key)
            if target is not None and field == RETRACTED:
                fallen |= self.retract(target, entry._id)
            elif target is not None and field == AFFIRMED:
                self.affirmed.setdefault(target, {})[entry._id] = _named(entry)
                settle = True
        for entry in went:
            target = _id(entry.key)
            settle = True
            if field == RETRACTED and target in self.retracted:
                self.retracted[target].discard(entry._id)
                if not self.retracted[target]:
                    del self.retracted[target]
            elif field == AFFIRMED and target in self.affirmed:
                self.affirmed[target].pop(entry._id, None)
        if settle:
            self._settle()
            return {id for id, by in self.tainted.items() if by - before.get(id, frozenset())}
        return fallen

    def then(self, had: Callable[[Id], bool], said: Mapping[str, Iterable[Entry]]) -> Taint:
        """What was tainted when only some entries had been written, and these retractions and affirmations stood."""
        past = Taint()
        past.voided, past.forks = self.voided, self.forks
        for id, causes in self.causes.items():
            if had(id):
                past.rest(id, causes)
        for field, entries in said.items():
            past.notice(field, entries, ())
        return past

    def _settle(self) -> None:
        """From nothing: what is taken back must not live on in a circle of entries that rest on each other."""
        shown, self.tainted = self.tainted, {}
        fallen = [*self.retracted]
        if self.voided or self.forks:
            fallen += [cause for cause in self.dependents if self.voiding(cause)]
        self._spread([id for target in fallen for id in self.dependents.get(target, ())])
        for id in shown.keys() - self.tainted.keys():
            del shown[id]
        shown.update(self.tainted)  # readers take no lock: what stays tainted is so all the while
        self.tainted = shown

    def _spread(self, ids: Iterable[Id]) -> set[Id]:
        fallen: set[Id] = set()
        ahead = list(ids)
        while ahead:
            id = ahead.pop()
            by: set[Id] = set()
            for cause in self.causes.get(id, ()):
                by |= self.retracted.get(cause, set())
                by |= self.tainted.get(cause, frozenset())
                if self.voided or self.forks:
                    by.update(self.voiding(cause))
            for answered in self.affirmed.get(id, {}).values():
                by -= answered
            if by and frozenset(by) != self.tainted.get(id):
                self.tainted[id] = frozenset(by)
                fallen.add(id)
                ahead += self.dependents.get(id, ())
        return fallen


def _id(text: Any) -> Id | None:
    try:
        return tuple(EntryId.parse(text))
    except BadBytes:
        return None


def _named(entry: Entry) -> frozenset[Id]:
    """The retractions an affirmation answers."""
    value = entry.value
    found = [_id(text) for text in value if type(text) is str] if type(value) is list else []
    return frozenset(id for id in found if id is not None)
