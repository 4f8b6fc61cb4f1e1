"""A webhook: what somebody should know, as one POST of JSON to an address. For the doctor's alerts, or anything else.

It never waits for ever: each attempt has a time of its own, all of them together another, and a server that answers
slowly, or never, holds nobody up beyond that. Redirects are not followed.
"""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from crdtmem.errors import CrdtmemError, MisuseError

if TYPE_CHECKING:
    from crdtmem.health import Health


class WebhookFailed(CrdtmemError, RuntimeError):
    """What was to be told did not arrive, or nobody said that it did.

    >>> issubclass(WebhookFailed, CrdtmemError)
    True
    """


class Webhook:
    """Tells whoever listens at an address: `examine(memory, alert=Webhook("https://..."))`.

    Args:
        url: http or https.
        timeout: seconds of one attempt.
        attempts: so many, when nobody answers, or the server says that it cannot just now.
        pause: seconds before the second attempt; twice as many before each further one.

    >>> Webhook("https://hooks.example/T0/B1")
    Webhook('https://hooks.example')
    """

    def __init__(self, url: str, *, timeout: float = 5.0, attempts: int = 3, pause: float = 0.5) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MisuseError(f"{url[:60]!r}: an address as in https://hooks.example/crdtmem")
        self._url = url
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # what is behind it may be a secret
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause

    def __call__(self, health: Health) -> None:
        """Post the signs that somebody should be told of.

        Raises:
            WebhookFailed: it did not arrive.
        """
        told = health.data()
        told["signs"] = [sign for sign in told["signs"] if sign["level"] in ("warn", "bad")]
        self.post(told)

    def post(self, told: dict[str, Any]) -> None:
        """Post an object.

        Raises:
            WebhookFailed: it did not arrive.
        """
        body = json.dumps(told).encode()
        pauses = self._pause * (2 ** (self._attempts - 1) - 1)
        outcome: list[str | None] = []
        work = threading.Thread(target=lambda: outcome.append(self._try(body)), name="crdtmem-webhook", daemon=True)
        work.start()
        work.join(self._attempts * self._timeout + pauses)
        trouble = outcome[0] if outcome else "no answer in time"
        if trouble is not None:
            raise WebhookFailed(f"{self._where} was not told: {trouble}")

    def _try(self, body: bytes) -> str | None:
        """Post it, several times if need be; why it failed, or None."""
        trouble = None
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            again, trouble = self._once(body)
            if not again:
                break
        return trouble

    def _once(self, body: bytes) -> tuple[bool, str | None]:
        """One attempt: whether another one may help, and why it failed, or None."""
        request = Request(self._url, body, {"Content-Type": "application/json", "User-Agent": "crdtmem"}, method="POST")
        try:
            with build_opener(_Stay).open(request, timeout=self._timeout):
                return False, None
        except HTTPError as error:
            error.close()
            return error.code >= 500 or error.code == 429, f"it answered {error.code}"
        except URLError as error:
            return True, str(error.reason)
        except (OSError, HTTPException, ValueError) as error:
            return True, f"{type(error).__name__}: {error}"

    def __repr__(self) -> str:
        return f"Webhook({self._where!r})"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """A redirected POST would be a GET of something else."""
