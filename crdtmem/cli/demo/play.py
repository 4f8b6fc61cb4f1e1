"""The director: starts the crew, plays the beats, ends the crew, and looks at the files that are left."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from crdtmem import CrdtmemError, Replica
from crdtmem.cli.demo import answers, loss, more, storm
from crdtmem.cli.demo.cables import Cables
from crdtmem.cli.demo.crew import PROGRAM, Crew, Failed
from crdtmem.cli.demo.scene import Beat, Check, Night, Outcome, Stage
from crdtmem.cli.demo.script import AGENTS, TASK, TENANT, Story

SIX = (loss.LOSS, storm.STORM, answers.WHO, answers.DISAGREE, answers.RETRACT, answers.PHANTOM)
MORE = (more.COUNT, more.PROMPT, more.PINNED)
READ = 1.8  # seconds to read what a beat has shown


async def play(
    story: Story,
    stage: Stage,
    folder: Path,
    *,
    beats: Sequence[Beat] = SIX,
    llm: str | None = None,
    program: Sequence[str] = PROGRAM,
    cables: Cables | None = None,
    patience: float = 60.0,
) -> Outcome:
    """Play a story; what came of it. Whatever happens, no process is left behind.

    Args:
        story: what is to be done.
        stage: where it is shown.
        folder: for the files; empty.
        beats: which parts of it.
        llm: which model the reviewer asks, if any.
        program: the command that starts an agent.
        cables: the network.
        patience: how many seconds anything may take.
    """
    began = time.monotonic()
    stage.opens(story, folder, llm)
    crew = Crew(
        folder,
        program=program,
        cables=cables or Cables(AGENTS),
        patience=patience,
        moved=lambda: stage.moved(crew),
    )
    checks: list[Check] = []
    try:
        checks += await _played(Night(story, crew, stage, llm), beats)
        await crew.end()
        checks.append(await asyncio.to_thread(_files, [member.path for member in crew.members.values()]))
    finally:
        await crew.kill()
    left = tuple(sorted(os.listdir(folder)))
    outcome = Outcome(story, folder, tuple(checks), left, time.monotonic() - began)
    stage.closes(outcome)
    return outcome


async def _played(night: Night, beats: Sequence[Beat]) -> list[Check]:
    """The checks of all beats, up to the first that cannot be played."""
    checks: list[Check] = []
    stage, number = night.stage, 0
    try:
        stage.doing("four processes start")
        await night.crew.start()
        for number, beat in enumerate(beats, start=1):
            beat = beat.told(night.story)
            stage.begins(number, beat)
            shown = await beat.play(night)
            checks += shown.checks
            stage.ended(number, beat, shown)
            await stage.pause(READ)
    except Failed as failure:
        checks.append(Check(str(failure), held=False))
        stage.failed(str(failure))
    return checks


def _files(paths: list[Path]) -> Check:
    """Whether all files hold the same, now that every process has ended."""
    claim = "all processes have ended, and the four files hold the same"
    try:
        digests = {_digest(path) for path in paths}
    except CrdtmemError as error:
        return Check(claim, held=False, figure=str(error))
    return Check(claim, len(digests) == 1, min(digests)[:8])


def _digest(path: Path) -> str:
    with Replica("reader", store=path) as replica:  # as its owner, which shows that nobody owns it any more
        return replica.open(tenant=TENANT, task=TASK).digest()
