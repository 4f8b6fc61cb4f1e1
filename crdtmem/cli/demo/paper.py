"""The demo as text, on any console; `live.py` adds what moves, `lines.py` is for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crdtmem.cli.demo.crew import Crew
from crdtmem.cli.demo.scene import Beat, Check, Outcome, Shown
from crdtmem.cli.demo.script import AGENTS, Story

WIDE = 80  # columns; wider lines are hard to read
COLOURS = dict(zip(AGENTS, ("cyan", "green", "magenta", "yellow"), strict=True))
Commands = Callable[[Path], list[str]]


class Paper:
    """Plain text, beat by beat.

    Args:
        console: where to.
        commands: what there is to try on the files that are left.
        marks: what stands before a check that held, and before one that did not.
    """

    def __init__(self, console: Console, commands: Commands, *, marks: tuple[str, str] = ("ok", "FAIL")) -> None:
        self.console = console
        self._commands = commands
        self._marks = marks

    def opens(self, story: Story, folder: Path, llm: str | None) -> None:
        """Say what is real and what is not."""
        model = f"only the reviewer asks a model ({llm})" if llm else "no model is asked"
        self._print(Text("crdtmem demo: a research crew works through the night", "bold"))
        self._print(
            "Four agents, each a process with a file of its own, joined by websockets; no server. What they write "
            f"follows a script (seed {story.seed}), and {model}. The processes, files, connections and kill -9 are "
            "real; every figure was measured in this run."
        )

    def begins(self, number: int, beat: Beat) -> None:
        """The head of a beat, and its sentence."""
        self._print()
        self._print(Text(f"{number}. {beat.title}", "bold"))
        self._print(beat.sentence)

    def doing(self, what: str) -> None:
        """Paper does not move."""

    def moved(self, crew: Crew) -> None:
        """Paper does not move."""

    async def pause(self, seconds: float) -> None:
        """Paper waits for nobody."""

    def ended(self, number: int, beat: Beat, shown: Shown) -> None:
        """What it has shown."""
        if shown.table:
            self._print(Padding(_table(shown.table), (1, 0, 0, 2), expand=False))
        if shown.lines:
            self._print()
        for line in shown.lines:
            self._print(Padding(Text(line), (0, 0, 0, 2)))
        self._print()
        self._checks(shown.checks)

    def failed(self, why: str) -> None:
        """Say why the demo ends here."""
        self._print()
        self._checks((Check(why, held=False),))

    def closes(self, outcome: Outcome) -> None:
        """Add it all up; say what is left, and what to try on it."""
        held = sum(check.held for check in outcome.checks)
        number = len(outcome.checks)
        if outcome.held:
            head = Text(f"All {number} checks held, in {outcome.seconds:.1f} s.", "bold green")
        else:
            head = Text(f"{held} of {number} checks held, in {outcome.seconds:.1f} s. Not these:", "bold red")
        self._print()
        if outcome.held and outcome.checks:
            self._checks(outcome.checks[-1:])  # the last one belongs to no beat
            self._print()
        self._print(head)
        if outcome.held:
            self._left(outcome)
        else:
            self._checks(tuple(check for check in outcome.checks if not check.held))
            self._print()
            self._print(f"What was written until then is in {outcome.folder}.")

    def _left(self, outcome: Outcome) -> None:
        stores = [name for name in outcome.files if name.endswith(".db")]
        self._print()
        self._print(
            f"Left in {outcome.folder}: {', '.join(stores)}, the same memory four times, and board.json, the file that "
            "lost. Try:"
        )
        for command in self._commands(outcome.folder):
            self._print(Text(f"  {command}", "bold"), soft_wrap=True)  # so that it can be copied whole

    def _print(self, shown: RenderableType = "", *, soft_wrap: bool = False) -> None:
        """On a terminal as it is; elsewhere without the spaces that fill its lines up."""
        if self.console.is_terminal:
            self.console.print(shown, soft_wrap=soft_wrap)
            return
        with self.console.capture() as drawn:
            self.console.print(shown, soft_wrap=soft_wrap)
        self.console.file.writelines(f"{line.rstrip()}\n" for line in drawn.get().splitlines())
        self.console.file.flush()

    def _checks(self, checks: tuple[Check, ...]) -> None:
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", max_width=28)
        for check in checks:
            style = "green" if check.held else "bold red"
            mark = Text(self._marks[0 if check.held else 1], style)
            grid.add_row(mark, Text(check.claim, "" if check.held else style), Text(check.figure, "bold"))
        grid.width = self.console.width - 4
        self._print(Padding(grid, (0, 0, 0, 2)))


def _table(rows: tuple[tuple[str, ...], ...]) -> Table:
    """The first row is the head; columns of numbers stand to the right."""
    table = Table(box=None, padding=(0, 3, 0, 0), show_edge=False, header_style="dim")
    head, *body = rows
    for column, word in enumerate(head):
        numbers = bool(body) and all(row[column].replace(",", "").isdigit() for row in body)
        table.add_column(word, justify="right" if numbers else "left")
    for row in body:
        table.add_row(*[Text(cell, COLOURS.get(cell, "")) for cell in row])
    return table
