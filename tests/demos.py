"""`crdtmem demo` under many seeds, each run a process of its own: do all its checks hold, and how long does it take?"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

_RUN = (sys.executable, "-c", "from crdtmem.cli import main; main()", "demo", "--json", "--all")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=20, help="how many seeds")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")


def _main(args: argparse.Namespace) -> int:
    failed = 0
    for seed in range(args.seed, args.seed + args.runs):
        with TemporaryDirectory() as folder:
            ran = subprocess.run([*_RUN, "--seed", str(seed)], cwd=folder, capture_output=True, text=True, check=False)
        events: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
        closed = events[-1] if events and events[-1]["event"] == "closes" else {"checks": [], "seconds": 0}
        wrong = [f"{check['claim']} ({check['figure']})" for check in closed["checks"] if not check["held"]]
        held = ran.returncode == 0 and not wrong and bool(closed["checks"])
        failed += not held
        storm = next((one["figures"] for one in events if one.get("name") == "storm"), {})
        print(
            f"seed {seed}: {'held' if held else 'FAILED'}, {len(closed['checks'])} checks, {closed['seconds']:.1f} s, "
            f"in step {storm.get('heal_seconds', '-')} s after the cut",
            flush=True,
        )
        for line in [*wrong, *ran.stderr.splitlines()[-3:]] if not held else ():
            print(f"  {line}")
        if not held:
            print(f"  replay: crdtmem demo --all --seed {seed}")
    print(f"{args.runs - failed} of {args.runs} runs held")
    return 1 if failed else 0


DEMO = ("the demo under many seeds", _options, _main)
