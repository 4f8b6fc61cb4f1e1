"""SIGTERM: what is due goes out and Bye is said, and nothing is taken from a program that has its own way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from crdtmem import Peer
from tests.layout import ROOT
from tests.test_blocking_peer import Listening
from tests.test_peer import LONG, memory

BEGINS = """
import asyncio, os, signal, sys, time
from crdtmem import Peer
from tests.test_peer import memory

signal.signal(signal.SIGTERM, signal.SIG_DFL)
ann = memory("ann")
peer = Peer(ann, dial=sys.argv[1])

def ready():
    ann.set("s").add("last word")
    print("ready", flush=True)
"""
BLOCKING = """
with peer.blocking() as peer:
    peer.synced(timeout=30)
    ready()
"""
ASYNC = """
async def main():
    async with peer:
        await peer.synced(timeout=30)
        ready()
        {}
asyncio.run(main())
"""
PROGRAMS = {
    "blocking": BLOCKING + "    sys.stdin.read()",
    "waits": BLOCKING + "    peer.synced(peers=9)",
    "said twice": BLOCKING
    + """
    try:
        sys.stdin.read()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
""",
    "no with block": "peer = peer.blocking().start(); peer.synced(timeout=30); ready(); sys.stdin.read()",
    "async": ASYNC.format("await asyncio.Event().wait()"),
    "async waits": ASYNC.format("await peer.synced(peers=9)"),
}


def program(text: str, url: str) -> subprocess.Popen[bytes]:
    """A process that has begun to share and is told to end."""
    command = [sys.executable, "-c", BEGINS + text, url]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    return process


@pytest.mark.parametrize("how", PROGRAMS)
def test_sigterm_hands_out_what_is_due_and_says_goodbye(how: str) -> None:
    with Listening() as other:
        process = program(PROGRAMS[how], other.peer.url)
        _, errors = process.communicate(timeout=LONG)
        assert (process.returncode, errors) == (143, b"")
        assert other.hears("left").detail == "this peer has closed"
        assert set(other.shown) == {"last word"}


def test_where_a_program_has_its_own_way_it_stays() -> None:
    own = BLOCKING.replace("ready()", "signal.signal(signal.SIGTERM, lambda *_: os._exit(7)); ready()")
    with Listening() as other:
        process = program(own + "    sys.stdin.read()", other.peer.url)
        process.communicate(timeout=LONG)
        assert process.returncode == 7


def test_a_forked_child_ends_at_once_as_ever() -> None:
    forks = """
with peer.blocking() as peer:
    peer.synced(timeout=30)
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.write(there, b"up")  # Python forgets signals that come before
        while True:  # a pause could begin just after the signal, and never end
            pass
    os.read(here, 2)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    ready()
    sys.stdin.read()
"""
    with Listening() as other:
        process = program(forks, other.peer.url)
        _, errors = process.communicate(timeout=LONG)
        assert (process.returncode, errors) == (143, b"")


def test_the_signal_is_given_back_when_the_last_is_closed() -> None:
    async def main() -> None:
        async with Peer(memory("ann"), listen="127.0.0.1:0"):
            with Peer(memory("bob"), listen="127.0.0.1:0").blocking():
                assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    found: list[object] = []

    def elsewhere() -> None:
        with Peer(memory("ann"), listen="127.0.0.1:0").blocking():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        asyncio.run(main())
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert found == [signal.SIG_DFL]
    finally:
        signal.signal(signal.SIGTERM, before)
