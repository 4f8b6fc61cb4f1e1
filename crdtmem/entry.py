"""An entry: one value with who, when and why. What every write returns and every reader cites.

An entry is final once its change is committed; inside an open `change()` block it has a value but no id yet.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from msgspec import Struct
from msgspec.msgpack import decode

from crdtmem.clock import moment
from crdtmem.errors import BadBytes, MisuseError, ValueRefused
from crdtmem.values import Frozen, encode, freeze, thaw

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
        return urlsafe_b64encode(self.session + encode((self.seq, self.n))).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """The id that `str` wrote.

        Raises:
            BadBytes: it is not one.
        """
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = (data[:16], *decode(data[16:]))
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


# What a write says about itself is one tuple, absent things None, trailing ones cut: the form in which it travels.
About = tuple[Any, ...]
ABOUT = ("why", "because", "confidence", "tags", "source", "ttl", "valid")
_WHY, _BECAUSE, _CONFIDENCE, _TAGS, _SOURCE, _TTL, _VALID = range(7)


def about(given: Attributes) -> About | None:
    """Check the keywords of a write; None when they say nothing.

    Raises:
        ValueRefused: one of them is out of bounds.

    >>> about({"why": "spike in March", "confidence": 1})
    ('spike in March', None, 1.0)
    """
    if len(given) == 1 and "why" in given:
        why = given["why"]
        if type(why) is str and len(why) <= MAX_WHY and why.isascii():
            return (why,)
    unknown = given.keys() - Attributes.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown keyword {min(unknown)!r}; a write takes {', '.join(ABOUT)}")
    because = given.get("because") or ()
    if isinstance(because, Entry | EntryId):
        because = (because,)
    tags = given.get("tags") or ()
    if isinstance(tags, str):
        raise ValueRefused(f"tags: a list of strings, not one string; use tags=[{tags!r}]")
    ttl, confidence = given.get("ttl"), given.get("confidence")
    causes = tuple(because)
    for cause in causes:
        if not isinstance(cause, Entry | EntryId):
            raise ValueRefused(f"because: entries or their ids, not {type(cause).__name__}")
        if isinstance(cause, EntryId) and not is_id(tuple(cause)):
            raise ValueRefused(f"because: entries or their ids, not {tuple(cause)!r:.60}")
    if len(causes) > MAX_BECAUSE:
        raise ValueRefused(f"because: {len(causes)} entries, more than {MAX_BECAUSE}; cite a summary of them")
    made = trimmed(
        (
            given.get("why"),
            None,
            float(confidence) if isinstance(confidence, int | float) else confidence,
            tuple(dict.fromkeys(tags)) or None,
            given.get("source"),
            _seconds(ttl),
            _valid(given.get("valid")),
        )
    )
    flaw = about_flaw(made)
    if flaw:
        raise ValueRefused(flaw)
    return with_because(made, causes) if causes else made or None


def about_flaw(wire: object) -> str | None:
    """What is wrong with these attributes, in words, or None. One rule for our own writes and for foreign bytes."""
    if type(wire) is not tuple or len(wire) > len(ABOUT) or (wire and wire[-1] is None):
        return f"attributes: a list of at most {len(ABOUT)}, trailing absences cut"
    for name, value in zip(ABOUT, wire, strict=False):
        flaw = None if value is None else _FLAWS[name](value)
        if flaw:
            return f"{name}: {flaw}"
    return None


def _why_flaw(why: object) -> str | None:
    return _text_flaw(why) or (f"at most {MAX_WHY} characters" if len(why) > MAX_WHY else None)  # type: ignore[arg-type]


def _because_flaw(ids: object) -> str | None:
    if type(ids) is not tuple or not 0 < len(ids) <= MAX_BECAUSE or not all(map(is_id, ids)):
        return f"1 to {MAX_BECAUSE} entry ids"
    return None


def _confidence_flaw(number: object) -> str | None:
    return None if type(number) is float and 0.0 <= number <= 1.0 else f"a number from 0 to 1, not {number!r:.40}"


def _tags_flaw(tags: object) -> str | None:
    if type(tags) is not tuple or not 0 < len(tags) <= MAX_TAGS:
        return f"1 to {MAX_TAGS} of them"
    for tag in tags:
        if _text_flaw(tag) or not 0 < len(tag) <= MAX_TAG:
            return f"each a str of 1 to {MAX_TAG} characters, not {tag!r:.40}"
    return None


def _source_flaw(source: object) -> str | None:
    return None if source in SOURCES else f"one of {', '.join(SOURCES)}, not {source!r:.40}"


def _ttl_flaw(ttl: object) -> str | None:
    return None if type(ttl) is float and 0.0 < ttl < 1e12 else f"seconds above 0, not {ttl!r:.40}"


def _valid_flaw(ends: object) -> str | None:
    if type(ends) is not tuple or len(ends) != 2 or ends == (None, None):
        return "a pair (from, until) of aware datetimes or None"
    if not all(end is None or (type(end) is int and abs(end) < 2**53) for end in ends):
        return "a pair (from, until) of aware datetimes or None"
    if None not in ends and ends[0] >= ends[1]:
        return "the start must come before the end"
    return None


def _text_flaw(text: object) -> str | None:
    if type(text) is not str:
        return f"a str, not {type(text).__name__}"
    try:
        freeze(text)
    except ValueRefused as error:
        return str(error)
    return None


_FLAWS: dict[str, Callable[[object], str | None]] = {
    "why": _why_flaw,
    "because": _because_flaw,
    "confidence": _confidence_flaw,
    "tags": _tags_flaw,
    "source": _source_flaw,
    "ttl": _ttl_flaw,
    "valid": _valid_flaw,
}


def _seconds(ttl: object) -> Any:
    if isinstance(ttl, timedelta):
        return ttl.total_seconds()
    return float(ttl) if isinstance(ttl, int | float) else ttl


def _valid(given: Any) -> Any:
    if given is None:
        return None
    try:
        start, end = given
        if any(moment is not None and moment.tzinfo is None for moment in (start, end)):
            return ()
        ends = tuple(None if moment is None else round(moment.timestamp() * 1000) for moment in (start, end))
    except (TypeError, ValueError, AttributeError):
        return ()  # refused in words by the flaw
    return None if ends == (None, None) else ends


def trimmed(wire: About) -> About:
    """Without trailing absences.

    >>> trimmed(("why", None, None))
    ('why',)
    """
    size = len(wire)
    while size and wire[size - 1] is None:
        size -= 1
    return wire[:size]


def with_because(wire: About, causes: tuple[Any, ...]) -> About:
    """The same attributes, resting on these causes."""
    return (wire[_WHY] if wire else None, causes, *wire[2:])


def is_light(wire: About | None) -> bool:
    """Whether it says nothing that has a life of its own: neither causes nor a time to live.

    >>> is_light(("why", None, 0.5)), is_light(about({"ttl": 60}))
    (True, False)
    """
    return wire is None or len(wire) == 1 or (wire[_BECAUSE] is None and (len(wire) <= _TTL or wire[_TTL] is None))


def over(block: About | None, own: About | None) -> About | None:
    """A write's own attributes over those of its block.

    >>> over(("block", None, 0.5), ("own",))
    ('own', None, 0.5)
    """
    if block is None or own is None:
        return own or block
    size = max(len(block), len(own))
    pairs = zip(own + (None,) * (size - len(own)), block + (None,) * (size - len(block)), strict=True)
    return tuple(mine if mine is not None else theirs for mine, theirs in pairs)


def settled(wire: About | None) -> About | None:
    """The same attributes with plain ids in place of the entries they cite."""
    if wire is None or len(wire) <= _BECAUSE or wire[_BECAUSE] is None:
        return wire
    return with_because(wire, tuple([tuple(c.id if isinstance(c, Entry) else c) for c in wire[_BECAUSE]]))


class Writer:
    """One session, as its entries know it: who it is and how far its chain goes."""

    __slots__ = ("agent", "client", "hash", "id", "key", "role", "saw", "seq", "tainted", "whole")

    def __init__(self, id: bytes, client: int, key: bytes, agent: str, role: str | None) -> None:
        self.id = id
        self.client = client
        self.key = key
        self.agent = agent
        self.role = role
        self.seq = 0
        self.hash = b""
        self.saw = 0  # its newest change that had seen something new of others
        self.whole: list[tuple[int, int]] = []  # (seq, place): this change had seen all of our log up to there
        self.tainted: Collection[Any] = ()  # the ids of all tainted entries of its memory


class Stamp(Struct, eq=False, gc=False):
    """Who, when and in which change: shared by all entries of one change."""

    writer: Writer
    seq: int
    hlc: int
    actor: tuple[str, str | None] | None
    verified: bool = False  # whether the rules it was made under know its key by that name


class Entry(Struct, eq=False, gc=False):
    """One value of a field, with who wrote it, when and why.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> entry = memory.register("status").assign("done", why="all tests green")
    >>> entry.value, entry.by, entry.why
    ('done', 'ann', 'all tests green')
    """

    # A Struct is made in half the time of a class with slots, and costs the garbage collector nothing.
    _id: Any
    field: str
    key: Any
    _frozen: Frozen
    _about: About | None
    _stamp: Stamp | None
    extra: Any = None
    _weight: int = 0  # what it adds to the digest of a keyed field, while it is live there

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
        """The agent who wrote it. A name is a claim unless it is `verified`."""
        stamp = self.stamp
        return stamp.actor[0] if stamp.actor else stamp.writer.agent

    @property
    def role(self) -> str | None:
        """The role it was written in."""
        stamp = self.stamp
        return stamp.actor[1] if stamp.actor else stamp.writer.role

    @property
    def verified(self) -> bool:
        """Whether the rules of an owned namespace bind the key that wrote it to this name; else it is a claim.

        >>> from crdtmem import Replica, Rules
        >>> boss = Replica("boss")
        >>> boss.own(tenant="acme", rules=Rules()).register("status").assign("open").verified
        True
        >>> boss.open(tenant="acme").register("status").assign("open").verified
        False
        """
        return self.stamp.verified

    @property
    def at(self) -> datetime:
        """When, by the writer's clock."""
        return moment(self.stamp.hlc)

    def _said(self, place: int) -> Any:
        about = self._about
        return about[place] if about is not None and place < len(about) else None

    @property
    def why(self) -> str | None:
        """The reason given."""
        return self._said(_WHY)  # type: ignore[no-any-return]

    @property
    def because(self) -> tuple[EntryId, ...]:
        """The entries it rests on."""
        causes = self._said(_BECAUSE) or ()
        return tuple(cause.id if isinstance(cause, Entry) else EntryId(*cause) for cause in causes)

    @property
    def confidence(self) -> float | None:
        """How sure the writer was, from 0 to 1."""
        return self._said(_CONFIDENCE)  # type: ignore[no-any-return]

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self._said(_TAGS) or ()

    @property
    def source(self) -> str:
        """Where it comes from: user, agent, tool or import."""
        return self._said(_SOURCE) or "agent"

    @property
    def ttl(self) -> float | None:
        """Seconds after which readers no longer see it."""
        return self._said(_TTL)  # type: ignore[no-any-return]

    @property
    def valid(self) -> tuple[datetime | None, datetime | None]:
        """The interval in which the statement is meant to hold."""
        start, end = self._said(_VALID) or (None, None)
        return (None if start is None else moment(start << 16), None if end is None else moment(end << 16))

    @property
    def tainted(self) -> bool:
        """Whether it rests, through any number of others, on an entry that was retracted."""
        return self._stamp is not None and self._id in self._stamp.writer.tainted

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self is other or (self._id is not None and self._id == other._id)

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct's own would compare what they hold

    def __hash__(self) -> int:
        return hash(self._id or self.id)

    def __repr__(self) -> str:
        if self._stamp is None:
            return f"<Entry {self.field}: {self.value!r:.60} (not committed yet)>"
        return f"<Entry {self.field}: {self.value!r:.60} by {self.by} at {self.at:%Y-%m-%d %H:%M:%S}>"
