"""How much work a run puts in: the full figures, or a quick look. And where its files are."""

from __future__ import annotations

from typing import NamedTuple


class Effort(NamedTuple):
    """How many rounds, and how large."""

    rounds: int
    operations: int  # of a run on a small memory
    grown: int  # live entries of a large memory
    grown_together: int  # the same where two authors take turns, one write each
    starts: int  # process starts of a long-lived memory
    churn: int  # writes into a memory that stays small
    opened: int  # changes of a file that is opened
    audited: int  # changes that are audited
    paced: int = 0  # writes of a run at a steady pace
    burst: int = 0  # writes of a run at once
    caught_up: int = 0  # changes that a newcomer takes in
    idle: int = 0  # connections that say nothing
    crews: int = 0  # small teams on one relay
    crew_seconds: float = 0  # how long they work
    folder: str = "."  # where files are written, and taken away again
    data: str = ""  # where labelled pairs and editing traces are, if there are any
    judge: str = ""  # a model to ask, and where
    cassette: str = ""  # where its answers are kept


FULL = Effort(
    rounds=15,
    operations=2_000,
    grown=100_000,
    grown_together=100_000,
    starts=100_000,
    churn=10_000,
    opened=100_000,
    audited=1_000_000,
    paced=1_000,
    burst=5_000,
    caught_up=50_000,
    idle=2_000,
    crews=200,
    crew_seconds=20,
)
QUICK = Effort(
    rounds=2,
    operations=600,
    grown=8_000,
    grown_together=2_000,
    starts=2_000,
    churn=10_000,
    opened=10_000,
    audited=10_000,
    paced=200,
    burst=1_000,
    caught_up=5_000,
    idle=200,
    crews=10,
    crew_seconds=3,
)
