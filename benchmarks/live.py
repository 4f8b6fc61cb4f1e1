"""The size of what is live: sessions, live entries and who wrote them, when and why. What a checkpoint has to hold."""

from __future__ import annotations

from msgspec.msgpack import encode

from crdtmem.entry import Entry, Stamp
from crdtmem.fields.keyed import Keyed
from crdtmem.state import State


def dump(state: State) -> bytes:
    """The live state of the keyed fields, as bytes."""
    places = {id: place for place, id in enumerate(state.sessions)}
    sessions = [(w.id, w.key, w.agent, w.role, w.seq, w.hash) for w in state.sessions.values()]
    fields = []
    for (kind, name), field in state.fields.items():
        if type(field) is Keyed and field.by_id:
            fields.append((kind, name, [_entry(entry, places) for entry in field.by_id.values()]))
    return encode((state.namespace, sessions, [h[0] for h in state.heads.values()], fields))


def _entry(entry: Entry, places: dict[bytes, int]) -> tuple[object, ...]:
    stamp: Stamp = entry._stamp  # type: ignore[assignment]
    _, seq, n = entry._id  # type: ignore[misc]
    return (places[stamp.writer.id], seq, n, stamp.hlc, stamp.actor, entry._about, entry.key, entry._frozen)
