"""The model that the reviewer may ask: its name on the command line, and the judge over it."""

from __future__ import annotations

import os
from importlib.util import find_spec

from crdtmem.coherence.judge import Judge
from crdtmem.errors import MisuseError

MODELS = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}  # small ones: the questions are short
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}


def checked(llm: str) -> tuple[str, str]:
    """The provider and the model of a name such as "anthropic" or "openai:some-model".

    Raises:
        MisuseError: nobody of that name, or its package or its key is missing.

    >>> checked("oracle")
    Traceback (most recent call last):
    crdtmem.errors.MisuseError: --llm oracle: anthropic or openai, and maybe a model behind a colon
    """
    provider, _, model = llm.partition(":")
    if provider not in MODELS:
        raise MisuseError(f"--llm {llm}: anthropic or openai, and maybe a model behind a colon")
    if find_spec(provider) is None:
        raise MisuseError(f"--llm {provider} needs one more package: pip install 'crdtmem[{provider}]'")
    if not os.environ.get(KEYS[provider]):
        raise MisuseError(f"--llm {provider} needs a key: set {KEYS[provider]}, or leave --llm out")
    return provider, model or MODELS[provider]


def judge_of(llm: str) -> Judge:
    """The judge of that name."""
    provider, model = checked(llm)
    if provider == "anthropic":
        from crdtmem.coherence.judges.anthropic import AnthropicJudge

        return AnthropicJudge(model)
    from crdtmem.coherence.judges.openai import OpenAIJudge

    return OpenAIJudge(model)
