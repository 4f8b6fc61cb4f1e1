"""The audit: what it tells against a slow fold of the log, whatever came when; every question; damage and restarts."""

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import (
    BadBytes,
    EntryId,
    Memory,
    MemoryStore,
    MisuseError,
    NamespaceError,
    NotReached,
    Record,
    Replica,
    ValueRefused,
)
from crdtmem import follow as following
from crdtmem.audit import Audit
from crdtmem.change import COUNTER, SEQUENCE, SET, TEXT, Keyed, Ordered
from crdtmem.event import Event
from crdtmem.explain import Explanation, explain
from crdtmem.sqlite import SqliteStore
from crdtmem.timeline import Timeline
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.forger import Forger
from tests.slow_audit import told
from tests.slow_trail import SlowTrail

KINDS = ["set", "counter", "register", "records", "sequence", "text"]


def new(memory: Memory) -> Audit:
    """An audit that knows nothing but what is in the tables."""
    document = memory._document
    return Audit(document.namespace, document.log, document.state, document.past)


def audit(memory: Memory, **asked: Any) -> Timeline:
    return new(memory).timeline(**asked)


def why(memory: Memory, entry: Any, depth: int = 3) -> Explanation:
    document = memory._document
    return explain(new(memory), document.state, entry, depth=depth, now=document.now())


def brief(event: Event) -> Any:
    """What the model tells of an event."""
    entry = None if event.entry is None else tuple(event.entry)
    via = None if event.via is None else tuple(event.via)
    said = (event.by, event.role, event.why, event.because, event.tags, event.confidence, event.source)
    return (event.rank[:4], event.action, event.kind, event.field, event.key, entry, via, event.value, said)


def whole(memory: Memory) -> list[Event]:
    return list(audit(memory, limit=10_000))


def actions(events: Any) -> list[Any]:
    return [(event.action, event.field, event.value) for event in events]


# -- against the model -----------------------------------------------------------------------------


def act(memory: Any, what: int, n: int) -> None:
    """One write of any kind; some in other names, some in blocks."""
    cells, t = memory.sequence("l"), memory.text("t")
    if what == 0:
        memory.set("s").add([0, "x", {"k": n}][n % 3], why=f"why {n}")
    elif what == 1:
        memory.set("s").discard(["x", 0][n % 2], why="gone")
    elif what == 2:
        memory.counter("n").add(n - 5)
    elif what == 3:
        memory.register("r").assign(n, tags=["t"], confidence=0.5)
    elif what == 4:
        memory.records("d").merge("k", {"ab"[n % 2]: n})
    elif what == 5:
        memory.records("d").put("kj"[n % 2], {"c": n})
    elif what == 6:
        cells.insert(n % 4, n)
    elif what == 7 and len(cells):
        cells.move(0, -1)
    elif what == 8 and len(cells):
        cells.remove(n % len(cells), why="no")
    elif what == 9 and len(cells):
        cells.replace(n % len(cells), "new")
    elif what == 10:
        t.insert(n % (len(t) + 1), f"{n}\U0001f600é")
    elif what == 11 and len(t):
        t.delete(n % len(t), min(n % len(t) + 3, len(t)))
    elif what == 12:
        with memory.change(why="block"):
            one = memory.acting_as(memory.agent).set("s").add("x")
            memory.register("r").clear()
            memory.counter("n").add(1)
            memory.counter("n").add(2)
            cells.extend([n, one.value])
            t.append("ab")
            memory.records("d").delete("k")
    elif what == 13:
        memory.acting_as("other", role="helper").set("s").update([n, n + 1])
    elif what == 14:
        entries = memory.set("s").entries() + memory.register("r").siblings
        if entries:
            memory.register("rests").assign(n, because=entries[:2])
            memory.retract(entries[n % len(entries)], why="wrong")
    elif what == 15:
        entries = memory.counter("n").entries()
        if entries:
            memory.retract(entries[0], why="miscounted")
    elif what == 17:
        with memory.change():
            cells.insert(0, n)
            cells.append("end")
            t.insert(0, "\U0001f600<")
            t.append(">z")
            t.insert(n % len(t), "|")
    else:
        tainted = [entry for entry in memory.register("rests").siblings if entry.tainted]
        if tainted:
            memory.affirm(tainted[0], why="holds all the same")
        else:
            memory.register("r").clear()


FAMILIES = {
    "keyed": [0, 1, 3, 4, 5, 12, 13],
    "counter": [2, 12, 15],
    "sequence": [6, 7, 7, 8, 9, 12, 17],
    "text": [10, 11, 11, 12, 17],
    "retraction": [0, 3, 14, 14, 15, 16, 16],
}


def some_steps(families: list[str]) -> Any:
    """Who does what; what one run does is of few kinds, so that they meet."""
    what = st.sampled_from([act for family in families for act in FAMILIES[family]])
    return st.lists(st.tuples(st.integers(0, 2), what, st.integers(0, 9), st.integers(0, 2)), min_size=6, max_size=20)


steps = st.lists(st.sampled_from(sorted(FAMILIES)), min_size=1, max_size=2).flatmap(some_steps)


@given(steps, st.integers(1, 4))
def test_every_replica_tells_what_the_model_tells(chosen: Any, batch: int) -> None:
    memories = crew("ann", "bob", "cyd")
    lasting = [new(memory) for memory in memories]
    size, following.BATCH = following.BATCH, batch
    try:
        for who, what, n, gossip in chosen:
            act(memories[who], what, n)
            if gossip:  # one catches up now and then, another all at once at the end
                tell(memories[who], memories[who - 1])
                (lasting[who - 1] if gossip == 1 else new(memories[who - 1])).timeline()
        exchange(*memories)
        expected = told(memories[0])
        for memory, kept in zip(memories, lasting, strict=True):
            assert [brief(event) for event in kept.timeline(limit=10_000)] == expected
            assert list(kept.timeline(limit=10_000)) == whole(memory) == whole(memories[0])
        asks_of_the_past_are_answered(memories[1])
    finally:
        following.BATCH = size


