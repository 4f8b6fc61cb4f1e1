"""When a node hands out, and how often it reads for that: real links and sessions, on sockets that only note."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import crdtmem.sync.node
from crdtmem import Memory, Replica, StoreError
from crdtmem.feed import Feed, Stretch
from crdtmem.sync.frames import Changes, Frame, Open, Same, decode, labels_of
from crdtmem.sync.hub import CALM, Hub
from crdtmem.sync.link import Link
from crdtmem.sync.news import News
from crdtmem.sync.node import Node
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.session import Heard, Session, Welcomed
from crdtmem.sync.websocket import Unreachable
from tests.crew import SCOPE

BOB = b"b" * 16
LONG = 30.0  # seconds: only a failure takes them


class Noted(Feed):
    """A feed that counts how often it is read."""

    reads = 0

    def read(self, after: int, upto: int, size: int = 64 * 1024) -> Stretch:
        self.reads += 1
        return super().read(after, upto, size)


class Reader:
    """The far end of a connection, and the socket that leads there. It says that it has all there is."""

    def __init__(self, node: Node, number: int) -> None:
        self.room = 1 << 20
        self.got: list[list[bytes]] = []  # the records of each message
        self.heard = asyncio.Event()
        self._session = Session(number.to_bytes(16, "big"), f"reader {number}", dials=True, now=0)
        self._node = node
        self._link: Link = node.hub.link(dials=False, now=0)
        node._sockets[self._link] = self  # type: ignore[assignment]
        self._messages: list[bytes] = []
        self._say()
        while self._messages:
            self._answer(self._messages.pop(0))

    def send(self, data: bytes) -> None:
        """One message arrives here."""
        frame = decode(data)
        if type(frame) is Changes:
            self.got.append(frame.records)
            self.heard.set()
        else:
            self._messages.append(data)

    def _answer(self, data: bytes) -> None:
        for event in self._session.receive(data):
            if type(event) is Welcomed:
                self._say(Open(0, labels_of(SCOPE), bytes(16)))
            elif type(event) is Heard and type(event.frame) is Open:
                self._say(Same(0, event.frame.version))

    def _say(self, *frames: Frame) -> None:
        for frame in frames:
            self._session.send(frame)
        for data in self._session.data_to_send():
            self._node.hub.receive(self._link, data)
        self._node.pump(self._link)

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def table(count: int) -> AsyncIterator[tuple[Memory, Node, Outlet, list[Reader]]]:
    """A memory, and so many who read it."""
    memory = Replica("ann").open(SCOPE)
    hub = Hub(b"ann".ljust(16), "ann", lambda news: None)
    node = Node(hub, lambda news: None, None)
    outlet = hub.share(Noted(memory))
    end = outlet.feed.watch(node.waker(outlet))
    try:
        yield memory, node, outlet, [Reader(node, number) for number in range(count)]
    finally:
        end()
        await node.close()


async def turns(_: object = None) -> None:
    """Some turns of the loop, in which nothing waits for a moment to come."""
    for _ in range(5):
        await asyncio.sleep(0)


def counts(reader: Reader) -> list[int]:
    """How many changes came in each message."""
    return [len(records) for records in reader.got]


def run(work: Callable[[], object]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_what_goes_to_many_is_handed_out_at_once_and_what_follows_soon_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crdtmem.sync.node, "LONGEST_REST", 3600.0)
    monkeypatch.setattr(crdtmem.sync.node, "REST", 60.0)

    async def main() -> None:
        async with table(30) as (memory, node, _, readers):
            for expected in ([1], [1], [1]):
                memory.set("s").add(len(memory.set("s")))
                await turns()
                assert {tuple(counts(reader)) for reader in readers} == {tuple(expected)}
            node.work()  # whoever waits for something to be sent does not wait for that
            assert {tuple(counts(reader)) for reader in readers} == {(1, 2)}

    run(main)


def test_its_rest_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Node, "_ticking", turns)  # which hands out whatever is due, once a second
    monkeypatch.setattr(crdtmem.sync.node, "LONGEST_REST", 0.01)
    monkeypatch.setattr(crdtmem.sync.node, "REST", 60.0)

    async def main() -> None:
        async with table(30) as (memory, _, _, readers):
            for number in range(5):
                for reader in readers:
                    reader.heard.clear()
                memory.set("s").add(number)
                for reader in readers:
                    await asyncio.wait_for(reader.heard.wait(), LONG)
            assert {sum(counts(reader)) for reader in readers} == {5}

    run(main)


@pytest.mark.parametrize("stalled", [0, 200])
def test_what_goes_to_few_is_handed_out_at_once_always_however_many_read_nothing(stalled: int) -> None:
    async def main() -> None:
        async with table(3 + stalled) as (memory, _, _, readers):
            for reader in readers[3:]:
                reader.room = 0
            for number in range(20):
                memory.set("s").add(number)
                await turns()
                assert [counts(reader) for reader in readers[:3]] == [[1] * (number + 1)] * 3

    run(main)


def test_a_long_stretch_is_read_once_for_all() -> None:
    async def main() -> None:
        async with table(20) as (memory, node, outlet, readers):
            outlet.size = 700
            readers[0].room = 0
            before = outlet.feed.reads  # type: ignore[attr-defined]
            for number in range(40):
                memory.set("s").add(number)
            await turns()
            frames = counts(readers[1])
            assert sum(frames) == 40 and len(frames) > 5
            assert all(reader.got == readers[1].got for reader in readers[1:]) and not readers[0].got
            assert outlet.feed.reads - before == len(frames)  # type: ignore[attr-defined]
            readers[0].room = 1 << 20
            node.pump(next(iter(outlet.links)))  # as its socket has it when there is room again
            await turns()
            assert [record for records in readers[0].got for record in records] == [
                record for records in readers[1].got for record in records
            ]

    run(main)


class Failing(Noted):
    """A feed whose store cannot be read while it fails."""

    fails = False

    def read(self, after: int, upto: int, size: int = 64 * 1024) -> Stretch:
        if self.fails:
            raise StoreError("/srv/ann.db: could not read: the disk failed")
        return super().read(after, upto, size)


def test_what_one_chore_memory_or_connection_raises_costs_the_others_nothing_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Node, "_ticking", turns)

    async def main() -> None:
        news: list[News] = []
        hub = Hub(b"ann".ljust(16), "ann", news.append)
        node = Node(hub, news.append, None)
        replica, ticked, tended = Replica("ann"), [0], [0]
        bad, good = (hub.share(Feed(replica.open(tenant="acme", task=task))) for task in ("bad", "good"))
        bad.look = good.look = lambda: ticked.append(1)  # type: ignore[method-assign]
        bad.look = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        node.each_second(lambda now: {}["no such"])
        node.each_second(ticked.append)  # type: ignore[arg-type]
        links = [hub.link(dials=False, now=0) for _ in range(3)]
        links[0].tick = lambda now: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        for link in links[1:]:
            link.tick = tended.append  # type: ignore[method-assign,assignment]
        for _ in range(5):
            await node.second()
        assert len(ticked) == len(tended) == 1 + 5 * 2
        told = [(one.kind, one.detail) for one in news if one.kind == "trouble"]
        assert sorted(told) == [("trouble", "'no such'"), *[("trouble", "division by zero")] * 2]
        assert caplog.text.count("ZeroDivisionError") == 2 and hub.troubles == 3
        await node.close()

    run(main)


def test_who_lags_while_the_store_fails_is_sent_the_rest_when_it_works_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Node, "_ticking", turns)

    async def main() -> None:
        news: list[News] = []
        hub = Hub(b"ann".ljust(16), "ann", news.append)
        node = Node(hub, news.append, None)
        memory = Replica("ann").open(SCOPE)
        outlet = hub.share(Failing(memory))
        end = outlet.feed.watch(node.waker(outlet))
        readers = [Reader(node, number) for number in range(2)]
        outlet.feed.fails = True  # type: ignore[attr-defined]
        for number in range(3):
            memory.set("s").add(number)
            await turns()
            await node.second()
        assert [one.detail for one in news if one.kind == "trouble"] == ["/srv/ann.db: could not read: the disk failed"]
        assert not any(map(counts, readers)) and hub.troubles == 1
        outlet.feed.fails = False  # type: ignore[attr-defined]
        await node.second()
        assert [sum(counts(reader)) for reader in readers] == [3, 3]
        hub.renew(hub._now + CALM)
        assert hub.troubles == 0
        end()
        await node.close()

    run(main)


def test_closing_ends_everything_though_the_store_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crdtmem.sync.node, "LINGER", 0.0)

    async def main() -> None:
        hub = Hub(b"ann".ljust(16), "ann", lambda news: None)
        node = Node(hub, lambda news: None, None)
        memory = Replica("ann").open(SCOPE)
        outlet = hub.share(Failing(memory))
        Reader(node, 1)
        outlet.feed.fails = True  # type: ignore[attr-defined]
        memory.set("s").add(1)
        await node.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [link.session.ended is not None for link in hub.links] == [True]

    run(main)


def test_what_goes_wrong_here_is_said_to_the_other_side_without_the_names_of_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Node, "_ticking", turns)

    async def main() -> None:
        news: list[News] = []
        hub = Hub(b"ann".ljust(16), "ann", news.append)
        node = Node(hub, news.append, None)
        hub.share(Feed(Replica("ann").open(SCOPE)))
        link = hub.link(dials=False, now=0)
        link.heard = lambda event: open("/no/such.db").close()  # type: ignore[method-assign]
        far = Session(bytes(16), "bob", dials=True, now=0)
        far.send(Open(0, labels_of(SCOPE), bytes(16)))
        node._hear(link, far.data_to_send())
        for data in link.session.data_to_send():
            far.receive(data)
        assert far.ended is not None and far.ended.code == "trouble" and "such" not in far.ended.reason
        assert ["/no/such.db" in one.detail for one in news if one.kind == "trouble"] == [True]
        await node.close()

    run(main)


class Dialled(Node):
    """A node that dials nobody; what comes of it is given."""

    def __init__(self, *outcomes: Exception | bytes) -> None:
        self.outcomes = list(outcomes)
        self.told: list[str] = []
        self.over = asyncio.Event()
        super().__init__(
            Hub(b"ann".ljust(16), "ann", lambda news: None), lambda news: self.told.append(news.kind), None
        )

    async def dial(self, *args: object, **options: object) -> Link:
        """A connection that has ended at once."""
        if not self.outcomes:
            self.over.set()
            await asyncio.Event().wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        link = self.hub.link(dials=True, now=0)
        del self.hub.links[link]
        link.peer = outcome
        return link


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause might have been; none takes any time."""
    noted: list[float] = []
    monkeypatch.setattr(crdtmem.sync.node.random, "uniform", lambda least, most: noted.append(most) or 0.0)
    return noted


