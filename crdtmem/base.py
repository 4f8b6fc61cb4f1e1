"""The base: what the pruned changes alone add up to. Whoever makes a state anew begins with it.

It is kept on the shelf as a snapshot in parts, and a manifest that is written last. A new one is made of the one
before and the changes about to be pruned, which nothing will void any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem.errors import BadBytes, StoreError
from crdtmem.snapshot import Snapshot, restore
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.values import encode

FOLDER = "base/"
_PART = 128 * 1024
_manifest = Decoder(tuple[int, int, bytes, bytes]).decode


def read(log: Log, like: State, before: int | None = None) -> tuple[State, int] | None:
    """The base of a log, and the place of the last record in it; None if nothing was pruned.

    Args:
        log: the log.
        like: a state of the same memory.
        before: the newest that ends before this place, if there is one and not the newest of all.

    Raises:
        StoreError: something was, and it is not here.
    """
    for name in sorted(name for name in log.names() if name.startswith(FOLDER) and name.count("/") == 1)[::-1]:
        try:
            place, parts, digest, hash = _manifest(log.get(name) or b"")
            if before is not None and place >= before:
                continue
            data = b"".join([log.get(f"{name}/{number:06}") or b"" for number in range(parts)])
            if blake2b(data, digest_size=32).digest() == hash:
                return restore(data, like.namespace, log, digest, like.owner), place
        except (BadBytes, DecodeError):
            continue
    if before is not None and like.pruned.any():
        return read(log, like)  # nothing is kept below it
    if like.pruned.any() or (like.pruned.owed and before is None):
        raise StoreError("what was pruned here left no base, so nothing before it can be made void any more")
    return None


def read_if_any(log: Log, like: State) -> tuple[State, int] | None:
    """The base, if one is here."""
    try:
        return read(log, like)
    except StoreError:
        return None


def write(log: Log, state: State, place: int) -> None:
    """Keep a base, and let go of the one before."""
    older = [name for name in log.names() if name.startswith(FOLDER)]
    snapshot = Snapshot(state)
    made = blobs(place, snapshot.digest, b"".join(snapshot.pieces()))
    for name, part in made.items():
        log.put(name, part)
    _drop(log, [name for name in older if name not in made])


def blobs(place: int, digest: bytes, data: bytes) -> dict[str, bytes]:
    """What keeps a base, given its snapshot: parts, and the manifest last."""
    name = f"{FOLDER}{place:016}"
    parts = [data[at : at + _PART] for at in range(0, len(data), _PART)]
    manifest = encode((place, len(parts), digest, blake2b(data, digest_size=32).digest()))
    return {**{f"{name}/{number:06}": part for number, part in enumerate(parts)}, name: manifest}


def drop(log: Log, place: int | None = None) -> None:
    """Let go of the one at a place, or of all: what is pruned next cannot be added to them."""
    folder = FOLDER if place is None else f"{FOLDER}{place:016}"
    _drop(log, [name for name in log.names() if name.startswith(folder)])


def _drop(log: Log, names: Iterable[str]) -> None:
    for name in sorted(names, key=len):  # manifests first
        log.drop(name)
