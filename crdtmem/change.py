"""A change and its bytes: the only thing replicas exchange.

    record  = [header, [part, ...], seal]              header, parts and seal are each a msgpack bin; no seal is empty
    header  = [format, namespace, session, seq, prev, deps, intro, hlc, actor, rules]
    part    = [salt, kind, field, about, ...]          adds and removes, or runs, deletes and moves

The hash covers the header and the digest of each part, and each part is salted, so a later version can withhold a
part, and what is said about it, without breaking the chain. The outer array, the first seven items of a header, the
hash and the seal are fixed for every format to come: a newer change can be recognised as authentic by a program that
cannot read it. Decoding is pure: any bytes give a Change or one BadBytes. What needs the replica's state is judged
elsewhere.
"""

from __future__ import annotations

import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct, ValidationError
from msgspec.msgpack import Decoder, Ext

from crdtmem.clock import MAX_STAMP
from crdtmem.entry import MAX_WHY, About, about_flaw, is_id
from crdtmem.errors import BadBytes, NamespaceError, ValueRefused
from crdtmem.namespace import Namespace
from crdtmem.values import MAX_INT, admit, encode, key_of

FORMAT = 1
SET, COUNTER, REGISTER, RECORDS, SEQUENCE, TEXT = range(1, 7)
KINDS = {SET: "set", COUNTER: "counter", REGISTER: "register", RECORDS: "records", SEQUENCE: "sequence", TEXT: "text"}

MAX_CHANGE = 1 << 20
SEAL_SIZE = 64
MAX_PARTS = 256
MAX_ADDS = 8192
MAX_RUNS = 512
MAX_DEPS = 1024
MAX_NAME = 200
MAX_KEY = 1024
MAX_SEQ = 2**53
SHORT = 4096  # a decoded str can only be too long, and not below this
PART_SHIFT = 20  # the n of an entry: its part above, its place in the part below

_AHEAD = "it names an entry that is not in its past"
_NO_SEAL = b"\xc4\x00"
_SEAL = b"\xc4\x40"


class Head(NamedTuple):
    """The newest change of a session that no known change builds on."""

    session: bytes
    seq: int
    hash: bytes


class Intro(NamedTuple):
    """What the first change of a session carries: the session's whole identity."""

    key: bytes
    agent: str
    role: str | None
    nonce: bytes


