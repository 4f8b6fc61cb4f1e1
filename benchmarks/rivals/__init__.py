"""Other servers to be measured beside ours: installed at first use by their packages' own clients, then run apart.

Each starts as its README says, with documents in memory alone; or, given a place to keep them, with the persistence
that its documentation names.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent / ".rivals"
_LONG = 300  # seconds for an installation


class Absent(Exception):
    """A server cannot be installed or started here, and why."""


class Server:
    """A server that runs, until it is killed. It says on its standard output where it listens."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        said = ""
        for said in self._process.stdout:
            if port := re.search(r"port (\d+)", said):
                break
        else:
            self.close()
            raise Absent(f"{Path(command[0]).name} did not start: {said.strip() or 'it said nothing'}")
        self.pid = self._process.pid
        self.url = f"ws://127.0.0.1:{port[1]}/room"

    def close(self) -> None:
        """End it with SIGKILL: it does nothing more."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Start = Callable[[Path | None], Server]


def _y(name: str, package: str, script: str) -> Start:
    """A server of the y-websocket family, which keeps documents in LevelDB if told where."""

    def start(kept: Path | None = None) -> Server:
        node, installed = _with_npm(name, package)
        environment = {"HOST": "127.0.0.1", "PORT": str(_free_port())}
        if kept is not None:
            environment["YPERSISTENCE"] = str(kept)
        return Server([node, str(installed / script)], environment)

    return start


def hocuspocus(kept: Path | None = None) -> Server:
    """The server of hocuspocus, with its Database extension if documents are to be kept.

    The newest that runs on node 20. It stores a document 2 s after the last change, at the latest 10 s after the
    first, as is its default.

    Raises:
        Absent: it cannot be installed or started.
    """
    wanted = ("@hocuspocus/server@3.4.4", "@hocuspocus/extension-database@3.4.4", "yjs@13.6.33", "y-protocols@1.0.6")
    node, installed = _with_npm("hocuspocus", *wanted)
    script = installed.parent / "hocuspocus_server.mjs"  # beside the packages, where node looks for them
    shutil.copy(HERE / script.name, script)
    return Server([node, str(script), *([str(kept)] if kept else [])], {})


def pycrdt_websocket(kept: Path | None = None) -> Server:
    """The server of pycrdt-websocket, with a SQLiteYStore if documents are to be kept.

    Raises:
        Absent: it cannot be installed or started.
    """
    python = INSTALLED / "python" / "bin" / "python"
    ready = INSTALLED / "python" / "ready"
    if not ready.exists():
        INSTALLED.mkdir(parents=True, exist_ok=True)
        _installed("pycrdt-websocket", [sys.executable, "-m", "venv", str(INSTALLED / "python")], INSTALLED)
        wanted = ["-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")]
        _installed("pycrdt-websocket", [str(python), *wanted], INSTALLED)
        ready.touch()
    return Server([str(python), str(HERE / "pycrdt_server.py"), *([str(kept)] if kept else [])], {})


_FAILED: dict[str, str] = {}

RIVALS: Mapping[str, Start] = {
    "y-websocket": _y("y-websocket", "y-websocket@2.1.0", "y-websocket/bin/server.cjs"),
    "@y/websocket-server": _y("y-websocket-server", "@y/websocket-server@0.1.1", "@y/websocket-server/src/server.js"),
    "pycrdt-websocket": pycrdt_websocket,
    "hocuspocus": hocuspocus,
}


def why_absent(name: str) -> str:
    """Why a server cannot be measured here; empty if it can."""
    try:
        RIVALS[name](None).close()
    except Absent as absent:
        return str(absent)
    return ""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _with_npm(name: str, *packages: str) -> tuple[str, Path]:
    """The node to run them with, and the folder of these packages."""
    node = shutil.which("node")
    if node is None:
        raise Absent(f"{name}: there is no node here")
    folder = INSTALLED / name
    ready = folder / "ready"
    if not ready.exists():
        folder.mkdir(parents=True, exist_ok=True)
        quiet = ["--loglevel=error", "--no-audit", "--no-fund", "--prefix", str(folder)]
        soon = ["--fetch-retries=1", "--fetch-retry-maxtimeout=2000", "--fetch-timeout=30000"]  # where there is no net
        _installed(name, ["npm", "install", *quiet, *soon, *packages], folder)
        ready.touch()
    return node, folder / "node_modules"


def _installed(name: str, command: list[str], folder: Path) -> None:
    failure = _FAILED.get(name, "")
    if failure:  # once is enough: the other benchmarks of this run do not wait for it again
        raise Absent(failure)
    with suppress(subprocess.TimeoutExpired):
        try:
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_LONG, check=False)
        except OSError as error:
            raise Absent(f"{name} cannot be installed: {error}") from error
        if ran.returncode == 0:
            return
        said = [line for line in ran.stderr.strip().splitlines() if "complete log" not in line]
        failure = (said or [""])[-1][:120]
    _FAILED[name] = f"{name} cannot be installed here: {failure or 'it took too long'}"
    raise Absent(_FAILED[name])
