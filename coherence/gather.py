"""What a memory says: its live entries as pieces of text that can be compared. It reads and changes nothing.

1. Prose stays as it is. A short value under a name becomes "name: value"; a dict is walked, each leaf under its path.
2. Items of a set or sequence that are dicts are told apart by what identifies them (`name`, `id`, ...); without that
   their short leaves are not compared, since two items may differ in everything.
3. Numbers alone, bytes, and what is beyond the limits say nothing here; what was cut off is counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from crdtmem.change import COUNTER, RECORDS, REGISTER, SEQUENCE, TEXT
from crdtmem.coherence.statement import pieces, sentences
from crdtmem.entry import Entry
from crdtmem.fields.field import alive
from crdtmem.fields.records import contenders
from crdtmem.memory import Memory
from crdtmem.values import freeze

CHARTER = "charter"  # the field in which a team may declare what its attributes are
LEAVES = 64  # of one structured value
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
        now, retracted = document.now(), document.state.taint.retracted.keys()
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
            for id in retracted & found[at].keys():  # in an append-only field what is retracted stays where it is
                del found[at][id]
            if kind == RECORDS:
                _patched(field, found[at])
    return found


def _patched(field: Any, held: dict[Key, Entry]) -> None:
    """Of keys that were merged into, each entry says only the sub-keys in which no other stands for it."""
    for key in field.forked:
        entries = [entry for entry in field.live(key) if entry._id in held]
        if all(entry.extra is None for entry in entries):
            continue
        standing = contenders(entries)
        for entry in entries:
            value = entry.value
            if not isinstance(value, dict):
                continue
            kept = {name: leaf for name, leaf in value.items() if any(one is entry for one in standing[name])}
            if kept != value:
                del held[entry._id]
                about = (entry._about, entry._stamp, entry.extra)
                held[entry._id, *kept] = Entry(entry._id, entry.field, key, freeze(kept), *about)


def _sentences(field: Any, known: Mapping[Key, Entry]) -> dict[Key, Entry]:
    """A text by sentences, each with the entry that wrote most of it."""
    found: dict[Key, Entry] = {}
    shares = field.shares()
    starts = list(accumulate([len(share._frozen) for share in shares], initial=0))
    text, at = field.text, 0
    for sentence in sentences(text):
        at = text.index(sentence, at)
        end = at + len(sentence)
        over = range(bisect_right(starts, at) - 1, bisect_left(starts, end))
        writer = shares[max(over, key=lambda n: min(end, starts[n + 1]) - max(at, starts[n]))]
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
            yield f"{label}: {_digits(value)}", False
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, "")
    elif isinstance(value, dict):
        yield from _walk(value, label)


def _digits(value: float) -> str:
    """A number as people write it, without an exponent as far as that is sensible."""
    if isinstance(value, float) and abs(value) < 1e15:
        return f"{value:.12f}".rstrip("0").rstrip(".")
    return str(value)


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
