"""A statement: one piece of text or one value, normalised once, so that two of them can be compared quickly.

1. A text is cut into statements of whole sentences, at most `WIDTH` characters each and `MOST` of them for an entry;
   what is beyond is counted, never silently dropped.
2. Nothing here knows entries, fields or judges, and nothing depends on anything but the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from crdtmem.coherence.dates import dated
from crdtmem.coherence.lexicon import AMONG, AUXILIARIES, HEDGES, OPINIONS, PREPOSITIONS, known
from crdtmem.coherence.tokens import DATE, LINK, NAME, NOT, NUMBER, WORD, Token, parts

WIDTH = 1200  # characters of one statement
MOST = 32  # statements of one entry


class Statement(NamedTuple):
    """A normalised piece of text."""

    text: str
    tokens: tuple[Token, ...]
    content: frozenset[str]  # stems of words, names, numbers and dates
    names: frozenset[str]
    negations: int
    hedged: bool
    opinion: bool
    question: bool
    lead: frozenset[str]  # names and numbers that tell of whom this is, before the first verb
    subject: frozenset[str]  # the plain words there: "payment service"
    pair: tuple[frozenset[str], tuple[Token, ...]] | None  # "port of gate-3: 8080": what is asked, what is answered


_ASSIGNED = re.compile(r"\s*([^=:\n]{1,120}?)\s*(?:=|:|->|=>)\s*(?=\S)")
_SENTENCE = re.compile(r"(?<=[.!?\u3002])\s+|\n+")


def pieces(text: str) -> tuple[list[str], int]:
    """A text in pieces of whole sentences, and how many characters were left out.

    >>> pieces("One. Two.")
    (['One. Two.'], 0)
    """
    if len(text) <= WIDTH:
        return ([text] if text.strip() else []), 0
    found: list[str] = []
    current = ""
    for sentence in _SENTENCE.split(text[: WIDTH * MOST]):
        while len(sentence) > WIDTH:
            found += [current] if current else []
            found.append(sentence[:WIDTH])
            current, sentence = "", sentence[WIDTH:]
        if len(current) + len(sentence) >= WIDTH:
            found.append(current)
            current = sentence
        else:
            current = f"{current} {sentence}" if current else sentence
    found += [current] if current else []
    found = [piece for piece in found[:MOST] if piece.strip()]
    return found, max(0, len(text) - sum(map(len, found)))


def sentences(text: str) -> list[str]:
    """A text by sentences.

    >>> sentences("One. Two?")
    ['One.', 'Two?']
    """
    return [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]


def statement(text: str) -> Statement:
    """Normalise one piece of text.

    >>> said = statement("Revenue didn't rise 5% in March 2024.")
    >>> [(token.stem, token.kind) for token in said.tokens if token.kind != "link"]
    [('revenu', 'word'), ('not', 'not'), ('rise', 'word'), ('5share', 'number'), ('2024-03', 'date')]
    """
    tokens = statement_tokens(text)
    content = frozenset([t.stem for t in tokens if t.kind not in (LINK, NOT)])
    words = {t.word for t in tokens if t.kind != DATE}  # "May 5" is no hedge
    return Statement(
        text,
        tokens,
        content,
        frozenset([t.stem for t in tokens if t.kind == NAME]),
        sum([t.kind == NOT for t in tokens]),
        not words.isdisjoint(HEDGES),
        not words.isdisjoint(OPINIONS),
        text.rstrip().endswith("?"),
        frozenset(_lead(tokens, capital=text.lstrip()[:1].isupper())),
        frozenset(_subject(tokens)),
        _pair(text, tokens),
    )


def among(tokens: Iterable[Token]) -> bool:
    """Whether it says that what it names is some of several.

    >>> among(statement("It also has an office in Rome.").tokens), among(statement("It has an office.").tokens)
    (True, False)
    """
    words = [token.word for token in tokens]
    return not AMONG.isdisjoint(words) or ("one", "of") in pairwise(words)


def _lead(tokens: tuple[Token, ...], *, capital: bool) -> Iterator[str]:
    """What identifies the subject: names, and numbers that stand behind a word, like "gate 3"."""
    seen = 0
    if tokens and tokens[0].word in _SPEAKING:
        return  # "we use Redis": the subject is said already
    for at, token in enumerate(tokens):
        if (token.kind == LINK and token.word in AUXILIARIES) or seen == 4:
            return
        seen += token.kind not in (LINK, NOT)
        named = token.kind == NAME or (at == 0 and capital and token.kind == WORD and not known(token.stem))
        counted = token.kind == NUMBER and at and tokens[at - 1].kind in (WORD, NAME) and not tokens[at - 1].after
        if named or (counted and token.quantity is not None and not token.quantity.unit):
            yield token.stem


_SPEAKING = frozenset(["we", "i", "you", "he", "she", "it", "they", "this", "that", "these", "those", "there"])


def _subject(tokens: tuple[Token, ...]) -> Iterator[str]:
    """The plain words before what looks like the first verb."""
    seen = 0
    for token in tokens[:8]:
        verb = seen and (token.word.endswith("ed") or (token.word.endswith("s") and not token.word.endswith("ss")))
        if (
            (token.kind == LINK and token.word in AUXILIARIES)
            or verb
            or seen == 4
            or (token.word in PREPOSITIONS and token.word != "of")
        ):
            return
        if token.kind == WORD:
            yield token.stem
            seen += 1
        if token.after:
            return


def _pair(text: str, tokens: tuple[Token, ...]) -> tuple[frozenset[str], tuple[Token, ...]] | None:
    """A short statement cut where it says what something is: at a sign, or at the verb."""
    if not 2 <= len(tokens) <= 24 or tokens[-1].sentence != tokens[0].sentence:
        return None
    written = len(text) <= 400 and _ASSIGNED.match(text)
    if written:
        cut = len(statement_tokens(written[1]))
    else:
        cut = next((n for n, t in enumerate(tokens) if t.word in ("is", "are", "was", "were")), 0)
    asked = frozenset([t.stem for t in tokens[:cut] if t.kind not in (LINK, NOT)])
    answered = tuple([t for t in tokens[cut:] if t.kind != LINK])
    definite = written or (1 < len(asked) <= 5 and len(tokens) <= 12)
    return (asked, answered) if asked and answered and definite else None


def statement_tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text."""
    return tuple(dated(parts(text)))
