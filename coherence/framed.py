"""Clues from equal frames, and from degrees of one kind: what has room for one value by grammar has two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from crdtmem.coherence.clues import (
    ENTITY,
    EXCLUSIVE,
    NUMERIC,
    STATUS,
    TEMPORAL,
    VALUE,
    Clue,
    Read,
    barely,
    differ,
    kindred,
    one_subject,
)
from crdtmem.coherence.degrees import Degree
from crdtmem.coherence.frames import OUT, STATE, Frame
from crdtmem.coherence.lexicon import alike, exclusive, opposite
from crdtmem.coherence.most import MAJORITY
from crdtmem.coherence.tokens import DATE, NAME, NUMBER, WORD, Token
from crdtmem.coherence.wholes import LIST

_KINDS = {DATE: TEMPORAL, NAME: ENTITY, WORD: EXCLUSIVE, NUMBER: NUMERIC}
_KINDS |= {STATE: STATUS, LIST: ENTITY, MAJORITY: EXCLUSIVE}


def by_frames(mine: Read, theirs: Read) -> Iterator[Clue]:
    """Clues from frames and degrees, each of them found once."""
    for one, other in product(mine.frames, theirs.frames):
        if one.kind == other.kind and _unlike(one, other) and one_subject(mine, theirs):
            yield Clue(_KINDS[one.kind], "once", _words(one.value), _words(other.value))
    for first, second in product(mine.degrees, theirs.degrees):
        if first.level == second.level:
            yield from _two_degrees(first, second)


def _unlike(one: Frame, other: Frame) -> bool:
    """Whether two frames of one kind are of one place, and their values exclude each other."""
    (how, what), (also, which) = one.place, other.place
    if one.kind == STATE:
        return how != also and what == which
    if how != also or not _one_place(one, other):
        return False
    if one.kind == LIST:
        return _other_list(_stems(one.value), _stems(other.value))
    if one.kind == MAJORITY:
        return any(test(one.value[0].stem, other.value[0].stem) for test in (opposite, exclusive))
    if one.kind == WORD:
        return not any(_one_trade(x.stem, y.stem) for x in one.value for y in other.value)
    return differ(one.kind, one.value, other.value) and not (one.kind == NUMBER and barely(*one.value, *other.value))


def _one_place(one: Frame, other: Frame) -> bool:
    """Whether the words around the values are the same; who is named may be named in part."""
    (how, what), (_, which) = one.place, other.place
    if what == which:
        return True
    if one.kind == NAME or how in OUT:
        return what <= which or which <= what
    return how == "parts" and len(what) == len(which) == 1 and alike(*what, *which)


def _other_list(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two lists share most of what they name, and each names something that the other does not."""
    return len(one & other) > max(2, len(one - other), len(other - one)) and bool(one - other and other - one)


def _one_trade(one: str, other: str) -> bool:
    """Whether one may be the other, or of its kind: a writer, a songwriter."""
    return alike(one, other) or kindred(one, other) or kindred(one[::-1], other[::-1])


def _two_degrees(one: Degree, other: Degree) -> Iterator[Clue]:
    """What differs of a degree of which there is one; or, of any two, where all else that is said is equal."""
    hers = one.hers or other.hers
    field, school = _stems(one.field) == _stems(other.field), _stems(one.school) == _stems(other.school)
    unique = hers and bool(one.level)
    if _apart(one.field, other.field) and (unique or (school and one.school)):
        yield Clue(VALUE, "once", _words(one.field), _words(other.field))
    if _apart(one.school, other.school) and unique:
        yield Clue(ENTITY, "once", _words(one.school), _words(other.school))
    told = bool(one.year and other.year) and differ(DATE, one.year, other.year)
    if told and (unique or (field and school and one.field)):
        yield Clue(TEMPORAL, "once", _words(one.year), _words(other.year))


def _apart(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether two names, each of which may be told in part, are not the same."""
    a, b = _stems(one), _stems(other)
    return bool(a and b) and not (a <= b or b <= a)


def _stems(tokens: Sequence[Token]) -> frozenset[str]:
    return frozenset([token.stem for token in tokens])


def _words(tokens: Sequence[Token]) -> str:
    return " ".join([token.word for token in tokens])
