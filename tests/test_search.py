"""Search: the same as a scan of all entries, for any words and filters; up to date, whatever came and went."""

import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import BadBytes, Hit, Memory, NotReached, Replica, Rules, SqliteStore, StoreError, ValueRefused, View
from crdtmem.feed import Feed
from crdtmem.fields.text import Text
from crdtmem.index import Index
from crdtmem.rules import FieldRule
from tests.crew import SCOPE, Time, alone, crew, exchange, tell
from tests.notes import AUTHORS, WORDS, play, writes
from tests.test_handover import busy, handed, lent


def ids(hits: list[Hit]) -> list[Any]:
    return [hit.entry.id for hit in hits]


def values(hits: list[Hit]) -> list[Any]:
    return [hit.value for hit in hits]


# -- against a scan --------------------------------------------------------------------------------


def scan(memory: Memory, words: list[str], keep: Callable[[Any], bool]) -> set[tuple[str, str]]:
    """What a search must find, by looking at every entry: (field, value). Shares no code with the index."""
    found = set()
    for field, kind in memory.fields().items():
        handle = getattr(memory, kind)(field)
        if isinstance(handle, Text):
            owners = [entry for entry in handle.entries() for _ in entry.value]
            at = 0
            for line in str(handle).split("\n"):
                if line.strip() and any(map(keep, owners[at : at + len(line)])) and holds(line, words):
                    found.add((field, line))
                at += len(line) + 1
            continue
        for entry in handle.entries():
            name = {"register": field + " now", "records": entry.key}.get(kind, "")
            value = " ".join(map(str, entry.value.values() if kind == "register" else entry.value))
            said = f"{entry.value if kind in ('set', 'sequence') else value} {name} {' '.join(entry.tags)}"
            if keep(entry) and holds(said, words):
                found.add((field, str(entry.value)))
    return found


def holds(said: str, words: list[str]) -> bool:
    said = " ".join(re.sub("([🦄数据])", r" \1 ", said).split())
    return not words or any(f" {word.replace('数据', '数 据')} " in f" {said} " for word in words)


@given(
    writes(),
    st.lists(st.sampled_from(WORDS), max_size=2),
    st.sampled_from([None, *AUTHORS]),
    st.sampled_from([None, 0.5]),
)
def test_search_finds_what_a_scan_of_all_entries_finds(
    story: list[tuple[Any, ...]], words: list[str], by: str | None, least: float | None
) -> None:
    def look(memory: Memory) -> None:
        found = memory.search(" ".join(words), by=by, confidence=least, limit=1000)
        seen = {(hit.field, hit.value if hit.kind == "text" else str(hit.value)) for hit in found}

        def keep(entry: Any) -> bool:
            return (by is None or entry.by == by) and (least is None or (entry.confidence or 0) >= least)

        assert seen == scan(memory, words, keep)

    for memory in play(story, look):
        look(memory)


@given(writes(), st.lists(st.sampled_from(WORDS), max_size=3), st.integers(1, 4))
def test_every_converged_replica_ranks_alike(story: list[tuple[Any, ...]], words: list[str], limit: int) -> None:
    memories = play(story, lambda memory: memory.search("churn"))  # their indexes grew in different orders
    late = alone("late")
    for memory in memories:
        late.receive(memory.changes())
    answers = [
        [(h.entry._id, h.value, h.score) for h in m.search(" ".join(words), limit=limit)] for m in [*memories, late]
    ]
    assert answers[0] == answers[1] == answers[2]
    everything = [(h.entry._id, h.value, h.score) for h in memories[0].search(" ".join(words), limit=1000)]
    assert answers[0] == everything[:limit]


@given(writes(), st.lists(st.sampled_from(WORDS), min_size=1, max_size=2))
def test_a_pinned_memory_is_searched_as_the_memory_was_then(story: list[tuple[Any, ...]], words: list[str]) -> None:
    answers: list[tuple[Any, Any]] = []

    def look(memory: Memory) -> None:
        answers.append((memory.version, [(hit.value, hit.score) for hit in memory.search(" ".join(words))]))

    for memory in play(story, look):
        for version, answer in answers:
            assert [(hit.value, hit.score) for hit in memory.at(version).search(" ".join(words))] == answer


