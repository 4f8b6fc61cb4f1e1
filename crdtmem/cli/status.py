"""`crdtmem status`: a file at a glance: who owns it, which memories it holds, what needs somebody's attention."""

from __future__ import annotations

import os
from typing import Any

from crdtmem import Memory, Replica, StoreError
from crdtmem.cli import out
from crdtmem.cli.frame import File, Json, Which
from crdtmem.cli.naming import chosen, named, scope
from crdtmem.clock import moment
from crdtmem.concern import standing

_LONG = 400  # characters of a version that is shown


def status(file: File, which: Which = None, *, as_json: Json = False) -> None:
    """Say what a file holds, who owns it, and what of it needs attention.

    Example: `crdtmem status researcher.db`
    """
    from crdtmem.sqlite import SqliteStore
    from crdtmem.sqlite.owner import owner_of

    if not file.exists():
        raise StoreError(f"{file}: no such file")
    owner = owner_of(os.path.realpath(file))
    with SqliteStore(file, readonly=True) as store, Replica("reader", store=store) as replica:
        held = store.namespaces()
        asked = held if which is None else [chosen(str(file), held, scope(which))]
        told = [_told(replica.open(namespace)) for namespace in asked]
        size = store.size()
    if as_json:
        out.emit({"file": str(file), "bytes": size, "owner": owner, "memories": told})
        return
    out.say(
        str(file), out.Cell(f"  {size:,} bytes, ", "dim"), out.Cell(f"owned by {owner}" if owner else "nobody owns it")
    )
    for one in told:
        out.say(out.Cell(one["memory"], "bold"))
        out.table(_rows(one), fold=1)
        if len(one["version"]) <= _LONG:
            print(f"version  {one['version']}")  # on one line, to be copied
    if not told:
        out.say("it holds no memory yet")


def _told(memory: Memory) -> dict[str, Any]:
    """All there is to say of a memory, for programs."""
    document = memory._document
    tainted = document.state.find(set(document.state.taint.tainted))
    return {
        "memory": named(memory.namespace),
        "version": str(memory.version),
        "digest": memory.digest(),
        "changes": document.state.count,
        "fields": memory.fields(),
        "agents": sorted({session.agent for session in document.state.sessions.values()}),
        "conflicts": len(memory.conflicts()),
        "findings": len(standing(document.state, document.now())),
        "tainted": sum(entry.field[0] != "@" for entry in tainted),
        "damage": [str(one.reason) for one in memory.damage],
        "owed": memory.owed,
        "last": _last(memory),
    }


def _last(memory: Memory) -> dict[str, Any] | None:
    """The change that came last, read from the log alone: the audit would read all of it."""
    for _, kept in memory._document.log.backwards():
        change = kept.gist
        writer = memory._document.state.sessions.get(kept.session)
        by = change.actor[0] if change.actor else "" if writer is None else writer.agent
        fields = list(dict.fromkeys(part.field for part in change.parts))
        return {"when": moment(change.hlc).isoformat(), "by": by, "fields": fields}
    return None


def _rows(one: dict[str, Any]) -> list[list[out.Cell | str]]:
    fields = one["fields"]
    rows: list[list[out.Cell | str]] = [
        ["fields", ", ".join(f"{name} ({kind})" for name, kind in fields.items()) or "none hold anything"],
        ["changes", f"{one['changes']:,} by {', '.join(one['agents'][:12]) or 'nobody'}"],
    ]
    if one["last"] is not None:
        last = one["last"]
        when = last["when"][:16].replace("T", " ")
        rows.append(["last", f"{when} UTC, {last['by']} wrote to {', '.join(last['fields'][:6])}"])
    open_ = [
        (one["conflicts"], "conflict", "crdtmem conflicts"),
        (one["findings"], "open finding", "crdtmem timeline --field @findings"),
        (one["tainted"], "tainted entry/tainted entries", "crdtmem show"),
        (len(one["damage"]), "damaged place", "crdtmem doctor"),
    ]
    for size, what, see in open_:
        if size:
            rows.append([out.Cell("look at", "yellow"), out.Cell(f"{out.counted(size, what)}: {see}", "yellow")])
    if one["owed"]:
        rows.append(["history", f"{one['owed']:,} changes are still on their way from a peer"])
    if len(one["version"]) > _LONG:
        rows.append(["version", f"{len(one['version']):,} characters; --json has it"])
    return rows
