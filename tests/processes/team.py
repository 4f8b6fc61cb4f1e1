"""A team of processes as its parent sees it: who lives, what each has told, and what happens to it."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any

from tests.processes.proxy import Link
from tests.processes.workloads import Told

ROOT = Path(__file__).parent.parent.parent
SHAPES = ("mesh", "ring", "star", "line", "meet")
_LINE = 1 << 26


class Gone(Exception):
    """A process has ended that should not, or does not answer."""


class Member:
    """One agent, through all its lives.

    Args:
        name: its name.
        folder: for its file and for what it says.
        seed: of what it does.
        moved: called after every line it says.
    """

    def __init__(self, name: str, folder: Path, seed: int, moved: Callable[[], None]) -> None:
        self.name = name
        self.path = folder / f"{name}.db"
        self.told = Told()
        self.news: list[tuple[str, str, str]] = []
        self.links: list[Link] = []  # over which others dial it
        self.sharing: dict[str, Any] = {}
        self.life = 0
        self.here = False  # whether it is open and shared
        self.writing: float | None = None
        self.rests = False  # as it was told to
        self._closed = False
        self._turn = asyncio.Lock()
        self._numbers = count()
        self._seed = seed
        self._moved = moved
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._log = (folder / f"{name}.said").open("ab")
        self.errors = folder / f"{name}.err"

    async def start(self) -> None:
        """Start a process; it says by itself when it is here."""
        async with self._turn:
            if self._process is None:
                await self._start()

    async def _start(self) -> None:
        self.life += 1
        order = {"name": self.name, "life": self.life, "path": str(self.path), "seed": self._seed}
        with self.errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.processes.agent",
                json.dumps(order | {"sharing": self.sharing}),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LINE,
                cwd=ROOT,
            )
        self._listener = asyncio.create_task(self._listen(self._process))
        self.write(self.writing)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):  # what a kill has cut off was not said
                self._log.write(b"%.3f " % time.time() + line)
                self._hear(*json.loads(line))
                self._moved()

    def _hear(self, what: str, *words: Any) -> None:
        if what == "here":
            self.here = True
            for link in self.links:
                link.target = int(words[0].rpartition(":")[2])
        elif what == "answer":
            future = self._answers.pop(words[0], None)
            if future is not None and not future.done():
                future.set_result(words[1])
        elif what == "news":
            self.news.append(words)
        elif what == "rests":
            self.rests = True
        elif what == "closed":
            self._closed = True
        else:
            self.told.hear(what, *words)

    # -- orders ------------------------------------------------------------------------------------

    def order(self, *words: Any) -> None:
        """Give an order; who is dead hears nothing."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(json.dumps(words).encode() + b"\n")

    def write(self, pause: float | None) -> None:
        """Have it write, with pauses of so many seconds on average, or rest; the next life does the same."""
        self.writing, self.rests = pause, False
        self.order("write", pause)

    async def ask(self, what: str, seconds: float = 30) -> Any:
        """The answer to a question.

        Raises:
            Gone: there is none.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self.order(what, number)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise Gone(f"{self.name} has not answered {what!r} for {seconds:g} s; it {self._state()}") from None
        finally:
            self._answers.pop(number, None)

    def _state(self) -> str:
        if self._process is None:
            return "is not running"
        code = self._process.returncode
        return "lives" if code is None else f"has ended with {code}; see {self.errors}"

    # -- what can befall it ------------------------------------------------------------------------

    async def kill(self) -> None:
        """Kill -9, now."""
        async with self._turn:
            process, self._process = self._process, None
            if process is None:
                return
            if process.returncode is not None:
                raise Gone(f"{self.name} had ended by itself, with {process.returncode}; see {self.errors}")
            process.kill()
            await self._ended(process)

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        self.here = False
        for link in self.links:
            link.target = None
        await process.wait()
        assert self._listener is not None
        await self._listener

    def forget(self) -> None:
        """Its file is lost, while it is dead."""
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def limit(self, size: int | None) -> None:
        """Let no file of its grow beyond a size: its disk is full. None: there is room again.

        Not while it starts: who cannot open its file says so, and ends.
        """
        if self._process is not None and (self.here or size is None):
            with suppress(ProcessLookupError):
                _, most = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
                soft = most if size is None else size
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, most))

    async def end(self) -> None:
        """Have it close and end in order.

        Raises:
            Gone: it does not.
        """
        process = self._process
        if process is None:
            raise Gone(f"{self.name} is not running")
        self.order("bye")
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            raise Gone(f"{self.name} does not end") from None
        self._process = None
        await self._ended(process)
        if process.returncode != 0 or not self._closed:
            raise Gone(f"{self.name} has ended with {process.returncode}; see {self.errors}")

    async def close(self) -> None:
        """Leave nothing behind."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await self._ended(process)
        self._log.close()


