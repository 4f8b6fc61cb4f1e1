"""A ledger takes in what a memory takes in, and hands out the same, without reading any of it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given

from crdtmem import MemoryStore, SqliteStore, StoreError
from crdtmem.feed import Feed
from crdtmem.ledger import ledger
from crdtmem.tally import UNKNOWN, Tally
from tests.crew import SCOPE, alone, crew
from tests.ends import End, joined
from tests.stories import STEPS, Step, play


def handed(feed: Feed) -> list[bytes]:
    """All that a feed hands out."""
    found: list[bytes] = []
    after, newest = 0, feed.newest()
    while after < newest:
        stretch = feed.read(after, newest, 500)
        found += [record.data for record in stretch.records]
        after = stretch.upto
    return found


@given(STEPS)
def test_it_takes_in_what_a_memory_takes_in_whatever_the_order(steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cyd")
    for step in steps:
        play(memories, step)
    records = sorted({record for memory in memories for record in memory.changes()})
    Random(len(records)).shuffle(records)
    store = MemoryStore()
    kept, memory = ledger(SCOPE, store), Feed(alone("reader"))
    while records:
        some = [records.pop() for _ in range(min(3, len(records)))]
        ours, theirs = kept.receive(some, "x"), memory.receive(some, "x")
        assert ours.received[:2] == theirs.received[:2] and ours.late == theirs.late
        assert (kept.version, kept.missing(), kept.waiting) == (memory.version, memory.missing(), memory.waiting)
    assert handed(kept) == handed(memory)
    assert handed(ledger(SCOPE, store)) == handed(kept)  # the next process
    reader = alone("late")
    assert reader.receive(handed(kept)).waiting == 0
    assert reader.digest() == memory.memory.digest()


def test_it_builds_no_document_and_knows_no_content() -> None:
    ann = alone("ann")
    ann.text("t").append("é" * 1000)
    ann.sequence("q").extend(range(100))
    ann.set("s").add(1)
    kept = ledger(SCOPE, MemoryStore())
    kept.receive(ann.changes(), "ann")
    state = kept._document.state
    assert isinstance(state, Tally) and state.live() == 0
    assert {type(field).__name__ for field in state.fields.values()} == {"Count"}
    assert kept.digest() == (kept.version, UNKNOWN)


def test_it_refuses_a_file_in_which_something_was_pruned(tmp_path: Path) -> None:
    store = MemoryStore()
    ann = alone("ann", store=store)
    for n in range(10):
        ann.set("s").add(n)
    ann.prune(keep=2)
    with pytest.raises(StoreError, match="pruned in this file; a relay needs one that keeps everything"):
        ledger(SCOPE, store)
    with SqliteStore(tmp_path / "r.db") as file:
        assert ledger(SCOPE, file).newest() == 0


def test_it_stands_between_memories_and_reports_no_divergence() -> None:
    ann, bob = alone("ann"), alone("bob")
    a, b, middle = End("ann", ann), End("bob", bob), End("relay")
    middle.hub.share(ledger(SCOPE, MemoryStore()))
    wires = [joined(a, middle), joined(b, middle)]
    ann.text("t").append("from ann")
    bob.text("t").append("from bob")
    for now in range(1, 8):
        for wire in wires:
            wire.tick(now)
    assert ann.digest() == bob.digest() and len(str(ann.text("t"))) == 16
    assert not {"diverged", "refused"} & {*a.kinds(), *b.kinds(), *middle.kinds()}
