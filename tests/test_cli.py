"""The command line, as processes: what it prints, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtmem import Identity, Namespace, Peer, __version__
from crdtmem.sync.tokens import Door
from tests.test_peer import LONG, heard, memory

CRDTMEM = (sys.executable, "-c", "from crdtmem.cli import main; main()")


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CRDTMEM, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_relay_is_a_process_that_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *CRDTMEM, "relay", "relay.db", "--listen", "127.0.0.1:0", "--json", cwd=tmp_path, stdout=subprocess.PIPE
        )
        assert process.stdout is not None

        async def said() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(await process.stdout.readline())  # type: ignore[union-attr]
            return found

        url = (await said())["peer"]
        ann, bob = memory("ann"), memory("bob")
        async with Peer(ann, dial=url) as one, Peer(bob, dial=url) as other:
            ann.set("s").add("through the relay")
            await one.synced(timeout=LONG)
            await asyncio.to_thread(bob.wait, ann.version, LONG)
            assert {(await said())["peer"] for _ in range(2)} == {"ann", "bob"}
            left = heard(other, lambda news: news.kind == "left")
            process.send_signal(number)
            assert (await left).detail == "this peer has closed"
            events = [(await said())["event"] for _ in range(4)]
        assert await process.wait() == 0
        assert events[0] == "ending" and events[-1] == "ended" and events.count("left") == 2

    asyncio.run(main())


def test_a_relay_warns_on_standard_error_of_tokens_in_the_clear(tmp_path: Path) -> None:
    failed = ran(tmp_path, "relay", ".", "--listen", "0.0.0.0:0", "--issuer", "00" * 32)  # for `.` is no file
    assert failed.returncode == 1 and "crdtmem: tokens travel in the clear" in failed.stderr


def test_a_token_lets_its_bearer_do_what_it_says(tmp_path: Path) -> None:
    told = json.loads(
        ran(tmp_path, "token", "ann", "--write", "tenant=acme,task=q3", "--read", "tenant=b", "--json").stdout
    )
    assert ran(tmp_path, "identity").stdout == f"{told['issuer']}\n"
    assert json.loads(ran(tmp_path, "identity", "issuer.key", "--json").stdout)["key"] == told["issuer"]
    assert Identity.kept(tmp_path / "issuer.key").key.hex() == told["issuer"]
    grant = Door(bytes.fromhex(told["issuer"])).grant(told["token"])
    assert grant.id == told["id"] and grant.until == told["until"]
    assert grant.writes(Namespace(tenant="acme", task="q3")) and not grant.writes(Namespace(tenant="b"))
    plain = ran(tmp_path, "token", "bob", "--read", "tenant=b").stdout.strip()
    assert Door(bytes.fromhex(told["issuer"])).grant(plain).reads(Namespace(tenant="b"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("token", "ann"), "give it --read or --write"),
        (("token", "ann", "--read", "tenant=a", "--days", "nan"), "--days nan: a token counts for more than 0 days"),
        (("token", "ann", "--read", "tenant=a", "--days", "-1"), "--days -1: a token counts for more than 0 days"),
        (("token", "ann", "--read", "tenant=a", "--days", "1e30"), "36,500 at most"),
        (("relay", "relay.db", "--key", "key.pem"), "--key is of no use by itself"),
        (("token", "ann", "--read", "acme"), "labels as in tenant=acme,task=q3"),
        (("token", "ann", "--read", "task=q3"), "tenant must have 1 to 200 characters"),
        (("token", "ann", "--read", "tenant=a,tenant=b"), "labels as in tenant=acme,task=q3"),
        (("identity", "bad.key"), "bad.key is not a key"),
        (("relay", "relay.db", "--listen", "0.0.0.0:0"), "nothing says who may enter"),
        (("relay", "relay.db", "--listen", "7400"), "a host and a port"),
        (("relay", "bad.key", "--listen", "127.0.0.1:0"), "bad.key"),
        (("relay", "relay.db", "--issuer", "xyz"), "64 hexadecimal digits"),
        (("relay", "relay.db", "--issuer", "aa"), "has 32 bytes, not 1"),
        (("relay", "relay.db", "--certificate", "none.pem"), "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("x")
    end = ran(tmp_path, *arguments)
    assert end.returncode == 1 and end.stdout == ""
    assert says in end.stderr and end.stderr.count("\n") == 1 and end.stderr.startswith("crdtmem: ")


def test_help_shows_an_example_and_the_version_is_said(tmp_path: Path) -> None:
    assert ran(tmp_path, "version").stdout == f"{__version__}\n"
    for command in ("relay", "token", "identity"):
        assert "Example: crdtmem" in ran(tmp_path, command, "--help").stdout
