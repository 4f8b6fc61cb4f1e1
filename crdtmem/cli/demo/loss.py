"""The first beat: the same writes by the same processes, to a JSON file and to a memory; what each has kept."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from crdtmem.cli.demo import board
from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import QUESTIONS, Write

TICK = 0.2  # seconds, for people to see it happen
PLACES = {"facts": "facts", "findings": "findings", "closed": "questions closed"}


class Fate(NamedTuple):
    """A write, and where it is still to be seen."""

    agent: str
    write: Write
    in_file: bool
    in_memory: bool


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
    fate = [
        Fate(who, one, board.holds(theirs, one), all(board.holds(each, one) for each in ours.values()))
        for who, one in night.story.written
    ]
    tokens, spent = night.story.tokens, next(iter(ours.values()))["tokens"]
    kept = {"json_file": sum(one.in_file for one in fate), "crdtmem": sum(one.in_memory for one in fate)}
    total, lost = len(fate), len(fate) - kept["json_file"]
    return Shown(
        checks=(
            Check(
                "crdtmem kept every write, on all four replicas",
                kept["crdtmem"] == total and equal(ours),
                f"{kept['crdtmem']} of {total}",
            ),
            Check("it counted every token", all(one["tokens"] == tokens for one in ours.values()), f"{spent:,}"),
            Check("the JSON file lost writes, and no program was told", lost > 0, f"{lost} of {total} lost"),
        ),
        table=(
            ("", "written", "JSON file", "crdtmem"),
            *_rows(fate),
            ("tokens counted", f"{tokens:,}", f"{theirs['tokens']:,}", f"{spent:,}"),
        ),
        lines=_lost(fate),
        figures={
            "written": total,
            "kept": kept,
            "tokens": {"spent": tokens, "json_file": theirs["tokens"], "crdtmem": spent},
            "writes": [
                {"agent": one.agent, **one.write._asdict(), "json_file": one.in_file, "crdtmem": one.in_memory}
                for one in fate
            ],
        },
    )


def _lost(fate: list[Fate]) -> tuple[str, ...]:
    """Some of what the file has lost, in words."""
    gone = [one for one in fate if not one.in_file]
    notes = [f"{one.agent}: {one.write.value}" for one in gone if one.write.place != "closed"]
    closed = [f"{one.write.value}" for one in gone if one.write.place == "closed"]
    lines = []
    if notes:
        lines.append(f"The file lost, among others: {'; '.join(notes[:2])}.")
    if closed:
        lines.append(f"In the file this question is open again, though it was closed: {closed[0]}")
    return tuple(lines)


def _rows(fate: list[Fate]) -> list[tuple[str, ...]]:
    """One row for each kind of write: how many there were, and how many each has kept."""
    columns = [
        Counter(one.write.place for one in some)
        for some in (fate, [one for one in fate if one.in_file], [one for one in fate if one.in_memory])
    ]
    return [(word, *(str(column[place]) for column in columns)) for place, word in PLACES.items()]


LOSS = Beat(
    "loss",
    "The loss first",
    "Four agents read, think and write at the same time; the same writes go to a JSON file, read and written whole, "
    "and to crdtmem.",
    play,
)
