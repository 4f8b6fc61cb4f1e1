"""Bugs on purpose in archives, lines, the doctor and the webhook: the tests beside it here must notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple
from urllib.request import HTTPRedirectHandler

import pytest

import crdtmem.adapters.webhook
import crdtmem.archive
import crdtmem.bringing
import crdtmem.doctor
import crdtmem.lines
import crdtmem.loading
import crdtmem.recent
import crdtmem.retention
from crdtmem import CrdtmemError
from crdtmem.adapters.webhook import Webhook
from crdtmem.document import Document
from crdtmem.health import Health
from tests import test_archive, test_doctor, test_lines, test_webhook
from tests.planted import swapped


class Bug(NamedTuple):
    """How to make it, and what must fail then."""

    plant: Callable[[], AbstractContextManager[object]]
    caught_by: Callable[[], object]


def place() -> Path:
    """A folder."""
    return Path(mkdtemp())


def _only_once(real: Any) -> Any:
    return lambda self, file: self._read(file, by_session=False)


def _plain(value: Any) -> Any:
    """Bytes as a dict, and dicts as they are."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return crdtmem.lines.plain(value) if isinstance(value, bytes) else value


def _told(real: Any) -> Any:
    def told(kind: int, entry: Any) -> Any:
        return {**real(kind, entry), "value": _plain(entry.value)}

    return told


def _twice() -> None:
    line, why = next(bad for bad in test_lines.BAD if "twice" in bad[1])
    test_lines.test_a_line_that_cannot_be_read_is_named_and_nothing_is_written(place(), line, why)


BUGS: dict[str, Bug] = {
    "what is not sealed yet goes out unsealed": Bug(
        lambda: swapped(crdtmem.archive._Writer, "_sealed", lambda real: lambda self, kept, needed: kept),
        lambda: test_archive.test_beside_a_live_owner_its_key_seals_what_is_not_sealed_yet(place()),
    ),
    "an archive is read once": Bug(
        lambda: swapped(crdtmem.bringing._Bringing, "_changes", _only_once),
        lambda: test_archive.test_sessions_side_by_side_under_sparse_seals_enter_all_the_same(place()),
    ),
    "in an open memory anybody's checkpoint counts": Bug(
        lambda: swapped(crdtmem.bringing, "fingerprint", lambda real: lambda key: None),
        lambda: test_archive.test_of_a_pruned_memory_it_brings_what_it_shows_to_whom_trusts_its_maker(folder=place()),
    ),
    "a hole in the log goes unnoticed": Bug(
        lambda: swapped(crdtmem.archive._Writer, "_torn", lambda real: lambda self: None),
        lambda: test_archive.test_it_brings_back_what_is_damaged(place()),
    ),
    "proofs of forks are left out": Bug(
        lambda: swapped(Document, "proofs", lambda real: lambda self: []),
        lambda: test_archive.test_a_forked_session_stays_void_where_its_archive_is_taken_in(place()),
    ),
    "a dict passes for bytes": Bug(
        lambda: swapped(crdtmem.lines, "_told", _told),
        test_lines.test_a_dict_that_looks_like_bytes_stays_a_dict,
    ),
    "a sibling takes the place of the other": Bug(
        lambda: swapped(
            crdtmem.loading, "_beside", lambda real: lambda part, said, key, frozen: part.put(key, frozen, said)
        ),
        lambda: test_lines.test_siblings_come_back_side_by_side_and_one_value_takes_the_place_of_another(place()),
    ),
    "of two names in a line the last counts": Bug(
        lambda: swapped(crdtmem.loading, "_JSON", lambda real: json.JSONDecoder()),
        _twice,
    ),
    "a time to live begins anew": Bug(
        lambda: swapped(crdtmem.loading, "_moment", lambda real: lambda name, told: None),
        lambda: test_lines.test_a_line_says_who_when_why_and_on_what(place()),
    ),
    "clocks are not compared": Bug(
        lambda: swapped(crdtmem.recent, "_compare", lambda real: lambda *args: None),
        test_doctor.test_a_clock_that_was_ahead_once_is_told_by_who_had_seen_it,
    ),
    "notes wake somebody up": Bug(
        lambda: swapped(Health, "alerts", lambda real: property(lambda self: self.signs)),
        test_doctor.test_an_alert_is_of_what_passed_a_limit_and_of_nothing_else,
    ),
    "the doctor asks the audit": Bug(
        lambda: swapped(crdtmem.doctor, "live", lambda real: lambda memory: (memory.audit(last=1), real(memory))[1]),
        lambda: test_doctor.test_an_audit_that_nobody_asks(place()),
    ),
    "a dry run forgets what is kept": Bug(
        lambda: swapped(
            crdtmem.retention, "planned", lambda real: lambda document, before, keep: real(document, before, 0)
        ),
        test_doctor.test_a_dry_run_says_what_a_prune_does,
    ),
    "a redirect is followed": Bug(
        lambda: swapped(crdtmem.adapters.webhook, "_Stay", lambda real: HTTPRedirectHandler),
        lambda: test_webhook.test_what_it_refuses_is_not(301),
    ),
    "what cannot be done just now is given up": Bug(
        lambda: swapped(Webhook, "_once", lambda real: lambda self, body: (False, real(self, body)[1])),
        test_webhook.test_what_a_server_cannot_do_just_now_is_tried_again,
    ),
}

FAILURES = (AssertionError, CrdtmemError, KeyError, ExceptionGroup, pytest.fail.Exception)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_planted_in_keeping_is_caught(name: str) -> None:
    with BUGS[name].plant(), pytest.raises(FAILURES):
        BUGS[name].caught_by()
