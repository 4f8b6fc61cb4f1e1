"""A kept change applied again. Most are one entry in place of another, and go a short way, as they did when written.

The short way leaves what `State.apply` leaves, without a Change and its effect (tests/test_replay.py). It is taken only
where there is nothing to judge, merge, order or taint; in all other cases nothing has happened, and it says so.
"""

from __future__ import annotations

from typing import Any

from crdtmem.change import COUNTER, RECORDS, SET, digest_of, skim
from crdtmem.entry import Stamp
from crdtmem.fields.keyed import Keyed
from crdtmem.state import State
from crdtmem.store import Record
from crdtmem.values import key_of


def replay(state: State, kept: Record) -> int | None:
    """Apply a change the short way, if it is the next of its session and there is no more to it; its stamp, or None.

    Args:
        state: what was applied before.
        kept: a change that was checked when it came.
    """
    id, seq, hash, core, _ = kept
    session = state.sessions.get(id)
    if session is None or seq != session.seq + 1 or not state.plain:
        return None
    found = skim(core)
    if found is None:
        return None
    head, part, item = found
    kind, name, said, [add], removes = part
    field = state.fields.get((kind, name))
    if head.prev != session.hash or head.deps or type(field) is not Keyed or field.notable or field.mortal:
        return None
    if said is not None and len(said) > 1:
        return None
    value = add[0]
    if kind == SET:
        key: Any = value if type(value) is str else key_of(value)
    elif kind == COUNTER:
        key = session.id
    elif kind == RECORDS:
        _, own, key = add
        if own is not None:
            return None
    else:
        key = None
    old = field.by_key.get(key)
    amount = None
    if type(old) is tuple:
        return None
    if kind == COUNTER:
        amount = value if old is None else value - old._frozen
    elif removes != (() if old is None else (old._id,)):  # a sibling comes, or something else goes
        return None
    state.follow(session, hash)
    stamp = Stamp(session, seq, head.hlc, head.actor)
    field.put((session.id, seq, 0), key, value, said, stamp, amount, digest_of(item), old)
    return head.hlc
