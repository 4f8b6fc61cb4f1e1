"""All connections of one peer, without a network: what is shared on them, what happens to whom, who is there.

The same hub is run over websockets by a Peer, over pairs in tests, and over a faulty network in the simulation: it is
told what arrives and when time passes, and gives the bytes that are to go out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from crdtmem.errors import StoreError, ValueRefused
from crdtmem.feed import Feed, Pruned
from crdtmem.namespace import Namespace
from crdtmem.sync.access import EVERYTHING, Grant, Refused
from crdtmem.sync.frames import MAX_RECORDS, Changes, Hello, Here, Presence, Welcome
from crdtmem.sync.link import Link
from crdtmem.sync.news import News
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.presence import Present, Roll, in_frames
from crdtmem.sync.session import Event, Greeted, Heard, Session, Welcomed

RENEW = 10.0  # seconds between what a peer says of its own agents; it holds for three times as long
CALM = 10.0  # seconds without a failure, and what failed works again


class Hub:
    """One peer.

    Args:
        id: 16 bytes, its own for as long as it lives.
        name: what it calls itself.
        tell: takes news.
        admit: what whoever says Hello may do, and what to answer; or Refused.
        ends: why what was granted counts no longer, or None.
        find: for a peer that shares nothing of its own accord: the feed of a namespace that somebody asks for who may
            read it, and maybe write to it; None if there is none.
        trust: the keys whose checkpoints are taken.
    """

    def __init__(
        self,
        id: bytes,
        name: str,
        tell: Callable[[News], None],
        admit: Callable[[Hello], tuple[Grant, str | None]] = lambda hello: (EVERYTHING, None),
        ends: Callable[[Grant], str | None] = lambda grant: None,
        find: Callable[[Namespace, bool], Feed | None] | None = None,
        trust: Iterable[bytes] = (),
    ) -> None:
        self.id = id
        self.name = line("name", name)
        self.outlets: dict[bytes, Outlet] = {}
        self.links: dict[Link, None] = {}
        self.spoken: set[Link] = set()  # on these something was said that nobody there had asked for
        self._tell = tell
        self._admit = admit
        self._ends = ends
        self._find = find
        self._trust = frozenset(trust)
        self.whole: Callable[[Outlet], None] = lambda outlet: self.proved(outlet, outlet.feed.prove())
        self.opened: Callable[[Outlet], None] = lambda outlet: None
        self.count: Counter[str] = Counter()  # changes taken in and handed out, and bytes
        self._failed: dict[object, float] = {}  # what does not work, and when it failed last
        self._rolls: dict[bytes, Roll] = {}
        self._own: dict[tuple[bytes, str], Here] = {}  # what is said of our own agents, by namespace and agent
        self._number = 0  # of what was said last of our own agents
        self._now = self._renewed = 0.0
        self._channels = 0

    def share(self, feed: Feed) -> Outlet:
        """Share a memory with everybody who may read it."""
        digest = feed.namespace.digest
        outlet = Outlet(feed, self._channels, partial(self.failed, digest, namespace=digest))
        self._channels += 1
        self.outlets[digest] = outlet
        self.opened(outlet)
        if self._find is None:
            for link in self.links:
                link.share(outlet)
        return outlet

    def drop(self, outlet: Outlet) -> None:
        """Share a memory no longer."""
        del self.outlets[outlet.feed.namespace.digest]
        self._rolls.pop(outlet.feed.namespace.digest, None)
        for link in self.links:
            link.withdraw(outlet)

    def _asked(self, link: Link, namespace: Namespace) -> Outlet | None:
        """What to open to a peer that has opened a namespace which was not opened to it; StoreError if that fails."""
        outlet = self.outlets.get(namespace.digest)
        if outlet is None and self._find is not None and link.grant.reads(namespace):
            try:
                feed = self._find(namespace, link.grant.writes(namespace))
            except StoreError as error:
                if not isinstance(error, Pruned):
                    self.failed(namespace.digest, str(error), namespace.digest)
                raise
            outlet = self.share(feed) if feed is not None else None
        return outlet

    def link(
        self,
        *,
        dials: bool,
        now: float,
        token: str | None = None,
        trusts: Callable[[Welcome], bool] = lambda welcome: True,
        grant: Grant = EVERYTHING,
    ) -> Link:
        """The near end of a new connection.

        Args:
            dials: whether this end has dialled.
            now: seconds, from any beginning.
            token: what lets it in at the other end.
            trusts: whether the answer comes from who was meant.
            grant: what the other end may do, where this one has dialled.
        """
        session = Session(self.id, self.name, dials=dials, now=now, token=token)
        link = Link(session, self.outlets if self._find is None else {}, self._tell, self.count, self._trust)
        link.grant = grant
        link.whole = lambda outlet: self.whole(outlet)
        link.asked = self._asked
        self._now = max(self._now, now)
        link.trusts = trusts
        link.present = self._heard
        link.arrived = self._tell_newcomer
        self.links[link] = None
        return link

    def receive(self, link: Link, *messages: bytes) -> None:
        """Messages have arrived on a connection. Changes that follow each other are taken in together."""
        held: Heard | None = None
        for data in messages:
            for event in link.session.receive(data):
                joined = _joined(held, event)
                if joined is None and held is not None:
                    link.heard(held)
                held = joined
                if joined is None:
                    self._take(link, event)
        if held is not None:
            link.heard(held)

    def _take(self, link: Link, event: Event) -> None:
        if type(event) is Heard:
            link.heard(event)
        elif type(event) is Greeted:
            self._greet(link, event.hello)
        elif type(event) is Welcomed:
            if not link.trusts(event.welcome):
                link.session.end("stranger", "this is not who was meant to listen here")
            elif self._single(link, event.welcome.peer):
                link.begin(event.welcome.peer, event.welcome.name)

    def _greet(self, link: Link, hello: Hello) -> None:
        try:
            link.grant, answer = self._admit(hello)
        except Refused as refused:
            link.session.end(refused.code, str(refused))
            self._tell(News("refused", hello.name, None, str(refused)))
            return
        if self._single(link, hello.peer):
            link.session.welcome(answer)
            link.begin(hello.peer, hello.name)

    def _single(self, link: Link, peer: bytes) -> bool:
        """Of two connections with one peer, keep that which the lower id has dialled; of two such, the newer.

        Where they may not do the same, both stay: an id is no secret, and nobody is locked out by it.
        """
        for other in self.links:
            if other.peer == peer and other.session.ended is None and other.grant == link.grant:
                ours, theirs = (self.id if end.session.dials else peer for end in (link, other))
                if theirs < ours:
                    link.session.end("double", "these two are connected already")
                    return False
                other.session.end("double", "these two have another connection")
                self.spoken.add(other)
        return True

    def proved(self, outlet: Outlet, true: bool) -> None:  # noqa: FBT001
        """All history behind a checkpoint is here, and has been compared with what that showed."""
        if true:
            self._tell(News("caught up", self.name, outlet.feed.namespace.digest, "its history is here, and proved"))
        elif not outlet.feed.owed:
            self._tell(News("diverged", self.name, outlet.feed.namespace.digest, "a checkpoint was false"))

    def gone(self, link: Link) -> None:
        """A connection has ended, one way or another."""
        del self.links[link]
        self.spoken.discard(link)
        link.leave()
        ended = link.session.ended
        if link.peer:
            self._tell(News("left", link.name, None, ended.reason if ended else "the connection broke"))
        elif link.session.dials and ended is not None and ended.theirs and ended.code not in ("double", "bye"):
            self._tell(News("refused", "", None, ended.reason))  # whoever was dialled lets this peer not in

    def refresh(self) -> bool:
        """Look for what is new in the memories; whether there is something."""
        return sum([outlet.refresh() for outlet in self.outlets.values()]) > 0

    def tick(self, now: float) -> None:
        """Time has passed: about a second since the last time."""
        self.look(now)
        for link in list(self.links):
            self.tend(link, now)

    def look(self, now: float) -> None:
        """Time has passed for the memories, and for who is there."""
        for outlet in list(self.outlets.values()):
            self.look_at(outlet)
        self.renew(now)

    def look_at(self, outlet: Outlet) -> None:
        """Time has passed for one memory."""
        outlet.look()
        if outlet.gone:
            self._tell(News("trouble", self.name, outlet.feed.namespace.digest, "the memory has been closed"))
            self.drop(outlet)

    def renew(self, now: float) -> None:
        """Time has passed for who is there, and for what has failed."""
        self._now = now
        for what, since in list(self._failed.items()):
            if now - since >= CALM:
                del self._failed[what]
        for roll in self._rolls.values():
            roll.forget(now)
        if self._own and now >= self._renewed + RENEW:
            self._renewed = now
            for (namespace, _), here in self._own.items():
                self._say(namespace, here)

    def tend(self, link: Link, now: float) -> None:
        """Time has passed on one connection."""
        why = self._ends(link.grant) if link.peer else None
        if why:
            link.session.end("token", why)
        link.tick(now)

    def failed(self, what: object, why: str, namespace: bytes | None = None) -> bool:
        """Something does not work: it is told once, until it has worked for a while. Whether it is told now."""
        anew = what not in self._failed
        self._failed[what] = self._now
        if anew:
            self._tell(News("trouble", self.name, namespace, why))
        return anew

    @property
    def troubles(self) -> int:
        """How many things do not work just now."""
        return len(self._failed)

    # -- who is there ------------------------------------------------------------------------------

    def here(self, namespace: bytes, agent: str, doing: str | None, field: str | None) -> None:
        """Say that an agent of ours is there, until `away`."""
        what = line("doing", doing) if doing is not None else None
        where = line("field", field) if field is not None else None
        here = Here(self.id, 0, 3 * RENEW, agent[:300], what, where)
        self._own[namespace, here.agent] = here
        self._say(namespace, here)

    def away(self, namespace: bytes, agent: str) -> None:
        """Say that it is there no more."""
        if self._own.pop((namespace, agent[:300]), None) is not None:
            self._say(namespace, Here(self.id, 0, 0, agent[:300]))

    def present(self, namespace: bytes) -> list[Present]:
        """Who is there."""
        roll = self._rolls.get(namespace)
        return roll.present(self._now) if roll else []

    def _say(self, namespace: bytes, here: Here) -> None:
        self._number += 1
        said = Here(self.id, self._number, here.seconds, here.agent, here.doing, here.field)
        self._pass_on(namespace, self._rolls.setdefault(namespace, Roll()).hear([said], self._now), None)

    def _heard(self, link: Link, outlet: Outlet, said: Presence) -> None:
        namespace = outlet.feed.namespace.digest
        others = [here for here in said.here if here.peer != self.id]
        news = self._rolls.setdefault(namespace, Roll()).hear(others, self._now)
        self._pass_on(namespace, news, link)

    def _pass_on(self, namespace: bytes, news: list[Here], source: Link | None) -> None:
        for some in in_frames(news):
            for link in self.links:
                if link is not source:
                    link.tell_present(namespace, some)
                    self.spoken.add(link)

    def _tell_newcomer(self, link: Link, outlet: Outlet) -> None:
        namespace = outlet.feed.namespace.digest
        if namespace in self._rolls:
            for some in self._rolls[namespace].all(self._now):
                link.tell_present(namespace, some)


def line(what: str, said: str) -> str:
    """What is said to others, as far as there is room for it; refused before it is kept if no frame could hold it.

    >>> line("name", "ann \\ud83d")
    Traceback (most recent call last):
    crdtmem.errors.ValueRefused: name: it holds a lone surrogate; decode the source properly
    """
    if not isinstance(said, str):
        raise TypeError(f"{what}={said!r}: a line of text, not {type(said).__name__}")
    try:
        said.encode()
    except UnicodeEncodeError:
        raise ValueRefused(f"{what}: it holds a lone surrogate; decode the source properly") from None
    return said[:300]


def _joined(held: Heard | None, event: Event) -> Heard | None:
    """Changes with those that came just before, as one; None if it is something else, or they cannot be joined."""
    if type(event) is not Heard or type(event.frame) is not Changes:
        return None
    if held is None:
        return event
    before, frame = held.frame, event.frame
    assert type(before) is Changes
    if held.namespace != event.namespace or len(before.records) + len(frame.records) > MAX_RECORDS:
        return None
    return Heard(event.namespace, Changes(frame.channel, [*before.records, *frame.records]))
