"""What a process pays that has just begun: run as a process of its own, it prints its times as JSON.

python -m benchmarks.fresh open FILE                import, then open
python -m benchmarks.fresh one-key FILE VERSION     and read a field as of a version, one key
python -m benchmarks.fresh all-keys FILE VERSION    or all of it
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def measured(what: str, file: Path, *arguments: str) -> dict[str, int]:
    """Nanoseconds of each step, taken in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fresh", what, str(file), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    found: dict[str, int] = json.loads(ran.stdout)
    return found


def _main(what: str, file: str, *arguments: str) -> None:
    taken: dict[str, int] = {}
    before = time.perf_counter_ns()

    def done(step: str) -> None:
        nonlocal before
        now = time.perf_counter_ns()
        taken[step] = now - before
        before = time.perf_counter_ns()

    from crdtmem import Namespace, Replica, SqliteStore, checkpoint

    done("import")
    checkpoint.EVERY = 10**9  # none is made while opening: the next process is to find the same file
    busy = time.thread_time_ns()
    memory = Replica("ann", store=SqliteStore(file)).open(Namespace(tenant="acme", task="benchmark"))
    done("open")
    taken["open, processor time"] = time.thread_time_ns() - busy
    if what != "open":
        [version] = arguments
        facts = memory.at(version).records("facts")
        assert facts["key 5"] if what == "one-key" else dict(facts)
        done("read")
    print(json.dumps(taken), flush=True)
    os._exit(0)  # closing would write a checkpoint, and the next process would find another file


if __name__ == "__main__":
    _main(*sys.argv[1:])
