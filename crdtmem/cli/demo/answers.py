"""The beats that ask the memory: who wrote it, does it agree with itself, what falls with a source, who made it up."""

from __future__ import annotations

import asyncio
from typing import Any

from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import AGENTS, KEY

SOURCE = "crm-export.csv"
OTHER = "The outage hit the smallest accounts first."
DOUBT = {
    "web": "The outage began on 12 March.",
    "docs": "The outage began on 14 March.",
}  # which only a model can settle


async def who(night: Night) -> Shown:
    """A figure is written, and corrected by another agent; a third one asks."""
    crew, churn, why = night.crew, night.story.churn, f"row 14 of {SOURCE}"
    seen = await _written(night, why)
    answers = await crew.all_do("timeline", after=[seen], field="figures")
    asked = answers["reviewer"].value
    last = asked[-1] if asked else {"by": "nobody"}
    return Shown(
        checks=(
            Check(
                "the answer names the author and the reason",
                (last["by"], last.get("value"), last.get("why")) == ("docs", churn, why),
                last["by"],
            ),
            Check(
                "every replica tells the same",
                equal({name: answer.value for name, answer in answers.items()}),
                f"{len(answers)} timelines, {len(asked)} events",
            ),
        ),
        table=(("when", "who", KEY, "why"), *((e["when"], e["by"], e["value"], e["why"]) for e in asked)),
        figures={"question": churn, "timeline": asked},
    )


async def _written(night: Night, why: str) -> str:
    """A rumour, a figure with its source in its place, and a brief that rests on that; the version of all of it."""
    crew, told = night.crew, night.story
    rumour = await crew.write("web", "records", "figures", "put", KEY, told.rumour, why="a post in a forum")
    source = await crew.write("docs", "set", "sources", "add", SOURCE, source="import")
    about = {"why": why, "because": [source.value], "confidence": 0.9}
    figure = await crew.write("docs", "records", "figures", "put", KEY, told.churn, after=[rumour.version], **about)
    sentence = f"Churn was {told.churn} in March.\n"
    await crew.write("synth", "text", "brief", "append", sentence, after=[figure.version], because=[figure.value])
    brief = await crew.write("synth", "text", "brief", "append", OTHER, why="the findings agree")
    night.notes.update(source=source.value, figure=figure.value, seen=brief.version)
    return brief.version


async def disagree(night: Night) -> Shown:
    """Two agents write what cannot both be true; the reviewer finds it, and tells everybody."""
    crew, pairs = night.crew, [night.story.says, *([DOUBT] if night.llm else [])]
    wrote = await asyncio.gather(
        *[crew.write(name, "set", "facts", "add", text) for says in pairs for name, text in says.items()]
    )
    told = await crew.do("reviewer", "find", after=[one.version for one in wrote], llm=night.llm)
    found, findings = told.value, told.value["findings"]
    answers = await crew.all_do("filed", after=[told.version])
    ours = [one for one in findings if one["tier"] == "certain" and _of(one, night.story.says)]
    false = [one for one in findings if not any(_of(one, says) for says in pairs)]
    checks = [
        Check(
            "the review names both authors",
            [one["authors"] for one in ours] == [sorted(night.story.says)],
            " and ".join(name for one in ours for name in one["authors"]) or "nobody",
        ),
        Check(
            "and raises no false alarm",
            bool(ours) and not false,
            f"{len(false)} in {found['coverage']['pairs']:,} pairs",
        ),
        Check(
            "the finding reached every replica",
            bool(findings) and equal({name: answer.value for name, answer in answers.items()}),
            f"{sum(bool(answer.value) for answer in answers.values())} of {len(AGENTS)}",
        ),
    ]
    lines = [f"{one['tier']}, {one['kind']}: {one['says']}" for one in findings]
    if night.llm:
        checks.append(_asked(found))
    return Shown(tuple(checks), lines=(*lines, *found["cost"]["failures"]), figures=found)


def _of(finding: dict[str, Any], says: dict[str, str]) -> bool:
    """Whether a finding is about these statements."""
    return all(text in finding["says"] for text in says.values())


def _asked(found: dict[str, Any]) -> Check:
    """Whether the model has answered what the review without it could not settle."""
    cost = found["cost"]
    return Check(
        f"{found['judges'][-1]} answered",
        cost["calls"] > 0 and not cost["failures"],
        f"{cost['calls']} asked, {cost['tokens']:,} tokens",
    )


async def retract(night: Night) -> Shown:
    """The source of the figure is taken back."""
    crew, churn = night.crew, night.story.churn
    before = await crew.all_do("tainted")
    told = await crew.do("reviewer", "retract", entry=night.notes["source"], why="it is last year's file")
    answers = await crew.all_do("tainted", after=[told.version])
    marked = {name: answer.value for name, answer in answers.items()}
    wanted = [churn, f"Churn was {churn} in March."]
    right = sum(found == wanted for found in marked.values())
    return Shown(
        checks=(
            Check(
                "nothing was marked before",
                not any(one.value for one in before.values()),
                f"{sum(bool(one.value) for one in before.values())} of {len(AGENTS)}",
            ),
            Check(
                "now the figure and its sentence in the brief are, on every replica",
                right == len(AGENTS),
                f"{right} of {len(AGENTS)}",
            ),
            Check(
                "the other sentence is not",
                not any(OTHER in found for found in marked.values()),
                f"{sum(OTHER in found for found in marked.values())} of {len(AGENTS)}",
            ),
        ),
        lines=(*(f"marked: {text}" for text in marked["web"]), f"not marked: {OTHER}"),
        figures={"marked": marked},
    )


async def phantom(night: Night) -> Shown:
    """A report is held against the memory that it was written from."""
    wrong, churn = night.story.phantom, night.story.churn
    told = await night.crew.do(
        "synth",
        "cite",
        text=f"Churn was {churn} in March [{{id}}]. Without the outage it would have been {wrong}.",
        entry=night.notes["figure"],
    )
    found = told.value
    statuses = [status for _, status in found["citations"]]
    return Shown(
        checks=(
            Check(
                "the figure that nobody wrote is named, and no other",
                found["phantoms"] == [wrong],
                ", ".join(found["phantoms"]),
            ),
            Check("the one it cites is known to be in doubt", statuses == ["tainted"], ", ".join(statuses)),
        ),
        lines=(f"The report: {found['text']}",),
        figures=found,
    )


WHO = Beat(
    "who",
    "Who wrote {churn}?",
    "web wrote a figure, docs put another in its place; reviewer, who wrote neither, asks.",
    who,
)
DISAGREE = Beat(
    "disagree",
    "Two agents disagree",
    "web and docs each add a fact; nothing is lost, every replica is equal, and one of the two is wrong.",
    disagree,
)
RETRACT = Beat(
    "retract", "A source is taken back", f"reviewer retracts {SOURCE}, on which the {{churn}} rests.", retract
)
PHANTOM = Beat(
    "phantom", "A figure from nowhere", "synth drafts a report with a figure that no agent ever wrote.", phantom
)
