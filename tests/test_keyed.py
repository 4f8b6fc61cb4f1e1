"""The keyed primitive: live entries alone, whatever the order of arrival, and nothing left of what is gone."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Memory
from crdtmem.change import COUNTER, KINDS, RECORDS, REGISTER, SET, Keyed
from crdtmem.fields.keyed import Keyed as Field
from tests.crew import Time, alone, crew, exchange, tell
from tests.forger import Forger


def field(memory: Memory, kind: int, name: str = "f") -> Field:
    found = memory._document.state.fields[kind, name]
    assert isinstance(found, Field)
    return found


def write(memory: Memory, kind: int, n: int) -> Any:
    if kind == SET:
        return memory.set("f").add(n % 3)
    if kind == COUNTER:
        return memory.counter("f").add(n)
    if kind == REGISTER:
        return memory.register("f").assign(n)
    return memory.records("f").put("kl"[n % 2], n)


def erase(memory: Memory, kind: int, n: int) -> Any:
    if kind == SET:
        return memory.set("f").discard(n % 3)
    if kind == REGISTER:
        return memory.register("f").clear()
    return memory.records("f").delete("kl"[n % 2])


@given(
    st.sampled_from([SET, COUNTER, REGISTER, RECORDS]),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["write", "erase", "tell"]), st.integers(0, 9)), max_size=14),
)
def test_what_is_live_was_added_and_by_nobody_who_saw_it_removed(kind: int, steps: list[tuple[int, str, int]]) -> None:
    """The model: all adds ever, and for each memory what it has seen of adds and removals, as plain sets."""
    memories = crew("ann", "bob", "cyd")
    seen: list[tuple[set[Any], set[Any]]] = [(set(), set()) for _ in memories]
    names: dict[Any, Any] = {}
    for who, what, n in steps:
        added, removed = seen[who]
        if what == "tell":
            tell(memories[who], memories[who - 1])
            seen[who - 1][0].update(added)
            seen[who - 1][1].update(removed)
            continue
        key = {SET: n % 3, RECORDS: n % 2, COUNTER: who}.get(kind)
        if what == "write" or kind == COUNTER:
            fresh = write(memories[who], kind, n).id
            removed |= {id for id in added if names[id] == key}
            added.add(fresh)
            names[fresh] = key
        else:
            removed |= {id for id in added if names[id] == key}
            erase(memories[who], kind, n)
        live = set(field(memories[who], kind).by_id) if added else set()
        assert live == added - removed
    exchange(*memories)
    added, removed = set().union(*(a for a, _ in seen)), set().union(*(r for _, r in seen))
    for memory in memories:
        found = memory._document.state.fields.get((kind, "f"))
        assert (set(found.by_id) if isinstance(found, Field) else set()) == added - removed


@pytest.mark.parametrize("kind", [SET, REGISTER, RECORDS])
def test_an_index_by_key_follows_every_order_of_three_siblings(kind: int) -> None:
    for order in permutations(range(3)):
        memories = crew("ann", "bob", "cyd")
        for memory in memories:
            write(memory, kind, 0)
        reader = alone("reader")
        for i in order:
            tell(memories[i], reader)
        f = field(reader, kind)
        [key] = f.by_key
        assert len(f.live(key)) == len(f.by_id) == 3
        assert f.forked == {key}
        for left, i in zip((2, 1, 0), order, strict=True):
            erase(memories[i], kind, 0)
            tell(memories[i], reader)
            assert len(f.live(key)) == len(f.by_id) == left
            assert f.forked == ({key} if left > 1 else set())
        assert f.by_key == {}
        assert f.digest() == b""


def test_churn_leaves_nothing_behind() -> None:
    ann = alone()
    for n in range(300):
        ann.set("f").add(n, ttl=n + 1)
        ann.set("f").discard(n)
    f = field(ann, SET)
    assert (f.by_id, f.by_key, f.forked, f.mortal, f.sum) == ({}, {}, set(), 0, 0)
    assert ann.digest() == alone().digest()


def test_a_removal_takes_the_named_entry_and_nothing_else_even_if_it_is_gone_already() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("f").update(["x", "y"])
    tell(ann, bob)
    ann.set("f").discard("x")
    bob.set("f").discard("x")
    exchange(ann, bob)
    assert list(ann.set("f")) == ["y"]


def test_the_digest_tells_apart_which_entries_are_live() -> None:
    digests = set()
    for gone in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]:
        ann, bob = crew("ann", "bob")
        ann.set("f").update([0, 1, 2])
        for n in gone:
            ann.set("f").discard(n)
        tell(ann, bob)
        assert ann.digest() == bob.digest()
        digests.add(tuple(sorted(field(ann, SET).by_key)) if not gone else ann.digest())
    one = alone()
    one.set("f").update([0, 1, 2])
    found = {one.digest()}
    for n in (0, 1, 2):
        one.set("f").discard(n)
        found.add(one.digest())
    assert len(found) == 4
    assert len(digests) == 8


def test_a_counter_keeps_one_total_for_each_session_and_says_by_how_much_it_grew() -> None:
    ann, bob = crew("ann", "bob")
    for n in (5, -2, 10):
        ann.counter("f").add(n)
    tell(ann, bob)
    f = field(bob, COUNTER)
    assert (f.total, len(f.by_id), f.forked) == (13, 1, set())
    [entry] = bob.counter("f").entries()
    assert (entry.value, entry.extra) == (13, 10)


def test_a_change_may_hold_several_parts() -> None:
    mallory, ann = Forger(), alone()
    parts = [
        Keyed(COUNTER, "f", None, ((7,),), ()),
        Keyed(SET, "s", None, (("a",), ("b",)), ()),
        Keyed(RECORDS, "d", None, ((1, None, "k"), (2, None, "l")), ()),
    ]
    assert ann.receive([mallory.write(*parts)]).applied == 1
    assert (ann.counter("f").value, sorted(ann.set("s")), dict(ann.records("d"))) == (7, ["a", "b"], {"k": 1, "l": 2})


def test_removing_what_never_was_does_nothing() -> None:
    mallory, ann = Forger(), alone()
    own = ann.set("s").add("x")
    mine = tuple(own.id)
    parts = [Keyed(SET, "s", None, (), ((mine[0], 1, 7),)), Keyed(SET, "other", None, (), (mine,))]
    assert ann.receive([mallory.write(*parts, seen=ann)]).applied == 1
    assert list(ann.set("s")) == ["x"]
    assert "other" not in ann.fields()


def test_entries_with_a_time_to_live_are_counted_in_and_out() -> None:
    ann = alone(time=Time())
    ann.register("f").assign(1, ttl=5)
    assert field(ann, REGISTER).mortal == 1
    ann.register("f").assign(2)
    assert field(ann, REGISTER).mortal == 0
    with ann.change(ttl=5):
        ann.register("f").assign(3)
    assert field(ann, REGISTER).mortal == 1
    ann.register("f").clear()
    assert field(ann, REGISTER).mortal == 0


def test_every_kind_has_a_word() -> None:
    assert [KINDS[kind] for kind in (SET, COUNTER, REGISTER, RECORDS)] == ["set", "counter", "register", "records"]


@given(
    st.sampled_from([SET, COUNTER, REGISTER, RECORDS]),
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["write", "erase", "tell"]), st.integers(0, 9)), max_size=14),
)
def test_a_field_resumed_from_its_live_entries_is_the_same_field(kind: int, steps: list[tuple[int, str, int]]) -> None:
    memories = crew("ann", "bob")
    for who, what, n in steps:
        if what == "tell":
            tell(memories[who], memories[1 - who])
        elif what == "write" or kind == COUNTER:
            entry = write(memories[who], kind, n)
            if kind == COUNTER and n % 3 == 0:
                memories[who].retract(entry, why="miscounted")
        else:
            erase(memories[who], kind, n)
    here = memories[0]._document.state.field(kind, "f")
    assert isinstance(here, Field)
    again = Field(kind, "f")
    again.resume(here.by_id.values())
    assert (again.digest(), again.total, again.forked, again.mortal) == (
        here.digest(),
        here.total,
        here.forked,
        here.mortal,
    )
    assert {key: set(here.live(key)) for key in here.held()} == {key: set(again.live(key)) for key in again.held()}
    assert again.size() == here.size() == len(here.by_id)


def test_a_resumed_field_knows_which_of_its_entries_are_mortal() -> None:
    ann = alone()
    ann.set("f").add(1, ttl=5)
    ann.set("f").add(2, tags=["t"])
    again = Field(SET, "f")
    again.resume(field(ann, SET).by_id.values())
    assert again.mortal == 1


def test_a_resumed_field_knows_its_siblings() -> None:
    memories = crew("ann", "bob", "cyd")
    for n, memory in enumerate(memories):
        memory.register("f").assign(n)
    exchange(*memories)
    again = Field(REGISTER, "f")
    again.resume(field(memories[0], REGISTER).by_id.values())
    assert len(again.live(None)) == 3
    assert again.forked == {None}


def test_what_a_part_added_can_be_made_again_with_its_weights() -> None:
    ann = alone()
    with ann.change():
        ann.set("f").update([1, "x", [2]])
    change = ann._document.log.read(ann.version.heads[0].session, 1).change
    here = field(ann, SET)
    stamp = next(iter(here.by_id.values())).stamp
    made = here.written(change.parts[0], 0, change.digests[0], stamp)
    assert {e._id: (e._weight, e.key) for e in made} == {e._id: (e._weight, e.key) for e in here.by_id.values()}


def test_an_increment_is_taken_back_once_whoever_does_it() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.counter("f").add(5)
    ann.counter("f").add(2)
    tell(ann, bob)
    for memory in (ann, bob):
        memory.retract(entry, why="miscounted")
    exchange(ann, bob)
    assert ann.counter("f").value == 2
    assert len(field(ann, COUNTER).live(tuple(entry.id))) == 2


def test_what_takes_increments_back_counts_once_whatever_comes_first() -> None:
    """Two may say different amounts, or take back what never was: the one with the lower id holds, for all."""
    authors = [Forger() for _ in range(3)]
    target = (bytes(16), 1, 0)
    records = [
        author.write(Keyed(COUNTER, "f", None, ((100,), (amount, None, target)), ()))
        for author, amount in zip(authors, (5, 7, -9), strict=True)
    ]
    found = set()
    for order in permutations(records):
        reader = alone("reader")
        for record in order:
            assert reader.receive([record]).applied == 1
        f = field(reader, COUNTER)
        assert len(f.live(target)) == 3
        assert f.forked == {target}
        assert len(reader.counter("f").entries()) == 3
        found.add((f.total, reader.digest()))
    [(total, _)] = found
    lowest = min(zip([author.session for author in authors], (5, 7, -9), strict=True))
    assert total == 300 - lowest[1]
    assert f.live(target)[0].extra == -f.live(target)[0].value


def test_what_takes_back_a_void_increment_takes_nothing_off() -> None:
    ann, bob = crew("ann", "bob")
    counted = ann.counter("f").add(10)
    ann.counter("f").add(5)
    tell(ann, bob)
    undone = bob.retract(counted, why="twice")
    tell(bob, ann)
    total = field(ann, COUNTER)
    assert total.total == 5
    total.recount(lambda id: id == counted._id)  # its author's total would be without it, were it really void
    assert total.total == 15
    total.recount(lambda id: False)
    assert total.total == 5
    ann.undo(undone, why="it was right")
    assert total.total == 15
    total.recount(lambda id: False)
    assert total.total == 15
    total.recount(lambda id: id == counted._id)  # neither does undoing that give anything
    assert total.total == 15
