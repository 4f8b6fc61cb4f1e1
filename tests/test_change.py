"""Changes: what is composed here is decoded there, and of anything else nothing is."""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from crdtmem.change import (
    COUNTER,
    KINDS,
    MAX_ADDS,
    MAX_CHANGE,
    MAX_DEPS,
    MAX_PARTS,
    MAX_RUNS,
    MAX_SEQ,
    RECORDS,
    REGISTER,
    SEQUENCE,
    SET,
    TEXT,
    Change,
    Head,
    Intro,
    Keyed,
    Ordered,
    Version,
    compose,
    decode,
    is_field,
    is_key,
    record,
    utf16,
)
from crdtmem.clock import MAX_STAMP
from crdtmem.errors import BadBytes, NamespaceError, ValueRefused
from crdtmem.namespace import Namespace
from crdtmem.values import MAX_VALUE, freeze, key_of
from tests.drawn import HARD, texts, values
from tests.wire import Ext, pack

SCOPE = Namespace(tenant="acme")
ME, OTHER = b"m" * 16, b"o" * 16
INTRO = Intro(b"k" * 32, "ann", None, b"n" * 16)
HASH = b"h" * 32

# -- what is drawn -------------------------------------------------------------------------------------

sessions = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
ids = st.tuples(sessions, st.integers(1, 9), st.integers(0, 2**32 - 1))
heads = st.builds(Head, sessions, st.integers(1, MAX_SEQ - 1), hashes)
names = st.sampled_from(["s", "open questions", "n" * 200, "é"])
abouts = st.sampled_from(
    [None, ("why",), ("", None, 0.5), (None, ((OTHER, 1, 0),)), (None, None, None, ("t",), "tool", 9.0)]
)
frozen = values.map(freeze)
units = st.tuples(st.integers(1, 2**53 - 1), st.integers(0, 2**53 - 1))


@st.composite
def keyed_parts(draw: st.DrawFn) -> Keyed:
    kind = draw(st.sampled_from([SET, COUNTER, REGISTER, RECORDS]))
    adds: dict[Any, tuple[Any, ...]] = {}
    for _ in range(draw(st.integers(0, 3))):
        about = draw(abouts)
        if kind == RECORDS:
            key = draw(texts)
            patch = draw(st.none() | st.lists(ids, max_size=2).map(tuple))
            value = freeze(draw(st.dictionaries(texts, values))) if patch is not None else draw(frozen)
            adds[key] = (value, about, key) if patch is None else (value, about, key, patch)
        else:
            value = draw(st.integers(-(2**63), 2**63 - 1)) if kind == COUNTER else draw(frozen)
            adds[key_of(value) if kind == SET else None] = (value,) if about is None else (value, about)
    removes = () if kind == COUNTER else tuple(draw(st.lists(ids, max_size=3)))
    return Keyed(kind, draw(names), draw(abouts), tuple(adds.values()), removes)


@st.composite
def ordered_parts(draw: st.DrawFn) -> Ordered:
    kind = draw(st.sampled_from([SEQUENCE, TEXT]))
    contents = texts.filter(bool) if kind == TEXT else st.lists(frozen, min_size=1, max_size=3).map(tuple)
    runs = draw(st.lists(st.tuples(st.none() | units, contents, abouts), max_size=3))
    deletes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9)), max_size=3))
    moves = draw(st.lists(st.tuples(st.none() | units, ids), max_size=2)) if kind == SEQUENCE else []
    wire = tuple((left, content) if about is None else (left, content, about) for left, content, about in runs)
    return Ordered(kind, draw(names), draw(abouts), wire, tuple(deletes), tuple(moves))


parts_ = st.lists(keyed_parts() | ordered_parts(), min_size=1, max_size=3, unique_by=lambda part: part[:2])


@st.composite
def changes(draw: st.DrawFn) -> Change:
    seq = draw(st.sampled_from([1, 2, 10, MAX_SEQ - 1]))
    deps = {head.session: head for head in draw(st.lists(heads, max_size=3)) if head.session != ME}
    return compose(
        SCOPE.digest,
        ME,
        seq,
        b"" if seq == 1 else draw(hashes),
        tuple(deps.values()),
        draw(st.builds(Intro, hashes, names, st.none() | names, sessions)) if seq == 1 else None,
        draw(st.integers(0, MAX_STAMP)),
        draw(st.none() | st.tuples(names, st.none() | names)),
        tuple(draw(parts_)),
    )