class Team:
    """Some agents and the network between them.

    Args:
        folder: for all files.
        size: how many there are.
        shape: who dials whom: mesh, ring, star or line, over the proxy; or all use one meeting place.
        seed: of what they do, and of the network.
    """

    def __init__(self, folder: Path, size: int, shape: str, seed: int) -> None:
        self._stirred = asyncio.Event()
        self.members = [Member(f"a{n}", folder, seed, self._stirred.set) for n in range(size)]
        self.links: dict[tuple[Member, Member], Link] = {}  # from who dials to who listens
        rng = Random(f"{seed} team")
        if shape == "meet":
            for member in self.members:
                member.sharing = {"meet": str(folder / "meet")}
            return
        for pair in self._pairs(shape):
            dialler, listener = pair if rng.random() < 0.5 else pair[::-1]
            link = self.links[dialler, listener] = Link(Random(rng.random()))
            listener.links.append(link)
            listener.sharing["listen"] = "127.0.0.1:0"

    def _pairs(self, shape: str) -> list[tuple[Member, Member]]:
        members = self.members
        if shape == "mesh":
            return [(a, b) for n, a in enumerate(members) for b in members[:n]]
        if shape == "star":
            return [(members[0], b) for b in members[1:]]
        pairs = list(pairwise(members))
        if shape == "ring" and len(members) > 2:
            pairs.append((members[-1], members[0]))
        return pairs

    async def start(self) -> None:
        """Take the ports, and start everybody."""
        for (dialler, _), link in self.links.items():
            await link.open()
            dialler.sharing.setdefault("dial", []).append(link.url)
        await asyncio.gather(*[member.start() for member in self.members])
        await self.until(lambda: all(member.here for member in self.members))

    async def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for something that what they say brings about.

        Raises:
            Gone: it does not come about.
        """
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            here = ", ".join(f"{m.name} {'is here' if m.here else m._state()}" for m in self.members)
            raise Gone(f"waited for {seconds:g} s in vain: {here}") from None

    async def writes(self, count: int, seconds: float = 60, but: Member | None = None) -> None:
        """Wait until everybody has had so many more writes acknowledged, but one.

        Raises:
            Gone: it does not come about.
        """
        goals = {member: len(member.told.acknowledged) + count for member in self.members if member is not but}
        await self.until(lambda: all(len(m.told.acknowledged) >= goal for m, goal in goals.items()), seconds)

    def write(self, pause: float | None) -> None:
        """Have all of them write, or rest."""
        for member in self.members:
            member.write(pause)

    async def alike(self, seconds: float, every: float = 0.05) -> bool:
        """Wait until all have the same digest, for so long; whether they have."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            digests = await asyncio.gather(*[member.ask("digest") for member in self.members])
            if len(set(digests)) == 1:
                return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Leave nothing behind."""
        await asyncio.gather(*[member.close() for member in self.members], return_exceptions=True)
        await asyncio.gather(*[link.close() for link in self.links.values()], return_exceptions=True)


@asynccontextmanager
async def team(folder: Path, size: int, shape: str, seed: int) -> AsyncIterator[Team]:
    """A team at work; it is gone when the block ends."""
    os.makedirs(folder, exist_ok=True)
    made = Team(folder, size, shape, seed)
    try:
        await made.start()
        yield made
    finally:
        await made.close()
