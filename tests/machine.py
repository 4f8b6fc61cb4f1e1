"""The state machine: one for all field types. Whatever replicas and the link between them do, the model agrees.

`tests.world` does the steps and compares after each; this file only chooses them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.world import Letter, Site, World

VALUES = (1, 1.0, True, "a", "é😀", None, b"x", [1, "x"], {"a": 1}, {"a": 2, "b": [2]}, {})
MEMBERS = (1, True, "a", [1, "x"])
PATCHES = ({"a": 1}, {"a": 9}, {"b": 2}, {"a": 3, "b": None}, {"c": {"d": 1}}, {"b": 5, "c": 1})
TEXTS = ("a", "bc", "😀", "x😀y", "é", "👩\u200d👧", "\U0010ffff", "e\u0301", "bcabc")
KEYS = ("k1", "k2")

small = st.integers(0, 9)
values = st.sampled_from(VALUES)
keys = st.sampled_from(KEYS)
seen = st.one_of(st.none(), small)

CALLS = st.one_of(
    st.tuples(st.just("set"), st.just("add"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("set"), st.just("discard"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("set"), st.just("discard"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("counter"), st.just("add"), st.sampled_from((1, -2, 10, 2**40))),
    st.tuples(st.just("register"), st.just("assign"), values, seen),
    st.tuples(st.just("register"), st.just("clear")),
    st.tuples(st.just("records"), st.just("put"), keys, values, seen),
    st.tuples(st.just("records"), st.just("merge"), keys, st.sampled_from(PATCHES)),
    st.tuples(st.just("records"), st.just("merge"), keys, st.sampled_from(PATCHES)),
    st.tuples(st.just("records"), st.just("delete"), keys),
    st.tuples(st.just("sequence"), st.just("append"), values),
    st.tuples(st.just("sequence"), st.just("extend"), st.lists(values, min_size=1, max_size=3)),
    st.tuples(st.just("sequence"), st.just("insert"), small, values),
    st.tuples(st.just("sequence"), st.just("remove"), small),
    st.tuples(st.just("sequence"), st.just("replace"), small, values),
    st.tuples(st.just("sequence"), st.just("move"), small, small),
    st.tuples(st.just("sequence"), st.just("move"), small, small),
    st.tuples(st.just("sequence"), st.just("find"), st.sampled_from(("remove", "move", "replace")), small, small),
    st.tuples(st.just("text"), st.just("append"), st.sampled_from(TEXTS)),
    st.tuples(st.just("text"), st.just("insert"), small, st.sampled_from(TEXTS)),
    st.tuples(st.just("text"), st.just("insert"), small, st.sampled_from(TEXTS)),
    st.tuples(st.just("text"), st.just("delete"), small, small),
    st.tuples(st.just("text"), st.just("replace"), small, small, st.sampled_from(("", *TEXTS))),
)
BASE = (
    ("set", "add", 1),
    ("counter", "add", 5),
    ("register", "assign", "base", None),
    ("records", "put", "k1", {"a": 0, "b": 0}, None),
    ("sequence", "extend", ["p", "q", "r", "s"]),
    ("text", "append", "a😀bc"),
)
HOW = st.sampled_from(({}, {}, {"why": "because"}, {"alias": "other"}, {"second": True}))


def perform(
    world: World, site: Site, call: tuple[Any, ...], *, outside: bool = False, second: bool = False, **how: Any
) -> None:
    """Make a drawn call fit what is there, and make it."""
    kind, verb, *args = call
    name = {"set": "s", "counter": "n", "register": "r", "records": "k", "sequence": "q", "text": "t"}[kind]
    if second and kind in ("sequence", "text"):
        name = {"q": "p", "t": "u"}[name]
    if verb in ("assign", "put"):
        world.take(site)
        taken = args.pop()
        staged = site.open and not outside and any((op.kind, op.verb) == (kind, "merge") for op in site.open.ops)
        if taken is not None and not staged:  # not modelled: a version from before a merge that the same block made
            how["seen"] = len(world.versions) - 1 - taken % len(world.versions)
    if kind in ("sequence", "text"):
        size = world.size(site, kind, name, outside=outside)
        if verb == "find":
            verb, which, to = args
            if not world.handles:
                return
            rest = {"remove": [], "move": [to % (size or 1)], "replace": [to]}[verb]
            args = [world.handles[-1 - which % len(world.handles)], *rest]
        elif kind == "sequence" and verb in ("remove", "replace", "move"):
            args = [args[0] % (size or 1), *args[1:]]
            if verb == "move":
                args[1] %= size or 1
        elif kind == "text" and verb == "insert" and args[0] < 9:
            args[0] %= size + 1
        elif verb == "delete":
            args = [args[0] % (size + 1), min(args[0] % (size + 1) + args[1] % 4, size)]
        elif kind == "text" and verb == "replace":
            text = world.sees(site, kind, name, outside=outside) or ""
            start = args[0] % (size or 1)
            args = [text[start : start + 1 + args[1] % 3] or "?", args[2]]
    world.write(site, kind, verb, name, *args, outside=outside, **how)


class Convergence(RuleBasedStateMachine):
    """Three to five replicas, and everything that may happen to them."""

    @initialize(sites=st.integers(3, 5), seed=st.integers(0, 999), based=st.sampled_from((True, True, False)))
    def begin(self, *, sites: int, seed: int, based: bool) -> None:
        """Who takes part."""
        self.world = World(sites, seed)
        self.mail: list[list[Letter]] = []
        self.islands = [0] * sites
        self.touched: set[Site] = set()
        self.steady = True  # the last step went well
        if based:  # something that all have seen, to disagree about
            site = self._site(0)
            self.world.begin(site)
            for call in BASE:
                perform(self.world, site, call)
            self.world.commit(site)
            for other in self.world.sites[1:]:
                self.world.deliver(self._site(other.number), self.world.send(site))

    def _site(self, number: int) -> Site:
        site = self.world.sites[number % len(self.world.sites)]
        self.touched.add(site)
        self.steady = False
        return site

    @rule(number=small, call=CALLS, how=HOW)
    def write(self, number: int, call: Any, how: dict[str, Any]) -> None:
        """One call; where a block is open, in it."""
        perform(self.world, self._site(number), call, **how)

    @rule(who=st.lists(st.tuples(small, CALLS), min_size=2, max_size=5))
    def write_apart(self, who: list[Any]) -> None:
        """Several sites write, before any hears of the others."""
        for number, call in who:
            perform(self.world, self._site(number), call)

    @rule(number=small)
    def spread(self, number: int) -> None:
        """One site tells all that it can reach."""
        source = self._site(number)
        letters = self.world.send(source)
        for site in self.world.sites:
            if self.islands[source.number] == self.islands[site.number]:
                self.world.deliver(self._site(site.number), letters, source.name)

    @rule(number=small, calls=st.lists(CALLS, min_size=1, max_size=4))
    def write_outside(self, number: int, calls: list[Any]) -> None:
        """Some calls past the open block, each a change of its own."""
        for call in calls:
            perform(self.world, self._site(number), call, outside=True)

    @rule(number=small, calls=st.lists(CALLS, min_size=1, max_size=6))
    def write_at_once(self, number: int, calls: list[Any]) -> None:
        """Several calls as one change, or in the block that is open."""
        site = self._site(number)
        opened = site.open is None
        if opened:
            self.world.begin(site)
        for call in calls:
            perform(self.world, site, call)
        if opened:
            self.world.commit(site)

    @rule(number=small, call=CALLS, why=st.sampled_from((None, "together")), alias=st.sampled_from((None, "other")))
    def open_block(self, number: int, call: Any, why: Any, alias: Any) -> None:
        """Open a block that stays open, or write on in the one that is."""
        site = self._site(number)
        if not site.open:
            self.world.begin(site, why, alias)
        perform(self.world, site, call)

    @rule(number=small, failing=st.integers(0, 3).map(lambda n: n == 3))
    def close_block(self, *, number: int, failing: bool) -> None:
        """Commit the block that is open, or leave it by an exception."""
        site = self._site(number)
        if site.open and not failing:
            self.world.commit(site)
        self.world.abandon(site)

    @rule(number=small, others=st.lists(small, min_size=1, max_size=3), since=seen)
    def sync(self, number: int, others: list[int], since: int | None) -> None:
        """All that one site has, to others that it can reach."""
        source = self._site(number)
        letters = self.world.send(source, self._version(since))
        for to in others:
            site = self._site(to)
            if self.islands[source.number] == self.islands[site.number]:
                self.world.deliver(site, letters, source.name)

    def _version(self, taken: int | None) -> int | None:
        known = len(self.world.versions)
        return known - 1 - taken % known if taken is not None and known else None

    @rule(number=small, since=seen)
    def post(self, number: int, since: int | None) -> None:
        """Put a batch on its way."""
        batch = self.world.send(self._site(number), self._version(since))
        if batch:
            self.mail.append(batch)

    @precondition(lambda self: self.mail)
    @rule(
        others=st.lists(small, max_size=2),
        which=small,
        order=st.randoms(use_true_random=False),
        part=st.integers(0, 4),
        keep=st.booleans(),
    )
    def deliver(self, *, others: list[int], which: int, order: Any, part: int, keep: bool) -> None:
        """A batch, whole or in part, in any order, maybe twice, maybe to nobody; it may stay under way."""
        at = which % len(self.mail)
        batch = list(self.mail[at])
        if part:
            order.shuffle(batch)
        if part > 2:
            batch = batch[: 1 + len(batch) // 2]
        if part == 2:
            batch = batch + batch[:2]
        if not keep:
            del self.mail[at]
        for number in others:
            self.world.deliver(self._site(number), batch, f"link{part}")

    @rule(number=small)
    def crash(self, number: int) -> None:
        """A site comes back with what its store holds."""
        self.world.crash(self._site(number))

    @rule(number=small)
    def keep(self, number: int) -> None:
        """A site makes a checkpoint, from which it may come back one day."""
        self.world.keep(self._site(number))

    @rule(number=small, calls=st.lists(CALLS, min_size=1, max_size=3))
    def come_back(self, number: int, calls: list[Any]) -> None:
        """A site comes back from a checkpoint and what it did since."""
        site = self._site(number)
        self.world.keep(site)
        for call in calls:
            perform(self.world, site, call, outside=True)
        self.world.crash(site)

    @rule(number=small, to=small, calls=st.lists(CALLS, min_size=1, max_size=2))
    def fill_disk(self, number: int, to: int, calls: list[Any]) -> None:
        """For one write and one delivery the store refuses."""
        site = self._site(number)
        letters = self.world.send(self._site(to))
        site.store.broken = True
        for call in calls:
            perform(self.world, site, call, outside=True)
        if self.islands[to % len(self.world.sites)] == self.islands[site.number]:
            self.world.deliver(site, letters, f"agent{to}")
        site.store.broken = False

    @rule(islands=st.lists(st.integers(0, 1), min_size=5, max_size=5))
    def divide(self, islands: list[int]) -> None:
        """Partition or heal: who is on which side."""
        self.islands = islands

    @precondition(lambda self: self.world.versions)
    @rule(number=small, which=small)
    def look_back(self, number: int, which: int) -> None:
        """Read the past."""
        self.world.look_back(self._site(number), self._version(which))

    @rule(number=small, by=st.sampled_from((0.001, 1.0, 30.0, -20.0)))
    def pass_time(self, number: int, by: float) -> None:
        """Time passes, and clocks go wrong by less than five minutes."""
        self.world.now += abs(by)
        site = self._site(number)
        site.offset = max(-100.0, min(100.0, site.offset + by * 3))

    @invariant()
    def as_the_model(self) -> None:
        """What was touched shows what the model says."""
        if not hasattr(self, "world"):
            return
        for site in sorted(self.touched, key=lambda site: site.number):
            self.world.check(site)
        self.world.agree()
        self.touched.clear()
        self.steady = True

    def teardown(self) -> None:
        """Whatever happened: deliver everything, and all are equal."""
        if hasattr(self, "world"):
            try:
                if self.steady:
                    self.world.settle()
                    for taken in {0, len(self.world.versions) // 2} if self.world.versions else ():
                        self.world.go_back(self.world.sites[taken % len(self.world.sites)], taken)
                    self.world.retract(self.world.sites[0])
            finally:
                self.world.close()
