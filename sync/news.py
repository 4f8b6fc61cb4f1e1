"""What a peer has to tell of its connections."""

from __future__ import annotations

from typing import NamedTuple


class News(NamedTuple):
    """Something that whoever runs the peer may want to know."""

    kind: str  # joined, left, caught up, behind, refused, trouble or diverged
    peer: str
    namespace: bytes | None
    detail: str = ""
