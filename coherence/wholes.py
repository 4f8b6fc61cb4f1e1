"""A whole and its parts: how many there are, how much it covers, and lists that name all of them.

1. How many parts: "is divided into three regions", "consists of three regions".
2. How much it covers: "the park covers 40 hectares".
3. Two lists at one place that agree in most of what they name, and each name something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from crdtmem.coherence.frames import MOST, Frame, inside, named_before, stems
from crdtmem.coherence.lexicon import BE, PREPOSITIONS
from crdtmem.coherence.slots import goes_on
from crdtmem.coherence.statement import among
from crdtmem.coherence.tokens import LINK, NAME, NUMBER, WORD, Token

LIST = "list"  # names told as a list: two of them clash if most is shared and each has something else
_PARTED = ("divided", "organised", "organized", "separated", "split", "subdivided")
_MADE = ("composed", "comprised", "made")
_OF = ("consist", "consisted", "consists")
_AREA = ("acres", "hectares", "square")
_WHICH = ("and", "but", "or", "that", "which", "who", "whose")


def wholes(tokens: tuple[Token, ...]) -> tuple[Frame, ...]:
    """The frames of wholes and parts.

    >>> from crdtmem.coherence.statement import statement
    >>> [found] = wholes(statement("The town is divided into three quarters.").tokens)
    >>> found.place[0], sorted(found.place[1]), found.value[0].word
    ('parts', ['quarter'], 'three')
    """
    return tuple(islice(_wholes(tokens), MOST))


def _wholes(tokens: tuple[Token, ...]) -> Iterator[Frame]:
    start = 0  # of the sentence
    listed = 0  # where the last list ended
    for at, token in enumerate(tokens):
        if at and token.sentence != tokens[at - 1].sentence:
            start = at
        if token.word in _OF or (at and tokens[at - 1].word in BE and token.word in (*_PARTED, *_MADE)):
            yield from _counted(tokens, start, at)
        elif token.word in ("covered", "covers"):
            yield from _covered(tokens, at)
        elif token.kind == NAME and at >= listed:
            listed = _end(tokens, at)
            yield from _listed(tokens, start, at, listed)


def _counted(tokens: tuple[Token, ...], start: int, at: int) -> Iterator[Frame]:
    """How many parts the subject of the sentence has."""
    here = at + 1 + (tokens[at].word == "made")
    link = "into" if tokens[at].word in _PARTED else "of"
    if any(t.after or t.word in _WHICH for t in tokens[start:at]) or not inside(tokens, here, at):
        return
    if tokens[here].word == link and inside(tokens, here + 1, at) and tokens[here + 1].kind == NUMBER:
        number, parts = tokens[here + 1], () if tokens[here + 1].after else _words(tokens, here + 2)
        if parts and number.quantity is not None and not number.quantity.unit:
            yield Frame(NUMBER, ("parts", stems(parts)), (number,))


def _covered(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """How much it covers: "the park, which covers an area of over 40 hectares"."""
    end = at - (bool(at) and tokens[at - 1].word in ("that", "which"))
    of = named_before(tokens, end) or tuple(token for token in tokens[max(0, end - 1) : end] if token.kind == WORD)
    here = at + 1
    while inside(tokens, here, at) and (tokens[here].kind == LINK or tokens[here].word in ("approximately", "area")):
        here += 1
    if of and inside(tokens, here, at) and tokens[here].kind == NUMBER:
        unit = () if tokens[here].after else _words(tokens, here + 1)[:2]
        if unit and unit[0].word in _AREA:
            yield Frame(NUMBER, ("covers", stems((*of, *unit))), (tokens[here],))


def _words(tokens: tuple[Token, ...], here: int) -> tuple[Token, ...]:
    """The plain words that stand here."""
    found: list[Token] = []
    for token in tokens[here:]:
        if token.kind != WORD:
            break
        found.append(token)
        if token.after:
            break
    return tuple(found)


def _end(tokens: tuple[Token, ...], at: int) -> int:
    """Where a list of names ends: "Rome, Paris, and the old Bonn"."""
    here = at + 1
    while here < len(tokens) and (goes_on(tokens, here) or _joins(tokens, here)):
        here += 1
    return here


def _joins(tokens: tuple[Token, ...], here: int) -> bool:
    """Whether a list goes on over this "and"."""
    after = tokens[here + 1 : here + 2]
    return tokens[here].word in ("and", "or") and any(
        token.kind == NAME and token.sentence == tokens[here].sentence for token in after
    )


def _listed(tokens: tuple[Token, ...], start: int, at: int, end: int) -> Iterator[Frame]:
    """The names of a list that tells what is so, not what was done once; if it is meant to name all."""
    named = [token for token in tokens[at:end] if token.kind == NAME]
    commas = sum(["," in token.after for token in named])
    if commas < 2 or among([token for token in tokens if token.sentence == tokens[at].sentence]):
        return
    here = at - 1
    while here > start and "the" in (tokens[here].word, tokens[here - 1].word):
        here -= 1
    link = tokens[here].word if here >= start and tokens[here].word in PREPOSITIONS else ""
    here -= bool(link)
    lasts = here > start and (tokens[here - 1].word in BE or tokens[here].word.endswith("s"))
    if lasts and tokens[here].kind == WORD and not tokens[here].after:
        yield Frame(LIST, (link, stems([tokens[here]])), tuple(named))
