"""Ranking by meaning: a model given by the caller makes vectors of texts, and the nearest ones to the query come first.

A vector is kept under the model's name and the digest of the very text it was made of, beside the store: so it fits
that text at every version, on every way it came about, and each text is embedded once. All vectors are compared, none
is guessed. What words find and what is near by meaning are merged by reciprocal rank: the scores of the two do not
compare, the places do.

A model is not trusted: the vectors of a text that never changes are compared with those of the run before, and where
they differ, all that was kept under that name is made anew.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from crdtmem.change import RECORDS, REGISTER
from crdtmem.entry import Entry
from crdtmem.errors import EmbedderFailed, StoreError
from crdtmem.index import Index
from crdtmem.page import without_bytes
from crdtmem.values import thaw

if TYPE_CHECKING:
    from crdtmem.sqlite.vectors import Vectors

Embed = Callable[[list[str]], Sequence[Sequence[float]] | Awaitable[Sequence[Sequence[float]]]]
log = logging.getLogger("crdtmem")
BATCH = 128
_LONGEST = 8000  # characters of one text
_DAMPING = 60  # of reciprocal rank fusion, as in the paper that proposed it (Cormack and others, 2009)
_PROBE = "The quick brown fox jumps over the lazy dog."
_ALIKE = 0.9999
_SPARE = 1000
_TABLE = """CREATE TABLE IF NOT EXISTS near (
    namespace BLOB, embedder TEXT, text BLOB, data BLOB, PRIMARY KEY (namespace, embedder, text)
) WITHOUT ROWID"""
_MINE = "namespace = ? AND embedder = ?"


class Nearness:
    """The vectors that one model made of the texts of one memory.

    Args:
        document: the memory, as it is now.
        embed: the model.
        name: how it is called.
    """

    def __init__(self, document: Any, embed: Embed, name: str) -> None:
        from crdtmem.sqlite.vectors import Vectors

        self._document = document
        self._embed = embed
        self._name = name
        self._lock = threading.Lock()
        self._vectors: Vectors = Vectors()
        self._known: set[bytes] = set()
        self._begin()

    def _begin(self) -> None:
        """Take what is kept under the name, if the model still says the same."""
        [probe] = self.embedded([_PROBE])
        kept = self._kept()
        self.size = len(probe)
        before = kept.pop(_digest(_PROBE), None)
        if kept and (before is None or len(before) != len(probe) or _cosine(before, probe) < _ALIKE):
            log.warning("embedder %s gives other vectors than before; all are made anew", self._name)
            self._drop(set(kept))
            kept = {}
        self._keep({_digest(_PROBE): probe})
        fitting = {text: data for text, data in kept.items() if len(data) == self.size}
        self._vectors.add(fitting)
        self._known.update(fitting)

    def query(self, text: str) -> bytes:
        """The vector of a query."""
        [vector] = self.embedded([text])
        self._fits([vector])
        return vector

    def missing(self, index: Index, admit: Callable[[int], bool]) -> dict[bytes, str]:
        """The texts of rows that have no vector, by their digests."""
        found: dict[bytes, str] = {}
        for row in index.entries:
            if admit(row) and _named(index, row) not in self._known:
                found[_named(index, row)] = spoken(index.kinds[row][0], index.entries[row])
        return found

    def add(self, texts: dict[bytes, str], live: set[bytes] | None) -> None:
        """Make vectors of these, and keep each batch; once most are of texts that are not live, let go of those."""
        if live is not None and len(self._known) > 2 * len(live) + _SPARE:
            self._drop(self._known - live)
        names = list(texts)
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            vectors = self.embedded([texts[name] for name in some])
            self._fits(vectors)
            made = dict(zip(some, vectors, strict=True))
            self._keep(made)
            with self._lock:
                self._vectors.add(made)
                self._known.update(made)

    def best(self, index: Index, vector: bytes, admit: Callable[[int], bool], limit: int) -> list[int]:
        """The rows nearest to a vector."""
        with self._lock:
            near = self._vectors.near(vector)
        rows = [row for row in index.entries if admit(row)]  # another thread may just have let go of some vectors
        return nlargest(limit, rows, key=lambda row: (near.get(_named(index, row), -1.0), index.rank(row)))

    # -- the model ---------------------------------------------------------------------------------

    def embedded(self, texts: list[str]) -> list[bytes]:
        """What the model makes of some texts.

        Raises:
            EmbedderFailed: it raised, or gave something else than a vector for each.
        """
        from crdtmem.sqlite.vectors import unit

        try:
            given = self._embed([text[:_LONGEST] for text in texts])
            found = _awaited(given) if inspect.isawaitable(given) else given
            vectors = [unit(vector) for vector in found]
        except Exception as error:
            raise EmbedderFailed(f"embedder {self._name}: {type(error).__name__}: {error}") from error
        if len(vectors) != len(texts):
            raise EmbedderFailed(
                f"embedder {self._name}: {len(vectors)} vectors for {len(texts)} texts; it gives one each"
            )
        return vectors

    def _fits(self, vectors: Iterable[bytes]) -> None:
        for vector in vectors:
            if len(vector) != self.size:
                raise EmbedderFailed(
                    f"embedder {self._name}: a vector of {len(vector) // 4} numbers, where others have "
                    f"{self.size // 4}; give another model another name"
                )

    # -- beside the store --------------------------------------------------------------------------

    def _kept(self) -> dict[bytes, bytes]:
        with self._shelf() as db:
            return dict(db.execute(f"SELECT text, data FROM near WHERE {_MINE}", self._at).fetchall())

    def _keep(self, made: dict[bytes, bytes]) -> None:
        with self._shelf() as db:
            rows = [(*self._at, *one) for one in made.items()]
            db.executemany("INSERT OR REPLACE INTO near VALUES (?, ?, ?, ?)", rows)

    def _drop(self, names: set[bytes]) -> None:
        with self._shelf() as db:
            db.executemany(f"DELETE FROM near WHERE {_MINE} AND text = ?", [(*self._at, name) for name in names])
        with self._lock:
            self._known -= names
            self._vectors.drop(names)

    @contextmanager
    def _shelf(self) -> Iterator[Any]:
        """The database beside the store, in one transaction, under the lock of the memory."""
        from crdtmem.sqlite import Error

        with self._document.lock:
            self._document.usable()
            db = self._document.log.index()
            try:
                db.execute("BEGIN IMMEDIATE")
                try:
                    db.execute(_TABLE)
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
            except Error as error:
                raise StoreError(f"the vectors beside the store could not be read or written: {error}") from error

    @property
    def _at(self) -> tuple[bytes, str]:
        return self._document.namespace.digest, self._name


def nearness(document: Any, embed: Embed) -> Nearness:
    """The vectors of a memory by this model; one for each name."""
    if not callable(embed):
        raise TypeError(f"embed: a function from texts to vectors, not {type(embed).__name__}")
    name = called(embed)
    found: Nearness | None = document.kept.near.get(name)
    if found is None or found._embed != embed:
        found = document.kept.near[name] = Nearness(document, embed, name)
    return found


def called(embed: Any) -> str:
    """The name of a model: its own attribute `name`, or where it was defined.

    >>> called(len)
    'builtins.len'
    """
    name = getattr(embed, "name", None)
    if isinstance(name, str) and name:
        return name
    made = embed if hasattr(embed, "__qualname__") else type(embed)
    return f"{made.__module__}.{made.__qualname__}"


def fused(*orders: Sequence[int]) -> dict[int, float]:
    """What some orders say together, by reciprocal rank.

    >>> fused([7, 8], [8]) == {7: 1 / 61, 8: 1 / 62 + 1 / 61}
    True
    """
    found: dict[int, float] = {}
    for order in orders:
        for nth, row in enumerate(order, 1):
            found[row] = found.get(row, 0.0) + 1 / (_DAMPING + nth)
    return found


def spoken(kind: int, entry: Entry) -> str:
    """An entry as a model reads it.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> spoken(RECORDS, memory.records("orders").put("42", {"state": "open"}))
    '42: {"state": "open"}'
    """
    value = thaw(entry._frozen)
    text = value if type(value) is str else json.dumps(without_bytes(value), ensure_ascii=False, sort_keys=True)
    name = entry.field if kind == REGISTER else entry.key if kind == RECORDS else None
    return (text if name is None else f"{name}: {text}")[:_LONGEST]


def _named(index: Index, row: int) -> bytes:
    """The digest of a row's text."""
    found = index.digests.get(row)
    if found is None:
        found = index.digests[row] = _digest(spoken(index.kinds[row][0], index.entries[row]))
    return found


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _cosine(one: bytes, other: bytes) -> float:
    from crdtmem.sqlite.vectors import Vectors

    vectors = Vectors()
    vectors.add({b"": one})
    return vectors.near(other)[b""]


def _awaited(given: Awaitable[Any]) -> Any:
    """What an asynchronous model gives; if a loop runs in this thread, one in another thread waits for it."""

    async def wait() -> Any:
        return await given

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()
