"""`crdtmem doctor`: what is wrong with a memory, or about to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crdtmem import Memory, MisuseError
from crdtmem.cli import given, out
from crdtmem.cli.frame import File, Json, Which, opened
from crdtmem.cli.naming import chosen, named, scope

if TYPE_CHECKING:
    from crdtmem.health import Health, Sign

_STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "bad": "bold red"}


def doctor(
    file: File,
    which: Which = None,
    every: Annotated[bool, typer.Option("--all", help="each memory of the file")] = False,  # noqa: FBT002
    limit: Annotated[
        list[str],
        typer.Option(metavar="NAME=NUMBER", help="tell from another figure on, as conflicts=2h; again for more"),
    ] = [],  # noqa: B006
    window: Annotated[int, typer.Option(help="look closely at so many of the newest changes")] = 10_000,
    alert: Annotated[
        str, typer.Option(metavar="URL", help="post warnings there, as JSON; nothing if all is well")
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 for warnings, too")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Look at a memory: damage, growth, conflicts, clocks, who writes. It changes nothing, and looks beside an owner.

    Exit code 1 if something is bad, else 0. `crdtmem doctor FILE --limit single=1.1` mutes what is so on purpose.

    Example: `crdtmem doctor researcher.db --limit conflicts=2h --alert https://hooks.example/crdtmem`
    """
    from crdtmem.adapters.webhook import Webhook

    limits = dict(map(_limit, limit))
    hook = Webhook(alert) if alert else None
    worst = False
    for name in _names(file, which, every=every):
        with opened(file, name) as memory:
            health = _examined(memory, window, limits)
        if as_json:
            out.emit(health.data() | {"namespace": named(health.namespace)})
        else:
            if every:
                out.say(out.Cell(named(health.namespace), "bold"))
            out.table([(out.Cell(s.level, _STYLES[s.level]), s.subject, _said(s)) for s in health.signs])
        if hook is not None and health.alerts:
            hook(health)
        worst = worst or health.level == "bad" or (strict and bool(health.alerts))
    if worst:
        raise typer.Exit(1)


def _said(sign: Sign) -> str:
    return sign.says + (f". {sign.advice}" if sign.advice else "")


def _examined(memory: Memory, window: int, limits: dict[str, Any]) -> Health:
    from crdtmem.doctor import examine

    return examine(memory, window=window, **limits)


def _names(file: Path, which: str | None, *, every: bool) -> list[str | None]:
    """The memories that are meant."""
    if not every:
        return [which]
    from crdtmem.sqlite import SqliteStore

    with SqliteStore(file, readonly=True) as store:
        held = store.namespaces()
    if not held:
        chosen(str(file), held, None if which is None else scope(which))
    return [named(namespace) for namespace in held]


def _limit(text: str) -> tuple[str, float]:
    name, found, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        if found and number[-1:] in "smhdw":
            return name, given.seconds(number)
    raise MisuseError(f"--limit {text!r}: a name and a number, as in conflicts=2h or sessions=20000")
