"""Records: a mapping from keys to values, with writes of single sub-keys that merge.

`put` writes a whole value and replaces all that is seen under the key. `merge` writes a patch: only the given
sub-keys. A patch names the entries it lies over; within its sub-keys it stands for them, and against anything it has
not seen it is a sibling. A patch all of whose sub-keys are covered by later ones is removed, so merging for ever
leaves at most one patch for each sub-key and author.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from crdtmem.change import RECORDS, Version, is_key
from crdtmem.draft import KeyedDraft, put_over
from crdtmem.entry import About, Attributes, Entry
from crdtmem.errors import ValueRefused
from crdtmem.fields.field import Field, oldest_first
from crdtmem.fields.resolve import Resolve, resolved, rule
from crdtmem.values import Frozen, freeze, key_of, thaw

if TYPE_CHECKING:
    from crdtmem.memory import Memory

T = TypeVar("T")


class Records(Field[T], MutableMapping[str, T]):
    """A mapping of keys to values, each entry with its author.

    >>> from crdtmem import Replica
    >>> orders = Replica("ann").open(tenant="acme").records("orders")
    >>> _ = orders.put("42", {"state": "open", "sum": 12})
    >>> _ = orders.merge("42", {"state": "refunded"}, why="damaged")
    >>> orders["42"]
    {'state': 'refunded', 'sum': 12}
    """

    __slots__ = ("_resolve",)
    _kind = RECORDS

    def __init__(self, memory: Memory, name: str, resolve: Resolve = "latest") -> None:
        super().__init__(memory, name)
        rule(resolve)
        self._resolve = resolve

    def put(self, key: str, value: T, *, seen: Version | str | None = None, **attributes: Unpack[Attributes]) -> Entry:
        """Write the whole value of a key, replacing what was seen under it.

        Args:
            key: any text of at most 1024 characters.
            value: the value.
            seen: the version the decision rests on; what was written since then stays as a sibling.
            attributes: why, because, confidence, tags, source, ttl, valid.
        """
        frozen = freeze(value, [key])
        if type(key) is not str or len(key) > _PLAIN or not key.isascii():
            key = _key(key)
        if seen is None:
            return self._memory._put(self._at, key, frozen, attributes)
        return self._memory._write(self._at, put_over, attributes, key, frozen, self._memory._past(seen))

    def merge(self, key: str, patch: Mapping[str, Any], **attributes: Unpack[Attributes]) -> Entry:
        """Write only these sub-keys of a dict; concurrent merges of other sub-keys all hold."""
        if not isinstance(patch, Mapping) or not patch:
            raise ValueRefused(f"[{key!r}]: merge takes a dict with at least one sub-key; put() writes a whole value")
        frozen = freeze(dict(patch), [key])
        return self._memory._write(self._at, _merge, attributes, _key(key), frozen)

    def delete(self, key: str, **attributes: Unpack[Attributes]) -> bool:
        """Remove a key, as far as its entries are seen here; whether there was one."""
        return self._memory._write(self._at, _delete, attributes, key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or a default."""
        seen = self._memory._shown(self._at, key)
        if len(seen) == 1 and seen[0].extra is None:
            return thaw(seen[0]._frozen)
        return fold(seen, self._resolve) if seen else default

    def siblings(self, key: str) -> list[Entry]:
        """Every live entry under a key, oldest first: whole values and patches."""
        seen = self._memory._shown(self._at, key)
        return oldest_first(seen) if len(seen) > 1 else list(seen)

    def __getitem__(self, key: str) -> T:
        seen = self._memory._shown(self._at, key)
        if len(seen) == 1 and seen[0].extra is None:
            return thaw(seen[0]._frozen)  # type: ignore[no-any-return]
        if not seen:
            raise KeyError(key)
        return fold(seen, self._resolve)  # type: ignore[no-any-return]

    def __setitem__(self, key: str, value: T) -> None:
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._memory._shown(self._at, key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._memory._held(self._at))

    def __len__(self) -> int:
        return self._memory._count(self._at)

    def _all(self) -> list[Entry]:
        return oldest_first(entry for entries in self._memory._listed(self._at) for entry in entries)

    __hash__ = None  # type: ignore[assignment]


_PLAIN = 1024  # characters of ASCII that need no further check, as a key or a value


