"""A session: who may say what, and when. Two real ends, no network, no clock."""

from __future__ import annotations

import random

import pytest

from crdtmem import Namespace
from crdtmem.sync.frames import (
    MAJOR,
    MAX_CHANNELS,
    MINOR,
    Bye,
    Changes,
    Digest,
    Frame,
    Have,
    Hello,
    Mark,
    Open,
    Ping,
    Pong,
    Same,
    Shut,
    Welcome,
    decode,
    encode,
)
from crdtmem.sync.session import QUIET, SILENT, Ended, Greeted, Heard, Phase, Session, Welcomed
from tests.garble import garble

ANN, BOB = b"a" * 16, b"b" * 16


def said(session: Session) -> list[Frame | None]:
    return [decode(data) for data in session.data_to_send()]


def greeted() -> tuple[Session, Session]:
    ann, bob = Session(ANN, "ann", dials=True, now=0, token="let me in"), Session(BOB, "bob", dials=False, now=0)
    [hello] = ann.data_to_send()
    [event] = bob.receive(hello)
    assert event == Greeted(Hello(MAJOR, MINOR, ANN, "ann", "let me in"))
    bob.welcome("come in")
    [welcome] = bob.data_to_send()
    assert ann.receive(welcome) == [Welcomed(Welcome(MAJOR, MINOR, BOB, "bob", "come in"))]
    assert ann.phase is bob.phase is Phase.OPEN
    return ann, bob


def test_the_greeting_and_then_frames_about_namespaces_the_other_side_has_opened() -> None:
    ann, bob = greeted()
    scope = Namespace(tenant="acme", task="q3")
    frames: list[Frame] = [Open(4, ["acme", "q3"], bytes(16)), Have(4, [(ANN, 3, bytes(8))], more=False), Mark(4, 1)]
    for frame in frames:
        ann.send(frame)
    heard = [event for data in ann.data_to_send() for event in bob.receive(data)]
    assert heard == [Heard(scope.digest, frame) for frame in frames]
    assert bob.namespaces == {scope.digest: scope}
    bob.send(Shut(["acme", "q3"], "not shared here"))
    assert ann.receive(bob.data_to_send()[0]) == [Heard(scope.digest, Shut(["acme", "q3"], "not shared here"))]
    assert ann.ended is bob.ended is None


@pytest.mark.parametrize(
    ("dials", "data", "code"),
    [
        (False, encode(Ping()), "out of turn"),
        (False, encode(Welcome(MAJOR, 0, ANN, "ann")), "out of turn"),
        (False, encode(Hello(MAJOR + 1, 0, ANN, "ann")), "version"),
        (False, encode(Hello(MAJOR, 7, BOB, "oneself")), "oneself"),
        (False, b"GET / HTTP/1.1", "bad frame"),
        (True, encode(Hello(MAJOR, 0, ANN, "ann")), "out of turn"),
        (True, encode(Welcome(MAJOR, 0, BOB, "oneself")), "oneself"),
        (True, encode(Open(1, ["acme"], bytes(16))), "out of turn"),
    ],
)
def test_who_greets_wrongly_is_told_why_and_let_go(dials: bool, data: bytes, code: str) -> None:  # noqa: FBT001
    session = Session(BOB, "bob", dials=dials, now=0)
    session.data_to_send()
    assert session.receive(data) == []
    [bye] = said(session)
    assert isinstance(bye, Bye) and bye.code == code and bye.reason
    assert session.ended == Ended(code, bye.reason, theirs=False)
    session.send(Ping())
    assert session.receive(encode(Ping())) == session.data_to_send() == []


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Hello(MAJOR, 0, ANN, "ann")], "out of turn"),
        ([Welcome(MAJOR, 0, ANN, "ann")], "out of turn"),
        ([Changes(1, [])], "out of turn"),
        ([Open(1, ["acme"], bytes(16)), Same(2, bytes(16))], "out of turn"),
        ([Open(1, ["acme"], bytes(16)), Open(1, ["other"], bytes(16))], "out of turn"),
        ([Open(1, ["acme"], bytes(16)), Open(2, ["acme"], bytes(16))], "out of turn"),
        ([Open(1, [None, "task"], bytes(16))], "bad frame"),
        ([Open(1, ["a\nb"], bytes(16))], "bad frame"),
        ([Open(1, ["a"] * 8, bytes(16))], "bad frame"),
        ([Shut([None], "why")], "bad frame"),
        ([Open(n, [f"t{n}"], bytes(16)) for n in range(MAX_CHANNELS + 1)], "too much"),
    ],
)
def test_who_says_what_cannot_be_meant_is_told_why_and_let_go(frames: list[Frame], code: str) -> None:
    _, bob = greeted()
    for frame in frames:
        assert bob.ended is None
        bob.receive(encode(frame))
    assert bob.ended is not None
    assert bob.ended.code == code
    assert said(bob)[-1] == Bye(code, bob.ended.reason)


