"""Peers over real sockets: they find each other, share, wait for each other, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
import subprocess
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode

from crdtmem import Closed, Memory, MisuseError, Namespace, NotReached, Peer, Replica
from crdtmem.sync.frames import Bye, Changes, Have, Hello, Open, decode, encode
from crdtmem.sync.meet import Address, Meeting
from crdtmem.sync.news import News
from crdtmem.sync.websocket import _framed
from tests.crew import SCOPE
from tests.layout import ROOT

LONG = 30.0  # seconds: only a failure takes them


def memory(name: str, **options: Any) -> Memory:
    return Replica(name, **options).open(SCOPE)


def heard(peer: Peer, wanted: Callable[[News], bool]) -> asyncio.Future[News]:
    """The next of this kind of news."""
    found: asyncio.Future[News] = asyncio.get_running_loop().create_future()

    def look(news: News) -> None:
        if wanted(news) and not found.done():
            found.set_result(news)
            end()

    end = peer.watch(look)
    return found


async def everybody(peers: list[Peer]) -> None:
    """Until all of a connected team are in step, whatever its shape: news may need as many rounds as it is wide."""
    for _ in peers:
        await asyncio.gather(*[peer.synced(timeout=LONG) for peer in peers])


def test_two_peers_share_what_they_write_before_and_after_they_meet() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        ann.set("s").add("before")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
            await other.synced(timeout=LONG)
            assert set(bob.set("s")) == {"before"}
            bob.set("s").add("after")
            await other.synced(timeout=LONG)
            assert ann.digest() == bob.digest()
            assert one.connected == ["bob"] and other.connected == ["ann"]
            version = str(ann.version)
            await one.reached(version, timeout=LONG)
        assert one.connected == other.connected == []

    asyncio.run(main())


def test_nobody_is_in_step_with_nobody() -> None:
    async def main() -> None:
        ann = memory("ann")
        async with Peer(ann, listen="127.0.0.1:0") as peer:
            with pytest.raises(NotReached, match=r"0 of 1 peers were in step with .* connected: nobody"):
                await peer.synced(timeout=0.05)
            with pytest.raises(TimeoutError):
                await peer.synced(timeout=0.05)
            with pytest.raises(MisuseError):
                await peer.synced(peers=0)
            stranger = Replica("x").open(tenant="other").version
            with pytest.raises(NotReached, match="no memory shared here has reached that version"):
                await peer.reached(stranger, timeout=LONG)

    asyncio.run(main())


def test_who_cannot_be_in_step_is_told_with_the_reason() -> None:
    async def main() -> None:
        stranger = Replica("stranger").open(Namespace(tenant="other"))
        async with Peer(memory("ann"), listen="127.0.0.1:0") as one, Peer(stranger, dial=one.url):
            await heard(one, lambda news: news.kind == "refused")
            with pytest.raises(NotReached, match=r"connected: stranger \(not shared here\)$"):
                await one.synced(timeout=0.01)

    asyncio.run(main())


def test_who_is_dialled_before_it_listens_is_dialled_again() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with Peer(bob, dial=[f"ws://127.0.0.1:{port}"]) as other:
            await heard(other, lambda news: news.kind == "unreachable")
            async with Peer(ann, listen=f"127.0.0.1:{port}") as one:
                ann.set("s").add(1)
                await one.synced(timeout=LONG)
                assert set(bob.set("s")) == {1}
            left = heard(other, lambda news: news.kind == "joined")
            async with Peer(memory("cyd"), listen=f"127.0.0.1:{port}"):
                assert (await left).peer == "cyd"

    asyncio.run(main())


@pytest.mark.parametrize("shape", ["mesh", "ring", "star", "line", "random"])
def test_teams_of_any_shape_converge(shape: str) -> None:
    async def main() -> None:
        rng = Random(shape)
        memories = [memory(f"agent{n}") for n in range(6)]
        edges = {
            "mesh": [(a, b) for a in range(6) for b in range(a)],
            "ring": [*pairwise(range(6)), (5, 0)],
            "star": [(0, n) for n in range(1, 6)],
            "line": list(pairwise(range(6))),
            "random": [*((n, rng.randrange(n)) for n in range(1, 6)), (0, 3), (5, 1)],
        }[shape]
        peers: list[Peer] = []
        for n, one in enumerate(memories):
            one.set("s").add(f"before {n}")
            dial = [peers[b if a == n else a].url for a, b in edges if n in (a, b) and min(a, b) < n == max(a, b)]
            peers.append(await Peer(one, listen="127.0.0.1:0", dial=dial).__aenter__())
        for n, one in enumerate(memories):
            one.text("t").append(f"{n} ")
            one.counter("c").add(n)
        await everybody(peers)
        assert len({one.digest() for one in memories}) == 1
        assert memories[0].counter("c").value == 15 and len(memories[0].set("s")) == 6
        for peer in peers:
            await peer.close()

    asyncio.run(main())


def test_all_who_use_a_folder_find_each_other_and_leave_it_as_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        memories = [memory(f"agent{n}") for n in range(4)]
        peers = [await Peer(one, meet=tmp_path / "team").__aenter__() for one in memories]
        for n, one in enumerate(memories):
            one.set("s").add(n)
        await asyncio.gather(*[peer.synced(peers=3, timeout=LONG) for peer in peers])
        await everybody(peers)
        assert {tuple(sorted(one.set("s"))) for one in memories} == {(0, 1, 2, 3)}
        for peer in peers:
            await peer.close()
        assert [path.name for path in (tmp_path / "team").iterdir()] == ["secret"]

    asyncio.run(main())


def test_the_dead_are_cleaned_up_after_and_strangers_are_kept_out(tmp_path: Path) -> None:
    async def main() -> None:
        meeting = Meeting(tmp_path / "team")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{probe.getsockname()[1]}"
            Meeting(meeting.folder).announce(Address(bytes(16), "dead", url))
        async with (
            Peer(memory("ann"), meet=tmp_path / "team") as ann,
            Peer(memory("bob"), meet=tmp_path / "team") as bob,
        ):
            await bob.synced(timeout=LONG)
            refused = heard(ann, lambda news: news.kind == "refused")
            async with connect(ann.url, compression=None) as stranger:
                await stranger.send(encode(Hello(1, 0, b"x" * 16, "stranger", "guess")))
                bye = decode(await stranger.recv())  # type: ignore[arg-type]
            assert isinstance(bye, Bye) and bye.code == "not admitted"
            assert (await refused).peer == "stranger"
            assert ann.connected == ["bob"]
            await bob.synced(timeout=LONG)
        assert not list(meeting.folder.glob("*.peer"))

    asyncio.run(main())


def test_a_page_in_a_browser_cannot_connect() -> None:
    async def main() -> None:
        async with Peer(memory("ann"), listen="127.0.0.1:0") as peer:
            with pytest.raises(InvalidStatus):
                await connect(peer.url, origin="http://evil.example")  # type: ignore[arg-type]

    asyncio.run(main())


def test_whatever_a_stranger_sends_ends_its_connection_alone() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=[one.url]) as other:
            await other.synced(timeout=LONG)
            for nonsense in (b"", b"\x00" * 100, "text", 3 << 20, encode(Hello(9, 0, b"y" * 16, "new"))):
                async with connect(one.url, compression=None, max_size=None) as stranger:
                    if isinstance(nonsense, int):  # the head of a frame of so many bytes; they never come
                        stranger.transport.write(b"\x82\xff" + nonsense.to_bytes(8, "big") + bytes(4))
                    else:
                        await stranger.send(nonsense)
                    with suppress(ConnectionClosedError):  # websockets itself ends what is too long
                        async for message in stranger:
                            assert isinstance(decode(message), Bye)  # type: ignore[arg-type]
            bob.set("s").add("still here")
            await other.synced(timeout=LONG)
            assert set(ann.set("s")) == {"still here"}

    asyncio.run(main())


def test_who_reads_nothing_is_still_heard() -> None:
    async def main() -> None:
        ann = memory("ann")
        for n in range(60):
            ann.set("s").add("x" * 100_000 + str(n))
        async with Peer(ann, listen="127.0.0.1:0") as peer, connect(peer.url, compression=None, max_queue=1) as slow:
            hello, opened = Hello(1, 0, b"x" * 16, "slow"), Open(0, ["acme", "test"], bytes(16))
            for frame in (hello, opened, Have(0, [], more=False)):
                await slow.send(encode(frame))
            for n in range(20):  # six megabytes are due to it; what it says is heard all the same
                told = heard(peer, lambda news: news.kind == "refused")
                await slow.send(encode(Changes(0, [b"rubbish %d" % n])))
                await asyncio.wait_for(told, LONG)
            assert peer.connected == ["slow"] and next(iter(peer.hub.links)).lags
            slow.transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
def test_a_server_frames_a_message_as_websockets_does(size: int) -> None:
    for data in (bytes(size), b"x" * size):  # the second is not taken for the first
        assert _framed(data) == Frame(Opcode.BINARY, data).serialize(mask=False)
        assert _framed(data) == Frame(Opcode.BINARY, data).serialize(mask=False)


def test_what_is_new_is_handed_out_at_once_also_when_somebody_has_looked_before() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=[one.url]) as other:
            await other.synced(timeout=LONG)
            await one.synced(timeout=LONG)
            [link] = one.hub.links
            for looked in (False, True):
                ann.set("s").add(looked)
                if looked:
                    one.hub.refresh()
                    assert link.lags
                for _ in range(2):  # turns of the loop: nothing waits for the next second
                    await asyncio.sleep(0)
                assert not link.lags
            await one.synced(timeout=LONG)
            assert set(bob.set("s")) == {False, True}

    asyncio.run(main())


def test_writes_from_many_threads_arrive() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=[one.url]):
            threads = [
                threading.Thread(target=lambda n=n: [ann.set("s").add((n, m)) for m in range(50)]) for n in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            await one.synced(timeout=LONG)
            assert len(bob.set("s")) == 200 and ann.digest() == bob.digest()

    asyncio.run(main())


def test_many_memories_on_one_connection() -> None:
    async def main() -> None:
        ann, bob = Replica("ann"), Replica("bob")
        scopes = [Namespace(tenant="acme", task=f"t{n}") for n in range(20)]
        mine, theirs = [ann.open(s) for s in scopes], [bob.open(s) for s in scopes]
        async with Peer(*mine, listen="127.0.0.1:0") as one, Peer(*theirs, dial=[one.url]) as other:
            for n, one_of in enumerate(mine):
                one_of.counter("n").add(n)
            await one.synced(timeout=LONG)
            assert [one_of.counter("n").value for one_of in theirs] == list(range(20))
            assert len(one.hub.links) == len(other.hub.links) == 1

    asyncio.run(main())


def test_closing_hands_out_what_was_written_last_and_leaves_no_task() -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        before = asyncio.all_tasks()
        one = await Peer(ann, listen="127.0.0.1:0").__aenter__()
        other = await Peer(bob, dial=[one.url]).__aenter__()
        await other.synced(timeout=LONG)
        left = heard(one, lambda news: news.kind == "left")
        for n in range(500):
            bob.set("s").add(n)
        await other.close()
        await other.close()
        assert (await left).detail == "this peer has closed"
        assert len(ann.set("s")) == 500
        await one.close()
        assert asyncio.all_tasks() == before
        bob.set("s").add("nobody listens")

    asyncio.run(main())


def test_an_error_inside_the_with_block_closes_the_peer() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError):
            async with Peer(memory("ann"), listen="127.0.0.1:0") as peer:
                raise RuntimeError
        assert peer.connected == [] and len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_memory_that_is_closed_ends_its_connections() -> None:
    async def main() -> None:
        replica = Replica("ann")
        ann, bob = replica.open(SCOPE), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=[one.url]) as other:
            await other.synced(timeout=LONG)
            left = heard(other, lambda news: news.kind == "left")
            replica.close()
            bob.set("s").add(1)
            assert "closed" in (await left).detail
            assert one.url

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, MisuseError, "nobody can find this Peer"),
        ({"listen": "7400"}, MisuseError, "a host and a port"),
        ({"listen": "localhost:http"}, MisuseError, "a host and a port"),
        ({"listen": "127.0.0.1:70000"}, MisuseError, "a host and a port"),
        ({"listen": "0.0.0.0:7400"}, MisuseError, "nothing says who may enter"),
        ({"listen": "[::]:7400"}, MisuseError, "nothing says who may enter"),
        ({"dial": ["10.0.0.7:7400"]}, MisuseError, "an address of a peer"),
        ({"listen": 7400}, MisuseError, "a host and a port"),
        ({"meet": "/dev/null/team"}, MisuseError, "name another folder"),
        ({"listen": "127.0.0.1:0", "trust": bytes(32)}, MisuseError, "a list of public keys"),
        ({"listen": "127.0.0.1:0", "trust": "ab" * 32}, MisuseError, "a list of public keys"),
        ({"listen": "127.0.0.1:0", "trust": ["ab" * 32]}, MisuseError, "a list of public keys"),
        ({"listen": "127.0.0.1:0", "trust": [bytes(31)]}, MisuseError, "a list of public keys"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Peer(memory("ann"), **arguments)


def test_a_peer_without_a_loop_says_what_to_do() -> None:
    with pytest.raises(MisuseError, match="blocking"), Peer(memory("ann"), listen="127.0.0.1:0"):
        pass


def test_a_peer_shares_memories() -> None:
    with pytest.raises(MisuseError, match="hand at least one in"):
        Peer(listen="127.0.0.1:0")
    with pytest.raises(TypeError, match="takes memories"):
        Peer(Replica("ann"), listen="127.0.0.1:0")  # type: ignore[arg-type]


def test_a_blocking_peer_has_the_same_names_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    ann, bob = memory("ann"), memory("bob")
    news: list[str] = []
    with Peer(ann, meet=tmp_path / "team").blocking() as one:
        end = one.watch(lambda told: news.append(told.kind))
        with Peer(bob, meet=tmp_path / "team").blocking() as other:
            bob.set("s").add(1)
            other.synced(timeout=LONG)
            other.reached(bob.version, timeout=LONG)
            assert set(ann.set("s")) == {1}
            assert one.url.startswith("ws://127.0.0.1:") and other.connected == ["ann"]
        end()
        with pytest.raises(NotReached):
            one.synced(peers=9, timeout=0.01)
    with pytest.raises(Closed):
        one.synced(timeout=1)
    one.close()
    assert "joined" in news
    gc.collect()
    assert threading.active_count() == before


def test_a_blocking_peer_ends_what_is_left_on_its_loop() -> None:
    left: list[asyncio.Task[None]] = []

    async def comes_late() -> None:  # as somebody's connection does that is accepted while the listener closes
        await asyncio.Event().wait()

    with Peer(memory("ann"), listen="127.0.0.1:0").blocking() as peer:
        peer._call(lambda: left.append(asyncio.ensure_future(comes_late())))
    assert left[0].cancelled()


def test_a_blocking_peer_that_cannot_start_leaves_no_thread() -> None:
    before = threading.active_count()
    with Peer(memory("ann"), listen="127.0.0.1:0").blocking() as one:
        port = one.url.rpartition(":")[2]
        with pytest.raises(OSError), Peer(memory("bob"), listen=f"127.0.0.1:{port}").blocking():
            pass
    assert threading.active_count() == before


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + plain)
    return path


def test_over_tls_and_only_with_who_is_vouched_for(tmp_path: Path) -> None:
    async def main() -> None:
        path = certificate(tmp_path)
        serves = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serves.load_cert_chain(path)
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0", tls=serves) as one:
            assert one.url.startswith("wss://127.0.0.1:")
            async with Peer(bob, dial=one.url, tls=ssl.create_default_context(cafile=path)) as other:
                bob.set("s").add(1)
                await other.synced(timeout=LONG)
                assert set(ann.set("s")) == {1}
            async with Peer(bob, dial=one.url) as trusting:  # the system vouches for no such certificate
                news = await heard(trusting, lambda news: news.kind == "unreachable")
                assert "certificate" in news.detail

    asyncio.run(main())


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """To listen with, and to dial with."""
    path = certificate(folder)
    serves = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serves.load_cert_chain(path)
    return serves, ssl.create_default_context(cafile=path)


def test_one_peer_listens_and_dials_over_tls(tmp_path: Path) -> None:
    async def main() -> None:
        both = contexts(tmp_path)
        ann, bob, cyd = memory("ann"), memory("bob"), memory("cyd")
        async with (
            Peer(ann, listen="127.0.0.1:0", tls=both) as one,
            Peer(bob, listen="127.0.0.1:0", dial=one.url, tls=both) as two,
            Peer(cyd, listen="127.0.0.1:0", dial=two.url, tls=both[1]) as three,
        ):
            assert [peer.url.partition(":")[0] for peer in (one, two, three)] == ["wss", "wss", "ws"]
            cyd.set("s").add(1)
            await everybody([one, two, three])
            assert set(ann.set("s")) == {1}

    asyncio.run(main())


def test_with_a_certificate_the_system_vouches_for_whom_it_dials(tmp_path: Path) -> None:
    async def main() -> None:
        serves, _ = contexts(tmp_path)
        async with (
            Peer(memory("ann"), listen="127.0.0.1:0", tls=serves) as one,
            Peer(memory("bob"), listen="127.0.0.1:0", dial=one.url, tls=serves) as other,
        ):
            news = await heard(other, lambda news: news.kind == "unreachable")
            assert "certificate verify failed" in news.detail

    asyncio.run(main())


@pytest.mark.parametrize("side", [0, 1, None])
def test_a_meeting_place_is_in_plain_whatever_secures_the_rest(tmp_path: Path, side: int | None) -> None:
    async def main() -> None:
        both = contexts(tmp_path)
        options: dict[str, Any] = {"tls": both if side is None else both[side]}
        if side != 1:
            options["listen"] = "127.0.0.1:0"
        ann, bob = memory("ann"), memory("bob")
        async with (
            Peer(ann, meet=tmp_path / "team", **options) as one,
            Peer(bob, meet=tmp_path / "team", **options) as other,
        ):
            bob.set("s").add(1)
            await other.synced(timeout=LONG)
            assert set(ann.set("s")) == {1}
            assert one.url.startswith("ws://" if side == 1 else "wss://")

    asyncio.run(main())


def test_a_context_for_the_other_side_is_refused(tmp_path: Path) -> None:
    serves, dials = contexts(tmp_path)
    key = bytes(32)
    for says, options in (
        ("listens nowhere", {"dial": "wss://127.0.0.1:1", "tls": serves}),
        ("listens nowhere", {"meet": tmp_path / "team", "tls": [serves, dials]}),
        ("would be in the clear", {"listen": "127.0.0.1:0", "tls": dials}),
        ("would be in the clear", {"listen": "0.0.0.0:0", "issuer": key, "dial": "wss://127.0.0.1:1", "tls": dials}),
        ("two contexts for one side", {"listen": "127.0.0.1:0", "tls": [serves, serves]}),
        ("an ssl.SSLContext, or two", {"listen": "127.0.0.1:0", "tls": "cert.pem"}),
    ):
        with pytest.raises(MisuseError, match=says):
            Peer(memory("ann"), **options)  # type: ignore[arg-type]


INTERRUPTED = """
import signal
import sys
from crdtmem import Peer, Replica
from tests.crew import SCOPE

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background may ignore it
memory = Replica("ann", store=sys.argv[2]).open(SCOPE)
with Peer(memory, dial=sys.argv[1]).blocking() as peer:
    peer.synced(timeout=30)
    memory.set("s").add("last word")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_ctrl_c_hands_out_what_is_due_and_says_goodbye(tmp_path: Path) -> None:
    async def main() -> None:
        bob = memory("bob")
        async with Peer(bob, listen="127.0.0.1:0") as other:
            arguments = (sys.executable, "-c", INTERRUPTED, other.url, str(tmp_path / "ann.db"))
            process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            left = heard(other, lambda news: news.kind == "left")
            process.send_signal(signal.SIGINT)
            assert (await left).detail == "this peer has closed"
            _, errors = await process.communicate()
            assert errors.count(b"Traceback") == 1 and b"KeyboardInterrupt" in errors
            assert set(bob.set("s")) == {"last word"}

    asyncio.run(main())


