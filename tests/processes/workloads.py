"""What the agents of a team do, and how to tell from their own words and from what is there in the end whether it held.

1. An agent tells each call before it makes it and after it has returned. A call told to have returned is acknowledged:
   it must be there in the end, everywhere, once. One that failed, or whose end nobody heard of, may be there.
2. Everything an agent writes is its tag: agent, life and number. So whatever is found names the call it comes from.
3. An assignment replaces exactly what stood at a version, and says what that was. So what a register may show to whom
   follows from what was told: nothing of the memory's own account of causes is used here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

REGISTERS = ("r0", "r1", "r2")

# -- what agents do --------------------------------------------------------------------------------


def plan(memory: Any, rng: Random) -> tuple[str, Any]:
    """The next call: its kind, and what to tell of it beforehand."""
    kind = rng.choice(("set", "counter", "register", "register", "sequence", "both"))
    if kind == "counter":
        return kind, rng.randrange(1, 10)
    if kind != "register":
        return kind, None
    while True:
        version = str(memory.version)
        stood = {name: tags(memory, name) for name in REGISTERS}
        if str(memory.version) == version:  # nothing has come in between: this is what stands at that version
            return kind, (rng.choice(REGISTERS), stood, version)


def perform(memory: Any, tag: str, kind: str, detail: Any) -> None:
    """Make the call."""
    match kind:
        case "set":
            memory.set("adds").add(tag)
        case "counter":
            memory.counter("total").add(detail)
        case "register":
            name, _, version = detail
            memory.register(name).assign(tag, seen=version)
        case "sequence":
            memory.sequence("items").append(tag)
        case _:
            with memory.change():
                memory.set("adds").add(tag)
                memory.sequence("items").append(tag)


def tags(memory: Any, register: str) -> list[str]:
    """What stands in a register."""
    return [entry.value for entry in memory.register(register).siblings]


def shown(memory: Any) -> dict[str, Any]:
    """All that is there."""
    return {
        "set": list(memory.set("adds")),
        "counter": memory.counter("total").value,
        "register": {name: tags(memory, name) for name in REGISTERS},
        "sequence": list(memory.sequence("items")),
    }


# -- what they told --------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call as it was told before it was made."""

    tag: str
    kind: str
    detail: Any


class Read(NamedTuple):
    """What an agent found in a register."""

    register: str
    tags: list[str]


