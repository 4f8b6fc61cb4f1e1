"""Does a text say what the memory says? What became of the entries it cites, and what of it nobody wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtmem.change import COUNTER, RECORDS, TEXT, Version
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import BadBytes, NamespaceError, NotReached, ValueRefused
from crdtmem.explain import explain
from crdtmem.facts import Claim, Facts
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered, shown_by
from crdtmem.past import Pinned
from crdtmem.prose import leaves, spelled
from crdtmem.search import outer_lock
from crdtmem.values import thaw

if TYPE_CHECKING:
    from crdtmem.memory import Memory

_CITED = re.compile(r"\[([^\[\]\n]{2,400})\]")
_SHORT = re.compile(r"[fs]\d{1,9}", re.IGNORECASE)
_LONG = re.compile(r"[A-Za-z0-9_-]{23,40}")  # an EntryId as str
_WRONG = {
    BadBytes: "malformed",
    NamespaceError: "elsewhere",
    NotReached: "later",
    ValueRefused: "unknown",
}


class Citation(NamedTuple):
    """A place where a text cites an entry, and what became of that since.

    Args:
        text: the id as it stands there.
        start: its first character.
        end: behind its last.
        status: live; tainted, when it rests on what was retracted; retracted, superseded, removed, undone, expired,
            voided or gone; later, when it was not there at that version; unknown, when there is none; elsewhere, when
            nothing of its session is in this namespace; malformed.
        entry: which entry it is, if there is one.
    """

    text: str
    start: int
    end: int
    status: str
    entry: EntryId | None


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about a text.

    Attributes:
        version: the version it was held against.
        citations: the entries it cites, in its order.
        phantoms: the numbers, quantities, dates and names in it that no entry of that version has.

    >>> from crdtmem import Replica
    >>> found = check("In Lyon it was 5.2 %.", Replica("ann").open(tenant="acme"))
    >>> found.ok, [(one.text, one.kind) for one in found.phantoms]
    (False, [('Lyon', 'name'), ('5.2 %', 'quantity')])
    """

    version: Version
    citations: tuple[Citation, ...]
    phantoms: tuple[Claim, ...]

    @property
    def ok(self) -> bool:
        """Whether all it cites still holds, and nothing in it is unheard of."""
        return not self.phantoms and all(citation.status == "live" for citation in self.citations)

    def __str__(self) -> str:
        lines = [f"[{one.text}] at {one.start}: {one.status}" for one in self.citations if one.status != "live"]
        lines += [f"{one.text!r} at {one.start}: a {one.kind} that no entry has" for one in self.phantoms]
        return "\n".join(lines) or "all that is cited holds, and every figure, date and name occurs in some entry"


def check(text: str, memory: Memory) -> Check:
    """What became of the entries that a text cites by their ids in brackets, and what of it nobody wrote.

    Args:
        text: a report.
        memory: the memory at the version it was written from: `memory.at(version)`; or as it is.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> entry = memory.set("facts").add("churn was 3.1 % in March")
    >>> version = memory.version
    >>> _ = memory.retract(entry, why="last year's file")
    >>> found = check(f"Churn was 3.1 % [{entry.id}], then 5.2 %.", memory.at(version))
    >>> found.citations[0].status, [phantom.text for phantom in found.phantoms]
    ('retracted', ['5.2 %'])
    """
    return checked(text, memory, {})


def checked(text: str, memory: Memory, cited: Mapping[str, Sequence[Entry]]) -> Check:
    """The same, where short ids stand for some entries."""
    if not isinstance(text, str):
        raise TypeError(f"text: a str, not {type(text).__name__}")
    spans = list(_citations(text))
    chars = list(text)
    for _, start, end in spans:
        chars[start:end] = "\0" * (end - start)
    facts, version = _facts(memory)
    with outer_lock(memory):
        status = _Status(memory)
        citations = tuple(
            one for id, start, end in spans for one in _found(id, start, end, cited.get(id.lower()), status)
        )
    return Check(version, citations, tuple(facts.unknown("".join(chars))))


