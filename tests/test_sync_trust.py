"""Rules, cuts and forked sessions over connections, and through those who judge nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, Peer, QuotaExceeded, Replica, Rules
from crdtmem.change import SET, Intro, Keyed, compose, decode, record
from crdtmem.feed import Feed
from crdtmem.identity import session_id
from crdtmem.inbox import KEPT_SEAL_DISTANCE, MAX_UNSEALED, SEAL_BYTES, SEAL_EVERY
from crdtmem.ledger import ledger
from crdtmem.quota import Pace
from crdtmem.sync.node import LONGEST
from crdtmem.sync.websocket import Socket
from tests.crew import SCOPE, Time, tick
from tests.ends import End, Wire, joined
from tests.test_forks import fresh, twins
from tests.test_peer import LONG
from tests.trusted import copied


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
    assert arrival.pause == pytest.approx(60, abs=2)  # seconds: a minute at most
    assert feed.receive(ann.changes(), "ann").pause == 0.0  # nothing new


def test_a_peer_does_not_listen_to_who_writes_too_much_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    rested: list[float] = []

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
            rest = Socket.rest

            def noted(socket: Socket, seconds: float) -> None:
                rested.append(seconds)
                rest(socket, 0.0 if seconds > 1 else seconds)

            monkeypatch.setattr(Socket, "rest", noted)
            for n in range(40):
                ann.set("s").add(n)
            bob.set("s").add("unhindered")
            await two.synced(timeout=LONG)
            await three.synced(timeout=LONG)
            assert len(boss.set("s")) == 41

    asyncio.run(main())
    assert max(rested) == LONGEST


def test_junk_without_a_seal_asks_for_nothing_and_costs_nothing() -> None:
    one, two = twins()
    for n in range(80):
        one.set("s").add(n)
    bob = fresh_of(one)
    for n in range(80):
        two.set("s").add(-n)
    *junk, sealed = [record(decode(data).core, b"") for data in two.changes() if decode(data).seq > 70]
    forged = record(decode(sealed).core, bytes(64))  # it looks sealed, and the seal does not verify
    received = bob.receive([*junk, sealed, forged])
    assert received.applied == 0 and not received.missing
    assert not bob.equivocations


def test_a_chain_that_no_proof_could_hold_does_not_enter() -> None:
    ann = fresh("ann")
    for n in range(MAX_UNSEALED + 1):
        ann.set("s").add(n)
    records = ann.changes()
    bare = [record(decode(data).core, b"") for data in records[:-1]]
    got = fresh("bob").receive([*bare, records[-1]])
    assert got.applied == 0 and "changes under one seal" in got.refused[-1].reason
    assert fresh("bob").receive([*bare[1:], records[-1]]).applied == 0
    false = [record(decode(data).core, bytes(64)) for data in records[:-1]]  # inside, nobody needs them to verify
    got = fresh("bob").receive([*false, records[-1]])
    assert got.applied == 0 and "changes under one seal" in got.refused[-1].reason
    assert fresh("cyd").receive(records).applied == MAX_UNSEALED + 1


@pytest.mark.parametrize("step", [1, 70, 500, KEPT_SEAL_DISTANCE, MAX_UNSEALED])
def test_what_went_from_hand_to_hand_still_enters(step: int) -> None:
    """Of the seals inside a chain those stay without which too much would stand under one, wherever they are."""
    ann, bob = fresh("ann"), fresh("bob")
    for number in range(4 * MAX_UNSEALED):
        ann.set("s").add(number)
        if (number + 1) % step == 0:
            bob.receive(ann.changes(bob.version))
    for name in ("cyd", "dan", "eve"):
        giver, bob = bob, fresh(name)
        assert bob.receive(giver.changes()).refused == ()
        assert bob.digest() == giver.digest()
        sealed = [kept.seq for kept in bob._document.log.records() if kept.seal]
        gaps = [b - a for a, b in zip([0, *sealed], sealed, strict=False)]
        assert max(gaps) <= KEPT_SEAL_DISTANCE
        assert len(gaps) <= 2 * len(ann.set("s")) // KEPT_SEAL_DISTANCE + 2  # and no more than these


def test_where_changes_have_many_pieces_all_seals_stay_for_they_weigh_more_than_their_bytes_while_they_wait() -> None:
    ann, bob = fresh("ann"), fresh("bob")
    for n in range(3 * SEAL_EVERY):
        with ann.change():
            for m in range(700):
                ann.set("s").add(n * 700 + m)
    records = ann.changes()
    assert sum(map(len, records)) < SEAL_BYTES
    assert bob.receive(records).refused == ()
    sealed = [kept.seq for kept in bob._document.log.records() if kept.seal]
    assert sealed == [SEAL_EVERY, 2 * SEAL_EVERY, 3 * SEAL_EVERY]


def test_a_writer_of_large_changes_seals_often_enough_to_enter_and_who_does_not_is_kept_out() -> None:
    ann = fresh("ann")
    for n in range(80):
        ann.set("s").add(bytes([n]) * 250_000)
    records = ann.changes()
    bob = fresh("bob")
    assert bob.receive(records).applied == 80
    assert fresh("cyd").receive(bob.changes()).applied == 80  # handed on as well
    bare = [record(decode(data).core, b"") for data in records[:-1]]
    got = fresh("dan").receive([*bare, records[-1]])
    assert got.applied == 0 and "changes under one seal" in got.refused[-1].reason


def test_a_restart_does_not_empty_the_bucket() -> None:
    clock, key = Time(), Identity(bytes([9]) * 32)
    store, rules = MemoryStore(), Rules(agents={key.key: "ann"}, changes_per_minute=10)
    boss = Replica("boss", time=clock).own(tenant="acme", task="paced", rules=rules)
    for n in range(2):
        ann = Replica("ann", identity=key, store=store, time=clock).open(boss.namespace)
        ann.receive(boss.changes())
        for m in range(5):
            ann.set("s").add((n, m))
    ann = Replica("ann", identity=key, store=store, time=clock).open(boss.namespace)
    with pytest.raises(QuotaExceeded):
        ann.set("s").add("one too many")
    clock.passes(60)
    ann.set("s").add("later")


def test_rules_that_come_after_the_change_that_names_them_judge_it_all_the_same() -> None:
    """Where the owner's session was forked, a change need not wait for rules that may be nowhere; yet they may come."""
    store, key, mal = MemoryStore(), Identity(), Identity()
    rules = Rules(agents={mal.key: "mal"})
    one = Replica("boss", store=store, identity=key, time=tick).own(tenant="t", rules=rules)
    one.set("x").add("before")
    base = one.changes()
    two = Replica("boss", store=copied(store), identity=key, time=tick).open(one.namespace)
    session = one._document.session
    assert session is not None
    two._document.session = two._document.state.sessions[session.id]
    two._document.seals._sealed[session.id] = session.seq
    one.set("x").add(1)
    two.set("x").add(2)
    again = Replica("boss", identity=key, time=tick).own(tenant="t", rules=Rules(agents=rules.agents, schema=2))
    newer = again.changes()
    named = decode(newer[0]).hash
    intro = Intro(mal.key, "mal", None, bytes(16))
    part = Keyed(SET, "x", None, (("early",),), ())
    id = session_id(one.namespace.digest, intro)
    made = compose(one.namespace.digest, id, 1, b"", (), intro, 1, None, (part,), named)
    early = record(made.core, mal.sign(made.hash))
    shown = []
    for order in ([early], newer), (newer, [early]):
        kept = MemoryStore()
        reader = Replica("r", store=kept, time=tick).open(one.namespace)
        for records in (base, one.changes(), two.changes(), order[0]):
            reader.receive(records)
        reader.checkpoint()
        reader = Replica("r", store=kept, time=tick).open(one.namespace)
        reader.receive(order[1])
        shown.append((reader.version, reader.digest(), sorted(map(str, reader.set("x")))))
    assert shown[0] == shown[1]
