"""What trust costs: seals, verdicts, and making a memory anew when somebody is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import thread_time_ns
from typing import Any

from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row
from crdtmem import FieldRule, Identity, Memory, Replica, Rules
from crdtmem.change import Change, decode
from crdtmem.identity import verify

ALIKE = {"durability": "none, all in memory", "processes": "1", "batch": "100 changes under one seal"}
BATCH = 100
WHY = "spike in March"


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    rounds, times = effort.rounds, effort.operations
    figure = _one(lambda: _sealing(times), times, rounds)
    yield Row("sealing and verifying, adds in batches of 100", "us", figure, note="for each change, one seal a batch")
    memory, changes = _owned(lambda m, i: m.set("open").add(f"value {i}", why=WHY), times)
    figure = _one(lambda: _judging(memory, changes), times, rounds)
    yield Row("judging a keyed change", "us", figure, note="rights and verdict")
    text, edits = _owned(lambda m, i: m.text("draft").append("word "), times)
    figure = _one(lambda: _judging(text, edits), times, rounds)
    yield Row("judging a small ordered change", "us", figure, note="rights, verdict and flaws")
    yield _beside("set.add", lambda side: _writing(_opened(side)[0], times), times, rounds)
    yield _beside("receive, set adds", lambda side: _receiving(times, side), times, rounds)
    figure = _one(lambda: _cutting(times), times, rounds)
    yield Row("revoking an author, the log made anew", "us a change", figure, note=f"{times:,} changes behind it")


def _one(prepare: Callable[[], Run], times: int, rounds: int) -> Figure:
    return measure([Side("one", times, prepare)], rounds)["one"]


def _beside(what: str, prepare: Callable[[str], Run], times: int, rounds: int) -> Row:
    sides = [Side("owned", times, lambda: prepare("owned")), Side("open", times, lambda: prepare("open"))]
    taken = measure(sides, rounds)
    return Row(f"{what}, owned", "x open", taken["owned"].over(taken["open"]), taken)


def _opened(side: str) -> tuple[Memory, Memory]:
    return _own() if side == "owned" else (Replica("boss").open(tenant="acme"), Replica("ann").open(tenant="acme"))


def _own() -> tuple[Memory, Memory]:
    boss, ann = Replica("boss"), Replica("ann")
    rules = Rules(
        agents={ann.identity.key: ("ann", ["writer"])},
        fields={"open": FieldRule("set"), "draft": FieldRule("text", writers=["writer", "boss"])},
        closed=True,
    )
    memory = boss.own(tenant="acme", rules=rules)
    mine = ann.open(memory.namespace)
    mine.receive(memory.changes())
    return memory, mine


def _owned(write: Callable[[Memory, int], object], times: int) -> tuple[Memory, list[Change]]:
    memory, ann = _own()
    since = ann.version
    for i in range(times):
        write(ann, i)
    changes = list(map(decode, ann.changes(since)))
    memory.receive(ann.changes())
    return memory, changes


def _sealing(times: int) -> Run:
    identity, hash = Identity(), bytes(32)

    def run() -> None:
        for _ in range(times // BATCH):
            verify(identity.key, identity.sign(hash), hash)

    return run


def _judging(memory: Memory, changes: list[Change]) -> Run:
    state = memory._document.state
    trust = state.trust
    assert trust is not None
    session = state.sessions[changes[0].session]
    text: Any = state.field(6, "draft")
    ordered = changes[0].parts[0][0] == 6

    def run() -> None:
        for change in changes:
            rights = trust.rights(change.rules, session.key, *(change.actor or (session.agent, session.role)))
            trust.judge(rights, change.session, change.seq, change.parts)
            if ordered:
                text.flaw(change.parts[0], session.client, None)

    return run


def _writing(memory: Memory, times: int) -> Run:
    field = memory.set("open")

    def run() -> None:
        for i in range(times):
            field.add(f"value {i}", why=WHY)

    return run


def _receiving(times: int, side: str) -> Run:
    giver, taker = _opened(side)
    _writing(giver, times)()
    records = giver.changes()

    def run() -> None:
        taker.receive(records)

    return run


def _cutting(times: int) -> Run:
    memory, ann = _own()
    since = memory.version
    _writing(ann, times // 2)()
    _writing(memory, times // 2)()
    memory.receive(ann.changes())

    def run() -> int:
        started = thread_time_ns()
        memory.revoke("ann", since=since, why="injected")
        return thread_time_ns() - started

    return run
