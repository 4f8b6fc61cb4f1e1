"""How well a review finds what cannot all hold, and how fast: on made memories and on labelled data."""

from __future__ import annotations

from collections.abc import Iterator
from time import thread_time_ns
from typing import Any

from benchmarks.cassette import Cassette
from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.labelled import Counts, balanced, blocking_recall, counted, memories, offline, sets, texts
from benchmarks.made_facts import coherent_prose, memory_of_facts
from benchmarks.rows import Row
from crdtmem import Memory, Replica, review
from crdtmem.coherence import Budget, Judge, Report
from crdtmem.coherence.judge import ask, question
from crdtmem.coherence.offline import CERTAIN, CONTRADICTION, SUSPECT, Verdict

ALIKE = {"judge": "offline, unless the row says otherwise", "durability": "none, all in memory"}
LARGE = 10_000
SHARE = "share"


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    yield from _made(effort)
    yield from _timed(effort)
    labelled = sets(effort.data)
    if not labelled:
        yield Row("labelled pairs", SHARE, None, note="skipped: --data DIR names a folder with files NAME_pairs.jsonl")
    for name, some in labelled.items():
        yield from _scores(f"{name} pairs", counted(some, offline))
        if all("entity" in row and "model" in row for row in some):
            yield from _memories(name, some)
    judge = judge_of(effort.judge, effort.cassette)
    if judge is None:
        yield Row("labelled pairs, by a model", SHARE, None, note="skipped: --judge or --cassette names one")
    else:
        yield from _modelled(judge, labelled)


def judge_of(named: str, cassette: str) -> Judge | None:
    """The judge that the command line names: anthropic:MODEL or openai:MODEL@BASE_URL, with a tape, or a tape alone."""
    judge: Judge | None = None
    kind, _, rest = named.partition(":")
    if kind == "anthropic":
        from crdtmem.coherence.judges.anthropic import AnthropicJudge

        judge = AnthropicJudge(rest)
    elif kind == "openai":
        from crdtmem.coherence.judges.openai import OpenAIJudge

        model, _, base = rest.partition("@")
        judge = OpenAIJudge(model, base_url=base or None)
    elif named:
        raise SystemExit(f"--judge: anthropic:MODEL or openai:MODEL@BASE_URL, not {named!r}")
    return Cassette(cassette, judge) if cassette else judge


# -- how good --------------------------------------------------------------------------------------


def _once(value: float) -> Figure:
    return Figure((value,))


def _scores(name: str, counts: Counts) -> Iterator[Row]:
    kinds = ", ".join(f"{kind} {hits}/{hits + alarms}" for kind, (hits, alarms) in counts.kinds.items())
    yield Row(f"{name}, precision", SHARE, _once(counts.precision), note=kinds)
    yield Row(f"{name}, recall", SHARE, _once(counts.recall))
    yield Row(f"{name}, F1", SHARE, _once(counts.f1))
    yield Row(f"{name}, balanced accuracy", SHARE, _once(counts.balanced))
    note = f"{counts.certain_hits + counts.certain_alarms} of them"
    yield Row(f"{name}, precision of certain", SHARE, _once(counts.certain), note=note)