def test_equal_hits_are_ordered_by_time_however_many_there_are() -> None:
    ann, bob = crew("ann", "bob")
    for memory in (ann, bob):
        for _ in range(60):
            memory.sequence("log").append("nothing new")
    bob.receive(ann.changes()[30:])  # they wait, and come in later than the rest
    exchange(ann, bob)
    found = ann.search("nothing", limit=50)
    assert ids(found) == ids(bob.search("nothing", limit=50))
    assert [hit.entry.at for hit in found] == sorted((hit.entry.at for hit in found), reverse=True)
    assert len({hit.score for hit in found}) == 1


# -- what makes an entry live or not ---------------------------------------------------------------


def test_what_is_gone_never_comes_back() -> None:
    memory = alone()
    kept = memory.set("facts").add("churn is 4.7 %")
    memory.register("status").assign("churn is being looked at")
    memory.register("status").assign("all done")
    gone = memory.set("facts").add("churn is 3.1 %")
    assert len(memory.search("churn")) == 2
    memory.retract(gone, why="last year's file")
    [hit] = memory.search("churn")
    assert hit.entry is kept and not hit.tainted and hit.score > 0


def test_tainted_entries_come_back_marked() -> None:
    memory = alone()
    source = memory.set("sources").add("churn.csv")
    memory.register("brief").assign("churn is 3.1 %", because=[source])
    before = memory.version
    assert [hit.tainted for hit in memory.search("churn", fields="brief")] == [False]
    memory.retract(source, why="wrong file")
    [hit] = memory.search("churn")
    assert (hit.field, hit.tainted, str(hit)) == ("brief", True, "brief: 'churn is 3.1 %' by ann (tainted)")
    assert [hit.tainted for hit in memory.at(before).search("churn", fields="brief")] == [False]
    memory.affirm(hit.entry, why="checked by hand")
    assert [hit.tainted for hit in memory.search("churn")] == [False]


def test_expired_entries_are_not_found_and_expiry_needs_no_change() -> None:
    time = Time()
    memory = alone(time=time)
    memory.set("facts").add("churn is up", ttl=60)
    version = memory.version
    assert len(memory.search("churn")) == len(memory.search("")) == 1
    time.passes(61)
    assert memory.search("churn") == memory.search("") == []
    assert len(memory.at(version).search("churn")) == 1


def test_a_retracted_entry_of_an_append_only_field_is_not_found() -> None:
    memory = Replica("boss").own(tenant="acme", rules=Rules(fields={"log": FieldRule("sequence", append_only=True)}))
    entry = memory.sequence("log").append("churn fell")
    memory.sequence("log").append("churn rose")
    memory.retract(entry, why="a typo")
    assert len(memory.sequence("log")) == 2
    assert values(memory.search("churn")) == ["churn rose"]


def test_a_cut_takes_its_entries_out_and_brings_back_what_they_removed() -> None:
    boss, bot = Replica("boss"), Replica("bot")
    memory = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}))
    memory.register("status").assign("invoice open")
    memory.set("facts").add("invoice 1042 was lost")
    copy = bot.open(memory.namespace)
    copy.receive(memory.changes())
    copy.register("status").assign("invoice paid")
    copy.text("draft").append("invoice: see the invoice")
    memory.receive(copy.changes())
    assert len(memory.search("invoice")) == 3
    memory.revoke("bot", since=None, why="its prompt was injected")
    found = {hit.field: hit.entry for hit in memory.search("invoice")}
    assert {field: entry.value for field, entry in found.items()} == {
        "status": "invoice open",
        "facts": "invoice 1042 was lost",
    }
    assert found["facts"] is memory.set("facts").entries()[0]
    assert found["status"] is memory.register("status").siblings[0]


def test_undo_restore_and_prune_are_followed() -> None:
    memory = alone()
    memory.set("facts").add("berlin")
    then = memory.version
    change = memory.sequence("plan").append("go to berlin")
    memory.text("draft").append("from berlin")
    assert len(memory.search("berlin")) == 3
    memory.undo(change, why="no")
    assert len(memory.search("berlin")) == 2
    memory.restore(then, why="back")
    assert values(memory.search("berlin")) == ["berlin"]
    memory.checkpoint()
    memory.prune(keep=0)
    assert values(memory.search("berlin")) == ["berlin"]
    memory.set("facts").add("berlin again")
    assert len(memory.search("berlin")) == 2