# -- there and back ----------------------------------------------------------------------------------


@given(changes(), st.sampled_from([b"", b"s" * 64]))
def test_what_is_composed_here_is_decoded_there(change: Change, seal: bytes) -> None:
    data = record(change.core, seal)
    assert decode(data) == replace(change, seal=seal, parts=tuple(change.parts))
    assert change.head == Head(ME, change.seq, change.hash)


@given(changes(), st.data())
def test_a_changed_byte_gives_another_hash_or_no_change(change: Change, data: st.DataObject) -> None:
    original = record(change.core, b"")
    at, bit = data.draw(st.integers(0, len(original) - 1)), data.draw(st.integers(0, 7))
    mutant = bytearray(original)
    mutant[at] ^= 1 << bit
    try:
        found = decode(bytes(mutant))
    except BadBytes:
        return
    assert found.hash != change.hash
    assert record(found.core, found.seal) == mutant


@given(changes(), st.data())
def test_a_part_of_a_change_is_none(change: Change, data: st.DataObject) -> None:
    original = record(change.core, b"s" * 64)
    for broken in (original[: data.draw(st.integers(0, len(original) - 1))], original + b"\x00"):
        with pytest.raises(BadBytes):
            decode(broken)


@given(st.binary(max_size=80))
def test_any_bytes_give_a_change_or_one_error(data: bytes) -> None:
    with pytest.raises(BadBytes):
        decode(data)


@given(ordered_parts())
def test_a_part_knows_how_many_units_it_creates(part: Ordered) -> None:
    sizes = [len(run[1]) if part.kind == SEQUENCE else utf16(run[1]) for run in part.runs]
    assert part.units == sum(sizes) + len(part.moves)


def test_equal_changes_differ_by_their_salt() -> None:
    part = Keyed(SET, "s", None, (("x",),), ())
    made = [compose(SCOPE.digest, ME, 1, b"", (), INTRO, 0, None, (part,)) for _ in range(600)]
    assert len({change.hash for change in made}) == 600


# -- what one may say ----------------------------------------------------------------------------------


SALT = b"x" * 16
ADD = pack((SALT, SET, "s", None, (("x",),), ()))


def head(**given_: Any) -> list[Any]:
    """A sound header of a second change, but for what is given."""
    items = {"format": 1, "namespace": SCOPE.digest, "session": ME, "seq": 2, "prev": HASH, "deps": (), "intro": None}
    items |= {"hlc": 0, "actor": None, "rules": None}
    return list((items | given_).values())


def wrapped(header: Any = None, parts: Any = (ADD,), seal: Any = b"") -> bytes:
    return pack((pack(head() if header is None else header), parts, seal))


def first(**given_: Any) -> bytes:
    return wrapped(head(**{"seq": 1, "prev": b"", "intro": tuple(INTRO), **given_}))


def keyed(kind: Any, *adds: Any, removes: Any = (), about: Any = None) -> bytes:
    return wrapped(parts=(pack((SALT, kind, "f", about, adds, removes)),))


def ordered(kind: Any, *runs: Any, deletes: Any = (), moves: Any = ()) -> bytes:
    return wrapped(parts=(pack((SALT, kind, "f", None, runs, deletes, moves)),))


def part(*items: Any) -> bytes:
    return wrapped(parts=(pack(items),))


def test_the_sound_ones_among_the_forged_pass() -> None:
    for sound in (
        wrapped(),
        first(),
        wrapped(seal=b"s" * 64),
        wrapped(head(actor=("ann", "lead"), rules=HASH, deps=(Head(OTHER, 1, HASH),))),
        keyed(SET, ("x",), ("y", ("why",)), removes=((OTHER, 9, 0), (ME, 1, 0))),
        keyed(RECORDS, (1, None, ""), (freeze({}), ("why",), "k", ((OTHER, 9, 0), (ME, 1, 0)))),
        keyed(COUNTER, (1,)),
        keyed(REGISTER, (None,), about=("why",)),
        ordered(TEXT, (None, "x"), ((5, 0), "y", ("why",)), deletes=((5, 0, 1),)),
        ordered(SEQUENCE, (None, (1, "x")), moves=((None, (ME, 1, 0)),)),
    ):
        assert decode(sound).parts


