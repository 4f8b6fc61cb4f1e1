"""What a value may be, and the one encoding that makes values equal.

A value is None, bool, int64, finite float, str without lone surrogates, bytes, list, or dict with str keys. Two
values are equal when their canonical bytes are: msgpack with the shortest integers, 64-bit floats and sorted keys,
so 1, 1.0 and True are three values. Inside crdtmem a value is *frozen*: a scalar as it is, a container as its
canonical bytes (a msgpack extension), so nobody can change it by accident and it travels without being decoded.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec.msgpack import Encoder, Ext, decode

from crdtmem.errors import BadBytes, ValueRefused

Value: TypeAlias = bool | int | float | str | bytes | list[Any] | dict[str, Any] | None
Frozen: TypeAlias = bool | int | float | str | bytes | Ext | None
Key: TypeAlias = str | bytes

MAX_DEPTH = 32
MAX_VALUE = 256 * 1024
MIN_INT, MAX_INT = -(2**63), 2**63 - 1

encode = Encoder().encode
_ordered = Encoder(order="deterministic").encode  # of dicts with their keys sorted
_CONTAINER = 1
_SAFE_LENGTH = MAX_VALUE // 4 - 8  # code points that fit whatever their width


def freeze(value: object, where: object = "value") -> Frozen:
    """Check a value and return its frozen form.

    Args:
        value: what the caller wants to store.
        where: how error messages call it; what is no str is put in words only for them.

    Raises:
        ValueRefused: the value, or a part of it, is out of bounds.

    >>> freeze("plain"), freeze(7)
    ('plain', 7)
    >>> thaw(freeze({"b": (1, 2), "a": None}))
    {'a': None, 'b': [1, 2]}
    """
    kind = type(value)
    if kind is str:
        if len(value) > _SAFE_LENGTH or not value.isascii():  # type: ignore[arg-type, attr-defined]
            _check_text(value, where)  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    if value is None or kind is bool:
        return value  # type: ignore[return-value]
    if kind is dict or kind is list:
        if _is_plain(value, 1):
            try:
                data = _ordered(value)
                if len(data) <= MAX_VALUE:
                    return Ext(_CONTAINER, data)
            except (UnicodeEncodeError, OverflowError):  # a lone surrogate, or an int far beyond int64
                pass
        data = encode(_normal(value, where, 1))  # which makes it plain, or says which part of it cannot be
        if len(data) > MAX_VALUE:
            raise ValueRefused(_too_long(where, len(data)))
        return Ext(_CONTAINER, data)
    plain = _scalar(value, where)
    return freeze(plain, where) if type(plain) in (list, dict) else plain


def thaw(frozen: Frozen) -> Any:
    """A fresh plain value; changing it changes nothing but itself.

    >>> thaw(freeze([1, {"k": b"v"}]))
    [1, {'k': b'v'}]
    """
    return decode(frozen.data) if type(frozen) is Ext else frozen


def key_of(frozen: Frozen) -> Key:
    """What two frozen values share exactly when they are equal.

    >>> key_of(1) == key_of(1.0), key_of("a") == key_of(b"a")
    (False, False)
    """
    return frozen if type(frozen) is str else encode(frozen)


def admit(decoded: object) -> Frozen:
    """The frozen form of what msgpack decoded from foreign bytes.

    Raises:
        BadBytes: not a value, out of bounds, or not in canonical form.
    """
    if type(decoded) is Ext:
        data = bytes(decoded.data)
        if decoded.code != _CONTAINER or len(data) > MAX_VALUE:
            raise BadBytes("unknown or oversized container")
        plain = _decode_container(data)
        if type(plain) is not list and type(plain) is not dict:
            raise BadBytes("a container that holds neither list nor dict")
        flaw = _flaw(plain, 1)
        if flaw or encode(plain) != data:
            raise BadBytes(flaw or "value not in canonical form")
        return decoded
    if type(decoded) is list or type(decoded) is dict or type(decoded) is tuple:
        raise BadBytes("a bare container where a value should be")
    try:
        return freeze(decoded)
    except ValueRefused as error:
        raise BadBytes(str(error)) from None


def _flaw(plain: Any, depth: int) -> str | None:
    """Why `freeze` would not take it as it is. Names no path: that of a hostile value may be as long as the value."""
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    if type(plain) is dict:
        if not all(type(key) is str for key in plain):
            return "keys must be str"
        if list(plain) != sorted(plain):
            return "value not in canonical form"
        plain = plain.values()
    for item in plain:
        kind = type(item)
        if kind is list or kind is dict:
            flaw = _flaw(item, depth + 1)
            if flaw:
                return flaw
        elif kind is int:
            if item > MAX_INT:  # below int64 there is nothing in msgpack
                return f"{item} is outside int64"
        elif kind is float:
            if not math.isfinite(item):
                return f"{item} is not a finite number"
        elif kind not in _PLAIN:
            return f"{kind.__name__} is not a value"
    return None


_PLAIN = (str, bytes, bool, type(None))


def _decode_container(data: bytes) -> object:
    try:
        return decode(data)
    except Exception as error:  # msgspec on hostile bytes: undecodable, or nested beyond the stack
        raise BadBytes(f"undecodable value: {error}") from None


def _is_plain(value: Any, depth: int) -> bool:
    """Whether this list or dict can be encoded as it is, but for what the encoder finds itself."""
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    for item in value:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if item > MAX_INT:  # below int64 the encoder takes none
                return False
        elif kind is bool or item is None:
            continue
        elif kind is float:
            if not math.isfinite(item):
                return False
        elif (kind is not list and kind is not dict) or depth == MAX_DEPTH or not _is_plain(item, depth + 1):
            return False
    return True


def _normal(value: Any, where: object, depth: int) -> object:
    kind = type(value)
    if kind is list or kind is tuple:
        if depth > MAX_DEPTH:
            raise ValueRefused(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it or split it over entries")
        return [_normal(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if kind is dict:
        if depth > MAX_DEPTH:
            raise ValueRefused(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it or split it over entries")
        for key in value:
            if type(key) is not str:
                raise ValueRefused(f"{where}: key {key!r} is {_name(key)}, keys must be str; use {str(key)!r}")
            if not key.isascii():
                _check_text(key, f"{where}: key")
        return {key: _normal(value[key], f"{where}[{key!r}]", depth + 1) for key in sorted(value)}
    plain = _scalar(value, where)
    return _normal(plain, where, depth) if type(plain) in (list, dict) else plain


def _scalar(value: object, where: object) -> Any:
    """A checked scalar; a list or dict where a subclass of one was given."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        raise ValueRefused(f"{where}: {_name(value)} is an enum; store its .value ({value.value!r})")
    if isinstance(value, int):
        if not MIN_INT <= value <= MAX_INT:
            raise ValueRefused(f"{where}: {_short(value)} is outside int64; store it as str")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueRefused(f"{where}: {value} is not a finite number; store None or a string instead")
        return float(value)
    if isinstance(value, str):
        _check_text(value, where)
        return str.__str__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if len(data) > MAX_VALUE - 8:
            raise ValueRefused(_too_long(where, len(data)))
        return data
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    raise ValueRefused(f"{where}: {_name(value)} is not a value; {_fix(value)}")


def _check_text(value: str, where: object) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ValueRefused(
            f"{where}: lone surrogate {value[error.start]!r} at {error.start}; "
            "decode the source properly, or clean it with .encode(errors='replace').decode()"
        ) from None
    if size > MAX_VALUE - 8:
        raise ValueRefused(_too_long(where, size))


def _too_long(where: object, size: int) -> str:
    return f"{where}: {size} bytes, more than the {MAX_VALUE} a value may have; store a reference or split it"


def _fix(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return "store value.isoformat()"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "store dataclasses.asdict(value)"
    if hasattr(value, "model_dump"):
        return 'store value.model_dump(mode="json")'
    if hasattr(value, "_asdict"):
        return "store value._asdict()"
    if isinstance(value, set | frozenset):
        return "store sorted(value), or use memory.set(...)"
    if isinstance(value, Mapping):
        return "store dict(value)"
    if hasattr(value, "tolist"):
        return "store value.tolist()"
    return "store None, bool, int, float, str, bytes, list or dict"


def _name(value: object) -> str:
    return type(value).__name__


def _short(value: int) -> str:
    return str(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
