"""What the benchmarks measure beside crdtmem and pip does not bring: python -m benchmarks.install.

On Debian, and where it may, it installs the packages; elsewhere it says what is missing, and those rows are skipped.
Then the other servers, all at the same time, by npm and pip. So nothing is installed while something is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import rivals
from benchmarks.postgres import Absent, program

PACKAGES = {"redis-server": "redis-server", "initdb": "postgresql", "npm": "npm"}


def missing() -> list[str]:
    """The packages whose programs are not there."""
    return [package for name, package in PACKAGES.items() if not _there(name)]


def _there(name: str) -> bool:
    if name != "initdb":
        return shutil.which(name) is not None
    try:
        return bool(program(name))
    except Absent:
        return False


def main() -> int:
    """Install what is missing, or say so; never fails."""
    began = time.monotonic()
    wanted = missing()
    if wanted and os.getuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # and no service is started
        words = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", *wanted]
        subprocess.run(words, env=quiet, check=False)
        wanted = missing()
    if wanted:
        print(f"benchmarks: not installed, so not measured: apt-get install {' '.join(wanted)}", file=sys.stderr)
    with ThreadPoolExecutor() as several:
        for why in several.map(rivals.why_absent, rivals.RIVALS):
            if why:
                print(f"benchmarks: not measured: {why}", file=sys.stderr)
    print(f"benchmarks: what they need was installed in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
