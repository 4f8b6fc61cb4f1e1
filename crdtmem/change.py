"""A change and its bytes: the only thing replicas exchange.

    record  = [header, [about, part, ...], seal]       every item a msgpack bin; an absent about or seal is empty
    header  = [format, namespace, session, seq, prev, deps, intro, hlc, actor, rules]
    about   = [salt, attributes]
    part    = [salt, kind, field, ...]                 adds and removes, or runs, deletes and moves

The hash covers the header and the digest of each item, and each item is salted, so a later version can withhold an
item without breaking the chain. The outer array, the first seven items of a header, the hash and the seal are fixed
for every format to come: a newer change can be recognised as authentic by a program that cannot read it.
Decoding is pure: any bytes give a Change or one BadBytes. What needs the replica's state is judged elsewhere.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from msgpack import Packer, packb, unpackb

from crdtmem.clock import MAX_STAMP
from crdtmem.entry import NOTHING, About, about_flaw, is_id
from crdtmem.errors import BadBytes, NamespaceError, ValueRefused
from crdtmem.namespace import Namespace
from crdtmem.values import MAX_INT, MIN_INT, admit

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
MAX_SEQ = 2**53
PART_SHIFT = 20  # the n of an entry: its part above, its place in the part below

_EMPTY_DIGEST = bytes(32)
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
        return urlsafe_b64encode(packb(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> Version:
        """The version that `str` wrote.

        Raises:
            BadBytes: it is not a version token.
        """
        try:
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            namespace, heads = unpackb(data, use_list=False, max_array_len=MAX_DEPS)
        except Exception:
            raise BadBytes(f"{token[:40]!r} is not a version token") from None
        if type(namespace) is not bytes or len(namespace) != 16 or not _are_heads(heads):
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
    (value, about, key, over), trailing absences cut. A remove is an entry id.
    """

    kind: int
    field: str
    adds: tuple[tuple[Any, ...], ...]
    removes: tuple[Any, ...]


class Ordered(NamedTuple):
    """A part for a sequence or text field. Deletes come first, then runs, then moves.

    A unit is one value, or one UTF-16 code unit; it is named (client, clock). A run is (left, right, content) with
    its attributes, a move (left, right, entry id), a delete (client, clock, length). `units` is how many it creates.
    """

    kind: int
    field: str
    runs: tuple[tuple[Any, ...], ...]
    deletes: tuple[tuple[int, int, int], ...]
    moves: tuple[tuple[Any, ...], ...]
    units: int


class Change(NamedTuple):
    """One decoded change. `core` is its record without the seal."""

    namespace: bytes
    session: bytes
    seq: int
    prev: bytes
    deps: tuple[Head, ...]
    intro: Intro | None
    hlc: int
    actor: tuple[str, str | None] | None
    rules: bytes | None
    about: About
    parts: tuple[Keyed | Ordered, ...]
    hash: bytes
    core: bytes
    seal: bytes
    digests: tuple[bytes, ...]  # of its about and its parts
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
    about: About,
    parts: Sequence[Keyed | Ordered],
    sign: Callable[[bytes], bytes] | None = None,
) -> Change:
    """A new change of our own, sealed if it is told how. Its pieces are valid by construction; its size is checked.

    Raises:
        ValueRefused: it would be larger than a change may be.
    """
    header = _pack((FORMAT, namespace, session, seq, prev, deps, intro, hlc, actor, None))
    items = [b"" if about is NOTHING else _pack((_salt(), _trimmed(about)))]
    if len(parts) > MAX_PARTS:
        raise ValueRefused(f"{len(parts)} fields, more than the {MAX_PARTS} a change may touch; split it")
    for part in parts:
        if len(part[2]) > MAX_ADDS or len(part[3]) > MAX_ADDS:
            raise ValueRefused(f"{part.field}: more than the {MAX_ADDS} entries a change may add or remove; split it")
        items.append(_pack((_salt(), *part[:5])))
    core = b"\x93" + _pack(header) + _pack(items)
    if len(core) > MAX_CHANGE - 2 - SEAL_SIZE:
        raise ValueRefused(f"the change has {len(core)} bytes, more than {MAX_CHANGE}; split it")
    hash, digests = _hash(header, items)
    return _change(
        Change,
        (
            *(namespace, session, seq, prev, deps, intro, hlc, actor, None),
            *(about, parts, hash, core, sign(hash) if sign else b"", digests, FORMAT),
        ),
    )


def decode(data: bytes) -> Change:
    """The change in these bytes.

    Raises:
        BadBytes: they are not one. A change of a newer format comes back with no parts.
    """
    if len(data) > MAX_CHANGE:
        raise BadBytes(f"{len(data)} bytes, more than a change may have")
    try:
        return _decode(data)
    except BadBytes:
        raise
    except ValueRefused as error:
        raise BadBytes(str(error)) from None
    except Exception as error:  # msgpack and tuple unpacking raise a dozen kinds on hostile bytes
        raise BadBytes(f"undecodable: {type(error).__name__}: {error}") from None


