"""What a statement says of whom, as far as grammar tells without a model: values in slots.

A slot is a value, the word that governs it and the link between: "born (in) 1985", "capacity (of) 25,000 spectators",
"located (in) Boston". Two statements whose equal slots hold values that cannot both be are a clue. It is a shallow
reading: links and the order of words, no parse.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from crdtmem.coherence.dates import PARTS
from crdtmem.coherence.lexicon import APPROXIMATE, AT_LEAST, AT_MOST, BE, PREPOSITIONS, SCOPES, events, stem
from crdtmem.coherence.statement import Statement, among
from crdtmem.coherence.tokens import DATE, LINK, NAME, NOT, NUMBER, WORD, Token

REACH = 5  # content words on each side that are the context of a value
SLOTS = 40  # of one statement: two of them are compared slot by slot
FAR = 20  # tokens on each side within which they are looked for
HOW_EXACT = APPROXIMATE | AT_LEAST | AT_MOST | {*PARTS}  # they govern nothing: "a capacity of about 300"
_IS = "="  # "the architect is Ann Lee", "its architect, Ann Lee", "a limit of 30", "limit 30"
WHOSE = ("her", "his", "its", "my", "our", "their", "whose", "your")
_ON = ("and", "or")
_NEXT = BE | {"and", "but", "or", "that", "which", "who"}  # begins something else
_WHEN = ("", "on", "at", "during", "of")  # before a date: the same as "in"


class Slot(NamedTuple):
    """A value and where it stands."""

    kind: str
    heads: frozenset[str]  # the stem that governs it; of a value that opens a sentence, the words it leads to
    link: str  # the preposition between, or "=" where the value is what the head is, or ""
    noun: str  # what is counted
    value: tuple[Token, ...]
    rest: frozenset[str]  # of a name: what follows its first part, like the state after a city
    context: frozenset[str]
    listed: bool  # one of several, joined by commas or "and"
    some: bool  # its clause says that there are others
    tense: str  # "now" or "then", where the words before the head tell
    thing: str  # the stem before the head: of "a club based in Rome", the club
    within: bool  # the head is itself a time of something: "at the age of"
    scope: frozenset[str]  # of a number: when or for whom it holds, "for adults"
    event: str  # of a date: the stem of what came about once


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
    return tuple(islice(_slots(said.tokens), SLOTS))


def _slots(tokens: tuple[Token, ...]) -> Iterator[Slot]:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind in (NUMBER, DATE):
            yield _slot(tokens, at, at + 1)
            at += 1
        elif token.kind == NAME:
            end = at + 1
            while end < len(tokens) and goes_on(tokens, end):
                end += 1
            yield _slot(tokens, at, end)
            start = _described(tokens, at, end)
            if start:
                yield _slot(tokens, at, end, start)
            at = end
        else:
            at += 1


def goes_on(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether a name goes on here."""
    if tokens[at].sentence != tokens[at - 1].sentence:
        return False
    if tokens[at].kind == NAME:
        return tokens[at - 1].after in ("", ".", ",")
    joined = tokens[at].word in ("of", "the", "de", "van", "von") and not tokens[at - 1].after
    return joined and at + 1 < len(tokens) and tokens[at + 1].kind == NAME and not tokens[at].after


def _described(tokens: tuple[Token, ...], at: int, end: int) -> int:
    """Where the words begin that say what a name is: "married to the actress Ann Lee"; 0 if there are none."""
    if not at or tokens[at - 1].kind != WORD or (end < len(tokens) and _goes_with(tokens, end)):
        return 0
    start = at
    while start and at - start < REACH and not tokens[start - 1].after and _says_what(tokens[start - 1]):
        start -= 1
    return start if 0 < start < at and tokens[start - 1].word in ("by", "in", "to") else 0


def _says_what(token: Token) -> bool:
    return token.kind == WORD or token.word in ("a", "an", "and", "the", *WHOSE)


def _goes_with(tokens: tuple[Token, ...], end: int) -> bool:
    """Whether the name that ends here tells of the word behind it: "the Rome office"."""
    return tokens[end].kind == WORD and not tokens[end - 1].after


def _slot(tokens: tuple[Token, ...], at: int, end: int, start: int = 0) -> Slot:
    """The slot of a value; of one with words that say what it is, the head is before these."""
    token = tokens[at]
    back, link = _head(tokens, start or at)
    inside = back >= 0 and tokens[back].sentence == token.sentence and _governs(tokens, back)
    if token.kind == DATE and link in _WHEN:
        link = "in"
    elif inside and _is(tokens, back, at, link):
        link = _IS
    heads = frozenset([tokens[back].stem]) if inside else _ahead(tokens, end)
    if inside and link == "in" and token.kind == NAME and "," in token.after and _is_a(tokens, back):
        heads |= frozenset([stem("located")])
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
        _some(tokens, at, end) or (inside and _several(tokens, back)),
        _tense(tokens, back, at) if inside else "",
        _thing(tokens, back) if inside else "",
        any(t.word == "at" for t in tokens[max(0, back - 2) : back]),
        _scope(tokens, end) if token.kind == NUMBER else frozenset(),
        _event(tokens, at) if token.kind == DATE else "",
    )


def _head(tokens: tuple[Token, ...], at: int) -> tuple[int, str]:
    """Where the word that governs a value would stand, and the preposition between: of "of at least 300" the first."""
    link, back = "", at - 1
    named = tokens[at].kind == NAME
    while back >= max(0, at - FAR) and tokens[back].sentence == tokens[at].sentence and not _governs(tokens, back):
        if not link and tokens[back].word in PREPOSITIONS and (named or not _exactness(tokens, back)):
            link = tokens[back].word
        back -= 1
    return back, link


