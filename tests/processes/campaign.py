"""Teams of processes under all kinds of faults, run after run: what was acknowledged must be there when it is over.

storm    everybody writes, the nemeses of the combination do their worst
healing  all faults end, whoever was killed is started again; each must get one more write acknowledged
calm     nobody writes; all must show the same within LIMIT seconds after everybody was back
end      what they show is judged; they close in order, and their files hold the same
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from crdtmem import Replica
from tests.crew import SCOPE
from tests.processes.nemesis import torment
from tests.processes.team import Gone, Team, team
from tests.processes.workloads import Verdict, judge, shown

LIMIT = 5.0  # seconds from the healing until all show the same
PATIENCE = 60.0  # seconds until it is given up; in between it is too slow, and beyond stuck
RATE = 150.0  # calls a second, of all agents together


class Combination(NamedTuple):
    """Who is tormented how."""

    nemeses: tuple[str, ...]
    size: int
    shape: str

    def __str__(self) -> str:
        return f"{'+'.join(self.nemeses) or 'calm'}:{self.shape}:{self.size}"

    @classmethod
    def parse(cls, text: str) -> Combination:
        """What `str` has made of one."""
        nemeses, shape, size = text.split(":")
        return cls(() if nemeses == "calm" else tuple(nemeses.split("+")), int(size), shape)


COMBINATIONS = [
    Combination.parse(text)
    for text in (
        "calm:star:12",
        "kill:mesh:4",
        "stop:ring:5",
        "drop:line:6",
        "half:star:5",
        "hole:ring:6",
        "slow:mesh:4",
        "full:line:3",
        "clock:mesh:3",
        "split:mesh:5",
        "massacre:ring:3",
        "kill+drop:ring:4",
        "kill+full:star:4",
        "stop+split:mesh:4",
        "kill+stop+clock:meet:6",
        "away:star:4",
        "coma:line:3",
        "siege:line:4",
        "kill+drop+slow:line:12",
        "kill+stop+drop+half+hole+slow+full+clock:ring:8",
    )
]


class Outcome(NamedTuple):
    """How one run went."""

    combination: str
    seed: int
    acknowledged: int
    failed: int  # calls that raised
    unanswered: int
    faults: dict[str, int]
    converged: float  # seconds after the healing
    lost: int
    phantoms: int
    load: float
    problems: list[str]
    folder: str  # what is left of it, if it failed

    @property
    def held(self) -> bool:
        """Whether all was as promised."""
        return not self.problems


async def run(combination: Combination, seed: int, seconds: float, folder: Path, rate: float = RATE) -> Outcome:
    """One run."""
    began = time.monotonic()
    faults: Counter[str] = Counter()
    with (folder / "faults").open("w") as log:

        def note(what: str) -> None:
            print(f"{time.monotonic() - began:.2f} {what}", file=log, flush=True)

        async with team(folder, combination.size, combination.shape, seed) as crew:
            note("storm")
            crew.write(combination.size / rate)
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for name in combination.nemeses:

                    def begun(what: str, name: str = name) -> None:
                        faults[name] += 1
                        note(what)

                    group.create_task(torment(crew, name, seed, over, begun))
                await asyncio.sleep(seconds)
                over.set()
            note("healed")
            converged = await heal(crew)
            note(f"alike after {converged:.2f} s")
            verdict, problems = await finish(crew)
    if converged > LIMIT:
        problems.append(f"slow: it took {converged:.2f} s until all showed the same")
    told = [member.told for member in crew.members]
    return Outcome(
        str(combination),
        seed,
        acknowledged := sum(len(one.acknowledged) for one in told),
        failed := sum(len(one.failed) for one in told),
        sum(len(one.calls) for one in told) - acknowledged - failed,
        dict(faults),
        converged,
        len(verdict.lost),
        len(verdict.phantoms),
        os.getloadavg()[0],
        problems,
        str(folder),
    )


async def heal(crew: Team) -> float:
    """Wait until everybody is back, has written once more, rests, and shows the same; seconds since they were back.

    Raises:
        Gone: this does not come about.
    """
    now = asyncio.get_running_loop().time
    await crew.until(lambda: all(member.here for member in crew.members))
    back = now()
    await crew.writes(1, PATIENCE)
    crew.write(None)
    await crew.until(lambda: all(member.rests for member in crew.members))
    if not await crew.alike(PATIENCE):
        raise Gone(f"stuck: not all show the same {PATIENCE:g} s after the healing")
    return now() - back


async def finish(crew: Team) -> tuple[Verdict, list[str]]:
    """Have them end in order; the verdict on what they show and have kept, and all problems.

    Raises:
        Gone: one does not end in order.
    """
    found = {member.name: await member.ask("show") for member in crew.members}
    await asyncio.gather(*[member.end() for member in crew.members])
    damage = []
    for member in crew.members:
        with Replica("judge", store=member.path) as replica:
            memory = replica.open(SCOPE)
            found[member.path.name] = shown(memory)
            damage += [f"{member.path}: {damage}" for damage in memory.damage]
    verdict = judge({member.name: member.told for member in crew.members}, found)
    return verdict, [*verdict.lost, *verdict.phantoms, *verdict.broken, *damage, *_complaints(crew)]


def _complaints(crew: Team) -> Iterable[str]:
    """What should never have been said."""
    for member in crew.members:
        errors = member.errors.read_text()
        if errors:
            yield f"{member.name} has complained in {member.errors}: {errors.strip().splitlines()[-1]}"
        for kind, peer, detail in member.news:
            if kind in ("diverged", "refused"):
                yield f"{member.name} reports of {peer}: {kind}, {detail}"


def attempt(text: str, seed: int, seconds: float, rate: float) -> Outcome:
    """One run, by the name of its combination; what fails is kept, and what holds is not."""
    folder = Path(tempfile.mkdtemp(prefix="processes-"))
    try:
        outcome = asyncio.run(run(Combination.parse(text), seed, seconds, folder, rate))
    except Exception as error:
        trouble = "".join(traceback.format_exception(error))
        outcome = Outcome(text, seed, 0, 0, 0, {}, 0.0, 0, 0, os.getloadavg()[0], [trouble], str(folder))
    if outcome.held:
        shutil.rmtree(folder)
    return outcome


# -- the command -------------------------------------------------------------------------------------


def _told(outcome: Outcome, seconds: float, rate: float) -> str:
    faults = ", ".join(f"{count} x {name}" for name, count in outcome.faults.items()) or "no fault"
    line = (
        f"{outcome.combination}, seed {outcome.seed}: {outcome.acknowledged:,} acknowledged, {outcome.failed} failed, "
        f"{outcome.unanswered} unanswered; {faults}; alike after {outcome.converged:.2f} s, load {outcome.load:.1f}"
    )
    if outcome.held:
        return line
    problems = "\n    ".join(outcome.problems[:20])
    again = f"--only {outcome.combination} --seed {outcome.seed} --runs 1 --seconds {seconds:g} --rate {rate:g}"
    return (
        f"FAILED {line}\n    {problems}\n    {len(outcome.problems)} problems; files in {outcome.folder}\n"
        f"    replay: python -m tests.campaign processes {again}"
    )


def _table(outcomes: list[Outcome]) -> str:
    rows = [
        "combination | runs | acknowledged | lost | phantoms | failed runs | slowest | faults",
        "--|--|--|--|--|--|--|--",
    ]
    for name in dict.fromkeys(outcome.combination for outcome in outcomes):
        some = [outcome for outcome in outcomes if outcome.combination == name]
        faults = sum((Counter(outcome.faults) for outcome in some), Counter())
        figures = (
            name,
            len(some),
            f"{sum(o.acknowledged for o in some):,}",
            sum(o.lost for o in some),
            sum(o.phantoms for o in some),
            sum(not o.held for o in some),
            f"{max(o.converged for o in some):.2f} s",
            faults.total(),
        )
        rows.append(" | ".join(map(str, figures)))
    return "\n".join(rows)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=10, help="of each combination")
    parser.add_argument("--seconds", type=float, default=30, help="that each storm lasts")
    parser.add_argument("--seed", type=int, default=1, help="of the first run of each; the next has the next")
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second, of all processes of a run together")
    parser.add_argument("--parallel", type=int, default=1, help="so many runs at the same time")
    parser.add_argument(
        "--only", nargs="+", help="combinations, as NEMESIS+NEMESIS:SHAPE:SIZE; all of the table if none"
    )


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    names = args.only or list(map(str, COMBINATIONS))
    todo = [(name, seed) for seed in range(args.seed, args.seed + args.runs) for name in names]
    outcomes = []
    with ProcessPoolExecutor(args.parallel, get_context("spawn")) as pool:
        for future in [pool.submit(attempt, name, seed, args.seconds, args.rate) for name, seed in todo]:
            outcomes.append(future.result())
            print(_told(outcomes[-1], args.seconds, args.rate), flush=True)
    print(f"\n{_table(outcomes)}\n")
    lost, phantoms = sum(o.lost for o in outcomes), sum(o.phantoms for o in outcomes)
    print(
        f"{len(outcomes)} runs, {sum(o.acknowledged for o in outcomes):,} acknowledged writes: {lost} lost, "
        f"{phantoms} phantoms; slowest convergence {max(o.converged for o in outcomes):.2f} s; "
        f"{sum(not o.held for o in outcomes)} runs failed; {time.monotonic() - began:.0f} s"
    )
    return int(any(not outcome.held for outcome in outcomes))


PROCESSES = ("teams of real processes, killed, stopped and cut off as they write", _options, _run)