def _decode(data: bytes) -> Change:
    header, items, seal = unpackb(data, use_list=False, max_array_len=MAX_PARTS + 1)
    if type(header) is not bytes or type(items) is not tuple or not items or {type(i) for i in items} != {bytes}:
        raise BadBytes("a record is a header, its items and a seal")
    if type(seal) is not bytes or (seal and len(seal) != SEAL_SIZE):
        raise BadBytes("a seal has 64 bytes")
    core = data[: -2 - len(seal)]
    head = unpackb(header, use_list=False, max_array_len=MAX_DEPS)
    format, namespace, session, seq, prev, deps, intro = head[:7]
    if type(format) is not int or format < 1:
        raise BadBytes("a format is a positive int")
    if type(namespace) is not bytes or len(namespace) != 16 or type(session) is not bytes or len(session) != 16:
        raise BadBytes("namespace and session have 16 bytes")
    if type(seq) is not int or not 0 < seq < MAX_SEQ or type(prev) is not bytes or len(prev) != (32 if seq > 1 else 0):
        raise BadBytes("seq or prev is malformed")
    if deps and (not _are_heads(deps) or any(dep[0] == session for dep in deps)):
        raise BadBytes("deps are heads of other sessions")
    if (intro is None) != (seq > 1) or not (intro is None or _is_intro(intro)):
        raise BadBytes("the first change of a session, and only that, introduces it")
    hash, digests = _hash(header, items)
    introduced = Intro(*intro) if intro else None
    known = tuple([Head(*dep) for dep in deps]) if deps else ()
    if format > FORMAT:
        return _change(
            Change,
            (
                *(namespace, session, seq, prev, known, introduced, 0, None, None),
                *(NOTHING, (), hash, core, seal, digests, format),
            ),
        )
    hlc, actor, rules = head[7:]
    if type(hlc) is not int or not 0 <= hlc <= MAX_STAMP:
        raise BadBytes("hlc is malformed")
    if not (actor is None or (type(actor) is tuple and len(actor) == 2 and _are_names(*actor))):
        raise BadBytes("actor is malformed")
    if not (rules is None or (type(rules) is bytes and len(rules) == 32)):
        raise BadBytes("rules are named by a hash")
    said = NOTHING
    if items[0]:
        salt, wire = unpackb(items[0], use_list=False, max_array_len=MAX_ADDS)
        said = _about(wire)
        if len(salt) != 16 or packb((salt, wire)) != items[0] or _trimmed(said) != wire:
            raise BadBytes("about is malformed")
    parts = tuple([_part(item, session, seq) for item in items[1:]])
    return _change(
        Change,
        (
            *(namespace, session, seq, prev, known, introduced, hlc, actor, rules),
            *(said, parts, hash, core, seal, digests, format),
        ),
    )


def _part(item: bytes, session: bytes, seq: int) -> Keyed | Ordered:
    body = unpackb(item, use_list=False, max_array_len=MAX_ADDS)
    if packb(body) != item:
        raise BadBytes("a part not in canonical form")
    salt, kind, field = body[:3]
    if type(salt) is not bytes or len(salt) != 16 or type(field) is not str or not is_field(field):
        raise BadBytes("a part needs a salt and the name of its field")
    if type(kind) is not int:
        raise BadBytes("a kind is an int")
    if kind in (SET, COUNTER, REGISTER, RECORDS):
        adds, removes = body[3:]
        if type(adds) is not tuple or type(removes) is not tuple:
            raise BadBytes("adds and removes are lists")
        for add in adds:
            _add(kind, add)
        for gone in removes:
            if not is_id(gone) or (gone[0] == session and gone[1] >= seq):
                raise BadBytes("a remove names an entry of an earlier change")
        if kind == COUNTER and removes:
            raise BadBytes("a counter part only counts")
        return Keyed(kind, field, adds, removes)
    if kind not in (SEQUENCE, TEXT):
        raise BadBytes(f"unknown kind {kind}")
    runs, deletes, moves = body[3:]
    if type(runs) is not tuple or type(deletes) is not tuple or type(moves) is not tuple:
        raise BadBytes("runs, deletes and moves are lists")
    units = len(moves)
    if len(runs) + len(moves) > MAX_RUNS or len(deletes) > MAX_ADDS or (moves and kind == TEXT):
        raise BadBytes("too many runs, deletes or moves")
    for run in runs:
        units += _run(kind, run)
    for client, clock, length in deletes:
        if not _is_unit((client, clock)) or type(length) is not int or not 0 < length < 2**53:
            raise BadBytes("a delete is (client, clock, length)")
    for move in moves:
        _about_at(move, 3)
        if not (_is_place(move) and is_id(move[2])) or (move[2][0] == session and move[2][1] >= seq):
            raise BadBytes("a move names an entry of an earlier change")
    return Ordered(kind, field, runs, deletes, moves, units)


