"""What the owner of a namespace says: rules, cuts, what is settled. Each is one change with an entry in a field of its
own, which replicates and is audited like all others; `trust` says what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crdtmem import asof
from crdtmem.clock import aware
from crdtmem.entry import Entry
from crdtmem.errors import MisuseError, RulesRefused, ValueRefused
from crdtmem.history import writing
from crdtmem.rules import Rules, as_key
from crdtmem.trust import CUTS, RULES, SETTLED, Trust, cut_value, settled_value
from crdtmem.values import freeze, key_of

if TYPE_CHECKING:
    from crdtmem.change import Version
    from crdtmem.memory import Memory


def decree(memory: Memory, rules: Rules, why: str | None) -> Entry | None:
    """Write rules, unless they are the current ones."""
    trust = _trust(memory)
    if trust.rules == rules:
        return None
    lost = [key for key in rules.agents if any(cut.key == key and cut.field is None for cut in trust.cuts.values())]
    if lost:
        raise ValueRefused(f"agents: the key {lost[0].hex()[:12]}... was revoked, for good; give its agent a new one")
    with writing(memory, why) as (draft, said):
        return draft.part(RULES).put(None, freeze(rules.wire()), said)  # type: ignore[union-attr]


def cut(memory: Memory, who: str | bytes, field: str | None, since: Version | str | datetime | None, why: str) -> Entry:
    """Void what a key wrote after a version to a field, or to all; then it is no longer in the rules."""
    document, trust = memory._document, _trust(memory)
    with document.lock:
        keys = _keys(trust, who)
        if any(trust.owns(key) for key in keys):
            raise MisuseError("the owner cannot be cut off from its own namespace")
        marks = {} if since is None else _marks(memory, since)
        token = "" if since is None else str(memory.version if isinstance(since, datetime) else since)
        sessions = document.state.sessions
        cuts = []
        for key in keys:
            counts = {id: seq for id, seq in marks.items() if id in sessions and sessions[id].key == key}
            below = [
                id
                for id, seq in trust.floor().items()
                if id in sessions and sessions[id].key == key and seq > counts.get(id, 0)
            ]
            if below:
                raise MisuseError("since: what lies before it is settled in part; cut from a version that is not")
            cuts.append(freeze(cut_value(key, field, counts, token)))
        with writing(memory, why) as (draft, said):
            part: Any = draft.part(CUTS)
            made = [part.add(key_of(value), value, said) for value in cuts]
            rules = trust.rules
            if field is None and rules is not None and any(rules.named(key) for key in keys):
                for key in keys:
                    rules = rules.without(key)
                draft.part(RULES).put(None, freeze(rules.wire()), said)  # type: ignore[union-attr]
            return made[0]  # type: ignore[no-any-return]


def settle(memory: Memory, version: Version | str | None, why: str | None) -> Entry:
    """No later cut reaches below this version."""
    document, trust = memory._document, _trust(memory)
    with document.lock:
        at = memory.version if version is None else memory._version(version)
        marks = {**trust.floor()}
        for id, seq in document.past(at).items():
            marks[id] = max(seq, marks.get(id, 0))
        value = freeze(settled_value(marks, trust.cuts, str(at)))
        with writing(memory, why) as (draft, said):
            return draft.part(SETTLED).put(None, value, said)  # type: ignore[union-attr]


def _trust(memory: Memory) -> Trust:
    document = memory._document
    trust = document.state.trust
    if trust is None:
        raise MisuseError("this namespace is open, and nobody's; Replica.own(...) makes one with rules")
    if not trust.owns(document.key):
        raise RulesRefused("only the owner of this namespace can; its key is not that of this replica")
    return trust


def _keys(trust: Trust, who: str | bytes) -> list[bytes]:
    """The keys of an agent, under any rules there were, or the key itself."""
    if isinstance(who, bytes):
        return [as_key(who)]
    keys = {key for _, rules in trust.book.values() for key in rules.keys(who)}
    if not keys and len(who) == 64:
        return [as_key(who)]
    if not keys:
        raise ValueRefused(f"{who!r:.60} is no agent that the rules ever named; give its key: entry.stamp.writer.key")
    return sorted(keys)


def _marks(memory: Memory, since: Version | str | datetime) -> Mapping[bytes, int]:
    document = memory._document
    if isinstance(since, datetime):
        return document.past(asof.when(document, aware(since)).version)
    return document.past(memory._version(since))
