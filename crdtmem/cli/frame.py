"""What every command shares: how it opens a memory, and under which options.

1. The file comes first; `--memory` names which of its memories is meant, where there are several.
2. `reading` opens it beside whoever owns it; `writing` owns it while the command runs, and refuses where another does.
3. A command is a function of an open memory. These two replace its parameters `memory` and `said` by options, so that
   all commands take the same ones.
4. Nothing that only some commands need is imported at the head of a file here, so each starts as fast as it can.
"""

from __future__ import annotations

import getpass
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from crdtmem import Memory, MisuseError, Replica, StoreError
from crdtmem.cli import given
from crdtmem.cli.naming import chosen, named, scope
from crdtmem.entry import Attributes
from crdtmem.mark import marked

if TYPE_CHECKING:
    from crdtmem.sqlite import SqliteStore

File = Annotated[Path, typer.Argument(metavar="FILE", help="the file of a store, as researcher.db", show_default=False)]
Which = Annotated[
    str | None,
    typer.Option("--memory", "-m", metavar="LABELS", envvar="CRDTMEM_MEMORY", help="which memory: tenant=acme,task=q3"),
]
Json = Annotated[bool, typer.Option("--json", help="for programs, as JSON")]
Why = Annotated[str | None, typer.Option("--why", help="the reason, for the audit", show_default=False)]
At = Annotated[str | None, typer.Option("--at", metavar="WHEN", help="as of a version or a moment", show_default=False)]


@contextmanager
def opened(file: Path, which: str | None = None) -> Iterator[Memory]:
    """A memory of a file, to read, also while another process owns the file."""
    from crdtmem.sqlite import SqliteStore

    if not file.exists():
        raise StoreError(f"{file}: no such file")
    with SqliteStore(file, readonly=True) as store, Replica("reader", store=store) as replica:
        yield replica.open(chosen(str(file), store.namespaces(), None if which is None else scope(which)))


@contextmanager
def owned(file: Path, which: str | None = None, *, agent: str, role: str | None, new: bool = False) -> Iterator[Memory]:
    """A memory of a file, to write under this name; nobody else writes the file meanwhile.

    Args:
        file: the file.
        which: the labels of the memory; None where the file holds just one.
        agent: who writes.
        role: the role it writes in.
        new: begin the file, and the memory, if they are not there.
    """
    asked = None if which is None else scope(which)
    if new and asked is None:
        raise MisuseError("--new needs the name of what is to begin: --memory tenant=..., or with task=... beside it")
    with keeping(file, agent=agent, role=role, new=new) as (store, replica):
        held = store.namespaces()
        try:
            namespace = chosen(str(file), held, asked)
        except MisuseError as error:
            if asked is None or asked in held:
                raise
            if not new:
                raise MisuseError(f"{error}; to begin {named(asked)}: add --new") from None
            namespace = asked
        yield replica.open(namespace)


@contextmanager
def keeping(file: Path, *, agent: str, role: str | None, new: bool) -> Iterator[tuple[SqliteStore, Replica]]:
    """A file and a replica over it, to write; nobody else writes the file meanwhile."""
    from crdtmem.sqlite import SqliteStore
    from crdtmem.sqlite.owner import owner_of

    if not new and not file.exists():
        raise StoreError(f"{file}: no such file; to begin one: add --new --memory tenant=...")
    try:
        store = SqliteStore(file)
    except StoreError as error:
        owner = owner_of(os.path.realpath(file))
        if owner is None:
            raise
        raise StoreError(
            f"{file} is owned by {owner}; reading goes on beside it. To write, stop that process, or write to a file "
            "of your own that syncs with it: crdtmem node --help"
        ) from error
    with store, Replica(agent, role=role, store=store) as replica:
        yield store, replica


def reading(run: Callable[..., None]) -> Callable[..., None]:
    """A command that reads: `run` gets the memory first, and the rest from its options."""
    params = [*inspect.signature(run, eval_str=True).parameters.values()][1:]

    def command(file: Path, which: str | None, **options: Any) -> None:
        with opened(file, which) as memory:
            run(memory, **options)

    return _showing(command, run, [_param("file", File), *params, _param("which", Which, None)])


