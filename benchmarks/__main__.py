"""The command: python -m benchmarks NAME ... [--quick] [--json FILE]. Ends with 1 when a target is not met.

`python -m benchmarks report FILE ...` makes a page of such files.
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.rows import Row, table, unmet
from benchmarks.setting import setting

NAMES = (
    "local",
    "growth",
    "store",
    "trust",
    "sync",
    "fanout",
    "view",
    "coherence",
    "adapters",
    "cas",
    "peers",
    "traces",
    "scale",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks by name; print tables, and JSON on request."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["report"]:
        from benchmarks import report  # here, for each process of a benchmark imports this module again

        return report.main(words[1:])
    asked = _parser().parse_args(words)
    given = {"folder": asked.folder, "data": asked.data, "judge": asked.judge, "cassette": asked.cassette}
    effort = (QUICK if asked.quick else FULL)._replace(**given)
    result: dict[str, Any] = {
        "format": 1,
        "setting": setting(asked.folder),
        "effort": effort._asdict(),
        "benchmarks": [],
    }
    shown = sys.stderr if asked.json == "-" else sys.stdout
    for what, words in result["setting"].items():
        print(f"{what}: {words}", file=shown)
    missed: list[str] = []
    for name in NAMES if "all" in asked.names else asked.names:
        done = _run(name, effort, shown)
        result["benchmarks"].append(done)
        missed += done["unmet"]
    if asked.json == "-":
        print(json.dumps(result, indent=1))
    elif asked.json:
        Path(asked.json).write_text(json.dumps(result, indent=1) + "\n")
    if missed:
        print(f"\nnot met: {'; '.join(missed)}", file=shown)
    return 1 if missed and asked.check else 0


def _run(name: str, effort: Effort, shown: Any) -> dict[str, Any]:
    module = importlib.import_module(f"benchmarks.{name}")
    alike: dict[str, str] = module.ALIKE
    print(
        f"\n{name}: medians of {effort.rounds} rounds; " + "; ".join(f"{w}: {s}" for w, s in alike.items()), file=shown
    )
    started = time.perf_counter()
    rows: list[Row] = list(module.rows(effort))
    seconds = time.perf_counter() - started
    print(f"{table(rows)}\n{seconds:.1f} s", file=shown)
    return {
        "name": name,
        "alike": alike,
        "seconds": seconds,
        "rows": [row.data() for row in rows],
        "unmet": unmet(rows),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure crdtmem beside what it is built on."
    )
    parser.add_argument(
        "names", nargs="+", choices=[*NAMES, "all"], metavar="NAME", help=f"{', '.join(NAMES)}, all or report"
    )
    parser.add_argument("--quick", action="store_true", help="smaller and fewer rounds: for a first look")
    parser.add_argument("--folder", default=".", help="where files are written: on the disk to be measured")
    parser.add_argument(
        "--data",
        default="",
        metavar="DIR",
        help="a folder with labelled pairs (coherence), with editing traces (traces)",
    )
    parser.add_argument(
        "--judge", default="", metavar="WHICH", help="coherence: anthropic:MODEL or openai:MODEL@BASE_URL"
    )
    parser.add_argument("--cassette", default="", metavar="FILE", help="coherence: where answers of the judge are kept")
    parser.add_argument(
        "--json", metavar="FILE", help="write the result as JSON too; - prints it, and the tables to stderr"
    )
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="end with 0 also when a target is not met"
    )
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no server is left behind
    sys.exit(main())
