"""The checkpoint that was never written: the log says "saved", the machine kills the process, and nothing was saved.

The steps went into a file object, which keeps them until it has a few kilobytes to write. Without the kill it would
have written them at the end, so it passed every test.
"""

import signal
from pathlib import Path

from crdtmem import Replica
from tests.incidents.processes import heard, started

STEPS = ["searched", "read", "drafted"]

NAIVE = """
import json, os, signal
checkpoints = open("checkpoints.jsonl", "a")
for step in ("searched", "read", "drafted"):
    checkpoints.write(json.dumps({"step": step}) + "\\n")
    print("saved", step, flush=True)
os.kill(os.getpid(), signal.SIGKILL)            # as the kernel does when memory runs out
"""

OURS = """
import os, signal
from crdtmem import Replica
memory = Replica("worker", store="worker.db").open(tenant="acme", task="brief")
for step in ("searched", "read", "drafted"):
    memory.register("checkpoint").assign({"step": step}, why="before the next call")
    print("saved", step, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(script: str, folder: Path) -> list[str]:
    """What a process said it had saved before it was killed."""
    with started(script, folder=folder) as process:
        said = [heard(process) for _ in STEPS]
        assert process.wait() == -signal.SIGKILL
    return said


def test_a_file_that_is_not_flushed_says_saved_and_has_nothing(tmp_path: Path) -> None:
    assert killed(NAIVE, tmp_path) == [f"saved {step}" for step in STEPS]
    assert (tmp_path / "checkpoints.jsonl").read_text() == ""


def test_a_write_that_returned_is_there_after_kill_9(tmp_path: Path) -> None:
    assert killed(OURS, tmp_path) == [f"saved {step}" for step in STEPS]
    with Replica("worker", store=tmp_path / "worker.db") as replica:
        memory = replica.open(tenant="acme", task="brief")
        assert memory.register("checkpoint").value == {"step": "drafted"}
        assert [event.value["step"] for event in memory.audit(field="checkpoint") if event.action == "added"] == STEPS
