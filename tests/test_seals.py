"""What is handed out is sealed at once, and its seal is stored later: nothing that leaves waits for one on the way.

The oracle is a replica that takes in what is handed out: it applies nothing that is not under a seal that verifies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtmem.seals
from crdtmem import Memory, MemoryStore, Record, Replica, SqliteStore, StoreError
from crdtmem.change import decode
from crdtmem.feed import Feed
from crdtmem.identity import Identity, verify
from crdtmem.inbox import SEAL_EVERY
from crdtmem.receiving import put_back
from crdtmem.store import Log
from tests.crew import SCOPE, Unwilling

KEY = bytes(32)


class Writer:
    """A memory that is handed out, and may crash; and a reader who is told all that is new, in turn."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.reader = Feed(Replica("reader").open(SCOPE))
        self.other = Replica("other").open(SCOPE)
        self.place = 0
        self.count = 0
        self.crash()

    def crash(self) -> None:
        """Begin anew over what is stored; nothing was said."""
        self.memory = Replica("ann", store=self.store, identity=Identity(KEY)).open(SCOPE)
        self.feed = Feed(self.memory)

    def write(self) -> None:
        self.count += 1
        self.memory.set("s").add(self.count)

    def write_many(self) -> None:
        for _ in range(SEAL_EVERY):
            self.write()

    def hear(self) -> None:
        """Another writes, and that comes in."""
        self.other.set("s").add(len(self.other.set("s")))
        self.feed.receive(self.other.changes(), "other")

    def hand_out(self) -> None:
        """What is new goes to the reader, who lacks nothing then."""
        newest = self.feed.newest()
        while self.place < newest:
            stretch = self.feed.read(self.place, newest, 2000)
            self.place = stretch.upto
            self.reader.receive([record.data for record in stretch.records], "ann")
        assert self.reader.waiting == 0 and self.reader.version == self.feed.version

    def find(self) -> None:
        """The newest change of each of its sessions, asked for by its name, has a seal of its own."""
        sessions = self.memory._document.state.sessions
        for id in [id for id, writer in sessions.items() if writer.key == self.memory._document.key]:
            self.hand_out()
            [data] = self.feed.find([(id, sessions[id].seq)])
            change = decode(data)
            assert verify(sessions[id].key, change.seal, change.hash)

    def keep_seal(self) -> None:
        self.feed.keep_seal()

    def flush(self) -> None:
        self.memory.changes(self.memory.version)


_MOSTLY = [Writer.write, Writer.write, Writer.write_many, Writer.hear, Writer.hand_out]
STEPS = st.lists(
    st.sampled_from([*_MOSTLY, Writer.find, Writer.keep_seal, Writer.flush, Writer.crash]),
    max_size=30,
)


def seals(log: Log) -> list[bool]:
    """Of the records that are stored, in order: whether there is a seal beside each."""
    return [bool(record.seal) for record in log.records()]


@given(STEPS)
def test_all_that_is_handed_out_is_under_a_seal(steps: list[Callable[[Writer], None]]) -> None:
    writer = Writer()
    for step in steps:
        step(writer)
    writer.hand_out()
    newcomer = Feed(Replica("newcomer").open(SCOPE))
    for feed in (writer.feed, writer.reader):  # who stores what was handed out can hand it on
        place, newest = 0, feed.newest()
        while place < newest:
            stretch = feed.read(place, newest, 2000)
            place = stretch.upto
            newcomer.receive([record.data for record in stretch.records], "either")
        assert newcomer.waiting == 0 and newcomer.version == feed.version
        newcomer = Feed(Replica("newcomer").open(SCOPE))


def refuse(*_: object) -> None:
    """A store that fails."""
    raise StoreError("the disk is full")


def handed_one_by_one(memory: Memory, count: int) -> Feed:
    feed = Feed(memory)
    for number in range(count):
        memory.set("s").add(number)
        [record] = feed.read(number, feed.newest()).records
        assert record.seal
    return feed


def test_of_changes_handed_out_one_by_one_every_64th_seal_is_stored_at_once_and_the_newest_in_a_while() -> None:
    memory = Replica("ann").open(SCOPE)
    log = memory._document.log
    feed = handed_one_by_one(memory, 2 * SEAL_EVERY + 3)
    assert [number for number, sealed in enumerate(seals(log), 1) if sealed] == [SEAL_EVERY, 2 * SEAL_EVERY]
    feed.keep_seal()
    assert seals(log)[-1]
    feed.keep_seal()  # there is none
    assert sum(seals(log)) == 3


def test_who_writes_much_and_flushes_late_has_its_seals_on_the_way_already() -> None:
    """Else a flush, and with it a checkpoint, would hold the memory for as long as it takes to make them all."""
    memory = Replica("ann").open(SCOPE)
    for number in range(SEAL_EVERY):
        memory.set("s").add(number)
        with memory.change():
            memory.set("s").add("one of")
            memory.counter("n").add(1)
    log = memory._document.log
    assert [number for number, sealed in enumerate(seals(log), 1) if sealed] == [SEAL_EVERY, 2 * SEAL_EVERY]


@pytest.mark.parametrize("end", ["close", "changes"])
def test_what_is_stored_at_the_end_is_sealed(end: str) -> None:
    store = MemoryStore()
    replica = Replica("ann", store=store)
    memory = replica.open(SCOPE)
    handed_one_by_one(memory, 3)
    if end == "close":
        replica.close()
    else:
        memory.changes()
    assert seals(store.open(SCOPE)) == [False, False, True]


