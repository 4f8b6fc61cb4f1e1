"""A reader beside the owner of a file: after `refresh` it is what one would be that opens the file now."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtmem import Memory, Replica, SqliteStore
from crdtmem.feed import Feed
from tests.crew import SCOPE, alone, tick
from tests.test_forks import twins
from tests.test_handover import busy, handed

STEPS = st.lists(
    st.sampled_from(
        ["put", "add", "text", "move", "count", "retract", "foreign", "checkpoint", "prune", "look", "cut"]
    ),
    max_size=25,
)


def reading(path: Path) -> Memory:
    return Replica("eve", store=SqliteStore(path, readonly=True), time=tick).open(SCOPE)


def same(reader: Memory, path: Path) -> None:
    """As one that opens the file now, the audit too; asked twice, nothing more comes."""
    fresh = reading(path)
    assert (reader.version, reader.digest()) == (fresh.version, fresh.digest())
    assert [*reader.audit(limit=1000)] == [*fresh.audit(limit=1000)]
    assert reader.fields() == fresh.fields()
    assert not reader.refresh()


def step(name: str, memory: Memory, nth: int, bob: Memory) -> None:
    if name == "put":
        memory.records("k").put(f"key {nth % 3}", nth, why=f"step {nth}")
    elif name == "add":
        memory.set("s").add(nth % 4, because=memory.set("s").entries()[:1])
    elif name == "text":
        memory.text("t").insert(nth % (len(memory.text("t")) + 1), f"{nth}é")
    elif name == "move" and len(memory.sequence("q")) > 1:
        memory.sequence("q").move(0, 1)
    elif name in ("move", "count"):
        memory.counter("n").add(nth)
        memory.sequence("q").append(nth)
    elif name == "retract" and memory.set("s").entries():
        memory.retract(memory.set("s").entries()[0], why="wrong")
    elif name == "foreign":
        bob.register("r").assign(nth)
        memory.receive(bob.changes())
    elif name == "checkpoint":
        memory.checkpoint()
    elif name == "prune":
        memory.prune(keep=2)


@settings(max_examples=40)
@example(["put", "add", "look", "add", "prune", "put", "look", "text", "foreign"])
@given(STEPS)
def test_a_reader_that_refreshes_is_one_that_opens_anew(steps: list[str]) -> None:
    with TemporaryDirectory() as folder, Replica("ann", store=Path(folder, "a.db"), time=tick) as owner:
        memory, bob = owner.open(SCOPE), alone("bob")
        memory.set("s").add("first")
        reader = reading(Path(folder, "a.db"))
        for nth, name in enumerate(steps):
            step(name, memory, nth, bob)
            if name == "look":
                reader.refresh()
                assert reader.digest() == memory.digest()
        reader.refresh()
        assert reader.digest() == memory.digest()
        same(reader, Path(folder, "a.db"))


def test_it_says_whether_anything_came(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "a.db", time=tick) as owner:
        memory = owner.open(SCOPE)
        memory.counter("n").add(1)
        reader = reading(tmp_path / "a.db")
        assert (reader.refresh(), memory.refresh()) == (False, False)
        for _ in range(3):
            memory.counter("n").add(1)
        with memory.change(why="two at once"):
            memory.counter("n").add(1)
            memory.set("s").add("x")
        counter = reader.counter("n")
        assert counter.value == 1 and reader.refresh() and counter.value == 5


def test_what_is_read_on_is_not_read_again(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "a.db", time=tick) as owner:
        memory = owner.open(SCOPE)
        memory.text("t").append("x")
        reader = reading(tmp_path / "a.db")
        state = reader._document.state
        for nth in range(20):
            memory.text("t").append(f"{nth}")
            assert reader.refresh()
        assert reader._document.state is state


def test_a_session_that_turns_out_forked_goes_from_the_reader_too(tmp_path: Path) -> None:
    one, two = twins()
    one.set("s").add("one")
    two.set("s").add("two")
    with Replica("bob", store=tmp_path / "bob.db") as replica:
        bob = replica.open(SCOPE)
        bob.receive(one.changes())
        reader = reading(tmp_path / "bob.db")
        assert "one" in reader.set("s")
        bob.receive(two.changes())
        assert reader.refresh()
        assert "one" not in reader.set("s")
        same(reader, tmp_path / "bob.db")


@pytest.mark.parametrize("before", ["nothing", "something"])
@pytest.mark.parametrize("after", ["nothing", "something"])
def test_an_owner_that_takes_a_checkpoint_from_a_peer_is_followed(before: str, after: str, tmp_path: Path) -> None:
    ann: Any = busy()
    with Replica("bob", store=tmp_path / "bob.db", time=tick) as replica:
        bob = replica.open(SCOPE)
        if before == "something":
            bob.set("s").add("bob was here")
        reader = reading(tmp_path / "bob.db")
        Feed(bob).take_over(handed(ann))
        if after == "something":
            bob.set("s").add("and is")
        reader.refresh()
        assert reader.digest() == bob.digest()
        same(reader, tmp_path / "bob.db")
