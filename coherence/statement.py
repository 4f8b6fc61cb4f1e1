"""A statement: one piece of text or one value, normalised once, so that two of them can be compared quickly.

1. A text is cut into statements of whole sentences, at most `WIDTH` characters each and `MOST` of them for an entry;
   what is beyond is counted, never silently dropped.
2. A token is what comparisons see: a number with its unit, a date as an interval of days, a name, a word by its stem,
   or a link, which carries grammar alone.
3. Nothing here knows entries, fields or judges, and nothing depends on anything but the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from crdtmem.coherence.lexicon import (
    APPROXIMATE,
    AT_LEAST,
    AT_MOST,
    AUXILIARIES,
    HEDGES,
    LINKS,
    MONTHS,
    NEGATIONS,
    OPINIONS,
    PREPOSITIONS,
    SCALES,
    SPELLED,
    UNITS,
    known,
    stem,
)

WIDTH = 1200  # characters of one statement
MOST = 32  # statements of one entry
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


_SPOKEN = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d)(?:[T ][\d:.]+Z?)?"
    r"|(?P<decade>\d{4})s\b"
    r"|(?P<money>[$€£¥])?(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<suffix>%|(?:st|nd|rd|th|[kKmMbB]n?)\b)?(?![\w])"
    r"|(?P<code>(?!(?:mid|early|late|pre|post|non)-)[^\W\d_]+(?:[-_./][^\W_]+)*?[-_#]\d[\w-]*)(?:['\u2019]s\b)?"
    r"|(?P<word>[^\W_]+(?:['\u2019][^\W_]+)*)"
    r"|(?P<mark>[.!?;:,()=\"\u201c\u201d|\n])"
)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")  # scripts written without spaces: a token a sign
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
    words = {t.word for t in tokens}
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


def _lead(tokens: tuple[Token, ...], *, capital: bool) -> Iterator[str]:
    """What identifies the subject: names, and numbers that stand behind a word, like "gate 3"."""
    seen = 0
    for at, token in enumerate(tokens):
        if (token.kind == LINK and token.word in AUXILIARIES) or seen == 4:
            return
        seen += token.kind not in (LINK, NOT)
        named = token.kind == NAME or (at == 0 and capital and token.kind == WORD and not known(token.stem))
        counted = token.kind == NUMBER and at and tokens[at - 1].kind in (WORD, NAME) and not tokens[at - 1].after
        if named or (counted and token.quantity is not None and not token.quantity.unit):
            yield token.stem


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
    return tuple(_dated(_measured(list(_raw(_WIDE.sub(r" \g<0> ", text))))))


def _raw(text: str) -> Iterator[Token]:
    """Words, numbers and marks; names are told by their capitals."""
    sentence, first = 0, True
    held: Token | None = None
    for match in _SPOKEN.finditer(text):
        mark = match["mark"]
        if mark is not None:
            if held is not None:
                held = held._replace(after=held.after + mark)
            if mark in ".!?;\n":
                nearby = match.end() < len(text) and not text[match.end()].isspace() and mark == "."
                short = held is not None and len(held.word) == 1  # an initial
                if not nearby and not short:
                    sentence, first = sentence + 1, True
            continue
        if held is not None:
            yield held
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
    value = float(match["digits"].replace(",", "")[:300])
    suffix = (match["suffix"] or "").lower()
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
    shouted = text.isupper() and len(text) > 1
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
        while at < len(tokens) and not last.after and tokens[at].word in SCALES and tokens[at].word not in ("m", "b"):
            low, last, at = low * SCALES[tokens[at].word], tokens[at], at + 1
        known = UNITS.get(tokens[at].word) if at < len(tokens) and not last.after else None
        if known is not None and (not unit or unit == known[0]):
            unit, low, last, at = known[0], low * known[1], tokens[at], at + 1
        high = low
        ahead = tokens[at + 1].quantity if at + 1 < len(tokens) and tokens[at].word == "to" else None
        if ahead is not None and ahead.low > low:  # "10 to 15"
            high, last, at = ahead.low, tokens[at + 1], at + 2
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


def _dated(tokens: list[Token]) -> Iterator[Token]:
    """Dates joined from their parts: day, month and year; a month and year; a year; a decade; a century."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        before = tokens[at - 1] if at else None
        size, found = 1, None
        if token.kind == "iso":
            found = _day(int(token.word[:4]), int(token.word[5:7]), int(token.word[8:10]))
        elif token.kind == "decade":
            year = int(token.word)
            found = (year * 10000, (year + (100 if year % 100 == 0 else 10)) * 10000 - 1)
        elif token.word in MONTHS and token.kind in (NAME, WORD, LINK):
            size, found = _from_month(tokens, at)
        elif token.kind == NUMBER and token.quantity is not None:
            size, found = _from_number(tokens, at, before)
        if found is None:
            if token.kind in ("iso", "decade"):
                token = token._replace(kind=NAME)
            yield token
        else:
            last = tokens[at + size - 1]
            if before is not None and before.word in _PARTS and found[1] - found[0] > 99:
                found = _part(found, _PARTS.index(before.word))
            yield Token(_shown(found), DATE, token.word, token.sentence, None, found, last.after)
        at += size


