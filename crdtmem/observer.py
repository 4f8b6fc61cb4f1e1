"""What an observer of a memory is told: how much was done, by whom and why; of what was written never the values.

It is told under the memory's lock, right after the fact, in the thread and the context of whoever wrote or handed
over. So it takes note and goes; what takes long it does elsewhere. What it raises is logged and hurts nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from crdtmem.change import RECORDS, REGISTER, Version
from crdtmem.draft import Staged
from crdtmem.entry import About, Entry
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.records import disagreement
from crdtmem.inbox import Received
from crdtmem.state import Effect, State

log = logging.getLogger("crdtmem")
T = TypeVar("T")
P = ParamSpec("P")


class Span(NamedTuple):
    """When something began and ended, in nanoseconds since 1970."""

    began: int
    ended: int


class Commit(NamedTuple):
    """One change of ours; with an error the attempt at one, of which nothing is left."""

    span: Span
    agent: str
    role: str | None
    reasons: tuple[str, ...]
    fields: tuple[str, ...]
    added: int  # entries
    removed: int
    conflicts: int  # registers and keys that disagree since
    size: int  # of its bytes
    version: Version
    error: BaseException | None = None


class Intake(NamedTuple):
    """What came of one batch of foreign bytes; with an error the store refused it, and it waits."""

    span: Span
    sender: str
    size: int  # of its bytes
    applied: int  # changes
    waiting: int
    refused: int
    fields: tuple[str, ...]
    added: int  # entries
    removed: int
    conflicts: int  # registers and keys that disagree since
    version: Version
    error: BaseException | None = None


class Observer(Protocol):
    """Whoever wants to know what a memory does."""

    def committed(self, commit: Commit) -> None:
        """A change of ours was made, or refused."""

    def received(self, intake: Intake) -> None:
        """A batch of foreign bytes was taken in."""

    def sent(self, size: int) -> None:
        """So many bytes were handed out."""


def told(tell: Callable[[T], None], make: Callable[P, T], *args: P.args, **named: P.kwargs) -> None:
    """Make what an observer is told, and tell it."""
    try:
        tell(make(*args, **named))
    except Exception:
        log.exception("an observer failed; its memory is unharmed")


def made(started: int, state: State, effect: Effect, said: About | None) -> Commit:
    """What is told of a change of ours, begun at that reading of `perf_counter_ns`."""
    span, change, stamp = _until_now(started), effect.change, effect.stamp
    agent, role = stamp.actor or (stamp.writer.agent, stamp.writer.role)
    whys = [said[0] if said else None, *(entry.why for entry in effect.added)]
    return Commit(
        span,
        agent,
        role,
        tuple(dict.fromkeys(why for why in whys if why)),
        _fields([effect]),
        len(effect.added),
        len(effect.removed),
        conflicts(state, [effect]),
        len(change.core),
        state.version,
    )


def failed(
    started: int,
    state: State,
    drafts: Iterable[Staged],
    author: tuple[str, str | None],
    said: About | None,
    error: BaseException,
) -> Commit:
    """What is told of a change of ours that was not made."""
    reasons = (said[0],) if said and said[0] else ()
    fields = tuple(sorted({draft.field.name for draft in drafts}))
    return Commit(_until_now(started), *author, reasons, fields, 0, 0, 0, 0, state.version, error)


def taken(
    started: int,
    state: State,
    records: Iterable[object],
    sender: str,
    effects: Sequence[Effect],
    received: Received,
    error: BaseException | None = None,
) -> Intake:
    """What is told of a batch."""
    return Intake(
        _until_now(started),
        sender,
        sum([len(record) for record in records if type(record) is bytes]),
        received.applied,
        received.waiting,
        len(received.refused),
        _fields(effects),
        sum([len(effect.added) for effect in effects]),
        sum([len(effect.removed) for effect in effects]),
        conflicts(state, effects),
        state.version,
        error,
    )


def conflicts(state: State, effects: Sequence[Effect]) -> int:
    """How many registers and keys of records disagree since these changes, and did not before."""
    added: dict[Any, Entry] = {}
    removed: dict[Any, Entry] = {}
    slots: dict[Any, None] = {}
    for effect in effects:
        for entry in effect.removed:
            if added.pop(entry._id, None) is None:
                removed[entry._id] = entry
        for entry in effect.added:
            added[entry._id] = entry
    for entry in added.values():
        if entry.field[0] != "@":
            slots[entry.field, entry.key] = None
    return sum([_came_up(state, name, key, added, removed.values()) for name, key in slots])


def _came_up(state: State, name: str, key: Any, added: dict[Any, Entry], removed: Iterable[Entry]) -> bool:
    for kind in (REGISTER, RECORDS):
        field = state.fields.get((kind, name))
        if type(field) is Keyed and key in field.forked:
            now = field.live(key)
            before = [entry for entry in now if entry._id not in added]
            before += [entry for entry in removed if entry.field == name and entry.key == key]
            if disagreement(now) and not disagreement(before):
                return True
    return False


def _fields(effects: Iterable[Effect]) -> tuple[str, ...]:
    return tuple(sorted({part.field for effect in effects for part in effect.change.parts}))


def _until_now(started: int) -> Span:
    ended = time.time_ns()
    return Span(ended - (time.perf_counter_ns() - started), ended)
