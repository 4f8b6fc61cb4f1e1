"""One agent of the demo: an operating-system process with a replica, a file and a peer of its own.

It takes orders from its input and tells what it did on its output, one JSON object a line.

    {"number": 7, "act": "content", "with": {...}, "after": [...], "patience": 60}   `after`: versions to wait for first
    {"number": 7, "value": ..., "version": "...", "digest": "..."}   done, and what it has seen now
    {"number": 7, "error": "..."}                                    it could not be done
    {"page": "page 12 of docs", "took": 0.0004}                      a page was read, and the write of it has returned
    {"state": {...}}                                                 how it stands, whenever that changes

When its input ends, so does it: an agent does not outlive the demo.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from crdtmem import Memory, Peer, Replica
from crdtmem.cli.demo import acts, board
from crdtmem.cli.demo.script import ROLES, TASK, TENANT
from crdtmem.sync import BlockingPeer

PACE = 0.02  # seconds between two pages
TELL = 0.1  # seconds between two words about how it stands


class Agent:
    """What runs in the process.

    Args:
        name: of the agent.
        path: of its file.
    """

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path
        self._saying = threading.Lock()
        self._stirred = threading.Event()
        self._rests = threading.Event()
        self._worker: threading.Thread | None = None
        self._peer: BlockingPeer | None = None
        self._copy = board.empty()
        self._own: dict[str, Callable[..., Any]] = {
            "share": self._share,
            "look": self._look,
            "turn": self._turn,
            "work": self._work,
            "rest": self._rest,
        }

    def run(self) -> None:
        """Open the file, and obey until told to end."""
        with Replica(self._name, role=ROLES[self._name], store=self._path) as replica:
            memory = replica.open(tenant=TENANT, task=TASK)
            memory.changed(lambda _: self._stirred.set())
            threading.Thread(target=self._tell, args=(memory,), daemon=True).start()
            orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
            threading.Thread(target=_listen, args=(orders,), daemon=True).start()
            while (order := orders.get())["act"] != "bye":
                self._say(self._obey(memory, order))
            self._rest(memory)
            if self._peer is not None:
                self._peer.close()

    def _obey(self, memory: Memory, order: dict[str, Any]) -> dict[str, Any]:
        act = self._own.get(order["act"]) or acts.ACTS[order["act"]]
        try:
            for version in order["after"]:
                memory.wait(version, order["patience"])
            value = act(memory, **order["with"])
        except Exception as error:  # whatever it is, the director says it
            return {"number": order["number"], "error": f"{self._name}, {order['act']}: {error}"}
        return {
            "number": order["number"],
            "value": value,
            "version": str(memory.version),
            "digest": memory.digest(),
        }

    # -- acts that belong to the process -----------------------------------------------------------

    def _share(self, memory: Memory, dial: list[str]) -> str:
        peer = Peer(memory, listen="127.0.0.1:0", dial=dial, name=self._name)
        peer.watch(lambda _: self._stirred.set())
        self._peer = peer.blocking().__enter__()
        return self._peer.url

    def _look(self, memory: Memory, path: str) -> None:
        """Begin a turn: read the board; the memory needs no reading, it is here."""
        self._copy = board.read(Path(path))

    def _turn(self, memory: Memory, path: str, writes: list[list[Any]]) -> None:
        """End a turn: the same writes to the board and to the memory."""
        acts.make(memory, self._copy, Path(path), writes)

    def _work(self, memory: Memory) -> None:
        """Read pages until told to rest."""
        self._rests.clear()
        self._worker = threading.Thread(target=self._read_pages, args=(memory,), daemon=True)
        self._worker.start()

    def _rest(self, memory: Memory) -> None:
        self._rests.set()
        if self._worker is not None:
            self._worker.join()

    def _read_pages(self, memory: Memory) -> None:
        number = len(acts.pages(memory)["named"])
        while not self._rests.wait(PACE):
            number += 1
            page = f"page {number} of {self._name}"
            began = time.perf_counter()
            memory.counter(acts.READ).add(1, why=page)
            self._say({"page": page, "took": time.perf_counter() - began})

    # -- words -------------------------------------------------------------------------------------

    def _tell(self, memory: Memory) -> None:
        while True:
            peers = [] if self._peer is None else self._peer.connected
            self._say({"state": {"peers": peers, **acts.standing(memory)}})
            self._stirred.wait()
            self._stirred.clear()
            time.sleep(TELL)

    def _say(self, words: dict[str, Any]) -> None:
        data = json.dumps(words).encode() + b"\n"
        with self._saying:
            while data:
                data = data[os.write(1, data) :]


def _listen(orders: SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(1)  # the director is gone; what was written is in the file


def main() -> None:
    """Be the agent that the arguments name: its name, and its file."""
    Agent(*sys.argv[1:3]).run()


if __name__ == "__main__":
    main()
