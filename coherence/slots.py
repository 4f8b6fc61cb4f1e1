"""What a statement says of whom, as far as grammar tells without a model: values in slots.

A slot is a value, the word that governs it and the link between: "born (in) 1985", "capacity (of) 25,000 spectators",
"located (in) Boston". Two statements whose equal slots hold values that cannot both be are a clue. It is a shallow
reading: links and the order of words, no parse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from crdtmem.coherence.lexicon import BE, PREPOSITIONS
from crdtmem.coherence.statement import DATE, LINK, NAME, NOT, NUMBER, WORD, Statement, Token

REACH = 5  # content words on each side that are the context of a value


class Slot(NamedTuple):
    """A value and where it stands."""

    kind: str
    heads: frozenset[str]  # the stem that governs it; of a value that opens a sentence, the words it leads to
    link: str  # the preposition between, or ""
    noun: str  # what is counted
    value: tuple[Token, ...]
    rest: frozenset[str]  # of a name: what follows its first part, like the state after a city
    context: frozenset[str]
    listed: bool  # one of several, joined by commas or "and"


class Kind(NamedTuple):
    """What somebody or something is said to be: "is a Turkish composer and musician"."""

    nouns: frozenset[str]
    words: frozenset[str]


def slots(said: Statement) -> tuple[Slot, ...]:
    """The slots of a statement.

    >>> from crdtmem.coherence.statement import statement
    >>> [(*slot.heads, slot.link, slot.value[0].stem) for slot in slots(statement("He was born in 1985 in Boston."))]
    [('born', 'in', '1985'), ('born', 'in', 'boston')]
    """
    return tuple(_slots(said.tokens))


def _slots(tokens: tuple[Token, ...]) -> Iterator[Slot]:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind in (NUMBER, DATE):
            yield _slot(tokens, at, at + 1)
            at += 1
        elif token.kind == NAME:
            end = at + 1
            while end < len(tokens) and _goes_on(tokens, end):
                end += 1
            yield _slot(tokens, at, end)
            at = end
        else:
            at += 1


def _goes_on(tokens: tuple[Token, ...], at: int) -> bool:
    if tokens[at].sentence != tokens[at - 1].sentence:
        return False
    if tokens[at].kind == NAME:
        return tokens[at - 1].after in ("", ".", ",")
    joined = tokens[at].word in ("of", "the", "de", "van", "von") and not tokens[at - 1].after
    return joined and at + 1 < len(tokens) and tokens[at + 1].kind == NAME and not tokens[at].after


def _slot(tokens: tuple[Token, ...], at: int, end: int) -> Slot:
    token = tokens[at]
    link, back = "", at - 1
    while back >= 0 and tokens[back].sentence == token.sentence and not _governs(tokens, back):
        if not link and tokens[back].kind == LINK and tokens[back].word in PREPOSITIONS:
            link = tokens[back].word
        back -= 1
    inside = back >= 0 and tokens[back].sentence == token.sentence
    heads = frozenset([tokens[back].stem]) if inside else _ahead(tokens, end)
    noun = ""
    if token.kind == NUMBER and end < len(tokens) and tokens[end].kind == WORD and not token.after:
        noun = tokens[end].stem
    run = tokens[at:end]
    first = next((n for n, t in enumerate(run) if "," in t.after), len(run) - 1) + 1
    listed = end < len(tokens) and tokens[end].word in ("and", "or") and end + 1 < len(tokens)
    listed = (listed and tokens[end + 1].kind == NAME) or (at > 0 and tokens[at - 1].word in ("and", "or"))
    return Slot(
        token.kind,
        heads,
        link,
        noun,
        run[:first],
        frozenset([t.stem for t in run[first:]]),
        _context(tokens, at, end),
        listed,
    )


def _ahead(tokens: tuple[Token, ...], at: int) -> frozenset[str]:
    """What a value that opens a sentence leads to: "In 1907, the house was sold"."""
    sentence = tokens[at - 1].sentence
    words = [t.stem for t in tokens[at : at + 8] if t.kind == WORD and t.sentence == sentence]
    return frozenset(words[:2])


def _governs(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether this token can be the head: a word; of a chain "born on DATE in PLACE" the values are passed over."""
    return tokens[at].kind == WORD


def _context(tokens: tuple[Token, ...], at: int, end: int) -> frozenset[str]:
    found: list[str] = []
    sentence = tokens[at].sentence
    for step, start in ((-1, at - 1), (1, end)):
        place, left = start, REACH
        while left and 0 <= place < len(tokens) and tokens[place].sentence == sentence:
            if tokens[place].kind == WORD:
                found.append(tokens[place].stem)
                left -= 1
            place += step
    return frozenset(found)


def kinds(said: Statement) -> Kind:
    """What the statement says its subject is.

    >>> from crdtmem.coherence.statement import statement
    >>> sorted(kinds(statement("Ann is a Turkish composer and musician.")).words)
    ['compos', 'musician', 'turkish']
    """
    tokens = said.tokens
    nouns: list[str] = []
    found: list[str] = []
    for at, token in enumerate(tokens[:-2]):
        if token.word not in BE or tokens[at + 1].word not in ("a", "an", "the"):
            continue
        here = at + 2
        while here < len(tokens) and tokens[here].sentence == token.sentence:
            current = tokens[here]
            if current.kind in (LINK, NOT) and current.word not in ("and", "a", "an", "or", "the"):
                break
            if current.kind not in (LINK, NOT):
                found.append(current.stem)
                after = tokens[here + 1] if here + 1 < len(tokens) else None
                if current.after or after is None or after.kind == LINK:
                    nouns.append(current.stem)
            here += 1
        break
    return Kind(frozenset(nouns), frozenset(found))
