"""The memory file: two processes keep their notes in one JSON file, and the notes of one are gone.

Both read the file, add a note, and write the file. That they write it aside and rename it, as one should, keeps the
file whole and loses the note all the same.
"""

import json
from pathlib import Path

from crdtmem import Replica, SqliteStore
from tests.incidents.processes import go_on, heard, started

NAIVE = """
import json, sys
from pathlib import Path
agent, note = sys.argv[1:]
file = Path("memory.json")
notes = json.loads(file.read_text()) if file.exists() else []
print("has read", flush=True)
sys.stdin.readline()                            # here it thinks
notes.append(note)
aside = Path(f"memory.{agent}.json")
aside.write_text(json.dumps(notes))
aside.replace(file)
print("has written", flush=True)
"""

OURS = """
import sys
from crdtmem import Peer, Replica
agent, note = sys.argv[1:]
with Replica(agent, store=f"{agent}.db") as replica:
    memory = replica.open(tenant="acme", task="notes")
    with Peer(memory, meet="team").blocking() as peer:
        assert not memory.sequence("notes")
        print("has read", flush=True)
        sys.stdin.readline()
        memory.sequence("notes").append(note)
        peer.synced(timeout=60)
        print("has written", flush=True)
        sys.stdin.readline()                    # so that none leaves before the other has written
"""


def test_a_file_that_two_processes_rewrite_loses_the_notes_of_one(tmp_path: Path) -> None:
    with (
        started(NAIVE, "web", "Two outages in March", folder=tmp_path) as web,
        started(NAIVE, "docs", "The price rose in April", folder=tmp_path) as docs,
    ):
        assert heard(web) == heard(docs) == "has read"
        for process in (web, docs):
            go_on(process)
            assert heard(process) == "has written"
    assert json.loads((tmp_path / "memory.json").read_text()) == ["The price rose in April"]


def test_processes_with_a_replica_each_keep_all_notes_in_both_files(tmp_path: Path) -> None:
    with (
        started(OURS, "web", "Two outages in March", folder=tmp_path) as web,
        started(OURS, "docs", "The price rose in April", folder=tmp_path) as docs,
    ):
        assert heard(web) == heard(docs) == "has read"
        go_on(web)
        go_on(docs)
        assert heard(web) == heard(docs) == "has written"
        go_on(web)
        go_on(docs)
        assert web.wait() == docs.wait() == 0
    for agent in ("web", "docs"):
        with Replica("reader", store=SqliteStore(tmp_path / f"{agent}.db", readonly=True)) as replica:
            notes = replica.open(tenant="acme", task="notes").sequence("notes")
            assert {(entry.by, entry.value) for entry in notes.entries()} == {
                ("web", "Two outages in March"),
                ("docs", "The price rose in April"),
            }
