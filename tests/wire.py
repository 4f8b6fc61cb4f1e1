"""MessagePack written by hand, straight from its specification, to forge bytes and to check those of the library."""

import struct
from typing import Any

from crdtmem.values import freeze

Ext: Any = type(freeze([]))  # a container in its canonical bytes, whatever library makes it: Ext(code, data)


def pack(value: Any) -> bytes:
    """The shortest encoding; floats in 64 bits, dicts in the order given."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if -32 <= value < 128:
            return struct.pack("b", value) if value < 0 else bytes([value])
        for code, form in zip(range(0xCC, 0xD4), "BHIQbhiq", strict=True):
            size = 8 * struct.calcsize(form)
            if -(2 ** (size - 1)) * form.islower() <= value < 2 ** (size - form.islower()):
                return bytes([code]) + struct.pack(f">{form}", value)
        raise OverflowError(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return _sized(len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB)) + data
    if isinstance(value, bytes):
        return _sized(len(value), (0, 0), (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, list | tuple) and not isinstance(value, Ext):
        return _sized(len(value), (0x90, 16), (None, 0xDC, 0xDD)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        items = b"".join(pack(key) + pack(item) for key, item in value.items())
        return _sized(len(value), (0x80, 16), (None, 0xDE, 0xDF)) + items
    data = bytes(value.data)
    if len(data) in (1, 2, 4, 8, 16):
        return bytes([0xD4 + (1, 2, 4, 8, 16).index(len(data)), value.code]) + data
    return _sized(len(data), (0, 0), (0xC7, 0xC8, 0xC9)) + bytes([value.code]) + data


def _sized(size: int, short: tuple[int, int], codes: tuple[int | None, int, int]) -> bytes:
    if size < short[1]:
        return bytes([short[0] + size])
    if codes[0] is not None and size < 2**8:
        return bytes([codes[0], size])
    if size < 2**16:
        return bytes([codes[1]]) + struct.pack(">H", size)
    return bytes([codes[2]]) + struct.pack(">I", size)