class Told:
    """What one agent told, in its order, over all its lives."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.acknowledged: dict[str, None] = {}
        self.failed: dict[str, str] = {}
        self.order: list[Call | Read | str] = []  # a str: the tag of a call that has returned

    def hear(self, what: str, *words: Any) -> None:
        """Take note of one line."""
        if what == "try":
            call = Call(*words)
            self.calls[call.tag] = call
            self.order.append(call)
        elif what == "ok":
            self.acknowledged[words[0]] = None
            self.order.append(words[0])
        elif what == "no":
            self.failed[words[0]] = words[1]
        elif what == "read":
            self.order.append(Read(*words))


class Verdict(NamedTuple):
    """What is wrong: nothing, if all lists are empty."""

    lost: list[str]
    phantoms: list[str]
    broken: list[str]  # promises about order, atomicity and causes


# -- what must hold --------------------------------------------------------------------------------


def judge(told: dict[str, Told], found: dict[str, dict[str, Any]]) -> Verdict:
    """Compare what every agent told with what each shows in the end."""
    calls = {tag: call for one in told.values() for tag, call in one.calls.items()}
    sure = {tag for one in told.values() for tag in one.acknowledged}
    verdict = Verdict([], [], [])
    for agent, content in found.items():
        for kind, members in (("set", content["set"]), ("sequence", content["sequence"])):
            tried = {tag for tag, call in calls.items() if call.kind in (kind, "both")}
            verdict.lost.extend(f"{agent}: {kind} lacks {tag}" for tag in sorted(sure & tried - set(members)))
            verdict.phantoms.extend(f"{agent}: {kind} has {tag}" for tag in sorted(set(members) - tried))
            verdict.phantoms.extend(f"{agent}: {kind} has {tag} twice" for tag in sorted(_twice(members)))
        _count(agent, content["counter"], calls, sure, verdict)
        _atomic(agent, content, calls, verdict)
        _in_order(agent, content["sequence"], told, verdict)
    causes = Causes(calls)
    for agent, one in told.items():
        last = [Read(name, stand) for name, stand in found[agent]["register"].items()] if agent in found else []
        verdict.broken.extend(f"{agent}: {what}" for what in causes.broken(one, last))
    for agent, content in found.items():
        _stands(agent, content["register"], causes, sure, verdict)
    return verdict


def _twice(members: list[str]) -> set[str]:
    seen: set[str] = set()
    return {tag for tag in members if tag in seen or seen.add(tag)}  # type: ignore[func-returns-value]


def _count(agent: str, total: int, calls: dict[str, Call], sure: set[str], verdict: Verdict) -> None:
    """The sum of what was acknowledged, and of some of the rest."""
    amounts = {tag: call.detail for tag, call in calls.items() if call.kind == "counter"}
    least = sum(amount for tag, amount in amounts.items() if tag in sure)
    reachable = 1  # bit n: the rest may come to n
    for tag, amount in amounts.items():
        if tag not in sure:
            reachable |= reachable << amount
    if total < least:
        verdict.lost.append(f"{agent}: the counter is {total}, {least} were acknowledged")
    elif not reachable >> total - least & 1:
        verdict.phantoms.append(f"{agent}: the counter is {total}, which {least} and no unanswered calls come to")


def _atomic(agent: str, content: dict[str, Any], calls: dict[str, Call], verdict: Verdict) -> None:
    """Two writes of one change are both there, or neither."""
    torn = set(content["set"]) ^ set(content["sequence"])
    verdict.broken.extend(
        f"{agent}: half of {tag}" for tag in sorted(torn) if tag in calls and calls[tag].kind == "both"
    )


def _in_order(agent: str, items: list[str], told: dict[str, Told], verdict: Verdict) -> None:
    """What one agent appended stands in the order it was acknowledged in."""
    places = {tag: place for place, tag in enumerate(items)}
    for one in told.values():
        own = [tag for tag in one.acknowledged if tag in places]
        for before, after in pairwise(own):
            if places[before] > places[after]:
                verdict.broken.append(f"{agent}: {after} stands before {before}")


def _stands(agent: str, registers: dict[str, list[str]], causes: Causes, sure: set[str], verdict: Verdict) -> None:
    """In the end a register shows what nobody has replaced."""
    for name, stand in registers.items():
        covered = causes.covered(stand)
        verdict.phantoms.extend(f"{agent}: {name} has {tag}" for tag in stand if tag not in causes.number)
        lost = [tag for tag in sorted(sure) if causes.at(tag) == name and not covered >> causes.number[tag] & 1]
        verdict.lost.extend(f"{agent}: {name} lacks {tag}, which nothing there has replaced" for tag in lost)


class Causes:
    """What every assignment replaced and rested on, as sets of numbers: bit n is the n-th assignment."""

    def __init__(self, calls: dict[str, Call]) -> None:
        self._calls = {tag: call for tag, call in calls.items() if call.kind == "register"}
        self.number = {tag: n for n, tag in enumerate(self._calls)}
        self._of = dict.fromkeys(REGISTERS, 0)
        for tag, call in self._calls.items():
            self._of[call.detail[0]] |= 1 << self.number[tag]
        self._covers: dict[str, int] = {}  # itself and what it replaced, directly or not
        self._past: dict[str, int] = {}  # itself and all it rests on
        for tag in self._calls:
            self._trace(tag)

    def at(self, tag: str) -> str | None:
        """The register an assignment was made to; None for other calls."""
        call = self._calls.get(tag)
        return None if call is None else str(call.detail[0])

    def _trace(self, tag: str) -> None:
        """Fill in one assignment, after those it rests on: without recursion, for chains are long."""
        stack = [tag]
        while stack:
            tag = stack[-1]
            register, stood, _ = self._calls[tag].detail
            before = {other for stand in stood.values() for other in stand if other in self._calls}
            missing = [other for other in before if other not in self._past]
            if tag not in self._past and missing:
                stack += missing
                continue
            stack.pop()
            own = 1 << self.number[tag]
            self._past[tag] = own | self._union(self._past, before)
            self._covers[tag] = own | self._union(self._covers, stood[register])

    @staticmethod
    def _union(sets: dict[str, int], tags: Iterable[str]) -> int:
        union = 0
        for tag in tags:
            union |= sets.get(tag, 0)
        return union

    def covered(self, stand: Iterable[str]) -> int:
        """What is there or was replaced by what is there."""
        return self._union(self._covers, stand)

    def broken(self, told: Told, last: list[Read]) -> list[str]:
        """What an agent read that it should not have read any more."""
        own = read = rests = 0  # what it has written, what it has read, what all that rests on
        found = []
        for event in [*told.order, *last]:
            if isinstance(event, str):
                if event in self.number:
                    own |= 1 << self.number[event]
                    rests |= self._past[event]
                continue
            for name, stand in self._shown(event):
                gone = self._of[name] & ~self.covered(stand)
                for what, promised in (
                    ("own write", own),
                    ("earlier read", read),
                    ("cause of what was seen", rests),
                ):
                    if promised & gone:
                        number = (promised & gone).bit_length() - 1
                        tag = next(tag for tag, n in self.number.items() if n == number)
                        found.append(f"{name} shows {stand} and not the {what} {tag}")
                        break
                read |= sum(1 << self.number[tag] for tag in set(stand) if tag in self.number)
                rests |= self._union(self._past, stand)
        return found

    @staticmethod
    def _shown(event: Call | Read) -> Iterable[tuple[str, list[str]]]:
        if isinstance(event, Read):
            return [(event.register, event.tags)]
        return list(event.detail[1].items()) if event.kind == "register" else []
