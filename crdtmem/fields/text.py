"""A text that several agents edit at once, merged character by character. Offsets are code points."""

from __future__ import annotations

from typing import Unpack

from crdtmem.change import TEXT
from crdtmem.draft import Fresh, OrderedDraft
from crdtmem.entry import About, Attributes, Entry
from crdtmem.errors import AmbiguousMatch, NoMatch, ValueRefused
from crdtmem.fields.field import Field
from crdtmem.values import freeze


class Text(Field[str]):
    """A shared text.

    >>> from crdtmem import Replica
    >>> draft = Replica("ann").open(tenant="acme").text("draft")
    >>> _ = draft.append("Churn is 3.1% in March.")
    >>> _ = draft.replace("3.1%", "4.7%", why="the CRM was corrected")
    >>> str(draft)
    'Churn is 4.7% in March.'
    >>> [entry.value for entry in draft.entries()]
    ['Churn is ', '4.7%', ' in March.']
    """

    __slots__ = ()
    _kind = TEXT

    def insert(self, index: int, text: str, **attributes: Unpack[Attributes]) -> Entry:
        """Put text before the character at an index."""
        return self._memory._write(self._at, _insert, attributes, index, _text(text))

    def append(self, text: str, **attributes: Unpack[Attributes]) -> Entry:
        """Put text at the end."""
        return self._memory._write(self._at, _insert, attributes, None, _text(text))

    def delete(self, start: int, end: int | None = None, **attributes: Unpack[Attributes]) -> str:
        """Take out the characters from start to end, by default to the end of the text; returns them."""
        return self._memory._write(self._at, _delete, attributes, start, end)

    def replace(self, old: str, new: str, **attributes: Unpack[Attributes]) -> Entry | None:
        """Replace the one occurrence of `old`; None when `new` is empty, else the entry of what is new.

        Raises:
            NoMatch: it does not occur.
            AmbiguousMatch: it occurs more than once; the message shows where.
        """
        if not isinstance(new, str):
            raise ValueRefused(f"text: a str, not {type(new).__name__}")
        return self._memory._write(self._at, _replace, attributes, _text(old), _text(new) if new else "")

    def __str__(self) -> str:
        return self._memory._read(self._at)

    @property
    def value(self) -> str:
        """The text."""
        return str(self)

    def __len__(self) -> int:
        return len(str(self))

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    def _all(self) -> list[Entry]:
        """What is left of each insertion, in the order of the text."""
        with self._memory._document.lock:
            return self._memory._view(self._at).shares()  # type: ignore[no-any-return]


def _text(text: object) -> str:
    if not isinstance(text, str) or not text:
        raise ValueRefused(f"text: a str with at least one character, not {text!r:.40}")
    return freeze(text, "text")  # type: ignore[return-value]


def _index(part: OrderedDraft, index: int, size: int) -> int:
    at = index + size if index < 0 else index
    if not 0 <= at <= size:
        raise IndexError(f"text {part.field.name!r} has {size} characters; there is no place {index}")
    return at


def _insert(part: OrderedDraft, about: About | None, index: int | None, text: str) -> Entry:
    size = len(part)
    entry = Entry(None, part.field.name, None, text, about, None)
    part.insert(size if index is None else _index(part, index, size), Fresh(text, [entry], about))
    return entry


def _delete(part: OrderedDraft, about: About | None, start: int, end: int | None) -> str:
    size = len(part)
    first, last = _index(part, start, size), size if end is None else _index(part, end, size)
    gone = part.text[first:last]
    part.delete(first, last)
    return gone


def _replace(part: OrderedDraft, about: About | None, old: str, new: str) -> Entry | None:
    text = part.text
    places: list[int] = []
    at = text.find(old)
    while at >= 0 and len(places) < 4:
        places.append(at)
        at = text.find(old, at + 1)
    if not places:
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        raise NoMatch(
            f"{old!r:.80} does not occur in text {part.field.name!r}, which reads {shown!r}; read it again and retry"
        )
    if len(places) > 1:
        context = "; ".join(repr(text[max(0, p - 20) : p + len(old) + 20]) for p in places[:3])
        raise AmbiguousMatch(
            f"{old!r:.80} occurs more than once in text {part.field.name!r}: {context}; "
            "give more of what stands around it"
        )
    start = places[0]
    part.delete(start, start + len(old))
    return _insert(part, about, start, new) if new else None
