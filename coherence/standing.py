"""What the last review of a memory knows, so that the next one looks at what has changed and at nothing else.

It is derived from the live entries alone, so a review that starts from nothing comes to the same.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any

from crdtmem.coherence.blocking import Neighbours, Pair
from crdtmem.coherence.clues import Read
from crdtmem.coherence.gather import At, Key, Said, live, said
from crdtmem.coherence.meaning import Embed, signatures
from crdtmem.coherence.offline import UNRELATED, Verdict, judged, read
from crdtmem.entry import Entry
from crdtmem.memory import Memory

Holder = tuple[At, Key]


class Standing:
    """The statements of a memory, which pairs of them are worth a question, and what the offline judge says of each."""

    def __init__(self, cap: int, embed: Embed | None, fields: Collection[str] | None) -> None:
        self.lock = threading.Lock()
        self._embed = embed
        self._fields = fields
        self.live: dict[At, dict[Key, Entry]] = {}
        self.reads: dict[str, Read] = {}
        self.holders: dict[str, dict[Holder, Entry]] = {}
        self.asking: dict[frozenset[str], set[str]] = {}  # question -> the statements that answer it
        self.notes: dict[Pair, Any] = {}  # for the review: what it made of a verdict, while neither side changes
        self.verdicts: dict[Pair, Verdict] = {}  # of the pairs that are worth a question, those that say something
        self.near = Neighbours(cap)
        self.cut = 0  # characters that were left out
        self.judged = 0  # judgements by the last refresh
        self.touched: set[str] = set()  # the statements whose holders, or which themselves, the last refresh changed
        self._judged: set[Pair] = set()
        self._said: dict[Holder, Said] = {}

    def refresh(self, memory: Memory) -> None:
        """Take in what has changed."""
        self.judged, self.touched = 0, set()
        now = live(memory, self.live)
        if self._fields is not None:
            now = {at: held for at, held in now.items() if at[1] in self._fields}
        came: set[str] = set()
        went: set[str] = set()
        for at in now.keys() | self.live.keys():
            here, before = now.get(at, {}), self.live.get(at, {})
            for key in before.keys() - here.keys():
                went |= self._forget((at, key))
            for key in here.keys() - before.keys():
                came |= self._learn((at, key), here[key])
        if not self.touched:
            return
        self.live = now
        stale = self.touched
        self.notes = {pair: note for pair, note in self.notes.items() if not (pair[0] in stale or pair[1] in stale)}
        self._weigh(came, went)

    def _learn(self, holder: Holder, entry: Entry) -> set[str]:
        made = said(holder[0][0], entry)
        self._said[holder] = made
        self.cut += made.cut
        self.touched.update(made.texts)
        new = set()
        for text in made.texts:
            if text not in self.holders:
                new.add(text)
            self.holders.setdefault(text, {})[holder] = entry
        return new

    def _forget(self, holder: Holder) -> set[str]:
        made = self._said.pop(holder)
        self.cut -= made.cut
        self.touched.update(made.texts)
        gone = set()
        for text in made.texts:
            del self.holders[text][holder]
            if not self.holders[text]:
                del self.holders[text]
                gone.add(text)
        return gone

    def _weigh(self, came: Iterable[str], went: Iterable[str]) -> None:
        """Statements have come and gone: bring the pairs up to date, and judge those that are new."""
        fresh = {text: read(text) for text in sorted(came) if text in self.holders and text not in self.reads}
        stale = [text for text in sorted(went) if text in self.reads and text not in self.holders]
        for text in stale:
            self._ask(text, self.reads.pop(text), gone=True)
        for text, made in fresh.items():
            self.reads[text] = made
            self._ask(text, made, gone=False)
        if fresh or stale:
            hints = {} if self._embed is None or not fresh else signatures(list(fresh), self._embed)
            self.near.update(fresh, stale, hints)
            self._judge()

    def _ask(self, text: str, made: Read, *, gone: bool) -> None:
        if made.said.pair is None:
            return
        asked = made.said.pair[0]
        if gone:
            self.asking[asked].discard(text)
            if not self.asking[asked]:
                del self.asking[asked]
        else:
            self.asking.setdefault(asked, set()).add(text)

    def _judge(self) -> None:
        for pair in self.near.moved:
            asked = pair in self.near.asked
            if not asked:
                self.verdicts.pop(pair, None)
                self._judged.discard(pair)
            elif pair not in self._judged:
                one, other = pair
                verdict = judged(self.reads[one], self.reads[other])
                self.judged += 1
                self._judged.add(pair)
                if verdict.relation != UNRELATED:
                    self.verdicts[pair] = verdict

    def likeness(self, pair: Pair) -> float:
        """How alike the two of a pair are, from 0 to 1."""
        one, other = pair
        return max([near.score for near in self.near.of(one) if near.id == other] or [0.0])

    def entries(self, text: str) -> list[Entry]:
        """Those who say it, oldest first."""
        return sorted(self.holders[text].values(), key=lambda entry: (entry.stamp.hlc, entry._id))
