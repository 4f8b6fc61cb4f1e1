"""Tokens: what lets a peer in from another machine. An issuer signs them; whoever listens knows the issuer's key.

A token is a JWT with EdDSA: who it is for, what it may read and write, until when, and an id to revoke it by. Whoever
holds one may use it, so it travels over TLS alone. Needs the extra `tokens`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crdtmem.errors import MisuseError, NamespaceError
from crdtmem.identity import Identity
from crdtmem.namespace import Namespace
from crdtmem.sync.access import Grant, Refused
from crdtmem.sync.frames import MAX_TOKEN, labels_of, namespace_of

_AUDIENCE = "crdtmem"


def issue(
    issuer: Identity,
    name: str,
    *,
    read: Iterable[Namespace] = (),
    write: Iterable[Namespace] = (),
    seconds: float = 86400,
    now: Callable[[], float] = time.time,
) -> str:
    """A token for one peer. What it may write it may read; each namespace stands for all below it.

    >>> acme = Namespace(tenant="acme")
    >>> token = issue(Identity(bytes(32)), "ann", write=[acme], seconds=60)
    >>> grant = Door(Identity(bytes(32)).key).grant(token)
    >>> grant.writes(Namespace(tenant="acme", task="q3")), grant.reads(Namespace(tenant="other"))
    (True, False)
    """
    jwt, keys = _library()
    write = list(write)
    claims = {
        "aud": _AUDIENCE,
        "sub": name,
        "jti": os.urandom(9).hex(),
        "iat": int(now()),
        "exp": int(now() + seconds),
        "read": [labels_of(scope) for scope in (*read, *write)],
        "write": [labels_of(scope) for scope in write],
    }
    private = keys.Ed25519PrivateKey.from_private_bytes(issuer.secret)
    found: str = jwt.encode(claims, private, algorithm="EdDSA")
    if len(found) > MAX_TOKEN:
        raise MisuseError(
            f"a token of {len(found):,} characters; at most {MAX_TOKEN:,} can be shown: name fewer namespaces, each "
            "stands for all below it"
        )
    return found


class Door:
    """Who may enter: whoever shows a token of this issuer that has not run out and was not revoked.

    Args:
        issuer: the issuer's public key, 32 bytes.
        revoked: a file with the ids of tokens that count no longer, one a line; read again when it changes. While it
            cannot be read, what it said last counts.
        now: seconds since 1970.

    Raises:
        MisuseError: the file cannot be read now.
    """

    def __init__(
        self,
        issuer: bytes,
        revoked: str | os.PathLike[str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._jwt, keys = _library()
        if len(issuer) != 32:
            raise MisuseError(f"the public key of an issuer has 32 bytes, not {len(issuer)}")
        self._key = keys.Ed25519PublicKey.from_public_bytes(issuer)
        self._list = Path(revoked) if revoked is not None else None
        self.failed: Callable[[str], object] = lambda why: None  # told while the file cannot be read
        self._read: tuple[int, int, int] | None = None
        self._revoked: frozenset[str] = frozenset()
        self._now = now
        if self._list is not None:
            try:
                self._look(self._list)
            except (OSError, ValueError) as error:
                raise MisuseError(
                    f"revoked={str(self._list)!r} cannot be read: {error}; an empty file revokes nobody"
                ) from None

    def grant(self, token: str | None) -> Grant:
        """What a token allows.

        Raises:
            Refused: nothing, and why.
        """
        if token is None:
            raise Refused("token", "a token is needed here; its issuer makes one: crdtmem token")
        try:
            claims = self._jwt.decode(
                token,
                self._key,
                algorithms=["EdDSA"],
                audience=_AUDIENCE,
                options={"require": ["exp", "jti", "sub"], "verify_exp": False, "verify_iat": False},
            )
            grant = Grant(_scopes(claims["read"]), _scopes(claims["write"]), float(claims["exp"]), str(claims["jti"]))
        except Exception:  # whatever is wrong with it: it comes from a stranger
            raise Refused("token", "this token was not made by the issuer that is trusted here") from None
        why = self.ends(grant)
        if why:
            raise Refused("token", why)
        return grant

    def ends(self, grant: Grant) -> str | None:
        """Why a grant counts no longer, or None."""
        if grant.until is not None and self._now() >= grant.until:
            return "this token has run out; ask its issuer for another"
        if self._list is not None:
            try:
                self._look(self._list)
            except (OSError, ValueError) as error:
                self.failed(f"the file of revoked tokens cannot be read: {error}; what it said last counts")
            if grant.id in self._revoked:
                return "this token has been revoked"
        return None

    def _look(self, path: Path) -> None:
        found = path.stat()
        read = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read != read:
            self._revoked = frozenset(path.read_text(encoding="utf-8").split())
            self._read = read


def _scopes(wire: Any) -> tuple[Namespace, ...]:
    if not isinstance(wire, list):
        raise NamespaceError("no list of namespaces")
    return tuple([namespace_of(labels) for labels in wire])


def _library() -> tuple[Any, Any]:
    try:
        import jwt
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MisuseError("tokens need two more packages: pip install 'crdtmem[tokens]'") from None
    return jwt, ed25519