def asks_of_the_past_are_answered(memory: Memory) -> None:
    kept, events = new(memory), whole(memory)
    ids = {event.entry for event in events} | {event.via for event in events}
    slow = SlowTrail(memory._document.log)
    keyed = [tuple(e.entry) for e in events if e.entry and e.kind not in ("sequence", "text")]
    with kept.opened():
        for id in keyed:
            by = kept.removers(id)
            assert {at: sorted(changes) for at, changes in by.items()} == {
                at: sorted(changes) for at, changes in slow.removers(id).items()
            }
    for kind, name in ((COUNTER, "n"), (SEQUENCE, "l"), (TEXT, "t")):
        assert kept.touching(kind, name) == slow.touching(kind, name)
    for event in events:
        assert kept.reached(event.rank[0]) == slow.reached(event.rank[0])
    for id in filter(None, ids):
        mine = [event for event in events if id in (event.entry, event.via)]
        assert list(kept.timeline(entry=id, limit=10_000)) == mine
        found = why(memory, id)
        assert (found.said in mine) == (found.said is not None) and str(found)
        assert all(event in mine for event in found.later)


@given(steps, st.integers(1, 5), st.integers(0, 3))
def test_pages_put_together_are_the_whole_both_ways(chosen: Any, size: int, which: int) -> None:
    ann, bob = crew("ann", "bob")
    for n, (who, what, _, gossip) in enumerate(chosen):
        act((ann, bob)[who % 2], what, n)
        if gossip:
            exchange(ann, bob)
    tell(bob, ann)
    asked: dict[str, Any] = [{}, {"by": "ann"}, {"field": ["s", "l"]}, {"text": "x"}][which]
    expected = list(audit(ann, limit=10_000, **asked))
    found: list[Event] = []
    page = audit(ann, limit=size, **asked)
    while True:
        found += page
        if page.next is None:
            break
        page = audit(ann, limit=size, after=page.next, **asked)
        assert page
    assert found == expected
    found = []
    page = audit(ann, last=size, **asked)
    while True:
        found[:0] = page
        if page.previous is None:
            break
        page = audit(ann, last=size, before=page.previous, **asked)
        assert page
    assert found == expected


def test_what_comes_late_changes_no_page_that_was_read() -> None:
    ann, bob = crew("ann", "bob")
    for n in range(4):
        ann.set("s").add(n)
        bob.set("s").add(n + 10)
    before = audit(ann, limit=2)
    tell(bob, ann)
    behind = audit(ann, after=before.next)
    assert [event.value for event in before] == [0, 1]
    assert [event.value for event in behind] == [11, 2, 12, 3, 13]
    back = audit(ann, before=behind.previous, last=10)
    assert [event.value for event in back] == [0, 10, 1]
    assert back.next is not None and back.previous is None
    assert audit(ann, after=behind[-1] and audit(ann, limit=7).next).next is None


def test_replicas_agree_on_the_order_of_what_was_written_at_one_moment() -> None:
    time = Time()
    memories = crew(*(f"agent{n}" for n in range(8)), time=time)
    for memory in memories:
        memory.set("s").add(memory.agent)
    for memory in memories[1:]:
        tell(memory, memories[0])
    for memory in random.Random(7).sample(memories, 8):
        tell(memory, memories[7])
    tell(memories[0], memories[7])
    events = whole(memories[0])
    assert len({event.when for event in events}) == 1
    assert [event.session for event in events] == sorted(event.session for event in events)
    assert whole(memories[7]) == events
    pages = [audit(memories[0], limit=1)]
    while pages[-1].next:
        pages.append(audit(memories[0], limit=1, after=pages[-1].next))
    assert [event for page in pages for event in page] == events


# -- the questions ---------------------------------------------------------------------------------


def crew_at_work() -> tuple[Memory, Time]:
    time = Time()
    ann = alone("ann", time=time, role="lead")
    ann.set("questions").add("Why did churn rise?", why="spike in March")
    time.passes(60)
    ann.acting_as("bob").register("status").assign("draft", why="Begun")
    time.passes(60)
    ann.acting_as("bob", role="writer").register("status").assign("final")
    return ann, time


def test_an_event_tells_who_when_what_and_why() -> None:
    ann, _ = crew_at_work()
    added, begun, final, superseded = audit(ann)
    assert (added.by, added.role, added.action, added.field, added.kind) == (
        "ann",
        "lead",
        "added",
        "questions",
        "set",
    )
    assert (added.value, added.why, added.source) == ("Why did churn rise?", "spike in March", "agent")
    assert added.when == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert added.entry == ann.set("questions").entries()[0].id
    assert (added.session, added.seq) == added.entry[:2]
    assert (begun.by, begun.role, begun.value) == ("bob", None, "draft")
    assert (final.role, final.value, final.entry) == ("writer", "final", superseded.via)
    assert (superseded.action, superseded.value, superseded.entry) == ("superseded", "draft", begun.entry)


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ({}, ["Why did churn rise?", "draft", "final", "draft"]),
        ({"field": "status"}, ["draft", "final", "draft"]),
        ({"field": ["status", "questions"]}, ["Why did churn rise?", "draft", "final", "draft"]),
        ({"field": "unheard of"}, []),
        ({"by": "ann"}, ["Why did churn rise?"]),
        ({"by": {"ann", "nobody"}}, ["Why did churn rise?"]),
        ({"by": "nobody"}, []),
        ({"role": "writer"}, ["final", "draft"]),
        ({"role": ("lead", "writer")}, ["Why did churn rise?", "final", "draft"]),
        ({"text": "CHURN"}, ["Why did churn rise?"]),
        ({"text": "begun"}, ["draft"]),
        ({"text": ""}, ["Why did churn rise?", "draft", "final", "draft"]),
        ({"text": "absent"}, []),
        ({"session": bytes(16)}, []),
        ({"session": bytes(16).hex()}, []),
        ({"by": "bob", "text": "dra", "role": "writer"}, ["draft"]),
    ],
    ids=str,
)
def test_filters(asked: dict[str, Any], values: list[str]) -> None:
    ann, _ = crew_at_work()
    assert [event.value for event in audit(ann, **asked)] == values
    session = audit(ann)[0].session
    if "session" not in asked:
        assert [event.value for event in audit(ann, session=session.hex(), **asked)] == values
    for entry in {event.entry for event in audit(ann)}:
        mine = [event for event in audit(ann, **asked) if entry in (event.entry, event.via)]
        assert list(audit(ann, entry=entry, **asked)) == mine


