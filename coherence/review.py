"""The review: what of a memory cannot all hold, by declaration and by judgement. It reads; only `report.file()` writes.

1. Exact first: siblings, and what is declared to have one value. Then the offline judge on the pairs that blocking
   names, and a judge, if one is given, on those worth asking it.
2. A second review of the same memory looks at what has changed. What it says is the same as that of a first.
3. `coherent` is False while a certain finding stands unresolved, None while something was not looked at, else True;
   and True says no more than that nothing was found.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from crdtmem.change import RECORDS
from crdtmem.coherence import exact, finding
from crdtmem.coherence.asking import Cost, Round, asked
from crdtmem.coherence.charter import Attribute, Charter, charter
from crdtmem.coherence.clues import Read
from crdtmem.coherence.exact import Clash, meet
from crdtmem.coherence.finding import Finding, findings, made
from crdtmem.coherence.gather import live
from crdtmem.coherence.judge import Budget, Judge, name_of
from crdtmem.coherence.lexicon import UPDATES
from crdtmem.coherence.meaning import Embed
from crdtmem.coherence.offline import CERTAIN, CONTRADICTION, SUPERSEDED, SUSPECT
from crdtmem.coherence.standing import Standing
from crdtmem.entry import Entry
from crdtmem.errors import ValueRefused
from crdtmem.memory import Memory
from crdtmem.taint import JUDGED
from crdtmem.values import freeze

CAP = 20  # candidates of each statement
_standing: WeakKeyDictionary[Any, dict[Any, Standing]] = WeakKeyDictionary()
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at: statements of entries, pairs of them that a judge was asked about, and what was left out."""

    entries: int
    statements: int
    pairs: int
    left_out: int  # pairs that blocking did not name
    unasked: int  # pairs that the judge was not asked about: budget, or failures
    cut: int  # characters of entries that are too long


