"""The beats of `--all`: counters, what a prompt is made of, and reading what one has seen before."""

from __future__ import annotations

import asyncio
from random import Random

from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import AGENTS, KEY

BUDGET = 600  # tokens of the prompt
ABOUT = "why did churn rise?"


async def count(night: Night) -> Shown:
    """All four add to one counter at once."""
    rng = Random(f"counter of seed {night.story.seed}")
    amounts = {name: [rng.randint(1, 999) for _ in range(50)] for name in AGENTS}
    wrote = await asyncio.gather(*[night.crew.do(name, "spend", amounts=own) for name, own in amounts.items()])
    answers = await night.crew.all_do("spent", after=[one.version for one in wrote])
    shares = {name: sum(own) for name, own in amounts.items()}
    total = sum(shares.values())
    right = sum(answer.value == {"value": total, "shares": shares} for answer in answers.values())
    return Shown(
        checks=(Check("the counter is exact on every replica", right == len(AGENTS), f"{total:,}"),),
        lines=(" + ".join(f"{name} {share:,}" for name, share in shares.items()) + f" = {total:,}",),
        figures={"total": total, "shares": shares},
    )


async def prompt(night: Night) -> Shown:
    """Every agent fills a prompt from its own replica."""
    version = (await night.crew.do("synth", "content")).version
    answers = await night.crew.all_do("prompt", after=[version], about=ABOUT, tokens=BUDGET, at=version)
    views = {name: answer.value for name, answer in answers.items()}
    view = views["synth"]
    shown = [line for line in view["text"].splitlines() if KEY in line]
    return Shown(
        checks=(
            Check("within the budget", 0 < view["tokens"] <= BUDGET, f"{view['tokens']} of {BUDGET} tokens"),
            Check("the same bytes on every replica", equal(views), f"{len(view['text'].encode()):,} bytes"),
            Check("the figure is in it, and so is its doubt", bool(shown) and "tainted" in view["text"]),
        ),
        lines=(*shown, f"{view['entries']} entries shown, {view['left_out']} counted as left out"),
        figures={"views": {name: {**one, "text": len(one["text"])} for name, one in views.items()}},
    )


async def pinned(night: Night) -> Shown:
    """The figure is corrected; who goes on with the old version still reads what it had read."""
    crew, seen, churn = night.crew, night.notes["seen"], night.story.churn
    wrote = await crew.write("docs", "records", "figures", "put", KEY, "withdrawn", why="its source was retracted")
    now = await crew.all_do("figure", after=[wrote.version], key=KEY, at=None)
    then = await crew.all_do("figure", key=KEY, at=seen)
    return Shown(
        checks=(
            Check(
                f"at version {seen[:8]} every replica reads {churn}",
                [one.value for one in then.values()] == [churn] * len(AGENTS),
            ),
            Check(
                "and now every replica reads the correction",
                [one.value for one in now.values()] == ["withdrawn"] * len(AGENTS),
            ),
        ),
        figures={"version": seen, "then": churn, "now": "withdrawn"},
    )


COUNT = Beat(
    "count", "Four count at once", "Each agent adds fifty amounts to one counter, without asking anybody.", count
)
PROMPT = Beat(
    "prompt",
    "What a model would read",
    "Each agent asks its own replica for what matters, within a budget of tokens.",
    prompt,
)
PINNED = Beat(
    "pinned",
    "Reading what was read before",
    "docs withdraws the {churn}; a reader that names a version is not disturbed.",
    pinned,
)
