"""Other servers to be measured beside ours: installed at first use by their packages' own clients, then run apart."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent / ".rivals"
_LONG = 300  # seconds for an installation


class Absent(Exception):
    """A server cannot be installed or started here, and why."""


class Server:
    """A server that runs, until it is closed. It says on its standard output where it listens."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        port = re.search(r"port (\d+)", said)
        if port is None:
            self.close()
            raise Absent(f"{Path(command[0]).name} did not start: {said.strip() or 'it said nothing'}")
        self.pid = self._process.pid
        self.url = f"ws://127.0.0.1:{port[1]}/room"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def y_websocket() -> Server:
    """The server of y-websocket, as its README starts it: documents in memory alone.

    Raises:
        Absent: it cannot be installed or started.
    """
    node = shutil.which("node")
    if node is None:
        raise Absent("y-websocket: there is no node here")
    script = INSTALLED / "node" / "node_modules" / "y-websocket" / "bin" / "server.cjs"
    if not script.exists():
        (INSTALLED / "node").mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", INSTALLED / "node")
        _installed("y-websocket", ["npm", "install", "--silent", "--no-audit", "--no-fund"], INSTALLED / "node")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Server([node, str(script)], {"HOST": "127.0.0.1", "PORT": str(port)})


def pycrdt_websocket() -> Server:
    """The server of pycrdt-websocket: documents in memory alone, as is its default.

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
    return Server([str(python), str(HERE / "pycrdt_server.py")], {})


RIVALS: dict[str, Callable[[], Server]] = {"y-websocket": y_websocket, "pycrdt-websocket": pycrdt_websocket}


def why_absent(name: str) -> str:
    """Why a server cannot be measured here; empty if it can."""
    try:
        RIVALS[name]().close()
    except Absent as absent:
        return str(absent)
    return ""


def _installed(name: str, command: list[str], folder: Path) -> None:
    failure = ""
    with suppress(subprocess.TimeoutExpired):
        try:
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_LONG, check=False)
        except OSError as error:
            raise Absent(f"{name} cannot be installed: {error}") from error
        if ran.returncode == 0:
            return
        failure = (ran.stderr.strip().splitlines() or [""])[-1][:120]
    raise Absent(f"{name} cannot be installed here: {failure or 'it took too long'}")
