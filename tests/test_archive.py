"""Archives: the same memory again from one file; merged with what is there; any bytes, and any end, are told."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import BadBytes, FieldRule, Identity, Memory, MisuseError, Replica, Rules, SqliteStore, StoreError
from crdtmem.archive import BEGIN, CHANGES, CHECKPOINT, END, HEADS, MAGIC, Archive, save
from crdtmem.bringing import Brought, bring
from crdtmem.change import compose, decode
from crdtmem.errors import NamespaceError
from crdtmem.feed import Feed
from crdtmem.inbox import MAX_WAITING, SEAL_EVERY
from crdtmem.store import MemoryStore, Record
from crdtmem.values import encode
from tests.crew import SCOPE, Unwilling, alone, crew, exchange, tell
from tests.stories import STEPS, Step, content, entries, play


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


def told(memory: Memory) -> list[str]:
    """The whole audit."""
    return [str(event) for event in memory.audit(limit=10_000)]


def same(one: Memory, other: Memory) -> None:
    assert one.digest() == other.digest()
    assert one.version == other.version
    assert content(one) == content(other)
    assert entries(one) == entries(other)


@given(STEPS)
def test_an_archive_taken_in_by_an_empty_memory_gives_the_same_one(folder: Path, steps: list[Step]) -> None:
    memories = crew("ann", "bob", "cid")
    for step in steps:
        play(memories, step)
    for memory in memories:
        made = save(memory, folder / "drawn")
        fresh = alone("new")
        assert bring(fresh, folder / "drawn") == Brought(made.changes, made.changes)
        same(fresh, memory)
        assert told(fresh) == told(memory)
        assert {decode(data).core for data in fresh.changes()} == {decode(data).core for data in memory.changes()}
        found = Archive(folder / "drawn").contents
        assert found == made and found.size == (folder / "drawn").stat().st_size
        assert found.version == memory.version and found.digest == memory.digest()


@given(STEPS, STEPS)
def test_taken_in_by_a_memory_with_something_of_its_own_it_is_merged(
    folder: Path, steps: list[Step], more: list[Step]
) -> None:
    ann, bob = memories = crew("ann", "bob")
    for step in steps:
        play(memories, step)
    for step in more:
        play((ann,), step)
    save(ann, folder / "merged")
    held = bob.version
    reference = alone("ref")
    tell(bob, reference)
    tell(ann, reference)
    bring(bob, folder / "merged")
    same(bob, reference)
    assert bob.reached(held) and bob.reached(ann.version)
    assert bring(bob, folder / "merged").changes == 0  # again does nothing


@given(st.integers(0, 40), STEPS, STEPS)
@settings(max_examples=25)
def test_of_a_pruned_memory_it_brings_what_it_shows_to_whom_trusts_its_maker(
    folder: Path, keep: int, steps: list[Step], more: list[Step]
) -> None:
    memory = alone("ann")
    for step in steps:
        play((memory,), step)
    pruned = memory.prune(keep=keep).changes
    for step in more:
        play((memory,), step)
    made = save(memory, folder / "pruned")
    assert made.pruned == (pruned > 0)
    fresh = alone("new")
    if pruned:
        with pytest.raises(MisuseError, match=made.key.hex()):
            bring(fresh, folder / "pruned")
        assert not fresh.fields()
    bring(fresh, folder / "pruned", trust=[made.key])
    same(fresh, memory)
    assert fresh.owed == 0
    assert [e.rank for e in fresh.audit(limit=10_000)] == [e.rank for e in memory.audit(limit=10_000)]


def test_a_pruned_memory_goes_on_where_its_archive_is_taken_in(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "ann.db") as replica:
        ann = replica.open(SCOPE)
        for n in range(50):
            ann.sequence("q").append(n)
        bob = Replica("bob").open(SCOPE)
        tell(ann, bob)
        bob.set("s").add("mine")
        ann.prune(keep=10)
        ann.text("t").append("late")
        made = save(ann, tmp_path / "a")
    with Replica("ann", store=tmp_path / "other.db", identity=Identity.kept(tmp_path / "ann.db-key")) as replica:
        again = replica.open(SCOPE)
        bring(again, tmp_path / "a")  # its own key: nobody else has to be trusted
        assert again.digest() == made.digest
        again.sequence("q").append(50)
    with Replica("ann", store=tmp_path / "other.db") as replica:
        again = replica.open(SCOPE)
        assert list(again.sequence("q")) == [*range(51)]
        assert bring(bob, tmp_path / "a", trust=[made.key]).changes == 1
        bob.receive(again.changes(bob.version))
        assert (
            list(bob.sequence("q")) == [*range(51)] and str(bob.text("t")) == "late" and list(bob.set("s")) == ["mine"]
        )


def test_an_owned_memory_keeps_its_rules_its_cuts_and_its_names(tmp_path: Path) -> None:
    boss, bot = Replica("boss"), Replica("bot")
    rules = Rules(agents={bot.identity.key: "bot"}, fields={"plan": FieldRule("sequence", writers=["boss"])})
    memory = boss.own(tenant="acme", rules=rules)
    other = bot.open(memory.namespace)
    tell(memory, other)
    other.set("s").add("kept")
    tell(other, memory)
    then = memory.version
    other.set("s").add("void")
    tell(other, memory)
    memory.revoke("bot", since=then, why="its prompt was injected")
    save(memory, tmp_path / "a")
    fresh = Replica("new").open(Archive(tmp_path / "a").contents.namespace)
    bring(fresh, tmp_path / "a")
    assert fresh.digest() == memory.digest() and told(fresh) == told(memory)
    assert list(fresh.set("s")) == ["kept"] and fresh.rules == memory.rules
    assert all(entry.verified for entry in fresh.set("s").entries())


def forked() -> Memory:
    """A memory in which a session has two histories."""
    store, key = MemoryStore(), Identity(bytes([7]) * 32)
    memory = Replica("twin", store=store, identity=key).open(SCOPE)
    for n in range(3):
        memory.set("s").add(n)
    document = memory._document
    writer, hash, hlc = document.session, document.session.hash, document.stamp()  # type: ignore[union-attr]
    records = memory.changes()
    branches = []
    for value in ("one", "other"):
        part = decode(records[-1]).parts[0]._replace(adds=((value,),))
        change = compose(SCOPE.digest, writer.id, 4, hash, (), None, hlc, None, (part,))  # type: ignore[union-attr]
        branches.append(Record(writer.id, 4, change.hash, change.core, key.sign(change.hash)).data)  # type: ignore[union-attr]
    ann = alone("ann")
    ann.receive([*records, branches[0]])
    ann.receive([branches[1]])
    ann.set("s").add("mine")
    assert len(ann.equivocations) == 1
    return ann


def test_a_forked_session_stays_void_where_its_archive_is_taken_in(tmp_path: Path) -> None:
    ann = forked()
    save(ann, tmp_path / "a")
    fresh = alone("new")
    bring(fresh, tmp_path / "a")
    assert fresh.digest() == ann.digest() and fresh.equivocations == ann.equivocations


def test_it_brings_back_what_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ann.db"
    with Replica("ann", store=path) as replica:
        memory = replica.open(SCOPE)
        for n in range(20):
            memory.set("s").add(n)
        save(memory, tmp_path / "a")
        digest = memory.digest()
        memory._document.log._store.db.execute("UPDATE changes SET core = x'00' WHERE seq = 10")  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="damaged, so no archive of it would be whole"):
            save(memory, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    with Replica("ann", store=path) as replica:
        memory = replica.open(SCOPE)
        list(memory._document.log.records())
        assert memory.damage
        bring(memory, tmp_path / "a")
        assert not memory.damage and memory.digest() == digest


def test_beside_a_live_owner_its_key_seals_what_is_not_sealed_yet(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "ann.db") as owner:
        memory = owner.open(SCOPE)
        for n in range(700):
            memory.set("s").add(n)
        with SqliteStore(tmp_path / "ann.db", readonly=True) as store, Replica("reader", store=store) as replica:
            looking = replica.open(SCOPE)
            with pytest.raises(StoreError, match=r"'ann' are not sealed yet.*identity="):
                save(looking, tmp_path / "a")
            memory.set("s").add("since then")  # the reader's log has it, and its memory does not
            made = save(looking, tmp_path / "a", identity=Identity.kept(tmp_path / "ann.db-key"))
    fresh = alone("new")
    assert bring(fresh, tmp_path / "a").changes == 700 and fresh.digest() == made.digest


def test_sessions_side_by_side_under_sparse_seals_enter_all_the_same(tmp_path: Path) -> None:
    count, size = 40, 500  # more than one sender may leave waiting, each session sealed at its very end
    assert count * size > MAX_WAITING
    writers = [Replica(f"w{n}", identity=Identity(bytes([n + 1]) * 32)).open(SCOPE) for n in range(count)]
    chains: list[Iterator[Any]] = []
    for writer in writers:
        for n in range(size):
            writer.counter("n").add(n)
        chains.append(iter([decode(record) for record in writer.changes()]))
    relay = alone("relay")
    for change in (change for row in zip(*chains, strict=True) for change in row):
        last = change.seq == size
        relay._document.log.append([Record(*change.head, change.core, change.seal if last else b"")])
        relay._document.state.apply(change, None, relay._document.log.newest)
    made = save(relay, tmp_path / "a")
    assert made.changes == count * size
    fresh = alone("new")
    assert bring(fresh, tmp_path / "a").changes == made.changes
    assert fresh.digest() == made.digest


# -- any bytes -------------------------------------------------------------------------------------


def small(folder: Path, *, pruned: bool = False) -> bytes:
    ann, bob = crew("ann", "bob")
    for n in range(3):
        ann.set("s").add(n)
        bob.text("t").append("x")
    exchange(ann, bob)
    if pruned:
        ann.prune(keep=2)
    ann.set("s").add("last")
    save(ann, folder / "small")
    return (folder / "small").read_bytes()


def refused(folder: Path, data: bytes) -> str:
    """What is said of these bytes; and nothing of them was used."""
    (folder / "bad").write_bytes(data)
    memory = alone("new")
    with pytest.raises(BadBytes) as found:
        bring(memory, folder / "bad")
    assert not memory.fields() and not memory._document.state.count
    assert len(str(found.value)) < 600
    return str(found.value)


@pytest.mark.parametrize("pruned", [False, True])
def test_cut_off_anywhere_it_is_refused(tmp_path: Path, pruned: bool) -> None:  # noqa: FBT001
    data = small(tmp_path, pruned=pruned)
    for end in {*range(0, len(data), 7 if pruned else 1), len(data) - 1} - {len(data)}:
        assert "ends too soon" in (said := refused(tmp_path, data[:end])) or "not an archive" in said


@given(st.booleans(), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_altered_anywhere_it_is_refused(folder: Path, pruned: bool, where: float, bits: int) -> None:  # noqa: FBT001
    whole = small(folder, pruned=pruned)
    at = int(where * len(whole))
    refused(folder, whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])


@given(st.binary(max_size=200), st.integers(0, 255))
def test_any_bytes_are_refused(folder: Path, data: bytes, kind: int) -> None:
    refused(folder, data)
    refused(folder, MAGIC + data)
    refused(folder, MAGIC + len(data).to_bytes(4, "big") + bytes([kind % 7]) + data)
    whole = small(folder)
    refused(folder, whole + (data or b"x"))


def test_what_is_refused_is_told_in_words(tmp_path: Path) -> None:
    whole = small(tmp_path)
    newer = encode((2, "whatever it holds"))
    assert "format 2, of a newer crdtmem" in refused(tmp_path, MAGIC + len(newer).to_bytes(4, "big") + b"\0" + newer)
    assert "larger than there can be" in refused(tmp_path, MAGIC + b"\xff\xff\xff\xff\0" + whole)
    assert "another order" in refused(tmp_path, MAGIC + whole[len(MAGIC) :][:0] + b"\0\0\0\1\2\x90")
    assert "something stands behind its end" in refused(tmp_path, whole + b"x")
    assert "is not an archive" in refused(tmp_path, b"")
    with pytest.raises(NamespaceError, match="is of Namespace"):
        bring(Replica("x").open(tenant="other"), tmp_path / "small")
    with pytest.raises(MisuseError, match="not one pinned"):
        memory = alone()
        save(memory.at(memory.version), tmp_path / "x")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, MAGIC)
    os.close(writing)
    with pytest.raises(MisuseError, match="is a pipe"):
        Archive(f"/dev/fd/{reading}")
    os.close(reading)


# -- somebody who makes archives of his own ----------------------------------------------------------


def test_a_forger_with_a_key_of_his_own_brings_in_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is whole by its own sum, and holds a change that its author never sealed."""
    ann = alone("ann")
    ann.register("r").assign("paid: 10 EUR")
    ann.set("s").add("x")

    def forged(records: Iterator[bytes]) -> Iterator[list[bytes]]:
        for data in records:
            yield [data.replace(b"10 EUR", b"99 EUR")]

    monkeypatch.setattr("crdtmem.archive._batches", forged)
    save(ann, tmp_path / "a")
    memory = alone("new")
    with pytest.raises(BadBytes, match="not all of it could be taken in"):
        bring(memory, tmp_path / "a")
    assert not memory.fields()


