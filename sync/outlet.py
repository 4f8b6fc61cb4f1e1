"""What one peer shares of a memory: read, sealed and encoded once, whatever the number of those it goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from crdtmem.errors import Closed, StoreError
from crdtmem.feed import Feed, Stretch
from crdtmem.sync.frames import Changes, Open, encode, labels_of
from crdtmem.sync.pause import Pause

if TYPE_CHECKING:
    from crdtmem.sync.channel import Channel
    from crdtmem.sync.link import Link

FAR = 10_000  # changes, and a checkpoint is worth its while
_KEPT = 4  # stretches: those who have seen all get the same one, those who catch up have one each


class Outlet:
    """A memory that is shared.

    Args:
        feed: the memory, as replication sees it.
        channel: its number in all that this peer says.
        failed: told why its store does not work; whatever failed is tried again.
    """

    def __init__(self, feed: Feed, channel: int, failed: Callable[[str], object] = lambda why: None) -> None:
        self.feed = feed
        self.channel = channel
        self.failed = failed
        self.labels = labels_of(feed.namespace)
        self.links: dict[Link, Channel] = {}  # connections on which it is open
        self.size = 64 * 1024  # bytes of a stretch
        self.far = FAR
        self.taking: Link | None = None  # from whom a checkpoint is awaited
        self.giver: Link | None = None  # of the checkpoint that was taken last
        self.seeking: Link | None = None  # of whom history is asked
        self.owing = Pause()  # until all are asked again for history, or a checkpoint is taken in place of it
        self.newest = 0
        self.rests = 0.0  # until this moment of the loop that hands it out
        self.proofs: list[bytes] = []
        self.gone = False  # whether the memory was closed under it
        self._anew = feed.anew
        self._frames: dict[tuple[int, int], tuple[Stretch, bytes]] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Look how far the log goes, and seal it so far; whether it has grown. A store that fails is asked later.

        Where the log has begun anew, whoever had it do so, both sides of every connection say again what they have.
        """
        before, proved, anew = self.newest, len(self.proofs), self.feed.anew
        try:
            self.newest = self.feed.newest()
            self.proofs = self.feed.proofs()
        except StoreError as error:
            self.failed(str(error))
        except Closed:
            self.gone = True
        if anew != self._anew:
            self._anew, self.seeking = anew, None  # history that is under way was asked for before
            self._frames.clear()
            for link, channel in list(self.links.items()):
                link.begin_anew(channel)
        if self.newest != before or len(self.proofs) != proved:
            for link, channel in self.links.items():
                link.stir(channel)
        return self.newest > before

    def open(self) -> tuple[int, Open]:
        """What to say first of it, and the place it holds for."""
        with self.feed.steady():
            self.refresh()
            return self.newest, Open(self.channel, self.labels, self.feed.version)

    def read(self, after: int, upto: int) -> tuple[Stretch, bytes]:
        """A stretch of the log, and the frame that hands it out; empty when there is nothing in it."""
        found = self._frames.get((after, upto))
        if found is None:
            stretch = self.feed.read(after, upto, self.size)
            found = stretch, self.frame(stretch, {}) if stretch.records else b""
            if len(self._frames) >= _KEPT:
                del self._frames[next(iter(self._frames))]
            self._frames[after, upto] = found
        return found

    def frame(self, stretch: Stretch, known: Mapping[bytes, int]) -> bytes:
        """The frame that hands out a stretch to who knows each session so far; empty when they know it all."""
        lacked = [record.data for record in stretch.records if record.seq > known.get(record.session, 0)]
        return encode(Changes(self.channel, lacked)) if lacked else b""

    def look(self) -> None:
        """A second has passed."""
        self.forget()
        self.refresh()  # should it have failed
        if self.feed.owed:
            self.owing.look()
        else:
            self.giver, self.seeking, self.owing = None, None, Pause()

    def forget(self) -> None:
        """Let go of what was read, and have the seal of the newest stored."""
        self._frames.clear()
        try:
            self.feed.keep_seal()
        except StoreError as error:
            self.failed(str(error))
        except Closed:
            self.gone = True
