"""One connection at work: what the other side says goes into the memories, what it lacks goes out.

1. Nothing is sent of a namespace before the other side has opened it as well, and has said what it holds of it.
2. Each namespace has one cursor into the log of this side, and no queue: whoever reads slowly lags, and costs nothing.
3. What the other side has is not sent to it: neither what it had when it opened, nor what came from it.
4. A mark is answered once all that came before it is stored here, and all that was here when it came has been sent.
5. What the other side may not do is refused, told, and changes nothing.
6. Whoever finds that something is missing says anew what it has, and is sent the rest: whatever was lost on the way
   arrives in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from crdtmem.errors import Closed, StoreError
from crdtmem.feed import Pruned
from crdtmem.identity import fingerprint
from crdtmem.namespace import Namespace
from crdtmem.sync import handing, lacking
from crdtmem.sync.access import EVERYTHING, Grant
from crdtmem.sync.channel import Channel
from crdtmem.sync.frames import (
    MAX_FRAME,
    MAX_RECORDS,
    MAX_SESSIONS,
    MAX_WANTED,
    Changes,
    Digest,
    Frame,
    Have,
    Here,
    Mark,
    Marked,
    Open,
    Presence,
    Same,
    Shut,
    Want,
    Welcome,
)
from crdtmem.sync.news import News
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.session import Heard, Phase, Session

MAX_REFUSED = 10_000  # changes, and the connection ends: whoever sends them makes work for nothing
MAX_UNHEARD = 1024
MAX_MARKS = 64  # of the other side that wait for an answer
_AT_ONCE = MAX_FRAME // 2  # bytes of what was asked for, in one answer


class Link:
    """The other side of one connection, and what is shared with it.

    Args:
        session: what is said on it.
        outlets: what this peer shares, by the digest of the namespace.
        tell: takes news.
        count: how much was taken in and handed out.
        trust: the keys whose checkpoints are taken.
    """

    def __init__(
        self,
        session: Session,
        outlets: Mapping[bytes, Outlet],
        tell: Callable[[News], None],
        count: Counter[str],
        trust: frozenset[bytes] = frozenset(),
    ) -> None:
        self.session = session
        self.peer = b""
        self.name = ""
        self.grant: Grant = EVERYTHING
        self.trusts: Callable[[Welcome], bool] = lambda welcome: True
        self.present: Callable[[Link, Outlet, Presence], None] = lambda link, outlet, presence: None
        self.asked: Callable[[Link, Namespace], Outlet | None] = lambda link, namespace: None
        self.arrived: Callable[[Link, Outlet], None] = lambda link, outlet: None
        self.whole: Callable[[Outlet], None] = lambda outlet: None
        self._trust = trust
        self._outlets = outlets
        self.tell = tell
        self._count = count
        self._channels: dict[bytes, Channel] = {}
        self._numbers = 0
        self._stirred: set[Channel] = set()  # the others rest
        self._turn = -1  # whose turn it was last to be sent first
        self.pause = 0.0  # seconds to wait before it is heard again: it writes more than the rules allow
        self._refused = 0
        self._unheard = 0  # agents of whom it was told since it said something: it may not read at all

    def begin(self, peer: bytes, name: str) -> None:
        """The other side is let in."""
        self.peer, self.name = peer, name
        for outlet in self._outlets.values():
            self.share(outlet)
        self.tell(News("joined", name, None))

    def share(self, outlet: Outlet) -> None:
        """Open a namespace, if the other side may know of it."""
        digest = outlet.feed.namespace.digest
        if self.session.phase is Phase.OPEN and self.grant.reads(outlet.feed.namespace):
            channel = self._channels.get(digest)
            if channel is None:
                channel = self._channels[digest] = Channel(outlet)
                outlet.links[self] = channel
            place, frame = outlet.open()
            channel.told[frame.version] = place
            self.session.send(frame)

    def withdraw(self, outlet: Outlet) -> None:
        """Share a namespace no longer."""
        channel = self._channels.pop(outlet.feed.namespace.digest, None)
        if channel is not None:
            self._stirred.discard(channel)
            outlet.links.pop(self, None)
            self.session.send(Shut(outlet.labels, "not shared any more"))

    def leave(self) -> None:
        """The connection has ended."""
        for channel in self._channels.values():
            channel.outlet.links.pop(self, None)
            handing.left(self, channel)
        self._channels.clear()
        self._stirred.clear()

    # -- in ----------------------------------------------------------------------------------------

    def heard(self, event: Heard) -> None:
        """Take in what the other side says of a namespace."""
        self._unheard = 0
        channel = self._channels.get(event.namespace)
        if channel is not None:
            self.stir(channel)
        frame = event.frame
        if type(frame) is Open:
            self._opens(event.namespace, frame)
        elif type(frame) is Shut:
            if channel is not None and not channel.refused:
                channel.refused, channel.cursor = frame.reason or "refused", None
                self.tell(News("refused", self.name, event.namespace, frame.reason))
        elif channel is not None:
            self._said(channel, frame)

    def _opens(self, namespace: bytes, frame: Open) -> None:
        reason = "not shared here"
        if namespace not in self._channels:
            try:
                outlet = self.asked(self, self.session.namespaces[namespace])
            except Pruned as error:
                outlet, reason = None, str(error)
                self.tell(News("refused", self.name, namespace, reason))
            except StoreError:
                return  # it has been told; unanswered they open it again
            if outlet is not None:
                self.share(outlet)
        channel = self._channels.get(namespace)
        if channel is None:
            self.session.send(Shut(frame.labels, reason))
        else:
            self._opened(channel, frame)

    def _opened(self, channel: Channel, frame: Open) -> None:
        outlet = channel.outlet
        if not channel.opened:
            channel.opened = True
            self.arrived(self, outlet)
        if channel.refused:
            channel.refused = ""
            self.share(outlet)
        if frame.version == outlet.feed.version:
            self.session.send(Same(outlet.channel, frame.version))
        else:
            self.have(channel)
        lacking.ask(self, channel)

    def have(self, channel: Channel) -> None:
        """Say what is here: the other side sends what is not."""
        outlet = channel.outlet
        sessions = outlet.feed.sessions()
        takes = not channel.wary.left and self.trusts_any(outlet.feed.namespace) and outlet.feed.takes()
        for first in range(0, len(sessions) or 1, MAX_SESSIONS):
            some = sessions[first : first + MAX_SESSIONS]
            self.session.send(Have(outlet.channel, some, first + MAX_SESSIONS < len(sessions), takes))

    def trusts_any(self, namespace: Namespace) -> bool:
        """Whether a checkpoint from there may count, depending on the key that vouches for it."""
        return self.grant.trusted or bool(self._trust) or namespace.owner is not None

    def counts(self, key: bytes, namespace: Namespace) -> bool:
        """Whether a checkpoint counts for which this key vouches."""
        return self.grant.trusted or key in self._trust or fingerprint(key) == namespace.owner

    def _said(self, channel: Channel, frame: Frame) -> None:
        kind = type(frame)
        if kind is Changes:
            self._arrived(channel, frame.records)  # type: ignore[union-attr]
        elif kind is Same:
            if channel.cursor is None:
                channel.cursor = channel.told.get(frame.version)  # type: ignore[union-attr]
        elif kind is Have:
            lacking.heard(self, channel, frame)  # type: ignore[arg-type]
        elif type(frame) is Want:
            channel.wanted.extend(frame.changes[: MAX_WANTED - len(channel.wanted)])
        elif kind is Mark:
            if len(channel.marks) < MAX_MARKS:
                channel.outlet.refresh()
                channel.marks.append((frame.number, channel.outlet.newest, set(channel.late)))  # type: ignore[union-attr]
        elif kind is Marked:
            done = channel.sent.pop(frame.number, None)  # type: ignore[union-attr]
            if done is not None:
                channel.answered.append((done, set(channel.late)))
        elif kind is Digest:
            lacking.compare(self, channel, frame)  # type: ignore[arg-type]
        elif kind is Presence:
            self.present(self, channel.outlet, frame)  # type: ignore[arg-type]
        else:
            handing.heard(self, channel, frame)

    def begin_anew(self, channel: Channel) -> None:
        """The log has begun anew: both sides say again what they have."""
        channel.begin_anew()
        self.share(channel.outlet)
        if channel.opened:
            self.have(channel)

    def _arrived(self, channel: Channel, records: list[bytes]) -> None:
        feed = channel.outlet.feed
        if not self.grant.writes(feed.namespace) or not feed.writable:
            self.tell(News("refused", self.name, feed.namespace.digest, "it may read here, not write"))
            self.session.send(Shut(channel.outlet.labels, "you may read here, not write"))
            return
        received, trouble, span, late, pause = feed.receive(records, self.peer.hex())
        self.pause = max(self.pause, pause)
        if trouble:
            channel.outlet.failed(trouble)
        if channel.theirs and channel.theirs[-1][1] == span[0]:
            channel.theirs[-1] = (channel.theirs[-1][0], span[1])
        elif span[1] > span[0]:
            channel.theirs.append(span)
        channel.late.update(dict.fromkeys(late))
        self._count["in"] += received.applied
        if received.refused:
            what = f"{len(received.refused)} of {len(records)} changes: {received.refused[0].reason}"
            self.tell(News("refused", self.name, feed.namespace.digest, what))
            self._refused += len(received.refused)
            if self._refused > MAX_REFUSED:
                self.session.end("refused", f"more than {MAX_REFUSED:,} of your changes were refused: {what}")
            channel.doubtful = True
        if any(id not in channel.asked for id in received.missing):
            lacking.ask(self, channel)

    def tell_present(self, namespace: bytes, here: list[Here]) -> None:
        """Say who is there, if the other side shares that namespace."""
        channel = self._channels.get(namespace)
        if channel is not None and channel.opened and not channel.refused and self._unheard < MAX_UNHEARD:
            self._unheard += len(here)
            self.session.send(Presence(channel.outlet.channel, here))

    # -- out ---------------------------------------------------------------------------------------

    def mark(self, outlet: Outlet, done: Callable[[], None]) -> Callable[[], None]:
        """Call back once all that is here now is stored there, and all that is there is here; gives what ends it."""
        self._numbers = number = self._numbers + 1
        channel = self._channels.get(outlet.feed.namespace.digest)
        if channel is None:
            return lambda: None
        outlet.refresh()
        place = max(outlet.newest, outlet.feed.end())  # more than is sealed, if the store fails just now
        channel.waiting.append((number, place, done))
        self.stir(channel)

        def end() -> None:
            if number in channel.sent:
                channel.sent[number] = lambda: None  # the other side still holds it, and holds only so many
            channel.waiting = [mark for mark in channel.waiting if mark[0] != number]

        return end

    @property
    def lags(self) -> bool:
        """Whether something is still to be sent."""
        return any(c.cursor is not None and c.cursor < c.outlet.newest for c in self._stirred)

    def stir(self, channel: Channel) -> None:
        """Something has happened there: it is looked at when this is pumped."""
        self._stirred.add(channel)

    def follows(self, channel: Channel, after: int, upto: int) -> bool:
        """Whether all up to a place was handed out here and nothing else is due; then what follows is to be written.

        This is `pump` for the many who keep up, in one look; who gets False is to be pumped.
        """
        if channel.cursor != after or channel.theirs or channel.owes or not self.session.passes():
            return False
        channel.cursor = upto
        return True

    def pump(self, room: int) -> bool:
        """Have up to so many bytes sent of what the other side lacks, the namespaces in turn; whether there is more."""
        if self.session.phase is not Phase.OPEN:
            return False
        more = bool(self._stirred)
        while more and room > 0:
            more, first = False, self._turn
            for channel in self._in_turn():
                sent = self._tried(channel, self._send) if channel.begun else 0
                room -= sent
                more = more or channel.due
                if sent and first == self._turn:
                    first = channel.outlet.channel
                if channel.rests:
                    self._stirred.discard(channel)
            self._turn = first
        return more

    def _in_turn(self) -> list[Channel]:
        """Those where something has happened; whoever was sent first the last time comes last."""
        return sorted(self._stirred, key=lambda c: (c.outlet.channel <= self._turn, c.outlet.channel))

    def _send(self, channel: Channel) -> int:
        """Hand out the next stretch of one namespace; how many bytes it has."""
        size = self._found(channel) if channel.wanted else 0
        outlet, cursor = channel.outlet, channel.cursor
        if cursor is None:
            return size + (handing.give(self, channel) if channel.giving is not None else 0)
        if len(outlet.proofs) != channel.proved:
            channel.proved = len(outlet.proofs)
            size += self._hand_out(channel, outlet.proofs)
        while cursor < outlet.newest:
            if channel.theirs and channel.theirs[0][0] <= cursor:
                cursor = max(cursor, channel.theirs.popleft()[1])
                continue
            upto = min(channel.theirs[0][0], outlet.newest) if channel.theirs else outlet.newest
            stretch, frame = outlet.read(cursor, upto)
            if channel.known:
                frame = outlet.frame(stretch, channel.known)
            cursor = stretch.upto
            if frame:
                self.session.forward(frame)
                size += len(frame)
                self._count["out"] += len(stretch.records)
                self._count["bytes"] += len(frame)
                break
        channel.cursor = cursor
        if channel.known and cursor >= channel.until:
            channel.known = {}
        if channel.late or channel.answered:
            self._settle(channel)
        if cursor >= outlet.newest and not channel.partial and (channel.waiting or channel.marks or not channel.level):
            self._levelled(channel)
        if channel.lends and cursor >= outlet.newest:
            size += handing.lend(self, channel)
        return size

    def _found(self, channel: Channel) -> int:
        size, found = 0, []
        while channel.wanted and size < _AT_ONCE:
            for data in channel.outlet.feed.find([channel.wanted.popleft()]):
                found.append(data)
                size += len(data)
        return self._hand_out(channel, found)

    def _hand_out(self, channel: Channel, records: list[bytes]) -> int:
        """Send records that are not next in the log; how many bytes they have."""
        some: list[bytes] = []
        load = 0
        for data in records:
            if some and (load + len(data) > _AT_ONCE or len(some) == MAX_RECORDS):
                self.session.send(Changes(channel.outlet.channel, some))
                some, load = [], 0
            some.append(data)
            load += len(data)
        if some:
            self.session.send(Changes(channel.outlet.channel, some))
        return sum(map(len, records))

    def _settle(self, channel: Channel) -> None:
        """See what is stored by now of what had to wait."""
        if channel.late:
            channel.late = {id: None for id in channel.late if not channel.outlet.feed.has(id)}
        if channel.answered:
            ready = [done for done, late in channel.answered if late.isdisjoint(channel.late)]
            channel.answered = [mark for mark in channel.answered if not mark[1].isdisjoint(channel.late)]
            for done in ready:
                done()

    def _levelled(self, channel: Channel) -> None:
        """All that is here has been sent."""
        if not channel.level:
            channel.level = True
            self.tell(News("caught up", self.name, channel.outlet.feed.namespace.digest))
        cursor, outlet = channel.cursor or 0, channel.outlet
        while channel.waiting and channel.waiting[0][1] <= cursor and len(channel.sent) < MAX_MARKS // 2:
            number, _, done = channel.waiting.pop(0)
            channel.sent[number] = done
            self.session.send(Mark(outlet.channel, number))
        while channel.marks and channel.marks[0][1] <= cursor:
            number, _, late = channel.marks[0]
            if not late.isdisjoint(channel.late):
                break
            channel.marks.popleft()
            self.session.send(Marked(outlet.channel, number))

    # -- time --------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed: about a second since the last time."""
        self.session.tick(now)
        for channel in list(self._channels.values()):
            self._tried(channel, self._look)

    def _look(self, channel: Channel) -> None:
        channel.looks += 1
        if channel.due:
            self.stir(channel)  # its store may work again
        if channel.late:
            again = channel.outlet.feed.receive([], "")
            self._count["in"] += again.received.applied
            if again.trouble:
                channel.outlet.failed(again.trouble)
        if channel.opened:
            lacking.ask(self, channel)
            handing.look(self, channel)
        if channel.partial and not channel.outlet.feed.owed:
            self.begin_anew(channel)
        if channel.cursor is not None:
            lacking.look(self, channel, channel.cursor)
        elif not channel.refused and channel.giving is None:
            channel.silent += 1
            if channel.silent % 4 == 0:
                self.share(channel.outlet)

    def _tried(self, channel: Channel, work: Callable[[Channel], int | None]) -> int:
        """Do something in one namespace. If its store fails the others go on, and it is looked at again in a second."""
        try:
            return work(channel) or 0
        except Closed:
            channel.outlet.gone = True
        except StoreError as error:
            channel.outlet.failed(str(error))
        self._stirred.discard(channel)
        return 0
