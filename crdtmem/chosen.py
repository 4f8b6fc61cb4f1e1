"""Which entries a view is made of, and in which order they matter: from one version, ranked, nothing shown yet.

Not every entry is weighed: the newest, those that the words of `about` find, and the newest of each field, so that what
a busy field says last does not drown what a quiet one says at all. Of these each gets a weight from how new it is, how
well it fits, how sure and of which source it is, its author's role, its field. What somebody has to look at, because it
is in conflict or a finding speaks of it, is weighed higher. The clock has no part in it but for what has outlived its
time.

Entries that cannot all hold come as one item, and so do those that say the same in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtmem.change import COUNTER, RECORDS, REGISTER, SEQUENCE, TEXT, Version
from crdtmem.concern import Finding, by_entry, ends, standing_until
from crdtmem.entry import Entry
from crdtmem.fields.field import alive
from crdtmem.fields.records import disagreement
from crdtmem.index import At, Index, passages
from crdtmem.past import Pinned
from crdtmem.prose import words
from crdtmem.search import admitting, outer_lock, reading
from crdtmem.values import Frozen, key_of

if TYPE_CHECKING:
    from crdtmem.memory import Memory

MOST_RIVALS = 8  # of one conflict
_EACH = 8  # of every field, so many are weighed in any case
_FADE, _FADE_EACH = 50, 4  # the newest but so many, of all and of a field, weighs half as much
_TRUST = {"user": 1.0, "tool": 0.9, "import": 0.7, "agent": 0.6}


@dataclass(slots=True)
class Said:
    """One entry, as a view may tell it."""

    at: At
    entry: Entry
    ids: tuple[Any, ...]  # its own, and of a paragraph those of all that share in it
    place: Any  # where it stands in its field
    by: tuple[str, ...]
    tainted: bool = False
    times: int = 1  # how many say the same
    rivals: int = 0  # how many others cannot hold beside it
    weight: float = 0.0

    @property
    def rank(self) -> tuple[float, int, Any, Any]:
        """The same order on every replica."""
        return (self.weight, self.entry._stamp.hlc, self.entry._id, self.place)  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a view may tell, what matters most first; and how much there is.

    Attributes:
        sessions: those of the state; one made anew has others.
        items: single entries, or those that cannot all hold.
        findings: by the entries they concern.
        counts: how many live entries each field has.
        until: the moment at which the next of them outlives its time.
    """

    version: Version
    sessions: Any
    items: list[list[Said]]
    findings: Mapping[Any, list[Finding]]
    counts: Mapping[At, int]
    until: float


