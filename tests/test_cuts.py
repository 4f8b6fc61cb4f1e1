"""Cuts, rules and writes in any order, with restarts, checkpoints and pruning: the same on all, as the oracle says."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdtmem import Replica
from tests.stories import ACTS
from tests.trusted import Realm, facts

small = st.integers(0, 9)
WRITES = st.tuples(st.just("act"), small, st.sampled_from([*ACTS, "write", "insert", "move", "cut"]), small, small)
STEPS = st.lists(
    st.one_of(
        WRITES,
        WRITES,
        WRITES,
        st.tuples(st.just("cite"), small, small),
        st.tuples(st.just("judge"), small, small),
        st.tuples(st.just("tell"), small, small),
        st.tuples(st.just("tell"), small, small),
        st.tuples(st.just("tell"), small, small),
        st.tuples(st.just("cut"), small, small, small),
        st.tuples(st.just("decree"), st.integers(0, 7)),
        st.tuples(st.just("remember")),
        st.tuples(st.just("restart"), small, st.booleans()),
        st.tuples(st.just("keep"), small),
        st.tuples(st.just("settle"), small, small),
        st.tuples(st.just("twin"), st.integers(1, 3)),
    ),
    max_size=40,
)


def play(realm: Realm, step: tuple[Any, ...]) -> None:
    """Do one step."""
    what, *args = step
    if what == "act":
        realm.act(*args)
    elif what in ("cite", "judge", "cut", "decree", "remember", "settle", "twin"):
        getattr(realm, what)(*args)
    elif what == "tell":
        giver, taker = map(realm.site, args)
        if giver is not taker:
            realm.tell(giver, taker)
    elif what == "restart":
        realm.keep()
        realm.site(args[0]).restart(clean=args[1])
    elif what == "keep":
        realm.site(args[0]).memory.checkpoint()


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=150)
@given(shape=st.integers(0, 7), steps=STEPS, order=st.randoms(use_true_random=False))
def test_any_interleaving_gives_the_same_everywhere(shape: int, steps: list[Any], order: Any) -> None:
    realm = Realm(shape)
    realm.everybody()
    for step in steps:
        play(realm, step)
    realm.agree()
    records = list(realm.archive.values())
    order.shuffle(records)
    late = Replica("late").open(realm.scope)
    while records:  # some at a time: a cut may come before what it voids, or behind it
        late.receive([records.pop() for _ in range(min(len(records), 1 + order.randrange(9)))])
    late.receive(realm.boss.memory.changes(realm.common))  # the proofs of forks
    for what, here in facts(realm.boss.state).items():
        assert facts(late._document.state)[what] == here, what
    for site in realm.sites:
        site.restart(clean=True)
    realm.agree()