def _citations(text: str) -> Iterator[tuple[str, int, int]]:
    """What stands in brackets and looks like ids, alone or in a list."""
    for found in _CITED.finditer(text):
        parts = list(re.finditer(r"[^\s,;]+", found[1]))
        if parts and all(_SHORT.fullmatch(part[0]) or _LONG.fullmatch(part[0]) for part in parts):
            for part in parts:
                yield part[0], found.start(1) + part.start(), found.start(1) + part.end()


def _found(id: str, start: int, end: int, known: Sequence[Entry] | None, status: _Status) -> Iterator[Citation]:
    if known is not None:
        yield from (Citation(id, start, end, status.of(entry.id), entry.id) for entry in known)
    elif _SHORT.fullmatch(id):
        yield Citation(id, start, end, "unknown", None)
    else:
        try:
            entry = EntryId.parse(id)
        except BadBytes:
            yield Citation(id, start, end, "malformed", None)
        else:
            yield Citation(id, start, end, status.of(entry), entry)


class _Status:
    """What became of entries. What is live is seen at once, of the rest the audit tells."""

    def __init__(self, memory: Memory) -> None:
        document: Any = memory._document
        self._then = document.state if isinstance(document, Pinned) else None
        self._now = document.live if isinstance(document, Pinned) else document
        self._shown: set[Any] | None = None
        self._told: dict[EntryId, str] = {}

    def of(self, id: EntryId) -> str:
        """The status of an entry."""
        if id not in self._told:
            self._told[id] = self._of(id)
        return self._told[id]

    def _of(self, id: EntryId) -> str:
        now = self._now
        state = now.state
        try:
            now.audit.entry_id(id)
        except (BadBytes, NamespaceError, NotReached, ValueRefused) as error:
            return _WRONG[type(error)]
        if self._then is not None and not self._then.had(id):
            return "later"
        if state.taint.retracted.get(id):
            return "retracted"
        if not self._is_live(id):
            status = explain(now.audit, state, id, depth=0, now=now.now()).status
            if status != "live":
                return status
        return "tainted" if id in state.taint.tainted else "live"

    def _is_live(self, id: EntryId) -> bool:
        fields = self._now.state.fields
        for (kind, _), field in fields.items():
            if type(field) is Keyed and kind != COUNTER and id in field.by_id:
                return not field.mortal
        if self._shown is None:
            self._shown = {
                shown_by(owner)._id
                for field in fields.values()
                if type(field) is Ordered and not field.mortal
                for owner in field.units.showing()
            }
        return id in self._shown


def _facts(memory: Memory) -> tuple[Facts, Version]:
    """What all entries hold, and of which version; linear in them, and kept. Writers wait for the texts alone."""
    document: Any = memory._document
    live = document.live if isinstance(document, Pinned) else document
    with outer_lock(memory):
        document.usable()
        version, sessions = document.state.version, live.state.sessions
        facts: Facts | None = document.kept.find(live.state, "facts", version)
        texts = list(_texts(document.state)) if facts is None else []
    if facts is None:
        facts = Facts.of(texts)
        document.kept.keep(sessions, "facts", version, facts, most=2)
    return facts, version


def _texts(state: Any) -> Iterator[str]:
    """All that entries say, reserved fields aside."""
    for kind, field_name in sorted(state.fields):
        if field_name[0] == "@":
            continue
        field = state.fields[kind, field_name]
        yield field_name.replace("_", " ")
        if kind == COUNTER:
            yield str(field.total)
        if kind == TEXT:
            yield field.text
        entries = field.by_id.values() if type(field) is Keyed else field.shares() if kind == TEXT else field.entries()
        for entry in list(entries) if kind != COUNTER else ():
            if kind == RECORDS:
                yield entry.key
            yield from _said(kind, entry)


def _said(kind: int, entry: Entry) -> Iterator[str]:
    value = entry._frozen
    if type(value) is str:
        if kind != TEXT:
            yield value
    else:
        for path, leaf in leaves(thaw(value)):
            yield from path
            yield spelled(leaf)
    if entry._about is not None:
        yield from filter(None, (entry.why, *entry.tags))
        if entry.confidence is not None:
            yield f"{entry.confidence:g}"
        yield from (moment.date().isoformat() for moment in entry.valid if moment is not None)
