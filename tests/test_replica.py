"""Replicas: what an agent process holds, from the first open to the close; and what a fork may not inherit."""

import subprocess
import sys
import threading
from typing import Any

import pytest

from crdtmem import (
    Closed,
    CrdtmemError,
    ForkedReplica,
    Identity,
    Memory,
    MemoryStore,
    Namespace,
    NamespaceError,
    Replica,
    ValueRefused,
)
from tests.crew import SCOPE, Time, tell


def test_a_memory_is_opened_by_labels_or_by_a_namespace() -> None:
    with Replica("ann") as replica:
        memory = replica.open(tenant="acme", task="test")
        assert memory.namespace == SCOPE
        memory.set("s").add("x")
        assert list(replica.open(SCOPE).set("s")) == ["x"]
        assert list(replica.open(tenant="acme").set("s")) == []
        assert repr(replica) == "<Replica 'ann': 2 memories>"
    assert repr(replica) == "<Replica 'ann': closed>"


@pytest.mark.parametrize(
    ("given", "labels", "error", "message"),
    [
        (
            ("acme",),
            {},
            TypeError,
            r"open\(\) takes labels, as in open\(tenant='acme', task='q3-brief'\), or one Namespace",
        ),
        ((SCOPE,), {"tenant": "acme"}, TypeError, r"open\(\) takes labels"),
        ((), {}, NamespaceError, r"a namespace needs a tenant: Namespace\(tenant=..., task=...\)"),
        ((), {"task": "t"}, NamespaceError, "a namespace needs a tenant"),
        ((), {"tenant": ""}, NamespaceError, "tenant must have 1 to 200 characters"),
        ((), {"tenant": "a", "team": "b"}, TypeError, "unknown label 'team'; a namespace has tenant, task, role, user"),
        ((), {"tenant": "a", "digest": b""}, TypeError, "unknown label 'digest'"),
    ],
)
def test_a_scope_that_cannot_be_is_refused(given: Any, labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Replica("ann").open(*given, **labels)


@pytest.mark.parametrize("agent", ["", "a\nb", 7, None, "x" * 201])
def test_an_agent_needs_a_printable_name(agent: Any) -> None:
    with pytest.raises(ValueRefused, match="agent: a printable str of 1 to 200 characters, not"):
        Replica(agent)
    with pytest.raises(ValueRefused, match="role: a printable str of 1 to 200 characters, not"):
        Replica("ann", role=agent if agent is not None else "")


def test_what_it_is_given_shows_in_what_it_writes() -> None:
    identity = Identity(bytes(32))
    entry = Replica("ann", role="lead", identity=identity, time=Time(0.0)).open(SCOPE).set("s").add("x")
    assert (entry.by, entry.role, entry.at.timestamp()) == ("ann", "lead", 0.0)
    assert Replica("ann", identity=identity).identity is identity


def test_a_restart_finds_everything_and_writes_under_a_new_session() -> None:
    store, identity = MemoryStore(), Identity(bytes(32))
    memory = Replica("ann", store=store, identity=identity).open(SCOPE)
    old = memory.counter("n").add(5)
    again = Replica("ann", store=store, identity=identity).open(SCOPE)
    assert again.counter("n").value == 5
    assert again.version == memory.version
    new = again.counter("n").add(1)
    assert new.id.session != old.id.session
    other = Replica("bob").open(SCOPE)
    tell(again, other)
    assert other.counter("n").value == 6


def test_readers_leave_nothing() -> None:
    store = MemoryStore()
    memory = Replica("reader", store=store).open(SCOPE)
    assert (list(memory.set("s")), memory.counter("n").value, str(memory.text("t"))) == ([], 0, "")
    memory.changes()
    assert list(store.open(SCOPE).records()) == []


USES: dict[str, Any] = {
    "set read": lambda m: "x" in m.set("s"),
    "set list": lambda m: list(m.set("s")),
    "set write": lambda m: m.set("s").add("x"),
    "counter": lambda m: m.counter("n").value,
    "register": lambda m: m.register("r").value,
    "records": lambda m: m.records("d").get("k"),
    "sequence": lambda m: len(m.sequence("l")),
    "sequence write": lambda m: m.sequence("l").append("x"),
    "text": lambda m: str(m.text("t")),
    "text entries": lambda m: m.text("t").entries(),
    "text write": lambda m: m.text("t").append("x"),
    "change": lambda m: m.change().__enter__(),
    "changes": lambda m: m.changes(),
    "receive": lambda m: m.receive([]),
    "digest": lambda m: m.digest(),
    "conflicts": lambda m: m.conflicts(),
    "changed": lambda m: m.changed(print),
    "at": lambda m: m.at(m.version).set("s").add("x"),
}


@pytest.mark.parametrize("use", USES)
def test_a_closed_replica_says_so_whatever_is_asked(use: str) -> None:
    replica = Replica("ann")
    memory = replica.open(SCOPE)
    memory.set("s").add("before")
    pinned = memory.at(memory.version)
    replica.close()
    replica.close()
    error = CrdtmemError if use == "at" else Closed
    with pytest.raises(error, match=r"this replica has been closed; open a new one|pinned"):
        USES[use](memory)
    with pytest.raises(Closed):
        replica.open(SCOPE)
    with pytest.raises(Closed):
        list(pinned.set("s"))


def test_a_block_that_outlives_its_replica_writes_nothing() -> None:
    store = MemoryStore()
    replica = Replica("ann", store=store)
    memory = replica.open(SCOPE)
    with pytest.raises(Closed), memory.change():
        memory.set("s").add("x")
        replica.close()
    assert list(store.open(SCOPE).records()) == []


def test_closing_wakes_who_waits() -> None:
    replica, other = Replica("ann"), Replica("bob").open(SCOPE)
    memory = replica.open(SCOPE)
    other.set("s").add("x")
    woken: list[BaseException] = []

    def wait() -> None:
        try:
            memory.wait(other.version)
        except Closed as error:
            woken.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    replica.close()
    waiter.join(20)
    assert [type(error) for error in woken] == [Closed]


def run(script: str) -> str:
    """What a script prints, in a process of its own; an alarm ends it should it hang."""
    prelude = "import os, signal, sys, threading; signal.alarm(20)\nfrom crdtmem import *\n"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_a_fork_inherits_no_replica_and_opens_its_own() -> None:
    out = run("""
replica = Replica("ann")
memory = replica.open(tenant="acme")
memory.set("s").add("parent's")
def told(what):
    try:
        what()
    except Exception as error:
        print(type(error).__name__, str(error)[:40], flush=True)
if not os.fork():
    signal.alarm(10)
    told(lambda: memory.set("s").add("child's"))
    told(lambda: list(memory.set("s")))
    told(lambda: memory.changes())
    told(lambda: memory.receive([]))
    told(lambda: memory.change().__enter__())
    told(lambda: replica.open(tenant="acme"))
    replica.close()
    mine = Replica("child").open(tenant="acme")
    mine.set("s").add("child's")
    print(list(mine.set("s")), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
memory.set("s").add("parent's again")
print(len(memory.set("s")))
""")
    refused = "ForkedReplica this replica was opened before fork(); o\n"
    assert out == refused * 6 + "['child's']\n0\n2\n".replace("'child's'", '"child\'s"')


def test_a_fork_while_another_thread_writes_does_not_hang() -> None:
    out = run("""
class Slow:
    def __init__(self):
        self.kept, self.inside, self.go_on = MemoryStore(), threading.Event(), threading.Event()
    def open(self, namespace):
        self.log = self.kept.open(namespace)
        return self
    def append(self, records):
        self.inside.set()
        self.go_on.wait()
        self.log.append(records)
    def __getattr__(self, name):
        return getattr(self.log, name)
store = Slow()
memory = Replica("ann", store=store).open(tenant="acme")
writer = threading.Thread(target=lambda: memory.set("s").add("x"))
writer.start()
store.inside.wait()
if not os.fork():
    signal.alarm(5)
    for use in (lambda: memory.set("s").add("y"), memory.changes, memory.digest, lambda: memory.receive([])):
        try:
            use()
            print("no error")
        except ForkedReplica:
            print("forked", flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
store.go_on.set()
writer.join()
print(list(memory.set("s")))
""")
    assert out == "forked\n" * 4 + "0\n['x']\n"


def test_the_errors_of_a_gone_replica_are_one_family() -> None:
    assert issubclass(ForkedReplica, Closed)


def test_one_namespace_has_one_document_however_often_it_is_opened() -> None:
    replica = Replica("ann")
    memories: list[Memory] = []
    barrier = threading.Barrier(4)

    def open_() -> None:
        barrier.wait(20)
        memories.append(replica.open(Namespace(tenant="acme")))

    threads = [threading.Thread(target=open_) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for memory in memories:
        memory.counter("n").add(1)
    assert [memory.counter("n").value for memory in memories] == [4] * 4


def test_what_a_closed_replica_wrote_is_sealed_for_whoever_comes_after_with_another_key() -> None:
    store = MemoryStore()
    with Replica("ann", store=store) as replica:
        replica.open(tenant="acme").set("s").add("x")
    heir = Replica("heir", store=store).open(tenant="acme")
    other = Replica("bob").open(tenant="acme")
    assert other.receive(heir.changes()).applied == 1
