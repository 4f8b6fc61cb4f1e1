"""A memory as an agent meets it: opening fields, versions, the past, other authors, disagreements, bytes in and out."""

import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import (
    BadBytes,
    Conflict,
    KindMismatch,
    MemoryStore,
    Namespace,
    NamespaceError,
    NotReached,
    ReadOnly,
    Replica,
    UpgradeNeeded,
    ValueRefused,
    Version,
)
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.forger import Forger

KINDS = ["set", "counter", "register", "records", "sequence", "text"]


def fill(kind: str, memory: Any, name: str = "f") -> Any:
    field = getattr(memory, kind)(name)
    writes = {
        "counter": lambda: field.add(1),
        "register": lambda: field.assign(1),
        "records": lambda: field.put("k", 1),
    }
    writes |= {"set": lambda: field.add(1), "sequence": lambda: field.append(1), "text": lambda: field.append("x")}
    return writes[kind]()


# -- fields ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.set("status", "done"),
            "set() opens a set; to write: memory.set('status').add('done'); "
            "to assign a value: memory.register('status').assign('done')",
        ),
        (lambda m: m.counter("n", 3), "counter() opens a counter; to write: memory.counter('n').add(3)"),
        (lambda m: m.register("r", "x"), "register() opens a register; to write: memory.register('r').assign('x')"),
        (
            lambda m: m.register("r", "x", resolve="escalate"),
            "register() opens a register; to write: memory.register('r').assign('x')",
        ),
        (lambda m: m.records("d", 1), "records() opens a records; to write: memory.records('d').put(key, 1)"),
        (lambda m: m.sequence("l", None), "sequence() opens a sequence; to write: memory.sequence('l').append(None)"),
        (lambda m: m.text("t", "x"), "text() opens a text; to write: memory.text('t').append('x')"),
    ],
)
def test_a_value_given_while_opening_a_field_says_how_to_write_it(call: Any, message: str) -> None:
    memory = alone()
    for _ in range(2):  # also once the field is known
        with pytest.raises(TypeError) as refused:
            call(memory)
        assert str(refused.value) == message
        memory.set("status")
    assert memory.changes() == []


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "n" * 201, 7, None])
def test_a_field_needs_a_printable_name(name: Any) -> None:
    with pytest.raises(ValueRefused, match="the name of a field is a printable str of 1 to 200 characters"):
        alone().set(name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_field_that_holds_one_kind_does_not_open_as_another(kind: str, other: str) -> None:
    memory = alone()
    fill(kind, memory)
    if kind == other:
        getattr(memory, other)("f")
    else:
        with pytest.raises(
            KindMismatch, match=rf"'f' holds a {kind}; open it with memory.{kind}\('f'\), or take another name"
        ):
            getattr(memory, other)("f")
    assert memory.fields() == {"f": kind}


def test_an_emptied_field_may_become_another_kind() -> None:
    memory = alone()
    memory.set("f").add(1)
    memory.set("f").discard(1)
    memory.register("f").assign("x")
    assert memory.fields() == {"f": "register"}


def test_two_who_open_one_name_as_two_kinds_keep_both() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("f").add("x")
    bob.register("f").assign("y")
    exchange(ann, bob)
    assert (list(ann.set("f")), ann.register("f").value) == (["x"], "y")
    with pytest.raises(KindMismatch):
        ann.text("f")


def test_a_memory_shows_what_it_is_and_holds() -> None:
    memory = alone()
    assert repr(memory) == "<Memory Namespace(tenant='acme', task='test') of 'ann': empty; 0 changes>"
    memory.set("s").add(1)
    memory.text("draft").append("x")
    assert memory.fields() == {"draft": "text", "s": "set"}
    assert repr(memory).endswith("of 'ann': set 's', text 'draft'; 2 changes>")
    assert (memory.namespace, memory.agent) == (SCOPE, "ann")


def test_every_write_returns_its_entry_with_its_reasons() -> None:
    memory = alone()
    cause = memory.set("facts").add("fact")
    says: Any = {"why": "because", "because": [cause], "confidence": 0.5, "tags": ["t"], "source": "tool", "ttl": 60}
    for entry in (
        memory.set("s").add(1, **says),
        memory.set("s").update([2], **says)[0],
        memory.counter("n").add(1, **says),
        memory.register("r").assign(1, **says),
        memory.records("d").put("k", 1, **says),
        memory.records("e").merge("k", {"a": 1}, **says),
        memory.sequence("l").append(1, **says),
        memory.sequence("l").extend([1], **says)[0],
        memory.sequence("l").insert(0, 1, **says),
        memory.sequence("l").replace(0, 2, **says),
        memory.text("t").append("x", **says),
        memory.text("t").insert(0, "y", **says),
        memory.text("t").replace("y", "z", **says),
    ):
        assert entry is not None
        assert (entry.why, entry.because, entry.confidence, entry.tags) == ("because", (cause.id,), 0.5, ("t",))
        assert (entry.source, entry.ttl, entry.by) == ("tool", 60.0, "ann")
    reader = alone("reader")
    tell(memory, reader)
    for kind, name in (("set", "s"), ("register", "r"), ("records", "d"), ("sequence", "l"), ("text", "t")):
        for entry in getattr(reader, kind)(name).entries():
            assert (entry.why, entry.because, entry.confidence, entry.tags) == ("because", (cause.id,), 0.5, ("t",))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_keyword_of_a_write_names_the_known_ones(kind: str) -> None:
    memory = alone()
    write = {"counter": "add", "register": "assign", "set": "add", "sequence": "append", "text": "append"}.get(
        kind, "merge"
    )
    args = ["k", {"a": 1}] if kind == "records" else [1] if kind != "text" else ["x"]
    with pytest.raises(
        TypeError, match="unknown keyword 'reason'; a write takes why, because, confidence, tags, source"
    ):
        getattr(getattr(memory, kind)("f"), write)(*args, reason="x")
    assert memory.changes() == []


# -- authors ---------------------------------------------------------------------------------------


def test_many_agents_of_one_process_each_write_as_themselves() -> None:
    crew_ = alone("crew")
    analyst, writer = crew_.acting_as("analyst", role="analysis"), crew_.acting_as("writer")
    analyst.set("s").add("a")
    writer.set("s").add("w")
    crew_.set("s").add("c")
    reader = alone("reader")
    tell(crew_, reader)
    found = [(entry.value, entry.by, entry.role) for entry in reader.set("s").entries()]
    assert found == [("a", "analyst", "analysis"), ("w", "writer", None), ("c", "crew", None)]
    assert (analyst.agent, analyst.version) == ("analyst", crew_.version)
    with pytest.raises(ValueRefused, match="agent: a printable str"):
        crew_.acting_as("")
    with pytest.raises(ValueRefused, match="role: a printable str"):
        crew_.acting_as("x", role="")


# -- versions --------------------------------------------------------------------------------------


def test_a_version_is_the_same_wherever_the_same_was_seen() -> None:
    ann, bob = crew("ann", "bob")
    assert ann.version == bob.version == Version(SCOPE.digest, ())
    ann.set("s").add(1)
    bob.set("s").add(2)
    assert ann.version != bob.version
    assert not ann.reached(bob.version)
    exchange(ann, bob)
    assert ann.version == bob.version == Version.parse(str(ann.version))
    assert len(ann.version.heads) == 2
    ann.set("s").add(3)
    assert len(ann.version.heads) == 1
    assert ann.reached(bob.version) and ann.reached(str(bob.version))


def test_a_version_of_another_namespace_or_no_version_is_refused() -> None:
    memory, other = alone(), Replica("ann").open(tenant="other")
    other.set("s").add(1)
    for use in (memory.reached, memory.wait, memory.at, memory.changes, lambda v: memory.set("s").entries(since=v)):
        with pytest.raises(NamespaceError, match="this version belongs to another namespace than Namespace"):
            use(other.version)
        with pytest.raises(BadBytes, match="'nonsense' is not a version token"):
            use("nonsense")
        with pytest.raises(TypeError, match="a Version or its token, not int"):
            use(7)


def test_waiting_ends_when_the_version_is_here() -> None:
    ann, bob = crew("ann", "bob")
    ann.wait(ann.version, timeout=0)
    bob.set("s").add("x")
    waited: list[list[Any]] = []
    version = str(bob.version)

    def wait() -> None:
        ann.wait(version)
        waited.append(list(ann.set("s")))

    waiter = threading.Thread(target=wait)
    waiter.start()
    ann.set("s").add("not what is waited for")
    tell(bob, ann)
    waiter.join(20)
    assert waited == [["not what is waited for", "x"]]


def test_waiting_ends_for_a_write_of_ours_too() -> None:
    ann, bob = crew("ann", "bob")
    version = Version(SCOPE.digest, ())
    waiters = [threading.Thread(target=ann.wait, args=(version, 20)) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    bob.set("s").add(1)
    tell(bob, ann)
    for waiter in waiters:
        waiter.join(20)
        assert not waiter.is_alive()


@pytest.mark.parametrize("timeout", [0, 0.001, -1])
def test_waiting_gives_up_after_its_timeout(timeout: float) -> None:
    ann, bob = crew("ann", "bob")
    bob.set("s").add("x")
    with pytest.raises(
        NotReached, match=r"has not reached that version after .* s; is a Peer connected to whoever wrote it\?"
    ):
        ann.wait(bob.version, timeout=timeout)
    assert issubclass(NotReached, TimeoutError)


# -- the past --------------------------------------------------------------------------------------


def act(memory: Any, what: int, n: int) -> None:
    if what == 0:
        memory.set("s").add(n % 3)
    elif what == 1:
        memory.set("s").discard(n % 3)
    elif what == 2:
        memory.counter("n").add(n)
    elif what == 3:
        memory.register("r").assign(n)
    elif what == 4:
        memory.records("d").merge("k", {"ab"[n % 2]: n})
    elif what == 5:
        memory.sequence("l").insert(n % 4, n)
    elif what == 6 and len(memory.sequence("l")):
        memory.sequence("l").move(0, -1)
    else:
        memory.text("t").insert(0, f"{n}\U0001f600")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.booleans()), max_size=14))
