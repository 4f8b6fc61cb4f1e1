"""The second beat: the network is cut, one agent is killed, and all write on; then everything is joined again.

An agent tells of each page once its write has returned. So what was told before the kill is what must be there after.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from crdtmem.cli.demo.crew import Crew, Told
from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import SIDES

ENOUGH = 15  # pages of each agent, in each part
LOOK = 1.2  # seconds, for people to see how each stands


async def play(night: Night) -> Shown:
    """Cut, kill, start again, join, and compare."""
    crew, stage = night.crew, night.stage
    await crew.all_do("work")
    await _more(crew)
    stage.doing(f"the network is cut: {' and '.join(SIDES[0])} | {' and '.join(SIDES[1])}")
    began = time.monotonic()
    crew.cables.cut(SIDES[0])
    await crew.until(lambda: _apart(crew), "the cut is noticed")
    await _more(crew, 1)  # what is told from here on was written after the cut
    at_cut = {name: len(member.pages) for name, member in crew.members.items()}
    await stage.pause(LOOK)
    await _more(crew, night.story.after)
    death = await _killed(night)
    await _more(crew)
    meanwhile = {
        "crossed": await _crossed(crew, at_cut),
        "cut_seconds": round(time.monotonic() - began, 2),
        "written_meanwhile": {name: len(member.pages) - at_cut[name] for name, member in crew.members.items()},
    }
    stage.doing("the network is back")
    apart, healed = await _heal(crew)
    await crew.all_do("rest")
    await crew.in_step()
    told = await crew.all_do("pages")
    return _compared(crew, apart, told, {**death, **meanwhile, "heal_seconds": round(healed, 2)})


async def _killed(night: Night) -> dict[str, Any]:
    """Kill an agent while it writes, and start it again on its file: what it had said, and what is there."""
    stage, victim = night.stage, night.crew[night.story.killed]
    code = await victim.kill()
    acknowledged = list(victim.pages)
    stage.doing(f"{victim.name}, process {victim.pid}, was killed with kill -9 while it was writing")
    await stage.pause(LOOK)
    stage.doing(f"{victim.name} starts again on its file")
    kept = await _again(night.crew, victim.name)
    return {
        "killed": victim.name,
        "exit_code": code,
        "acknowledged_before_kill": len(acknowledged),
        "found_after_kill": sum(page in kept for page in acknowledged),
    }


async def _more(crew: Crew, pages: int = ENOUGH) -> None:
    """Wait until each has read so many pages more."""
    goals = {name: len(member.pages) + pages for name, member in crew.members.items()}
    await crew.until(
        lambda: all(len(crew[name].pages) >= goal for name, goal in goals.items()),
        f"each agent makes {pages} more writes",
    )


def _apart(crew: Crew) -> bool:
    return all(set(member.state.get("peers", ())) <= crew.cables.reach(name) for name, member in crew.members.items())


async def _again(crew: Crew, name: str) -> set[str]:
    """Start a killed agent again on its file; the pages in it, before it has talked to anybody."""
    await crew[name].start()
    told = await crew.do(name, "pages")
    await crew.share(name)
    await crew.do(name, "work")
    return set(told.value["named"])


async def _crossed(crew: Crew, at_cut: dict[str, int]) -> int:
    """How many pages one side has read since the cut that the other knows of."""
    crossed = 0
    for here, there in (SIDES, SIDES[::-1]):
        named = set((await crew.do(here[0], "pages")).value["named"])
        crossed += sum(page in named for name in there for page in crew[name].pages[at_cut[name] :])
    return crossed


async def _heal(crew: Crew) -> tuple[dict[str, Told], float]:
    """Plug everything in: how each stood before, and how long until all have seen what anybody had seen then."""
    apart = await crew.all_do("content")
    crew.cables.heal()
    began = time.monotonic()
    await crew.all_do("content", after=[one.version for one in apart.values()])
    return apart, time.monotonic() - began


def _compared(crew: Crew, apart: dict[str, Told], told: dict[str, Told], measured: dict[str, Any]) -> Shown:
    acknowledged = {page for member in crew.members.values() for page in member.pages}
    wrote = measured["written_meanwhile"]
    figures = {
        **measured,
        "acknowledged": len(acknowledged),
        "missing": sum(len(acknowledged.difference(one.value["named"])) for one in told.values()),
        "slowest_ms": round(1000 * max(member.slowest for member in crew.members.values()), 1),
    }
    return Shown(
        checks=_checks(told, figures),
        table=(
            ("agent", "wrote meanwhile", "digest while cut", "digest after"),
            *((name, str(wrote[name]), apart[name].digest[:8], told[name].digest[:8]) for name in told),
        ),
        lines=(
            f"Cut for {figures['cut_seconds']:.1f} s; in step {figures['heal_seconds']:.1f} s after the cables were "
            f"back. The slowest write took {figures['slowest_ms']} ms.",
        ),
        figures=figures,
    )


def _checks(told: dict[str, Told], figures: dict[str, Any]) -> tuple[Check, ...]:
    digests = {name: one.digest for name, one in told.items()}
    named = {name: sorted(one.value["named"]) for name, one in told.items()}
    agree = all(one.value["counted"] == len(one.value["named"]) for one in told.values())
    before, found = figures["acknowledged_before_kill"], figures["found_after_kill"]
    return (
        Check(
            "while it was cut, nothing crossed",
            figures["crossed"] == 0,
            f"{sum(figures['written_meanwhile'].values())} writes went on",
        ),
        Check(
            f"{figures['killed']} died of kill -9, and its file had all it had acknowledged",
            figures["exit_code"] == -signal.SIGKILL and found == before,
            f"{found} of {before}",
        ),
        Check("healed: four equal digests", equal(digests), min(digests.values())[:8]),
        Check(
            "no acknowledged write is missing anywhere, and the counter agrees",
            figures["missing"] == 0 and equal(named) and agree,
            f"{figures['acknowledged']} writes",
        ),
    )


STORM = Beat(
    "storm",
    "A cut and a kill -9",
    "The network between the agents is cut in two (a TCP proxy drops every connection), one process is killed, and the "
    "others write on.",
    play,
)
