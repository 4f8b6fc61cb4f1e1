"""The tools for language models: what each does, and a whole loop with the SDKs of Anthropic and OpenAI."""

from __future__ import annotations

from itertools import count
from typing import Any

import jsonschema
import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from crdtmem import Memory, MisuseError, Replica, tools
from crdtmem.adapters.anthropic import MemoryTool
from crdtmem.adapters.citing import cite
from crdtmem.adapters.tools import TOOLS, Toolbox
from tests.provider import provider


def memory(agent: str = "ann") -> Memory:
    ticks = count(1_800_000_000)
    return Replica(agent, time=lambda: float(next(ticks))).open(tenant="acme")


@pytest.fixture
def toolbox() -> Toolbox:
    return tools(memory(), agent="researcher", role="analysis")


def mark(text: str) -> str:
    return text[text.index("[") + 1 : text.index("]")]


def told(toolbox: Toolbox, name: str, **arguments: Any) -> str:
    answer = toolbox.call(name, arguments)
    assert not answer.is_error, answer
    return answer.text


def refused(toolbox: Toolbox, name: str, **arguments: Any) -> str:
    answer = toolbox.call(name, arguments)
    assert answer.is_error, answer
    return answer.text


# -- what each does ----------------------------------------------------------------------------------


def test_a_fact_is_kept_with_its_author_reason_sources_and_confidence(toolbox: Toolbox) -> None:
    source = mark(told(toolbox, "remember", fact="churn.csv is of March", why="CRM export"))
    told(
        toolbox,
        "remember",
        fact="Churn is 4.7 %.",
        why="the export says so",
        because=[f"[{source}]"],
        confidence=0.8,
        tags=["churn"],
    )
    [entry] = toolbox.memory.set("notes").entries(tags="churn")
    assert (entry.by, entry.role, entry.why, entry.confidence) == ("researcher", "analysis", "the export says so", 0.8)
    assert [cite(cause) for cause in entry.because] == [source]
    [line] = told(toolbox, "recall", query="churn", tags=["churn"]).splitlines()
    assert line.startswith(f"[{cite(entry)}] ") and "confidence 0.8" in line and 'why: "the export says so"' in line
    assert "it rests on: live" in told(toolbox, "who_said", entry=cite(entry))
    assert told(toolbox, "recall", query="nothing like it") == "Nothing found; try other words."
    assert told(toolbox, "recall", query="", by="nobody").startswith("Nothing found")


def test_what_somebody_said_already_keeps_its_author(toolbox: Toolbox) -> None:
    other = tools(toolbox.memory, agent="bob")
    told(other, "remember", fact="Churn is 4.7 %.")
    told(other, "remember", fact="R. Chen", key="acme.ceo")
    for key in (None, "acme.ceo"):
        fact = "Churn is 4.7 %." if key is None else "R. Chen"
        assert "known already" in (answer := told(toolbox, "remember", fact=fact, key=key)) and "- bob," in answer
    assert {entry.by for entry in toolbox.memory.set("notes").entries()} == {"bob"}


def test_a_key_that_holds_something_else_is_not_overwritten_but_revised(toolbox: Toolbox) -> None:
    old = mark(told(toolbox, "remember", fact="R. Chen", key="acme.ceo"))
    why_not = refused(toolbox, "remember", fact="S. Diaz", key="acme.ceo")
    assert "revise it" in why_not and f"[{old}]" in why_not
    new = mark(told(toolbox, "revise", entry=old, fact="S. Diaz", why="press release"))
    assert toolbox.memory.records("facts")["acme.ceo"] == "S. Diaz"
    gone = refused(toolbox, "revise", entry=old, fact="T. Egan", why="rumour")
    assert "does not stand any more" in gone and "superseded" in gone
    told(toolbox, "revise", entry=new, fact="T. Egan", why="it was true")


def test_a_note_and_a_register_are_revised_too_and_a_text_is_not(toolbox: Toolbox) -> None:
    note = mark(told(toolbox, "remember", fact="Churn is 3.1 %."))
    told(toolbox, "revise", entry=note, fact="Churn is 4.7 %.", why="corrected export", confidence=1)
    assert list(toolbox.memory.set("notes")) == ["Churn is 4.7 %."]
    assert [event.why for event in toolbox.memory.audit(text="3.1") if event.action == "removed"] == [
        "corrected export"
    ]
    status = toolbox.citations.of(toolbox.memory.register("status").assign("open"))
    told(toolbox, "revise", entry=status, fact="closed", why="done")
    assert toolbox.memory.register("status").value == "closed"
    step = toolbox.citations.of(toolbox.memory.sequence("plan").append("ask"))
    assert "not revised entry by entry" in refused(toolbox, "revise", entry=step, fact="wait", why="x")


