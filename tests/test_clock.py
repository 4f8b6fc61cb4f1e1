"""The clock: later than all it gave and saw, close to wall time, and not to be dragged away."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem.clock import DRIFT, MAX_STAMP, Clock, aware, moment, stamp
from crdtmem.errors import ValueRefused
from tests.crew import Time

steps = st.one_of(
    st.tuples(st.just("passes"), st.floats(-100, 1000)),
    st.tuples(st.just("saw"), st.integers(0, MAX_STAMP)),
    st.tuples(st.just("near"), st.integers(-(1 << 30), 1 << 30)),
)


@given(st.lists(steps))
def test_every_stamp_is_later_than_all_given_and_followed(moves: list[tuple[str, float]]) -> None:
    time = Time()
    clock = Clock(time)
    latest = clock.now()
    for what, size in moves:
        if what == "passes":
            time.passes(size)
        else:
            stamp = int(size) if what == "saw" else max(0, latest + int(size))
            if clock.saw(stamp):
                latest = max(latest, stamp)
        now = clock.now()
        assert now > latest
        latest = now


@given(st.lists(st.integers(0, MAX_STAMP)))
def test_nothing_seen_drags_it_further_than_the_drift(seen: list[int]) -> None:
    time = Time()
    clock = Clock(time)
    for foreign in seen:
        clock.saw(foreign)
    assert moment(clock.now()).timestamp() - time() <= (DRIFT >> 16) / 1000 + 1


def test_a_stamp_too_far_ahead_is_reported_and_not_followed() -> None:
    clock = Clock(Time(1000.0))
    here = clock.now()
    assert not clock.saw(here + DRIFT + (1 << 17))
    assert clock.now() < here + DRIFT
    assert clock.saw(here + DRIFT)
    assert clock.now() == here + DRIFT + 1


def test_what_is_behind_changes_nothing() -> None:
    clock = Clock(Time())
    now = clock.now()
    assert clock.saw(0) and clock.saw(now)
    assert clock.now() == now + 1


def test_time_that_stands_still_or_runs_back_still_gives_later_stamps() -> None:
    time = Time()
    clock = Clock(time)
    first = clock.now()
    time.passes(-3600)
    assert clock.wall() == time.now
    assert first < clock.now() < clock.now()


@given(st.integers(0, 2**46))
def test_a_stamp_tells_its_moment_to_the_millisecond(millis: int) -> None:
    assert abs(moment(millis << 16).timestamp() * 1000 - millis) < 1


def test_beyond_the_calendar_the_moment_at_its_end_shows() -> None:
    assert moment(MAX_STAMP).year == 6429
    assert moment(2**53 << 16) == datetime.max.replace(tzinfo=UTC)
    assert moment(-(2**53) << 16) == datetime.min.replace(tzinfo=UTC)


def test_without_a_time_source_it_reads_the_wall_clock() -> None:
    before = datetime.now(UTC).timestamp()
    assert before - 1 <= moment(Clock().now()).timestamp() <= datetime.now(UTC).timestamp() + 1


@given(st.integers(0, MAX_STAMP >> 2))
def test_the_stamp_of_a_moment_is_the_last_one_in_its_millisecond(at: int) -> None:
    when = moment(at)
    if when.year < 9999:
        last = stamp(when)
        assert at <= last
        assert moment(last) == when < moment(last + 1)


def test_a_moment_without_a_time_zone_is_refused_with_the_fix() -> None:
    now = datetime.now(UTC)
    assert aware(now) is now
    with pytest.raises(ValueRefused, match=r"datetime.now\(UTC\)"):
        aware(now.replace(tzinfo=None))
