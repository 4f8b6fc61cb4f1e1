"""Dates as intervals of days, joined from the tokens that make them: days, months, years, decades, centuries.

A day is yyyymmdd, so an interval is two numbers; a month and day without a year have the year 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from crdtmem.coherence.lexicon import MONTHS, PREPOSITIONS
from crdtmem.coherence.tokens import DATE, LINK, NAME, NUMBER, WORD, Token


def dated(tokens: list[Token]) -> Iterator[Token]:
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
            if before is not None and before.word in PARTS and found[1] - found[0] > 99:
                found = _part(found, PARTS.index(before.word))
            spoken = " ".join([part.word for part in tokens[at : at + size]])
            yield Token(_shown(found), DATE, spoken, token.sentence, None, found, last.after)
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
    century = quantity.unit == "place" and at + 1 < len(tokens) and tokens[at + 1].word in ("century", "centuries")
    if century and whole is not None:  # "under the 19th century" is no time
        first = (whole - 1) * 100 + 1
        return 2, (first * 10000, (first + 100) * 10000 - 1)
    if whole is not None and whole <= 31 and at + 1 < len(tokens) and not token.after:
        skip = 2 if tokens[at + 1].word == "of" and at + 2 < len(tokens) else 1
        if tokens[at + skip].word in MONTHS and tokens[at + skip].kind != LINK:
            month = MONTHS[tokens[at + skip].word]
            year = _whole(tokens[at + skip + 1]) if at + skip + 1 < len(tokens) else None
            if year is not None and 1000 <= year < 2200:
                return skip + 2, _day(year, month, whole)
            return skip + 1, (month * 100 + whole, month * 100 + whole)
    if _is_year(token.word) and not quantity.unit and float(token.word) == quantity.low < quantity.high < 2200:
        return 1, (int(quantity.low) * 10000, int(quantity.high) * 10000 + 9999)  # "2005 to 2007"
    year = quantity.exact and not quantity.unit and _is_year(token.word)
    if year and (before is None or before.after[-1:] in _APART or before.word in _TIMELY or _is_year(before.word)):
        return 1, (int(quantity.low) * 10000, int(quantity.low) * 10000 + 9999)
    return 1, None


def _is_year(word: str) -> bool:
    return len(word) == 4 and word.isascii() and word.isdigit() and "1000" <= word < "2200"


_APART = ("(", ",", ";", ".")
PARTS = ("early", "mid", "late")


def _part(days: tuple[int, int], third: int) -> tuple[int, int]:
    """The early, middle or late third of an interval of years; of a century a tenth more on each side."""
    low, high = days
    size = high - low + 1
    slack = size / 10 if size > 100_000 else 0
    return max(low, int(low + third * size / 3 - slack)), min(high, int(low + (third + 1) * size / 3 + slack) - 1)


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
