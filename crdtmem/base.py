"""The base: what the pruned changes alone add up to. Whoever makes a state anew begins with it.

It is kept on the shelf as a snapshot in parts, and a manifest that is written last. A new one is made of the one
before and the changes about to be pruned, which nothing will void any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem.errors import BadBytes, StoreError
from crdtmem.snapshot import Snapshot, restore
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.values import encode

_FOLDER = "base/"
_PART = 128 * 1024
_manifest = Decoder(tuple[int, int, bytes, bytes]).decode


def read(log: Log, like: State) -> tuple[State, int] | None:
    """The base of a log, and the place of the last record in it; None if nothing was pruned.

    Raises:
        StoreError: something was, and it is not here.
    """
    for name in sorted(name for name in log.names() if name.startswith(_FOLDER) and name.count("/") == 1)[::-1]:
        try:
            place, parts, digest, hash = _manifest(log.get(name) or b"")
            data = b"".join([log.get(f"{name}/{number:06}") or b"" for number in range(parts)])
            if blake2b(data, digest_size=32).digest() == hash:
                return restore(data, like.namespace, log, digest, like.owner), place
        except (BadBytes, DecodeError):
            continue
    if like.pruned.any():
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
    older = [name for name in log.names() if name.startswith(_FOLDER)]
    snapshot = Snapshot(state)
    data = b"".join(snapshot.pieces())
    parts: Sequence[bytes] = [data[at : at + _PART] for at in range(0, len(data), _PART)]
    name = f"{_FOLDER}{place:016}"
    for number, part in enumerate(parts):
        log.put(f"{name}/{number:06}", part)
    log.put(name, encode((place, len(parts), snapshot.digest, blake2b(data, digest_size=32).digest())))
    for old in sorted(older, key=len):  # manifests first
        if not old.startswith(name):
            log.drop(old)


def drop(log: Log) -> None:
    """Let go of it: what is pruned next cannot be added to it."""
    for name in sorted((name for name in log.names() if name.startswith(_FOLDER)), key=len):
        log.drop(name)
