"""Peers that meet: who is visited, who is taken for dead, and what goes on whatever happens to the folder."""

from __future__ import annotations

import asyncio
import errno
import shutil
from pathlib import Path

import pytest

import crdtmem.sync.node
import crdtmem.sync.visits
from crdtmem import Peer
from crdtmem.sync.meet import Address, Meeting
from crdtmem.sync.node import Node
from crdtmem.sync.visits import Visits
from crdtmem.sync.websocket import Socket, Unreachable
from tests.test_peer import LONG, heard, memory

DEAD = bytes(16)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before a visit is repeated."""
    monkeypatch.setattr(crdtmem.sync.visits, "LATER", 0.0)


def node_of(peer: Peer) -> Node:
    assert peer._node is not None
    return peer._node


async def cut(one: Peer, other: Peer) -> None:
    """Their connection ends, as it does when nothing is heard for long."""
    left = [heard(peer, lambda news: news.kind == "left") for peer in (one, other)]
    [link] = [link for link in one.hub.links if link.peer]
    link.session.end("silent", "nothing was heard")
    node_of(one).pump(link)
    await asyncio.wait_for(asyncio.gather(*left), LONG)


@pytest.mark.parametrize("whole", [False, True])
def test_who_was_taken_for_dead_or_lost_the_folder_is_found_again(tmp_path: Path, whole: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        team = tmp_path / "team"
        async with Peer(memory("ann"), meet=team) as ann, Peer(memory("bob"), meet=team) as bob:
            await bob.synced(timeout=LONG)
            if whole:
                shutil.rmtree(team)
            else:
                for path in team.glob("*.peer"):
                    path.unlink()
            await cut(ann, bob)
            await ann.synced(timeout=LONG)
            async with Peer(memory("cyd"), meet=team) as cyd:
                await cyd.synced(peers=2, timeout=LONG)
        assert [path.name for path in team.iterdir()] == ["secret"]

    asyncio.run(main())


def test_a_program_that_changes_its_directory_stays_where_it_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.chdir(tmp_path)
        async with Peer(memory("ann"), meet="team"):
            monkeypatch.chdir("/")
            async with Peer(memory("bob"), meet=tmp_path / "team") as bob:
                await bob.synced(timeout=LONG)
        assert not list((tmp_path / "team").glob("*.peer"))

    asyncio.run(main())


def test_what_fails_is_told_once_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(crdtmem.sync.visits, "LOOK", 0.0)
        present, fails, over = Meeting.present, 0, asyncio.Event()

        def failing(meeting: Meeting) -> list[Address]:
            nonlocal fails
            fails += 1
            if 1 < fails < 9:  # announcing looks as well
                raise OSError(errno.EMFILE, "Too many open files")
            if fails > 8:
                over.set()
            return present(meeting)

        monkeypatch.setattr(Meeting, "present", failing)
        ann = Peer(memory("ann"), meet=tmp_path)
        told: list[str] = []
        ann.watch(lambda news: told.append(news.detail) if news.kind == "trouble" else None)
        async with ann:
            await asyncio.wait_for(over.wait(), LONG)
            async with Peer(memory("bob"), meet=tmp_path) as bob:
                await bob.synced(timeout=LONG)
        [trouble] = told
        assert str(tmp_path) in trouble and "Too many open files" in trouble and "tried again" in trouble

    asyncio.run(main())


def test_a_visit_that_fails_in_a_way_nobody_thought_of_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def broken(url: str, tls: object) -> Socket:
            raise ZeroDivisionError

        async with Peer(memory("ann"), meet=tmp_path) as ann:
            Meeting(tmp_path).announce(Address(DEAD, "dead", "ws://127.0.0.1:1"))
            monkeypatch.setattr(crdtmem.sync.node, "dialled", broken)
            news = await asyncio.wait_for(heard(ann, lambda news: news.kind == "trouble"), LONG)
            assert "ws://127.0.0.1:1" in news.detail and "ZeroDivisionError" in news.detail

    asyncio.run(main())


BOTH = f"Multiple exceptions: [Errno {errno.ECONNREFUSED}] at one address, [Errno {{}}] at the other"


@pytest.mark.parametrize(
    ("cause", "kept"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), False),
        (OSError(BOTH.format(errno.ECONNREFUSED)), False),
        (OSError(BOTH.format(errno.ETIMEDOUT)), True),
        (TimeoutError("timed out during opening handshake"), True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), True),
        (EOFError("connection closed"), True),
    ],
)
def test_only_who_refuses_is_dead(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cause: Exception,
    kept: bool,  # noqa: FBT001
) -> None:
    async def main() -> None:
        async with Peer(memory("ann"), listen="127.0.0.1:0") as ann:
            place, address = Meeting(tmp_path), Address(DEAD, "dead", "ws://127.0.0.1:1")
            Meeting(tmp_path).announce(address)

            async def unreachable(url: str, tls: object) -> Socket:
                raise Unreachable(url) from cause

            monkeypatch.setattr(crdtmem.sync.node, "dialled", unreachable)
            await Visits(place, node_of(ann), ann._told).visit(address)
            assert place.present() == ([address] if kept else [])

    asyncio.run(main())


def test_who_has_the_port_of_the_dead_is_not_disturbed_and_the_dead_are_cleaned_up_after(tmp_path: Path) -> None:
    async def main() -> None:
        team = tmp_path / "team"
        async with (
            Peer(memory("ann"), meet=team) as ann,
            Peer(memory("bob"), meet=team, listen="127.0.0.1:0") as bob,
            Peer(memory("cyd"), listen="127.0.0.1:0") as cyd,
        ):
            await ann.synced(timeout=LONG)
            told: list[tuple[str, str]] = []
            for peer in (ann, bob, cyd):
                peer.watch(lambda news: told.append((news.kind, news.detail)))
            place = Meeting(team)
            visits = Visits(place, node_of(ann), ann._told)
            for url in (bob.url, cyd.url, ann.url.replace("127.0.0.1", "localhost")):
                dead = Address(DEAD, "dead", url)
                Meeting(team).announce(dead)
                await asyncio.wait_for(visits.visit(dead), LONG)
                assert dead not in place.present()
            assert {kind for kind, _ in told} == {"refused"}
            assert ann.connected == ["bob"] and bob.connected == ["ann"]

    asyncio.run(main())
