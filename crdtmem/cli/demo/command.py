"""The command `crdtmem demo`: its options, where its files go, where it is shown, and the exit code.

It imports the demo only when it runs, so that other commands start without it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crdtmem.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from crdtmem.cli.demo.scene import Outcome, Stage

SEED = 1  # of which the figure is 3.1 %
NAME = "crdtmem-demo"


def run(
    seed: Annotated[int, typer.Option(help="another story: who writes what, and when")] = SEED,
    folder: Annotated[
        Path | None,
        typer.Option(help=f"for the files it leaves, new or empty; else {NAME} here, or the next", show_default=False),
    ] = None,
    more: Annotated[bool, typer.Option("--all", help="three beats more: counters, a prompt, a pinned read")] = False,  # noqa: FBT002
    plain: Annotated[bool, typer.Option("--plain", help="text without colours, motion and pauses")] = False,  # noqa: FBT002
    lines: Annotated[bool, typer.Option("--json", help="JSON, one object a line")] = False,  # noqa: FBT002
    llm: Annotated[
        str | None,
        typer.Option(metavar="NAME[:MODEL]", help="the reviewer also asks anthropic or openai", show_default=False),
    ] = None,
) -> None:
    """See it work, in half a minute: four processes, a file that loses, a cut, a kill -9, and what the memory answers.

    Every check was made in this very run; the exit code is 0 only if all of them held.

    Example: `crdtmem demo --seed 7 --plain`
    """
    from crdtmem.cli.demo.model import checked
    from crdtmem.cli.demo.play import MORE, SIX, play
    from crdtmem.cli.demo.script import story

    if llm is not None:
        checked(llm)
    where = fresh(folder)
    try:
        with _stage(plain=plain, lines=lines) as stage:
            beats, patience = ((*SIX, *MORE) if more else SIX), (300.0 if llm else 60.0)  # models take their time
            outcome = _ran(play(story(seed), stage, where, beats=beats, llm=llm, patience=patience))
    except _Stopped as stopped:
        print(f"crdtmem: stopped; no process is left, and what they wrote is in {where}", file=sys.stderr)
        raise typer.Exit(128 + stopped.number) from None
    raise typer.Exit(0 if outcome.held else 1)


class _Stopped(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


def _ran(playing: Coroutine[Any, Any, Outcome]) -> Outcome:
    """What came of it. Who is told to end, by Ctrl-C or SIGTERM, ends the crew first."""
    import asyncio

    async def main() -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await playing

    try:
        return asyncio.run(main())
    except KeyboardInterrupt:
        raise _Stopped(signal.SIGINT) from None
    except asyncio.CancelledError:
        raise _Stopped(signal.SIGTERM) from None


def _stage(*, plain: bool, lines: bool) -> AbstractContextManager[Stage]:
    """JSON for programs; a terminal that can move for people; text for everybody else."""
    from rich.console import Console

    from crdtmem.cli.demo.lines import Lines
    from crdtmem.cli.demo.live import Terminal
    from crdtmem.cli.demo.paper import WIDE, Paper

    if lines:
        return nullcontext(Lines(sys.stdout))
    console = Console(highlight=False, markup=False, emoji=False, no_color=True if plain else None)
    console.width = min(console.width, WIDE)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return nullcontext(Paper(console, tries))
    return Terminal(console, tries)


def fresh(asked: Path | None) -> Path:
    """A folder for the files: the one that was asked for, or a new one here, or else where temporary files go.

    Raises:
        MisuseError: there is something in it, or it cannot be made.
    """
    if asked is not None:
        try:
            asked.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MisuseError(f"--folder {asked} cannot be made: {error.strerror}") from None
        if any(asked.iterdir()):
            raise MisuseError(f"--folder {asked}: there are files in it; name a new folder, or remove them")
        return asked
    for number in count(1):
        found = Path(NAME if number == 1 else f"{NAME}-{number}")
        try:
            found.mkdir()
        except FileExistsError:
            continue
        except OSError:  # nothing can be written here
            return _elsewhere()
        return found
    raise AssertionError("there is always a next number")


def _elsewhere() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
    except OSError as error:
        raise MisuseError(f"no folder for the files can be made here ({error}); name one: --folder PATH") from None


def tries(folder: Path) -> list[str]:
    """Three commands to try on the files, as they are typed here."""
    from crdtmem.cli.demo.script import KEY

    command, file = _command(), quote(str(folder / "web.db"))
    return [
        f"{command} timeline {file} --last 12",
        f"{command} check {file}",
        f'{command} explain {file} figures "{KEY}"',
    ]


def _command() -> str:
    """How `crdtmem` is called in this shell."""
    beside = Path(sys.executable).with_name("crdtmem")
    found = shutil.which("crdtmem")
    if found and os.path.realpath(found) == os.path.realpath(beside):
        return "crdtmem"
    if not beside.exists():
        return "crdtmem" if found else f"{quote(sys.executable)} -m crdtmem"
    here = Path.cwd()
    return quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))