def test_what_is_damaged_in_a_file_is_taken_back_from_a_peer(tmp_path: Path) -> None:
    async def main() -> None:
        path, bob = tmp_path / "ann.db", memory("bob")
        with Replica("ann", store=path) as replica:
            ann = replica.open(SCOPE)
            for n in range(40):
                ann.set("s").add(f"value {n}")
            bob.receive(ann.changes())
            shown = ann.digest()
        data = path.read_bytes()
        assert data.count(b"value 17") == 1
        path.write_bytes(data.replace(b"value 17", b"value 71"))
        with Replica("ann", store=path) as replica:
            ann = replica.open(SCOPE)
            assert list(ann.damage) and "value 17" not in ann.set("s")
            async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
                await other.synced(timeout=LONG)
                assert ann.digest() == bob.digest() == shown and not list(ann.damage)

    asyncio.run(main())


def test_a_callback_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
            end = one.watch(lambda news: 1 / 0)
            await other.synced(timeout=LONG)
            end()
            end()
        assert "a callback of watch() failed" in caplog.text

    asyncio.run(main())


def test_a_memory_that_is_closed_takes_no_other_with_it() -> None:
    async def main() -> None:
        gone, stays = Replica("gone"), Replica("stays")
        bob = memory("bob")
        shared = [gone.open(Namespace(tenant="other")), stays.open(SCOPE)]
        async with Peer(*shared, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
            await other.synced(timeout=LONG)
            told = heard(one, lambda news: news.kind == "trouble")
            gone.close()
            assert (await asyncio.wait_for(told, LONG)).detail == "the memory has been closed"
            bob.set("s").add(1)
            await other.synced(timeout=LONG)
            assert set(shared[1].set("s")) == {1}

    asyncio.run(main())


def test_nobody_is_in_step_with_a_memory_that_is_closed() -> None:
    async def main() -> None:
        replica, bob = Replica("ann"), memory("bob")
        ann = replica.open(SCOPE)
        ann.set("s").add(1)
        async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url) as other:
            await other.synced(timeout=LONG)
            waits = asyncio.create_task(one.synced(peers=2, timeout=LONG))
            told = heard(one, lambda news: news.kind == "trouble")
            replica.close()
            with pytest.raises(Closed, match="open it again"):
                await one.synced(peers=2, timeout=LONG)  # it has not noticed yet
            await asyncio.wait_for(told, LONG)
            for call in (
                waits,
                one.synced(timeout=LONG),
                one.reached(ann.version, timeout=LONG),
            ):
                with pytest.raises(Closed, match="open it again"):
                    await call
            with pytest.raises(Closed, match="open it again"):
                one.behind()

    asyncio.run(main())


