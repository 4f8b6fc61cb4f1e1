"""Values: what is one, what is refused and how to mend it, and when two are equal."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem.errors import BadBytes, ValueRefused
from crdtmem.values import MAX_DEPTH, MAX_INT, MAX_VALUE, MIN_INT, admit, freeze, key_of, thaw
from tests.drawn import exact, values
from tests.wire import Ext, pack


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert exact(thaw(freeze(value))) == exact(value)


@given(values)
def test_what_is_frozen_here_is_admitted_there(value: Any) -> None:
    frozen = freeze(value)
    assert admit(frozen) == frozen


@given(values, values)
def test_two_values_are_equal_when_their_keys_are(one: Any, other: Any) -> None:
    assert (key_of(freeze(one)) == key_of(freeze(other))) == (exact(one) == exact(other))


def test_one_one_point_zero_and_true_are_three_values() -> None:
    assert len({key_of(freeze(value)) for value in (1, 1.0, True, "1", b"1", [1])}) == 6


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=2))
def test_the_order_of_a_dict_is_no_part_of_it(value: dict[str, int]) -> None:
    assert freeze(value) == freeze(dict(reversed(value.items())))


@given(values.filter(lambda value: isinstance(value, list | dict)))
def test_the_canonical_bytes_are_those_of_the_specification(value: Any) -> None:
    def sorted_(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: sorted_(item[key]) for key in sorted(item)}
        return [sorted_(one) for one in item] if isinstance(item, list) else item

    assert freeze(value) == Ext(1, pack(sorted_(value)))


def test_neither_the_giver_nor_the_reader_can_change_a_frozen_value() -> None:
    given_ = {"a": [1]}
    frozen = freeze(given_)
    given_["a"].append(2)
    thaw(frozen)["a"].append(3)
    assert thaw(frozen) == {"a": [1]}


class Small(int):
    pass


class Word(str):
    pass


class Box(bytes):
    pass


class Weight(float):
    """Like numpy.float64, which is a float."""


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2, [3])), [1, [2, [3]]]),
        (collections.OrderedDict(b=1, a=()), {"a": [], "b": 1}),
        (collections.defaultdict(list, k=[(1,)]), {"k": [[1]]}),
        ([collections.OrderedDict(a=1)], [{"a": 1}]),
        (collections.UserList, ValueRefused),
        (Small(7), 7),
        ([Small(7), True], [7, True]),
        (Word("é"), "é"),
        (Weight(0.5), 0.5),
        (Box(b"x"), b"x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        ({"": None, "é": [None]}, {"": None, "é": [None]}),
        (MIN_INT, MIN_INT),
        (MAX_INT, MAX_INT),
        (-0.0, -0.0),
    ],
)
def test_subclasses_and_relatives_become_plain(value: Any, plain: Any) -> None:
    if plain is ValueRefused:
        with pytest.raises(ValueRefused):
            freeze(value)
    else:
        assert exact(thaw(freeze(value))) == exact(plain)
        assert admit(freeze(value)) == freeze(plain)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Order:
    state: str


class Model:
    """Answers as a pydantic model does."""

    def model_dump(self) -> dict[str, Any]:
        return {}


class Array:
    """Answers as a numpy array or scalar does."""

    def tolist(self) -> list[Any]:
        return []


ZERO = datetime.datetime.fromtimestamp(0, datetime.UTC)
DEEP: Any = []
for _ in range(MAX_DEPTH):
    DEEP = [DEEP]
DEEPER_DICT: Any = {}
for _ in range(MAX_DEPTH):
    DEEPER_DICT = {"k": DEEPER_DICT}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ZERO, "value: datetime is not a value; store value.isoformat()"),
        (ZERO.date(), "value: date is not a value; store value.isoformat()"),
        (ZERO.time(), "value: time is not a value; store value.isoformat()"),
        (Order("open"), "value: Order is not a value; store dataclasses.asdict(value)"),
        (Order, "value: type is not a value; store None, bool, int, float, str, bytes, list or dict"),
        (Model(), 'value: Model is not a value; store value.model_dump(mode="json")'),
        (Array(), "value: Array is not a value; store value.tolist()"),
        (Point(1), "value: Point is not a value; store value._asdict()"),
        (Colour.RED, "value: Colour is an enum; store its .value ('red')"),
        (Level.HIGH, "value: Level is an enum; store its .value (3)"),
        ({1, 2}, "value: set is not a value; store sorted(value), or use memory.set(...)"),
        (frozenset(), "value: frozenset is not a value; store sorted(value), or use memory.set(...)"),
        (MappingProxyType({}), "value: mappingproxy is not a value; store dict(value)"),
        (decimal.Decimal(1), "value: Decimal is not a value; store None, bool"),
        (float("nan"), "value: nan is not a finite number; store None or a string instead"),
        (float("-inf"), "value: -inf is not a finite number"),
        (2**63, "value: 9223372036854775808 is outside int64; store it as str"),
        (-(2**63) - 1, "outside int64"),
        (2**300, "value: an integer of 301 bits is outside int64"),
        ("a\ud800", "value: lone surrogate '\\ud800' at 1"),
        ({"a": ["\udfff"]}, "value['a'][0]: lone surrogate '\\udfff' at 0"),
        ({"\ud800": 1}, "value: key: lone surrogate"),
        ({1: 2}, "value: key 1 is int, keys must be str; use '1'"),
        ([{"a": (1, ZERO)}], "value[0]['a'][1]: datetime is not a value"),
        (DEEP, f"nested deeper than {MAX_DEPTH} levels"),
        (DEEPER_DICT, f"nested deeper than {MAX_DEPTH} levels"),
        ("x" * MAX_VALUE, f"value: {MAX_VALUE} bytes, more than the {MAX_VALUE} a value may have"),
        (bytes(MAX_VALUE), f"value: {MAX_VALUE} bytes, more than"),
        (
            ["x" * (MAX_VALUE - 8), "y" * 8],
            f"bytes, more than the {MAX_VALUE} a value may have; store a reference or split it",
        ),
        (memoryview(array.array("Q", [0] * (MAX_VALUE // 8))), f"value: {MAX_VALUE} bytes, more than"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_a_refusal_names_the_place_and_the_way_out(value: Any, message: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        freeze(value)
    assert message in str(refused.value)


def test_an_error_calls_the_value_what_the_caller_calls_it() -> None:
    with pytest.raises(ValueRefused, match=r"^\['42'\]\['due'\]: datetime"):
        freeze({"due": ZERO}, "['42']")


@pytest.mark.parametrize("value", ["x" * (MAX_VALUE - 8), "é" * (MAX_VALUE // 2 - 4), bytes(MAX_VALUE - 8)])
def test_the_largest_values_pass(value: Any) -> None:
    assert admit(freeze(value)) == value


def container(data: bytes) -> Any:
    return Ext(1, data)


BIG = {"list": list(range(3000)), "dict": {f"key{i}": "x" for i in range(400)}, "deep": [[["x" * 4096]]]}
PADDED = pack("x" * 5000)


def test_a_large_container_is_admitted() -> None:
    assert admit(freeze(BIG)) == freeze(BIG)
    assert admit(freeze([{} for _ in range(70_000)])) == freeze([{} for _ in range(70_000)])
    assert admit(freeze({str(i): i for i in range(10_000)})) == freeze({str(i): i for i in range(10_000)})


@pytest.mark.parametrize(
    "decoded",
    [
        [],
        (),
        {},
        2**63,
        float("nan"),
        "x" * (MAX_VALUE + 1),
        Ext(2, b"\x90"),
        container(bytes(MAX_VALUE + 1)),
        container(pack("a")),
        container(b""),
        container(b"\x91"),
        container(b"\x90\x90"),
        container(b"\xdc\x00\x00"),
        container(pack({"b": 1, "a": 1})),
        container(b"\x82\xa1a\x01\xa1a\x01"),
        container(pack([b"k", {b"k": 1}])),
        container(pack([Ext(1, b"\x90")])),
        container(pack([float("inf")])),
        container(pack([{"a": 2**63}])),
        container(b"\xdd\xff\xff\xff\xff"),
        # the same in containers too large to be decoded at once
        container(b"\x92" + PADDED),
        container(b"\x91" + PADDED + b"\x00"),
        container(b"\xdd\xff\xff\xff\xff" + PADDED),
        container(b"\xdf\xff\xff\xff\xff" + PADDED),
        container(b"\x91" * (MAX_DEPTH + 1) + PADDED),
        container(b"\x81\x90\x01" + PADDED),
        container(b"\xdd\x00\x00\x00\x01" + PADDED),
        container(PADDED),
    ],
    ids=range(28),
)
def test_foreign_bytes_that_are_no_value_are_refused(decoded: object) -> None:
    with pytest.raises(BadBytes) as refused:
        admit(decoded)
    assert 0 < len(str(refused.value)) < 200


@given(st.binary(max_size=40), st.sampled_from([b"", PADDED]), st.sampled_from([b"", b"\x92", b"\x81\xa1k"]))
def test_any_bytes_give_a_value_or_one_error(data: bytes, padding: bytes, start: bytes) -> None:
    found = container(start + data + padding)
    try:
        admitted = admit(found)
    except BadBytes:
        return
    assert freeze(thaw(admitted)) == admitted == found


def test_a_mapping_that_is_no_dict_says_how_to_make_it_one() -> None:
    class Lazy(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise KeyError(key)

        def __iter__(self) -> Any:
            return iter(())

        def __len__(self) -> int:
            return 0

    with pytest.raises(ValueRefused, match=r"Lazy is not a value; store dict\(value\)"):
        freeze(Lazy())
