"""The ordered primitive: what it shows is what Yjs shows, and no part that would tear Yjs apart gets near it."""

from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Identity, Memory, MemoryStore
from crdtmem.change import SEQUENCE, TEXT, Ordered
from crdtmem.entry import Entry, Stamp
from crdtmem.fields import ordered
from crdtmem.fields.ordered import Gone, missing, shown_by
from crdtmem.fields.ordered import Ordered as Field
from crdtmem.fields.units import PIECE
from crdtmem.yupdate import insertion
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
    """What is kept beside Yjs is what Yjs holds, deleted units too; and the alive ones, and no others, show."""
    for (kind, _), f in memory._document.state.fields.items():
        assert isinstance(f, Field)
        f.encoded()  # Yjs knows all
        root = f._doc.get("", type=type(f._root))
        units = list(f.units.each())
        assert len({unit for unit, *_ in units}) == len(units) == f.size()
        assert f.dead == [alive for _, _, alive, _ in units].count(0)
        assert [type(owner) is not Gone for _, owner, _, _ in units] == [bool(alive) for _, _, alive, _ in units]
        if kind == TEXT:
            assert f.units.chars() == str(root)
            assert f.text == "".join(char for _, _, alive, char in units if alive)
            assert "".join(entry.value for entry in f.shares()) == f.text
            assert f.shown() is f.units
        else:
            assert len(root) == f.size()
            hidden = f.hidden()
            assert all(units[at][2] for at in hidden)
            shown = [at for at, (_, _, alive, _) in enumerate(units) if alive and at not in hidden]
            assert [at for at, shows in enumerate(f.shown().alive()) if shows] == shown
            assert f.entries() == [shown_by(units[at][1]) for at in shown]


def told(records: list[bytes], orders: Any) -> list[Memory]:
    """A reader for each order in which these changes may arrive, after the first of them; all end the same."""
    readers = []
    for order in orders:
        reader = alone("reader")
        for record in (records[0], *order):
            reader.receive([record])
        agrees(reader)
        readers.append(reader)
    assert len({reader.digest() for reader in readers}) == 1
    return readers


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


RUN = Ordered(TEXT, "t", None, ((None, f"a{GRIN}b"),), (), ())
CELLS = Ordered(SEQUENCE, "l", None, ((None, ("x", "y", "z")),), (), ())


def text_part(*runs: Any, deletes: Any = ()) -> Ordered:
    return Ordered(TEXT, "t", None, runs, deletes, ())


def cell_part(*runs: Any, deletes: Any = (), moves: Any = ()) -> Ordered:
    return Ordered(SEQUENCE, "l", None, runs, deletes, moves)


@pytest.mark.parametrize(
    ("make", "flaw"),
    [
        (lambda m: text_part(((m, 1), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 1, 1),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 2, 1),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 0, 2),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(deletes=((m, 2, 2),)), "a delete cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), GRIN), ((m, 4), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), f"é{GRIN}"), ((m, 5), "x")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 3), "xy"), ((m, 5), GRIN), ((m, 6), "z")), "a run cuts a surrogate pair"),
        (lambda m: text_part(((m, 4), "x")), "a run names a unit that is not in its past"),
        (lambda m: text_part((None, "x"), ((m, 6), "y")), "a run names a unit that is not in its past"),
        (lambda m: text_part(((m, 3), "x"), deletes=((m, 4, 1),)), "a delete names units that are not in its past"),
        (lambda m: cell_part(((m, 3), ("w",))), "a run names a unit that is not in its past"),
        (lambda m: cell_part(deletes=((m, 2, 2),)), "a delete names units that are not in its past"),
    ],
    ids=range(13),
)
def test_a_part_that_would_tear_yjs_is_void_and_its_change_keeps_its_place(make: Any, flaw: str) -> None:
    mallory, ann, bob = Forger(), *crew("ann", "bob")
    records = [mallory.write(RUN, CELLS)]
    bad = make(mallory.client)
    records.append(mallory.write(bad))
    records.append(mallory.write(text_part(((mallory.client, 3), "!")) if bad.kind == SEQUENCE else cell_part()))
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
    past = "not in its past"
    assert text.flaw(text_part(((m, 4), "x")), m, None) == f"a run names a unit that is {past}"
    assert text.flaw(text_part(((7, 0), "x")), m, None) == f"a run names a unit that is {past}"
    assert text.flaw(text_part(deletes=((m, 3, 2),)), m, None) == f"a delete names units that are {past}"
    assert cells.flaw(cell_part(deletes=((7, 0, 1),)), m, None) == f"a delete names units that are {past}"
    moves = (((m, 3), (mallory.session, 1, 0)),)
    assert cells.flaw(cell_part(moves=moves), m, None) == f"a run names a unit that is {past}"
    assert text.flaw(text_part(((m, 3), f"{GRIN}c"), ((m, 6), "d")), m, None) is None
    assert text.flaw(text_part(((m, 0), "x"), deletes=((m, 1, 2),)), m, None) is None
    assert (
        text.flaw(text_part(((m, 2), "x")), 7, lambda stamp: False) == "a run names a unit that its author had not seen"
    )
    assert text.flaw(text_part(((m, 2), "x")), 7, lambda stamp: True) is None


