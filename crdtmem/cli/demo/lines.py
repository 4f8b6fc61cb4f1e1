"""The demo for programs: one JSON object a line, as it happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from crdtmem.cli.demo.crew import Crew
from crdtmem.cli.demo.scene import Beat, Check, Outcome, Shown
from crdtmem.cli.demo.script import ROLES, Story


class Lines:
    """An object for the opening, each beat, a failure, and the end; `event` says which: opens, beat, failed, closes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def _say(self, event: str, **words: Any) -> None:
        print(json.dumps({"event": event, **words}), file=self._out, flush=True)

    def opens(self, story: Story, folder: Path, llm: str | None) -> None:
        """Who is there, and where."""
        self._say("opens", seed=story.seed, folder=str(folder), agents=ROLES, llm=llm)

    def begins(self, number: int, beat: Beat) -> None:
        """It is told when it has ended."""

    def doing(self, what: str) -> None:
        """For people only."""

    def moved(self, crew: Crew) -> None:
        """For people only."""

    async def pause(self, seconds: float) -> None:
        """Programs need no time to read."""

    def ended(self, number: int, beat: Beat, shown: Shown) -> None:
        """All that was measured."""
        self._say(
            "beat",
            number=number,
            name=beat.name,
            title=beat.title,
            sentence=beat.sentence,
            checks=[_plain(check) for check in shown.checks],
            figures=dict(shown.figures),
        )

    def failed(self, why: str) -> None:
        """Why it ends here."""
        self._say("failed", why=why)

    def closes(self, outcome: Outcome) -> None:
        """Whether all held, and what is left."""
        self._say(
            "closes",
            held=outcome.held,
            checks=[_plain(check) for check in outcome.checks],
            seconds=round(outcome.seconds, 2),
            folder=str(outcome.folder),
            files=list(outcome.files),
        )


def _plain(check: Check) -> dict[str, Any]:
    return {"claim": check.claim, "held": check.held, "figure": check.figure}
