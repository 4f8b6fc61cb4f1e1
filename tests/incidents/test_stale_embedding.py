"""The stale embedding: the office moved to Porto, and who searches for Portugal does not find it. France finds it.

The text of a note is updated in one table; its vector, in another, was made when the note was added. No error says that
the two no longer belong together.
"""

from collections.abc import Sequence
from math import hypot

from tests.crew import crew, exchange

OLD, NEW, OTHER = "The office is in Lyon.", "The office moved to Porto.", "The plant is in Lyon."


def embed(texts: Sequence[str]) -> list[list[float]]:
    """Stands for a real model: one dimension for each country, and a little that all texts have in common."""
    countries = {"Lyon", "France"}, {"Porto", "Portugal"}
    return [[*(float(any(word in text for word in country)) for country in countries), 0.1] for text in texts]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True)) / (hypot(*one) * hypot(*other))


class NaiveIndex:
    """Notes, and beside them a vector for each."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self._vectors: dict[str, list[float]] = {}

    def add(self, name: str, text: str) -> None:
        self.notes[name] = text
        [self._vectors[name]] = embed([text])

    def update(self, name: str, text: str) -> None:
        self.notes[name] = text

    def search(self, query: str) -> list[str]:
        [wanted] = embed([query])
        return [self.notes[name] for name, vector in self._vectors.items() if likeness(wanted, vector) > 0.5]


def test_a_vector_that_does_not_follow_its_text_finds_the_wrong_note() -> None:
    index = NaiveIndex()
    index.add("office", OLD)
    index.add("plant", OTHER)
    index.update("office", NEW)
    assert index.search("Portugal") == []
    assert NEW in index.search("France")


def test_a_vector_belongs_to_the_very_text_it_was_made_of() -> None:
    clerk, reader = crew("clerk", "reader")
    clerk.records("notes").update({"office": OLD, "plant": OTHER})
    exchange(clerk, reader)
    assert {hit.value for hit in reader.search("France", limit=2, embed=embed)} == {OLD, OTHER}

    clerk.records("notes").put("office", NEW, why="the lease ended")
    exchange(clerk, reader)
    assert reader.search("Portugal", embed=embed)[0].value == NEW
    assert reader.search("France", embed=embed)[0].value == OTHER
    assert OLD not in [hit.value for hit in reader.search("France", embed=embed)]
