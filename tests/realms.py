"""Drawn stories of an owned namespace, as long and as many as one likes: `python -m tests.campaign cuts`.

A story is played on four replicas and their copies. In the end all are equal and as the slow oracle says; so are a
replica that hears of everything late and in any order, every replica after a restart, and versions of the past, which
are compared with a state that applies only what they had seen.
"""

from __future__ import annotations

import argparse
import random
import time
import traceback
from typing import Any

import crdtmem.change
from crdtmem import EntryId, Replica
from crdtmem.change import COUNTER
from crdtmem.rebuild import inform
from crdtmem.state import State
from tests.stories import ACTS
from tests.trusted import Realm, Site, facts
from tests.world import nonces

WEIGHTS = {
    "act": 50,
    "cite": 4,
    "judge": 4,
    "restore": 1,
    "tell": 20,
    "cut": 4,
    "decree": 3,
    "remember": 6,
    "restart": 2,
    "keep": 2,
    "settle": 1,
    "twin": 1,
}
MORE = (*ACTS, "write", "insert", "move", "cut")


def drawn(rng: random.Random, without: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """One step."""
    weights = {what: weight for what, weight in WEIGHTS.items() if what not in without}
    [what] = rng.choices(list(weights), list(weights.values()))
    n = [rng.randrange(10) for _ in range(3)]
    if what == "act":
        return (what, n[0], rng.choice(MORE), n[1], n[2])
    if what in ("cite", "judge", "tell", "settle", "restore"):
        return (what, n[0], n[1])
    if what == "decree":
        return (what, rng.randrange(8))
    if what == "twin":
        return (what, 1 + n[0] % 3)
    return {"cut": (what, *n), "remember": (what,), "restart": (what, n[0], n[1] < 5), "keep": (what, n[0])}[what]


def play(realm: Realm, step: tuple[Any, ...]) -> None:
    """Do one step."""
    what, *args = step
    if what == "tell":
        giver, taker = map(realm.site, args)
        if giver is not taker:
            realm.tell(giver, taker)
    elif what == "restart":
        realm.keep()
        realm.site(args[0]).restart(clean=args[1])
    elif what == "keep":
        realm.site(args[0]).memory.checkpoint()
    else:
        getattr(realm, what)(*args)


def ended(realm: Realm, rng: random.Random) -> None:
    """All that has to hold in the end."""
    realm.agree()
    records = list(realm.archive.values())
    rng.shuffle(records)
    late = Replica("late").open(realm.scope)
    while records:  # some at a time: a cut may come before what it voids, or behind it
        late.receive([records.pop() for _ in range(min(len(records), 1 + rng.randrange(9)))])
    late.receive(realm.boss.memory.changes(realm.common))  # the proofs of forks
    here, there = facts(realm.boss.state), facts(late._document.state)
    for what in here:
        assert here[what] == there[what], f"late: {what}"
    if realm.common is None:
        if not realm.forks():  # else a version may lack what its changes name: they saw it through what is void
            for site in realm.sites[:2]:
                looked_back(realm, site)
        told = [list(map(str, site.memory.audit(limit=10_000))) for site in realm.sites]
        assert all(one == told[0] for one in told), "audits differ"
        for id in sorted(realm.boss.state.taint.tainted)[:3]:
            assert realm.boss.memory.explain(EntryId(*id)).tainted
    for site in realm.sites:
        site.restart(clean=True)
    realm.agree()


def looked_back(realm: Realm, site: Site) -> None:
    """The past is what its changes add up to, without what is void today."""
    document = site.memory._document
    for version in realm.versions[-3:]:
        marks = document.past(version)
        state = State(document.state.namespace, document.log, document.state.owner)
        inform(state, document.state)
        for _, kept in document.log.since(0):
            if kept.seq <= marks.get(kept.session, 0):
                state.apply(kept.change)
        then: Any = site.memory.at(version)._document.state
        real = {at: field.digest() for at, field in then.fields.items() if field.digest()}
        assert real == {at: field.digest() for at, field in state.fields.items() if field.digest()}
        for at in real:
            assert at[0] != COUNTER or then.fields[at].total == state.fields[at].total  # type: ignore[union-attr]


def story(seed: int, steps: int) -> None:
    """Play one, to the end. The same seed gives the same sessions, so that it can be played again."""
    rng = random.Random(seed)
    without = rng.choice(((), ("twin",), ("cut", "decree"), ("settle",)))
    crdtmem.change._SALTS.clear()
    with nonces(seed):
        realm = Realm(rng.randrange(8))
        realm.everybody()
        for _ in range(steps):
            play(realm, drawn(rng, without))
        ended(realm, rng)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stories", type=int, default=3000, help="how many")
    parser.add_argument("--steps", type=int, default=80, help="in each")
    parser.add_argument("--seed", type=int, default=1, help="of the first")


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    for number in range(args.stories):
        try:
            story(args.seed + number, args.steps)
        except Exception as error:
            traceback.print_exception(error)
            again = f"--seed {args.seed + number} --stories 1 --steps {args.steps}"
            print(f"replay: python -m tests.campaign cuts {again}")
            return 1
        if number % 100 == 99:
            print(f"{number + 1} stories, no failure, {time.monotonic() - began:.0f} s", flush=True)
    return 0


CUTS = ("rules, cuts, forks, pruning and restarts against a slow oracle", _options, _run)
