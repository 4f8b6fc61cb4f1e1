"""A memory as JSON lines: what it shows, an entry a line, for people and other programs.

Every live entry with who wrote it, when and why. What is gone, superseded or retracted is not in it; an archive
(archive.py) has all of that. Patches of a record are told as the one value they were read as, a counter as its total.

`loading` writes such lines as new entries.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from crdtmem.change import COUNTER, KINDS, RECORDS, TEXT
from crdtmem.entry import Entry
from crdtmem.fields.keyed import Keyed
from crdtmem.history import folded
from crdtmem.namespace import LABELS
from crdtmem.whole import whole

if TYPE_CHECKING:
    from crdtmem.memory import Memory

FORMAT = 1
NAMES = (
    *("id", "field", "kind", "key", "value", "by", "role", "at", "why", "because", "confidence", "tags", "source"),
    *("ttl", "valid_from", "valid_until", "verified", "tainted"),
)


def dump(memory: Memory) -> Iterator[str]:
    """The lines of a memory, as of now: what they are of, and then an entry a line.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann", time=lambda: 1_700_000_000).open(tenant="acme")
    >>> _ = memory.set("facts").add("churn is 4.7 %", why="CRM export")
    >>> head, line = dump(memory)
    >>> {name: told for name, told in json.loads(line).items() if name != "id"}
    {'field': 'facts', 'kind': 'set', 'value': 'churn is 4.7 %', 'by': 'ann', 'at': '2023-11-14T22:13:20+00:00', \
'why': 'CRM export'}
    """
    document = memory._document
    with document.lock:
        document.usable()
        told = list(_shown(memory))
        namespace = {name: getattr(memory.namespace, name) for name in (*LABELS, "owner")}
        head = {
            "crdtmem": "lines",
            "format": FORMAT,
            "namespace": {name: label for name, label in namespace.items() if label is not None},
            "version": str(document.state.version),
            "entries": len(told),
        }
    yield json.dumps(head)
    for kind, entry in told:
        yield json.dumps(_told(kind, entry), ensure_ascii=False)


def save(memory: Memory, path: str | os.PathLike[str]) -> int:
    """Write the lines of a memory to a file, which is there once it is whole; how many entries they are.

    >>> from crdtmem import Replica
    >>> ann, bob = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="other")
    >>> _ = ann.register("status").assign("done")
    >>> from crdtmem.loading import load
    >>> save(ann, "acme.jsonl"), load(bob, "acme.jsonl")
    (1, Loaded(entries=1, changes=1, expired=0))
    >>> bob.register("status").value, bob.register("status").entries()[0].source
    ('done', 'import')
    """
    count = -1
    with whole(path) as file:
        for count, line in enumerate(dump(memory)):  # noqa: B007
            file.write(line.encode() + b"\n")
    return count


def _shown(memory: Memory) -> Iterator[tuple[int, Entry]]:
    """Every live entry, field by field, with the kind of its field."""
    state = memory._document.state
    retracted = state.taint.retracted
    for (kind, name), field in sorted(state.fields.items(), key=lambda found: found[0]):
        if name[0] == "@":
            continue
        if kind == COUNTER:
            yield from ((kind, entry) for entry in _total(memory, name, field))
        elif type(field) is Keyed:
            for entries in memory._listed((kind, name)):
                patched = any(entry.extra is not None for entry in entries)
                for entry in [folded(list(entries))] if patched else entries:
                    if entry._id not in retracted:
                        yield kind, entry
        else:
            for entry in getattr(memory, KINDS[kind])(name).entries():
                if kind == TEXT or entry._id not in retracted:
                    yield kind, entry


def _total(memory: Memory, name: str, field: Any) -> Iterator[Entry]:
    steps = memory.counter(name).entries()
    if steps:
        last = steps[-1]
        yield Entry(last._id, name, None, field.total, last._about, last._stamp)


def _told(kind: int, entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {"id": str(entry.id), "field": entry.field, "kind": KINDS[kind]}
    if kind == RECORDS:
        said["key"] = entry.key
    said |= {"value": plain(entry.value), "by": entry.by, "at": entry.at.isoformat()}
    return said | attributes(entry)


def attributes(entry: Entry) -> dict[str, Any]:
    """What an entry says of itself, and what is known of it, as JSON can say it. What it does not say is left out.

    >>> from crdtmem import Replica
    >>> attributes(Replica("ann").open(tenant="acme").counter("n").add(1, why="seen", tags=["a"]))
    {'why': 'seen', 'tags': ['a']}
    """
    start, end = entry.valid
    more: dict[str, Any] = {
        "role": entry.role,
        "why": entry.why,
        "because": [str(id) for id in entry.because],
        "confidence": entry.confidence,
        "tags": list(entry.tags),
        "source": entry.source if entry.source != "agent" else None,
        "ttl": entry.ttl,
        "valid_from": start and start.isoformat(),
        "valid_until": end and end.isoformat(),
        "verified": entry.verified or None,
        "tainted": entry.tainted or None,
    }
    return {name: value for name, value in more.items() if value not in (None, [])}


def plain(value: Any) -> Any:
    """A value as JSON can say it: bytes as {"bytes": base64}, and what looks like that as {"dict": ...}.

    >>> plain([b"12", {"bytes": 1}])
    [{'bytes': 'MTI='}, {'dict': {'bytes': 1}}]
    """
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        found = {key: plain(item) for key, item in value.items()}
        return {"dict": found} if found.keys() in ({"bytes"}, {"dict"}) else found
    return value


def meant(told: Any) -> Any:
    """The value that `plain` told.

    >>> meant(plain({"bytes": [b"", {"dict": {}}]}))
    {'bytes': [b'', {'dict': {}}]}
    """
    if isinstance(told, list):
        return [meant(item) for item in told]
    if not isinstance(told, dict):
        return told
    if told.keys() == {"bytes"} and isinstance(told["bytes"], str):
        return b64decode(told["bytes"], validate=True)
    if told.keys() == {"dict"} and isinstance(told["dict"], dict):
        told = told["dict"]
    return {key: meant(item) for key, item in told.items()}
