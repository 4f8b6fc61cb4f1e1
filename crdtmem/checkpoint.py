"""A state as bytes, without its log: what a newcomer or a restart can begin from.

    checkpoint = [format, namespace, sessions, heads, entries by field, orders by field, count]

It holds the sessions that live entries, heads or open orders still need, every live entry with who wrote it, when and
why, and for sequences and texts the order with its Yjs document. Sessions of which nothing is left but the end of
their chain are kept as (id, key, names, seq, hash): a later change of theirs must still find its place.
"""

from __future__ import annotations

from msgpack import packb

from crdtmem.entry import Entry, Stamp
from crdtmem.fields.keyed import Keyed
from crdtmem.state import State

FORMAT = 1


def dump(state: State) -> bytes:
    """The live state in its canonical form.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> for _ in range(100):
    ...     entry = memory.counter("n").add(1)
    >>> len(dump(memory._document.state)) < 300
    True
    """
    places = {id: place for place, id in enumerate(state.sessions)}
    sessions = [(w.id, w.key, w.agent, w.role, w.seq, w.hash) for w in state.sessions.values()]
    fields = []
    for (kind, name), field in state.fields.items():
        if type(field) is Keyed and field.by_id:
            fields.append((kind, name, [_entry(entry, places) for entry in field.by_id.values()]))
    return packb((FORMAT, state.namespace, sessions, [h[0] for h in state.heads.values()], fields))


def _entry(entry: Entry, places: dict[bytes, int]) -> tuple[object, ...]:
    stamp: Stamp = entry._stamp  # type: ignore[assignment]
    _, seq, n = entry._id  # type: ignore[misc]
    return (places[stamp.writer.id], seq, n, stamp.hlc, stamp.actor, entry._about, entry.key, entry._frozen)
