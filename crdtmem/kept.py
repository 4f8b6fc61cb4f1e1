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

MOST = 16


class Kept:
    """The last few things worked out, and the index of what is live now."""

    def __init__(self) -> None:
        self.index: Index | None = None
        self.near: dict[str, Nearness] = {}  # by the name of the model
        self._lock = threading.Lock()
        self._sessions: Any = None
        self._found: dict[Hashable, Any] = {}

    def find(self, state: Any, key: Hashable) -> Any:
        """What is kept under a key, which names a version; None if nothing is.

        >>> from crdtmem import Replica
        >>> kept, state = Kept(), Replica("ann").open(tenant="acme")._document.state
        >>> kept.find(state, ("answer", state.version))
        >>> kept.keep(state.sessions, ("answer", state.version), 42)
        >>> kept.find(state, ("answer", state.version))
        42
        """
        with self._lock:
            self._forget(state.sessions)
            if key in self._found:
                self._found[key] = self._found.pop(key)  # used last
            return self._found.get(key)

    def keep(self, sessions: Any, key: Hashable, made: object) -> None:
        """Keep what was worked out while a state had these sessions."""
        with self._lock:
            self._forget(sessions)
            self._found[key] = made
            while len(self._found) > MOST:
                del self._found[next(iter(self._found))]

    def _forget(self, sessions: Any) -> None:
        if self._sessions is not sessions:  # a state made anew has others
            self._sessions = sessions
            self._found.clear()
