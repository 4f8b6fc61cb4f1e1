"""Those who read from a server: many in one process, with nothing behind them. They count what reaches them.

Ours speak the protocol of crdtmem through a Session and say that they know all there is; those of the others speak as
much of the y-protocol as makes their server send to them.
"""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.apart import PATIENCE, told
from benchmarks.wire import Many, Wire
from crdtmem import Namespace
from crdtmem.sync.frames import Changes, Frame, Open, Same, decode, labels_of
from crdtmem.sync.session import Heard, Session, Welcomed

STEP_1, STEP_2, UPDATE = (
    b"\0\0",
    b"\0\1",
    b"\0\2",
)  # the kinds of a sync message: what I have, what you lack, what is new
STEP_1_IN_ANSWER = b"\4\0"  # of hocuspocus


class Reader:
    """One of ours: let in, and told of what is new in one namespace."""

    def __init__(self, url: str, namespace: Namespace) -> None:
        self.wire = Wire(url)
        self.session = Session(os.urandom(16), "reader", dials=True, now=time.monotonic())
        self._labels = labels_of(namespace)
        self._shared = namespace.digest
        self.settled = False

    def greet(self) -> None:
        """Say Hello."""
        self.say()

    def say(self, *frames: Frame) -> None:
        """Send frames, and what the session has to say by itself."""
        for frame in frames:
            self.session.send(frame)
        for data in self.session.data_to_send():
            self.wire.send(data)

    def wait(self) -> None:
        """Until what is new comes here. That Open that says what is held there is answered: the same."""
        for data in self.wire.messages():
            self.heard(data)
            if self.settled:
                return

    def heard(self, data: bytes) -> None:
        """Anything but changes."""
        for event in self.session.receive(data):
            if type(event) is Welcomed:
                self.say(Open(0, self._labels, bytes(16)))
            elif type(event) is Heard and event.namespace == self._shared and type(event.frame) is Open:
                self.settled = True
                self.say(Same(0, event.frame.version))
        self.say()
        if self.session.ended:
            raise ConnectionError(str(self.session.ended))


def records_in(data: bytes) -> list[bytes]:
    """The changes in a message, if it holds any."""
    if data[:2] != b"\x93\x05":  # an array of three, the first of which is 5: Changes
        return []
    frame = decode(data)
    assert type(frame) is Changes
    return frame.records


class Dialect(NamedTuple):
    """How a server of theirs wants to be spoken to: what is said first, and what goes before each message."""

    first: bytes = b""
    before: bytes = b""


PLAIN = Dialect()
_ROOM = b"\4room"
HOCUSPOCUS = Dialect(_ROOM + b"\2\0\0", _ROOM)  # an empty token; each message names its document


class YReader:
    """One of theirs."""

    def __init__(self, url: str, dialect: Dialect = PLAIN) -> None:
        self.wire = Wire(url)
        self.dialect = dialect

    def greet(self) -> None:
        """Say what is here: nothing."""
        if self.dialect.first:
            self.wire.send(self.dialect.first)
        self.say(STEP_1 + b"\1\0")

    def say(self, message: bytes) -> None:
        """Send a message."""
        self.wire.send(self.dialect.before + message)

    def wait(self) -> bytes:
        """Until the server has answered with what it has, and is told that nothing else is here; its answer."""
        for data in self.wire.messages():
            message = data.removeprefix(self.dialect.before)
            if message[:2] in (STEP_1, STEP_1_IN_ANSWER):
                self.say(STEP_2 + b"\2\0\0")
            if message[:2] == STEP_2:
                return message
        raise AssertionError("messages() ends with an error")

    def close(self) -> None:
        """Hang up."""
        self.wire.close()


def readers(end: Connection, url: str, speech: Namespace | Dialect, count: int) -> None:
    """A crowd; told how many changes to wait for, it says how many have come, in how many messages.

    Args:
        end: of the pipe.
        url: of the server.
        speech: a namespace on a server of ours, a dialect on one of theirs.
        count: how many they are.
    """
    crowd = [_reader(url, speech) for _ in range(count)]
    for reader in crowd:
        reader.greet()
    for reader in crowd:
        reader.wait()
    many, who = Many(reader.wire for reader in crowd), {one.wire: one for one in crowd if isinstance(one, Reader)}
    end.send("ready")
    wanted = told(end)
    end.send(
        _ours(many, who, wanted) if isinstance(speech, Namespace) else _theirs(many, speech.before + UPDATE, wanted)
    )
    told(end)


def _reader(url: str, speech: Namespace | Dialect) -> Reader | YReader:
    return Reader(url, speech) if isinstance(speech, Namespace) else YReader(url, speech)


def _ours(many: Many, who: dict[Wire, Reader], wanted: int) -> tuple[int, int]:
    counted = heard = 0
    for wire, messages in many.arriving(time.monotonic() + PATIENCE):
        for data in messages:
            if records := records_in(data):
                counted += len(records)
                heard += 1
            else:
                who[wire].heard(data)
        if counted >= wanted:
            break
    return counted, heard


def _theirs(many: Many, update: bytes, wanted: int) -> tuple[int, int]:
    counted = 0
    for _, messages in many.arriving(time.monotonic() + PATIENCE):
        counted += sum([data.startswith(update) for data in messages])
        if counted >= wanted:
            break
    return counted, counted
