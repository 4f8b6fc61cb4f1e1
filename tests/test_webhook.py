"""A webhook tells once what is to be told, tries again what may yet succeed, and waits for nobody for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crdtmem import MisuseError
from crdtmem.adapters.webhook import Webhook, WebhookFailed
from crdtmem.doctor import examine
from tests.crew import Time, crew, tell


class Listener:
    """A server that answers with these codes, one after the other, and keeps what it is told."""

    def __init__(self, *codes: int) -> None:
        self.told: list[Any] = []
        left = list(codes)
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.told.append((self.path, self.headers["Content-Type"], json.loads(body)))
                code = left.pop(0) if left else 200
                self.send_response(code)
                if code in (301, 302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def listening(*codes: int) -> Iterator[Listener]:
    made = Listener(*codes)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def test_an_alert_arrives_as_one_post_of_json() -> None:
    ann, bob = crew("ann", "bob", time=Time())
    ann.register("r").assign(1)
    bob.register("r").assign(2)
    tell(bob, ann)
    with listening() as there:
        examine(ann, alert=Webhook(there.url + "/hook?x=1"))
        assert there.told == []
        health = examine(ann, alert=Webhook(there.url + "/hook?x=1"), conflicts=0)
        [(path, kind, told)] = there.told
    assert (path, kind) == ("/hook?x=1", "application/json")
    assert told["level"] == "warn" and told["version"] == str(health.version)
    assert [(one["subject"], one["level"], one["figure"]) for one in told["signs"]] == [("conflicts", "warn", 1)]


def test_what_a_server_cannot_do_just_now_is_tried_again() -> None:
    with listening(503, 429) as there:
        Webhook(there.url, pause=0).post({"n": 1})
        assert [told for _, _, told in there.told] == [{"n": 1}] * 3


@pytest.mark.parametrize("code", [400, 401, 404, 301, 307])
def test_what_it_refuses_is_not(code: int) -> None:
    with listening(code) as there:
        with pytest.raises(WebhookFailed, match=f":{there.server.server_port} was not told: it answered {code}"):
            Webhook(there.url + "/secret", pause=0).post({})
        assert len(there.told) == 1 and there.told[0][0] == "/secret"


def test_after_some_attempts_it_gives_up() -> None:
    with listening(500, 500, 500, 500) as there:
        with pytest.raises(WebhookFailed, match="it answered 500"):
            Webhook(there.url, pause=0, attempts=2).post({})
        assert len(there.told) == 2


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(WebhookFailed, match="Connection refused"):
            Webhook(f"http://127.0.0.1:{free.getsockname()[1]}/x", pause=0).post({})


@pytest.mark.parametrize("dribble", [b"", b"HTTP/1.1 200 OK\r\nX-", b"not http at all\r\n\r\n"])
def test_who_answers_slowly_or_never_or_nonsense_holds_nobody_up(dribble: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_: list[socket.socket] = []

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                open_.append(connection)
                if dribble:
                    connection.sendall(dribble)

        thread = threading.Thread(target=answer)
        thread.start()
        began = time.monotonic()
        with pytest.raises(WebhookFailed):
            Webhook(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1, pause=0, attempts=2).post({})
        assert time.monotonic() - began < 5
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in open_:
            connection.close()


@pytest.mark.parametrize("url", ["", "hooks.example", "ftp://hooks.example", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(MisuseError, match="an address as in"):
        Webhook(url)


def test_what_may_be_a_secret_is_not_printed() -> None:
    hook = Webhook("https://user:password@hooks.example/T0/secret?token=x")
    assert repr(hook) == "Webhook('https://hooks.example')"
