"""Every frame of the protocol as a frozen type, and its bytes: a msgpack array that begins with a number.

1. Any bytes give a frame, None (a frame of a number not known here, from a newer minor version), or one BadFrame.
2. What a frame holds is bounded where it is decoded; items behind those known here are skipped.
3. A channel is a number that the sender of a frame has given to a namespace, the same on all its connections: so one
   frame is encoded once for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from crdtmem.errors import CrdtmemError, NamespaceError
from crdtmem.namespace import NAMES, Namespace

MAJOR, MINOR = 1, 1
MAX_FRAME = 2 << 20  # a change has at most half of it
MAX_CHANNELS = 4096
MAX_SESSIONS = 20_000  # in one frame; a long list is sent in several
MAX_RECORDS = 8192
MAX_WANTED = 1024
MAX_PRESENT = 256
MAX_LABELS = 8
MAX_TOKEN = 8192

Id = Annotated[bytes, Meta(min_length=16, max_length=16)]
Hash = Annotated[bytes, Meta(min_length=16, max_length=16)]
Number = Annotated[int, Meta(ge=0, lt=2**53)]
Channel = Annotated[int, Meta(ge=0, lt=2**31)]
Line = Annotated[str, Meta(max_length=300)]
Label = Annotated[str, Meta(min_length=1, max_length=200)] | None
Session = tuple[Id, Number]
Begins = Annotated[bytes, Meta(min_length=8, max_length=8)]  # the beginning of a hash


class BadFrame(CrdtmemError, ValueError):
    """Bytes that are no frame of this protocol."""


class Hello(Struct, frozen=True, array_like=True, tag=0):
    """Whoever dialled speaks first: the version it speaks, which peer it is, and what lets it in."""

    major: Number
    minor: Number
    peer: Id
    name: Line
    token: Annotated[str, Meta(max_length=MAX_TOKEN)] | None = None


class Welcome(Struct, frozen=True, array_like=True, tag=1):
    """The answer to a Hello that lets it in; who listens at a meeting place proves that it belongs there."""

    major: Number
    minor: Number
    peer: Id
    name: Line
    token: Annotated[str, Meta(max_length=MAX_TOKEN)] | None = None


class Open(Struct, frozen=True, array_like=True, tag=2):
    """A namespace is shared: its number from now on, its labels, and a hash of the version it is at."""

    channel: Channel
    labels: Annotated[list[Label], Meta(min_length=1, max_length=MAX_LABELS)]
    version: Hash


class Same(Struct, frozen=True, array_like=True, tag=3):
    """The version that an Open of the other has named is here, and nothing more."""

    channel: Channel
    version: Hash


class Have(Struct, frozen=True, array_like=True, tag=4):
    """How far each session has come here, and to what. A long list comes in several, `more` in all but the last."""

    channel: Channel
    sessions: Annotated[list[tuple[Id, Number, Begins]], Meta(max_length=MAX_SESSIONS)]
    more: bool
    takes: bool = False  # a checkpoint, from whom it trusts


class Changes(Struct, frozen=True, array_like=True, tag=5):
    """Records, in the order they were applied by the sender, or those that were asked for."""

    channel: Channel
    records: Annotated[list[bytes], Meta(max_length=MAX_RECORDS)]


class Want(Struct, frozen=True, array_like=True, tag=6):
    """Changes that are missing here."""

    channel: Channel
    changes: Annotated[list[Session], Meta(max_length=MAX_WANTED)]


class Mark(Struct, frozen=True, array_like=True, tag=7):
    """Answer when all that came before this is stored, and all you have now has been sent."""

    channel: Channel
    number: Number


class Marked(Struct, frozen=True, array_like=True, tag=8):
    """The answer to a Mark."""

    channel: Channel
    number: Number


class Digest(Struct, frozen=True, array_like=True, tag=9):
    """What the content at a version comes to: it must be the same for all."""

    channel: Channel
    version: Hash
    digest: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Here(Struct, frozen=True, array_like=True):
    """One agent that is there: where it writes, what it does, and for how long this holds."""

    peer: Id
    number: Number  # of what this peer has said; the higher replaces the lower
    seconds: Annotated[float, Meta(ge=0, le=3600)]
    agent: Line
    doing: Line | None = None
    field: Line | None = None


class Presence(Struct, frozen=True, array_like=True, tag=10):
    """Who is there. Nothing of it is stored."""

    channel: Channel
    here: Annotated[list[Here], Meta(max_length=MAX_PRESENT)]


class Shut(Struct, frozen=True, array_like=True, tag=11):
    """A namespace that the other has opened is not shared with it: never was, or no more."""

    labels: Annotated[list[Label], Meta(min_length=1, max_length=MAX_LABELS)]
    reason: Line


class Ping(Struct, frozen=True, array_like=True, tag=12):
    """Nothing was said for a while; say something."""


class Pong(Struct, frozen=True, array_like=True, tag=13):
    """The answer to a Ping."""


class Bye(Struct, frozen=True, array_like=True, tag=14):
    """The last frame: why the connection ends, in a word for programs and a line for people."""

    code: Annotated[str, Meta(max_length=40)]
    reason: Line


class Offer(Struct, frozen=True, array_like=True, tag=15):
    """A checkpoint may be had in place of so many changes, and this key will vouch for it; or say Have without."""

    channel: Channel
    changes: Number
    key: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Take(Struct, frozen=True, array_like=True, tag=16):
    """Send the checkpoint."""

    channel: Channel


class Piece(Struct, frozen=True, array_like=True, tag=17):
    """Some of a checkpoint. The last has the signature of what all of them come to."""

    channel: Channel
    data: bytes
    seal: Annotated[bytes, Meta(max_length=64)] = b""


class Older(Struct, frozen=True, array_like=True, tag=18):
    """Of these sessions the changes up to these seqs are to come, newest first; without any, more of them."""

    channel: Channel
    changes: Annotated[list[Session], Meta(max_length=MAX_SESSIONS)]
    more: bool  # sessions, in another one


class History(Struct, frozen=True, array_like=True, tag=19):
    """Some of what was asked for by Older, the newest first; none when there are no more."""

    channel: Channel
    records: Annotated[list[bytes], Meta(max_length=MAX_RECORDS)]


Frame = (
    Hello
    | Welcome
    | Open
    | Same
    | Have
    | Changes
    | Want
    | Mark
    | Marked
    | Digest
    | Presence
    | Shut
    | Ping
    | Pong
    | Bye
    | Offer
    | Take
    | Piece
    | Older
    | History
)
_LAST = 19
_decode = msgspec.msgpack.Decoder(Frame).decode
_encode = msgspec.msgpack.Encoder().encode


def encode(frame: Frame) -> bytes:
    """The bytes of a frame.

    >>> decode(encode(Mark(1, 70)))
    Mark(channel=1, number=70)
    """
    return _encode(frame)


def decode(data: bytes) -> Frame | None:
    """The frame in these bytes; None for a kind that a newer minor version has added.

    Raises:
        BadFrame: it is none.
    """
    if len(data) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(data):,} bytes; at most {MAX_FRAME:,} are read")
    try:
        return _decode(data)  # type: ignore[no-any-return]
    except Exception as error:  # msgspec on hostile bytes: undecodable, wrong, or nested beyond the stack
        if _newer(data):
            return None
        raise BadFrame(f"no frame of this protocol: {str(error)[:120]}") from None


def _newer(data: bytes) -> bool:
    """Whether it begins as an array whose first item is a number above those known here."""
    at = {0xDC: 3, 0xDD: 5}.get(data[0], int(0x90 < data[0] <= 0x9F)) if data else 0
    return 0 < at < len(data) and _LAST < data[at] < 128


def labels_of(namespace: Namespace) -> list[str | None]:
    """The labels of a namespace in their order, without the absent ones at the end.

    >>> labels_of(Namespace(tenant="acme", role="reviewer"))
    ['acme', None, 'reviewer']
    """
    found = [getattr(namespace, name) for name in NAMES]
    while found[-1] is None:
        found.pop()
    return found


def namespace_of(labels: Sequence[str | None]) -> Namespace:
    """The namespace with these labels.

    Raises:
        NamespaceError: there is none.
    """
    if not 0 < len(labels) <= len(NAMES):
        raise NamespaceError(f"a namespace has 1 to {len(NAMES)} labels")
    return Namespace(**dict(zip(NAMES, labels, strict=False)))  # type: ignore[arg-type]