class Wish(NamedTuple):
    """What is asked for: the words of `about`, a role, the weights of fields, and how many entries to weigh."""

    phrases: tuple[str, ...]
    role: str | None
    weights: tuple[tuple[str, float], ...] | None
    pool: int

    @classmethod
    def of(cls, about: str, role: str | None, fields: Mapping[str, float] | None, tokens: int) -> Wish:
        """A wish, and how many entries are worth weighing for so many tokens."""
        weights = None if fields is None else tuple(sorted(fields.items()))
        return cls(tuple(words(about)), role, weights, min(max(tokens // 8, 50), 1000))

    @property
    def fields(self) -> dict[str, float] | None:
        """The weights by field."""
        return None if self.weights is None else dict(self.weights)


def choose(memory: Memory, wish: Wish) -> Choice:
    """What may be told of a memory, from one version of it; writers wait meanwhile, some 20 ms for 100,000 entries."""
    document: Any = memory._document
    state = document.state
    with reading(memory):
        pass  # if there is no index yet, it is made while others write on
    with outer_lock(memory), reading(memory) as index:
        now, retracted, tainted = document.now(), state.taint.retracted, state.taint.tainted
        ats = [at for at in sorted(index.rows) if wish.fields is None or at[1] in wish.fields]
        admit = admitting(index, [], None if wish.fields is None else wish.fields.keys(), retracted, now)
        weights = _weights(index, ats, wish, admit)
        found, standing = standing_until(state, now)
        concerned = by_entry(found)
        rivals = _rivals(state, ats, now)
        rows = _wanted(index, ats, rivals, concerned)
        said = {}
        for row in dict.fromkeys([*weights, *rows.values()]):
            if admit(row):
                said[row] = _said(index, row, weights.get(row, 0.0), tainted, wish, concerned)
        counts, until = _counts(state, index, ats, retracted, now, admit)
        _place(state, said.values())
        said.update(_totals(state, wish, counts))
        items = _items(said, rows, rivals)
        return Choice(state.version, _sessions(document), items, concerned, counts, min(until, standing))


def _sessions(document: Any) -> Any:
    return document.state.now.sessions if isinstance(document, Pinned) else document.state.sessions


def _weights(index: Index, ats: list[At], wish: Wish, admit: Any) -> dict[int, float]:
    """The rows to weigh: how new and how fitting each is."""
    found: dict[int, float] = {}
    for nth, row in enumerate(islice(filter(admit, index.newest_first(*ats)), wish.pool) if ats else ()):
        found[row] = 1.5 / (1 + nth / _FADE)
    for at in ats:
        for nth, row in enumerate(islice(filter(admit, index.newest_first(at)), _EACH)):
            found[row] = max(found.get(row, 0.0), 1.5 if at[0] == REGISTER else 1.2 / (1 + nth / _FADE_EACH))
    if wish.phrases:
        fitting = index.ask(list(wish.phrases), admit, wish.pool)
        for score, row in fitting:
            found[row] = found.get(row, 0.0) + 3 * score / fitting[0][0]
    return found


def _rivals(state: Any, ats: list[At], now: float) -> list[list[Entry]]:
    """The entries that cannot all hold, together."""
    fields = [state.fields[at] for at in ats if at[0] in (REGISTER, RECORDS)]
    return [disagreement(alive(field.live(key), now)) for field in fields for key in sorted(field.forked, key=str)]


def _wanted(index: Index, ats: list[At], rivals: list[list[Entry]], concerned: Mapping[Any, Any]) -> dict[Any, int]:
    """The rows of entries that somebody has to look at, by their ids."""
    ids = {entry._id for some in rivals for entry in some} | concerned.keys()
    return {id: index.rows[at][id] for id in sorted(ids) for at in ats if id in index.rows[at]}


def _said(
    index: Index, row: int, weight: float, tainted: Collection[Any], wish: Wish, concerned: Mapping[Any, Any]
) -> Said:
    fields = wish.fields
    entry, at = index.entries[row], index.kinds[row]
    some = index.shares.get(row, (entry,))
    ids = tuple(dict.fromkeys([entry._id, *(one._id for one in some)]))
    fallen = any(id in tainted for id in ids)
    weight += 0.5 * (0.5 if entry.confidence is None else entry.confidence)
    weight += 0.5 * (_TRUST[entry.source] + 0.2 * entry.verified - fallen)
    weight += 0.75 * (wish.role is not None and entry.role == wish.role)
    weight += any(id in concerned for id in ids)
    if fields is not None:
        weight *= fields[at[1]]
    by = tuple(dict.fromkeys([entry.by, *(one.by for one in some)]))
    return Said(at, entry, ids, None, by, fallen, weight=float(f"{weight:.9g}"))


def _counts(
    state: Any, index: Index, ats: list[At], retracted: Mapping[Any, Any], now: float, admit: Any
) -> tuple[dict[At, int], float]:
    """How many of each field are live, and until when."""
    counts: dict[At, int] = {}
    until = math.inf
    for at in ats:
        rows = index.rows[at]
        if at[0] == TEXT or state.fields[at].mortal:  # a time to live is looked at entry by entry
            live = [row for row in rows.values() if admit(row)]
            counts[at] = len(live)
            until = min([until, *(ends(one) for row in live for one in index.shares.get(row, (index.entries[row],)))])
        else:
            counts[at] = len(rows) - sum([id in rows for id in retracted])
    return {at: size for at, size in counts.items() if size}, until


def _place(state: Any, said: Iterable[Said]) -> None:
    """Say of each where it stands in its field: by its place in sequences and texts, by time in others."""
    ordered: dict[At, dict[Any, int]] = {}
    for one in said:
        if one.at[0] not in (SEQUENCE, TEXT):
            one.place = (one.entry._stamp.hlc, one.entry._id)  # type: ignore[union-attr]
            continue
        if one.at not in ordered:
            shown = state.fields[one.at]
            if one.at[0] == SEQUENCE:
                ordered[one.at] = {entry._id: nth for nth, entry in enumerate(shown.entries())}
            else:
                lines = [passage.entry for passage in passages(shown).values()]
                ordered[one.at] = {(entry._id, entry._frozen): nth for nth, entry in enumerate(lines)}
        key = one.entry._id if one.at[0] == SEQUENCE else (one.entry._id, one.entry._frozen)
        one.place = (ordered[one.at][key], one.entry._id)


def _totals(state: Any, wish: Wish, counts: dict[At, int]) -> dict[Any, Said]:
    """Each counter as one entry: its total, by whoever counted last."""
    found: dict[Any, Said] = {}
    for at in [at for at in sorted(state.fields) if at[0] == COUNTER]:
        field = state.fields[at]
        steps = [entry for entry in list(field.by_id.values()) if type(entry.key) is bytes]
        if steps and at[1][0] != "@" and (wish.fields is None or at[1] in wish.fields):
            last = max(steps, key=lambda entry: (entry._stamp.hlc, entry._id))
            entry = Entry(last._id, at[1], None, field.total, last._about, last._stamp)
            weight = 2.0 * (1.0 if wish.fields is None else wish.fields[at[1]])
            by = tuple(dict.fromkeys(one.by for one in sorted(steps, key=lambda one: (-one._stamp.hlc, one._id))))
            found[at] = Said(at, entry, (entry._id,), (0,), by, weight=weight)
            counts[at] = 1
    return found


# -- what belongs together -------------------------------------------------------------------------


def _items(said: dict[Any, Said], rows: Mapping[Any, int], rivals: list[list[Entry]]) -> list[list[Said]]:
    """In the order in which they matter; conflicts together, and what is said twice once."""
    items: list[list[Said]] = []
    taken: set[int] = set()
    for some in rivals:
        group = [said[row] for row in (rows.get(entry._id) for entry in some) if row in said]
        if len(group) > 1:
            taken.update(rows[one.entry._id] for one in group)
            weight = 1.0 + max(one.weight for one in group)
            for one in group:
                one.weight, one.rivals = weight, len(group) - 1
            items.append(sorted(group, key=lambda one: one.rank)[-MOST_RIVALS:])
    first: dict[Any, Said] = {}
    singles = sorted([one for row, one in said.items() if row not in taken], key=lambda one: one.rank, reverse=True)
    for one in singles:
        same = first.setdefault(_sense(one), one)
        if same is one:
            items.append([one])
        else:
            same.times += one.times
            same.by = tuple(dict.fromkeys([*same.by, *one.by]))
    return sorted(items, key=lambda item: item[0].rank, reverse=True)


def _sense(one: Said) -> Any:
    """What two entries share that say the same, word by word."""
    key = one.entry.key if one.at[0] == RECORDS else None
    return one.at, key, one.tainted, squashed(one.entry._frozen)


def squashed(frozen: Frozen) -> Any:
    """A text without what makes no difference: case, spaces, quotes, full stops; other values as they are.

    >>> squashed("The churn is  4.7%!") == squashed("churn is 4.7%"), squashed("x = 5") == squashed("x != 5")
    (True, False)
    """
    if type(frozen) is not str:
        return key_of(frozen)
    words = [word.strip("\"'“”()").rstrip(".,;:!") for word in frozen.casefold().split()]
    return " ".join(word for word in words if word and word != "the")