def fold(entries: Sequence[Entry], resolve: Resolve) -> Any:
    """The value of a key from its whole values and patches."""
    wholes = [entry for entry in entries if entry.extra is None]
    patches = [entry for entry in entries if entry.extra is not None]
    value = resolved(wholes, resolve) if wholes else {}
    if not patches:
        return value
    if not isinstance(value, dict):
        newest = oldest_first(entries)[-1]
        if newest.extra is None:
            return value
        value, wholes = {}, []
    for name, rivals in contenders(entries).items():
        standing = [
            rival for rival in rivals if rival.extra is not None or (rival in wholes and _gives(rival, name, value))
        ]
        if any(rival.extra is not None for rival in standing):
            value[name] = resolved([_sub(rival, name) for rival in standing], resolve)
    return value


def _gives(whole: Entry, name: str, value: Any) -> bool:
    """Whether the chosen value has this sub-key from that sibling: of the siblings that lost, nothing comes back."""
    return name in value and key_of(freeze(value[name])) == key_of(freeze(whole.value[name]))


def contenders(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """For each sub-key, the entries that give it a value and that no other stands for."""
    dicts = [(entry, entry.value) for entry in oldest_first(entries)]
    dicts = [(entry, value) for entry, value in dicts if isinstance(value, dict)]
    found: dict[str, list[Entry]] = {}
    for name in dict.fromkeys(name for _, value in dicts for name in value):
        having = [entry for entry, value in dicts if name in value]
        covered = {tuple(_ident(under)) for entry in having for under in entry.extra or ()}
        found[name] = [entry for entry in having if entry._id is None or tuple(entry._id) not in covered]
    return found


def _ident(under: Any) -> Any:
    return under._id or (id(under),) if isinstance(under, Entry) else under


def _sub(whole: Entry, name: str) -> Entry:
    """A sibling as seen from one sub-key."""
    value = freeze(whole.value[name])
    return Entry(whole._id, whole.field, whole.key, value, whole._about, whole._stamp, whole.extra)


def _key(key: object) -> str:
    if not isinstance(key, str) or not is_key(key):
        raise ValueRefused(f"key {key!r:.40}: a str of at most 1024 characters")
    return freeze(key, "key")  # type: ignore[return-value]


def _merge(part: KeyedDraft, about: About | None, key: str, frozen: Frozen) -> Entry:
    seen = part.live(key)
    if any(entry.extra is None and not isinstance(entry.value, dict) for entry in seen):
        value = fold(seen, "latest")
        if not isinstance(value, dict):
            raise ValueRefused(f"[{key!r}]: it holds {value!r:.40}, not a dict; put() replaces it")
    given = thaw(frozen)
    alone = [entry for entry in seen if entry._id is None]
    if alone:  # staged in this very block: write over it, nobody has seen it
        base = {**thaw(alone[-1]._frozen), **given}
        alone[-1]._frozen = freeze(base, [key])
        if about is not None:
            alone[-1]._about = about
        return alone[-1]
    values = {id(entry): entry.value for entry in seen if entry.extra is not None}
    rivals = contenders(seen)
    for entry in seen:
        if entry.extra is not None and all(
            sub in given or not any(rival is entry for rival in rivals[sub]) for sub in values[id(entry)]
        ):
            part.remove(entry)
    return part.add(key, frozen, about, tuple(part.live(key)))


def _delete(part: KeyedDraft, about: About | None, key: str) -> bool:
    seen = part.live(key)
    for entry in seen:
        part.remove(entry)
    return bool(seen)


def disagreement(entries: Sequence[Entry]) -> list[Entry]:
    """The entries under one key that cannot all hold; empty when they agree."""
    wholes = [entry for entry in entries if entry.extra is None]
    rivals: list[Entry] = []
    if len({key_of(entry._frozen) for entry in wholes}) > 1:
        rivals += wholes
    if any(entry.extra is not None for entry in entries):
        if not all(isinstance(entry.value, dict) for entry in wholes):
            speaking = [entry for standing in contenders(entries).values() for entry in standing]
            patches = [entry for entry in entries if entry.extra is not None and entry in speaking]
            return oldest_first(wholes + patches)  # patches beside what cannot be patched
        for name, standing in contenders(entries).items():
            if len({key_of(freeze(entry.value[name])) for entry in standing}) > 1:
                rivals += [entry for entry in standing if entry not in rivals]
    return oldest_first(rivals)
