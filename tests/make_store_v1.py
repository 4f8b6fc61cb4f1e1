"""Make tests/data/store-v1.db, a file of schema version 1: `python -m tests.make_store_v1`. Made once and kept."""

import random

from crdtmem import Replica
from crdtmem.sqlite import SqliteStore, schema
from tests.crew import SCOPE, Time
from tests.layout import ROOT

STORED = ROOT / "tests" / "data" / "store-v1.db"


def main() -> None:
    """Write it."""
    schema.MIGRATIONS[1:] = []
    draw = random.Random(1).randbytes
    schema.os.urandom = draw
    with SqliteStore(STORED) as store, Replica("ann", store=store, time=Time()) as replica:
        memory = replica.open(SCOPE)
        memory.set("s").update(["a", {"b": [1]}])
        memory.counter("n").add(41)
        memory.text("t").append("é, as it was")
        memory.register("r").assign(None, why="to see")
        store.open(SCOPE).put("blob", b"\x00\xff")
        print(memory.digest(), len(memory.changes()))


if __name__ == "__main__":
    main()
