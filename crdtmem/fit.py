"""Making a choice fit a budget: items are taken as they matter, then the page as a whole is counted.

A counter may be any function, so no sum of parts proves anything: parts are counted to guess what fits, and a page is
kept only once all of it has been counted. What is left out falls off the end; the numbers of what stays stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

from crdtmem.change import KINDS, RECORDS, Version
from crdtmem.chosen import Choice, Said
from crdtmem.concern import Finding
from crdtmem.entry import Entry
from crdtmem.errors import MisuseError
from crdtmem.page import Line, Page, listed, markdown, name, quoted, shown, xml

Count = Callable[[str], int]
Summarise = Callable[[Sequence[Entry]], str]
_FULL = 0.75  # of the budget, where what does not fit is summed up
_MISSES = 20  # items in a row that do not fit: then the page is full
_SUMMED = 50  # entries in one summary
_SUMMARIES = 8
_FINDINGS = 3  # beside one entry


class Fitting(NamedTuple):
    """The budget, what counts it, and what sums up the rest."""

    tokens: int
    count: Count
    summarise: Summarise | None

    def counted(self, text: str) -> int:
        """What a text takes.

        Raises:
            MisuseError: the counter gives no number.
        """
        size = self.count(text)
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise MisuseError(f"count: it takes a text and gives the number of its tokens; it gave {size!r:.60}")
        return size


class Piece(NamedTuple):
    """What is shown whole or not at all: entries, or a summary of some."""

    some: list[Said]
    cost: int
    summary: str | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A finished view; the same one for all who ask the same."""

    choice: Choice
    fitting: Fitting
    pieces: list[Piece]
    left: Mapping[tuple[str, str], int]
    markdown: str
    entries: Mapping[str, Entry]
    summed: Mapping[str, tuple[Entry, ...]]

    @property
    def version(self) -> Version:
        """The version it shows."""
        return self.choice.version

    @property
    def until(self) -> float:
        """The moment at which something in it outlives its time."""
        return self.choice.until

    @cached_property
    def xml(self) -> str:
        """The page as XML, within the same budget."""
        return _trimmed(self.choice, self.pieces, self.fitting, xml)[1]


def fitted(choice: Choice, fitting: Fitting) -> Fitted:
    """The most of a choice that fits."""
    pieces = _taken(choice, fitting)
    kept, page = _trimmed(choice, pieces, fitting, markdown)
    pieces = pieces[:kept]
    numbers = _numbers(pieces)
    return Fitted(
        choice,
        fitting,
        pieces,
        _left(choice, pieces),
        page,
        {id: some[0].entry for id, some in numbers.items() if id[0] == "f"},
        {id: tuple(one.entry for one in some) for id, some in numbers.items() if id[0] == "s"},
    )


def _taken(choice: Choice, fitting: Fitting) -> list[Piece]:
    """What fits by its parts: items in full, and summaries of others."""
    frame = fitting.counted(markdown(_page(choice, [], 0)))
    room = fitting.tokens - frame
    pieces, rest, room = _in_full(choice, fitting, room, room * (1 if fitting.summarise is None else _FULL))
    fields: dict[tuple[str, str], list[Said]] = {}
    for one in rest if fitting.summarise is not None else ():
        fields.setdefault(_group(one), []).append(one)
    for some in list(fields.values())[:_SUMMARIES]:
        piece = _summed(choice, fitting, some[:_SUMMED])
        if piece.cost <= room:
            pieces.append(piece)
            room -= piece.cost
    return pieces


def _in_full(choice: Choice, fitting: Fitting, room: int, share: float) -> tuple[list[Piece], list[Said], int]:
    pieces: list[Piece] = []
    rest: list[Said] = []
    kept, misses = room - share, 0
    for item in choice.items:
        piece = Piece(item, 0)
        if misses < _MISSES:
            piece = Piece(item, fitting.counted(shown(_lines(choice, [piece], _clip(fitting)))))
            if piece.cost <= room - kept:
                pieces.append(piece)
                room -= piece.cost
                misses = 0
                continue
            misses += 1
        if fitting.summarise is None and misses >= _MISSES:
            break
        rest += item
    return pieces, rest, room


def _summed(choice: Choice, fitting: Fitting, some: list[Said]) -> Piece:
    """A summary of some entries of one field, told in their order."""
    assert fitting.summarise is not None
    some = sorted(some, key=lambda one: one.place)
    text = fitting.summarise([one.entry for one in some])
    if not isinstance(text, str):
        raise MisuseError(f"summarise: it takes entries and gives a text; it gave {type(text).__name__}")
    piece = Piece(some, 0, text)
    return piece._replace(cost=fitting.counted(shown(_lines(choice, [piece], _clip(fitting)))))


