"""Every planted bug is caught by a check that was not made for it: the small scope, a law, the state machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests import (
    test_citation,
    test_draft,
    test_handing,
    test_handover,
    test_history,
    test_inbox,
    test_laws,
    test_past,
    test_recovery,
    test_retention,
    test_seals,
    test_search,
    test_short,
    test_snapshot,
    test_sync_trust,
    test_taint,
    test_trust,
    test_view,
    test_walk,
)
from tests.crew import SCOPE
from tests.drawn import values
from tests.exhaustive import explore
from tests.hostile import Evil
from tests.machine import Convergence
from tests.notes import WORDS, writes
from tests.planted import BUGS
from tests.realms import story
from tests.stories import STEPS

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


def drawn(test: Any, **strategies: Any) -> Callable[[], None]:
    """One property of the module it belongs to, on few examples."""
    few = settings(max_examples=150, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    check = few(given(**strategies)(test.hypothesis.inner_test))
    return lambda: check()


def chain() -> None:
    """One test of the door."""
    test_inbox.test_a_change_must_continue_its_chain(Evil(random.Random(1), SCOPE.digest))


def damage() -> None:
    """One or two damaged records of a small history."""
    test_recovery.test_whichever_one_or_two_records_are_damaged_nothing_intact_is_lost_and_all_comes_back(0)


PICKS = test_history.picks
WORDS_ASKED = st.lists(st.sampled_from(WORDS), max_size=3)
SCANNED = drawn(
    test_search.test_search_finds_what_a_scan_of_all_entries_finds,
    story=writes(),
    words=WORDS_ASKED,
    by=st.none(),
    least=st.none(),
)
FIXPOINT = drawn(test_taint.test_it_is_the_least_fixpoint_on_every_replica_at_every_moment, moves=test_taint.steps)


def walk():
    for seed in range(40):
        test_walk.lived(seed)


def realms(*seeds: int) -> Callable[[], None]:
    """Stories of an owned namespace, always the same ones; the rare ones that show a bug are named."""

    def check() -> None:
        for seed in seeds or range(60):
            story(seed, 60)

    return check


def newcomers() -> None:
    """Newcomers who wrote before they came; whose text comes first is decided by ids, which are drawn."""
    for _ in range(20):
        test_handover.test_what_the_newcomer_wrote_before_is_kept_and_merged_by_what_it_had_seen()


CAUGHT_BY: dict[str, Callable[[], None]] = {
    "removal_by_value": scope("set", some=None),
    "removal_that_does_not_travel": scope("set"),
    "add_that_replaces_nothing": scope("register"),
    "sibling_dropped": scope("register"),
    "single_write_that_replaces_nothing": machine,
    "weight_of_the_replaced_kept": machine,
    "single_write_merges_nothing": test_short.test_a_write_says_what_it_follows,
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
    "block_without_snapshot": test_draft.test_for_thirty_seconds_a_block_is_open_while_others_write_and_receive,
    "right_neighbour_forgotten": scope("sequence"),
    "right_neighbour_of_the_day": scope("sequence"),
    "right_neighbour_of_last_time": scope("sequence", some=None),
    "an_older_change_that_knew_the_future": walk,
    "a_merge_that_had_seen_all": walk,
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
    "late_seal_left_out": drawn(test_seals.test_all_that_is_handed_out_is_under_a_seal, steps=test_seals.STEPS),
    "inner_seals_lost": lambda: test_sync_trust.test_what_went_from_hand_to_hand_still_enters(500),
    "late_seal_never_stored": lambda: test_seals.test_what_is_stored_at_the_end_is_sealed("close"),
    "past_is_present": law(test_laws.test_the_past_stays),
    "first_change_not_sent": machine,
    "taint_stops_at_the_superseded": FIXPOINT,
    "affirmation_answers_all": FIXPOINT,
    "circle_that_holds_itself": FIXPOINT,
    "undo_counted_twice": drawn(test_history.test_two_who_restore_at_once_end_the_same, steps=STEPS, chosen=PICKS),
    "pinned_memory_that_drifts": drawn(
        test_past.test_a_pinned_memory_stays_what_it_was_when_more_comes_before_it_is_read, steps=STEPS
    ),
    "past_forgets_the_removals_of_others": lambda: (
        test_past.test_what_two_removed_at_once_is_gone_in_a_version_that_had_heard_of_one(0)
    ),
    "restore_resurrects_the_retracted": test_history.test_retractions_stand_and_what_they_took_stays_out,
    "restore_cites_nothing": test_history.test_what_is_restored_says_why_and_rests_on_what_it_was,
    "fork_takes_one_of_several": test_history.test_siblings_survive_a_fork_in_their_order,
    "checkpoint_forgets_who_had_seen_what": drawn(
        test_snapshot.test_it_comes_back_the_same_and_takes_what_follows_the_same_way, before=STEPS, after=STEPS
    ),
    "checkpoint_forgets_what_is_empty": test_snapshot.test_a_field_that_has_been_emptied_keeps_its_past,
    "checkpoint_without_its_tail": machine,
    "damage_not_noticed": damage,
    "set_aside_and_forgotten": damage,
    "hole_filled_by_anybody": test_recovery.test_a_hole_is_asked_for_and_only_the_true_change_fills_it,
    "cut_ignored_for_deletes": realms(27),
    "judged_by_the_current_rules": realms(),
    "proof_of_a_fork_not_kept": realms(),
    "taint_not_raised_by_a_cut": realms(),
    "cut_that_does_not_reach_back": realms(),
    "void_increment_taken_back_twice": lambda: (
        test_trust.test_an_increment_that_was_undone_and_then_cut_off_counts_once(test_trust.team())
    ),
    "cut_below_what_is_settled": lambda: test_trust.test_nothing_reaches_below_what_is_settled(test_trust.team()),
    "void_units_followed": realms(7, 93),
    "sights_forgotten": realms(93, 311),
    "checkpoint_forgets_the_cuts": realms(),
    "index_made_once": SCANNED,
    "index_that_forgets_nothing": SCANNED,
    "hits_in_order_of_arrival": drawn(
        test_search.test_every_converged_replica_ranks_alike, story=writes(), words=WORDS_ASKED, limit=st.integers(1, 4)
    ),
    "kept_over_a_cut": test_view.test_a_cut_that_leaves_the_version_as_it_was_is_not_answered_from_before,
    "taint_of_today_in_the_past": test_view.test_tainted_entries_are_marked_as_of_the_version,
    "budget_by_estimate": drawn(
        test_view.test_a_view_never_exceeds_its_budget_whatever_counts_it,
        story=writes(),
        count=st.sampled_from(test_view.COUNTERS),
        tokens=st.integers(0, 700),
        about=st.just(""),
        sums=st.booleans(),
    ),
    "invisible_characters_shown": drawn(
        test_view.test_nothing_that_is_written_poses_as_anything_else,
        some=st.lists(values, max_size=2),
        why=st.just(""),
    ),
    "any_unit_will_do": drawn(
        test_citation.test_what_no_entry_holds_is_named_once, unit=st.sampled_from(["weeks", "EUR", "km"])
    ),
    "past_of_an_offline_edit_guessed": newcomers,
    "deleted_values_forgotten": lambda: [
        test_retention.test_replicas_that_prune_end_as_one_that_never_did(seed) for seed in range(40)
    ],
    "own_history_let_go": (test_handover.test_who_was_away_keeps_its_own_history_also_when_nobody_else_has_it),
    "history_given_up_for_less": test_handing.test_who_has_all_takes_none_and_lets_go_of_nothing,
    "tried_again_at_the_same_pace": test_handing.test_a_checkpoint_that_can_never_be_taken_is_sent_less_and_less_often,
    "history_from_anybody": test_handing.test_false_history_is_refused_and_asked_of_another,
    "lends_before_what_it_rests_on": test_handover.test_who_lacks_some_of_it_lends_nothing,
    "checkpoint_believed_for_ever": test_handover.test_a_false_checkpoint_is_found_out_and_the_history_counts,
    "owed_for_ever": lambda: test_handover.test_a_restart_goes_on_where_it_stopped(1000, filed=False, tmp_path=Path()),
}


def test_every_bug_has_its_catcher():
    assert set(CAUGHT_BY) == set(BUGS)
    assert len(BUGS) >= 20


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name):
    with BUGS[name](), pytest.raises(Exception) as caught:
        CAUGHT_BY[name]()
    assert not isinstance(caught.value, ROTTEN), caught.value
