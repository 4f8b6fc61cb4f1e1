"""What a memory says: its live entries as pieces of text that can be compared. It reads and changes nothing.

1. Prose stays as it is. A short value under a name becomes "name: value"; a dict is walked, each leaf under its path.
2. Items of a set or sequence that are dicts are told apart by what identifies them (`name`, `id`, ...); without that
   their short leaves are not compared, since two items may differ in everything.
3. Numbers alone, bytes, and what is beyond the limits say nothing here; what was cut off is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from crdtmem.change import COUNTER, RECORDS, REGISTER, SEQUENCE, TEXT
from crdtmem.coherence.statement import pieces, sentences
from crdtmem.entry import Entry
from crdtmem.fields.field import alive
from crdtmem.memory import Memory

CHARTER = "charter"  # the field in which a team may declare what its attributes are
LEAVES = 64  # of one structured value
SENTENCES = 4096  # of one text
_IDENTITY = ("name", "id", "key", "subject", "entity", "title")
_TRIPLE = ("attribute", "predicate", "property", "relation")
At = tuple[int, str]
Key = Any


class Said(NamedTuple):
    """One live entry and its pieces."""

    entry: Entry
    texts: tuple[str, ...]
    cut: int  # characters that were left out


def live(memory: Memory, known: Mapping[At, Mapping[Key, Entry]]) -> dict[At, dict[Key, Entry]]:
    """The live entries of every field that says something, by id; a text is given sentence by sentence.

    Args:
        memory: the memory.
        known: what the last call gave: what has not changed is not made again.
    """
    document = memory._document
    found: dict[At, dict[Key, Entry]] = {}
    with document.lock:
        document.usable()
        now = document.now()
        fields: Any = document.state.fields
        for at in list(fields):
            kind, name = at
            if kind == COUNTER or name[0] == "@" or (kind == RECORDS and name == CHARTER):
                continue
            field = fields[at]
            if kind == TEXT:
                found[at] = _sentences(field, known.get(at, {}))
            elif kind == SEQUENCE:
                found[at] = {entry._id: entry for entry in alive(field.entries(), now)}
            elif field.mortal:
                found[at] = {entry._id: entry for entry in alive(field.by_id.values(), now)}
            else:
                found[at] = dict(field.by_id)
    return found


def _sentences(field: Any, known: Mapping[Key, Entry]) -> dict[Key, Entry]:
    """A text by sentences, each with the entry that wrote most of it."""
    found: dict[Key, Entry] = {}
    shares = field.shares()
    starts, place = [], 0
    for share in shares:
        starts.append(place)
        place += len(share._frozen)
    text, at = field.text, 0
    for sentence in sentences(text)[:SENTENCES]:
        begin = text.find(sentence, at)
        at = begin if begin >= 0 else at
        end = at + len(sentence)
        over = [min(end, s + len(e._frozen)) - max(at, s) for s, e in zip(starts, shares, strict=True)]
        writer = shares[max(range(len(over)), key=over.__getitem__)]
        key = (writer._id, sentence)
        found[key] = known.get(key) or Entry(
            writer._id, writer.field, None, sentence, writer._about, writer._stamp, writer.extra
        )
    return found


def said(kind: int, entry: Entry) -> Said:
    """What an entry says, in pieces.

    >>> from crdtmem import Replica
    >>> facts = Replica("ann").open(tenant="acme").records("facts")
    >>> said(4, facts.put("acme", {"ceo": "R. Chen", "staff": 40})).texts
    ('acme ceo: R. Chen', 'acme staff: 40')
    """
    value: Any = entry._frozen if kind == TEXT else entry.value
    label = _plain(entry.key) if kind == RECORDS else _plain(entry.field) if kind == REGISTER else ""
    found: list[str] = []
    cut = 0
    for text, whole in _leaves(value, label):
        some, left = pieces(text) if whole else ([text], 0)
        found += some
        cut += left
        if len(found) >= LEAVES:
            break
    return Said(entry, tuple(dict.fromkeys(found[:LEAVES])), cut)


def _leaves(value: Any, label: str) -> Iterator[tuple[str, bool]]:
    """Each leaf as text, and whether it is prose."""
    if isinstance(value, str):
        if label and (len(value.split()) < 4 or not any(c.isspace() for c in value)) and value.strip():
            yield f"{label}: {value[:1000]}", False
        else:
            yield value, True
    elif isinstance(value, bool | int | float):
        if label:
            yield f"{label}: {value}", False
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, "")
    elif isinstance(value, dict):
        yield from _walk(value, label)


def _walk(value: dict[str, Any], label: str) -> Iterator[tuple[str, bool]]:
    who = next((name for name in _IDENTITY if isinstance(value.get(name), str | int)), None)
    what = next((name for name in _TRIPLE if isinstance(value.get(name), str)), None)
    if who is not None:
        label = f"{label} {_plain(str(value[who]))}".strip()
    if who is not None and what is not None and "value" in value:
        yield from _leaves(value["value"], f"{label} {_plain(value[what])}")
        return
    for name, leaf in value.items():
        if name == who:
            continue
        yield from _leaves(leaf, f"{label} {_plain(name)}" if label else "")


def _plain(name: str) -> str:
    """A name as words, with nothing in it that reads as a sign."""
    return " ".join("".join(c if c.isalnum() or c in ".-" else " " for c in name[:120]).replace(".", " ").split())
