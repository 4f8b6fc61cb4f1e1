"""Coming back from the disk: what was applied before is applied again; what damage has cut off waits at the door.

A change whose predecessor or past is not here any more is astray: intact, and resting on what was damaged. It is
taken out of the log, kept on the shelf, and offered to the door at every opening, until a peer has brought what it
waits for (invariant 7). A damaged change that a checkpoint covers leaves a hole in history alone; it is put back as
soon as somebody brings the change that its successor names.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from msgspec.msgpack import Decoder

from crdtmem.change import Change, decode, record
from crdtmem.clock import Clock
from crdtmem.errors import BadBytes, StoreError
from crdtmem.identity import Identity, verify
from crdtmem.inbox import Plan
from crdtmem.replay import replay
from crdtmem.state import State
from crdtmem.store import Log, Record
from crdtmem.values import encode

_ASTRAY = "astray/"  # on the shelf
_blobs = Decoder(list[bytes]).decode


class Resumed(NamedTuple):
    """What came of the records behind a checkpoint."""

    astray: list[Record]
    sealed: dict[bytes, int]  # how far each session that goes on behind it is sealed


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without the garbage collector, to which what was made here is old at once: it is not looked through as new."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # what the program has frozen stays so
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def resume(state: State, log: Log, place: int, clock: Clock) -> Resumed:
    """Apply what is kept behind a place."""
    astray: list[Record] = []
    sealed: dict[bytes, int] = {}
    for at, kept in log.since(place):
        hlc = replay(state, kept)
        if hlc is None:
            if kept.seq >= state.forks.get(kept.session, kept.seq + 1):
                continue  # this log is only read: it was not taken out
            change = kept.change
            doubtful = log.damage or state.pruned.owed
            if not fits(state, change) or (doubtful and Plan(state).take(change) is not None):
                astray.append(kept)
                continue
            state.apply(change, None, at)
            hlc = change.hlc
        clock.saw(hlc)
        if kept.seal or kept.session not in sealed:
            sealed[kept.session] = kept.seq if kept.seal else kept.seq - 1  # a checkpoint is made sealed
    return Resumed(astray, sealed)


def fits(state: State, change: Change) -> bool:
    """Whether all it names is here, as it always is unless something was damaged."""
    session = state.sessions.get(change.session)
    if session is None:
        return change.seq == 1 and all(_here(state, *dep[:2]) for dep in change.deps)
    if change.seq != session.seq + 1 or change.prev != session.hash:
        return False
    return not change.deps or all(_here(state, *dep[:2]) for dep in change.deps)


def _here(state: State, session: bytes, seq: int) -> bool:
    known = state.sessions.get(session)
    seq = min(seq, state.forks.get(session, seq + 1) - 1)  # of a forked session nobody has more
    return seq == 0 or (known is not None and known.seq >= seq)


def set_aside(state: State, log: Log, astray: Sequence[Record], identity: Identity) -> list[bytes]:
    """Take what is astray out of the log; return, for the door, all that was ever set aside and is not back yet."""
    if astray:
        name = f"{_ASTRAY}{log.newest:016}"  # nothing may have come since others were set aside
        log.put(name, encode([*_blobs(log.get(name) or encode([])), *[kept.data for kept in astray]]))
    beyond = {(kept.session, kept.seq) for kept in astray} | _lost(log)
    for session in {id for id, seq in beyond if not _here(state, id, seq)}:
        log.cut(session, state.sessions[session].seq + 1 if session in state.sessions else 1)
    waiting: list[Change] = []
    for name in log.names():
        if name.startswith(_ASTRAY):
            changes = [decode(data) for data in _blobs(log.get(name) or encode([]))]
            absent = [change for change in changes if not _here(state, change.session, change.seq)]
            if not absent:
                log.drop(name)
            waiting += absent
    return _sealed_again(state, waiting, identity)


def _sealed_again(state: State, changes: Sequence[Change], identity: Identity) -> list[bytes]:
    """Their records, with a seal on the newest of each session of ours: the door takes in nothing unsealed."""
    keys = {id: session.key for id, session in state.sessions.items()}
    keys |= {change.session: change.intro.key for change in changes if change.intro}
    newest = {change.session: change for change in sorted(changes, key=lambda change: change.seq)}
    found = []
    for change in changes:
        seal = change.seal
        if newest[change.session] is change and not seal and keys.get(change.session) == identity.key:
            seal = identity.sign(change.hash)
        found.append(record(change.core, seal))
    return found


def mend(state: State, log: Log, records: Sequence[bytes]) -> None:
    """Put back what was found damaged, where these bring the very change that the one after it names."""
    lost = _lost(log)
    if not lost:
        return
    found: dict[tuple[bytes, int], list[Change]] = {}
    for data in records:
        try:
            change = decode(data)
        except BadBytes:
            continue  # the door will say so
        if (change.session, change.seq) in lost:
            found.setdefault((change.session, change.seq), []).append(change)
    for (id, seq), changes in sorted(found.items(), reverse=True):  # the newest first: it names the one before
        session = state.sessions.get(id)
        after = log.read(id, seq + 1)
        hash = session.hash if session and session.seq == seq else after.change.prev if after else None
        for change in changes:
            if change.hash == hash and session is not None:
                sound = bool(change.seal) and verify(session.key, change.seal, change.hash)
                with suppress(StoreError):  # then it stays damaged, and is asked for again
                    log.mend(Record(id, seq, change.hash, change.core, change.seal if sound else b""))
                break


def _lost(log: Log) -> set[tuple[bytes, int]]:
    return {(broken.session, broken.seq) for broken in log.damage if broken.session and broken.seq}
