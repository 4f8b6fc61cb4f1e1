"""Drawn histories: some memories of one namespace write to fields of every kind, and tell each other now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from crdtmem import Memory
from crdtmem.change import Change, decode
from tests.crew import tell
from tests.drawn import exact

PIECES = ("ab", "é", "\U0001f600x", "z", "x\U0001f600\U0001f600")
MEMBERS = (1, True, "x", [1], {"a": 1})

Act = Callable[[Memory, int, int], object]


def _moved(memory: Memory, n: int, to: int) -> None:
    size = len(memory.sequence("q"))
    if size > 1:
        memory.sequence("q").move(n % size, to % size)


def _removed(memory: Memory, n: int, _: int) -> None:
    if len(memory.sequence("q")):
        memory.sequence("q").remove(n % len(memory.sequence("q")))


def _deleted(memory: Memory, n: int, to: int) -> None:
    size = len(memory.text("t"))
    memory.text("t").delete(*sorted((n % (size + 1), to % (size + 1))))


def _together(memory: Memory, n: int, to: int) -> None:
    with memory.change(why="together"):
        for act in ("add", "append", "write", "clear", "count", "merge", "move"):
            ACTS[act](memory, n, to)


ACTS: dict[str, Act] = {
    "add": lambda m, n, _: m.set("s").add(MEMBERS[n % 5]),
    "discard": lambda m, n, _: m.set("s").discard(MEMBERS[n % 5]),
    "assign": lambda m, n, _: m.register("r").assign(n),
    "clear": lambda m, n, _: m.register("r").clear(),
    "put": lambda m, n, to: m.records("d").put("kl"[n % 2], {"v": to}),
    "merge": lambda m, n, to: m.records("d").merge("kl"[n % 2], {"vw"[to % 2]: n}),
    "delete": lambda m, n, _: m.records("d").pop("kl"[n % 2], None),
    "count": lambda m, n, to: m.counter("n").add(n - to),
    "append": lambda m, n, _: m.sequence("q").append(n),
    "insert": lambda m, n, to: m.sequence("q").insert(to % (len(m.sequence("q")) + 1), n),
    "remove": _removed,
    "move": _moved,
    "write": lambda m, n, to: m.text("t").insert(to % (len(m.text("t")) + 1), PIECES[n % 5]),
    "cut": _deleted,
    "together": _together,
}
TELL = "tell"

STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*ACTS, "insert", "move", "write", "write", TELL, TELL, TELL]),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    max_size=30,
)
Step = tuple[int, str, int, int]


def play(memories: Sequence[Memory], step: Step) -> Memory:
    """Do one step; gives the memory in which something happened."""
    who, what, n, to = step
    memory = memories[who % len(memories)]
    if what == TELL:
        listener = memories[(who + 1 + n % 2) % len(memories)]
        if listener is not memory:
            tell(memory, listener)
        return listener
    ACTS[what](memory, n, to)
    return memory


def content(memory: Memory) -> dict[str, Any]:
    """What a memory reads, without saying who wrote it."""
    found = {
        "s": sorted(map(repr, map(exact, memory.set("s")))),
        "n": memory.counter("n").value,
        "r": [exact(entry.value) for entry in memory.register("r").siblings][-1:],
        "d": exact(dict(memory.records("d"))),
        "q": exact(list(memory.sequence("q"))),
        "t": str(memory.text("t")),
    }
    return {name: value for name, value in found.items() if value}


def entries(memory: Memory) -> dict[str, Any]:
    """What a memory shows, with who wrote it and why."""
    found: dict[str, Any] = {"conflicts": [str(conflict) for conflict in memory.conflicts()]}
    for kind, name in (("set", "s"), ("register", "r"), ("records", "d"), ("sequence", "q"), ("text", "t")):
        shown = [(entry.id, exact(entry.value), entry.by, entry.why) for entry in getattr(memory, kind)(name).entries()]
        found[name] = shown if kind in ("sequence", "text") else sorted(shown, key=repr)
    found["n"] = sorted((entry.id, entry.value, entry.extra) for entry in memory.counter("n").entries())
    return found


def made(memory: Memory, since: Any) -> list[Change]:
    """The changes that came since a version."""
    return [decode(record) for record in memory.changes(since)]
