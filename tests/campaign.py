"""The long searches for failures: `python -m tests.campaign COMMAND`, or `make campaign ARGS="COMMAND"`.

A command is one row of COMMANDS: its help, a function that declares its options, and a function that runs it and
returns an exit code. It reports progress on long runs, and prints the command that replays a failure.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from ast import literal_eval
from collections.abc import Callable
from itertools import count, product
from typing import NamedTuple

import hypothesis
from hypothesis import HealthCheck, Phase, reproduce_failure, seed, settings
from hypothesis.errors import DidNotReproduce
from hypothesis.stateful import get_state_machine_test

from tests import attacks, conformance, demos, disk, faults, garble, hostile, kills, mcp_crew, realms, simulation
from tests.exhaustive import CALLS, Case, explore, histories
from tests.machine import Convergence
from tests.processes import campaign as processes
from tests.processes import stalled


class Command(NamedTuple):
    """One search."""

    help: str
    options: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]


# -- machine: the state machine of test_convergence, with fresh examples -------------------------

CHUNK = 500


def _machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--examples", type=int, default=20_000, help="how many runs of the state machine")
    parser.add_argument("--steps", type=int, default=30, help="at most so many steps in each")
    parser.add_argument("--seed", type=int, default=1, help="of the first chunk of examples; the next one has the next")
    parser.add_argument("--replay", metavar="BLOB", help="run this one example, as printed with a failure")


def _machine(args: argparse.Namespace) -> int:
    began = time.monotonic()
    if args.replay:
        try:
            reproduce_failure(hypothesis.__version__, args.replay.encode())(_machine_test(1, args.steps))()
        except DidNotReproduce:
            print("it does not fail now, or the machine has other rules than when it did")
            return 0
        except Exception as error:
            traceback.print_exception(error)
        return 1
    done = 0
    for chunk in count(args.seed):
        size = min(CHUNK, args.examples - done)
        try:
            seed(chunk)(_machine_test(size, args.steps))()
        except Exception as error:
            print(f"\nFAILED in the chunk of seed {chunk}, after {done} examples without a failure")
            traceback.print_exception(error)
            blob = re.search(r"reproduce_failure\('[^']+', b'([^']+)'\)", "\n".join(getattr(error, "__notes__", ())))
            print(f"chunk:  python -m tests.campaign machine --steps {args.steps} --seed {chunk} --examples {size}")
            if blob:
                print(f"replay: python -m tests.campaign machine --steps {args.steps} --replay '{blob[1]}'")
            return 1
        done += size
        print(f"{done} examples, no failure, {time.monotonic() - began:.0f} s", flush=True)
        if done >= args.examples:
            return 0
    return 0


def _machine_test(examples: int, steps: int) -> Callable[[], None]:
    checks = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=True,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    return get_state_machine_test(Convergence, settings=checks)


# -- exhaustive: every causal order of every small history ----------------------------------------


def _exhaustive_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", default=list(CALLS), choices=list(CALLS), help="which field types")
    parser.add_argument("--full", type=int, default=3, help="up to so many operations: every choice of them")
    parser.add_argument("--some", type=int, default=1, help="above that: so many drawn choices for each shape")
    parser.add_argument("--seed", type=int, default=1, help="of these draws")
    parser.add_argument("--case", help="try this one case, as printed with a failure")


def _exhaustive(args: argparse.Namespace) -> int:
    began = time.monotonic()
    if args.case:
        print(f"{histories(Case(*literal_eval(args.case)))} orders, no failure")
        return 0
    cases = orders = 0
    for kind in args.kinds:
        for sizes in sorted(product(range(3), repeat=3), key=sum)[1:]:
            try:
                some = None if sum(sizes) <= args.full else args.some
                tried, total = explore(kind, sizes, some, args.seed)
            except Exception as error:
                traceback.print_exception(error)
                case = error.__notes__[-1].removeprefix("case: ")
                print(f'\nFAILED; replay: python -m tests.campaign exhaustive --case "{case}"')
                return 1
            cases, orders = cases + tried, orders + total
            so_far = f"in all {cases}, {orders}, {time.monotonic() - began:.0f} s"
            print(f"{kind} {sizes}: {tried} cases, {total} orders; {so_far}", flush=True)
    return 0


COMMANDS: dict[str, Command] = {
    "exhaustive": Command("every causal order of every small history", _exhaustive_options, _exhaustive),
    "machine": Command("the state machine against the model, with fresh examples", _machine_options, _machine),
    "hostile": Command(*hostile.COMMAND),
    "damage": Command(*faults.DAMAGE),
    "faults": Command(*disk.FAULTS),
    "kill": Command(*kills.KILL),
    "garble": Command(*garble.GARBLE),
    "simulate": Command(*simulation.SIMULATE),
    "attacks": Command(*attacks.ATTACKS),
    "cuts": Command(*realms.CUTS),
    "processes": Command(*processes.PROCESSES),
    "stalled": Command(*stalled.STALLED),
    "mcp": Command(*mcp_crew.MCP),
    "conformance": Command(*conformance.CONFORMANCE),
    "demo": Command(*demos.DEMO),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description="Long searches for failures.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.options(commands.add_parser(name, help=command.help, description=command.help))
    args = parser.parse_args(arguments)
    return COMMANDS[args.command].run(args)


if __name__ == "__main__":
    sys.exit(main())
