"""Teams of processes in small, what their judge sees, and the network they talk over."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtmem.sync.node import SOON
from crdtmem.sync.websocket import HIGH, Socket, listening
from tests.processes.campaign import COMBINATIONS, LIMIT, Combination, finish, heal
from tests.processes.nemesis import FAULTS, drop, kill
from tests.processes.proxy import Link
from tests.processes.stalled import measure, silent
from tests.processes.team import SHAPES, team
from tests.processes.workloads import Told, judge

# -- a team --------------------------------------------------------------------------------------------


def test_a_team_that_is_killed_and_cut_off_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    async def play() -> None:
        rng = Random(1)
        async with team(tmp_path, 3, "line", 1) as crew:
            crew.write(0.005)
            await crew.writes(10)
            async with kill(crew, rng) as what:
                victim = next(member for member in crew.members if what.endswith(member.name))
                await crew.writes(10, but=victim)
            async with drop(crew, rng):
                await crew.writes(10)
            await heal(crew)
            _, problems = await finish(crew)
            assert not problems
            assert sum(len(member.told.acknowledged) for member in crew.members) >= 80

    asyncio.run(play())


def test_a_file_that_is_lost_with_what_nobody_else_has_is_noticed(tmp_path: Path) -> None:
    async def play() -> None:
        async with team(tmp_path, 2, "line", 1) as crew:
            victim = crew.members[0]
            [link] = crew.links.values()
            link.there.passes.clear()
            link.back.passes.clear()
            crew.write(0.005)
            await crew.writes(10)
            await victim.kill()
            victim.forget()
            link.reset()
            link.there.passes.set()
            link.back.passes.set()
            await victim.start()
            await heal(crew)
            verdict, _ = await finish(crew)
            assert any(" lacks a0.1." in what for what in verdict.lost)

    asyncio.run(play())


def test_every_combination_can_be_named_and_has_all_it_needs() -> None:
    for combination in COMBINATIONS:
        assert Combination.parse(str(combination)) == combination
        assert 2 <= combination.size <= 12
        assert combination.shape in SHAPES
        assert set(combination.nemeses) <= set(FAULTS)
    tormented = [combination for combination in COMBINATIONS if combination.nemeses]
    assert len({combination.nemeses for combination in tormented}) >= 12
    assert {combination.shape for combination in COMBINATIONS} == set(SHAPES)
    assert {name for combination in tormented for name in combination.nemeses} == set(FAULTS)


def test_whoever_was_away_is_dialled_again_before_all_must_be_alike() -> None:
    assert SOON < LIMIT


# -- whoever does not read -----------------------------------------------------------------------------


def test_all_is_seen_beside_readers_that_never_read() -> None:
    figures = measure(3, 5, 1)
    assert (len(figures.alone), len(figures.beside), figures.stalled) == (10, 10, 3)


def test_what_the_system_takes_for_a_connection_that_nobody_reads_from_is_bounded() -> None:
    async def play() -> None:
        size: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(connection: Socket) -> None:
            sock = connection._connection.transport.get_extra_info("socket")
            size.set_result(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))

        server, url = await listening("127.0.0.1", 0, None, serve, lambda path: None)
        sock = await asyncio.to_thread(silent, url)
        assert await size in (HIGH, 2 * HIGH)  # fixed; Linux doubles it, for what it needs itself
        sock.close()
        server.close()
        await server.wait_closed()

    asyncio.run(play())


# -- its judge -----------------------------------------------------------------------------------------

ANN: list[tuple[Any, ...]] = [
    ("try", "a1", "set", None),
    ("ok", "a1"),
    ("try", "a2", "counter", 5),
    ("ok", "a2"),
    ("try", "a3", "register", ("r0", {"r0": [], "r1": [], "r2": []}, "v")),
    ("ok", "a3"),
    ("try", "a4", "both", None),
    ("ok", "a4"),
    ("try", "a5", "sequence", None),
    ("ok", "a5"),
    ("try", "a6", "register", ("r1", {"r0": ["a3"], "r1": [], "r2": []}, "v")),
    ("ok", "a6"),
    ("try", "a7", "counter", 3),
]
BOB: list[tuple[Any, ...]] = [
    ("read", "r1", ["a6"]),
    ("read", "r0", ["a3"]),
    ("try", "b1", "register", ("r0", {"r0": ["a3"], "r1": ["a6"], "r2": []}, "v")),
    ("ok", "b1"),
    ("try", "b2", "set", None),
    ("no", "b2", "the disk is full"),
    ("try", "b3", "register", ("r2", {"r0": ["b1"], "r1": ["a6"], "r2": []}, "v")),
]
CONTENT: dict[str, Any] = {
    "set": ["a1", "a4"],
    "counter": 5,
    "register": {"r0": ["b1"], "r1": ["a6"], "r2": []},
    "sequence": ["a4", "a5"],
}


def told(lines: list[tuple[Any, ...]]) -> Told:
    found = Told()
    for line in lines:
        found.hear(*line)
    return found


def verdict(bob: list[tuple[Any, ...]] = BOB, **content: Any) -> str:
    """What is wrong when one of two shows something else, in one line; empty if nothing is."""
    found = judge({"ann": told(ANN), "bob": told(bob)}, {"ann": CONTENT, "bob": CONTENT | content})
    for name, complaints in found._asdict().items():
        if complaints:
            return f"{name}: {complaints[0]}"
    return ""


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"set": ["a1", "a4", "b2"]},  # it failed: nobody knows
        {"counter": 8},  # nobody heard of its end
        {"register": {"r0": ["b1"], "r1": ["a6"], "r2": ["b3"]}},
    ],
)
def test_what_was_acknowledged_and_maybe_the_rest_is_right(content: dict[str, Any]) -> None:
    assert verdict(**content) == ""


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ({"set": ["a4"]}, "lost: bob: set lacks a1"),
        ({"set": ["a1", "a4", "x"]}, "phantoms: bob: set has x"),
        ({"counter": 4}, "lost: bob: the counter is 4, 5 were acknowledged"),
        ({"counter": 6}, "phantoms: bob: the counter is 6"),
        ({"counter": 10}, "phantoms: bob: the counter is 10"),
        ({"sequence": ["a4"]}, "lost: bob: sequence lacks a5"),
        ({"sequence": ["a4", "a5", "a5"]}, "phantoms: bob: sequence has a5 twice"),
        ({"sequence": ["a5", "a4"]}, "broken: bob: a5 stands before a4"),
        ({"register": {"r0": ["a3"], "r1": ["a6"], "r2": []}}, "lost: bob: r0 lacks b1"),
        ({"register": {"r0": ["b1"], "r1": ["x"], "r2": []}}, "lost: bob: r1 lacks a6"),
        ({"register": {"r0": ["b1"], "r1": ["a6", "x"], "r2": []}}, "phantoms: bob: r1 has x"),
    ],
)
def test_what_is_lost_made_up_or_out_of_order_is_seen(content: dict[str, Any], wrong: str) -> None:
    assert verdict(**content).startswith(wrong)


def test_half_of_a_change_is_seen() -> None:
    lines = [*BOB, ("try", "b4", "both", None)]
    assert verdict(lines) == ""
    assert verdict(lines, set=["a1", "a4", "b4"], sequence=["a4", "a5", "b4"]) == ""
    assert verdict(lines, set=["a1", "a4", "b4"]) == "broken: bob: half of b4"


@pytest.mark.parametrize(
    ("reads", "wrong"),
    [
        ([("read", "r0", [])], "r0 shows [] and not the own write b1"),
        ([("read", "r0", ["a3"])], "r0 shows ['a3'] and not the own write b1"),
        ([("read", "r0", ["b1"]), ("read", "r1", [])], "r1 shows [] and not the earlier read a6"),
    ],
)
def test_who_is_shown_less_than_before_is_seen(reads: list[tuple[Any, ...]], wrong: str) -> None:
    assert verdict([*BOB, *reads]) == f"broken: bob: {wrong}"


def test_who_is_shown_a_write_without_its_cause_is_seen() -> None:
    assert (
        verdict([("read", "r1", ["a6"]), ("read", "r0", []), *BOB[2:]])
        == "broken: bob: r0 shows [] and not the cause of what was seen a3"
    )


# -- the network ---------------------------------------------------------------------------------------


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def connected(check: Callable[[Link, Stream, Stream], Awaitable[None]]) -> None:
    """Run a check over a link with one connection: its dialler's end, and its listener's."""

    async def play() -> None:
        arrived: asyncio.Queue[Stream] = asyncio.Queue()
        server = await asyncio.start_server(lambda *stream: arrived.put_nowait(stream), "127.0.0.1", 0)
        link = Link(Random(1))
        await link.open()
        link.target = server.sockets[0].getsockname()[1]
        near = await asyncio.open_connection("127.0.0.1", link.port)
        near[1].write(b"hello")
        far = await arrived.get()
        try:
            async with asyncio.timeout(20):
                assert await far[0].readexactly(5) == b"hello"  # from now on the link knows of the connection
                await check(link, near, far)
        finally:
            for _, writer in (near, far):
                writer.transport.abort()
            await link.close()
            server.close()
            await server.wait_closed()

    asyncio.run(play())


def test_a_link_carries_in_both_ways_and_in_order() -> None:
    async def check(link: Link, near: Stream, far: Stream) -> None:
        link.there.delay, link.there.jitter, link.there.rate = 0.001, 0.01, 5e6
        sent = bytes(range(256)) * 500
        for start in range(0, len(sent), 10_000):
            near[1].write(sent[start : start + 10_000])
            await asyncio.sleep(0)
        far[1].write(b"back")
        assert await far[0].readexactly(len(sent)) == sent
        assert await near[0].readexactly(4) == b"back"

    connected(check)


def test_what_falls_into_a_hole_arrives_when_it_is_closed() -> None:
    async def check(link: Link, near: Stream, far: Stream) -> None:
        link.there.passes.clear()
        near[1].write(b"held")
        far[1].write(b"not held")
        assert await near[0].readexactly(8) == b"not held"
        assert not far[0]._buffer  # type: ignore[attr-defined]
        link.there.passes.set()
        assert await far[0].readexactly(4) == b"held"

    connected(check)


def test_one_end_is_told_that_nothing_more_will_come_and_can_still_speak() -> None:
    async def check(link: Link, near: Stream, far: Stream) -> None:
        link.half_close(1)
        assert await far[0].read() == b""
        far[1].write(b"still here")
        assert await near[0].readexactly(10) == b"still here"

    connected(check)


def test_one_end_is_told_that_it_is_over_and_the_other_later() -> None:
    async def check(link: Link, near: Stream, far: Stream) -> None:
        link.half_open(1)
        with pytest.raises(ConnectionResetError):
            await far[0].read()
        near[1].write(b"into nothing")
        await near[1].drain()
        assert not near[0].at_eof()
        link.reset()
        with pytest.raises(ConnectionResetError):
            await near[0].read()

    connected(check)


def test_both_ends_are_told_when_it_is_over() -> None:
    async def reset(link: Link, near: Stream, far: Stream) -> None:
        link.reset()
        for reader, _ in (near, far):
            with pytest.raises(ConnectionResetError):
                await reader.read()

    async def finish(link: Link, near: Stream, far: Stream) -> None:
        link.finish()
        assert [await reader.read() for reader, _ in (near, far)] == [b"", b""]

    connected(reset)
    connected(finish)


def test_where_nobody_listens_nobody_is_reached() -> None:
    async def play() -> None:
        link = Link(Random(1))
        await link.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        await link.close()

    asyncio.run(play())
