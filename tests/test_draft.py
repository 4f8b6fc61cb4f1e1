"""Open change() blocks: they hold no lock, read their own writes, and are one change or nothing."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Memory, MisuseError, Records, Register, Set, ValueRefused
from crdtmem.fields.units import Units
from tests.crew import Time, alone, crew, exchange, tell


def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` gives in another thread; it must come to its end while we wait."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(20)
    assert results, "it is held up"
    return results[0]


def test_a_block_is_one_change_with_one_reason() -> None:
    ann, reader = crew("ann", "reader")
    with ann.change(why="merge the two lists", tags=["cleanup"]) as memory:
        assert memory is ann
        entries = [ann.set("a").add(1), ann.register("r").assign(2, why="own"), ann.text("t").append("x")]
        assert len(ann.changes()) == 0
    assert len(ann.changes()) == 1
    assert [entry.why for entry in entries] == ["merge the two lists", "own", "merge the two lists"]
    assert len({(entry.id.session, entry.id.seq) for entry in entries}) == 1
    assert len({entry.id for entry in entries}) == 3
    tell(ann, reader)
    assert reader.register("r").siblings[0].why == "own"
    assert reader.text("t").entries()[0].why == "merge the two lists"
    assert reader.register("r").siblings[0].tags == ("cleanup",)


def test_a_block_that_says_nothing_writes_nothing() -> None:
    ann = alone()
    ann.set("s").add("x")
    ann.sequence("l").append("x")
    with ann.change(why="only looking"):
        assert "x" in ann.set("s")
        assert ann.set("s").discard("y") is False
        ann.set("s").add("z")
        ann.set("s").discard("z")
        ann.sequence("l").append("y")
        ann.sequence("l").remove(1)
        ann.text("t").append("abc")
        ann.text("t").delete(0)
    assert len(ann.changes()) == 2


def test_an_exception_discards_all_of_it() -> None:
    ann = alone()
    ann.sequence("l").append("kept")
    before = ann.digest(), ann.version
    with pytest.raises(ZeroDivisionError), ann.change():
        staged = ann.set("s").add("x")
        ann.sequence("l").remove(0)
        _ = 1 / 0
    assert (ann.digest(), ann.version) == before
    assert (list(ann.set("s")), list(ann.sequence("l"))) == ([], ["kept"])
    with pytest.raises(MisuseError, match="has no id yet"):
        _ = staged.id
    ann.set("s").add("after")
    assert list(ann.set("s")) == ["after"]


def test_a_block_reads_its_own_writes_whatever_the_field() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").update(["old", "gone"])
    ann.records("d").put("k", {"a": 1})
    ann.sequence("l").extend(["a", "b"])
    ann.text("t").append("Hello")
    with ann.change():
        ann.set("s").add("new")
        ann.set("s").discard("gone")
        assert (sorted(ann.set("s")), len(ann.set("s")), "gone" in ann.set("s")) == (["new", "old"], 2, False)
        ann.set("s").discard("new")
        assert list(ann.set("s")) == ["old"]
        ann.counter("n").add(2)
        assert ann.counter("n").value == 2
        ann.register("r").assign("first")
        ann.register("r").assign("second")
        assert (ann.register("r").value, len(ann.register("r").siblings)) == ("second", 1)
        ann.register("r").clear()
        assert ann.register("r").value is None
        ann.records("d").merge("k", {"b": 2})
        ann.records("d").put("l", 1)
        ann.records("d").delete("l")
        assert dict(ann.records("d")) == {"k": {"a": 1, "b": 2}}
        ann.sequence("l").insert(1, "between")
        ann.sequence("l").move(0, -1)
        assert (list(ann.sequence("l")), len(ann.sequence("l"))) == (["between", "b", "a"], 3)
        ann.text("t").insert(5, ", world")
        ann.text("t").replace("Hello", "Bye")
        assert (str(ann.text("t")), len(ann.text("t"))) == ("Bye, world", 10)
        assert [entry.value for entry in ann.text("t").entries()] == ["Bye", ", world"]
        assert (sorted(bob.set("s")), in_thread(lambda: sorted(ann.set("s")))) == ([], ["gone", "old"])
    exchange(ann, bob)
    assert (list(bob.set("s")), bob.counter("n").value, bob.register("r").value) == (["old"], 2, None)
    assert (dict(bob.records("d")), list(bob.sequence("l"))) == ({"k": {"a": 1, "b": 2}}, ["between", "b", "a"])
    assert str(bob.text("t")) == "Bye, world"


def test_entries_of_a_block_may_cite_each_other_and_have_final_ids_after() -> None:
    ann, reader = crew("ann", "reader")
    outside = ann.set("facts").add("outside")
    with ann.change():
        inside = ann.set("facts").add("inside")
        citing = [
            ann.register("r").assign("x", because=[inside, outside]),
            ann.sequence("l").append("y", because=inside),
            ann.text("t").append("z", because=[outside.id, inside]),
            ann.records("d").merge("k", {"a": 1}, because=[inside]),
            ann.counter("n").add(1, because=[inside]),
        ]
        with pytest.raises(MisuseError, match="an entry of an open change"):
            _ = inside.id
        with pytest.raises(MisuseError, match="an entry of an open change"):
            _ = citing[0].because
    assert [entry.because for entry in citing] == [
        (inside.id, outside.id),
        (inside.id,),
        (outside.id, inside.id),
        (inside.id,),
        (inside.id,),
    ]
    tell(ann, reader)
    assert reader.register("r").siblings[0].because == (inside.id, outside.id)
    assert reader.text("t").entries()[0].because == (outside.id, inside.id)
    assert reader.set("facts").entries() == [outside, inside]


def test_a_block_itself_may_cite_what_was_written_before() -> None:
    ann, reader = crew("ann", "reader")
    cause = ann.set("facts").add("cause")
    with ann.change(because=[cause]):
        effect = ann.sequence("l").append("effect")
        own = ann.sequence("l").append("own", because=[cause, effect])
    tell(ann, reader)
    for memory in (ann, reader):
        assert [entry.because for entry in memory.sequence("l").entries()] == [(cause.id,), (cause.id, effect.id)]
    assert own.because == (cause.id, effect.id)


def test_citing_an_entry_that_was_never_written_discards_the_block() -> None:
    ann = alone()
    with pytest.raises(ZeroDivisionError), ann.change():
        lost = ann.set("s").add("lost")
        _ = 1 / 0
    for write in (lambda: ann.set("s").add("x", because=lost), lambda: ann.text("t").append("x", because=lost)):
        with pytest.raises(MisuseError):
            write()
    with pytest.raises(MisuseError), ann.change():
        staged = ann.set("s").add("y", why="y", because=lost)
    with pytest.raises(MisuseError):
        _ = staged.id
    assert not ann.set("s")
    assert ann.changes() == []


def test_blocks_do_not_nest_and_are_used_once() -> None:
    ann = alone()
    with ann.change():
        with pytest.raises(
            MisuseError, match=r"a change\(\) of this memory is open here already; put the writes in it"
        ):
            ann.change().__enter__()
        ann.set("s").add("x")
    block = ann.change()
    with block:
        pass
    with pytest.raises(MisuseError, match=r"a change\(\) is used once; call memory.change\(\) again"):
        block.__enter__()
    with pytest.raises(TypeError, match="unknown keyword 'reason'"):
        ann.change(reason="x")  # type: ignore[call-arg]


def test_blocks_of_two_memories_may_be_open_at_once() -> None:
    ann, bob = crew("ann", "bob")
    with ann.change(), bob.change():
        ann.set("s").add("ann's")
        bob.set("s").add("bob's")
        assert (list(ann.set("s")), list(bob.set("s"))) == (["ann's"], ["bob's"])
    assert len(ann.changes()) == len(bob.changes()) == 1


def test_for_thirty_seconds_a_block_is_open_while_others_write_and_receive() -> None:
    time = Time()
    ann, bob = crew("ann", "bob", time=time)
    ann.set("s").update(["a", "b"])
    ann.records("d").put("k", {"state": "open"})
    ann.sequence("l").extend(["a", "b", "c"])
    ann.text("t").append("one two three")
    tell(ann, bob)
    with ann.change(why="a long thought"):
        ann.set("s").discard("a")
        ann.counter("n").add(100)
        ann.register("r").assign("ann's")
        ann.records("d").merge("k", {"by": "ann"})
        ann.sequence("l").insert(1, "ann's")
        ann.sequence("l").remove(3)
        ann.text("t").replace("two", "2")
        for second in range(30):
            time.passes(1)
            if second == 9:
                in_thread(lambda: (ann.set("s").add("a"), ann.counter("n").add(1), ann.register("r").assign("other")))
                in_thread(lambda: (ann.sequence("l").insert(0, "other"), ann.text("t").insert(0, "zero ")))
            if second == 19:
                bob.set("s").discard("b")
                bob.records("d").merge("k", {"state": "closed"})
                bob.sequence("l").move(2, 0)
                bob.text("t").append(" four")
                assert in_thread(lambda: tell(bob, ann)).applied == 4
            in_thread(lambda: (ann.digest(), ann.changes(), list(ann.set("s"))))
        assert (list(ann.sequence("l")), str(ann.text("t"))) == (["a", "ann's", "b"], "one 2 three")
    exchange(ann, bob)
    for memory in (ann, bob):
        assert list(memory.set("s")) == ["a"]  # the removal had not seen the second add
        assert memory.counter("n").value == 101
        assert [entry.value for entry in memory.register("r").siblings] == ["other", "ann's"]
        assert dict(memory.records("d")) == {"k": {"state": "closed", "by": "ann"}}
        assert sorted(list(memory.sequence("l"))[:2]) == ["c", "other"]  # nor had the removal seen the move
        assert list(memory.sequence("l"))[2:] == ["a", "ann's", "b"]
        assert str(memory.text("t")) == "zero one 2 three four"
    [entry] = ann.records("d").entries(by="ann", text="by")
    assert (entry.why, entry.at.timestamp()) == ("a long thought", time.now)


def test_what_a_block_wrote_stands_beside_what_it_had_not_seen() -> None:
    ann, bob = crew("ann", "bob")
    with ann.change():
        ann.register("r").assign("ann's")
        bob.register("r").assign("bob's")
        in_thread(lambda: tell(bob, ann))
        assert ann.register("r").value == "ann's"
    assert sorted(entry.value for entry in ann.register("r").siblings) == ["ann's", "bob's"]


def test_two_threads_each_have_a_block_of_their_own() -> None:
    ann = alone()
    both_open = threading.Barrier(2)

    def work(name: str) -> list[Any]:
        with ann.change(why=name):
            ann.set("s").add(name)
            both_open.wait(20)
            ann.sequence("l").extend([name, name])
            seen = [*ann.set("s"), *ann.sequence("l")]
            both_open.wait(20)
        return seen

    results: dict[str, list[Any]] = {}
    threads = [threading.Thread(target=lambda name=name: results.update({name: work(name)})) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {"a": ["a"] * 3, "b": ["b"] * 3}
    assert sorted(ann.set("s")) == ["a", "b"]
    assert sorted([list(ann.sequence("l"))[:2], list(ann.sequence("l"))[2:]]) == [["a", "a"], ["b", "b"]]
    assert len(ann.changes()) == 2


def test_two_tasks_each_have_a_block_of_their_own() -> None:
    ann = alone()

    async def work(name: str, both: asyncio.Barrier) -> list[Any]:
        with ann.change(why=name):
            ann.set("s").add(name)
            await both.wait()
            ann.text("t").append(name)
            seen = [*ann.set("s"), str(ann.text("t"))]
            await both.wait()
        return seen

    async def main() -> list[list[Any]]:
        both = asyncio.Barrier(2)
        return await asyncio.wait_for(asyncio.gather(work("a", both), work("b", both)), 20)

    assert asyncio.run(main()) == [["a", "a"], ["b", "b"]]
    assert sorted(str(ann.text("t"))) == ["a", "b"]
    assert len(ann.changes()) == 2


def test_tasks_and_threads_started_inside_a_block_write_into_it_while_it_is_open() -> None:
    ann = alone()

    async def main() -> None:
        go_on = asyncio.Event()

        async def late() -> None:
            await go_on.wait()
            ann.set("s").add("late")

        with ann.change():
            await asyncio.gather(*(asyncio.to_thread(ann.counter("n").add, 1) for _ in range(8)))
            await asyncio.create_task(asyncio.to_thread(ann.set("s").add, "in time"))
            later = asyncio.create_task(late())
            assert ann.counter("n").value == 8
            assert ann.changes() == []
        assert len(ann.changes()) == 1
        go_on.set()
        await later

    asyncio.run(main())
    assert sorted(ann.set("s")) == ["in time", "late"]
    assert len(ann.changes()) == 2


def test_another_author_of_the_same_memory_writes_outside_the_block() -> None:
    ann = alone()
    with ann.change():
        ann.set("s").add("staged")
        ann.acting_as("bob").set("s").add("bob's")
        assert list(ann.acting_as("bob").set("s")) == ["bob's"]
    assert len(ann.changes()) == 2


def test_handles_opened_before_the_block_see_into_it() -> None:
    ann = alone()
    s: Set[Any] = ann.set("s")
    r: Register[Any] = ann.register("r", resolve="escalate")
    d: Records[Any] = ann.records("d", resolve="confident")
    with ann.change():
        s.add("x")
        r.assign(1)
        d["k"] = 2
        assert (list(s), r.value, d["k"]) == (["x"], 1, 2)


def test_a_block_too_large_for_one_change_does_nothing() -> None:
    ann = alone()
    limits: list[tuple[str, Callable[[], Any]]] = [
        ("257 fields, more than the 256", lambda: [ann.set(f"s{i}").add(1) for i in range(257)]),
        ("more than the 8192 entries", lambda: ann.set("s").update(range(8193))),
        ("more than 1048576", lambda: ann.sequence("l").extend(["x" * 200_000] * 6)),
    ]
    for message, write in limits:
        with pytest.raises(ValueRefused, match=message), ann.change():
            write()
        assert ann.changes() == []
    ann.set("s").add("fits")
    assert ann.fields() == {"s": "set"}


edits = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 9), st.text("abc\U0001f600", min_size=1, max_size=3)),
    st.tuples(st.just("delete"), st.integers(0, 9), st.integers(0, 9)),
)


def edit(memory: Memory, what: str, at: int, how: Any) -> None:
    text = memory.text("t")
    size = len(text)
    if what == "insert":
        text.insert(min(at, size), how)
    else:
        text.delete(*sorted((min(at, size), min(how, size))))


def searched(*given: object) -> None:
    raise AssertionError("who edits knows where, and nothing has to be looked for")


@pytest.mark.parametrize("name", ["text", "sequence"])
def test_our_own_edits_are_not_searched_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an edit is, its draft knows: in a long document it costs no search."""
    memory = alone("ann")
    field: Any = getattr(memory, name)("long")
    for start in range(0, 100, 10):
        field.append("abcdefghij") if name == "text" else field.extend(range(start, start + 10))
    monkeypatch.setattr(Units, "find", searched)
    for at in (50, 7, 70, 30):
        field.insert(at, "x")
        field.delete(at + 20, at + 23) if name == "text" else field.remove(at - 5)
    assert len(field) == (92 if name == "text" else 100)


@given(st.text("xyz\U0001f600", max_size=6), st.lists(edits, max_size=4), st.lists(edits, max_size=4))
def test_a_block_commits_as_if_it_had_been_made_elsewhere(start: str, mine: list[Any], theirs: list[Any]) -> None:
    """What others write while it is open moves nothing: the result is that of two replicas that merge."""
    ann, bob, reader = crew("ann", "bob", "reader")
    if start:
        ann.text("t").append(start)
    tell(ann, bob)
    with ann.change():
        for step in mine:
            edit(ann, *step)
        staged = str(ann.text("t"))
        for step in theirs:
            edit(bob, *step)
        in_thread(lambda: tell(bob, ann))
        assert str(ann.text("t")) == staged or not mine
    tell(ann, reader)
    exchange(ann, bob, reader)
    assert str(ann.text("t")) == str(bob.text("t")) == str(reader.text("t"))
    for char in set(staged + str(bob.text("t"))):
        assert str(ann.text("t")).count(char) <= staged.count(char) + "".join(
            how for what, _, how in theirs if what == "insert"
        ).count(char)