def _made(effort: Effort) -> Iterator[Row]:
    made = memory_of_facts(effort.operations * 2, seed=7)
    report = review(made.memory)
    found = {frozenset(one.entries): one.tier for one in report.findings if one.relation == CONTRADICTION}
    hits = len(found.keys() & made.planted)
    note = f"{len(made.planted)} planted in {made.statements} facts"
    yield Row("generated key-value conflicts, precision", SHARE, _once(hits / max(1, len(found))), note=note)
    yield Row("generated key-value conflicts, recall", SHARE, _once(hits / len(made.planted)), note=note)
    asked = review(made.memory, _silent, budget=Budget())
    calls = 1000 * asked.cost.calls / asked.coverage.entries
    yield Row("calls of a judge, cold", "per 1,000 entries", _once(calls), note="within the usual budget")
    alarms = statements = 0
    for memory in (
        memory_of_facts(effort.operations * 2, seed=8, planted=0).memory,
        coherent_prose(min(LARGE // 2, effort.grown // 20), seed=9),
    ):
        calm = review(memory)
        statements += calm.coverage.statements
        alarms += sum([one.tier == CERTAIN for one in calm.findings])
    note = f"{alarms} in {statements} statements of generated memories"
    yield Row("certain, false alarms in coherent memories", "per 1,000", _once(1000 * alarms / statements), note=note)


def _memories(name: str, sentences: list[Any]) -> Iterator[Row]:
    groups = memories(sentences)
    yield Row(f"{name}, blocking recall at 10", SHARE, _once(blocking_recall(groups, 10)))
    yield Row(f"{name}, blocking recall at 20", SHARE, _once(blocking_recall(groups, 20)))

    whole = [_clashes(texts(some, coherent=False)) for some in groups]
    twins = [texts(some, coherent=True) for some in groups]
    calm = [_clashes(some) for some in twins]
    found = [clashes & _labelled(some) for clashes, some in zip(whole, groups, strict=True)]
    alarms = [clashes & _labelled(some) for clashes, some in zip(calm, groups, strict=True)]
    note = "a review of all sentences; of what it calls certain, the pairs that somebody has labelled count"
    yield Row(f"{name} memories, balanced accuracy", SHARE, _once(balanced(groups, found, alarms)), note=note)
    unknown = sum(map(len, calm)) - sum(map(len, alarms))
    note = f"report.coherent; {unknown} certain findings in the twins are of pairs that nobody labelled: read some"
    yield Row(f"{name} memories, balanced accuracy, all pairs", SHARE, _once(balanced(groups, whole, calm)), note=note)
    size = sum(map(len, twins))
    count = sum(map(len, alarms))
    note = f"{count} of the pairs that are labelled coherent, in {size} statements of coherent twins"
    yield Row(f"{name}, false alarms of certain", "per 1,000", _once(1000 * count / max(1, size)), note=note)


def _labelled(some: list[Any]) -> set[frozenset[str]]:
    return {frozenset((row["a"], row["b"])) for row in some}


def _clashes(some: list[str]) -> set[frozenset[str]]:
    """The sentences that a review says cannot both hold, and is certain of."""
    report = _reviewed(some)
    said = {entry.id: entry.value for entry in report._memory.set("notes").entries()}
    certain = [one for one in report.findings if one.tier == CERTAIN and one.relation == CONTRADICTION]
    assert (report.coherent is False) == bool(certain)
    return {frozenset(said[id] for id in one.entries) for one in certain}


def _silent(asked: Any) -> dict[str, Any]:
    return {"verdicts": []}


def _reviewed(some: list[str], **options: Any) -> Report:
    memory = Replica("ann").open(tenant="bench")
    with memory.change():
        for text in some:
            memory.set("notes").add(text)
    return review(memory, **options)


def _modelled(judge: Judge, labelled: dict[str, list[Any]]) -> Iterator[Row]:
    """The same pairs, asked one by one: what a model alone makes of them."""
    spent = [0, 0]

    def verdict(one: str, other: str) -> Verdict:
        told = ask(judge, question({"text": one}, [{"text": other}]))
        spent[0] += 1
        spent[1] += told.tokens
        relation = told.opinions[0].relation
        return Verdict(relation, SUSPECT if relation == CONTRADICTION else "", "judged")

    for name, some in labelled.items():
        yield from _scores(f"{name} pairs, by a model", counted(some, verdict))
    calls, tokens = spent
    yield Row("a model, tokens", "per call", _once(tokens / max(1, calls)), note=f"{calls} calls")


# -- how fast --------------------------------------------------------------------------------------


def _timed(effort: Effort) -> Iterator[Row]:
    size = min(LARGE, effort.grown // 2)
    reduced = size < LARGE
    cold = measure([Side("cold", 1, lambda: _cold(size))], min(3, effort.rounds))["cold"]
    yield Row("cold review", "s", cold.scaled(1e-6), note=f"{size:,} entries, no calls", reduced=reduced)
    memory = _grown(size)
    review(memory)
    times = 20
    warm = measure([Side("one", times, lambda: _changed(memory, times))], min(5, effort.rounds))["one"]
    yield Row("review after one change", "ms", warm.scaled(1e-3), note=f"at {size:,} entries", reduced=reduced)
    review(memory)
    again = float(review(memory).cost.judgements)
    yield Row("review of an unchanged memory", "judgements", _once(again))


def _grown(size: int) -> Memory:
    made = memory_of_facts(size // 3, seed=3).memory
    prose = coherent_prose(size - review(made).coverage.entries, seed=4)
    with made.change():
        for text in prose.set("notes"):
            made.set("prose").add(text)
    return made


def _cold(size: int) -> Run:
    memory = _grown(size)
    copy = Replica("bob").open(tenant="bench")
    copy.receive(memory.changes())

    def run() -> None:
        review(copy)

    return run


def _changed(memory: Memory, times: int) -> Run:
    def run() -> int:
        taken = 0
        for number in range(times):
            memory.register("latest").assign(f"Batch {number} of {thread_time_ns()} was loaded into the search index.")
            started = thread_time_ns()
            review(memory)
            taken += thread_time_ns() - started
        return taken

    return run
