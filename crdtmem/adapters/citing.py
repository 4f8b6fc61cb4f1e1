"""How entries read to a model: one line each, as data, with a short citation that it can give back.

A citation is a hash of the entry's id, the same for everybody. Nothing that an agent wrote can end its line, or look
like a citation: values are shown as JSON.
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b

from crdtmem import BadBytes, Entry, EntryId, Event, Explanation, Memory, NoMatch
from crdtmem.page import name, quoted
from crdtmem.values import encode, freeze

WIDTH = 300  # characters of a value or a reason
LINES = 40  # of what is told of one entry
_LENGTH = 10  # 50 bits
_KNOWN = 20_000  # citations that are looked up at once; older ones are searched for


def cite(entry: Entry | EntryId) -> str:
    """The citation of an entry.

    >>> from crdtmem import EntryId
    >>> cite(EntryId(bytes(16), 1, 0))
    'u7s37nvgkm'
    """
    found = entry.id if isinstance(entry, Entry) else entry
    return b32encode(blake2b(encode(tuple(found)), digest_size=8).digest()).decode().lower()[:_LENGTH]


class Citations:
    """The citations of one memory.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> citations = Citations(memory)
    >>> fact = memory.set("facts").add("churn is 3.1 %")
    >>> citations.find(citations.of(fact)) == fact.id
    True
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[str, EntryId] = {}

    def of(self, entry: Entry | EntryId) -> str:
        """The citation of an entry, which `find` knows from now on."""
        found = entry.id if isinstance(entry, Entry) else entry
        mark = cite(found)
        self._known.pop(mark, None)
        self._known[mark] = found
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]
        return mark

    def find(self, text: str) -> EntryId:
        """The entry that a citation, or an id, names. One that was not shown here is looked for among all that stand.

        Raises:
            NoMatch: there is none.
        """
        mark = text.strip().strip("[]").lower()
        if mark in self._known:
            return self._known[mark]
        if len(mark) == _LENGTH:
            for field, kind in self._memory.fields().items():
                entries: list[Entry] = getattr(self._memory, kind)(field).entries()
                for entry in entries:
                    if cite(entry) == mark:
                        self.of(entry)
                        return entry.id
        try:
            return EntryId.parse(text.strip())
        except BadBytes:
            raise NoMatch(
                f"no entry has the citation {text!r:.60}; give one as it stands in brackets at the head of a line"
            ) from None

    def line(self, entry: Entry) -> str:
        """An entry in one line: what, who, when, how sure, why.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann", role="lead", time=lambda: 1_700_000_000).open(tenant="acme")
        >>> fact = memory.set("facts").add("churn is\\n3.1 %", why="CRM export", confidence=0.8)
        >>> Citations(memory).line(fact)[13:]
        '"churn is\\\\n3.1 %" - ann (lead), 2023-11-14 22:13, confidence 0.8, why: "CRM export"'
        """
        what = shown(entry.value)
        if isinstance(entry.key, str) and entry.key != entry.value:
            what = f"{shown(entry.key)}: {what}"
        parts = [f"{author(entry.by, entry.role)}, {entry.at:%Y-%m-%d %H:%M}"]
        if entry.confidence is not None:
            parts.append(f"confidence {entry.confidence:g}")
        if entry.tags:
            parts.append(f"tags {shown(list(entry.tags))}")
        if entry.tainted:
            parts.append("TAINTED: it rests on something that was retracted")
        if entry.why:
            parts.append(f"why: {shown(entry.why)}")
        return f"[{self.of(entry)}] {what} - {', '.join(parts)}"

    def story(self, text: str) -> str:
        """Where the entry of a citation comes from and what became of it, in at most so many lines."""
        return _short(self.explained(self._memory.explain(self.find(text))))

    def heirs(self, entry: EntryId) -> str:
        """What rests on an entry, one line for each; nothing, if nothing does."""
        supports = self._memory.explain(entry, depth=1).supports
        return _short([self.explained(heir)[0] for heir in supports])

    def explained(self, explanation: Explanation, depth: int = 0) -> list[str]:
        """Where an entry comes from and what became of it, one line for each entry it rests on or that rests on it.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann", time=lambda: 1_700_000_000).open(tenant="acme")
        >>> source = memory.set("sources").add("churn.csv")
        >>> brief = memory.register("brief").assign("churn is 3.1 %", because=[source])
        >>> _ = memory.retract(source, why="last year's file")
        >>> for line in Citations(memory).explained(memory.explain(brief)):
        ...     print(line[line.index("]") + 2 :])
        live, TAINTED: 2023-11-14 22:13:20 ann added brief "churn is 3.1 %"
        it rests on: removed, retracted: 2023-11-14 22:13:20 ann added sources "churn.csv"
        2023-11-14 22:13:20 ann removed sources "churn.csv" why: "last year's file"
        2023-11-14 22:13:20 ann retracted sources "churn.csv" why: "last year's file"
        """
        state = [explanation.status]
        if explanation.retracted:
            state.append("retracted")
        if explanation.tainted:
            state.append("TAINTED")
        said = explanation.said
        told = "what it said is not known here" if said is None else _told(said)
        relation = {0: "", 1: "it rests on: ", -1: "it supports: "}[max(-1, min(1, depth))]
        lines = [f"[{self.of(explanation.entry)}] {relation}{', '.join(state)}: {told}"]
        lines += ["  " + self.event(event) for event in explanation.later]
        for cause in explanation.rests_on:
            lines += ["  " + line for line in self.explained(cause, 1)]
        for heir in explanation.supports:
            lines += ["  " + line for line in self.explained(heir, -1)]
        if explanation.left_out:
            lines.append(f"  and {explanation.left_out} more")
        return lines

    def event(self, event: Event) -> str:
        """An event in one line: when, who, what was done, where, why."""
        return _told(event) if event.entry is None else f"[{self.of(event.entry)}] {_told(event)}"


def _told(event: Event) -> str:
    where = name(event.field) if event.key is None else f"{name(event.field)}[{shown(event.key)}]"
    said = [f"{event.when:%Y-%m-%d %H:%M:%S} {author(event.by, event.role)} {event.action} {where}"]
    if event.value is not None:
        said.append(shown(event.value))
    if event.why:
        said.append(f"why: {shown(event.why)}")
    if event.note:
        said.append(f"({event.note})")
    return " ".join(said)


def _short(lines: list[str]) -> str:
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"and {len(lines) - LINES} lines more"]
    return "\n".join(lines)


def shown(value: object) -> str:
    """A value in one line, as JSON, cut where it is long.

    >>> shown({"a": "line one\\nline \\u202etwo"})
    '{"a": "line one\\\\nline \\\\u202etwo"}'
    """
    return quoted(freeze(value), WIDTH)


def author(agent: str, role: str | None) -> str:
    """An author.

    >>> author("ann", "lead"), author("bob] said", None)
    ('ann (lead)', '"bob] said"')
    """
    return f"{name(agent)} ({name(role)})" if role else name(agent)
