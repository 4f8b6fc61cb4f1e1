"""What either side lacks: learnt from what the other says it has, or asked for; and once it is there, what both show.

    Have -> Changes ..., or an Offer (handing.py)
    Want -> Changes
    Digest, when all has been sent and nothing has happened since

What was lost on the way is found when nothing happens any more, and said anew (rule 6 of link.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtmem.errors import StoreError
from crdtmem.feed import Pruned
from crdtmem.sync.channel import Channel
from crdtmem.sync.frames import MAX_SESSIONS, MAX_WANTED, Digest, Have, Shut, Want
from crdtmem.sync.handing import offer
from crdtmem.sync.news import News
from crdtmem.sync.pause import PATIENCE, Pause
from crdtmem.tally import UNKNOWN

if TYPE_CHECKING:
    from crdtmem.sync.link import Link

_NEVER = 2**63  # beyond all places


def heard(link: Link, channel: Channel, frame: Have) -> None:
    """The other side knows these sessions so far; of those not named, nothing."""
    feed = channel.outlet.feed
    channel.outlet.refresh()  # before what is learnt here: a log that has begun anew has all of it forgotten
    channel.known.update((id, seq) for id, seq, _ in frame.sessions if feed.has((id, 1)))
    if len(channel.due_here) < MAX_SESSIONS:
        channel.due_here.update((id, seq) for id, seq, _ in frame.sessions if not feed.has((id, seq)))
    others = [(id, seq) for id, seq, begins in frame.sessions if feed.differs(id, seq, begins)]
    if others:  # forked sessions: their change at this place is half of the proof
        link.session.send(Want(channel.outlet.channel, others[:MAX_WANTED]))
    if frame.more:
        channel.until = _NEVER  # what it knows counts at least until the rest has been said
        return
    if channel.giving is not None and frame.takes:
        return
    channel.giving = None  # what was offered may still be taken: the two may have crossed
    _answer(link, channel, takes=frame.takes and not others)


def _answer(link: Link, channel: Channel, *, takes: bool) -> None:
    """Go on from where what it lacks begins, or offer a checkpoint in place of that."""
    feed = channel.outlet.feed
    reason = ""
    try:
        start: int | None = feed.start(channel.known)
    except Pruned as error:
        start, reason = None, str(error)
    except StoreError as error:
        channel.outlet.failed(str(error))
        return  # unanswered they say it again
    if takes and offer(link, channel, start):
        return
    if start is None and feed.owed:  # it may be here when they ask again
        if channel.silent < PATIENCE or channel.looks - channel.partial < PATIENCE:
            return
        start, channel.partial = 0, channel.looks  # but they may have what is lacked here, and lack what is here
    elif start is None:
        link.tell(News("refused", link.name, feed.namespace.digest, reason))
        link.session.send(Shut(channel.outlet.labels, reason))
        return
    else:
        channel.partial = 0
    channel.until = channel.outlet.newest
    channel.cursor = start


def ask(link: Link, channel: Channel) -> None:
    """Ask for what is missing here: at once, and again after 1, 2, 4 ... 64 looks, for it may be nowhere."""
    asked, missing = channel.asked, channel.outlet.feed.missing()
    if not missing:
        asked.clear()
        return
    due = [id for id in missing if id not in asked or not channel.looks % 2 ** min(asked[id], 6)][:MAX_WANTED]
    if due:
        channel.asked = {id: asked.get(id, 0) for id in missing} | {id: asked.get(id, 0) + 1 for id in due}
        link.session.send(Want(channel.outlet.channel, due))


def compare(link: Link, channel: Channel, frame: Digest) -> None:
    """The other side has sent all it has, and comes to this."""
    feed = channel.outlet.feed
    version, digest = feed.digest()
    channel.shown, channel.doubtful = frame.version, version != frame.version
    if not channel.doubtful and digest != frame.digest and UNKNOWN not in (digest, frame.digest):
        link.tell(News("diverged", link.name, feed.namespace.digest, "the same changes, another content"))


def look(link: Link, channel: Channel, cursor: int) -> None:
    """Say who lags; and when nothing has happened since the last time, whether both sides show the same."""
    feed, newest = channel.outlet.feed, channel.outlet.newest
    if cursor < channel.seen and channel.level:
        channel.level = False
        link.tell(News("behind", link.name, feed.namespace.digest, f"by {newest - cursor:,} changes"))
    quiet = cursor == newest == channel.seen
    if quiet and channel.due_here:  # it was sent, and lost on the way, if it is not here by now
        channel.doubtful = channel.doubtful or not all(map(feed.has, channel.due_here.items()))
        channel.due_here.clear()
    if quiet and channel.doubtful:
        channel.doubtful = False
        link.have(channel)
    channel.unlike.look()
    if quiet and not channel.late:
        _show(link, channel)
    channel.seen = newest


def _show(link: Link, channel: Channel) -> None:
    """Say what it all comes to; again, ever more seldom, while they have not said the same: either may be lost."""
    feed = channel.outlet.feed
    if channel.compared != feed.version:
        channel.unlike = Pause()
    elif channel.shown == channel.compared or channel.unlike.left:
        return
    channel.unlike.failed()  # should they not hear it
    channel.compared, digest = feed.digest()
    link.session.send(Digest(channel.outlet.channel, channel.compared, digest))
