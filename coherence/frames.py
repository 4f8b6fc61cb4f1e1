"""Frames: turns of phrase that have room for one value by their grammar, whatever they are about.

1. How something long begins: "she began her career as a nurse", "in 1990"; at which age one died.
2. When something passed between two who are named: "sold to Acme", "joined Acme", "left Acme".
3. When a work came out, or came to its end: "The Long Road was published in 1961", "she published The Long Road".
4. Since when or until when something was so: "has served on the board since 2004".
5. Who did what stands beside a name: "Hamlet, played by Ann Lee", "Ann Lee as Hamlet".
6. As what one was taken on, by whom and in which year: "was hired as a cook at Acme in 1990".
7. What one was and no longer is, against what one still is: "a former judge", "a judge who currently serves in".

A slot (slots.py) is a value and the word that governs it; a frame is all the words around a value. Two are one place if
these are equal, and of dates only years count: what is told by the day may happen daily. framed.py compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from crdtmem.coherence.lexicon import (
    AUXILIARIES,
    BE,
    MADE_BY,
    PASSED,
    PREPOSITIONS,
    TRADES,
    events,
    known,
    lasting,
    stem,
)
from crdtmem.coherence.slots import WHOSE, goes_on
from crdtmem.coherence.tokens import DATE, LINK, NAME, NOT, NUMBER, WORD, Token

MOST = 16  # frames of one statement: two of them are compared one by one
FAR = 12  # tokens from a verb within which its frame lies
STATE = "state"  # what one was or is: not of a kind of token
_TURNS = dict.fromkeys(("began", "started", "launched"), "began") | dict.fromkeys(("ended", "finished"), "ended")
_TURNS |= dict.fromkeys(("made", "makes", "making"), "made")
_OUT = ("abolished", "completed", "demolished", "enacted", "published", "ratified", "released", "signed", "unveiled")
_BY_ITSELF = ("closed", "opened", "premiered")  # "was opened" and "opened"
OUT = frozenset((*_OUT, *_BY_ITSELF))
_FORMER = ("defunct", "former", "formerly", "retired")
_STILL = ("currently", "presently", "still")
BREAKS = frozenset(("and", "but", "or", "that", "when", "where", "which", "while", "who", "before", "after", "until"))
_GIVEN = ("appointed", "crowned", "elected", "employed", "hired", "ordained")
_ONESELF = ("herself", "himself", "itself", "themselves")
_CAST = ("actor", "actors", "cast", "featured", "features", "featuring", "starred", "starring", "stars")
_NEAR = ("since", "until", "by", "to", "around", "circa", "about")


class Frame(NamedTuple):
    """A value and all the words around it that tell what it is the value of."""

    kind: str
    place: tuple[str, frozenset[str]]
    value: tuple[Token, ...]


def frames(tokens: tuple[Token, ...]) -> tuple[Frame, ...]:
    """The frames of a statement.

    >>> from crdtmem.coherence.statement import statement
    >>> [found] = frames(statement("In 1907, the house was sold to the Reed family.").tokens)
    >>> found.place[0], sorted(found.place[1]), found.value[0].word
    ('sold to', ['reed'], '1907')
    """
    return tuple(islice(_frames(tokens), MOST))


def _frames(tokens: tuple[Token, ...]) -> Iterator[Frame]:
    for at, token in enumerate(tokens):
        if token.word in _TURNS:
            yield from _turned(tokens, at)
        elif token.word in ("since", "until"):
            yield from _bounded(tokens, at)
        elif token.word in _GIVEN:
            yield from _office(tokens, at)
        elif token.word in PASSED:
            yield from _passed(tokens, at)
        elif token.word in OUT:
            yield from _out(tokens, at)
        elif token.word == "by" and at:
            yield from _beside(tokens, at)
        elif token.word == "age" and at:
            yield from _aged(tokens, at)
        elif token.word == "as" and at:
            yield from _cast(tokens, at)
        elif token.word in BE:
            yield from _state(tokens, at)


def _turned(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """When, and as what, something that is long began, ended, or first came out: "made her debut for Wales in 2004"."""
    here, verb = at + 2, _TURNS[tokens[at].word]
    if not inside(tokens, here, at) or tokens[at + 1].word not in WHOSE or _denied(tokens, at):
        return
    while inside(tokens, here, at) and tokens[here].kind == WORD and not tokens[here - 1].after:
        here += 1
    what, last = list(tokens[at + 2 : here]), tokens[here - 1]
    if not what or not (last.stem == "debut" if verb == "made" else last.stem in lasting()):
        return
    more = inside(tokens, here, at) and not last.after
    if more and verb == "made":
        what += _whom(tokens, here, at)
    place = stems(what)
    when = _opening(tokens, at) or (_date(tokens, here, at) if more else ())
    if when:
        yield Frame(DATE, (verb, place), when)
    if more and tokens[here].word == "as" and verb == "began":
        roles = _roles(tokens, here + 1)
        if roles and not any(role.word in TRADES for role in roles):
            yield Frame(WORD, ("began as", place), roles)


def _whom(tokens: tuple[Token, ...], here: int, at: int) -> tuple[Token, ...]:
    """For whom it was: there is a debut for each team."""
    if tokens[here].word not in ("against", "at", "for", "with"):
        return ()
    for_whom, here = tokens[here].word == "for", here + 1
    here += here < len(tokens) and tokens[here].word in ("the", *WHOSE)
    return names(tokens, here, at)[0] or tuple(t for t in tokens[here : here + 2] if for_whom and t.kind == WORD)


def _aged(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """At which age something happened that happens once: "died at the age of 81"."""
    here = at + 1 + (at + 1 < len(tokens) and tokens[at + 1].word == "of")
    start = at - 1 - (tokens[at - 1].word == "the")
    if start < 1 or tokens[start].word != "at" or here >= len(tokens) or tokens[here].kind != NUMBER:
        return
    while start and tokens[start - 1].kind != WORD and inside(tokens, at, start - 1):
        start -= 1
    event = tokens[start - 1]
    if event.word == "away" and start > 1 and tokens[start - 2].word == "passed":
        event = event._replace(stem=stem("died"))
    if start and event.stem in events() and event.sentence == tokens[at].sentence:
        yield Frame(NUMBER, ("aged", stems([event])), (tokens[here],))


def _roles(tokens: tuple[Token, ...], start: int) -> tuple[Token, ...]:
    """The nouns of "a child model and actor"."""
    found: list[Token] = []
    for here in range(start, min(len(tokens), start + FAR)):
        token = tokens[here]
        if token.kind != WORD and token.word not in ("a", "an", "and"):
            break
        last = token.after or here + 1 == len(tokens) or tokens[here + 1].kind != WORD
        if token.kind == WORD and last:
            found.append(token)
        if token.after:
            break
    return tuple(found)


def _bounded(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """Since when, or until when, something was so."""
    if at + 1 >= len(tokens):
        return
    when = _date(tokens, at + 1, at)
    start = at
    while start and at - start < FAR and inside(tokens, start - 1, at) and not tokens[start - 1].after:
        if tokens[start - 1].word in BREAKS:
            break
        start -= 1
    clause = tokens[start:at]
    verb = next((n for n, t in enumerate(clause) if t.word in AUXILIARIES or t.word.endswith("ed")), -1)
    said = frozenset([t.stem for t in clause[verb:] if t.kind != LINK])
    if when and verb >= 0 and len(said) > 1 and not any(t.kind == NOT for t in clause):
        yield Frame(DATE, (tokens[at].word, said), when)


def _passed(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """When something passed to or from somebody who is named."""
    if _denied(tokens, at) or tokens[at].kind != WORD or tokens[at].after:
        return
    link, here = "", at + 1
    while inside(tokens, here, at) and tokens[here].kind != NAME:
        if tokens[here].kind not in (LINK, WORD) or tokens[here].after or tokens[here].word in BREAKS:
            return
        link = link or (tokens[here].word if tokens[here].word in PREPOSITIONS else "")
        here += 1
    named, here = names(tokens, here, at)
    if not named:
        return
    when = _opening(tokens, at) or (() if tokens[here - 1].after else _date(tokens, here, at))
    if when:
        yield Frame(DATE, (f"{tokens[at].word} {link}".rstrip(), stems(named)), when)


def _out(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """When a work came out, or came to its end."""
    be = bool(at) and tokens[at - 1].word in ("was", "were")
    end = at - be
    if not be and tokens[at].word in _OUT:
        yield from _passed(tokens, at)
    if not end or _denied(tokens, at) or not (be or tokens[at].word in _BY_ITSELF):
        return
    named = named_before(tokens, end) or [token for token in tokens[end - 1 : end] if token.kind == WORD]
    here = at + 1
    while (
        inside(tokens, here, at)
        and not tokens[at].after
        and (tokens[here].kind == LINK or tokens[here].word == "public")
    ):
        here += 1
    direct = inside(tokens, here, at) and tokens[here].kind == DATE and not tokens[here - 1].after
    when = dated(tokens[here]) if direct else _opening(tokens, at)
    if named and when:
        yield Frame(DATE, (tokens[at].word, stems(named)), when)


def _office(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """As what one was taken on, by whom and in which year: "was hired as a cook at Acme in 1990"."""
    taken = at + 1 < len(tokens) and tokens[at + 1].word == "as"
    here = at + 1 + taken
    if here >= len(tokens) or tokens[here].word not in ("a", "an") or _denied(tokens, at):
        return
    if not taken and (not at or tokens[at - 1].word not in BE):
        return  # "Acme hired a cook": it may have hired others
    roles = _roles(tokens, here)
    where: list[Token] = []
    while inside(tokens, here, at) and (tokens[here].word not in BREAKS or tokens[here].word == "and"):
        where += [tokens[here]] * (tokens[here].kind == NAME)
        if tokens[here].kind == DATE or tokens[here].after:
            break
        here += 1
    when = dated(tokens[here]) if inside(tokens, here, at) and tokens[here].kind == DATE else ()
    if roles and when and where and not any(role.word in TRADES for role in roles):
        yield Frame(WORD, (tokens[at].word, stems((*where, *when))), roles)


def _beside(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """Who did what stands beside a name: "Hamlet (played by Ann Lee)"."""
    if at < 2 or tokens[at - 1].word not in MADE_BY or not tokens[at - 2].after:
        return
    what, who = named_before(tokens, at - 1), _all_named(tokens, at + 1)
    if what and who:
        yield Frame(NAME, (f"{tokens[at - 1].word} by", stems(what)), who)


def _cast(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """Who stands beside a part: "starring Ann Lee as Viola", or with what the part is, "as Viola, a cook"."""
    who, (what, end) = named_before(tokens, at), names(tokens, at + 1, at)
    told = end < len(tokens) and tokens[end - 1].after == "," and tokens[end].word in ("a", "an")
    if (
        who
        and what
        and what[0].word not in _ONESELF
        and (told or any(t.word in _CAST for t in tokens if t.sentence == tokens[at].sentence))
    ):
        yield Frame(NAME, ("played by", stems(what)), who)


def _all_named(tokens: tuple[Token, ...], here: int) -> tuple[Token, ...]:
    """The names of a list: "Ann Lee, Bob Reed and others"."""
    found: list[Token] = []
    while here < len(tokens) and len(found) < FAR and (tokens[here].kind == NAME or tokens[here].word in ("and", "or")):
        if tokens[here].kind == NAME:
            found.append(tokens[here])
        here += 1
    return tuple(found)


def _state(tokens: tuple[Token, ...], at: int) -> Iterator[Frame]:
    """What one was and no longer is, or is said to be still."""
    if at + 1 >= len(tokens) or tokens[at + 1].word not in ("a", "an", "currently", "presently", "still"):
        return
    was, here = False, at + 1
    nouns: list[tuple[Token, bool]] = []
    still = tokens[here].word in _STILL
    while inside(tokens, here, at) and (tokens[here].kind in (WORD, NAME) or tokens[here].word in ("a", "an", "and")):
        was = (was and tokens[here].word != "and") or tokens[here].word in _FORMER
        last = here + 1 >= len(tokens) or tokens[here + 1].kind in (LINK, NOT) or tokens[here].after
        if tokens[here].kind == WORD and last:
            nouns.append((tokens[here], was))
        if tokens[here].after:
            break
        here += 1
    if not still and here + 1 < len(tokens) and tokens[here].word in ("who", "that", "which"):
        still = tokens[here + 1].word in _STILL
    for noun, was in nouns:
        if was != still:
            yield Frame(STATE, ("former" if was else "still", frozenset([noun.stem])), (noun,))


def stems(tokens: Iterable[Token]) -> frozenset[str]:
    return frozenset([token.stem for token in tokens])


def inside(tokens: tuple[Token, ...], here: int, at: int) -> bool:
    """Whether this token is of the sentence of the verb, and near enough."""
    return here < len(tokens) and here - at <= FAR and tokens[here].sentence == tokens[at].sentence


def _denied(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether the verb is denied, or happened again."""
    return any(t.kind == NOT or t.word in ("again", "almost", "nearly", "to") for t in tokens[max(0, at - 3) : at])


