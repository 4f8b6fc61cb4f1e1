"""One server with one document, ours or another's, and who reads and writes there: each in a process of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import rivals
from benchmarks.apart import Apart
from benchmarks.crowd import HOCUSPOCUS, PLAIN, Dialect, readers
from benchmarks.relay import relay, writer, y_writer
from crdtmem import Namespace

OURS = "crdtmem"
SPACE = Namespace(tenant="acme", task="benchmark")


class Server(NamedTuple):
    """A server that runs."""

    pid: int
    url: str
    speech: Namespace | Dialect  # how it is spoken to: a namespace on ours, a dialect on theirs


def served(running: ExitStack, name: str, kept: Path | None) -> Server:
    """Start a server.

    Args:
        running: what ends it.
        name: ours, or of a rival.
        kept: where it keeps documents; None for in memory alone, which ours does not do.
    """
    if name == OURS:
        server = running.enter_context(Apart(relay, str(kept)))
        return Server(server.pid, server.hear(), SPACE)
    rival = running.enter_context(rivals.RIVALS[name](kept))
    return Server(rival.pid, rival.url, HOCUSPOCUS if name == "hocuspocus" else PLAIN)


def gathered(running: ExitStack, server: Server, count: int) -> tuple[Apart, Apart]:
    """A writer that has joined, and so many readers."""
    work = writer if isinstance(server.speech, Namespace) else y_writer
    source = running.enter_context(Apart(work, server.url, server.speech))
    source.hear()
    crowd = running.enter_context(Apart(readers, server.url, server.speech, count))
    crowd.hear()
    return source, crowd
