"""One process of a team: it opens its file, shares it, calls as its workload says, and tells its parent on a pipe.

It writes lines to its output, each at once and whole, and takes orders as lines from its input; both are JSON arrays.

    here URL                 it is open and shared; now, and after each restart
    try TAG KIND DETAIL      the next call, before it is made
    ok TAG | no TAG WHY      the call has returned, or failed: only then may anybody count on it
    read REGISTER TAGS       what stands there
    rests                    as it was told to
    news KIND PEER DETAIL    what its peer reports
    answer NUMBER VALUE      to a question

    write SECONDS            call, with pauses of so many seconds on average; null: rest
    clock OFFSET             from now on its clock is wrong by so many seconds
    digest NUMBER | show NUMBER    questions
    bye                      close and end
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from random import Random
from typing import Any

from crdtmem import Memory, Peer, Replica, StoreError
from crdtmem.sync import News
from tests.crew import SCOPE
from tests.processes import workloads


class Agent:
    """What runs in the process.

    Args:
        name: of the agent.
        life: how often it has been started, so that its tags are new.
        path: its file.
        seed: of what it does.
        sharing: what Peer is given beside the memory.
    """

    def __init__(self, name: str, life: int, path: str, seed: int, sharing: dict[str, Any]) -> None:
        self._name, self._life, self._path, self._sharing = name, life, path, sharing
        self._rng = Random(f"{seed} {name} {life}")
        self._offset = 0.0
        self._pause: float | None = None
        self._number = 0
        self._stirred = threading.Condition()
        self._saying = threading.Lock()
        self._asked = False  # to rest
        self._over = False

    def run(self) -> None:
        """Open, share, and call until told to end."""
        with Replica(self._name, store=self._path, time=self._time) as replica:
            memory = replica.open(SCOPE)
            peer = Peer(memory, name=self._name, **self._sharing)
            peer.watch(self._heard)
            with peer.blocking() as shared:
                self._say("here", shared.url)
                threading.Thread(target=self._obey, args=(memory,), daemon=True).start()
                while self._rested():
                    self._call(memory)
        self._say("closed")

    def _time(self) -> float:
        return time.time() + self._offset

    def _rested(self) -> bool:
        """Wait until the next call is due; whether there is one."""
        with self._stirred:
            if self._pause is not None and not self._over:
                self._stirred.wait(self._rng.expovariate(1 / self._pause))
            while self._pause is None and not self._over:
                if self._asked:
                    self._asked = False
                    self._say("rests")
                self._stirred.wait()
        return not self._over

    def _call(self, memory: Memory) -> None:
        self._number += 1
        tag = f"{self._name}.{self._life}.{self._number}"
        if self._rng.random() < 0.2:
            name = self._rng.choice(workloads.REGISTERS)
            self._say("read", name, workloads.tags(memory, name))
        kind, detail = workloads.plan(memory, self._rng)
        self._say("try", tag, kind, detail)
        try:
            workloads.perform(memory, tag, kind, detail)
        except StoreError as error:
            self._say("no", tag, str(error))
        else:
            self._say("ok", tag)

    # -- words -------------------------------------------------------------------------------------

    def _say(self, *words: Any) -> None:
        data = json.dumps(words).encode() + b"\n"
        with self._saying:
            while data:
                data = data[os.write(1, data) :]

    def _heard(self, news: News) -> None:
        self._say("news", news.kind, news.peer, news.detail)

    def _obey(self, memory: Memory) -> None:
        for line in sys.stdin:
            what, *words = json.loads(line)
            if what == "write" or what == "bye":
                with self._stirred:
                    self._pause = words[0] if words else None
                    self._asked = self._pause is None
                    self._over = self._over or what == "bye"
                    self._stirred.notify()
            elif what == "clock":
                self._offset = words[0]
            elif what == "digest":
                self._say("answer", words[0], memory.digest())
            elif what == "show":
                self._say("answer", words[0], workloads.shown(memory))
        if not self._over:
            os._exit(1)  # the parent is gone


def main(order: str) -> None:
    """Be the agent that the order describes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nobody is left behind, stopped or not
    Agent(**json.loads(order)).run()


if __name__ == "__main__":
    main(sys.argv[1])
