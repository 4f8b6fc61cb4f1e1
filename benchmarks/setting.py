"""Where a result was measured: machine, load, commit and versions. Without them a figure means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("crdtmem", "pycrdt", "msgspec", "pynacl", "apsw")


def setting(folder: str) -> dict[str, str]:
    """The circumstances, as words."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "commit": _commit(),
        "folder": f"{os.path.abspath(folder)}, {_file_system(os.path.realpath(folder))}",
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES)]),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _file_system(folder: str) -> str:
    """The file system it is on: that of the longest mount point above it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown file system"
    above = [(len(point), kind) for point, kind in mounts if f"{folder}/".startswith(f"{point.rstrip('/')}/")]
    return max(above, default=(0, "unknown file system"))[1]


def _commit() -> str:
    head, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain", "--", "crdtmem", "benchmarks")
    if not head:
        return "unknown"
    return f"{head}, with uncommitted changes" if changed else head


def _git(*arguments: str) -> str:
    try:
        ran = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
