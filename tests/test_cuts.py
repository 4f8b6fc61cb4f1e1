"""Cuts, rules and writes in any order, with restarts, checkpoints and pruning: the same on all, as the oracle says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crdtmem.change
from tests.realms import MORE, ended, play, story
from tests.trusted import Realm
from tests.world import nonces

small = st.integers(0, 9)
WRITES = st.tuples(st.just("act"), small, st.sampled_from(MORE), small, small)
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


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(shape=st.integers(0, 7), steps=STEPS, order=st.randoms(use_true_random=False))
def test_any_interleaving_gives_the_same_everywhere(shape: int, steps: list[Any], order: Any) -> None:
    crdtmem.change._SALTS.clear()
    with nonces(len(steps)):
        realm = Realm(shape)
        realm.everybody()
        for step in steps:
            play(realm, step)
        ended(realm, order)


@pytest.mark.parametrize("seed", range(8))
def test_long_stories_end_well(seed: int) -> None:
    for number in range(5):
        story(seed * 5 + number, 60)
