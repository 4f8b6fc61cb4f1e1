"""A judge that asks a Claude model, through the `anthropic` package: `pip install 'crdtmem[anthropic]'`."""

from __future__ import annotations

from typing import Any

from crdtmem.coherence.judge import Answer, Question, prompt
from crdtmem.extras import extra

with extra("anthropic"):
    from anthropic import Anthropic

_TOOL = "record_verdicts"


class AnthropicJudge:
    """A judge over the Messages API. The model answers through a tool, so its answer is data.

    Args:
        model: the name of the model.
        client: a client of your own; by default one that finds its key as the SDK does.
        base_url: another place that speaks this API.
        timeout: seconds for one request.
        retries: how often the SDK tries again, pausing longer each time, when it is told to wait or there is no answer.
        max_tokens: of one answer.

    >>> AnthropicJudge("some-model", client=Anthropic(api_key="none")).name
    'anthropic some-model'
    """

    def __init__(
        self,
        model: str,
        *,
        client: Anthropic | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        max_tokens: int = 4096,
    ) -> None:
        self.name = f"anthropic {model}"
        self._model = model
        self._client = client or Anthropic(base_url=base_url, timeout=timeout, max_retries=retries)
        self._max_tokens = max_tokens

    def __call__(self, asked: Question) -> Answer:
        """Ask the model; what is not an answer in the right form is no verdict."""
        tool: Any = {
            "name": _TOOL,
            "description": "Record one verdict for each candidate.",
            "input_schema": asked["schema"],
        }
        told = self._client.messages.create(
            model=self._model,
            max_tokens=self._max_tokens,
            system=asked["instructions"],
            messages=[{"role": "user", "content": prompt(asked)}],
            tools=[tool],
            tool_choice={"type": "tool", "name": _TOOL},
        )
        given = next((block.input for block in told.content if block.type == "tool_use" and block.name == _TOOL), None)
        verdicts = given.get("verdicts") if isinstance(given, dict) else None
        usage = told.usage
        return {"verdicts": verdicts, "tokens": usage.input_tokens + usage.output_tokens}
