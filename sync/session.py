"""One connection, as a pure state machine: bytes in, events out, bytes to send. It never waits, applies or logs.

    dials:    GREETING (has said Hello) -- Welcome --> OPEN -- Bye, from either side --> ended
    listens:  NEW -- Hello --> GREETING -- welcome() --> OPEN

1. What the other side may not say now, or cannot have meant, ends the session with a Bye that tells why. It is never an
   exception, and never held against anybody but this connection.
2. A frame of a kind not known here is skipped; another major version is turned away with a reason.
3. Channels are the sender's: what they say of a channel they have not opened ends the session.
4. Time is handed in. Who says nothing for QUIET seconds is asked; who is silent for SILENT is given up.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from crdtmem.errors import NamespaceError
from crdtmem.namespace import Namespace
from crdtmem.sync.frames import (
    MAJOR,
    MAX_CHANNELS,
    MINOR,
    BadFrame,
    Bye,
    Frame,
    Hello,
    Open,
    Ping,
    Pong,
    Shut,
    Welcome,
    decode,
    encode,
    namespace_of,
)

QUIET = 5.0  # seconds
SILENT = 15.0


class Phase(Enum):
    """How far a session has come."""

    NEW = "new"
    GREETING = "greeting"
    OPEN = "open"


class Greeted(NamedTuple):
    """Somebody has dialled and said Hello: `welcome` or `end` answers."""

    hello: Hello


class Welcomed(NamedTuple):
    """The other side has let us in."""

    welcome: Welcome


class Heard(NamedTuple):
    """A frame about a namespace."""

    namespace: bytes  # its digest
    frame: Frame


Event = Greeted | Welcomed | Heard


class Ended(NamedTuple):
    """Why a session is over, in a word and a line, and whether they ended it."""

    code: str
    reason: str
    theirs: bool


class Session:
    """What is said on one connection.

    Args:
        peer: which peer this is.
        name: what it calls itself.
        dials: whether this side has dialled, and so speaks first.
        now: seconds, from any beginning.
        token: what lets it in.

    >>> ann = Session(bytes(16), "ann", dials=True, now=0)
    >>> bob = Session(bytes(15) + b"b", "bob", dials=False, now=0)
    >>> [greeted] = bob.receive(ann.data_to_send()[0])
    >>> greeted.hello.name
    'ann'
    >>> bob.welcome()
    >>> [welcomed] = ann.receive(bob.data_to_send()[0])
    >>> welcomed.welcome.name, ann.phase.value, bob.phase.value
    ('bob', 'open', 'open')
    """

    def __init__(self, peer: bytes, name: str, *, dials: bool, now: float, token: str | None = None) -> None:
        self.phase = Phase.NEW
        self.ended: Ended | None = None
        self.namespaces: dict[bytes, Namespace] = {}  # those that the other side shares, by digest
        self._peer = peer
        self._name = name[:300]
        self.dials = dials
        self._theirs: dict[int, bytes] = {}  # their channel -> the digest of a namespace
        self._out: list[bytes] = []
        self._heard = self._said = self._asked = now
        self._listened = self._spoke = False
        if dials:
            self.phase = Phase.GREETING
            self.send(Hello(MAJOR, MINOR, peer, self._name, token))

    # -- out ---------------------------------------------------------------------------------------

    def send(self, frame: Frame) -> None:
        """Have a frame sent; after the end nothing is."""
        self.forward(encode(frame))

    def forward(self, data: bytes) -> None:
        """Have a frame sent that has been encoded."""
        if self.ended is None:
            self._out.append(data)
            self._spoke = True

    def passes(self) -> bool:
        """Whether a frame may be written past this now, because nothing waits to be said before it; then it counts."""
        if self._out or self.ended is not None or self.phase is not Phase.OPEN:
            return False
        self._spoke = True
        return True

    def data_to_send(self) -> list[bytes]:
        """The frames to be sent now, each as one message."""
        if not self._out:
            return []
        out, self._out = self._out, []
        return out

    def welcome(self, token: str | None = None) -> None:
        """Let in whoever said Hello."""
        if self.phase is Phase.GREETING:
            self.phase = Phase.OPEN
            self.send(Welcome(MAJOR, MINOR, self._peer, self._name, token))

    def end(self, code: str, reason: str) -> None:
        """Say Bye; nothing is said or heard after it."""
        if self.ended is None:
            self.send(Bye(code[:40], reason[:300]))
            self.ended = Ended(code, reason, theirs=False)

    # -- in ----------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """Take in one message; what it means."""
        if self.ended is not None:
            return []
        self._listened = True
        try:
            frame = decode(data)
        except BadFrame as error:
            return self._over("bad frame", str(error))
        if frame is None:
            return [] if self.phase is Phase.OPEN else self._over("out of turn", "something new before the greeting")
        if type(frame) is Bye:
            self._out.clear()
            self.ended = Ended(frame.code, frame.reason, theirs=True)
            return []
        if self.phase is not Phase.OPEN:
            return self._greeted(frame)
        kind = type(frame)
        if kind is Ping:
            self.send(Pong())
            return []
        if kind is Pong:
            return []
        if kind is Open or kind is Shut:
            return self._labelled(frame)  # type: ignore[arg-type]
        if kind is Hello or kind is Welcome:
            return self._over("out of turn", "a greeting in the middle of a connection")
        channel = frame.channel  # type: ignore[union-attr]
        namespace = self._theirs.get(channel)
        if namespace is None:
            return self._over("out of turn", f"channel {channel} has not been opened")
        return [Heard(namespace, frame)]

    def _greeted(self, frame: Frame) -> list[Event]:
        if self.phase is Phase.NEW and type(frame) is Hello:
            self.phase = Phase.GREETING
            if frame.major != MAJOR:
                older, newer = sorted((frame.major, MAJOR))
                return self._over("version", f"one speaks protocol {older}, the other {newer}: upgrade the older"[:300])
            if frame.peer == self._peer:
                return self._over("oneself", "a peer has dialled itself")
            return [Greeted(frame)]
        if self.phase is Phase.GREETING and type(frame) is Welcome and self.dials:
            if frame.peer == self._peer:
                return self._over("oneself", "a peer has dialled itself")
            self.phase = Phase.OPEN
            return [Welcomed(frame)]
        return self._over("out of turn", f"{type(frame).__name__} before the greeting")

    def _over(self, code: str, reason: str) -> list[Event]:
        self.end(code, reason)
        return []

    def _labelled(self, frame: Open | Shut) -> list[Event]:
        try:
            namespace = namespace_of(frame.labels)
        except NamespaceError as error:
            return self._over("bad frame", f"no namespace: {error}")
        digest = namespace.digest
        if isinstance(frame, Shut):
            return [Heard(digest, frame)]
        if self._theirs.get(frame.channel, digest) != digest:
            return self._over("out of turn", f"channel {frame.channel} already stands for another namespace")
        if digest in self.namespaces and self._theirs.get(frame.channel) is None:
            return self._over("out of turn", "a namespace that is open already, under another number")
        if len(self._theirs) >= MAX_CHANNELS and frame.channel not in self._theirs:
            return self._over("too much", f"more than {MAX_CHANNELS:,} namespaces on one connection")
        self._theirs[frame.channel] = digest
        self.namespaces[digest] = namespace
        return [Heard(digest, frame)]

    # -- time --------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._listened:
            self._heard, self._listened = now, False
        if self._spoke:
            self._said, self._spoke = now, False
        if now - self._heard >= SILENT:
            self.end("silent", f"nothing was heard for {SILENT:g} s")
        if self.phase is Phase.OPEN and now - max(min(self._heard, self._said), self._asked) >= QUIET:
            self.send(Ping())
            self._asked = now
