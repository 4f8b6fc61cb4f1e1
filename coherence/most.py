"""What is most so, or mostly so: superlatives and majorities have room for one value by what they mean.

1. What is the first of its kind, or the most of it: "her first film was", "the tallest tower is".
2. What place a thing has in a ranking: "is the largest city in", against "is the second largest city in".
3. How most are: "generally positive reviews", against "mostly negative reviews" and "mixed reviews".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from crdtmem.coherence.frames import BREAKS, FAR, MOST, Frame, dated, inside, names, stems
from crdtmem.coherence.lexicon import BE, MAINLY, PREPOSITIONS, once_named
from crdtmem.coherence.tokens import DATE, LINK, NUMBER, WORD, Token

MAJORITY = "majority"  # how most are: values of it exclude each other only if the words do
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def most(tokens: tuple[Token, ...]) -> tuple[Frame, ...]:
    """The frames of what is most so, or mostly so.

    >>> from crdtmem.coherence.statement import statement
    >>> [found] = most(statement("Bonn is the second largest city of the region.").tokens)
    >>> found.place[0], sorted(found.place[1]), found.value[0].word
    ('rank', ['citi', 'largest', 'region'], 'second')
    """
    return tuple(islice(_most(tokens), MOST))


def _most(tokens: tuple[Token, ...]) -> Iterator[Frame]:
    for at, token in enumerate(tokens):
        if token.word in BE:
            yield from _first(tokens, at)
            yield from _rank(tokens, at)
        elif token.word in MAINLY or token.word == "mixed":
            yield from _majority(tokens, at + (token.word in MAINLY))


def _first(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """What is the first of its kind, or the most of it."""
    start = at - 1
    while start > max(0, at - FAR) and not tokens[start].after and not _unique(tokens[start]):
        start -= 1
    if start < 1 or not _unique(tokens[start]) or tokens[start].sentence != tokens[at].sentence:
        return
    link, here = "", at + 1
    while inside(tokens, here, at) and tokens[here].kind in (LINK, WORD) and not tokens[here].after:
        if tokens[here].word in BREAKS or tokens[here].word == "one":
            return
        link = link or (tokens[here].word if tokens[here].word in PREPOSITIONS else "")
        here += 1
    value = dated(tokens[here]) if here < len(tokens) and tokens[here].kind == DATE else names(tokens, here, at)[0]
    if value:
        what = stems([token for token in tokens[start:at] if token.kind != LINK])
        yield Frame(value[0].kind, (f"first {link}", what), value)


def _unique(token: Token) -> bool:
    """Whether it says that there is one such thing."""
    return token.word == "first" or _superlative(token)


def _superlative(token: Token) -> bool:
    return token.word.endswith("est") and token.stem in once_named()


def _rank(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """What place a thing has: "is the second largest city in Umbria"."""
    here = at + 2
    if not (at and inside(tokens, here + 1, at)) or tokens[at + 1].word != "the" or tokens[at - 1].word in BREAKS:
        return
    ordinal = tokens[here].word in _ORDINALS or (tokens[here].kind == NUMBER and tokens[here].stem.endswith("place"))
    value = tokens[here]
    here += ordinal
    if not _superlative(tokens[here]):
        return
    ranked: list[Token] = []
    while inside(tokens, here, at) and tokens[here].word not in BREAKS:
        ranked += [tokens[here]] * (tokens[here].kind != LINK)
        here += 1
        if tokens[here - 1].after:
            break
    if len(ranked) > 1:
        yield Frame(WORD, ("rank", stems(ranked)), (value,))


def _majority(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """How most of some are."""
    if inside(tokens, at + 1, at) and tokens[at].kind == tokens[at + 1].kind == WORD and not tokens[at].after:
        yield Frame(MAJORITY, ("mostly", stems([tokens[at + 1]])), (tokens[at],))