def test_since_and_until_take_moments_and_versions() -> None:
    time = Time()
    ann, bob = alone("ann", time=time), alone("bob", time=time)
    versions = [ann.version]
    for n in range(4):
        ann.set("s").add(n)
        bob.set("s").add(n + 10)
        versions.append(ann.version)
        time.passes(60)
    tell(bob, ann)
    start = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

    def values(**asked: Any) -> list[Any]:
        return sorted(event.value for event in audit(ann, **asked))

    minute = timedelta(minutes=1)
    assert values(since=start + 2 * minute) == [2, 3, 12, 13]
    assert values(until=start + 2 * minute) == [0, 1, 10, 11]
    assert values(since=start + minute, until=(start + 2 * minute).astimezone()) == [1, 11]
    assert values(since=versions[2]) == [2, 3, 10, 11, 12, 13]
    assert values(since=str(versions[2]), until=ann.version) == [2, 3, 10, 11, 12, 13]
    assert values(until=versions[2]) == [0, 1]
    assert values(since=versions[1], until=versions[3]) == [1, 2]
    assert values(since=versions[0], until=start + minute) == [0, 10]
    assert values(since=datetime(1, 1, 2, tzinfo=UTC)) == values()
    [entry] = [entry for entry in ann.set("s").entries() if entry.value == 0]
    assert values(entry=entry, since=versions[1]) == []
    assert values(entry=str(entry.id), until=versions[1]) == [0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_emptied_field_still_tells_what_was_in_it(kind: str) -> None:
    memory = alone()
    if kind == "set":
        memory.set("f").add("x")
        memory.set("f").discard("x", why="out")
    elif kind == "register":
        memory.register("f").assign("x")
        memory.register("f").clear(why="out")
    elif kind == "records":
        memory.records("f").put("k", "x")
        memory.records("f").delete("k", why="out")
    elif kind == "sequence":
        memory.sequence("f").append("x")
        memory.sequence("f").remove(0, why="out")
    elif kind == "text":
        memory.text("f").append("x")
        memory.text("f").delete(0, why="out")
    else:
        memory.retract(memory.counter("f").add(3), why="out")
    *events, gone = (e for e in audit(memory) if e.field == "f" and e.action != "retracted")
    assert (gone.action, gone.entry) == ("undone" if kind == "counter" else "removed", events[0].entry)
    assert gone.value == events[0].value
    assert gone.why == "out"
    assert gone.key == ("k" if kind == "records" else None)


def test_a_counter_tells_amounts_also_of_several_in_one_change_and_after_a_restart() -> None:
    store = MemoryStore()
    ann = Replica("ann", store=store, time=Time()).open(SCOPE)
    ann.counter("n").add(5)
    ann.counter("m").add(100)
    assert len(audit(ann)) == 2
    with ann.change():
        ann.counter("n").add(2)
        ann.counter("n").add(-4)
    again = Replica("ann", store=store, time=Time()).open(SCOPE)
    again.counter("n").add(9)
    assert [event.value for event in audit(again, field="n")] == [5, 2, -4, 9]


def test_a_removed_stretch_of_text_is_told_by_the_entries_it_belonged_to() -> None:
    ann, bob = crew("ann", "bob")
    first = ann.text("t").append("one \U0001f600two")
    tell(ann, bob)
    second = bob.text("t").insert(4, "[é\U0001f600]")
    exchange(ann, bob)
    assert ann.text("t").delete(3, 9, why="cut") == " [é\U0001f600]\U0001f600"
    assert [(e.entry, e.value) for e in audit(ann, text="cut")] == [
        (first.id, " \U0001f600"),
        (second.id, "[é\U0001f600]"),
    ]
    assert why(ann, first).status == "live"
    assert why(ann, second).status == "removed"


def test_what_both_removed_at_once_is_told_of_both() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("x")
    ann.sequence("l").append("x")
    tell(ann, bob)
    for memory in (ann, bob):
        memory.set("s").discard("x")
        memory.sequence("l").remove(0)
    exchange(ann, bob)
    for name in "sl":
        assert [event.by for event in audit(ann, field=name) if event.action == "removed"] == ["ann", "bob"]


def test_what_was_moved_by_one_and_removed_by_another_is_told_of_both_and_lives() -> None:
    ann, bob = crew("ann", "bob")
    entry = ann.sequence("l").extend(["x", "y", "z"])[0]
    tell(ann, bob)
    ann.sequence("l").move(0, 2)
    bob.sequence("l").remove(0)
    exchange(ann, bob)
    assert list(ann.sequence("l")) == ["y", "z", "x"]
    assert [event.action for event in audit(bob, entry=entry)] == ["added", "moved", "removed"]
    assert why(ann, entry).status == "live"
    ann.sequence("l").remove(2)
    assert [event.action for event in audit(ann, entry=entry)] == ["added", "moved", "removed", "removed"]
    assert why(ann, entry).status == "removed"


def test_long_deletes_are_found_from_any_entry_in_them() -> None:
    ann = alone()
    for _ in range(5):
        ann.text("t").append("x" * 1000)
    entries = [event.entry for event in audit(ann)]
    ann.text("t").delete(500, 4500)
    for entry in entries:
        assert [event.action for event in audit(ann, entry=entry)] == ["added", "removed"]
    assert [len(event.value) for event in audit(ann) if event.action == "removed"] == [500, 1000, 1000, 1000, 500]
    bits = [ann.text("short").append("xyz") for _ in range(700)]
    ann.text("short").delete(100)
    for entry in (bits[0], bits[33], bits[34], bits[341], bits[342], bits[699]):
        assert len(audit(ann, entry=entry)) == 1 + (entry not in bits[:33])


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"by": []}, ValueRefused, "by: an empty list asks for nothing; leave it out to ask for all"),
        ({"field": ()}, ValueRefused, "field: an empty list asks for nothing"),
        ({"role": 7}, TypeError, "role: a name or a list of names, not 7"),
        ({"by": ["ann", None]}, TypeError, r"by: a name or a list of names, not \['ann', None\]"),
        ({"field": b"s"}, TypeError, "field: a name or a list of names"),
        ({"session": "xyz"}, ValueRefused, r"session: 'xyz' is not hexadecimal; use event.session.hex\(\)"),
        ({"session": b"short"}, ValueRefused, "session: 16 bytes, as in event.session, not 5"),
        ({"session": 3}, TypeError, r"session: the 16 bytes of event.session, or their .hex\(\), not int"),
        ({"since": datetime(2026, 1, 1)}, ValueRefused, r"since: .* names no time zone; use .astimezone\(\) or tzinfo"),
        ({"until": "2026-01-01"}, BadBytes, "until: '2026-01-01' is not a version token; for a moment give a datetime"),
        ({"since": 7}, TypeError, "since: a datetime, a Version or its token, not int"),
        ({"entry": "nonsense"}, BadBytes, "'nonsense' is not an entry id"),
        ({"entry": 7}, TypeError, "entry: an Entry, its id or the id as str, not 7"),
        ({"entry": EntryId(b"", 0, 0)}, TypeError, "entry: an Entry, its id or the id as str"),
        ({"text": b"x"}, TypeError, "text: a str, not bytes"),
        ({"limit": 0}, ValueRefused, "limit: from 1 to 10000 events a page, not 0"),
        ({"limit": 10_001}, ValueRefused, "limit: from 1 to 10000 events a page"),
        ({"last": -1}, ValueRefused, "last: from 1 to 10000"),
        ({"limit": True}, TypeError, "limit: an int, not bool"),
        ({"after": "nonsense"}, BadBytes, "'nonsense' is not a place in a timeline; use timeline.next"),
        ({"before": 3}, TypeError, "before: the .next or .previous of a timeline, not int"),
        ({"last": 3, "after": "x"}, ValueRefused, "limit= and after= page forward, last= and before= page back"),
        ({"limit": 3, "before": "x"}, ValueRefused, "limit= and after= page forward, last= and before= page back"),
    ],
    ids=str,
)
def test_a_wrong_question_is_refused_with_what_to_ask_instead(asked: Any, error: Any, message: str) -> None:
    ann, _ = crew_at_work()
    with pytest.raises(error, match=message):
        audit(ann, **asked)


