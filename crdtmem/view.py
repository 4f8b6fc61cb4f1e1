"""A view: what a model reads of a memory, within a budget of tokens, each line with an id to cite it by.

It is of one version, and never more than the budget: the page as a whole is counted, and what does not fit is left
out, last what matters most. The same version and arguments give the same bytes on every replica, as long as the given
functions answer alike. What was worked out is kept under its version, never for a time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from crdtmem.change import Version
from crdtmem.chosen import Wish, choose
from crdtmem.entry import Entry
from crdtmem.errors import ValueRefused
from crdtmem.fit import Count, Fitted, Fitting, Summarise, fitted
from crdtmem.page import tokens_of
from crdtmem.past import Pinned

if TYPE_CHECKING:
    from crdtmem.citation import Check
    from crdtmem.memory import Memory

_KEPT = 16  # views of one memory
_CITED = re.compile(r"\[\s*([fs]\d{1,6}(?:\s*[,;]\s*[fs]\d{1,6})*)\s*\]", re.IGNORECASE)


class View:
    """What a memory says, for a prompt.

    Args:
        memory: the memory; one pinned by `at` too.
        about: what the reader is about to do: what fits these words matters more.
        role: what was written in this role matters more.
        tokens: `str(view)` takes at most so many, and so does `view.xml()`.
        at: a version, or a moment; now by default.
        sources: only these fields; as a mapping, with how much each weighs beside 1.
        summarise: a function from entries to a text; it sums up what does not fit, field by field.
        count: counts the tokens of a text, as the model that reads it would. By default a guess on the safe side.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add("churn is 4.7 %", why="CRM export")
    >>> view = View(memory, about="churn", tokens=300)
    >>> view.entries["f1"].value, [entry.by for entry in view.cited("It is 4.7 % [f1].")]
    ('churn is 4.7 %', ['ann'])
    >>> view.check("Churn is 5.2 % [f1].").phantoms[0].text
    '5.2 %'
    """

    def __init__(
        self,
        memory: Memory,
        *,
        about: str = "",
        role: str | None = None,
        tokens: int = 4000,
        at: Version | str | datetime | None = None,
        sources: str | Collection[str] | Mapping[str, float] | None = None,
        summarise: Summarise | None = None,
        count: Count = tokens_of,
    ) -> None:
        if not isinstance(about, str):
            raise TypeError(f"about: a str, not {type(about).__name__}")
        if role is not None and not isinstance(role, str):
            raise TypeError(f"role: a str, not {type(role).__name__}")
        if type(tokens) is not int:
            raise TypeError(f"tokens: an int, not {type(tokens).__name__}")
        if tokens < 0:
            raise ValueRefused(f"tokens: 0 or more, not {tokens}")
        self._memory = memory if at is None else memory.at(at)
        self._made = _found(
            self._memory, Wish.of(about, role, _weights(sources), tokens), Fitting(tokens, count, summarise)
        )

    @property
    def version(self) -> Version:
        """The version it shows."""
        return self._made.version

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The entries shown, by the ids they are cited by: "f1", "f2", in the order in which they matter."""
        return MappingProxyType(self._made.entries)

    @property
    def summaries(self) -> Mapping[str, tuple[Entry, ...]]:
        """The entries that were summed up, by the ids of the summaries: "s1", "s2"."""
        return MappingProxyType(self._made.summed)

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many entries of each field are neither shown nor summed up."""
        left: dict[str, int] = {}
        for (field, _), size in sorted(self._made.left.items()):
            if size:
                left[field] = left.get(field, 0) + size  # a name may stand for two fields, of two types
        return MappingProxyType(left)

    def __str__(self) -> str:
        return self._made.markdown

    def xml(self) -> str:
        """The same as XML. It takes more tokens, so it may end sooner."""
        return self._made.xml

    def messages(self) -> list[dict[str, str]]:
        """The same as a message of the user: what agents wrote is never a system prompt."""
        return [{"role": "user", "content": str(self)}]

    def cited(self, text: str) -> list[Entry]:
        """The entries that a text cites, in the order of their first citation; of summaries, all that they sum up."""
        ids = dict.fromkeys(id.strip().lower() for found in _CITED.findall(text) for id in re.split("[,;]", found))
        found = [entry for id in ids for entry in (self._made.summed.get(id) or filter(None, [self.entries.get(id)]))]
        return list(dict.fromkeys(found))

    def check(self, text: str) -> Check:
        """What became of the entries that a text cites, and which figures, dates and names of it nobody wrote."""
        from crdtmem.citation import checked

        pinned = isinstance(self._memory._document, Pinned)
        cited = {**{id: (entry,) for id, entry in self._made.entries.items()}, **self._made.summed}
        return checked(text, self._memory if pinned else self._memory.at(self.version), cited)

    def __repr__(self) -> str:
        return (
            f"<View of {self._memory.namespace!r}: {len(self.entries)} entries, {sum(self.left_out.values())} left out>"
        )


def _found(memory: Memory, wish: Wish, fitting: Fitting) -> Fitted:
    """What is kept for these arguments at this version, or else made."""
    document: Any = memory._document
    document.usable()
    pinned = isinstance(document, Pinned)
    live = document.state.now if pinned else document.state
    if not isinstance(fitting.count, Hashable) or not isinstance(fitting.summarise, Hashable):
        return fitted(choose(memory, wish), fitting)  # nobody could ask for it again
    key = (pinned, wish, fitting)
    found: Fitted | None = document.kept.find(live, "view", (memory.version, key))
    if found is None or document.now() >= found.until:
        choice = choose(memory, wish)
        found = fitted(choice, fitting)
        document.kept.keep(choice.sessions, "view", (choice.version, key), found, most=_KEPT)
    return found


def _weights(sources: str | Collection[str] | Mapping[str, float] | None) -> dict[str, float] | None:
    if sources is None:
        return None
    if isinstance(sources, str):
        return {sources: 1.0}
    if not isinstance(sources, Collection) or not all(isinstance(field, str) for field in sources):
        raise TypeError(f"sources: names of fields, or a mapping of them to weights, not {sources!r:.60}")
    if not isinstance(sources, Mapping):
        return dict.fromkeys(sources, 1.0)
    for field, weight in sources.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e6:
            raise ValueRefused(f"sources: the weight of {field!r:.60} is a number from 0 on, not {weight!r:.40}")
    return {field: float(weight) for field, weight in sources.items()}