def test_a_part_that_names_a_void_unit_is_void() -> None:
    """The units of a void part were counted but never were: nothing can follow or delete them, or a span over them."""
    mallory = Forger()
    m = mallory.client
    records = [mallory.write(RUN)]
    records.append(mallory.write(text_part(((m, 1), "void"))))  # 4 to 7
    records.append(mallory.write(text_part(((m, 3), "cd"))))  # 8 and 9
    void = (
        text_part(((m, 4), "x")),  # 10
        text_part(deletes=((m, 4, 4),)),
        text_part(deletes=((m, 3, 2),)),
        text_part(deletes=((m, 3, 6),)),
        text_part(deletes=((m, 7, 2),)),
        text_part(((m, 10), "y")),  # 11
    )
    records.extend(map(mallory.write, void))
    records.append(mallory.write(text_part(((m, 9), "!"), deletes=((m, 8, 1), (m, 3, 1)))))
    ann, bob = crew("ann", "bob")
    got = ann.receive(records)
    assert [refusal.seq for refusal in got.refused] == [2, 4, 5, 6, 7, 8, 9]
    for record in records:
        bob.receive([record])
    for memory in (ann, bob):
        assert str(memory.text("t")) == f"a{GRIN}d!"
        assert field(memory, TEXT).voids == {m: [4, 8, 10, 11, 11, 12]}
        agrees(memory)


def test_a_part_that_follows_what_its_author_had_not_seen_is_void_for_all() -> None:
    """The right neighbour is looked for in its past: what it follows must be there, too."""
    mallory, other = Forger(), Forger()
    m = mallory.client
    first = mallory.write(RUN)
    ann = alone()
    ann.receive([first])
    started = other.write(text_part(((m, 3), "o")), seen=ann)
    unseen = mallory.write(text_part(((other.client, 0), "x")))
    for reader in told([first, started, unseen], permutations((started, unseen))):
        assert str(reader.text("t")) == f"a{GRIN}bo"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: (m, 9, 0),  # no such change: it waits
        lambda m: (m, 1, 1 << 20),  # no such part
        lambda m: (m, 1, 3),  # beyond its runs
        lambda m: (m, 2, 0),  # a part of another kind
        lambda m: (m, 2, 1 << 20),  # another field
        lambda m: (m, 3, 0),  # a part that is void
        lambda m: (m, 4, 0),  # where a value was moved to
    ],
)
@pytest.mark.parametrize("pruned", [False, True])
def test_a_move_names_an_entry_that_was_written_in_this_sequence(wrong: Any, pruned: bool) -> None:  # noqa: FBT001
    mallory, ann = Forger(), alone("ann", store=MemoryStore())
    other = Ordered(SEQUENCE, "other", None, ((None, ("o",)),), (), ())
    records = [mallory.write(CELLS), mallory.write(text_part((None, "t")), other)]
    records.append(mallory.write(cell_part(((mallory.client, 3), ("void",)))))
    records.append(mallory.write(cell_part(moves=((None, (mallory.session, 1, 2)),))))
    late = mallory.write(cell_part(moves=((None, wrong(mallory.session)),)))
    ann.receive(records)
    if pruned:
        assert ann.prune().changes == len(records)
    got = ann.receive([late])
    assert got.refused
    assert list(ann.sequence("l")) == ["z", "x", "y"]
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
        cells = field(memory, SEQUENCE)
        assert (len(cells.units.owners()), cells.dead, cells.moves, len(cells.hidden())) == (7, 1, 3, 2)
    bob.sequence("l").remove(entry)
    exchange(ann, bob, cyd)
    for memory in (ann, bob, cyd):
        assert list(memory.sequence("l")) == ["a", "b", "c"]
        cells = field(memory, SEQUENCE)
        assert (len(cells.units.owners()), cells.dead, cells.moves, cells.hidden()) == (7, 4, 0, set())
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