def test_a_peer_that_is_not_running_says_so() -> None:
    async def main() -> None:
        ann = memory("ann")
        peer = Peer(ann, listen="127.0.0.1:0")
        for call in (peer.synced, lambda: peer.reached(ann.version)):
            with pytest.raises(Closed, match="use it inside `async with`"):
                await call()
        with pytest.raises(Closed, match="use it inside `async with`"):
            peer.here("reads")

    asyncio.run(main())


def test_who_does_not_share_a_memory_is_not_behind_with_it() -> None:
    async def main() -> None:
        ann, bob = Replica("ann"), Replica("bob")
        alone, shared = ann.open(Namespace(tenant="alone")), ann.open(SCOPE)
        alone.set("s").add(1)
        async with Peer(shared, alone, listen="127.0.0.1:0") as one:
            refused = heard(one, lambda news: news.kind == "refused")
            async with Peer(bob.open(SCOPE), dial=one.url) as other:
                await other.synced(timeout=LONG)
                assert (await asyncio.wait_for(refused, LONG)).detail == "not shared here"
                assert one.behind(memory=alone) == {} and one.behind() == {"bob": 0}

    asyncio.run(main())


def test_who_waits_when_a_peer_is_closed_hears_of_it() -> None:
    async def main() -> None:
        one = await Peer(memory("ann"), listen="127.0.0.1:0").__aenter__()
        waits = asyncio.create_task(one.synced())
        await asyncio.sleep(0)
        await one.close()
        with pytest.raises(Closed):
            await waits
        with pytest.raises(MisuseError, match="entered once"):
            await one.__aenter__()

    asyncio.run(main())


