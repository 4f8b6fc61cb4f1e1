"""Asking a judge about the pairs of a review: the best first, within a budget, and never twice about the same words.

Which pairs: those the offline judge suspects, and those most alike of which it could not say anything. A pair is known
by its words and the judge, so a verdict holds wherever the same two texts stand, on any replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from crdtmem.change import RECORDS
from crdtmem.coherence.blocking import Pair
from crdtmem.coherence.judge import FAILURES, LIST, Budget, Judge, Opinion, ask, name_of, question
from crdtmem.coherence.offline import CERTAIN, CONTRADICTION, RELATIONS, SUSPECT, UNSURE, Verdict
from crdtmem.coherence.standing import Standing
from crdtmem.memory import Memory
from crdtmem.taint import JUDGED

LIKELY = 0.06  # pairs less alike than this, and not suspected, are left to the offline judge


@dataclass(slots=True)
class Cost:
    """What a review has asked."""

    calls: int = 0
    tokens: int = 0
    judgements: int = 0  # by the offline judge
    remembered: int = 0  # verdicts that were there already
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Round:
    """What came of asking."""

    verdicts: dict[Pair, Verdict] = field(default_factory=dict)
    fresh: dict[str, list[Any]] = field(default_factory=dict)  # what is worth remembering, by its key
    unasked: int = 0


def pair_key(judge: str, pair: Pair) -> str:
    """What a verdict of a judge on two texts is known by.

    >>> pair_key("x", ("a", "b")) != pair_key("y", ("a", "b"))
    True
    """
    texts = [blake2b(str(text).encode(), digest_size=16).digest() for text in pair]
    return blake2b(judge.encode() + b"\0" + b"".join(sorted(texts)), digest_size=12).hexdigest()


def worth(standing: Standing) -> list[Pair]:
    """The pairs to ask a judge about, the best first."""
    ranked = []
    for pair in standing.near.asked:
        verdict = standing.verdicts.get(pair)
        if verdict is None:
            likeness = standing.likeness(pair)
            if likeness >= LIKELY:
                ranked.append((1, -likeness, pair))
        elif verdict.tier == SUSPECT:
            ranked.append((0, -standing.likeness(pair), pair))
    return [pair for _, _, pair in sorted(ranked)]


def remembered(memory: Memory) -> dict[str, list[Any]]:
    """The verdicts that were filed here, by anybody."""
    found: dict[str, list[Any]] = {}
    for entries in memory._listed((RECORDS, JUDGED)):
        told = entries[0].value
        whole = type(told) is list and len(told) == 4 and all(type(word) is str for word in told)
        if whole and told[0] in RELATIONS:
            found[entries[0].key] = told
    return found


def asked(standing: Standing, memory: Memory, judge: Judge, budget: Budget, cost: Cost) -> Round:
    """Ask about the pairs worth it, as far as the budget goes."""
    name, known, found = name_of(judge), remembered(memory), Round()
    open_: dict[str, list[str]] = {}
    left: set[Pair] = set()
    for pair in worth(standing):
        told = known.get(pair_key(name, pair))
        if told is not None:
            cost.remembered += 1
            found.verdicts[pair] = Verdict(told[0], CERTAIN if told[0] == CONTRADICTION else "", name, *told[1:])
            continue
        left.add(pair)
        for one, other in (pair, pair[::-1]):
            open_.setdefault(one, []).append(other)
    entries = sum(map(len, standing.live.values()))
    limit = budget.calls if budget.calls is not None else max(10, entries // 4)
    failed = 0
    for text in _order(open_, left):
        others = [other for other in open_[text] if _pair(text, other) in left][:LIST]
        spent = budget.tokens is not None and cost.tokens >= budget.tokens
        if not others or spent or failed >= FAILURES or cost.calls >= limit:
            continue
        opinions, failure = _put(judge, standing, text, others, cost)
        failed = failed + 1 if failure else 0
        for other, opinion in zip(others, opinions, strict=True):
            if failure:
                continue
            if opinion.relation == CONTRADICTION:
                if cost.calls >= limit:
                    continue  # it could not be confirmed: it stays unasked
                [again], failure_again = _put(judge, standing, other, [text], cost)
                if failure_again or again.relation != CONTRADICTION:
                    opinion = Opinion(UNSURE, "not confirmed when asked again")
            pair = _pair(text, other)
            left.discard(pair)
            mine, theirs = (opinion.mine, opinion.theirs) if pair[0] == text else (opinion.theirs, opinion.mine)
            told = [opinion.relation, opinion.reason, mine, theirs]
            found.verdicts[pair] = Verdict(told[0], CERTAIN if told[0] == CONTRADICTION else "", name, *told[1:])
            if opinion.relation != UNSURE:
                found.fresh[pair_key(name, pair)] = told
    found.unasked = len(left)
    return found


def _order(open_: Mapping[str, list[str]], left: Iterable[Pair]) -> list[str]:
    """The statements to ask about: those with the most open pairs, so that few questions cover many."""
    return sorted(open_, key=lambda text: (-min(len(open_[text]), LIST), text))


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def _put(judge: Judge, standing: Standing, text: str, others: list[str], cost: Cost) -> tuple[list[Opinion], str]:
    told = ask(judge, question(_shown(standing, text), [_shown(standing, other) for other in others]))
    cost.calls += 1
    cost.tokens += told.tokens
    if told.failure:
        cost.failures.append(told.failure)
    return told.opinions, told.failure


def _shown(standing: Standing, text: str) -> dict[str, Any]:
    entry = standing.entries(text)[0]
    return {"text": text, "by": entry.by, "at": entry.at.isoformat(timespec="seconds"), "field": entry.field}
