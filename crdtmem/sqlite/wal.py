"""What a crash left in the write-ahead log: whether commits are missing that SQLite will not speak of.

SQLite reads a WAL up to its first invalid frame and ignores the rest in silence. After a kill that is right for the
frames of a commit under way, and a loss when a frame of a finished commit was damaged. Two witnesses tell them apart:

- the shared memory file, which outlives the kill: how many frames were committed, how many are in the main file;
- without it (a copy, another machine) the frames behind the last valid one: a commit under way is the last thing
  written, so an invalid frame with frames of the same generation behind it is damage.

Nothing here opens the main file: closing it would drop the locks that SQLite holds on it in this process. Layouts:
https://sqlite.org/walformat.html
"""

from __future__ import annotations

import struct
import sys
from typing import NamedTuple

HEADER, FRAME = 32, 24
_MAGIC = 0x377F0682  # the lowest bit says that checksums are big-endian


class Promise(NamedTuple):
    """What the shared memory says was committed."""

    frames: int
    backfilled: int  # of these, so many are in the main file
    attempted: int  # and so many may be in it in part
    salts: bytes


class Loss(NamedTuple):
    """What the write-ahead log has lost."""

    reason: str
    raw: bytes  # the frames that SQLite will not read
    main_is_newer: bool = False  # the main file holds more than what is left of the write-ahead log


def promise(path: str) -> Promise | None:
    """The promise of the shared memory beside this file, or None if there is none that is whole.

    Not to be called while this process has the file open: closing the shared memory would drop the locks on it.
    """
    try:
        with open(path + "-shm", "rb") as file:
            data = file.read(136)
    except OSError:
        return None
    if len(data) < 136:
        return None
    copies = [head for head in (data[:48], data[48:96]) if _sums(head[:40], (0, 0), sys.byteorder) == _ints(head[40:])]
    if not copies:
        return None
    head = min(copies, key=lambda copy: _ints(copy[16:20]))  # they differ while a commit is under way
    [frames] = _ints(head[16:20])
    [backfilled], [attempted] = _ints(data[96:100]), _ints(data[128:132])
    if backfilled > frames:
        return None
    return Promise(frames, backfilled, max(attempted, backfilled), head[32:40])


def lost(path: str, frames: int, promised: Promise | None) -> Loss | None:
    """What has been lost, given how many frames SQLite took and what the shared memory said before."""
    try:
        with open(path + "-wal", "rb") as file:
            data = file.read()
    except FileNotFoundError:
        data = b""
    if promised is not None:
        if not promised.frames or (frames >= promised.frames and data[16:24] == promised.salts):
            return None
        if promised.frames == promised.backfilled and frames == 0:
            return None  # all of it is in the main file, and nothing older will be read
        reason = f"of {promised.frames} frames of the write-ahead log only {frames} are whole"
        return Loss(reason, _behind(data, frames), promised.backfilled > frames)
    return _suspect(data, frames)


def _suspect(data: bytes, frames: int) -> Loss | None:
    if len(data) < HEADER + FRAME:
        return None
    magic, _, page = struct.unpack(">3I", data[:12])
    order = "big" if magic & 1 else "little"
    sums = _sums(data[:24], (0, 0), order)
    if magic & ~1 != _MAGIC or sums != struct.unpack(">2I", data[24:32]):
        return Loss("the header of the write-ahead log is damaged", data)
    size, salts = FRAME + page, data[16:24]
    at = HEADER + frames * size
    if frames:
        sums = struct.unpack(">2I", data[at - size + 16 : at - size + 24])
    while at + size <= len(data):
        head = data[at : at + FRAME]
        sums = _sums(data[at + FRAME : at + size], _sums(head[:8], sums, order), order)
        if head[8:16] != salts or sums != struct.unpack(">2I", head[16:24]):
            break
        at += size
    else:
        return None
    later = range(at + size, len(data) - FRAME + 1, size)
    if data[at + 8 : at + 16] == salts or any(data[next + 8 : next + 16] == salts for next in later):
        return Loss("a frame of the write-ahead log is damaged; what was committed behind it is lost", data[at:])
    return None


def _behind(data: bytes, frames: int) -> bytes:
    page = struct.unpack(">I", data[8:12])[0] if len(data) >= HEADER else 0
    return data[HEADER + frames * (FRAME + page) :] if frames else data


def _sums(data: bytes, sums: tuple[int, ...], order: str) -> tuple[int, ...]:
    """The running checksum of WAL frames and shared memory headers."""
    one, two = sums
    words = iter(_ints(data, order))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _ints(data: bytes, order: str = sys.byteorder) -> tuple[int, ...]:
    return struct.unpack(f"{'>' if order == 'big' else '<'}{len(data) // 4}I", data)
