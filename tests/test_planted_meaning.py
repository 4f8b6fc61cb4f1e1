"""Bugs on purpose in the coherence pass: each is caught by a test that was not made for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crdtmem import concern
from crdtmem.coherence import (
    asking,
    clues,
    degrees,
    exact,
    finding,
    framed,
    frames,
    gather,
    judge,
    offline,
    slots,
    wholes,
)
from crdtmem.coherence.blocking import Neighbours
from crdtmem.coherence.standing import Standing
from tests import test_blocking, test_findings, test_judge, test_offline, test_review, test_view
from tests.planted import swapped

reviewing: Any = sys.modules["crdtmem.coherence.review"]  # the name in the package is that of the function


def drawn(test: Any, **strategies: Any) -> Callable[[], None]:
    """One property, on few examples."""
    few = settings(max_examples=150, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    check = few(given(**strategies)(test.hypothesis.inner_test))
    return lambda: check()


steps = drawn(
    test_blocking.test_whatever_came_and_went_the_pairs_are_those_of_what_is_there,
    steps=st.lists(st.tuples(st.booleans(), test_blocking.SENTENCES), max_size=40),
    cap=st.integers(1, 4),
)
going_on = drawn(test_review.test_a_review_that_goes_on_says_what_one_from_nothing_says, steps=test_review.STEPS)
mirrored = drawn(
    test_offline.test_a_verdict_does_not_depend_on_which_comes_first, one=test_offline.TEXTS, other=test_offline.TEXTS
)


def forgetful(real: Any) -> Any:
    """What the last review judged is kept, whatever has gone since."""

    def weigh(self: Standing, came: Any, went: Any) -> None:
        real(self, came, ())

    return weigh


def one_sided(real: Any) -> Any:
    """The values of the side that comes first decide."""

    def judged(mine: Any, theirs: Any) -> Any:
        return real(mine, theirs)._replace(mine="first")

    return judged


def lying() -> None:
    told = [test_judge.verdict(1, theirs="dog")]
    test_judge.test_a_judge_that_lies_is_not_believed(told, ["unsure", "unsure"])


def always(real: Any) -> Any:
    return lambda *_: True


def unsure() -> None:
    for why in test_offline.UNSURE:
        test_offline.test_what_may_both_hold_after_all_is_never_certain(why)


def sure() -> None:
    for one, other in test_offline.SURE:
        test_offline.test_what_has_room_for_one_value_is_certain(one, other)


def as_written(real: Any) -> Any:
    return lambda act, live, tainted: act.value["status"]


BUGS: dict[str, tuple[Any, str, Callable[[Any], Any], Callable[[], Any]]] = {
    "a newcomer tells nobody around": (Neighbours, "_tell", lambda real: lambda *_: None, steps),
    "what has gone is still near": (
        Neighbours,
        "update",
        lambda real: lambda self, came, went, hints={}: real(self, came, (), hints),
        steps,
    ),
    "what was judged stays judged": (Standing, "_weigh", forgetful, going_on),
    "a verdict depends on the order": (test_offline, "judged", one_sided, mirrored),
    "a resolution never falls": (
        finding,
        "status",
        as_written,
        test_findings.test_a_finding_opened_resolved_and_reopened_by_a_retraction,
    ),
    "what was replaced counts as there": (
        finding,
        "here",
        lambda real: lambda state, ids, now: ids,
        test_findings.test_a_resolution_falls_with_a_premise_that_is_replaced,
    ),
    "what was retracted counts as there": (
        finding,
        "here",
        lambda real: lambda state, ids, now: ids,
        test_findings.test_a_finding_goes_with_an_entry_that_was_retracted_where_nothing_is_removed,
    ),
    "a view shows findings as they were written": (
        concern,
        "status",
        as_written,
        test_view.test_findings_show_as_they_stand,
    ),
    "a view takes the newest of several acts": (
        concern,
        "furthest",
        lambda real: lambda acts: max(acts, key=lambda act: (act.stamp.hlc, act._id)),
        test_view.test_of_acts_at_once_the_view_shows_what_the_review_says,
    ),
    "quotes are not looked up": (judge, "_quoted", lambda real: lambda *_: True, lying),
    "a verdict of one judge serves another": (
        asking,
        "name_of",
        lambda real: lambda judge: "a judge",
        test_judge.test_verdicts_are_remembered_for_the_words_and_travel_to_other_replicas,
    ),
    "patches say what others stand for": (
        gather,
        "_patched",
        lambda real: lambda *_: None,
        test_review.test_concurrent_patches_of_other_sub_keys_agree_and_of_the_same_do_not,
    ),
    "times of validity are not compared": (
        reviewing,
        "meet",
        lambda real: lambda *_: True,
        test_review.test_what_holds_at_different_times_does_not_conflict,
    ),
    "tolerance is not heeded": (
        exact,
        "differ",
        lambda real: lambda one, other, tolerance: real(one, other, 0.0),
        test_review.test_the_charter_says_what_is_single_what_is_many_and_what_is_near_enough,
    ),
    "findings are filed again": (
        reviewing,
        "findings",
        lambda real: lambda memory: [],
        test_findings.test_two_replicas_that_review_at_once_end_with_one_set_of_findings,
    ),
    "it is not asked of what something is said": (clues, "_of_one", always, unsure),
    "a town does not lie in its country": (clues, "_surely_apart", always, unsure),
    "every event comes about once": (clues, "_one_event", always, unsure),
    "what was is what is": (slots, "_tense", lambda real: lambda *_: "", unsure),
    "also is not heard": (slots, "_some", lambda real: lambda *_: False, unsure),
    "of several things one is meant": (slots, "_several", lambda real: lambda *_: False, unsure),
    "what came before or after an event is the event": (slots, "_AROUND", lambda real: (), unsure),
    "for whom a number holds is not looked at": (slots, "_scope", lambda real: lambda *_: frozenset(), unsure),
    "every answer is of today": (offline, "_past", lambda real: lambda said: False, unsure),
    "what governs a number is how exact it is": (
        slots,
        "_governs",
        lambda real: lambda tokens, at: tokens[at].kind == "word",
        sure,
    ),
    "what is told by the day comes about once": (frames, "dated", lambda real: lambda token: (token,), unsure),
    "what was denied was": (frames, "_denied", lambda real: lambda *_: False, unsure),
    "for whom a debut was is not looked at": (frames, "_whom", lambda real: lambda *_: (), unsure),
    "of several who did it the first counts": (
        frames,
        "_all_named",
        lambda real: lambda tokens, here: real(tokens, here)[:2],
        unsure,
    ),
    "it is not asked what had two values": (framed, "one_subject", always, unsure),
    "no trade is part of another": (framed, "_one_trade", lambda real: lambda *_: False, unsure),
    "a name is always told in full": (framed, "_apart", lambda real: lambda one, other: one != other, unsure),
    "every degree is the only one": (
        degrees,
        "_degrees",
        lambda real: lambda tokens: (one._replace(hers=True) for one in real(tokens)),
        unsure,
    ),
    "limits are exact": (framed, "barely", lambda real: lambda *_: False, unsure),
    "a town does not lie in its state": (clues, "_lands_apart", always, unsure),
    "two lists that differ are two versions of one": (framed, "_other_list", lambda real: lambda a, b: a != b, unsure),
    "a list of some names all": (wholes, "among", lambda real: lambda *_: False, unsure),
    "most of one thing is most of another": (framed, "_one_place", always, unsure),
    "what is so since then was so then": (
        offline,
        "_times",
        lambda real: lambda tokens: [token for token in tokens if token.kind == "date"],
        sure,
    ),
    "what says who somebody is hides the verb": (slots, "_described", lambda real: lambda *_: 0, sure),
    "a name before a word is who did it": (slots, "_goes_with", lambda real: lambda *_: False, unsure),
    "a part is never firmer than the whole": (offline, "_firmer", lambda real: lambda found, *_: found, sure),
    "subjects are not compared": (
        offline,
        "_elsewhere",
        lambda real: lambda *_, **__: False,
        lambda: [test_offline.test_what_may_both_hold_is_left_alone(one, other) for one, other in test_offline.FINE],
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str) -> None:
    owner, what, make, check = BUGS[name]
    check()
    with swapped(owner, what, make), pytest.raises(AssertionError):
        check()
