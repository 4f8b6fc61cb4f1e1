"""The judge without a model: what two statements are to each other, from clues and what each is worth.

1. It is a function of the two statements alone: the same on every replica, and for either order.
2. Who says nearly the same at length is taken by its differences; what says something else of one subject, by its
   slots. The clues of the second kind are weighed, because each alone is weak. The weights were set by hand after the
   precision of each clue on development data; none belongs to a word.
3. What speaks of different subjects, or of different times, does not conflict.
4. `certain` is kept for what has room for one value by what the words mean, where both sides speak of the same thing,
   at the same time, and of that alone, and for two versions of a text; the rest is `suspect`, to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crdtmem.coherence.clues import (
    ADDED,
    ANTONYM,
    ENTITY,
    EXCLUSIVE,
    NEGATION,
    NUMERIC,
    ORDERING,
    QUANTIFIER,
    REPLACED,
    STATUS,
    TEMPORAL,
    VALUE,
    Clue,
    Read,
    aligned,
    by_slots,
    by_words,
    closeness,
    differ,
    share,
)
from crdtmem.coherence.degrees import degrees
from crdtmem.coherence.framed import by_frames
from crdtmem.coherence.frames import frames
from crdtmem.coherence.lexicon import alike, exclusive, known, once, opposite, plural, state, stem
from crdtmem.coherence.most import most
from crdtmem.coherence.slots import kinds, order, slots
from crdtmem.coherence.statement import Statement, among, statement
from crdtmem.coherence.tokens import DATE, LINK, NAME, NOT, NUMBER, WORD, Token
from crdtmem.coherence.wholes import wholes

CONTRADICTION, SUPERSEDED, DUPLICATE = "contradiction", "superseded", "duplicate"
REFINEMENT, OPINION, UNRELATED, UNSURE = "refinement", "opinion", "unrelated", "unsure"
RELATIONS = (CONTRADICTION, SUPERSEDED, DUPLICATE, REFINEMENT, OPINION, UNRELATED, UNSURE)
CERTAIN, SUSPECT = "certain", "suspect"

VERSIONS = 0.7  # so close, and so long, are two versions of one text rather than two statements
LONG = 12
SHORT = 8  # stems of a statement that says one thing
ENOUGH = 7  # points that make a suspicion

# (kind of clue, how it was found) -> points, and points where a side says that it names some of several; a place with
# room for one value is known to be none of these
POINTS: dict[tuple[str, str], tuple[int, int]] = {
    (ENTITY, "once"): (27, 27),
    (ENTITY, "same"): (16, 0),
    (ENTITY, "context6"): (14, 0),
    (ENTITY, "near6"): (8, 0),
    (ENTITY, "head"): (6, 0),
    (ENTITY, "context"): (4, 0),
    (ENTITY, "near"): (3, 0),
    (ENTITY, "aligned"): (10, 2),
    (TEMPORAL, "once"): (22, 22),
    (TEMPORAL, "same"): (17, 4),
    (TEMPORAL, "head"): (3, 3),
    (TEMPORAL, "context6"): (4, 4),
    (TEMPORAL, "near6"): (4, 4),
    (TEMPORAL, "near"): (2, 6),
    (TEMPORAL, "context"): (0, 3),
    (TEMPORAL, "aligned"): (9, 4),
    (NUMERIC, "once"): (20, 20),
    (NUMERIC, "same"): (14, 4),
    (NUMERIC, "head"): (12, 8),
    (NUMERIC, "counted"): (10, 10),
    (NUMERIC, "other"): (5, 0),
    (NUMERIC, "aligned"): (12, 8),
    (VALUE, "exclusive"): (14, 14),
    (VALUE, "kinds:close"): (3, 3),
    (EXCLUSIVE, "words:close"): (8, 4),
    (EXCLUSIVE, "words"): (4, 2),
    (EXCLUSIVE, "once"): (20, 20),
    (STATUS, "once"): (20, 20),
    (VALUE, "once"): (20, 20),
    (STATUS, "words:close"): (8, 6),
    (STATUS, "words"): (4, 2),
    (STATUS, "words:tight"): (10, 8),
    (EXCLUSIVE, "words:tight"): (10, 6),
    (ANTONYM, "words:tight"): (10, 6),
    (NEGATION, "words:tight"): (10, 10),
    (ORDERING, "swapped"): (14, 14),
    (QUANTIFIER, "words:close"): (11, 11),
    (ANTONYM, "words:close"): (6, 4),
    (ANTONYM, "words"): (2, 1),
    (ANTONYM, "aligned"): (10, 6),
    (REPLACED, "aligned"): (-4, -4),
    (REPLACED, "only"): (-4, -4),
    (ADDED, "gone"): (-4, -5),
    (ADDED, "new"): (-2, -4),
}


class Verdict(NamedTuple):
    """What two statements are to each other, and why."""

    relation: str
    tier: str = ""
    kind: str = ""
    says: str = ""
    mine: str = ""  # the words it turns on
    theirs: str = ""


NOTHING = Verdict(UNRELATED)


def read(text: str) -> Read:
    """A statement with everything that comparing it needs; made once for each text."""
    said = statement(text)
    words = frozenset([token.stem for token in said.tokens if token.kind == WORD])
    return Read(
        said,
        slots(said),
        frames(said.tokens) + most(said.tokens) + wholes(said.tokens),
        degrees(said.tokens),
        kinds(said),
        words,
        among(said.tokens),
        order(said),
        share(said),
    )


def judged(mine: Read, theirs: Read) -> Verdict:
    """What the two are to each other.

    >>> verdict = judged(read("The house was built in 1820."), read("The house was built in 1907 by Ann Lee."))
    >>> verdict.relation, verdict.tier, verdict.kind, verdict.mine, verdict.theirs
    ('contradiction', 'certain', 'temporal', '1820', '1907')
    """
    if theirs.said.text < mine.said.text:
        found = judged(theirs, mine)
        return found._replace(mine=found.theirs, theirs=found.mine)
    a, b = mine.said, theirs.said
    near = closeness(a.content, b.content)
    if near == 0.0 or a.question or b.question:
        return NOTHING
    if [t.stem for t in a.tokens if t.kind != LINK] == [t.stem for t in b.tokens if t.kind != LINK]:
        return Verdict(DUPLICATE)
    if a.opinion != b.opinion and not (a.names & b.names):
        return Verdict(OPINION)
    if a.pair is not None and b.pair is not None:
        answer = _paired(mine, theirs)
        if answer is not None:
            return _firmer(answer, mine, theirs, near)
    if near >= VERSIONS and min(len(a.content), len(b.content)) >= LONG:
        found = NOTHING if _elsewhere(a, b, versions=len(a.content) > 20) else _versions(list(aligned(a, b)), near)
        found = _firmer(found, mine, theirs, near)
    else:
        found = _weighed(mine, theirs, near)
    return found if found.relation != UNRELATED else _kin(mine, theirs, near)


def _firmer(found: Verdict, mine: Read, theirs: Read, near: float) -> Verdict:
    """What is suspected of the whole may be certain of a part."""
    if found.tier != SUSPECT:
        return found
    other = _weighed(mine, theirs, near)
    return other if other.tier == CERTAIN else found


_STRONG = {NUMERIC, TEMPORAL, ANTONYM, EXCLUSIVE, NEGATION, ENTITY}


def _versions(clues: Sequence[Clue], near: float) -> Verdict:
    """Two versions of one text: any difference of substance is one too many."""
    strong = [clue for clue in clues if clue.kind in _STRONG and clue.how == "aligned"]
    if strong:
        plain = strong[0].kind in (NUMERIC, TEMPORAL, ANTONYM, NEGATION) and len(clues) == 1
        return _contradiction(strong[0], CERTAIN if plain and near >= 0.85 else SUSPECT)
    weak = [clue for clue in clues if clue.how == "alone"]
    if len(clues) == 1 and clues[0].how == "only":
        weak = [clues[0]._replace(kind=VALUE)] * _exchanged(clues[0])
    return _contradiction(weak[0], SUSPECT) if weak else NOTHING


def _exchanged(clue: Clue) -> bool:
    """Whether one thing took the place of another: a phrase, or words too rare to have others that mean the same."""
    mine, theirs = clue.mine.split(), clue.theirs.split()
    return len(mine) + len(theirs) > 2 or not (known(stem(mine[0])) or known(stem(theirs[0])))


def _paired(mine: Read, theirs: Read) -> Verdict | None:
    """Two answers to one question; None when it is not the same question, or the answers do not settle it."""
    assert mine.said.pair is not None and theirs.said.pair is not None
    (asked, one), (also, other) = mine.said.pair, theirs.said.pair
    if asked != also:
        return NOTHING if _other_question(asked - also, also - asked) else None
    names = " ".join(t.word for t in one), " ".join(t.word for t in other)
    left, right = ({t.stem for t in side} for side in (one, other))
    if left == right:
        return Verdict(DUPLICATE)
    if any(plural(word) for word in asked) or mine.among or theirs.among:
        return NOTHING
    sure = not asked.isdisjoint(once())
    same_time = _past(mine.said) == _past(theirs.said)
    plain = CERTAIN if len(one) == len(other) == 1 and same_time else SUSPECT
    for kind, name in ((NUMBER, NUMERIC), (DATE, TEMPORAL)):
        a, b = [t for t in one if t.kind == kind], [t for t in other if t.kind == kind]
        if a and b and differ(kind, a, b):
            return _contradiction(Clue(name, "pair", *names), plain)
    if (NOT in {t.kind for t in one}) != (NOT in {t.kind for t in other}):
        return _contradiction(Clue(NEGATION, "pair", *names), SUSPECT)
    if left <= right or right <= left:
        return Verdict(REFINEMENT)
    if not left.isdisjoint(right):
        return None
    for test, name in ((opposite, ANTONYM), (exclusive, EXCLUSIVE)):
        if any(test(x, y) for x in left for y in right):
            name = STATUS if all(any(map(state, side)) for side in (left, right)) else name
            return _contradiction(Clue(name, "pair", *names), plain)
    if any(alike(x, y) for x in left for y in right):
        return None
    named = all(t.kind == NAME for t in (one[0], other[0]))
    written = any(sign in side.said.text for side in (mine, theirs) for sign in "=:")
    if named or written or sure:
        return _contradiction(Clue(VALUE, "pair", *names), CERTAIN if sure and same_time else SUSPECT)
    return None


def _past(said: Statement) -> bool:
    """Whether the answer was so, rather than is so."""
    return any(token.word in ("was", "were") for token in said.tokens)


def _other_question(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether each asks for something that the other does not, in no other words."""
    return bool(mine and theirs) and not any(alike(one, other) for one in mine for other in theirs)


