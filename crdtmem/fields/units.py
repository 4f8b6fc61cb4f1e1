"""Units in their order, in pieces: one that comes among a million moves a thousand others, not all behind it.

A unit has an owner, which knows the client that made it, and a clock; the two name it. Which piece it stands in is
looked up (`find`), once somebody asks for a unit that is not where the last edit was. Where it stands, counted from the
beginning, is summed up from the sizes of the pieces (`place`), when somebody asks after an edit.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, repeat
from typing import Any

NONE: array[int] = array("Q")
PIECE = 2048  # units that a piece may have
BITS = 6  # clocks are looked up so many bits at once: a gap between them takes no room


class Piece:
    """Units that stand side by side."""

    __slots__ = ("alive", "chars", "clocks", "dead", "lent", "number", "owners")

    def __init__(self, owners: list[Any], clocks: array[int], alive: bytearray, chars: str) -> None:
        self.owners = owners
        self.clocks = clocks
        self.alive = alive
        self.chars = chars  # of a text
        self.dead = alive.count(0)
        self.number = 0  # of all pieces
        self.lent = False  # whether a copy holds the same lists

    def own(self) -> None:
        """Make it safe to write here: copies keep what they saw."""
        if self.lent:
            self.owners, self.clocks, self.alive = self.owners[:], self.clocks[:], self.alive[:]
            self.lent = False

    def clients(self) -> list[int]:
        """Who made each unit."""
        return [owner._stamp.writer.client for owner in self.owners]

    def twin(self) -> Piece:
        """The same units for who wants to see them as they are now. Lists are copied when one side writes."""
        twin = Piece.__new__(Piece)
        twin.owners, twin.clocks, twin.alive, twin.chars = self.owners, self.clocks, self.alive, self.chars
        twin.dead, twin.number = self.dead, 0
        twin.lent = self.lent = True
        return twin


Place = tuple[Piece, int]  # before the unit of this number in the piece, or behind its last


class Units:
    """The units of a field, in their order."""

    __slots__ = ("_ends", "_homes", "_live", "_shows", "_sizes", "dead", "pieces", "size")

    def __init__(
        self, owners: Sequence[Any] = (), clocks: array[int] = NONE, alive: bytes | bytearray = b"", chars: str = ""
    ) -> None:
        self._homes: dict[tuple[int, int], list[Piece | None]] | None = None  # where units of a client are, by clock
        self._take([])
        if owners:
            self._take([Piece(list(owners), clocks, bytearray(alive), chars)])
            self._split(self.pieces[0])

    def _take(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self._count()
        self.size, self.dead = sum(self._sizes), sum([piece.dead for piece in pieces])

    def _count(self) -> None:
        """Number the pieces, and note the size of each: summing them up is what an edit far from the end costs."""
        for number, piece in enumerate(self.pieces):
            piece.number = number
        self._sizes = [len(piece.owners) for piece in self.pieces]
        self._live = [len(piece.owners) - piece.dead for piece in self.pieces]
        self._ends: list[int] | None = None  # where each piece ends
        self._shows: list[int] | None = None  # how many units show until there

    def copy(self, hidden: Iterable[int] = ()) -> Units:
        """The units as they are now, whatever becomes of these.

        Args:
            hidden: places of units that do not show in the copy.
        """
        copy = Units()
        copy._take([piece.twin() for piece in self.pieces])
        for place in map(copy.place, hidden):
            assert place is not None
            piece, at = place
            copy.kill(place, piece.owners[at])
        return copy

    # -- writing -----------------------------------------------------------------------------------

    def insert(
        self, place: Place | None, client: int, owners: list[Any], clocks: array[int], alive: bytes, chars: str
    ) -> Place:
        """Put units of one client at a place (None where there is nothing yet); return the place behind them."""
        if place is None:
            self._take([Piece([], array("Q"), bytearray(), "")])
            place = self.pieces[0], 0
        piece, at = place
        size, dead, last = len(owners), alive.count(0), piece is self.pieces[-1]
        appended = last and at == len(piece.owners)
        piece.own()
        piece.owners[at:at] = owners
        piece.clocks[at:at] = clocks
        piece.alive[at:at] = alive
        if chars:
            piece.chars = piece.chars + chars if appended else piece.chars[:at] + chars + piece.chars[at:]
        piece.dead += dead
        self.size += size
        self.dead += dead
        self._sizes[piece.number] += size
        self._live[piece.number] += size - dead
        if last and self._ends:
            self._ends[-1] += size
        else:
            self._ends = None
        self._shows = None
        if self._homes is not None:
            self._settle(repeat(client), clocks, piece)
        at += size
        return (piece, at) if len(piece.owners) <= PIECE else self._split(piece, at)

    def _split(self, piece: Piece, at: int = 0) -> Place:
        """Cut a piece into smaller ones, half full; return where a place of it is now."""
        cut, made = PIECE // 2, []
        for start in range(cut, len(piece.owners), cut):
            here = slice(start, start + cut)
            made.append(Piece(piece.owners[here], piece.clocks[here], piece.alive[here], piece.chars[here]))
        del piece.owners[cut:], piece.clocks[cut:], piece.alive[cut:]
        piece.chars = piece.chars[:cut]
        piece.dead -= sum([new.dead for new in made])
        self.pieces[piece.number + 1 : piece.number + 1] = made
        self._count()
        if self._homes is not None:
            for new in made:
                self._settle(new.clients(), new.clocks, new)
        where = min(at // cut, len(made))
        return [piece, *made][where], at - where * cut

    def kill(self, place: Place, husk: Any) -> None:
        """The unit at a place shows no more, and has another owner of the same name."""
        piece, at = place
        piece.own()
        piece.alive[at] = 0
        piece.owners[at] = husk
        piece.dead += 1
        self.dead += 1
        self._live[piece.number] -= 1
        self._shows = None

    # -- looking up --------------------------------------------------------------------------------

    def find(self, client: int, clock: int) -> Place:
        """Where a unit stands.

        Raises:
            ValueError: there is none of this name.
        """
        if self._homes is None:
            self._homes = {}
            for piece in self.pieces:
                self._settle(piece.clients(), piece.clocks, piece)
        home = self._homes.get((client, clock >> BITS))
        found = home[clock & (1 << BITS) - 1] if home else None
        if found is None:
            raise ValueError(f"there is no unit {clock} of {client}")
        at = found.clocks.index(clock)
        while found.owners[at]._stamp.writer.client != client:
            at = found.clocks.index(clock, at + 1)
        return found, at

    def _settle(self, clients: Iterable[int], clocks: Iterable[int], piece: Piece) -> None:
        assert self._homes is not None
        homes, last = self._homes, (1 << BITS) - 1
        for client, clock in zip(clients, clocks, strict=False):
            home = homes.get((client, clock >> BITS))
            if home is None:
                home = homes[client, clock >> BITS] = [None] * (last + 1)
            home[clock & last] = piece

    def place(self, at: int) -> Place | None:
        """The place before the unit that stands there, counted from the beginning; None where there are no units."""
        if not self.pieces:
            return None
        if not at:
            return self.pieces[0], 0
        ends = self._until()
        number = min(bisect_right(ends, at), len(ends) - 1)
        return self.pieces[number], at - (ends[number - 1] if number else 0)

    def stand(self, place: Place) -> Place | None:
        """The place of the unit behind this place; None at the end."""
        piece, at = place
        if at < len(piece.owners):
            return place
        behind = piece.number + 1
        return (self.pieces[behind], 0) if behind < len(self.pieces) else None

    def char(self, at: int) -> int:
        """How many characters of a text as many bytes are; linear in the pieces, and in a piece if it is not ASCII."""
        before = 0
        for piece in self.pieces:
            size = len(piece.chars) if piece.chars.isascii() else len(piece.chars.encode())
            if at < size:
                return before + (at if size == len(piece.chars) else len(piece.chars.encode()[:at].decode()))
            at -= size
            before += len(piece.chars)
        return before

    def _until(self) -> list[int]:
        if self._ends is None:
            self._ends = list(accumulate(self._sizes))
        return self._ends

    def _showing(self) -> list[int]:
        if not self.dead:
            return self._until()
        if self._shows is None:
            self._shows = list(accumulate(self._live))
        return self._shows

    def live(self, end: int) -> int:
        """How many units show before the one that stands there."""
        if not self.dead or not end:
            return end
        ends = self._until()
        number = min(bisect_right(ends, end), len(ends) - 1)
        piece, start = self.pieces[number], ends[number - 1] if number else 0
        before = self._showing()[number - 1] if number else 0
        return before + end - start - (piece.alive.count(0, 0, end - start) if piece.dead else 0)

    def nth(self, n: int) -> int:
        """Where the n-th unit that shows stands."""
        if not self.dead:
            return n
        shows = self._showing()
        number = bisect_right(shows, n)
        start = self._until()[number - 1] if number else 0
        n -= shows[number - 1] if number else 0
        piece = self.pieces[number]
        if not piece.dead:
            return start + n
        low, high = 0, len(piece.alive)
        while high - low > 32:
            middle = (low + high) // 2
            size = middle - low - piece.alive.count(0, low, middle)
            low, high, n = (low, middle, n) if n < size else (middle, high, n - size)
        return start + [at for at in range(low, high) if piece.alive[at]][n]

    # -- reading -----------------------------------------------------------------------------------

    def between(self, start: int, end: int) -> Iterator[tuple[Piece, int, int]]:
        """The pieces between two places counted from the beginning, and from where to where in each."""
        place = self.place(start) if start < end else None
        while place is not None and start < end:
            piece, at = place
            some = min(len(piece.owners) - at, end - start)
            yield piece, at, at + some
            place, start = self.stand((piece, at + some)), start + some

    def owners(self, start: int = 0, end: int | None = None) -> list[Any]:
        """Of each unit its owner."""
        found: list[Any] = []
        for piece, a, b in self.between(start, self.size if end is None else end):
            found += piece.owners if b - a == len(piece.owners) else piece.owners[a:b]
        return found

    def showing(self, start: int = 0, end: int | None = None) -> list[Any]:
        """Of each unit that shows its owner."""
        found: list[Any] = []
        for piece, a, b in self.between(start, self.size if end is None else end):
            owners = piece.owners[a:b]
            found += compress(owners, piece.alive[a:b]) if piece.dead else owners
        return found

    def text(self, start: int = 0, end: int | None = None) -> str:
        """The characters that show."""
        return "".join(
            "".join(compress(piece.chars[a:b], piece.alive[a:b])) if piece.dead else piece.chars[a:b]
            for piece, a, b in self.between(start, self.size if end is None else end)
        )

    def each(self) -> Iterator[tuple[tuple[int, int], Any, int, str]]:
        """Of each unit its name, its owner, whether it shows, and its character."""
        for piece in self.pieces:
            for at, owner in enumerate(piece.owners):
                name = owner._stamp.writer.client, piece.clocks[at]
                yield name, owner, piece.alive[at], piece.chars[at : at + 1]

    def clocks(self) -> array[int]:
        """Of each unit its clock."""
        found = array("Q")
        for piece in self.pieces:
            found += piece.clocks
        return found

    def alive(self) -> bytearray:
        """Of each unit whether it shows."""
        return bytearray().join([piece.alive for piece in self.pieces])

    def chars(self) -> str:
        """The characters of a text, deleted ones too."""
        return "".join([piece.chars for piece in self.pieces])