def test_a_change_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = alone("ann")
    for n in range(5):
        ann.set("s").add(n)
    monkeypatch.setattr("crdtmem.archive._batches", lambda records: ([data] for data in list(records)[1:]))
    save(ann, tmp_path / "a")
    with pytest.raises(BadBytes, match="4 changes wait for others, which are not in it"):
        bring(alone("new"), tmp_path / "a")


Piece = tuple[int, Any]


def remade(path: Path, change: Callable[[list[Piece]], list[Piece]], key: Identity, **end: Any) -> None:
    """An archive in place of another: its pieces changed, and its sum and seal right for what it holds now."""
    old = Archive(path)
    pieces: list[Piece] = []
    with old.opened() as file:
        file.seek(len(MAGIC))
        while not pieces or pieces[-1][0] != END:
            pieces.append(old._next(file)[1:])
    _, (count, digest, *_) = pieces.pop()
    pieces = change(pieces)
    count = end.get("count", sum(len(content) for kind, content in pieces if kind == CHANGES))
    body = b"".join(framed(*one) for one in pieces)
    told = (count, end.get("digest", digest), key.key)
    sum_ = blake2b(MAGIC + body + encode(told), digest_size=32, person=b"crdtmem archive").digest()
    path.write_bytes(MAGIC + body + framed(END, (*told, sum_, key.sign(sum_))))


