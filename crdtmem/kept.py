"""What was worked out of a memory for its readers, each under the version it was worked out from (invariant 8).

A version names a set of changes, and these give one content. So what is kept here is never looked at for its age: it is
found under the version that is asked for, or not at all. Where a cut or a fork made the state anew, the same changes
give something else, and all is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crdtmem.index import Index
    from crdtmem.nearness import Nearness


class Kept:
    """The index of what is live now, and the last few of other things, by their kind and version."""

    def __init__(self) -> None:
        self.index: Index | None = None
        self.near: dict[str, Nearness] = {}  # by the name of the model
        self._lock = threading.Lock()
        self._sessions: Any = None
        self._found: dict[str, dict[Hashable, Any]] = {}

    def find(self, state: Any, kind: str, key: Hashable) -> Any:
        """What is kept of a kind under a key, which names a version; None if nothing is.

        >>> from crdtmem import Replica
        >>> kept, state = Kept(), Replica("ann").open(tenant="acme")._document.state
        >>> kept.find(state, "answer", state.version)
        >>> kept.keep(state.sessions, "answer", state.version, 42, most=1)
        >>> kept.find(state, "answer", state.version)
        42
        """
        with self._lock:
            self._forget(state.sessions)
            some = self._found.get(kind, {})
            if key in some:
                some[key] = some.pop(key)  # used last
            return some.get(key)

    def keep(self, sessions: Any, kind: str, key: Hashable, made: object, *, most: int) -> None:
        """Keep what was worked out while a state had these sessions, and so many of its kind."""
        with self._lock:
            self._forget(sessions)
            some = self._found.setdefault(kind, {})
            some[key] = made
            while len(some) > most:
                del some[next(iter(some))]

    def _forget(self, sessions: Any) -> None:
        if self._sessions is not sessions:  # a state made anew has others
            self._sessions = sessions
            self._found.clear()
