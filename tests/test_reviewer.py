"""The reviewer in the background: it waits its turn, files once, and what it files does not wake it."""

import threading

import pytest

from crdtmem import Batch, Memory
from crdtmem.coherence import Reviewer, findings
from crdtmem.taint import FINDINGS
from tests.crew import alone, crew, exchange


def disagree(memory: Memory) -> None:
    memory.set("facts").add("acme.ceo = R. Chen")
    memory.set("facts").add("acme.ceo = J. Smith")


def turn(reviewer: Reviewer) -> float:
    assert reviewer._turn is not None
    return reviewer._turn


def test_it_waits_for_quiet_and_each_change_puts_it_off() -> None:
    with Reviewer(alone(), quiet=2, spread=0) as reviewer:
        assert not reviewer.due(now=1000)  # nothing has changed
        reviewer.heard(now=10)
        assert not reviewer.due(now=11.9)
        reviewer.heard(now=11)
        assert not reviewer.due(now=12.5)
        assert reviewer.due(now=13)


def test_turns_differ_by_seed_are_the_same_for_one_and_lie_within_the_spread() -> None:
    memory = alone()
    turns = []
    for seed in ("ann", "bob", "eve", "ann"):
        with Reviewer(memory, seed=seed, quiet=1, spread=10) as reviewer:
            reviewer.heard(now=0)
            turns.append(turn(reviewer))
    assert turns[0] == turns[3]
    assert len(set(turns)) == 3
    assert all(1 <= one <= 11 for one in turns)


def test_who_comes_later_files_nothing_twice() -> None:
    ann, bob = crew("ann", "bob")
    disagree(ann)
    exchange(ann, bob)
    with Reviewer(ann) as first, Reviewer(bob) as second:
        first.run()
        exchange(ann, bob)
        before = bob.version
        assert second.run().coherent is False
        assert bob.version == before
    assert len(findings(bob)) == 1


def test_a_thread_of_its_own_reviews_after_a_change_and_not_after_what_it_filed() -> None:
    memory = alone()
    filed = threading.Event()
    fields: list[frozenset[str]] = []

    def saw(batch: Batch) -> None:
        fields.append(batch.fields)
        if FINDINGS in batch.fields:
            filed.set()

    with memory.changed(saw), Reviewer(memory, quiet=0, spread=0) as reviewer:
        assert reviewer.serve(every=0.01) is reviewer.serve()
        disagree(memory)
        assert filed.wait(30)
    reviewer.close()
    assert [one.tier for one in findings(memory)] == ["certain"]


def test_a_review_that_fails_is_logged_and_the_next_change_starts_another(caplog: pytest.LogCaptureFixture) -> None:
    memory = alone()
    failed, done = threading.Event(), threading.Event()

    def embed(texts: list[str]) -> list[list[float]]:
        if not failed.is_set():
            failed.set()
            raise OSError("the embedder is away")
        done.set()
        return [[1.0] for _ in texts]

    memory.set("notes").add("The house is red.")
    with Reviewer(memory, quiet=0, spread=0, embed=embed) as reviewer:
        reviewer.serve(every=0.01)
        assert failed.wait(30)
        memory.set("notes").add("The house is large.")
        assert done.wait(30)
    assert "background review failed" in caplog.text
