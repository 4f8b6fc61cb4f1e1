"""What the command line knows: one file for each group of commands, put together here.

Exit codes: 0 well, 1 something went wrong or was found, 2 the command was not understood, 3 incomplete; 130 after
Ctrl-C, 141 when nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from crdtmem import CrdtmemError, __version__
from crdtmem.cli import act, bench, check, disagree, find, mcp, out, past, relay, show, status, timeline, token, write
from crdtmem.cli.carry import bring_in, export
from crdtmem.cli.demo import command as demo
from crdtmem.cli.doctor import doctor
from crdtmem.cli.frame import Json
from crdtmem.cli.keep import checkpoint, prune, rules
from crdtmem.cli.node import node, presence


def start(context: typer.Context) -> None:
    """Shared memory for teams of LLM agents. Exit codes: 0 well, 1 wrong or found, 2 not understood, 3 incomplete."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def version(*, as_json: Json = False) -> None:
    """Say which version this is.

    Example: `crdtmem version`
    """
    if as_json:
        out.emit({"version": __version__})
    else:
        print(__version__)


GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "Try": {"demo": demo.run},
    "Read": {
        "status": status.status,
        "show": show.show,
        "get": show.get,
        "search": find.search,
        "view": find.view,
    },
    "Look back": {
        "timeline": timeline.timeline,
        "audit": past.audit,
        "explain": past.explain,
        "diff": past.diff,
    },
    "Write": {
        "set": write.assign,
        "add": write.add,
        "append": write.append,
        "put": write.put,
        "merge": write.merge,
        "replace": write.replace,
        "remove": write.remove,
    },
    "Put right": {
        "conflicts": disagree.conflicts,
        "check": check.check,
        "resolve": disagree.resolve,
        "retract": act.retract,
        "affirm": act.affirm,
        "undo": act.undo,
        "restore": act.restore,
    },
    "Keep": {
        "doctor": doctor,
        "export": export,
        "import": bring_in,
        "checkpoint": checkpoint,
        "prune": prune,
        "rules": rules,
    },
    "Connect": {
        "node": node,
        "presence": presence,
        "relay": relay.run,
        "mcp": mcp.run,
        "token": token.issue_one,
        "identity": token.identity,
    },
    "Beside": {"bench": bench.bench, "version": version},
}
_SIGNED = {"ignore_unknown_options": True}  # so that -5 is a number
_Misunderstood: type[Exception] = typer.BadParameter.__mro__[2]  # the base of what typer raises, wherever it keeps it


def app(only: str = "") -> typer.Typer:
    """The command with all that it knows, or with one command alone, which is there sooner."""
    made = typer.Typer(name="crdtmem", add_completion=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    made.callback(invoke_without_command=True)(start)
    for panel, commands in GROUPS.items():
        settings = _SIGNED if panel == "Write" else None
        for name, command in commands.items():
            if only in ("", name):
                made.command(name, rich_help_panel=panel, context_settings=settings)(command)
    return made


def run(arguments: Sequence[str]) -> int:
    """Run a command and give its exit code; what goes wrong is said in one line."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # a test may have put something else in its place
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        known = {name for commands in GROUPS.values() for name in commands}
        only = arguments[0] if arguments and arguments[0] in known else ""
        code = app(only)(list(arguments), prog_name="crdtmem", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
        return 141
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except _Misunderstood as error:
        said = error.format_message()  # type: ignore[attr-defined]
        where = getattr(getattr(error, "ctx", None), "command_path", "crdtmem")
        return _failed(f"{said.rstrip('.')}; see {where} --help", 2)
    except (CrdtmemError, OSError) as error:
        return _failed(str(error), 1)


def _failed(said: str, code: int) -> int:
    print(f"crdtmem: {out.plain(' '.join(said.split()))}", file=sys.stderr)
    return code
