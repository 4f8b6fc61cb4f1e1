"""One namespace inside one replica: its lock, log, state and door. Every change takes one path in, ours or foreign.

    a draft -> compose ----.    (writing.py)
                            >-- store.append (one commit) -- state.apply -- watchers and waiters
    bytes -> inbox.admit --'    (receiving.py)

Invariants kept here: stored before seen (1); the verdict is the state's (4); an open change() block holds no
lock (9); callbacks run outside it (10).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from crdtmem import asof, base, forks, recovery
from crdtmem.audit import Audit
from crdtmem.change import Version, decode
from crdtmem.checkpoint import Checkpoints
from crdtmem.clock import Clock, moment
from crdtmem.draft import Draft
from crdtmem.entry import About, Writer
from crdtmem.errors import NotReached, StoreError
from crdtmem.forks import Equivocation, Fork
from crdtmem.identity import Identity
from crdtmem.inbox import Inbox, Refusal
from crdtmem.kept import Kept
from crdtmem.namespace import Namespace
from crdtmem.notify import Batch, Callback, Notifier, Watch
from crdtmem.observer import Observer, told
from crdtmem.owed import Owed
from crdtmem.quota import Pace
from crdtmem.rebuild import Renewed, renew
from crdtmem.receiving import receive
from crdtmem.recovery import collection_paused
from crdtmem.seals import Seals
from crdtmem.snapshot import Snapshot
from crdtmem.state import Effect, State, introduced
from crdtmem.store import Damage, Record, Store

log = logging.getLogger("crdtmem")
MAX_DEPS = 1000
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


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
        checkpoints: whether to make them as the log grows.
        state: what the changes add up to; another kind than usual begins without checkpoints.
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
        *,
        checkpoints: bool = True,
        state: type[State] = State,
    ) -> None:
        self.namespace = namespace
        self.actor = actor
        self.lock = threading.RLock()
        self.refusals: deque[Refusal] = deque(maxlen=1000)
        self.usable = usable
        self.log = store.open(namespace)
        every = checkpoints and self.log.writable
        self.checkpoints = Checkpoints(self.log, self.lock, self._snapshot, by_itself=every)
        self._kind = state
        self.checkpoints.owner = namespace.owner
        self._identity = identity
        self.clock = clock
        self._notifier = notifier
        self.watches: list[Watch] = []
        self.wakers: list[Callable[[], None]] = []
        self._moved = threading.Condition(self.lock)
        self.waiters = 0
        self.session: Writer | None = None
        self.torn = False  # whether Ctrl-C came between storing and applying, so the state is not what the log says
        self.forks: dict[bytes, Fork] = {}
        self.pace = Pace()
        self.patience = 0.0  # not before this moment the stale state is tried to be made anew once more
        self.observer: Observer | None = None
        self.kept = Kept()
        self.owed: Owed | None = None  # history that is still to come
        self.anew = 0  # how often the log has begun anew
        self._read_upto = self.log.newest  # of a log that is only read
        self._load()
        self.checkpoints.at_opening(self.state)
        self.audit = Audit(namespace, self.log, self.state, self.past)

    def _load(self) -> None:
        with collection_paused():  # all that is made here stays; to look through it again and again doubles the time
            try:
                found = self._resumed()
            except StoreError:  # it met damage that nobody knew of; now that it is known, the way leads around it
                found = self._resumed()
        sessions = self.state.sessions
        mine = self._identity.key
        sealed = {id: seq for id, seq in found.sealed.items() if id in sessions and sessions[id].key == mine}
        self.seals = Seals(self.log, self._identity, sealed)
        self.inbox = Inbox(self.state)
        for fork in self.forks.values():
            self.inbox.rivals.keep(fork)
        self._lost = tuple(
            Damage("intact, but it rests on a change that is damaged", kept.session, kept.seq) for kept in found.astray
        )
        self.owe()
        for damage in self.log.damage:
            log.warning("%r: %s", self.namespace, damage.reason)
        if self.log.writable:
            receive(self, recovery.set_aside(self.state, self.log, found.astray, self._identity), "")
            self.seal()
            self._recall()

    def again(self) -> None:
        """Make of the log anew what Ctrl-C left half done."""
        self.torn, self.session = True, None
        waiting = self.inbox.held()
        self._load()
        self.audit = Audit(self.namespace, self.log, self.state, self.past)
        for sender, records in waiting.items():
            with suppress(StoreError):  # then they wait
                receive(self, records, sender)
        self.torn = False

    def owe(self) -> None:
        """See what history is still to come."""
        self.owed = Owed.read(self.log, self.state)
        if self.owed is not None:
            self.clock.saw(self.owed.hlc)

    def go_on(self) -> None:
        """The state has become another: our session is the one it knows, if it does."""
        if self.session is not None:
            self.session = self.state.sessions.get(self.session.id)

    def _resumed(self) -> recovery.Resumed:
        self.forks = {fork.session: fork for fork in forks.kept(self.log)}
        for fork in self.forks.values():
            if self.log.writable:
                self.log.cut(fork.session, fork.seq)  # the process may have died before it did
        empty = self._kind(self.namespace.digest, self.log, self.namespace.owner)
        found = None
        if self._kind is State:
            found = self.checkpoints.newest(self.namespace.digest, self._holds_no_fork)
        if found is None:
            found = (*(base.read_if_any(self.log, empty) or (empty, 0)), 0)
        self.state, place, hlc = found
        for fork in self.forks.values():
            self.state.fork(fork.session, fork.seq)
        self.checkpoints.done(self.state)
        self.clock.saw(hlc)
        resumed = recovery.resume(self.state, self.log, place, self.clock)
        if self.state.stale and renew(self) is not None:
            self.checkpoints.soon_due()
        return resumed

    def _recall(self) -> None:
        """What our key has written in the last minute counts against its quota, whichever process wrote it."""
        trust = self.state.trust
        rules = None if trust is None else trust.rules
        if rules is None or (rules.changes_per_minute is None and rules.bytes_per_minute is None):
            return
        lately: list[tuple[float, int]] = []
        for _, kept in self.log.backwards():
            at = moment(kept.gist.hlc).timestamp()
            if at < self.now() - 60:
                break
            if self.state.sessions[kept.session].key == self.key:
                lately.append((at, len(kept.core)))
        for at, size in reversed(lately):
            self.pace.owed(rules, now=at, size=size)

    def _holds_no_fork(self, past: State) -> bool:
        sessions = past.sessions
        return all(
            fork.session not in sessions or sessions[fork.session].seq < fork.seq for fork in self.forks.values()
        )

    def _snapshot(self) -> tuple[Snapshot, int, int]:
        """The state, the place of the last record in it, and a stamp above all in it; sealed as far as it goes."""
        with self.lock:
            self.usable()
            self.seal()
            return Snapshot(self.state), self.log.newest, self.clock.now()

    @property
    def key(self) -> bytes:
        """The key that seals our changes."""
        return self._identity.key

    def now(self) -> float:
        """Seconds since 1970, to judge times to live by."""
        return self.clock.wall()

    def stamp(self) -> int:
        """A stamp above all that is here."""
        return self.clock.now()

    def vouch(self, hash: bytes) -> bytes:
        """Our signature."""
        return self._identity.sign(hash)

    # -- our own writes ----------------------------------------------------------------------------

    def draft(self, about: About | None) -> Draft:
        """An empty draft over this document, for a block."""
        self.usable()
        return Draft(self.state, self.lock, about)

    # -- what waits, and what is known to be wrong -------------------------------------------------

    def proofs(self) -> list[bytes]:
        """The records that prove which sessions were forked; they are not in the log, and go out beside it."""
        with self.lock:
            return [data for fork in self.forks.values() for data in fork.records]

    def equivocations(self) -> tuple[Equivocation, ...]:
        """The sessions that are known to have been forked."""
        found = []
        for fork in self.forks.values():
            writer = self.state.sessions.get(fork.session) or introduced(decode(fork.one[0]))
            found.append(Equivocation(writer.agent, writer.key, fork.session, fork.seq))
        return tuple(found)

    @property
    def waiting(self) -> int:
        """How many received changes wait for others."""
        return len(self.inbox)

    def waits_only_from(self, sender: str) -> bool:
        """Whether all changes that wait came from this sender."""
        return self.inbox.only_from(sender)

    def late(self) -> list[tuple[bytes, int]]:
        """Of what was received last, the changes that wait for others."""
        return self.inbox.late()

    def missing(self) -> tuple[tuple[bytes, int], ...]:
        """What to ask others for: what waiting changes rest on, and what was found damaged."""
        damaged = [(broken.session, broken.seq) for broken in self.log.damage if broken.session and broken.seq]
        rivals = self.inbox.rivals
        return tuple(sorted({*self.inbox.missing(), *damaged, *(rivals.gaps(self.state) if len(rivals) else ())}))

    def damage(self) -> tuple[Damage, ...]:
        """What was found broken in the store and is not back yet."""
        with self.lock:
            self.usable()
            sessions = self.state.sessions
            self._lost = tuple(  # without what has come back
                [lost for lost in self._lost if lost.session not in sessions or sessions[lost.session].seq < lost.seq]  # type: ignore[operator]
            )
            return (*self._lost, *self.log.damage)

    # -- handing out -------------------------------------------------------------------------------

    def send(self, since: Version | None) -> list[bytes]:
        """The records that a replica at `since` lacks, in causal order. Seals our newest change first: a flush."""
        with self.lock:
            self.usable()
            self.seal()
            found = [kept.data for kept in asof.unseen(self, since)] + self.proofs()
            if self.observer is not None:
                told(self.observer.sent, sum, [len(data) for data in found])
            return found

    def flush(self) -> None:
        """Seal what we wrote, for good."""
        with self.lock:
            self.usable()
            self.seal()

    def ready(self) -> int:
        """Seal what we wrote, so that `between` and `find` can hand it out; the place of the newest record."""
        with self.lock:
            self.usable()
            self.seals.sign(self.state.sessions, self.session)
            return self.log.newest

    def between(self, after: int, upto: int, size: int) -> tuple[tuple[Record, ...], int]:
        """The records behind one place, up to another or to so many bytes but at least one; and how far these go."""
        with self.lock:
            found: list[Record] = []
            reached = after
            for place, kept in self.seals.between(after, upto):
                size -= len(kept.core) + 72
                if found and size < 0:
                    return tuple(found), reached
                found.append(kept)
                reached = place
            return tuple(found), upto

    def find(self, session: bytes, seq: int) -> Record | None:
        """One record, if it is here."""
        with self.lock:
            kept = self.log.read(session, seq)
            return None if kept is None else self.seals.sealed(kept)

    def wake_up(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Have this called after every change of ours and every received batch, under the lock; gives what ends it."""
        with self.lock:
            self.wakers = [*self.wakers, waker]

        def end() -> None:
            with self.lock:
                self.wakers = [other for other in self.wakers if other is not waker]

        return end

    def seal(self) -> None:
        """Seal what we wrote, for good."""
        self.seals.seal(self.state.sessions, self.session)

    def keep_seal(self) -> None:
        """Store the seal that is not stored yet, if there is one."""
        with self.lock:
            self.seals.keep()

    def refresh(self) -> bool:
        """For a reader of a log that another process writes: take in what came since; whether there was anything.

        Where the log is another than what was read, because some was pruned, cut off or begun anew, all is read again.
        """
        with self.lock:
            self.usable()
            if self.log.writable:
                return False
            newest, forked = self.log.newest, {fork.session for fork in forks.kept(self.log)}
            if newest == self._read_upto and forked == self.forks.keys():
                return False
            before, seen = self.state.count, [self.log.place_of(*head[:2]) for head in self.state.heads.values()]
            self._read_upto = newest
            if None not in seen and forked == self.forks.keys():
                found = recovery.resume(self.state, self.log, max(filter(None, seen), default=0), self.clock)
                if self.state.count > before and not found.astray and not self.state.stale:
                    return True
            self.anew += 1
            self._load()
            self.audit = Audit(self.namespace, self.log, self.state, self.past)
            return True

    # -- versions ----------------------------------------------------------------------------------

    def reached(self, version: Version) -> bool:
        """Whether all of this version is here."""
        return all(self.state.has(*head) for head in version.heads)

    def wait(self, version: Version, timeout: float | None) -> None:
        """Block until this version is here."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._moved:
            self.waiters += 1
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
                self.waiters -= 1

    def disown(self) -> None:
        """In a forked child: whoever holds the lock is not here to release it."""
        self.lock = threading.RLock()
        self._moved = threading.Condition(self.lock)

    def close(self) -> None:
        """Seal what we wrote: the next replica over this store may have another key."""
        self.checkpoints.join()
        with self.checkpoints.making, self.lock:
            self.seal()
            self.checkpoints.at_close(self.state)

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
            return asof.seen(self, version)[0]

    # -- watchers ----------------------------------------------------------------------------------

    def watch(self, callback: Callback, fields: Collection[str] | None) -> Watch:
        """Register a callback."""
        with self.lock:
            self.usable()
            watch = Watch(callback, fields, self._unwatch)
            self.watches = [*self.watches, watch]
            return watch

    def _unwatch(self, watch: Watch) -> None:
        with self.lock:
            self.watches = [other for other in self.watches if other is not watch]

    def tell(self, effects: Sequence[Effect], *, local: bool, anew: Renewed | None = None) -> None:
        """Wake who waits, and hand watchers what happened."""
        if self.waiters:
            self._moved.notify_all()
        if self.watches and (effects or anew is not None):
            batch = (
                anew.batch(self.state, effects, local=local) if anew is not None else _told(self.state, effects, local)
            )
            for watch in self.watches:
                if watch.wants(batch):
                    self._notifier.put(watch, batch)


def _told(state: State, effects: Sequence[Effect], local: bool) -> Batch:  # noqa: FBT001
    """What some changes did."""
    return Batch(
        state.version,
        frozenset(part.field for effect in effects for part in effect.change.parts),
        tuple(entry for effect in effects for entry in effect.added),
        tuple(entry for effect in effects for entry in effect.removed),
        len(effects),
        local,
        state.find({id for effect in effects for id in effect.tainted}),
    )
