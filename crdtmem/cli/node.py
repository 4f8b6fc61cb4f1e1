"""`crdtmem node` and `crdtmem presence`: be a peer, for as long as it runs; see who is there."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crdtmem import Batch, Memory, MisuseError, Namespace, Replica, StoreError
from crdtmem.cli import out
from crdtmem.cli.frame import Json, Which, keeping, opened, owned, user
from crdtmem.cli.given import to_listen
from crdtmem.cli.naming import chosen, named, scope
from crdtmem.health import some

if TYPE_CHECKING:
    from crdtmem import Peer
    from crdtmem.sync.news import News

Meet = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="the folder where this machine's peers find each other")
]
Dial = Annotated[list[str], typer.Option(metavar="URL", help="a peer or relay that listens; again for more")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="CRDTMEM_TOKEN", metavar="TOKEN", help="what lets in where it dials; @FILE reads it from a file"
    ),
]

_QUIET = 0.5  # seconds without a newcomer, and all who are there have been seen


def node(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the file of its store", show_default=False)],
    meet: Meet = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="where others may dial; port 0 takes any")
    ] = None,
    dial: Dial = [],  # noqa: B006
    token: Token = None,
    issuer: Annotated[str, typer.Option(metavar="KEY", help="whose tokens let others in where it listens")] = "",
    revoked: Annotated[Path | None, typer.Option(help="file with the ids of tokens that count no longer")] = None,
    certificate: Annotated[Path | None, typer.Option(help="for TLS: the certificate chain")] = None,
    key: Annotated[Path | None, typer.Option(help="for TLS: its private key")] = None,
    trust: Annotated[list[str], typer.Option(metavar="KEY", help="whose checkpoints count; again for more")] = [],  # noqa: B006
    which: Which = None,
    agent: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", envvar="CRDTMEM_AS", help="what it calls itself; you, if it is not said"),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="begin the file and the memory if they are not there")] = False,  # noqa: FBT002
    quiet: Annotated[bool, typer.Option("--quiet", help="say nothing of what arrives")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Keep a replica of a memory up to date, and pass on what it holds, until Ctrl-C or SIGTERM.

    It says who joins and what arrives. Without --memory it shares all memories of the file. At the end it hands out
    what is due, says goodbye, and lets go of the file.

    Example: `crdtmem node laptop.db --meet team/ --memory tenant=acme,task=q3 --new`
    """
    if meet is None and listen is None and not dial:
        raise MisuseError("nobody can find this node: give it --meet team/, --listen 127.0.0.1:7400 or --dial ws://...")
    if certificate is not None and listen is None:
        raise MisuseError("--certificate is for those who dial this node: say where, as in --listen 0.0.0.0:7400")
    settings = {
        "meet": meet,
        "listen": listen,
        "dial": dial,
        "token": _token(token),
        "issuer": _issuer(issuer),
        "revoked": revoked,
        "tls": to_listen(certificate, key),
        "trust": [_key("--trust", one) for one in trust],
    }
    with _shared(file, which, user() if agent is None else agent, new=new) as memories:
        asyncio.run(_serve(memories, _Teller(as_json=as_json, quiet=quiet), settings))


def presence(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="a store that holds the memory")] = None,
    meet: Meet = None,
    dial: Dial = [],  # noqa: B006
    token: Token = None,
    which: Which = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="how long to look, at most")] = 3.0,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Say who is there just now: which peers are connected, and what their agents say they do.

    It joins for a moment, writes nothing and keeps nothing. Exit code 1 if nobody is there.

    Example: `crdtmem presence --meet team/ --memory tenant=acme,task=q3`
    """
    if meet is None and not dial:
        raise MisuseError("say where to look: --meet team/ or --dial ws://...")
    if meet is not None and not meet.is_dir():
        raise MisuseError(f"{meet}: no such folder, so nobody meets there")
    namespace = _named(file, which)
    with Replica("presence") as replica:
        memory = replica.open(namespace)
        seen = asyncio.run(_look(memory, {"meet": meet, "dial": dial, "token": _token(token)}, wait))
    if as_json:
        out.emit(seen)
    elif not seen["peers"]:
        out.say("nobody is there" + "".join(f"; {why}" for why in seen["trouble"]))
    else:
        out.say("connected: " + ", ".join(seen["peers"]))
        rows = [[one["agent"], one.get("doing", ""), one.get("field", "")] for one in seen["agents"]]
        out.table(rows, head=("agent", "does", "in") if rows else (), fold=1)
    if not seen["peers"]:
        raise typer.Exit(1)


# -- a node ----------------------------------------------------------------------------------------


class _Teller:
    """Says what happens, a line each, for people or as JSON; what is said again and again, once."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._said: set[tuple[str, str]] = set()
        self.names: dict[bytes, str] = {}
        self.arrived = 0

    def say(self, event: str, who: str = "", detail: str = "", **more: Any) -> None:
        """A line."""
        if self._as_json:
            out.emit({"event": event, "peer": who, "detail": detail, **more})
        else:
            out.say(f"{time.strftime('%H:%M:%S')} {event}", f" {who}" if who else "", f": {detail}" if detail else "")
        sys.stdout.flush()

    def news(self, news: News) -> None:
        """What happened to a connection."""
        if news.kind == "joined":
            self._said.clear()  # whatever was wrong before is worth saying again
        elif news.kind in ("unreachable", "refused", "trouble"):
            if (news.kind, news.detail) in self._said:
                return
            self._said.add((news.kind, news.detail))
        where = "" if news.namespace is None else self.names.get(news.namespace, "")
        self.say(news.kind, news.peer, news.detail + _remedy(news), **({"memory": where} if where else {}))

    def batch(self, name: str, batch: Batch) -> None:
        """What arrived of a memory."""
        if batch.local:
            return
        self.arrived += batch.changes
        if not self._quiet:
            agents = sorted({entry.by for entry in batch.added})
            fields = sorted(field for field in batch.fields if field[0] != "@")
            detail = f"{some(batch.changes, 'change')}" + (f" in {', '.join(fields[:5])}" if fields else "")
            self.say("arrived", ", ".join(agents[:5]), detail, memory=name, changes=batch.changes, fields=fields)


