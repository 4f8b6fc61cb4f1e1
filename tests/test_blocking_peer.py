"""A peer on a thread of its own: however it ends it says Bye, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from crdtmem import Closed, MisuseError, Peer
from crdtmem.sync.news import News
from tests.layout import ROOT
from tests.test_peer import LONG, memory


class Listening:
    """A peer that listens, and what it hears of others."""

    def __init__(self) -> None:
        self.news: SimpleQueue[News] = SimpleQueue()
        other = memory("other")
        self.shown = other.set("s")
        self.peer = Peer(other, listen="127.0.0.1:0").blocking()
        self.peer.watch(self.news.put)

    def hears(self, kind: str) -> News:
        """The next of this kind."""
        while (news := self.news.get(timeout=LONG)).kind != kind:
            pass
        return news

    def __enter__(self) -> Listening:
        self.peer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.peer.close()


def test_what_was_started_may_be_entered_and_is_closed_by_that(tmp_path: Path) -> None:
    before = threading.active_count()
    with Peer(memory("ann"), meet=tmp_path).blocking().start() as one:
        assert one.start() is one and one.url
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    with pytest.raises(MisuseError, match="entered once"):
        one.start()


def test_what_was_never_started_says_so_and_may_be_closed() -> None:
    one = Peer(memory("ann"), listen="127.0.0.1:0").blocking()
    one.close()
    with pytest.raises(MisuseError, match="has not been started: use it inside `with`"):
        one.synced(timeout=1)


def test_closed_by_its_own_callback_it_ends_in_order_and_who_waits_hears_of_it() -> None:
    with Listening() as other:
        one = Peer(memory("ann"), dial=other.peer.url).blocking()
        one.watch(lambda news: one.close() if news.kind == "joined" else None)
        with one, pytest.raises(Closed):
            one.synced(peers=9, timeout=LONG)
        assert other.hears("left").detail == "this peer has closed"


def test_a_callback_that_exits_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Listening() as other:
        one = Peer(memory("ann"), dial=other.peer.url).blocking()
        one.watch(lambda news: sys.exit(3))
        with one:
            one.synced(timeout=LONG)
            assert one.connected == ["other"]
    assert "a callback of watch() failed" in caplog.text


def test_threads_that_close_it_at_once_all_find_it_closed() -> None:
    for _ in range(20):
        one = Peer(memory("ann"), listen="127.0.0.1:0").blocking().start()
        with ThreadPoolExecutor(3) as pool:
            waits = pool.submit(one.synced, 9)
            for closing in [pool.submit(one.close) for _ in range(2)]:
                closing.result(LONG)
            with pytest.raises(Closed):
                waits.result(LONG)


def test_who_is_connected_may_be_asked_while_others_come() -> None:
    with Peer(memory("ann"), listen="127.0.0.1:0").blocking() as one:
        links = one._peer.hub.links

        class Comes:
            """A connection, and another thread that adds one while this is looked at."""

            name = "bob"

            @property
            def peer(self) -> bytes:
                links[object()] = None  # type: ignore[index]
                return b"bob"

        links[Comes()] = None  # type: ignore[index]
        connected = one.connected
        links.clear()
        assert connected == ["bob"]


LEFT_OPEN = """
import sys
from crdtmem import Peer
from tests.test_peer import memory

ann = memory("ann")
peer = Peer(ann, dial=sys.argv[1]).blocking().start()
peer.synced(timeout=30)
ann.set("s").add("last word")
"""


def test_the_end_of_the_process_hands_out_what_is_due_and_says_goodbye() -> None:
    with Listening() as other:
        command = [sys.executable, "-c", LEFT_OPEN, other.peer.url]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONG, check=True)
        assert other.hears("left").detail == "this peer has closed"
        assert not ran.stderr
