"""Checkpoints and history on a connection: what a newcomer is shown at once, and what comes after it.

    Have(takes) -> Offer -> Take -> Piece ...     what the giver's memory shows, up to a place in its log; then Changes
    Older -> History, Older -> History, ...       what lies behind it, newest first, while nothing else is due

1. A checkpoint is offered to who would take one and lacks very much, or what is kept here no more.
2. It counts only from those who are trusted. One is awaited at a time, and whoever else has offered one waits.
3. What is taken makes the log begin anew, so all connections say again what they have.
4. Who asks for history that was pruned is offered another checkpoint, else what looks back across it waits for ever.
5. Who owes history asks all in turn, the giver first, and takes another checkpoint only when all there had none.
6. What cost something and failed is tried again after twice the time (pause.py): a checkpoint, or history.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

from crdtmem.errors import BadBytes, StoreError
from crdtmem.identity import verify
from crdtmem.sync.channel import Channel
from crdtmem.sync.frames import MAX_SESSIONS, Frame, History, Offer, Older, Piece, Take
from crdtmem.sync.news import News
from crdtmem.sync.pause import PATIENCE, Pause

if TYPE_CHECKING:
    from crdtmem.sync.link import Link
    from crdtmem.sync.outlet import Outlet

MAX_BYTES = 1 << 28  # of a checkpoint; more comes as changes
PIECE = 64 * 1024


class _Sum:
    """What all pieces come to, to be signed."""

    def __init__(self, namespace: bytes) -> None:
        self._hash = blake2b(namespace, digest_size=32, person=b"crdtmem handover")
        self.add = self._hash.update

    def hash(self) -> bytes:
        """The sum so far."""
        return self._hash.digest()


class Giving:
    """A checkpoint that is being sent.

    Args:
        namespace: the digest of what it is of.
        data: its bytes, made as they are asked for.
    """

    def __init__(self, namespace: bytes, data: Iterator[bytes]) -> None:
        self.sum = _Sum(namespace)
        self._data = data
        self._made = bytearray()

    def next(self) -> tuple[bytes, bool]:
        """Some more, and whether it is the last."""
        for data in self._data:
            self._made += data
            if len(self._made) > PIECE:
                break
        some = bytes(self._made[:PIECE])
        del self._made[:PIECE]
        self.sum.add(some)
        return some, len(some) < PIECE


class Taking:
    """A checkpoint that is coming.

    Args:
        namespace: the digest of what it is of.
        key: who vouches for it.
    """

    def __init__(self, namespace: bytes, key: bytes) -> None:
        self.key = key
        self.data = bytearray()
        self.sum = _Sum(namespace)
        self.looks = 0


class Lending:
    """History that was asked for."""

    def __init__(self) -> None:
        self.wanted: dict[bytes, int] = {}  # of which sessions, and the newest change of each
        self.lacks = False  # whether some of it was never here
        self.place: int | None = None  # to go on from
        self.due = False


def heard(link: Link, channel: Channel, frame: Frame) -> None:
    """The other side speaks of a checkpoint, or of history."""
    if type(frame) is Offer:
        offered(link, channel, frame)
    elif type(frame) is Take:
        asked(link, channel)
    elif type(frame) is Piece:
        came(link, channel, frame)
    elif type(frame) is Older:
        sought(link, channel, frame)
    elif type(frame) is History:
        arrived(link, channel, frame)


# -- the giver's side ------------------------------------------------------------------------------


def offer(link: Link, channel: Channel, start: int | None) -> bool:
    """Offer a checkpoint, if one is worth its while; `start` is None where what lacks is not here."""
    outlet = channel.outlet
    lacked = outlet.feed.lacked(channel.known)
    if not outlet.feed.gives() or (start is not None and (channel.known or lacked < outlet.far)):
        return False
    channel.cursor = None
    _offer(link, channel, lacked)
    return True


def _offer(link: Link, channel: Channel, count: int) -> None:
    """Offer a checkpoint in place of so many changes."""
    channel.offers = True
    link.session.send(Offer(channel.outlet.channel, count, channel.outlet.feed.key))


def asked(link: Link, channel: Channel) -> None:
    """The other side takes what was offered."""
    outlet = channel.outlet
    if channel.offers and outlet.feed.gives():
        channel.cursor, channel.offers = None, False
        channel.giving = Giving(outlet.feed.namespace.digest, outlet.feed.hand_over())


def give(link: Link, channel: Channel) -> int:
    """Send some of a checkpoint; how many bytes."""
    giving, outlet = channel.giving, channel.outlet
    assert giving is not None
    data, last = giving.next()
    link.session.send(Piece(outlet.channel, data, outlet.feed.vouch(giving.sum.hash()) if last else b""))
    if last:
        channel.giving = None  # whether it was taken, and what comes next, the other side says by Have
    return len(data)


def sought(link: Link, channel: Channel, frame: Older) -> None:
    """The other side asks for history, or for more of it."""
    if frame.changes:
        if channel.lending is None or channel.lending.place is not None:
            channel.lending = Lending()
        here = [id for id in frame.changes if channel.outlet.feed.has(id)]
        channel.lending.wanted.update(here)
        channel.lending.lacks = channel.lending.lacks or len(here) < len(frame.changes)
    if channel.lending is not None:
        channel.lending.due = not frame.more


def lend(link: Link, channel: Channel) -> int:
    """Send some history, if it is due; how many bytes."""
    lending, outlet = channel.lending, channel.outlet
    assert lending is not None
    lending.place, records = (0, []) if lending.lacks else outlet.feed.older(lending.wanted, lending.place)
    lending.due = False
    link.session.send(History(outlet.channel, records))
    if not records:
        channel.lending = None
        oldest = [(id, 1) for id in lending.wanted]  # of a session the oldest are pruned first
        if not lending.lacks and outlet.feed.gives() and outlet.feed.pruned(oldest):
            _offer(link, channel, sum(lending.wanted.values()))  # and go on: it may trust this key with history alone
    return sum(map(len, records))


# -- the taker's side ------------------------------------------------------------------------------


def offered(link: Link, channel: Channel, frame: Offer) -> None:
    """The other side would send a checkpoint."""
    outlet = channel.outlet
    namespace = outlet.feed.namespace
    counts = outlet.feed.takes() and link.grant.writes(namespace) and link.counts(frame.key, namespace)
    if channel.wary.left or not counts:
        if not channel.wary.left:
            channel.wary.failed()
        if not channel.bare:  # else it was offered in place of history, and changes come all the while
            link.have(channel)
    elif outlet.feed.owed or outlet.taking not in (None, link):
        channel.offered = frame.key
    elif channel.taking is None:
        _take(link, channel, frame.key)


def _take(link: Link, channel: Channel, key: bytes) -> None:
    """Have it sent."""
    outlet = channel.outlet
    outlet.taking, channel.offered = link, b""
    channel.taking = Taking(outlet.feed.namespace.digest, key)
    link.session.send(Take(outlet.channel))


def came(link: Link, channel: Channel, frame: Piece) -> None:
    """Some of a checkpoint has come."""
    taking, outlet = channel.taking, channel.outlet
    if taking is None:
        return
    taking.looks = 0
    taking.data += frame.data
    taking.sum.add(frame.data)
    if len(taking.data) > MAX_BYTES:
        _refuse(link, channel, f"a checkpoint of more than {MAX_BYTES >> 20} MiB")
    elif frame.seal:
        if not verify(taking.key, frame.seal, taking.sum.hash()):
            _refuse(link, channel, "a checkpoint that was damaged, or that nobody vouches for")
            return
        try:
            count = outlet.feed.take_over(bytes(taking.data))
        except (BadBytes, StoreError) as error:
            _refuse(link, channel, str(error))
            return
        channel.taking = outlet.taking = None
        outlet.giver = link
        channel.wary = Pause()
        outlet.owing.failed()  # should it not help either
        for its in outlet.links.values():
            its.offered, its.bare = b"", False
        outlet.refresh()
        if not outlet.feed.wanted():
            link.whole(outlet)
        what = f"{count:,} changes by a checkpoint; their history follows"
        link.tell(News("caught up", link.name, outlet.feed.namespace.digest, what))


def _refuse(link: Link, channel: Channel, why: str) -> None:
    """Take no checkpoint from there."""
    channel.wary.failed()
    link.tell(News("refused", link.name, channel.outlet.feed.namespace.digest, why))
    _drop(link, channel)
    link.have(channel)


def _drop(link: Link, channel: Channel) -> None:
    """None is awaited from there; let the others say again what they offered."""
    outlet = channel.outlet
    channel.taking = None
    if outlet.taking is link:
        outlet.taking = None
        for other, its in list(outlet.links.items()):
            if its.offered:
                its.offered = b""
                other.have(its)


def left(link: Link, channel: Channel) -> None:
    """The connection has ended."""
    _drop(link, channel)
    if channel.outlet.seeking is link:
        channel.outlet.seeking = None


def look(link: Link, channel: Channel) -> None:
    """A second has passed: see whether what was asked for still comes, and ask for history that is due."""
    outlet = channel.outlet
    channel.wary.look()
    if channel.taking is not None:
        channel.taking.looks += 1
        if channel.taking.looks > PATIENCE:
            _refuse(link, channel, f"nothing of a checkpoint came for {PATIENCE} s")
    if not outlet.feed.owed:
        channel.bare = False
        if channel.offered and outlet.taking is None:
            channel.offered = b""
            link.have(channel)
    elif outlet.seeking is link:
        channel.sought += 1
        if channel.sought > PATIENCE:
            _give_up(link, channel)
    elif outlet.seeking is None and outlet.taking is None and not channel.refused:
        giver = channel if outlet.giver is None else outlet.links.get(outlet.giver, channel)
        if not channel.bare and (giver is channel or giver.bare or giver.refused):
            _seek(link, channel)
        elif not outlet.owing.left and all(its.bare for its in outlet.links.values() if its.opened and not its.refused):
            _go_on(outlet)


def _go_on(outlet: Outlet) -> None:
    """Nobody has lent any, for a while: take what was offered in place of it, or ask all again."""
    for link, channel in outlet.links.items():
        if channel.offered:
            _take(link, channel, channel.offered)
            return
    outlet.owing.again()
    for channel in outlet.links.values():
        channel.bare = False


def _seek(link: Link, channel: Channel) -> None:
    """Ask for history."""
    outlet = channel.outlet
    wanted = outlet.feed.wanted()
    if not wanted:
        if not outlet.owing.left:
            _prove(link, outlet)
        return
    outlet.seeking, channel.sought = link, 0
    for first in range(0, len(wanted), MAX_SESSIONS):
        some = wanted[first : first + MAX_SESSIONS]
        link.session.send(Older(outlet.channel, some, first + MAX_SESSIONS < len(wanted)))


def _prove(link: Link, outlet: Outlet) -> None:
    """All of it is here: see what it comes to."""
    outlet.owing.failed()  # should it
    link.whole(outlet)


def _give_up(link: Link, channel: Channel) -> None:
    """There is no more of it there."""
    channel.bare = True
    if channel.outlet.seeking is link:
        channel.outlet.seeking = None


def arrived(link: Link, channel: Channel, frame: History) -> None:
    """Some history has come."""
    outlet = channel.outlet
    if outlet.seeking is not link:
        return
    channel.sought = 0
    try:
        if not outlet.feed.fill(frame.records):
            _give_up(link, channel)
        elif outlet.feed.wanted():
            link.session.send(Older(outlet.channel, [], more=False))
        else:
            _give_up(link, channel)  # if it was no good, others are asked first
            _prove(link, outlet)
    except (BadBytes, StoreError) as error:
        kind = "refused" if isinstance(error, BadBytes) else "trouble"
        link.tell(News(kind, link.name, outlet.feed.namespace.digest, str(error)))
        _give_up(link, channel)