def named_before(tokens: tuple[Token, ...], end: int) -> tuple[Token, ...]:
    """The name that ends here."""
    start = end
    while start and tokens[start - 1].kind == NAME and (start == end or not tokens[start - 1].after.strip(".")):
        start -= 1
    if start == end and end and not known(tokens[end - 1].stem):  # a name that opens a sentence looks like a word
        start -= tokens[end - 1].kind == WORD and (end == 1 or tokens[end - 2].sentence != tokens[end - 1].sentence)
    return tokens[start:end]


def names(tokens: tuple[Token, ...], here: int, at: int) -> tuple[tuple[Token, ...], int]:
    """The name that stands here, with what is of it ("University of Bonn"), and where it ends."""
    found: list[Token] = []
    while inside(tokens, here, at) and (tokens[here].kind == NAME or (found and goes_on(tokens, here))):
        if tokens[here].kind == NAME:
            found.append(tokens[here])
        here += 1
        if tokens[here - 1].after not in ("", "."):
            break
    return tuple(found), here


def _date(tokens: tuple[Token, ...], here: int, at: int) -> tuple[Token, ...]:
    """The date of this verb, where little stands between."""
    while inside(tokens, here, at):
        token = tokens[here]
        if token.kind == DATE:
            return dated(token)
        if token.kind in (NOT, NUMBER) or token.after or token.word in BREAKS or token.word in _NEAR:
            return ()
        here += 1
    return ()


def _opening(tokens: tuple[Token, ...], at: int) -> tuple[Token, ...]:
    """The date before this verb: "In 1907, the house was", "until 1907, when the house was"."""
    start = at
    while start > max(0, at - FAR) and tokens[start - 1].sentence == tokens[at].sentence:
        start -= 1
    before = tokens[start:at]
    when = next((n for n, token in enumerate(before) if n and token.word == "when"), 0)
    if when and before[when - 1].kind == DATE and not any(t.after or t.word in BREAKS for t in before[when + 1 :]):
        return dated(before[when - 1])
    first = next((n for n, token in enumerate(before[:4]) if token.kind == DATE), None)
    if first is None or before[0].word not in ("in", "on"):
        return ()
    rest = before[first + 1 :]
    plain = "," in before[first].after and not any(t.after or t.word in BREAKS or t.kind == DATE for t in rest)
    return dated(before[first]) if plain else ()


def dated(token: Token) -> tuple[Token, ...]:
    """The year of a date that has one."""
    if token.days is None or token.days[0] < 10000:
        return ()
    low, high = token.days
    return (token if high - low >= 100 else token._replace(days=(low // 10000 * 10000, low // 10000 * 10000 + 9999)),)
