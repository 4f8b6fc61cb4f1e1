"""The demo on a terminal: the text of the beats scrolls by, and below it stands what each process is doing now."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from crdtmem.cli.demo.crew import Crew, Member
from crdtmem.cli.demo.paper import COLOURS, Commands, Paper
from crdtmem.cli.demo.scene import Beat, Outcome, Shown
from crdtmem.cli.demo.script import AGENTS, Story


class Terminal:
    """A terminal, while the demo runs on it.

    Args:
        console: the terminal.
        commands: what there is to try on the files that are left.
    """

    def __init__(self, console: Console, commands: Commands) -> None:
        plain = "utf" not in console.encoding.lower()
        self._paper = Paper(console, commands, marks=("ok", "FAIL") if plain else ("✓", "✗"))
        self._spinner = Spinner("line" if plain else "dots", style="dim")
        self._rows: Table | str = ""
        self._live = Live(console=console, transient=True, get_renderable=self._now, refresh_per_second=8)

    def __enter__(self) -> Terminal:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def _now(self) -> Group:
        return Group("", self._rows, self._spinner)

    def opens(self, story: Story, folder: Path, llm: str | None) -> None:
        """Say what is real and what is not."""
        self._paper.opens(story, folder, llm)

    def begins(self, number: int, beat: Beat) -> None:
        """The head of a beat, and its sentence."""
        self._paper.begins(number, beat)

    def doing(self, what: str) -> None:
        """What happens at this moment."""
        self._spinner.update(text=Text(what or " ", "dim"))  # it does not take an empty one

    def moved(self, crew: Crew) -> None:
        """How everybody stands now."""
        self._rows = crew_table(list(crew.members.values()))

    def ended(self, number: int, beat: Beat, shown: Shown) -> None:
        """What a beat has shown."""
        self._paper.ended(number, beat, shown)
        self.doing("")

    def failed(self, why: str) -> None:
        """Say why the demo ends here."""
        self._paper.failed(why)

    def closes(self, outcome: Outcome) -> None:
        """Add it all up, where the processes stood."""
        self._live.stop()
        self._paper.closes(outcome)

    async def pause(self, seconds: float) -> None:
        """Leave people the time to read."""
        await asyncio.sleep(seconds)


def crew_table(members: list[Member]) -> Table:
    """One line for each process: who it is joined to, what it holds, and the digest of that."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for word in ("agent", "process", "peers", "notes", "pages", "digest"):
        table.add_column(word, justify="right" if word in ("process", "peers", "notes", "pages") else "left")
    digests = {member.state.get("digest") for member in members}
    for member in members:
        state = member.state
        name = Text(member.name, COLOURS[member.name])
        if not state:
            status = Text(member.status, "bold red" if member.status == "killed" else "dim")
            table.add_row(name, str(member.pid or ""), "", "", "", status)
            continue
        peers = Text(
            f"{len(state['peers'])} of {len(AGENTS) - 1}", "" if len(state["peers"]) == len(AGENTS) - 1 else "red"
        )
        digest = Text(state["digest"][:8], "green" if len(digests) == 1 else "yellow")
        table.add_row(name, str(member.pid), peers, str(state["notes"]), str(state["pages"]), digest)
    return table
