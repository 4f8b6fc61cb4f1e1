"""Clues that two statements cannot both hold, each of one kind, found without a model.

Two readings. *Aligned*: texts that say nearly the same are laid over each other, and what differs is looked at word by
word. *Slots*: texts that say different things of one subject are compared where they speak of the same.
A clue says where it comes from; what it is worth is decided in offline.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from math import inf
from typing import NamedTuple

from crdtmem.coherence.degrees import Degree
from crdtmem.coherence.frames import Frame
from crdtmem.coherence.lexicon import (
    ALL,
    NOTHING,
    PART,
    alike,
    exclusive,
    makers,
    measures,
    once_named,
    once_timed,
    opposite,
    opposites,
    rivals,
    state,
    wide,
)
from crdtmem.coherence.slots import Kind, Order, Slot
from crdtmem.coherence.statement import Statement
from crdtmem.coherence.tokens import DATE, LINK, NAME, NOT, NUMBER, WORD, Quantity, Token

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
    frames: tuple[Frame, ...]
    degrees: tuple[Degree, ...]
    kinds: Kind
    words: frozenset[str]  # stems of the plain words
    among: bool  # whether it says that it names some of several
    order: Order | None
    share: str  # all, none or part, where it says of how many it holds


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


def barely(one: Token, other: Token) -> bool:
    """Whether two numbers are limits that may both hold: "over 20" and "over 30", but not "over 20" and "over 90"."""
    a, b = one.quantity, other.quantity
    if a is None or b is None or not _bounded_apart(a, b):
        return False
    less, more = sorted(map(abs, (a.low, b.low) if a.high == inf else (a.high, b.high)))
    return more <= 2 * less


def share(said: Statement) -> str:
    """Of how many a statement is meant to hold: all, none or part of them; or nothing is said.

    >>> from crdtmem.coherence.statement import statement
    >>> share(statement("All tests pass.")), share(statement("Not all tests pass.")), share(statement("Tests pass."))
    ('all', 'part', '')
    """
    words = {token.word for token in said.tokens}
    if words & NOTHING:
        return "none"
    if words & ALL:
        return "part" if said.negations else "all"
    return "part" if words & PART else ""


# -- slots -----------------------------------------------------------------------------------------


def by_slots(mine: Read, theirs: Read) -> Iterator[Clue]:
    """Clues from equal slots with values that exclude each other."""
    rivals: dict[tuple[str, str], tuple[str, Slot, Slot]] = {}
    agreed: set[tuple[str, str]] = set()
    for one in mine.slots:
        for other in theirs.slots:
            place = _place(one, other) if one.kind == other.kind else None
            if place is None:
                continue
            if _apart(one, other, mine, theirs):
                rivals.setdefault((one.kind, _worth(place, one, other, mine, theirs)), (place, one, other))
            elif one.kind != NAME or not one.rest.isdisjoint(other.rest) or not differ(NAME, one.value, other.value):
                agreed.add((one.kind, place))
    for (kind, how), (place, one, other) in rivals.items():
        if (kind, place) not in agreed:
            name = {NUMBER: NUMERIC, DATE: TEMPORAL, NAME: ENTITY}[kind]
            yield Clue(name, how, _words(one.value), _words(other.value))


def _worth(place: str, one: Slot, other: Slot, mine: Read, theirs: Read) -> str:
    """How closely the places of two rivals agree, once the values and all that is said are looked at."""
    once = place == "once" or (place == "same" and one.kind == DATE and _one_event(one, other, mine, theirs))
    if once and _surely_apart(one, other) and _of_one(one, other, mine, theirs):
        return "once"
    return "same" if once else place


def _place(one: Slot, other: Slot) -> str | None:
    """How closely two slots are the same place, or None."""
    shared = one.heads & other.heads
    linked = one.link and one.link == other.link
    counted = one.noun and one.noun == other.noun
    single = bool(shared) and _single(one, other, shared)
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


def _single(one: Slot, other: Slot, heads: frozenset[str]) -> bool:
    """Whether the place has room for one value: what is built is built once, and who made a thing made it alone."""
    if one.some or other.some or {one.tense, other.tense} == {"now", "then"}:
        return False
    if one.kind == NAME and one.link == other.link == "by" and not heads.isdisjoint(makers()):
        return True  # of several makers one would be named on both sides
    if one.listed or other.listed or one.within or other.within:
        return False
    if one.kind == NUMBER and one.noun != "ago":
        return one.scope == other.scope and not heads.isdisjoint(measures())
    return not heads.isdisjoint(once_named() if one.kind == NAME else once_timed())


def _surely_apart(one: Slot, other: Slot) -> bool:
    """Whether two values that differ cannot be the same less exactly: "over 20" and "over 30", Leeds and England."""
    a, b = one.value[0], other.value[0]
    if one.kind == NUMBER:
        return not barely(a, b)
    if one.kind != NAME:
        return True
    if any(kindred(x.stem, y.stem) for x in one.value for y in other.value) or a.word.isalpha() != b.word.isalpha():
        return False
    placed = one.link == other.link and one.link in _PLACES
    if placed and not (one.rest and other.rest):
        return _lands_apart(one, other) if wide(a.stem) or wide(b.stem) else not (one.rest or other.rest)
    return True


def _lands_apart(one: Slot, other: Slot) -> bool:
    """Whether two countries or states are named, and not a town that may lie in the country."""
    a, b = ((slot.rest or {token.stem for token in slot.value}) for slot in (one, other))
    single = len(one.value) == 1 or bool(one.rest), len(other.value) == 1 or bool(other.rest)
    return all(single) and any(exclusive(x, y) for x in a for y in b)


_PLACES = ("in", "at", "near", "on")


def _of_one(one: Slot, other: Slot, mine: Read, theirs: Read) -> bool:
    """Whether the same thing is meant, as far as can be seen: not the stadium here and its club there."""
    a, b = one.thing, other.thing
    if a and b and a not in mine.kinds.words and b not in theirs.kinds.words and not alike(a, b):
        return False  # what it is said to be, as in "it is a club based in Rome", stands for the subject
    return one_subject(mine, theirs)


def one_subject(mine: Read, theirs: Read) -> bool:
    """Whether both may speak of the same thing, by the plain words before their verbs."""
    left, right = mine.said.subject - theirs.said.content, theirs.said.subject - mine.said.content
    return not (left and right) or any(alike(x, y) for x in left for y in right)


def kindred(one: str, other: str) -> bool:
    """Whether one word may be made from the other: Gloucester, Gloucestershire; Methodist, Methodism."""
    shared = max(4, 7 * min(len(one), len(other)) // 10)
    return one[:shared] == other[:shared]


def _one_event(one: Slot, other: Slot, mine: Read, theirs: Read) -> bool:
    """Whether both tell when one thing came about or ended, and one of them tells nothing else."""
    if one.some or other.some:
        return False
    if one.link not in ("until", "since") and not (one.event and one.event == other.event):
        return False
    left, right = mine.said.content - theirs.said.content, theirs.said.content - mine.said.content
    return left == {one.value[0].stem} or right == {other.value[0].stem}


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
    left, right = left - names, right - names
    for kind, found in ((ANTONYM, opposites), (EXCLUSIVE, rivals)):
        pairs = [(one, min(found(one) & right)) for one in left if not found(one).isdisjoint(right)]
        if pairs:
            one, other = min(pairs)
            yield Clue(STATUS if state(one) and state(other) else kind, "words", one, other)
    if mine.kinds.nouns and theirs.kinds.nouns and mine.kinds.nouns.isdisjoint(theirs.kinds.nouns):
        pairs = [(a, b) for a in sorted(mine.kinds.nouns) for b in sorted(theirs.kinds.nouns)]
        if not any(alike(a, b) for a, b in pairs):
            how = "exclusive" if any(exclusive(a, b) for a, b in pairs) else "kinds"
            yield Clue(VALUE, how, pairs[0][0], pairs[0][1])
    if _shares_differ(mine, theirs):
        yield Clue(QUANTIFIER, "words", mine.share, theirs.share)
    before, after = mine.order, theirs.order
    if before and after and before.how == after.how and _swapped(before, after):
        yield Clue(ORDERING, "swapped", " ".join(sorted(before.first)), " ".join(sorted(after.first)))
    odd = abs(mine.said.negations - theirs.said.negations) % 2 == 1
    if odd:
        yield Clue(NEGATION, "words", "not" if mine.said.negations else "", "not" if theirs.said.negations else "")


def _shares_differ(mine: Read, theirs: Read) -> bool:
    """Whether one side speaks of all and the other of none, or of some that do not; or of none and of some."""
    both = {mine.share, theirs.share}
    if both == {"all", "part"}:
        return mine.said.negations != theirs.said.negations
    return both in ({"all", "none"}, {"none", "part"})


def _swapped(one: Order, other: Order) -> bool:
    return one.second <= other.first and other.second <= one.first and one.second != other.second


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
            if differ(kind, mine, theirs) or _other_unit(mine[0], theirs[0]):
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


def _other_unit(one: Token, other: Token) -> bool:
    return one.quantity is not None and other.quantity is not None and one.quantity.unit != other.quantity.unit


def _words(tokens: Sequence[Token]) -> str:
    return " ".join([token.word for token in tokens])
