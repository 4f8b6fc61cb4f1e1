"""Questions about words: are these opposites, alike, of one exclusive kind? Answers come from words.py, by stem.

Stems are made once for each word and kept, up to a bound: a memory repeats its words.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from crdtmem.coherence import words

# Words that carry grammar rather than content.
LINKS = frozenset(
    """a an the this that these those it its he him his she her hers they them their we us our you your i me my mine
    who whom whose which what and or but nor so yet if then than as of in on at by for to from with into onto over under
    about above below between among through during before after since until till against within along across around near
    behind beyond upon per via towards toward throughout despite is are was were be been being am do does did done doing
    has have had having will would shall should can could may might must there here when where while how why also
    too very just such some any each every both either own other another same more most much many few less least
    all several not no never none neither without cannot again ever still even rather quite well""".split()
)
NEGATIONS = frozenset("not no never none neither nor without cannot nobody nothing nowhere hardly barely scarcely".split())
HEDGES = frozenset(
    """may might could possibly perhaps maybe probably likely allegedly reportedly supposedly apparently seem seems
    appears unclear uncertain unconfirmed rumored rumoured estimated suspected potentially presumably""".split()
)
OPINIONS = frozenset(
    """think thinks believe believes feel feels opinion imo prefer prefers favorite favourite overrated underrated
    delicious gorgeous""".split()
)
APPROXIMATE = frozenset("about approximately roughly around nearly almost circa some estimated approx".split())
AT_LEAST = frozenset("over above exceeding least minimum beyond".split())
AT_MOST = frozenset("under below most maximum within".split())
PRONOUNS = frozenset("he she it they him her them his its their this that these those".split())
PREPOSITIONS = frozenset(
    """in on at of from to by as with for until since between near into during before after under over through against
    within about""".split()
)
# What tells that more than the one thing said may hold: "also", "such as", "sometimes".
AMONG = frozenset(
    """also including include includes included such several various numerous many some sometimes often other others among
    both additionally addition another multiple variety number again e.g""".split()
)
# Heads that take one value of a thing by what they mean: one is born once, and a house lies in one place.
ONCE = """born birth die died death located situated lies founded established formed built constructed erected invented
    discovered designed composed headquartered based capital capacity height elevation area population length weight age
    price salary budget owned married spouse wife husband ceo owner founder author architect graduated premiere premiered
    canceled cancelled translates deadline due status version timezone currency brightest largest tallest oldest highest
    smallest"""
# What an author says who replaces what was true before.
UPDATES = frozenset("now currently updated corrected correction changed longer instead anymore replaced".split())
SEVERAL = """tag label alias keyword skill interest hobby child sibling friend member participant attendee author contributor
    editor comment note example feature source reference link language topic category genre award role task todo idea
    question risk item step ingredient symptom dependency reviewer stakeholder option finding learning"""
BE = frozenset("is are was were be been being am remains remain became becomes".split())
AUXILIARIES = BE | frozenset("has have had will would can could shall should must may might do does did".split())
_SCALES = {"hundred": 100, "thousand": 10**3, "k": 10**3, "million": 10**6, "m": 10**6, "mn": 10**6, "mln": 10**6}
SCALES = {**_SCALES, "billion": 10**9, "b": 10**9, "bn": 10**9, "trillion": 10**12, "dozen": 12}
SPELLED = {
    word: number
    for number, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(), start=1
    )
}
MONTHS = {
    name: number
    for number, names in enumerate(
        """january jan,february feb,march mar,april apr,may,june jun,july jul,august aug,september sep sept,october oct,
        november nov,december dec""".split(","),
        start=1,
    )
    for name in names.split()
}
# Unit -> what it measures, and how much of it.
UNITS: dict[str, tuple[str, float]] = {
    unit: (dimension, factor)
    for dimension, line in {
        "length": "m meter metre meters metres:1,km kilometer kilometre kilometers kilometres:1000,"
        "cm centimeter centimetre centimeters centimetres:.01,mm millimeter millimetre millimeters millimetres:.001,"
        "mile miles mi:1609.344,ft foot feet:.3048,inch inches:.0254,yard yards:.9144",
        "mass": "kg kilogram kilograms:1,g gram grams:.001,mg milligram milligrams:.000001,lb lbs:.45359237,"
        "tonne tonnes:1000",
        "time": "ms millisecond milliseconds:.001,second seconds sec:1,minute minutes min:60,hour hours:3600,"
        "day days:86400,week weeks:604800,month months:2629746,year years:31556952,decade decades:315569520",
        "data": "byte bytes:1,kb kilobyte kilobytes:1000,mb megabyte megabytes:1000000,gb gigabyte gigabytes:1000000000,"
        "tb terabyte terabytes:1000000000000,kib:1024,mib:1048576,gib:1073741824",
        "share": "percent percentage %:1",
        "usd": "$ usd dollar dollars:1,cent cents:.01",
        "eur": "€ eur euro euros:1",
        "gbp": "£ gbp:1",
        "jpy": "¥ jpy yen:1",
        "temperature": "celsius °c:1",
    }.items()
    for names, factor in ((part.split(":")[0], float(part.split(":")[1])) for part in line.split(","))
    for unit in names.split()
}


@cache
def _stemmer() -> Any:
    from snowballstemmer import stemmer

    return stemmer("english")


@lru_cache(100_000)
def stem(word: str) -> str:
    """The stem of a lower-case word.

    >>> stem("increased") == stem("increases")
    True
    """
    found: str = _stemmer().stemWord(word[:64])
    return found


@cache
def once() -> frozenset[str]:
    """The stems of heads that take one value, by what they mean."""
    return frozenset(map(stem, ONCE.split()))


def plural(word: str) -> bool:
    """Whether an attribute of this stem takes many values by what it means."""
    return word in _several()


@cache
def _several() -> frozenset[str]:
    return frozenset(map(stem, SEVERAL.split()))


@cache
def _opposites() -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for line in words.OPPOSITES.strip().splitlines():
        left, right = ({stem(word) for word in side.split()} for side in line.split("|"))
        for some, others in ((left - right, right - left), (right - left, left - right)):
            for word in some:
                table.setdefault(word, set()).update(others)
    return table


def _groups(lines: str) -> dict[str, set[int]]:
    table: dict[str, set[int]] = {}
    for number, line in enumerate(lines.strip().splitlines()):
        for word in line.split():
            table.setdefault(stem(word), set()).add(number)
    return table


@cache
def _kinds() -> dict[str, set[int]]:
    return _groups(words.KINDS)


@cache
def _alike() -> dict[str, set[int]]:
    return _groups(words.ALIKE)


_NONE: frozenset[Any] = frozenset()


def opposite(one: str, other: str) -> bool:
    """Whether two stems mean opposite things.

    >>> opposite(stem("increased"), stem("falls")), opposite(stem("cat"), stem("falls"))
    (True, False)
    """
    if other in _opposites().get(one, _NONE):
        return True
    for prefix in ("un", "in", "im", "non", "dis", "ir", "il"):
        if one == prefix + other or other == prefix + one:
            return len(min(one, other, key=len)) > 3
    return False


def exclusive(one: str, other: str) -> bool:
    """Whether two stems are different members of one kind, like two colours.

    >>> exclusive(stem("monday"), stem("friday")), exclusive(stem("monday"), stem("monday"))
    (True, False)
    """
    return one != other and not _kinds().get(one, _NONE).isdisjoint(_kinds().get(other, _NONE)) and not alike(one, other)


def alike(one: str, other: str) -> bool:
    """Whether two stems may take each other's place.

    >>> alike(stem("shows"), stem("revealed"))
    True
    """
    return one == other or not _alike().get(one, _NONE).isdisjoint(_alike().get(other, _NONE))


def known(one: str) -> bool:
    """Whether the lexicon has this stem at all."""
    return one in _opposites() or one in _kinds() or one in _alike()
