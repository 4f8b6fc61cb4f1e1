"""What a beat is, and what came of one: plain data, which the views show and programs read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from crdtmem.cli.demo.crew import Crew
from crdtmem.cli.demo.script import Story


class Check(NamedTuple):
    """Something the demo claims: whether it held in this run, and the figure that says so."""

    claim: str
    held: bool
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a beat has shown.

    Attributes:
        checks: what it claims.
        table: rows of cells; the first row is the head.
        lines: what there is to say beside it.
        figures: all that was measured, for programs.
    """

    checks: tuple[Check, ...]
    table: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


class Stage(Protocol):
    """Where it is shown: a terminal, plain text, or JSON."""

    def opens(self, story: Story, folder: Path, llm: str | None) -> None:
        """The demo begins."""

    def begins(self, number: int, beat: Beat) -> None:
        """A beat begins."""

    def doing(self, what: str) -> None:
        """What happens at this moment."""

    def moved(self, crew: Crew) -> None:
        """Somebody has told something."""

    def ended(self, number: int, beat: Beat, shown: Shown) -> None:
        """A beat has ended."""

    def failed(self, why: str) -> None:
        """A beat could not be played to its end."""

    def closes(self, outcome: Outcome) -> None:
        """The demo has ended."""

    async def pause(self, seconds: float) -> None:
        """Leave people the time to read; nothing depends on it."""


@dataclass(slots=True)
class Night:
    """What the beats of one run share.

    Attributes:
        story: what is to be done.
        crew: who does it.
        stage: where it is shown.
        llm: which model the reviewer asks, if any.
        notes: what later beats need of earlier ones: ids and versions, by name.
    """

    story: Story
    crew: Crew
    stage: Stage
    llm: str | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def board(self) -> Path:
        """The file that loses."""
        return self.crew.folder / "board.json"


class Beat(NamedTuple):
    """One part of the demo: its name, title and sentence, and what plays it."""

    name: str
    title: str
    sentence: str
    play: Callable[[Night], Awaitable[Shown]]

    def told(self, story: Story) -> Beat:
        """The same beat, in the words of one story."""
        return self._replace(
            title=self.title.format(churn=story.churn), sentence=self.sentence.format(churn=story.churn)
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    story: Story
    folder: Path
    checks: tuple[Check, ...]
    files: tuple[str, ...]
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every check did, and there was one."""
        return bool(self.checks) and all(check.held for check in self.checks)


def equal(told: Mapping[str, Any]) -> bool:
    """Whether all of them say the same.

    >>> equal({"web": [1], "docs": [1]}), equal({"web": [1], "docs": [2]})
    (True, False)
    """
    first, *others = told.values()
    return all(other == first for other in others)
