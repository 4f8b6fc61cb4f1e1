"""Rows in Redis, through redis-py: WATCH, GET, then MULTI, SET, EXEC in one message; and what one command does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError, TimeoutError, WatchError
from redis.retry import Retry

from benchmarks.cas.tasks import BUDGET, COUNTER, LIST, NUMBERS, SET, SPEND, Spent, about, heading, line
from benchmarks.cas.ways import Unreachable

_PATIENCE = 5.0  # seconds for an answer
_BELOW = """
local text = redis.call('GET', KEYS[1])
local _, last = string.find(text, ARGV[1], 1, true)
redis.call('SET', KEYS[1], string.sub(text, 1, last) .. ARGV[2] .. string.sub(text, last + 1))
"""
_SPEND = """
if tonumber(redis.call('GET', KEYS[1])) < 1 then return 0 end
redis.call('DECR', KEYS[1])
return 1
"""


@contextmanager
def reaching() -> Iterator[None]:
    """What the driver raises when nobody is there, as what a way understands."""
    try:
        yield
    except (ConnectionError, TimeoutError, WatchError, OSError) as error:
        raise Unreachable from error


def _torn(error: WatchError) -> bool:
    """Whether the driver says so because the connection broke, and not because somebody else was first."""
    return isinstance(error.__context__, (ConnectionError, TimeoutError))


class RedisRows:
    """Rows in Redis, for `ways.Stored`; the structures that one command changes have names of their own."""

    def __init__(self, port: int) -> None:
        never = Retry(NoBackoff(), 0)  # the way tries again, and counts it
        self._redis: Any = Redis(
            "127.0.0.1",
            port,
            decode_responses=True,
            socket_timeout=_PATIENCE,
            retry=never,
            single_connection_client=True,
        )
        self._below, self._spend = self._redis.register_script(_BELOW), self._redis.register_script(_SPEND)
        self._watching: Pipeline[str] | None = None

    def make(self, kind: str, names: Sequence[str], text: str) -> None:
        """Values that are written whole, and what one command changes."""
        for name in names:
            self._redis.set(name, text)
            if kind in NUMBERS:
                self._redis.set(_alone(name), BUDGET if kind == SPEND else 0)

    def get(self, name: str) -> str:
        """The value alone."""
        with reaching():
            return str(self._redis.get(name))

    def read(self, name: str) -> tuple[str, Any]:
        """The value, watched from before it was read."""
        with reaching():
            self._unwatch()
            watching = self._watching = self._redis.pipeline()
            watching.watch(name)
            return watching.get(name), watching

    def swap(self, name: str, text: str, version: Any) -> bool:
        """Write if nobody else has meanwhile."""
        with reaching():
            version.multi()
            version.set(name, text)
            try:
                version.execute()
            except WatchError as error:
                if _torn(error):
                    raise
                return False
            return True

    def write(self, name: str, text: str) -> None:
        """Write, whatever is there."""
        with reaching():
            self._redis.set(name, text)

    def direct(self, kind: str, name: str, tag: str, who: str) -> None:
        """One command, or one script."""
        with reaching():
            if kind == LIST:
                self._redis.rpush(_alone(name), json.dumps({"value": line(tag), **about(who)}))
            elif kind == SET:
                self._redis.sadd(_alone(name), line(tag))
            elif kind == COUNTER:
                self._redis.incr(_alone(name))
            elif kind == SPEND:
                if not self._spend(keys=[_alone(name)]):
                    raise Spent
            else:  # the value is JSON, in which a line ends with a backslash and an n
                self._below(keys=[name], args=[f"{heading(tag)}\\n", f"{line(tag)}\\n"])

    def view(self, kind: str, names: Sequence[str], *, direct: bool) -> list[Any]:
        """The values of these names, in one message."""
        with reaching():
            self._unwatch()
            if direct and kind == LIST:
                return self._each(lambda pipe, name: pipe.lrange(name, 0, -1), names)
            if direct and kind == SET:
                return [sorted(found) for found in self._each(lambda pipe, name: pipe.smembers(name), names)]
            if direct and kind in NUMBERS:
                return [int(found) for found in self._redis.mget(map(_alone, names))]
            return [json.loads(found) for found in self._redis.mget(names)]

    def _each(self, ask: Callable[[Any, str], object], names: Sequence[str]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            ask(pipe, _alone(name))
        return list(pipe.execute())

    def _unwatch(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.reset()

    def again(self) -> None:
        """The driver connects when it is asked the next time."""
        with reaching():
            self._unwatch()
            self._redis.connection_pool.disconnect()

    def close(self) -> None:
        """Close it."""
        self._redis.close()


def _alone(name: str) -> str:
    return f"{name}/alone"


def connect(address: int, path: str, who: str, durability: str) -> RedisRows:
    """Connect to the server, whose durability is its own."""
    return RedisRows(address)
