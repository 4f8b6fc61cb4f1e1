"""A LangGraph store over a memory: the same calls, and writes that several processes make at once all survive.

An item is a record: its key is the labels of its namespace joined by dots, two dots, and the key of the item. What
LangGraph keeps beside a value stands in two more fields: `about` says when an item was first made, how it is indexed
and how long it lives, where that does not follow from its value's entry; `read` says when an item that lives for a
while was last read. So a record holds what was put and nothing else, with its author, and other programs may write it.

A batch reads what stood before it, and its writes are one change. Searching looks at every record below its prefix.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from msgspec.msgpack import Ext

from crdtmem import Entry, Memory, ReadOnly, RulesRefused, ValueRefused
from crdtmem.adapters.filters import matches
from crdtmem.adapters.together import together
from crdtmem.adapters.vectors import Candidate, Vector, Vectors
from crdtmem.extras import extra
from crdtmem.values import encode, freeze

with extra("langgraph"):
    from langgraph.store.base import (
        NOT_PROVIDED,
        BaseStore,
        GetOp,
        IndexConfig,
        InvalidNamespaceError,
        Item,
        ListNamespacesOp,
        MatchCondition,
        NotProvided,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        validate_op_namespace,
    )

BETWEEN = ".."  # a label has no dot and is never empty, so the first of these ends the namespace
FRESH = 0.05  # a read prolongs a life when this part of it is over


class CrdtmemStore(BaseStore):
    """A `BaseStore` over a memory.

    Args:
        memory: where items are kept, and whose agent writes them.
        field: the records they are kept in.
        index: which parts of values are embedded, and by what; without it a query is not looked at.
        ttl: how long items live that do not say so themselves, in minutes, and whether reading prolongs it.
        time: seconds since 1970.

    >>> from crdtmem import Replica
    >>> store = CrdtmemStore(Replica("ann").open(tenant="acme"))
    >>> store.put(("users", "7"), "prefs", {"theme": "dark"})
    >>> store.get(("users", "7"), "prefs").value
    {'theme': 'dark'}
    >>> [entry.by for entry in store.siblings(("users", "7"), "prefs")]
    ['ann']
    """

    __slots__ = ("_about", "_items", "_read", "_time", "_vectors", "index_config", "memory", "ttl_config")
    supports_ttl = True

    def __init__(
        self,
        memory: Memory,
        *,
        field: str = "store",
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        time: Callable[[], float] = clock.time,
    ) -> None:
        self.memory = memory
        self.index_config = index
        self.ttl_config = ttl
        self._items = memory.records(field)
        self._about = memory.records(f"{field}.about")
        self._read = memory.records(f"{field}.read")
        self._vectors = Vectors(index) if index else None
        self._time = time

    # -- LangGraph's side --------------------------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Read, then write: all writes of a batch are one change."""
        asked = _checked(ops)
        found = self._candidates(asked)
        vectors = {}
        if found and self._vectors is not None:
            vectors = self._vectors.embed(_queries(asked), [one for some in found.values() for one in some])
        return self._done(asked, found, vectors)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same; an embedder that can be awaited is."""
        asked = _checked(ops)
        found = self._candidates(asked)
        vectors = {}
        if found and self._vectors is not None:
            vectors = await self._vectors.aembed(_queries(asked), [one for some in found.values() for one in some])
        return self._done(asked, found, vectors)

    def get(self, namespace: tuple[str, ...], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """The item under a key: as a batch of one gives it, in half the time."""
        namespace = tuple(namespace)
        where = f"{_prefix(namespace)}{key}"
        about = self._known(where)
        item = self._item(where, namespace, str(key), about)
        if "ttl" in about and item is not None:
            asked = (self.ttl_config or {}).get("refresh_on_read", True) if refresh_ttl is None else refresh_ttl
            if asked:
                self._prolong(item)
        return item

    def put(
        self,
        namespace: tuple[str, ...],
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Keep an item: as a batch of one does it, in half the time where nothing but its value is new."""
        lasts = ttl is None or (ttl is NOT_PROVIDED and self.ttl_config is None)
        if lasts and index is None and type(value) is dict:
            where = f"{_prefix(tuple(namespace))}{key}"
            about = self.memory._only(self._about._at, where)
            frozen = None if about is None else about._frozen
            if type(frozen) is Ext and _FIRST <= frozen.data < _LAST:  # type: ignore[operator]  # it says "made" alone
                self.memory._put(self._items._at, where, freeze(value, [where]), {})  # what is a key there is one here
                return
        super().put(namespace, key, value, index, ttl=ttl)

    def sweep_ttl(self) -> int:
        """Delete what has outlived its time, and say how many items that was. Nobody sees them before that either."""
        over = [key for key in list(self._about) if key in self._items and self._shown(key) is None]
        with together(self.memory):
            for key in over:
                self._drop(key, why="its time to live is over")
        return len(over)

    # -- beyond it ---------------------------------------------------------------------------------

    def siblings(self, namespace: tuple[str, ...], key: str) -> list[Entry]:
        """Every value that stands under a key, oldest first: several after puts that did not know of each other."""
        return self._items.siblings(_key(namespace, key))

    def conflicts(self) -> dict[tuple[tuple[str, ...], str], list[Entry]]:
        """The items of which several values stand that differ. A put that has seen them replaces them all.

        >>> from crdtmem import Replica
        >>> ann, bob = (CrdtmemStore(Replica(name).open(tenant="acme")) for name in ("ann", "bob"))
        >>> ann.put(("plan",), "status", {"is": "open"})
        >>> bob.put(("plan",), "status", {"is": "done"})
        >>> _ = ann.memory.receive(bob.memory.changes())
        >>> {key: sorted(entry.by for entry in entries) for (_, key), entries in ann.conflicts().items()}
        {'status': ['ann', 'bob']}
        """
        found = [one for one in self.memory.conflicts() if one.field == self._items.name]
        return {_parsed(one.key): list(one.entries) for one in found if one.key and BETWEEN in one.key}

    # -- reading -----------------------------------------------------------------------------------

    def _done(self, ops: list[Op], found: Mapping[int, list[Candidate]], vectors: Mapping[str, Vector]) -> list[Result]:
        results: list[Result] = []
        puts: dict[str, PutOp] = {}
        reads: list[Item] = []
        for number, op in enumerate(ops):
            if isinstance(op, GetOp):
                item = self._shown(_key(op.namespace, op.key))
                if item is not None and op.refresh_ttl:
                    reads.append(item)
                results.append(item)
            elif isinstance(op, PutOp):
                puts[_key(op.namespace, op.key)] = op
                results.append(None)
            elif isinstance(op, SearchOp):
                hits = self._ranked(op, found[number], vectors) if number in found else self._newest(op)
                if op.refresh_ttl:
                    reads += hits
                results.append(hits)
            else:
                results.append(self._namespaces(op))
        for item in reads:
            self._prolong(item)
        if len(puts) == 1:
            self._put(*puts.popitem())
        elif puts:
            with together(self.memory):
                for key, op in puts.items():
                    self._put(key, op)
        return results

    def _shown(self, key: str) -> Item | None:
        return self._item(key, *_parsed(key), self._known(key))

    def _known(self, key: str) -> Mapping[str, Any]:
        """What is known of an item beside its value; what is not ours to read is nothing."""
        found = self._about.get(key)
        return found if found is not None and _is_sound(found) else {}

    def _item(self, key: str, namespace: tuple[str, ...], own: str, about: Mapping[str, Any]) -> Item | None:
        entries = self._items.siblings(key)
        if not entries:
            return None
        value = entries[0].value if len(entries) == 1 else self._items[key]
        if type(value) is not dict:
            return None
        first, last = entries[0], entries[-1]
        changed = last.at if last._stamp is not None else datetime.fromtimestamp(self._time(), UTC)
        made = changed if first is last else first.at
        if "made" in about:
            made = datetime.fromtimestamp(about["made"] / 1000, UTC)
        if "ttl" in about and self._last_used(key, changed) + about["ttl"] * 60 <= self._time():
            return None
        return Item(value=value, key=own, namespace=namespace, created_at=made, updated_at=changed)

    def _last_used(self, key: str, changed: datetime) -> float:
        """When an item was last written or read."""
        read = [entry.at for entry in self._read.siblings(key) if entry._stamp is not None]
        return max([changed, *read]).timestamp()

    def _below(self, op: SearchOp) -> Iterator[tuple[Entry, Item]]:
        """What is below the prefix of a search and passes its filter, each with the entry that it shows."""
        labels = ".".join(op.namespace_prefix)
        starts = (labels + BETWEEN, labels + ".") if labels else ("",)
        for key in self._items:
            if key.startswith(starts) and BETWEEN in key:
                item = self._shown(key)
                if item is not None and matches(item.value, op.filter):
                    yield self._items.siblings(key)[-1], item

    def _newest(self, op: SearchOp) -> list[SearchItem]:
        found = sorted(self._below(op), key=_rank, reverse=True)
        return [_hit(item, None) for _, item in found[op.offset : op.offset + op.limit]]

    def _ranked(self, op: SearchOp, candidates: list[Candidate], vectors: Mapping[str, Vector]) -> list[SearchItem]:
        assert self._vectors is not None and op.query
        ranked = self._vectors.rank(vectors[op.query], candidates)
        return [_hit(one.item, score) for one, score in ranked[op.offset : op.offset + op.limit]]

    def _candidates(self, ops: list[Op]) -> dict[int, list[Candidate]]:
        """What each search with a query is to rank, of equals the newer first; what is no longer there is forgotten."""
        found: dict[int, list[Candidate]] = {}
        if self._vectors is not None:
            for number, op in enumerate(ops):
                if isinstance(op, SearchOp) and op.query:
                    found[number] = [self._candidate(*one) for one in sorted(self._below(op), key=_rank, reverse=True)]
            if found:
                self._vectors.keep(self._items)
        return found

    def _candidate(self, entry: Entry, item: Item) -> Candidate:
        return Candidate(entry.key, entry._id, item, self._known(entry.key).get("index"))

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        keys = [key for key in self._items if BETWEEN in key and self._shown(key) is not None]
        found = {_parsed(key)[0] for key in keys}
        conditions = op.match_conditions or ()
        found = {one for one in found if all(_fits(one, condition) for condition in conditions)}
        if op.max_depth is not None:
            found = {one[: op.max_depth] for one in found}
        return sorted(found)[op.offset : op.offset + op.limit]

    # -- writing -----------------------------------------------------------------------------------

    def _put(self, key: str, op: PutOp) -> None:
        if op.value is None:
            self._drop(key)
            return
        if not isinstance(op.value, Mapping):
            raise ValueRefused(f"{key!r:.80}: a store keeps dicts, not {type(op.value).__name__}")
        about: dict[str, Any] = {}
        if op.ttl is not None:
            about["ttl"] = float(op.ttl)
        if op.index is not None:
            about["index"] = op.index
        known = self._known(key)
        if "made" in known and "ttl" not in known:
            about["made"] = known["made"]
        elif key in self._items:
            before = self._shown(key)
            if before is not None:
                about["made"] = round(before.created_at.timestamp() * 1000)
        if about == known:
            self._items.put(key, dict(op.value))
            return
        with together(self.memory):
            self._items.put(key, dict(op.value))
            if about:
                self._about.put(key, about)
            else:
                self._about.delete(key)

    def _drop(self, key: str, why: str | None = None) -> None:
        with together(self.memory):
            self._items.delete(key, why=why)
            for beside in (self._about, self._read):
                if key in beside:
                    beside.delete(key)

    def _prolong(self, item: Item) -> None:
        """Begin an item's life anew; not for every read, since each is a write."""
        key = _key(item.namespace, item.key)
        life = self._known(key).get("ttl")
        if life is not None and self._time() - self._last_used(key, item.updated_at) > FRESH * life * 60:
            with suppress(ReadOnly, RulesRefused):  # who may only read prolongs nothing
                self._read.put(key, None)


