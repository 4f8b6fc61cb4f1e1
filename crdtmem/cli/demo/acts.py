"""What an agent of the demo can be told to do: each act takes its memory and plain data, and gives plain data.

They are written as a user of the library would write them; nothing here knows of processes or of the director.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from crdtmem import Entry, EntryId, Memory
from crdtmem.cli.demo import board
from crdtmem.cli.demo.script import Write

READ = "pages_read"  # the counter that work is counted in


def plan(memory: Memory, questions: list[str]) -> None:
    """Set the task."""
    with memory.change(why="the task, as given"):
        memory.set("questions").update(questions)


def make(memory: Memory, copy: board.Board, path: Path, writes: list[list[Any]]) -> None:
    """The writes of one turn, made twice: to a copy of the board, which is written whole, and to the memory."""
    wished = [Write(*one) for one in writes]
    board.change(copy, wished)
    board.replace(path, copy)
    for place, value in wished:
        if place == "tokens":
            memory.counter("tokens").add(int(value))
        elif place == "closed":
            memory.set("questions").discard(value, why="answered")
        elif place == "facts":
            memory.set("facts").add(value)
        else:
            memory.sequence("findings").append(value)


def content(memory: Memory) -> board.Board:
    """What the memory holds, in the form of the board."""
    return {
        "facts": sorted(memory.set("facts")),
        "findings": list(memory.sequence("findings")),
        "questions": sorted(memory.set("questions")),
        "tokens": memory.counter("tokens").value,
    }


def standing(memory: Memory) -> dict[str, Any]:
    """How it stands, for who looks on."""
    notes = len(memory.set("facts")) + len(memory.sequence("findings"))
    return {"notes": notes, "pages": memory.counter(READ).value, "digest": memory.digest()}


def write(memory: Memory, kind: str, field: str, call: str, args: list[Any], about: dict[str, Any]) -> str:
    """One write to one field; the id of its entry."""
    because = [EntryId.parse(id) for id in about.get("because", ())]
    entry: Entry = getattr(getattr(memory, kind)(field), call)(*args, **{**about, "because": because})
    return str(entry.id)


def pages(memory: Memory) -> dict[str, Any]:
    """Which pages the audit says were read, and what the counter says."""
    events, after = [], None
    while True:
        page = memory.audit(field=READ, limit=1000, after=after)
        events += [event.why for event in page if event.action == "added"]
        after = page.next
        if after is None:
            return {"named": events, "counted": memory.counter(READ).value}


def timeline(memory: Memory, field: str) -> list[dict[str, str]]:
    """Who wrote what to a field, when and why."""
    events = [event for event in memory.audit(field=field) if event.action == "added"]
    return [
        {"when": f"{event.when:%H:%M:%S}", "by": event.by, "value": str(event.value), "why": event.why or ""}
        for event in events
    ]


def find(memory: Memory, llm: str | None) -> dict[str, Any]:
    """Review the memory and file what was found."""
    from crdtmem import review
    from crdtmem.cli.demo.model import judge_of
    from crdtmem.coherence import Budget

    report = review(memory, judge_of(llm), budget=Budget(calls=6)) if llm else review(memory)
    report.file()
    found = report.data()
    return {key: found[key] for key in ("coherent", "coverage", "cost", "judges")} | {"findings": filed(memory)}


def filed(memory: Memory) -> list[dict[str, Any]]:
    """The findings that are here, whoever filed them."""
    from crdtmem.coherence import findings

    return [
        {"tier": one.tier, "kind": one.kind, "authors": sorted(one.authors), "says": one.says, "status": one.status}
        for one in findings(memory)
    ]


def retract(memory: Memory, entry: str, why: str) -> None:
    """Take an entry back."""
    memory.retract(entry, why=why)


def tainted(memory: Memory) -> list[str]:
    """What rests on something retracted, among the figures and in the brief."""
    entries = [*memory.records("figures").entries(), *memory.text("brief").entries()]
    return [str(entry.value).strip() for entry in entries if entry.tainted]


def cite(memory: Memory, text: str, entry: str) -> dict[str, Any]:
    """Hold a text against a view of the memory; where it says {id}, it cites an entry."""
    from crdtmem import View

    view = View(memory, about="churn in March", tokens=2000)
    ids = {str(shown.id): id for id, shown in view.entries.items()}
    report = text.format(id=ids[entry])
    found = view.check(report)
    return {
        "text": report,
        "phantoms": [phantom.text for phantom in found.phantoms],
        "citations": [[one.text, one.status] for one in found.citations],
    }


def spend(memory: Memory, amounts: list[int]) -> None:
    """Add to the counter that all of them add to."""
    for amount in amounts:
        memory.counter("spent").add(amount)


def spent(memory: Memory) -> dict[str, Any]:
    """What that counter says, and the share of each agent."""
    counter = memory.counter("spent")
    return {"value": counter.value, "shares": {entry.by: entry.value for entry in counter.entries()}}


def prompt(memory: Memory, about: str, tokens: int, at: str) -> dict[str, Any]:
    """A view for a prompt, of the memory as it stood at a version."""
    from crdtmem import View
    from crdtmem.page import tokens_of

    view = View(memory, about=about, tokens=tokens, at=at)
    text = str(view)
    return {
        "text": text,
        "tokens": tokens_of(text),
        "entries": len(view.entries),
        "left_out": sum(view.left_out.values()),
    }


def figure(memory: Memory, key: str, at: str | None) -> str | None:
    """A figure, as it is or as it was at a version."""
    found: str | None = (memory if at is None else memory.at(at)).records("figures").get(key)
    return found


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        plan,
        content,
        write,
        pages,
        timeline,
        find,
        filed,
        retract,
        tainted,
        cite,
        spend,
        spent,
        prompt,
        figure,
    )
}