def _add(kind: int, add: tuple[Any, ...]) -> None:
    _about_at(add, 1)
    value = admit(add[0])
    size = len(add)
    if kind != RECORDS:
        if size > 2:
            raise BadBytes("an add is a value with its attributes")
        if kind == COUNTER and not (type(value) is int and MIN_INT <= value <= MAX_INT):
            raise BadBytes("a counter total is an int64")
        return
    if size not in (3, 4) or type(add[2]) is not str or not is_key(add[2]):
        raise BadBytes("an add of records names its key")
    if size == 4 and not (
        type(add[3]) is tuple and all(map(is_id, add[3])) and value.__class__.__name__ == "ExtType" and is_dict(value)
    ):
        raise BadBytes("a patch is a dict over entry ids")


def _run(kind: int, run: tuple[Any, ...]) -> int:
    _about_at(run, 3)
    if not _is_place(run):
        raise BadBytes("a run lies between two units")
    content = run[2]
    if kind == TEXT:
        if type(content) is not str or not content:
            raise BadBytes("a run of text is a str")
        return utf16(content)
    if type(content) is not tuple or not content:
        raise BadBytes("a run of a sequence is its values")
    for value in content:
        admit(value)
    return len(content)


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


def is_field(name: str) -> bool:
    """Whether a field may have this name.

    >>> is_field("open_questions"), is_field("")
    (True, False)
    """
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def is_key(key: str) -> bool:
    """Whether a record may have this key: any text of at most 1024 characters."""
    return len(key) <= 1024


def _about_at(item: tuple[Any, ...], place: int) -> None:
    if type(item) is not tuple or len(item) < place:
        raise BadBytes("an item is too short")
    if len(item) > place and item[place] is not None:
        wire = item[place]
        said = _about(wire)
        if not wire or _trimmed(said) != wire:
            raise BadBytes("attributes not in canonical form")
    elif len(item) == place + 1:
        raise BadBytes("an absent attribute is cut")


def _about(wire: tuple[Any, ...]) -> About:
    if type(wire) is not tuple or len(wire) > len(About._fields):
        raise BadBytes("attributes are a list")
    said = About(*(NOTHING[i] if item is None else item for i, item in enumerate(wire)))
    flaw = about_flaw(said)
    if flaw:
        raise BadBytes(flaw)
    return said


def _trimmed(about: About) -> tuple[Any, ...]:
    """The wire form of attributes: absent ones None, trailing ones cut."""
    items = [None if item == () else item for item in about]
    while items and items[-1] is None:
        items.pop()
    return tuple(items)


def wire_about(about: About | None) -> tuple[Any, ...] | None:
    """The wire form of an entry's own attributes."""
    return None if about is None else _trimmed(about)


def said(wire: tuple[Any, ...] | None) -> About | None:
    """The attributes of an entry, from their checked wire form."""
    return None if wire is None else About(*(NOTHING[i] if item is None else item for i, item in enumerate(wire)))


def _is_unit(unit: object) -> bool:
    return (
        type(unit) is tuple
        and len(unit) == 2
        and type(unit[0]) is int
        and 0 < unit[0] < 2**53
        and type(unit[1]) is int
        and 0 <= unit[1] < 2**53
    )


def _is_place(item: tuple[Any, ...]) -> bool:
    return len(item) in (3, 4) and all(unit is None or _is_unit(unit) for unit in item[:2])


def _are_heads(heads: object) -> bool:
    return (
        type(heads) is tuple
        and len(heads) <= MAX_DEPS
        and all(
            type(head) is tuple
            and len(head) == 3
            and type(head[0]) is bytes
            and len(head[0]) == 16
            and type(head[1]) is int
            and 0 < head[1] < MAX_SEQ
            and type(head[2]) is bytes
            and len(head[2]) == 32
            for head in heads
        )
        and len({head[0] for head in heads}) == len(heads)
    )


def _is_intro(intro: object) -> bool:
    return (
        type(intro) is tuple
        and len(intro) == 4
        and type(intro[0]) is bytes
        and len(intro[0]) == 32
        and _are_names(intro[1], intro[2])
        and type(intro[3]) is bytes
        and len(intro[3]) == 16
    )


def _are_names(agent: object, role: object) -> bool:
    return type(agent) is str and is_field(agent) and (role is None or (type(role) is str and is_field(role)))


def _hash(header: bytes, items: Sequence[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    digests = tuple([blake2b(item, digest_size=32).digest() if item else _EMPTY_DIGEST for item in items])
    return blake2b(header + b"".join(digests), digest_size=32).digest(), digests


def _salt() -> bytes:
    """16 random bytes, taken from the system 256 at a time."""
    try:
        return _SALTS.pop()
    except IndexError:
        pool = os.urandom(16 * 256)
        _SALTS.extend(pool[i : i + 16] for i in range(16, len(pool), 16))
        return pool[:16]


_SALTS: list[bytes] = []
_pack = Packer().pack  # packs under the GIL, so one serves every thread
_change = tuple.__new__  # a NamedTuple's own constructor costs three times as much
os.register_at_fork(after_in_child=_SALTS.clear)
