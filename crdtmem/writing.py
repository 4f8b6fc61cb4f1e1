"""Writing: a change of our own is stored, then applied, then told (invariant 1).

Most writes are one entry in place of another, and nobody is to be told: `commit_one` does for them what `commit` does,
without the draft and the Change; whatever is more than that it leaves to `commit` (tests/test_short.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crdtmem.change import COUNTER, RECORDS, Head, Intro, compose, compose_one
from crdtmem.draft import Staged, build
from crdtmem.entry import About, Entry, Stamp, Writer
from crdtmem.errors import StoreError, UpgradeNeeded
from crdtmem.identity import client_id, session_id
from crdtmem.inbox import SEAL_EVERY
from crdtmem.observer import failed, made, told
from crdtmem.rebuild import renew, tired
from crdtmem.store import Record
from crdtmem.values import MAX_INT, MIN_INT

if TYPE_CHECKING:
    from crdtmem.document import Actor, Document

MAX_DEPS = 1000
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


def commit(document: Document, drafts: Iterable[Staged], said: About | None, actor: Actor, *, cites: bool) -> None:
    """Make the staged writes one change: stored, then applied, then told. If the store refuses, nothing happened.

    The caller holds the lock.
    """
    document.usable()
    if document.torn:
        document.again()
    observer = document.observer
    started = 0 if observer is None else time.perf_counter_ns()
    staged: list[list[Entry]] = []
    change = None
    try:
        if document.inbox.newer is not None:
            raise UpgradeNeeded(
                f"{document.namespace!r} holds changes of format {document.inbox.newer}, written by a newer crdtmem; "
                "upgrade this program to write (reading goes on)"
            )
        session, intro = (document.session, None) if document.session is not None else _introduce(document)
        seq = session.seq + 1
        parts = build(drafts, said, session, seq, staged, cites=cites)
        if not parts:
            return
        heads, trust = document.state.heads, document.state.trust
        if trust is not None:
            trust.check(session, seq, *actor, parts)
        written = compose(
            document.namespace.digest,
            session.id,
            seq,
            session.hash,
            () if len(heads) == 1 and session.id in heads else _deps(document, session.id),
            intro,
            document.clock.now(),
            None if actor is document.actor or actor == document.actor else actor,
            parts,
            None if trust is None else trust.current,
        )
        if trust is not None and trust.rules is not None:
            document.pace.spend(trust.rules, document.now(), len(written.core))
        change = written
        seal = b"" if seq % SEAL_EVERY else document.vouch(change.hash)
        kept = _new(Record, (session.id, seq, change.hash, change.core, seal))
        document.log.append((kept,))
        heavy = document.seals.wrote(kept)
        effect = document.state.apply(change, staged, document.log.newest if change.deps or intro else 0)
    except BaseException as error:
        for entries in staged:
            for entry in entries:
                entry._id = None
        if change is not None:
            document.session = None  # half of it may be on the disk: this session is never continued
            if not isinstance(error, Exception) and document.log.read(session.id, seq) is not None:
                document.again()
        if observer is not None:
            told(observer.committed, failed, started, document.state, drafts, actor, said, error)
        raise
    if intro is not None:
        document.session = document.state.sessions[session.id]
        document.seals.begin(session.id)
    if heavy:
        with suppress(StoreError):  # the write is made; it is sealed with the next
            document.seal()
    anew = renew(document) if document.state.stale and tired(document) else None
    if document.waiters or document.watches:
        document.tell((effect,), local=True, anew=anew)
    for waker in document.wakers:
        waker()
    if observer is not None:
        told(observer.committed, made, started, document.state, effect, said)
    if document.state.count >= document.checkpoints.due:
        document.checkpoints.soon()


def commit_one(
    document: Document, at: tuple[int, str], key: Any, frozen: Any, said: About | None, actor: Actor
) -> Entry | None:
    """Write one entry in place of the one under its key: as `commit` does, in half the time.

    Most writes are of this kind. None where there is more to it: a session to begin, others to merge with, somebody
    to tell, siblings, rules; then nothing has happened. The caller holds the lock.

    Args:
        document: where.
        at: the field.
        key: its key; of a counter, None.
        frozen: its value; of a counter, the amount.
        said: its attributes, which are light.
        actor: who writes it.
    """
    document.usable()
    session, state = document.session, document.state
    field: Any = state.fields.get(at)
    if (
        session is None
        or field is None
        or document.watches
        or document.observer is not None
        or document.inbox.newer is not None
    ):
        return None
    id = session.id
    kind, name = at
    if kind == COUNTER:
        key = id
    old = field.by_key.get(key)
    heads = state.heads
    if type(old) is tuple or field.mortal or field.notable or not state.plain:
        return None
    if len(heads) > 1 or id not in heads or state.stale:  # it merges
        return None
    amount = None
    removes: tuple[Any, ...] = ()
    if old is not None:
        key, removes = old.key, (old._id,)  # the key that is there already: another of its kind only takes room
    if kind == RECORDS:
        add: tuple[Any, ...] = (frozen, None, key)
    elif kind != COUNTER:
        add = (frozen,)
    else:
        amount = frozen
        frozen = amount if old is None else old._frozen + amount
        if not MIN_INT <= frozen <= MAX_INT:
            return None
        add, removes = (frozen,), ()
    seq = session.seq + 1
    hlc = document.clock.now()
    by = None if actor is document.actor or actor == document.actor else actor
    core, hash, digest = compose_one(state.namespace, id, seq, session.hash, hlc, by, kind, name, said, add, removes)
    seal = b"" if seq % SEAL_EVERY else document.vouch(hash)
    kept = _new(Record, (id, seq, hash, core, seal))
    stamp = Stamp(session, seq, hlc, by)
    try:
        document.log.append((kept,))
        heavy = document.seals.wrote(kept)
        state.follow(session, hash)
        entry: Entry = field.put((id, seq, 0), key, frozen, said, stamp, amount, digest, old)
    except BaseException as error:
        document.session = None  # half of it may be on the disk: this session is never continued
        if not isinstance(error, Exception) and document.log.read(id, seq) is not None:  # Ctrl-C: it is stored
            if session.seq < seq:
                state.follow(session, hash)
            if (id, seq, 0) not in field.by_id:
                field.put((id, seq, 0), key, frozen, said, stamp, amount, digest, old)
        raise
    if heavy:
        with suppress(StoreError):  # the write is made; it is sealed with the next
            document.seal()
    if document.waiters:
        document.wake()
    for waker in document.wakers:
        waker()
    if state.count >= document.checkpoints.due:
        document.checkpoints.soon()
    return entry


def _introduce(document: Document) -> tuple[Writer, Intro]:
    """A new session of ours, and its introduction."""
    intro = Intro(document.key, document.actor.agent, document.actor.role, os.urandom(16))
    id = session_id(document.namespace.digest, intro)
    return Writer(id, client_id(id), *intro[:3]), intro


def _deps(document: Document, session: bytes) -> tuple[Head, ...]:
    return tuple([Head(*head) for head in document.state.heads.values() if head[0] != session][-MAX_DEPS:])
