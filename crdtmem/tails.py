"""What is left of forked sessions, for whoever has built on what is void now: decision 11.

A forked session is void from the first change on of which there are two. Nobody holds all of its changes, so nobody may
depend on them: who names one names the one before the fork, who follows one of its units follows its last unit before
the fork, and what an author had seen is also told by the units it follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crdtmem.change import Change
from crdtmem.change import Ordered as OrderedPart

Field = Any


class Tails:
    """The forked sessions of a state.

    Args:
        first: for each, the first of its changes that is void.
    """

    __slots__ = ("_clients", "first", "sights")

    def __init__(self, first: dict[bytes, int]) -> None:
        self.first = first
        self.sights: dict[tuple[bytes, int], tuple[tuple[bytes, int], ...]] = {}  # what a change had seen besides
        self._clients: dict[int, bytes] = {}

    def note(self, session: bytes, seq: int, client: int) -> None:
        """This session was forked at this change."""
        self.first[session] = seq
        self._clients[client] = session

    def look(self, change: Change, fields: Mapping[Any, Field], marks: dict[bytes, int]) -> None:
        """Add to what a change had seen: the units that it follows, though what told so may be void."""
        sights: dict[bytes, int] = {}
        for part in change.parts:
            field: Field = fields.get(part[:2])
            for run in (*part.runs, *part.moves) if type(part) is OrderedPart and field is not None else ():
                stamp = field.made(run[0])
                if stamp is not None and stamp.writer.id != change.session:
                    sights[stamp.writer.id] = max(stamp.seq, sights.get(stamp.writer.id, 0))
        if sights:
            self.sights[change.session, change.seq] = tuple(sorted(sights.items()))
            for session, seq in sights.items():
                marks[session] = max(seq, marks.get(session, 0))

    def awaited(self, change: Change, seq_of: Callable[[bytes], int]) -> tuple[bytes, int] | None:
        """What has to come of a forked session before it is known where what follows it belongs.

        Args:
            change: the change.
            seq_of: how far a session has come.
        """
        parts = [part for part in change.parts if type(part) is OrderedPart]
        for unit in [unit for part in parts for unit in _units(part)]:
            session = self._clients.get(unit[0])
            if session not in (None, change.session) and seq_of(session) < self.first[session] - 1:
                return session, self.first[session] - 1
        return None

    def without(self, change: Change, own: int, field: Callable[[int, str], Field]) -> tuple[Any, ...]:
        """The parts of a change, speaking of no void unit of another session.

        Args:
            change: the change.
            own: the client of its session: of its own units it names only those before.
            field: gives a field.
        """
        forked = self._clients.keys() - {own}
        return tuple([_without(p, forked, field) if type(p) is OrderedPart else p for p in change.parts])


def _without(part: OrderedPart, forked: set[int], field_of: Callable[[int, str], Field]) -> OrderedPart:
    if not any(unit[0] in forked for unit in _units(part)):
        return part
    field = field_of(part.kind, part.field)
    lefts = {run[0]: field.last(run[0]) for run in (*part.runs, *part.moves) if run[0] and run[0][0] in forked}
    spans = [field.clipped(span) if span[0] in forked else span for span in part.deletes]
    return part._replace(
        runs=tuple([(lefts.get(run[0], run[0]), *run[1:]) for run in part.runs]),
        moves=tuple([(lefts.get(move[0], move[0]), move[1]) for move in part.moves]),
        deletes=tuple([span for span in spans if span is not None]),
    )


def _units(part: OrderedPart) -> list[Any]:
    """The units it follows, and those it deletes."""
    return [run[0] for run in (*part.runs, *part.moves) if run[0] is not None] + list(part.deletes)
