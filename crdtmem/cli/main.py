"""What the command line knows: one file for each group of commands, put together here."""

from __future__ import annotations

import sys

import typer

from crdtmem import CrdtmemError, __version__
from crdtmem.cli import mcp, relay, token
from crdtmem.cli.demo import command as demo

app = typer.Typer(
    name="crdtmem",
    help="Shared memory for teams of LLM agents.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("demo")(demo.run)
app.command("relay")(relay.run)
app.command("mcp")(mcp.run)
app.command("token")(token.issue_one)
app.command("identity")(token.identity)


@app.command()
def version() -> None:
    """Say which version this is."""
    print(__version__)


def main() -> None:
    """Run the command; what goes wrong is said in one line."""
    try:
        app()
    except (CrdtmemError, OSError) as error:
        print(f"crdtmem: {error}", file=sys.stderr)
        sys.exit(1)
