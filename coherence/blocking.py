"""Which pairs deserve a question: for each statement the few that are most like it.

1. A statement is a vector of terms: stems, the places where its values stand, and the question it answers. A term
   weighs less the more statements have it, in steps of powers of four; beyond `COMMON` it weighs nothing.
2. Each statement names its `cap` nearest. A pair is asked about when either names the other.
3. The pairs are a function of the statements, not of the order they came in: what a newcomer changes in the weight or
   the rank of others is done again, and nothing else is. Integers throughout, so nothing depends on the order of a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import NamedTuple

from crdtmem.coherence.clues import Read
from crdtmem.coherence.statement import DATE, NUMBER

COMMON = 127  # a term in more statements than this tells nothing here
_STEPS = (32, 16, 8, 4)  # by powers of four: 1, 4, 16, 64
_WORD, _VALUE, _PLACE, _ASKED, _HINT = 10, 6, 7, 24, 10  # values differ where it matters, so they count less than words

Id = str
Pair = tuple[Id, Id]
_NO_HINTS: Mapping[Id, Iterable[str]] = {}


class Near(NamedTuple):
    """How alike another statement is, and which."""

    score: float
    id: Id


def terms(read: Read) -> dict[str, int]:
    """The terms of a statement and what each weighs by its kind."""
    said = read.said
    found = dict.fromkeys(said.content, _WORD)
    for token in said.tokens:
        if token.stem in said.names or token.kind in (NUMBER, DATE):
            found[token.stem] = _VALUE
    for slot in read.slots:
        for head in slot.heads:
            found[f"@{head}|{slot.kind}"] = _PLACE
        if slot.noun:
            found[f"#{slot.noun}"] = _PLACE
    if said.pair is not None:
        found["?" + " ".join(sorted(said.pair[0]))] = _ASKED
    return found


class Neighbours:
    """The nearest of each statement, kept up to date as statements come and go.

    >>> from crdtmem.coherence.offline import read
    >>> near = Neighbours(cap=1)
    >>> near.update({text: read(text) for text in ("Churn is 3%.", "Churn is 5%.", "Rain in May.")}, ())
    >>> sorted(near.asked)
    [('Churn is 3%.', 'Churn is 5%.')]
    """

    def __init__(self, cap: int = 10) -> None:
        self.cap = cap
        self.asked: dict[Pair, int] = {}  # the pairs worth a question, and how many of the two name the other
        self.moved: set[Pair] = set()  # those that the last update touched
        self._terms: dict[Id, dict[str, int]] = {}
        self._having: dict[str, set[Id]] = {}  # term -> the statements that have it
        self._norm: dict[Id, int] = {}
        self._near: dict[Id, list[Near]] = {}  # best first, at most cap
        self._named_by: dict[Id, set[Id]] = {}

    def update(
        self, came: Mapping[Id, Read], went: Iterable[Id], hints: Mapping[Id, Iterable[str]] = _NO_HINTS
    ) -> None:
        """Statements have come and gone.

        Args:
            came: the new ones.
            went: the ids of those that are no more.
            hints: more terms of some, from elsewhere: what they share brings them together.
        """
        self.moved = set()
        stepped: dict[str, int] = {}
        weak: set[Id] = set()  # those whose nearest must be found anew
        for id in went:
            for term in self._terms.pop(id):
                having = self._having[term]
                stepped.setdefault(term, _step(len(having)))
                having.discard(id)
                if not having:
                    del self._having[term]
            weak |= self._named_by.pop(id, set())
            self._name(id, [])
            self._norm.pop(id, None)
            self._near.pop(id, None)
        for id, read in came.items():
            self._terms[id] = made = {**terms(read), **dict.fromkeys(hints.get(id, ()), _HINT)}
            for term in made:
                having = self._having.setdefault(term, set())
                stepped.setdefault(term, _step(len(having)))
                having.add(id)
        moved = set(came)
        for term, before in stepped.items():
            having = self._having.get(term, set())
            if having and _step(len(having)) != before and min(before, _step(len(having))) < len(_STEPS):
                moved |= having
        for id in moved:
            self._norm[id] = sum([weight * weight for weight in self._vector(id).values()])
        weak |= moved
        self._tell(moved, weak)
        for id in weak & self._terms.keys():
            self._rank(id)

    def _tell(self, moved: set[Id], weak: set[Id]) -> None:
        """Let the others know of statements whose weight has changed: each moves within the ranks of those around."""
        if 2 * len(moved) > len(self._terms):
            weak |= self._terms.keys()
            return
        for id in moved:
            weak |= self._named_by.get(id, set())
            for other, score in self._scores(id).items():
                if other in weak:
                    continue
                rank = self._near[other]
                near = Near(score, id)
                if len(rank) < self.cap or _before(near, rank[-1]):
                    self._name(other, sorted([*rank, near], key=_order)[: self.cap])

    def _vector(self, id: Id) -> dict[str, int]:
        found = {}
        for term, base in self._terms[id].items():
            step = _step(len(self._having[term]))
            if step < len(_STEPS):
                found[term] = base * _STEPS[step]
        return found

    def _scores(self, id: Id) -> dict[Id, float]:
        """How alike every statement is that shares a term with this one."""
        dots: dict[Id, int] = {}
        get = dots.get
        for term, weight in self._vector(id).items():
            base = self._terms[id][term]
            square = weight * weight
            for other in self._having[term]:
                theirs = self._terms[other][term]
                dots[other] = get(other, 0) + (square if theirs == base else weight * (weight // base) * theirs)
        dots.pop(id, None)
        mine, norm = self._norm[id], self._norm
        return {other: dot * dot / (mine * norm[other]) for other, dot in dots.items()}

    def _rank(self, id: Id) -> None:
        scores = self._scores(id)
        best = nsmallest(self.cap, [(-score, other) for other, score in scores.items()])
        self._name(id, [Near(-score, other) for score, other in best])

    def _name(self, id: Id, near: list[Near]) -> None:
        for old in self._near.get(id, ()):
            self._named_by.get(old.id, set()).discard(id)
            pair = paired(id, old.id)
            self.moved.add(pair)
            if self.asked[pair] == 1:
                del self.asked[pair]
            else:
                self.asked[pair] -= 1
        self._near[id] = near
        for new in near:
            self._named_by.setdefault(new.id, set()).add(id)
            pair = paired(id, new.id)
            self.moved.add(pair)
            self.asked[pair] = self.asked.get(pair, 0) + 1

    def of(self, id: Id) -> list[Near]:
        """The nearest of one statement, best first."""
        return list(self._near.get(id, ()))


def paired(one: Id, other: Id) -> Pair:
    """The two in the one order in which a pair is known."""
    return (one, other) if one < other else (other, one)


def _step(count: int) -> int:
    """The power of four that a count has reached; beyond COMMON one that weighs nothing."""
    return len(_STEPS) if count > COMMON else max(0, (count.bit_length() - 1) // 2)


def _order(near: Near) -> tuple[float, Id]:
    return -near.score, near.id


def _before(one: Near, other: Near) -> bool:
    return _order(one) < _order(other)
