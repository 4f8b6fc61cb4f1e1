"""Ctrl-C in the middle of a write or of receiving: it is all there or not at all, and the memory goes on.

Python looks for signals where a call begins or has returned. So the interrupt comes there, at each such place in turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import pytest

import crdtmem
from crdtmem import Identity, Memory, MemoryStore
from tests.crew import alone

HOME = crdtmem.__path__[0]
LEAST = 40  # places that the shortest of them has
SPARED = {
    ("__enter__", "return"),  # nothing comes between it and the block
    ("__exit__", "call"),  # here a block that is left stays open: nothing in Python can prevent that
}


def put(memory: Memory) -> None:
    memory.records("r").put("k", "new")


def add(memory: Memory) -> None:
    memory.counter("n").add(2)


def edit(memory: Memory) -> None:
    memory.text("t").insert(1, "new")


def cite(memory: Memory) -> None:
    memory.set("s").add("new", because=[memory.records("r").siblings("k")[0]], ttl=10**9)


def block(memory: Memory) -> None:
    with memory.change(why="together"):
        put(memory)
        edit(memory)
        memory.sequence("l").move(0, 1)


def begun(store: MemoryStore) -> Memory:
    memory = alone("ann", store=store, identity=Identity(bytes(32)))
    memory.records("r").put("k", "old")
    memory.records("r").put("k", "older")
    memory.counter("n").add(1)
    memory.sequence("l").extend([1, 2])
    memory.text("t").append("abc")
    return memory


def broken_off(work: Callable[[], object], at: int) -> bool:
    """Do it and be interrupted at one place; whether it had so many."""
    places = count()

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if (code.co_name, event) in SPARED or code.co_name == "<genexpr>" or not code.co_filename.startswith(HOME):
            return
        if event in ("call", "return", "c_return") and next(places) == at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def goes_on(memory: Memory, store: MemoryStore) -> None:
    """Another replica, and the same one opened again, agree with it."""
    memory.register("after").assign("done")
    memory.records("r").put("k", "after")
    other = alone("bob")
    assert other.receive(memory.changes()).waiting == 0
    assert (other.digest(), other.version) == (memory.digest(), memory.version)
    again = alone("ann", store=store, identity=Identity(bytes(32)))
    assert (again.digest(), again.version) == (memory.digest(), memory.version)


@pytest.mark.parametrize("write", [put, add, edit, cite, block])
def test_a_write_that_is_interrupted_is_made_or_not_and_others_follow(write: Callable[[Memory], None]) -> None:
    wrote: set[bool] = set()
    for at in count():
        store = MemoryStore()
        memory = begun(store)
        before = memory.digest()
        if not broken_off(lambda memory=memory: write(memory), at):
            break
        made = begun(MemoryStore())
        write(made)
        assert memory.digest() == before or shown(memory) == shown(made)
        wrote.add(memory.digest() != before)
        goes_on(memory, store)
    assert at > LEAST
    assert wrote == {False, True}


def test_receiving_that_is_interrupted_goes_on() -> None:
    giver = begun(MemoryStore())
    records = giver.changes()
    for at in count(0, 3):
        store = MemoryStore()
        memory = alone("ann", store=store, identity=Identity(bytes(32)))
        if not broken_off(lambda memory=memory: memory.receive(records), at):
            break
        memory.set("s").add("mine")
        assert memory.receive(records).waiting == 0
        assert memory.reached(giver.version)
        goes_on(memory, store)
    assert at > LEAST


def shown(memory: Memory) -> Any:
    """What it reads."""
    fields = (memory.records("r"), memory.sequence("l"), memory.set("s"))
    return [*map(list, fields), memory.records("r").get("k"), memory.counter("n").value, str(memory.text("t"))]
