"""Two hubs and a wire between them, without a network: what one says the other hears, until all has been said."""

from __future__ import annotations

from typing import Any

from crdtmem import Memory
from crdtmem.feed import Feed
from crdtmem.sync.frames import Frame, decode
from crdtmem.sync.hub import Hub
from crdtmem.sync.link import Link
from crdtmem.sync.news import News


class End:
    """One peer with its news; `said` keeps all it put on any wire."""

    def __init__(self, name: str, *memories: Memory, **options: Any) -> None:
        self.news: list[News] = []
        self.hub = Hub(name.encode().ljust(16, b"."), name, self.news.append, **options)
        self.outlets = [self.hub.share(Feed(memory)) for memory in memories]

    def kinds(self) -> list[str]:
        """What kinds of news came."""
        return [news.kind for news in self.news]


class Wire:
    """A connection between two ends; the first has dialled."""

    def __init__(self, dials: End, listens: End, **options: Any) -> None:
        self.ends = (dials, listens)
        self.links: tuple[Link, Link] = (
            dials.hub.link(dials=True, now=0, **options),
            listens.hub.link(dials=False, now=0),
        )
        self.said: tuple[list[Frame | None], list[Frame | None]] = ([], [])

    def run(self, room: int = 1 << 20) -> int:
        """Until nobody has more to say; how many frames it took."""
        count = 0
        while True:
            under_way = []
            for n, link in enumerate(self.links):
                self.ends[n].hub.refresh()
                link.pump(room)
                under_way += [(n, data) for data in link.session.data_to_send()]
            if not under_way:
                return count
            for n, data in under_way:
                self.said[n].append(decode(data))
                self.ends[1 - n].hub.receive(self.links[1 - n], data)
            count += len(under_way)

    def tick(self, now: float) -> None:
        """A second passes at both ends, and what comes of it is said."""
        for end in self.ends:
            end.hub.tick(now)
        self.run()

    def cut(self) -> None:
        """The connection breaks."""
        for end, link in zip(self.ends, self.links, strict=True):
            end.hub.gone(link)


def joined(dials: End, listens: End, **options: Any) -> Wire:
    """A connection on which all has been said."""
    wire = Wire(dials, listens, **options)
    wire.run()
    return wire
