"""Rules as data: what may be declared, and what is kept of what is not understood."""

import pytest

from crdtmem import FieldRule, MisuseError, Rules, ValueRefused
from crdtmem.rules import FORMAT, NewerRules
from crdtmem.values import freeze, thaw

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32
FULL = Rules(
    agents={ANN: ("ann", ["analyst", "lead"]), BOB.hex(): "bob"},
    fields={
        "facts": FieldRule("records", writers=["analyst"], append_only=True, cardinality="one"),
        "plan": FieldRule("text", writers=["bob"], single_writer=True, consistency="causal"),
        "spent": FieldRule("counter", unit="EUR", tolerance=0.5),
        "status": FieldRule("register", resolve="escalate", ttl=60),
    },
    closed=True,
    schema=3,
    migrations={"old": "facts"},
    changes_per_minute=60,
    bytes_per_minute=1 << 20,
)


def test_rules_travel_as_a_plain_value() -> None:
    assert Rules.read(thaw(freeze(FULL.wire()))) == FULL
    assert Rules.read(Rules().wire()) == Rules()


def test_they_know_who_is_who() -> None:
    assert FULL.named(ANN) == ("ann", ("analyst", "lead"))
    assert FULL.named(bytes(32)) is None
    assert FULL.keys("bob") == [BOB]
    assert FULL.without(BOB).keys("bob") == []
    assert FULL.binding(ANN, "other", None) is FULL
    assert FULL.binding(bytes(32), "eve", "spy").named(bytes(32)) == ("eve", ("spy",))


@pytest.mark.parametrize(
    "make",
    [
        lambda: FieldRule("list"),
        lambda: FieldRule("set", writers="ann"),
        lambda: FieldRule("set", writers=[""]),
        lambda: FieldRule("counter", append_only=True),
        lambda: FieldRule("register", append_only=True),
        lambda: FieldRule("set", single_writer=True),
        lambda: FieldRule("set", cardinality="two"),
        lambda: FieldRule("set", consistency="linearizable"),
        lambda: FieldRule("set", ttl=-1),
        lambda: FieldRule("counter", tolerance=float("inf")),
        lambda: Rules(agents={b"short": "ann"}),
        lambda: Rules(agents={"zz": "ann"}),
        lambda: Rules(agents={ANN: ("ann", "analyst")}),
        lambda: Rules(agents={ANN: 7}),
        lambda: Rules(agents={ANN: "everyone"}),
        lambda: Rules(agents={ANN: "ann", BOB: ("bob", ["ann"])}),
        lambda: Rules(agents=[ANN]),
        lambda: Rules(fields={"@rules": FieldRule("set")}),
        lambda: Rules(fields={"s": "set"}),
        lambda: Rules(
            agents={ANN: ("ann", ["x"]), BOB: ("bob", ["x"])},
            fields={"s": FieldRule("set", writers=["x"], single_writer=True)},
        ),
        lambda: Rules(changes_per_minute=0),
        lambda: Rules(schema=0),
    ],
)
def test_what_cannot_be_is_refused(make) -> None:
    with pytest.raises(ValueRefused):
        make()


def test_an_unknown_resolution_is_refused_by_the_writer() -> None:
    with pytest.raises(MisuseError, match="newest"):
        FieldRule("register", resolve="newest")


def test_what_is_told_to_readers_only_is_kept_when_it_is_not_understood() -> None:
    told = FULL.wire()
    told["sensitivity"] = {"default": "low"}
    told["fields"]["facts"]["embedding"] = "e5"
    told["fields"]["status"]["resolve"] = "by_vote"
    rules = Rules.read(told)
    assert rules.notes == ("sensitivity", "facts.embedding", "status.resolve")
    assert rules.fields["status"].resolve == "latest"
    assert rules.wire() == told


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told.update(agents=[]),
        lambda told: told.update(agents={"00": ["ann", []]}),
        lambda told: told.update(fields={"facts": {}}),
        lambda told: told.update(fields={"facts": {"kind": "matrix"}}),
        lambda told: told["fields"]["facts"].update(writers="ann"),
        lambda told: told["fields"]["facts"].update(append_only=1),
        lambda told: told.update(closed="yes"),
        lambda told: told.update(format="1"),
        lambda told: told.pop("format"),
        lambda told: told.pop("fields"),
    ],
)
def test_what_is_judged_by_must_be_understood(spoil) -> None:
    told = FULL.wire()
    spoil(told)
    with pytest.raises(ValueRefused):
        Rules.read(told)


def test_a_newer_format_is_told_apart() -> None:
    with pytest.raises(NewerRules):
        Rules.read({**FULL.wire(), "format": FORMAT + 1})
