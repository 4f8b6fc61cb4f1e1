"""The small scope, exhausted: every causal order of every history of a few operations gives one content."""

from itertools import product

import pytest

from tests.exhaustive import CALLS, Case, explore, histories, shapes

SMALL = [sizes for sizes in product(range(3), repeat=3) if 0 < sum(sizes) <= 2]


@pytest.mark.parametrize("kind", CALLS)
def test_every_order_of_every_small_history(kind):
    cases, total = map(sum, zip(*(explore(kind, sizes) for sizes in SMALL), strict=True))
    assert total >= cases > 20


@pytest.mark.parametrize("kind", CALLS)
def test_every_shape_of_three_operations(kind):
    for sizes in [(1, 1, 1), (2, 1, 0), (0, 1, 2), (1, 0, 2)]:
        explore(kind, sizes, some=6)


def test_the_number_of_shapes():
    counted = {(1, 1, 0): 3, (1, 1, 1): 19, (2, 1, 1): 66, (2, 2, 1): 355, (2, 2, 2): 2827}
    assert {sizes: len(shapes(sizes)) for sizes in counted} == counted


def test_a_case_by_name():
    apart = Case("set", (((0, 0), (0, 0, 0)), ((1, 0), (0, 0, 0))), (0, 1))
    assert histories(apart) == 2
