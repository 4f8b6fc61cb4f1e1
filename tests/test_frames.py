"""Frames: what is encoded comes back, and any bytes give a frame, nothing, or one error."""

from __future__ import annotations

import random
import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem.sync.frames import (
    _LAST,
    MAX_FRAME,
    MAX_RECORDS,
    MAX_SESSIONS,
    BadFrame,
    Bye,
    Changes,
    Digest,
    Frame,
    Have,
    Hello,
    Here,
    Mark,
    Marked,
    Open,
    Ping,
    Pong,
    Presence,
    Same,
    Shut,
    Want,
    Welcome,
    decode,
    encode,
)

ids = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**53 - 1)
channels = st.integers(0, 2**31 - 1)
lines = st.text(st.characters(codec="utf-8"), max_size=20)
labels = st.lists(st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), min_size=1, max_size=6)
sessions = st.lists(st.tuples(ids, numbers), max_size=4)
tokens = st.none() | lines
heads = st.lists(st.tuples(ids, numbers, st.binary(min_size=8, max_size=8)), max_size=4)

FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Hello, numbers, numbers, ids, lines, tokens),
    st.builds(Welcome, numbers, numbers, ids, lines, tokens),
    st.builds(Open, channels, labels, ids),
    st.builds(Same, channels, ids),
    st.builds(Have, channels, heads, st.booleans()),
    st.builds(Changes, channels, st.lists(st.binary(max_size=50), max_size=4)),
    st.builds(Want, channels, sessions),
    st.builds(Mark, channels, numbers),
    st.builds(Marked, channels, numbers),
    st.builds(Digest, channels, ids, st.binary(min_size=32, max_size=32)),
    st.builds(Presence, channels, st.lists(st.builds(Here, ids, numbers, st.floats(0, 3600), lines), max_size=3)),
    st.builds(Shut, labels, lines),
    st.builds(Ping),
    st.builds(Pong),
    st.builds(Bye, lines, lines),
)


@given(FRAMES)
def test_a_frame_comes_back_and_another_encoder_gives_the_same_bytes(frame: Frame) -> None:
    data = encode(frame)
    assert decode(data) == frame
    assert msgpack.packb(msgpack.unpackb(data, use_list=True)) == data


@given(FRAMES, st.lists(st.none() | st.integers() | st.text(max_size=3), min_size=1, max_size=3))
def test_what_a_newer_minor_version_says_more_is_skipped(frame: Frame, more: list[Any]) -> None:
    wire = msgpack.unpackb(encode(frame))
    optional = {Hello: 6, Welcome: 6, Have: 4}.get(type(frame), len(wire))
    if len(wire) == optional:
        assert decode(msgpack.packb([*wire, *[x if not isinstance(x, int) else x % 2**60 for x in more]])) == frame


@pytest.mark.parametrize("number", [_LAST + 1, _LAST + 2, 99, 127])
def test_a_frame_that_a_newer_minor_version_has_added_is_nothing_here(number: int) -> None:
    assert decode(msgpack.packb([number, "whatever", {"a": [1]}])) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x90",
        b"\xc0",
        msgpack.packb({"a": 1}),
        msgpack.packb([-1]),
        msgpack.packb(["0"]),
        msgpack.packb([200]),
        msgpack.packb([7, 1]),
        msgpack.packb([7, -1, 1]),
        msgpack.packb([7, 1.0, 1]),
        msgpack.packb([7, 2**31, 1]),
        msgpack.packb([7, 1, 2**53]),
        msgpack.packb([3, 1, bytes(16)]) + b"\x00",
        msgpack.packb([2, 1, [], bytes(16)]),
        msgpack.packb([2, 1, [""], bytes(16)]),
        msgpack.packb([2, 1, ["a" * 201], bytes(16)]),
        msgpack.packb([2, 1, ["a"] * 9, bytes(16)]),
        msgpack.packb([2, 1, ["a"], bytes(15)]),
        msgpack.packb([4, 1, [[bytes(16), 1, bytes(7)]], False]),
        msgpack.packb([5, 1, ["text"]]),
        msgpack.packb([10, 1, [[bytes(16), 1, float("nan"), "a"]]]),
        msgpack.packb([10, 1, [[bytes(16), 1, 3601, "a"]]]),
        msgpack.packb([14, "x" * 41, "y"]),
        b"\x93\x04\x01" + b"\xdd\xff\xff\xff\xff",
        b"\x93\x05\x01" + b"\xdc\xff\xff",
        b"\xdd\xff\xff\xff\xff\x00",
        b"\x91" * 100_000,
        b"\x92\x05" + b"\x91" * 100_000,
    ],
)
def test_what_is_no_frame_is_one_error(data: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(data)


def test_long_lists_and_long_frames_are_refused_before_they_are_built() -> None:
    for data in (
        msgpack.packb([4, 1, [[bytes(16), 1, bytes(8)]] * (MAX_SESSIONS + 1), False]),
        msgpack.packb([5, 1, [b""] * (MAX_RECORDS + 1)]),
        msgpack.packb([5, 1, [bytes(MAX_FRAME)]]),
    ):
        with pytest.raises(BadFrame):
            decode(data)
    assert decode(msgpack.packb([4, 1, [[bytes(16), 1, bytes(8)]] * MAX_SESSIONS, False])) is not None


def test_altered_bytes_give_a_frame_or_one_error_and_take_no_memory() -> None:
    rng = random.Random(7)
    samples = [
        encode(Hello(1, 0, bytes(16), "ann", "token")),
        encode(Open(1, ["acme", None, "x"], bytes(16))),
        encode(Have(1, [(bytes(16), n, bytes(8)) for n in range(20)], more=False)),
        encode(Changes(1, [bytes(n) for n in range(20)])),
        encode(Presence(1, [Here(bytes(16), 1, 5.0, "ann", "reads", "facts")])),
        encode(Want(1, [(bytes(16), n) for n in range(20)])),
    ]
    tracemalloc.start()
    try:
        for _ in range(20_000):
            data = bytearray(rng.choice(samples))
            for _ in range(rng.randrange(1, 4)):
                what = rng.random()
                at = rng.randrange(len(data))
                if what < 0.6:
                    data[at] = rng.choice((0, 0xFF, 0xDD, 0xDF, 0xC6, data[at] ^ 1 << rng.randrange(8)))
                elif what < 0.8:
                    del data[at : at + rng.randrange(1, 9)]
                else:
                    data[at:at] = rng.randbytes(rng.randrange(1, 9))
                if not data:
                    break
            with suppress(BadFrame):
                decode(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
