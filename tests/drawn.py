"""What Hypothesis draws: values of every shape and texts of every kind; and an equality stricter than Python's."""

from typing import Any

from hypothesis import strategies as st

# Characters that go wrong: beyond the BMP, combining, joiners, both line ends, the edges of the surrogate range.
HARD = [
    "a",
    "é",
    "\u0301",
    "\U0001f600",
    "\U0001f469\u200d\U0001f52c",
    "\r\n",
    "\n",
    "\0",
    "\ud7ff",
    "\ue000",
    "\U0010ffff",
]

words = st.text(st.sampled_from("abc"), min_size=1, max_size=3)
texts = st.one_of(st.text(max_size=8), st.lists(st.sampled_from(HARD), max_size=5).map("".join))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def exact(value: Any) -> Any:
    """The value with its types spelled out, so that 1, 1.0 and True differ, and 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: exact(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return type(value).__name__, repr(value)
