"""What a tool is: a name, what it takes, and what it does with it. Arguments are checked before it is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import mcp_types as types

from crdtmem import CrdtmemError
from crdtmem.adapters.arguments import checked

DRAFT = "http://json-schema.org/draft-07/schema#"


class Tool(NamedTuple):
    """One tool.

    Args:
        name: as models call it.
        title: as people read it.
        description: for models.
        input: the JSON schema of its arguments.
        takes: the same as a type, which arguments are converted to.
        run: does it for a desk; gives a text, or what is shown as JSON.
        output: the JSON schema of what it shows beside the text.
        wraps: under which key a result that is a list is shown there.
        reads: whether it changes nothing.
        destroys: whether it takes something away.
        again: whether doing it twice is as doing it once.
        slow: whether others should not wait for it; then it is done in a thread.
    """

    name: str
    title: str
    description: str
    input: dict[str, Any]
    takes: Any
    run: Callable[..., Any]
    output: dict[str, Any] | None = None
    wraps: str | None = None
    reads: bool = False
    destroys: bool = False
    again: bool = False
    slow: bool = False

    def shown(self) -> types.Tool:
        """As `tools/list` shows it."""
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input,
            output_schema=self.output,
            annotations=types.ToolAnnotations(
                read_only_hint=self.reads,
                destructive_hint=self.destroys,
                idempotent_hint=self.again,
                open_world_hint=False,
            ),
        )

    def call(self, desk: Any, arguments: dict[str, Any] | None) -> types.CallToolResult:
        """Do it; what is wrong is said to the model, as a result."""
        try:
            result = self.run(desk, checked(self.takes, arguments or {}))
        except CrdtmemError as error:
            return refusal(str(error))
        if isinstance(result, str):
            return types.CallToolResult(content=[types.TextContent(text=result)])
        text = result["message"] if "message" in result else json.dumps(result, indent=2, ensure_ascii=False)
        return types.CallToolResult(
            content=[types.TextContent(text=text)],
            structured_content={self.wraps: result} if self.wraps else result,
        )


def refusal(text: str) -> types.CallToolResult:
    """A result that says what went wrong."""
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def obj(properties: dict[str, Any], *, closed: bool = False) -> dict[str, Any]:
    """The schema of an object all of whose properties are needed."""
    shown = {"type": "object", "properties": properties}
    if properties:
        shown["required"] = list(properties)
    return {**shown, "additionalProperties": False} if closed else shown


def array(items: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def text(description: str | None = None) -> dict[str, Any]:
    """The schema of a text."""
    return {"type": "string"} | ({"description": description} if description else {})