E = (OTHER, 1, 0)


@pytest.mark.parametrize(
    "data",
    [
        # the wrapping
        b"",
        bytes(MAX_CHANGE + 1),
        pack(5),
        pack((1, 2)),
        pack((b"", (), b"")),
        pack((b"", b"", b"")),
        pack(("", (ADD,), b"")),
        wrapped(parts=(ADD, "part")),
        wrapped(parts=(ADD,) * (MAX_PARTS + 1)),
        wrapped(seal="s" * 64),
        wrapped(seal=b"s" * 63),
        wrapped() + b"\x00",
        wrapped()[:-2] + b"\xc5\x00\x00",
        wrapped()[:-2] + b"\xc5\x00\x40" + b"s" * 64,
        b"\xdc\x00\x03" + wrapped()[1:],
        # the header
        pack((b"", (ADD,), b"")),
        wrapped(5),
        wrapped(head()[:9]),
        wrapped([*head(), 1]),
        wrapped(head(format=2)[:6]),
        wrapped(head(format=0)),
        wrapped(head(format=-1)),
        wrapped(head(format=True)),
        wrapped(head(format="1")),
        wrapped(head(namespace=b"short")),
        wrapped(head(namespace="n" * 16)),
        wrapped(head(session=b"short")),
        wrapped(head(session="s" * 16)),
        wrapped(head(seq=0)),
        wrapped(head(seq=MAX_SEQ)),
        wrapped(head(seq=2.0)),
        wrapped(head(prev=b"")),
        wrapped(head(prev="h" * 32)),
        first(prev=HASH),
        wrapped(head(deps=None)),
        wrapped(head(deps=((OTHER, 1),))),
        wrapped(head(deps=(b"dep",))),
        wrapped(head(deps=((b"short", 1, HASH),))),
        wrapped(head(deps=(("o" * 16, 1, HASH),))),
        wrapped(head(deps=((OTHER, 0, HASH),))),
        wrapped(head(deps=((OTHER, 1.0, HASH),))),
        wrapped(head(deps=((OTHER, 1, b""),))),
        wrapped(head(deps=((OTHER, 1, "h" * 32),))),
        wrapped(head(deps=((ME, 1, HASH),))),
        wrapped(head(deps=((OTHER, 1, HASH), (OTHER, 2, HASH)))),
        wrapped(head(deps=tuple((b"%016d" % i, 1, HASH) for i in range(MAX_DEPS + 1)))),
        wrapped(head(intro=tuple(INTRO))),
        first(intro=None),
        first(intro=b"intro"),
        first(intro=tuple(INTRO)[:3]),
        first(intro=tuple(INTRO._replace(key=b"k"))),
        first(intro=tuple(INTRO._replace(key="k" * 32))),
        first(intro=tuple(INTRO._replace(agent=""))),
        first(intro=tuple(INTRO._replace(agent=b"a"))),
        first(intro=tuple(INTRO._replace(role="a\nb"))),
        first(intro=tuple(INTRO._replace(role=5))),
        first(intro=tuple(INTRO._replace(nonce=b"n"))),
        first(intro=tuple(INTRO._replace(nonce="n" * 16))),
        wrapped(head(hlc=-1)),
        wrapped(head(hlc=MAX_STAMP + 1)),
        wrapped(head(hlc=0.0)),
        wrapped(head(actor="ann")),
        wrapped(head(actor=("ann",))),
        wrapped(head(actor=(None, None))),
        wrapped(head(actor=("ann", ""))),
        wrapped(head(rules=b"short")),
        wrapped(head(rules="r" * 32)),
        # the parts
        wrapped(parts=(b"",)),
        wrapped(parts=(ADD, ADD)),
        part(SALT, SET, "s", None, ()),
        part(SALT, SET, "s", None, (), (), (), ()),
        part(b"salt", SET, "s", None, (), ()),
        part("x" * 16, SET, "s", None, (), ()),
        part(SALT, SET, b"s", None, (), ()),
        part(SALT, SET, "", None, (), ()),
        part(SALT, SET, "n" * 201, None, (), ()),
        part(SALT, SET, "a\n", None, (), ()),
        part(SALT, TEXT, "a\n", None, (), (), ()),
        part(SALT, *(True,), "s", None, (), ()),
        part(SALT, 0, "s", None, (), ()),
        part(SALT, 7, "s", None, (), (), ()),
        part(SALT, SET, "s", None, (), (), ()),
        part(SALT, SET, "s", None, b"", ()),
        part(SALT, SET, "s", None, (), b""),
        part(SALT, TEXT, "s", None, (), ()),
        part(SALT, TEXT, "s", None, b"", (), ()),
        part(SALT, TEXT, "s", None, (), b"", ()),
        part(SALT, TEXT, "s", None, (), (), b""),
        # what is said
        keyed(SET, about=5),
        keyed(SET, about=()),
        keyed(SET, about=("why", None)),
        keyed(SET, about=("x" * 8193,)),
        keyed(SET, ("x", (None, None, 2.0))),
        keyed(SET, ("x", ())),
        ordered(TEXT, (None, "x", ())),
        ordered(TEXT, (None, "x", None)),
        # adds and removes
        keyed(SET, 5),
        keyed(SET, "x"),
        keyed(SET, ()),
        keyed(SET, ("x", None)),
        keyed(SET, ("x", ("why",), 1)),
        keyed(SET, (2**63,)),
        keyed(SET, ("x" * (MAX_VALUE + 1),)),
        keyed(SET, ((1, 2),)),
        keyed(SET, (Ext(1, b"\xc0"),)),
        keyed(SET, ("x",), ("x", ("why",))),
        keyed(REGISTER, (1,), (2,)),
        keyed(RECORDS, (1, None, "k"), (2, None, "k")),
        keyed(COUNTER, ("1",)),
        keyed(COUNTER, (True,)),
        keyed(COUNTER, (1.0,)),
        keyed(COUNTER, removes=(E,)),
        keyed(SET, removes=(b"id",)),
        keyed(SET, removes=((OTHER, 0, 0),)),
        keyed(SET, removes=((ME, 2, 0),)),
        keyed(RECORDS, ("x",)),
        keyed(RECORDS, ("x", None, 5)),
        keyed(RECORDS, ("x", None, "k" * 1025)),
        keyed(RECORDS, ("x", None, "k", (), 1)),
        keyed(RECORDS, (freeze({}), None, "k", 5)),
        keyed(RECORDS, (freeze({}), None, "k", (5,))),
        keyed(RECORDS, (freeze([]), None, "k", ())),
        keyed(RECORDS, (1, None, "k", ())),
        # runs, deletes and moves
        ordered(TEXT, (None,)),
        ordered(TEXT, (None, "x", ("why",), 1)),
        ordered(TEXT, (5, "x")),
        ordered(TEXT, ((5, 0, 0), "x")),
        ordered(TEXT, ((0, 0), "x")),
        ordered(TEXT, ((2**53, 0), "x")),
        ordered(TEXT, ((5, -1), "x")),
        ordered(TEXT, ((5, 0.0), "x")),
        ordered(TEXT, ((5.0, 0), "x")),
        ordered(TEXT, ((5, 2**53), "x")),
        ordered(TEXT, 5),
        ordered(TEXT, (None, "")),
        ordered(TEXT, (None, b"x")),
        ordered(SEQUENCE, (None, ())),
        ordered(SEQUENCE, (None, "x")),
        ordered(SEQUENCE, (None, ((),))),
        ordered(SEQUENCE, *((None, (1,)),) * (MAX_RUNS + 1)),
        ordered(SEQUENCE, moves=((None, E),) * (MAX_RUNS + 1)),
        ordered(TEXT, moves=((None, E),)),
        ordered(TEXT, deletes=(5,)),
        ordered(TEXT, deletes=((5, 0),)),
        ordered(TEXT, deletes=((0, 0, 1),)),
        ordered(TEXT, deletes=((5, 0, 0),)),
        ordered(TEXT, deletes=((5, 0, 1.0),)),
        ordered(TEXT, deletes=((5, 0, 2**53),)),
        ordered(SEQUENCE, moves=((None,),)),
        ordered(SEQUENCE, moves=((None, E, ("why",)),)),
        ordered(SEQUENCE, moves=((None, 5),)),
        ordered(SEQUENCE, moves=((None, (ME, 2, 0)),)),
        ordered(SEQUENCE, moves=((5, E),)),
    ],
    ids=lambda data: data[-12:].hex(),
)
def test_whatever_is_not_sound_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(BadBytes) as refused:
        decode(data)
    assert 0 < len(str(refused.value)) < 300


