"""Short names of entries, for people: the head of their session, the number of the change, and the place in it.

An id says the same in 30 characters that nobody can tell apart. A mark is looked up among the sessions that are here;
where two begin alike it names neither, so nobody can pose as another by a session made to fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from crdtmem.change import PART_SHIFT
from crdtmem.entry import Entry, EntryId, is_id
from crdtmem.errors import BadBytes, NoMatch

_ITEM = (1 << PART_SHIFT) - 1
_HEAD = 8  # hexadecimal digits of the session
_MARK = re.compile(r"([0-9a-f]{4,32})\.([0-9]{1,16})(?:\.([0-9]{1,7})\.([0-9]{1,7}))?")


def mark(entry: Entry | EntryId) -> str:
    """The short name of an entry.

    >>> mark(EntryId(bytes(16), 7, 0)), mark(EntryId(bytes(16), 7, 2))
    ('00000000.7', '00000000.7.0.2')
    """
    id = entry.id if isinstance(entry, Entry) else entry
    place = f".{id.n >> PART_SHIFT}.{id.n & _ITEM}" if id.n else ""
    return f"{id.session[: _HEAD // 2].hex()}.{id.seq}{place}"


def marked(text: str, sessions: Iterable[bytes]) -> EntryId:
    """The entry that a mark, or an id, names.

    Args:
        text: what somebody typed.
        sessions: those whose entries can be meant.

    Raises:
        NoMatch: it is neither, or no session begins so, or several do.

    >>> marked("00000000.7", [bytes(16)])
    EntryId(session=b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', seq=7, n=0)
    """
    parts = _MARK.fullmatch(text)
    if parts is None:
        try:
            return EntryId.parse(text)
        except BadBytes:
            raise NoMatch(f"{text[:60]!r} names no entry; a name is like 3fa9c1d2.7, or an id of JSON output") from None
    found = [session for session in sessions if session.hex().startswith(parts[1])]
    if len(found) != 1:
        several = f"{len(found)} sessions begin so; give more digits, or the id" if found else "no session begins so"
        raise NoMatch(f"{text!r} names no entry here: {several}")
    part, item = int(parts[3] or 0), int(parts[4] or 0)
    id = EntryId(found[0], int(parts[2]), part << PART_SHIFT | item)
    if item > _ITEM or not is_id(tuple(id)):
        raise NoMatch(f"{text!r} names no entry: no change has such a number")
    return id
