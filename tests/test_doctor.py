"""The doctor: each thing it looks at, well and not well; it says what a slow count says, and changes nothing."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from crdtmem import (
    FieldRule,
    Identity,
    Memory,
    MisuseError,
    Peer,
    Replica,
    Rules,
    Sequence,
    SqliteStore,
    View,
    retention,
    review,
)
from crdtmem.change import REGISTER, decode
from crdtmem.clock import stamp
from crdtmem.doctor import examine
from crdtmem.health import LEVELS, LIMITS, Health, Sign
from crdtmem.live import live
from crdtmem.recent import recent
from crdtmem.retention import planned, prunable
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.stories import STEPS, Step, play


def sign(health: Health, subject: str) -> Sign:
    [found] = [sign for sign in health.signs if sign.subject == subject]
    return found


def seen(memory: Memory, subject: str, **limits: Any) -> tuple[str, float | None]:
    """Level and figure of one sign; whoever is not well is told what to do."""
    found = sign(examine(memory, **limits), subject)
    assert bool(found.advice) == (found.level != "ok")
    assert found.limit is None or subject not in LIMITS or found.limit == limits.get(subject, LIMITS[subject])
    return found.level, found.figure


def subjects(memory: Memory, **limits: Any) -> set[str]:
    return {sign.subject for sign in examine(memory, **limits).signs}


# -- as a slow count says ----------------------------------------------------------------------------


@given(STEPS)
def test_recent_is_what_one_counts_by_hand(steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cid")
    for step in steps:
        play(memories, step)
    exchange(*memories)
    memory = memories[0]
    changes = [decode(record) for record in memory.changes()]
    sessions = memory._document.state.sessions
    found = recent(memory, 1000)
    assert found.records == found.changes == len(changes)
    assert found.agents == Counter(sessions[change.session].agent for change in changes)
    assert found.keys == Counter(sessions[change.session].key for change in changes)
    assert found.fields == Counter(part.field for change in changes for part in change.parts)
    assert found.settled == Counter(
        part.field
        for change in changes
        for part in change.parts
        if part.kind == REGISTER and len(part.removes) > 1  # type: ignore[union-attr]
    )
    assert found.silent == sum(all(not part.about for part in change.parts) for change in changes)
    assert found.behind == (0.0, "", "")  # everybody's clock is the same
    few = recent(memory, 3)
    assert few.records == len(changes) and few.changes == min(3, len(changes))


@given(STEPS)
@settings(max_examples=25)
def test_looking_changes_nothing_and_every_sign_makes_sense(steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cid")
    for step in steps:
        play(memories, step)
    for memory in memories:
        before = memory.version, memory.digest(), memory.changes()
        health = examine(memory)
        assert (memory.version, memory.digest(), memory.changes()) == before
        assert health.version == memory.version and health.namespace == SCOPE
        assert len({sign.subject for sign in health.signs}) == len(health.signs)
        assert health.level == max((one.level for one in health.signs), key=LEVELS.index)
        assert all(bool(one.advice) == (one.level != "ok") for one in health.signs)
        assert str(health).count("\n") == len(health.signs) - 1
        assert {one["subject"] for one in health.data()["signs"]} == {one.subject for one in health.signs}


def test_beside_an_owner_it_touches_no_file(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "ann.db") as replica:
        memory = replica.open(SCOPE)
        for n in range(300):
            memory.set("s").add(n)
        before = _files(tmp_path)
        with SqliteStore(tmp_path / "ann.db", readonly=True) as store, Replica("reader", store=store) as reader:
            looking = reader.open(SCOPE)
            memory.counter("n").add(1)  # it goes on meanwhile; the reader has not seen that
            since = _files(tmp_path)
            health = examine(looking)
            assert health.level != "bad" and "whole: 300 changes" in sign(health, "integrity").says
        assert _files(tmp_path) == since and before.keys() == since.keys()
        assert memory.counter("n").value == 1


def _files(folder: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in os.listdir(folder)
        if not name.endswith("-shm")  # SQLite's: readers sign in there
    }


# -- each thing it looks at ------------------------------------------------------------------------


def test_damage_is_bad_until_it_is_back_and_then_worth_a_note(tmp_path: Path) -> None:
    bob = alone("bob")
    with Replica("ann", store=tmp_path / "ann.db") as replica:
        memory = replica.open(SCOPE)
        for n in range(20):
            memory.set("s").add(n)
        tell(memory, bob)
        assert seen(memory, "integrity") == ("ok", None)
        memory._document.log._store.db.execute("UPDATE changes SET core = x'00' WHERE seq = 10")  # type: ignore[attr-defined]
        assert seen(memory, "integrity") == ("bad", 1)
        assert examine(memory).level == "bad"
        memory.receive(bob.changes())
        assert seen(memory, "integrity") == ("note", 1)


def test_a_store_copied_while_it_ran_shows_as_a_fork() -> None:
    from tests.test_archive import forked

    assert seen(forked(), "forks") == ("warn", 1)
    assert "forks" not in subjects(alone())


def test_a_newer_format_is_bad() -> None:
    memory = alone()
    assert "format" not in subjects(memory)
    memory._document.inbox.newer = 2
    assert seen(memory, "format") == ("bad", 2)


def test_checkpoints_are_told_with_their_age_and_what_lies_behind() -> None:
    clock = Time()
    memory = Replica("ann", time=clock).open(SCOPE)
    for n in range(10):
        memory.counter("n").add(n)
    assert seen(memory, "checkpoint", checkpoint=10) == ("ok", 10)
    assert seen(memory, "checkpoint", checkpoint=9) == ("warn", 10)
    memory.checkpoint()
    memory.counter("n").add(1)
    clock.passes(7200)
    assert seen(memory, "checkpoint", checkpoint=0) == ("warn", 1)
    assert "the newest is 2.0 h old" in sign(examine(memory), "checkpoint").says


def test_a_log_that_outgrows_what_it_shows_is_told_once_it_is_long() -> None:
    memory = alone()
    for n in range(20_001):
        memory.register("r").assign(n)
    assert seen(memory, "growth") == ("warn", 20_001)
    assert seen(memory, "growth", growth=20_001)[0] == "ok"
    assert seen(alone(), "growth") == ("ok", 0)


def test_growth_a_day_and_a_context_that_fills_up() -> None:
    clock = Time()
    memory = Replica("ann", time=clock).open(SCOPE)
    for day in range(10):
        for n in range(30):
            memory.set("facts").add(f"On day {day} fact {n} was found to be so.")
        clock.passes(86_400)
    found = examine(memory)
    assert "33 changes a day" in sign(found, "growth").says
    level, need = seen(memory, "context")
    assert level == "note" and need is not None  # 30 days from now it would not fit
    assert "more a day it passes 32,000 in " in sign(found, "context").says
    assert seen(memory, "context", context=need - 1)[0] == "note"
    assert seen(memory, "context", context=need / 11)[0] == "warn"
    clock.passes(30 * 86_400)
    assert seen(memory, "context")[0] == "ok"  # nothing has come for weeks
    assert not View(memory, tokens=int(need * 1.3)).left_out
    assert View(memory, tokens=int(need * 0.5)).left_out


def test_old_changes_that_could_go() -> None:
    clock = Time()
    memory = Replica("ann", time=clock).open(SCOPE)
    for n in range(100):
        memory.set("s").add(n)
    clock.passes(100 * 86_400)
    for n in range(50):
        memory.set("s").add(n)
    level, size = seen(memory, "old", old=10)
    assert level == "note" and size == pytest.approx(recent(memory, 0).size * 100 / 150, rel=0.05)
    assert "older than 90 days: 100 changes" in sign(examine(memory), "old").says
    assert prunable(memory._document, clock() - 1) == 100 and prunable(memory._document, 0) == 0
    count, bytes_ = planned(memory._document, None, 30)
    assert count == 120 and 0 < bytes_ < recent(memory, 0).size
    assert memory.prune(keep=30).changes == 120
    assert planned(memory._document, None, 30) == (0, 0)
    assert "older than 90 days: 0 changes" in sign(examine(memory), "old").says
    assert prunable(alone()._document, 0) == 0


def test_in_an_owned_memory_its_owner_settles_first() -> None:
    clock = Time()
    memory = Replica("boss", time=clock).own(tenant="acme", rules=Rules(fields={"s": FieldRule("set")}))
    for n in range(20):
        memory.set("s").add(n)
    clock.passes(100 * 86_400)
    assert seen(memory, "old", old=10)[0] == "note" and "old" not in subjects(memory)
    memory.settle(why="all of it was reviewed")
    assert "older than 90 days: 21 changes" in sign(examine(memory), "old").says


def test_a_field_that_everybody_writes_is_hot_and_one_where_they_collide_contested() -> None:
    ann, bob = crew("ann", "bob")
    for n in range(100):
        ann.register("status").assign(n)
        bob.register("status").assign(-n)
        tell(ann, bob)
        bob.register("status").assign("settled")
        tell(bob, ann)
    assert seen(ann, "hot") == ("note", 1.0)
    level, share = seen(ann, "contested")
    assert level == "warn" and share == pytest.approx(1 / 3, abs=0.01)
    for n in range(300):
        ann.set("s").add(n)
    assert seen(ann, "hot") == ("ok", 0.5)
    assert seen(ann, "hot", hot=0.4)[0] == "note"
    assert "contested" not in subjects(alone())


def test_of_few_changes_shares_say_nothing() -> None:
    memory = alone()
    for n in range(199):
        memory.register("r").assign(n)
    assert not {"hot", "single", "reasons"} & subjects(memory)
    memory.register("r").assign(199)
    assert {"hot", "single", "reasons"} <= subjects(memory)


def test_a_clock_ahead_of_this_one_is_told_with_its_name() -> None:
    clock, fast = Time(), Time()
    ann, bob = (Replica(name, time=time).open(SCOPE) for name, time in (("ann", clock), ("bob", fast)))
    fast.passes(30)
    bob.set("s").add(1)
    tell(bob, ann)
    assert seen(ann, "skew") == ("ok", 30.0)
    assert seen(ann, "skew", skew=29) == ("warn", 30.0)
    fast.passes(3600)
    bob.set("s").add(2)
    tell(bob, ann)
    found = sign(examine(ann), "skew")
    assert found.level == "warn" and "'bob' stamps 60.5 min ahead of this clock" in found.says


def test_a_clock_that_was_ahead_once_is_told_by_who_had_seen_it() -> None:
    clock, fast = Time(), Time()
    ann, bob = (Replica(name, time=time).open(SCOPE) for name, time in (("ann", clock), ("bob", fast)))
    fast.passes(3600)
    bob.set("s").add(1)
    tell(bob, ann)
    ann.set("s").add(2)  # after bob's, and stamped an hour before it: her clock does not follow
    clock.passes(86_400)
    found = sign(examine(ann), "skew")
    assert found.level == "warn" and found.figure == 3600
    assert "'bob' stamps 60.0 min later than 'ann', who had seen it already" in found.says


def test_what_waits_what_is_refused_and_what_is_owed(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob")
    for n in range(5):
        ann.set("s").add(n)
    records = ann.changes()
    bob.receive(records[2:])
    assert seen(bob, "waiting") == ("note", 3)
    assert seen(bob, "waiting", behind=2)[0] == "warn"
    bob.receive([*records, b"garbage"])
    found = subjects(bob)
    assert "waiting" not in found and "refused" in found and "history" not in found
    assert seen(bob, "refused") == ("note", 1)


def test_history_on_its_way_is_told() -> None:
    from crdtmem.feed import Feed

    giver, taker = crew("ann", "bob")
    for n in range(20):
        giver.set("s").add(n)
    Feed(taker).take_over(b"".join(Feed(giver).hand_over()))
    assert seen(taker, "history") == ("note", 20)


def test_peers_are_asked_how_far_behind_they_are(tmp_path: Path) -> None:
    ann, bob = crew("ann", "bob", time=Time())
    ann.set("s").add(1)
    with Peer(ann, meet=tmp_path / "m").blocking() as one, Peer(bob, meet=tmp_path / "m").blocking() as other:
        other.synced(timeout=30)
        assert one.behind() == {"bob": 0} and one.behind(memory=ann) == {"bob": 0}
        with pytest.raises(MisuseError, match="is not shared by this peer"):
            one.behind(memory=Replica("x").open(tenant="other"))
        health = examine(ann, peers=one.behind())
    assert sign(health, "behind").level == "ok" and "behind" not in subjects(ann)
    late = sign(examine(ann, peers={"bob": 0, "cid": 12_000}), "behind")
    assert (late.level, late.figure) == ("warn", 12_000) and "'cid' has 12,000 changes" in late.says


def test_open_conflicts_and_findings_are_told_with_their_age() -> None:
    clock = Time()
    ann, bob = (Replica(name, time=clock).open(SCOPE) for name in ("ann", "bob"))
    ann.register("status").assign("open")
    bob.register("status").assign("closed")
    ann.set("facts").add("The port of gate-3 is 8080.")
    bob.set("facts").add("The port of gate-3 is 9090.")
    tell(bob, ann)
    assert seen(ann, "conflicts") == ("note", 1) and seen(ann, "findings") == ("ok", 0)
    review(ann).file()
    assert seen(ann, "findings")[0] == "note"
    clock.passes(90_000)
    assert seen(ann, "conflicts") == ("warn", 1)
    assert seen(ann, "conflicts", conflicts=100_000)[0] == "note"
    assert sign(examine(ann), "findings").level == "warn"
    ann.register("status").assign("closed")
    assert seen(ann, "conflicts") == ("ok", 0)


def test_what_rests_on_what_was_retracted_is_told() -> None:
    ann = alone("ann")
    source = ann.set("sources").add("crm.csv")
    ann.register("brief").assign("3.1 %", because=[source])
    assert seen(ann, "tainted") == ("ok", 0)
    ann.retract(source, why="last year's")
    assert seen(ann, "tainted") == ("warn", 1)
    assert seen(ann, "tainted", tainted=1)[0] == "ok"


def test_a_memory_that_is_secretly_single_writer_is_told_so() -> None:
    ann, bob = crew("ann", "bob")
    for n in range(300):
        ann.set("s").add(n)
    for n in range(3):
        bob.set("s").add(-n)
    tell(bob, ann)
    found = sign(examine(ann), "single")
    assert found.level == "note" and found.figure == pytest.approx(300 / 303, abs=1e-4)
    assert "'ann' made 99%" in found.says and "readonly=True" in found.advice
    for n in range(100):
        bob.set("s").add(f"b{n}")
    tell(bob, ann)
    assert seen(ann, "single")[0] == "ok"
    assert sign(examine(ann, window=50), "integrity").says  # a window of few changes says nothing of shares
    assert "single" not in subjects(ann, window=50)


def test_many_agents_of_one_process_need_no_replication() -> None:
    memory = alone("crew")
    for n in range(300):
        memory.acting_as(f"agent{n % 5}").set("s").add(n)
    found = sign(examine(memory), "single")
    assert found.level == "note" and "5 agents of one process made 100%" in found.says


def test_reasons() -> None:
    memory = alone()
    for n in range(200):
        memory.set("s").add(n, why="because" if n % 2 else None)
    assert seen(memory, "reasons") == ("ok", 0.5)
    with memory.change(why="all at once"):
        memory.set("s").add("x")
    for n in range(10):
        memory.set("s").add(-n)
    assert seen(memory, "reasons")[0] == "note"


def test_an_audit_that_nobody_asks(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "ann.db") as replica:
        memory = replica.open(SCOPE)
        for n in range(20):
            memory.set("s").add(n)
        assert seen(memory, "unread") == ("ok", 20)
        assert not (tmp_path / "ann.db-index").exists()  # looking whether it was asked does not ask it
        memory.audit(last=1)
        assert seen(memory, "unread") == ("ok", 0)
        for n in range(7):
            memory.set("s").discard(n)
        assert seen(memory, "unread", unread=6) == ("note", 7)
        with SqliteStore(tmp_path / "ann.db", readonly=True) as store, Replica("reader", store=store) as reader:
            looking = reader.open(SCOPE)
            looking.audit(last=1)  # beside the owner: that leaves no trace
            assert seen(looking, "unread") == ("ok", 7)
    assert "unread" not in subjects(alone())  # in memory nobody can tell


def test_sessions_pile_up() -> None:
    memory = alone("ann")
    for n in range(12):
        other = alone(f"o{n}")
        other.set("s").add(n)
        tell(other, memory)
    assert seen(memory, "sessions", sessions=11) == ("warn", 12)
    assert seen(memory, "sessions") == ("ok", 12)


# -- limits and alerts -----------------------------------------------------------------------------


def test_limits_have_names() -> None:
    with pytest.raises(MisuseError, match=r"no limit is called 'confilcts'; there are checkpoint, growth, hot"):
        examine(alone(), confilcts=3)  # type: ignore[call-arg]
    with pytest.raises(MisuseError, match="pinned"):
        memory = alone()
        examine(memory.at(memory.version))


def test_an_alert_is_of_what_passed_a_limit_and_of_nothing_else() -> None:
    told: list[Health] = []
    hear: Callable[[Health], object] = told.append
    ann, bob = crew("ann", "bob", time=Time())
    examine(ann, alert=hear)
    assert told == []
    ann.register("r").assign(1)
    bob.register("r").assign(2)
    tell(bob, ann)
    assert examine(ann, alert=hear).level == "note" and told == []
    health = examine(ann, alert=hear, conflicts=0)
    assert told == [health] and [one.subject for one in health.alerts] == ["conflicts"]


def test_live_counts_every_kind_of_entry_once() -> None:
    memory = alone()
    memory.set("s").add(1)
    memory.counter("n").add(1)
    memory.counter("n").add(1)
    memory.register("r").assign(1)
    memory.records("d").put("k", 1)
    rows: Sequence[Any] = memory.sequence("q")
    rows.extend([1, 2])
    memory.text("t").append("one")
    assert live(memory).entries == 7


def test_a_key_of_its_own_is_not_needed(tmp_path: Path) -> None:
    """Whoever looks needs no identity: a reader has one of its own."""
    path = tmp_path / "ann.db"
    with Replica("ann", store=path) as replica:
        replica.open(SCOPE).set("s").add(1)
    with SqliteStore(path, readonly=True) as store, Replica("r", store=store, identity=Identity()) as reader:
        assert examine(reader.open(SCOPE)).level == "ok"


def test_a_dry_run_says_what_a_prune_does() -> None:
    clock = Time()
    memory = Replica("ann", time=clock).open(SCOPE)
    for n in range(40):
        memory.set("s").add(n)
        clock.passes(3600)
    before = datetime.fromtimestamp(clock(), UTC) - timedelta(hours=10)
    count, _ = retention.planned(memory._document, stamp(before) & ~0xFFFF, 15)
    assert memory.prune(older_than=timedelta(hours=10), keep=15).changes == count == 25
