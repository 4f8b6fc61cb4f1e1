"""Checkpoints and history on connections: who is offered one, whose counts, and what if it goes wrong on the way."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, Replica, Rules, StoreError
from crdtmem.feed import Feed
from crdtmem.owed import owe_again
from crdtmem.sync.access import TOGETHER, Grant
from crdtmem.sync.frames import Changes, Have, History, Offer, Older, Piece, Shut, Take, decode, encode
from crdtmem.sync.handing import PIECE
from crdtmem.sync.pause import PATIENCE
from tests.crew import SCOPE, Unwilling, alone
from tests.ends import End, Wire
from tests.test_handover import busy, handed, lent, same

FAR = 20


def together(name: str, memory: Memory) -> End:
    """A peer at a meeting place, where little is far."""
    end = End(name, memory, admit=lambda hello: (TOGETHER, None))
    end.outlets[0].far = FAR
    return end


def met(dials: End, listens: End) -> Wire:
    wire = Wire(dials, listens, grant=TOGETHER)
    wire.run()
    return wire


def frames(wire: Wire, n: int, kind: type[Any]) -> list[Any]:
    return [frame for frame in wire.said[n] if isinstance(frame, kind)]


def whole(memory: Memory, *wires: Wire, seconds: int = 200) -> None:
    """Until all history is here."""
    for now in range(1, seconds):
        for wire in wires:
            wire.tick(now)
        if not Feed(memory).owed:
            return
    raise AssertionError("history did not come")


def test_a_newcomer_takes_a_checkpoint_and_then_its_history() -> None:
    ann, bob = busy(), alone("bob")
    mine = bob.text("t").append("bob ")
    a, b = together("ann", ann), together("bob", bob)
    wire = met(b, a)
    assert frames(wire, 1, Offer) and frames(wire, 0, Take) and frames(wire, 1, Piece)
    assert not frames(wire, 1, Changes)
    same(ann, bob)
    assert mine.by == "bob" and bob.owed > 100
    ann.set("s").add("meanwhile")
    wire.run()
    same(ann, bob)
    whole(bob, wire)
    same(ann, bob)
    assert [str(event) for event in bob.audit()] == [str(event) for event in ann.audit()]
    assert [news.detail for news in b.news if news.kind == "caught up"][-1] == "its history is here, and proved"
    ann.set("s").add("later")
    bob.set("s").add("and the other way")
    wire.run()
    same(ann, bob)


def test_both_are_in_step_only_after_the_checkpoint_is_shown() -> None:
    ann, bob = busy(), alone("bob")
    a, b = together("ann", ann), together("bob", bob)
    wire = Wire(b, a, grant=TOGETHER)
    done: list[tuple[Any, Any]] = []
    wire.run()
    for end, link in ((a, wire.links[1]), (b, wire.links[0])):
        link.mark(end.outlets[0], lambda: done.append((ann.version, bob.version)))
    wire.run()
    assert done == [(ann.version, ann.version)] * 2


def test_little_is_sent_as_changes_and_so_it_is_to_who_does_not_trust() -> None:
    for count, grant in ((1, TOGETHER), (60, Grant())):
        ann, bob = alone("ann"), alone("bob")
        for n in range(count):
            ann.set("s").add(n)
        a, b = together("ann", ann), together("bob", bob)
        wire = Wire(b, a, grant=grant)
        wire.run()
        assert not frames(wire, 1, Offer) and frames(wire, 1, Changes)
        same(ann, bob)


def test_a_key_can_be_trusted_and_the_key_of_the_owner_always_is() -> None:
    key, other = Identity(b"a" * 32), Identity(b"o" * 32)
    for trust, taken in (([key.key], True), ([other.key], False)):
        ann, bob = busy(count=30, identity=key), alone("bob")
        a, b = End("ann", ann), End("bob", bob, trust=trust)
        a.outlets[0].far = FAR
        wire = Wire(b, a)
        wire.run()
        assert bool(frames(wire, 0, Take)) == taken
        assert bool(frames(wire, 1, Changes)) != taken
        same(ann, bob)
    boss = Replica("boss").own(tenant="acme", rules=Rules())
    copy, newcomer = (Replica(name).open(boss.namespace) for name in ("copy", "new"))
    for n in range(30):
        boss.set("s").add(n)
    copy.receive(boss.changes())
    for giver, taken in ((copy, False), (boss, True)):
        newcomer = Replica("new").open(boss.namespace)
        a, b = End("giver", giver), End("new", newcomer)
        a.outlets[0].far = FAR
        wire = Wire(b, a)
        wire.run()
        assert bool(frames(wire, 1, Piece)) == taken
        same(boss, newcomer)


def test_one_checkpoint_is_awaited_at_a_time_and_another_peer_steps_in() -> None:
    ann, cid, bob = busy(), alone("cid"), alone("bob")
    cid.receive(ann.changes())
    a, c, b = together("ann", ann), together("cid", cid), together("bob", bob)
    first, second = Wire(b, a, grant=TOGETHER), Wire(b, c, grant=TOGETHER)
    first.links[1].pump = lambda room: False  # type: ignore[method-assign]  # offers, and sends nothing
    first.run()
    second.run()
    assert frames(first, 0, Take) and frames(second, 1, Offer) and not frames(second, 0, Take)
    assert len(bob.changes()) == 0
    first.cut()
    second.run()
    assert frames(second, 0, Take)
    same(ann, bob)
    whole(bob, second)


def test_who_offers_and_never_sends_is_passed_over() -> None:
    ann, bob = busy(), alone("bob")
    a, b = together("ann", ann), together("bob", bob)
    wire = Wire(b, a, grant=TOGETHER)
    a.outlets[0].feed.hand_over = lambda: iter(())  # type: ignore[method-assign]
    a.outlets[0].feed.vouch = lambda hash: b""  # type: ignore[method-assign]  # nor says that it was the last
    wire.run()
    assert not bob.owed and len(bob.set("s")) == 0
    for now in range(PATIENCE + 2):
        wire.links[1].session.tick(now)
        b.hub.tick(now)
        wire.run()
    assert "nothing of a checkpoint came" in " ".join(news.detail for news in b.news)
    same(ann, bob)


@pytest.mark.parametrize("what", ["data", "seal", "another's"])
def test_what_was_damaged_or_nobody_vouches_for_is_refused_and_changes_come_instead(what: str) -> None:
    ann, bob = busy(), alone("bob")
    a, b = together("ann", ann), together("bob", bob)
    feed = a.outlets[0].feed
    if what == "data":
        data = b"".join(feed.hand_over())
        feed.hand_over = lambda: iter((data[:-9],))  # type: ignore[method-assign]
    elif what == "seal":
        feed.vouch = lambda hash: bytes(64)  # type: ignore[method-assign]
    else:
        feed.vouch = Identity(b"x" * 32).sign  # type: ignore[method-assign]
    wire = met(b, a)
    assert "refused" in b.kinds()
    assert frames(wire, 1, Piece) and frames(wire, 1, Changes)
    assert not bob.owed
    same(ann, bob)


def test_who_lacks_what_was_pruned_takes_a_checkpoint_and_a_stranger_is_told_why_not() -> None:
    ann, bob = busy(), alone("bob", store=MemoryStore())
    bob.receive(ann.changes())
    bob.text("t").append("bob")
    for n in range(5):
        ann.set("s").add(f"later {n}")
    ann.prune()
    a, b = together("ann", ann), together("bob", bob)
    stranger = Wire(b, a)
    stranger.run()
    assert any("pruned" in frame.reason for frame in frames(stranger, 1, Shut))
    assert "later 1" not in bob.set("s")
    stranger.cut()
    met(b, a)
    assert "later 1" in bob.set("s")
    same(ann, bob)


def test_history_comes_from_whoever_has_it_also_in_parts_and_after_a_break() -> None:
    ann, cid, bob = busy(), alone("cid"), alone("bob")
    cid.receive(ann.changes())
    a, b, c = together("ann", ann), together("bob", bob), together("cid", cid)
    for end in (a, c):
        older = end.outlets[0].feed.older
        end.outlets[0].feed.older = lambda wanted, before, older=older: older(wanted, before, 600)  # type: ignore[method-assign]
    wire = met(b, a)
    b.hub.tick(1)
    wire.links[0].pump(1 << 20)
    for data in wire.links[0].session.data_to_send():
        a.hub.receive(wire.links[1], data)
    wire.links[1].pump(1 << 20)
    for data in wire.links[1].session.data_to_send():
        b.hub.receive(wire.links[0], data)
    wire.cut()
    owed = bob.owed
    assert 0 < owed < len(ann.changes())
    wire = met(b, c)
    whole(bob, wire)
    assert len(frames(wire, 1, History)) > 3
    same(ann, bob)


def test_a_peer_that_has_no_history_is_not_asked_at_once_again_and_nobody_gets_what_is_not_here() -> None:
    ann, bob, cid = busy(), alone("bob"), alone("cid")
    a, b = together("ann", ann), together("bob", bob)
    met(b, a).cut()
    ann.prune()
    c = End("cid", cid)
    wire = Wire(c, b)
    wire.run()
    for now in range(1, 9):
        wire.tick(now)
    assert len(cid.set("s")) == 0 and not frames(wire, 1, Shut)
    assert len(frames(wire, 1, Older)) <= 1
    later = Wire(b, a)
    later.run()
    said = len(frames(later, 0, Have))
    for now in range(1, 3 * PATIENCE):
        later.tick(now)
    asked = frames(later, 0, Older)
    assert 1 <= len(asked) <= 4
    assert len(frames(later, 1, Offer)) == len(asked) and not frames(later, 0, Take)
    assert bob.owed > 0  # what nobody keeps does not come, nor does a checkpoint of a stranger
    assert len(frames(later, 0, Have)) == said
    ann.set("s").add("meanwhile")
    later.run()
    assert "meanwhile" in bob.set("s")


def test_a_store_that_fails_takes_none_and_the_changes_come_later() -> None:
    store = Unwilling()
    ann, bob = busy(), Replica("bob", store=store).open(SCOPE)
    log: Any = bob._document.log
    log.adopt = lambda *args: (_ for _ in ()).throw(StoreError("the disk is full"))
    a, b = together("ann", ann), together("bob", bob)
    wire = met(b, a)
    assert any("disk is full" in news.detail for news in b.news)
    assert frames(wire, 1, Changes)
    same(ann, bob)


def test_a_checkpoint_that_was_no_good_is_not_the_last() -> None:
    """Where nothing else helps, because what is lacked was pruned."""
    ann, bob = busy(), alone("bob")
    ann.prune()
    a, b = together("ann", ann), together("bob", bob)
    vouch = a.outlets[0].feed.vouch
    a.outlets[0].feed.vouch = lambda hash: bytes(64)  # type: ignore[method-assign]
    wire = met(b, a)
    assert b.kinds().count("refused") >= 1 and len(bob.set("s")) == 0
    a.outlets[0].feed.vouch = vouch  # type: ignore[method-assign]
    for now in range(1, 3 * PATIENCE):
        wire.tick(now)
    same(ann, bob)


def test_false_history_is_refused_and_asked_of_another() -> None:
    ann, cid, bob = busy(), alone("cid"), alone("bob")
    cid.receive(ann.changes())
    a, b, c = together("ann", ann), together("bob", bob), together("cid", cid)
    wire = met(b, a)
    older = a.outlets[0].feed.older
    a.outlets[0].feed.older = lambda wanted, before: (0, older(wanted, before)[1][1:])  # type: ignore[method-assign]
    wire.tick(1)
    assert any("history that is not" in news.detail for news in b.news)
    assert bob.owed == len(ann.changes())
    whole(bob, wire, met(b, c))
    same(ann, bob)


def test_a_checkpoint_of_many_pieces_and_what_is_said_unasked() -> None:
    ann, bob = alone("ann"), alone("bob")
    for n in range(30):
        ann.records("k").put(f"{n}", "x" * 9000)
    a, b = together("ann", ann), together("bob", bob)
    wire = met(b, a)
    assert len(frames(wire, 1, Piece)) > 4
    assert all(len(frame.data) <= PIECE for frame in frames(wire, 1, Piece))
    same(ann, bob)
    channel = frames(wire, 1, Have)[0].channel
    unasked = (Piece(channel, b"x", b"y" * 64), History(channel, [b"x"]), Take(channel), Offer(channel, 9, bytes(32)))
    for frame in unasked:
        b.hub.receive(wire.links[0], encode(frame))
        wire.run()
    same(ann, bob)
    ann.set("s").add("still well")
    wire.run()
    same(ann, bob)


def test_two_that_owe_each_other_and_meet_through_a_third_alone_lack_nothing_in_the_end() -> None:
    ann, bob, cid = busy("ann"), busy("bob"), alone("cid")
    of_ann, of_bob = (b"".join(Feed(memory).hand_over()) for memory in (ann, bob))
    Feed(ann).take_over(of_bob)
    Feed(bob).take_over(of_ann)
    for memory in (ann, bob, cid):
        memory.text("t").append(memory.agent)  # who owes cannot place what others write beside it
    a, b, c = together("ann", ann), together("bob", bob), together("cid", cid)
    c.outlets[0].far = 10**9
    wires = Wire(a, c, grant=TOGETHER), Wire(b, c, grant=TOGETHER)
    for now in range(1, 40 * PATIENCE):
        for wire in wires:
            wire.tick(now)
    assert not any(memory.owed for memory in (ann, bob, cid))
    same(ann, bob)
    same(ann, cid)


def test_two_that_owe_each_other_lend_what_each_has() -> None:
    ann, bob = busy("ann"), busy("bob")
    of_ann, of_bob = (b"".join(Feed(memory).hand_over()) for memory in (ann, bob))
    Feed(ann).take_over(of_bob)
    Feed(bob).take_over(of_ann)
    wire = Wire(together("ann", ann), together("bob", bob), grant=TOGETHER)
    for now in range(1, 10 * PATIENCE):
        wire.tick(now)
    assert not ann.owed and not bob.owed
    same(ann, bob)


def test_history_that_nobody_keeps_any_more_comes_as_another_checkpoint() -> None:
    ann, bob, cid = busy(), alone("bob"), alone("cid")
    cid.receive(ann.changes()[:9])
    cid.text("t").append("cid ")  # who owes history cannot place it
    a, b = together("ann", ann), together("bob", bob)
    met(b, a).cut()
    ann.prune()
    ann.receive(cid.changes())
    bob.set("s").add("mine")
    wire = met(b, a)
    assert bob.owed > 0 and Feed(bob).waiting == 1 and "cid " not in bob.text("t").value
    whole(bob, wire, seconds=2 * PATIENCE)
    assert not Feed(bob).waiting
    same(ann, bob)


def test_history_that_was_asked_for_before_another_checkpoint_was_taken_is_not_kept() -> None:
    """What that brought may have to come behind it."""
    ann, bob, cid, dan, eve = busy(), alone("bob"), alone("cid"), alone("dan"), alone("eve")
    dan.set("s").add("dan")
    cid.receive(ann.changes())
    eve.receive(dan.changes())
    eve.receive(ann.changes())
    eve.prune(keep=len(ann.changes()))
    b = together("bob", bob)
    met(b, together("ann", ann)).cut()
    slow = met(b, together("cid", cid))
    b.hub.tick(1)
    for data in slow.links[0].session.data_to_send():
        slow.ends[1].hub.receive(slow.links[1], data)
    slow.links[1].pump(1 << 20)
    under_way = slow.links[1].session.data_to_send()
    assert any(isinstance(decode(data), History) for data in under_way)
    Feed(bob).take_over(handed(eve))  # as another peer of the same memory does
    assert "dan" in bob.set("s")
    b.hub.refresh()
    owed = bob.owed
    b.hub.receive(slow.links[0], *under_way)
    assert bob.owed == owed > 0
    whole(bob, met(b, together("eve", eve)), slow, seconds=9)
    same(eve, bob)


# -- what never happens: that kept history is given up for less, or that the same is tried again and again ------------


def kept(memory: Memory) -> int:
    return len(list(memory._document.log.records()))


def test_history_is_given_up_for_a_checkpoint_only_if_nobody_there_lends_it() -> None:
    ann, bob, cid = busy(), alone("bob"), alone("cid")
    cid.receive(ann.changes())
    cid.prune(keep=0)
    met(together("bob", bob), together("ann", ann))
    b = together("bob", bob)  # it was started again, and asks in whatever order it finds
    pruned, whole_one = met(b, together("cid", cid)), met(b, together("ann", ann))
    whole(bob, pruned, whole_one)
    assert frames(pruned, 1, Offer) and not frames(pruned, 0, Take)
    assert kept(bob) == kept(ann) > 100


def test_who_has_all_takes_none_and_lets_go_of_nothing() -> None:
    ann, bob = busy(), alone("bob")
    bob.receive(ann.changes())
    ann.prune(keep=1)
    a, b = together("ann", ann), together("bob", bob)
    wire, before = met(b, a), kept(bob)
    for now in range(1, 10):
        channel = a.outlets[0].links[wire.links[1]]
        channel.offers = True
        wire.links[1].session.send(Offer(0, 1, a.outlets[0].feed.key))
        wire.tick(now)
        assert (kept(bob), bob.owed) == (before, 0)
    assert len(frames(wire, 0, Take)) == 1


def apart(count: int = 30) -> tuple[Memory, Memory]:
    """Two that have the same, and each pruned what the other keeps."""
    one, other, cid, dan = alone("one"), alone("other"), alone("cid"), alone("dan")
    for n in range(count):
        one.set("s").add(n)
        other.set("q").add(n)
    for memory, order in ((cid, (one, other)), (dan, (other, one))):
        for writer in order:
            memory.receive(writer.changes())
        memory.prune(keep=count)
    return cid, dan


def spoilt(end: End) -> None:
    """It lends nothing that is of use, as where a record is damaged."""
    older = end.outlets[0].feed.older

    def wrong(wanted: Any, before: Any) -> tuple[int, list[bytes]]:
        place, records = older(wanted, before)
        return place, records[1:] or records

    end.outlets[0].feed.older = wrong  # type: ignore[method-assign]


@pytest.mark.parametrize("both", [False, True])
def test_two_that_pruned_each_what_the_other_keeps_are_not_taken_from_in_turn_for_ever(both: bool) -> None:  # noqa: FBT001
    cid, dan = apart()
    bob, c, d = alone("bob"), together("cid", cid), together("dan", dan)
    spoilt(c)
    if both:
        spoilt(d)
    b = together("bob", bob)
    wires = Wire(b, c, grant=TOGETHER), Wire(b, d, grant=TOGETHER)
    for now in range(1, 600):
        for wire in wires:
            wire.tick(now)
    assert bool(bob.owed) == both
    assert sum(len(frames(wire, 0, Take)) for wire in wires) <= (7 if both else 2)
    same(bob, cid)


def test_history_in_a_wrong_order_is_asked_of_another() -> None:
    ann, dan, bob, cid, mal = alone("ann"), alone("dan"), alone("bob"), alone("cid"), alone("mal")
    dan.set("s").add("dan")
    ann.receive(dan.changes())
    for n in range(40):
        ann.set("s").add(n)
    for memory in (cid, mal):
        memory.receive(ann.changes())
    session = dan.changes() and dan._document.state.version.heads[0][0]
    m, c, b = End("mal", mal), together("cid", cid), together("bob", bob)

    def wrong(wanted: Any, before: Any) -> tuple[int, list[bytes]]:
        found = [] if before is not None else [record for _, record in mal._document.log.backwards()]
        return 0, [record.data for record in sorted(found, key=lambda record: record.session != session)]

    m.outlets[0].feed.older = wrong  # type: ignore[method-assign]
    met(b, together("ann", ann)).cut()
    strange = Wire(b, m)
    strange.run()
    whole(bob, strange, met(b, c), seconds=9)
    assert len(frames(strange, 1, History)) == 1
    same(ann, bob)


def test_a_checkpoint_that_no_history_fits_costs_less_and_less() -> None:
    ann, dan, bob, liar = alone("ann"), alone("dan"), alone("bob"), alone("liar")
    dan.set("s").add("dan")
    ann.receive(dan.changes())
    ann.set("s").discard("dan")
    for n in range(40):
        ann.set("s").add(n)
    liar.receive(ann.changes())
    state = liar._document.state
    missing = dan._document.state.version.heads[0][0]
    del state.sessions[missing]
    Feed(bob).take_over(handed(liar))
    wire = met(together("bob", bob), together("ann", ann))
    for now in range(1, 600):
        wire.tick(now)
    assert bob.owed and 2 <= len(frames(wire, 1, History)) <= 6


def test_a_checkpoint_that_can_never_be_taken_is_sent_less_and_less_often() -> None:
    one, dan, ann, eve, bob = (alone(name) for name in ("one", "dan", "ann", "eve", "bob"))
    for n in range(30):
        one.set("s").add(n)
        dan.set("d").add(n)
    ann.receive(dan.changes())
    ann.receive(one.changes())
    ann.prune(keep=30)  # of one all is kept
    eve.receive(one.changes())
    eve.set("e").add(1)
    eve.prune(keep=1)  # and here nothing; dan it never met
    b = together("bob", bob)
    met(b, together("ann", ann)).cut()
    wire = met(b, together("eve", eve))
    for now in range(1, 900):
        wire.tick(now)
    assert bob.owed == 30 and 2 <= len(frames(wire, 0, Take)) <= 6


def test_a_log_that_begins_anew_is_known_to_all_peers_over_it() -> None:
    ann, bob, pat = busy(), alone("bob"), alone("pat")
    bob.set("s").add("bob")
    first, second, p = together("bob", bob), End("bob, too", bob), End("pat", pat)
    wire = Wire(p, second)
    wire.run()
    for now in range(1, 5):
        wire.tick(now)
    met(first, together("ann", ann)).cut()
    for now in range(5, 3 * PATIENCE):
        wire.tick(now)
    whole(bob, met(first, together("ann", ann)))
    for now in range(3 * PATIENCE, 5 * PATIENCE):
        wire.tick(now)
    same(bob, pat)


def test_history_that_is_let_go_of_while_it_is_sent_arrives_in_the_end() -> None:
    ann, bob, pat = busy(), alone("bob"), alone("pat")
    Feed(bob).take_over(handed(ann))
    lent(ann, bob)
    b = together("bob", bob)
    prove, b.hub.whole = b.hub.whole, lambda outlet: None
    b.outlets[0].size = 2000
    wire = Wire(End("pat", pat), b)
    for _ in range(6):
        for n, link in enumerate(wire.links):
            link.pump(100)
            for data in link.session.data_to_send():
                wire.ends[1 - n].hub.receive(wire.links[1 - n], data)
    assert bob._document.owed is not None
    owe_again(bob._document, bob._document.owed)
    b.hub.whole = prove
    wire.run()
    for now in range(1, 10):
        wire.tick(now)
    other = met(b, together("ann", ann))
    for now in range(10, 4 * PATIENCE):
        other.tick(now)
        wire.tick(now)
    assert not Feed(bob).owed
    same(bob, pat)


def said(wire: Wire, n: int) -> list[bytes]:
    wire.links[n].pump(1 << 20)
    return wire.links[n].session.data_to_send()


def test_an_offer_may_be_taken_though_what_the_other_has_was_said_meanwhile() -> None:
    ann, bob = busy(), alone("bob")
    a, b = together("ann", ann), together("bob", bob)
    met(b, a).cut()
    ann.prune()
    wire = met(b, a)
    b.hub.tick(1)
    a.hub.receive(wire.links[1], *said(wire, 0))
    offered = said(wire, 1)
    assert any(isinstance(decode(data), Offer) for data in offered)
    wire.links[0].have(b.outlets[0].links[wire.links[0]])
    a.hub.receive(wire.links[1], *said(wire, 0))
    b.hub.receive(wire.links[0], *offered)
    whole(bob, wire, seconds=PATIENCE + 5)
    assert len(frames(wire, 0, Take)) == 1


def test_who_kept_some_of_what_is_wanted_lends_it_and_offers_a_checkpoint_for_the_rest() -> None:
    ann, bob = busy(), alone("bob")
    a, b = together("ann", ann), together("bob", bob)
    met(b, a).cut()
    ann.prune(keep=100)
    wire = met(b, a)
    whole(bob, wire, seconds=PATIENCE + 5)
    assert len([frame for frame in frames(wire, 0, Older) if frame.changes]) == 1
    assert kept(bob) == 100


def test_what_the_other_has_counts_though_it_is_said_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtmem.sync.link.MAX_SESSIONS", 2)
    ann, bob = alone("ann"), alone("bob")
    for n in range(6):
        writer = alone(f"{n}")
        writer.set("s").add(n)
        ann.receive(writer.changes())
    a, b = End("ann", ann), End("bob", bob)
    wire = Wire(b, a)
    wire.run()
    same(ann, bob)
    ann.prune(keep=1)
    wire.run()
    wire.links[0].have(b.outlets[0].links[wire.links[0]])
    for data in wire.links[0].session.data_to_send():
        a.hub.receive(wire.links[1], data)
        wire.links[1].pump(1 << 20)
    wire.run()
    assert not frames(wire, 1, Shut)
