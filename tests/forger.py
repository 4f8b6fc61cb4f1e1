"""A peer that keeps other rules: it writes whatever parts it is told to, in well-formed and well-sealed changes."""

from hashlib import blake2b

from crdtmem import Identity, Memory, Namespace
from crdtmem.change import Change, Intro, Keyed, Ordered, compose, record
from crdtmem.identity import client_id, session_id
from tests.crew import SCOPE
from tests.wire import pack


class Forger:
    """A session with a key of its own."""

    def __init__(self, namespace: Namespace = SCOPE) -> None:
        self.identity = Identity()
        self.intro = Intro(self.identity.key, "mallory", None, bytes(16))
        self.namespace = namespace.digest
        self.session = session_id(self.namespace, self.intro)
        self.client = client_id(self.session)
        self.last: Change | None = None

    def write(self, *parts: Keyed | Ordered, seen: Memory | None = None, hlc: int = 1) -> bytes:
        """The record of its next change."""
        seq, prev = (1, b"") if self.last is None else (self.last.seq + 1, self.last.hash)
        deps = () if seen is None else tuple(head for head in seen.version.heads if head.session != self.session)
        intro = self.intro if seq == 1 else None
        self.last = compose(self.namespace, self.session, seq, prev, deps, intro, hlc, None, parts)
        return record(self.last.core, self.identity.sign(self.last.hash))

    def newer(self) -> bytes:
        """A sealed first change in a format that is not known yet."""
        header = pack((2, self.namespace, self.session, 1, b"", (), self.intro, "unheard of"))
        part = pack("whatever")
        hash = blake2b(header + blake2b(part, digest_size=32).digest(), digest_size=32).digest()
        return record(b"\x93" + pack(header) + pack([part]), self.identity.sign(hash))