def _remedy(news: News) -> str:
    if news.kind == "refused" and "token" in news.detail:
        return "; start it again with --token"
    if news.kind == "unreachable":
        return "; it is tried again"
    return ""


async def _serve(memories: list[Memory], teller: _Teller, settings: dict[str, Any]) -> None:
    from crdtmem import Peer

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    peer = Peer(*memories, **settings)
    peer.watch(teller.news)
    teller.names = {memory.namespace.digest: named(memory.namespace) for memory in memories}
    async with _entered(peer, settings["listen"]):
        for memory in memories:
            memory.changed(_hearing(teller, named(memory.namespace)))
        teller.say("listening" if peer.url else "running", peer.url, "shares " + " ".join(teller.names.values()))
        await ended.wait()
        teller.say("ending", detail="handing out what is due")
    teller.say("ended", detail=f"{some(teller.arrived, 'change')} arrived", changes=teller.arrived)


def _hearing(teller: _Teller, name: str) -> Callable[[Batch], None]:
    return lambda batch: teller.batch(name, batch)


@asynccontextmanager
async def _entered(peer: Peer, listen: str | None) -> AsyncIterator[None]:
    """A peer at work. Where the system does not let it listen, that is told with what to do."""
    try:
        await peer.__aenter__()
    except OSError as error:
        if listen is None or isinstance(error, StoreError):
            raise
        raise OSError(
            f"--listen {listen}: {error.strerror or error}; another port may be free, as --listen "
            f"{listen.rpartition(':')[0]}:0, and ports below 1024 need rights"
        ) from error
    try:
        yield
    finally:
        await peer.close()


@contextmanager
def _shared(file: Path, which: str | None, agent: str, *, new: bool) -> Iterator[list[Memory]]:
    """The memories to share: the one that is named, or all of the file."""
    if which is not None or new:
        with owned(file, which, agent=agent, role=None, new=new) as memory:
            yield [memory]
        return
    with keeping(file, agent=agent, role=None, new=False) as (store, replica):
        held = store.namespaces()
        yield [replica.open(namespace) for namespace in held or [chosen(str(file), held, None)]]


# -- presence --------------------------------------------------------------------------------------


async def _look(memory: Memory, settings: dict[str, Any], wait: float) -> dict[str, Any]:
    """Join, and see who is there, until nobody new has come for a moment."""
    from crdtmem import Peer

    trouble: list[str] = []
    joined = asyncio.Event()

    def told(news: News) -> None:
        if news.kind == "joined":
            joined.set()
        elif news.kind in ("refused", "unreachable"):
            trouble.append(f"{news.detail}{_remedy(news) if news.kind == 'refused' else ''}")
            joined.set()

    peer = Peer(memory, **settings)
    peer.watch(told)
    async with peer:
        ends = time.monotonic() + wait
        while (left := ends - time.monotonic()) > 0:
            joined.clear()
            try:
                await asyncio.wait_for(joined.wait(), min(left, _QUIET if peer.connected or trouble else left))
            except TimeoutError:
                break
        agents = [{name: text for name, text in one._asdict().items() if text is not None} for one in peer.present()]
        return {
            "memory": named(memory.namespace),
            "peers": peer.connected,
            "agents": agents,
            "trouble": list(dict.fromkeys(trouble)),
        }


def _named(file: Path | None, which: str | None) -> Namespace:
    """The memory that is meant: by its labels, or as the one that a file holds."""
    if file is None:
        if which is None:
            raise MisuseError("say which memory: --memory tenant=..., or a file that holds it")
        return scope(which)
    with opened(file, which) as memory:
        return memory.namespace


# -- what is given -----------------------------------------------------------------------------------


def _token(given: str | None) -> str | None:
    """A token, or what a file holds: on a command line others of this machine could see it."""
    if given is None or not given.startswith("@"):
        return given
    with open(given[1:], encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16).strip()


def _issuer(text: str) -> bytes | None:
    return _key("--issuer", text) if text else None


def _key(option: str, text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise MisuseError(f"{option} {text[:80]!r}: a public key has 64 hexadecimal digits; crdtmem identity prints it")
    return found
