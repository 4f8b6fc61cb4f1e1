"""A link looks only at the namespaces where something has happened: it says what one that always looks at all would.

The slow way stands here, as the oracle: `everywhere`. Stories of all that gives a link something to say are told twice,
and nothing differs but the way to pump; then each way to wake a namespace is broken on purpose.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crdtmem.sync.handing
import crdtmem.sync.link
from crdtmem import Identity, Memory, Namespace, Replica, StoreError
from crdtmem.change import SET, Keyed
from crdtmem.feed import Feed
from crdtmem.sync.access import TOGETHER
from crdtmem.sync.channel import Channel
from crdtmem.sync.frames import Want, decode
from crdtmem.sync.hub import Hub
from crdtmem.sync.link import Link
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.session import Phase
from tests.crew import Unwilling
from tests.ends import End, joined
from tests.forger import Forger
from tests.world import nonces

SPACES = [Namespace(tenant="acme", task=f"t{number}") for number in range(4)]
SITES = 3
ROOMS = (1, 300, 3000, 1 << 20)
MORE = b"there is more"
Step = tuple[int, int, int, int]


def everywhere(link: Link, room: int) -> bool:
    """To pump the slow way: each round looks at all namespaces."""
    more = link.session.phase is Phase.OPEN
    while more and room > 0:
        begun = sorted((c for c in link._channels.values() if c.begun), key=lambda c: c.outlet.channel)
        behind = [c for c in begun if c.outlet.channel > link._turn]
        more, spoke = False, []
        for channel in behind + begun[: len(begun) - len(behind)]:
            size = link._send(channel)
            room -= size
            more = more or channel.due
            spoke += [channel.outlet.channel] if size else []
        link._turn = spoke[0] if spoke else link._turn
    return more


class Wire:
    """A connection; what is under way on it arrives when the story says so."""

    def __init__(self, story: Story, number: int) -> None:
        self.story, self.number = story, number
        self.ends = (story.hubs[number], story.hubs[(number + 1) % SITES])
        self.links = [hub.link(dials=n == 0, now=story.now, grant=TOGETHER) for n, hub in enumerate(self.ends)]
        self.under_way: tuple[list[bytes], list[bytes]] = ([], [])  # from each end

    def put(self, end: int, *messages: bytes) -> None:
        """These go out."""
        self.under_way[end].extend(messages)
        self.story.sent += [(self.number, end, data) for data in messages]

    def pump(self, end: int, room: int) -> None:
        """Have said what is to be said."""
        if self.links[end].pump(room):
            self.story.sent.append((self.number, end, MORE))
        self.put(end, *self.links[end].session.data_to_send())

    def arrive(self, end: int, count: int, fate: int) -> None:
        """The next messages from this end arrive; or the first of them is lost, or comes twice."""
        some = self.under_way[end][:count]
        del self.under_way[end][:count]
        some = some[1:] if fate == 0 else some[:1] + some if fate == 1 else some
        self.ends[1 - end].receive(self.links[1 - end], *some)


class Story:
    """Three peers in a ring who share four memories each, at a store that may fail; all that is sent is kept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[tuple[int, int, bytes]] = []
        self.followed = self.answered = 0
        self.ends: list[Callable[[], None]] = []
        self.stores: list[Unwilling] = []
        self.memories: list[list[Memory]] = []
        self.hubs: list[Hub] = []
        for number in range(SITES):
            self._enter(number)
        self.branches = [self._branches(space) for space in SPACES]
        self.wires = [Wire(self, number) for number in range(SITES)]

    def _enter(self, number: int) -> None:
        """Somebody with an empty disk, or the next who has this place."""
        store = Unwilling()
        replica = Replica(
            str(number),
            store=store,
            identity=Identity(bytes([number + 1]) * 32),
            time=lambda: 1_700_000_000.0 + self.now,
        )
        hub = Hub(bytes([number]) * 16, str(number), lambda news: None, lambda hello: (TOGETHER, None))
        memories = [replica.open(space) for space in SPACES]
        for memory in memories:
            memory.set("s").add("begun")
            self.share(hub, memory)
        for held, one in ((self.stores, store), (self.memories, memories), (self.hubs, hub)):
            held[number : number + 1] = [one]  # type: ignore[index]

    def _branches(self, space: Namespace) -> tuple[list[bytes], list[bytes]]:
        """Two histories of one session."""
        forger = Forger(space)
        root = forger.write(Keyed(SET, "s", None, (("root",),), ()))
        last, found = forger.last, []
        for word in ("one", "other"):
            forger.last = last
            found.append([root, forger.write(Keyed(SET, "s", None, ((word,),), ()))])
        return found[0], found[1]

    def share(self, hub: Hub, memory: Memory) -> None:
        outlet = hub.share(Feed(memory))
        outlet.size, outlet.far = 400, 3 if memory.namespace == SPACES[1] else 10_000

    def tell(self, steps: Iterable[Step]) -> None:
        """Have it all happen, then let everybody come to rest."""
        for verb, a, b, c in steps:
            VERBS[verb % len(VERBS)](self, a, b, c)
        for store in self.stores:
            store.full = False
        for _ in range(4):
            self.tick(0, 0, 0)
            self.exchange()

    # -- what may happen ---------------------------------------------------------------------------

    def write(self, a: int, b: int, c: int) -> None:
        for n in range(c % 5 if not self.stores[a % SITES].full else 0):
            self.memories[a % SITES][b % len(SPACES)].set("s").add("x" * 150 + f"{n} {len(self.sent)}")

    def notice(self, a: int, b: int, c: int) -> None:
        self.hubs[a % SITES].refresh()

    def exchange(self, a: int = 0, b: int = 0, c: int = 0) -> None:
        """All that is new is noticed and sent, and arrives."""
        for wire in self.wires:
            for end in (0, 1):
                wire.ends[end].refresh()
                wire.pump(end, 1 << 20)
                wire.arrive(end, 1000, 2)

    def pump(self, a: int, b: int, c: int) -> None:
        self.wires[a % SITES].pump(b % 2, ROOMS[c % len(ROOMS)])

    def arrive(self, a: int, b: int, c: int) -> None:
        self.wires[a % SITES].arrive(b % 2, 1 + c % 3, c // 3 % 5)

    def hand_out(self, a: int, b: int, c: int) -> None:
        """A change goes at once to all who keep up as one frame; the others are pumped."""
        self.write(a, b, 1)
        hub = self.hubs[a % SITES]
        outlet = hub.outlets.get(SPACES[b % len(SPACES)].digest)
        if outlet is None:
            return
        after = outlet.newest
        if outlet.refresh():
            stretch, frame = outlet.read(after, outlet.newest)
            for link, channel in list(outlet.links.items()):
                wire, end = next((w, w.links.index(link)) for w in self.wires if link in w.links)
                if frame and link.follows(channel, after, stretch.upto):
                    self.followed += 1
                    wire.put(end, frame)
                else:
                    wire.pump(end, ROOMS[c % len(ROOMS)])

    def tick(self, a: int, b: int, c: int) -> None:
        self.now += 1
        for hub in self.hubs:
            hub.tick(self.now)

    def mark(self, a: int, b: int, c: int) -> None:
        wire = self.wires[a % SITES]
        outlet = wire.ends[b % 2].outlets.get(SPACES[c // 3 % len(SPACES)].digest)
        for _ in range(c % 3 + 1 if outlet is not None else 0):
            self.ends.append(wire.links[b % 2].mark(outlet, self._answer))

    def _answer(self) -> None:
        self.answered += 1

    def unmark(self, a: int, b: int, c: int) -> None:
        """Nobody waits any more for every other mark."""
        for end in self.ends[a % 2 :: 2]:
            end()
        del self.ends[a % 2 :: 2]

    def ask(self, a: int, b: int, c: int) -> None:
        """One asks the other for what that may have."""
        wire = self.wires[a % SITES]
        outlet, link = wire.ends[b % 2].outlets.get(SPACES[c % len(SPACES)].digest), wire.links[b % 2]
        if outlet is not None and link in outlet.links:
            some = [(id, n) for id, seq, _ in outlet.feed.sessions() for n in (seq, 1)]
            link.session.send(Want(outlet.channel, some))

    def be_there(self, a: int, b: int, c: int) -> None:
        self.hubs[a % SITES].here(SPACES[b % len(SPACES)].digest, "agent", "writes", None)

    def toggle(self, a: int, b: int, c: int) -> None:
        """Share a memory no longer, or again."""
        hub, n = self.hubs[a % SITES], b % len(SPACES)
        outlet = hub.outlets.get(SPACES[n].digest)
        if outlet is None:
            self.share(hub, self.memories[a % SITES][n])
        else:
            hub.drop(outlet)

    def reconnect(self, a: int, b: int, c: int) -> None:
        wire = self.wires[a % SITES]
        for hub, link in zip(wire.ends, wire.links, strict=True):
            hub.gone(link)
        self.wires[a % SITES] = Wire(self, a % SITES)

    def succeed(self, a: int, b: int, c: int) -> None:
        """A newcomer takes the place of one of them."""
        self._enter(a % SITES)
        for number in (a % SITES, (a - 1) % SITES):
            self.reconnect(number, 0, 0)

    def fill(self, a: int, b: int, c: int) -> None:
        """The disk is full, or not any more."""
        self.stores[a % SITES].full = not self.stores[a % SITES].full

    def fork(self, a: int, b: int, c: int) -> None:
        """One of two histories comes in, not by a wire."""
        self._take(a, b, self.branches[b % len(SPACES)][c % 2])

    def borrow(self, a: int, b: int, c: int) -> None:
        """Something of another comes in, not by a wire, and maybe before what it rests on."""
        with suppress(StoreError):  # history is still on its way there
            changes = self.memories[(a + 1) % SITES][b % len(SPACES)].changes()
            self._take(a, b, changes[c % len(changes) :])

    def _take(self, a: int, b: int, records: list[bytes]) -> None:
        if not self.stores[a % SITES].full:
            self.memories[a % SITES][b % len(SPACES)].receive(records)


VERBS: list[Callable[[Story, int, int, int], None]] = [
    *[Story.write, Story.notice, Story.pump, Story.arrive, Story.hand_out] * 4,
    *[Story.exchange, Story.tick, Story.mark, Story.unmark, Story.ask] * 3,
    *[Story.be_there, Story.toggle, Story.reconnect, Story.succeed],
    *[Story.fill, Story.fork, Story.borrow],
]
STEPS = st.lists(st.tuples(*[st.integers(0, 1000)] * 4), max_size=60)


def told(steps: Iterable[Step]) -> Story:
    with nonces(1):
        story = Story()
        story.tell(steps)
    return story


def told_slowly(steps: Iterable[Step]) -> Story:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "pump", everywhere)
        return told(steps)


def some_steps(seed: int) -> list[Step]:
    rng = random.Random(seed)
    return [tuple(rng.randrange(1000) for _ in range(4)) for _ in range(60)]  # type: ignore[misc]


@cache
def expected(seed: int) -> list[tuple[int, int, bytes]]:
    """What is sent in one of these stories when all is looked at."""
    return told_slowly(some_steps(seed)).sent


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that these stories come to them."""
    monkeypatch.setattr(crdtmem.sync.link, "MAX_MARKS", 2)
    monkeypatch.setattr(crdtmem.sync.link, "_AT_ONCE", 200)
    monkeypatch.setattr(crdtmem.sync.handing, "PIECE", 200)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_it_says_to_the_byte_what_one_says_that_looks_at_all(steps: list[Step]) -> None:
    assert told(steps).sent == told_slowly(steps).sent


def test_the_stories_are_worth_something() -> None:
    kinds: Counter[str] = Counter()
    followed = answered = 0
    for seed in range(20):
        story = told(some_steps(seed))
        kinds.update(type(decode(data)).__name__ for _, _, data in story.sent if data != MORE)
        kinds["more"] += sum(data == MORE for _, _, data in story.sent)
        followed, answered = followed + story.followed, answered + story.answered
    wanted = ("Changes", "Have", "Same", "Want", "Mark", "Marked", "Digest", "Offer", "Piece", "History", "Presence")
    assert min(kinds[kind] for kind in (*wanted, "more")) >= 5, kinds
    assert min(followed, answered) >= 20


# -- each way to wake, forgotten -------------------------------------------------------------------


def _silent(owner: Any, name: str) -> Callable[[Any], None]:
    """Have a method wake nobody."""

    def plant(patch: Any) -> None:
        real = getattr(owner, name)

        def asleep(self: Any, *args: Any) -> Any:
            links = [self] if isinstance(self, Link) else list(getattr(self, "links", ()))
            before = [(link, set(link._stirred)) for link in links]
            found = real(self, *args)
            for link, stirred in before:
                link._stirred &= stirred
            return found

        patch.setattr(owner, name, asleep)

    return plant


def _forgetful(name: str) -> Callable[[Any], None]:
    """Have a channel rest though this is left to do."""

    def plant(patch: Any) -> None:
        real = Channel.rests.fget  # type: ignore[attr-defined]

        def rests(self: Channel) -> bool:
            kept = getattr(self, name)
            setattr(self, name, {"cursor": self.cursor and self.outlet.newest, "giving": None}.get(name, ()))
            try:
                return bool(real(self))
            finally:
                setattr(self, name, kept)

        patch.setattr(Channel, "rests", property(rests))

    return plant


FORGOTTEN = {
    "what is heard": _silent(Link, "heard"),
    "what is new": _silent(Outlet, "refresh"),
    "a mark of ours": _silent(Link, "mark"),
    "that there was no room": _forgetful("cursor"),
    "a checkpoint half sent": _forgetful("giving"),
    "what else was asked for": _forgetful("wanted"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_who_is_not_woken_is_missed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FORGOTTEN[what](monkeypatch)
    assert any(told(some_steps(seed)).sent != expected(seed) for seed in range(100))


def test_a_change_looks_at_its_own_namespace_alone_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = Link._send
    monkeypatch.setattr(
        Link, "_send", lambda link, channel: looked.append(channel.outlet.channel) or real(link, channel)
    )
    ann, bob = (
        [Replica(name).open(Namespace(tenant="acme", task=f"t{n}")) for n in range(100)] for name in ("ann", "bob")
    )
    wire = joined(End("ann", *ann), End("bob", *bob))
    looked.clear()
    ann[70].set("s").add("x")
    assert wire.run() == 1 and "x" in bob[70].set("s")
    assert set(looked) == {70} and len(looked) <= 4
