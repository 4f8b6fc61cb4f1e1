"""An open `change()`: a draft that belongs to the context which opened it, committed when its `with` block ends."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from crdtmem import writing
from crdtmem.draft import Draft
from crdtmem.entry import About
from crdtmem.errors import MisuseError

if TYPE_CHECKING:
    from crdtmem.memory import Memory

OPEN: ContextVar[tuple[tuple[Memory, Draft], ...]] = ContextVar("crdtmem_open", default=())  # those of this context


class Block:
    """An open `change()`; use it in a `with` statement."""

    def __init__(self, memory: Memory, said: About | None) -> None:
        self._memory = memory
        self._said = said
        self._draft: Draft | None = None
        self._token: Token[tuple[tuple[Memory, Draft], ...]] | None = None

    def __enter__(self) -> Memory:
        if self._draft is not None:
            raise MisuseError("a change() is used once; call memory.change() again")
        if self._memory._draft() is not None:
            raise MisuseError("a change() of this memory is open here already; put the writes in it")
        self._draft = self._memory._document.draft(self._said)
        before = OPEN.get()
        try:
            self._token = OPEN.set((*before, (self._memory, self._draft)))
        except BaseException:  # Ctrl-C: nobody will end it
            OPEN.set(before)
            raise
        return self._memory

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        assert self._draft is not None and self._token is not None
        OPEN.reset(self._token)
        with self._draft.lock:
            self._draft.open = False
        if kind is None:
            document, draft = self._memory._document, self._draft
            with document.lock:
                writing.commit(document, draft.parts.values(), draft.about, self._memory._actor, cites=draft.cites)