def test_entries_and_versions_of_elsewhere_are_refused() -> None:
    ann, other, bob = alone(), Replica("ann").open(tenant="other"), alone("bob")
    ann.set("s").add("x")
    entry = other.set("s").add("x")
    for ask in (lambda e: audit(ann, entry=e), lambda e: why(ann, e)):
        with pytest.raises(NamespaceError, match=r"nothing of its session is in .*; it belongs to another namespace"):
            ask(entry)
        with pytest.raises(NamespaceError):
            ask(str(entry.id))
    with pytest.raises(NamespaceError, match="this version belongs to another namespace"):
        audit(ann, since=other.version)
    tell(ann, bob)
    late = ann.set("s").add("y")
    with pytest.raises(NotReached, match="its change 2 of 'ann' has not arrived yet; 1 have"):
        audit(bob, entry=late)
    with pytest.raises(NotReached):
        audit(bob, since=ann.version)
    with pytest.raises(ValueRefused, match="change 1 of 'ann' has no entry 7"):
        audit(bob, entry=EntryId(*late.id[:1], 1, 7))
    with pytest.raises(ValueRefused, match="has no entry"):
        audit(bob, entry=EntryId(*late.id[:1], 1, 1 << 20))
    with ann.change():
        staged = ann.set("s").add("z")
        with pytest.raises(MisuseError, match="has no id yet"):
            audit(ann, entry=staged)


# -- retractions, void parts, forgeries ------------------------------------------------------------