def test_a_text_is_found_by_its_paragraphs_whoever_wrote_in_them() -> None:
    ann = alone()
    bob = ann.acting_as("bob", role="editor")
    ann.text("draft").append("Churn is 3.1 % in the south.\nNobody knows why.\n\nNobody knows why.")
    bob.text("draft").replace("3.1", "4.7", tags=["fixed"])
    [hit] = ann.search("churn 4.7")
    assert (hit.value, hit.entry.by, hit.key) == ("Churn is 4.7 % in the south.", "ann", None)
    assert [share.value for share in hit.shares] == ["Churn is ", "4.7", " % in the south."]
    assert ids(ann.search("churn", by="bob")) == [hit.entry.id]
    assert ann.search("churn", by="bob", tags="fixed") and not ann.search("churn", by="ann", tags="fixed")
    assert values(ann.search("nobody")) == ["Nobody knows why."] * 2
    bob.text("draft").delete(0, 29)
    assert ann.search("churn") == []
    assert len(ann.search("nobody")) == 2


def test_reserved_fields_and_counters_are_no_hits() -> None:
    memory = alone()
    entry = memory.set("facts").add("berlin")
    memory.counter("berlin").add(3)
    memory.retract(entry, why="not berlin at all")
    assert memory.search("berlin") == memory.search("") == []


def test_records_are_found_by_key_path_and_leaf_and_registers_by_name() -> None:
    memory = alone()
    memory.records("accounts").put("acme", {"owner": {"name": "Bob"}, "risk": ["high", 3]}, why="yearly review")
    memory.register("headline").assign("Q3 brief")
    for query in ("acme", "bob", "owner", "HIGH", "3", "reviews"):
        assert [hit.key for hit in memory.search(query)] == ["acme"], query
    assert values(memory.search("headline")) == ["Q3 brief"]
    assert [hit.key for hit in memory.search("", where={"owner.name": "Bob", "risk": 3})] == ["acme"]
    assert memory.search("", where={"owner.name": "bob"}) == memory.search("", where={"owner": "Bob"}) == []


def test_filters_of_time_and_version() -> None:
    time = Time()
    memory = alone(time=time)
    for value in ("one", "two", "three"):
        time.passes(60)
        memory.sequence("log").append(value)
        if value == "two":
            seen = memory.version
    two = memory.sequence("log").entries()[1].at
    assert values(memory.search("")) == ["three", "two", "one"]
    assert values(memory.search("", since=two)) == ["three", "two"]
    assert values(memory.search("", until=two)) == ["one"]
    assert values(memory.search("", since=seen)) == ["three"]
    assert values(memory.search("", until=str(seen))) == ["two", "one"]
    assert values(memory.search("", limit=1, until=two + timedelta(days=1))) == ["three"]


def test_a_filter_that_turns_away_nearly_all_finds_what_is_left() -> None:
    memory = alone()
    rare = [
        memory.acting_as("bob", role="analyst").set("facts").add("berlin, said bob"),
        memory.set("facts").add("berlin, said the user", source="user"),
        memory.set("facts").add("berlin, said a tool", source="tool"),
    ]
    for nth in range(300):
        memory.sequence("log").append(f"berlin {nth}")
    assert ids(memory.search("berlin", by=["bob", "cyd"])) == ids(memory.search("", role="analyst")) == [rare[0].id]
    assert set(ids(memory.search("berlin", source=["user", "tool"]))) == {rare[1].id, rare[2].id}
    assert memory.search("berlin", role="nobody") == memory.search("", fields="none") == []


def test_a_long_sequence_is_followed_wherever_something_is_put_in() -> None:
    memory = alone()
    memory.sequence("log").extend([f"berlin {nth}" for nth in range(200)])
    assert len(memory.search("berlin", limit=1000)) == 200
    memory.sequence("log").append("berlin at the end")
    memory.sequence("log").insert(0, "berlin at the start")
    assert len(memory.search("berlin", limit=1000)) == 202
    memory.sequence("log").move(0, 100)
    memory.sequence("log").remove(100)
    assert len(memory.search("berlin", limit=1000)) == 201 and memory.search("start") == []


