"""Handing over: a newcomer shows at once what a giver shows; the history comes later, is compared, and counts."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import BadBytes, Identity, Memory, MemoryStore, Replica, Rules, StoreError
from crdtmem.feed import Feed
from crdtmem.handover import read
from tests.crew import SCOPE, alone

KEY = Identity(b"k" * 32)


def busy(name: str = "ann", count: int = 60, **options: Any) -> Memory:
    """A memory of every kind of field, with entries that rest on others and some that went."""
    memory = alone(name, **options)
    rng = random.Random(count)
    first = memory.set("s").add("first")
    for n in range(count):
        memory.records("k").put(f"key {n % 9}", n, why=f"because {n}")
        memory.set("s").add(n % 5, because=[first])
        memory.counter("n").add(n)
        memory.sequence("q").insert(rng.randrange(len(memory.sequence("q")) + 1), n)
        memory.text("t").insert(rng.randrange(len(memory.text("t")) + 1), "é\U0001f600x"[n % 3])
        if n % 4 == 3:
            memory.sequence("q").move(0, 2)
            memory.sequence("q").remove(1)
            memory.text("t").delete(0, 1)
    memory.register("r").assign("open")
    memory.retract(memory.set("s").add("wrong"), why="it was")
    return memory


def handed(giver: Memory) -> bytes:
    return b"".join(Feed(giver).hand_over())


def lent(giver: Memory, taker: Memory, size: int = 2000) -> int:
    """All history that the giver has for the taker; in how many portions."""
    here, there = Feed(giver), Feed(taker)
    wanted, before, portions = dict(there.wanted()), None, 0
    while True:
        before, records = here.older(wanted, before, size)
        if not records:
            return portions
        there.fill(records)
        portions += 1


def same(ann: Memory, bob: Memory) -> None:
    assert (ann.version, ann.digest()) == (bob.version, bob.digest())


def test_a_newcomer_shows_at_once_what_the_giver_shows_and_has_all_of_its_history_later() -> None:
    ann, bob = busy(), alone("bob")
    then = ann.version
    ann.text("t").append("later")
    batches: list[Any] = []
    bob.changed(batches.append)
    assert Feed(bob).take_over(handed(ann)) == len(ann.changes())
    same(ann, bob)
    assert bob.owed == len(ann.changes())
    assert {entry.why for entry in bob.records("k").siblings("key 1")} == {"because 55"}
    assert bob.set("s").entries()[0].because or bob.set("s").entries()[1].because
    for unknown in (lambda: bob.at(then), lambda: bob.changes(), lambda: bob.prune()):
        with pytest.raises(StoreError, match=r"on (their|its) way"):
            unknown()
    assert lent(ann, bob) > 5
    assert bob.owed == 0 and Feed(bob).owed
    assert Feed(bob).prove() and not Feed(bob).owed
    same(ann, bob)
    assert bob.at(then).digest() == ann.at(then).digest()
    assert [str(event) for event in bob.audit()] == [str(event) for event in ann.audit()]
    assert bob.changes() != [] and alone("cid").receive(bob.changes()).applied == len(ann.changes())
    bob._document._notifier.close()
    assert "t" in {field for batch in batches for field in batch.fields}


def test_what_the_newcomer_wrote_before_is_kept_and_merged_by_what_it_had_seen() -> None:
    ann, bob, cid = busy(), alone("bob"), alone("cid")
    bob.text("t").append("bob was here ")
    bob.text("t").insert(3, "!")
    bob.set("s").discard("first")
    mine = bob.register("r").assign("mine")
    Feed(bob).take_over(handed(ann))
    assert mine in bob.register("r").siblings and len(bob.register("r").siblings) == 2
    assert "bob was here" in str(bob.text("t")).replace("!", "")
    bob.text("t").append("and is")
    own = [record.data for _, record in bob._document.log.since(0)]
    bob._document.flush()
    own = [record.data for _, record in bob._document.log.since(0)]
    ann.receive(own)
    same(ann, bob)
    cid.receive(ann.changes())
    same(ann, cid)
    lent(ann, bob)
    assert Feed(bob).prove()
    same(ann, bob)


@pytest.mark.parametrize("filed", [False, True])
@pytest.mark.parametrize("portions", [0, 1, 3, 1000])
def test_a_restart_goes_on_where_it_stopped(portions: int, filed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    ann = busy()
    store: Any = tmp_path / "bob.db" if filed else MemoryStore()

    def start() -> tuple[Replica, Memory]:
        replica = Replica("bob", store=store, identity=KEY)
        return replica, replica.open(SCOPE)

    replica, bob = start()
    bob.text("t").append("offline")
    Feed(bob).take_over(handed(ann))
    bob.text("t").append(" and after")
    shown = bob.digest(), bob.version
    for _ in range(2):
        there = Feed(bob)
        for _ in range(portions):
            if there.wanted():
                there.fill(Feed(ann).older(dict(there.wanted()), None, 1500)[1])
        owed = bob.owed
        replica.close()
        replica, bob = start()
        assert (bob.digest(), bob.version, bob.owed) == (*shown, owed)
        bob.set("s").add("after a restart")
        shown = bob.digest(), bob.version
    lent(ann, bob)
    assert Feed(bob).prove()
    assert (bob.digest(), bob.version) == shown
    ann.receive(bob.changes())
    same(ann, bob)
    replica.close()
    replica, bob = start()
    same(ann, bob)
    assert not Feed(bob).owed
    assert bob.damage == ()
    replica.close()


def test_a_false_checkpoint_is_found_out_and_the_history_counts() -> None:
    ann, liar, bob = alone("ann"), alone("liar"), alone("bob")
    for n in range(20):
        ann.records("facts").put(f"fact {n}", "true", why="seen")
    liar.receive(ann.changes())
    liar.records("facts").siblings("fact 3")[0]._frozen = "false"  # and nothing in its digest tells
    liar._document.state.sessions[next(iter(liar._document.state.sessions))].agent = "somebody else"
    Feed(bob).take_over(handed(liar))
    assert bob.records("facts")["fact 3"] == "false"
    assert bob.digest() == ann.digest()
    later = bob.register("r").assign("rests on it", because=bob.records("facts").siblings("fact 3"))
    lent(ann, bob)
    assert not Feed(bob).prove()
    assert bob.records("facts")["fact 3"] == "true"
    assert not Feed(bob).owed and bob.register("r").value == "rests on it" and later in bob.register("r").siblings
    ann.receive(bob.changes())
    same(ann, bob)


def test_history_counts_only_if_the_changes_behind_it_name_it() -> None:
    ann, bob, cid = busy(count=9), alone("bob"), busy("cid", count=9)
    Feed(bob).take_over(handed(ann))
    wanted = dict(Feed(bob).wanted())
    _, records = Feed(ann).older(wanted, None)
    strange = [record.data for _, record in cid._document.log.backwards()]
    owed = bob.owed
    for wrong in (records[1:2], [*records[:2], records[1][:-1]], [b""], [records[0], *records[2:]]):
        with pytest.raises(BadBytes):
            Feed(bob).fill(wrong)
        assert bob.owed == owed
    assert Feed(bob).fill(strange) == 0
    assert Feed(bob).fill(records) == len(records)
    assert Feed(bob).fill(records) == 0
    assert Feed(bob).prove()


def test_who_lacks_some_of_it_lends_nothing() -> None:
    ann, bob, cid = busy(count=9), alone("bob"), alone("cid")
    cid.receive(ann.changes())
    ann.set("s").add("more")
    Feed(bob).take_over(handed(ann))
    assert Feed(cid).older(dict(Feed(bob).wanted()), None) == (0, [])
    cid.receive(ann.changes())
    lent(cid, bob)
    assert Feed(bob).prove()
    same(ann, bob)


def test_what_a_giver_has_pruned_is_shown_and_late_changes_are_judged_as_everywhere() -> None:
    ann, bob, late = busy(count=20), alone("bob"), alone("late")
    late.receive(ann.changes())
    late.text("t").insert(2, "late")
    late.sequence("q").insert(1, "late")
    writes = late.changes()[-2:]
    ann.text("t").insert(2, "then")
    ann.prune(keep=12)
    Feed(bob).take_over(handed(ann))
    same(ann, bob)
    lent(ann, bob)
    assert bob.owed == 0 and Feed(bob).prove()
    for memory in (ann, bob):
        assert memory.receive(writes).waiting == 0
    same(ann, bob)
    assert len(list(bob._document.log.records())) == 12 + 2
    bob.prune(keep=3)
    same(ann, bob)


def test_who_was_away_while_the_others_pruned_keeps_its_own_history_and_what_it_wrote() -> None:
    ann, bob = busy(count=20), alone("bob", store=MemoryStore(), identity=KEY)
    bob.receive(ann.changes())
    bob.text("t").append("written away")
    bob.sequence("q").insert(0, "away")
    ann.text("t").insert(0, "meanwhile ")
    ann.prune()
    with pytest.raises(Exception, match="pruned"):
        Feed(ann).start({id: seq - 3 for id, seq, _ in Feed(ann).sessions()})
    held = len(bob.changes())
    Feed(bob).take_over(handed(ann))
    assert "written away" in str(bob.text("t")) and "meanwhile" in str(bob.text("t"))
    assert held > 2
    bob._document.flush()
    ann.receive([record.data for _, record in bob._document.log.since(0)])
    same(ann, bob)
    assert Feed(bob).wanted() == []
    assert Feed(bob).prove()
    same(ann, bob)


def test_who_was_away_keeps_its_own_history_also_when_nobody_else_has_it() -> None:
    """The giver lends what is newer than that, and then prunes all."""
    cid, ann, bob, dan = alone("cid"), alone("ann"), alone("bob", identity=KEY), alone("dan")
    for n in range(6):
        cid.set("s").add(f"early {n}")
        dan.set("s").add(f"dan {n}")
    bob.receive(cid.changes())
    ann.receive(dan.changes())
    ann.receive(cid.changes())
    for n in range(12):
        ann.set("s").add(f"latest {n}")
    ann.prune(keep=14)
    giver, taker = Feed(ann), Feed(bob)
    taker.take_over(handed(ann))
    assert len(taker.wanted()) == 2
    for _ in range(12):
        taker.fill(giver.older(dict(taker.wanted()), None, 1)[1])
    ann.prune()
    assert taker.wanted() == [] and taker.prove()
    same(ann, bob)
    assert len(list(bob._document.log.records())) == 14


def test_who_has_what_others_wrote_takes_none_unless_something_was_pruned() -> None:
    ann, bob = busy(count=9), alone("bob")
    bob.receive(ann.changes())
    ann.set("s").add("more")
    with pytest.raises(StoreError, match="can come as changes"):
        Feed(bob).take_over(handed(ann))
    bob.receive(ann.changes())
    same(ann, bob)


def test_a_checkpoint_of_another_namespace_is_refused() -> None:
    with pytest.raises(BadBytes, match="another namespace"):
        Feed(Replica("cid").open(tenant="other")).take_over(handed(busy(count=3)))


def test_an_owned_memory_is_handed_over_with_its_rules_and_cuts() -> None:
    boss, bot = Replica("boss"), Replica("bot")
    memory = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}))
    copy = bot.open(memory.namespace)
    copy.receive(memory.changes())
    good = copy.register("status").assign("good")
    memory.receive(copy.changes())
    then = memory.version
    copy.register("status").assign("bad")
    memory.receive(copy.changes())
    memory.revoke("bot", since=then, why="it went mad")
    newcomer = Replica("new").open(memory.namespace)
    Feed(newcomer).take_over(handed(memory))
    same(memory, newcomer)
    assert newcomer.register("status").value == "good" and newcomer.register("status").siblings[0].id == good.id
    lent(memory, newcomer)
    assert Feed(newcomer).prove()
    copy.register("status").assign("worse")
    for each in (memory, newcomer):
        each.receive(copy.changes())
    same(memory, newcomer)


def test_a_cut_that_reaches_into_history_waits_for_it() -> None:
    boss, bot = Replica("boss"), Replica("bot")
    memory = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}))
    copy = bot.open(memory.namespace)
    copy.receive(memory.changes())
    copy.set("s").add("poison")
    memory.receive(copy.changes())
    newcomer = Replica("new").open(memory.namespace)
    Feed(newcomer).take_over(handed(memory))
    known = memory.version
    memory.revoke("bot", since=None, why="its prompt was injected")
    newcomer.receive(memory.changes(known))
    lent(memory, newcomer)
    assert Feed(newcomer).prove()
    assert list(newcomer.set("s")) == []
    same(memory, newcomer)


SAMPLE = handed(busy(count=12))


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_a_handover_or_one_error(data: st.DataObject) -> None:
    """Only the signature keeps strangers out; what is damaged by those who are trusted must not crash either."""
    mutated = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "drop", "double"]))
        if kind == "flip":
            mutated[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del mutated[at:]
        elif kind == "drop":
            del mutated[at : at + data.draw(st.integers(1, 9))]
        else:
            mutated[at:at] = mutated[at : at + 9]
        if not mutated:
            break
    memory = alone("bob")
    try:
        read(bytes(mutated), memory.namespace.digest, memory._document.log, None)
    except BadBytes:
        return


def test_a_failing_store_leaves_all_as_it_was() -> None:
    ann, bob = busy(count=9), alone("bob")
    bob.set("s").add("mine")
    shown = bob.digest(), bob.version
    log: Any = bob._document.log
    adopt = log.adopt

    def failing(*args: Any) -> None:
        raise StoreError("the disk is full")

    bob._document.log = Wrapped(log, failing)  # type: ignore[assignment]
    with pytest.raises(StoreError, match="full"):
        Feed(bob).take_over(handed(ann))
    assert (bob.digest(), bob.version) == shown
    bob._document.log = log
    assert log.adopt == adopt
    Feed(bob).take_over(handed(ann))
    assert sorted(map(str, bob.set("s"))) == sorted(map(str, [*ann.set("s"), "mine"]))


class Wrapped:
    """A log that cannot begin anew."""

    def __init__(self, log: Any, adopt: Any) -> None:
        self._log = log
        self.adopt = adopt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


@pytest.mark.parametrize("seed", range(30))
def test_a_crew_of_newcomers_and_prunes_ends_as_one_that_exchanged_changes(seed: int) -> None:
    rng = random.Random(seed)
    giver = busy("giver", count=rng.randrange(2, 15))
    takers = [alone(f"bob{n}") for n in range(3)]
    witness = alone("witness")
    for taker in takers:
        for n in range(rng.randrange(4)):
            taker.text("t").insert(rng.randrange(len(taker.text("t")) + 1), f"<{n}>")
            taker.sequence("q").append(n)
            taker.counter("n").add(1)
    own = [taker.changes() for taker in takers]
    if rng.random() < 0.5:
        giver.receive(own[0])
    everything = giver.changes()
    if rng.random() < 0.5:
        giver.prune(keep=rng.randrange(20))
    for taker in takers:
        Feed(taker).take_over(handed(giver))
        if rng.random() < 0.5:
            lent(giver, taker)
            Feed(taker).prove()
        taker.text("t").append("after")
    for records in own:
        everything += records
    for taker in takers:
        taker._document.flush()
        everything += [record.data for _, record in taker._document.log.since(0)]
    for memory in (giver, *takers, witness):
        memory.receive(everything)
    for taker in takers:
        if Feed(taker).owed:
            lent(giver, taker)
            assert Feed(taker).prove()
        assert taker.receive([]).waiting == 0
    for one, other in pairwise((witness, giver, *takers)):
        same(one, other)


@pytest.mark.parametrize("pruned", [False, True])
def test_none_is_taken_that_lacks_what_is_still_to_come_here_or_not_kept(pruned: bool) -> None:  # noqa: FBT001
    """Else a memory would go back, and what it writes next would fork its own session."""
    ann, bob, cid = busy(), alone("bob"), alone("cid")
    bob.set("s").add("mine")
    ann.receive(bob.changes())
    bob.set("s").add("mine, too")
    cid.receive([*ann.changes(), *bob.changes()])
    ann.set("s").add("later")
    ann.prune()
    if pruned:
        bob.receive(cid.changes())
        bob.prune()
    else:
        Feed(bob).take_over(handed(cid))
    before = bob.version, bob.digest()
    with pytest.raises(StoreError, match="all would go back"):
        Feed(bob).take_over(handed(ann))
    assert (bob.version, bob.digest()) == before
    bob.set("s").add("mine, at last")
    cid.receive(bob.changes(since=before[0]))
    same(bob, cid)


def test_what_was_here_is_of_use_only_if_it_goes_back_to_the_beginning() -> None:
    """Else what is put in front of it would rest on what comes behind."""
    ann, bob, cid, dan = alone("ann"), alone("bob"), alone("cid"), alone("dan")
    bob.set("s").add("bob")
    ann.receive(bob.changes())
    for n in range(5):
        ann.set("s").add(n)
    Feed(bob).take_over(handed(ann))
    ann.set("s").add("later")
    bob.receive(ann.changes()[-1:])
    dan.set("s").add("dan")
    cid.receive(dan.changes())
    cid.receive(ann.changes())
    cid.prune(keep=len(ann.changes()))
    Feed(bob).take_over(handed(cid))
    assert lent(cid, bob) and not Feed(bob).wanted()
    assert Feed(bob).prove() and not bob.owed
    same(bob, cid)


@pytest.mark.parametrize("filed", [False, True])
def test_history_in_an_order_that_cannot_be_is_let_go_and_asked_for_again(filed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    ann, bob = alone("ann"), alone("bob")
    replica = Replica("cid", store=tmp_path / "cid.db" if filed else MemoryStore())
    cid = replica.open(SCOPE)
    bob.text("t").append("bob")
    ann.receive(bob.changes())
    ann.text("t").append("ann")
    Feed(cid).take_over(handed(ann))
    cid.text("t").append("cid")
    for memory in (bob, ann):
        Feed(cid).fill(memory.changes()[-1:])
    assert not Feed(cid).wanted()
    assert not Feed(cid).prove() and cid.owed == 2 and len(cid.text("t")) == 9
    assert len(list(cid.audit())) == 1
    assert lent(ann, cid) and Feed(cid).prove() and not cid.owed
    assert len(list(cid.audit())) == 3
    ann.receive(cid.changes())
    same(ann, cid)
    replica.close()