def _from_month(tokens: list[Token], at: int) -> tuple[int, tuple[int, int] | None]:
    month = MONTHS[tokens[at].word]
    rest = [_whole(token) for token in tokens[at + 1 : at + 3]]
    day = rest[0] if rest and rest[0] is not None and rest[0] <= 31 else None
    year_at = 1 if day is None else 2
    year = rest[year_at - 1] if len(rest) >= year_at else None
    if year is not None and 1000 <= year < 2200:
        return year_at + 1, _day(year, month, day)
    if day is not None:
        return 2, (month * 100 + day, month * 100 + day)
    plain = tokens[at].word in ("may", "march", "mar", "jan", "sep", "dec")
    if plain and not (tokens[at].kind == NAME and at and tokens[at - 1].word in ("in", "since", "until", "by", "last")):
        return 1, None
    return 1, (month * 100, month * 100 + 99)


def _from_number(tokens: list[Token], at: int, before: Token | None) -> tuple[int, tuple[int, int] | None]:
    token = tokens[at]
    quantity = token.quantity
    assert quantity is not None
    whole = _whole(token)
    if quantity.unit == "place" and at + 1 < len(tokens) and tokens[at + 1].word in ("century", "centuries"):
        first = int(quantity.low - 1) * 100 + 1
        return 2, (first * 10000, (first + 100) * 10000 - 1)
    if whole is not None and whole <= 31 and at + 1 < len(tokens) and not token.after:
        skip = 2 if tokens[at + 1].word == "of" and at + 2 < len(tokens) else 1
        if tokens[at + skip].word in MONTHS and tokens[at + skip].kind != LINK:
            month = MONTHS[tokens[at + skip].word]
            year = _whole(tokens[at + skip + 1]) if at + skip + 1 < len(tokens) else None
            if year is not None and 1000 <= year < 2200:
                return skip + 2, _day(year, month, whole)
            return skip + 1, (month * 100 + whole, month * 100 + whole)
    plain = quantity.exact and not quantity.unit and token.word.isdigit() and len(token.word) == 4
    if plain and 1000 <= quantity.low < 2200:
        after = tokens[at + 1] if at + 1 < len(tokens) and not token.after else None
        timely = before is None or before.word in _TIMELY
        counted = after is not None and after.kind == WORD and not timely
        named = before is not None and before.kind in (WORD, NAME) and not before.after and not timely
        if not counted and not named:
            return 1, (int(quantity.low) * 10000, int(quantity.low) * 10000 + 9999)
    return 1, None


_PARTS = ("early", "mid", "late")


def _part(days: tuple[int, int], third: int) -> tuple[int, int]:
    """The early, middle or late part of an interval of years, generously: thirds that overlap nowhere."""
    size = (days[1] - days[0] + 1) / 3
    return (int(days[0] + third * size), int(days[0] + (third + 1) * size) - 1)


_TIMELY = PREPOSITIONS | {"the", "circa", "early", "late", "mid"}


def _whole(token: Token) -> int | None:
    quantity = token.quantity
    if quantity is None or quantity.unit not in ("", "place") or quantity.low != quantity.high:
        return None
    return int(quantity.low) if quantity.low == int(min(quantity.low, 1e9)) else None


def _day(year: int, month: int, day: int | None) -> tuple[int, int]:
    base = year * 10000 + month * 100
    return (base, base + 99) if day is None else (base + day, base + day)


def _shown(days: tuple[int, int]) -> str:
    low, high = days
    if low == high:
        return f"{low // 10000:04}-{low // 100 % 100:02}-{low % 100:02}"
    return (
        f"{low // 10000:04}-{low // 100 % 100:02}"
        if high - low == 99
        else f"{low // 10000}" + ("" if high - low == 9999 else f"-{high // 10000}")
    )
