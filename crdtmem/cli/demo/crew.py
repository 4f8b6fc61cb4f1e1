"""The crew as the director sees it: four processes, what each has told, and the network between them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from crdtmem.cli.demo.cables import Cables
from crdtmem.cli.demo.script import AGENTS

PROGRAM = (sys.executable, "-P", "-m", "crdtmem.cli.demo.agent")
_LINE = 1 << 24  # bytes of one line


class Failed(Exception):
    """What the demo builds on did not happen: an agent has died, cannot do what it was told, or is too late."""


class Told(NamedTuple):
    """What an agent has answered: a value, and what it had seen then."""

    value: Any
    version: str
    digest: str


class Member:
    """One agent, through all its lives.

    Args:
        name: its name.
        path: its file.
        program: the command that starts it.
        moved: called when it has told something.
    """

    def __init__(self, name: str, path: Path, program: Sequence[str], moved: Callable[[], None]) -> None:
        self.name, self.path = name, path
        self.status = "starts"
        self.pid = 0
        self.state: dict[str, Any] = {}
        self.pages: list[str] = []  # whose writes have returned
        self.slowest = 0.0  # of these writes, in seconds
        self._program = program
        self._moved = moved
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Told]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._ears: list[asyncio.Task[None]] = []
        self._complaint = b""

    async def start(self) -> None:
        """Start a process. It leads a session of its own, so that Ctrl-C reaches the director alone."""
        process = self._process = await asyncio.create_subprocess_exec(
            *self._program,
            self.name,
            str(self.path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE,
            start_new_session=True,
        )
        self.pid, self.status = process.pid, "starts"
        self._ears = [asyncio.create_task(self._hear(process)), asyncio.create_task(self._note(process))]

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):  # what a kill has cut off was not said
                self._heard(json.loads(line))
                self._moved()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Failed(f"{self.name} has ended: {self._last_words()}"))

    async def _note(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(4096):
            self._complaint = (self._complaint + data)[-4096:]

    def _last_words(self) -> str:
        return (self._complaint.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]

    def _heard(self, words: dict[str, Any]) -> None:
        if "page" in words:
            self.pages.append(words["page"])
            self.slowest = max(self.slowest, words["took"])
        elif "state" in words:
            self.state = words["state"]
        else:
            answer = self._answers.pop(words["number"], None)
            if answer is None or answer.done():
                return  # nobody waits for it any more
            if "error" in words:
                answer.set_exception(Failed(words["error"]))
            else:
                answer.set_result(Told(words["value"], words["version"], words["digest"]))

    async def do(self, act: str, *, after: Iterable[str] = (), patience: float, **given: Any) -> Told:
        """Tell it to do something, once it has seen some versions; what it answers.

        Raises:
            Failed: it cannot, or has not answered in time.
        """
        if self._ears[0].done():
            raise Failed(f"{self.name} has ended: {self._last_words()}")
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._order({"number": number, "act": act, "with": given, "after": list(after), "patience": patience})
        try:
            return await asyncio.wait_for(answer, patience + 5)
        except TimeoutError:
            self._answers.pop(number, None)
            raise Failed(f"{self.name}, {act}: no answer for {patience:g} s") from None

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        with suppress(OSError):  # that it is dead, whoever waits will hear
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def kill(self) -> int:
        """End it without a warning, as kill -9 does; the code it ended with. All that it said before is heard."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        self.status, self.state = "killed", {}
        await asyncio.gather(*self._ears)
        return code

    async def end(self, patience: float) -> None:
        """Let it close; who does not is killed."""
        if self._process is None or self.status in ("killed", "gone"):
            return
        self._order({"act": "bye"})
        try:
            await asyncio.wait_for(asyncio.gather(self._process.wait(), *self._ears), patience)
        except TimeoutError:
            await self.kill()
        self.status = "gone"


class Crew:
    """All of them, and the cables between them.

    Args:
        folder: of their files.
        program: the command that starts an agent.
        cables: the network.
        patience: how many seconds anything may take, on however busy a machine.
        moved: called when anybody has told something.
    """

    def __init__(
        self, folder: Path, *, program: Sequence[str], cables: Cables, patience: float, moved: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.members = {name: Member(name, folder / f"{name}.db", program, self._stirred) for name in AGENTS}
        self.cables = cables
        self.patience = patience
        self._moved = moved
        self._stir = asyncio.Event()

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def _stirred(self) -> None:
        self._stir.set()
        self._moved()

    async def start(self) -> None:
        """Start all, and join them."""
        await self.cables.open()
        await asyncio.gather(*[member.start() for member in self.members.values()])
        for name in self.members:
            await self.share(name)
        await self.until(
            lambda: all(len(one.state.get("peers", ())) == len(AGENTS) - 1 for one in self.members.values()),
            "everybody is connected with everybody",
        )

    async def share(self, name: str) -> None:
        """Join one that has started."""
        told = await self.do(name, "share", dial=self.cables.to_dial(name))
        self.cables.lead_to(name, int(told.value.rpartition(":")[2]))

    async def do(self, name: str, act: str, *, after: Iterable[str] = (), **given: Any) -> Told:
        """Tell one to do something."""
        return await self[name].do(act, after=after, patience=self.patience, **given)

    async def write(
        self, name: str, kind: str, field: str, call: str, *args: Any, after: Iterable[str] = (), **about: Any
    ) -> Told:
        """Have one write to one field; the id of the entry."""
        return await self.do(
            name, "write", after=after, kind=kind, field=field, call=call, args=list(args), about=about
        )

    async def all_do(self, act: str, *, after: Iterable[str] = (), **given: Any) -> dict[str, Told]:
        """Tell all to do the same; what each answers."""
        versions = list(after)
        told = await asyncio.gather(*[self.do(name, act, after=versions, **given) for name in self.members])
        return dict(zip(self.members, told, strict=True))

    async def in_step(self) -> dict[str, Told]:
        """Wait until each has seen all that anybody has seen now; what each holds then."""
        seen = await self.all_do("content")
        return await self.all_do("content", after=[told.version for told in seen.values()])

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds of what they have told.

        Raises:
            Failed: it does not come to that.
        """
        try:
            async with asyncio.timeout(self.patience):
                while not holds():
                    self._stir.clear()
                    await self._stir.wait()
        except TimeoutError:
            raise Failed(f"{what}: not within {self.patience:g} s") from None

    async def end(self) -> None:
        """Let all close, and take the network down."""
        await asyncio.gather(*[member.end(self.patience) for member in self.members.values()])
        await self.cables.close()

    async def kill(self) -> None:
        """End all at once, whatever they do."""
        for member in self.members.values():
            if member.pid and member.status not in ("killed", "gone"):
                await member.kill()
        await self.cables.close()
