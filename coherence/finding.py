"""Findings: what a review found, as entries of the memory it was found in. They replicate and are audited.

1. A finding is known by the entries it names: replicas that find the same file the same.
2. It lives as long as all of its entries do. What is no longer said is no longer a contradiction.
3. A resolution rests on what it says it rests on. When some of that is retracted or replaced, the finding is open
   again.
4. Of several that were filed at once, the one furthest along shows: resolved, acknowledged, open; then the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from crdtmem.change import RECORDS
from crdtmem.concern import ACKNOWLEDGED, OPEN, RESOLVED, STATUSES, furthest, here, rests_on, status
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import BadBytes, MisuseError
from crdtmem.memory import Memory
from crdtmem.taint import FINDINGS
from crdtmem.values import freeze

KEEP, MERGE, BOTH, MISTAKEN = "keep", "merge", "both", "mistaken"
_AT = (RECORDS, FINDINGS)
SAYS = 600


@dataclass(frozen=True, slots=True)
class Finding:
    """Entries that cannot all hold, and why somebody thinks so.

    Args:
        id: what it is known by.
        kind: siblings, single, numeric, temporal, negation, antonym, entity, exclusive, value, or what a judge calls
        it. tier: certain or suspect.
        entries: the ids of the entries.
        authors: who wrote them, in the same order.
        says: one sentence for people.
        evidence: the words it turns on, in the same order as the entries as far as there are any.
        judge: who found it.
        relation: contradiction, or superseded where one entry is an update of the other.
        status: open, acknowledged or resolved.
        resolution: how it was resolved: how, why, and what goes with that.
        proposal: a merged value that a judge proposes, until somebody accepts it.

    >>> Finding(id="x", kind="value", tier="certain", entries=(), authors=(), says="No.").status
    'open'
    """

    id: str
    kind: str
    tier: str
    entries: tuple[EntryId, ...]
    authors: tuple[str, ...]
    says: str
    evidence: tuple[str, ...] = ()
    judge: str = "offline"
    relation: str = "contradiction"
    status: str = OPEN
    resolution: Mapping[str, Any] | None = None
    proposal: Mapping[str, Any] | None = None
    filed: Entry | None = field(default=None, compare=False, repr=False)

    def value(self) -> dict[str, Any]:
        """As it travels."""
        told: dict[str, Any] = {
            "kind": self.kind,
            "tier": self.tier,
            "relation": self.relation,
            "entries": [str(id) for id in self.entries],
            "authors": list(self.authors),
            "says": self.says,
            "evidence": list(self.evidence),
            "judge": self.judge,
            "status": self.status,
        }
        told |= {"resolution": dict(self.resolution)} if self.resolution is not None else {}
        return told | ({"proposal": dict(self.proposal)} if self.proposal is not None else {})

    @property
    def reopened(self) -> bool:
        """Whether it was settled, and what it rested on has fallen since."""
        return self.status == OPEN and self.filed is not None and self.filed.value["status"] != OPEN

    def __str__(self) -> str:
        return f"{self.tier} {self.kind}, {self.status}: {self.says}"


def finding_id(entries: Iterable[EntryId]) -> str:
    """What a finding about these entries is known by.

    >>> a, b = EntryId(bytes(16), 1, 0), EntryId(bytes(16), 2, 0)
    >>> finding_id([a, b]) == finding_id([b, a])
    True
    """
    return blake2b("\n".join(sorted(map(str, entries))).encode(), digest_size=12).hexdigest()


def made(kind: str, tier: str, entries: Sequence[Entry], says: str, **more: Any) -> Finding:
    """A finding about these entries."""
    ids = tuple(entry.id for entry in entries)
    return Finding(finding_id(ids), kind, tier, ids, tuple(entry.by for entry in entries), says[:SAYS], **more)


def findings(memory: Memory) -> list[Finding]:
    """The findings that were filed and are alive, the certain ones first.

    >>> from crdtmem import Replica
    >>> findings(Replica("ann").open(tenant="acme"))
    []
    """
    document = memory._document
    with document.lock:
        acts = {}
        for entries in memory._listed(_AT):
            filed = {entry: one for entry in entries if (one := _read(entry)) is not None}
            if filed:
                act = furthest(filed)
                acts[act] = filed[act]
        named = {tuple(id) for one in acts.values() for id in one.entries}.union(*map(rests_on, acts))
        live, tainted = here(document.state, named, document.now()), document.state.taint.tainted
    found = [_as_it_stands(one, status(act, live, tainted)) for act, one in acts.items() if _there(one, live)]
    return sorted(found, key=lambda one: (one.tier != "certain", one.id))


def _there(one: Finding, live: Collection[Any]) -> bool:
    return all(tuple(id) in live for id in one.entries)


def _as_it_stands(one: Finding, status: str) -> Finding:
    return one if one.status == status else replace(one, status=status, resolution=None)


def _read(entry: Entry) -> Finding | None:
    """A finding that somebody filed; None when it is not one: anybody may write anything."""
    told = entry.value
    try:
        ids = tuple(EntryId.parse(text) for text in told["entries"])
        words: dict[str, Any] = {name: told[name] for name in ("kind", "tier", "says", "status", "relation", "judge")}
        lists: dict[str, Any] = {name: tuple(told[name]) for name in ("authors", "evidence")}
        flat = [*words.values(), *lists["authors"], *lists["evidence"]]
        whole = all(type(word) is str for word in flat) and words["status"] in STATUSES and len(ids) > 1
        extra: dict[str, Any] = {name: told.get(name) for name in ("resolution", "proposal")}
        whole = whole and all(value is None or type(value) is dict for value in extra.values())
        if not whole or entry.key != finding_id(ids):
            return None
    except (BadBytes, TypeError, KeyError, AttributeError):
        return None
    return Finding(id=entry.key, entries=ids, filed=entry, **words, **lists, **extra)


# -- acts ------------------------------------------------------------------------------------------


def file(memory: Memory, one: Finding, *, why: str | None = None) -> Entry:
    """Write a finding into the memory, resting on the entries it names."""
    return _write(memory, one, why or one.says[:200], one.entries)


def acknowledge(memory: Memory, finding: Finding | str, *, why: str) -> Entry:
    """Say that a finding is known and somebody sees to it."""
    one = _filed(memory, finding)
    return _write(memory, replace(one, status=ACKNOWLEDGED), why, one.entries)


def resolve(
    memory: Memory,
    finding: Finding | str,
    how: str,
    *,
    why: str,
    keep: Entry | EntryId | None = None,
    because: Iterable[Entry | EntryId] = (),
) -> Entry:
    """Settle a finding. It stays settled as long as its entries stand and what the decision rests on does.

    Args:
        memory: the memory.
        finding: the finding, or its id.
        how: "keep" one of the entries, "merge" them, "both" are true, or the finding is "mistaken".
        why: the reason.
        keep: the entry that holds, for "keep".
        because: what else the decision rests on.

    Raises:
        MisuseError: there is no such finding, or it does not go together.
    """
    one = _filed(memory, finding)
    if how not in (KEEP, MERGE, BOTH, MISTAKEN):
        raise MisuseError(f"how: 'keep', 'merge', 'both' or 'mistaken', not {how!r:.40}")
    kept = keep.id if isinstance(keep, Entry) else keep
    if (how == KEEP) != (kept is not None) or (kept is not None and kept not in one.entries):
        raise MisuseError("keep: for 'keep', and only then, one of the entries of the finding")
    told = {"how": how, "why": why} | ({"keep": str(kept)} if kept is not None else {})
    premises = [*one.entries, *(cause.id if isinstance(cause, Entry) else cause for cause in because)]
    return _write(memory, replace(one, status=RESOLVED, resolution=told), why, premises)


def propose(memory: Memory, finding: Finding | str, value: Any, *, why: str, judge: str) -> Entry:
    """Put a merged value beside a finding, marked as the proposal of a judge; nothing else changes."""
    one = _filed(memory, finding)
    return _write(memory, replace(one, proposal={"value": value, "judge": judge, "why": why}), why, one.entries)


def accept(memory: Memory, finding: Finding | str, *, why: str) -> Any:
    """Take the proposal of a finding: it is resolved by a merge, and the merged value is returned, to be written.

    Raises:
        MisuseError: there is no such finding, or nothing is proposed.
    """
    one = _filed(memory, finding)
    if one.proposal is None or "value" not in one.proposal:
        raise MisuseError("nothing is proposed for this finding; see propose()")
    told = {"how": MERGE, "why": why, "accepted": dict(one.proposal)}
    _write(memory, replace(one, status=RESOLVED, resolution=told), why, one.entries)
    return one.proposal["value"]


def _filed(memory: Memory, finding: Finding | str) -> Finding:
    id = finding.id if isinstance(finding, Finding) else finding
    found = next((one for one in findings(memory) if one.id == id), None)
    if found is None and isinstance(finding, Finding):
        return finding
    if found is None:
        raise MisuseError(f"no live finding {id!r:.40}; findings(memory) lists them, and report.file() files new ones")
    return found


def _write(memory: Memory, one: Finding, why: str, because: Iterable[EntryId]) -> Entry:
    attributes: Any = {"why": why, "because": list(dict.fromkeys(because))}
    return memory._put(_AT, one.id, freeze(one.value()), attributes)