def framed(kind: int, content: Any) -> bytes:
    body = encode(content)
    return len(body).to_bytes(4, "big") + bytes([kind]) + body


def as_it_is(pieces: list[Piece]) -> list[Piece]:
    return pieces


def test_a_remade_archive_that_changes_nothing_is_as_good(tmp_path: Path) -> None:
    data = small(tmp_path)
    remade(tmp_path / "small", as_it_is, Identity())
    assert len((tmp_path / "small").read_bytes()) == len(data)
    assert bring(alone("new"), tmp_path / "small").changes == 7


@pytest.mark.parametrize(
    ("change", "end", "said"),
    [
        (as_it_is, {"count": 3}, "it holds 7 changes, and its end speaks of 3"),
        (lambda pieces: [(BEGIN, (1, ["acme"], None, 0, "x")), *pieces[1:]], {}, "is shorter"),
        (lambda pieces: [(BEGIN, (1, ["\0", *[None] * 5], None, 0, "x")), *pieces[1:]], {}, "control character"),
        (lambda pieces: [(BEGIN, (1, [None] * 6, None, 0, "x")), *pieces[1:]], {}, "needs a tenant"),
        (lambda pieces: [pieces[0], (HEADS, []), *pieces[1:]], {}, "another order"),
        (lambda pieces: [*pieces, *pieces], {}, "another order"),
        (lambda pieces: pieces[1:], {}, "another order"),
        (lambda pieces: [*pieces, (HEADS, [(bytes(16), 1, bytes(32))] * 20)], {}, "larger than there can be"),
        (lambda pieces: [pieces[0], (CHECKPOINT, bytes(70_000)), *pieces[1:]], {}, "larger than there can be"),
    ],
)
def test_what_is_whole_by_its_own_sum_and_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, end: Any, said: str
) -> None:
    monkeypatch.setattr("crdtmem.archive.MAX_HEADS", 10)
    monkeypatch.setattr("crdtmem.archive.MAX_CHECKPOINT", 65_536)
    small(tmp_path)
    remade(tmp_path / "small", change, Identity(), **end)
    assert re.search(said, refused(tmp_path, (tmp_path / "small").read_bytes()))