def test_large_changes_do_not_go_without_a_stored_seal_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crdtmem.seals, "SEAL_BYTES", 10_000)
    memory = Replica("ann").open(SCOPE)
    feed = Feed(memory)
    for number in range(20):
        memory.register("r").assign("x" * 4000 + str(number))
        feed.newest()
    stored = [number for number, sealed in enumerate(seals(memory._document.log)) if sealed]
    assert stored == [2, 5, 8, 11, 14, 17]  # 12 KB each


def test_a_seal_that_cannot_be_stored_now_is_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteStore(tmp_path / "ann.db") as store, Replica("ann", store=store) as replica:
        memory = replica.open(SCOPE)
        feed = handed_one_by_one(memory, 2)
        log = memory._document.log

        with monkeypatch.context() as broken:
            broken.setattr(log, "seal", refuse)
            with pytest.raises(StoreError):
                feed.keep_seal()
            [record] = feed.read(1, feed.newest()).records
            assert record.seal and seals(log) == [False, False]
        feed.keep_seal()
        assert seals(log) == [False, True]


def test_the_last_change_of_a_session_that_ended_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that failed may be half on the disk, so its session is never continued."""
    memory = Replica("ann").open(SCOPE)
    feed = Feed(memory)
    memory.set("s").add(1)
    with monkeypatch.context() as broken:
        broken.setattr("crdtmem.store._MemoryLog.append", refuse)
        with pytest.raises(StoreError):
            memory.set("s").add(2)
    [record] = feed.read(0, feed.newest()).records
    assert record.seal and seals(memory._document.log) == [True]


def test_a_newest_change_that_is_damaged_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, other = Replica("ann").open(SCOPE), Replica("bob").open(SCOPE)
    feed = Feed(memory)
    memory.set("s").add(1)
    other.set("s").add(2)
    feed.receive(other.changes(), "bob")
    with monkeypatch.context() as broken:
        broken.setattr("crdtmem.store._MemoryLog.read", lambda *_: None)
        assert feed.newest() == 2
        feed.keep_seal()


def test_what_was_taken_out_of_the_log_is_not_handed_out() -> None:
    """A change that turned out not to be judged is put back to wait: the one kept at hand is let go with it."""
    memory, other = Replica("ann").open(SCOPE), Replica("bob").open(SCOPE)
    other.set("s").add(1)
    feed = Feed(memory)
    feed.receive(other.changes(), "bob")
    document = memory._document
    [change] = [record.change for record in document.log.records()]
    assert feed.read(0, 1).records != ()
    put_back(document, [change], "bob")
    assert feed.read(0, 1) == (1, ())


def test_a_record_at_hand_is_the_one_that_is_stored(tmp_path: Path) -> None:
    """Read from the log anew, by another who opens the file, it is the same."""
    with SqliteStore(tmp_path / "ann.db") as store, Replica("ann", store=store) as replica:
        memory = replica.open(SCOPE)
        feed = handed_one_by_one(memory, 5)
        [at_hand] = feed.read(4, 5).records
        feed.keep_seal()
        with SqliteStore(tmp_path / "ann.db", readonly=True) as seen:
            stored: list[Record] = list(seen.open(SCOPE).records())
    assert stored[-1] == at_hand


def test_a_session_that_ends_with_a_failed_write_is_sealed_to_its_last_change() -> None:
    """Its newest seal was not stored yet; what is written next is in another session."""
    store = Unwilling()
    ann, bob = Replica("ann", store=store).open(SCOPE), Replica("bob").open(SCOPE)
    mine, theirs = Feed(ann), Feed(bob)
    ann.set("s").add("before")
    mine.newest()
    store.full = True
    with pytest.raises(StoreError):
        ann.set("s").add("lost")
    store.full = False
    ann.set("s").add("after")
    stretch = mine.read(0, mine.newest())
    arrival = theirs.receive([record.data for record in stretch.records], "ann")
    assert arrival.received.waiting == 0
    assert bob.set("s") == {"before", "after"}


@pytest.mark.parametrize("beyond", [False, True])
def test_a_log_that_begins_behind_a_checkpoint_lacks_no_seal(*, beyond: bool) -> None:
    """What was sealed last lies behind the checkpoint now, or in the log that begins there."""
    ann, bob = Replica("ann").open(SCOPE), Replica("bob").open(SCOPE)
    mine, theirs = Feed(ann), handed_one_by_one(bob, 3)
    ann.set("s").add("first")
    theirs.receive([record.data for record in mine.read(0, mine.newest()).records], "ann")
    if beyond:
        ann.set("s").add("second")
        mine.newest()
    place, pieces = theirs.newest(), theirs.hand_over()
    assert mine.take_over(b"".join(pieces)) == 3
    mine.keep_seal()
    assert mine.read(place - 1, place).records == ()  # its history follows
    stretch = mine.read(place, mine.newest())
    assert theirs.receive([record.data for record in stretch.records], "ann").received.waiting == 0
    ann.set("s").add("third")
    stretch = mine.read(stretch.upto, mine.newest())
    assert theirs.receive([record.data for record in stretch.records], "ann").received.applied == 1
    assert mine.version == theirs.version
