"""A judge that asks any server of the OpenAI chat API, through the `openai` package: `pip install 'crdtmem[openai]'`.

With `base_url` that is also Ollama, vLLM or llama.cpp on your own machine.
"""

from __future__ import annotations

import json
from typing import Any

from crdtmem.coherence.judge import Answer, Question, prompt
from crdtmem.extras import extra

with extra("openai"):
    from openai import BadRequestError, OpenAI


class OpenAIJudge:
    """A judge over chat completions, with a JSON schema where the server knows them, and without where it does not.

    Args:
        model: the name of the model.
        client: a client of your own; by default one that finds its key as the SDK does.
        base_url: a server of your own; then no key is needed.
        timeout: seconds for one request.
        retries: how often the SDK tries again, pausing longer each time, when it is told to wait or there is no answer.

    >>> OpenAIJudge("some-model", base_url="http://127.0.0.1:11434/v1").name
    'openai some-model'
    """

    def __init__(
        self,
        model: str,
        *,
        client: OpenAI | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
    ) -> None:
        self.name = f"openai {model}"
        self._model = model
        key = {"api_key": "none"} if base_url is not None else {}  # a local server asks for none, the SDK does
        self._client = client or OpenAI(base_url=base_url, timeout=timeout, max_retries=retries, **key)  # type: ignore[arg-type]
        self._schemas = True

    def __call__(self, asked: Question) -> Answer:
        """Ask the model; what is not an answer in the right form is no verdict."""
        try:
            told = self._create(asked)
        except BadRequestError:
            if not self._schemas:
                raise
            self._schemas = False  # a server that knows no schemas says so once
            told = self._create(asked)
        content = told.choices[0].message.content if told.choices else None
        tokens = told.usage.total_tokens if told.usage is not None else None
        return {"verdicts": _verdicts(content), "tokens": tokens}

    def _create(self, asked: Question) -> Any:
        schema = json.dumps(asked["schema"])
        system = asked["instructions"] + (
            "" if self._schemas else f"\nAnswer with JSON alone, of this schema: {schema}"
        )
        form: Any = {"name": "verdicts", "strict": True, "schema": asked["schema"]}
        more: Any = {"response_format": {"type": "json_schema", "json_schema": form}} if self._schemas else {}
        return self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": system}, {"role": "user", "content": prompt(asked)}],
            **more,
        )


def _verdicts(content: str | None) -> Any:
    """The verdicts in what a model wrote; some models put words around their JSON."""
    text = content or ""
    start, end = text.find("{"), text.rfind("}")
    try:
        told = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    return told.get("verdicts") if isinstance(told, dict) else None
