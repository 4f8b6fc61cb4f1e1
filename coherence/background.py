"""A reviewer in the background: after the memory has changed, it reviews and files, when its turn comes.

1. Of several replicas that do this, each waits for a delay of its own, drawn from a seed and what has changed; who
   comes later finds what the first has filed, and files nothing twice.
2. It knows no clock and no thread: `due(now)` says when to run, `run()` runs. `serve` drives it from a thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from crdtmem.coherence.review import Report, review
from crdtmem.memory import Memory
from crdtmem.notify import Batch
from crdtmem.taint import FINDINGS, JUDGED

log = logging.getLogger("crdtmem")


class Reviewer:
    """Reviews a memory after it has changed, and files what it found.

    Args:
        memory: the memory.
        seed: what tells this reviewer's turn from those of others; by default the name of its agent.
        quiet: seconds without a change before anybody begins.
        spread: seconds over which the turns of reviewers are spread.
        options: those of `review`.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> with Reviewer(memory, quiet=1, spread=0) as reviewer:
    ...     reviewer.heard(now=10.0)
    ...     reviewer.due(now=10.5), reviewer.due(now=11.0), reviewer.run().coherent, reviewer.due(now=99.0)
    (False, True, True, False)
    """

    def __init__(
        self, memory: Memory, *, seed: str | None = None, quiet: float = 2.0, spread: float = 10.0, **options: Any
    ) -> None:
        self._memory = memory
        self._seed = memory.agent if seed is None else seed
        self._quiet, self._spread = quiet, spread
        self._options = options
        self._turn: float | None = None  # when to run next
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._clock: Callable[[], float] | None = None
        self._watch = memory.changed(self._changed)

    def _changed(self, batch: Batch) -> None:
        if self._clock is not None and not batch.fields <= {FINDINGS, JUDGED}:
            self.heard(now=self._clock())

    def heard(self, now: float) -> None:
        """The memory has changed: wait for quiet, and then for this reviewer's turn."""
        drawn = blake2b(f"{self._seed}\0{self._memory.version}".encode(), digest_size=4).digest()
        share = int.from_bytes(drawn, "big") / 2**32
        with self._lock:
            self._turn = now + self._quiet + share * self._spread

    def due(self, now: float) -> bool:
        """Whether it is time to run."""
        with self._lock:
            return self._turn is not None and now >= self._turn

    def run(self) -> Report:
        """Review, and file what nobody has filed."""
        with self._lock:
            self._turn = None
        report = review(self._memory, **self._options)
        report.file()
        return report

    def serve(self, *, clock: Callable[[], float] = time.monotonic, every: float = 0.5) -> Reviewer:
        """Drive it from a thread of its own, until it is closed."""
        if self._thread is None:
            self._clock = clock
            self.heard(now=clock())
            self._thread = threading.Thread(
                target=self._serve, args=(clock, every), name="crdtmem-reviewer", daemon=True
            )
            self._thread.start()
        return self

    def _serve(self, clock: Callable[[], float], every: float) -> None:
        while not self._stop.wait(every):
            if self.due(clock()):
                try:
                    self.run()
                except Exception:
                    log.exception(
                        "a background review failed; the memory is unharmed, and the next change starts another"
                    )

    def close(self) -> None:
        """Stop; closing twice does nothing."""
        self._watch.close()
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Reviewer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