def test_a_namespace_may_be_opened_again_under_its_number() -> None:
    _, bob = greeted()
    for version in (bytes(16), bytes(range(16))):
        [heard] = bob.receive(encode(Open(1, ["acme"], version)))
        assert isinstance(heard, Heard) and heard.frame == Open(1, ["acme"], version)


def test_a_bye_ends_it_and_what_was_to_be_said_is_not() -> None:
    ann, bob = greeted()
    ann.end("bye", "this peer has closed")
    bob.send(Ping())
    for data in ann.data_to_send():
        assert bob.receive(data) == []
    assert bob.ended == Ended("bye", "this peer has closed", theirs=True)
    assert ann.ended == Ended("bye", "this peer has closed", theirs=False)
    assert bob.data_to_send() == []
    ann.end("again", "and again")
    assert ann.ended.code == "bye"


def test_what_a_newer_minor_version_says_is_skipped() -> None:
    _, bob = greeted()
    assert bob.receive(b"\x93\x63\x01\x02") == []
    assert bob.ended is None


def test_who_says_nothing_is_asked_and_who_does_not_answer_is_given_up() -> None:
    ann, bob = greeted()
    for now in range(int(SILENT)):
        ann.tick(now)
        bob.tick(now)
        for data in ann.data_to_send():
            bob.receive(data)
        for data in bob.data_to_send():
            ann.receive(data)
    assert ann.ended is bob.ended is None
    asked = 0
    for now in range(int(SILENT), 2 * int(SILENT) + 1):  # from here on nothing of bob's arrives
        ann.tick(now)
        asked += said(ann).count(Ping())
    assert 1 <= asked <= SILENT / QUIET + 1
    assert ann.ended is not None and ann.ended.code == "silent"


def test_a_ping_is_answered_and_a_pong_is_not() -> None:
    ann, bob = greeted()
    assert bob.receive(encode(Ping())) == []
    assert said(bob) == [Pong()]
    assert ann.receive(encode(Pong())) == []
    assert said(ann) == []


def test_who_never_greets_is_given_up_too() -> None:
    bob = Session(BOB, "bob", dials=False, now=100)
    bob.tick(100 + SILENT - 1)
    assert bob.ended is None and said(bob) == []
    bob.tick(100 + SILENT)
    assert bob.ended is not None and bob.ended.code == "silent"


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_end_it_in_order_or_are_taken(seed: int) -> None:
    rng = random.Random(seed)
    frames = [
        encode(frame)
        for frame in (
            Open(1, ["acme"], bytes(16)),
            Open(2, ["acme", "t"], bytes(16)),
            Have(1, [(ANN, 1, bytes(8)), (BOB, 2, bytes(8))], more=True),
            Changes(1, [b"abc", b"def"]),
            Mark(2, 7),
            Digest(1, bytes(16), bytes(32)),
            Ping(),
        )
    ]
    for _ in range(200):
        _, bob = greeted()
        for _ in range(8):
            data = bytearray(rng.choice(frames))
            if rng.random() < 0.7:
                data[rng.randrange(len(data))] = rng.randrange(256)
            for event in bob.receive(bytes(data)):
                assert isinstance(event, Heard)
            if bob.ended is not None:
                assert isinstance(said(bob)[-1], Bye) or bob.ended.theirs
                break


@pytest.mark.parametrize("seed", range(3))
def test_a_real_peer_takes_garbled_frames_without_harm(seed: int) -> None:
    assert garble(seed, 2_000) > 20
