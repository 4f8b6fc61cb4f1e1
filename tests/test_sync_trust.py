"""Rules, cuts and forked sessions over connections, and through those who judge nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, Peer, Replica, Rules
from crdtmem.feed import Feed
from crdtmem.ledger import ledger
from crdtmem.quota import Pace
from crdtmem.sync.node import LONGEST
from tests.crew import SCOPE, Time, tick
from tests.ends import End, Wire, joined
from tests.test_forks import fresh, twins
from tests.test_peer import LONG


def settle(*wires: Wire, seconds: int = 8) -> None:
    """Until everybody has said all, and looked again."""
    for now in range(1, seconds):
        for wire in wires:
            wire.tick(now)
            wire.run()


@pytest.mark.parametrize("relayed", ["directly", "through a relay"])
def test_a_fork_is_told_to_everyone_and_all_converge(relayed: str) -> None:
    one, two = twins()
    bob, eve = fresh("bob"), fresh("eve")
    one.text("t").append("CD")
    one.set("s").add("one")
    two.text("t").append("ef")
    bob.receive(one.changes())
    eve.receive(two.changes())
    bob.text("t").insert(3, "-bob-")
    eve.text("t").insert(3, "-eve-")
    ends = [End(name, memory) for name, memory in (("bob", bob), ("eve", eve))]
    if relayed == "directly":
        wires = [joined(*ends)]
    else:
        middle = End("relay")
        middle.hub.share(ledger(SCOPE, MemoryStore()))
        wires = [joined(end, middle) for end in ends]
    settle(*wires)
    assert bob.equivocations and eve.equivocations
    assert bob.digest() == eve.digest() and bob.version == eve.version
    assert sorted(str(bob.text("t"))) == sorted("ab-bob--eve-")
    late = fresh("late")
    settle(joined(End("late", late), ends[0]), *wires)
    assert late.digest() == bob.digest() and late.equivocations == bob.equivocations
    done: list[int] = []
    bob.set("s").add("after")
    wires[0].links[0].mark(ends[0].outlets[0], lambda: done.append(1))
    settle(*wires)
    assert done == [1] and "after" in eve.set("s")


@pytest.mark.parametrize("relayed", ["directly", "through a relay"])
@pytest.mark.parametrize(("here", "there"), [(1, 1), (1, 150), (150, 150), (150, 1)])
def test_a_fork_is_found_however_long_the_branches_are(here: int, there: int, relayed: str) -> None:
    one, two = twins()
    for n in range(here):
        one.set("s").add(f"one {n}")
    for n in range(there):
        two.set("s").add(f"two {n}")
    bob, eve = End("bob", fresh_of(one)), End("eve", fresh_of(two))
    middle = End("relay")
    middle.hub.share(ledger(SCOPE, MemoryStore()))
    settle(*([joined(bob, eve)] if relayed == "directly" else [joined(bob, middle), joined(eve, middle)]), seconds=20)
    shown = [end.outlets[0].feed.memory for end in (bob, eve)]
    assert [set(memory.set("s")) for memory in shown] == [{"before"}] * 2
    assert shown[0].digest() == shown[1].digest() and shown[0].version == shown[1].version


def fresh_of(memory: Memory) -> Memory:
    """Another replica that was told all of it."""
    found = fresh("other")
    found.receive(memory.changes())
    return found


def owned(**more: Any) -> tuple[Memory, Memory, Memory]:
    """A memory of boss, who knows ann and bob."""
    keys = {name: Identity(bytes([n]) * 32) for n, name in enumerate(("boss", "ann", "bob"), 1)}
    rules = Rules(agents={keys[name].key: name for name in ("ann", "bob")}, **more)
    boss = Replica("boss", identity=keys["boss"], time=tick).own(tenant="acme", task="owned", rules=rules)
    others = [Replica(name, identity=keys[name], time=tick).open(boss.namespace) for name in ("ann", "bob")]
    return boss, others[0], others[1]


@pytest.mark.parametrize("relayed", ["directly", "through a relay"])
def test_a_cut_reaches_everyone_and_what_comes_late_is_void_too(relayed: str) -> None:
    boss, ann, bob = owned()
    ends = {name: End(name, memory) for name, memory in (("boss", boss), ("ann", ann), ("bob", bob))}
    middle = End("relay")
    if relayed == "directly":
        wires = [joined(ends["ann"], ends["boss"]), joined(ends["bob"], ends["boss"])]
    else:
        middle.hub.share(ledger(boss.namespace, MemoryStore()))
        wires = [joined(end, middle) for end in ends.values()]
    settle(*wires)
    bob.text("t").append("poison ")
    bob.register("r").assign("wrong")
    settle(*wires)
    ann.text("t").append("and truth")
    version = boss.version
    bob.set("s").add("one more")
    boss.revoke("bob", since=version, why="it made things up")
    settle(*wires)
    for memory in (boss, ann, bob):
        assert "one more" not in memory.set("s")
        assert memory.digest() == boss.digest() and memory.version == boss.version
    assert str(ann.text("t")) == "poison and truth"  # written before, and not cut
    assert not {"diverged"} & {*ends["boss"].kinds(), *ends["ann"].kinds()}


def test_who_ignores_its_quota_is_slowed_down_and_history_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time()
    keys = {name: Identity(bytes([n]) * 32) for n, name in enumerate(("boss", "ann"), 1)}
    rules = Rules(agents={keys["ann"].key: "ann"}, changes_per_minute=60)
    boss = Replica("boss", identity=keys["boss"], time=clock).own(tenant="acme", task="paced", rules=rules)
    ann = Replica("ann", identity=keys["ann"], time=clock).open(boss.namespace)
    ann.receive(boss.changes())
    feed = Feed(boss)
    for n in range(200):  # at its pace, in three minutes and more
        clock.passes(1)
        ann.set("s").add(n)
    assert feed.receive(ann.changes(), "ann").pause == 0.0
    monkeypatch.setattr(Pace, "spend", lambda *_: None)  # a program of its own making
    for n in range(300):
        ann.set("s").add(-n)
    arrival = feed.receive(ann.changes(boss.version), "ann")
    assert arrival.received.applied == 300  # all of it counts
    assert arrival.pause == pytest.approx(300 - 60, abs=5)  # seconds, at one a second
    assert feed.receive(ann.changes(), "ann").pause == 0.0  # nothing new


def test_a_peer_does_not_listen_to_who_writes_too_much_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def main() -> None:
        boss, ann, bob = owned(changes_per_minute=10)
        monkeypatch.setattr(Pace, "spend", lambda *_: None)
        async with (
            Peer(boss, listen="127.0.0.1:0") as one,
            Peer(ann, dial=one.url) as two,
            Peer(bob, dial=one.url) as three,
        ):
            await two.synced(timeout=LONG)
            await three.synced(timeout=LONG)
            sleep = asyncio.sleep

            async def noted(seconds: float) -> None:
                slept.append(seconds)
                await sleep(0.0 if seconds > 1 else seconds)

            monkeypatch.setattr("crdtmem.sync.node.asyncio.sleep", noted)
            for n in range(40):
                ann.set("s").add(n)
            bob.set("s").add("unhindered")
            await two.synced(timeout=LONG)
            await three.synced(timeout=LONG)
            assert len(boss.set("s")) == 41

    asyncio.run(main())
    assert max(slept) == LONGEST