def _weighed(mine: Read, theirs: Read, near: float) -> Verdict:
    """Two statements about one subject: clues add up."""
    if _elsewhere(mine.said, theirs.said, versions=False):
        return _claimed(mine.said, theirs.said)
    found: dict[tuple[str, str], Clue] = {}
    many = mine.among or theirs.among
    size = max(len(mine.said.content), len(theirs.said.content))
    how_close = (
        ":tight" if near >= 0.5 and size <= SHORT else ":close" if closeness(mine.words, theirs.words) >= 0.4 else ""
    )
    for clue in (*by_frames(mine, theirs), *by_slots(mine, theirs)):
        found.setdefault((clue.kind, clue.how), clue)
    for clue in by_words(mine, theirs):
        how = clue.how
        if how == "kinds" or (clue.kind == QUANTIFIER and how_close):
            how += ":close" if how_close else ""
        elif how == "words" and (clue.kind != NEGATION or near >= 0.8):
            how += how_close
        found.setdefault((clue.kind, how), clue)
    if near >= 0.5:
        for clue in aligned(mine.said, theirs.said):
            found.setdefault((clue.kind, clue.how), clue)
    if _othertime(mine.said, theirs.said):
        scoped = any(clue.kind == NUMERIC for clue in found.values())
        found = {at: c for at, c in found.items() if c.kind == TEMPORAL and (c.how == "once" or not scoped)}
    worth = {at: POINTS[at][many] for at in found if at in POINTS}
    total = sum(worth.values())
    if total < ENOUGH or not worth:
        return NOTHING
    best = max(worth, key=lambda at: (worth[at], at))
    sure = best[1] == "once" and not (mine.said.hedged or theirs.said.hedged)
    return _contradiction(found[best], CERTAIN if sure else SUSPECT)