def writing(run: Callable[..., None]) -> Callable[..., None]:
    """A command that writes: `run` gets the memory, what the write says of itself, and the rest from its options."""
    params = [*inspect.signature(run, eval_str=True).parameters.values()][2:]

    def command(
        file: Path, which: str | None, agent: str | None, role: str | None, *, begin: bool, **options: Any
    ) -> None:
        said = {name: options.pop(name) for name in _SAID}
        with owned(file, which, agent=user() if agent is None else agent, role=role, new=begin) as memory:
            run(memory, _attributes(memory, **said), **options)

    about = [_param(name, form, default) for name, (form, default) in _SAID.items()]
    mine = [_param(name, form, default) for name, (form, default) in _WRITER.items()]
    return _showing(command, run, [_param("file", File), *params, _param("which", Which, None), *mine, *about])


def acting(run: Callable[..., None]) -> Callable[..., None]:
    """A command that acts on what is there: `run` gets the memory, the reason, which must be given, and the rest."""
    params = [*inspect.signature(run, eval_str=True).parameters.values()][2:]

    def command(file: Path, which: str | None, agent: str | None, role: str | None, why: str, **options: Any) -> None:
        with owned(file, which, agent=user() if agent is None else agent, role=role) as memory:
            run(memory, why, **options)

    mine = [_param(name, *_WRITER[name]) for name in ("agent", "role")]
    reason = _param("why", Annotated[str, typer.Option("--why", help="the reason, for the audit", show_default=False)])
    return _showing(command, run, [_param("file", File), *params, reason, _param("which", Which, None), *mine])


def user() -> str:
    """The name of whoever is at the command line."""
    with suppress(KeyError, OSError):  # no name for this user
        return getpass.getuser()
    return "user"


_WRITER: dict[str, tuple[Any, Any]] = {
    "agent": (
        Annotated[
            str | None,
            typer.Option("--as", metavar="NAME", envvar="CRDTMEM_AS", help="who writes; you, if it is not said"),
        ],
        None,
    ),
    "role": (Annotated[str | None, typer.Option(help="in which role", show_default=False)], None),
    "begin": (
        Annotated[bool, typer.Option("--new", help="begin the file and the memory if they are not there")],
        False,
    ),
}
_SAID: dict[str, tuple[Any, Any]] = {
    "why": (Why, None),
    "because": (
        Annotated[list[str], typer.Option(metavar="ENTRY", help="an entry it rests on; again for more")],
        (),
    ),
    "confidence": (Annotated[float | None, typer.Option(help="how sure, from 0 to 1", show_default=False)], None),
    "tag": (Annotated[list[str], typer.Option(help="a tag; again for more")], ()),
    "source": (Annotated[str | None, typer.Option(help="user, agent, tool or import", show_default=False)], None),
    "ttl": (
        Annotated[str | None, typer.Option(metavar="SPAN", help="hide it after 90s, 2h, 7d", show_default=False)],
        None,
    ),
    "valid_from": (
        Annotated[str | None, typer.Option(metavar="MOMENT", help="it holds from then", show_default=False)],
        None,
    ),
    "valid_until": (
        Annotated[str | None, typer.Option(metavar="MOMENT", help="it holds until then", show_default=False)],
        None,
    ),
}


def _attributes(
    memory: Memory,
    *,
    why: str | None,
    because: list[str],
    confidence: float | None,
    tag: list[str],
    source: str | None,
    ttl: str | None,
    valid_from: str | None,
    valid_until: str | None,
) -> Attributes:
    now = memory._document.now()
    sessions = memory._document.state.sessions
    valid = tuple(None if text is None else given.moment(text, now) for text in (valid_from, valid_until))
    said: dict[str, Any] = {
        "why": why,
        "because": [marked(text, sessions) for text in because],
        "confidence": confidence,
        "tags": tag,
        "source": source,
        "ttl": None if ttl is None else given.seconds(ttl),
        "valid": valid if any(valid) else None,
    }
    found: Any = {name: value for name, value in said.items() if value not in (None, [], ())}
    return cast("Attributes", found)


def _param(name: str, form: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=form)


def _showing(
    command: Callable[..., None], run: Callable[..., None], params: list[inspect.Parameter]
) -> Callable[..., None]:
    """The command under the name and words of `run`, with these parameters."""
    required = [param for param in params if param.default is inspect.Parameter.empty]
    optional = [param for param in params if param.default is not inspect.Parameter.empty]
    command.__name__, command.__doc__, command.__module__ = run.__name__, run.__doc__, run.__module__
    command.__annotations__ = {param.name: param.annotation for param in params}
    ordered = [param.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for param in (*required, *optional)]
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    return command
