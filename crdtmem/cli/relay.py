"""`crdtmem relay`: keep and pass on what many teams write."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crdtmem.cli.given import to_listen
from crdtmem.errors import MisuseError

if TYPE_CHECKING:
    from crdtmem.sync.news import News
    from crdtmem.sync.relay import Relay


def run(
    store: Annotated[Path, typer.Argument(help="the file that keeps it; made on first use")],
    listen: Annotated[str, typer.Option(help="host and port; port 0 takes any")] = "127.0.0.1:7400",
    issuer: Annotated[str, typer.Option(help="public key of who issues tokens, as `crdtmem identity` prints it")] = "",
    revoked: Annotated[Path | None, typer.Option(help="file with the ids of tokens that count no longer")] = None,
    certificate: Annotated[Path | None, typer.Option(help="for TLS: the certificate chain")] = None,
    key: Annotated[Path | None, typer.Option(help="for TLS: its private key")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="say nothing of those who come and go")] = False,  # noqa: FBT002
    lines: Annotated[bool, typer.Option("--json", help="say it as JSON, one object a line")] = False,  # noqa: FBT002
) -> None:
    """Keep and pass on what peers write, for any number of teams.

    Peers dial it: `Peer(memory, dial="ws://127.0.0.1:7400")`. It answers `GET /health` and `GET /metrics` at the same
    address. Ctrl-C or SIGTERM ends it in order: what is due is handed out first.

    Example: `crdtmem relay relay.db --listen 0.0.0.0:7400 --issuer 3b6a... --certificate cert.pem --key key.pem`
    """
    import resource  # not everywhere to be had

    from crdtmem.sync.relay import Relay

    tls = to_listen(certificate, key)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # each connection takes one; the soft limit is mostly 1,024
    with suppress(ValueError, OSError):  # where the hard limit is none, the system may have one of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    warnings = logging.StreamHandler()
    warnings.setFormatter(logging.Formatter("crdtmem: %(message)s"))
    logging.getLogger("crdtmem").addHandler(warnings)  # a library says nothing of its own accord, a command does
    try:
        relay = Relay(store, listen=listen, issuer=_key(issuer), revoked=revoked, tls=tls)
        asyncio.run(_serve(relay, quiet=quiet, lines=lines))
    finally:
        logging.getLogger("crdtmem").removeHandler(warnings)


async def _serve(relay: Relay, *, quiet: bool, lines: bool) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)

    def say(what: str, who: str = "", detail: str = "") -> None:
        if lines:
            print(json.dumps({"event": what, "peer": who, "detail": detail}), flush=True)
        else:
            print(" ".join(filter(None, [what, who, detail and f"({detail})"])), flush=True)

    def told(news: News) -> None:
        if not quiet and news.kind != "caught up":
            say(news.kind, news.peer, news.detail)

    async with relay:
        relay.watch(told)
        say("listening", relay.url)
        await ended.wait()
        say("ending", detail="handing out what is due")
    figures = relay.figures()
    say("ended", detail=f"{figures['changes_in_total']:.0f} changes in, {figures['changes_out_total']:.0f} out")


def _key(text: str) -> bytes | None:
    if not text:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MisuseError(
            f"--issuer {text!r}: a public key has 64 hexadecimal digits; crdtmem identity prints it"
        ) from None