def test_a_revision_leaves_standing_what_the_model_had_not_seen(toolbox: Toolbox) -> None:
    old = mark(told(toolbox, "remember", fact="R. Chen", key="acme.ceo"))
    told(toolbox, "recall", query="ceo")
    bob = tools(toolbox.memory, agent="bob")
    told(bob, "revise", entry=old, fact="S. Diaz", why="press release")
    late = toolbox.memory.records("facts").siblings("acme.ceo")
    assert [entry.by for entry in late] == ["bob"]
    answer = told(toolbox, "revise", entry=cite(late[0]), fact="T. Egan", why="heard so")
    assert "you had not seen" in answer and "S. Diaz" in answer
    assert [entry.value for entry in toolbox.memory.conflicts()[0].entries] == ["S. Diaz", "T. Egan"]
    told(toolbox, "what_changed")
    last = mark(answer)
    assert "Beside" not in told(toolbox, "revise", entry=last, fact="S. Diaz", why="bob is right")
    assert toolbox.memory.conflicts() == []


def test_what_rests_on_a_retracted_entry_is_named(toolbox: Toolbox) -> None:
    source = mark(told(toolbox, "remember", fact="churn.csv is of March"))
    heir = mark(told(toolbox, "remember", fact="Churn is 4.7 %.", because=[source]))
    answer = told(toolbox, "retract", entry=source, why="it is of May")
    assert f"[{heir}]" in answer and "TAINTED" in answer
    assert "TAINTED" in told(toolbox, "recall", query="churn")
    assert "retracted" in told(toolbox, "who_said", entry=source)


def test_what_is_told_of_one_entry_is_short(toolbox: Toolbox) -> None:
    source = mark(told(toolbox, "remember", fact="churn.csv is of March"))
    for number in range(60):
        told(toolbox, "remember", fact=f"figure {number}", because=[source])
    assert told(toolbox, "who_said", entry=source).endswith("\nand 21 lines more")
    assert told(toolbox, "retract", entry=source, why="it is of May").endswith("\nand 20 lines more")


def test_tools_are_called_outside_of_a_change(toolbox: Toolbox) -> None:
    with pytest.raises(MisuseError, match="outside of it"), toolbox.memory.change():
        toolbox.call("remember", {"fact": "x"})


def test_what_changed_is_what_others_did_since_one_asked(toolbox: Toolbox) -> None:
    told(toolbox, "remember", fact="mine")
    assert told(toolbox, "what_changed") == "Nobody else changed anything."
    bob = tools(toolbox.memory, agent="bob")
    theirs = mark(told(bob, "remember", fact="Bob's", why="seen"))
    assert told(toolbox, "what_changed").startswith(f"[{theirs}]")
    assert told(toolbox, "what_changed") == "Nobody else changed anything."
    for number in range(40):
        told(bob, "remember", fact=f"fact {number}")
    assert told(toolbox, "what_changed").startswith("(older changes are left out)\n")
    assert "fact 39" in told(toolbox, "what_changed", since="2020-01-01T00:00")
    assert told(toolbox, "what_changed", since=str(toolbox.memory.version)) == "Nobody else changed anything."
    assert refused(toolbox, "what_changed", since="yesterday")
    told(bob, "remember", fact="Bob's last")
    for number in range(300):
        toolbox.memory.set("notes").add(number)
    [line] = told(toolbox, "what_changed").splitlines()  # what it did itself crowds nobody out
    assert "Bob's last" in line


# -- what models get wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("forget", {}, "there is no tool 'forget'; there are remember, recall"),
        ("remember", {}, "missing required field `fact`"),
        ("remember", {"fact": ""}, "length >= 1"),
        ("remember", {"fact": 7}, "Expected `str`, got `int` - at `$.fact`"),
        ("remember", {"fact": "x", "fuct": 1}, "unknown field `fuct`"),
        ("remember", {"fact": "x", "confidence": 80}, "<= 1"),
        ("remember", {"fact": "x", "because": ["zzzzzzzzzz"]}, "no entry has the citation"),
        ("remember", {"fact": "x" * 300_000}, "262144"),
        ("remember", {"fact": "x", "key": "k" * 2000}, "1024"),
        ("remember", '{"fact": "x', "not valid JSON"),
        ("remember", "[" * 100_000, "not valid JSON"),
        ("remember", "x" * 2_000_000, "say less at a time"),
        ("remember", "[]", "Expected `object`, got `array`"),
        ("recall", {"query": "x", "limit": 1000}, "<= 30"),
        ("revise", {"entry": "?", "fact": "x", "why": "y"}, "no entry has the citation '?'"),
        ("retract", {"entry": "abcdefghij", "why": ""}, "length >= 1"),
        ("who_said", {"entry": ""}, "no entry has the citation ''"),
    ],
)
def test_errors_say_what_to_do(toolbox: Toolbox, name: str, arguments: Any, why: str) -> None:
    answer = toolbox.call(name, arguments)
    assert answer.is_error and why in answer.text and len(answer.text) < 500
    assert toolbox.memory.fields() == {}


def test_a_field_of_another_kind_is_told(toolbox: Toolbox) -> None:
    toolbox.memory.sequence("notes").append("x")
    assert "holds a sequence" in refused(toolbox, "remember", fact="x")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = ["fact", "key", "why", "because", "confidence", "tags", "query", "by", "limit", "entry", "since"]


