"""Bugs on purpose in the command line, each as somebody might make it: the tests beside it here must notice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import crdtmem.cli.disagree
import crdtmem.cli.frame
import crdtmem.cli.out
import crdtmem.cli.timeline
import crdtmem.document
import crdtmem.forks
import crdtmem.mark
from crdtmem import CrdtmemError, EntryId
from crdtmem.document import Document
from tests import test_commands, test_mark, test_refresh
from tests.planted import swapped


class Bug(NamedTuple):
    """How to make it, and what must fail then."""

    plant: Callable[[], AbstractContextManager[object]]
    caught_by: Callable[[], object]


def _with_file(test: Callable[[Path], object]) -> Callable[[], object]:
    def run() -> object:
        with TemporaryDirectory() as folder:
            test_commands.filled(Path(folder, "team.db"))
            return test(Path(folder, "team.db"))

    return run


def _in_folder(test: Callable[..., object], *more: Any) -> Callable[[], object]:
    def run() -> object:
        with TemporaryDirectory() as folder:
            return test(*more, Path(folder))

    return run


def _first_that_begins_so(real: Any) -> Any:
    def marked(text: str, sessions: Any) -> EntryId:
        head, _, seq = text.partition(".")
        return EntryId(next(session for session in sessions if session.hex().startswith(head)), int(seq), 0)

    return marked


def _any_that_covers(real: Any) -> Any:
    return lambda file, held, asked: next(one for one in held if replace(asked, task=None).covers(one))


def _never_anew(real: Any) -> Any:
    """What cannot be read on is left as it is."""

    def refresh(self: Document) -> int:
        load, self._load = self._load, lambda: None  # type: ignore[method-assign]
        try:
            return real(self)  # type: ignore[no-any-return]
        finally:
            self._load = load  # type: ignore[method-assign]

    return refresh


BUGS = {
    "what agents wrote is printed as it is": Bug(
        lambda: swapped(crdtmem.cli.out, "plain", lambda real: str),
        test_commands.test_nothing_that_agents_wrote_acts_on_a_terminal,
    ),
    "a sub-key that nobody disputes is lost": Bug(
        lambda: swapped(crdtmem.cli.disagree, "_value", lambda real: lambda memory, conflict, chosen: chosen.value),
        _with_file(test_commands.test_a_conflict_is_resolved_by_one_of_its_entries_or_another_value),
    ),
    "a memory is found by some of its labels": Bug(
        lambda: swapped(crdtmem.cli.frame, "chosen", _any_that_covers),
        _with_file(test_commands.test_a_slip_begins_no_memory),
    ),
    "a mark names the first session that begins so": Bug(
        lambda: swapped(test_mark, "marked", _first_that_begins_so),
        test_mark.test_two_sessions_that_begin_alike_are_never_taken_for_each_other,
    ),
    "the timeline marks nothing": Bug(
        lambda: swapped(crdtmem.cli.timeline._Marks, "of", lambda real: lambda self, event: (" ", "")),
        _with_file(test_commands.test_the_timeline_marks_what_somebody_should_look_at),
    ),
    "a reader does not hear of forks": Bug(
        lambda: swapped(
            crdtmem.document, "forks", lambda real: SimpleNamespace(**{**vars(real), "kept": lambda log: ()})
        ),
        _in_folder(test_refresh.test_a_session_that_turns_out_forked_goes_from_the_reader_too),
    ),
    "a reader never reads anew": Bug(
        lambda: swapped(Document, "refresh", _never_anew),
        _in_folder(
            test_refresh.test_an_owner_that_takes_a_checkpoint_from_a_peer_is_followed, "something", "something"
        ),
    ),
    "a reader always reads anew": Bug(
        lambda: swapped(
            crdtmem.document.recovery,
            "resume",
            lambda real: lambda state, log, place, clock: real(state, log, place, clock)._replace(astray=[None]),
        ),  # type: ignore[list-item]
        _in_folder(test_refresh.test_what_is_read_on_is_not_read_again),
    ),
}
FAILURES = (AssertionError, CrdtmemError, ExceptionGroup, pytest.fail.Exception, AttributeError)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_planted_in_the_command_line_is_caught(name: str) -> None:
    with BUGS[name].plant(), pytest.raises(FAILURES):
        BUGS[name].caught_by()


@pytest.mark.parametrize("name", BUGS)
def test_its_catcher_passes_without_it(name: str) -> None:
    BUGS[name].caught_by()