@given(
    st.lists(
        st.tuples(st.just(CHECKPOINT), st.binary(max_size=60))
        | st.tuples(st.just(CHANGES), st.lists(st.binary(max_size=60), max_size=3)),
        max_size=4,
    ),
    st.booleans(),
)
def test_any_content_gives_the_memory_or_one_error(folder: Path, extra: list[Piece], instead: bool) -> None:  # noqa: FBT001
    small(folder)
    key = Identity()

    def change(pieces: list[Piece]) -> list[Piece]:
        kept = [one for one in pieces if not instead or one[0] != CHANGES]
        return sorted([*kept, *extra], key=lambda one: one[0])

    remade(folder / "small", change, key)
    memory = alone("new")
    try:
        bring(memory, folder / "small", trust=[key.key])
    except (BadBytes, StoreError):
        assert instead or any(kind == CHECKPOINT for kind, _ in extra) or memory.fields()
    else:
        assert memory.digest() == Archive(folder / "small").contents.digest


def test_what_it_says_it_comes_to_is_held_against_what_it_does(tmp_path: Path) -> None:
    small(tmp_path)
    remade(tmp_path / "small", as_it_is, Identity(), digest=bytes(32))
    with pytest.raises(BadBytes, match="the same changes show something else here"):
        bring(alone("new"), tmp_path / "small")


