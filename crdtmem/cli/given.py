"""What is typed on a command line, read: values, moments, spans of time. What cannot be read is refused in words."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crdtmem.change import Version
from crdtmem.errors import BadBytes, MisuseError, ValueRefused

if TYPE_CHECKING:
    from ssl import SSLContext

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST = 1 << 20  # of characters on standard input: no change may be larger


def typed(text: str) -> str:
    """A text as it was typed; `-` stands for what comes on standard input.

    >>> typed("done")
    'done'
    """
    if text != "-":
        return text
    found = sys.stdin.buffer.read(_MOST + 1)
    if len(found) > _MOST:
        raise ValueRefused(f"more than {_MOST} bytes on standard input; no change may be larger")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise ValueRefused(f"standard input is not UTF-8: {error}") from None


def value(text: str, *, as_json: bool) -> Any:
    """A value: text, or JSON. Of standard input the newline at its end is no part of a text.

    >>> value("4.7", as_json=False), value("4.7", as_json=True)
    ('4.7', 4.7)
    """
    found = typed(text)
    if not as_json:
        return found.removesuffix("\n") if text == "-" else found
    try:
        return json.loads(found)
    except (ValueError, RecursionError) as error:
        raise ValueRefused(f"{found[:40]!r} is not valid JSON: {error}; without --json-value it is a text") from None


def seconds(text: str) -> float:
    """A span of time.

    >>> seconds("90s"), seconds("2h")
    (90.0, 7200.0)
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise MisuseError(f"{text[:40]!r}: a span of time is a number with s, m, h, d or w, as in 90s or 2h")
    return float(found[1]) * _UNITS[found[2]]


def moment(text: str, now: float) -> datetime:
    """A moment: a date, a date and time, a time of today, or how long ago. What names no zone is UTC, as all output.

    >>> moment("2026-03-14T03:00", 0), moment("1h", 7200).hour, moment("00:30", 7200).minute
    (datetime.datetime(2026, 3, 14, 3, 0, tzinfo=datetime.timezone.utc), 1, 30)
    """
    here = datetime.fromtimestamp(now, UTC)
    try:
        if _SPAN.fullmatch(text):
            return here - timedelta(seconds=seconds(text))
        if ":" in text[:3]:
            clock = time.fromisoformat(text)
            return datetime.combine(here.date(), clock, clock.tzinfo or UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise MisuseError(
            f"{text[:40]!r}: a moment is like 2026-03-14, 2026-03-14T03:00, 03:00 (today, UTC), or 90m (ago)"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def when(text: str | None, now: float) -> datetime | Version | None:
    """A moment, or a version by its token; None stays None.

    >>> when(None, 0)
    """
    if text is None:
        return None
    try:
        return moment(text, now)
    except MisuseError as error:
        try:
            return Version.parse(text)
        except BadBytes:
            raise MisuseError(f"{error}; or it is a version, as `crdtmem status` prints it") from None


def to_listen(certificate: Path | None, key: Path | None) -> SSLContext | None:
    """What secures connections to who listens."""
    if certificate is None:
        if key is not None:
            raise MisuseError("--key is of no use by itself: name the certificate it belongs to with --certificate")
        return None
    import ssl

    for path in filter(None, (certificate, key)):
        path.open("rb").close()  # ssl does not say which it cannot read
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(certificate, key)
    except ssl.SSLError:
        where = "" if key is None else f" --key {key}"
        raise MisuseError(
            f"--certificate {certificate}{where}: this is no certificate, in PEM, and the private key that belongs to "
            "it; a key in a file of its own is named with --key"
        ) from None
    return made
