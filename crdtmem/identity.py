"""Who writes: an Ed25519 key, and the sessions it opens.

A session is one process start, namespace and first write (readers leave none). Its id is the hash of all that it
introduces itself with, so nobody can claim another's; the Yjs client id is derived from it. A session id is never
used twice: two updates with one (client, clock) leave replicas different for ever.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from functools import lru_cache
from hashlib import blake2b

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from crdtmem.change import Intro
from crdtmem.errors import BadBytes
from crdtmem.values import encode


class Identity:
    """An Ed25519 key pair. Handing in the same 32 bytes gives the same identity.

    >>> a = Identity(bytes(32))
    >>> verify(a.key, a.sign(b"newest hash"), b"newest hash")
    True
    >>> verify(a.key, a.sign(b"newest hash"), b"another hash")
    False
    """

    __slots__ = ("_private", "key")

    def __init__(self, secret: bytes | None = None) -> None:
        if secret is not None and len(secret) != 32:
            raise ValueError(f"an identity's secret has 32 bytes, not {len(secret)}")
        self._private = SigningKey(os.urandom(32) if secret is None else secret)
        self.key: bytes = bytes(self._private.verify_key)

    @classmethod
    def kept(cls, path: str | os.PathLike[str]) -> Identity:
        """The identity in a file that only its owner may read; made on first use.

        Raises:
            BadBytes: the file holds something else.

        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "ann.key"
        >>> Identity.kept(path).key == Identity.kept(path).key, oct(path.stat().st_mode & 0o777)
        (True, '0o600')
        """
        if not os.path.exists(path):
            fresh, name = tempfile.mkstemp(prefix=f"{os.path.basename(path)}-", dir=os.path.dirname(path) or ".")
            try:
                with open(fresh, "wb") as file:  # 0600 from the start
                    file.write(os.urandom(32).hex().encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):  # another process was first: its key is the one
                    os.link(name, path)
            finally:
                os.unlink(name)
        with open(path, "rb") as kept:
            text = kept.read(66)
        if not re.fullmatch(rb"[0-9a-f]{64}\n", text):
            raise BadBytes(f"{os.fspath(path)} is not a key; move it away to begin with a new one")
        return cls(bytes.fromhex(text.decode()))

    @property
    def secret(self) -> bytes:
        """The 32 bytes that make this identity; whoever has them writes in its name."""
        return bytes(self._private)

    def sign(self, digest: bytes) -> bytes:
        """The seal over one change hash, and through the chain over all before it."""
        return self._private.sign(digest).signature

    def __repr__(self) -> str:
        return f"Identity({self.key.hex()[:12]})"


def session_id(namespace: bytes, intro: Intro) -> bytes:
    """The id of the session that introduces itself so in this namespace.

    >>> session_id(bytes(16), Intro(bytes(32), "ann", None, bytes(16))).hex()[:8]
    '4d5a2889'
    """
    return blake2b(encode((namespace, *intro)), digest_size=16, person=b"crdtmem session").digest()


def fingerprint(key: bytes) -> str:
    """A key as a short printable name, which a namespace takes as its owner's.

    >>> fingerprint(bytes(32))
    '69a74d6e542387cc85760b39db22ba5d'
    """
    return blake2b(key, digest_size=16, person=b"crdtmem owner").hexdigest()


def client_id(session: bytes) -> int:
    """The Yjs client of a session: 53 bits, never 0.

    Two of 100,000 sessions share one with probability 6e-7.
    """
    return int.from_bytes(session[:8], "big") % (2**53 - 1) + 1


def verify(key: bytes, seal: bytes, digest: bytes) -> bool:
    """Whether the owner of `key` sealed this hash."""
    try:
        _public(key).verify(digest, seal)
    except (CryptoError, ValueError):
        return False
    return True


@lru_cache(maxsize=1024)
def _public(key: bytes) -> VerifyKey:
    return VerifyKey(key)