@dataclass(frozen=True, slots=True)
class Report:
    """What a review found, as of one version of the memory.

    >>> from crdtmem import Replica, review
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add("The port of gate-3 is 8080.")
    >>> _ = memory.acting_as("bob").set("facts").add("The port of gate-3 is 9090.")
    >>> report = review(memory)
    >>> report.coherent, [(one.kind, one.tier, one.authors) for one in report.findings]
    (False, [('numeric', 'certain', ('ann', 'bob'))])
    """

    version: str
    judges: tuple[str, ...]
    findings: tuple[Finding, ...]
    coverage: Coverage
    cost: Cost
    _memory: Memory = field(compare=False, repr=False)
    _remember: Mapping[str, list[Any]] = field(compare=False, repr=False, default_factory=dict)

    @property
    def coherent(self) -> bool | None:
        """False: a certain finding stands. None: something was not looked at. True: no contradiction was found."""
        if any(
            one.tier == CERTAIN and one.relation == CONTRADICTION and one.status != "resolved" for one in self.findings
        ):
            return False
        return True if self.complete else None

    @property
    def complete(self) -> bool:
        """Whether every candidate within the cap was judged, and every entry read whole."""
        return not self.coverage.unasked and not self.coverage.cut

    def file(self) -> list[Entry]:
        """Write the findings that nobody has filed into the memory, and what the judge said; what was written.

        One whose resolution has fallen is written as open again, for readers who look at the record alone.
        """
        known = {one.id: one for one in findings(self._memory)}
        written = []
        for one in self.findings:
            before = known.get(one.id)
            firmer = before is not None and before.tier == SUSPECT and one.tier == CERTAIN and before.status == "open"
            if before is None or firmer:
                written.append(finding.file(self._memory, one))
            elif before.reopened:
                written.append(finding.file(self._memory, before))
        held = self._memory._view((RECORDS, JUDGED))
        for key, told in sorted(self._remember.items()):
            if not held.live(key):
                written.append(self._memory._put((RECORDS, JUDGED), key, freeze(told), {}))
        return written

    def data(self) -> dict[str, Any]:
        """The report for programs: plain data."""
        return {
            "version": self.version,
            "coherent": self.coherent,
            "complete": self.complete,
            "judges": list(self.judges),
            "findings": [{"id": one.id, **one.value()} for one in self.findings],
            "coverage": {name: getattr(self.coverage, name) for name in Coverage.__dataclass_fields__},
            "cost": {name: getattr(self.cost, name) for name in Cost.__dataclass_fields__},
        }

    def __str__(self) -> str:
        seen = self.coverage
        judges = " and ".join(self.judges)
        about = f"{seen.statements} statements in {seen.entries} entries, {seen.pairs} pairs judged by {judges}"
        lines = [str(one) for one in self.findings]
        if self.coherent is False:
            head = f"not coherent: {len(lines)} findings"
        elif self.coherent is None:
            head = f"unknown: {seen.unasked} pairs were not judged, {seen.cut} characters not read"
        else:
            head = f"no contradiction found by {judges}"
            head += f"; {len(lines)} findings to look at" if lines else ""
        return "\n".join([f"{head} ({about})", *lines])

    def __rich__(self) -> Any:
        from crdtmem.coherence.shown import shown

        return shown(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def review(
    memory: Memory,
    judge: Judge | None = None,
    *,
    charter: Mapping[str, Attribute | Mapping[str, Any]] | None = None,
    fields: Collection[str] | None = None,
    cap: int = CAP,
    budget: Budget | None = None,
    embed: Embed | None = None,
) -> Report:
    """Look for what cannot all hold in a memory. It never writes; `report.file()` does.

    Args:
        memory: the memory, as it is now, or pinned at a version.
        judge: asked about what the offline judge cannot settle: any callable, see judge.py.
        charter: what is declared of attributes, over what the memory itself declares.
        fields: only these.
        cap: how many candidates each statement names.
        budget: how much the judge may be asked.
        embed: an embedder, from texts to vectors: brings together what is said in other words.

    >>> from crdtmem import Replica
    >>> str(review(Replica("ann").open(tenant="acme")))
    'no contradiction found by offline (0 statements in 0 entries, 0 pairs judged by offline)'
    """
    if type(cap) is not int or not 1 <= cap <= 100:
        raise ValueRefused(f"cap: an int from 1 to 100, not {cap!r:.40}")
    if isinstance(fields, str):
        raise ValueRefused(f"fields: a list of names, not one string; use fields=[{fields!r}]")
    standing = _of(memory, cap, embed, fields)
    with standing.lock:
        with memory._document.lock:  # what is read is read at one version
            declared, version = _charter(memory, charter), str(memory.version)
            now = live(memory, standing.live)
            rivals = list(exact.siblings(memory, declared, fields))
        try:
            standing.refresh(now)
        except BaseException:  # an embedder failed: what is half known is forgotten
            _standing.pop(memory._document, None)
            raise
        cost = Cost(judgements=standing.judged)
        told = asked(standing, memory, judge, budget or Budget(), cost) if judge is not None else Round()
        found = list(_found(standing, declared, told, rivals))
        coverage = _coverage(standing, told)
    filed = {one.id: one for one in findings(memory)}
    merged = [_merged(one, filed.pop(one.id, None)) for one in found]
    merged += [one for one in filed.values() if fields is None]
    judges = ("offline",) if judge is None else ("offline", name_of(judge))
    order = sorted(merged, key=lambda one: (one.tier != CERTAIN, one.relation, one.id))
    return Report(version, judges, tuple(order), coverage, cost, memory, told.fresh)


def _of(memory: Memory, cap: int, embed: Embed | None, fields: Collection[str] | None) -> Standing:
    """What the last review of this memory knows, if it looked at the same."""
    with _making:
        kept = _standing.setdefault(memory._document, {})
        at = (cap, embed, None if fields is None else frozenset(fields))
        if at not in kept:
            if len(kept) >= 4:
                kept.pop(next(iter(kept)))
            kept[at] = Standing(cap, embed, fields)
        return kept[at]


_charter = charter


def _coverage(standing: Standing, told: Round) -> Coverage:
    size = len(standing.reads)
    pairs = len(standing.near.asked)
    entries = sum(map(len, standing.live.values()))
    return Coverage(entries, size, pairs, size * (size - 1) // 2 - pairs, told.unasked, standing.cut)


def _merged(fresh: Finding, filed: Finding | None) -> Finding:
    """A finding that is filed keeps its status; its tier is the firmer one."""
    if filed is None:
        return fresh
    return filed if filed.tier == CERTAIN or fresh.tier != CERTAIN else replace(filed, tier=CERTAIN)


def _found(standing: Standing, declared: Charter, told: Round, siblings: list[Clash]) -> Iterator[Finding]:
    """Every finding once: what is exact goes before what is judged."""
    seen: set[str] = set()
    clashes = [*siblings, *exact.crowded(standing.live, declared)]
    for question, texts in sorted(standing.asking.items(), key=_sorted) if declared.declared else ():
        if len(texts) > 1 and declared.of(question) is not None:
            given = [(standing.reads[text], entry) for text in texts for entry in standing.entries(text)]
            clash = exact.answered(question, given, declared)
            clashes += [clash] if clash is not None else []
    rivals = [{entry._id for entry in clash.entries} for clash in clashes]
    for clash in clashes:
        one = _clashing(clash)
        if one.id not in seen:
            seen.add(one.id)
            yield one
    for pair in sorted(standing.verdicts.keys() | told.verdicts.keys()):
        disputed = _noted(standing, declared, pair, told)
        if disputed is None or disputed.id in seen:
            continue
        if not any({tuple(id) for id in disputed.entries} <= some for some in rivals):
            seen.add(disputed.id)
            yield disputed


def _sorted(asked: tuple[frozenset[str], Any]) -> list[str]:
    return sorted(asked[0])


def _noted(standing: Standing, declared: Charter, pair: Any, told: Round) -> Finding | None:
    """The finding of a pair; where only words and holders decide, it is kept while these stay."""
    if declared.declared or pair in told.verdicts:
        return _disputed(standing, declared, pair, told)
    if pair not in standing.notes:
        standing.notes[pair] = _disputed(standing, declared, pair, told)
    return standing.notes[pair]  # type: ignore[no-any-return]


def _clashing(clash: Clash) -> Finding:
    voices = "; ".join(f"{entry.by} says {_short(entry.value)}" for entry in clash.entries)
    return made(clash.kind, CERTAIN, clash.entries, f"{clash.place}: {voices}")


def _disputed(standing: Standing, declared: Charter, pair: Any, told: Round) -> Finding | None:
    verdict, judge = standing.verdicts.get(pair), "offline"
    asked_ = told.verdicts.get(pair)
    if asked_ is not None and asked_.relation != "unsure" and (verdict is None or verdict.tier != CERTAIN):
        verdict, judge = asked_, asked_.kind
    if verdict is None or verdict.relation not in (CONTRADICTION, SUPERSEDED):
        return None
    if _declared_fine(standing, declared, pair):
        return None
    both = _meeting(standing, pair)
    if both is None:
        return None
    one, other, swapped = both
    mine, theirs = (verdict.theirs, verdict.mine) if swapped else (verdict.mine, verdict.theirs)
    kind = verdict.kind if judge == "offline" else "judged"
    first, second = (pair[1], pair[0]) if swapped else pair
    relation = SUPERSEDED if _updates(one, other, standing.reads[second]) else verdict.relation
    says = f"{one.by} says {_short(first)}; {other.by} says {_short(second)}"
    says += f" ({verdict.says})" if judge != "offline" and verdict.says else ""
    tier = SUSPECT if relation == SUPERSEDED else verdict.tier or SUSPECT
    return made(kind, tier, (one, other), says, evidence=(mine, theirs), judge=judge, relation=relation)


def _declared_fine(standing: Standing, declared: Charter, pair: Any) -> bool:
    """Whether the charter says of a question that any number of answers hold, or that these agree."""
    one, other = (standing.reads[text].said.pair for text in pair)
    if one is None or other is None or one[0] != other[0]:
        return False
    attribute = declared.of(one[0])
    return attribute is not None and (not attribute.single or not exact.differ(one[1], other[1], attribute.tolerance))


def _meeting(standing: Standing, pair: Any) -> tuple[Entry, Entry, bool] | None:
    """The oldest two entries that say the two texts and are meant to hold at one time, in order of time."""
    mine, theirs = standing.entries(pair[0])[:8], standing.entries(pair[1])[:8]
    for one in mine:
        for other in theirs:
            if one._id != other._id and meet(one, other):
                later = (other.stamp.hlc, other._id) < (one.stamp.hlc, one._id)
                return (other, one, True) if later else (one, other, False)
    return None


def _updates(one: Entry, other: Entry, later: Read) -> bool:
    """Whether the later entry is meant to take the place of the earlier: it cites it, or its author says so."""
    words = {token.word for token in later.said.tokens}
    return one.id in other.because or (one.by == other.by and not UPDATES.isdisjoint(words))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"{text[:160]}..." if len(text) > 163 else text
