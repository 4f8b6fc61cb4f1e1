"""Every family of attack, a few variants of each; `python -m tests.campaign attacks` runs a thousand."""

import pytest

from tests.attacks import FAMILIES, run


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_of_it_is_applied(name: str) -> None:
    run(name, 15)


def test_there_are_enough_of_them() -> None:
    assert len(FAMILIES) >= 20
