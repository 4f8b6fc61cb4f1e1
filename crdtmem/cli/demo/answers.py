"""The beats that ask the memory: who wrote it, does it agree with itself, what falls with a source, who made it up."""

from __future__ import annotations

import asyncio

from crdtmem.cli.demo.crew import Told
from crdtmem.cli.demo.scene import Beat, Check, Night, Shown, equal
from crdtmem.cli.demo.script import AGENTS, KEY

SOURCE = "crm-export.csv"
OTHER = "The outage hit the smallest accounts first."


async def who(night: Night) -> Shown:
    """A figure is written, and corrected by another agent; a third one asks."""
    crew, told = night.crew, night.story
    rumour = await crew.do(
        "web",
        "write",
        kind="records",
        field="figures",
        call="put",
        args=[KEY, told.rumour],
        about={"why": "a post in a forum"},
    )
    source = await crew.do(
        "docs", "write", kind="set", field="sources", call="add", args=[SOURCE], about={"source": "import"}
    )
    figure = await crew.do(
        "docs",
        "write",
        after=[rumour.version],
        kind="records",
        field="figures",
        call="put",
        args=[KEY, told.churn],
        about={"why": f"row 14 of {SOURCE}", "because": [source.value], "confidence": 0.9},
    )
    brief = await _brief(night, figure)
    night.notes.update(source=source.value, figure=figure.value, seen=brief.version)
    answers = await crew.all_do("timeline", after=[brief.version], field="figures")
    asked = answers["reviewer"].value
    last = asked[-1] if asked else {}
    return Shown(
        checks=(
            Check(
                "the answer names the author and the reason",
                (last.get("by"), last.get("value"), last.get("why")) == ("docs", told.churn, f"row 14 of {SOURCE}"),
                last.get("by", "nobody"),
            ),
            Check(
                "every replica tells the same",
                equal({name: answer.value for name, answer in answers.items()}),
                f"{len(answers)} timelines, {len(asked)} events",
            ),
        ),
        table=(("when", "who", KEY, "why"), *((e["when"], e["by"], e["value"], e["why"]) for e in asked)),
        figures={"question": told.churn, "timeline": asked},
    )


async def _brief(night: Night, figure: Told) -> Told:
    """Two sentences, of which the first rests on the figure."""
    first = await night.crew.do(
        "synth",
        "write",
        after=[figure.version],
        kind="text",
        field="brief",
        call="append",
        args=[f"Churn was {night.story.churn} in March.\n"],
        about={"because": [figure.value]},
    )
    return await night.crew.do(
        "synth",
        "write",
        after=[first.version],
        kind="text",
        field="brief",
        call="append",
        args=[OTHER],
        about={"why": "the findings agree"},
    )


async def disagree(night: Night) -> Shown:
    """Two agents write what cannot both be true; the reviewer finds it, and tells everybody."""
    crew, says = night.crew, night.story.says
    wrote = await asyncio.gather(
        *[
            crew.do(name, "write", kind="set", field="facts", call="add", args=[text], about={})
            for name, text in says.items()
        ]
    )
    told = await crew.do("reviewer", "find", after=[one.version for one in wrote], llm=night.llm)
    found, findings = told.value, told.value["findings"]
    answers = await crew.all_do("filed", after=[told.version])
    certain = [one for one in findings if one["tier"] == "certain"]
    named = [one["authors"] for one in certain]
    checks = [
        Check("the review names both authors", named == [sorted(says)], " and ".join(named[0]) if named else "nobody"),
        Check(
            "and raises no false alarm",
            len(findings) == len(certain) == 1,
            f"{len(findings)} finding in {found['coverage']['pairs']:,} pairs",
        ),
        Check(
            "the finding reached every replica",
            bool(findings) and equal({name: answer.value for name, answer in answers.items()}),
            f"{sum(bool(answer.value) for answer in answers.values())} of {len(AGENTS)}",
        ),
    ]
    lines = [f"{one['tier']}, {one['kind']}: {one['says']}" for one in findings]
    if night.llm:
        cost = found["cost"]
        checks.append(
            Check(
                f"{found['judges'][-1]} answered",
                cost["calls"] > 0 and not cost["failures"],
                f"{cost['calls']} questions, {cost['tokens']:,} tokens",
            )
        )
        lines += [f"the model failed: {failure}" for failure in cost["failures"][:1]]
    return Shown(tuple(checks), lines=tuple(lines), figures=found)


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