def _contradiction(clue: Clue, tier: str) -> Verdict:
    told = f"{clue.mine or 'nothing'} against {clue.theirs or 'nothing'}"
    return Verdict(CONTRADICTION, tier, clue.kind, f"{clue.kind}: {told}", clue.mine, clue.theirs)


def _kin(mine: Read, theirs: Read, near: float) -> Verdict:
    """What does not conflict may still be the same, or the same and more."""
    if near < 0.5:
        return NOTHING
    left, right = mine.said.content - theirs.said.content, theirs.said.content - mine.said.content
    if not left or not right:
        return Verdict(REFINEMENT)
    if len(left) == len(right) and all(any(alike(one, other) for other in right) for one in left):
        return Verdict(DUPLICATE)
    return NOTHING


def _elsewhere(mine: Statement, theirs: Statement, *, versions: bool) -> bool:
    """Whether the two speak of different things: gate 3 and gate 4, Ann and Bob, a payment and a billing service.

    Of two long versions of one text only a number tells that: a name may be what was changed.
    """
    a, b = ({word for word in said.lead if word[0].isdigit()} for said in (mine, theirs))
    if a and b and a.isdisjoint(b):
        return True
    if versions:
        return False
    if mine.lead - theirs.content and theirs.lead - mine.content:
        return True
    a, b = ({name for name in said.names if not name.isalpha()} for said in (mine, theirs))
    if (a and b and a.isdisjoint(b)) or {said.tokens[0].word for said in (mine, theirs)} == {"he", "she"}:
        return True
    left, right = mine.subject - theirs.content, theirs.subject - mine.content
    related = any(alike(x, y) or opposite(x, y) for x in left for y in right)
    return bool(left and right and mine.subject & theirs.subject) and not related


def _claimed(mine: Statement, theirs: Statement) -> Verdict:
    """Two names for what only one can be: the rest is the same, and has room for one by what it means."""
    left, right = mine.lead - theirs.content, theirs.lead - mine.content
    rest = mine.content - left
    named = left and right and all(name.isalpha() for name in left | right)
    if named and rest == theirs.content - right and not rest.isdisjoint(once()):
        return _contradiction(Clue(ENTITY, "claimed", " ".join(sorted(left)), " ".join(sorted(right))), SUSPECT)
    return NOTHING


def _othertime(mine: Statement, theirs: Statement) -> bool:
    """Whether each says when, and the times are different."""
    a, b = (_times(said.tokens) for said in (mine, theirs))
    return bool(a and b) and all(differ(DATE, [x], [y]) for x in a for y in b)


def _times(tokens: Sequence[Token]) -> list[Token]:
    """The dates at which something is so; what is so since then is so now."""
    return [t for at, t in enumerate(tokens) if t.kind == DATE and not (at and tokens[at - 1].word == "since")]
