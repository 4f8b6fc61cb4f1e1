"""Clues that two statements cannot both hold, each of one kind, found without a model.

Two readings. *Aligned*: texts that say nearly the same are laid over each other, and what differs is looked at word by
word. *Slots*: texts that say different things of one subject are compared where they speak of the same.
A clue says where it comes from; what it is worth is decided in offline.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from math import inf
from typing import NamedTuple

from crdtmem.coherence.lexicon import AMONG, alike, exclusive, once, opposite
from crdtmem.coherence.slots import Kind, Slot
from crdtmem.coherence.statement import DATE, LINK, NAME, NOT, NUMBER, WORD, Quantity, Statement, Token

NUMERIC, TEMPORAL, NEGATION, ANTONYM = "numeric", "temporal", "negation", "antonym"
ENTITY, EXCLUSIVE, QUANTIFIER, STATUS, ORDERING = "entity", "exclusive", "quantifier", "status", "ordering"
VALUE, ADDED, REPLACED = "value", "added", "replaced"


class Clue(NamedTuple):
    """One reason to think that two statements cannot both hold."""

    kind: str
    how: str  # which reading found it, and how closely the two places agree
    mine: str
    theirs: str


class Read(NamedTuple):
    """A statement with its slots: what is compared."""

    said: Statement
    slots: tuple[Slot, ...]
    kinds: Kind
    words: frozenset[str]  # stems of the plain words
    among: bool  # whether it says that it names some of several


def closeness(mine: frozenset[str], theirs: frozenset[str]) -> float:
    """The share of stems that two sets have in common, from 0 to 1."""
    total = len(mine) + len(theirs)
    return 2 * len(mine & theirs) / total if total else 0.0


def differ(kind: str, mine: Sequence[Token], theirs: Sequence[Token]) -> bool:
    """Whether two values of one kind exclude each other."""
    one, other = mine[0], theirs[0]
    if kind == NUMBER:
        a, b = one.quantity, other.quantity
        if a is None or b is None or a.unit != b.unit:
            return False
        return a.high < b.low or b.high < a.low or _bounded_apart(a, b)
    if kind == DATE:
        c, d = one.days, other.days
        if c is None or d is None or (c[0] < 10000) != (d[0] < 10000):
            return False
        return c[1] < d[0] or d[1] < c[0]
    return {token.stem for token in mine}.isdisjoint(token.stem for token in theirs)


def _bounded_apart(a: Quantity, b: Quantity) -> bool:
    """Whether two stated limits differ: who says "up to 20" and who says "up to 25" do not mean the same thing."""
    if a.high == b.high == inf:
        return abs(a.low - b.low) > 0.05 * max(abs(a.low), abs(b.low))
    return a.low == b.low == -inf and abs(a.high - b.high) > 0.05 * max(abs(a.high), abs(b.high))


def among(said: Statement) -> bool:
    """Whether the statement says that what it names is some of several."""
    words = [token.word for token in said.tokens]
    return not AMONG.isdisjoint(words) or ("one", "of") in pairwise(words)


# -- slots -----------------------------------------------------------------------------------------


def by_slots(mine: Read, theirs: Read) -> Iterator[Clue]:
    """Clues from equal slots with values that exclude each other."""
    rivals: dict[tuple[str, str], tuple[Slot, Slot]] = {}
    agreed: set[tuple[str, str]] = set()
    for one in mine.slots:
        for other in theirs.slots:
            if one.kind != other.kind:
                continue
            how = _place(one, other)
            if how is None:
                continue
            if _apart(one, other, mine, theirs):
                rivals.setdefault((one.kind, how), (one, other))
            elif one.kind != NAME or not one.rest.isdisjoint(other.rest) or not differ(NAME, one.value, other.value):
                agreed.add((one.kind, how))
    for (kind, how), (one, other) in rivals.items():
        if (kind, how) not in agreed:
            name = {NUMBER: NUMERIC, DATE: TEMPORAL, NAME: ENTITY}[kind]
            yield Clue(name, how, _words(one.value), _words(other.value))


def _place(one: Slot, other: Slot) -> str | None:
    """How closely two slots are the same place, or None."""
    shared = one.heads & other.heads
    linked = one.link and one.link == other.link
    counted = one.noun and one.noun == other.noun
    single = not shared.isdisjoint(once()) and not (one.listed or other.listed)
    if one.kind == NUMBER and one.noun != other.noun and one.noun and other.noun and not alike(one.noun, other.noun):
        return ("once" if single else "other") if shared and linked else None
    if shared and (linked or counted):
        return "once" if single else "same"
    if shared:
        return "head"
    if counted:
        return "counted"
    near = closeness(one.context, other.context)
    if near < 0.4:
        return None
    return ("near" if linked else "context") + ("6" if near >= 0.6 else "")


def _apart(one: Slot, other: Slot, mine: Read, theirs: Read) -> bool:
    if not differ(one.kind, one.value, other.value):
        return False
    if one.kind != NAME:
        return True
    a, b = {t.stem for t in one.value}, {t.stem for t in other.value}
    return a.isdisjoint(theirs.said.content) and b.isdisjoint(mine.said.content)


def by_words(mine: Read, theirs: Read) -> Iterator[Clue]:
    """Clues from words that stand on one side alone: opposites, and members of one kind."""
    left, right = mine.words - theirs.words, theirs.words - mine.words
    if len(left) > 24 or len(right) > 24:
        return
    names = mine.said.names | theirs.said.names
    for one in sorted(left - names):
        for other in sorted(right - names):
            if opposite(one, other):
                yield Clue(ANTONYM, "words", one, other)
            elif exclusive(one, other):
                yield Clue(EXCLUSIVE, "words", one, other)
    if mine.kinds.nouns and theirs.kinds.nouns and mine.kinds.nouns.isdisjoint(theirs.kinds.nouns):
        pairs = [(a, b) for a in sorted(mine.kinds.nouns) for b in sorted(theirs.kinds.nouns)]
        if not any(alike(a, b) for a, b in pairs):
            how = "exclusive" if any(exclusive(a, b) for a, b in pairs) else "kinds"
            yield Clue(VALUE, how, pairs[0][0], pairs[0][1])
    odd = abs(mine.said.negations - theirs.said.negations) % 2 == 1
    if odd:
        yield Clue(NEGATION, "words", "not" if mine.said.negations else "", "not" if theirs.said.negations else "")


# -- aligned ---------------------------------------------------------------------------------------


def aligned(mine: Statement, theirs: Statement) -> Iterator[Clue]:
    """Clues from what differs between two texts that say nearly the same."""
    a, b = mine.tokens, theirs.tokens
    have, other = Counter([t.stem for t in a]), Counter([t.stem for t in b])
    nots, opposed = 0, 0
    found: list[Clue] = []
    edits = list(_edits(a, b))
    for left, right in edits:
        nots += sum([t.kind == NOT for t in right]) - sum([t.kind == NOT for t in left])
        for clue in _edit(left, right, have, other):
            opposed += clue.kind == ANTONYM
            found.append(clue._replace(how="only") if clue.kind == REPLACED and len(edits) == 1 else clue)
    if nots % 2 == 0 and nots:
        nots = 0
    if nots and not (opposed == 1 and len(found) == 1):
        found.append(Clue(NEGATION, "aligned", "not" if nots < 0 else "", "not" if nots > 0 else ""))
    yield from found


def _edits(a: Sequence[Token], b: Sequence[Token]) -> Iterator[tuple[Sequence[Token], Sequence[Token]]]:
    """What is replaced by what; ends that agree are cut off first, as that is all there is in texts from a template."""
    start, size = 0, min(len(a), len(b))
    while start < size and a[start].stem == b[start].stem:
        start += 1
    end = 0
    while end < size - start and a[-1 - end].stem == b[-1 - end].stem:
        end += 1
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    if not a or not b:
        if a or b:
            yield a, b
        return
    steps = SequenceMatcher(None, [t.stem for t in a], [t.stem for t in b], autojunk=False).get_opcodes()
    for step, i, j, k, n in steps:
        if step != "equal":
            yield a[i:j], b[k:n]


def _edit(left: Sequence[Token], right: Sequence[Token], have: Counter[str], other: Counter[str]) -> Iterator[Clue]:
    for kind, name in ((NUMBER, NUMERIC), (DATE, TEMPORAL)):
        mine, theirs = [t for t in left if t.kind == kind], [t for t in right if t.kind == kind]
        if mine and theirs:
            if differ(kind, mine, theirs) or mine[0].stem != theirs[0].stem:
                yield Clue(name, "aligned", _words(mine), _words(theirs))
        elif kind == NUMBER and (mine or theirs):
            yield Clue(name, "alone", _words(mine), _words(theirs))
    links = [(x, y) for x in left for y in right if LINK in (x.kind, y.kind) and opposite(x.stem, y.stem)]
    if links:
        yield Clue(ANTONYM, "aligned", links[0][0].word, links[0][1].word)
    mine, theirs = [t for t in left if t.kind == WORD], [t for t in right if t.kind == WORD]
    for test, name in ((alike, ""), (opposite, ANTONYM), (exclusive, EXCLUSIVE)):
        for one in list(mine):
            match = next((t for t in theirs if test(one.stem, t.stem)), None)
            if match is not None:
                mine.remove(one)
                theirs.remove(match)
                if name:
                    yield Clue(name, "aligned", one.word, match.word)
    new = [t for t in theirs if other[t.stem] > have[t.stem]]
    old = [t for t in mine if have[t.stem] > other[t.stem]]
    gone_names = [t for t in left if t.kind == NAME and have[t.stem] > other[t.stem]]
    new_names = [t for t in right if t.kind == NAME and other[t.stem] > have[t.stem]]
    if gone_names and new_names:
        yield Clue(ENTITY, "aligned", _words(gone_names), _words(new_names))
    elif gone_names or new_names:
        yield Clue(ENTITY, "alone", _words(gone_names), _words(new_names))
    if old and new:
        yield Clue(REPLACED, "aligned", _words(old), _words(new))
    elif len(new) > 1 or len(old) > 1:
        yield Clue(ADDED, "new" if new else "gone", _words(old), _words(new))


def _words(tokens: Sequence[Token]) -> str:
    return " ".join([token.word for token in tokens])
