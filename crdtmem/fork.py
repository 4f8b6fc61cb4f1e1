"""Beginning a memory with what another one shows: copies, each resting on its origin, in bearable changes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from crdtmem.change import COUNTER, MAX_RUNS, TEXT
from crdtmem.draft import Fresh, OrderedDraft
from crdtmem.entry import About, Entry, trimmed
from crdtmem.errors import MisuseError
from crdtmem.fields.field import alive, oldest_first
from crdtmem.fields.keyed import Keyed
from crdtmem.history import folded, writing

if TYPE_CHECKING:
    from crdtmem.memory import Memory

AT_ONCE = MAX_RUNS  # entries, or a quarter of a megabyte, in each change


def fork(source: Memory, target: Memory) -> None:
    """Write all that one memory shows into another, empty one, each entry resting on the one it copies."""
    if target.fields():
        raise MisuseError(f"{target.namespace!r} is not empty; fork into a namespace of its own")
    state, write, now = source._document.state, _Copying(target), source._document.now()
    for (kind, name), field in sorted(state.fields.items(), key=lambda item: item[0]):
        if name[0] == "@":
            continue
        if type(field) is Keyed and kind == COUNTER:
            if field.total:
                write(lambda part, about, total=field.total: part.add(None, total, about, total), (kind, name), None, 8)
        elif type(field) is Keyed:
            keys = [oldest_first(alive(field.live(key), now)) for key in field.held()]
            whole = [[folded(e)] if any(entry.extra is not None for entry in e) else e for e in keys]
            for some in zip_longest(*whole):  # one change writes a key once: siblings come one after the other
                for entry in filter(None, some):
                    write(_adder(entry), (kind, name), entry, _size(entry))
                write.flush()
        else:
            for entry in field.shares() if kind == TEXT else alive(field.entries(), now):  # type: ignore[union-attr]
                write(_appender(entry), (kind, name), entry, _size(entry))
    write.flush()


def _adder(entry: Entry) -> Callable[[Any, About], object]:
    return lambda part, about: part.add(entry.key, entry._frozen, about)


def _appender(entry: Entry) -> Callable[[Any, About], object]:
    def append(part: OrderedDraft, about: About) -> None:
        fresh = Entry(None, entry.field, None, entry._frozen, about, None)
        content: Any = entry._frozen if part.field.kind == TEXT else [entry._frozen]
        part.insert(len(part), Fresh(content, [fresh], about))

    return append


def _size(entry: Entry) -> int:
    value = entry._frozen
    return 64 + len(getattr(value, "data", value) if type(value) not in (int, float, bool, type(None)) else b"")  # type: ignore[arg-type]


class _Copying:
    """Writes into a memory, in changes of bearable size."""

    def __init__(self, target: Memory) -> None:
        self._target = target
        self._staged: list[tuple[Any, Any, Entry | None]] = []
        self._size = 0

    def __call__(self, write: Callable[..., object], at: tuple[int, str], entry: Entry | None, size: int) -> None:
        if len(self._staged) >= AT_ONCE or self._size + size > 1 << 18:
            self.flush()
        self._staged.append((write, at, entry))
        self._size += size

    def flush(self) -> None:
        """Make the change."""
        if not self._staged:
            return
        with writing(self._target, None) as (draft, _):
            for write, at, entry in self._staged:
                write(draft.part(at), entry and _origin_of(entry, self._target._document.now()))
        self._staged.clear()
        self._size = 0


def _origin_of(entry: Entry, now: float) -> About:
    """What a copy says: all that the entry said, but that it rests on that one; it lives no longer."""
    about = entry._about or ()
    if entry.ttl is not None:
        left = entry.ttl + entry.at.timestamp() - now
        about = (*about[:5], left if left > 0 else None, *about[6:])  # a pinned memory shows what is long over
    return trimmed((about[0] if about else None, (entry.id,), *about[2:]))
