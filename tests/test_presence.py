"""Presence: it reaches everybody who shares the memory, nobody else, and ends by itself."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from crdtmem import MisuseError, Namespace, Peer, Replica, ValueRefused
from crdtmem.sync.frames import MAX_PRESENT, Here, Presence
from crdtmem.sync.presence import MOST, Present, Roll
from tests.crew import SCOPE, alone
from tests.ends import End, joined
from tests.test_peer import LONG, memory


def test_it_travels_through_others_and_not_in_circles() -> None:
    ends = [End(name, alone(name)) for name in "abcd"]
    wires = [joined(one, other) for one, other in (*pairwise(ends), (ends[3], ends[0]))]
    ends[0].hub.here(SCOPE.digest, "ann", "reads", "facts")
    count = sum(wire.run() for _ in range(4) for wire in wires)
    assert [end.hub.present(SCOPE.digest) for end in ends] == [[Present("ann", "reads", "facts")]] * 4
    assert count <= 2 * len(wires)
    ends[0].hub.here(SCOPE.digest, "ann", "writes", None)
    ends[2].hub.here(SCOPE.digest, "cyd", None, None)
    for _ in range(4):
        for wire in wires:
            wire.run()
    assert ends[1].hub.present(SCOPE.digest) == [Present("ann", "writes", None), Present("cyd", None, None)]
    ends[0].hub.away(SCOPE.digest, "ann")
    ends[0].hub.away(SCOPE.digest, "never there")
    for _ in range(4):
        for wire in wires:
            wire.run()
    assert {tuple(end.hub.present(SCOPE.digest)) for end in ends} == {(Present("cyd", None, None),)}


def test_who_comes_later_is_told_and_who_falls_silent_is_forgotten() -> None:
    a, b, c = (End(name, alone(name)) for name in "abc")
    wire = joined(a, b)
    a.hub.here(SCOPE.digest, "ann", "reads", None)
    wire.run()
    late = joined(b, c)
    assert c.hub.present(SCOPE.digest) == [Present("ann", "reads", None)]
    for now in range(1, 100):
        wire.tick(now)
        late.run()
        c.hub.tick(now)
    assert b.hub.present(SCOPE.digest) == c.hub.present(SCOPE.digest) == [Present("ann", "reads", None)]  # renewed
    wire.cut()
    for now in range(100, 140):
        late.tick(now)
    assert b.hub.present(SCOPE.digest) == c.hub.present(SCOPE.digest) == []


def test_only_those_who_share_the_memory_hear_of_it() -> None:
    ann = Replica("ann")
    a = End("ann", ann.open(SCOPE), ann.open(Namespace(tenant="other")))
    b = End("bob", Replica("bob").open(Namespace(tenant="other")))
    wire = joined(a, b)
    a.hub.here(SCOPE.digest, "ann", "reads", None)
    wire.run()
    assert not [frame for frame in wire.said[0] if isinstance(frame, Presence)]
    assert b.hub.present(SCOPE.digest) == []


def test_nobody_speaks_for_us_and_the_list_is_bounded() -> None:
    a, b = (End(name, alone(name)) for name in "ab")
    wire = joined(a, b)
    b.hub.here(SCOPE.digest, "bob", "works", None)
    wire.links[0].session.send(Presence(a.outlets[0].channel, [Here(b.hub.id, 99, 30.0, "bob", "sleeps")]))
    wire.run()
    assert b.hub.present(SCOPE.digest) == [Present("bob", "works", None)]
    roll = Roll()
    for n in range(2 * MOST // MAX_PRESENT):
        roll.hear([Here(bytes(16), n * MAX_PRESENT + m, 30.0, f"{n} {m}") for m in range(MAX_PRESENT)], now=0)
    assert len(roll.present(now=1)) == MOST
    assert len(roll.hear([Here(bytes(16), 10**6, 30.0, "new")], now=200)) == 1  # the others have run out
    assert [len(some) for some in roll.all(now=201)] == [1]


def test_peers_tell_who_is_there() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
            other.here("reads", field="facts")
            await other.synced(timeout=LONG)  # said before the mark, heard before its answer
            assert one.present() == other.present() == [Present("bob", "reads", "facts")]
            other.away()
            await other.synced(timeout=LONG)
            assert one.present() == []
            with pytest.raises(MisuseError, match="not shared by this peer"):
                one.here(memory=Replica("x").open(tenant="other"))

    asyncio.run(main())


def test_a_blocking_peer_tells_too() -> None:
    with Peer(memory("ann"), listen="127.0.0.1:0").blocking() as one:
        one.here("reads", field="facts")
        assert one.present() == [Present("ann", "reads", "facts")]
        one.away()
        assert one.present() == []


@pytest.mark.parametrize("what", ["doing", "field"])
@pytest.mark.parametrize("said", ["cut \ud83d", ["a"], []])
def test_what_no_frame_can_hold_is_refused_and_not_kept(what: str, said: Any) -> None:
    a, b = (End(name, alone(name)) for name in "ab")
    a.hub.here(SCOPE.digest, "ann", "reads", None)
    with pytest.raises((ValueRefused, TypeError), match=what):
        a.hub.here(SCOPE.digest, "ann", **{"doing": None, "field": None, what: said})
    wire = joined(a, b)
    for now in range(1, 25):
        wire.tick(now)
    assert b.hub.present(SCOPE.digest) == [Present("ann", "reads", None)]
    assert not any(link.session.ended for link in wire.links)


@pytest.mark.parametrize("name", ["cut \ud83d", 5])
def test_a_name_that_no_frame_can_hold_is_refused_at_once(name: Any) -> None:
    with pytest.raises((ValueRefused, TypeError), match="name"):
        Peer(memory("ann"), listen="127.0.0.1:0", name=name)
