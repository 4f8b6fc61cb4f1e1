"""The only writer of Yjs v1 updates: one run of units, or a gap where a void one would have been.

No foreign Yjs byte ever reaches pycrdt. A change carries runs as plain checked data, and every replica writes the
update itself, so nested types, GC and Skip structs, foreign clients, rewound clocks and trailing bytes cannot be said.
A value of a sequence is one null cell: Yjs keeps the order, the field keeps the values.
"""

from __future__ import annotations

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


def gap(client: int, clock: int, units: int) -> bytes:
    """The update in which these units of a client never were: what follows them may come all the same.

    >>> gap(7, 2, 3).hex()
    '01010702000300'
    """
    out = bytearray(b"\x01\x01")
    for number in (client, clock, 0, units, 0):
        _number(out, number)
    return bytes(out)


def _number(out: bytearray, n: int) -> None:
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
