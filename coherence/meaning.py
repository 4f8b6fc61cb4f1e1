"""Vectors of an embedder as terms for blocking: statements of like meaning share some, whatever their words.

Each vector is cut by fixed random planes into `TABLES` short signatures (locality-sensitive hashing). It costs one
product for each plane and statement, once; nothing is compared with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import mul

from crdtmem.errors import ValueRefused

TABLES, BITS = 16, 8
AT_ONCE = 256  # texts handed to the embedder together
Embed = Callable[[list[str]], Iterable[Sequence[float]]]


def signatures(texts: Sequence[str], embed: Embed) -> dict[str, list[str]]:
    """The terms of each text.

    >>> like = signatures(["a", "b", "c"], lambda texts: [[1, 0.1], [1, 0.11], [-1, 2]][: len(texts)])
    >>> len(set(like["a"]) & set(like["b"])) > len(set(like["a"]) & set(like["c"]))
    True
    """
    found: dict[str, list[str]] = {}
    for start in range(0, len(texts), AT_ONCE):
        some = list(texts[start : start + AT_ONCE])
        vectors = [list(map(float, vector)) for vector in embed(some)]
        if len(vectors) != len(some):
            raise ValueRefused(f"embed: gave {len(vectors)} vectors for {len(some)} texts; give one for each, in order")
        for text, vector in zip(some, vectors, strict=True):
            found[text] = _signature(vector)
    return found


def _signature(vector: Sequence[float]) -> list[str]:
    sides = [sum(map(mul, plane, vector)) > 0 for plane in _planes(len(vector))]
    made = []
    for table in range(TABLES):
        bits = sides[table * BITS : (table + 1) * BITS]
        made.append(f"~{table}:{''.join('01'[bit] for bit in bits)}")
    return made


@lru_cache(8)
def _planes(size: int) -> list[list[float]]:
    """The same planes everywhere: bytes of a hash, taken as numbers around zero."""
    planes = []
    for number in range(TABLES * BITS):
        data = b"".join(blake2b(f"{number}:{block}".encode()).digest() for block in range(size // 64 + 1))
        planes.append([byte - 127.5 for byte in data[:size]])
    return planes