def _exactness(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether it is of the words that say how exact a number is: "about", "at least", "up to"."""
    words = [token.word for token in tokens[max(0, at - 1) : at + 2]]
    return tokens[at].word in HOW_EXACT or words[-2:] in (["at", "least"], ["at", "most"]) or words[:2] == ["up", "to"]


def _ahead(tokens: tuple[Token, ...], at: int) -> frozenset[str]:
    """What a value that opens a sentence leads to: "In 1907, the house was sold"."""
    sentence = tokens[at - 1].sentence
    words = [t.stem for t in tokens[at : at + 8] if t.kind == WORD and t.sentence == sentence]
    return frozenset(words[:2])


def _governs(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether this token can be the head: a word; of a chain "born on DATE in PLACE" the values are passed over."""
    return tokens[at].kind == WORD and tokens[at].word not in HOW_EXACT


def _is(tokens: tuple[Token, ...], head: int, at: int, link: str) -> bool:
    """Whether the value is what the head is said to be."""
    if tokens[at].kind == NUMBER:
        return link == "of" or all(tokens[n].word in BE or _exactness(tokens, n) for n in range(head + 1, at))
    between = [token.word for token in tokens[head + 1 : at]]
    whose = head > 0 and tokens[head - 1].word in WHOSE
    return all(word in BE for word in between) and (bool(between) or whose)


def _is_a(tokens: tuple[Token, ...], head: int) -> bool:
    """Whether the head is what the subject is said to be now: "is a wide bay in", which lies there."""
    here = head
    while here > 1 and tokens[here].kind in (WORD, NAME) and not tokens[here - 1].after:
        here -= 1
    return tokens[here].word in ("a", "an") and here > 0 and tokens[here - 1].word == "is"


def _some(tokens: tuple[Token, ...], at: int, end: int) -> bool:
    """Whether the clause says that there are others: "also lives in", "such as", "among others"."""
    start, sentence = at, tokens[at].sentence
    while start > max(0, at - FAR) and tokens[start - 1].sentence == sentence and not tokens[start - 1].after:
        start -= 1
    while end < len(tokens) and tokens[end].sentence == sentence and tokens[end].word in _ON:
        end += 1
    return among(tokens[start : end + 1])


def _tense(tokens: tuple[Token, ...], head: int, at: int) -> str:
    """Whether it is so or was so, by the verb around the head: "is owned by", "the price was"."""
    for token in reversed(tokens[max(0, head - 3) : at]):
        if token.sentence == tokens[head].sentence and token.word in BE:
            return "then" if token.word in _PAST else "now"
    return ""


def _scope(tokens: tuple[Token, ...], end: int) -> frozenset[str]:
    """The words after a number that say when or for whom it holds."""
    found: set[str] = set()
    before = tokens[end - 1]
    for token in tokens[end : end + FAR]:
        if before.after or token.sentence != before.sentence or token.word in _NEXT:
            break
        if found or token.word in SCOPES:
            found.add(token.stem)
        before = token
    return frozenset(found)


def _event(tokens: tuple[Token, ...], at: int) -> str:
    """What came about once, before its date; what something else came before or after is not meant."""
    for back in range(at - 1, max(0, at - FAR) - 1, -1):
        if tokens[back].sentence != tokens[at].sentence:
            break
        if tokens[back].stem in events():
            around = {token.word for token in tokens[max(0, back - 3) : back]}
            return tokens[back].stem if around.isdisjoint(_AROUND) else ""
    return ""


_AROUND = ("after", "before", "following", "since", "until")


def _thing(tokens: tuple[Token, ...], head: int) -> str:
    """What the head is said of, where that stands right before it, or before "is" or "was"."""
    for token in reversed(tokens[max(0, head - 4) : head]):
        if token.sentence != tokens[head].sentence or token.after:
            return ""
        if token.kind in (WORD, NAME):
            return token.stem
        if token.word not in BE:
            return ""
    return ""


_PAST = ("was", "were", "became")


def _several(tokens: tuple[Token, ...], head: int) -> bool:
    """Whether more than one thing is spoken of: "the offices are located in"."""
    return any(token.word in ("are", "were") for token in tokens[max(0, head - 3) : head])


def _context(tokens: tuple[Token, ...], at: int, end: int) -> frozenset[str]:
    found: list[str] = []
    sentence = tokens[at].sentence
    for step, start in ((-1, at - 1), (1, end)):
        place, left = start, REACH
        while left and abs(place - start) < FAR and 0 <= place < len(tokens) and tokens[place].sentence == sentence:
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


class Order(NamedTuple):
    """One thing set before another: in time, in rank, in size."""

    first: frozenset[str]
    how: str  # the stem of the word between
    second: frozenset[str]


def order(said: Statement) -> Order | None:
    """What a statement of one sentence sets before what, if it is that kind of statement.

    >>> from crdtmem.coherence.statement import statement
    >>> order(statement("The audit comes before the release.")).how
    'befor'
    """
    tokens = said.tokens
    if not 3 <= len(tokens) <= 24 or tokens[-1].sentence:
        return None
    for at, token in enumerate(tokens[1:-1], start=1):
        more = token.stem.endswith("er") or tokens[at - 1].word in ("more", "less")
        compared = token.kind == WORD and more and tokens[at + 1].word == "than"
        if token.word in _BETWEEN or compared:
            sides = tokens[:at], tokens[at + 1 :]
            first, second = (frozenset(t.stem for t in side if t.kind in (WORD, NAME)) for side in sides)
            return Order(first, stem(token.word), second) if first and second else None
    return None


_BETWEEN = frozenset(("before", "after", "precedes", "preceded", "follows", "followed", "beats", "beat", "exceeds"))
