"""The judge without a model: what two statements are to each other, from clues and what each is worth.

1. It is a function of the two statements alone: the same on every replica, and for either order.
2. Who says nearly the same at length is taken by its differences; what says something else of one subject, by its
   slots. The clues of the second kind are weighed, because each alone is weak. The weights were set by hand after the
   precision of each clue on development data; none belongs to a word.
3. What speaks of different subjects, or of different times, does not conflict.
4. `certain` is kept for clues that were right nearly always; the rest is `suspect`, for a model or a person to look at.
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
    REPLACED,
    TEMPORAL,
    VALUE,
    Clue,
    Read,
    aligned,
    among,
    by_slots,
    by_words,
    closeness,
    differ,
)
from crdtmem.coherence.lexicon import alike, exclusive, once, opposite, plural
from crdtmem.coherence.slots import kinds, slots
from crdtmem.coherence.statement import DATE, LINK, NAME, NOT, NUMBER, WORD, Statement, statement

CONTRADICTION, SUPERSEDED, DUPLICATE = "contradiction", "superseded", "duplicate"
REFINEMENT, OPINION, UNRELATED, UNSURE = "refinement", "opinion", "unrelated", "unsure"
RELATIONS = (CONTRADICTION, SUPERSEDED, DUPLICATE, REFINEMENT, OPINION, UNRELATED, UNSURE)
CERTAIN, SUSPECT = "certain", "suspect"

VERSIONS = 0.75  # so close, and so long, are two versions of one text rather than two statements
LONG = 12
ENOUGH = 7  # points that make a suspicion

# (kind of clue, how it was found) -> points, and points where a side says that it names some of several
POINTS: dict[tuple[str, str], tuple[int, int]] = {
    (ENTITY, "once"): (27, 6),
    (ENTITY, "same"): (16, 0),
    (ENTITY, "context6"): (14, 0),
    (ENTITY, "near6"): (8, 0),
    (ENTITY, "head"): (6, 0),
    (ENTITY, "context"): (4, 0),
    (ENTITY, "near"): (3, 0),
    (ENTITY, "aligned"): (10, 2),
    (TEMPORAL, "once"): (22, 8),
    (TEMPORAL, "same"): (17, 4),
    (TEMPORAL, "head"): (3, 3),
    (TEMPORAL, "context6"): (4, 4),
    (TEMPORAL, "near6"): (4, 4),
    (TEMPORAL, "near"): (2, 6),
    (TEMPORAL, "context"): (0, 3),
    (TEMPORAL, "aligned"): (9, 4),
    (NUMERIC, "once"): (20, 12),
    (NUMERIC, "same"): (14, 4),
    (NUMERIC, "head"): (12, 8),
    (NUMERIC, "counted"): (10, 10),
    (NUMERIC, "other"): (5, 0),
    (NUMERIC, "aligned"): (12, 8),
    (VALUE, "exclusive"): (14, 14),
    (VALUE, "kinds:close"): (3, 3),
    (EXCLUSIVE, "words:close"): (8, 4),
    (EXCLUSIVE, "words"): (4, 2),
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
    return read_statement(statement(text))


def read_statement(said: Statement) -> Read:
    """The same of a statement that is there already."""
    words = frozenset([token.stem for token in said.tokens if token.kind == WORD])
    return Read(said, slots(said), kinds(said), words, among(said))


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
            return answer
    if near >= VERSIONS and min(len(a.content), len(b.content)) >= LONG:
        found = NOTHING if _elsewhere(a, b, versions=len(a.content) > 20) else _versions(list(aligned(a, b)), near)
    else:
        found = _weighed(mine, theirs, near)
    return found if found.relation != UNRELATED else _kin(mine, theirs, near)


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
    """Whether a phrase was exchanged in a text that is otherwise the same: a word alone may have others like it."""
    return len(clue.mine.split()) + len(clue.theirs.split()) > 2


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
        return None
    sure = not asked.isdisjoint(once())
    for kind, name in ((NUMBER, NUMERIC), (DATE, TEMPORAL)):
        a, b = [t for t in one if t.kind == kind], [t for t in other if t.kind == kind]
        if a and b and differ(kind, a, b):
            return _contradiction(Clue(name, "pair", *names), CERTAIN if len(one) == len(other) == 1 else SUSPECT)
    if (NOT in {t.kind for t in one}) != (NOT in {t.kind for t in other}):
        return _contradiction(Clue(NEGATION, "pair", *names), SUSPECT)
    if left <= right or right <= left:
        return Verdict(REFINEMENT)
    if not left.isdisjoint(right):
        return None
    for test, name in ((opposite, ANTONYM), (exclusive, EXCLUSIVE)):
        if any(test(x, y) for x in left for y in right):
            return _contradiction(Clue(name, "pair", *names), CERTAIN if len(left) == len(right) == 1 else SUSPECT)
    if any(alike(x, y) for x in left for y in right):
        return None
    named = all(t.kind == NAME for t in (one[0], other[0]))
    written = "=" in mine.said.text or ":" in mine.said.text
    if named or written or sure:
        return _contradiction(Clue(VALUE, "pair", *names), CERTAIN if sure else SUSPECT)
    return None


def _other_question(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether each asks for something that the other does not, in no other words."""
    return bool(mine and theirs) and not any(alike(one, other) for one in mine for other in theirs)


def _weighed(mine: Read, theirs: Read, near: float) -> Verdict:
    """Two statements about one subject: clues add up."""
    found: dict[tuple[str, str], Clue] = {}
    many = mine.among or theirs.among
    close = closeness(mine.words, theirs.words) >= 0.4
    for clue in by_slots(mine, theirs):
        found.setdefault((clue.kind, clue.how), clue)
    for clue in by_words(mine, theirs):
        how = f"{clue.how}:close" if close and clue.how != "exclusive" else clue.how
        found.setdefault((clue.kind, how), clue)
    if near >= 0.5:
        for clue in aligned(mine.said, theirs.said):
            found.setdefault((clue.kind, clue.how), clue)
    if _elsewhere(mine.said, theirs.said, versions=False):
        return NOTHING
    if _othertime(mine.said, theirs.said):
        scoped = any(clue.kind == NUMERIC for clue in found.values())
        found = {at: c for at, c in found.items() if c.kind == TEMPORAL and (c.how == "once" or not scoped)}
    worth = {at: POINTS[at][many] for at in found if at in POINTS}
    total = sum(worth.values())
    if total < ENOUGH or not worth:
        return NOTHING
    best = max(worth, key=lambda at: (worth[at], at))
    sure = best[1] == "once" and not many and not (mine.said.hedged or theirs.said.hedged)
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
    if a and b and a.isdisjoint(b):
        return True
    left, right = mine.subject - theirs.content, theirs.subject - mine.content
    related = any(alike(x, y) or opposite(x, y) for x in left for y in right)
    return bool(left and right and mine.subject & theirs.subject) and not related


def _othertime(mine: Statement, theirs: Statement) -> bool:
    """Whether each says when, and the times are different."""
    a, b = (([t for t in said.tokens if t.kind == DATE]) for said in (mine, theirs))
    return bool(a and b) and all(differ(DATE, [x], [y]) for x in a for y in b)
