"""Acting on the past: restore, undo, compare and fork; each one change, or none, and the same for everybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import EntryId, Memory, MisuseError, Replica, ValueRefused
from crdtmem.change import COUNTER, SEQUENCE, TEXT, Keyed, Ordered, decode
from crdtmem.values import MAX_INT, MIN_INT
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.forger import Forger
from tests.stories import ACTS, STEPS, Step, content, made, play

picks = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), min_size=1, max_size=4)
acts = st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 9), st.integers(0, 9)), max_size=10)


def last(memory: Memory, before: Any) -> EntryId:
    """An id in the one change that was made since a version."""
    [change] = made(memory, before)
    return EntryId(change.session, change.seq, 0)


def played(steps: list[Step]) -> tuple[list[Memory], list[tuple[Any, dict[str, Any]]]]:
    """Three memories that have lived through this, and now know the same; what was shown after each step."""
    memories = crew("ann", "bob", "cyd")
    marks = [(memories[0].version, content(memories[0]))]
    for step in steps:
        memory = play(memories, step)
        marks.append((memory.version, content(memory)))
    exchange(*memories)
    return memories, marks


# -- restore ---------------------------------------------------------------------------------------


@given(STEPS, picks)
def test_restoring_shows_what_was_shown_and_is_one_change_that_all_take_alike(
    steps: list[Step], chosen: list[tuple[int, int]]
) -> None:
    memories, marks = played(steps)
    for who, which in chosen:
        version, shown = marks[which % len(marks)]
        memory = memories[who]
        before, same = memory.version, content(memory) == shown
        steps_back = memory.restore(str(version), why="it was better")
        assert content(memory) == shown
        found = made(memory, before)
        assert len(found) == bool(steps_back) <= 1
        assert found or same
        exchange(*memories)
        assert [content(other) for other in memories] == [shown] * 3
        assert memory.restore(memory.version, why="nothing to do") == 0
        assert made(memory, before) == found


@given(STEPS, picks)
def test_two_who_restore_at_once_end_the_same(steps: list[Step], chosen: list[tuple[int, int]]) -> None:
    memories, marks = played(steps)
    for who, which in chosen:
        version, shown = marks[which % len(marks)]
        for memory in (memories[who], memories[who - 1]):
            memory.restore(version, why="each on its own")
        exchange(*memories)
        now = content(memories[0])
        assert [content(memory) for memory in memories] == [now] * 3
        for name in ("s", "n", "r", "d"):  # what is written twice into a list stands there twice
            assert now.get(name) == shown.get(name)


def test_a_moment_can_be_restored() -> None:
    time = Time()
    ann = alone(time=time)
    ann.text("t").append("Churn rose.")
    moment = datetime.fromtimestamp(time.now + 1, UTC)
    time.passes(10)
    ann.text("t").replace("rose", "fell")
    ann.set("s").add("x")
    assert ann.restore(moment, why="it did rise") == 9
    assert (str(ann.text("t")), list(ann.set("s"))) == ("Churn rose.", [])


def test_what_is_restored_says_why_and_rests_on_what_it_was() -> None:
    ann = alone()
    old = ann.register("r").assign("old", confidence=0.5, tags=["t"], source="tool", why="once")
    text = ann.text("t").append("\U0001f600é")
    cell = ann.sequence("q").append("x")
    version = ann.version
    ann.register("r").assign("new")
    ann.text("t").delete(0, 2)
    ann.sequence("q").remove(0)
    ann.restore(version, why="back")
    [again] = ann.register("r").entries()
    assert (again.value, again.why, again.because) == ("old", "back", (old.id,))
    assert (again.confidence, again.tags, again.source) == (0.5, ("t",), "tool")
    assert [(e.value, e.because) for e in ann.text("t").entries()] == [("\U0001f600é", (text.id,))]
    assert [(e.value, e.because) for e in ann.sequence("q").entries()] == [("x", (cell.id,))]
    ann.retract(old, why="it was wrong even then")
    assert again.tainted


def test_siblings_come_back_as_what_was_read_and_patches_as_the_whole() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("d").put("k", {"a": 0, "b": 0})
    tell(ann, bob)
    for memory, n in ((ann, 1), (bob, 2)):
        memory.register("r").assign(n)
        memory.records("d").merge("k", {"ab"[n - 1]: n})
    exchange(ann, bob)
    version = ann.version
    ann.register("r").assign(3)
    ann.records("d").put("k", 3)
    exchange(ann, bob)
    bob.restore(version, why="back")
    exchange(ann, bob)
    assert ([e.value for e in ann.register("r").siblings], dict(ann.records("d"))) == ([2], {"k": {"a": 1, "b": 2}})


def test_siblings_that_stand_still_are_left_alone() -> None:
    ann, bob = crew("ann", "bob")
    for memory, n in ((ann, 1), (bob, 2)):
        memory.register("r").assign(n)
    exchange(ann, bob)
    version = ann.version
    ann.set("s").add("x")
    assert ann.restore(version, why="back") == 1
    assert [e.value for e in ann.register("r").siblings] == [1, 2]


def test_retractions_stand_and_what_they_took_stays_out() -> None:
    ann = alone()
    wrong, right = ann.set("s").add("wrong"), ann.set("s").add("right")
    cell = ann.sequence("q").append("wrong")
    ann.text("t").append("right ")
    piece = ann.text("t").append("wrong")
    value = ann.register("r").assign("wrong")
    version = ann.version
    for entry in (wrong, cell, piece, value):
        ann.retract(entry, why="wrong")
    ann.set("s").discard(right.value)
    ann.restore(version, why="back")
    assert content(ann) == {"s": ["('str', \"'right'\")"], "t": "right "}


def test_a_concurrent_restore_counts_what_is_undone_and_what_is_counted_again_once() -> None:
    ann, bob = crew("ann", "bob")
    ann.counter("n").add(5)
    tell(ann, bob)
    five = ann.version
    for memory in (ann, bob):
        memory.counter("n").add(100)
    exchange(ann, bob)
    high = ann.version
    for version, value in ((five, 5), (high, 205), (five, 5), (high, 205)):
        for memory in (ann, bob):
            memory.restore(version, why="to and fro")
            assert memory.counter("n").value == value
        exchange(ann, bob)
        assert ann.counter("n").value == value


def test_a_forged_step_back_over_what_never_was_is_made_good() -> None:
    ann, mallory = alone(), Forger()
    ann.counter("n").add(5)
    version = ann.version
    ann.receive([mallory.write(Keyed(COUNTER, "n", None, ((7, None, (bytes(16), 1, 1)), (2,)), ()))])
    assert ann.counter("n").value == 0
    ann.restore(version, why="back")
    assert ann.counter("n").value == 5


def test_a_forged_leap_that_no_step_can_take_back_is_said() -> None:
    ann, bob, mallory = *crew("ann", "bob"), Forger()
    version = ann.version
    for total in (MIN_INT, MAX_INT):
        ann.receive([mallory.write(Keyed(COUNTER, "n", None, ((total,),), ()))])
    for act in (
        lambda: ann.restore(version, why="x"),
        lambda: ann.retract(EntryId(mallory.session, 2, 0), why="x"),
        lambda: ann.undo(EntryId(mallory.session, 2, 0), why="x"),
    ):
        with pytest.raises(ValueRefused, match="does not fit int64 to be taken back"):
            act()
    ann.undo(EntryId(mallory.session, 1, 0), why="that one does")
    exchange(ann, bob)


def test_in_an_open_block_it_comes_first_and_what_follows_is_part_of_it() -> None:
    ann, bob = crew("ann", "bob")
    for n in range(3):
        ann.register("r").assign(n)
        ann.set("s").add(n)
    version = ann.version
    ann.register("r").assign("later")
    ann.set("s").discard(1)
    with ann.change(why="at once", tags=["night"]):
        ann.restore(version, why="back")
        ann.register("r").assign("on top")
        ann.set("other").add("x")
    assert (ann.register("r").value, sorted(ann.set("s"))) == ("on top", [0, 1, 2])
    [again] = [entry for entry in ann.set("s").entries() if entry.because]
    assert again.why == "back"
    assert len(ann.changes()) == 9
    exchange(ann, bob)


@pytest.mark.parametrize("act", ["restore", "undo"])
def test_over_writes_of_the_same_block_it_is_refused_and_the_block_stays_whole(act: str) -> None:
    ann, bob = crew("ann", "bob")
    ann.text("t").append("a")
    version = ann.version
    entry = ann.text("t").append("b")
    with ann.change():
        ann.set("s").add("x")
        ann.text("t").insert(0, "zzz")
        with pytest.raises(MisuseError, match="'t' was written to in this block; begin the block with this, or give"):
            ann.restore(version, why="x") if act == "restore" else ann.undo(entry, why="x")
    assert (str(ann.text("t")), list(ann.set("s"))) == ("zzzab", ["x"])
    exchange(ann, bob)


def test_what_another_thread_writes_between_looking_back_and_writing_is_not_overlooked() -> None:
    """`restore` takes its version first; all that is here when it writes is what it goes back from."""
    ann = alone()
    ann.set("s").add("x")
    past = ann.at(ann.version)._document.state
    ann.set("s").discard("x")
    ann.set("s").add("y")
    from crdtmem import history

    history.restore(ann, past, "back")  # type: ignore[arg-type]
    assert list(ann.set("s")) == ["x"]


# -- undo ------------------------------------------------------------------------------------------


@given(STEPS, acts)
def test_undoing_at_once_shows_what_was_shown_and_undoing_that_shows_it_again(
    steps: list[Step], more: list[tuple[str, int, int]]
) -> None:
    memories, _ = played(steps)
    memory = memories[0]
    for act, n, to in more:
        before, shown = memory.version, content(memory)
        ACTS[act](memory, n, to)
        if memory.version == before:
            continue
        done, after = last(memory, before), content(memory)
        marks = memory.version
        memory.undo(done, why="no")
        assert content(memory) == shown
        if memory.version != marks:
            memory.undo(last(memory, marks), why="yes after all")
        assert content(memory) == after
    exchange(*memories)


@given(STEPS, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=6))
def test_whatever_is_undone_wherever_all_end_the_same_and_later_writes_stand(
    steps: list[Step], undone: list[tuple[int, int]]
) -> None:
    memories, _ = played(steps)
    for who, which in undone:
        memory = memories[who]
        changes = [decode(record) for record in memory.changes()]
        if changes:
            chosen = changes[which % len(changes)]
            memory.undo(EntryId(chosen.session, chosen.seq, 0), why="no")
        tell(memory, memories[who - 1])
    exchange(*memories)
    assert len({str(content(memory)) for memory in memories}) == 1


@given(STEPS, st.integers(0, 99))
def test_two_who_undo_the_same_at_once_undo_it_once(steps: list[Step], which: int) -> None:
    """In fields where writing a thing twice is writing it once."""
    memories, _ = played([step for step in steps if step[1] not in ("append", "insert", "write", "together", "remove")])
    changes = [decode(record) for record in memories[0].changes()]
    if not changes:
        return
    chosen = changes[which % len(changes)]
    for memory in memories:
        memory.undo(EntryId(chosen.session, chosen.seq, 0), why="no")
    shown = content(memories[0])
    exchange(*memories)
    assert content(memories[1]) == shown


def test_later_writes_stand() -> None:
    ann = alone()
    with ann.change():
        done = ann.register("r").assign("first")
        ann.records("d").put("k", "first")
        ann.records("d").put("l", "first")
        ann.set("s").add("x")
        ann.counter("n").add(5)
        ann.text("t").append("first")
        ann.sequence("q").extend([1, 2])
    ann.register("r").assign("later")
    ann.records("d").put("k", "later")
    ann.set("s").add("y")
    ann.counter("n").add(1)
    ann.text("t").append(" later")
    ann.text("t").delete(1, 2)
    ann.sequence("q").replace(0, "later")
    ann.undo(done, why="no")
    assert content(ann) == {
        "r": [("str", "'later'")],
        "d": {"k": ("str", "'later'")},
        "s": ["('str', \"'y'\")"],
        "n": 1,
        "t": " later",
        "q": [("str", "'later'")],
    }


def test_undoing_a_removal_does_not_disturb_who_wrote_there_since() -> None:
    ann = alone()
    ann.register("r").assign("old")
    ann.set("s").add("x", why="old")
    with ann.change():
        ann.register("r").clear()
        ann.set("s").discard("x")
        done = ann.set("other").add(1)
    ann.register("r").assign("new")
    ann.set("s").add("x", why="new")
    ann.undo(done, why="no")
    assert ann.register("r").value == "new"
    assert [entry.why for entry in ann.set("s").entries()] == ["new"]


def test_undoing_a_retraction_lifts_the_taint_and_undoing_that_lays_it_on_again() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    n = ann.counter("n").add(5)
    brief = ann.register("r").assign(1, because=[source, n])
    with ann.change():
        note = ann.retract(source, why="wrong")
        ann.retract(n, why="wrong")
    for _ in range(3):
        assert (list(ann.set("s")), ann.counter("n").value, brief.tainted) == ([], 0, True)
        before = ann.version
        ann.undo(note, why="it was right")
        assert (list(ann.set("s")), ann.counter("n").value, brief.tainted) == (["x"], 5, False)
        done, before = last(ann, before), ann.version
        ann.undo(done, why="it was wrong")
        note = last(ann, before)  # type: ignore[assignment]
    exchange(ann, bob)
    [other] = bob.register("r").entries()
    assert other.tainted


def test_what_two_had_removed_stays_removed_when_one_takes_it_back() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("x")
    ann.text("t").append("abc")
    exchange(ann, bob)
    undone = []
    for memory in (ann, bob):
        before = memory.version
        with memory.change():
            memory.set("s").discard("x")
            memory.text("t").delete(1, 2)
        undone.append(last(memory, before))
    exchange(ann, bob)
    assert ann.undo(undone[0], why="no") == 0
    assert content(ann) == {"t": "ac"}


def test_a_move_is_undone_and_a_value_taken_out_comes_back_where_it_stood() -> None:
    ann, bob = crew("ann", "bob")
    ann.sequence("q").extend([0, 1, 2, 3])
    for edit in (lambda q: q.move(0, 3), lambda q: q.remove(1), lambda q: q.replace(2, "x"), lambda q: q.insert(0, 9)):
        before, shown = ann.version, list(ann.sequence("q"))
        edit(ann.sequence("q"))
        assert list(ann.sequence("q")) != shown
        ann.undo(last(ann, before), why="no")
        assert list(ann.sequence("q")) == shown
    exchange(ann, bob)


def test_undoing_an_increment_again_and_again_counts_to_and_fro() -> None:
    ann, bob = crew("ann", "bob")
    ann.counter("n").add(1)
    entry: Any = ann.counter("n").add(10)
    ann.counter("n").add(100)
    for value in (101, 111) * 3:
        before = ann.version
        ann.undo(entry, why="no")
        entry = last(ann, before)
        exchange(ann, bob)
        assert bob.counter("n").value == value
    ann.undo(entry, why="no")
    for memory in (ann, bob):
        memory.undo(entry, why="no")
        assert memory.counter("n").value == 101
    exchange(ann, bob)
    assert ann.counter("n").value == 101


def test_an_increment_that_was_counted_again_can_be_taken_off_again() -> None:
    ann = alone()
    entry = ann.counter("n").add(10)
    before = ann.version
    ann.undo(entry, why="no")
    ann.undo(last(ann, before), why="yes")
    assert ann.counter("n").value == 10
    ann.retract(entry, why="no, for good")
    assert ann.counter("n").value == 0
    ann.retract(entry, why="said twice")
    assert ann.counter("n").value == 0


@pytest.mark.parametrize("amount", [MIN_INT, MAX_INT])
def test_the_largest_steps_can_be_undone(amount: int) -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.counter("n").add(amount)
    ann.undo(entry, why="no")
    exchange(ann, bob)
    assert bob.counter("n").value == 0


def test_forged_changes_can_be_undone_void_parts_and_all() -> None:
    ann, mallory = alone(), Forger()
    ann.text("t").append("a\U0001f600b")
    good = Ordered(TEXT, "t", None, ((None, "x\U0001f600"),), (), ())
    bad = Ordered(TEXT, "t", None, (((mallory.client, 1), "y"),), (), ())
    cells = Ordered(SEQUENCE, "q", None, ((None, (1, 2)),), (), ())
    for parts in ([good], [bad, cells]):
        assert ann.receive([mallory.write(*parts)]).applied == 1
    assert (str(ann.text("t")), list(ann.sequence("q"))) in (
        ("x\U0001f600a\U0001f600b", [1, 2]),
        ("a\U0001f600bx\U0001f600", [1, 2]),
    )
    assert ann.undo(EntryId(mallory.session, 2, 0), why="no") == 2
    assert ann.undo(EntryId(mallory.session, 1, 0), why="no") == 2
    assert content(ann) == {"t": "a\U0001f600b"}


# -- diff ------------------------------------------------------------------------------------------


def sides(found: Any) -> dict[str, Any]:
    return {d.field: ([entry.value for entry in d.removed], [entry.value for entry in d.added], str(d)) for d in found}


def test_the_difference_names_what_came_and_went_in_every_kind_of_field() -> None:
    ann = alone()
    ann.set("s").update(["kept", "gone"])
    ann.register("r").assign("old", why="guess")
    ann.records("d").put("k", 1)
    ann.counter("n").add(5)
    ann.sequence("q").extend([1, 2])
    ann.text("t").append("abc")
    before = ann.version
    ann.set("s").discard("gone")
    ann.register("r").assign("new", why="checked")
    ann.records("d").put("l", 2)
    ann.counter("n").add(2)
    ann.sequence("q").replace(0, 9)
    ann.text("t").insert(1, "X")
    ann.retract(ann.set("s").add("wrong"), why="wrong")
    expected = {
        "s": (["gone"], [], "set s\n  - 'gone' by ann"),
        "n": ([5], [7], "counter n\n  - 5 by ann\n  + 7 by ann"),
        "r": (["old"], ["new"], "register r\n  - 'old' by ann (guess)\n  + 'new' by ann (checked)"),
        "d": ([], [2], "records d\n  + ['l'] 2 by ann"),
        "q": ([1], [9], "sequence q\n  - 1 by ann\n  + 9 by ann"),
        "t": (["abc"], ["a", "X", "bc"], "text t\n  - 'abc' by ann\n  + 'a' by ann\n  + 'X' by ann\n  + 'bc' by ann"),
    }
    after = ann.version
    assert sides(ann.diff(before)) == sides(ann.diff(before, after)) == expected
    ann.set("s").add("still later")
    assert sides(ann.diff(before, after)) == expected
    back = sides(ann.diff(after, before))
    assert {name: (removed, added) for name, (removed, added, _) in back.items()} == {
        name: (added, removed) for name, (removed, added, _) in expected.items()
    }
    assert ann.diff(after, after) == []
    assert [d.kind for d in ann.diff(before, after)] == ["set", "counter", "register", "records", "sequence", "text"]


def test_of_two_equal_pieces_of_one_insertion_the_one_that_went_is_told() -> None:
    ann = alone()
    ann.text("t").append("aa")
    ann.text("t").insert(1, "X")
    before = ann.version
    ann.text("t").delete(2, 3)
    assert sides(ann.diff(before)) == {"t": (["a"], [], "text t\n  - 'a' by ann")}


@given(STEPS)
def test_there_is_no_difference_exactly_where_nothing_differs(steps: list[Step]) -> None:
    memories, marks = played(steps)
    memory = memories[0]
    for version, _ in marks:
        found = memory.diff(version)
        assert [(d.field, d.kind) for d in found] == sorted(
            {(d.field, d.kind) for d in memory.diff(memory.version, version)}, key=lambda d: list(ORDER).index(d[1])
        )
        if not found:  # moves alone change no entry
            then = content(memory.at(version))
            assert {**content(memory), "q": 0} == {**then, "q": 0}
    assert memory.diff(memory.version) == []


ORDER = ("set", "counter", "register", "records", "sequence", "text")


# -- fork ------------------------------------------------------------------------------------------


@given(STEPS, st.integers(0, 99))
def test_a_fork_begins_with_all_that_is_shown_now_or_was_then(steps: list[Step], which: int) -> None:
    memories, marks = played(steps)
    version, shown = marks[which % len(marks)]
    replica = Replica("forker")
    for number, (source, expected) in enumerate(
        ((memories[0], content(memories[0])), (memories[1].at(version), shown))
    ):
        copy = replica.fork(source, tenant="acme", task=f"copy {number}")
        assert content(copy) == expected
        other = Replica("other").open(tenant="acme", task=f"copy {number}")
        tell(copy, other)
        assert content(other) == expected


def test_every_copy_cites_its_origin_and_says_what_it_said() -> None:
    replica = Replica("ann")
    ann = replica.open(SCOPE)
    says: Any = {"why": "w", "confidence": 0.5, "tags": ["t"], "source": "tool"}
    entries = [
        ann.set("s").add("x", **says),
        ann.register("r").assign(1, **says),
        ann.records("d").put("k", {"a": 1}, **says),
        ann.sequence("q").append(1, **says),
        ann.text("t").append("abc", **says),
    ]
    copy = replica.fork(ann, tenant="acme", task="copy")
    for kind, name, origin in zip(("set", "register", "records", "sequence", "text"), "srdqt", entries, strict=True):
        [entry] = getattr(copy, kind)(name).entries()
        assert (entry.value, entry.because) == (origin.value, (origin.id,))
        assert (entry.why, entry.confidence, entry.tags, entry.source) == ("w", 0.5, ("t",), "tool")
    assert len(copy.changes()) < 5


def test_siblings_survive_a_fork_in_their_order() -> None:
    ann, bob = crew("ann", "bob")
    for memory, n in ((ann, 1), (bob, 2)):
        memory.register("r").assign(n)
        memory.records("d").put("k", n)
        memory.records("d").put("l", {"a": n})
        memory.records("d").merge("l", {"b": n})
    exchange(ann, bob)
    copy = Replica("x").fork(ann, tenant="copy")
    assert [entry.value for entry in copy.register("r").siblings] == [1, 2]
    assert [entry.value for entry in copy.records("d").siblings("k")] == [1, 2]
    assert (copy.register("r").value, dict(copy.records("d"))) == (ann.register("r").value, dict(ann.records("d")))


def test_what_is_not_empty_or_not_a_namespace_is_no_place_for_a_fork() -> None:
    replica = Replica("ann")
    source, target = replica.open(SCOPE), replica.open(tenant="taken")
    source.set("s").add("x")
    target.set("s").add("y")
    with pytest.raises(MisuseError, match="is not empty; fork into a namespace of its own"):
        replica.fork(source, tenant="taken")
    with pytest.raises(MisuseError, match="is not empty"):
        replica.fork(source, SCOPE)
    with pytest.raises(TypeError):
        replica.fork(source, SCOPE, tenant="x")
    assert replica.fork(replica.open(tenant="empty"), tenant="also empty").changes() == []


def test_a_large_memory_is_forked_in_several_changes() -> None:
    replica = Replica("ann")
    ann = replica.open(SCOPE)
    ann.sequence("q").extend(range(1300))
    ann.set("s").update(range(2500))
    for n in range(600):
        ann.text("t").insert(n, "ab"[n % 2])
    with ann.change():
        for n in range(5):
            ann.records("d").put(f"k{n}", "x" * 100_000)
    copy = replica.fork(ann, tenant="copy")
    assert content(copy) == content(ann)
    assert 5 < len(copy.changes()) < 20
    other = Replica("other").open(tenant="copy")
    tell(copy, other)


def test_what_has_expired_is_not_revived_and_what_has_not_keeps_its_hour() -> None:
    time = Time()
    replica = Replica("ann", time=time)
    ann = replica.open(SCOPE)
    then = ann.version
    for name, ttl in (("short", 5), ("long", 100)):
        ann.set("s").add(name, ttl=ttl)
        ann.sequence("q").append(name, ttl=ttl)
        ann.register(name).assign(name, ttl=ttl)
    then = ann.version
    time.passes(50)
    copy, old = replica.fork(ann, tenant="copy"), replica.fork(ann.at(then), tenant="old")
    assert (list(copy.set("s")), list(copy.sequence("q")), copy.register("short").value) == (["long"], ["long"], None)
    assert sorted(old.set("s")) == ["long", "short"]
    time.passes(49)
    assert list(copy.set("s")) == list(copy.sequence("q")) == ["long"]
    time.passes(2)
    assert list(copy.set("s")) == list(copy.sequence("q")) == []
    assert list(old.set("s")) == ["short"]  # nothing is left of its time, so it has none