def test_every_version_that_was_can_be_read_again(steps: list[tuple[int, int, bool]]) -> None:
    stores = [MemoryStore() for _ in range(3)]
    memories = [Replica(f"agent{i}", store=store, time=Time()).open(SCOPE) for i, store in enumerate(stores)]
    past: list[list[tuple[Version, str]]] = [[(memory.version, memory.digest())] for memory in memories]
    for n, (who, what, gossip) in enumerate(steps):
        act(memories[who], what, n)
        past[who].append((memories[who].version, memories[who].digest()))
        if gossip:
            tell(memories[who], memories[who - 1])
            past[who - 1].append((memories[who - 1].version, memories[who - 1].digest()))
    exchange(*memories)
    restarted = Replica("reader", store=stores[0], time=Time()).open(SCOPE)
    for version, digest in [moment for moments in past for moment in moments]:
        then = restarted.at(version)
        assert then.digest() == digest
        assert then.version == version


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.booleans()), max_size=10), st.data())
def test_changes_since_a_version_are_what_a_replica_at_it_lacks(steps: list[tuple[int, int, bool]], data: Any) -> None:
    memories = crew("ann", "bob", "cyd")
    for n, (who, what, gossip) in enumerate(steps):
        act(memories[who], what, n)
        if gossip:
            tell(memories[who], memories[who - 1])
    whole = alone("whole")
    for memory in memories:
        tell(memory, whole)
    for memory in memories:
        lacking = whole.changes(since=str(memory.version))
        assert len(lacking) == len(whole.changes()) - len(memory.changes())
        assert memory.receive(lacking).applied == len(lacking)
        assert memory.digest() == whole.digest()


