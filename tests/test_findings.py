"""Findings as entries: filed once by everybody, acted on, open again when what a resolution rests on falls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import Entry, FieldRule, Memory, MisuseError, Replica, Rules, RulesRefused, ValueRefused, review
from crdtmem.coherence import Finding, accept, acknowledge, findings, propose, resolve
from crdtmem.coherence.finding import finding_id
from crdtmem.taint import FINDINGS
from crdtmem.values import freeze
from tests.crew import Time, alone, crew, exchange, tell


def disputed(memory: Memory) -> tuple[Entry, Entry, Finding]:
    """Two entries that contradict each other, and the finding that was filed of them."""
    one = memory.set("facts").add("acme.ceo = R. Chen")
    other = memory.acting_as("bob").set("facts").add("acme.ceo = J. Smith")
    review(memory).file()
    [found] = findings(memory)
    return one, other, found


def test_two_replicas_that_review_at_once_end_with_one_set_of_findings() -> None:
    ann, bob = crew("ann", "bob")
    ann.set("facts").add("acme.ceo = R. Chen")
    bob.set("facts").add("acme.ceo = J. Smith")
    ann.register("status").assign("open")
    bob.register("status").assign("done")
    exchange(ann, bob)
    assert [one.id for one in review(ann).findings] == [one.id for one in review(bob).findings]
    review(ann).file()
    review(bob).file()
    exchange(ann, bob)
    assert [one.value() for one in findings(ann)] == [one.value() for one in findings(bob)]
    assert len(findings(ann)) == 2
    assert review(ann).file() == review(bob).file() == []


def test_a_finding_says_what_others_rely_on() -> None:
    ann = alone()
    one, other, found = disputed(ann)
    value = ann._listed((4, FINDINGS))[0][0].value
    assert value["kind"] == "value"
    assert value["tier"] == "certain"
    assert value["status"] == "open"
    assert value["entries"] == [str(one.id), str(other.id)]
    assert "R. Chen" in value["says"] and "J. Smith" in value["says"]
    assert found.id == finding_id([other.id, one.id])
    assert [event.field for event in ann.audit(field=FINDINGS)] == [FINDINGS]


def test_a_finding_opened_resolved_and_reopened_by_a_retraction() -> None:
    ann = alone()
    one, _, found = disputed(ann)
    register = ann.set("sources").add("the trade register, 3 May")
    acknowledge(ann, found, why="I look into it")
    assert [f.status for f in findings(ann)] == ["acknowledged"]
    resolve(ann, found, "keep", keep=one, why="the register says so", because=[register])
    [settled] = findings(ann)
    assert settled.status == "resolved"
    assert settled.resolution == {"how": "keep", "keep": str(one.id), "why": "the register says so"}
    assert review(ann).coherent is True
    ann.retract(register, why="it was last year's")
    [again] = findings(ann)
    assert (again.status, again.reopened) == ("open", True)
    assert review(ann).coherent is False
    [written] = review(ann).file()
    assert written.value["status"] == "open"  # for those who read the record alone
    assert not findings(ann)[0].reopened
    assert review(ann).file() == []


def test_a_resolution_falls_with_a_premise_that_is_replaced() -> None:
    ann = alone()
    one, _, found = disputed(ann)
    premise = ann.register("chief").assign("Chen")
    resolve(ann, found, "keep", keep=one, why="see chief", because=[premise])
    assert review(ann).coherent is True
    ann.register("chief").assign("Smith")
    assert [f.status for f in findings(ann)] == ["open"]


def test_a_finding_lives_as_long_as_its_entries() -> None:
    ann = alone()
    one, _, _ = disputed(ann)
    ann.retract(one, why="a typo")
    assert findings(ann) == []
    assert review(ann).findings == ()


def test_a_finding_goes_with_an_entry_that_was_retracted_where_nothing_is_removed() -> None:
    boss, bot = Replica("boss"), Replica("bot")
    fields = {kind: FieldRule(kind, append_only=True) for kind in ("sequence", "records")}
    ann = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}, fields=fields))
    bob = bot.open(ann.namespace)
    tell(ann, bob)
    said = ann.sequence("sequence").append("acme.ceo = R. Chen")
    bob.sequence("sequence").append("acme.ceo = J. Smith")
    put = ann.records("records").put("status", "draft")
    bob.records("records").put("status", "approved")
    exchange(ann, bob)
    review(ann).file()
    assert sorted(one.kind for one in findings(ann)) == ["siblings", "value"]
    for wrong in (said, put):
        assert review(ann).coherent is False
        ann.retract(wrong, why="a typo")
    assert findings(ann) == []
    assert review(ann).coherent is True
    assert said in ann.sequence("sequence").entries()


def test_a_finding_goes_with_an_entry_that_outlives_its_time() -> None:
    time = Time()
    ann = Replica("ann", time=time).open(tenant="acme")
    ann.set("facts").add("acme.ceo = R. Chen")
    ann.set("facts").add("acme.ceo = J. Smith", ttl=60)
    review(ann).file()
    assert review(ann).coherent is False
    time.passes(61)
    assert findings(ann) == []
    assert review(ann).coherent is True


@pytest.mark.parametrize("how", ["both", "mistaken", "merge"])
def test_every_way_to_resolve_makes_it_coherent(how: str) -> None:
    ann = alone()
    _, _, found = disputed(ann)
    resolve(ann, found.id, how, why="two firms of one name")
    assert review(ann).coherent is True
    assert review(ann).findings[0].status == "resolved"


def test_a_proposal_is_marked_as_one_until_it_is_accepted() -> None:
    ann = alone()
    _, _, found = disputed(ann)
    with pytest.raises(MisuseError, match="nothing is proposed"):
        accept(ann, found, why="yes")
    propose(ann, found, "acme.ceo = R. Chen until May, then J. Smith", why="both dates fit", judge="model x")
    [proposed] = findings(ann)
    assert proposed.status == "open"
    assert proposed.proposal is not None and proposed.proposal["judge"] == "model x"
    assert review(ann).coherent is False
    merged = accept(ann, found, why="checked")
    ann.set("facts").add(merged)
    assert findings(ann)[0].status == "resolved"


def test_of_several_that_act_at_once_the_one_furthest_along_shows() -> None:
    ann, bob = crew("ann", "bob")
    _, _, found = disputed(ann)
    tell(ann, bob)
    resolve(ann, found, "both", why="two firms")
    acknowledge(bob, found, why="I look into it")
    exchange(ann, bob)
    assert [f.status for f in findings(ann)] == [f.status for f in findings(bob)] == ["resolved"]


def test_wrong_acts_are_refused_with_what_to_do() -> None:
    ann = alone()
    one, _, found = disputed(ann)
    elsewhere = ann.set("facts").add("something else")
    with pytest.raises(MisuseError, match="no live finding"):
        acknowledge(ann, "nothing", why="x")
    with pytest.raises(MisuseError, match="how"):
        resolve(ann, found, "shrug", why="x")
    with pytest.raises(MisuseError, match="keep"):
        resolve(ann, found, "keep", why="x")
    with pytest.raises(MisuseError, match="keep"):
        resolve(ann, found, "keep", keep=elsewhere, why="x")
    with pytest.raises(MisuseError, match="keep"):
        resolve(ann, found, "both", keep=one, why="x")
    with pytest.raises(ValueRefused):
        ann.records(FINDINGS)


def test_a_suspicion_that_becomes_certain_is_filed_again_and_keeps_its_status() -> None:
    ann = alone()
    ann.set("facts").add("gate-3 colour: teal")
    ann.set("facts").add("The colour of gate-3 is ochre.")
    review(ann).file()
    assert [f.tier for f in findings(ann)] == ["suspect"]
    ann.records("charter").put("colour", {"single": True})
    assert len(review(ann).file()) == 1
    assert [f.tier for f in findings(ann)] == ["certain"]
    resolve(ann, findings(ann)[0], "both", why="two sides")
    assert review(ann).file() == []
    assert review(ann).coherent is True


def test_watchers_hear_of_findings_and_users_do_not_see_the_field() -> None:
    seen: list[frozenset[str]] = []
    with Replica("ann") as replica:
        ann = replica.open(tenant="acme")
        ann.changed(lambda batch: seen.append(batch.fields), fields=[FINDINGS])
        disputed(ann)
        assert FINDINGS not in ann.fields()
        assert ann.conflicts() == []
    assert seen == [{FINDINGS}]


def test_in_an_owned_memory_only_listed_keys_file_findings() -> None:
    boss, bot, guest = Replica("boss"), Replica("bot"), Replica("guest")
    rules = Rules(agents={bot.identity.key: "bot"}, fields={"facts": FieldRule("set")})
    memory = boss.own(tenant="acme", rules=rules)
    mine, theirs = bot.open(memory.namespace), guest.open(memory.namespace)
    tell(memory, mine)
    mine.set("facts").add("acme.ceo = R. Chen")
    mine.set("facts").add("acme.ceo = J. Smith")
    tell(mine, theirs)
    with pytest.raises(RulesRefused, match="only keys that the rules list"):
        review(theirs).file()
    assert len(review(mine).file()) == 1
    tell(mine, memory)
    assert len(findings(memory)) == 1


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(
            ["kind", "tier", "says", "status", "relation", "judge", "entries", "authors", "evidence", "resolution", "x"]
        ),
        st.none() | st.integers(-9, 9) | st.text(max_size=8) | st.lists(st.text(max_size=30), max_size=3),
        max_size=11,
    )
)
def test_whatever_somebody_puts_among_the_findings_nothing_breaks(value: dict[str, object]) -> None:
    ann = alone()
    _, _, found = disputed(ann)
    ann._put((4, FINDINGS), found.id + "x", freeze(value), {})
    assert [one.id for one in findings(ann)] == [found.id]
    assert review(ann).coherent is False


def test_findings_survive_a_restart_and_a_checkpoint(tmp_path: object) -> None:
    path = f"{tmp_path}/ann.db"
    with Replica("ann", store=path) as replica:
        memory = replica.open(tenant="acme")
        _, _, found = disputed(memory)
        acknowledge(memory, found, why="seen")
        memory.checkpoint()
    with Replica("ann", store=path) as replica:
        again = replica.open(tenant="acme")
        assert [(one.id, one.status) for one in findings(again)] == [(found.id, "acknowledged")]
        assert review(again).file() == []
