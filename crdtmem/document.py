"""One namespace inside one replica: its lock, log, state and door. Every change takes one path in, ours or foreign.

    a draft -> compose ----.
                            >-- store.append (one commit) -- state.apply -- watchers and waiters
    bytes -> inbox.admit --'

Invariants kept here: stored before seen (1); the verdict is the state's (4); nothing refused in silence (7);
an open change() block holds no lock (9); callbacks run outside it (10).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from crdtmem.change import Head, Intro, Version, compose, decode, record
from crdtmem.clock import Clock
from crdtmem.draft import Draft, Staged, build
from crdtmem.entry import About, Entry, Writer
from crdtmem.errors import NotReached, ReadOnly, UpgradeNeeded
from crdtmem.identity import Identity, client_id, session_id
from crdtmem.inbox import SEAL_EVERY, Inbox, Received, Refusal
from crdtmem.namespace import Namespace
from crdtmem.notify import Batch, Callback, Notifier, Watch
from crdtmem.state import Effect, State, walk
from crdtmem.store import Record, Store

log = logging.getLogger("crdtmem")
MAX_DEPS = 1000
_record = tuple.__new__  # a NamedTuple's own constructor costs three times as much


class Actor(NamedTuple):
    """Who writes: an agent, maybe in a role."""

    agent: str
    role: str | None = None


class Document:
    """The replicated state of one namespace.

    Args:
        namespace: the scope.
        store: where its log is kept.
        identity: the key that seals our changes.
        actor: the default author of this process.
        clock: stamps for our changes.
        notifier: runs callbacks.
        usable: raises when the replica may no longer be used.
    """

    def __init__(
        self,
        namespace: Namespace,
        store: Store,
        identity: Identity,
        actor: Actor,
        clock: Clock,
        notifier: Notifier,
        usable: Callable[[], None],
    ) -> None:
        self.namespace = namespace
        self.actor = actor
        self.lock = threading.RLock()
        self.refusals: deque[Refusal] = deque(maxlen=1000)
        self.usable = usable
        self._log = store.open(namespace)
        self._identity = identity
        self._clock = clock
        self._notifier = notifier
        self._watches: list[Watch] = []
        self._moved = threading.Condition(self.lock)
        self._waiters = 0
        self._session: Writer | None = None
        self._sealed: dict[bytes, int] = {}  # how far our sessions are sealed, where more may follow
        self.state = State(namespace.digest, self._log)
        self._load()
        self._inbox = Inbox(self.state)

    def _load(self) -> None:
        sealed: dict[bytes, int] = {}
        for kept in self._log.records():
            change = decode(record(kept.core, kept.seal))
            self._clock.saw(change.hlc)
            self.state.apply(change)
            if change.seal or change.seq == 1:
                sealed[change.session] = change.seq if change.seal else 0
        for id, seq in sealed.items():
            session = self.state.sessions[id]
            if session.key == self._identity.key and session.seq > seq:
                self._sealed[id] = seq
        self._seal()

    def now(self) -> float:
        """Seconds since 1970, to judge times to live by."""
        return self._clock.wall()

    # -- our own writes ----------------------------------------------------------------------------

    def draft(self, about: About | None) -> Draft:
        """An empty draft over this document, for a block."""
        self.usable()
        return Draft(self.state, self.lock, about)

    def commit(self, drafts: Iterable[Staged], said: About | None, actor: Actor, *, cites: bool) -> None:
        """Make the staged writes one change: stored, then applied, then told. If the store refuses, nothing happened.

        The caller holds the lock.
        """
        self.usable()
        if self._inbox.newer is not None:
            raise UpgradeNeeded(
                f"{self.namespace!r} holds changes of format {self._inbox.newer}, written by a newer crdtmem; "
                "upgrade this program to write (reading goes on)"
            )
        session, intro = (self._session, None) if self._session is not None else self._introduce()
        seq = session.seq + 1
        staged: list[list[Entry]] = []
        change = None
        try:
            parts = build(drafts, said, session, seq, staged, cites=cites)
            if not parts:
                return
            change = compose(
                self.namespace.digest,
                session.id,
                seq,
                session.hash,
                () if len(self.state.heads) == 1 and session.id in self.state.heads else self._deps(session.id),
                intro,
                self._clock.now(),
                None if actor is self.actor or actor == self.actor else actor,
                parts,
            )
            self._log.append([_record(Record, (session.id, seq, change.hash, change.core, change.seal))])
        except BaseException:
            for entries in staged:
                for entry in entries:
                    entry._id = None
            if change is not None:
                self._session = None  # half of it may be on the disk: this session is never continued
            raise
        effect = self.state.apply(change, staged)
        if intro is not None:
            self._session = self.state.sessions[session.id]
            self._sealed[session.id] = 0
        if self._waiters or self._watches:
            self._tell((effect,), local=True)

    def _introduce(self) -> tuple[Writer, Intro]:
        """A new session of ours, and its introduction."""
        intro = Intro(self._identity.key, self.actor.agent, self.actor.role, os.urandom(16))
        id = session_id(self.namespace.digest, intro)
        return Writer(id, client_id(id), *intro[:3]), intro

    def _deps(self, session: bytes) -> tuple[Head, ...]:
        return tuple([Head(*head) for head in self.state.heads.values() if head[0] != session][-MAX_DEPS:])

    # -- foreign bytes -----------------------------------------------------------------------------

    def receive(self, records: Iterable[bytes], sender: str) -> Received:
        """The only door for foreign bytes. Never raises on them."""
        with self.lock:
            self.usable()
            changes, refused = self._inbox.admit(records, sender)
            if changes:
                try:
                    self._log.append([_record(Record, (c.session, c.seq, c.hash, c.core, c.seal)) for c in changes])
                except BaseException:
                    self._inbox.keep(changes, sender)
                    raise
                if not self._clock.saw(max([change.hlc for change in changes])):
                    for change in changes:
                        if not self._clock.saw(change.hlc):
                            log.warning(
                                "a change of %s is stamped far ahead of this clock; it holds, and is not followed",
                                change.session.hex(),
                            )
                effects: list[Effect] = []
                told = self._waiters or self._watches
                for change in changes:
                    effect = self.state.apply(change)
                    if effect[4]:
                        refused += [Refusal(f"void: {why}", change.session, change.seq) for why in effect.void]
                    if told:
                        effects.append(effect)
                if told:
                    self._tell(effects, local=False)
            self.refusals.extend(refused)
            missing = self._inbox.missing() if len(self._inbox) else ()
            return Received(len(changes), len(self._inbox), tuple(refused), missing)

    def send(self, since: Version | None) -> list[bytes]:
        """The records that a replica at `since` lacks, in causal order. Seals our newest change first: a flush."""
        with self.lock:
            self.usable()
            self._seal()
            if since is None or not since.heads:
                return [record(kept.core, kept.seal) for kept in self._log.records()]
            _, beyond = self._back(since)
            return [record(kept.core, kept.seal) for kept in reversed(beyond)]

    def _seal(self) -> None:
        """Seal what we wrote since the last flush: its newest change, and every 64th on the way."""
        for id, sealed in list(self._sealed.items()):
            newest = self.state.sessions[id].seq
            for seq in range(sealed + 1, newest + 1):
                if seq % SEAL_EVERY == 0 or seq == newest:
                    hash = self.state.hash_of(id, seq)
                    assert hash is not None
                    self._log.seal(id, seq, self._identity.sign(hash))
            self._sealed[id] = newest
            if self._session is None or self._session.id != id:
                del self._sealed[id]

    # -- versions ----------------------------------------------------------------------------------

    def reached(self, version: Version) -> bool:
        """Whether all of this version is here."""
        return all(self.state.hash_of(head[0], head[1]) == head[2] for head in version.heads)

    def wait(self, version: Version, timeout: float | None) -> None:
        """Block until this version is here."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._moved:
            self._waiters += 1
            try:
                while not self.reached(version):
                    self.usable()
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        raise NotReached(
                            f"{self.namespace!r} has not reached that version after {timeout:g} s; "
                            "is a Peer connected to whoever wrote it?"
                        )
                    self._moved.wait(left)
            finally:
                self._waiters -= 1

    def disown(self) -> None:
        """In a forked child: whoever holds the lock is not here to release it."""
        self.lock = threading.RLock()
        self._moved = threading.Condition(self.lock)

    def close(self) -> None:
        """Seal what we wrote: the next replica over this store may have another key."""
        with self.lock:
            self._seal()

    def wake(self) -> None:
        """Let waiters look again: the replica has been closed."""
        with self._moved:
            self._moved.notify_all()

    def past(self, version: Version) -> dict[bytes, int]:
        """How far each session had come in this version.

        Raises:
            NotReached: this replica has not seen it.
        """
        with self.lock:
            if not self.reached(version):
                raise NotReached(
                    f"{self.namespace!r} has not reached that version yet; memory.wait(version) waits for it"
                )
            return self._back(version)[0]

    def _back(self, version: Version) -> tuple[dict[bytes, int], list[Record]]:
        """How far each session had come in a version, and what is kept beyond it, newest first.

        Walks the log back only as far as the two differ. Heads that are not here say nothing: all that only they
        could tell is in the version counts as beyond it.
        """
        latest = {session.id: session.seq for session in self.state.sessions.values()}
        if version.heads == self.state.version.heads:
            return latest, []
        marks = {head[0]: head[1] for head in version.heads if self.state.hash_of(head[0], head[1]) == head[2]}
        beyond = walk(self._log, latest, marks)
        return marks, beyond

    def at(self, version: Version) -> State:
        """The state as of a version, made anew from the log."""
        with self.lock:
            past = self.past(version)
            state = State(self.namespace.digest, self._log)
            for kept in self._log.records():
                if kept.seq <= past.get(kept.session, 0):
                    state.apply(decode(record(kept.core, kept.seal)))
            return state

    # -- watchers ----------------------------------------------------------------------------------

    def watch(self, callback: Callback, fields: Collection[str] | None) -> Watch:
        """Register a callback."""
        with self.lock:
            self.usable()
            watch = Watch(callback, fields, self._unwatch)
            self._watches = [*self._watches, watch]
            return watch

    def _unwatch(self, watch: Watch) -> None:
        with self.lock:
            self._watches = [other for other in self._watches if other is not watch]

    def _tell(self, effects: Sequence[Effect], *, local: bool) -> None:
        if self._waiters:
            self._moved.notify_all()
        if self._watches:
            batch = Batch(
                self.state.version,
                frozenset(part.field for effect in effects for part in effect.change.parts),
                tuple(entry for effect in effects for entry in effect.added),
                tuple(entry for effect in effects for entry in effect.removed),
                len(effects),
                local,
            )
            for watch in self._watches:
                if watch.wants(batch):
                    self._notifier.put(watch, batch)


class Pinned:
    """A document as of one version: it answers, and refuses every write."""

    def __init__(self, document: Document, version: Version) -> None:
        self.namespace = document.namespace
        self.actor = document.actor
        self.lock = threading.RLock()
        self.version = version
        self.state = document.at(version)
        self.usable = document.usable
        self.past = document.past

    def now(self) -> float:
        """A pinned memory shows what stood there, also what has since outlived its time."""
        return 0.0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise ReadOnly("this memory is pinned at a version; write to, or ask, the memory it was taken from")
