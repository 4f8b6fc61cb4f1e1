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
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from msgpack import ExtType, Packer, packb, unpackb

from crdtmem.clock import MAX_STAMP
from crdtmem.entry import MAX_WHY, About, about_flaw, is_id
from crdtmem.errors import BadBytes, NamespaceError, ValueRefused
from crdtmem.namespace import Namespace
from crdtmem.values import admit, key_of

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
SHORT = 4096  # a decoded str can only be too long, and not below this
PART_SHIFT = 20  # the n of an entry: its part above, its place in the part below

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
    (value, about, key, over), trailing absences cut. What is said about the part holds for adds that say nothing.
    A remove is an entry id.
    """

    kind: int
    field: str
    about: About | None
    adds: tuple[tuple[Any, ...], ...]
    removes: tuple[Any, ...]


class Ordered(NamedTuple):
    """A part for a sequence or text field. Deletes come first, then runs, then moves.

    A unit is one value, or one UTF-16 code unit; it is named (client, clock). A run is (left, right, content) with
    its attributes, a move (left, right, entry id), a delete (client, clock, length).
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
        return len(self.moves) + sum([utf16(r[2]) if self.kind == TEXT else len(r[2]) for r in self.runs])


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
    parts: tuple[Keyed | Ordered, ...]
    hash: bytes
    core: bytes
    seal: bytes
    digests: tuple[bytes, ...]  # of its parts
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
) -> Change:
    """A new change of our own. Its pieces are valid by construction; only its size is checked here.

    Raises:
        ValueRefused: it would be larger than a change may be.
    """
    header = _pack((FORMAT, namespace, session, seq, prev, deps, intro, hlc, actor, None))
    items = []
    if len(parts) > MAX_PARTS:
        raise ValueRefused(f"{len(parts)} fields, more than the {MAX_PARTS} a change may touch; split it")
    for part in parts:
        if len(part[3]) > MAX_ADDS or len(part[4]) > MAX_ADDS:
            raise ValueRefused(f"{part.field}: more than the {MAX_ADDS} entries a change may add or remove; split it")
        items.append(_pack((_SALTS.pop() if _SALTS else _salt(),) + part))  # noqa: RUF005 (a third of the price)
    core = _pack((header, items, b""))[:-2]
    if len(core) > MAX_CHANGE - 2 - SEAL_SIZE:
        raise ValueRefused(f"the change has {len(core)} bytes, more than {MAX_CHANGE}; split it")
    hash, digests = _hash(header, items)
    return _change(
        Change,
        (namespace, session, seq, prev, deps, intro, hlc, actor, None, parts, hash, core, b"", digests, FORMAT),
    )


def decode(data: bytes) -> Change:
    """The change in these bytes.

    Raises:
        BadBytes: they are not one. A change of a newer format comes back with no parts.
    """
    if type(data) is not bytes:
        raise BadBytes(f"a record is bytes, not {type(data).__name__}")
    if len(data) > MAX_CHANGE:
        raise BadBytes(f"{len(data)} bytes, more than a change may have")
    try:
        header, items, seal = unpackb(data, use_list=False, max_array_len=MAX_PARTS)
        if type(header) is not bytes or type(items) is not tuple or not items:
            raise BadBytes("a record is a header, its parts and a seal")
        for item in items:
            if type(item) is not bytes:
                raise BadBytes("a part is bytes")
        if type(seal) is not bytes or (seal and len(seal) != SEAL_SIZE):
            raise BadBytes("a seal has 64 bytes")
        if _pack((header, items, seal)) != data:  # neither hash nor seal covers the wrapping
            raise BadBytes("a record not in canonical form")
        core = data[: -2 - len(seal)]
        head = unpackb(header, use_list=False, max_array_len=MAX_DEPS)
        hlc, actor, rules, parts = 0, None, None, ()
        if head[0] == FORMAT:
            format, namespace, session, seq, prev, deps, intro, hlc, actor, rules = head
        else:
            format, namespace, session, seq, prev, deps, intro = head[:7]
        if type(format) is not int or format < 1:
            raise BadBytes("a format is a positive int")
        if type(namespace) is not bytes or len(namespace) != 16 or type(session) is not bytes or len(session) != 16:
            raise BadBytes("namespace and session have 16 bytes")
        if type(seq) is not int or not 0 < seq < MAX_SEQ:
            raise BadBytes("seq is malformed")
        if type(prev) is not bytes or len(prev) != (32 if seq > 1 else 0):
            raise BadBytes("prev is malformed")
        if deps != ():
            if not _are_heads(deps) or any(dep[0] == session for dep in deps):
                raise BadBytes("deps are heads of other sessions")
            deps = tuple([Head(*dep) for dep in deps])
        if (intro is None) != (seq > 1) or not (intro is None or _is_intro(intro)):
            raise BadBytes("the first change of a session, and only that, introduces it")
        if intro is not None:
            intro = Intro(*intro)
        hash, digests = _hash(header, items)
        if format == FORMAT:
            if type(hlc) is not int or not 0 <= hlc <= MAX_STAMP:
                raise BadBytes("hlc is malformed")
            if actor is not None and not (type(actor) is tuple and len(actor) == 2 and _are_names(*actor)):
                raise BadBytes("actor is malformed")
            if rules is not None and not (type(rules) is bytes and len(rules) == 32):
                raise BadBytes("rules are named by a hash")
            parts = tuple([_part(item, session, seq) for item in items])  # type: ignore[assignment]
            if len(parts) > 1 and len({part[:2] for part in parts}) < len(parts):
                raise BadBytes("two parts for one field")
        return _change(
            Change,
            (namespace, session, seq, prev, deps, intro, hlc, actor, rules, parts, hash, core, seal, digests, format),
        )
    except BadBytes:
        raise
    except Exception as error:  # msgpack and tuple unpacking raise a dozen kinds on hostile bytes
        raise BadBytes(f"undecodable: {type(error).__name__}: {error}") from None