def test_retractions_and_affirmations_are_told_of_the_entry_they_speak_of() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("sources").add("churn.csv")
    brief = ann.records("facts").put("churn", "3.1%", because=[source])
    tell(ann, bob)
    retraction = bob.retract(source, why="last year's file")
    affirmation = bob.affirm(brief, why="checked by hand")
    exchange(ann, bob)
    assert [(e.action, e.value, e.by, e.why) for e in audit(ann, field="sources")] == [
        ("added", "churn.csv", "ann", None),
        ("removed", "churn.csv", "bob", "last year's file"),
        ("retracted", "churn.csv", "bob", "last year's file"),
    ]
    [affirmed] = [e for e in audit(ann, field="facts") if e.action == "affirmed"]
    assert (affirmed.entry, affirmed.key, affirmed.value) == (brief.id, "churn", "3.1%")
    assert (affirmed.via, affirmed.kind, affirmed.why) == (affirmation.id, "records", "checked by hand")
    assert [e.action for e in audit(ann, entry=retraction)] == ["retracted"]
    assert not audit(ann, field="@retracted")
    before = whole(ann)
    assert bob.undo(retraction, why="it is the right file")
    exchange(ann, bob)
    assert [e.action for e in whole(ann)[len(before) :] if e.action != "added"] == ["reinstated"]
    [back] = [e for e in audit(ann, field="sources") if e.action == "reinstated"]
    assert (back.entry, back.via, back.why) == (source.id, retraction.id, "it is the right file")
    assert back in list(audit(ann, entry=source))


def test_affirming_again_takes_nothing_back() -> None:
    ann = alone()
    causes = ann.set("s").update(["x", "y"])
    entry = ann.register("r").assign("rests", because=causes)
    for cause in causes:
        ann.retract(cause, why="wrong")
        ann.affirm(entry, why="holds")
    assert [event.action for event in audit(ann, entry=entry)] == ["added", "affirmed", "affirmed"]
    assert (why(ann, entry).status, why(ann, entry).tainted) == ("live", False)


def test_a_void_part_is_told_with_its_flaw_and_its_units_still_count() -> None:
    mallory, ann, bob = Forger(), *crew("ann", "bob")
    m = mallory.client
    records = [mallory.write(Ordered(TEXT, "t", ("whole",), ((None, "a\U0001f600b"),), (), ()))]
    records.append(mallory.write(Ordered(TEXT, "t", ("torn",), (((m, 1), "xyz"),), ((m, 0, 1),), ())))
    records.append(mallory.write(Ordered(TEXT, "t", ("behind",), (((m, 3), "cd"),), (), ())))
    for memory in (ann, bob):
        memory.receive(records)
    assert str(ann.text("t")) == "a\U0001f600bcd"
    ann.text("t").delete(3, why="cut")
    tell(ann, bob)
    for memory in (ann, bob):
        whole, torn, behind, *cut = audit(memory)
        assert (torn.action, torn.note, torn.why, torn.entry) == ("voided", "a run cuts a surrogate pair", "torn", None)
        assert [(e.entry, e.value) for e in cut] == [(behind.entry, "cd")]
        assert "voided" in str(audit(memory)) and "(a run cuts a surrogate pair)" in str(audit(memory))
        assert why(memory, whole.entry).later == ()
        assert why(memory, EntryId(mallory.session, 2, 0)).status == "voided"
        assert "(a run cuts a surrogate pair)" in str(why(memory, EntryId(mallory.session, 2, 0)))


def test_a_removal_that_removes_nothing_is_not_told() -> None:
    ann, mallory = alone(), Forger()
    entry = tuple(ann.set("s").add("x").id)
    other = tuple(ann.set("other").add("x").id)
    never = (entry[0], entry[1], 5)
    ann.receive([mallory.write(Keyed(SET, "s", None, (("y",),), (entry, entry, other, never)), seen=ann)])
    assert actions(audit(ann, by="mallory")) == [("added", "s", "y"), ("removed", "s", "x")]
    ann.set("other").discard("x")
    found = new(ann).removers(other)
    assert {name: [seq for _, seq in by] for (_, name), by in found.items()} == {"s": [1], "other": [3]}
    assert new(ann).removers((*never[:2], 6)) == {}


def test_a_retraction_of_what_is_no_entry_is_told_as_it_stands() -> None:
    ann, mallory = alone(), Forger()
    entry = ann.set("s").add("x")
    absent = EntryId(entry.id.session, entry.id.seq, 9)
    part = Keyed(4, "@retracted", ("no",), ((None, None, "no id"), (None, None, str(absent))), ())
    ann.receive([mallory.write(part, seen=ann)])
    first, second = audit(ann, by="mallory")
    assert (first.action, first.field, first.key, first.note) == (
        "retracted",
        "@retracted",
        "no id",
        "it names no entry",
    )
    assert (second.entry, second.note) == (absent, "it names an entry that is not here")


# -- explaining ------------------------------------------------------------------------------------


def test_an_explanation_tells_who_why_what_became_of_it_and_what_rests_on_what() -> None:
    time = Time()
    ann, bob = alone("ann", time=time, role="lead"), alone("bob", time=time)
    export = ann.set("sources").add("churn.csv", source="import")
    fact = ann.records("facts").put("churn", "3.1%", because=[export], why="from the export", confidence=0.8)
    tell(ann, bob)
    time.passes(3600)
    line = bob.text("draft").append("Churn is 3.1%.", because=[fact])
    better = bob.records("facts").put("churn", "4.7%", why="the CRM was corrected")
    bob.retract(export, why="last year's file")
    exchange(ann, bob)
    found = why(ann, fact)
    assert (found.status, found.retracted, found.tainted) == ("superseded", False, True)
    assert (found.said.by, found.said.why, found.said.value) == ("ann", "from the export", "3.1%")  # type: ignore[union-attr]
    assert [event.action for event in found.later] == ["superseded"]
    assert [event.entry for event in found.replaced_by] == [better.id]
    [cause], [dependent] = found.rests_on, found.supports
    assert (cause.entry, cause.status, cause.retracted) == (export.id, "removed", True)
    assert (dependent.entry, dependent.status, dependent.tainted) == (line.id, "live", True)
    assert str(found) == (
        "facts['churn']: '3.1%'  [superseded, rests on what was retracted]\n"
        "  added by ann (lead), 2023-11-14 22:13:20 UTC, why: from the export, confidence 0.8\n"
        "  superseded by bob, 2023-11-14 23:13:20 UTC, why: the CRM was corrected; now '4.7%'\n"
        "Rests on:\n"
        "  sources: 'churn.csv'  [removed, retracted]\n"
        "    added by ann (lead), 2023-11-14 22:13:20 UTC\n"
        "    removed by bob, 2023-11-14 23:13:20 UTC, why: last year's file\n"
        "    retracted by bob, 2023-11-14 23:13:20 UTC, why: last year's file\n"
        "Rests on it:\n"
        "  draft: 'Churn is 3.1%.'  [live, rests on what was retracted]\n"
        "    added by bob, 2023-11-14 23:13:20 UTC"
    )
    assert found == why(bob, str(fact.id))


