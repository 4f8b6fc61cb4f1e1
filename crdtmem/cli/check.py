"""`crdtmem check`: what of a memory contradicts itself in meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crdtmem import Memory, MisuseError
from crdtmem.cli import frame, out
from crdtmem.cli.frame import File, Json, Which
from crdtmem.mark import mark

if TYPE_CHECKING:
    from crdtmem.coherence import Judge, Report


def check(
    file: File,
    *,
    which: Which = None,
    field: Annotated[list[str], typer.Option("--field", "-f", help="only this one; again for more")] = [],  # noqa: B006
    llm: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="ask one: anthropic:MODEL, openai:MODEL, or openai:MODEL@URL", show_default=False
        ),
    ] = None,
    calls: Annotated[int | None, typer.Option(min=0, help="ask it so often at most", show_default=False)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="what is only suspected counts as found")] = False,
    save: Annotated[bool, typer.Option("--file", help="write the findings into the memory")] = False,
    agent: Annotated[str, typer.Option("--as", metavar="NAME", help="who files them")] = "reviewer",
    as_json: Json = False,
) -> None:
    """Look for entries that cannot all hold: conflicts, and contradictions in meaning. Without --llm no model is asked.

    Exits with 0 if none was found, 1 if one was that is certain and open, 3 if not everything could be looked at.

    Example: `crdtmem check researcher.db --llm openai:qwen3@http://127.0.0.1:11434/v1`
    """
    judge = None if llm is None else _judge(llm)
    with frame.owned(file, which, agent=agent, role=None) if save else frame.opened(file, which) as memory:
        report = _reviewed(memory, judge, field, calls)
        filed = len(report.file()) if save else 0
        if as_json:
            out.emit(report.data() | ({"filed": filed} if save else {}))
        else:
            _show(report)
            if save:
                out.say(f"{filed} filed")
    found = report.coherent is False or (strict and any(one.status != "resolved" for one in report.findings))
    raise typer.Exit(1 if found else 3 if report.coherent is None else 0)


def _reviewed(memory: Memory, judge: Judge | None, field: list[str], calls: int | None) -> Report:
    from crdtmem.coherence import Budget, review

    return review(memory, judge, fields=field or None, budget=None if calls is None else Budget(calls=calls))


def _show(report: Report) -> None:
    head, *_ = str(report).splitlines()
    out.say(out.Cell(head, "red" if report.coherent is False else "yellow" if report.coherent is None else "green"))
    for one in report.findings:
        style = "dim" if one.status == "resolved" else "red" if one.tier == "certain" else "yellow"
        out.say(out.Cell(f"{one.tier} {one.kind}, {one.status}", style), out.Cell(f"  {one.id[:8]}", "dim"))
        out.say(out.line(one.says, 600), indent=2)
        out.say(out.Cell("entries: " + " ".join(map(mark, one.entries)), "dim"), indent=2)
    for failure in dict.fromkeys(report.cost.failures):
        out.say(out.Cell("the model failed", "yellow"), f"  {out.line(failure, 400)}")
    if report.coverage.unasked and not report.cost.failures:
        out.say(out.Cell("the model was asked as often as it may be; --calls says how often", "yellow"))


def _judge(text: str) -> Judge:
    """The judge that `--llm` names."""
    kind, _, rest = text.partition(":")
    model, _, url = rest.partition("@")
    if kind not in ("anthropic", "openai") or not model:
        raise MisuseError(
            f"--llm {text[:60]!r}: anthropic:MODEL, openai:MODEL, or openai:MODEL@URL for a server of yours"
        )
    try:
        if kind == "anthropic":
            from crdtmem.coherence.judges.anthropic import AnthropicJudge

            return AnthropicJudge(model, base_url=url or None)
        from crdtmem.coherence.judges.openai import OpenAIJudge

        return OpenAIJudge(model, base_url=url or None)
    except ModuleNotFoundError as error:
        raise MisuseError(f"--llm {kind} needs one more package: pip install 'crdtmem[{kind}]' ({error})") from None
    except Exception as error:  # of the SDK, which finds no key, for one
        raise MisuseError(f"--llm {text[:60]!r}: {error}") from None
