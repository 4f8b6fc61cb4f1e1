"""Who is there: agents say what they do and where, it travels through the team, and is forgotten unless renewed.

Nothing of it is stored, and it proves nothing: a peer may say what it likes. What a peer has said later, by its own
count, replaces what it said before; only news is passed on, so it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crdtmem.sync.frames import MAX_PRESENT, Here

MOST = 4096  # agents of one namespace; more are not listed


class Present(NamedTuple):
    """One agent that is there."""

    agent: str
    doing: str | None
    field: str | None


class Roll:
    """Who is there in one namespace.

    >>> roll = Roll()
    >>> news = roll.hear([Here(bytes(16), 1, 30.0, "ann", "reads", "facts")], now=0)
    >>> roll.present(now=29), roll.present(now=31)
    ([Present(agent='ann', doing='reads', field='facts')], [])
    >>> roll.hear(news, now=1)  # nothing new
    []
    """

    def __init__(self) -> None:
        self._said: dict[tuple[bytes, str], tuple[float, Here]] = {}  # (peer, agent) -> until when, what

    def hear(self, said: Iterable[Here], now: float) -> list[Here]:
        """Take in what was said; what of it is new."""
        news = []
        for here in said:
            key = (here.peer, here.agent)
            known = self._said.get(key)
            if known is not None and known[1].number >= here.number:
                continue
            if known is None and len(self._said) >= MOST:
                self.forget(now)
                if len(self._said) >= MOST:
                    continue
            self._said[key] = (now + here.seconds, here)
            news.append(here)
        return news

    def forget(self, now: float) -> None:
        """Let go of what has run out; a moment later, so that what was passed around does not come back as news."""
        self._said = {key: said for key, said in self._said.items() if said[0] + 60 > now}

    def present(self, now: float) -> list[Present]:
        """Who is there."""
        found = [Present(h.agent, h.doing, h.field) for until, h in self._said.values() if until > now and h.seconds]
        return sorted(found, key=lambda present: (present.agent, present.field or "", present.doing or ""))

    def all(self, now: float) -> list[list[Here]]:
        """What to tell a newcomer, in as many frames as it takes."""
        alive = [
            Here(here.peer, here.number, until - now, here.agent, here.doing, here.field)
            for until, here in self._said.values()
            if until > now and here.seconds
        ]
        return in_frames(alive)


def in_frames(said: Sequence[Here]) -> list[list[Here]]:
    """So many at a time as a frame holds."""
    return [list(said[n : n + MAX_PRESENT]) for n in range(0, len(said), MAX_PRESENT)]
