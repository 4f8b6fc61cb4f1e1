"""A model provider on this machine: it speaks the wire formats of Anthropic and OpenAI, and plays a script.

A script is a list of turns. A turn is a text, or a list of calls as (tool, arguments), or a function from the results
of the calls before it to one of these. The last request that came is kept, and what does not fit is refused as the
real ones refuse it: a result for a call that was not made, or none for one that was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Calls = list[tuple[str, Any]]
Turn = str | Calls | Callable[[list[str]], str | Calls]


class Provider:
    """One provider and its script."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self._turns = turns
        self._threads: dict[str, dict[str, Any]] = {}  # what a client that names a message before need not say again

    def answer(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """What it says to a request."""
        self.requests.append(request)
        anthropic = path.split("?")[0] == "/v1/messages"
        before = self._threads.get(request.get("thread", {}).get("previous_message_id"), {"messages": []})
        request = {**before, **request, "messages": [*before["messages"], *request["messages"]]}
        messages = request["messages"]
        number = sum(message["role"] == "assistant" for message in messages)
        results = _anthropic_results(messages) if anthropic else _openai_results(messages)
        turn = self._turns[min(number, len(self._turns) - 1)]
        said = turn(results) if callable(turn) else turn
        known = {tool["name"] if anthropic else tool["function"]["name"] for tool in request.get("tools", ())}
        assert isinstance(said, str) or {name for name, _ in said} <= known | {"unknown"}, f"not among {known}: {said}"
        reply = (_anthropic if anthropic else _openai)(said, number)
        if anthropic:
            shown = [*messages, {"role": "assistant", "content": reply["content"]}]
            self._threads[reply["id"]] = {**request, "messages": shown}
        return reply


@contextmanager
def provider(turns: Sequence[Turn]) -> Iterator[Provider]:
    """A provider that runs while the block lasts."""
    made = Provider(turns)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                status, body = 200, made.answer(self.path, request)
            except AssertionError as error:
                status, body = 400, {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)}}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _anthropic_results(messages: list[dict[str, Any]]) -> list[str]:
    if len(messages) < 2 or messages[-2]["role"] != "assistant":
        return []
    calls = [block["id"] for block in messages[-2]["content"] if block["type"] == "tool_use"]
    results = [block for block in messages[-1]["content"] if block["type"] == "tool_result"]
    assert [block["tool_use_id"] for block in results] == calls, "each tool_use needs a tool_result"
    return [block["content"] if isinstance(block["content"], str) else block["content"][0]["text"] for block in results]


def _openai_results(messages: list[dict[str, Any]]) -> list[str]:
    last = max((place for place, one in enumerate(messages) if one["role"] == "assistant"), default=None)
    if last is None:
        return []
    calls = [call["id"] for call in messages[last].get("tool_calls") or ()]
    results = [message for message in messages[last + 1 :] if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in results] == calls, "each tool call needs a message of its tool"
    return [message["content"] for message in results]


def _anthropic(said: str | Calls, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said}] if isinstance(said, str) else []
    if not isinstance(said, str):
        content = [
            {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": name, "input": arguments}
            for place, (name, arguments) in enumerate(said)
        ]
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "local",
        "content": content,
        "stop_reason": "end_turn" if isinstance(said, str) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _openai(said: str | Calls, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said if isinstance(said, str) else None}
    if not isinstance(said, str):
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{place}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
            for place, (name, arguments) in enumerate(said)
        ]
    reason = "stop" if isinstance(said, str) else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"id": f"c{number}", "object": "chat.completion", "created": 1, "model": "local", "choices": [choice]}