@pytest.mark.parametrize("outcome", [BOB, Unreachable("nobody"), UnicodeError("of a token")])
def test_who_breaks_at_once_is_dialled_ever_more_seldom_and_never_given_up(
    pauses: list[float], outcome: Exception | bytes
) -> None:
    async def main() -> None:
        node = Dialled(*[outcome] * 5)
        node.spawn(node.keep("ws://bob", None))
        await asyncio.wait_for(node.over.wait(), LONG)
        await node.close()
        assert pauses == [0.2, 0.4, 0.8, 1.6, 2.0]
        assert set(node.told) <= {"unreachable", "trouble"} and len(node.told) == (5 if outcome is not BOB else 0)

    run(main)


def test_a_connection_that_lasted_is_dialled_again_soon(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(crdtmem.sync.node, "LASTING", 0.0)
        node = Dialled(BOB, BOB, Unreachable("nobody"), Unreachable("nobody"), b"")
        node.spawn(node.keep("ws://bob", None))
        await asyncio.wait_for(node.over.wait(), LONG)
        await node.close()
        assert pauses == [0.2, 0.2, 0.4, 0.8, 1.6]

    run(main)


def test_who_is_connected_under_another_address_is_not_dialled_until_that_ends(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr(crdtmem.sync.node, "SOON", 0.0)
        node = Dialled(BOB)
        other = node.hub.link(dials=True, now=0)
        other.peer = BOB
        node.spawn(node.keep("ws://bob", None))
        for _ in range(10):
            await turns()
        assert not node.outcomes and not node.over.is_set()
        node.hub.gone(other)
        await asyncio.wait_for(node.over.wait(), LONG)
        await node.close()

    run(main)
