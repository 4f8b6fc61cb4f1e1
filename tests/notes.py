"""Stories of a team that takes notes in all types of fields, for the tests of reading."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from crdtmem import Memory
from tests.crew import crew, exchange

WORDS = ["churn", "wall", "berlin", "profit", "42", "数据", "münchen", "🦄", "हिन्दी"]  # no English endings
AUTHORS = ["ann", "bob"]
FIELDS = ["facts", "status", "orders", "plan", "draft"]


@st.composite
def writes(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    one = st.tuples(
        st.sampled_from(AUTHORS),
        st.sampled_from([*FIELDS, "remove", "retract", "exchange"]),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
        st.sampled_from(["", *WORDS[:3]]),
        st.sampled_from([None, 0.2, 0.9]),
        st.sampled_from(["user", "tool"]),
        st.integers(0, 9),
    )
    return draw(st.lists(one, max_size=14))


def make(memory: Memory, field: str, text: str, tag: str, sure: float | None, source: str, nth: int) -> None:
    told: dict[str, Any] = {"tags": [tag] if tag else [], "confidence": sure, "source": source}
    if field == "facts":
        memory.set(field).add(text, **told)
    elif field == "status":
        memory.register(field).assign({"now": text}, **told)
    elif field == "orders":
        memory.records(field).put(f"k{nth}", [text, nth], **told)
    elif field == "plan":
        memory.sequence(field).insert(nth, text, **told)
    elif field == "draft":
        memory.text(field).insert(min(nth, len(memory.text(field))), f"\n{text}\n", **told)
    elif field == "remove":
        memory.set("facts").discard(text)
        memory.records("orders").delete(f"k{nth}")
        if memory.sequence("plan"):
            memory.sequence("plan").move(0, nth % len(memory.sequence("plan")))
            memory.sequence("plan").remove(0)
        memory.text("draft").delete(0, min(nth, len(memory.text("draft"))))
    elif field == "retract":
        for entry in memory.set("facts").entries()[:1]:
            memory.retract(entry, why="wrong")


def play(story: list[tuple[Any, ...]], look: Callable[[Memory], object]) -> list[Memory]:
    memories = crew(*AUTHORS)
    for who, field, *rest in story:
        memory = memories[AUTHORS.index(who)]
        if field == "exchange":
            exchange(*memories)
        else:
            make(memory, field, *rest)
        look(memory)
    exchange(*memories)
    return memories
