"""The only writer of Yjs v1 updates: one run of units, or deletes.

No foreign Yjs byte ever reaches pycrdt. A change carries runs as plain checked data, and every replica writes the
update itself, so nested types, GC and Skip structs, foreign clients, rewound clocks and trailing bytes cannot be said.
A value of a sequence is one null cell: Yjs keeps the order, the field keeps the values.
"""

from __future__ import annotations

from collections.abc import Iterable

Unit = tuple[int, int]

_STRING, _ANY, _NULL = 4, 8, b"\x7e"


def insertion(client: int, clock: int, left: Unit | None, right: Unit | None, content: str | int) -> bytes:
    """The update in which `client` puts a run between two units.

    Args:
        client: the author.
        clock: the clock of the first new unit.
        left: the unit it follows, None at the start.
        right: the unit it precedes, None at the end.
        content: a text, or how many cells.

    >>> insertion(7, 0, None, None, "ab").hex()
    '0101070004010002616200'
    >>> insertion(7, 2, (7, 1), None, 1).hex()
    '01010702880701017e00'
    """
    kind = _STRING if isinstance(content, str) else _ANY
    out = bytearray(b"\x01\x01")
    _number(out, client)
    _number(out, clock)
    out.append(kind | (0x80 if left else 0) | (0x40 if right else 0))
    for unit in (left, right):
        if unit:
            _number(out, unit[0])
            _number(out, unit[1])
    if not left and not right:
        out += b"\x01\x00"  # the parent is the root type named ""
    if isinstance(content, str):
        data = content.encode()
        _number(out, len(data))
        out += data
    else:
        _number(out, content)
        out += _NULL * content
    out.append(0)
    return bytes(out)


def neighbours(update: bytes) -> tuple[Unit | None, Unit | None]:
    """Between which units Yjs itself put the one run of an update of its own.

    >>> neighbours(insertion(7, 200, (7, 1), (9, 300), "x"))
    ((7, 1), (9, 300))
    """
    at = 2

    def number() -> int:
        nonlocal at
        n = shift = 0
        while True:
            byte = update[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    number(), number()  # its client and clock
    info = update[at]
    at += 1
    left = (number(), number()) if info & 0x80 else None
    right = (number(), number()) if info & 0x40 else None
    return left, right


def gap(client: int, clock: int, units: int) -> bytes:
    """The update in which these units of a client never were: what follows them may come all the same.

    >>> gap(7, 2, 3).hex()
    '01010702000300'
    """
    out = bytearray(b"\x01\x01")
    for number in (client, clock, 0, units, 0):
        _number(out, number)
    return bytes(out)


def deletion(deletes: Iterable[tuple[int, int, int]]) -> bytes:
    """The update that deletes these ranges of (client, clock, length).

    >>> deletion([(7, 1, 2)]).hex()
    '000107010102'
    """
    ranges: dict[int, list[tuple[int, int]]] = {}
    for client, clock, length in deletes:
        ranges.setdefault(client, []).append((clock, length))
    out = bytearray(b"\x00")
    _number(out, len(ranges))
    for client, spans in ranges.items():
        _number(out, client)
        _number(out, len(spans))
        for clock, length in sorted(spans):
            _number(out, clock)
            _number(out, length)
    return bytes(out)


def _number(out: bytearray, n: int) -> None:
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