class Version(NamedTuple):
    """What a replica has seen, as the few changes nothing known builds on. `str` gives a short token.

    >>> v = Version(Namespace(tenant="acme").digest, ())
    >>> Version.parse(str(v)) == v
    True
    """

    namespace: bytes
    heads: tuple[Head, ...]

    def __str__(self) -> str:
        return urlsafe_b64encode(encode(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> Version:
        """The version that `str` wrote.

        Raises:
            BadBytes: it is not a version token.
        """
        try:
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            namespace, heads = _VERSION(data)
        except Exception:
            raise BadBytes(f"{token[:40]!r} is not a version token") from None
        if len({head[0] for head in heads}) < len(heads):
            raise BadBytes(f"{token[:40]!r} is not a version token")
        return cls(namespace, tuple(sorted(Head(*head) for head in heads)))

    def check(self, namespace: Namespace) -> Version:
        """This version, if it is of that namespace.

        Raises:
            NamespaceError: it is of another.
        """
        if self.namespace != namespace.digest:
            raise NamespaceError(f"this version belongs to another namespace than {namespace!r}")
        return self


class Keyed(NamedTuple):
    """A part for a set, counter, register or records field.

    An add is (value,), with its attributes and, in records, its key and the ids a patch lies over:
    (value, about, key, over), trailing absences cut. A counter's add with a third item, the id of an increment, takes
    that increment back: (amount, about, id). What is said about the part holds for adds that say nothing. A remove is
    an entry id.
    """

    kind: int
    field: str
    about: About | None
    adds: tuple[tuple[Any, ...], ...]
    removes: tuple[Any, ...]


class Ordered(NamedTuple):
    """A part for a sequence or text field. Deletes come first, then runs, then moves.

    A unit is one value, or one UTF-16 code unit; it is named (client, clock). A run is (left, content) with its
    attributes, a move (left, entry id), a delete (client, clock, length). `left` is the unit it follows, None at the
    start.
    """

    kind: int
    field: str
    about: About | None
    runs: tuple[tuple[Any, ...], ...]
    deletes: tuple[tuple[int, int, int], ...]
    moves: tuple[tuple[Any, ...], ...]

    @property
    def units(self) -> int:
        """How many units it creates."""
        return len(self.moves) + sum([utf16(r[1]) if self.kind == TEXT else len(r[1]) for r in self.runs])


class Change(Struct, frozen=True, gc=False):
    """One decoded change. `core` is its record without the seal."""

    # What is received is read some forty times on its way: a Struct is read in half the time of a tuple with names.

    namespace: bytes
    session: bytes
    seq: int
    prev: bytes
    deps: tuple[Head, ...]
    intro: Intro | None
    hlc: int
    actor: tuple[str, str | None] | None
    rules: bytes | None
    parts: Sequence[Keyed | Ordered]
    hash: bytes
    core: bytes
    seal: bytes
    digests: Sequence[bytes]  # of its parts
    format: int = FORMAT

    @property
    def head(self) -> Head:
        """How others name it."""
        return Head(self.session, self.seq, self.hash)


def record(core: bytes, seal: bytes) -> bytes:
    """The bytes of a change with its seal beside it."""
    return core + (_SEAL + seal if seal else _NO_SEAL)


def compose(
    namespace: bytes,
    session: bytes,
    seq: int,
    prev: bytes,
    deps: tuple[Head, ...],
    intro: Intro | None,
    hlc: int,
    actor: tuple[str, str | None] | None,
    parts: Sequence[Keyed | Ordered],
    rules: bytes | None = None,
) -> Change:
    """A new change of our own. Its pieces are valid by construction; only its size is checked here.

    Raises:
        ValueRefused: it would be larger than a change may be.
    """
    header = encode((FORMAT, namespace, session, seq, prev, deps, intro, hlc, actor, rules))
    items = []
    if len(parts) > MAX_PARTS:
        raise ValueRefused(f"{len(parts)} fields, more than the {MAX_PARTS} a change may touch; split it")
    for part in parts:
        if len(part[3]) > MAX_ADDS or len(part[4]) > MAX_ADDS:
            raise ValueRefused(f"{part.field}: more than the {MAX_ADDS} entries a change may add or remove; split it")
        items.append(encode((_SALTS.pop() if _SALTS else _salt(),) + part))  # noqa: RUF005 (a third of the price)
    core = encode((header, items, b""))[:-2]
    if len(core) > MAX_CHANGE - 2 - SEAL_SIZE:
        raise ValueRefused(f"the change has {len(core)} bytes, more than {MAX_CHANGE}; split it")
    hash, digests = _hash(header, items)
    return Change(
        namespace, session, seq, prev, deps, intro, hlc, actor, rules, parts, hash, core, b"", digests, FORMAT
    )


def compose_one(
    namespace: bytes,
    session: bytes,
    seq: int,
    prev: bytes,
    hlc: int,
    actor: tuple[str, str | None] | None,
    kind: int,
    field: str,
    about: About | None,
    add: tuple[Any, ...],
    removes: tuple[Any, ...],
) -> tuple[bytes, bytes, bytes]:
    """The core, the hash and the digest of the part of a new change, as `compose` makes them of one part.

    It merges nothing, introduces nobody and obeys no rules; one add and at most one remove never make it too large.
    """
    head = encode((FORMAT, namespace, session, seq, prev, (), None, hlc, actor, None))
    item = encode((_SALTS.pop() if _SALTS else _salt(), kind, field, about, (add,), removes))
    part, whole = _blake(), _blake()
    part.update(item)
    digest = part.digest()
    whole.update(head + digest)
    return encode((head, (item,), b""))[:-2], whole.digest(), digest


def decode(data: bytes, *, known: bytes | None = None, digests: bool = True) -> Change:
    """The change in these bytes.

    Args:
        data: the record.
        known: its hash, if it is one of ours that was checked when it came.
        digests: whether those of its parts are wanted, where its hash is known.

    Raises:
        BadBytes: they are not one. A change of a newer format comes back with no parts.
    """
    if type(data) is not bytes:
        raise BadBytes(f"a record is bytes, not {type(data).__name__}")
    if len(data) > MAX_CHANGE:
        raise BadBytes(f"{len(data)} bytes, more than a change may have")
    try:
        header, items, seal = _RECORD(data)
        if not items or (seal and len(seal) != SEAL_SIZE):
            raise BadBytes("a record is a header, its parts and a seal")
        if known is None and encode((header, items, seal)) != data:  # neither hash nor seal covers the wrapping
            raise BadBytes("a record not in canonical form")
        core = data[: -2 - len(seal)]
        try:
            head = _HEADER(header)
        except ValidationError:
            head = _NEWER(header)  # type: ignore[assignment]
            if head.format <= FORMAT:
                raise
        session, seq, intro = head.session, head.seq, head.intro
        if len(head.prev) != (32 if seq > 1 else 0) or (intro is None) != (seq > 1):
            raise BadBytes("the first change of a session, and only that, introduces it and follows none")
        deps = ()
        if head.deps:
            deps = tuple([Head(*dep) for dep in head.deps])  # type: ignore[assignment]
            if len({dep[0] for dep in head.deps} | {session}) <= len(deps):
                raise BadBytes("deps are heads of other sessions")
        if intro is not None:
            intro = Intro(*intro)
            _check_names(intro[1], intro[2])
        if known is None:
            (hash, told), read = _hash(header, items), _part
        else:
            hash, told, read = known, [digest_of(item) for item in items] if digests else [], _kept
        hlc, actor, rules, parts = 0, None, None, ()
        if head.format == FORMAT:
            hlc, actor, rules = head.hlc, head.actor, head.rules
            if actor is not None:
                _check_names(*actor)
            if len(items) == 1:
                parts = (read(items[0], session, seq),)  # type: ignore[assignment]
            else:
                several = [read(item, session, seq) for item in items]
                parts = tuple(several)  # type: ignore[assignment]
                if len({part[:2] for part in several}) < len(several):
                    raise BadBytes("two parts for one field")
        return Change(
            head.namespace,
            session,
            seq,
            head.prev,
            deps,
            intro,
            hlc,
            actor,
            rules,
            parts,
            hash,
            core,
            seal,
            told,
            head.format,
        )
    except BadBytes:
        raise
    except Exception as error:  # msgpack and tuple unpacking raise a dozen kinds on hostile bytes
        raise BadBytes(f"undecodable: {type(error).__name__}: {error}") from None


def skim(core: bytes) -> tuple[_Header, Keyed, bytes] | None:
    """The header of a kept change, its part and the bytes of that; None unless it is one keyed part with one plain add.

    For who goes through a long log, where most are of this kind: half the price of decoding. Nothing is checked here.
    """
    try:
        header, items, _ = _RECORD(core + _NO_SEAL)
        if len(items) != 1 or items[0][0] == 0x97:
            return None
        head, part = _HEADER(header), _KEYED(items[0])
    except Exception:  # as in decode, which says what is wrong with it
        return None
    kind, adds = part.kind, part.adds
    if len(adds) != 1 or len(adds[0]) != (3 if kind == RECORDS else 1) or head.format != FORMAT:
        return None
    return head, _new(Keyed, (kind, part.field, part.about, adds, part.removes)), items[0]


def _kept(item: bytes, session: bytes, seq: int) -> Keyed | Ordered:
    """A part that was checked when it came."""
    if item[0] == 0x97:
        return _ordered(item, session, seq)
    part = _KEYED(item)
    kind, about, adds = part.kind, part.about, part.adds
    if about is not None and len(about) > 1:
        about = _tupled(about)
    if len(adds) != 1 or not _is_plain(kind, adds[0]):
        adds = tuple(
            [  # most are a value, or a value and its key, and say nothing more
                add
                if (size := len(add)) == 1 or (size == 3 and add[1] is None and type(add[2]) is str)
                else _tupled(add)
                for add in adds
            ]
        )
    return _new(Keyed, (kind, part.field, about, adds, part.removes))


def _part(item: bytes, session: bytes, seq: int) -> Keyed | Ordered:
    if item[0] == 0x97:  # seven things
        return _ordered(item, session, seq)
    part = _KEYED(item)
    kind, about, adds, removes = part.kind, part.about, part.adds, part.removes
    if not is_field(part.field):
        raise BadBytes("a part needs the name of its field")
    if about is not None and (len(about) > 1 or type(about[0]) is not str or len(about[0]) > MAX_WHY):
        about = _checked_about(about)
    if len(adds) != 1 or not _is_plain(kind, adds[0]):
        adds = tuple([_add(kind, add) for add in adds])
    if len(adds) > 1:  # one of two for one key replaces the other; siblings cost more the more they are
        keys = [_key(kind, add) for add in adds if kind != COUNTER or len(add) == 3]
        if len(set(keys)) < len(keys):
            raise BadBytes("two adds for one key")
    if removes:
        if kind == COUNTER:
            raise BadBytes("a counter part only counts")
        for id in removes:
            if id[0] == session and id[1] >= seq:
                raise BadBytes(_AHEAD)
    return _new(Keyed, (kind, part.field, about, adds, removes))


def _ordered(item: bytes, session: bytes, seq: int) -> Ordered:
    part = _ORDERED(item)
    kind, about = part.kind, part.about
    if not is_field(part.field):
        raise BadBytes("a part needs the name of its field")
    if about is not None:
        about = _checked_about(about)
    if len(part.runs) + len(part.moves) > MAX_RUNS or (part.moves and kind == TEXT):
        raise BadBytes("too many runs or moves")
    runs = tuple([_run(kind, run) for run in part.runs])
    for _, id in part.moves:
        if id[0] == session and id[1] >= seq:
            raise BadBytes(_AHEAD)
    return Ordered(kind, part.field, about, runs, part.deletes, part.moves)


def _is_plain(kind: int, add: tuple[Any, ...]) -> bool:
    """Whether an add needs no closer look, as most: a short text, or a total, that says nothing of its own."""
    value = add[0]
    if type(value) is str and len(value) <= SHORT and kind != COUNTER:
        if kind == RECORDS:
            return len(add) == 3 and add[1] is None and type(add[2]) is str and len(add[2]) <= MAX_KEY
        return len(add) == 1
    return kind == COUNTER and len(add) == 1 and type(value) is int and value <= MAX_INT


def _add(kind: int, wire: tuple[Any, ...]) -> tuple[Any, ...]:
    """One add, checked, as tuples through and through."""
    value = admit(wire[0])
    size = len(wire)
    if size == 1 and kind != RECORDS:
        add: tuple[Any, ...] = (value,)
    else:
        if size == 2 and wire[1] is None:
            raise BadBytes("an absent attribute is cut")
        add = (value, None if wire[1] is None else _checked_about(wire[1]), *_tupled(wire[2:]))
    if kind != RECORDS:
        if size > 2 and not (kind == COUNTER and size == 3 and is_id(add[2])):
            raise BadBytes("an add is a value with its attributes")
        if kind == COUNTER and type(value) is not int:
            raise BadBytes("a counter total is an int64")
        return add
    if size not in (3, 4) or type(add[2]) is not str or not is_key(add[2]):
        raise BadBytes("an add of records names its key")
    if size == 4 and not (type(add[3]) is tuple and all(map(is_id, add[3])) and type(value) is Ext and is_dict(value)):
        raise BadBytes("a patch is a dict over entry ids")
    return add


def _run(kind: int, wire: tuple[Any, ...]) -> tuple[Any, ...]:
    """One run, checked, as tuples through and through."""
    if len(wire) not in (2, 3):
        raise BadBytes("a run is the unit it follows, its content and its attributes")
    left, content = _tupled(wire[:2])
    if left is not None and not _is_unit(left):
        raise BadBytes("a run follows a unit")
    if not content or type(content) is not (str if kind == TEXT else tuple):
        raise BadBytes("a run of text is a str, a run of a sequence its values")
    if kind != TEXT:
        for value in content:
            admit(value)
    return (left, content) if len(wire) == 2 else (left, content, _checked_about(wire[2]))


def _checked_about(wire: Any) -> About:
    if len(wire) == 1 and type(wire[0]) is str and len(wire[0]) <= MAX_WHY:
        return tuple(wire)  # a reason and nothing else, as nearly always
    about: About = _tupled(wire)
    flaw = about_flaw(about) or ("attributes that say nothing" if about == () else None)
    if flaw:
        raise BadBytes(flaw)
    return about


def _tupled(wire: Any) -> Any:
    """Lists as tuples, all the way down: what is decoded without a type comes as lists."""
    return tuple([_tupled(item) for item in wire]) if type(wire) in (list, tuple) else wire


def _check_names(agent: str, role: str | None) -> None:
    if not is_field(agent) or (role is not None and not is_field(role)):
        raise BadBytes("a name is printable")


def _key(kind: int, add: tuple[Any, ...]) -> Any:
    return key_of(add[0]) if kind == SET else None if kind == REGISTER else add[2]


def is_dict(frozen: Any) -> bool:
    """Whether this frozen container is a dict.

    >>> from crdtmem.values import freeze
    >>> is_dict(freeze({})), is_dict(freeze([]))
    (True, False)
    """
    first: int = frozen.data[0]
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def utf16(text: str) -> int:
    """How many UTF-16 units Yjs counts for it.

    >>> utf16("a"), utf16("\\U0001f600")
    (1, 2)
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


@lru_cache(maxsize=4096)
def is_field(name: str) -> bool:
    """Whether a field may have this name.

    >>> is_field("open_questions"), is_field("")
    (True, False)
    """
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def is_key(key: str) -> bool:
    """Whether a record may have this key: any text of at most 1024 characters."""
    return len(key) <= MAX_KEY


def _is_unit(unit: object) -> bool:
    return (
        type(unit) is tuple
        and len(unit) == 2
        and type(unit[0]) is int
        and 0 < unit[0] < 2**53
        and type(unit[1]) is int
        and 0 <= unit[1] < 2**53
    )


def _hash(header: bytes, items: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    digests = []
    whole = _blake()
    whole.update(header)
    for item in items:
        part = _blake()
        part.update(item)
        digest = part.digest()
        digests.append(digest)
        whole.update(digest)
    return whole.digest(), digests


def digest_of(item: bytes) -> bytes:
    """The digest of the bytes of a part."""
    part = _blake()
    part.update(item)
    return part.digest()


_blake = blake2b(digest_size=32).copy  # a copy costs half of a new one


def _salt() -> bytes:
    """16 random bytes, taken from the system 256 at a time."""
    _SALTS.extend(_in_sixteens(os.urandom(16 * 256)))
    return _SALTS.pop()


_SALTS: list[bytes] = []
_in_sixteens = struct.Struct("16s" * 256).unpack
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much

# The wire, as msgspec checks it while it decodes: no length is believed, nothing of a wrong type is ever built.
_Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
_Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
_Seq = Annotated[int, Meta(gt=0, lt=MAX_SEQ)]
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
_Client = Annotated[int, Meta(gt=0, lt=2**53)]
_Clock = Annotated[int, Meta(ge=0, lt=2**53)]
_Length = Annotated[int, Meta(gt=0, lt=2**53)]
_Id = tuple[_Bytes16, _Seq, Annotated[int, Meta(ge=0, lt=2**32)]]
_Heads = Annotated[tuple[tuple[_Bytes16, _Seq, _Bytes32], ...], Meta(max_length=MAX_DEPS)]
_Adds = Annotated[tuple[tuple[Any, ...], ...], Meta(max_length=MAX_ADDS)]


class _Newer(Struct, array_like=True, gc=False):
    format: Annotated[int, Meta(gt=0)]
    namespace: _Bytes16
    session: _Bytes16
    seq: _Seq
    prev: bytes
    deps: _Heads
    intro: tuple[_Bytes32, _Name, _Name | None, _Bytes16] | None


class _Header(_Newer, array_like=True, gc=False, forbid_unknown_fields=True):
    hlc: Annotated[int, Meta(ge=0, le=MAX_STAMP)]
    actor: tuple[_Name, _Name | None] | None
    rules: _Bytes32 | None


class _KeyedPart(Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    salt: _Bytes16
    kind: Annotated[int, Meta(ge=SET, le=RECORDS)]
    field: _Name
    about: tuple[Any, ...] | None
    adds: _Adds
    removes: Annotated[tuple[_Id, ...], Meta(max_length=MAX_ADDS)]


class _OrderedPart(Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    salt: _Bytes16
    kind: Annotated[int, Meta(ge=SEQUENCE, le=TEXT)]
    field: _Name
    about: tuple[Any, ...] | None
    runs: _Adds
    deletes: Annotated[tuple[tuple[_Client, _Clock, _Length], ...], Meta(max_length=MAX_ADDS)]
    moves: tuple[tuple[tuple[_Client, _Clock] | None, _Id], ...]


_RECORD = Decoder(tuple[bytes, Annotated[tuple[bytes, ...], Meta(max_length=MAX_PARTS)], bytes]).decode
_HEADER = Decoder(_Header).decode
_NEWER = Decoder(_Newer).decode
_KEYED = Decoder(_KeyedPart).decode
_ORDERED = Decoder(_OrderedPart).decode
_VERSION = Decoder(tuple[_Bytes16, tuple[tuple[_Bytes16, _Seq, _Bytes32], ...]]).decode
os.register_at_fork(after_in_child=_SALTS.clear)