@pytest.mark.parametrize("data", [None, "text", 5, bytearray(b"x"), memoryview(b"x")])
def test_a_record_is_bytes(data: Any) -> None:
    with pytest.raises(BadBytes, match=f"a record is bytes, not {type(data).__name__}"):
        decode(data)


def test_a_newer_format_is_recognised_without_being_understood() -> None:
    header = [*head(format=7, deps=(Head(OTHER, 1, HASH),))[:7], {"anything": 1}]
    data = pack((pack(header), (b"whatever",), b"s" * 64))
    change = decode(data)
    assert (change.format, change.namespace, change.session, change.seq) == (7, SCOPE.digest, ME, 2)
    assert (change.prev, change.deps, change.parts, change.seal) == (HASH, (Head(OTHER, 1, HASH),), (), b"s" * 64)
    assert record(change.core, change.seal) == data
    other = decode(pack((pack(header), (b"something else",), b"s" * 64)))
    assert other.hash != change.hash


# -- limits of what is composed ------------------------------------------------------------------------

X = ("x",)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([Keyed(SET, f"s{i}", None, (X,), ()) for i in range(MAX_PARTS + 1)], "257 fields, more than the 256"),
        (
            [Keyed(SET, "s", None, (X,) * (MAX_ADDS + 1), ())],
            "s: more than the 8192 entries a change may add or remove",
        ),
        (
            [Keyed(SET, "s", None, (), (E,) * (MAX_ADDS + 1))],
            "s: more than the 8192 entries a change may add or remove",
        ),
        ([Keyed(SET, "s", None, (("x" * MAX_CHANGE,),), ())], f"bytes, more than {MAX_CHANGE}; split it"),
    ],
)
def test_a_change_too_large_is_refused_with_the_way_out(parts: list[Keyed], message: str) -> None:
    with pytest.raises(ValueRefused, match=message):
        compose(SCOPE.digest, ME, 1, b"", (), INTRO, 0, None, parts)


