"""Units in pieces are a list of units: the slow model is that list."""

from array import array
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crdtmem.fields import units as module
from crdtmem.fields.units import Units

CLIENTS = (1, 2, 3)


def owner(client: int, said: object = None) -> Any:
    return SimpleNamespace(_stamp=SimpleNamespace(writer=SimpleNamespace(client=client)), said=said)


class Pieces(RuleBasedStateMachine):
    """Units that come and go, and a list of what should be there: name, owner, whether it shows, character."""

    def __init__(self) -> None:
        super().__init__()
        self.units = Units()
        self.slow: list[tuple[tuple[int, int], Any, int, str]] = []
        self.ticks = dict.fromkeys(CLIENTS, 0)
        self.copies: list[tuple[Units, list[Any]]] = []

    @initialize(size=st.integers(0, 9))
    def begin(self, size: int) -> None:
        """From a checkpoint, all at once."""
        mine = owner(1)
        self.slow = [((1, at), mine, at % 2, "abc"[at % 3]) for at in range(size)]
        self.units = Units(
            [mine] * size, array("Q", range(size)), bytes([at % 2 for at in range(size)]), ("abc" * 3)[:size]
        )
        self.ticks[1] = size

    @rule(at=st.integers(0, 40), client=st.sampled_from(CLIENTS), size=st.integers(1, 12), live=st.integers(0, 1))
    def insert(self, at: int, client: int, size: int, live: int) -> None:
        at = min(at, len(self.slow))
        first = self.ticks[client] + (at % 3 == 0)  # a gap, now and then
        new = [((client, first + n), owner(client), live, "xyz"[n % 3]) for n in range(size)]
        place = self.units.insert(
            self.units.place(at),
            client,
            [its for _, its, _, _ in new],
            array("Q", range(first, first + size)),
            bytes([live]) * size,
            "".join(char for *_, char in new),
        )
        self.slow[at:at] = new
        self.ticks[client] = first + size
        behind = self.units.stand(place)
        assert (behind is None) == (at + size == len(self.slow))
        assert behind is None or self.seen(behind) == self.slow[at + size]

    @rule(at=st.integers(0, 40))
    def kill(self, at: int) -> None:
        assume(at < len(self.slow) and self.slow[at][2])
        name, its, _, char = self.slow[at]
        husk = owner(name[0], its)
        place = self.units.place(at)
        assert place is not None
        self.units.kill(place, husk)
        self.slow[at] = (name, husk, 0, char)

    @rule(hidden=st.sets(st.integers(0, 40), max_size=3))
    def copy(self, hidden: set[int]) -> None:
        hidden = {at for at in hidden if at < len(self.slow) and self.slow[at][2]}
        seen = [(n, o, 0 if at in hidden else a, c) for at, (n, o, a, c) in enumerate(self.slow)]
        self.copies.append((self.units.copy(hidden), seen))

    @rule(start=st.integers(0, 60), size=st.integers(0, 60))
    def read_some(self, start: int, size: int) -> None:
        start = min(start, len(self.slow))
        some = self.slow[start : start + size]
        end = start + len(some)
        assert self.units.owners(start, end) == [its for _, its, _, _ in some]
        assert self.units.showing(start, end) == [its for _, its, shows, _ in some if shows]
        assert self.units.text(start, end) == "".join(char for _, _, shows, char in some if shows)
        assert self.units.live(start) == sum(shows for _, _, shows, _ in self.slow[:start])

    @rule()
    def find_each(self) -> None:
        for at, (name, *_) in enumerate(self.slow):
            assert self.seen(self.units.find(*name)) == self.slow[at]
            place = self.units.place(at)
            assert place is not None
            assert self.seen(place) == self.slow[at]
        shown = [at for at, (_, _, shows, _) in enumerate(self.slow) if shows]
        assert [self.units.nth(n) for n in range(len(shown))] == shown
        for client in CLIENTS:
            missing = set(range(self.ticks[client] + 1)) - {clock for (its, clock), *_ in self.slow if its == client}
            for clock in missing:
                with pytest.raises(ValueError, match=f"no unit {clock} of {client}"):
                    self.units.find(client, clock)

    @staticmethod
    def seen(place: Any) -> Any:
        piece, at = place
        its = piece.owners[at]
        return (its._stamp.writer.client, piece.clocks[at]), its, piece.alive[at], piece.chars[at]

    @invariant()
    def all_is_there(self) -> None:
        for units, slow in ((self.units, self.slow), *self.copies):
            assert list(units.each()) == slow
            assert (units.size, units.dead) == (len(slow), sum(not shows for _, _, shows, _ in slow))
            assert (units.owners(), list(units.clocks())) == ([o for _, o, _, _ in slow], [n[1] for n, *_ in slow])
            assert list(units.alive()) == [shows for _, _, shows, _ in slow]
            assert units.chars() == "".join(char for *_, char in slow)
            assert all(0 < len(piece.owners) <= module.PIECE for piece in units.pieces)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 4)


TestPieces = Pieces.TestCase


def test_bytes_of_a_text_are_counted_in_characters_piece_by_piece() -> None:
    chars = "aé\U0001f600bcdeü"
    size = len(chars)
    units = Units([owner(1)] * size, array("Q", range(size)), b"\x01" * size, chars)
    assert [units.char(len(chars[:at].encode())) for at in range(size + 1)] == list(range(size + 1))