def test_an_explanation_goes_as_deep_as_asked_and_no_further() -> None:
    ann = alone()
    chain = [ann.set("s").add(0)]
    for n in range(1, 6):
        chain.append(ann.set("s").add(n, because=[chain[-1]]))
    shallow = why(ann, chain[3], depth=0)
    assert (shallow.rests_on, shallow.supports, shallow.left_out) == ((), (), 2)
    assert str(shallow).endswith("Not shown: 2 more that it rests on or that rest on it")
    found = why(ann, chain[3], depth=2)
    assert found.rests_on[0].rests_on[0].entry == chain[1].id
    assert found.rests_on[0].rests_on[0].left_out == 1
    assert found.supports[0].supports[0].entry == chain[5].id
    for wrong, error in ((-1, ValueRefused), ("x", TypeError)):
        with pytest.raises(error, match="depth: "):
            why(ann, chain[0], depth=wrong)  # type: ignore[arg-type]


def test_entries_that_rest_on_each_other_or_on_very_many_are_explained_all_the_same() -> None:
    ann = alone()
    with ann.change():
        one = ann.set("s").add(1)
        two = ann.set("s").add(2, because=[one])
        assert two.value == 2
    many = ann.set("many").update(range(200))
    last = ann.register("sum").assign("all", because=many)
    found = why(ann, last)
    assert len(found.rests_on) + found.left_out == 200
    assert len(found.rests_on) < 100
    assert why(ann, one).supports[0].rests_on == ()


def test_an_expired_entry_is_explained_as_expired() -> None:
    time = Time()
    ann = alone(time=time)
    entry = ann.set("s").add("x", ttl=10)
    assert why(ann, entry).status == "live"
    time.passes(11)
    assert why(ann, entry).status == "expired"


def test_an_increment_stays_though_its_total_grows_until_it_is_taken_back() -> None:
    ann = alone()
    entry = ann.counter("n").add(3)
    ann.counter("n").add(4)
    assert why(ann, entry).status == "live"
    ann.retract(entry, why="counted twice")
    found = why(ann, entry)
    assert (found.status, found.retracted) == ("undone", True)
    assert {(event.action, event.value) for event in found.later} == {("undone", 3), ("retracted", 3)}


# -- reading ---------------------------------------------------------------------------------------


def test_the_timeline_reads_line_by_line() -> None:
    ann, time = crew_at_work()
    time.passes(5)
    ann.counter("tokens").add(1200)
    ann.counter("tokens").add(-200)
    ann.sequence("findings").extend(["a", "b"])
    ann.sequence("findings").move(1, 0)
    ann.records("facts").put("a key", {"long": "x" * 100})
    ann.retract(ann.set("questions").entries()[0], why="line\nbreak \x1b[31m" + "y" * 200)
    assert str(audit(ann)) == (
        "2023-11-14 22:13 UTC\n"
        "  :20  ann (lead)    added       questions       'Why did churn rise?'  why: spike in March\n"
        "2023-11-14 22:14 UTC\n"
        "  :20  bob           added       status          'draft'  why: Begun\n"
        "2023-11-14 22:15 UTC\n"
        "  :20  bob (writer)  changed     status          'draft' -> 'final'\n"
        "  :25  ann (lead)    added       tokens          +1200\n"
        "  :25  ann (lead)    added       tokens          -200\n"
        "  :25  ann (lead)    added       findings        'a'\n"
        "  :25  ann (lead)    added       findings        'b'\n"
        "  :25  ann (lead)    moved       findings        'b'\n"
        f"  :25  ann (lead)    added       facts['a key']  {{'long': '{'x' * 48} ...\n"
        "  :25  ann (lead)    retracted   questions       'Why did churn rise?'  "
        f"why: line break \\x1b[31m{'y' * 97} ..."
    )
    assert repr(audit(ann, limit=2)) == "<Timeline of 2 events and more>"
    assert str(audit(ann, by="nobody")) == "nothing happened"
    assert audit(ann)[-1:][0].action == "retracted"


# -- the tables ------------------------------------------------------------------------------------


def filled() -> tuple[MemoryStore, Memory]:
    store = MemoryStore()
    memory = Replica("ann", store=store, time=Time()).open(SCOPE)
    for n in range(34):
        act(memory, n % 17, n)
    return store, memory


