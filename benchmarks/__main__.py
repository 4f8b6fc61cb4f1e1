"""The command: python -m benchmarks NAME ... [--quick] [--json FILE]. Ends with 1 when a target is not met.

Whatever stops it, Ctrl-C or a benchmark that fails: what was measured until then is shown, and written.
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
    try:
        for name in NAMES if "all" in asked.names else asked.names:
            _run(name, effort, shown, result["benchmarks"])
    except KeyboardInterrupt:
        print("\nstopped: what was not measured by now is left out", file=shown)
        return 130
    finally:
        _end(result, asked.json, shown)
    return 1 if asked.check and any(done["unmet"] for done in result["benchmarks"]) else 0


def _end(result: dict[str, Any], file: str | None, shown: Any) -> None:
    """Write the result, and say what took how long and what is not met."""
    if file == "-":
        print(json.dumps(result, indent=1))
    elif file:
        Path(file).write_text(json.dumps(result, indent=1) + "\n")
    took = {done["name"]: done["seconds"] for done in result["benchmarks"]}
    if len(took) > 1:
        each = ", ".join(f"{name} {took[name]:.0f}" for name in sorted(took, key=took.__getitem__, reverse=True))
        print(f"\n{sum(took.values()):.0f} s: {each}", file=shown)
    if missed := [name for done in result["benchmarks"] for name in done["unmet"]]:
        print(f"\nnot met: {'; '.join(missed)}", file=shown)


def _run(name: str, effort: Effort, shown: Any, done: list[dict[str, Any]]) -> None:
    """Run one benchmark, show its table, and add it to what is done: as far as it comes."""
    module = importlib.import_module(f"benchmarks.{name}")
    alike: dict[str, str] = module.ALIKE
    words = "; ".join(f"{what}: {said}" for what, said in alike.items())
    print(f"\n{name}: medians of {effort.rounds} rounds; {words}", file=shown, flush=True)
    rows: list[Row] = []
    started = time.perf_counter()
    try:
        for row in module.rows(effort):
            rows.append(row)
            _tell(f"{name}, {len(rows)} rows: {row.name}")
    finally:
        _tell("")
        seconds = time.perf_counter() - started
        print(f"{table(rows)}\n{seconds:.1f} s", file=shown, flush=True)
        data = [row.data() for row in rows]
        done.append({"name": name, "alike": alike, "seconds": seconds, "rows": data, "unmet": unmet(rows)})


def _tell(progress: str) -> None:
    """Show on a terminal how far it is, on one line that the next one takes the place of."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress[:100]}", end="", file=sys.stderr, flush=True)


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
