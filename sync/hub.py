"""All connections of one peer, without a network: what is shared on them, what happens to whom, who is there.

The same hub is run over websockets by a Peer, over pairs in tests, and over a faulty network in the simulation: it is
told what arrives and when time passes, and gives the bytes that are to go out.
"""

from __future__ import annotations

from collections.abc import Callable

from crdtmem.feed import Feed
from crdtmem.sync.access import EVERYTHING, Grant
from crdtmem.sync.frames import Hello, Welcome
from crdtmem.sync.link import Link, News
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.session import Greeted, Heard, Session, Welcomed


class Refused(Exception):
    """A peer that has said Hello is turned away: a word for programs, and a line for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Hub:
    """One peer.

    Args:
        id: 16 bytes, its own for as long as it lives.
        name: what it calls itself.
        tell: takes news.
        admit: what whoever says Hello may do, and what to answer; or Refused.
    """

    def __init__(
        self,
        id: bytes,
        name: str,
        tell: Callable[[News], None],
        admit: Callable[[Hello], tuple[Grant, str | None]] = lambda hello: (EVERYTHING, None),
    ) -> None:
        self.id = id
        self.name = name
        self.outlets: dict[bytes, Outlet] = {}
        self.links: dict[Link, None] = {}
        self._tell = tell
        self._admit = admit
        self._channels = 0

    def share(self, feed: Feed) -> Outlet:
        """Share a memory with everybody who may read it."""
        outlet = Outlet(feed, self._channels)
        self._channels += 1
        self.outlets[feed.namespace.digest] = outlet
        for link in self.links:
            link.share(outlet)
        return outlet

    def link(
        self,
        *,
        dials: bool,
        now: float,
        token: str | None = None,
        trusts: Callable[[Welcome], bool] = lambda welcome: True,
    ) -> Link:
        """The near end of a new connection.

        Args:
            dials: whether this end has dialled.
            now: seconds, from any beginning.
            token: what lets it in at the other end.
            trusts: whether the answer comes from who was meant.
        """
        link = Link(Session(self.id, self.name, dials=dials, now=now, token=token), self.outlets, self._tell)
        link.trusts = trusts
        self.links[link] = None
        return link

    def receive(self, link: Link, data: bytes) -> None:
        """One message has arrived on a connection."""
        for event in link.session.receive(data):
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
        """Of two connections with one peer, keep that which the lower id has dialled; of two such, the newer."""
        for other in self.links:
            if other.peer == peer and other.session.ended is None:
                ours, theirs = (self.id if end.session.dials else peer for end in (link, other))
                if theirs < ours:
                    link.session.end("double", "these two are connected already")
                    return False
                other.session.end("double", "these two have another connection")
        return True

    def gone(self, link: Link) -> None:
        """A connection has ended, one way or another."""
        del self.links[link]
        if link.peer:
            ended = link.session.ended
            self._tell(News("left", link.name, None, ended.reason if ended else "the connection broke"))

    def refresh(self) -> bool:
        """Look for what is new in the memories; whether there is something."""
        return sum([outlet.refresh() for outlet in self.outlets.values()]) > 0

    def tick(self, now: float) -> None:
        """Time has passed: about a second since the last time."""
        for outlet in self.outlets.values():
            outlet.forget()
        for link in list(self.links):
            link.tick(now)