@given(st.sampled_from([*TOOLS, "x"]), junk | st.dictionaries(st.sampled_from(names), junk) | st.text())
def test_whatever_a_model_gives_is_answered(name: str, arguments: Any) -> None:
    toolbox = tools(memory())
    toolbox.call("remember", {"fact": "something"})
    assert str(toolbox.call(name, arguments))


@given(st.text(min_size=1, max_size=400), st.text(max_size=100))
def test_what_agents_wrote_stays_in_its_line(fact: str, why: str) -> None:
    toolbox = tools(memory())
    if toolbox.call("remember", {"fact": fact, "why": why}).is_error:
        return  # a lone surrogate
    for text in (told(toolbox, "recall", query=""), told(tools(toolbox.memory, agent="bob"), "what_changed")):
        assert len(text.splitlines()) == 1 and text.startswith("[") and "\x1b" not in text and "\u202e" not in text


def test_the_schemas_are_schemas_and_what_they_allow_is_taken(toolbox: Toolbox) -> None:
    for shown, wrapped in zip(toolbox.anthropic, toolbox.openai, strict=True):
        assert wrapped["function"]["parameters"] == shown["input_schema"]
        jsonschema.Draft202012Validator.check_schema(shown["input_schema"])
        assert shown["input_schema"]["additionalProperties"] is False
    jsonschema.validate({"fact": "x", "because": []}, toolbox.anthropic[0]["input_schema"])


# -- whole loops -------------------------------------------------------------------------------------

SCRIPT: list[Any] = [
    [("remember", {"fact": "Churn is 3.1 %.", "why": "a guess"}), ("recall", {"query": "churn"})],
    lambda results: [
        ("revise", {"entry": mark(results[0]), "fact": "Churn is 4.7 %.", "why": "CRM export"}),
        ("unknown", {}),
    ],
    lambda results: [("who_said", {"entry": mark(results[0])}), ("retract", {"entry": "zzz", "why": "?"})],
    lambda results: f"Churn is 4.7 % [{mark(results[0])}]; {results[1][-60:]}",
]


def test_a_loop_with_the_sdk_of_anthropic(toolbox: Toolbox) -> None:
    with provider(SCRIPT) as local:
        client = Anthropic(base_url=local.url, api_key="none", max_retries=0)
        messages: list[Any] = [{"role": "user", "content": "What is our churn?"}]
        while True:
            reply = client.messages.create(model="local", max_tokens=99, messages=messages, tools=toolbox.anthropic)  # type: ignore[arg-type]
            messages.append({"role": "assistant", "content": reply.content})
            if reply.stop_reason != "tool_use":
                break
            results = toolbox.answer_anthropic(reply)
            for block in reply.content:
                if block.type == "tool_use" and block.name == "unknown":
                    results.append({"type": "tool_result", "tool_use_id": block.id, "content": "mine"})
            messages.append({"role": "user", "content": results})
        client.close()
    said = reply.content[0].text  # type: ignore[union-attr]
    [entry] = toolbox.memory.set("notes").entries()
    assert said.startswith(f"Churn is 4.7 % [{cite(entry)}]; ") and "in brackets" in said
    assert [block["is_error"] for block in messages[-2]["content"]] == [False, True]
    assert len(local.requests[0]["tools"]) == 6


def test_a_loop_with_the_sdk_of_openai(toolbox: Toolbox) -> None:
    with provider(SCRIPT) as local:
        client = OpenAI(base_url=f"{local.url}/v1", api_key="none", max_retries=0)
        messages: list[Any] = [{"role": "user", "content": "What is our churn?"}]
        while True:
            reply = client.chat.completions.create(model="local", messages=messages, tools=toolbox.openai)  # type: ignore[arg-type]
            message = reply.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                break
            messages += toolbox.answer_openai(message)
            for call in message.tool_calls:
                if call.function.name == "unknown":  # type: ignore[union-attr]
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": "mine"})
        client.close()
    [entry] = toolbox.memory.set("notes").entries()
    assert message.content is not None and message.content.startswith(f"Churn is 4.7 % [{cite(entry)}]; ")
    assert messages[-2]["content"].startswith("error: no entry has the citation")
    assert local.requests[0]["tools"] == toolbox.openai


def test_the_memory_tool_in_the_runner_of_the_sdk() -> None:
    tool = MemoryTool(memory("claude"))
    script = [
        [("memory", {"command": "create", "path": "/memories/likes.md", "file_text": "coffee\n"})],
        [("memory", {"command": "insert", "path": "/memories/likes.md", "insert_line": 1, "insert_text": "tea"})],
        [("memory", {"command": "view", "path": "/memories/../etc/passwd"})],
        lambda results: results[0],
    ]
    with provider(script) as local:
        client = Anthropic(base_url=local.url, api_key="none", max_retries=0)
        runner = client.beta.messages.tool_runner(
            model="local", max_tokens=99, messages=[{"role": "user", "content": "Remember that."}], tools=[tool]
        )
        last = runner.until_done()
        client.close()
    assert tool.files.read("/memories/likes.md") == "coffee\ntea\n"
    assert "would escape" in last.content[0].text  # type: ignore[union-attr]
