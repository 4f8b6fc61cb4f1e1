"""`crdtmem node` and `crdtmem presence`: who joins, what arrives, how it ends, and what is said of trouble."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crdtmem import Identity, Memory, Peer, Replica
from crdtmem.namespace import Namespace
from crdtmem.sync.blocking import BlockingPeer
from crdtmem.sync.tokens import issue
from tests.test_command_processes import CLEAN, CRDTMEM, ran
from tests.test_commands import Ran

ACME = Namespace(tenant="acme")


class Running:
    """A node, and what it says."""

    def __init__(self, *arguments: object) -> None:
        command = [*CRDTMEM, "node", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN, bufsize=1
        )
        self.said: list[dict[str, Any]] = []

    def hears(self, event: str, **more: Any) -> dict[str, Any]:
        """The next line of that kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            self.said.append(told)
            if told["event"] == event and more.items() <= told.items():
                return told
        raise AssertionError(f"it ended, and never said {event!r}: {self.said}")

    def ends(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        out, err = self.process.communicate()
        self.said += map(json.loads, out.splitlines())
        assert err == ""
        return self.process.returncode


@contextmanager
def node(*arguments: object) -> Iterator[Running]:
    made = Running(*arguments, "--json")
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()


@contextmanager
def peer(memory: Memory, **options: Any) -> Iterator[BlockingPeer]:
    with Peer(memory, **options).blocking() as made:
        yield made


@pytest.fixture
def bob() -> Memory:
    return Replica("bob").open(ACME)


def test_a_node_keeps_what_a_team_writes_and_says_goodbye(tmp_path: Path, bob: Memory) -> None:
    file, meet = tmp_path / "n.db", tmp_path / "team"
    with node(file, "--meet", meet, "--memory", "tenant=acme", "--new", "--as", "keeper") as one:
        assert one.hears("listening")["detail"] == "shares tenant=acme"
        left: list[str] = []
        with peer(bob, meet=meet) as other:
            other.watch(lambda news: left.append(news.detail) if news.kind == "left" else None)
            one.hears("joined", peer="bob")
            bob.set("facts").add("churn is 4.7 %", why="CRM export")
            arrived = one.hears("arrived", peer="bob")
            assert (arrived["changes"], arrived["fields"], arrived["memory"]) == (1, ["facts"], "tenant=acme")
            other.synced(timeout=30)
            other.here("reads the CRM export", field="facts")
            seen = ran("presence", "--meet", meet, "--memory", "tenant=acme", "--json")
            told = json.loads(seen.stdout)
            assert seen.returncode == 0 and told["peers"] == ["bob", "keeper"]
            assert told["agents"] == [{"agent": "bob", "doing": "reads the CRM export", "field": "facts"}]
            assert "connected: bob, keeper" in ran("presence", file, "--meet", meet).stdout
            assert ran("doctor", file).returncode == 0
            [made] = [json.loads(ran("export", file, tmp_path / "a", "--json").stdout)]
            assert made["digest"] == bob.digest()  # of a file in use: what is not sealed yet its key seals
            assert json.loads(ran("import", tmp_path / "copy.db", tmp_path / "a", "--new", "--json").stdout)["of"] == 1
            assert one.ends(signal.SIGTERM) == 0
            assert one.said[-1] == {"event": "ended", "peer": "", "detail": "1 change arrived", "changes": 1}
        assert "this peer has closed" in left
    assert json.loads(ran("show", file, "--json").stdout)["value"] == "churn is 4.7 %"


def test_ctrl_c_hands_out_what_is_due(tmp_path: Path, bob: Memory) -> None:
    file = tmp_path / "n.db"
    with Replica("ann", store=file) as replica:
        for tenant in ("acme", "beta"):
            replica.open(tenant=tenant).set("facts").add(tenant)
    with node(file, "--listen", "127.0.0.1:0") as one:
        listening = one.hears("listening")
        assert listening["detail"] == "shares tenant=acme tenant=beta"  # all that the file holds
        with peer(bob, dial=[listening["peer"]]):
            one.hears("caught up", peer="bob")
            assert one.ends(signal.SIGINT) == 0
        assert [told["event"] for told in one.said[-2:]] == ["left", "ended"] or one.said[-1]["event"] == "ended"
    assert list(bob.set("facts")) == ["acme"]


def test_people_read_lines(tmp_path: Path, bob: Memory) -> None:
    meet = tmp_path / "team"
    process = subprocess.Popen(
        [*CRDTMEM, "node", str(tmp_path / "n.db"), "--meet", str(meet), "--memory", "tenant=acme", "--new"],
        stdout=subprocess.PIPE,
        text=True,
        env=CLEAN,
    )
    assert process.stdout is not None
    assert " listening ws://127.0.0.1:" in process.stdout.readline()
    with peer(bob, meet=meet):
        bob.set("facts").add("\x1b[31mred", why="not a colour")
        lines = iter(process.stdout.readline, "")
        assert any("arrived bob: 1 change in facts" in line for line in lines)
    process.send_signal(signal.SIGINT)
    rest = process.communicate()[0]
    assert "ended: 1 change arrived" in rest and "\x1b" not in rest and process.returncode == 0


def test_what_cannot_begin_says_why_in_one_line(tmp_path: Path) -> None:
    file, meet = tmp_path / "n.db", tmp_path / "m"
    Replica("ann", store=file).close()
    with Replica("ann", store=tmp_path / "held.db") as replica, socket.create_server(("127.0.0.1", 0)) as taken:
        replica.open(ACME)
        port = taken.getsockname()[1]
        secured = (file, "--listen", "127.0.0.1:0", "--memory", "tenant=x")
        pem = tmp_path / "cert.pem"
        pem.write_text("nothing of the kind")
        (tmp_path / "open").mkdir(mode=0o755)
        (tmp_path / "open").chmod(0o755)
        for arguments, said in (
            ((file,), "nobody can find this node: give it --meet"),
            ((file, "--meet", meet), "holds no memory yet"),
            ((file, "--meet", meet, "--new"), "--new needs the name"),
            ((file, "--meet", meet, "--memory", "tenant=x"), "add --new"),
            ((tmp_path / "none.db", "--meet", meet), "no such file"),
            ((tmp_path / "no" / "n.db", "--meet", meet, "--memory", "tenant=x", "--new"), "there is no folder"),
            ((tmp_path / "held.db", "--meet", meet), "is owned by"),
            ((file, "--listen", f"127.0.0.1:{port}", "--memory", "tenant=x", "--new"), "another port may be free"),
            ((file, "--listen", "nonsense", "--memory", "tenant=x", "--new"), "a host and a port"),
            ((file, "--listen", "0.0.0.0:0", "--memory", "tenant=x"), "nothing says who may enter"),
            ((file, "--dial", "http://x", "--memory", "tenant=x"), "an address of a peer"),
            ((file, "--meet", tmp_path / "open", "--memory", "tenant=x"), "open to other users"),
            ((file, "--listen", "127.0.0.1:0", "--issuer", "xy"), "--issuer 'xy': a public key has 64"),
            ((file, "--listen", "127.0.0.1:0", "--trust", "xy"), "--trust 'xy': a public key has 64"),
            ((file, "--dial", "ws://127.0.0.1:1", "--token", f"@{tmp_path / 'none'}"), "No such file"),
            ((*secured, "--certificate", "/none"), "No such file or directory: '/none'"),
            ((*secured, "--certificate", pem, "--key", "/none"), "No such file or directory: '/none'"),
            ((*secured, "--certificate", pem), f"--certificate {pem}: this is no certificate"),
            ((*secured, "--certificate", pem, "--key", file), f"--certificate {pem} --key {file}: this is no"),
            ((*secured, "--key", pem), "--key is of no use by itself"),
            (
                (file, "--meet", meet, "--certificate", pem, "--memory", "tenant=x"),
                "--certificate is for those who dial",
            ),
        ):
            ended = Ran("node", *arguments)
            assert ended.code == 1 and said in ended.err, (arguments, ended.err)
            assert ended.err.count("\n") == 1 and ended.err.startswith("crdtmem: ") and not ended.out


def test_a_token_that_has_run_out_is_told_once_and_with_what_to_do(tmp_path: Path, bob: Memory) -> None:
    pytest.importorskip("jwt")
    identity = Identity()
    old = issue(identity, "node", write=[ACME], seconds=-60)
    (tmp_path / "token").write_text(old + "\n")
    with peer(bob, listen="127.0.0.1:0", issuer=identity.key) as relay:
        begun = ("--memory", "tenant=acme", "--new", "--token", f"@{tmp_path / 'token'}")
        with node(tmp_path / "n.db", "--dial", relay.url, *begun) as one:
            told = one.hears("refused")
            assert "this token has run out" in told["detail"] and "--token" in told["detail"]
            assert one.ends() == 0
            assert sum(event["event"] == "refused" for event in one.said) == 1
        seen = ran("presence", "--dial", relay.url, "--memory", "tenant=acme", "--wait", "2")
        assert seen.returncode == 1 and "a token is needed here" in seen.stdout
        good = issue(identity, "node", write=[ACME], seconds=600)
        with node(tmp_path / "n.db", "--dial", relay.url, "--token", good) as one:
            assert one.hears("joined")["peer"] == "bob"
            bob.set("facts").add(1)
            one.hears("arrived")


def test_a_namespace_that_is_not_shared_is_told(tmp_path: Path, bob: Memory) -> None:
    with (
        peer(bob, listen="127.0.0.1:0") as other,
        node(tmp_path / "n.db", "--memory", "tenant=beta", "--new", "--dial", other.url) as one,
    ):
        told = one.hears("refused")
        assert told["detail"] == "not shared here" and told["memory"] == "tenant=beta"


def test_nobody_there_is_told_once_until_somebody_is(tmp_path: Path, bob: Memory) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with node(tmp_path / "n.db", "--memory", "tenant=acme", "--new", "--dial", f"ws://127.0.0.1:{port}") as one:
            assert "it is tried again" in one.hears("unreachable")["detail"]
            free.close()
            with peer(bob, listen=f"127.0.0.1:{port}"):
                one.hears("joined")
            assert sum(event["event"] == "unreachable" for event in one.said) == 1


def test_presence_where_nobody_is(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir(mode=0o700)
    seen = Ran("presence", "--meet", tmp_path / "m", "--memory", "tenant=x", "--wait", "0.2")
    assert seen.code == 1 and seen.out == "nobody is there\n"
    for arguments, said in (
        (("--memory", "tenant=x"), "say where to look"),
        (("--meet", tmp_path / "m"), "say which memory"),
        (("--meet", tmp_path / "none", "--memory", "tenant=x"), "no such folder"),
        (("--dial", "x", "--memory", "tenant=x"), "an address of a peer"),
    ):
        ended = Ran("presence", *arguments)
        assert ended.code == 1 and said in ended.err and ended.err.count("\n") == 1
    ended = Ran("presence", "--dial", "ws://127.0.0.1:1", "--memory", "tenant=x", "--wait", "1")
    assert ended.code == 1 and "nobody is there; ws://127.0.0.1:1" in ended.out


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CRDTMEM, "node", str(tmp_path / "n.db"), "--meet", str(tmp_path / "m"), "--memory", "tenant=x", "--new"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() in (0, 141)
