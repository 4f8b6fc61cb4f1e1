"""What a change had seen, found by walking the log back: right whatever happened to the log, and never a long walk."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtmem import Identity, Memory, MemoryStore, Namespace, Replica
from crdtmem.change import Change, decode
from crdtmem.state import State
from crdtmem.store import Log
from tests.crew import SCOPE, tell, tick
from tests.test_retention import act

KEY = Identity(bytes(32))
Seen = dict[bytes, int]


def opened(store: Any) -> tuple[Replica, Memory]:
    """The next process over a store: its sessions are new ones."""
    replica = Replica("agent", store=store, identity=KEY, time=tick)
    return replica, replica.open(SCOPE)


def closure(changes: dict[tuple[bytes, int], Change], marks: Seen) -> Seen:
    """All that some changes had seen, found the plain way."""
    seen: Seen = {}
    ahead = list(marks.items())
    while ahead:
        session, upto = ahead.pop()
        for seq in range(seen.get(session, 0) + 1, upto + 1):
            ahead += [dep[:2] for dep in changes[session, seq].deps]
        seen[session] = max(upto, seen.get(session, 0))
    return seen


def state(memory: Memory) -> State:
    found: Any = memory._document.state
    return found


@pytest.mark.parametrize("seed", range(40))
def test_it_finds_what_changes_had_seen_over_restarts_and_pruning(seed: int, tmp_path: Path) -> None:
    lived(seed, tmp_path / "agent.db")


def lived(seed: int, path: Path | None = None) -> None:
    """Three stores that processes come and go over; after each step, some pasts are found and compared."""
    rng = Random(seed)
    stores: list[Any] = [MemoryStore(), path or MemoryStore(), MemoryStore()]
    sites = [opened(store) for store in stores]
    known: list[list[bytes]] = [[], [], []]
    changes: dict[tuple[bytes, int], Change] = {}
    for n in range(rng.randrange(20, 90)):
        who, other = rng.randrange(3), rng.randrange(3)
        replica, memory = sites[who]
        if rng.random() < 0.25:
            sites[other][1].receive(known[who])
            known[other] += [record for record in known[who] if record not in known[other]]
            continue
        before = memory.version
        act(rng, memory, n)
        made = memory.changes(before)
        known[who] += made
        changes |= {(change.session, change.seq): change for change in map(decode, made)}
        what = rng.random()
        if what < 0.05:
            memory.prune(keep=rng.randrange(8))
        elif what < 0.15:
            memory.checkpoint()
        elif what < 0.35:
            if what < 0.25 or who == 1:
                replica.close()
            _, memory = sites[who] = opened(stores[who])
        here = state(memory).sessions
        for _ in range(3 if here else 0):
            some = rng.sample(list(here), rng.randrange(len(here)) % 3 + 1)
            asked = {id: rng.randrange(1, here[id].seq + 1) for id in some}
            marks = dict(asked)
            beyond = state(memory).beyond(marks)
            expected = closure(changes, asked)
            assert {id: seq for id, seq in marks.items() if seq} == expected
            assert {kept[:2] for _, kept in beyond} == {
                (id, seq) for id, writer in here.items() for seq in range(expected.get(id, 0) + 1, writer.seq + 1)
            }


class Counting:
    """A log that counts the records that are read from it backwards."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.steps = self.reads = 0

    def read(self, session: bytes, seq: int) -> Any:
        self.reads += 1
        return self._log.read(session, seq)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def backwards(self, before: int | None = None) -> Any:
        for step in self._log.backwards(before):
            self.steps += 1
            yield step


def counted(memory: Memory) -> Counting:
    here: Any = state(memory)
    here._log = Counting(here._log)
    return here._log  # type: ignore[no-any-return]


@pytest.mark.parametrize("reopened", ["as it stands", "from a checkpoint"])
def test_a_concurrent_edit_walks_back_to_where_its_author_had_seen_all_and_no_further(reopened: str) -> None:
    store = MemoryStore()
    for n in range(30):  # many sessions that are over
        _, memory = opened(store)
        for m in range(10):
            memory.text("t").append(f"{n} {m}")
    _, other = opened(MemoryStore())
    tell(memory, other)
    if reopened == "from a checkpoint":
        memory.checkpoint()
        _, memory = opened(store)
    log = counted(memory)
    for _ in range(20):
        memory.text("t").append("here")
        before = other.version
        other.text("t").insert(0, "there")
        memory.receive(other.changes(before))
    assert log.steps <= 2 * (1 + 20)  # its first edit looks back at what it has not seen; the others know
    assert log.steps > 0
    version = memory.version
    memory.text("t").append("and on")
    log.steps = 0
    assert len(memory.changes(version)) == 1
    memory.at(version)
    assert log.steps <= 10
    exchanged = tell(memory, other)
    assert exchanged.waiting == 0
    assert other.digest() == memory.digest()


def test_two_who_write_all_the_time_never_walk_far() -> None:
    (_, ann), (_, bob) = opened(MemoryStore()), opened(MemoryStore())
    ann.text("t").append("both")
    tell(ann, bob)
    log = counted(ann)
    for n in range(300):  # each has always seen all but the other's last: there never is a single head
        version = bob.version
        bob.text("t").insert(0, f"bob {n}")
        news = bob.changes(version)
        version = ann.version
        ann.text("t").insert(0, f"ann {n}")
        bob.receive(ann.changes(version))
        ann.receive(news)
    assert 0 < log.steps <= 5 * 300
    assert ann.digest() == bob.digest()
    assert max(len(session.whole) for session in state(ann).sessions.values()) <= 32


class Counted:
    """A store whose logs count."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.logs: list[Counting] = []

    def open(self, namespace: Namespace) -> Any:
        self.logs.append(Counting(self._store.open(namespace)))
        return self.logs[-1]

    def close(self) -> None:
        pass


def test_opening_walks_back_from_where_it_has_come_to_and_not_from_the_end() -> None:
    store = MemoryStore()
    (_, ann), (_, bob) = opened(store), opened(MemoryStore())
    ann.text("t").append("both")
    tell(ann, bob)
    for n in range(300):
        version = bob.version
        bob.text("t").insert(0, f"bob {n}")
        news = bob.changes(version)
        version = ann.version
        ann.text("t").insert(0, f"ann {n}")
        bob.receive(ann.changes(version))
        ann.receive(news)
    counted = Counted(store)
    _, again = opened(counted)
    assert again.digest() == ann.digest()
    assert 0 < sum(log.steps + log.reads for log in counted.logs) <= 5 * 300


def test_a_team_that_hears_of_each_other_late_never_walks_far() -> None:
    team = [opened(MemoryStore())[1] for _ in range(6)]
    log = counted(team[0])
    due: list[list[tuple[int, list[bytes]]]] = [[] for _ in range(20)]  # what arrives so many rounds later
    for n in range(60):
        due.append([])
        for who, memory in enumerate(team):
            version = memory.version
            memory.text("t").insert(0, f"{who} {n}")
            due[-1].append((who, memory.changes(version)))
        for who, changes in due.pop(0):
            for memory in team:
                if memory is not team[who]:
                    memory.receive(changes)
    assert log.steps + log.reads <= 20 * 60 * len(team)
    for changes in due:
        for _, some in changes:
            for memory in team:
                memory.receive(some)
    assert len({memory.digest() for memory in team}) == 1
