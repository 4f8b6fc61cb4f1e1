"""Which items a query means: embeddings of their texts, made when first searched, kept here, and never sent anywhere.

Each item's vectors belong to one entry: when another value stands, they are made anew, so none is served stale. What
other processes put is embedded by whoever searches for it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import mul
from typing import Any, Literal, NamedTuple, TypeAlias

from crdtmem.errors import ValueRefused
from crdtmem.extras import extra

with extra("langgraph"):
    from langgraph.store.base import IndexConfig, Item, ensure_embeddings, get_text_at_path, tokenize_path

Vector: TypeAlias = "array[float]"
_NONE: tuple[Any, tuple[Vector, ...]] = (None, ())
_SLACK = 1000  # vectors of items that are gone are let go of when there are this many of them


class Candidate(NamedTuple):
    """An item that may be what a query means."""

    key: str
    entry: Any
    item: Item
    paths: Literal[False] | list[str] | None  # which parts of it are embedded, if it says so itself


class Vectors:
    """The vectors of items.

    >>> from datetime import UTC, datetime
    >>> vectors = Vectors({"dims": 2, "embed": lambda texts: [[text.count("a"), text.count("b")] for text in texts]})
    >>> def candidate(key, text):
    ...     moment = datetime.now(UTC)
    ...     item = Item(value={"text": text}, key=key, namespace=("n",), created_at=moment, updated_at=moment)
    ...     return Candidate(key, 1, item, ["text"])
    >>> items = [candidate("x", "aaab"), candidate("y", "abbb")]
    >>> asked = vectors.embed({"bb"}, items)
    >>> [(one.key, round(score, 2)) for one, score in vectors.rank(asked["bb"], items)]
    [('y', 0.95), ('x', 0.32)]
    """

    def __init__(self, index: IndexConfig) -> None:
        self._dims = index["dims"]
        self._embeddings = ensure_embeddings(index.get("embed"))
        self._paths = _tokens(index.get("fields") or ["$"])
        self._items: dict[str, tuple[Any, tuple[Vector, ...]]] = {}

    def embed(self, queries: Iterable[str], candidates: Iterable[Candidate]) -> dict[str, Vector]:
        """Have the vectors of what is to be searched; those of what is asked."""
        lacking = self._lacking(candidates)
        texts = _texts(lacking)
        self._take(lacking, texts, self._embeddings.embed_documents(texts) if texts else [])
        return {query: self._vector(self._embeddings.embed_query(query)) for query in queries}

    async def aembed(self, queries: Iterable[str], candidates: Iterable[Candidate]) -> dict[str, Vector]:
        """The same, with an embedder that is awaited."""
        lacking = self._lacking(candidates)
        texts = _texts(lacking)
        self._take(lacking, texts, await self._embeddings.aembed_documents(texts) if texts else [])
        return {query: self._vector(await self._embeddings.aembed_query(query)) for query in queries}

    def rank(self, asked: Vector, candidates: Iterable[Candidate]) -> list[tuple[Candidate, float | None]]:
        """The best first, each by the nearest of its texts; last, without a score, those that have none."""
        scored: list[tuple[Candidate, float]] = []
        bare: list[tuple[Candidate, float | None]] = []
        for one in candidates:
            vectors = self._items.get(one.key, _NONE)[1]
            if vectors:
                scored.append((one, max(_dot(asked, vector) for vector in vectors)))
            else:
                bare.append((one, None))
        scored.sort(key=lambda pair: pair[1], reverse=True)
        return [*scored, *bare]

    def keep(self, keys: Collection[str]) -> None:
        """Let go of the vectors of all other items, when there are many."""
        if len(self._items) > 2 * len(keys) + _SLACK:
            self._items = {key: self._items[key] for key in keys if key in self._items}

    def _lacking(self, candidates: Iterable[Candidate]) -> list[tuple[Candidate, list[str]]]:
        """Those whose vectors are not here, with their texts."""
        return [
            (one, self._said(one))
            for one in {one.key: one for one in candidates}.values()
            if one.key not in self._items or self._items[one.key][0] != one.entry
        ]

    def _said(self, one: Candidate) -> list[str]:
        if one.paths is False:
            return []
        paths = self._paths if one.paths is None else _tokens(one.paths)
        return [text for path in paths for text in get_text_at_path(one.item.value, path)]

    def _take(self, lacking: list[tuple[Candidate, list[str]]], texts: list[str], given: Sequence[Any]) -> None:
        if len(given) != len(texts):
            raise ValueRefused(
                f"the embedder gave {len(given)} vectors for {len(texts)} texts; it must give one for each"
            )
        vectors = dict(zip(texts, map(self._vector, given), strict=True))
        for one, said in lacking:
            self._items[one.key] = one.entry, tuple([vectors[text] for text in said])

    def _vector(self, given: Sequence[float]) -> Vector:
        """A vector of length one."""
        try:
            vector = array("d", given)
        except TypeError:
            raise ValueRefused(f"the embedder gave {type(given).__name__}, not a list of numbers") from None
        if len(vector) != self._dims:
            raise ValueRefused(
                f"the embedder gave {len(vector)} dimensions, and the index was declared with {self._dims}; "
                "set index={'dims': ...} to what it gives"
            )
        length = math.sqrt(_dot(vector, vector))
        if not math.isfinite(length):
            raise ValueRefused("the embedder gave a vector with a number that is not finite")
        return array("d", [part / length for part in vector]) if length else vector


def _tokens(paths: list[str]) -> list[Any]:
    return [path if path == "$" else tokenize_path(path) for path in paths]


def _texts(lacking: list[tuple[Candidate, list[str]]]) -> list[str]:
    return list(dict.fromkeys(text for _, said in lacking for text in said))


def _sum_of_products(a: Iterable[float], b: Iterable[float]) -> float:
    return sum(map(mul, a, b), 0.0)


_dot: Callable[[Vector, Vector], float] = getattr(math, "sumprod", _sum_of_products)  # from Python 3.12 on
