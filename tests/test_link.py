"""Links: two real hubs with real memories, and a wire between them that does what it is told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from crdtmem import Memory, Namespace, Replica, StoreError
from crdtmem.feed import Feed
from crdtmem.seals import Seals
from crdtmem.sync.access import Grant, Refused
from crdtmem.sync.frames import (
    MAX_RECORDS,
    Changes,
    Digest,
    Have,
    Hello,
    Mark,
    Marked,
    Open,
    Same,
    Shut,
    Want,
    encode,
)
from crdtmem.sync.link import MAX_MARKS, MAX_REFUSED
from crdtmem.sync.news import News
from tests.crew import SCOPE, Unwilling, alone, crew, tick
from tests.ends import End, Wire, joined

OTHER = Namespace(tenant="acme", task="other")


def team(*names: str) -> tuple[list[Memory], list[End]]:
    memories = crew(*names)
    return memories, [End(name, memory) for name, memory in zip(names, memories, strict=True)]


def frames(wire: Wire, n: int, kind: type[Any]) -> list[Any]:
    return [frame for frame in wire.said[n] if isinstance(frame, kind)]


def test_what_each_lacks_is_sent_once_and_the_rest_is_not() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    for n in range(50):
        ann.set("s").add(n)
        bob.text("t").append(f"{n} ")
    wire = joined(a, b)
    assert ann.version == bob.version and ann.digest() == bob.digest()
    for n in (0, 1):
        assert sum(len(frame.records) for frame in frames(wire, n, Changes)) == 50
    assert a.kinds() == b.kinds() == ["joined", "caught up"]
    assert wire.run() == 0
    ann.set("s").add("later")
    assert wire.run() == 1
    assert "later" in bob.set("s")


def test_those_who_have_the_same_say_so_and_nothing_more() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    joined(a, b).cut()
    wire = joined(a, b)
    assert not frames(wire, 0, Changes) and not frames(wire, 1, Changes)
    assert not frames(wire, 0, Have) and len(frames(wire, 0, Same)) == len(frames(wire, 1, Same)) == 1
    bob.set("s").add(2)
    wire.run()
    assert sorted(ann.set("s")) == [1, 2]


def test_after_a_break_only_what_came_since_is_sent() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    for n in range(100):
        ann.set("s").add(n)
    joined(a, b).cut()
    ann.set("s").add("a")
    bob.set("s").add("b")
    wire = joined(a, b)
    assert [len(frame.records) for n in (0, 1) for frame in frames(wire, n, Changes)] == [1, 1]
    assert ann.digest() == bob.digest()
    assert a.kinds() == ["joined", "caught up", "left", "joined", "caught up"]


def test_changes_travel_through_others_and_not_in_circles() -> None:
    (ann, bob, cyd), (a, b, c) = team("ann", "bob", "cyd")
    wires = [joined(a, b), joined(b, c), joined(c, a)]
    ann.set("s").add("from ann")
    counts = [wire.run() for wire in (*wires, *wires)]
    assert set(bob.set("s")) == set(cyd.set("s")) == {"from ann"}
    assert sum(counts) <= 4  # ann to both; those two to each other, at worst, as neither knows what the other has
    assert counts[3:] == [0, 0, 0]


def test_a_line_of_peers_carries_what_the_ends_write() -> None:
    memories, ends = team(*"abcdefg")
    wires = [joined(one, other) for one, other in pairwise(ends)]
    memories[0].set("s").add("first")
    memories[-1].set("s").add("last")
    for wire in (*wires, *reversed(wires)):
        wire.run()
    assert all(set(memory.set("s")) == {"first", "last"} for memory in memories)


def test_many_namespaces_take_turns() -> None:
    ann, bob = Replica("ann", time=tick), Replica("bob", time=tick)
    scopes = [Namespace(tenant="acme", task=f"t{n}") for n in range(5)]
    a, b = (End(replica._actor.agent, *[replica.open(scope) for scope in scopes]) for replica in (ann, bob))
    for scope in scopes:
        for n in range(20):
            ann.open(scope).text("t").append("x" * 20_000 + str(n))
    wire = Wire(a, b)
    while not wire.links[0].lags:
        for n, link in enumerate(wire.links):
            link.pump(1)
            for data in link.session.data_to_send():
                wire.ends[1 - n].hub.receive(wire.links[1 - n], data)
    link, order = wire.links[0], []
    while link.pump(1):  # room for one turn: each namespace hands out one stretch
        order += [decoded.channel for data in link.session.data_to_send() if (decoded := _changes(data))]
    assert order[:10].count(0) == order[:10].count(4) == 2


def _changes(data: bytes) -> Changes | None:
    from crdtmem.sync.frames import decode

    frame = decode(data)
    return frame if isinstance(frame, Changes) else None


def test_what_is_not_shared_looks_as_if_it_were_not_there() -> None:
    replica = Replica("bob", time=tick)
    hidden, shared = replica.open(OTHER), replica.open(SCOPE)
    hidden.set("s").add("secret")
    ann = Replica("ann", time=tick)
    a = End("ann", ann.open(OTHER), ann.open(Namespace(tenant="nowhere")), ann.open(SCOPE))
    b = End("bob", shared)
    wire = joined(a, b)
    assert {frame.reason for frame in frames(wire, 1, Shut)} == {"not shared here"}
    assert [frame.labels for frame in frames(wire, 1, Open)] == [["acme", "test"]]
    b.hub.share(Feed(hidden))  # now it is
    wire.run()
    assert set(ann.open(OTHER).set("s")) == {"secret"}


def test_a_peer_may_read_what_its_grant_covers_and_nothing_else_is_told() -> None:
    grant = Grant(read=(SCOPE,), write=())
    bob, ann = Replica("bob", time=tick), Replica("ann", time=tick)
    b = End("bob", bob.open(SCOPE), bob.open(OTHER), admit=lambda hello: (grant, None))
    a = End("ann", ann.open(SCOPE), ann.open(OTHER))
    bob.open(SCOPE).set("s").add("read me")
    bob.open(OTHER).set("s").add("not me")
    ann.open(SCOPE).set("s").add("not taken")
    wire = joined(a, b)
    assert set(ann.open(SCOPE).set("s")) == {"read me", "not taken"}
    assert set(bob.open(SCOPE).set("s")) == {"read me"}
    assert not ann.open(OTHER).set("s") and not bob.open(OTHER).fields().get("nothing")
    assert [frame.labels for frame in frames(wire, 1, Open)] == [["acme", "test"]]
    assert News("refused", "ann", SCOPE.digest, "it may read here, not write") in b.news
    assert News("refused", "bob", SCOPE.digest, "you may read here, not write") in a.news
    done: list[int] = []
    wire.links[0].mark(a.outlets[0], lambda: done.append(1))
    wire.run()
    assert done == []  # what it wrote is not stored there: it is never told that it is


def test_who_is_not_admitted_is_told_why() -> None:
    def admit(hello: Hello) -> Any:
        raise Refused("token", "this token has expired; ask for another")

    (ann, _), _ = team("ann", "bob")
    a, b = End("ann", ann), End("bob", alone("bob"), admit=admit)
    wire = joined(a, b)
    ended = wire.links[0].session.ended
    assert ended is not None and (ended.code, ended.reason) == ("token", "this token has expired; ask for another")
    assert b.news == [News("refused", "ann", None, "this token has expired; ask for another")]
    assert not frames(wire, 1, Open) and len(wire.said[0]) == 1


def test_who_closes_while_it_is_dialled_refuses_nobody() -> None:
    a, b = End("ann", alone()), End("bob", alone())
    wire = Wire(a, b)
    wire.links[1].session.end("bye", "this peer has closed")  # before it has heard who dials
    wire.run()
    wire.cut()
    assert wire.links[0].session.ended and a.news == b.news == []


def test_a_stranger_that_answers_for_another_is_left() -> None:
    (ann, mallory), (a, m) = team("ann", "mallory")
    ann.set("s").add("for bob")
    wire = joined(a, m, trusts=lambda said: said.name == "bob")
    assert wire.links[0].session.ended is not None
    assert wire.links[0].session.ended.code == "stranger"
    assert not mallory.set("s") and not frames(wire, 0, Open)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_connections_between_two_peers_one_is_kept_the_same_at_both_ends(first: int) -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    one, other = [Wire(a, b), Wire(b, a)][:: 1 if first else -1]
    for wire in (one, other, one):
        wire.run()
    ended = [[link.session.ended is not None for link in wire.links] for wire in (one, other)]
    assert sorted(ended) == [[False, False], [True, True]]
    kept = (one, other)[ended.index([False, False])]
    assert kept.ends[0] is a  # the lower id has dialled it
    ann.set("s").add(1)
    kept.run()
    assert set(bob.set("s")) == {1}


def test_who_comes_back_before_the_old_connection_is_known_to_be_dead_takes_its_place() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    old = joined(a, b)
    new = joined(a, b)
    assert old.links[1].session.ended is not None and old.links[1].session.ended.code == "double"
    bob.set("s").add(1)
    new.run()
    assert set(ann.set("s")) == {1}


def test_a_mark_is_answered_when_all_is_stored_there_and_here() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    ann.set("s").add("mine")
    bob.set("s").add("theirs")
    done: list[tuple[set[Any], set[Any]]] = []
    wire.links[0].mark(a.outlets[0], lambda: done.append((set(ann.set("s")), set(bob.set("s")))))
    wire.run()
    assert done == [({"mine", "theirs"}, {"mine", "theirs"})]
    ended = wire.links[0].mark(a.outlets[0], lambda: done.append((set(), set())))
    ended()
    wire.run()
    assert len(done) == 1


def test_what_was_lost_together_with_the_word_that_it_was_there_arrives_in_the_end() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    ann.set("s").add(1)
    for now in range(4):  # all that is said is lost
        for end, link in zip((a, b), wire.links, strict=True):
            end.hub.tick(now)
            link.pump(1 << 20)
            link.session.data_to_send()
    for now in range(4, 60):
        wire.tick(now)
    assert set(bob.set("s")) == {1}
    said = [len(frames(wire, n, Digest)) for n in (0, 1)]
    for now in range(60, 600):
        wire.tick(now)
    assert [len(frames(wire, n, Digest)) for n in (0, 1)] == said


def test_who_gave_up_waiting_many_times_is_answered_in_the_end() -> None:
    _, (a, b) = team("ann", "bob")
    wire = joined(a, b)
    done: list[int] = []
    for _ in range(3 * MAX_MARKS):  # while the other side hears nothing
        give_up = wire.links[0].mark(a.outlets[0], lambda: done.append(0))
        wire.links[0].pump(1 << 20)
        give_up()
    wire.links[0].mark(a.outlets[0], lambda: done.append(1))
    wire.run()
    assert done == [1]


def test_a_store_that_fails_answers_no_mark_and_takes_what_waited_when_it_works_again() -> None:
    store = Unwilling()
    ann, bob = alone("ann"), alone("bob", store=store)
    a, b = End("ann", ann), End("bob", bob)
    wire = joined(a, b)
    store.full = True
    ann.set("s").add(1)
    done: list[int] = []
    wire.links[0].mark(a.outlets[0], lambda: done.append(1))
    wire.run()
    assert not bob.set("s") and done == []
    assert ("trouble", "the disk is full") in [(news.kind, news.detail) for news in b.news]
    store.full = False
    wire.tick(1)
    wire.run()
    assert set(bob.set("s")) == {1} and done == [1]


def test_a_lost_message_is_made_up_for() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    ann.set("s").add("lost")
    a.hub.refresh()
    wire.links[0].pump(1 << 20)
    assert len(wire.links[0].session.data_to_send()) == 1  # and it does not arrive
    for now in range(1, 6):
        wire.tick(now)
    assert set(bob.set("s")) == {"lost"}
    sent = sum(map(len, wire.said))
    for now in range(6, 26):
        wire.tick(now)
    assert sum(map(len, wire.said)) - sent <= 20 / 5 * 4 + 4  # then only pings and pongs


def test_a_gap_is_asked_for_and_what_nobody_has_is_asked_for_ever_more_seldom() -> None:
    (ann, _bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    ann.set("s").add(2)
    first, second = ann.changes()
    wire = Wire(a, b)
    wire.run()
    wire.cut()
    (cyd,), (c,) = team("cyd")
    lone = joined(c, End("dan", alone("dan")))
    cyd.receive([second])
    for now in range(1, 200):
        lone.tick(now)
    asked = frames(lone, 0, Want)
    assert 5 <= len(asked) <= 11 and cyd.receive([first]).applied == 2


def test_divergence_is_told_when_the_same_changes_show_something_else() -> None:
    (ann, _bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    wire = joined(a, b)
    outlet = b.outlets[0]
    version, digest = outlet.feed.digest()
    wire.links[1].session.send(Digest(outlet.channel, version, bytes(reversed(digest))))
    wire.run()
    assert ("diverged", "bob") in [(news.kind, news.peer) for news in a.news]
    wire.links[1].session.send(Digest(outlet.channel, version, digest))
    wire.run()
    assert a.kinds().count("diverged") == 1


def test_nonsense_changes_nothing_and_too_much_of_it_ends_the_connection() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    wire = joined(a, b)
    outlet, before = a.outlets[0], bob.version
    for _ in range(MAX_REFUSED // 1000):
        wire.links[0].session.send(Changes(outlet.channel, [b"nonsense"] * 1000))
        wire.run()
    assert bob.version == before and wire.links[1].session.ended is None
    wire.links[0].session.send(Changes(outlet.channel, [b"nonsense"]))
    wire.run()
    ended = wire.links[1].session.ended
    assert ended is not None and ended.code == "refused"
    assert bob.version == before
    assert b.kinds().count("refused") == MAX_REFUSED // 1000 + 1


def test_what_is_asked_for_is_answered_as_far_as_it_is_here() -> None:
    (ann, _bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    wire = joined(a, b)
    [head] = ann.version.heads
    wire.links[1].session.send(Want(b.outlets[0].channel, [(head.session, 1), (head.session, 2), (bytes(16), 1)]))
    wire.run()
    assert [len(frame.records) for frame in frames(wire, 0, Changes)] == [1, 1]


def test_marks_and_wants_of_the_other_side_are_bounded() -> None:
    (_ann, _bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    channel = wire.links[1]._channels[SCOPE.digest]
    for n in range(1000):
        wire.links[0].session.send(Mark(a.outlets[0].channel, n))
        wire.links[0].session.send(Want(a.outlets[0].channel, [(bytes(16), m + 1) for m in range(1024)]))
    for data in wire.links[0].session.data_to_send():
        b.hub.receive(wire.links[1], data)
    assert len(channel.marks) <= 64 and len(channel.wanted) <= 1024
    wire.run()
    assert len(frames(wire, 1, Marked)) <= 64


def test_a_namespace_may_be_withdrawn_and_shared_again() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    wire.links[0].withdraw(a.outlets[0])
    wire.run()
    bob.set("s").add("unheard")
    ann.set("s").add("unsaid")
    wire.run()
    assert not bob.set("s").entries(by="ann") and not ann.set("s").entries(by="bob")
    wire.links[0].share(a.outlets[0])
    wire.run()
    assert ann.digest() == bob.digest() and len(ann.set("s")) == 2


def test_a_slow_reader_is_told_of_and_costs_no_memory() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    for n in range(50):
        ann.set("s").add("x" * 10_000 + str(n))
    a.hub.refresh()
    wire.links[0].pump(1)
    held = sum(map(len, wire.links[0].session._out))
    assert held <= 80_000 and wire.links[0].lags
    a.hub.tick(1)
    for n in range(50):
        ann.set("s").add(n)
        a.hub.refresh()
    a.hub.tick(2)
    assert "behind" in a.kinds()
    assert sum(map(len, wire.links[0].session._out)) <= held + 100
    wire.run()
    assert len(bob.set("s")) == 100 and a.kinds()[-1] == "caught up"


def test_frames_out_of_place_change_nothing() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    wire = joined(a, b)
    outlet = a.outlets[0]
    for frame in (
        Same(outlet.channel, bytes(16)),
        Marked(outlet.channel, 99),
        Shut(["acme", "elsewhere"], "who knows"),
    ):
        b.hub.receive(wire.links[1], encode(frame))
    ann.set("s").add(2)
    wire.run()
    assert sorted(bob.set("s")) == [1, 2] and wire.links[1].session.ended is None


def test_an_answer_to_an_older_open_holds_for_what_was_here_then() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    ann.set("s").add(0)
    bob.receive(ann.changes())
    wire = Wire(a, b)
    to_bob: list[bytes] = []

    def to_ann() -> None:
        wire.links[1].pump(1 << 20)
        for data in wire.links[1].session.data_to_send():
            a.hub.receive(wire.links[0], data)

    def from_ann() -> list[bytes]:
        wire.links[0].pump(1 << 20)
        return wire.links[0].session.data_to_send()

    for data in from_ann():
        b.hub.receive(wire.links[1], data)
    to_ann()
    to_bob += from_ann()
    for now in range(1, 6):  # bob is busy; ann writes, and says Open again
        a.hub.tick(now)
        if now == 2:
            ann.set("s").add("meanwhile")
    done: list[bool] = []
    wire.links[0].mark(a.outlets[0], lambda: done.append("meanwhile" in bob.set("s")))
    for _ in range(20):
        to_bob += from_ann()
        if to_bob:
            b.hub.receive(wire.links[1], to_bob.pop(0))
        to_ann()
    assert done == [True]


def test_a_mark_waits_for_what_cannot_be_sealed_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)

    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Seals, "sign", refuse)
        ann.set("s").add(1)
        done: list[int] = []
        wire.links[0].mark(a.outlets[0], lambda: done.append(1))
        wire.run()
        assert done == []
    wire.tick(1)
    wire.run()
    assert done == [1] and set(bob.set("s")) == {1}


def test_any_number_of_marks_is_answered() -> None:
    (ann, _), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    ann.set("s").add(1)
    done: list[int] = []
    for n in range(300):
        wire.links[0].mark(a.outlets[0], lambda n=n: done.append(n))  # type: ignore[misc]
    wire.run()
    assert done == list(range(300))


def test_nobody_takes_the_place_of_another_by_its_id() -> None:
    grants = iter([Grant(id="1"), Grant(id="2"), Grant(id="1")])
    (ann, bob), _ = team("ann", "bob")
    a, b = End("ann", ann), End("bob", bob, admit=lambda hello: (next(grants), None))
    thief = End("ann", alone("mallory"))
    good = joined(a, b)
    bad = joined(thief, b)
    assert bad.links[1].session.ended is good.links[1].session.ended is None
    again = joined(a, b)  # with its own token it may, whoever else goes by its id
    assert good.links[1].session.ended is not None
    assert bad.links[1].session.ended is again.links[1].session.ended is None


def test_changes_that_arrive_together_are_taken_in_together_and_all_else_in_its_turn() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    wire = joined(a, b)
    taken: list[int] = []
    receive = b.outlets[0].feed.receive

    def noted(records: Any, sender: str) -> Any:
        taken.append(len(records))
        return receive(records, sender)

    b.outlets[0].feed.receive = noted  # type: ignore[method-assign]
    done: list[bool] = []
    messages: list[bytes] = []
    for n in range(6):
        ann.set("s").add(n)
        a.hub.refresh()
        wire.links[0].pump(1 << 20)
        if n == 3:
            wire.links[0].mark(a.outlets[0], lambda: done.append(len(bob.set("s")) >= 4))
            wire.links[0].pump(1 << 20)
        messages += wire.links[0].session.data_to_send()
    b.hub.receive(wire.links[1], *messages)
    assert taken == [4, 2]
    assert sorted(bob.set("s")) == list(range(6))
    wire.run()
    assert done == [True]


def test_what_is_too_much_for_one_frame_is_not_joined() -> None:
    (ann, bob), (a, b) = team("ann", "bob")
    ann.set("s").add(1)
    wire = joined(a, b)
    [record] = [record.data for record in Feed(ann).read(0, Feed(ann).newest()).records]
    channel = frames(wire, 0, Open)[0].channel
    many = encode(Changes(channel, [record] * (MAX_RECORDS - 1)))
    b.hub.receive(wire.links[1], many, many, encode(Changes(channel, [record])))
    assert wire.links[1].session.ended is None
    assert bob.digest() == ann.digest()


def test_a_store_that_cannot_be_read_holds_up_its_own_namespace_alone_and_ends_nothing() -> None:
    replicas = [Replica(name) for name in ("ann", "bob")]
    a, b = (End(name, *map(replica.open, (SCOPE, OTHER))) for name, replica in zip("ab", replicas, strict=True))
    first = a.outlets[0]
    start, read = first.feed.start, first.feed.read

    def fails(*_: Any) -> Any:
        raise StoreError("/srv/ann.db: could not read")

    for scope in (SCOPE, OTHER):
        replicas[0].open(scope).set("s").add(1)
    first.feed.start = fails  # type: ignore[method-assign]
    wire = joined(a, b)
    assert not replicas[1].open(SCOPE).set("s") and set(replicas[1].open(OTHER).set("s")) == {1}
    first.feed.start = start  # type: ignore[method-assign]
    first.feed.read = fails  # type: ignore[method-assign]
    for now in range(1, 9):
        wire.tick(now)
    for scope in (SCOPE, OTHER):
        replicas[0].open(scope).set("s").add(2)
    wire.run()
    assert not replicas[1].open(SCOPE).set("s") and set(replicas[1].open(OTHER).set("s")) == {1, 2}
    first.feed.read = read  # type: ignore[method-assign]
    wire.tick(9)
    assert set(replicas[1].open(SCOPE).set("s")) == {1, 2}
    assert [news.detail for news in a.news if news.kind == "trouble"] == ["/srv/ann.db: could not read"]
    assert all(link.session.ended is None for link in wire.links)
