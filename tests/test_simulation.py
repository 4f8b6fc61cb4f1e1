"""The simulation: some hundred seeds of it here, many more by `python -m tests.campaign simulate`."""

from __future__ import annotations

import pytest

from tests.simulation import simulate


@pytest.mark.parametrize("first", range(0, 300, 20))
def test_a_team_on_a_faulty_network_converges_to_what_the_model_says(first: int) -> None:
    for seed in range(first, first + 20):
        simulate(seed)


def test_a_seed_gives_the_same_run_to_the_byte() -> None:
    one, other = simulate(4711), simulate(4711)
    assert one.trace == other.trace
    assert one.trace != simulate(4712).trace


def test_the_runs_are_worth_something() -> None:
    """They break what they are to break, or a seed that finds nothing says nothing."""
    runs = [simulate(seed) for seed in range(8)]
    told = {news.kind for run in runs for news in run.news}
    assert {"joined", "left", "caught up", "behind", "refused", "trouble"} <= told
    for worth in ("marked", "followed", "junk", "leaky"):
        assert any(getattr(run, worth) for run in runs)
    assert len({len(run.nodes) for run in runs}) >= 3
