"""Tokens: what comparisons see of a text. Words by their stems, names, numbers with their units, links, negations.

A number is read in the base of its unit, with how far it may lie from what is meant: "about 100" is 90 to 110. Dates
are joined from tokens in dates.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from crdtmem.coherence.lexicon import (
    APPROXIMATE,
    AT_LEAST,
    AT_MOST,
    LINKS,
    NEGATIONS,
    SCALES,
    SPELLED,
    TITLES,
    UNITS,
    stem,
)

WORD, NAME, NUMBER, DATE, LINK, NOT = "word", "name", "number", "date", "link", "not"


class Quantity(NamedTuple):
    """A number in the base of its unit, and how far it may lie from what is meant."""

    low: float
    high: float
    unit: str
    exact: bool


class Token(NamedTuple):
    """One unit of comparison."""

    stem: str
    kind: str
    word: str
    sentence: int
    quantity: Quantity | None = None
    days: tuple[int, int] | None = None  # of a date: the first and the last day, as yyyymmdd
    after: str = ""  # punctuation that follows


_SPOKEN = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d)(?:[T ][\d:.]+Z?)?"
    r"|(?P<decade>\d{4})s\b"
    r"|(?P<minus>(?<![^\s(=:])[-\u2212](?=[$€£¥\d]))?(?P<money>[$€£¥])?(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<suffix>\s?%|(?:st|nd|rd|th|[kKmMbB]n?)\b)?(?![\w])"
    r"|(?P<code>(?!(?:mid|early|late|pre|post|non)-)[^\W\d_]+(?:[-_./][^\W_]+)*?[-_#]\d[\w-]*)(?:['\u2019]s\b)?"
    r"|(?P<word>[^\W_]+(?:['\u2019][^\W_]+)*)"
    r"|(?P<mark>[.!?;:,()=|\n])"
)
_THROUGH = ("-", "\u2013")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")  # scripts written without spaces: a token a sign


def parts(text: str) -> list[Token]:
    """The tokens of a text; dates still in their parts.

    >>> [(token.stem, token.kind) for token in parts("It cost $1.5 million.")]
    [('it', 'link'), ('cost', 'word'), ('1.5e+06usd', 'number')]
    """
    return _measured(list(_raw(_WIDE.sub(r" \g<0> ", text))))


def _raw(text: str) -> Iterator[Token]:
    """Words, numbers and marks; names are told by their capitals."""
    sentence, first = 0, True
    held: Token | None = None
    held_to = 0
    for match in _SPOKEN.finditer(text):
        mark = match["mark"]
        if mark is not None:
            if held is not None:
                held = held._replace(after=held.after + mark)
            if mark in ".!?;\n":
                nearby = match.end() < len(text) and not text[match.end()].isspace() and mark == "."
                short = held is not None and (len(held.word) == 1 or held.word in TITLES)  # an initial, "Dr."
                if not nearby and not short:
                    sentence, first = sentence + 1, True
            continue
        if held is not None:
            through = match["digits"] and held.kind == NUMBER and text[held_to : match.start()] in _THROUGH
            yield held._replace(after="-") if through else held
        held_to = match.end()
        if match["iso"] or match["decade"]:
            word = match["iso"] or match["decade"]
            kind = "iso" if match["iso"] else "decade"
            held = Token(word, kind, word, sentence)
        elif match["code"]:
            held = Token(match["code"].lower(), NAME, match["code"].lower(), sentence)
        elif match["digits"]:
            held = _figure(match, sentence)
        else:
            held = _spoken(match[0], sentence, first=first)
            if held.word.endswith("n't") or held.word.endswith("n\u2019t"):
                yield held._replace(stem=held.word[:-3], word=held.word[:-3], kind=LINK)
                held = Token("not", NOT, "not", sentence)
        first = False
    if held is not None:
        yield held


def _figure(match: re.Match[str], sentence: int) -> Token:
    value = float(match["digits"].replace(",", "")[:300]) * (-1 if match["minus"] else 1)
    suffix = (match["suffix"] or "").strip().lower()
    unit = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", None: ""}[match["money"]]
    if suffix == "%":
        unit = "share"
    elif suffix in ("st", "nd", "rd", "th"):
        unit = "place"
    elif suffix:
        value *= SCALES[suffix]
    return Token(match[0], NUMBER, match[0].lower(), sentence, Quantity(value, value, unit, exact=True))


def _spoken(text: str, sentence: int, *, first: bool) -> Token:
    word = text.lower()
    for ending in ("'s", "\u2019s"):
        if word.endswith(ending) and len(word) > 2:
            word = word[:-2]
    if word in NEGATIONS:
        return Token("not", NOT, word, sentence)
    if word in SPELLED and word != "one":
        value = float(SPELLED[word])
        return Token(word, NUMBER, word, sentence, Quantity(value, value, "", exact=True))
    shouted = text.isupper() and (len(text) > 1 or (text == "A" and not first))  # "plan A"
    if word in LINKS and not shouted and (first or text != "May"):
        return Token(word, LINK, word, sentence)
    named = shouted or (text[0].isupper() and not first) or not word.isalpha()
    return Token(stem(word), NAME if named else WORD, word, sentence)


def _measured(tokens: list[Token]) -> list[Token]:
    """Numbers joined with their scale, unit, and the words that say how exact they are."""
    made: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token.kind != NUMBER or token.quantity is None:
            made.append(token)
            continue
        low, _, unit, _ = token.quantity
        last = token
        while at < len(tokens) and not last.after and tokens[at].kind == NUMBER and low >= 20 and low % 10 == 0:
            more = tokens[at].quantity
            if more is None or more.low >= 10 or token.word not in SPELLED:
                break
            low, last, at = low + more.low, tokens[at], at + 1
        factor, unit, last, at = _measure(tokens, at, unit, last)
        low *= factor
        high = low
        to = at + (at < len(tokens) and tokens[at].word == "to" and not last.after)
        ahead = tokens[to].quantity if to < len(tokens) and (to > at or last.after == "-") else None
        if ahead is not None and ahead.low > low:  # "10 to 15", "10-15"
            further, unit, last, at = _measure(tokens, to + 1, unit or ahead.unit, tokens[to])
            low, high = low * (further if factor == 1 else 1), ahead.low * further
        before = {t.word for t in made[-2:]}
        near = not before.isdisjoint(APPROXIMATE)
        if not before.isdisjoint(AT_LEAST) or {"more", "than"} <= before:
            high = float("inf")
        elif not before.isdisjoint(AT_MOST) or {"less", "than"} <= before or {"up", "to"} <= before:
            low, high = float("-inf"), low
        elif near:
            low, high = low * 0.9, high * 1.1
        shown = f"{low:g}" if low == high else f"{low:g}~{high:g}"
        quantity = Quantity(low, high, unit, exact=low == high)
        made.append(Token(shown + unit, NUMBER, token.word, token.sentence, quantity, None, last.after))
    return made


def _measure(tokens: list[Token], at: int, unit: str, last: Token) -> tuple[float, str, Token, int]:
    """By how much a number counts for what follows it, its unit, and where that ends: "2 million euros"."""
    factor = 1.0
    while at < len(tokens) and not last.after and tokens[at].word in SCALES and tokens[at].word not in ("m", "b"):
        factor, last, at = factor * SCALES[tokens[at].word], tokens[at], at + 1
    known = UNITS.get(tokens[at].word) if at < len(tokens) and not last.after else None
    if known is not None and (not unit or unit == known[0]):
        unit, factor, last, at = known[0], factor * known[1], tokens[at], at + 1
    return factor, unit, last, at
