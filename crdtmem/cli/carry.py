"""`crdtmem export` and `crdtmem import`: a memory out of its file and into another."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from crdtmem import BadBytes, MisuseError
from crdtmem.cli import given, out
from crdtmem.cli.frame import At, File, Json, Which, opened, owned, user
from crdtmem.cli.naming import named, scope
from crdtmem.health import some

_MAGIC = b"crdtmem archive\n"


def export(
    file: File,
    to: Annotated[
        str, typer.Argument(metavar="TO", help="the file to write; - is standard output", show_default=False)
    ],
    which: Which = None,
    lines: Annotated[bool, typer.Option("--lines", help="JSON lines, an entry a line, instead of an archive")] = False,  # noqa: FBT002
    at: At = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Write a memory to one file: an archive, with all provenance, or what it shows as JSON lines.

    An archive gives the same memory again wherever it is imported. The memory may be in use meanwhile. JSON lines are
    for people and other programs: what is live, with who wrote it, when and why.

    Example: `crdtmem export researcher.db backup.archive`
    """
    from crdtmem import lines as shown

    if at is not None and not lines:
        raise MisuseError("--at is for --lines: an archive holds all that ever was")
    if to == "-" and not lines:
        raise MisuseError("an archive goes to a file; standard output takes --lines")
    with opened(file, which) as memory:
        if not lines:
            _archive(file, memory, to, as_json=as_json)
            return
        told = memory if at is None else memory.at(given.when(at, memory._document.now()))  # type: ignore[arg-type]
        if to == "-":
            for line in shown.dump(told):
                print(line)
            return
        count = shown.save(told, to)
        if as_json:
            out.emit({"file": to, "entries": count, "bytes": os.path.getsize(to)})
        else:
            print(out.plain(f"{to}: {some(count, 'entry')}, {os.path.getsize(to):,} bytes"))


def _archive(file: Path, memory: object, to: str, *, as_json: bool) -> None:
    from crdtmem.archive import save
    from crdtmem.identity import Identity

    key = Path(f"{os.path.realpath(file)}-key")
    with _progress("writing") as told:
        made = save(memory, to, identity=Identity.kept(key) if key.exists() else None, progress=told)  # type: ignore[arg-type]
    if as_json:
        out.emit(
            {
                "file": to,
                "memory": named(made.namespace),
                "changes": made.changes,
                "bytes": made.size,
                "version": str(made.version),
                "digest": made.digest,
                "key": made.key.hex(),
                "pruned": made.pruned,
            }
        )
    else:
        size = f"{some(made.changes, 'change')} of {named(made.namespace)}, {made.size:,} bytes"
        print(out.plain(f"{to}: {size}; digest {made.digest[:16]}"))


def bring_in(
    file: File,
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="an archive, or JSON lines; - for lines on standard input")
    ],
    which: Which = None,
    agent: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", envvar="CRDTMEM_AS", help="who writes the entries of JSON lines"),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="begin the file and the memory if they are not there")] = False,  # noqa: FBT002
    trust: Annotated[list[str], typer.Option(metavar="KEY", help="whose archive of a pruned memory counts")] = [],  # noqa: B006
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Take in an archive, which is merged with what is there, or JSON lines, each of which becomes a new entry.

    An archive brings every change with its author and its seal; an interrupted import goes on where it is made again.
    JSON lines are written by you, with the source "import", once all of them can be read.

    Example: `crdtmem import restored.db backup.archive --new`
    """
    with _file(source) as path:
        with open(path, "rb") as found:
            archive = found.read(len(_MAGIC)) == _MAGIC
        if archive:
            _bring(file, path, which, user() if agent is None else agent, new=new, trust=trust, as_json=as_json)
            return
        from crdtmem.loading import load

        with owned(file, which, agent=user() if agent is None else agent, role=None, new=new) as memory:
            loaded = load(memory, path)
        if as_json:
            out.emit({"entries": loaded.entries, "changes": loaded.changes, "expired": loaded.expired})
        else:
            gone = f"; {loaded.expired:,} had outlived their time" if loaded.expired else ""
            print(out.plain(f"{some(loaded.entries, 'entry')} written in {some(loaded.changes, 'change')}{gone}"))


def _bring(file: Path, path: str, which: str | None, agent: str, *, new: bool, trust: list[str], as_json: bool) -> None:
    from crdtmem.archive import Archive
    from crdtmem.bringing import bring
    from crdtmem.rules import as_key

    keys = [as_key(key) for key in trust]
    archive = Archive(path)
    contents = archive.contents
    if which is not None and scope(which) != contents.namespace:
        raise MisuseError(f"{path} is of {named(contents.namespace)}, not of {which}; an archive goes where it is from")
    with (
        owned(file, named(contents.namespace), agent=agent, role=None, new=new) as memory,
        _progress("reading") as told,
    ):
        try:
            came = bring(memory, archive, trust=keys, progress=told)
        except MisuseError as error:
            key = contents.key.hex()
            raise MisuseError(str(error).replace(f"trust=[bytes.fromhex('{key}')]", f"--trust {key}")) from None
        digest = memory.digest()
    if as_json:
        out.emit({"memory": named(contents.namespace), "changes": came.changes, "of": came.of, "digest": digest})
    else:
        old = "" if came.changes == came.of else f" of {came.of:,}; the rest was here"
        print(out.plain(f"{named(contents.namespace)}: {some(came.changes, 'change')}{old}; digest {digest[:16]}"))


@contextmanager
def _file(source: str) -> Iterator[str]:
    """A file that can be read more than once."""
    if source != "-" and Path(source).is_file():
        yield source
        return
    if source != "-" and not Path(source).exists():
        raise BadBytes(f"{source}: no such file")
    with tempfile.NamedTemporaryFile(prefix="crdtmem-") as kept:
        if source == "-":
            shutil.copyfileobj(sys.stdin.buffer, kept)
        else:
            with open(source, "rb") as found:
                shutil.copyfileobj(found, kept)
        kept.flush()
        yield kept.name


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], object]]:
    """How far it is, on a terminal; and nothing for a moment's work."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
