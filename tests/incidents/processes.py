"""Real processes for stories about processes: each runs a script, says lines, and goes on when it is told to."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def started(script: str, *arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a script in a folder; gone when the block ends, however it ends."""
    command = [sys.executable, "-c", script, *arguments]
    with (
        subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as after,
    ):
        after.callback(process.kill)
        yield process


def heard(process: subprocess.Popen[str]) -> str:
    """The next line it says; nothing when it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let it go on from where it waits for a line."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