@pytest.mark.parametrize("seed", range(8))
def test_a_run_behind_a_deleted_unit_stands_where_that_unit_stood(seed: int) -> None:
    """Whichever of the two sessions Yjs puts first: they are drawn anew each time."""
    mallory, ann = Forger(), alone()
    m = mallory.client
    records = [mallory.write(RUN, CELLS)]
    ann.receive(records)
    with ann.change():
        ann.text("t").delete(1, 3)
        ann.sequence("l").remove(1)
        ann.sequence("l").remove(1)
    assert (str(ann.text("t")), list(ann.sequence("l"))) == ("a", ["x"])
    behind = [text_part(((m, 2), "2"), ((m, 3), "3")), cell_part(((m, 1), ("2",)), ((m, 2), ("3",)))]
    records.append(
        mallory.write(*(behind if seed % 2 else reversed(behind)), **({"seen": ann} if seed % 4 > 1 else {}))
    )
    gone = ann.changes()[-1]
    for reader in told([records[0], gone, records[1]], permutations((gone, records[1]))):
        assert (str(reader.text("t")), list(reader.sequence("l"))) == ("a23", ["x", "2", "3"])
        assert field(reader, TEXT).units.chars() == f"a{GRIN}2b3"
        assert list(field(reader, SEQUENCE).units.alive()) == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_the_right_neighbour_is_the_next_unit_of_the_past_whatever_stands_in_between(seed: int) -> None:
    """Four write at one place; two of them write on, alone or having seen another; all orders agree."""
    base = Forger()
    b = base.client
    records = [base.write(RUN, CELLS)]
    writers = [Forger() for _ in range(4)]
    origin = alone("origin")
    origin.receive(records)

    def run(writer: Forger, left: Any, mark: str, seen: Memory) -> bytes:
        return writer.write(
            text_part((left, f"{mark}é")), cell_part((left and (left[0], left[1] // 2), (mark,))), seen=seen
        )

    for n, writer in enumerate(writers):
        records.append(run(writer, (b, 0) if n != 3 else None, str(n), origin))
    one = alone("one")
    one.receive(records[:3])  # the base, 0 and 1
    records.append(run(writers[0], (writers[0].client, 1), "on", origin))  # has seen nothing new
    records.append(run(writers[1], (writers[1].client, 1), "after", one))  # has seen 0
    records.append(run(writers[1], (writers[1].client, 1), "again", one))
    orders = [Random(f"{seed}{n}").sample(records[1:], 7) for n in range(10)]
    readers = told(records, [records[1:], records[:0:-1], *orders])
    texts = {field(reader, TEXT).units.chars() for reader in readers}
    assert len(texts) == 1
    [text] = texts
    assert text.index("0é") + 2 == text.index("oné")
    assert len(text) == 3 + 4 * 2 + 3 + 2 * 6


def test_who_writes_on_alone_needs_no_look_at_what_others_wrote() -> None:
    """The right neighbour of its last run holds: nothing else may have come between."""
    mallory, ann = Forger(), alone()
    m = mallory.client
    ann.receive([mallory.write(text_part((None, "[]")))])
    ann.receive([mallory.write(text_part(((m, 0), "a")))])
    ann.text("t").insert(0, "ann ")  # concurrent with what follows
    ann.receive([mallory.write(text_part(((m, 2), "b"), ((m, 3), "c")))])
    text = field(ann, TEXT)

    def never(stamp: Any) -> bool:
        raise AssertionError(stamp)

    [writer] = {owner._stamp.writer for owner in text.units.owners() if owner._stamp.writer.client == m}
    assert str(ann.text("t")) == "ann [abc]"
    behind, before = text.units.place(8), text.units.place(7)
    assert text._right(writer, (m, 4), behind, never) == ((m, 1), True)
    assert text._right(writer, (m, 4), before, never) == ((m, 1), False)  # as if another's unit stood there
    assert text._right(writer, (m, 4), before, None) == ((m, 4), True)
    assert text._right(writer, (m, 3), before, lambda stamp: stamp.writer is not writer) == (None, False)


@pytest.mark.parametrize("seed", range(8))
def test_who_writes_on_having_seen_what_came_behind_stands_before_it(seed: int) -> None:
    mallory, other, far = Forger(), Forger(), Forger()
    m = mallory.client
    origin, second = alone("origin"), alone("second")
    records = [mallory.write(text_part((None, "[]"), ((m, 0), "a")))]
    origin.receive(records)
    apart = far.write(text_part((None, "far ")), seen=origin)  # nobody sees it: all has a past that is asked for
    records.append(other.write(text_part(((m, 2), "X")), seen=origin))
    second.receive(records)
    records.append(mallory.write(text_part(((m, 2), "b")), seen=second))
    for reader in told([*records, apart], permutations([*records[1:], apart])):
        assert str(reader.text("t")) == "far [abX]"


@pytest.mark.parametrize("count", [7, 2 * PIECE])
def test_a_delete_of_many_spans_finds_them_all(count: int) -> None:
    """The index knows the first half of a pair only, as a span does."""
    ann, bob = crew("ann", "bob")
    ann.text("t").append(f"{GRIN}x" * count)
    ann.sequence("l").extend(range(2 * count))
    tell(ann, bob)
    with bob.change():
        for at in range(count):
            bob.text("t").delete(at, at + 1)
            bob.sequence("l").remove(at)
    bob.text("t").append("!")
    part = Random(count).sample(range(count), count)
    mallory = Forger()
    m = mallory.client
    first = mallory.write(text_part((None, f"{GRIN}x" * count)), cell_part((None, tuple(range(2 * count)))))
    spans = [tuple((m, 3 * n, 2) for n in part), tuple((m, 2 * n, 1) for n in part)]
    scattered = mallory.write(text_part(deletes=spans[0]), cell_part(deletes=spans[1]))
    exchange(ann, bob)
    reader = alone("reader")
    assert not reader.receive([first, scattered]).refused
    for memory in (ann, bob, reader):
        assert str(memory.text("t")).rstrip("!") == "x" * count
        assert list(memory.sequence("l")) == list(range(1, 2 * count, 2))
        agrees(memory)


def test_what_is_deleted_twice_goes_once() -> None:
    """By two at a time, and by a span that names it again; the part of a span that lives still goes."""
    mallory, ann = Forger(), alone()
    m = mallory.client
    ann.receive([mallory.write(RUN, CELLS)])
    ann.text("t").delete(1, 2)
    ann.sequence("l").remove(1)
    spans = ((m, 0, 3), (m, 1, 2)), ((m, 0, 2), (m, 1, 1))
    ann.receive([mallory.write(text_part(deletes=spans[0]), cell_part(deletes=spans[1]))])
    assert (str(ann.text("t")), list(ann.sequence("l"))) == ("b", ["z"])
    assert (field(ann, TEXT).dead, field(ann, SEQUENCE).dead) == (2, 2)
    agrees(ann)


def test_a_unit_is_found_by_search_and_by_either_half_of_a_character() -> None:
    """Three authors have units of the same clocks; the hint and the ends are not where they stand."""
    memories = crew("ann", "bob", "cyd")
    for at, memory in enumerate(memories):
        memory.text("t").insert(at, f"{at}{GRIN}{at}")
        exchange(*memories)
    for memory in memories:
        text = field(memory, TEXT)
        for at, ((client, clock), _, _, char) in enumerate(text.units.each()):
            for hint in (None, 0, 3, text.size()):
                text._hint = None if hint is None else text.units.place(hint)
                assert text._find((client, clock)) == text.units.place(at)
                if char == GRIN:
                    assert text._find((client, clock + 1)) == text.units.place(at)


def test_a_deleted_unit_keeps_who_put_it_there_and_nothing_else_of_a_text() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.text("t").append("a secret", why="hush")
    ann.sequence("l").extend(["a secret", "x"])
    tell(ann, bob)
    bob.text("t").delete(2, 8)
    bob.sequence("l").remove(0)
    exchange(ann, bob)
    for memory in (ann, bob):
        text, cells = field(memory, TEXT), field(memory, SEQUENCE)
        husks = text.units.owners()[2:]
        assert [type(owner) for owner in text.units.owners()] == [Entry] * 2 + [Gone] * 6
        assert len(set(map(id, husks))) == 1  # one for all that went of an entry
        assert husks[0]._stamp.writer.agent == "ann"
        assert not hasattr(husks[0], "__dict__")
        assert [type(owner) for owner in cells.units.owners()] == [Gone, Entry]
        assert (husks[0].entry, cells.units.owners()[0].entry.value) == (None, "a secret")
        assert [(share.id, share.value) for share in memory.text("t").entries()] == [(entry.id, "a ")]
        agrees(memory)


def test_a_caller_may_keep_what_it_was_shown() -> None:
    """What is shown is made once and anew after each change; a list that was handed out is the caller's own."""
    ann = alone()
    ann.text("t").append("abc")
    ann.sequence("l").extend([1, 2, 3])
    text, cells = field(ann, TEXT), field(ann, SEQUENCE)
    assert text.text is text.text
    assert cells.shown() is cells.units  # nothing moved: no copy
    ann.text("t").delete(1, 2)
    assert text.text is text.text
    assert (text.text, text.units.chars()) == ("ac", "abc")
    ann.text("t").insert(1, "-")
    assert (text.text, text.units.chars()) == ("a-c", "a-bc")
    for step in (lambda: None, lambda: ann.sequence("l").remove(1), lambda: ann.sequence("l").move(0, 1)):
        step()
        before = cells.entries()
        held = before[:]
        before.clear()
        assert cells.entries() == held
        assert list(ann.sequence("l")) == [entry.value for entry in held]
    assert [entry.value for entry in cells.entries()] == [3, 1]
    assert cells.shown() is cells.shown()
    assert list(cells.shown().alive()) == list(cells.units.alive()) == [0, 0, 1, 1]
    agrees(ann)


def test_what_is_not_here_yet_is_waited_for() -> None:
    """Of a part the unit each run and move follows, and the last of each span; its own are counted in."""
    part = cell_part((None, ("a",)), ((7, 4), ("b",)), deletes=((8, 1, 3),), moves=(((9, 1), (b"s" * 16, 1, 0)),))
    here = {7: 5, 8: 4, 9: 2}
    assert missing(part, 5, here, {}) is None
    for client in here:
        short = {**here, client: here[client] - 1}
        assert missing(part, 5, short, {}) == client
        assert missing(part, 5, short, {client: 1}) is None
    assert missing(part, 7, {**here, 7: 2}, {}) is None
    assert missing(part, 7, {**here, 7: 1}, {}) == 7


@given(steps)
def test_it_goes_on_from_a_checkpoint_and_shows_each_version_as_it_was(
    moves: list[tuple[int, str, int, int, str]],
) -> None:
    stores = [MemoryStore(), MemoryStore()]
    key = Identity(bytes(32))  # a restart seals what was left unsealed
    memories = [alone(f"agent{n}", store=store, identity=key) for n, store in enumerate(stores)]
    was = []
    for step, (who, what, at, to, piece) in enumerate(moves):
        who %= 2
        if what == "tell":
            tell(memories[who], memories[who - 1])
        elif what == "block":
            memories[who].checkpoint()
            if step % 3 == 0:
                memories[who].sequence("l").append(piece, ttl=10**9)
            memories[who] = alone(f"again{step}", store=stores[who], identity=key)
            agrees(memories[who])
        else:
            act(memories[who], what, at, to, piece)
        text, items = memories[who].text("t"), memories[who].sequence("l")
        was.append((memories[who].version, str(text), items.entries(), [(e.id, e.value) for e in text.entries()]))
    exchange(*memories)
    for memory in memories:
        agrees(memory)
        for version, read, entries, shares in was:
            then = memory.at(version)
            assert (str(then.text("t")), then.sequence("l").entries()) == (read, entries)
            assert [(entry.id, entry.value) for entry in then.text("t").entries()] == shares


def test_once_the_log_was_pruned_a_late_move_still_finds_a_value_deleted_since() -> None:
    ann, bob = alone("ann", store=MemoryStore()), alone("bob")
    entries = ann.sequence("l").extend([1, 2, 3])
    tell(ann, bob)
    since = bob.version
    bob.sequence("l").move(0, 2)
    ann.prune()
    assert field(ann, SEQUENCE).written(tuple(entries[0].id)) == entries[0]
    assert field(ann, SEQUENCE).written((bytes(16), 1, 0)) is None
    ann.sequence("l").remove(0)
    assert ann.receive(bob.changes(since)).waiting == 0
    assert list(ann.sequence("l")) == [2, 3, 1]
    assert field(ann, SEQUENCE).size() == 4


def test_a_late_move_finds_a_value_whose_deletion_was_pruned_too() -> None:
    """Also after a second pruning and a restart, when the value had been moved before it was deleted."""
    store = MemoryStore()
    ann, bob = alone("ann", store=store), alone("bob")
    ann.sequence("l").extend([1, 2, 3])
    ann.sequence("l").move(1, 0, why="it comes first")
    tell(ann, bob)
    since = bob.version
    bob.sequence("l").move(0, 2)
    moved = bob.sequence("l").entries()[2]
    ann.sequence("l").remove(0)
    ann.prune()
    ann.text("t").append("later")
    ann.prune()
    ann = alone("ann", store=store)
    assert list(ann.sequence("l")) == [1, 3]
    assert ann.receive(bob.changes(since)).waiting == 0
    assert ann.sequence("l").entries()[2] == moved
    assert list(ann.sequence("l")) == [1, 3, 2]


# -- what is void ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SEQUENCE, TEXT])
def test_what_is_buried_takes_its_place_and_shows_nothing(kind: int) -> None:
    ann = alone("ann")
    if kind == TEXT:
        ann.text("t").append("ab")
        part = text_part((None, "xy"), deletes=[(0, 0, 1)])
    else:
        ann.sequence("l").extend([1, 2])
        part = cell_part((None, (7, 8)), moves=((None, tuple(ann.sequence("l").entries()[0].id)),))
    f = field(ann, kind)
    bob = alone("bob")
    bob.set("s").add("x")
    [writer] = bob._document.state.sessions.values()
    before = f.digest()
    stamp = Stamp(writer, 1, 1 << 16, None)
    f.bury(part, 0, stamp, None)
    assert f.digest() == before
    assert len(f.units.owners()) == 2 + part.units
    assert f.dead == part.units
    agrees(ann)
    assert f.made((writer.client, 0)) is stamp
    assert f.made((writer.client, part.units)) is None
    assert f.made(None) is None
    assert f.last((writer.client, 1)) == (writer.client, 1)
    assert f.last((writer.client, 99)) == (writer.client, part.units - 1)
    assert f.last((12345, 0)) is None
    assert f.clipped((writer.client, 1, 99)) == (writer.client, 1, part.units - 1)
    assert f.clipped((writer.client, 99, 1)) is None
    f.skip(part, writer.client)  # what has a flaw has no place at all
    assert f.last((writer.client, 99)) == (writer.client, part.units - 1)
    assert f.made((writer.client, part.units)) is None


def test_a_move_of_what_is_void_shows_nothing() -> None:
    ann = alone("ann")
    ann.sequence("l").extend([1, 2])
    f = field(ann, SEQUENCE)
    bob = alone("bob")
    bob.set("s").add("x")
    [writer] = bob._document.state.sessions.values()
    came, went = f.apply(
        cell_part(moves=((None, (bytes(16), 1, 0)),)), 0, Stamp(writer, 1, 1, None), None, [None], None
    )
    assert (came, went) == ([], [])
    assert [entry.value for entry in f.entries()] == [1, 2]
    agrees(ann)


@pytest.mark.parametrize("later", [2, 100])
def test_what_an_author_writes_on_and_on_is_told_to_yjs_in_one_run(later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yjs counts a run anew whenever it grows. What comes between, and too much, ends it."""
    told_of: list[Any] = []
    monkeypatch.setattr(ordered, "insertion", lambda *given: told_of.append(given[4]) or insertion(*given))
    monkeypatch.setattr(ordered, "LATER", later)
    ann, bob = crew("ann", "bob")
    for char in "abcd":
        ann.text("t").append(char)
        ann.sequence("l").append(char)
    field(ann, TEXT).encoded()
    field(ann, SEQUENCE).encoded()
    assert told_of == (["ab", 2, "cd", 2] if later == 2 else ["abcd", 4])
    told_of.clear()
    tell(ann, bob)
    bob.text("t").insert(2, "!")
    ann.text("t").append("e")
    exchange(ann, bob)
    for memory in (ann, bob):
        agrees(memory)
        assert str(memory.text("t")) == "ab!cde"
    assert told_of.count("!") == 2