def test_a_pruned_archive_without_its_history_is_told(tmp_path: Path) -> None:
    small(tmp_path, pruned=True)
    key = Identity()
    remade(tmp_path / "small", lambda pieces: [one for one in pieces if one[0] != CHANGES], key)
    with pytest.raises(StoreError, match="its history does not come to its checkpoint"):
        bring(alone("new"), tmp_path / "small", trust=[key.key])


def test_what_is_not_all_here_makes_no_archive(tmp_path: Path) -> None:
    giver, taker = crew("ann", "bob")
    for n in range(20):
        giver.set("s").add(n)
    Feed(taker).take_over(b"".join(Feed(giver).hand_over()))
    with pytest.raises(StoreError, match="is still on its way from a peer"):
        save(taker, tmp_path / "a")
    memory = forked()
    memory.prune(keep=1)
    with pytest.raises(StoreError, match="was pruned, and holds forked sessions: copy its file"):
        save(memory, tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_writing_goes_on_while_an_archive_is_made(tmp_path: Path) -> None:
    ann = alone("ann")
    for n in range(2000):
        ann.set("s").add(f"{n} " + "x" * 100)
    then = ann.digest()
    made = save(ann, tmp_path / "a", progress=lambda done, total: ann.counter("n").add(1))
    assert made.digest == then != ann.digest() and made.changes == 2000
    fresh = alone("new")
    bring(fresh, tmp_path / "a")
    assert fresh.digest() == then and "n" not in fresh.fields()


def test_a_prune_waits_until_the_archive_is_made(tmp_path: Path) -> None:
    ann = alone("ann")
    for n in range(2000):
        ann.set("s").add(f"{n} " + "x" * 100)
    began: list[threading.Thread] = []

    def prune(done: int, total: int) -> None:
        if not began:
            began.append(threading.Thread(target=ann.prune))
            began[0].start()

    made = save(ann, tmp_path / "a", progress=prune)
    began[0].join()
    assert made.changes == 2000 and not made.pruned and ann._document.state.pruned.any()
    fresh = alone("new")
    bring(fresh, tmp_path / "a")
    assert fresh.digest() == made.digest


# -- interrupted, refused, watched -----------------------------------------------------------------


def test_a_store_that_fails_half_way_keeps_what_came_and_goes_on_later(tmp_path: Path) -> None:
    ann = alone("ann")
    for n in range(3000):
        ann.set("s").add(f"{n} " + "x" * 50)
    made = save(ann, tmp_path / "a")
    store = Unwilling()
    memory = Replica("new", store=store).open(SCOPE)

    def full(done: int, total: int) -> None:
        store.full = done > total // 2

    with pytest.raises(StoreError, match="full"):
        bring(memory, tmp_path / "a", progress=full)
    assert 0 < len(memory.set("s")) < 3000
    store.full = False
    assert bring(memory, tmp_path / "a").changes > 0
    assert memory.digest() == made.digest


BRINGS = """
import sys
import threading
from crdtmem import Replica
from crdtmem.bringing import bring
from tests.crew import SCOPE
with Replica("new", store=sys.argv[1]) as replica:
    told = lambda done, total: print(done, flush=True) or sys.stdin.readline()
    bring(replica.open(SCOPE), sys.argv[2], progress=told)
"""


@pytest.mark.parametrize("pieces", [1, 4])
def test_killed_on_the_way_it_goes_on_where_it_was(tmp_path: Path, pieces: int) -> None:
    ann = alone("ann")
    for n in range(3000):
        ann.set("s").add(f"{n} " + "x" * 50)
    made = save(ann, tmp_path / "a")
    command = [sys.executable, "-c", BRINGS, str(tmp_path / "new.db"), str(tmp_path / "a")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        for _ in range(pieces):
            came = int(process.stdout.readline())
            process.stdin.write("go on\n")
            process.stdin.flush()
        process.kill()
    with Replica("new", store=tmp_path / "new.db") as replica:
        memory = replica.open(SCOPE)
        held = len(memory.set("s"))
        assert came - SEAL_EVERY <= held < 3000  # what waits for the next seal comes again
        assert bring(memory, tmp_path / "a").changes == 3000 - held
        assert memory.digest() == made.digest and memory.version == made.version


def test_progress_goes_up_to_all_there_is(tmp_path: Path) -> None:
    ann = alone("ann")
    for n in range(2000):
        ann.set("s").add(f"{n} " + "x" * 100)
    seen: list[tuple[int, int]] = []
    save(ann, tmp_path / "a", progress=lambda *told: seen.append(told))
    assert len(seen) > 2 and seen[-1] == (2000, 2000) and all(a <= b for a, b in pairwise(seen))
    seen.clear()
    bring(alone("new"), tmp_path / "a", progress=lambda *told: seen.append(told))
    assert len(seen) > 2 and seen[-1] == (2000, 2000)


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path) -> None:
    ann = alone("ann")
    ann.set("s").add(1)
    (tmp_path / "a").write_bytes(b"what was there")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(ann, tmp_path / "a", progress=stop)
    assert (tmp_path / "a").read_bytes() == b"what was there" and os.listdir(tmp_path) == ["a"]
    with pytest.raises(FileNotFoundError):
        save(ann, tmp_path / "nowhere" / "a")


def test_pieces_are_as_small_as_said(tmp_path: Path) -> None:
    ann = alone("ann")
    for n in range(300):
        ann.set("s").add(f"{n} " + "x" * 2000)
    save(ann, tmp_path / "a")
    found = Archive(tmp_path / "a")
    with found.opened() as file:
        sizes = [sum(map(len, records)) for records in found.pieces(file, found.places)]
    assert CHANGES == 2 and len(sizes) >= 10 and max(sizes) < 70_000
