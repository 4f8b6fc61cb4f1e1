"""Every planted bug is caught by a check that was not made for it: the small scope, a law, the state machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests import test_inbox, test_laws
from tests.crew import SCOPE
from tests.exhaustive import explore
from tests.hostile import Evil
from tests.machine import Convergence
from tests.planted import BUGS

SPOTS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 7)), min_size=1, max_size=6)
ROTTEN = (TypeError, AttributeError, NameError, ImportError)  # the bug no longer fits the code it is planted in


def machine() -> None:
    """The state machine, the same few hundred examples every time."""
    few = settings(
        max_examples=400,
        stateful_step_count=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Convergence, settings=few)


def scope(kind: str, some: int | None = 2) -> Callable[[], None]:
    """The exhaustive scope of one kind: all of up to two operations, and some or all histories of three."""

    def check() -> None:
        for sizes in [(1, 0, 0), (1, 1, 0), (0, 2, 0), (2, 1, 0), (1, 1, 1)]:
            explore(kind, sizes, None if sum(sizes) < 3 else some)

    check.__name__ = f"scope of {kind}"
    return check


def law(test: Any, **drawn: Any) -> Callable[[], None]:
    """One property of `test_laws.py`, on few examples."""
    few = settings(max_examples=60, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    check = few(given(story=test_laws.STORIES, **drawn)(test.hypothesis.inner_test))
    return lambda: check()


def chain() -> None:
    """One test of the door."""
    test_inbox.test_a_change_must_continue_its_chain(Evil(random.Random(1), SCOPE.digest))


CAUGHT_BY: dict[str, Callable[[], None]] = {
    "removal_by_value": scope("set", some=None),
    "removal_that_does_not_travel": scope("set"),
    "add_that_replaces_nothing": scope("register"),
    "sibling_dropped": scope("register"),
    "seen_ignored": machine,
    "patch_coverage_ignored": scope("records"),
    "merge_that_replaces": scope("records"),
    "siblings_in_order_of_arrival": scope("register"),
    "lost_counter_total": scope("counter"),
    "counter_counted_twice": scope("counter"),
    "digest_by_order_of_arrival": scope("set"),
    "byte_offsets": scope("text"),
    "cut_inside_a_surrogate_pair": scope("text"),
    "place_by_order_of_arrival": scope("text"),
    "move_that_duplicates": scope("sequence"),
    "first_place_holds": scope("sequence"),
    "block_without_snapshot": machine,
    "right_neighbour_forgotten": scope("sequence"),
    "right_neighbour_of_the_day": scope("sequence"),
    "right_neighbour_of_last_time": scope("sequence", some=None),
    "skipped_dedupe": scope("set"),
    "delivery_before_deps": machine,
    "unsealed_changes_enter": law(test_laws.test_order_changes_nothing, order=st.randoms(use_true_random=False)),
    "seals_not_verified": law(test_laws.test_altered_records_change_nothing, spots=SPOTS),
    "chain_not_checked": chain,
    "waiting_change_forgotten": law(test_laws.test_order_changes_nothing, order=st.randoms(use_true_random=False)),
    "waiting_change_lost_with_the_store": machine,
    "heads_never_replaced": scope("counter"),
    "session_reused_after_restart": machine,
    "deps_forgotten": scope("register"),
    "deps_cut_short": scope("register"),
    "clock_going_backwards": machine,
    "block_not_atomic": machine,
    "write_lost_when_the_store_fails": machine,
    "alias_ignored": machine,
    "ids_not_wrapped": scope("set"),
    "tail_left_unsealed": machine,
    "past_is_present": law(test_laws.test_the_past_stays),
    "first_change_not_sent": machine,
}


def test_every_bug_has_its_catcher():
    assert set(CAUGHT_BY) == set(BUGS)
    assert len(BUGS) >= 20


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name):
    with BUGS[name](), pytest.raises(Exception) as caught:
        CAUGHT_BY[name]()
    assert not isinstance(caught.value, ROTTEN), caught.value