def test_a_second_replica_over_the_store_goes_on_where_the_first_was() -> None:
    store, memory = filled()
    before = whole(memory)
    again = Replica("bob", store=store, time=Time(1_800_000_000)).open(SCOPE)
    assert whole(again) == before
    act(again, 12, 5)
    act(again, 7, 0)
    assert whole(again)[: len(before)] == before
    assert [brief(event) for event in whole(again)] == told(again)


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM audit_scope",
        "DROP TABLE audit_scope",
        "UPDATE audit_scope SET format = 99; DROP TABLE audit_gone; CREATE TABLE audit_gone (something)",
        "UPDATE audit_scope SET format = 99; UPDATE audit_said SET agent = role",
        "UPDATE audit_session SET seq = seq - 1",
        "UPDATE audit_session SET seq = seq + 1",
        "UPDATE audit_scope SET place = 0",
    ],
)
@pytest.mark.parametrize("lasting", ["an audit that was there", ""])
def test_tables_that_vanished_or_do_not_fit_are_made_anew(spoil: str, lasting: str) -> None:
    _, memory = filled()
    kept, before = new(memory), whole(memory)
    assert list(kept.timeline(limit=10_000)) == before
    if not (lasting and "session" in spoil):  # what is remembered of the tables is right, and is not read again
        memory._document.log.index().execute(spoil)
    assert list((kept if lasting else new(memory)).timeline(limit=10_000)) == before
    act(memory, 11, 0)
    assert [brief(event) for event in whole(memory)] == told(memory)


def test_two_audits_over_one_database_follow_each_other() -> None:
    _, memory = filled()
    one, other = new(memory), new(memory)
    for n in range(20):
        act(memory, n % 18, n)
        assert [brief(event) for event in (one, other)[n % 2].timeline(limit=10_000)] == told(memory)


def test_namespaces_in_one_database_do_not_meet() -> None:
    replica = Replica("ann", time=Time())
    one, other = replica.open(tenant="a"), replica.open(tenant="b")
    other._document.log._index = one._document.log.index()  # type: ignore[attr-defined]
    for n in range(34):
        act((one, other)[n % 2], n % 17, n)
        if n % 3:
            assert [brief(event) for event in whole(one)] == told(one)
    for memory in (one, other):
        assert [brief(event) for event in whole(memory)] == told(memory)
    one._document.log.index().execute("UPDATE audit_session SET seq = 0 WHERE ns = 1")
    for memory in (one, other):
        assert [brief(event) for event in whole(memory)] == told(memory)


# -- damage, cuts, pruning -------------------------------------------------------------------------


def lose(memory: Memory, seq: int) -> Any:
    """A record of its first session is broken; what to call to mend it."""
    log: Any = memory._document.log
    place = next(place for place, kept in log.since(0) if kept.seq == seq) - 1
    kept, log._records[place] = log._records[place], None
    return lambda: log._records.__setitem__(place, kept)


def four_writes() -> tuple[MemoryStore, Memory]:
    store = MemoryStore()
    memory = Replica("ann", store=store, time=Time()).open(SCOPE)
    memory.register("r").assign("first", why="a")
    memory.register("r").assign("second", why="b")
    memory.counter("n").add(1)
    memory.text("t").append("one")
    return store, memory


@pytest.mark.parametrize("seen", ["seen before", ""])
def test_a_damaged_change_is_told_as_lost_until_it_is_mended(seen: str) -> None:
    _, memory = four_writes()
    first, second = memory.register("r").siblings[0].id._replace(seq=1), memory.register("r").siblings[0].id
    intact = whole(memory) if seen else None
    kept = new(memory)
    mend = lose(memory, 1)
    events = whole(memory)
    if seen:
        lost, *events = events
        assert (lost.action, lost.field, lost.kind, lost.by, lost.value) == ("lost", "r", "register", "ann", None)
        assert lost.note == "its change cannot be read here any more"
        assert "lost" in str(audit(memory))
    added, superseded, *_ = events
    assert (added.action, added.entry) == ("added", second)
    assert (superseded.action, superseded.entry, superseded.via) == ("superseded", first, second)
    assert (superseded.value, superseded.note) == (None, "what it was is not in the log here any more")
    assert "changed     r  ? -> 'second'  why: b" in str(audit(memory))
    assert [event.action for event in audit(memory, entry=first)] == ["superseded"]
    found = why(memory, first)
    assert (found.said, found.status, found.note) == (None, "superseded", "its change cannot be read here any more")
    assert str(found).startswith(f"entry {first}  [superseded]\n  superseded by ann")
    assert list(kept.timeline())[-1].value == "one"
    mend()
    assert list(kept.timeline()) == whole(memory)
    assert intact is None or whole(memory) == intact
    assert [brief(event) for event in whole(memory)] == told(memory)


def test_behind_a_lost_change_amounts_and_units_are_told_as_lost_and_never_wrong() -> None:
    _, memory = four_writes()
    memory.counter("n").add(2)
    memory.counter("n").add(3)
    memory.text("t").append("two")
    memory.text("t").delete(0, 4, why="cut")
    mends = [lose(memory, 3), lose(memory, 4)]
    events = audit(memory)
    assert [(e.value, e.note) for e in events if e.kind == "counter"] == [
        (None, "what it was is not in the log here any more"),
        (3, None),
    ]
    assert [(e.action, e.value) for e in events if e.kind == "text"] == [("added", "two"), ("removed", None)]
    live = memory.text("t").entries()[0]
    assert why(memory, live).status == "live"
    for mend in reversed(mends):
        mend()
    assert [brief(event) for event in whole(memory)] == told(memory)


def test_an_entry_that_shows_is_explained_though_its_change_is_lost() -> None:
    _, memory = four_writes()
    for seq, entry in ((2, memory.register("r").siblings[0]), (4, memory.text("t").entries()[0])):
        before = why(memory, entry)
        mend = lose(memory, seq)
        found = why(memory, entry)
        assert (found.said, found.status, found.later) == (before.said, "live", before.later)
        assert found.note == "its change cannot be read here any more"
        mend()
        assert why(memory, entry) == before


def test_tables_that_know_more_than_the_log_are_made_anew() -> None:
    store, memory = filled()
    whole(memory)
    log: Any = memory._document.log
    session = next(log.records()).session
    log.cut(session, 20)
    again = Replica("bob", store=store, time=Time()).open(SCOPE)
    assert [brief(event) for event in whole(again)] == told(again)
    lost = [event for event in whole(memory) if event.seq >= 20]
    assert not lost


