"""`crdtmem checkpoint`, `crdtmem prune` and `crdtmem rules`: keeping a memory small, quick to open, and in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crdtmem import Memory, MisuseError
from crdtmem.cli import given, out
from crdtmem.cli.frame import File, Json, Which, Why, opened, owned, user
from crdtmem.cli.naming import named, scope
from crdtmem.health import some

_MOST = 1 << 20  # bytes of rules


def checkpoint(
    file: File,
    which: Which = None,
    kept: Annotated[bool, typer.Option("--list", help="list those that are kept, and make none")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Make a checkpoint, so that the memory opens sooner. They are also made as it grows, and when it is closed.

    Example: `crdtmem checkpoint researcher.db`
    """
    if kept:
        with opened(file, which) as memory:
            found = memory.checkpoints
    else:
        with owned(file, which, agent=user(), role=None) as memory:
            found = [memory.checkpoint()]
    if as_json:
        told = [{"at": one.at.isoformat(), "changes": one.changes, "bytes": one.size} for one in found]
        out.emit(told if kept else told[0])
        return
    for one in found:
        out.say(f"{one.at:%Y-%m-%d %H:%M:%S} UTC: {some(one.changes, 'change')} in {one.size:,} bytes")
    if not found:
        out.say("none is kept; crdtmem checkpoint makes one")


def prune(
    file: File,
    older_than: Annotated[
        str | None, typer.Option(metavar="WHEN", help="changes before then go, as 30d or 2026-01-31")
    ] = None,
    keep: Annotated[int | None, typer.Option(help="so many of the newest changes stay in any case")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and do nothing")] = False,  # noqa: FBT002
    which: Which = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Let go of old changes. What the memory shows stays; how it came about goes, here and for good.

    Prune what all other replicas have: a pruned change can be given to nobody.

    Example: `crdtmem prune researcher.db --older-than 90d --dry-run`
    """
    if older_than is None and keep is None:
        raise MisuseError("say what may go: --older-than 90d, or all but the newest with --keep 10000, or both")
    if keep is not None and keep < 0:
        raise MisuseError(f"--keep {keep}: 0 or more changes")
    if dry_run:
        with opened(file, which) as memory:
            told: dict[str, Any] = _planned(memory, older_than, keep or 0)
        words = f"to go: {some(told['changes'], 'change')}, {told['bytes']:,} bytes of {told['size_before']:,}"
    else:
        with owned(file, which, agent=user(), role=None) as memory:
            made = memory.prune(older_than=_before(memory, older_than), keep=keep or 0)
        told = {"changes": made.changes, "size_before": made.size_before, "size_after": made.size_after}
        words = str(made)
    if as_json:
        out.emit(told)
    else:
        out.say(words)


def _before(memory: Memory, older_than: str | None) -> Any:
    return None if older_than is None else given.moment(older_than, memory._document.now())


def _planned(memory: Memory, older_than: str | None, keep: int) -> dict[str, Any]:
    from crdtmem.clock import stamp
    from crdtmem.retention import planned

    before = _before(memory, older_than)
    changes, size = planned(memory._document, None if before is None else stamp(before) & ~0xFFFF, keep)
    return {"changes": changes, "bytes": size, "size_before": memory._document.log.size()}


def rules(
    file: File,
    change: Annotated[
        Path | None, typer.Option("--set", metavar="RULES", help="a file with the new rules, as JSON")
    ] = None,
    why: Why = None,
    which: Which = None,
    agent: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", envvar="CRDTMEM_AS", help="the owner's name; you, if it is not said"),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="begin an owned memory under these rules")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Show the rules of an owned memory: who is who, what each field is, who may write it. Its owner changes them.

    To change them: `crdtmem rules FILE --json > rules.json`, edit that, and hand it back with `--set`, with the store
    whose key owns the memory.

    Example: `crdtmem rules boss.db --set rules.json --why "the analyst may write facts"`
    """
    if change is None:
        if new:
            raise MisuseError("--new begins a memory under rules: give them with --set rules.json")
        with opened(file, which) as memory:
            _show(memory, as_json=as_json)
        return
    told = _read(change)
    name = _owned_name(file, which) if new else which
    with owned(file, name, agent=user() if agent is None else agent, role=None, new=new) as memory:
        from crdtmem.owning import decree

        own = told.binding(memory._document.key, memory.agent, None)
        made = decree(memory, own if new else told, why)
        if as_json:
            out.emit({"memory": named(memory.namespace), "written": made is not None})
        else:
            out.say(f"{named(memory.namespace)}: " + ("the new rules hold" if made else "these rules hold already"))


def _owned_name(file: Path, which: str | None) -> str:
    """The name of a memory that belongs to the key of a file; the key is made if it is not there."""
    from dataclasses import replace

    from crdtmem.identity import Identity, fingerprint

    if which is None:
        raise MisuseError("--new needs the name of what is to begin: --memory tenant=...")
    key = Identity.kept(f"{file.resolve()}-key").key
    return named(replace(scope(which), owner=fingerprint(key)))


def _read(path: Path) -> Any:
    """The rules in a file. What this program does not know in them is a slip of the pen, and refused."""
    from crdtmem import Rules

    with open(path, "rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise MisuseError(f"{path}: more than {_MOST} bytes, which no rules have")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MisuseError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(told, dict) or not {"agents", "fields"} <= told.keys():
        raise MisuseError(f"{path}: rules name their agents and fields, as `crdtmem rules FILE --json` prints them")
    agents = told["agents"]
    if isinstance(agents, dict):  # an agent without roles may stand there by its name alone
        told["agents"] = {key: [one, []] if isinstance(one, str) else one for key, one in agents.items()}
    try:
        found = Rules.read({"format": 1, **told})
    except ValueError as error:
        raise MisuseError(f"{path}: {error}") from None
    if found.notes:
        raise MisuseError(f"{path}: {', '.join(found.notes)}: no rule is called so, or has such a value")
    return found


def _show(memory: Memory, *, as_json: bool) -> None:
    rules = memory.rules
    if rules is None:
        owner = memory.namespace.owner
        if owner is not None:
            raise MisuseError("the rules of this memory are not here yet; receive them from its owner, or a peer")
        raise MisuseError(
            f"{named(memory.namespace)} is open: it has no owner and no rules. An owned one is begun with "
            "crdtmem rules FILE --new --memory tenant=... --set rules.json"
        )
    if as_json:
        out.emit(rules.wire())
        return
    out.say(
        out.Cell(named(memory.namespace), "bold"), f"; schema {rules.schema}" + ("; closed" if rules.closed else "")
    )
    rows = [(name, one.kind, one.who, _more(one)) for name, one in rules.fields.items()]
    out.table(rows, head=("field", "kind", "written by", ""))
    people = [(agent, ", ".join(roles), key.hex()) for key, (agent, roles) in rules.agents.items()]
    out.table(people, head=("agent", "roles", "key"))
    for what, limit in (("changes", rules.changes_per_minute), ("bytes", rules.bytes_per_minute)):
        if limit is not None:
            out.say(f"each key may write {limit:,} {what} a minute")


def _more(one: Any) -> str:
    """What else a rule says."""
    said = {name: value for name, value in one.wire().items() if name not in ("kind", "writers")}
    return ", ".join(name.replace("_", "-") if value is True else f"{name} {value}" for name, value in said.items())