def test_a_version_of_one_memory_waits_for_no_other() -> None:
    async def main() -> None:
        ann, bob = Replica("ann"), memory("bob")
        lonely = ann.open(Namespace(tenant="lonely"))
        async with Peer(ann.open(SCOPE), lonely, listen="127.0.0.1:0") as one, Peer(bob, dial=one.url):
            lonely.set("s").add(1)
            ann.open(SCOPE).set("s").add(2)
            await one.reached(ann.open(SCOPE).version, timeout=LONG)
            assert set(bob.set("s")) == {2}

    asyncio.run(main())


def test_a_namespace_is_shared_once() -> None:
    with pytest.raises(MisuseError, match="of one namespace"):
        Peer(memory("ann"), memory("bob"), listen="127.0.0.1:0")


def test_callbacks_of_a_blocking_peer_may_ask_it_and_not_wait_for_it() -> None:
    found: list[Any] = []

    def look(news: News) -> None:
        found.append(one.present())
        with pytest.raises(MisuseError, match="cannot wait for itself"):
            one.synced(timeout=1)
        found.append(news.kind)

    with Peer(memory("ann"), listen="127.0.0.1:0").blocking() as one:
        one.watch(look)
        with Peer(memory("bob"), dial=one.url).blocking() as other:
            other.synced(timeout=LONG)
    assert found[:2] == [[], "joined"]


FORKED = """
import os, sys
from crdtmem import ForkedReplica, Peer, Replica

with Peer(Replica("ann").open(tenant="acme"), listen="127.0.0.1:0").blocking() as peer:
    child = os.fork()
    if not child:
        try:
            peer.synced(timeout=1)
        except ForkedReplica:
            peer.close()
            os._exit(7)
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_may_not_use_the_peer_and_does_not_hang() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=LONG, check=True)
    assert ran.stdout == "7\n"
