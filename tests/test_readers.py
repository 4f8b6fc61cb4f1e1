"""Readers in other threads: whatever moment they are given, they find what was before a change or what is after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import crdtmem.fields.keyed
import crdtmem.fields.ordered
from crdtmem import Memory
from tests.crew import alone, tell

WITHOUT_LOCK = crdtmem.fields.keyed.__file__


def watched(memory: Memory, read: Callable[[], Any], act: Callable[[], object]) -> list[Any]:
    """All that is read between two lines of the code that applies, while something happens."""
    found: list[Any] = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename != WITHOUT_LOCK:
            return None
        sys.settrace(before_all)
        found.append(read())
        sys.settrace(trace)
        return trace

    before_all = sys.gettrace()  # maybe that of who measures coverage
    before = read()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before_all)
    after = read()
    assert len(found) > 5 and all(seen in (before, after) for seen in found), found
    assert before != after
    return found


def both(write: Callable[[Memory], object], read: Callable[[Memory], Any], begin: Callable[[Memory], object]) -> None:
    """As the writer's own, and as one that is received."""
    ann, bob = alone("ann"), alone("bob")
    begin(ann)
    tell(ann, bob)
    watched(ann, lambda: read(ann), lambda: write(ann))
    watched(bob, lambda: read(bob), lambda: tell(ann, bob))


def test_a_register_is_never_empty_while_a_value_takes_the_place_of_another() -> None:
    both(
        lambda m: m.register("r").assign("new"),
        lambda m: [entry.value for entry in m.register("r").siblings],
        lambda m: m.register("r").assign("old"),
    )


def test_a_key_is_always_there_while_it_is_put_again() -> None:
    both(
        lambda m: m.records("k").put("a", "new"),
        lambda m: (m.records("k").get("a"), len(m.records("k"))),
        lambda m: m.records("k").put("a", "old"),
    )


def test_siblings_are_settled_in_one_step() -> None:
    ann, bob, cid = alone("ann"), alone("bob"), alone("cid")
    for memory in (ann, bob, cid):
        memory.register("r").assign(memory.agent)
    for memory in (bob, cid):
        tell(memory, ann)
    siblings = lambda: sorted(entry.value for entry in ann.register("r").siblings)  # noqa: E731
    watched(ann, siblings, lambda: ann.register("r").assign("x"))
    assert len(ann.register("r").siblings) == 1


def test_a_counter_shows_no_sum_that_never_was() -> None:
    both(lambda m: m.counter("n").add(5), lambda m: m.counter("n").value, lambda m: m.counter("n").add(100))


def test_a_member_of_a_set_stays_while_it_is_added_again() -> None:
    ann = alone("ann")
    ann.set("s").add("x", why="first")
    watched(
        ann,
        lambda: [entry.why for entry in ann.set("s").entries()],
        lambda: ann.set("s").add("x", why="again"),
    )


@pytest.mark.parametrize("kind", ["sequence", "text"])
def test_what_has_an_order_is_read_under_the_lock(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units, their owners and what was joined of them change one after the other."""
    ann = alone("ann")
    field = getattr(ann, kind)("f")
    field.append("a")
    lock: Any = ann._document.lock
    held: list[bool] = []
    real: dict[str, Any] = {
        "text": crdtmem.fields.ordered.Ordered.text.fget,
        "entries": crdtmem.fields.ordered.Ordered.entries,
    }

    def noted(name: str) -> Callable[[Any], Any]:
        def read(self: Any) -> Any:
            held.append(lock._is_owned())
            return real[name](self)

        return read

    monkeypatch.setattr(crdtmem.fields.ordered.Ordered, "text", property(noted("text")))
    monkeypatch.setattr(crdtmem.fields.ordered.Ordered, "entries", noted("entries"))
    assert (str(field), len(field), "a" in field) if kind == "text" else (list(field), len(field), field[0])
    assert field.entries()
    assert held and all(held)
