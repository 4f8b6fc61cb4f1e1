"""An entry: one value with who, when and why. What every write returns and every reader cites.

An entry is final once its change is committed; inside an open `change()` block it has a value but no id yet.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from msgpack import packb, unpackb

from crdtmem.clock import moment
from crdtmem.errors import BadBytes, MisuseError, ValueRefused
from crdtmem.values import Frozen, freeze, thaw

SOURCES = ("user", "agent", "tool", "import")
MAX_WHY = 8192
MAX_TAGS = 32
MAX_TAG = 200
MAX_BECAUSE = 256


class EntryId(NamedTuple):
    """Which write: the session, its change, and the position in it.

    >>> i = EntryId(bytes(16), 7, 0)
    >>> EntryId.parse(str(i)) == i
    True
    """

    session: bytes
    seq: int
    n: int

    def __str__(self) -> str:
        return urlsafe_b64encode(self.session + packb((self.seq, self.n))).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """The id that `str` wrote.

        Raises:
            BadBytes: it is not one.
        """
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = (data[:16], *unpackb(data[16:]))
        except Exception:
            raise BadBytes(f"{text[:40]!r} is not an entry id") from None
        if not is_id(found):
            raise BadBytes(f"{text[:40]!r} is not an entry id")
        return cls(*found)


def is_id(found: object) -> bool:
    """Whether this decoded tuple can be the id of an entry."""
    return (
        type(found) is tuple
        and len(found) == 3
        and type(found[0]) is bytes
        and len(found[0]) == 16
        and type(found[1]) is int
        and 0 < found[1] < 2**53
        and type(found[2]) is int
        and 0 <= found[2] < 2**32
    )


class Attributes(TypedDict, total=False):
    """The keywords every write takes."""

    why: str | None
    because: Iterable[Entry | EntryId]
    confidence: float | None
    tags: Iterable[str]
    source: str | None
    ttl: float | timedelta | None
    valid: tuple[datetime | None, datetime | None] | None


class About(NamedTuple):
    """What a write says about itself. Absent things are None or empty."""

    why: str | None = None
    because: tuple[Any, ...] = ()
    confidence: float | None = None
    tags: tuple[str, ...] = ()
    source: str | None = None
    ttl: float | None = None
    valid: tuple[int | None, int | None] | None = None


NOTHING = About()


def about(given: Attributes) -> About | None:
    """Check the keywords of a write.

    Raises:
        ValueRefused: one of them is out of bounds.

    >>> about({"why": "spike in March", "tags": ["churn"]}).tags
    ('churn',)
    """
    unknown = given.keys() - Attributes.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown keyword {sorted(unknown)[0]!r}; a write takes {', '.join(About._fields)}")
    because = given.get("because") or ()
    if isinstance(because, Entry | EntryId):
        because = (because,)
    tags = given.get("tags") or ()
    if isinstance(tags, str):
        raise ValueRefused(f"tags: a list of strings, not one string; use tags=[{tags!r}]")
    ttl, confidence = given.get("ttl"), given.get("confidence")
    made = About(
        given.get("why"),
        tuple(because),
        None if confidence is None else float(confidence),
        tuple(dict.fromkeys(tags)),
        given.get("source"),
        float(ttl.total_seconds() if isinstance(ttl, timedelta) else ttl) if ttl is not None else None,
        _valid(given.get("valid")),
    )
    flaw = about_flaw(made._replace(because=()))
    if flaw:
        raise ValueRefused(flaw)
    for cause in made.because:
        if not isinstance(cause, Entry | EntryId):
            raise ValueRefused(f"because: entries or their ids, not {type(cause).__name__}")
    if len(made.because) > MAX_BECAUSE:
        raise ValueRefused(f"because: {len(made.because)} entries, more than {MAX_BECAUSE}; cite a summary of them")
    return made if made != NOTHING else None


def about_flaw(a: About) -> str | None:
    """What is wrong with these attributes, in words, or None. The same rule here and for foreign bytes."""
    if a.why is not None:
        freeze(a.why, "why")
        if type(a.why) is not str or len(a.why) > MAX_WHY:
            return f"why: a str of at most {MAX_WHY} characters"
    if type(a.because) is not tuple or len(a.because) > MAX_BECAUSE or not all(map(is_id, a.because)):
        return f"because: at most {MAX_BECAUSE} entry ids"
    if a.confidence is not None and not (type(a.confidence) is float and 0.0 <= a.confidence <= 1.0):
        return f"confidence: a number from 0 to 1, not {a.confidence!r}"
    if type(a.tags) is not tuple or len(a.tags) > MAX_TAGS:
        return f"tags: at most {MAX_TAGS}"
    for tag in a.tags:
        if type(tag) is not str or not 0 < len(tag) <= MAX_TAG:
            return f"tags: each a str of 1 to {MAX_TAG} characters, not {tag!r:.40}"
        freeze(tag, "tags")
    if a.source is not None and a.source not in SOURCES:
        return f"source: one of {', '.join(SOURCES)}, not {a.source!r:.40}"
    if a.ttl is not None and not (type(a.ttl) is float and 0.0 < a.ttl < 1e12):
        return f"ttl: seconds above 0, not {a.ttl!r}"
    if a.valid is not None:
        ends = a.valid if type(a.valid) is tuple and len(a.valid) == 2 else (0.0, 0.0)
        if not all(end is None or (type(end) is int and abs(end) < 2**53) for end in ends):
            return "valid: a pair (from, until) of aware datetimes or None"
        if ends[0] is not None and ends[1] is not None and ends[0] >= ends[1]:
            return "valid: the start must come before the end"
    return None


def _valid(given: tuple[datetime | None, datetime | None] | None) -> tuple[int | None, int | None] | None:
    if given is None or given == (None, None):
        return None
    try:
        start, end = given
        ends = [None if m is None else m.astimezone(UTC) for m in (start, end) if m is None or m.tzinfo]
        first, last = ends
    except (TypeError, ValueError, AttributeError):
        raise ValueRefused("valid: a pair (from, until) of aware datetimes or None") from None
    return (_millis(first), _millis(last))


def _millis(when: datetime | None) -> int | None:
    return None if when is None else round(when.timestamp() * 1000)


class Stamp:
    """Who, when and in which change: shared by all entries of one change."""

    __slots__ = ("about", "agent", "client", "hlc", "key", "role", "seq", "session")

    def __init__(
        self, session: bytes, client: int, seq: int, hlc: int, agent: str, role: str | None, key: bytes, about: About
    ) -> None:
        self.session = session
        self.client = client
        self.seq = seq
        self.hlc = hlc
        self.agent = agent
        self.role = role
        self.key = key
        self.about = about


class Entry:
    """One value of a field, with who wrote it, when and why.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> entry = memory.register("status").assign("done", why="all tests green")
    >>> entry.value, entry.by, entry.why
    ('done', 'ann', 'all tests green')
    """

    __slots__ = ("_about", "_frozen", "_id", "_stamp", "_weight", "extra", "field", "key")

    def __init__(
        self,
        id: tuple[bytes, int, int] | None,
        field: str,
        key: Any,
        frozen: Frozen,
        about: About | None,
        stamp: Stamp | None,
        extra: Any = None,
    ) -> None:
        self._id = id
        self.field = field
        self.key = key
        self._frozen = frozen
        self._about = about
        self._stamp = stamp
        self.extra = extra

    @property
    def id(self) -> EntryId:
        """The id to cite it by; final once the change is committed."""
        if self._id is None:
            raise MisuseError("an entry of an open change() has no id yet; read it after the block")
        return EntryId(*self._id)

    @property
    def stamp(self) -> Stamp:
        """Who, when and in which change."""
        if self._stamp is None:
            raise MisuseError("an entry of an open change() has no author or time yet; read them after the block")
        return self._stamp

    @property
    def value(self) -> Any:
        """The value; a fresh copy each time."""
        return thaw(self._frozen)

    @property
    def by(self) -> str:
        """The agent who wrote it. A name is a claim unless the namespace is owned."""
        return self.stamp.agent

    @property
    def role(self) -> str | None:
        """The role it was written in."""
        return self.stamp.role

    @property
    def at(self) -> datetime:
        """When, by the writer's clock."""
        return moment(self.stamp.hlc)

    def _said(self, name: str) -> Any:
        own = getattr(self._about, name) if self._about is not None else None
        if own is not None and own != ():
            return own
        return own if self._stamp is None else getattr(self._stamp.about, name)

    @property
    def why(self) -> str | None:
        """The reason given."""
        return self._said("why")  # type: ignore[no-any-return]

    @property
    def because(self) -> tuple[EntryId, ...]:
        """The entries it rests on."""
        causes = self._said("because") or ()
        return tuple(cause.id if isinstance(cause, Entry) else EntryId(*cause) for cause in causes)

    @property
    def confidence(self) -> float | None:
        """How sure the writer was, from 0 to 1."""
        return self._said("confidence")  # type: ignore[no-any-return]

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self._said("tags") or ()

    @property
    def source(self) -> str:
        """Where it comes from: user, agent, tool or import."""
        return self._said("source") or "agent"

    @property
    def ttl(self) -> float | None:
        """Seconds after which readers no longer see it."""
        return self._said("ttl")  # type: ignore[no-any-return]

    @property
    def valid(self) -> tuple[datetime | None, datetime | None]:
        """The interval in which the statement is meant to hold."""
        start, end = self._said("valid") or (None, None)
        return (None if start is None else moment(start << 16), None if end is None else moment(end << 16))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self is other or (self._id is not None and self._id == other._id)

    def __hash__(self) -> int:
        return hash(self._id or self.id)

    def __repr__(self) -> str:
        if self._stamp is None:
            return f"<Entry {self.field}: {self.value!r:.60} (not committed yet)>"
        return f"<Entry {self.field}: {self.value!r:.60} by {self.by} at {self.at:%Y-%m-%d %H:%M:%S}>"
