"""Dialling all who have announced themselves at a meeting place, until each is connected, one way or the other.

1. Those who were here first are dialled at once; later ones when they have not come by themselves by the next look.
2. An address is removed only on a sure sign that its peer is gone: the port refuses, or belongs to another now. Who is
   busy or stopped for a while answers nothing in time, and lives. Should the sign be false, its peer says it again.
3. Whatever fails here is told, and tried again.
"""

from __future__ import annotations

import asyncio
import errno
import random
import re
from collections.abc import Callable
from functools import partial

from crdtmem.sync.access import TOGETHER
from crdtmem.sync.meet import Address, Meeting
from crdtmem.sync.news import News
from crdtmem.sync.node import Node
from crdtmem.sync.websocket import Unreachable

LOOK = 0.5  # seconds between looks at a meeting place
LATER = 5.0  # seconds, at most, until whoever could not be visited is visited again; it may come by itself before
ANOTHER = {"stranger", "oneself", "not admitted", "token"}  # how it ends with whoever has the port of the dead


class Visits:
    """The visits of one peer.

    Args:
        meeting: where.
        node: what dials.
        tell: takes news.
    """

    def __init__(self, meeting: Meeting, node: Node, tell: Callable[[News], None]) -> None:
        self._meeting = meeting
        self._node = node
        self._tell = tell
        self._under_way: set[Address] = set()
        self._seen: set[bytes] | None = None  # at the last look

    async def go_on(self) -> None:
        """Look, and look again, until the end. The same trouble is told once."""
        told = ""
        while True:
            try:
                self.look()
                told = ""
            except Exception as error:
                if str(error) != told:
                    told = str(error)
                    self._trouble(
                        f"the meeting place {self._meeting.folder} cannot be used, and is tried again: {told}"
                    )
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Dial those who are to be dialled now."""
        self._meeting.stay()
        hub = self._node.hub
        present = [address for address in self._meeting.present() if address.peer != hub.id]
        linked = {link.peer for link in hub.links}
        for address in present:
            known = self._seen is None or address.peer in self._seen
            if known and address.peer not in linked and address not in self._under_way:
                self._under_way.add(address)
                self._node.spawn(self.visit(address)).add_done_callback(partial(self._left, address))
        self._seen = {address.peer for address in present}

    async def visit(self, address: Address) -> None:
        """Dial somebody, once. Ends with the connection; if there was none, a while later."""
        mine, meeting = self._node.hub.id, self._meeting
        try:
            link = await self._node.dial(
                address.url,
                meeting.proof(mine, address.peer),
                lambda said: said.peer == address.peer and meeting.knows(said.token, said.peer, mine),
                TOGETHER,
            )
            if link.peer:
                return
            gone = link.session.ended is not None and link.session.ended.code in ANOTHER
        except Unreachable as error:
            gone = _refused(error)
        if gone and address in meeting.present():
            meeting.dead(address)
        await asyncio.sleep(random.uniform(0, LATER))

    def _left(self, address: Address, task: asyncio.Task[None]) -> None:
        self._under_way.discard(address)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(f"{address.url} could not be visited, and is tried again: {error!r}")

    def _trouble(self, what: str) -> None:
        self._tell(News("trouble", self._node.hub.name, None, what))


def _refused(error: Unreachable) -> bool:
    """Whether nobody listens at any address of that host; asyncio tells of several in one text."""
    cause = error.__cause__
    numbers = re.findall(r"\[Errno (\d+)\]", str(cause)) if isinstance(cause, OSError) else []
    return set(numbers) == {str(errno.ECONNREFUSED)}
