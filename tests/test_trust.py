"""Owned namespaces: who may write what, the same verdict everywhere and before anything is written; cuts."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmem import (
    FieldRule,
    Identity,
    Memory,
    MemoryStore,
    MisuseError,
    Namespace,
    QuotaExceeded,
    Replica,
    Rules,
    RulesRefused,
    StoreError,
    UpgradeNeeded,
    ValueRefused,
)
from crdtmem.change import REGISTER, SET, Change, Intro, Keyed, compose, record
from crdtmem.identity import fingerprint, session_id
from crdtmem.owning import decree
from crdtmem.trust import CUTS, RULES, Trust
from crdtmem.values import freeze
from tests.crew import Time, tick


class Signer:
    """One key, in a session that writes whatever it is told to."""

    def __init__(self, scope: Namespace, identity: Identity, agent: str, role: str | None = None) -> None:
        self.identity, self.scope = identity, scope.digest
        self.intro = Intro(identity.key, agent, role, bytes(16))
        self.session = session_id(self.scope, self.intro)
        self.last: Change | None = None

    def write(self, *parts: Any, rules: bytes | None, actor: Any = None, seen: Memory | None = None) -> bytes:
        seq, prev = (1, b"") if self.last is None else (self.last.seq + 1, self.last.hash)
        deps = () if seen is None else tuple(h for h in seen.version.heads if h.session != self.session)
        intro = self.intro if seq == 1 else None
        self.last = compose(self.scope, self.session, seq, prev, deps, intro, 1, actor, parts, rules)
        return record(self.last.core, self.identity.sign(self.last.hash))


def says(value: Any, field: str = "s", kind: int = SET) -> Keyed:
    return Keyed(kind, field, None, ((freeze(value),),), ())


@pytest.fixture
def crew() -> tuple[Memory, Memory, Memory]:
    """The owner, and two that the rules know."""
    return team()


def team(**rules: Any) -> tuple[Memory, Memory, Memory]:
    ann, bob = (Replica(name, time=tick) for name in ("ann", "bob"))
    agents = {ann.identity.key: ("ann", ["writer"]), bob.identity.key: "bob"}
    boss = Replica("boss", time=tick).own(tenant="acme", rules=Rules(agents=agents, **rules))
    others = [replica.open(boss.namespace) for replica in (ann, bob)]
    for memory in others:
        memory.receive(boss.changes())
    return boss, others[0], others[1]


def share(*memories: Memory) -> None:
    for _ in range(2):
        for giver in memories:
            for taker in memories:
                if giver is not taker:
                    taker.receive(giver.changes())
    assert len({memory.digest() for memory in memories}) == 1
    assert len({memory.version for memory in memories}) == 1


def current(memory: Memory) -> bytes:
    trust = memory._document.state.trust
    assert trust is not None and trust.current is not None
    return trust.current


# -- whose it is -------------------------------------------------------------------------------------


def test_the_owner_is_part_of_the_namespace() -> None:
    boss = Replica("boss")
    memory = boss.own(tenant="acme", task="brief", rules=Rules())
    assert memory.namespace.owner == fingerprint(boss.identity.key)
    assert memory.namespace != Namespace(tenant="acme", task="brief")
    assert memory.namespace.digest != Namespace(tenant="acme", task="brief").digest
    again = Replica("ann").open(tenant="acme", task="brief", owner=memory.namespace.owner)
    assert again.namespace == memory.namespace
    assert Namespace(tenant="acme").covers(memory.namespace)
    assert not memory.namespace.covers(Namespace(tenant="acme", task="brief"))


def test_an_owned_memory_in_a_file_is_found_again(tmp_path) -> None:
    with Replica("boss", store=tmp_path / "boss.db") as boss:
        memory = boss.own(tenant="acme", rules=Rules(schema=4))
        memory.set("s").add(1)
        scope = memory.namespace
    with Replica("boss", store=tmp_path / "boss.db") as boss:
        memory = boss.open(scope)
        assert memory.rules is not None and memory.rules.schema == 4
        assert boss.own(tenant="acme", rules=Rules(schema=4)).version == memory.version  # nothing to be written
        assert list(memory.set("s")) == [1]


def test_own_writes_successors_and_nobody_else_can(crew) -> None:
    boss, ann, _ = crew
    first = current(boss)
    owner = boss._document
    assert owner.state.trust is not None
    ann_rules = Keyed(*RULES, None, ((freeze(Rules(closed=True).wire()),),), ())
    forged = Signer(boss.namespace, Identity(), "boss")
    got = boss.receive([forged.write(ann_rules, rules=first)])
    assert "only the owner" in got.refused[0].reason
    assert current(boss) == first
    for act in (
        lambda: ann.revoke("bob", since=None, why="mine"),
        lambda: ann.demote("bob", "s", since=None, why="mine"),
        lambda: ann.settle(),
    ):
        with pytest.raises(RulesRefused, match="only the owner"):
            act()
    open_one = Replica("x").open(tenant="acme")
    assert open_one.rules is None
    with pytest.raises(MisuseError, match="own"):
        open_one.settle()


def test_names_are_verified_only_where_the_rules_bind_the_key(crew) -> None:
    boss, ann, _ = crew
    assert boss.set("s").add(1).verified
    assert ann.set("s").add(2).verified
    stranger = Replica("eve").open(boss.namespace)
    stranger.receive(boss.changes())
    assert not stranger.set("s").add(3).verified
    share(boss, ann, stranger)
    assert {e.by: e.verified for e in boss.set("s").entries()} == {"boss": True, "ann": True, "eve": False}
    boss.checkpoint()
    assert not Replica("ann").open(tenant="acme").set("s").add(1).verified


@pytest.mark.parametrize(
    ("agent", "role", "why"),
    [("boss", None, "know this key as 'ann'"), ("ann", "lead", "claims the role"), ("writer", None, "know this key")],
)
def test_nobody_takes_another_name_or_role(crew, agent, role, why) -> None:
    boss, ann, _ = crew
    liar = ann.acting_as(agent, role)
    with pytest.raises(RulesRefused, match=why):
        liar.set("s").add(1)
    assert not ann._document.state.sessions.get(ann._document.session and ann._document.session.id)
    mallory = Signer(boss.namespace, Identity(), agent if agent != "ann" else "eve", "writer" if role else None)
    got = boss.receive([mallory.write(says("x"), rules=current(boss))])
    assert "gives to another key" in got.refused[0].reason or "rules give to another" in got.refused[0].reason
    assert not boss.set("s")


def test_before_the_rules_are_here_nothing_is_written(crew) -> None:
    boss, _, _ = crew
    late = Replica("late").open(boss.namespace)
    with pytest.raises(RulesRefused, match="not here yet"):
        late.set("s").add(1)


# -- fields ------------------------------------------------------------------------------------------

FIELDS = {
    "plan": FieldRule("text", writers=["writer"]),
    "log": FieldRule("sequence", append_only=True),
    "facts": FieldRule("records", append_only=True),
    "spent": FieldRule("counter", writers=["bob"], single_writer=True),
    "open": FieldRule("set"),
}
REFUSED = [
    (lambda m: m.text("plan").append("x"), "only writer may"),
    (lambda m: m.counter("spent").add(1), None),
    (lambda m: m.set("plan").add(1), "declare a text of that name, not a set"),
    (lambda m: m.set("else").add(1), "no such field"),
    (lambda m: m.sequence("log").remove(0), "append-only"),
    (lambda m: m.sequence("log").move(0, 1), "append-only"),
    (lambda m: m.records("facts").put("a", 2), "append-only"),
    (lambda m: m.records("facts").delete("a"), "append-only"),
]


@pytest.mark.parametrize(("act", "why"), REFUSED)
def test_the_writer_is_refused_before_anything_is_written(act, why) -> None:
    boss, ann, bob = team(fields=FIELDS, closed=True)
    ann.sequence("log").extend([1, 2])
    ann.records("facts").put("a", 1)
    share(boss, ann, bob)
    before = bob.version, bob.digest()
    if why is None:
        act(bob)
        with pytest.raises(RulesRefused, match="only bob"):
            act(ann)
        return
    with pytest.raises(RulesRefused, match=why):
        act(bob)
    assert (bob.version, bob.digest()) == before


@pytest.mark.parametrize(("act", "why"), [case for case in REFUSED if case[1]])
def test_every_replica_says_the_same_of_one_who_asks_nobody(act, why, monkeypatch) -> None:
    boss, ann, bob = team(fields=FIELDS, closed=True)
    ann.sequence("log").extend([1, 2])
    ann.records("facts").put("a", 1)
    share(boss, ann, bob)
    digest = boss.digest()
    with monkeypatch.context() as patched:
        patched.setattr(Trust, "check", lambda *_: None)
        act(bob)
    got = boss.receive(bob.changes())
    assert got.applied == 1
    assert why in got.refused[0].reason
    assert boss.digest() == digest == bob.digest()
    share(boss, ann, bob)
    assert boss.audit(by="bob")[-1].action == "voided"
    with_some = Replica("late").open(boss.namespace)
    with_some.receive(boss.changes())
    assert with_some.digest() == digest


def test_one_part_may_be_void_and_the_other_hold(monkeypatch) -> None:
    boss, _, bob = team(fields=FIELDS)
    monkeypatch.setattr(Trust, "check", lambda *_: None)
    with bob.change():
        bob.set("open").add(1)
        bob.text("plan").append("mine now")
    monkeypatch.undo()
    boss.receive(bob.changes())
    assert list(boss.set("open")) == [1]
    assert str(boss.text("plan")) == ""
    assert boss.digest() == bob.digest()


def test_rules_give_reading_its_defaults() -> None:
    time = Time()
    rules = Rules(fields={"note": FieldRule("register", ttl=60), "best": FieldRule("register", resolve="confident")})
    memory = Replica("boss", time=time).own(tenant="acme", rules=rules)
    assert memory.register("note").assign("soon gone").ttl == 60
    assert memory.register("note").assign("soon gone", ttl=5).ttl == 5
    time.passes(6)
    assert memory.register("note").value is None
    other = Replica("boss", identity=memory._document._identity, time=time).open(memory.namespace)
    other.receive(memory.changes())
    memory.register("best").assign("sure", confidence=0.9)
    other.register("best").assign("later", confidence=0.1)
    memory.receive(other.changes())
    assert memory.register("best").value == "sure"
    assert sorted(memory.register("best", resolve="append").value) == ["later", "sure"]


def test_a_field_that_has_moved_says_where() -> None:
    memory = Replica("boss").own(tenant="acme", rules=Rules(closed=True, schema=2, migrations={"todo": "tasks"}))
    with pytest.raises(RulesRefused, match="since schema 2 it is 'tasks'"):
        memory.set("todo").add(1)


def test_in_an_append_only_field_a_retraction_takes_nothing_out() -> None:
    boss, ann, _ = team(fields=FIELDS)
    entry = ann.sequence("log").append("wrong")
    rests = ann.set("open").add("x", because=[entry])
    ann.retract(entry, why="misread")
    assert list(ann.sequence("log")) == ["wrong"]
    assert rests.tainted
    share(boss, ann)


def test_a_change_waits_for_the_rules_it_names_and_is_judged_by_them(crew) -> None:
    boss, ann, bob = crew
    old = current(boss)
    ann.set("s").add("under the old rules")
    strict = Rules(agents=boss.rules.agents, closed=True)
    owner = Replica("boss", identity=boss._document._identity)
    again = owner.open(boss.namespace)
    again.receive(boss.changes())
    owner.own(tenant="acme", rules=strict)
    assert current(again) != old
    got = again.receive(ann.changes())
    assert not got.refused
    assert "under the old rules" in again.set("s")
    with pytest.raises(RulesRefused, match="no such field"):
        again.set("s").add("under the new ones")
    bob.receive(again.changes())
    signer = Signer(boss.namespace, bob._document._identity, "bob")
    new = signer.write(says("named"), rules=current(again))
    fresh = Replica("fresh").open(boss.namespace)
    assert fresh.receive([new]).waiting == 1
    assert fresh.receive(again.changes()).waiting == 0
    assert "named" not in fresh.set("s")  # the rules it names are closed


def test_of_two_successors_the_lower_hash_is_current_everywhere(crew) -> None:
    boss, ann, _ = crew
    twin = Replica("boss", identity=boss._document._identity)
    other = twin.open(boss.namespace)
    other.receive(boss.changes())
    twin.own(tenant="acme", rules=Rules(agents=boss.rules.agents, schema=2))
    mine = Rules(agents=boss.rules.agents, schema=3)
    decree(boss, mine, "apart")
    share(boss, other, ann)
    hashes = boss._document.state.trust.book
    tips = [hash for hash in hashes if not any(named == hash for named, _ in hashes.values())]
    assert len(tips) == 2
    assert current(boss) == current(ann) == current(other) == min(tips)


def test_one_that_names_no_rules_or_what_is_none_holds_nowhere(crew) -> None:
    boss, ann, _ = crew
    signer = Signer(boss.namespace, ann._document._identity, "ann")
    got = boss.receive([signer.write(says(1), rules=None)])
    assert "names no rules" in got.refused[0].reason
    got = boss.receive([signer.write(says(2), rules=ann.version.heads[0].hash[::-1])])
    assert got.waiting == 1
    assert not boss.set("s")


def test_rules_of_a_newer_format_make_it_read_only(crew) -> None:
    boss, ann, _ = crew
    told = {**boss.rules.wire(), "format": 2}
    signer = Signer(boss.namespace, boss._document._identity, "boss")
    new = signer.write(Keyed(*RULES, None, ((freeze(told),),), ()), rules=current(boss))
    assert ann.receive([new]).waiting == 1
    with pytest.raises(UpgradeNeeded):
        ann.set("s").add(1)


def test_what_the_owner_says_badly_changes_nothing(crew) -> None:
    boss, ann, _ = crew
    signer = Signer(boss.namespace, boss._document._identity, "boss")
    before = current(ann)
    parts = [
        Keyed(*RULES, None, ((freeze({"format": 1}),),), ()),
        Keyed(*CUTS, None, ((freeze(["who", None, [], ""]),),), ()),
        Keyed(*CUTS, None, ((freeze([bytes(32), None, [[1, 2]], ""]),),), ()),
        Keyed(REGISTER, "@settled", None, ((freeze(7),),), ()),
    ]
    for part in parts:
        assert ann.receive([signer.write(part, rules=before)]).applied == 1
    assert current(ann) == before
    assert not ann._document.state.trust.cuts
    assert ann.set("s").add(1).verified


# -- quotas ------------------------------------------------------------------------------------------


def test_a_runaway_writer_is_stopped_and_the_others_notice_nothing() -> None:
    time = Time()
    boss, ann = Replica("boss", time=time), Replica("ann", time=time)
    memory = boss.own(tenant="acme", rules=Rules(agents={ann.identity.key: "ann"}, changes_per_minute=10))
    mine = ann.open(memory.namespace)
    mine.receive(memory.changes())
    with pytest.raises(QuotaExceeded, match="10 changes a minute"):
        for n in range(20):
            mine.set("s").add(n)
    assert len(mine.set("s")) == 10
    memory.receive(mine.changes())
    memory.set("s").add("boss goes on")
    time.passes(7)
    mine.set("s").add("so does ann")
    with pytest.raises(QuotaExceeded):
        mine.set("s").add("not twice")


def test_bytes_are_counted_too() -> None:
    memory = Replica("boss", time=Time()).own(tenant="acme", rules=Rules(bytes_per_minute=4096))
    with pytest.raises(QuotaExceeded, match="4,096 bytes"):
        for n in range(100):
            memory.set("s").add(f"{n}" * 500)
    assert 1 <= len(memory.set("s")) < 20


# -- cuts --------------------------------------------------------------------------------------------


def poison(boss: Memory, ann: Memory, bob: Memory) -> Any:
    """A bit of everything by bob, after a version; others build on it. Returns the version."""
    boss.register("r").assign("open")
    boss.text("t").append("hello world")
    boss.sequence("q").extend([1, 2, 3])
    boss.records("d").put("k", {"a": 1, "b": 2})
    boss.counter("n").add(5)
    boss.set("s").update([1, 2])
    share(boss, ann, bob)
    version = boss.version
    bob.register("r").assign("pwned")
    bob.text("t").insert(5, " evil")
    bob.text("t").delete(0, 2)
    bob.sequence("q").move(0, 2)
    bob.sequence("q").append(66)
    bob.records("d").merge("k", {"a": 666})
    bob.counter("n").add(100)
    bob.set("s").discard(1)
    bob.set("s").add(66)
    share(boss, ann, bob)
    ann.text("t").append("!")
    ann.text("t").insert(str(ann.text("t")).index("vil") + 1, "ANN")
    ann.sequence("q").append(4)
    share(boss, ann, bob)
    return version


def test_what_it_did_is_as_if_it_had_not_been(crew) -> None:
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    bad = next(entry for entry in ann.set("s").entries() if entry.value == 66)
    rests = ann.register("brief").assign("66 of them", because=[bad])
    share(boss, ann, bob)
    assert not rests.tainted
    boss.revoke("bob", since=version, why="injected")
    share(boss, ann, bob)
    for memory in crew:
        assert memory.register("r").value == "open"
        assert str(memory.text("t")) == "helloANN world!"
        assert list(memory.sequence("q")) == [1, 2, 3, 4]
        assert memory.records("d")["k"] == {"a": 1, "b": 2}
        assert memory.counter("n").value == 5
        assert set(memory.set("s")) == {1, 2}
        assert memory.register("brief").entries()[0].tainted
    assert rests.tainted
    assert "bob" not in {name for name, _ in boss.rules.agents.values()}
    assert {event.action for event in boss.audit(by="bob", since=version)} == {"voided"}
    assert boss.audit(field="@cuts")[0].why == "injected"
    assert ann.at(version).digest() == boss.at(version).digest()
    with pytest.raises(RulesRefused, match="taken back"):
        bob.set("s").add("once more")


def test_whoever_hears_of_the_cut_first_ends_the_same(crew) -> None:
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    records = boss.changes()
    boss.revoke("bob", since=version, why="injected")
    every = [*records, *boss.changes(version)]
    late = Replica("late").open(boss.namespace)
    for one in reversed(every):
        late.receive([one])
    late.receive(every)
    assert late.digest() == boss.digest()
    assert late.version == boss.version


def test_demotion_takes_one_field(crew) -> None:
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    boss.demote("bob", "t", since=version, why="cannot spell")
    share(boss, ann, bob)
    assert str(boss.text("t")) == "helloANN world!"
    assert boss.register("r").value == "pwned"
    bob.set("s").add("still here")
    with pytest.raises(RulesRefused):
        bob.text("t").append("more")
    share(boss, ann, bob)


def test_a_retraction_by_one_who_is_revoked_is_lifted(crew) -> None:
    boss, ann, bob = crew
    fact = ann.set("s").add("true")
    rests = ann.register("r").assign("so", because=[fact])
    share(boss, ann, bob)
    version = boss.version
    bob.retract(fact, why="lies")
    share(boss, ann, bob)
    assert rests.tainted
    boss.revoke("bob", since=version, why="liar")
    share(boss, ann, bob)
    assert list(ann.set("s")) == ["true"]
    assert not rests.tainted
    assert not ann.register("r").entries()[0].tainted


def test_an_increment_that_was_undone_and_then_cut_off_counts_once(crew) -> None:
    boss, ann, bob = crew
    boss.counter("n").add(5)
    share(boss, ann, bob)
    version = boss.version
    many = bob.counter("n").add(100)
    share(boss, ann, bob)
    ann.retract(many, why="too many")
    share(boss, ann, bob)
    assert ann.counter("n").value == 5
    boss.revoke("bob", since=version, why="bot")
    share(boss, ann, bob)
    assert [memory.counter("n").value for memory in crew] == [5, 5, 5]
    boss.checkpoint()


def test_what_a_revoked_author_said_through_one_who_had_not_heard(crew) -> None:
    boss, ann, bob = crew
    version = boss.version
    boss.revoke("bob", since=version, why="bot")
    bob.text("t").append("late ")
    ann.receive(bob.changes())
    ann.text("t").append("news")
    got = boss.receive(ann.changes())
    assert any("taken back" in refusal.reason for refusal in got.refused)
    assert str(boss.text("t")) == "news"
    share(boss, ann, bob)


def test_watchers_are_told_in_one_batch(crew) -> None:
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    seen: list[Any] = []
    with_watch = ann.changed(seen.append)
    boss.revoke("bob", since=version, why="injected")
    ann.receive(boss.changes())
    ann._document._notifier.close()
    with_watch.close()
    [batch] = seen
    values = {entry.field: entry.value for entry in batch.added if entry.field != "t"}
    assert values["r"] == "open"
    gone = [entry.value for entry in batch.removed]
    assert "pwned" in gone and 66 in gone
    assert {"r", "t", "q", "d", "n", "s"} <= batch.fields


def test_an_open_block_goes_on_over_what_a_cut_has_changed(crew) -> None:
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    with ann.change(why="thinking"):
        ann.text("t").append(" more")
        ann.sequence("q").append(5)
        ann.set("s").add("mine")
        boss.revoke("bob", since=version, why="injected")
        ann.receive(boss.changes())
        ann.register("r").assign("settled")
    assert str(ann.text("t")) == "helloANN world! more"
    assert ann.register("r").value == "settled"
    share(boss, ann, bob)


def test_two_cuts_apart_and_what_was_settled_before(crew) -> None:
    boss, ann, bob = crew
    start = boss.version
    ann.set("s").add("a")
    bob.set("s").add("b")
    share(boss, ann, bob)
    twin = Replica("boss", identity=boss._document._identity).open(boss.namespace)
    twin.receive(boss.changes())
    boss.revoke("ann", since=start, why="one")
    twin.revoke("bob", since=start, why="two")
    share(boss, twin, ann, bob)
    assert not boss.set("s")


def test_a_cut_holds_whatever_rules_are_written_apart_from_it(crew) -> None:
    boss, ann, bob = crew
    bob.set("s").add("b")
    share(boss, ann, bob)
    twin = Replica("boss", identity=boss._document._identity).open(boss.namespace)
    twin.receive(boss.changes())
    boss.revoke("bob", since=None, why="bot")
    decree(twin, Rules(agents=twin.rules.agents, schema=9), "bob is in them still")
    share(boss, twin, ann, bob)
    assert not boss.set("s")
    with pytest.raises(RulesRefused):
        bob.set("s").add("again")
    assert boss.rules == twin.rules == ann.rules


def test_nothing_reaches_below_what_is_settled(crew) -> None:
    boss, ann, bob = crew
    start = boss.version
    bob.set("s").add("b")
    share(boss, ann, bob)
    with pytest.raises(MisuseError, match="nothing is settled"):
        boss.prune()
    boss.settle(why="all reviewed")
    share(boss, ann, bob)
    with pytest.raises(MisuseError, match="settled"):
        boss.revoke("bob", since=start, why="too late")
    signer = Signer(boss.namespace, boss._document._identity, "boss")
    deep = Keyed(*CUTS, None, ((freeze([bob._document.key, None, [], ""]),),), ())
    forced = signer.write(deep, rules=current(boss))
    for memory in crew:
        memory.receive([forced])
        assert list(memory.set("s")) == ["b"]
    with pytest.raises(RulesRefused):
        bob.set("s").add("c")
    share(boss, ann, bob)


def test_a_cut_after_pruning_gives_what_it_gives_without(crew) -> None:
    boss, ann, bob = crew
    poison(boss, ann, bob)
    boss.settle()
    share(boss, ann, bob)
    since = boss.version
    bob.text("t").append("later")
    bob.sequence("q").move(0, 1)
    bob.set("s").discard(2)
    share(boss, ann, bob)
    assert ann.prune().changes > 0
    version = boss.version
    boss.revoke("bob", since=since, why="then")
    ann.receive(boss.changes(version))
    assert ann.digest() == boss.digest()
    assert 2 in ann.set("s")
    bob.receive(boss.changes(version))
    assert bob.digest() == boss.digest()


def test_a_cut_over_damage_waits_until_it_is_mended(crew, monkeypatch) -> None:
    boss, ann, bob = crew
    bob.set("s").add("first")
    bob.set("s").add("second")
    share(boss, ann, bob)
    document = ann._document
    boss.revoke("bob", since=None, why="all of it")
    with monkeypatch.context() as patched:
        patched.setattr("crdtmem.rebuild.fits", lambda *_: False)
        ann.receive(boss.changes())
    assert document.state.stale
    assert set(ann.set("s")) == {"first", "second"}
    ann.receive([])
    assert document.state.stale  # it was tried a moment ago
    document.patience = 0.0
    ann.receive([])
    assert not document.state.stale
    assert ann.digest() == boss.digest()


def test_a_cut_and_its_restart(crew) -> None:
    store = MemoryStore()
    boss, ann, bob = crew
    version = poison(boss, ann, bob)
    identity = Identity()
    with Replica("eve", store=store, identity=identity) as eve:
        memory = eve.open(boss.namespace)
        memory.receive(boss.changes())
        memory.checkpoint()
    boss.revoke("bob", since=version, why="injected")
    with Replica("eve", store=store, identity=identity) as eve:
        memory = eve.open(boss.namespace)
        memory.receive(boss.changes())
        assert memory.digest() == boss.digest()
    for _ in range(2):
        with Replica("eve", store=store, identity=identity) as eve:
            assert eve.open(boss.namespace).digest() == boss.digest()


def test_who_can_be_cut_off(crew) -> None:
    boss, ann, _ = crew
    with pytest.raises(ValueRefused, match="no agent"):
        boss.revoke("nobody", since=None, why="?")
    with pytest.raises(MisuseError, match="owner"):
        boss.revoke("boss", since=None, why="?")
    key = ann._document.key
    boss.revoke(key.hex(), since=None, why="by its key")
    with pytest.raises(ValueRefused, match="was revoked"):
        boss_rules = Rules(agents={key: "ann"})
        Replica.own(_replica(boss), tenant="acme", rules=boss_rules)


def _replica(memory: Memory) -> Replica:
    replica = Replica("boss", identity=memory._document._identity)
    replica.open(memory.namespace).receive(memory.changes())
    return replica


def test_pruning_needs_what_it_lays_its_base_on(crew, monkeypatch) -> None:
    boss, ann, bob = crew
    poison(boss, ann, bob)
    boss.settle()
    boss._document.state.stale = True
    with pytest.raises(StoreError, match="damaged"):
        boss.prune()
