"""How a cost grows: the exponent of a power of the size, fitted to what was measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

Point = tuple[float, float]  # a size, and a cost
LAST = 3  # sizes: what is constant hides growth where little is there


def exponent(points: Sequence[Point]) -> float:
    """The slope of the straight line that is nearest to the points, by least squares, where both axes are logarithmic.

    Raises:
        ValueError: fewer than two sizes, or a point that has no logarithm.

    >>> round(exponent([(10, 5.0), (100, 50.0), (1000, 500.0)]), 6)
    1.0
    >>> round(exponent([(10, 5.0), (1000, 50.0)]), 6)
    0.5
    """
    if any(size <= 0 or cost <= 0 for size, cost in points):
        raise ValueError(f"a size or a cost that is not positive has no logarithm: {list(points)}")
    placed = [(log(size), log(cost)) for size, cost in points]
    if len({x for x, _ in placed}) < 2:
        raise ValueError(f"nothing can be said of growth from one size: {list(points)}")
    middle = sum(x for x, _ in placed) / len(placed)
    return sum((x - middle) * y for x, y in placed) / sum((x - middle) ** 2 for x, _ in placed)


def growth(points: Sequence[Point]) -> float:
    """The exponent over the largest sizes: what an operation comes to in the end.

    >>> constant_and_square = [(size, 1000 + size**2) for size in (1, 10, 100, 1000, 10000)]
    >>> round(exponent(constant_and_square), 1), round(growth(constant_and_square), 1)
    (1.3, 2.0)
    """
    return exponent(sorted(points)[-LAST:])
