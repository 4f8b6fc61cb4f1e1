"""The first beat: the same writes by the same processes, to a JSON file and to a memory; what each has kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crdtmem.cli.demo import board
from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import QUESTIONS, Write

TICK = 0.2  # seconds, for people to see it happen
PLACES = {"facts": "facts", "findings": "findings", "closed": "questions closed"}


async def play(night: Night) -> Shown:
    """Play the turns of all agents in the order in which they read and write; then count."""
    crew, path = night.crew, night.board
    board.replace(path, board.empty())
    planned = await crew.do("synth", "plan", questions=list(QUESTIONS))
    await crew.all_do("content", after=[planned.version])
    tick = 0
    for step in night.story.steps:
        await night.stage.pause(TICK * (step.tick - tick))
        tick = step.tick
        turn = step.turn
        night.stage.doing(f"{turn.agent} {'writes what it thought of' if step.ends else 'reads, and thinks'}")
        if step.ends:
            await crew.do(turn.agent, "turn", path=str(path), writes=turn.writes)
        else:
            await crew.do(turn.agent, "look", path=str(path))
    told = await crew.in_step()
    return _counted(night, board.read(path), {name: one.value for name, one in told.items()})


def _counted(night: Night, theirs: board.Board, ours: dict[str, board.Board]) -> Shown:
    written = night.story.written
    fate = [(who, one, board.holds(theirs, one), _everywhere(ours, one)) for who, one in written]
    total, in_file, in_memory = len(fate), sum(row[2] for row in fate), sum(row[3] for row in fate)
    tokens = night.story.tokens
    spent = next(iter(ours.values()))["tokens"]
    lost = [f"{who}: {one.value}" for who, one, kept, _ in fate if not kept and one.place != "closed"]
    reopened = [str(one.value) for _, one, kept, _ in fate if not kept and one.place == "closed"]
    lines = [f"The file lost, among others: {'; '.join(lost[:2])}."] if lost else []
    if reopened:
        lines.append(f"In the file this question is open again, though it was closed: {reopened[0]}")
    return Shown(
        checks=(
            Check(
                "crdtmem kept every write, on all four replicas",
                in_memory == total and equal(ours),
                f"{in_memory} of {total}",
            ),
            Check("it counted every token", all(one["tokens"] == tokens for one in ours.values()), f"{spent:,}"),
            Check(
                "the JSON file lost writes, and no program was told",
                in_file < total,
                f"{total - in_file} of {total} lost",
            ),
        ),
        table=(
            ("", "written", "JSON file", "crdtmem"),
            *_rows(fate),
            ("tokens counted", f"{tokens:,}", f"{theirs['tokens']:,}", f"{spent:,}"),
        ),
        lines=tuple(lines),
        figures={
            "written": total,
            "kept": {"json_file": in_file, "crdtmem": in_memory},
            "tokens": {"spent": tokens, "json_file": theirs["tokens"], "crdtmem": spent},
            "writes": [
                {"agent": who, "place": one.place, "value": one.value, "json_file": there, "crdtmem": here}
                for who, one, there, here in fate
            ],
        },
    )


def _everywhere(ours: dict[str, board.Board], write: Write) -> bool:
    return all(board.holds(one, write) for one in ours.values())


def _rows(fate: list[tuple[str, Write, bool, bool]]) -> list[tuple[str, ...]]:
    """One row for each kind of write: how many there were, and how many each has kept."""
    columns: list[Counter[Any]] = [
        Counter(one.place for _, one, *kept in fate if which is None or kept[which]) for which in (None, 0, 1)
    ]
    return [(word, *(str(column[place]) for column in columns)) for place, word in PLACES.items()]


LOSS = Beat(
    "loss",
    "The loss first",
    "Four agents read, think and write at the same time; the same writes go to a JSON file, read and written whole, "
    "and to crdtmem.",
    play,
)
