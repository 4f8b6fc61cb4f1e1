"""Making a state anew, when a cut or a proved fork voids what was applied before.

What has to come of it is what a replica has that knew of it from the start. So a fresh state is told first and the log
is applied to it again, from the newest checkpoint that holds nothing of what is void now, or from the base that pruning
has left. Nothing is undone piece by piece, so there is no second way to get anything wrong. It takes about as long as
the changes took when they came, 10 us each; a cut is rare.

The objects that others hold stay the same ones: the state, its fields, and what is tainted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtmem import base
from crdtmem.checkpoint import Checkpoints
from crdtmem.difference import shown
from crdtmem.entry import Entry
from crdtmem.errors import StoreError
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered
from crdtmem.notify import Batch
from crdtmem.recovery import collection_paused, fits
from crdtmem.state import Effect, State
from crdtmem.store import Log
from crdtmem.tally import Tally

if TYPE_CHECKING:
    from crdtmem.document import Document

log = logging.getLogger("crdtmem")
_PATIENCE = 1.0  # seconds between two attempts to make a state anew whose log is damaged


class Renewed(NamedTuple):
    """What came and went when a state was made anew."""

    fields: frozenset[str]
    added: list[Entry]
    removed: list[Entry]
    tainted: set[Any]

    @property
    def empty(self) -> bool:
        """Whether nothing did."""
        return not (self.added or self.removed or self.tainted)

    def batch(self, state: State, effects: Sequence[Effect], *, local: bool) -> Batch:
        """It and what some changes did before, as one."""
        came = {entry._id: entry for effect in effects for entry in effect.added} | {e._id: e for e in self.added}
        went = {entry._id: entry for effect in effects for entry in effect.removed} | {e._id: e for e in self.removed}
        here = {entry._id: entry for entry in state.find({*came, *went})}
        return Batch(
            state.version,
            self.fields.union(part.field for effect in effects for part in effect.change.parts),
            tuple(here[id] for id in came if id in here),
            tuple(entry for id, entry in went.items() if id not in here),
            len(effects),
            local,
            state.find(self.tainted.union(*[effect.tainted for effect in effects])),
        )


def renew(document: Document) -> Renewed | None:
    """Make the stale state anew; what came and went by that. None if it cannot be done as long as damage stands."""
    try:
        found = renewed(document.state, document.log, document.checkpoints)
    except StoreError as error:
        log.warning("%r: %s", document.namespace, error)
        document.patience = time.monotonic() + _PATIENCE
        return None
    for fork in document.forks.values():
        if document.log.writable and document.log.read(fork.session, fork.seq) is not None:
            document.log.cut(fork.session, fork.seq)
            document.seals.moved()
            document.audit.forget()
    document.go_on()
    return found


def tired(document: Document) -> bool:
    """Whether to try to make a stale state anew: not too often, where damage stands in the way."""
    return document.state.stale and time.monotonic() > document.patience


def renewed(state: State, log: Log, checkpoints: Checkpoints) -> Renewed:
    """Make a stale state anew, and say what came and went by that.

    Raises:
        StoreError: a change that this takes is damaged; the state is as it was, and still stale.
    """
    if isinstance(state, Tally):
        state.again(log)
        return Renewed(frozenset(), [], [], set())
    before, tainted = shown(state), dict(state.taint.tainted)
    rebuild(state, log, checkpoints)
    return came_and_went(before, tainted, state)


def came_and_went(before: dict[Any, dict[Any, Entry]], tainted: Mapping[Any, frozenset[Any]], state: State) -> Renewed:
    """What a state shows now that it did not, and the other way round.

    Args:
        before: what it showed.
        tainted: what was tainted, and by what.
        state: the state.
    """
    after = shown(state)
    empty: dict[Any, Entry] = {}
    came = {at: _other(here, before.get(at, empty)) for at, here in after.items()}
    went = {at: _other(here, after.get(at, empty)) for at, here in before.items()}
    return Renewed(
        frozenset(at[1] for at in {*came, *went} if came.get(at) or went.get(at)),
        [entry for entries in came.values() for entry in entries],
        [entry for entries in went.values() for entry in entries],
        {id for id, by in state.taint.tainted.items() if by - tainted.get(id, frozenset())},
    )


def _other(entries: Mapping[Any, Entry], than: Mapping[Any, Entry]) -> list[Entry]:
    """Those of these entries that are not among the others, or say something else there."""
    return [
        entry
        for id, entry in entries.items()
        if (other := than.get(id)) is None
        or (other is not entry and (other._frozen, other._about, other.key) != (entry._frozen, entry._about, entry.key))
    ]


def rebuild(state: State, log: Log, checkpoints: Checkpoints) -> None:
    """Make a stale state what it would be, had all that it knows to be void been known from the start.

    Raises:
        StoreError: a change that this takes is damaged; the state is as it was, and still stale.
    """
    with collection_paused():
        become(state, _again(state, log, checkpoints))


def _again(state: State, log: Log, checkpoints: Checkpoints) -> State:
    fresh, place = _start(state, log, checkpoints)
    inform(fresh, state)
    for at, kept in log.since(place):
        change = kept.change
        known = state.sessions.get(change.session)
        if known is None or change.seq > known.seq:
            continue  # not applied yet
        if change.seq >= state.forks.get(change.session, change.seq + 1):
            continue
        if not fits(fresh, change):
            raise StoreError("a cut or a fork changes what rests on damaged changes; a peer may have them")
        fresh.apply(change, None, at)
    for id, writer in state.sessions.items():
        again = fresh.sessions.get(id)
        if (again.seq if again else 0) != min(writer.seq, state.forks.get(id, writer.seq + 1) - 1):
            raise StoreError("a cut or a fork changes what rests on damaged changes; a peer may have them")
    fresh.stale = False
    return fresh


def _start(state: State, log: Log, checkpoints: Checkpoints) -> tuple[State, int]:
    """A state to begin with, and the place in the log behind it."""
    found = checkpoints.newest(state.namespace, lambda past: serves(past, state))
    if found is not None:
        return found[:2]
    past = base.read(log, state) or (State(state.namespace, log, state.owner), 0)
    if state.pruned.owed and not serves(past[0], state):
        raise StoreError("a cut or a fork reaches into history that is still on its way from a peer")
    return past


def serves(past: State, state: State) -> bool:
    """Whether an older state holds nothing that what is known now would make another."""
    if any(past.sessions[id].seq >= seq for id, seq in state.forks.items() if id in past.sessions):
        return False
    if past.forks.items() - state.forks.items():
        return False
    return past.trust is None or state.trust is None or not state.trust.strange_to(past.trust, past.sessions)


def inform(fresh: State, state: State) -> None:
    """Tell a state beforehand of the cuts and forks that another knows."""
    for session, seq in state.forks.items():
        fresh.fork(session, seq)
    if fresh.trust is not None and state.trust is not None:
        known = state.trust.heir(lambda id: id[1] >= state.forks.get(id[0], id[1] + 1))
        for cut in known.cuts.values():
            if cut.id not in fresh.trust.cuts:
                fresh.trust.add(cut)
        for hash, page in known.book.items():
            fresh.trust.enter(hash, *page, known.origin[hash])
        fresh.trust.settled.update(known.settled)


def become(state: State, fresh: State) -> None:
    """Be that state, and stay the object that it is, down to the fields; readers take no lock."""
    fields = dict(state.fields)
    for at, field in fields.items():
        new: Any = fresh.fields.get(at) or (Ordered(*at) if type(field) is Ordered else Keyed(*at))
        for name in Keyed.__slots__ if type(field) is Keyed else vars(new):
            setattr(field, name, getattr(new, name))
    fields.update({at: new for at, new in fresh.fields.items() if at not in fields})
    tainted = state.taint.tainted
    tainted.update(fresh.taint.tainted)
    for id in tainted.keys() - fresh.taint.tainted.keys():
        del tainted[id]
    for name in State.__slots__:
        setattr(state, name, getattr(fresh, name))
    state.fields, state.taint.tainted = fields, tainted
    for writer in state.sessions.values():
        writer.tainted = tainted