@pytest.mark.parametrize("known", ["a session that is known", ""])
def test_a_change_that_was_kept_but_never_applied_is_not_told_before_it_is(known: str) -> None:
    store, memory = four_writes()
    mallory = Forger()
    if known:
        memory.receive([mallory.write(Keyed(SET, "s", None, (("w",),), ()))])
    before = whole(memory)
    mallory.write(Keyed(SET, "s", None, (("x",),), ()), hlc=2)
    change: Any = mallory.last
    memory._document.log.append([Record(change.session, change.seq, change.hash, change.core, b"")])
    assert whole(memory) == before
    memory.set("s").add("y")
    assert whole(memory)[:-1] == before
    again = Replica("bob", store=store, time=Time()).open(SCOPE)
    assert [brief(event) for event in whole(again)] == told(again)
    assert len(whole(again)) == len(before) + 2


def test_records_that_were_cut_and_kept_again_are_told_once() -> None:
    (_, memory), bob = four_writes(), alone("bob")
    memory.text("t").append("two")
    bob.text("t").append("bob")
    tell(bob, memory)
    kept = new(memory)
    assert [brief(event) for event in kept.timeline()] == told(memory)
    log = memory._document.log
    [*_, four, five, _] = log.records()
    log.cut(four.session, 4)
    log.append([four, five])
    memory.text("t").append("end")
    memory.text("t").delete(2, 7)
    assert [brief(event) for event in kept.timeline()] == told(memory)
    assert kept.touching(TEXT, "t") == SlowTrail(log).touching(TEXT, "t")


def test_a_deleted_stretch_whose_maker_is_lost_is_told_as_lost() -> None:
    ann, bob = crew("ann", "bob")
    for word in ("one", "two", "six"):
        ann.text("t").append(word)
    tell(ann, bob)
    bob.text("t").delete(2, 5)
    exchange(ann, bob)
    lose(ann, 2)
    removed = [event for event in audit(ann) if event.action == "removed"]
    assert [(event.value, bool(event.note)) for event in removed] == [("e", False), (None, True)]
    assert [event.value for event in audit(bob) if event.action == "removed"] == ["e", "tw"]


def test_what_was_pruned_is_told_no_more_and_what_came_of_it_is() -> None:
    _, memory = four_writes()
    first, second = memory.register("r").siblings[0].id._replace(seq=1), memory.register("r").siblings[0].id
    kept = new(memory)
    before = whole(memory)
    log = memory._document.log
    log.prune(first.session, 1)
    kept.prune({first.session: 1})
    assert [event.action for event in whole(memory)] == ["added", "superseded", "added", "added"]
    memory.counter("n").add(4)
    memory.text("t").delete(0, 1)
    assert [event.value for event in whole(memory)][2:] == [1, "one", 4, "o"]
    log.prune(first.session, 4)
    kept.prune({first.session: 4})
    assert [(event.action, event.value, event.note) for event in list(kept.timeline())] == [
        ("added", 4, None),
        ("removed", None, "what it was is not in the log here any more"),
    ]
    assert why(memory, second).said == before[1]
    assert list(new(memory).timeline()) == list(kept.timeline())


def test_what_fails_half_way_leaves_the_tables_whole() -> None:
    _, memory = filled()
    kept, expected = new(memory), whole(memory)
    act(memory, 12, 3)
    state: Any = memory._document.state
    writer = state.sessions[expected[0].session]
    role, writer.role = writer.role, {}  # cannot be kept
    for ask in (kept, new(memory)):
        with pytest.raises(TypeError):
            ask.timeline()
    writer.role = role
    assert list(kept.timeline(limit=10_000))[: len(expected)] == expected
    assert [brief(event) for event in kept.timeline(limit=10_000)] == told(memory)


# -- files -----------------------------------------------------------------------------------------


def test_the_audit_of_a_file_outlives_the_process_and_can_be_read_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "ann.db"
    with Replica("ann", store=path, time=Time()) as replica:
        memory = replica.open(SCOPE)
        for n in range(36):
            act(memory, n % 18, n)
        before = list(memory.audit(limit=1000))
        assert [brief(event) for event in before] == told(memory)
        with Replica("eve", store=SqliteStore(path, readonly=True)) as reader:
            assert list(reader.open(SCOPE).audit(limit=1000)) == before
    for lost in (False, True):
        if lost:
            for file in tmp_path.glob("*-index*"):
                file.unlink()
        with Replica("bob", store=path, time=Time(1_800_000_000 + lost)) as replica:
            memory = replica.open(SCOPE)
            assert list(memory.audit(limit=1000))[: len(before)] == before
            act(memory, 7, 0)
            act(memory, 12, 1)
            assert [brief(event) for event in memory.audit(limit=1000)] == told(memory)


def test_audits_of_several_namespaces_of_a_file_wait_for_each_other(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "ann.db", time=Time()) as replica:
        one, other = replica.open(tenant="a"), replica.open(tenant="b")
        one.set("s").add("x")
        other.audit()
        index = other._document.log.index()
        index.execute("BEGIN IMMEDIATE")  # it is writing just now
        begun, found = threading.Event(), list[Event]()

        def ask() -> None:
            found.extend(one.audit())

        def note(_: object, sql: str, __: object) -> bool:
            if sql.startswith("BEGIN"):
                begun.set()
            return True

        one._document.log.index().exec_trace = note

        asking = threading.Thread(target=ask)
        asking.start()
        begun.wait(20)
        index.execute("COMMIT")
        asking.join(20)
        assert actions(found) == [("added", "s", "x")]