def test_the_past_can_be_asked_everything_and_told_nothing() -> None:
    ann, bob = crew("ann", "bob")
    start = ann.version
    ann.set("s").add("x", ttl=1000)
    ann.register("r").assign("a")
    bob.register("r").assign("b")
    exchange(ann, bob)
    version, before = ann.version, ann.digest()
    ann.register("r").assign("later")
    then = ann.at(str(version))
    assert (then.version, then.digest(), then.namespace) == (version, before, SCOPE)
    assert list(then.set("s")) == ["x"]
    assert [entry.value for entry in then.register("r").siblings] == ["a", "b"]
    assert len(then.conflicts()) == 1
    assert then.fields() == {"r": "register", "s": "set"}
    assert len(then.set("s").entries(since=start)) == 1
    assert "register 'r'" in repr(then)
    for write in (
        lambda: then.set("s").add("y"),
        lambda: then.text("t").append("y"),
        lambda: then.acting_as("x").counter("n").add(1),
        lambda: then.change().__enter__(),
        lambda: then.receive([]),
        lambda: then.changed(print),
    ):
        with pytest.raises(ReadOnly, match="pinned at a version; write to, or ask, the memory it was taken from"):
            write()
    assert issubclass(ReadOnly, PermissionError)
    assert ann.register("r").value == "later"
    with pytest.raises(AttributeError):
        then._document._private  # noqa: B018
    bob.set("s").add("unseen here")
    with pytest.raises(NotReached, match=r"has not reached that version.*; memory.wait\(version\) waits"):
        ann.at(bob.version)


def test_the_past_shows_what_has_expired_since() -> None:
    time = Time()
    ann = alone(time=time)
    ann.set("s").add("x", ttl=5)
    version = ann.version
    time.passes(6)
    assert (list(ann.set("s")), list(ann.at(version).set("s"))) == ([], ["x"])


# -- disagreements ---------------------------------------------------------------------------------


