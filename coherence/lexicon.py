"""Questions about words: are these opposites, alike, of one exclusive kind? Answers come from words.py, by stem.

Stems are made once for each word and kept, up to a bound: a memory repeats its words.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from crdtmem.coherence import words


def _set(line: str) -> frozenset[str]:
    return frozenset(line.split())


LINKS, NEGATIONS, PREPOSITIONS = _set(words.LINKS), _set(words.NEGATIONS), _set(words.PREPOSITIONS)
HEDGES, OPINIONS, UPDATES, AMONG = _set(words.HEDGES), _set(words.OPINIONS), _set(words.UPDATES), _set(words.AMONG)
APPROXIMATE, AT_LEAST, AT_MOST = _set(words.APPROXIMATE), _set(words.AT_LEAST), _set(words.AT_MOST)
ALL, NOTHING, PART = _set(words.ALL), _set(words.NOTHING), _set(words.PART)
PASSED, MADE_BY, TRADES = _set(words.PASSED), _set(words.MADE_BY), _set(words.TRADES)
MAINLY = _set(words.MAINLY)
BE, TITLES, SCOPES = _set(words.BE), _set(words.TITLES), _set(words.SCOPES)
AUXILIARIES = BE | _set(words.AUXILIARY)
SCALES = {"hundred": 100, "thousand": 10**3, "k": 10**3, "dozen": 12, "billion": 10**9, "b": 10**9, "bn": 10**9}
SCALES |= dict.fromkeys(("million", "m", "mn", "mln"), 10**6) | {"trillion": 10**12}
SPELLED = {word: number for number, word in enumerate(words.NUMBERS.split())}
SPELLED |= {word: 10 * number for number, word in enumerate(words.TENS.split(), start=1)}
MONTHS = {name: n for n, names in enumerate(words.MONTHS.split(";"), start=1) for name in names.split()}


def _units() -> Iterator[tuple[str, tuple[str, float]]]:
    for line in words.UNITS.split(";")[:-1]:
        dimension, _, units = line.partition("|")
        for part in units.split(","):
            names, _, factor = part.partition(":")
            yield from ((name, (dimension.strip(), float(factor))) for name in names.split())


UNITS = dict(_units())  # unit -> what it measures, and how much of it


@cache
def _stemmer() -> Any:
    from snowballstemmer import stemmer  # type: ignore[import-untyped]

    return stemmer("english")


@lru_cache(100_000)
def stem(word: str) -> str:
    """The stem of a lower-case word.

    >>> stem("increased") == stem("increases")
    True
    """
    found: str = _stemmer().stemWord(word[:64])
    return found


def _stems(line: str) -> frozenset[str]:
    return frozenset(map(stem, line.split()))


@cache
def once() -> frozenset[str]:
    """The stems of heads that take one value, by what they mean."""
    return measures() | once_named() | once_timed()


@cache
def measures() -> frozenset[str]:
    """Those that take a number; others take any number of things: "built 3 ships"."""
    return _stems(words.MEASURES)


@cache
def once_named() -> frozenset[str]:
    """Those that take a name."""
    return _stems(words.NAMED) | _stems(words.DEEDS)


@cache
def once_timed() -> frozenset[str]:
    """Those that take a time."""
    return _stems(words.TIMED) | _stems(words.DEEDS)


@cache
def makers() -> frozenset[str]:
    """The stems of heads before whose "by" all stand who made a thing."""
    return _stems(words.MAKERS)


@cache
def events() -> frozenset[str]:
    """The stems of what comes about at one time."""
    return _stems(words.EVENTS)


@cache
def lasting() -> frozenset[str]:
    """The stems of what is long, and begins once."""
    return _stems(words.LASTING)


def state(word: str) -> bool:
    """Whether this stem is one of the states that something goes through."""
    return word in _states()


@cache
def _states() -> frozenset[str]:
    return _stems(words.STATES)


def plural(word: str) -> bool:
    """Whether an attribute of this stem takes many values by what it means."""
    return word in _several()


@cache
def _several() -> frozenset[str]:
    return _stems(words.SEVERAL)


@cache
def _opposites() -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for line in words.OPPOSITES.split(";"):
        left, right = ({stem(word) for word in side.split()} for side in line.split("|"))
        for some, others in ((left - right, right - left), (right - left, left - right)):
            for word in some:
                table.setdefault(word, set()).update(others)
    return table


def _groups(lines: str) -> dict[str, set[int]]:
    table: dict[str, set[int]] = {}
    for number, line in enumerate(lines.split(";")):
        for word in line.split():
            table.setdefault(stem(word), set()).add(number)
    return table


@cache
def _kinds() -> dict[str, set[int]]:
    return _groups(words.KINDS)


@cache
def _members() -> dict[int, list[str]]:
    table: dict[int, list[str]] = {}
    for word, numbers in _kinds().items():
        for number in numbers:
            table.setdefault(number, []).append(word)
    return table


@cache
def _alike() -> dict[str, set[int]]:
    return _groups(words.ALIKE)


_NONE: frozenset[Any] = frozenset()
_PREFIXES = ("un", "in", "im", "non", "dis", "ir", "il")


@lru_cache(100_000)
def opposites(one: str) -> frozenset[str]:
    """The stems that mean the opposite.

    >>> stem("fall") in opposites(stem("rise")), "unhappi" in opposites("happi")
    (True, True)
    """
    made = {prefix + one for prefix in _PREFIXES if len(one) > 3}
    cut = {one[len(prefix) :] for prefix in _PREFIXES if one.startswith(prefix) and len(one) > len(prefix) + 3}
    return frozenset(_opposites().get(one, _NONE) | made | cut)


@lru_cache(100_000)
def rivals(one: str) -> frozenset[str]:
    """The stems of other members of its kinds, that do not mean the same.

    >>> stem("friday") in rivals(stem("monday"))
    True
    """
    groups = _kinds().get(one, _NONE)
    return frozenset(w for number in groups for w in _members()[number] if w != one and not alike(one, w))


def wide(place: str) -> bool:
    """Whether this stem is a country or a continent, in which others lie."""
    return any(place == kin or place in rivals(kin) for kin in _wide())


@cache
def _wide() -> frozenset[str]:
    return _stems(words.WIDE)


def opposite(one: str, other: str) -> bool:
    """Whether two stems mean opposite things.

    >>> opposite(stem("increased"), stem("falls")), opposite(stem("cat"), stem("falls"))
    (True, False)
    """
    return other in opposites(one)


def exclusive(one: str, other: str) -> bool:
    """Whether two stems are different members of one kind, like two colours.

    >>> exclusive(stem("monday"), stem("friday")), exclusive(stem("monday"), stem("monday"))
    (True, False)
    """
    return other in rivals(one)


def alike(one: str, other: str) -> bool:
    """Whether two stems may take each other's place.

    >>> alike(stem("shows"), stem("revealed"))
    True
    """
    return one == other or not _alike().get(one, _NONE).isdisjoint(_alike().get(other, _NONE))


def known(one: str) -> bool:
    """Whether the lexicon has this stem at all."""
    return one in _opposites() or one in _kinds() or one in _alike()
