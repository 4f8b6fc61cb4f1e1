"""The ordered primitive: what it shows is what Yjs shows, and no part that would tear Yjs apart gets near it."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Memory
from crdtmem.change import SEQUENCE, TEXT, Ordered
from crdtmem.fields.ordered import Ordered as Field
from tests.crew import alone, crew, exchange, tell
from tests.drawn import HARD
from tests.forger import Forger

GRIN = "\U0001f600"  # two UTF-16 units
pieces = st.lists(st.sampled_from(HARD), min_size=1, max_size=3).map("".join)


def field(memory: Memory, kind: int) -> Field:
    found = memory._document.state.fields[kind, "t" if kind == TEXT else "l"]
    assert isinstance(found, Field)
    return found


def agrees(memory: Memory) -> None:
    """What is kept beside Yjs is what Yjs shows: the text, the number of units, and whose they are."""
    for (kind, _), f in memory._document.state.fields.items():
        assert isinstance(f, Field)
        shown = f._doc.get("", type=type(f._root))
        assert len(f.owners) == len(f.clocks)
        if kind == TEXT:
            assert f.chars == f.text == str(shown)
            assert len(f.owners) == len(f.chars)
        else:
            assert len(f.owners) == len(shown)


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["insert", "insert", "delete", "put", "put", "remove", "move", "tell", "block"]),
        st.integers(0, 9),
        st.integers(0, 9),
        pieces,
    ),
    max_size=16,
)


def act(memory: Memory, what: str, at: int, to: int, piece: str) -> None:
    text, sequence = memory.text("t"), memory.sequence("l")
    if what == "insert":
        text.insert(at % (len(text) + 1), piece)
    elif what == "delete":
        text.delete(*sorted((at % (len(text) + 1), to % (len(text) + 1))))
    elif what == "put":
        sequence.insert(at % (len(sequence) + 1), piece)
    elif what == "remove" and len(sequence):
        sequence.remove(at % len(sequence))
    elif what == "move" and len(sequence):
        sequence.move(at % len(sequence), to % len(sequence))


@given(steps)
def test_what_it_shows_is_what_yjs_shows_on_every_replica(moves: list[tuple[int, str, int, int, str]]) -> None:
    memories = crew("ann", "bob", "cyd")
    for memory in memories:
        memory.text("t")
        memory.sequence("l")
    for who, what, at, to, piece in moves:
        memory = memories[who]
        if what == "tell":
            tell(memory, memories[who - 1])
        elif what == "block":
            with memory.change():
                for inner in ("insert", "put", "delete", "move", "remove", "put", "insert"):
                    act(memory, inner, at, to, piece)
        else:
            act(memory, what, at, to, piece)
        agrees(memories[who - 1])
        agrees(memory)
    exchange(*memories)
    for memory in memories:
        agrees(memory)
        assert str(memory.text("t")) == str(memories[0].text("t"))
        assert memory.sequence("l").entries() == memories[0].sequence("l").entries()
        assert len(set(memory.sequence("l").entries())) == len(memory.sequence("l"))


@pytest.mark.parametrize("what", ["text", "sequence", "move"])
def test_edits_where_others_deleted_give_one_order_whatever_arrives_first(what: str) -> None:
    """Session ids, and with them the order of concurrent runs, are drawn anew each time."""
    origin = alone("origin")
    origin.text("t").append(f"a{GRIN}b")
    origin.sequence("l").extend([1, 2, 3])
    for seed in range(60):
        memories = crew("ann", "bob", "cyd")
        for i, memory in enumerate(memories):
            tell(origin, memory)
            if what == "text":
                memory.text("t").delete(i, i + 1)
                memory.text("t").insert(i, f"{i}{GRIN}")
            else:
                memory.sequence("l").remove(i)
                memory.sequence("l").insert(i, i)
            if what == "move":
                memory.sequence("l").move(i, 0)
                memory.sequence("l").remove(1)
        readers = crew("first", "second")
        for reader in readers:
            for memory in Random(seed).sample(memories, 3) if reader is readers[0] else memories:
                tell(memory, reader)
            agrees(reader)
        assert readers[0].digest() == readers[1].digest()


RUN = Ordered(TEXT, "t", None, ((None, None, f"a{GRIN}b"),), (), ())
CELLS = Ordered(SEQUENCE, "l", None, ((None, None, ("x", "y", "z")),), (), ())


def text_part(*runs: Any, deletes: Any = ()) -> Ordered:
    return Ordered(TEXT, "t", None, runs, deletes, ())


def cell_part(*runs: Any, deletes: Any = (), moves: Any = ()) -> Ordered:
    return Ordered(SEQUENCE, "l", None, runs, deletes, moves)


@pytest.mark.parametrize(
    ("make", "flaw"),
    [
        (lambda m: text_part(((m, 1), (m, 2), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 1), None, "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part((None, (m, 2), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 1, 1),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 2, 1),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 0, 2),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 2, 2),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), None, GRIN), ((m, 4), None, "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), None, f"é{GRIN}"), ((m, 4), (m, 6), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), None, "xy"), ((m, 5), None, f"{GRIN}"), ((m, 6), None, "z")), "a run cuts"),
        (lambda m: text_part((None, (m, 4), "x")), "a run names units that are not in its past"),
        (lambda m: text_part(((m, 4), None, "x")), "a run names units that are not in its past"),
        (lambda m: text_part((None, None, "x"), ((m, 6), None, "y")), "a run names units that are not in its past"),
        (
            lambda m: text_part(((m, 3), None, "x"), deletes=((m, 4, 1),)),
            "a delete names units that are not in its past",
        ),
        (lambda m: cell_part(((m, 3), None, ("w",))), "a run names units that are not in its past"),
        (lambda m: cell_part(deletes=((m, 2, 2),)), "a delete names units that are not in its past"),
    ],
    ids=range(16),
)
def test_a_part_that_would_tear_yjs_is_void_and_its_change_keeps_its_place(make: Any, flaw: str) -> None:
    mallory, ann, bob = Forger(), *crew("ann", "bob")
    records = [mallory.write(RUN, CELLS)]
    bad = make(mallory.client)
    records.append(mallory.write(bad))
    records.append(mallory.write(text_part(((mallory.client, 3), None, "!")) if bad.kind == SEQUENCE else cell_part()))
    assert ann.receive(records[:1]).refused == ()
    before = ann.digest()
    got = ann.receive(records[1:2])
    if got.waiting:  # what it names is not here, so it waits; nothing it says is done
        assert got.applied == 0
        assert "past" in flaw
    else:
        [refusal] = got.refused
        assert (got.applied, refusal.session, refusal.seq) == (1, mallory.session, 2)
        assert refusal.reason.startswith(f"void: {bad.field}: {flaw}")
        assert ann.receive(records[2:]).applied == 1
        bob.receive(records)
        assert ann.digest() == bob.digest()
    if not got.applied:
        assert ann.digest() == before
    agrees(ann)


def test_the_judge_of_a_part_knows_every_flaw_itself() -> None:
    """`flaw` does not rely on the waiting room having kept a part back."""
    mallory, ann = Forger(), alone()
    ann.receive([mallory.write(RUN, CELLS)])
    m = mallory.client
    text, cells = field(ann, TEXT), field(ann, SEQUENCE)
    past = "names units that are not in its past"
    assert text.flaw(text_part(((m, 4), None, "x")), m) == f"a run {past}"
    assert text.flaw(text_part((None, (7, 0), "x")), m) == f"a run {past}"
    assert text.flaw(text_part(deletes=((m, 3, 2),)), m) == f"a delete {past}"
    assert cells.flaw(cell_part(deletes=((7, 0, 1),)), m) == f"a delete {past}"
    assert cells.flaw(cell_part(moves=(((m, 3), None, (mallory.session, 1, 0)),)), m) == f"a run {past}"
    assert text.flaw(text_part(((m, 3), None, f"{GRIN}c"), ((m, 6), None, "d")), m) is None
    assert text.flaw(text_part(((m, 0), (m, 1), "x"), deletes=((m, 1, 2),)), m) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: (m, 9, 0),  # no such change: it waits
        lambda m: (m, 1, 1 << 20),  # no such part
        lambda m: (m, 1, 3),  # beyond its runs
        lambda m: (m, 2, 0),  # a part of another kind
        lambda m: (m, 2, 1 << 20),  # another field
    ],
)
def test_a_move_names_an_entry_that_was_written_in_this_sequence(wrong: Any) -> None:
    mallory, ann = Forger(), alone()
    other = Ordered(SEQUENCE, "other", None, ((None, None, ("o",)),), (), ())
    records = [mallory.write(CELLS), mallory.write(text_part((None, None, "t")), other)]
    records.append(mallory.write(cell_part(moves=((None, (mallory.client, 0), wrong(mallory.session)),))))
    ann.receive(records[:2])
    got = ann.receive(records[2:])
    assert got.refused
    assert list(ann.sequence("l")) == ["x", "y", "z"]
    agrees(ann)


def test_a_move_of_a_removed_entry_brings_it_back_as_it_was_written() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.sequence("l").extend(["a", "b", "c"], why="first")[1]
    tell(ann, bob)
    ann.sequence("l").remove(entry)
    bob.sequence("l").move(entry, 0)
    exchange(ann, bob)
    for memory in (ann, bob):
        [back] = memory.sequence("l").entries(text="b")
        assert (back, back.value, back.why, back.by) == (entry, "b", "first", "ann")
        agrees(memory)


def test_neighbours_named_the_wrong_way_round_harm_nobody() -> None:
    mallory, ann, bob = Forger(), *crew("ann", "bob")
    first = mallory.write(RUN, CELLS)
    for memory in (ann, bob):
        memory.receive([first])
    bob.text("t").insert(1, "bob")
    bob.sequence("l").insert(1, "bob")
    m = mallory.client
    backwards = [text_part(((m, 3), (m, 0), "x")), cell_part(((m, 2), (m, 0), ("x",)), ((m, 2), (m, 2), ("y",)))]
    second = mallory.write(*backwards)
    assert ann.receive([second]).applied == bob.receive([second]).applied == 1
    tell(bob, ann)
    tell(ann, bob)
    for memory in (ann, bob):
        agrees(memory)
    assert ann.digest() == bob.digest()


def test_a_value_two_have_moved_shows_where_the_later_move_put_it_and_goes_from_both_places() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    entry = ann.sequence("l").extend(["x", "a", "b", "c"])[0]
    exchange(ann, bob, cyd)
    ann.sequence("l").move(entry, 3)
    bob.sequence("l").move(entry, 1)
    cyd.sequence("l").move(entry, 2)
    exchange(ann, bob, cyd)
    for memory in (ann, bob, cyd):
        assert list(memory.sequence("l")) == ["a", "b", "x", "c"]
        assert len(field(memory, SEQUENCE).owners) == 6
        assert field(memory, SEQUENCE).moves == 3
    bob.sequence("l").remove(entry)
    exchange(ann, bob, cyd)
    for memory in (ann, bob, cyd):
        assert list(memory.sequence("l")) == ["a", "b", "c"]
        assert (len(field(memory, SEQUENCE).owners), field(memory, SEQUENCE).moves) == (3, 0)
        agrees(memory)


@pytest.mark.parametrize("size", [1, 3])
def test_several_runs_go_in_where_others_were_deleted(size: int) -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("l").extend(range(9))
    ann.text("t").append(f"0{GRIN}23é567{GRIN}")
    tell(ann, bob)
    with bob.change():
        for at in (6, 3, 0):
            bob.sequence("l").remove(at)
            bob.text("t").delete(at, at + 1)
    ann.sequence("l").move(0, 4)
    exchange(ann, bob)
    with ann.change():
        for at in (6, 3, 0):
            for n in range(size):
                ann.sequence("l").insert(at + n, f"new {at}")
            ann.text("t").insert(at % len(ann.text("t")), f"<{GRIN}>" * size)
        shown = list(ann.sequence("l")), str(ann.text("t"))
    exchange(ann, bob)
    for memory in (ann, bob):
        assert (list(memory.sequence("l")), str(memory.text("t"))) == shown
        assert "".join(entry.value for entry in memory.text("t").entries()) == shown[1]
        agrees(memory)


def test_an_edit_far_from_the_last_one_is_found_without_a_hint() -> None:
    ann, bob = crew("ann", "bob")
    ann.text("t").append(f"0123456789{GRIN}")
    tell(ann, bob)
    for at in (10, 0, 5, 11, 3):
        bob.text("t").insert(at, "x")
        bob.text("t").delete(at, at + 1)
        bob.text("t").insert(at, GRIN)
    ann.text("t").insert(5, "between")
    exchange(ann, bob)
    agrees(ann)
    agrees(bob)


def test_what_nothing_is_left_of_leaves_no_digest() -> None:
    ann = alone()
    ann.text("t").append("x")
    ann.sequence("l").append("x")
    ann.text("t").delete(0)
    ann.sequence("l").remove(0)
    assert ann.digest() == alone().digest()
    assert (field(ann, TEXT).digest(), field(ann, SEQUENCE).digest()) == (b"", b"")
    assert ann.fields() == {}


def test_the_digest_of_a_sequence_tells_order_values_and_authors_apart() -> None:
    found = set()
    for agent, order in (("ann", [1, 2]), ("ann", [2, 1]), ("ann", [1]), ("bob", [1, 2])):
        memory = alone(agent)
        memory.sequence("l").extend(order)
        found.add(memory.digest())
    assert len(found) == 4
