"""What is done to a team: faults that begin and end, and a seed that decides when, for how long, and to whom.

A fault is an asynchronous context manager over a team. It begins where it is entered, says what it does, and has ended
without a trace where it is left. Several may torment a team at once; each draws from a seed of its own, so what one
does is not changed by what happens to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import NamedTuple

from tests.processes.proxy import Link
from tests.processes.team import Member, Team

Begin = Callable[[Team, Random], AbstractAsyncContextManager[str]]


class Fault(NamedTuple):
    """What it is, and how many seconds pass before it begins and while it holds."""

    begin: Begin
    pause: tuple[float, float]
    hold: tuple[float, float]


def _some(team: Team, rng: Random) -> list[Link]:
    """About a third of the links, at least one."""
    links = list(team.links.values())
    return rng.sample(links, max(1, len(links) // 3))


def _named(team: Team, links: list[Link]) -> str:
    return ", ".join(f"{a.name}-{b.name}" for (a, b), link in team.links.items() if link in links)


@asynccontextmanager
async def kill(team: Team, rng: Random) -> AsyncIterator[str]:
    """Kill -9; afterwards another process goes on with the file."""
    victim = rng.choice(team.members)
    await victim.kill()
    try:
        yield f"kill {victim.name}"
    finally:
        await victim.start()


@asynccontextmanager
async def massacre(team: Team, rng: Random) -> AsyncIterator[str]:
    """Kill -9 everybody at once."""
    await asyncio.gather(*[victim.kill() for victim in team.members])
    try:
        yield "kill all"
    finally:
        await asyncio.gather(*[victim.start() for victim in team.members])


@asynccontextmanager
async def stop(team: Team, rng: Random) -> AsyncIterator[str]:
    """SIGSTOP, and SIGCONT."""
    victim = rng.choice(team.members)
    victim.freeze()
    try:
        yield f"stop {victim.name}"
    finally:
        victim.thaw()


@asynccontextmanager
async def drop(team: Team, rng: Random) -> AsyncIterator[str]:
    """Connections end: by a reset, or in order."""
    links, how = _some(team, rng), rng.choice((Link.reset, Link.finish))
    for link in links:
        how(link)
    yield f"{how.__name__} {_named(team, links)}"


@asynccontextmanager
async def half(team: Team, rng: Random) -> AsyncIterator[str]:
    """Connections end for one side alone: told that nothing more will come, or that all is over."""
    links, how, end = _some(team, rng), rng.choice((Link.half_close, Link.half_open)), rng.randrange(2)
    for link in links:
        how(link, end)
    try:
        yield f"{how.__name__} {_named(team, links)} at end {end}"
    finally:
        for link in links:
            link.reset()  # the next word of whoever was not told is answered so


@asynccontextmanager
async def hole(team: Team, rng: Random) -> AsyncIterator[str]:
    """Nothing gets through some links, in one direction or in both; what was sent arrives later."""
    links, ways = _some(team, rng), rng.choice(((0,), (1,), (0, 1)))
    for link in links:
        for way in ways:
            link.ways[way].passes.clear()
    try:
        yield f"hole {_named(team, links)} in ways {ways}"
    finally:
        for link in links:
            for way in ways:
                link.ways[way].passes.set()


@asynccontextmanager
async def split(team: Team, rng: Random) -> AsyncIterator[str]:
    """Two parts of the team hear nothing of each other."""
    part = rng.sample(team.members, rng.randrange(1, len(team.members)))
    links = [link for (a, b), link in team.links.items() if (a in part) != (b in part)]
    for link in links:
        for way in link.ways:
            way.passes.clear()
    try:
        yield f"split off {', '.join(sorted(m.name for m in part))}"
    finally:
        for link in links:
            for way in link.ways:
                way.passes.set()


@asynccontextmanager
async def slow(team: Team, rng: Random) -> AsyncIterator[str]:
    """Some links are late, uneven or narrow."""
    links, late, rate = _some(team, rng), rng.choice((0.01, 0.1, 0.5)), rng.choice((0.0, 5_000.0, 50_000.0))
    for link in links:
        for way in link.ways:
            way.delay, way.jitter, way.rate = late, late, rate
    try:
        yield f"slow {_named(team, links)}: {late:g} s late, {rate:g} bytes a second"
    finally:
        for link in links:
            for way in link.ways:
                way.delay = way.jitter = way.rate = 0.0


@asynccontextmanager
async def full(team: Team, rng: Random) -> AsyncIterator[str]:
    """One disk takes nothing more, from some size of a file on."""
    victim = rng.choice(team.members)
    size = rng.choice((1, _log_size(victim) + rng.randrange(20_000)))
    victim.limit(size)
    try:
        yield f"{victim.name} has room for {size} bytes a file"
    finally:
        victim.limit(None)


def _log_size(member: Member) -> int:
    log = member.path.with_name(f"{member.path.name}-wal")
    return log.stat().st_size if log.exists() else 0


@asynccontextmanager
async def clock(team: Team, rng: Random) -> AsyncIterator[str]:
    """One clock is wrong."""
    victim, offset = rng.choice(team.members), rng.choice((-86_400.0, -60.0, -1.0, 1.0, 60.0, 3600.0, 86_400.0))
    victim.order("clock", offset)
    try:
        yield f"the clock of {victim.name} is {offset:+g} s off"
    finally:
        victim.order("clock", 0.0)


FAULTS: dict[str, Fault] = {
    "kill": Fault(kill, (0.3, 2), (0.0, 2)),
    "massacre": Fault(massacre, (3, 6), (0.0, 1)),
    "away": Fault(kill, (0.5, 3), (8, 20)),
    "stop": Fault(stop, (0.3, 2), (0.2, 4)),
    "coma": Fault(stop, (1, 3), (16, 18)),
    "drop": Fault(drop, (0.1, 1), (0.0, 0.1)),
    "half": Fault(half, (0.2, 2), (0.2, 4)),
    "hole": Fault(hole, (0.2, 2), (0.2, 4)),
    "split": Fault(split, (0.5, 2), (0.5, 6)),
    "siege": Fault(split, (1, 3), (16, 20)),
    "slow": Fault(slow, (0.1, 1), (0.5, 4)),
    "full": Fault(full, (0.3, 2), (0.2, 3)),
    "clock": Fault(clock, (0.1, 1), (0.5, 3)),
}


async def torment(team: Team, name: str, seed: int, over: asyncio.Event, note: Callable[[str], None]) -> None:
    """Do one kind of fault again and again, until it is over; then it has ended."""
    fault, rng = FAULTS[name], Random(f"{seed} {name}")
    while not await _over(over, rng.uniform(*fault.pause)):
        hold = rng.uniform(*fault.hold)
        async with fault.begin(team, rng) as what:
            note(what)
            await _over(over, hold)


async def _over(over: asyncio.Event, seconds: float) -> bool:
    """Let so many seconds pass, unless it is over before; whether it is."""
    with suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)
    return over.is_set()
