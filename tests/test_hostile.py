"""A peer with a valid key and no manners: whatever it says, nothing breaks and the others end the same."""

import os
import random
from collections.abc import Callable
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from msgpack import ExtType, packb

from crdtmem import Identity, Memory, Received, Replica, Version
from tests.crew import SCOPE, Time, alone
from tests.hostile import COUNTER, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Evil, Round, container, explode

END = 2**53 - 1
NOBODY = bytes(16)
DEEP = reduce(lambda inner, _: [inner], range(33), [])


def plain(*body: Any, about: Any = None, **odd: Any) -> Callable[[Evil], bytes]:
    """A change of one part, valid in form."""
    return lambda evil: evil.write(evil.part(*body, about=about), **odd)


def raw(item: bytes) -> Callable[[Evil], bytes]:
    """A change of one part, given as bytes after its salt."""
    return lambda evil: evil.write(item.replace(b"SALT", b"\xc4\x10" + bytes(16)))


# Refused for what their own bytes say, by everybody and for ever.
REFUSED: dict[str, Callable[[Evil], bytes]] = {
    "NaN": plain(SET, "s", [[float("nan")]], []),
    "infinity inside a list": plain(SET, "s", [[container([float("inf")])]], []),
    "a number beyond int64": plain(SET, "s", [[2**64 - 1]], []),
    "a list 34 deep": plain(SET, "s", [[container(DEEP)]], []),
    "a bare list": plain(SET, "s", [[[1]]], []),
    "a bare dict": plain(SET, "s", [[{}]], []),
    "an unknown extension": plain(SET, "s", [[ExtType(2, b"\x90")]], []),
    "a scalar in a container": plain(SET, "s", [[container(1)]], []),
    "a timestamp": plain(SET, "s", [[ExtType(127, b"1234")]], []),
    "unsorted keys": plain(SET, "s", [[ExtType(1, b"\x82\xa1b\x01\xa1a\x01")]], []),
    "a key twice": plain(SET, "s", [[ExtType(1, b"\x82\xa1a\x01\xa1a\x01")]], []),
    "a key that is a number": plain(SET, "s", [[ExtType(1, b"\x81\x01\x01")]], []),
    "a long integer": plain(SET, "s", [[ExtType(1, b"\x91\xcd\x00\x01")]], []),
    "a short float": plain(SET, "s", [[ExtType(1, b"\x91\xca\x3f\x80\x00\x00")]], []),
    "bytes after a value": plain(SET, "s", [[ExtType(1, b"\x90\xc0")]], []),
    "invalid UTF-8": plain(SET, "s", [[ExtType(1, b"\x91\xa2\xed\xa0")]], []),
    "a lone surrogate": plain(SET, "s", [[ExtType(1, b"\x91\xa3\xed\xa0\x80")]], []),
    "bytes after a part": raw(b"\x96SALT\x01\xa1s\xc0\x90\x90\xc0"),
    "a part that is a map": raw(b"\x81\x01\x01"),
    "an empty part": raw(b""),
    "a kind to come": plain(7, "s", [], []),
    "kind 0": plain(0, "s", [], []),
    "kind true": plain(bool(1), "s", [], []),
    "a field without a name": plain(SET, "", [], []),
    "a field that rings the bell": plain(SET, "\a", [], []),
    "a field with a long name": plain(SET, "s" * 201, [], []),
    "an actor that turns the terminal red": plain(SET, "s", [], [], actor=["\x1b[31m", None]),
    "an actor without a name": plain(SET, "s", [], [], actor=["", None]),
    "a role that is a number": plain(SET, "s", [], [], actor=["bob", 1]),
    "a stamp before time": plain(SET, "s", [], [], hlc=-1),
    "a stamp after time": plain(SET, "s", [], [], hlc=2**63),
    "a dep on itself": lambda evil: evil.write(evil.part(SET, "s", [], []), deps=[[evil.session, 1, bytes(32)]]),
    "two deps on one session": plain(SET, "s", [], [], deps=[[NOBODY, 1, bytes(32)], [NOBODY, 2, bytes(32)]]),
    "1,025 deps": plain(SET, "s", [], [], deps=[[n.to_bytes(16, "big"), 1, bytes(32)] for n in range(1025)]),
    "a counter that removes": plain(COUNTER, "n", [[1]], [[NOBODY, 1, 0]]),
    "a counter of text": plain(COUNTER, "n", [["1"]], []),
    "a counter of halves": plain(COUNTER, "n", [[0.5]], []),
    "a counter of true": plain(COUNTER, "n", [[True]], []),
    "a remove of its own add": lambda evil: evil.write(evil.part(SET, "s", [[1]], [[evil.session, 1, 0]])),
    "a remove of what it will add": lambda evil: evil.write(evil.part(SET, "s", [[1]], [[evil.session, 9, 0]])),
    "a move of what it will insert": lambda evil: evil.write(
        evil.part(SEQUENCE, "q", [], [], [[None, [evil.session, 2, 0]]])
    ),
    "a record without a key": plain(RECORDS, "k", [[1]], []),
    "a record with a key of 1,025 characters": plain(RECORDS, "k", [[1, None, "k" * 1025]], []),
    "a patch that is no dict": plain(RECORDS, "k", [[container([1]), None, "k", []]], []),
    "a patch over what is no id": plain(RECORDS, "k", [[container({}), None, "k", [7]]], []),
    "a move in a text": plain(TEXT, "t", [], [], [[None, [NOBODY, 1, 0]]]),
    "a run of nothing": plain(TEXT, "t", [[None, ""]], [], []),
    "a run of bytes": plain(TEXT, "t", [[None, b"x"]], [], []),
    "a run after client 0": plain(TEXT, "t", [[[0, 0], None, "x"]], [], []),
    "a run after clock -1": plain(TEXT, "t", [[[1, -1], None, "x"]], [], []),
    "513 runs": plain(TEXT, "t", [[None, "x"]] * 513, [], []),
    "8,193 removes": plain(SET, "s", [], [[NOBODY, 1, n] for n in range(8193)]),
    "a delete of nothing": plain(TEXT, "t", [], [[1, 0, 0]], []),
    "attributes that say nothing": plain(SET, "s", [], [], about=[]),
    "attributes with absences at the end": plain(SET, "s", [], [], about=["why", None]),
    "a reason too long": plain(SET, "s", [], [], about=["y" * 8193]),
    "a confidence above 1": plain(SET, "s", [], [], about=[None, None, 1.5]),
    "a confidence that is not a number": plain(SET, "s", [], [], about=[None, None, float("nan")]),
    "a time to live of nothing": plain(SET, "s", [], [], about=[None, None, None, None, None, 0.0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_never_be_valid_is_refused(name: str) -> None:
    memory = alone()
    memory.set("s").add("here")
    before = memory.version, memory.digest()
    got = memory.receive([REFUSED[name](Evil(random.Random(name), SCOPE.digest))])
    assert got.applied == got.waiting == 0 and got.refused and got.refused[0].reason
    assert (memory.version, memory.digest()) == before


# Valid in form. {1} is an honest text "ab😀c", {2} a sequence [0, 1, 2], {3} a set of "x", each by client C, session S.
Honest = tuple[Memory, list[bytes], bytes, int]


@pytest.fixture(scope="module")
def honest() -> Honest:
    memory = alone("ann", time=Time())
    memory.text("t").append("ab\U0001f600c")
    memory.sequence("q").extend([0, 1, 2])
    memory.set("s").add("x")
    memory.records("k").put("k", {"a": 1})
    session = memory.version.heads[0].session
    return memory, memory.changes(), session, int.from_bytes(session[:8], "big") % END + 1


def odd_parts(session: bytes, c: int, own: int) -> dict[str, list[Any]]:
    """Parts that say what no honest part says, and what the replica must make the same of, whatever the order."""
    return {
        "after what others write after": [TEXT, "t", [[[c, 0], "x"], [[c, 0], "y"]], [], []],
        "after what is deleted": [TEXT, "t", [[[c, 0], "x"]], [[c, 0, 2]], []],
        "after half a character": [TEXT, "t", [[[c, 2], "x"]], [], []],
        "a delete of half a character": [TEXT, "t", [], [[c, 2, 1]], []],
        "a delete of another half": [TEXT, "t", [], [[c, 3, 2]], []],
        "after half of its own character": [TEXT, "t", [[None, "\U0001f600"], [[own, 0], "x"]], [], []],
        "after itself": [TEXT, "t", [[[own, 0], "x"]], [], []],
        "after what it writes later": [TEXT, "t", [[[own, 1], "x"], [None, "y"]], [], []],
        "a delete of what it writes": [TEXT, "t", [[None, "xy"]], [[own, 0, 2]], []],
        "deletes that overlap": [TEXT, "t", [], [[c, 0, 2], [c, 1, 1], [c, 0, 2]], []],
        "units of another field": [SEQUENCE, "t", [[[c, 0], [1]]], [], []],
        "a move of an entry that never was": [SEQUENCE, "q", [], [], [[None, [session, 2, 77]]]],
        "a move of a part that never was": [SEQUENCE, "q", [], [], [[None, [session, 2, 5 << 20]]]],
        "a move of a text": [SEQUENCE, "q", [], [], [[None, [session, 1, 0]]]],
        "a move of a member": [SEQUENCE, "q", [], [], [[None, [session, 3, 0]]]],
        "a move into another field": [SEQUENCE, "other", [], [], [[None, [session, 2, 0]]]],
        "a move, twice": [SEQUENCE, "q", [], [], [[None, [session, 2, 0]], [[c, 2], [session, 2, 0]]]],
        "a move behind what it moves": [SEQUENCE, "q", [], [], [[[c, 0], [session, 2, 0]]]],
        "a move of what it deletes": [SEQUENCE, "q", [], [[c, 0, 1]], [[None, [session, 2, 0]]]],
        "a remove of an entry that never was": [SET, "s", [["y"]], [[session, 3, 9]]],
        "a remove in another field": [SET, "other", [["y"]], [[session, 3, 0]]],
        "a remove, twice": [SET, "s", [], [[session, 3, 0], [session, 3, 0]]],
        "a patch over a member": [RECORDS, "k", [[container({"a": 2}), None, "k", [[session, 3, 0]]]], []],
        "a patch over nothing": [RECORDS, "k", [[container({"a": 2}), None, "k", []]], []],
        "a patch over another key": [RECORDS, "k", [[container({"a": 2}), None, "l", [[session, 4, 0]]]], []],
        "a field of every kind": [REGISTER, "t", [[1]], []],
        "a counter from end to end": [COUNTER, "n", [[2**63 - 1], [-(2**63)], [2**63 - 1]], []],
        "because of nobody": [SET, "s", [["y", [None, [[NOBODY, 1, 0]]]]], []],
    }


@pytest.mark.parametrize("name", odd_parts(NOBODY, 1, 1))
def test_replicas_agree_on_what_no_honest_part_says(name: str, honest: Honest) -> None:
    """All orders of three hostile changes and an honest concurrent one, after what they all name."""
    _, past, session, client = honest
    evils = [Evil(random.Random(f"{name} {n}"), SCOPE.digest) for n in range(3)]
    records = [e.write(e.part(*odd_parts(session, client, e.client)[name])) for e in evils]
    friend = alone("bob", time=Time())
    friend.receive(past)
    friend.text("t").insert(1, "-")
    friend.sequence("q").move(0, 2)
    friend.set("s").discard("x")
    news = [*friend.changes()[len(past) :]]
    ends = []
    for order in permutations([*([record] for record in records), news]):
        memory = alone("cy")
        memory.receive(past)
        for batch in order:
            memory.receive(batch)
        ends.append((memory.version, memory.digest()))
    backwards = alone("di")
    for record in [*news, *records, *past][::-1]:
        backwards.receive([record])
    ends.append((backwards.version, backwards.digest()))
    assert len(set(ends)) == 1


@pytest.mark.parametrize(
    "part",
    [
        [TEXT, "t", [[[1, 0], "x"]], [], []],
        [TEXT, "t", [], [[1, 0, 1]], []],
        [TEXT, "t", [], [[1, 0, 2**52]], []],
        [SEQUENCE, "t", [], [[1, END - 1, 2**52]], []],
        [SEQUENCE, "t", [], [], [[None, [NOBODY, END, 2**32 - 1]]]],
        [SET, "t", [], [[NOBODY, END, 2**32 - 1]]],
        [RECORDS, "t", [[container({}), None, "k", [[NOBODY, 1, 0]]]], []],
    ],
)
def test_what_names_what_nobody_wrote_waits_and_harms_nobody(part: list[Any]) -> None:
    memory, evil = alone(), Evil(random.Random(1), SCOPE.digest)
    assert memory.receive([evil.write(evil.part(*part))]) == Received(0, 1, (), memory._document.inbox.missing())
    memory.text("t").append("goes on")
    other = Evil(random.Random(2), SCOPE.digest)
    assert memory.receive([other.write(other.part(TEXT, "t", [[None, "others too"]], [], []))]).applied == 1


def test_an_entry_of_a_pinned_version_may_name_what_that_version_has_not() -> None:
    """A move of an entry outside its deps: it was no more void in that version than it is now."""
    ann, evil = alone("ann"), Evil(random.Random(1), SCOPE.digest)
    ann.sequence("q").append("x")
    session = ann.version.heads[0].session
    memory = alone("bob")
    memory.receive([*ann.changes(), evil.write(evil.part(SEQUENCE, "q", [], [], [[None, [session, 1, 0]]]))])
    only = Version(memory.version.namespace, tuple(head for head in memory.version.heads if head.session != session))
    assert list(memory.at(only).sequence("q")) == ["x"]
    assert list(memory.sequence("q")) == ["x"]


@pytest.mark.parametrize("seed", range(40))
def test_replicas_agree_on_runs_that_follow_whatever_their_authors_like(seed: int) -> None:
    """Runs behind any unit of their author's past, deleted ones too, in any order that keeps causes first."""
    rng = random.Random(seed)
    evils = [Evil(rng, SCOPE.digest) for _ in range(3)]
    units: dict[int, list[Any]] = {n: [] for n in range(3)}  # what each has seen
    seen: dict[int, dict[bytes, list[Any]]] = {n: {} for n in range(3)}
    records: list[bytes] = []
    for _ in range(9):
        n = rng.randrange(3)
        evil = evils[n]
        if rng.random() < 0.5:
            other = rng.randrange(3)
            units[n] += [unit for unit in units[other] if unit not in units[n]]
            for session, head in seen[other].items():
                seen[n][session] = max(head, seen[n].get(session, head), key=lambda known: known[1])
        left = rng.choice([None, *units[n]])
        deps = [head for session, head in seen[n].items() if session != evil.session]
        records.append(evil.write(evil.part(TEXT, "t", [[left, "x"]], [], []), deps=deps))
        units[n].append([evil.client, evil.seq - 1])
        seen[n][evil.session] = [evil.session, evil.seq, evil.prev]
    digests = set()
    for _ in range(6):
        memory = alone()
        for record in rng.sample(records, len(records)):
            memory.receive([record])
        assert memory.receive([]).waiting == 0
        digests.add(memory.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("seed", [10, 130, 212, 218, 351])
def test_honest_text_beside_deleted_text(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lies here: histories in which a run was once written beside a unit that was thought to be another."""
    rng, nonces = random.Random(seed), random.Random(seed)
    monkeypatch.setattr(os, "urandom", lambda size: nonces.randbytes(size) if size == 16 else bytes(size))
    crew = [
        Replica(name, identity=Identity(bytes([number]) * 32), time=Time()).open(SCOPE)
        for number, name in enumerate(("ann", "bob", "cy"))
    ]
    for _ in range(30):
        memory = rng.choice(crew)
        text = memory.text("t")
        if rng.random() < 0.45:
            memory.receive(rng.choice(crew).changes())
        if len(text) and rng.random() < 0.4:
            at = rng.randrange(len(text))
            text.delete(at, at + 1)
        else:
            text.insert(rng.randint(0, len(text)), rng.choice("abcdefgh"))
    for giver in crew * 2:
        for taker in crew:
            taker.receive(giver.changes())
    assert len({str(memory.text("t")) for memory in crew}) == 1


def test_non_ascii_text_written_at_once_by_two() -> None:
    """The place of a foreign run is found in bytes; it must not be taken for the middle of a character."""
    ann, bob = alone("ann"), alone("bob")
    ann.text("t").append("éé")
    bob.receive(ann.changes())
    ann.text("t").insert(1, "x")
    bob.text("t").insert(1, "y")
    bob.text("t").insert(1, "\U0001f600")
    bob.text("t").delete(3, 4)
    ann.receive(bob.changes())
    bob.receive(ann.changes())
    assert str(ann.text("t")) == str(bob.text("t"))


def test_every_bomb_is_a_dud() -> None:
    count, _, _ = explode(random.Random(1), changes=2)
    assert count > 40


@pytest.mark.parametrize("seed", range(3))
def test_a_round_of_the_search(seed: int) -> None:
    """A slice of `python -m tests.campaign hostile`."""
    Round(seed, 800).run()


def test_a_change_that_fits_no_namespace_of_ours_waits_for_nothing() -> None:
    memory = alone()
    header = packb([1, bytes(16), bytes(16), 1, b"", [], None, 0, None, None])
    assert memory.receive([packb([header, [b""], b""])]).waiting == 0


def test_a_run_behind_a_unit_its_author_had_not_seen_is_void_in_any_order() -> None:
    """`c` follows `a`, which its deps do not cover; where it went would depend on what had arrived."""
    one, two = Evil(random.Random(1), SCOPE.digest), Evil(random.Random(2), SCOPE.digest)
    a = one.write(one.part(TEXT, "t", [[None, "a"]], [], []))
    b = two.write(two.part(TEXT, "t", [[None, "b"]], [], []))
    c = two.write(two.part(TEXT, "t", [[[one.client, 0], "c"]], [], []))
    ends = set()
    for order in permutations([a, b, c]):
        memory = alone()
        for record in order:
            memory.receive([record])
        ends.add(str(memory.text("t")))
        assert any("had not seen" in refusal.reason for refusal in memory.refusals)
    assert len(ends) == 1 and "c" not in ends.pop()
