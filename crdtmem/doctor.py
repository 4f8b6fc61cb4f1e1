"""The doctor: looks at a memory, and says what is wrong or about to go wrong, against which limit, and what to do.

It reads and never writes: no session, no entry, no checkpoint; so it may look at a file beside its owner. What it
cannot know it does not say: who reads leaves no trace, and when a change arrived nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Unpack

from crdtmem.errors import MisuseError, StoreError
from crdtmem.health import BAD, LIMITS, NOTE, OK, WARN, Health, Limits, Sign, some
from crdtmem.live import Live, live
from crdtmem.past import Pinned
from crdtmem.recent import Recent, recent
from crdtmem.retention import prunable
from crdtmem.trail import followed

if TYPE_CHECKING:
    from crdtmem.memory import Memory

_FEW = 200  # changes: of fewer, shares say nothing


_OLD = timedelta(days=90)


def examine(
    memory: Memory,
    *,
    window: int = 10_000,
    peers: Mapping[str, int] | None = None,
    alert: Callable[[Health], object] | None = None,
    **limits: Unpack[Limits],
) -> Health:
    """Look at a memory. Nothing is changed by it; it takes some 2 us a change, and 10 for those in the window.

    Args:
        memory: the memory, open to write or to read.
        window: so many of its newest changes are looked at closely: who wrote them, where, when, why.
        peers: how many changes each connected peer has not been sent: `peer.behind()`.
        alert: called if, and only if, something is to be told: a limit is passed, or something is broken.
        limits: others than the usual ones, by name: see Limits.

    >>> from crdtmem import Replica
    >>> ann, bob = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="acme")
    >>> _ = ann.register("status").assign("open"), bob.register("status").assign("closed")
    >>> _ = ann.receive(bob.changes())
    >>> health = examine(ann, conflicts=0)
    >>> [(sign.subject, sign.level, sign.figure) for sign in health.alerts]
    [('conflicts', 'warn', 1)]
    """
    unknown = limits.keys() - LIMITS.keys()
    if unknown:
        raise MisuseError(f"no limit is called {sorted(unknown)[0]!r}; there are {', '.join(LIMITS)}")
    if isinstance(memory._document, Pinned):
        raise MisuseError("the doctor looks at a memory as it is; this one is pinned by at()")
    version = memory.version
    found = _Examined(memory, window, dict(peers or {}), {**LIMITS, **limits})  # type: ignore[dict-item]
    health = Health(memory.namespace, version, tuple(found.signs()))
    if alert is not None and health.alerts:
        alert(health)
    return health


class _Examined:
    """One memory, looked at once; each method below tells of one subject."""

    def __init__(self, memory: Memory, window: int, peers: dict[str, int], limits: dict[str, float]) -> None:
        self.memory = memory
        self.document = memory._document
        self.peers = peers
        self.limits = limits
        self.log: Recent = recent(memory, window)
        self.live: Live = live(memory)
        self.now = self.document.now()

    def signs(self) -> Iterator[Sign]:
        """All of them."""
        for look in (
            *(self.integrity, self.format, self.sessions_forked, self.checkpoint, self.growth, self.old, self.context),
            *(self.hot, self.contested, self.clocks, self.waiting, self.lagging, self.conflicts, self.findings),
            *(self.tainted, self.single, self.reasons, self.unread, self.sessions),
        ):
            yield from look()

    def _sign(self, subject: str, figure: float, says: str, advice: str, *, past: str = WARN) -> Iterator[Sign]:
        """A figure held against its limit; the advice is given where it is passed."""
        limit = self.limits[subject]
        over = figure > limit
        yield Sign(subject, past if over else OK, says, figure, limit, advice if over else "")

    # -- the store ---------------------------------------------------------------------------------

    def integrity(self) -> Iterator[Sign]:
        damage = self.memory.damage
        aside = getattr(self.document.log, "set_aside", lambda: 0)()
        if damage:
            says = f"{len(damage)} damaged, the first: {damage[0].reason}"
            advice = "Connect a peer that has it, or bring in an archive: it is asked for by itself. Look at the disk"
            yield Sign("integrity", BAD, says, len(damage), 0, advice)
        elif self.document.state.stale:
            says = "a cut or a fork waits for damaged changes, so what is shown is not as it will be"
            yield Sign("integrity", BAD, says, advice="Connect a peer that has them")
        elif aside:
            says = f"whole: {some(self.log.records, 'change')}; damaged once, and back: {aside}"
            yield Sign(
                "integrity", NOTE, says, aside, 0, "A disk that lied once may do so again: keep a second replica"
            )
        else:
            yield Sign("integrity", OK, f"whole: {some(self.log.records, 'change')} in {_bytes(self.log.size)}")

    def format(self) -> Iterator[Sign]:
        newer = self.document.inbox.newer
        if newer is not None:
            says = f"changes of format {newer} have come, which this program cannot read"
            yield Sign("format", BAD, says, newer, 1, "Upgrade crdtmem here; until then this memory can only be read")

    def sessions_forked(self) -> Iterator[Sign]:
        forked = self.memory.equivocations
        if forked:
            names = ", ".join(sorted({one.by for one in forked}))
            says = f"two histories were written by {some(len(forked), 'session')} of {names}; what came behind is void"
            advice = (
                "A store or a process was copied while it ran, or somebody cheats: give each copy a file of its own"
            )
            yield Sign("forks", WARN, says, len(forked), 0, advice)

    def checkpoint(self) -> Iterator[Sign]:
        kept = self.memory.checkpoints
        behind = self.document.state.count - (kept[0].changes if kept else 0)
        if kept:
            age = _span(max(0.0, self.now - kept[0].at.timestamp()))
            says = f"the newest is {age} old and has {_bytes(kept[0].size)}; behind it: {some(behind, 'change')}"
        else:
            says = f"none yet; opening applies {some(behind, 'change')}"
        advice = (
            f"Opening takes about {behind / 100_000:.1f} s more than it need: crdtmem checkpoint, memory.checkpoint()"
        )
        yield from self._sign("checkpoint", behind, says, advice)

    def growth(self) -> Iterator[Sign]:
        log, entries = self.log, max(1, self.live.entries)
        ratio = log.records / entries
        says = f"{some(log.records, 'change')} for {some(self.live.entries, 'live entry')}"
        says += f", {log.size / entries:,.0f} bytes of log each"
        if log.days > 0.5:
            says += f"; {log.changes / log.days:,.0f} changes a day"
        advice = "Most of the file is history: crdtmem prune FILE --older-than 30d, once all replicas have it"
        few = log.records < 100 * _FEW
        yield from self._sign("growth", 0 if few else ratio, says, advice)

    def old(self) -> Iterator[Sign]:
        try:
            found = prunable(self.document, self.now - _OLD.total_seconds())
        except MisuseError:
            if self.log.size > self.limits["old"]:
                says = f"{_bytes(self.log.size)} of history, of which nothing is settled"
                yield Sign(
                    "old", NOTE, says, self.log.size, self.limits["old"], "Its owner settles first: memory.settle()"
                )
            return
        except StoreError:
            return
        size = self.log.size * found / max(1, self.log.records)
        says = f"older than {_OLD.days} days: {some(found, 'change')}, about {_bytes(size)}"
        advice = f"Where all replicas have them: crdtmem prune FILE --older-than {_OLD.days}d"
        yield from self._sign("old", size, says, advice, past=NOTE)

    def context(self) -> Iterator[Sign]:
        need, limit = self.live.tokens, self.limits["context"]
        says = f"a view of everything takes about {need:,} tokens"
        rate = self.live.lately / 7
        if need <= limit < need + 30 * rate:
            says += f"; at {rate:,.0f} more a day it passes {limit:,.0f} in {(limit - need) / rate:.0f} days"
            yield Sign("context", NOTE, says, need, limit, "Have old entries summed up before that, or read by topic")
            return
        advice = "A view must leave things out: sum up what is old in entries that cite it, or ask View(about=...)"
        yield from self._sign("context", need, says, advice, past=NOTE if need <= 10 * limit else WARN)

    # -- who writes, and where ---------------------------------------------------------------------

    def hot(self) -> Iterator[Sign]:
        log = self.log
        if log.changes < _FEW:
            return
        [(name, count)] = log.fields.most_common(1)
        says = f"{name!r} is touched by {count / log.changes:.0%} of the last {log.changes:,} changes"
        advice = (
            "Write it when it has changed, and counters in larger steps; several writes in one change() cost as one"
        )
        yield from self._sign("hot", count / log.changes, says, advice, past=NOTE)

    def contested(self) -> Iterator[Sign]:
        settled = [(count / self.log.fields[name], name) for name, count in self.log.settled.items()]
        share, name = max([one for one in settled if self.log.fields[one[1]] >= _FEW // 10], default=(0.0, ""))
        if name:
            says = f"{share:.0%} of the writes to {name!r} had to settle values written side by side"
            advice = "Let one agent write it, or give each a key of its own in records, or claim the work first"
            yield from self._sign("contested", share, says, advice)

    def clocks(self) -> Iterator[Sign]:
        ahead, agent = self.log.ahead
        behind, early, late = self.log.behind
        figure, limit = max(ahead, behind), self.limits["skew"]
        if figure <= limit:
            yield Sign("skew", OK, "no clock is seen to be wrong", round(figure, 3), limit)
            return
        if ahead >= behind:
            says = f"{agent!r} stamps {_span(ahead)} ahead of this clock"
        else:
            says = f"{early!r} stamps {_span(behind)} later than {late!r}, who had seen it already"
        advice = "Set that clock (NTP): times in the audit are its own, and what it writes counts as the latest"
        yield Sign("skew", WARN, says, round(figure, 3), limit, advice)

    def single(self) -> Iterator[Sign]:
        log = self.log
        if log.changes < _FEW:
            return
        [(agent, count)] = log.agents.most_common(1)
        share = count / log.changes
        most = log.keys.most_common(1)[0][1] / log.changes
        if share > self.limits["single"]:
            says = f"{agent!r} made {share:.0%} of the last {log.changes:,} changes: this memory has one writer"
            advice = (
                "If it is meant so, one file and SqliteStore(path, readonly=True) for the readers do, without a Peer"
            )
        elif most > self.limits["single"]:
            says = f"{len(log.agents)} agents of one process made {most:.0%} of the last {log.changes:,} changes"
            advice = "One replica with acting_as(...) is enough for them: no Peer, no relay"
        else:
            says = f"{agent!r} made {share:.0%} of the last {log.changes:,} changes, {len(log.agents)} agents the rest"
            advice = ""
        figure = max(share, most)
        yield Sign("single", NOTE if advice else OK, says, round(figure, 4), self.limits["single"], advice)

    def reasons(self) -> Iterator[Sign]:
        log = self.log
        if log.changes >= _FEW:
            says = f"{log.silent / log.changes:.0%} of the last {log.changes:,} changes give no reason"
            advice = "An audit without reasons tells who and when alone: give why=, or change(why=...) around several"
            yield from self._sign("reasons", log.silent / log.changes, says, advice, past=NOTE)

    def unread(self) -> Iterator[Sign]:
        """Of those who read beside the owner of a file nothing is known, so this speaks of its owner alone."""
        upto = followed(self.document.log, self.document.state.namespace)
        if upto is None:
            return
        behind = max(0, self.document.log.newest - upto)
        says = f"since whoever writes this file last asked its audit: {some(behind, 'change')}"
        advice = "Look at what agents do before somebody asks: crdtmem timeline FILE, memory.audit(last=50)"
        yield from self._sign("unread", behind, says, advice, past=NOTE)

    def sessions(self) -> Iterator[Sign]:
        count, heads = len(self.document.state.sessions), len(self.document.state.heads)
        says = f"written by {some(count, 'session')}; {heads:,} of them not followed by others yet"
        advice = "Each start of a process that writes is one: keep one process running, or hand writes to it"
        yield from self._sign("sessions", count, says, advice)

    # -- others, and what is open --------------------------------------------------------------------

    def waiting(self) -> Iterator[Sign]:
        owed, waits = self.memory.owed, self.document.waiting
        if owed:
            says = f"known by a checkpoint alone: {some(owed, 'change')}; the history is on its way"
            yield Sign("history", NOTE, says, owed, 0, "Keep a Peer running until it is here")
        if waits:
            says = f"waiting for others that have not come: {some(waits, 'change')}"
            advice = "Connect a peer that has them: the newest are of no use before"
            yield Sign(
                "waiting", WARN if waits > self.limits["behind"] else NOTE, says, waits, self.limits["behind"], advice
            )
        refused = self.memory.refusals
        if refused:
            says = f"refused since this was opened: {some(len(refused), 'change')}, the last: {refused[-1].reason}"
            yield Sign("refused", NOTE, says, len(refused), 0, "See memory.refusals; who sent them is in peer.watch()")

    def lagging(self) -> Iterator[Sign]:
        if self.peers:
            name, count = max(self.peers.items(), key=lambda one: one[1])
            says = f"{len(self.peers)} connected, {name!r} has {some(count, 'change')} still to be sent"
            advice = "It reads more slowly than the team writes: look at its machine, its disk and the line to it"
            yield from self._sign("behind", count, says, advice)

    def conflicts(self) -> Iterator[Sign]:
        yield self._open("conflicts", self.live.conflicts, "Settle them: crdtmem conflicts FILE, crdtmem resolve")

    def findings(self) -> Iterator[Sign]:
        yield self._open("findings", self.live.findings, "Settle them: crdtmem check FILE, crdtmem resolve")

    def _open(self, subject: str, since: list[float], advice: str) -> Sign:
        limit = self.limits[subject]
        if not since:
            return Sign(subject, OK, "none open", 0, limit)
        age = max(0.0, self.now - min(since))
        says = f"{len(since):,} open, the oldest for {_span(age)}"
        return Sign(subject, WARN if age > limit or not limit else NOTE, says, len(since), limit, advice)

    def tainted(self) -> Iterator[Sign]:
        count = self.live.tainted
        says = f"resting on what was retracted: {some(count, 'live entry') if count else 'nothing live'}"
        advice = "See each with crdtmem explain; retract or replace it, or affirm what holds all the same"
        yield from self._sign("tainted", count, says, advice)


def _bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError(size)


def _span(seconds: float) -> str:
    """A span of time, in its largest unit.

    >>> _span(30), _span(5400), _span(200000)
    ('30 s', '1.5 h', '2.3 days')
    """
    for most, unit, size in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}" if unit == "s" else f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"