def test_the_largest_change_passes_even_with_a_seal() -> None:
    def made(size: int) -> Change:
        parts = tuple(Keyed(SET, f"s{i}", None, (("x" * (200_000 if i else size),),), ()) for i in range(5))
        return compose(SCOPE.digest, ME, 1, b"", (), INTRO, 0, None, parts)

    room = MAX_CHANGE - 66 - len(made(100_000).core)
    largest = record(made(100_000 + room).core, b"s" * 64)
    assert len(largest) == MAX_CHANGE
    assert decode(largest).seal == b"s" * 64
    with pytest.raises(ValueRefused):
        made(100_001 + room)


# -- versions and names --------------------------------------------------------------------------------


@given(st.lists(heads, max_size=5, unique_by=lambda h: h.session))
def test_a_version_survives_its_token(found: list[Head]) -> None:
    version = Version(SCOPE.digest, tuple(sorted(found)))
    assert Version.parse(str(version)) == version
    assert Version.parse(str(version._replace(heads=tuple(found)))) == version
    assert str(version).isascii() and "=" not in str(version)


def test_a_version_may_have_more_heads_than_a_change_has_deps() -> None:
    version = Version(SCOPE.digest, tuple(Head(b"%016d" % i, 1, HASH) for i in range(MAX_DEPS + 1)))
    assert Version.parse(str(version)) == version


