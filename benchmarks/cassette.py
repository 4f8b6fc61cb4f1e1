"""A judge on tape: answers are recorded as they come, and played back when the same is asked again."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path
from typing import Any

from crdtmem.coherence.judge import Answer, Judge, Question, name_of, prompt, retried


class Cassette:
    """A judge that plays back what another has said; without that one it has nothing to say to what is new.

    Args:
        path: the tape, JSON lines.
        judge: asked what is not on the tape.
    """

    def __init__(self, path: str | Path, judge: Judge | None = None) -> None:
        self._path = Path(path)
        self._judge = None if judge is None else retried(judge)
        self.name = "tape" if judge is None else name_of(judge)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self._known: dict[str, Any] = {told["asked"]: told["answer"] for told in map(json.loads, lines) if told}

    def __call__(self, asked: Question) -> Answer | Awaitable[Answer]:
        """Answer from the tape, or ask and record."""
        key = sha256((self.name + prompt(asked)).encode()).hexdigest()
        if key not in self._known:
            if self._judge is None:
                raise LookupError("this question is not on the tape, and no judge is given")
            answer = dict(self._judge(asked))  # type: ignore[arg-type]
            with self._path.open("a") as tape:
                tape.write(json.dumps({"asked": key, "answer": answer}) + "\n")
            self._known[key] = answer
        return self._known[key]  # type: ignore[no-any-return]