def _part(item: bytes, session: bytes, seq: int) -> Keyed | Ordered:
    body = unpackb(item, use_list=False, max_array_len=MAX_ADDS)
    if len(body) == 6:
        salt, kind, field, about, first, second = body
    else:
        salt, kind, field, about, first, second, third = body
    if type(salt) is not bytes or len(salt) != 16 or type(field) is not str or not is_field(field):
        raise BadBytes("a part needs a salt and the name of its field")
    if about is not None:
        _check_about(about)
    if type(kind) is not int:
        raise BadBytes("a kind is an int")
    if SET <= kind <= RECORDS:
        adds, removes = first, second
        if len(body) != 6 or type(adds) is not tuple or type(removes) is not tuple:
            raise BadBytes("adds and removes are lists")
        for add in adds:
            plain = type(add) is tuple and len(add) == 1 and type(add[0]) is str and len(add[0]) <= SHORT
            if not plain or kind in (COUNTER, RECORDS):
                _add(kind, add)
        if len(adds) > 1 and kind != COUNTER and len({_key(kind, add) for add in adds}) < len(adds):
            raise BadBytes("two adds for one key")  # one replaces the other; siblings cost more the more they are
        for gone in removes:
            if not is_id(gone) or (gone[0] == session and gone[1] >= seq):
                raise BadBytes("a remove names an entry of an earlier change")
        if kind == COUNTER and removes:
            raise BadBytes("a counter part only counts")
        return _change(Keyed, (kind, field, about, adds, removes))
    if kind not in (SEQUENCE, TEXT):
        raise BadBytes(f"unknown kind {kind}")
    runs, deletes, moves = first, second, third
    if type(runs) is not tuple or type(deletes) is not tuple or type(moves) is not tuple:
        raise BadBytes("runs, deletes and moves are lists")
    if len(runs) + len(moves) > MAX_RUNS or (moves and kind == TEXT):
        raise BadBytes("too many runs or moves")
    for run in runs:
        _run(kind, run)
    for client, clock, length in deletes:
        if not _is_unit((client, clock)) or type(length) is not int or not 0 < length < 2**53:
            raise BadBytes("a delete is (client, clock, length)")
    for move in moves:
        if not _is_place(move) or len(move) != 3 or not is_id(move[2]) or (move[2][0] == session and move[2][1] >= seq):
            raise BadBytes("a move names an entry of an earlier change")
    return Ordered(kind, field, about, runs, deletes, moves)


def _add(kind: int, add: tuple[Any, ...]) -> None:
    value = add[0]
    size = len(add)
    if type(value) is not str or len(value) > SHORT:
        admit(value)
    if type(add) is not tuple or (size == 2 and add[1] is None):
        raise BadBytes("an add is a value with its attributes, an absent one cut")
    if size > 1 and add[1] is not None:
        _check_about(add[1])
    if kind != RECORDS:
        if size > 2:
            raise BadBytes("an add is a value with its attributes")
        if kind == COUNTER and type(value) is not int:
            raise BadBytes("a counter total is an int64")
        return
    if size not in (3, 4) or type(add[2]) is not str or not is_key(add[2]):
        raise BadBytes("an add of records names its key")
    if size == 3:
        return
    if not (type(add[3]) is tuple and all(map(is_id, add[3])) and type(value) is ExtType and is_dict(value)):
        raise BadBytes("a patch is a dict over entry ids")


def _key(kind: int, add: tuple[Any, ...]) -> Any:
    return key_of(add[0]) if kind == SET else add[2] if kind == RECORDS else None


def _run(kind: int, run: tuple[Any, ...]) -> None:
    if not _is_place(run):
        raise BadBytes("a run lies between two units")
    if len(run) == 4:
        _check_about(run[3])
    content = run[2]
    if kind == TEXT:
        if type(content) is not str or not content:
            raise BadBytes("a run of text is a str")
        return
    if type(content) is not tuple or not content:
        raise BadBytes("a run of a sequence is its values")
    for value in content:
        admit(value)


def _check_about(about: object) -> None:
    if type(about) is tuple and len(about) == 1 and type(about[0]) is str and len(about[0]) <= MAX_WHY:
        return  # a reason and nothing else, as nearly always
    flaw = about_flaw(about) or ("attributes that say nothing" if about == () else None)
    if flaw:
        raise BadBytes(flaw)


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
    return len(key) <= 1024


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


_blake = blake2b(digest_size=32).copy  # a copy costs half of a new one


def _salt() -> bytes:
    """16 random bytes, taken from the system 256 at a time."""
    pool = os.urandom(16 * 256)
    _SALTS.extend([pool[i : i + 16] for i in range(16, len(pool), 16)])
    return pool[:16]


_SALTS: list[bytes] = []
_pack = Packer().pack  # packs under the GIL, so one serves every thread
_change = tuple.__new__  # a NamedTuple's own constructor costs three times as much
os.register_at_fork(after_in_child=_SALTS.clear)
