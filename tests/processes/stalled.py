"""Many who never read: they open a namespace, and then nothing. Those who do read should notice nothing.

One process listens and writes, two others dial it and note how long each write takes to be seen there. Then so many
more connections ask for all there is and read none of it, and the same is measured again; in turns, some rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple
from urllib.parse import urlsplit

from crdtmem import Peer, Replica
from crdtmem.notify import Batch
from crdtmem.sync.frames import MAJOR, MINOR, Have, Hello, Open, encode, labels_of
from tests.crew import SCOPE

BACKLOG = 4 << 20  # bytes that are there beforehand: more than a connection takes that nobody reads from
SIZE = 1000  # bytes of a write
PAUSE = 0.02  # seconds between writes
_GREETING = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_spawn = get_context("spawn")


class Figures(NamedTuple):
    """What was measured: seconds from a write until it is seen, and what the listener takes."""

    alone: list[float]
    beside: list[float]  # the stalled ones
    megabytes_alone: float
    megabytes_beside: float
    megabytes_kernel: float  # in the sockets of this machine
    stalled: int  # connections that were there when it was over, at least


def listen(pipe: Connection, path: str) -> None:
    """The process that listens and writes."""
    _raise_limit()
    with Replica("listener", store=path) as replica:
        memory = replica.open(SCOPE)
        for _ in range(BACKLOG // 8000):
            memory.register("backlog").assign("x" * 8000)
        with Peer(memory, listen="127.0.0.1:0").blocking() as peer:
            pipe.send(peer.url)
            while (order := pipe.recv()) is not None:
                count, others = order
                while len(peer.connected) < others:
                    time.sleep(0.05)
                time.sleep(1)  # for all of them to be given what they take
                for _ in range(count):
                    memory.register("beat").assign([time.monotonic(), "x" * SIZE])
                    time.sleep(PAUSE)
                pipe.send((len(peer.connected), _megabytes()))


def read(pipe: Connection, url: str) -> None:
    """A process that reads: it tells what it has measured when asked."""
    seconds: list[float] = []
    with Replica("reader") as replica:
        memory = replica.open(SCOPE)

        def saw(batch: Batch) -> None:
            now = time.monotonic()
            seconds.extend(now - entry.value[0] for entry in batch.added if isinstance(entry.value, list))

        memory.changed(saw)
        with Peer(memory, dial=[url]).blocking() as peer:
            peer.synced(timeout=60)
            pipe.send("here")
            while pipe.recv() is not None:
                pipe.send(seconds[:])
                seconds.clear()


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def _kernel_megabytes() -> float:
    words = Path("/proc/net/sockstat").read_text().split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE") / 1e6


def _raise_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def silent(url: str) -> socket.socket:
    """A connection that says nothing and reads nothing."""
    address = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((address.hostname, address.port))
    sock.sendall(_GREETING)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    return sock


def stall(url: str, number: int) -> socket.socket:
    """A connection that asks for everything and reads nothing."""
    sock = silent(url)
    for frame in (
        Hello(MAJOR, MINOR, struct.pack(">QQ", 1, number), f"stalled {number}"),
        Open(0, labels_of(SCOPE), bytes(16)),
        Have(0, [], False),  # noqa: FBT003
    ):
        data = encode(frame)
        sock.sendall(struct.pack(">BBI", 0x82, 0x80 | len(data), 0) + data)  # masked with zeros
    return sock


@contextmanager
def stalled(url: str, count: int) -> Iterator[None]:
    """So many of them."""
    socks = [stall(url, number) for number in range(count)]
    try:
        yield
    finally:
        for sock in socks:
            sock.close()


def measure(count: int, writes: int, rounds: int) -> Figures:
    """How long writes take to be seen, with and without so many stalled readers."""
    _raise_limit()
    alone: list[float] = []
    beside: list[float] = []
    least, before, after, kernel = count, 0.0, 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="stalled-") as folder:
        writer, far = _spawn.Pipe()
        processes = [_spawn.Process(target=listen, args=(far, str(Path(folder) / "listener.db")), daemon=True)]
        processes[0].start()
        url = writer.recv()
        readers = []
        for _ in range(2):
            near, far = _spawn.Pipe()
            readers.append(near)
            processes.append(_spawn.Process(target=read, args=(far, url), daemon=True))
            processes[-1].start()
            near.recv()

        def beats(others: int) -> tuple[list[float], int, float]:
            writer.send((writes, others))
            connected, megabytes = writer.recv()
            time.sleep(0.5)  # for the last of them to arrive; what comes later is missing, and told
            found = []
            for reader in readers:
                reader.send("?")
                seconds = reader.recv()
                assert len(seconds) == writes, f"{len(seconds)} of {writes} were seen"
                found += seconds
            return found, connected - len(readers), megabytes

        for _ in range(rounds):
            seconds, _, megabytes = beats(len(readers))
            alone += seconds
            before = before or megabytes  # of the first round: what is let go of later stays with the process
            with stalled(url, count):
                seconds, here, megabytes = beats(len(readers) + count)
                kernel = max(kernel, _kernel_megabytes())
                beside += seconds
                least, after = min(least, here), max(after, megabytes)
            time.sleep(1)
        for pipe in (*readers, writer):
            pipe.send(None)
        for process in processes:
            process.join(30)
    return Figures(alone, beside, before, after, kernel, least)


def percentile(seconds: list[float], number: int) -> float:
    """So many of a hundred are at most as long."""
    return quantiles(seconds, n=100, method="inclusive")[number - 1]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--readers", type=int, default=500, help="how many never read")
    parser.add_argument("--writes", type=int, default=300, help="in each round")
    parser.add_argument("--rounds", type=int, default=3, help="with and without them")


def _run(args: argparse.Namespace) -> int:
    figures = measure(args.readers, args.writes, args.rounds)
    for what, seconds, megabytes in (
        ("without", figures.alone, figures.megabytes_alone),
        ("with", figures.beside, figures.megabytes_beside),
    ):
        shares = ", ".join(f"{n} % in {percentile(seconds, n) * 1000:.2f} ms" for n in (50, 90, 99))
        print(f"{what} stalled readers: {len(seconds)} writes seen, {shares}; listener at {megabytes:.0f} MB")
    times = percentile(figures.beside, 99) / percentile(figures.alone, 99)
    print(f"all sockets of this machine took up to {figures.megabytes_kernel:.0f} MB in the kernel")
    share = f"{figures.stalled} of {args.readers} stalled readers were there to the end"
    print(f"99th percentile x {times:.2f}; {share}; load {os.getloadavg()[0]:.1f}")
    return int(times > 2 or figures.stalled < args.readers)


STALLED = ("readers that never read, beside two that do: how long their writes take", _options, _run)
