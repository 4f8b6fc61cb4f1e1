"""The store that loses: one JSON file, read whole, changed, and written whole. Of two writers the last one wins.

Each writing is atomic, as a careful program would do it: no reader ever sees half a file. What is lost is lost by the
order of reading and writing alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crdtmem.cli.demo.script import QUESTIONS, Write

Board = dict[str, Any]


def empty() -> Board:
    """What the board holds at the start.

    >>> len(empty()["questions"])
    5
    """
    return {"facts": [], "findings": [], "questions": list(QUESTIONS), "tokens": 0}


def read(path: Path) -> Board:
    """All of the file."""
    board: Board = json.loads(path.read_text(encoding="utf-8"))
    return board


def replace(path: Path, board: Board) -> None:
    """Write all of the file."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(board, indent=1), encoding="utf-8")
    fresh.replace(path)


def change(board: Board, writes: Iterable[Write]) -> None:
    """Make some writes to a copy of the board.

    >>> board = empty()
    >>> change(board, [Write("facts", "a"), Write("closed", "Is it support?"), Write("tokens", 7)])
    >>> board["facts"], len(board["questions"]), board["tokens"]
    (['a'], 4, 7)
    """
    for place, value in writes:
        if place == "tokens":
            board["tokens"] += value
        elif place == "closed":
            board["questions"] = [question for question in board["questions"] if question != value]
        else:
            board[place].append(value)


def holds(board: Board, write: Write) -> bool:
    """Whether a write can still be seen on the board.

    >>> holds(empty(), Write("closed", "Is it support?")), holds(empty(), Write("facts", "a"))
    (False, False)
    """
    if write.place == "closed":
        return write.value not in board["questions"]
    return write.value in board[write.place]
