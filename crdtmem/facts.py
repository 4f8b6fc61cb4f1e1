"""The figures, dates and names that a text states, and whether a memory holds them. Pure; no dictionary, no model.

What a memory holds is generous and what a text claims is narrow: a number written in any of the usual ways is known if
any reading of it is. A quantity is known if its number stands bare somewhere, or with that unit; 3.1 % is also known
as 0.031. A date is known if an entry names that day, or a day of that month or year. A name is known word by word.

What it cannot tell: signs, figures in words, what was computed from entries, names in headings and in scripts without
capitals; and in languages that capitalise every noun it takes nouns for names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import normalize

from crdtmem.prose import STOPS, UNSPACED

Day = tuple[int | None, int | None, int | None]

_CALENDAR = (
    "jan january,feb february,mar march,apr april,may,jun june,jul july,aug august,sep sept september,oct october,"
    "nov november,dec december"
)
_MONTHS = {word: number for number, words in enumerate(_CALENDAR.split(","), start=1) for word in words.split()}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = re.compile(
    rf"""
    (?<![\w.])(?P<y1>\d{{4}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})(?=$|[^\d\w]|t\d)
    | (?<![\w./-])(?P<a>\d{{1,2}})(?P<sep>[./-])(?P<b>\d{{1,2}})(?P=sep)(?P<y2>\d{{4}})(?!\w)
    | (?<!\w)(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m3>{_MONTH})\b\.?(?:,?\s+(?P<y3>\d{{4}})(?!\w))?
    | \b(?P<m4>{_MONTH})\b\.?\s+(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?!\w|[.,]\d)(?:,?\s+(?P<y4>\d{{4}})(?!\w))?
    | \b(?P<m5>{_MONTH})\b\.?,?\s+(?P<y5>\d{{4}})(?!\w)
    """,
    re.VERBOSE | re.MULTILINE,
)
_NUMBERED = re.compile(r"\d[-/.]\d+[-/.]\d")
_SCALES = {"k": 1e3, "thousand": 1e3, "mio": 1e6, "million": 1e6, "mn": 1e6, "m": 1e6, "bn": 1e9, "billion": 1e9}
_SAME = {
    "%": "% percent pct",
    "eur": "€ eur euro euros",
    "usd": "$ usd dollar dollars",
    "gbp": "£ gbp pound pounds",
    "chf": "chf",
    "yen": "¥ jpy yen",
    "ms": "ms millisecond milliseconds",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "d day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "kb": "kb kib",
    "mb": "mb mib",
    "gb": "gb gib",
    "tb": "tb tib",
    "kg": "kg",
    "km": "km",
    "°c": "°c",
}
_UNITS = {word: unit for unit, words in _SAME.items() for word in words.split(" ")}
_UNIT = "|".join(sorted(map(re.escape, [*_UNITS, *_SCALES]), key=len, reverse=True))
# A number with what belongs to it, or a word; both are taken whole, so none begins inside another.
_SCAN = re.compile(
    rf"""
    (?:([€$£¥]|eur|usd|gbp|chf)[ ]?)?
    (\d{{1,3}}(?:[,.\u00a0'\u2019]\d{{3}}){{1,8}}(?:[.,]\d+)?|\d+[.,]\d+|\d+)
    (?!\d|[.,:]\d)
    (?:[ \u00a0-]?(k|m|mio|mn|bn|thousand|million|billion)(?!\w))?
    (?:[ \u00a0-]?({_UNIT})(?!\w))?
    (?!\w)
    | ([^\W_](?:[\w&+]|[-.:'\u2019](?=\w))*)
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(r"(?<=\d)\u00a0(?=\d)")
_DIGIT = re.compile(r"\d")
_MARKS = ".,;:!?()[]\"'"
_CURRENCIES = {"€", "$", "£", "¥", "eur", "usd", "gbp", "chf"}
_PARTS = re.compile("[-.:'\u2019&+]")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_LINES = re.compile(r"[^\n]+")
_MARKERS = re.compile(r"^[ \t]*(?:\d{1,3}[.)]|[-*+#>]+)[ \t]+", re.MULTILINE)
_DAYS = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
_COMMON = STOPS | _MONTHS.keys() | _DAYS | {"ok", "i'm", "i've"}
_COMPANIES = frozenset(("ag", "co", "corp", "corporation", "gmbh", "group", "holdings", "inc", "llc", "ltd", "plc"))
_ENDS = frozenset(".!?:;\n\"\u201c\u201d'\u2018(*_#|>\0")


class Claim(NamedTuple):
    """Something that a text states.

    Args:
        text: as it stands there.
        start: its first character.
        end: behind its last.
        kind: number, quantity, date or name.
    """

    text: str
    start: int
    end: int
    kind: str


@dataclass(slots=True)
class Facts:
    """What a memory holds, or a text: numbers with their units, dates, words.

    >>> facts = Facts.of(["churn rose to 4.7 % on 5 March 2026", "0.031"])
    >>> [claim.text for claim in facts.unknown("Churn: 4.7 %, before 3.1 %, on 2026-03-05; 5.2 % in Lyon.")]
    ['5.2 %', 'Lyon']
    """

    numbers: dict[float, set[str | None]] = field(default_factory=dict)
    days: set[Day] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Facts:
        """What these texts hold."""
        facts = cls()
        text = _GROUPED.sub("", _lowered(" \0 ".join(set(texts))))  # each once: reasons are there often
        chunks = text.split()
        some = set(chunks)
        figures = {chunk for chunk in some if _DIGIT.search(chunk)}
        beside = {_beside(chunks, at) for at, chunk in enumerate(chunks) if chunk in figures}
        for money, number, scale, unit, word in set(_SCAN.findall("\0".join([*(some - figures), *beside]))):
            if word:
                facts.words.update((_word(word), *_PARTS.split(word)))
                continue
            for value in _readings(number, scale):
                facts.numbers.setdefault(value, set()).add(_UNITS.get(unit or money))
        facts.words.update([word[1:] for word in facts.words if word[:1] == "v"])  # v2.3.1
        dated = {chunk for chunk in some if chunk.strip(_MARKS) in _MONTHS} | set(filter(_NUMBERED.search, figures))
        lines = text.split("\0") if dated else []
        for date in _DATES.finditer("\n".join([line for line in lines if not dated.isdisjoint(line.split())])):
            for year, month, day in _days(date):
                facts.days |= {(year, month, day), (year, month, None), (None, month, day), (None, month, None)}
        return facts

    def unknown(self, text: str) -> list[Claim]:
        """The claims of a text that are not among these facts, in its order."""
        return sorted(self._unknown(text), key=lambda claim: claim.start)

    def _unknown(self, text: str) -> Iterator[Claim]:
        plain = _MARKERS.sub(_blank, _lowered(text))
        for date in _DATES.finditer(plain):
            if not any(day in self.days for day in _days(date)):
                yield Claim(text[slice(*date.span())], *date.span(), "date")
        plain = _DATES.sub(_blank, plain)
        names: list[re.Match[str]] = []
        for found in _SCAN.finditer(plain):
            money, number, scale, unit, word = found.groups("")
            if word and not word[0].isdigit():
                names.append(found)
            elif not (self._counted(word) if word else self._holds(number, scale, unit or money)):
                kind = "quantity" if unit or money else "number"
                yield Claim(text[slice(*found.span())], *found.span(), kind)
        yield from self._names(text, names)

    def _counted(self, word: str) -> bool:
        """A word that begins with a digit: a time, a version, an ordinal."""
        return self._knows(word) or _ORDINAL.fullmatch(word) is not None

    def _holds(self, number: str, scale: str, sign: str) -> bool:
        unit = _UNITS.get(sign)
        for value in _readings(number, scale):
            units = self.numbers.get(value)
            if units is not None and (unit is None or unit in units or None in units):
                return True
            if unit == "%" and value < 100 and None in self.numbers.get(_digits(value / 100), ()):
                return True
        return False

    def _names(self, text: str, words: list[re.Match[str]]) -> Iterator[Claim]:
        """Names that are not known; of one of several words, those that are not."""
        text = _LINES.sub(_no_heading, text)
        words = [word for word in words if text[word.start()] != "\0"]
        run: tuple[int, int] | None = None
        for word in _named(text, words, self._knows):
            start, end = word.span()
            if self._knows(word[0]):
                continue
            if run is not None and text[run[1] : start] == " ":
                run = run[0], end
                continue
            if run is not None:
                yield Claim(text[slice(*run)], *run, "name")
            run = start, end
        if run is not None:
            yield Claim(text[slice(*run)], *run, "name")

    def _knows(self, word: str) -> bool:
        word = _word(word)
        if word in self.words or word in _COMMON or (word.endswith("s") and word[:-1] in self.words):
            return True
        parts = [part for part in _PARTS.split(word) if part]
        return len(parts) > 1 and all(part in self.words or part in _COMMON for part in parts)


def _beside(chunks: list[str], at: int) -> str:
    """A figure with what may belong to it: the currency before, a scale and a unit behind."""
    found = [chunks[at - 1]] if at and chunks[at - 1] in _CURRENCIES else []
    found.append(chunks[at])
    for chunk in chunks[at + 1 : at + 3]:
        bare = chunk.rstrip(_MARKS)
        if bare not in _UNITS and bare not in _SCALES:
            break
        found.append(bare)
    return " ".join(found)


def _named(text: str, words: list[re.Match[str]], known: Callable[[str], bool]) -> Iterator[re.Match[str]]:
    """The words that look like names, in order.

    What begins a sentence is one only if it has capitals inside, stands before another that is not known or makes a
    company of it, or is written large elsewhere too.
    """
    spelled = [text[word.start() : word.end()] for word in words]
    large = [word[0].isupper() or _inner(word) for word in spelled]
    first = [_begins(text, word.start()) for word in words]
    inside = {word for word, big, begins in zip(spelled, large, first, strict=True) if big and not begins}
    for nth, word in enumerate(words):
        if not large[nth] or word[0] in _COMMON:
            continue
        if not first[nth] or spelled[nth] in inside or _inner(spelled[nth]):
            yield word
        elif nth + 1 < len(words) and large[nth + 1] and text[word.end() : words[nth + 1].start()] == " ":
            beside = words[nth + 1][0]
            if beside in _COMPANIES or not known(beside):
                yield word


def _no_heading(line: re.Match[str]) -> str:
    """Nothing in place of a heading: every word of it may be written large."""
    head = line[0].lstrip().startswith("#") or (line[0].isupper() and " " in line[0].strip())
    return "\0" * len(line[0]) if head else line[0]


def _inner(word: str) -> bool:
    """A capital or digit inside: CRM, iPhone, GPT-4, Q3."""
    return any(char.isupper() or char.isdigit() for char in word[1:])


def _begins(text: str, start: int) -> bool:
    before = _MARKERS.sub(_blank, text[max(0, start - 40) : start]).rstrip(" \t")
    return not before or before[-1] in _ENDS


def _word(word: str) -> str:
    return word.removesuffix("'s").removesuffix("\u2019s")


def _lowered(text: str) -> str:
    """In small letters, of the same length: positions hold."""
    return text.lower() if text.isascii() else _BEYOND.sub(_one, text).lower()


_UNSPACED = re.compile(f"[{UNSPACED}]")
_BEYOND = re.compile("[^\x00-\x7f]")


def _one(found: re.Match[str]) -> str:
    if _UNSPACED.match(found[0]):
        return " "  # no names can be told there, and figures stand in the middle of sentences
    if found[0] in "\u00a0\u202f":
        return "\u00a0"
    plain = normalize("NFKC", found[0]).lower()
    return plain if len(plain) == 1 else found[0] if len(found[0].lower()) == 1 else "?"


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"\S", "\0", found[0])


def _readings(number: str, scale: str) -> set[float]:
    """What a number may mean.

    >>> sorted(_readings("1,200", "")), sorted(_readings("3", "million")), _readings("", "")
    ([1.2, 1200.0], [3000000.0], set())
    """
    text = _SPACED.sub("", number)
    marks = [char for char in text if char in ".,"]
    readings = set()
    if len(set(marks)) == 2:
        readings.add(float(text.replace(marks[0], "").replace(marks[-1], ".")))
    elif marks:
        head, _, tail = text.rpartition(marks[0])
        if len(marks) == 1:
            readings.add(float(f"{head}.{tail}"))
        if len(tail) == 3:
            readings.add(float(text.replace(marks[0], "")))
    elif text:
        readings.add(float(text))
    return {_digits(value * _SCALES.get(scale, 1.0)) for value in readings}


_SPACED = re.compile("[\u00a0'\u2019]")


def _digits(value: float) -> float:
    return float(f"{value:.12g}")


def _days(found: re.Match[str]) -> list[Day]:
    """The days that a date may mean."""
    groups = found.groupdict()
    for n in "1345":
        if groups.get(f"m{n}"):
            month = groups[f"m{n}"]
            number = int(month) if month.isdigit() else _MONTHS[month]
            year, day = groups.get(f"y{n}"), groups.get(f"d{n}")
            return _real((int(year) if year else None, number, int(day) if day else None))
    a, b, year = int(found["a"]), int(found["b"]), int(found["y2"])
    return [*_real((year, b, a)), *_real((year, a, b))]


def _real(day: tuple[int | None, int, int | None]) -> list[Day]:
    return [day] if 1 <= day[1] <= 12 and (day[2] is None or 1 <= day[2] <= 31) else []