# -- names -----------------------------------------------------------------------------------------


def _checked(ops: Iterable[Op]) -> list[Op]:
    """The operations; a namespace that cannot be is refused before any of them is done."""
    found = list(ops)
    for op in found:
        if isinstance(op, GetOp | PutOp):
            _prefix(tuple(op.namespace))
        elif isinstance(op, SearchOp | ListNamespacesOp):
            validate_op_namespace(op)
        else:
            raise ValueRefused(f"{type(op).__name__} is no operation of a store; use GetOp, PutOp, SearchOp, ...")
    return found


def _queries(ops: list[Op]) -> set[str]:
    return {op.query for op in ops if isinstance(op, SearchOp) and op.query}


def _is_sound(about: Any) -> bool:
    """Whether this is what a store writes beside an item: anybody may write to its fields."""
    if type(about) is not dict:
        return False
    made, ttl, index = about.get("made", 0), about.get("ttl", 0), about.get("index", False)
    return (
        type(made) is int
        and 0 <= made < _LATEST
        and type(ttl) in (int, float)
        and (index is False or (type(index) is list and all(type(path) is str for path in index)))
    )


_LATEST = 253_402_300_800_000  # milliseconds to the end of the calendar
_FIRST, _LAST = encode({"made": 2**32}), encode({"made": _LATEST})  # from the former on, bytes sort as their moments do


def _rank(found: tuple[Entry, Item]) -> tuple[bool, int, str]:
    """Of two, which is newer; what an open change() has written is newest."""
    entry, _ = found
    return (True, 0, entry.key) if entry._stamp is None else (False, entry._stamp.hlc, entry.key)


def _hit(item: Item, score: float | None) -> SearchItem:
    return SearchItem(item.namespace, item.key, item.value, item.created_at, item.updated_at, score)


@lru_cache(4096)  # labels are checked once
def _prefix(namespace: tuple[str, ...]) -> str:
    if not namespace:
        raise InvalidNamespaceError("Namespace cannot be empty.")
    validate_op_namespace(GetOp(namespace, ""))
    return ".".join(namespace) + BETWEEN


def _key(namespace: tuple[str, ...], key: str) -> str:
    return f"{_prefix(tuple(namespace))}{key}"


def _parsed(key: str) -> tuple[tuple[str, ...], str]:
    labels, _, own = key.partition(BETWEEN)
    return tuple(labels.split(".")), own


def _fits(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(want in ("*", have) for want, have in zip(path, part, strict=True))