def _trimmed(choice: Choice, pieces: list[Piece], fitting: Fitting, render: Callable[[Page], str]) -> tuple[int, str]:
    """How many pieces fit, and the page of them; no page at all, if not even an empty one does."""
    size = len(pieces)
    while True:
        page = render(_page(choice, pieces[:size], _clip(fitting)))
        over = fitting.counted(page) - fitting.tokens
        if over <= 0:
            return size, page
        if not size:
            break
        while size and over > 0:
            size -= 1
            over -= max(pieces[size].cost, 1)
    if fitting.counted("") > fitting.tokens:
        raise MisuseError(f"count: to it an empty text has more than tokens={fitting.tokens}; nothing fits")
    return 0, ""


# -- lines -----------------------------------------------------------------------------------------


def _clip(fitting: Fitting) -> int:
    """How many characters of one value are shown: so that no entry takes all there is."""
    return max(60, min(fitting.tokens, 4000))


def _numbers(pieces: list[Piece]) -> dict[str, list[Said]]:
    """By which id each is cited."""
    found: dict[str, list[Said]] = {}
    full = sums = 0
    for piece in pieces:
        if piece.summary is not None:
            sums += 1
            found[f"s{sums}"] = piece.some
            continue
        for one in piece.some:
            full += 1
            found[f"f{full}"] = [one]
    return found


def _page(choice: Choice, pieces: list[Piece], clip: int) -> Page:
    short = blake2b(str(choice.version).encode(), digest_size=4).hexdigest()
    return Page(short, tuple(_lines(choice, pieces, clip)), _left(choice, pieces))


def _left(choice: Choice, pieces: list[Piece]) -> dict[tuple[str, str], int]:
    """How many entries of each field are neither shown nor summed up."""
    left = {(at[1], KINDS[at[0]]): size for at, size in choice.counts.items()}
    for piece in pieces:
        for one in piece.some:
            left[_group(one)] -= one.times
    return left


def _lines(choice: Choice, pieces: list[Piece], clip: int) -> list[Line]:
    numbers = iter(_numbers(pieces).items())
    cited: dict[Any, str] = {}
    for id, some in _numbers(pieces).items():
        if id[0] == "f":
            cited |= {entry: id for entry in some[0].ids if entry not in cited}
    lines: list[Line] = []
    for piece in pieces:
        if piece.summary is not None:
            id, some = next(numbers)
            facts = (("sums up", f"{sum(one.times for one in some)} entries"),)
            lines.append(Line(id, _group(some[0]), (), quoted(piece.summary, clip), facts))
            continue
        for _ in piece.some:
            id, [one] = next(numbers)
            lines.append(_line(choice, id, one, piece.some, cited, clip))
    return lines


def _line(choice: Choice, id: str, one: Said, rivals: list[Said], cited: Mapping[Any, str], clip: int) -> Line:
    entry = one.entry
    value = quoted(entry._frozen, clip)
    if one.at[0] == RECORDS:
        value = f"{name(entry.key)}: {value}"
    notes = ["tainted: it rests on an entry that was retracted"] * one.tainted
    others = [cited[other.entry._id] for other in rivals if other is not one]
    if others:
        more = f" and {one.rivals - len(others)} more" if one.rivals > len(others) else ""
        notes.append(f"open conflict with {listed(others)}{more}: they cannot all hold")
    found = list(dict.fromkeys(finding for entry_id in one.ids for finding in choice.findings.get(entry_id, ())))
    found.sort(key=lambda finding: finding.tier != "certain")
    notes += [_told(finding, cited) for finding in found[:_FINDINGS]]
    if len(found) > _FINDINGS:
        notes.append(f"{len(found) - _FINDINGS} more findings about it")
    return Line(id, _group(one), one.place, value, tuple(_facts(one)), tuple(notes))


def _facts(one: Said) -> list[tuple[str, str]]:
    entry = one.entry
    facts = [("by", ", ".join(map(name, one.by[:5])) + (f" and {len(one.by) - 5} more" if one.by[5:] else ""))]
    facts.append(("at", f"{entry.at:%Y-%m-%d %H:%M}"))
    if entry.role:
        facts.append(("role", name(entry.role)))
    if entry.confidence is not None:
        facts.append(("confidence", f"{entry.confidence:g}"))
    if entry.source != "agent":
        facts.append(("source", entry.source))
    if entry.tags:
        facts.append(("tags", " ".join(map(name, entry.tags[:8]))))
    if entry.why:
        facts.append(("why", quoted(entry.why, 200)))
    if one.times > 1:
        facts.append(("said", f"{one.times} times"))
    return facts


def _told(finding: Finding, cited: Mapping[Any, str]) -> str:
    ids = list(dict.fromkeys(cited[id] for id in finding.about if id in cited))
    hidden = sum(id not in cited for id in finding.about)
    where = " and ".join(filter(None, [listed(ids), f"{hidden} not shown" if hidden else ""]))
    marks = ", ".join(map(name, (finding.tier, finding.status)))
    return f"finding, {name(finding.kind)} ({marks}): {quoted(finding.says, 300)} about {where}"


def _group(one: Said) -> tuple[str, str]:
    return one.at[1], KINDS[one.at[0]]
