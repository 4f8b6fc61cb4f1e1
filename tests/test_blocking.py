"""Blocking: who is near whom is a function of the statements, whatever came and went before."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem.coherence.blocking import COMMON, Neighbours, terms
from crdtmem.coherence.meaning import signatures
from crdtmem.coherence.offline import read

WORDS = [
    "port",
    "gate",
    "house",
    "built",
    "in",
    "1985",
    "1990",
    "Ann",
    "Bob",
    "open",
    "closed",
    "red",
    "blue",
    "roof",
    "door",
    "wall",
    "of",
    "the",
]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def slow(texts: Iterable[str], cap: int) -> set[tuple[str, str]]:
    """What rules 1 and 2 say, worked out from nothing for each pair."""
    made = {text: terms(read(text)) for text in set(texts)}
    count = {term: sum(term in some for some in made.values()) for some in made.values() for term in some}
    steps = {1: 32, 4: 16, 16: 8, 64: 4}
    weight = {t: next((steps[s] for s in (64, 16, 4, 1) if n >= s), 0) if n <= COMMON else 0 for t, n in count.items()}

    def dot(one: str, other: str) -> int:
        shared = made[one].keys() & made[other].keys()
        return sum(made[one][t] * made[other][t] * weight[t] ** 2 for t in shared)

    found = set()
    for one in made:
        others = [o for o in made if o != one and any(weight[t] for t in made[one].keys() & made[o].keys())]
        ranked = [(-(dot(one, o) ** 2 / (dot(one, one) * dot(o, o))), o) for o in others]
        found |= {(min(one, other), max(one, other)) for _, other in sorted(ranked)[:cap]}
    return found


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), SENTENCES), max_size=40), st.integers(1, 4))
def test_whatever_came_and_went_the_pairs_are_those_of_what_is_there(steps: list[tuple[bool, str]], cap: int) -> None:
    near, here = Neighbours(cap), set[str]()
    for come, text in steps:
        if come and text not in here:
            near.update({text: read(text)}, ())
            here.add(text)
        elif not come and text in here:
            near.update({}, [text])
            here.discard(text)
    assert set(near.asked) == slow(here, cap)


@settings(max_examples=20)
@given(st.lists(SENTENCES, unique=True, min_size=20, max_size=40), st.data())
def test_batches_and_single_steps_come_to_the_same(texts: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(texts)))
    together = Neighbours(3)
    together.update({text: read(text) for text in texts}, ())
    together.update({}, gone)
    single = Neighbours(3)
    for text in data.draw(st.permutations([t for t in texts if t not in gone])):
        single.update({text: read(text)}, ())
    assert together.asked == single.asked
    assert {t: together.of(t) for t in single.asked} == {t: single.of(t) for t in single.asked}


def test_a_term_that_everybody_has_brings_nobody_together() -> None:
    near = Neighbours(5)
    near.update({text: read(text) for text in (f"acme n{n}x" for n in range(COMMON + 1))}, ())
    assert not near.asked
    near.update({}, ["acme n0x"])
    assert near.asked


def test_no_statement_names_more_than_its_cap() -> None:
    near = Neighbours(4)
    near.update({text: read(text) for text in (f"port {n} of the gate" for n in range(50))}, ())
    assert all(len(near.of(text)) <= 4 for pair in near.asked for text in pair)
    assert len(near.asked) <= 50 * 4


def test_vectors_bring_together_what_shares_no_word() -> None:
    meaning = {
        "The cat sleeps.": [1.0, 0.1, 0.0],
        "A feline is dozing.": [1.0, 0.12, 0.0],
        "Oil is dear.": [-0.2, 1, 1],
    }
    hints = signatures([*meaning], lambda texts: [meaning[text] for text in texts])
    near = Neighbours(1)
    near.update({text: read(text) for text in meaning}, (), hints)
    assert ("A feline is dozing.", "The cat sleeps.") in near.asked
