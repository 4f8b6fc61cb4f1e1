"""`crdtmem token` and `crdtmem identity`: who may enter a relay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crdtmem.cli.naming import scope
from crdtmem.errors import MisuseError
from crdtmem.identity import Identity

Scope = Annotated[list[str], typer.Option(metavar="LABELS", help="as tenant=acme,task=q3; stands for all below it too")]


def issue_one(
    name: Annotated[str, typer.Argument(help="who it is for")],
    issuer: Annotated[Path, typer.Option(help="the issuer's key; made on first use")] = Path("issuer.key"),
    read: Scope = [],  # noqa: B006
    write: Scope = [],  # noqa: B006
    days: Annotated[float, typer.Option(help="until it runs out")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="with its id, to revoke it by")] = False,  # noqa: FBT002
) -> None:
    """Make a token that lets a peer in where this issuer is trusted.

    What it may write it may read. Peers show it: `Peer(memory, dial="wss://...", token=...)`.

    Example: `crdtmem token ann --write tenant=acme,task=q3 --read tenant=acme --days 7`
    """
    from crdtmem.sync.tokens import Door, issue

    if not read and not write:
        raise MisuseError("a token that allows nothing: give it --read or --write, as in --write tenant=acme")
    if not 0 < days <= 36_500:
        raise MisuseError(f"--days {days:g}: a token counts for more than 0 days, and for 36,500 at most")
    identity = Identity.kept(issuer)
    reads, writes = ([scope(text) for text in texts] for texts in (read, write))
    token = issue(identity, name, read=reads, write=writes, seconds=days * 86400)
    if as_json:
        grant = Door(identity.key).grant(token)
        print(json.dumps({"token": token, "id": grant.id, "until": grant.until, "issuer": identity.key.hex()}))
    else:
        print(token)


def identity(
    path: Annotated[Path, typer.Argument(help="the file of a key; made on first use")] = Path("issuer.key"),
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,  # noqa: FBT002
) -> None:
    """Print the public key in a file, for `crdtmem relay --issuer`.

    Example: `crdtmem relay relay.db --issuer $(crdtmem identity issuer.key)`
    """
    key = Identity.kept(path).key.hex()
    print(json.dumps({"key": key, "file": str(path)}) if as_json else key)
