"""Finding each other on one machine: a folder that only its owner may use, an address file for each peer, a secret.

1. Whoever knows the secret may enter, and proves it for one connection at a time: by a keyed hash over both peers. So a
   stranger that has taken over the port of a dead peer learns nothing and is told nothing.
2. Whoever is there stays announced: a file that somebody has removed, who was wrong or cleaned up, is written again.
3. If the whole folder was removed, those who are there make it anew, and take the secret that lies there first.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from crdtmem.errors import MisuseError

_SECRET = "secret"
_FILE = re.compile(r"[0-9a-f]{32}\.peer")


class Address(NamedTuple):
    """Where a peer listens."""

    peer: bytes
    name: str
    url: str


class Meeting:
    """One meeting place.

    Args:
        folder: made on first use, for its owner alone.

    Raises:
        MisuseError: the folder is open to others, or cannot be made.

    >>> from tempfile import mkdtemp
    >>> place = Meeting(mkdtemp())
    >>> place.announce(Address(bytes(16), "ann", "ws://127.0.0.1:7400"))
    >>> place.present()
    [Address(peer=b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', name='ann', url='ws://127.0.0.1:7400')]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).absolute()  # the program may change its directory
        self._own: Address | None = None
        self._secret = os.urandom(32)  # unless there is one
        try:
            self._open()
        except OSError as error:
            raise MisuseError(
                f"meet={str(folder)!r} cannot be a meeting place: {error}; name another folder"
            ) from error

    def _open(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.folder.stat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise MisuseError(
                f"{self.folder} is open to other users, who could join; make it yours alone: chmod 700 {self.folder}"
            )
        self._secret = self._shared()

    def _shared(self) -> bytes:
        path = self.folder / _SECRET
        fresh = self.folder / f"{_SECRET}-{os.urandom(8).hex()}"
        if not path.exists():
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as new:
                new.write(self._secret.hex())
            with suppress(FileExistsError):  # another was first: its secret is the one
                os.link(fresh, path)
            fresh.unlink()
        text = path.read_text(errors="replace")
        if not re.fullmatch("[0-9a-f]{64}", text):
            raise MisuseError(f"{path} is not the secret of a meeting place; remove it when no peer is running")
        return bytes.fromhex(text)

    def proof(self, mine: bytes, theirs: bytes) -> str:
        """That this peer knows the secret, for whoever has that other id."""
        return hmac.new(self._secret, mine + theirs, sha256).hexdigest()

    def knows(self, proof: str | None, theirs: bytes, mine: bytes) -> bool:
        """Whether another peer has proved that it does."""
        return proof is not None and hmac.compare_digest(proof.encode(), self.proof(theirs, mine).encode())

    @staticmethod
    def proves(token: str | None) -> bool:
        """Whether this may be a proof, for whomever."""
        return token is not None and re.fullmatch("[0-9a-f]{64}", token) is not None

    def announce(self, address: Address) -> None:
        """Say where this peer listens, and clean up after whoever has listened there before."""
        for other in self.present():
            if other.url == address.url and other.peer != address.peer:
                self.dead(other)
        self._own = address
        self._write(address)

    def stay(self) -> None:
        """Say it again, if somebody has removed that."""
        if self._own is not None and not self._file(self._own).exists():
            self._open()
            self._write(self._own)

    def leave(self) -> None:
        """Take the announcement back."""
        own, self._own = self._own, None
        if own is not None:
            with suppress(OSError):  # then it is cleaned up after, as if it had died
                self._file(own).unlink()

    def _write(self, address: Address) -> None:
        path = self._file(address)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"name": address.name, "url": address.url}))
        fresh.replace(path)

    def _file(self, address: Address) -> Path:
        return self.folder / f"{address.peer.hex()}.peer"

    def present(self) -> list[Address]:
        """Who has announced itself here; the dead among them have not taken it back."""
        found: list[Address] = []
        if not self.folder.exists():
            return found
        for path in sorted(self.folder.iterdir()):
            if _FILE.fullmatch(path.name):
                with suppress(OSError, ValueError, KeyError, TypeError):
                    said = json.loads(path.read_text())
                    found.append(Address(bytes.fromhex(path.stem), str(said["name"])[:300], str(said["url"])[:300]))
        return found

    def dead(self, address: Address) -> None:
        """Nobody listens there any more: clean up after it."""
        self._file(address).unlink(missing_ok=True)
