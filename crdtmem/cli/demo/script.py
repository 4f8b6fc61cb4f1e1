"""What the crew does, drawn from a seed: pure data, the same on every machine.

Time is counted in ticks. In the first beat each agent takes turns: it reads at one tick, thinks, and writes at another,
while the others do the same. Nobody is told to collide; thinking simply takes longer than reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

TENANT, TASK = "acme", "churn brief"
ROLES = {"web": "web researcher", "docs": "docs researcher", "synth": "synthesizer", "reviewer": "reviewer"}
AGENTS = tuple(ROLES)
SIDES = (("web", "docs"), ("synth", "reviewer"))  # which the cut leaves together
TURNS = 3  # of each agent
KEY = "churn in March"  # what the figure is of

NOTES = {
    "web": (
        "Rivals kept their prices",
        "Reviews turned angry in March",
        "The status page lists an outage",
        "A forum asks for monthly plans",
        "Globex courts larger accounts",
        "The price page changed in February",
        "Blogs repeat one press release",
        "Nobody mentions the new app",
    ),
    "docs": (
        "Most leavers name the outage",
        "Contracts renew in October",
        "Support answered within a day",
        "Large accounts stayed",
        "The CRM has no exit dates",
        "Refunds rose after the outage",
        "Discounts were never promised",
        "Exit surveys are hand-written",
    ),
    "synth": (
        "Small accounts leave first",
        "Leavers come after the outage",
        "Price alone explains little",
        "The board wants one page",
        "Finance asks for a forecast",
        "The outage hit the smallest most",
        "Two causes are still open",
        "A chart would say it faster",
    ),
    "reviewer": (
        "The sample is small",
        "The survey skips silent leavers",
        "A forum is no source",
        "Dates need a second source",
        "The forecast has no basis yet",
        "Regions are not told apart",
        "Leavers and idlers are mixed up",
        "Causes are guessed, not tested",
    ),
}
QUESTIONS = ("Is it the price?", "Is it support?", "Is it seasonal?", "Is it the outage?", "Who left first?")
CLOSED = QUESTIONS[:4]  # one by each agent
PEOPLE = ("R. Chen", "J. Smith", "A. Okafor", "M. Rossi", "L. Novak", "P. Dubois")


class Write(NamedTuple):
    """One write of the first beat, made to both stores: into which list, and what; of `tokens` the amount."""

    place: str
    value: str | int


class Turn(NamedTuple):
    """An agent reads at one tick, thinks, and writes at another."""

    agent: str
    reads: int
    writes_at: int
    writes: tuple[Write, ...]


class Step(NamedTuple):
    """What happens at one moment: a turn begins by reading, or ends by writing."""

    tick: int
    turn: Turn
    ends: bool


@dataclass(frozen=True, slots=True)
class Story:
    """One night of the crew.

    Attributes:
        seed: what it was drawn from.
        turns: what they write in the first beat.
        killed: the agent that is killed in the second.
        after: how many of its writes are acknowledged before.
        rumour: a figure that a forum has.
        churn: the figure that everybody asks about.
        phantom: one that nobody writes.
        says: what two agents hold of one thing.
    """

    seed: int
    turns: tuple[Turn, ...]
    killed: str
    after: int
    rumour: str
    churn: str
    phantom: str
    says: dict[str, str]

    @property
    def steps(self) -> list[Step]:
        """The first beat in its order; of what happens in one tick, reading comes first."""
        begun = [Step(turn.reads, turn, ends=False) for turn in self.turns]
        ended = [Step(turn.writes_at, turn, ends=True) for turn in self.turns]
        return sorted(begun + ended, key=lambda step: (step.tick, step.ends))

    @property
    def written(self) -> list[tuple[str, Write]]:
        """Who writes what in the first beat, tokens apart."""
        return [(turn.agent, one) for turn in self.turns for one in turn.writes if one.place != "tokens"]

    @property
    def tokens(self) -> int:
        """What they spend in the first beat."""
        return sum(int(one.value) for turn in self.turns for one in turn.writes if one.place == "tokens")


def story(seed: int) -> Story:
    """The story of a seed.

    >>> told = story(7)
    >>> told == story(7), len(told.written), {step.turn.agent for step in told.steps} == set(AGENTS)
    (True, 28, True)
    """
    rng = Random(f"crew of seed {seed}")
    low, churn, phantom = sorted(rng.sample(range(21, 99), 3))
    turns = tuple(turn for number, agent in enumerate(AGENTS) for turn in _turns(agent, number, rng))
    return Story(
        seed=seed,
        turns=turns,
        killed=rng.choice(SIDES[0]),
        after=rng.randint(20, 40),
        rumour=_percent(low),
        churn=_percent(churn),
        phantom=_percent(phantom),
        says=_disagreement(rng),
    )


def _turns(agent: str, number: int, rng: Random) -> list[Turn]:
    """The turns of one agent: each adds a fact and a finding and what it cost, and one closes a question."""
    notes = rng.sample(NOTES[agent], 2 * TURNS)
    closes, now, turns = rng.randrange(TURNS), 0, []
    for turn in range(TURNS):
        ends = now + rng.randint(2, 5)
        writes = [Write("facts", notes[2 * turn]), Write("findings", notes[2 * turn + 1])]
        if turn == closes:
            writes.append(Write("closed", CLOSED[number]))
        writes.append(Write("tokens", 100 * rng.randint(4, 30)))
        turns.append(Turn(agent, now, ends, tuple(writes)))
        now = ends + rng.randint(1, 2)
    return turns


def _disagreement(rng: Random) -> dict[str, str]:
    one, other = rng.sample(PEOPLE, 2)
    first, second = rng.sample(range(2, 28), 2)
    built, rebuilt = rng.sample(range(1900, 2010), 2)
    said = rng.choice(
        [
            (f"The CEO of Acme is {one}.", f"The CEO of Acme is {other}."),
            (f"The brief is due on {first} November.", f"The brief is due on {second} November."),
            (f"Acme was founded in {built}.", f"Acme was founded in {rebuilt}."),
        ]
    )
    return dict(zip(SIDES[0], said, strict=True))


def _percent(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10} %"