def token(version: Any) -> str:
    return urlsafe_b64encode(pack(version)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "\u00e9",
        token(5),
        token((SCOPE.digest,)),
        token((SCOPE.digest, (), 1)),
        token((b"short", ())),
        token(("n" * 16, ())),
        token((SCOPE.digest, None)),
        token((SCOPE.digest, ((OTHER, 0, HASH),))),
        token((SCOPE.digest, ((OTHER, 1, HASH), (OTHER, 1, HASH)))),
        urlsafe_b64encode(pack((SCOPE.digest, ())) + b"more").decode(),
    ],
)
def test_a_text_that_is_no_version_token_is_refused(text: str) -> None:
    with pytest.raises(BadBytes) as refused:
        Version.parse(text)
    assert str(refused.value) == f"{text[:40]!r} is not a version token"


@given(st.text(max_size=40) | st.binary(max_size=60).map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_text_gives_a_version_or_one_error(text: str) -> None:
    try:
        found = Version.parse(text)
    except BadBytes:
        return
    assert Version.parse(str(found)) == found


def test_a_version_belongs_to_one_namespace() -> None:
    version = Version(SCOPE.digest, ())
    assert version.check(SCOPE) is version
    with pytest.raises(
        NamespaceError, match=r"this version belongs to another namespace than Namespace\(tenant='other'\)"
    ):
        version.check(Namespace(tenant="other"))


@given(st.lists(st.sampled_from(HARD)).map("".join))
def test_utf16_counts_what_yjs_counts(text: str) -> None:
    assert utf16(text) == len(text) + sum(char > "\uffff" for char in text)


def test_names_and_keys() -> None:
    assert all(map(is_field, ["a", "open questions", "é\U0001f600", "n" * 200]))
    assert not any(map(is_field, ["", "a\n", "\u200b", "\ud800", "n" * 201]))
    assert is_key("") and is_key("\n" * 1024) and not is_key("k" * 1025)
    assert list(KINDS.values()) == ["set", "counter", "register", "records", "sequence", "text"]


def test_the_layout_of_a_record_is_spelled_out_here() -> None:
    """The wrapping, the first seven items of a header, the hash and the seal stay as they are in every later format."""
    one = Keyed(SET, "s", ("why",), (("x",),), ())
    two = Ordered(TEXT, "t", None, (((5, 0), "x"),), ((5, 0, 1),), ())
    change = compose(SCOPE.digest, ME, 1, b"", (), INTRO, 5, ("bob", None), (one, two))
    header = pack((1, SCOPE.digest, ME, 1, b"", (), INTRO, 5, ("bob", None), None))
    data = record(change.core, b"s" * 64)
    found = [data.index(pack(part)[1:]) for part in (one, two)]
    salts = [data[at - 16 : at] for at in found]
    parts = [pack((salt, *part)) for salt, part in zip(salts, (one, two), strict=True)]
    assert data == pack((header, parts, b"s" * 64))
    assert change.digests == [blake2b(part, digest_size=32).digest() for part in parts]
    assert change.hash == blake2b(header + b"".join(change.digests), digest_size=32).digest()


@given(changes())
def test_a_kept_record_is_decoded_to_what_it_was_when_it_came(change: Change) -> None:
    data = record(change.core, b"s" * 64)
    assert decode(data, known=change.hash) == decode(data)


def test_an_increment_is_taken_back_by_its_amount_and_id() -> None:
    back, other = (5, None, (OTHER, 1, 0)), (-2, ("why",), (OTHER, 2, 0))
    [part] = decode(keyed(COUNTER, back, other, (7,))).parts
    assert part.adds == (back, other, (7,))
    for bad in ((1, None, "x"), (1, None, (OTHER, 1)), (1, None, (b"short", 1, 0)), ("x", *back[1:]), (*back, 1)):
        with pytest.raises(BadBytes):
            decode(keyed(COUNTER, bad))
    with pytest.raises(BadBytes, match="two adds for one key"):
        decode(keyed(COUNTER, back, (6, *back[1:])))
    with pytest.raises(BadBytes):
        decode(keyed(SET, ("x", None, (OTHER, 1, 0))))
