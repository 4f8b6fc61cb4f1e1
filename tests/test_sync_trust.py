"""Rules, cuts and forked sessions over connections, and through those who judge nothing."""

from __future__ import annotations

import pytest

from crdtmem import Identity, Memory, MemoryStore, Replica, Rules
from crdtmem.ledger import ledger
from tests.crew import SCOPE, tick
from tests.ends import End, Wire, joined
from tests.test_forks import fresh, twins


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


def owned() -> tuple[Memory, Memory, Memory]:
    """A memory of boss, who knows ann and bob."""
    keys = {name: Identity(bytes([n]) * 32) for n, name in enumerate(("boss", "ann", "bob"), 1)}
    rules = Rules(agents={keys[name].key: name for name in ("ann", "bob")})
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