# -- bad input -------------------------------------------------------------------------------------


@given(
    st.text(max_size=40) | st.sampled_from(['"', "NEAR(a b", "a AND", "text: x", "*", "^a", "-b", "a\0b", "((((", "{"])
)
@settings(max_examples=300)
def test_any_query_gives_an_answer(query: str) -> None:
    memory = alone()
    memory.set("facts").add(query[:30] or "x")
    assert all(isinstance(hit, Hit) for hit in memory.search(query))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("to be or not to be", "not to be"),
        ('she said "NEAR" OR *', 'NEAR("said" OR)'),
        ("昨天数据库失败了", "数据库为什么失败"),
        ("ชาวไร่ปลูกข้าว", "ปลูก"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("Überraschung im Café", "uberraschung cafe"),
        ("done ✅ and 🦄", "✅"),
        ("done ✅ and 🦄", "🦄?"),
        ("a b\0c d", "c"),
        ("THE STRASSE", "straße"),
        ("\ufb01ne \uff12\uff14", "fine 24"),
        ("the release of v2.3.1-rc1", "v2.3.1-rc1"),
        ("it was refunded", "refunds"),
    ],
)
def test_any_language_and_emoji_are_found(text: str, query: str) -> None:
    memory = alone()
    memory.set("facts").add(text)
    memory.set("facts").add("something else entirely")
    assert values(memory.search(query)) == [text]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"query": b"x"}, TypeError),
        ({"query": "\ud800"}, ValueRefused),
        ({"limit": 0}, ValueRefused),
        ({"limit": 1001}, ValueRefused),
        ({"limit": "3"}, TypeError),
        ({"fields": 3}, TypeError),
        ({"by": [3]}, TypeError),
        ({"source": "rumour"}, ValueRefused),
        ({"since": "token"}, BadBytes),
        ({"since": 3}, TypeError),
        ({"confidence": 2}, ValueRefused),
        ({"confidence": "high"}, TypeError),
        ({"where": ["a"]}, TypeError),
        ({"where": {"a": object()}}, ValueRefused),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        alone().search(**{"query": "x", **arguments})


def test_a_query_without_a_word_finds_nothing_and_a_long_one_ends() -> None:
    memory = alone()
    memory.set("facts").add("x")
    assert memory.search("?!") == []
    assert values(memory.search("x " + "word" * 5000 + " y" * 100_000)) == ["x"]


def test_a_version_that_is_not_here_is_told() -> None:
    ann, bob = crew("ann", "bob")
    bob.set("facts").add("x")
    with pytest.raises(NotReached):
        ann.search("x", since=bob.version)
    with pytest.raises(NotReached):
        ann.at(bob.version)


# -- the index -------------------------------------------------------------------------------------


def test_an_index_that_cannot_be_brought_up_to_date_says_so_and_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = alone()
    memory.set("facts").add("one berlin")
    assert len(memory.search("berlin")) == 1
    memory.set("facts").add("two berlin")
    index = memory._document.kept.index
    assert index is not None
    whole = index._execute

    for raised, told in ((apsw.FullError("disk full"), StoreError), (MemoryError(), MemoryError)):

        def full(sql: str, *values: Any, raised: Exception = raised) -> Any:
            if sql.startswith("INSERT"):
                raise raised
            return whole(sql, *values)

        monkeypatch.setattr(index, "_execute", full)
        with pytest.raises(told):
            memory.search("berlin")
        monkeypatch.undo()
        assert len(memory.search("berlin")) == 2
        memory.set("facts").discard("two berlin")
        memory.set("facts").add("two berlin")


def test_a_file_is_searched_again_after_a_restart_and_by_readers(tmp_path: Any) -> None:
    path = tmp_path / "ann.db"
    with SqliteStore(path) as store, Replica("ann", store=store) as replica:
        memory = replica.open(SCOPE)
        memory.set("facts").add("berlin")
        assert len(memory.search("berlin")) == 1
        memory.set("facts").add("berlin wall")
        with SqliteStore(path, readonly=True) as other, Replica("eve", store=other) as reader:
            assert len(reader.open(SCOPE).search("berlin")) == 2
    with SqliteStore(path) as store, Replica("ann", store=store) as replica:
        assert len(replica.open(SCOPE).search("berlin")) == 2