def test_conflicts_lists_registers_keys_and_patched_sub_keys_with_their_authors() -> None:
    ann, bob = crew("ann", "bob")
    ann.records("d").put("patched", {"a": 0, "b": 0})
    tell(ann, bob)
    for memory, n in ((ann, 1), (bob, 2)):
        memory.register("agreed").assign("same")
        memory.register("r").assign(n)
        memory.records("d").put("whole", n)
        memory.records("d").merge("patched", {"a": n})
        memory.records("d").merge("apart", {str(n): n})
        memory.set("s").add("x")
        memory.counter("n").add(n)
    exchange(ann, bob)
    found = ann.conflicts()
    assert [(conflict.field, conflict.key) for conflict in found] == [("r", None), ("d", "patched"), ("d", "whole")]
    assert all([entry.by for entry in conflict.entries] == ["ann", "bob"] for conflict in found)
    assert found == bob.conflicts()
    assert isinstance(found[0], Conflict)
    assert str(found[2]) == "d['whole']: ann says 1; bob says 2"


def test_a_disagreement_with_what_has_expired_is_none() -> None:
    time = Time()
    ann, bob = crew("ann", "bob", time=time)
    ann.register("r").assign(1, ttl=5)
    bob.register("r").assign(2)
    exchange(ann, bob)
    assert len(ann.conflicts()) == 1
    time.passes(6)
    assert ann.conflicts() == []


# -- bytes -----------------------------------------------------------------------------------------


def test_changes_come_in_any_order_any_number_of_times() -> None:
    ann, bob = crew("ann", "bob")
    for n in range(40):
        act(ann, n % 8, n)
    records = ann.changes() * 2
    random.Random(1).shuffle(records)
    for record in records:
        got = bob.receive(record)
        assert not got.refused
    assert bob.receive(records) == (0, 0, (), ())
    assert bob.digest() == ann.digest()


def test_bad_bytes_are_refused_and_remembered_and_change_nothing() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("s").add("x")
    [good] = ann.changes()
    got = bob.receive([b"garbage", good[:-1], bytearray(good), good + b"x", good])  # type: ignore[list-item]
    assert got.applied == 1
    assert len(got.refused) == 4
    assert bob.refusals == got.refused
    assert all(refusal.reason for refusal in got.refused)
    assert bob.digest() == ann.digest()
    elsewhere = Replica("x").open(tenant="elsewhere")
    elsewhere.set("s").add(1)
    [refusal] = bob.receive(elsewhere.changes()).refused
    assert refusal.reason == "it belongs to another namespace"


def test_only_the_last_thousand_refusals_are_remembered() -> None:
    memory = alone()
    memory.receive(b"%d" % n for n in range(1500))
    assert len(memory.refusals) == 1000


def test_a_change_of_a_newer_format_makes_the_memory_read_only_until_upgraded() -> None:
    ann, mallory = alone(), Forger()
    ann.set("s").add("x")
    got = ann.receive([mallory.newer()])
    assert (got.applied, got.waiting, got.refused) == (0, 1, ())
    assert list(ann.set("s")) == ["x"]
    for write in (lambda: ann.set("s").add("y"), lambda: ann.text("t").append("y")):
        with pytest.raises(
            UpgradeNeeded, match="holds changes of format 2, written by a newer crdtmem; upgrade this program"
        ):
            write()
    with pytest.raises(UpgradeNeeded), ann.change():
        ann.set("s").add("y")
    assert list(ann.set("s")) == ["x"]
    bob = alone("bob")
    bob.set("s").add("from bob")
    assert ann.receive(bob.changes()).applied == 1


def test_a_stamp_far_ahead_is_applied_but_does_not_drag_our_clock() -> None:
    time = Time()
    ann, ahead = alone(time=time), alone("ahead", time=Time(time.now + 86_400))
    ahead.register("r").assign("from tomorrow")
    tell(ahead, ann)
    entry = ann.register("r").assign("now")
    assert ann.register("r").value == "now"
    assert abs(entry.at.timestamp() - time.now) < 1


def test_namespaces_of_one_replica_do_not_meet() -> None:
    replica = Replica("ann")
    one, other = replica.open(tenant="a"), replica.open(Namespace(tenant="a", task="b"))
    one.set("s").add(1)
    assert (list(one.set("s")), list(other.set("s"))) == ([1], [])
    assert one.version != other.version


def test_the_same_memory_opened_again_is_inside_the_block() -> None:
    replica = Replica("ann")
    memory = replica.open(tenant="acme")
    with memory.change(why="both"):
        memory.set("a").add(1)
        replica.open(tenant="acme").set("b").add(2)
        assert 2 in memory.set("b")
        assert memory.changes() == []
    assert len(memory.changes()) == 1
