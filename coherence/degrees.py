"""Degrees: in what, from where and when somebody was given one; of a kind that is hers, there is one.

"Her doctorate" is the only one, so any other field, school or year of a doctorate of hers is one too many; where
neither side says "her", the rest must be equal, as who was given a degree may well be given another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from crdtmem.coherence.slots import WHOSE, goes_on
from crdtmem.coherence.tokens import DATE, LINK, NAME, WORD, Token

FAR = 12  # tokens from the degree within which its field, school and year stand
_DOCTOR = ("doctorate", "ph", "phd")
_LEVELS = dict.fromkeys((*_DOCTOR, "doctoral"), "doctor") | dict.fromkeys(("master", "masters"), "master")
_LEVELS |= dict.fromkeys(("bachelor", "bachelors", "undergraduate"), "bachelor")


class Degree(NamedTuple):
    """A degree and what is said of it; nothing where nothing is said."""

    level: str  # "doctor", or the word before "degree": "medical"
    hers: bool  # "her degree": there is one of its level
    field: tuple[Token, ...]
    school: tuple[Token, ...]
    year: tuple[Token, ...]


def degrees(tokens: tuple[Token, ...]) -> tuple[Degree, ...]:
    """The degrees of a statement, the first four.

    >>> from crdtmem.coherence.statement import statement
    >>> [found] = degrees(statement("She received her doctorate in law from the University of Bonn in 1931.").tokens)
    >>> found.level, found.hers, [[token.word for token in part] for part in found[2:]]
    ('doctor', True, [['law'], ['university', 'bonn'], ['1931']])
    """
    return tuple(_degrees(tokens))[:4]


def _degrees(tokens: tuple[Token, ...]) -> Iterator[Degree]:
    for at, token in enumerate(tokens):
        doctor = token.word in _DOCTOR
        if token.word not in ("degree", "diploma") and not doctor:
            continue
        before = tokens[max(0, at - 3) : at]
        hers = any(t.word in WHOSE for t in before)
        if hers or any(t.word in ("a", "an") for t in before):
            last = token.stem if doctor else before[-1].stem if before[-1].kind == WORD else ""
            level = next((_LEVELS[t.word] for t in (*before, token) if t.word in _LEVELS), last)
            spelled = doctor and at + 1 < len(tokens) and tokens[at + 1].word == "d"  # "Ph. D."
            yield Degree(level, hers, *_told(tokens, at + spelled))


def _told(tokens: tuple[Token, ...], at: int) -> tuple[tuple[Token, ...], tuple[Token, ...], tuple[Token, ...]]:
    field: tuple[Token, ...] = ()
    school: tuple[Token, ...] = ()
    year: tuple[Token, ...] = ()
    here = at + 1
    if here < len(tokens) and tokens[here].word == "in":
        field, here = _field(tokens, here + 1)
    while here < min(len(tokens), at + FAR) and tokens[here].sentence == tokens[at].sentence:
        token = tokens[here]
        if token.kind == DATE:
            year = year or (token,)
        elif token.word in ("at", "from") and not school:
            school = _school(tokens, here + 1)
        elif token.word in ("and", "before", "later", "then", "where", "who"):
            break
        here += 1
    if not school:
        n = next((n for n in range(at) if tokens[n].word == "attended" or tokens[n].word == "at"), at)
        school = _school(tokens, n + 1) if n < at and tokens[n].sentence == tokens[at].sentence else ()
    return field, school, year


def _field(tokens: tuple[Token, ...], here: int) -> tuple[tuple[Token, ...], int]:
    """What follows "in": "the field of civil engineering"; a year is none."""
    found: list[Token] = []
    while here < len(tokens) and (tokens[here].kind in (NAME, WORD) or tokens[here].word in ("of", "the")):
        if tokens[here].kind != LINK and tokens[here].word != "field":
            found.append(tokens[here])
        here += 1
        if tokens[here - 1].after:
            break
    return tuple(found), here


def _school(tokens: tuple[Token, ...], here: int) -> tuple[Token, ...]:
    here += here < len(tokens) and tokens[here].word == "the"
    found: list[Token] = []
    while here < len(tokens) and (tokens[here].kind == NAME or (found and goes_on(tokens, here))):
        found += [tokens[here]] * (tokens[here].kind == NAME)
        here += 1
        if tokens[here - 1].after:
            break
    return tuple(found)