def test_a_newcomer_that_took_a_checkpoint_finds_all_before_its_history_has_come() -> None:
    ann, bob = busy(), alone("bob")
    ann.sequence("q").append("berlin")
    assert bob.search("berlin") == []
    Feed(bob).take_over(handed(ann))

    def alike() -> bool:
        answers = [
            [(hit.entry._id, hit.score) for hit in memory.search(query)] for memory in (ann, bob) for query in "1x"
        ]
        return answers[:2] == answers[2:] and str(View(ann, tokens=900)) == str(View(bob, tokens=900))

    assert bob.owed and alike() and len(bob.search("berlin")) == 1
    view = View(bob, tokens=900)
    assert view.check("In Berlin [f1].").phantoms == () and view.check("In Lyon [f1].").phantoms
    bob.sequence("q").append("berlin too")
    bob._document.flush()
    ann.receive([record.data for _, record in bob._document.log.since(0)])
    assert lent(ann, bob) and alike()
    assert Feed(bob).prove() and alike() and len(bob.search("berlin")) == 2


def test_many_changes_are_taken_in_as_few_are() -> None:
    ann, bob = crew("ann", "bob")
    bob.search("x")
    for nth in range(1100):
        ann.set("facts").add(f"fact {nth}")
    tell(ann, bob)
    assert len(bob.search("fact", limit=1000)) == 1000
    assert values(bob.search("1099")) == ["fact 1099"]


def test_no_answer_is_stale_under_writers_and_readers_in_parallel() -> None:
    """Whoever reads finds all that was written before it asked, and each counted once."""
    memory = alone()
    done = [0]
    stale: list[Any] = []

    def write() -> None:
        for nth in range(300):
            memory.sequence("log").append(f"berlin {nth}")
            memory.register("newest").assign(f"newest {nth}")
            done[0] = nth + 1

    def read() -> None:
        while done[0] < 300:
            before = done[0]
            found = memory.search("berlin", limit=1000)
            newest = [hit.value for hit in memory.search("newest")]
            if not before <= len(found) == len(set(ids(found))) or (before and int(newest[0].split()[1]) < before - 1):
                stale.append((before, len(found), newest))
            if len(newest) > 1:
                stale.append(newest)

    threads = [threading.Thread(target=target) for target in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not stale
    assert len(memory.search("berlin", limit=1000)) == 300


def test_others_write_on_while_an_index_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = alone()
    memory.set("facts").add("berlin early")
    then = memory.at(memory.version)
    memory.set("facts").add("berlin wall")
    real, late = Index._add, ["berlin late", "berlin later"]

    def add(self: Index, *args: Any) -> Any:
        if late:
            writer = threading.Thread(target=memory.set("facts").add, args=(late.pop(0),))
            writer.start()
            writer.join(20)
            assert not writer.is_alive()
        return real(self, *args)

    monkeypatch.setattr(Index, "_add", add)
    assert values(then.search("berlin")) == ["berlin early"]
    assert set(values(memory.search("berlin"))) == {"berlin early", "berlin wall", "berlin late", "berlin later"}


def test_who_holds_the_lock_of_a_memory_may_search_while_others_do() -> None:
    memory = alone()
    memory.set("facts").add("berlin")
    then = memory.at(memory.version)
    memory.set("facts").add("more")
    answers: list[int] = []

    def ask(held: Any) -> None:
        for _ in range(200):
            with held:
                answers.append(len(memory.search("berlin")) + len(then.search("berlin")))

    held = (memory._document.lock, nullcontext(), nullcontext())
    threads = [threading.Thread(target=ask, args=(lock,)) for lock in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [2] * 600


def test_rows_that_are_gone_leave_the_order_of_time() -> None:
    memory = alone()
    for nth in range(100):
        memory.register("status").assign(nth)
        assert values(memory.search("")) == [nth]
    index = memory._document.kept.index
    assert isinstance(index, Index) and sum(map(len, index._order.values())) < 40
