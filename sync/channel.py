"""A namespace on one connection: how far each side has come, and what is owed to whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from crdtmem.feed import ChangeId
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.pause import Pause

if TYPE_CHECKING:
    from crdtmem.sync.handing import Giving, Lending, Taking


class Channel:
    """A namespace on one connection."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.told: dict[bytes, int] = {}  # the versions that our Opens named, and the places they held for
        self.opened = False  # by the other side
        self.refused = ""  # why the other side does not take part in this
        self.known: dict[bytes, int] = {}  # how far the other side knows our sessions, until all before `until` is sent
        self.until = 0
        self.cursor: int | None = None
        self.partial = 0  # at which look it began to be sent what is here, though older things are still to come here
        self.theirs: deque[tuple[int, int]] = deque()  # what lies here came from the other side
        self.late: dict[ChangeId, None] = {}  # what came from it and is not stored yet
        self.asked: dict[ChangeId, int] = {}  # of it, and how often
        self.looks = 0
        self.wanted: deque[ChangeId] = deque()  # by it
        self.proved = 0  # how many records that prove forks it was sent
        self.marks: deque[tuple[int, int, set[ChangeId]]] = deque()  # of the other side, not answered yet
        self.waiting: list[tuple[int, int, Callable[[], None]]] = []  # our marks: number, place; not sent yet
        self.sent: dict[int, Callable[[], None]] = {}  # our marks, not answered yet
        self.answered: list[tuple[Callable[[], None], set[ChangeId]]] = []  # done once these are stored here
        self.level = False  # whether all that is here has been sent
        self.seen = 0  # the newest place when it was looked at last
        self.doubtful = False  # something that came was of no use: maybe it was damaged on the way
        self.due_here: dict[bytes, int] = {}  # what it has said it has, and was not here then
        self.silent = 0  # looks since our Open was not answered
        self.compared = b""  # the version whose digest was sent last
        self.shown = b""  # the version of the last digest that came
        self.unlike = Pause()  # until ours is sent again, while they show another version
        self.wary = Pause()  # until another checkpoint of it is taken, after one that was no good
        self.offered = b""  # the key for a checkpoint by it that waits: for another, or until nobody lends history
        self.offers = False  # a checkpoint was offered to it
        self.giving: Giving | None = None  # a checkpoint to it
        self.taking: Taking | None = None  # a checkpoint from it
        self.lending: Lending | None = None  # history to it
        self.sought = 0  # looks since history was asked of it, or came
        self.bare = False  # it had no history when it was asked last

    @property
    def begun(self) -> bool:
        """Whether anything may be sent."""
        return self.cursor is not None or self.giving is not None

    @property
    def owes(self) -> bool:
        """Whether something is to be looked at or sent besides what follows in the log."""
        return bool(
            self.marks
            or self.waiting
            or self.wanted
            or self.late
            or self.answered
            or self.known
            or self.proved != len(self.outlet.proofs)
            or not self.level
            or self.lends
        )

    @property
    def rests(self) -> bool:
        """Whether nothing is to be done here until something happens."""
        return not self.due and (self.cursor is None or not self.owes)

    @property
    def due(self) -> bool:
        """Whether more is to be sent."""
        if self.cursor is None:
            return self.giving is not None
        return self.cursor < self.outlet.newest or bool(self.wanted) or self.lends

    @property
    def lends(self) -> bool:
        """Whether history is to be sent now."""
        return self.lending is not None and self.lending.due

    def begin_anew(self) -> None:
        """The log has begun anew: no place in it means what it did."""
        newest = self.outlet.newest
        self.told, self.known, self.until, self.cursor, self.partial = {}, {}, 0, None, 0
        self.theirs.clear()
        self.marks = deque((number, newest, late) for number, _, late in self.marks)
        self.waiting = [(number, newest, done) for number, _, done in self.waiting]
        self.giving, self.offers = None, False
        if self.lending is not None:
            self.lending.place = None
        self.level = False
        self.seen, self.compared, self.shown = 0, b"", b""
