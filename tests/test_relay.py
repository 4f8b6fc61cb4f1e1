"""A relay: it keeps and passes on, opens what is asked for by who may, and closes what nobody asks for."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crdtmem.sync.relay
from crdtmem import Identity, MisuseError, Namespace, NotReached, Peer, Replica, SqliteStore, StoreError
from crdtmem.feed import Feed, Pruned
from crdtmem.store import Store
from crdtmem.sync.hub import CALM
from crdtmem.sync.relay import Relay
from crdtmem.sync.tokens import Door, issue
from crdtmem.tally import Tally
from tests.crew import SCOPE, Unwilling
from tests.test_peer import LONG, heard, memory

ISSUER = Identity(bytes(32))
OTHER = Namespace(tenant="acme", task="other")


async def page(url: str, path: str) -> tuple[int, str]:
    """What an HTTP client gets."""
    host, _, port = url.removeprefix("ws://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


def test_what_was_written_while_the_reader_was_away_waits_in_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        path = tmp_path / "relay.db"
        async with Relay(path, listen="127.0.0.1:0") as relay:
            async with Peer(ann, dial=relay.url) as one:
                ann.text("t").append("hello")
                await one.synced(timeout=LONG)
            assert isinstance(relay.hub.outlets[SCOPE.digest].feed._document.state, Tally)
        async with Relay(path, listen="127.0.0.1:0") as relay, Peer(bob, dial=relay.url) as other:
            await other.synced(timeout=LONG)
            assert str(bob.text("t")) == "hello" and bob.digest() == ann.digest()
        with SqliteStore(path) as store:
            assert store.namespaces() == [SCOPE]

    asyncio.run(main())


def test_teams_on_one_relay_hear_of_their_own_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with Relay(tmp_path / "relay.db", listen="127.0.0.1:0") as relay:
            teams = []
            for n in range(5):
                pair = [Replica(f"{name}{n}").open(tenant="acme", task=f"t{n}") for name in ("ann", "bob")]
                teams.append((pair, [await Peer(one, dial=relay.url).__aenter__() for one in pair]))
            for n, (pair, _) in enumerate(teams):
                pair[0].set("s").add(n)
            for n, (pair, peers) in enumerate(teams):
                await peers[0].synced(timeout=LONG)
                await asyncio.to_thread(pair[1].wait, pair[0].version, LONG)
                assert set(pair[1].set("s")) == {n}
                assert all(len(link._channels) == 1 for peer in peers for link in peer.hub.links)
            assert relay.figures()["namespaces"] == 5 and relay.figures()["connections"] == 10
            for _, peers in teams:
                for peer in peers:
                    await peer.close()

    asyncio.run(main())


def test_only_who_may_write_makes_a_namespace_and_nobody_is_told_of_others(tmp_path: Path) -> None:
    async def main() -> None:
        writer = issue(ISSUER, "ann", write=[SCOPE])
        reader = issue(ISSUER, "bob", read=[Namespace(tenant="acme")])
        async with Relay(tmp_path / "relay.db", listen="127.0.0.1:0", issuer=ISSUER.key) as relay:
            ann, bob = Replica("ann"), Replica("bob")
            async with Peer(ann.open(SCOPE), ann.open(OTHER), dial=relay.url, token=writer) as one:
                told = heard(one, lambda news: news.kind == "refused")
                ann.open(SCOPE).set("s").add(1)
                assert (await told).detail == "not shared here"
                await asyncio.to_thread(relay.hub.outlets[SCOPE.digest].feed.memory.wait, ann.open(SCOPE).version, LONG)
                async with Peer(bob.open(SCOPE), bob.open(OTHER), dial=relay.url, token=reader) as other:
                    told = heard(other, lambda news: news.kind == "refused" and news.namespace == OTHER.digest)
                    assert (await told).detail == "not shared here"
                    await asyncio.to_thread(bob.open(SCOPE).wait, ann.open(SCOPE).version, LONG)
            assert list(relay.hub.outlets) == [SCOPE.digest]
        with SqliteStore(tmp_path / "relay.db") as store:
            assert store.namespaces() == [SCOPE]

    asyncio.run(main())


def test_a_namespace_that_nobody_asks_for_is_closed_and_opened_again(tmp_path: Path) -> None:
    async def main() -> None:
        ann, bob = memory("ann"), memory("bob")
        async with Relay(tmp_path / "relay.db", listen="127.0.0.1:0", idle=0) as relay:
            async with Peer(ann, dial=relay.url) as one:
                ann.set("s").add(1)
                await one.synced(timeout=LONG)
                relay._tidy(10**9)
                assert relay.figures()["namespaces"] == 1  # somebody is there
                left = heard(relay, lambda news: news.kind == "left")  # type: ignore[arg-type]
            await left
            relay._tidy(10**9 + 1)
            assert relay.figures()["namespaces"] == 0
            async with Peer(bob, dial=relay.url) as other:
                await other.synced(timeout=LONG)
                assert set(bob.set("s")) == {1}

    asyncio.run(main())


def test_it_says_how_it_is_doing(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Relay(tmp_path / "relay.db", listen="127.0.0.1:0") as relay,
            Peer(memory("ann"), dial=relay.url) as one,
        ):
            one._feeds[0].memory.set("s").add(1)
            await one.synced(timeout=LONG)
            status, body = await page(relay.url, "/health")
            assert status == 200
            told = json.loads(body)
            assert told["status"] == "ok" and told["connections"] == 1 and told["changes_in_total"] == 1
            status, body = await page(relay.url, "/metrics")
            assert status == 200 and "crdtmem_relay_connections 1\n" in body
            assert (await page(relay.url, "/elsewhere"))[0] == 426

    asyncio.run(main())


def test_a_namespace_that_cannot_be_opened_keeps_no_other_of_the_connection_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = crdtmem.sync.relay.ledger
    fails: list[Exception] = []

    def opening(namespace: Namespace, store: Store) -> Feed:
        if namespace == OTHER and fails:
            raise fails[0]
        return opens(namespace, store)

    monkeypatch.setattr(crdtmem.sync.relay, "ledger", opening)

    async def main() -> None:
        ann, bob = Replica("ann"), memory("bob")
        async with Relay(tmp_path / "relay.db", listen="127.0.0.1:0") as relay:
            fails[:] = [Pruned("it was pruned in this file")]
            peer = Peer(ann.open(OTHER), ann.open(SCOPE), dial=relay.url)
            told = heard(peer, lambda news: news.kind == "refused")
            async with peer, Peer(bob, dial=relay.url) as other:
                assert (await told).detail == "it was pruned in this file"
                ann.open(SCOPE).set("s").add(1)
                await asyncio.to_thread(bob.wait, ann.open(SCOPE).version, LONG)
                await other.synced(timeout=LONG)
                assert relay.hub.troubles == 0
            fails[:] = [StoreError("/srv/relay.db: the disk failed")]
            peer = Peer(ann.open(OTHER), ann.open(SCOPE), dial=relay.url)
            trouble = heard(relay, lambda news: news.kind == "trouble")  # type: ignore[arg-type]
            left = heard(peer, lambda news: news.kind in ("left", "refused"))
            async with peer:
                assert (await trouble).detail == "/srv/relay.db: the disk failed"
                fails.clear()
                await peer.synced(timeout=LONG)  # both of them, and on the same connection
                assert not left.done()

    asyncio.run(main())


def test_it_says_that_it_is_not_well_while_its_store_takes_nothing_but_not_why() -> None:
    async def main() -> None:
        store, ann = Unwilling(), memory("ann")
        async with Relay(store, listen="127.0.0.1:0") as relay, Peer(ann, dial=relay.url) as one:
            await one.synced(timeout=LONG)
            told = heard(relay, lambda news: news.kind == "trouble")  # type: ignore[arg-type]
            store.full = True
            ann.set("s").add(1)
            assert (await told).detail == "the disk is full"
            status, body = await page(relay.url, "/health")
            assert status == 503 and json.loads(body)["status"] == "trouble" and "disk" not in body
            assert "crdtmem_relay_troubles 1\n" in (await page(relay.url, "/metrics"))[1]
            store.full = False
            await one.synced(timeout=LONG)
            relay.hub.renew(relay.hub._now + CALM)
            status, body = await page(relay.url, "/health")
            assert status == 200 and json.loads(body)["changes_in_total"] == 1

    asyncio.run(main())


def test_a_list_of_revoked_tokens_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        revoked = tmp_path / "revoked"
        revoked.touch()
        token = issue(ISSUER, "ann", write=[SCOPE])
        async with (
            Relay(tmp_path / "relay.db", listen="127.0.0.1:0", issuer=ISSUER.key, revoked=revoked) as relay,
            Peer(memory("ann"), dial=relay.url, token=token) as one,
        ):
            await one.synced(timeout=LONG)
            told = heard(relay, lambda news: news.kind == "trouble")  # type: ignore[arg-type]
            revoked.unlink()
            assert "what it said last counts" in (await told).detail
            await one.synced(timeout=LONG)
            left = heard(one, lambda news: news.kind == "left")
            revoked.write_text(Door(ISSUER.key).grant(token).id or "")
            assert (await left).detail == "this token has been revoked"

    asyncio.run(main())


def test_who_sends_more_than_its_budget_waits_and_nobody_else(tmp_path: Path) -> None:
    async def main() -> None:
        loud, quiet = memory("loud"), Replica("quiet").open(OTHER)
        for n in range(30):
            loud.set("s").add("x" * 10_000 + str(n))
        async with Relay(tmp_path / "relay.db", listen="127.0.0.1:0", budget=100_000) as relay:
            began = asyncio.get_running_loop().time()
            async with Peer(loud, dial=relay.url) as one, Peer(quiet, dial=relay.url) as other:
                quiet.set("s").add(1)
                await other.synced(timeout=LONG)
                assert relay.hub.outlets[OTHER.digest].feed.newest() == 1
                await one.synced(timeout=LONG)
            assert asyncio.get_running_loop().time() - began >= 300_000 / 100_000 - 2 - 64 * 1024 / 100_000

    asyncio.run(main())


def test_its_end_is_told_and_peers_come_back_to_the_next(tmp_path: Path) -> None:
    async def main() -> None:
        ann = memory("ann")
        first = await Relay(tmp_path / "relay.db", listen="127.0.0.1:0").__aenter__()
        where = first.url.removeprefix("ws://")
        async with Peer(ann, dial=first.url) as one:
            await one.synced(timeout=LONG)
            left = heard(one, lambda news: news.kind == "left")
            ann.set("s").add("last word")
            await first.close()
            await first.close()
            assert (await left).detail == "this peer has closed"
            async with Relay(tmp_path / "relay.db", listen=where):
                ann.set("s").add("first word")
                await one.synced(timeout=LONG)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: Relay(path, listen="0.0.0.0:0"), "nothing says who may enter"),
        (lambda path: Relay(path, listen="7400"), "a host and a port"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(make: Callable[[Any], Relay], says: str, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=says):
        make(tmp_path / "relay.db")


def test_who_may_only_read_is_told_why_nobody_is_in_step(tmp_path: Path) -> None:
    pytest.importorskip("jwt")

    async def main() -> None:
        ann, issuer = memory("ann"), Identity()
        async with Relay(tmp_path / "r.db", listen="127.0.0.1:0", issuer=issuer.key) as relay:
            writes, reads = (issue(issuer, "x", **{how: [SCOPE]}) for how in ("write", "read"))
            async with Peer(memory("bob"), dial=relay.url, token=writes) as bob:
                await bob.synced(timeout=LONG)
            async with Peer(ann, dial=relay.url, token=reads) as peer:
                await peer.synced(timeout=LONG)
                refused = heard(peer, lambda news: news.kind == "refused")
                ann.set("s").add(1)
                await refused
                with pytest.raises(NotReached, match=r"connected: relay \(you may read here, not write\)$"):
                    await peer.synced(timeout=0.01)

    asyncio.run(main())


def test_a_context_to_dial_with_is_refused() -> None:
    with pytest.raises(MisuseError, match="made to dial with, and a relay listens"):
        Relay("r.db", listen="127.0.0.1:0", tls=ssl.create_default_context())


def test_a_file_that_another_process_owns_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with SqliteStore(tmp_path / "relay.db") as store:
            store.open(SCOPE)
            relay = Relay(tmp_path / "relay.db", listen="127.0.0.1:0")
            with pytest.raises(Exception, match=r"relay\.db"):
                await relay.__aenter__()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
