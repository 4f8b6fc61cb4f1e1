"""Taking in what others wrote: let in by the door (inbox.py), stored, applied, told, in this order (invariant 1).

What the store does not take waits at the door, and so does what cannot be judged because of damage. What is refused is
told with its reason (invariant 7). Records that show another history of a session are kept as its proof.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from crdtmem import forks, recovery
from crdtmem.change import Change
from crdtmem.errors import ReadOnly, StoreError
from crdtmem.forks import Equivocation
from crdtmem.inbox import FORKED, Received, Refusal
from crdtmem.observer import taken, told
from crdtmem.rebuild import renew, tired
from crdtmem.state import Effect
from crdtmem.store import Record

if TYPE_CHECKING:
    from crdtmem.document import Document

log = logging.getLogger("crdtmem")
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


def receive(document: Document, records: Iterable[bytes], sender: str) -> Received:
    """The only door for foreign bytes. Never raises on them."""
    with document.lock:
        document.usable()
        if not document.log.writable:
            raise ReadOnly("this replica was opened for reading; it takes in no changes")
        observer = document.observer
        started = 0 if observer is None else time.perf_counter_ns()
        if document.log.damage or observer is not None:
            records = list(records)
            recovery.mend(document.state, document.log, records)
        refused: list[Refusal] = []
        effects: list[Effect] = []
        applied = 0
        try:
            applied = _take_in(document, records, sender, effects, refused)
            if not applied and tired(document):  # of waiting: what it needs may be mended by now
                document.tell((), local=False, anew=renew(document))
            if document.inbox.rivals.news and _expose(document, refused):
                document.inbox.again()
                applied += _take_in(document, (), sender, effects, refused)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C: what is stored may not be applied
                document.again()
            if observer is not None:
                got = _received(document, 0, refused)
                told(observer.received, taken, started, document.state, records, sender, effects, got, error)
            raise
        document.refusals.extend(refused)
        received = _received(document, applied, refused)
        if observer is not None:
            told(observer.received, taken, started, document.state, records, sender, effects, received)
        return received


def _take_in(
    document: Document, records: Iterable[bytes], sender: str, effects: list[Effect], refused: list[Refusal]
) -> int:
    """Let in, store and apply what may enter; how many changes."""
    changes, turned_away = document.inbox.admit(records, sender)
    refused += turned_away
    if not changes:
        return 0
    kept = [_new(Record, (c.session, c.seq, c.hash, c.core, c.seal)) for c in changes]
    try:
        document.log.append(kept)
    except BaseException:
        document.inbox.keep(changes, sender)
        raise
    document.seals.took(kept[-1])
    applied = _apply(document, changes, effects, refused, wanted=document.observer is not None)
    if applied < len(changes):
        put_back(document, changes[applied:], sender)
    return applied


def _expose(document: Document, refused: list[Refusal]) -> bool:
    """Where rivals prove that sessions were forked: void them from there on, and tell; whether any do."""
    document.seal()
    found = document.inbox.proofs(document.log, document.forks.values())
    for fork in found:
        writer = document.state.sessions[fork.session]
        forks.put(document.log, fork)
        document.forks[fork.session] = fork
        document.inbox.rivals.keep(fork)
        document.inbox.rivals.forget(fork.session)
        document.state.fork(fork.session, fork.seq)
        document.seals.end(fork.session)
        if document.session is writer:
            document.session = None
        refused.append(Refusal(FORKED, fork.session, fork.seq))
        log.warning("%r: %s", document.namespace, Equivocation(writer.agent, writer.key, fork.session, fork.seq))
    if found:
        document.tell((), local=False, anew=renew(document))
        for waker in document.wakers:
            waker()
    return bool(found)


def _apply(
    document: Document, changes: Sequence[Change], effects: list[Effect], refused: list[Refusal], *, wanted: bool
) -> int:
    """Apply what has been stored, and tell; return how many it were before one that cannot be judged."""
    if not document.clock.saw(max([change.hlc for change in changes])):
        for change in changes:
            if not document.clock.saw(change.hlc):
                log.warning(
                    "a change of %s is stamped far ahead of this clock; it holds, and is not followed",
                    change.session.hex(),
                )
    wanted = bool(wanted or document.waiters or document.watches)
    before = document.state.count
    apply = document.state.apply
    try:
        for place, change in enumerate(changes, document.log.newest - len(changes) + 1):
            effect = apply(change, None, place)
            if effect[4]:
                refused += [Refusal(f"void: {why}", change.session, change.seq) for why in effect.void]
            if wanted:
                effects.append(effect)
    except StoreError as error:  # it met damage that nobody knew of: nothing behind it can be judged
        refused.append(Refusal(str(error), change.session, change.seq))
    count = document.state.count
    anew = renew(document) if tired(document) else None
    if effects:
        document.tell(effects, local=False, anew=anew)
    for waker in document.wakers:
        waker()
    if document.state.count >= document.checkpoints.due:
        document.checkpoints.soon()
    return count - before


def put_back(document: Document, changes: Sequence[Change], sender: str) -> None:
    """Let stored changes that could not be applied wait again."""
    first: dict[bytes, int] = {}
    for change in changes:
        first.setdefault(change.session, change.seq)
    for session, seq in first.items():
        document.log.cut(session, seq)
    document.seals.moved()
    document.inbox.keep(changes, sender)


def _received(document: Document, applied: int, refused: Sequence[Refusal]) -> Received:
    missing = document.missing() if len(document.inbox) or document.log.damage or len(document.inbox.rivals) else ()
    return Received(applied, len(document.inbox), tuple(refused), missing)
