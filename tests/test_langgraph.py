"""The LangGraph store: as LangGraph's own store in memory shows it (the oracle), and what only ours does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from crdtmem import CrdtmemError, Memory, Peer, Replica, ValueRefused
from crdtmem.adapters.langgraph import CrdtmemStore

BEGUN = 1_800_000_000.0


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = BEGUN

    def __call__(self) -> float:
        return self.now


def memory(agent: str = "ann", time: Callable[[], float] | None = None) -> Memory:
    ticks = count(int(BEGUN))
    return Replica(agent, time=time or (lambda: float(next(ticks)))).open(tenant="acme")


@pytest.fixture
def store() -> CrdtmemStore:
    return CrdtmemStore(memory())


# -- beside LangGraph's own --------------------------------------------------------------------------

labels = st.sampled_from(["a", "b", "docs", "user 7", "*", "ä"])
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple)
keys = st.sampled_from(["k", "", ".", "..", "a..b", "..k", "0"])
values = st.dictionaries(st.sampled_from(["n", "text", "deep"]), st.integers(0, 3) | st.sampled_from(["x", "y"]))
filters = st.none() | st.dictionaries(
    st.sampled_from(["n", "text"]), st.integers(0, 3) | st.just({"$ne": 1}), max_size=1
)
paths = st.lists(labels | st.just("*"), min_size=1, max_size=2).map(tuple)
conditions = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), paths)
operations = st.one_of(
    st.tuples(namespaces, keys, st.none() | values).map(lambda given: PutOp(*given)),
    st.tuples(namespaces, keys).map(lambda given: GetOp(*given)),
    st.tuples(st.just(()) | namespaces, filters, st.just(1000)).map(lambda given: SearchOp(*given)),
)


def plain(result: Any) -> Any:
    """What a result says, but for times and the order of hits."""
    if isinstance(result, list):
        return sorted(map(plain, result), key=repr)
    if hasattr(result, "value"):
        return result.namespace, result.key, sorted(result.value.items(), key=repr)
    return result


@given(st.lists(st.lists(operations, min_size=1, max_size=4), max_size=12))
def test_it_answers_as_the_store_in_memory_does(batches: list[list[Any]]) -> None:
    ours, theirs = CrdtmemStore(memory()), InMemoryStore()
    for batch in batches:
        wanted = theirs.batch(batch)
        for op, mine, other in zip(batch, ours.batch(batch), wanted, strict=True):
            assert plain(mine) == plain(other), op


@given(st.lists(st.tuples(namespaces, keys, values), max_size=8), st.none() | st.integers(1, 3), conditions)
def test_namespaces_are_listed_as_in_memory(
    puts: list[tuple[Any, str, Any]], depth: int | None, condition: MatchCondition
) -> None:
    ours, theirs = CrdtmemStore(memory()), InMemoryStore()
    for namespace, key, value in puts:
        ours.put(namespace, key, value)
        theirs.put(namespace, key, value)
    asked = ListNamespacesOp((condition,), depth, 5, 1)
    assert ours.batch([asked]) == theirs.batch([asked])


def test_a_batch_reads_what_stood_before_it_and_writes_once(store: CrdtmemStore) -> None:
    store.put(("a",), "k", {"n": 1})
    before = store.memory.version
    results = store.batch(
        [PutOp(("a",), "k", {"n": 2}), GetOp(("a",), "k"), PutOp(("a",), "new", {"n": 3}), SearchOp(("a",))]
    )
    assert results[1].value == {"n": 1} and [hit.key for hit in results[3]] == ["k"]  # type: ignore[union-attr]
    assert store.get(("a",), "k").value == {"n": 2}  # type: ignore[union-attr]
    assert len(store.memory.changes(before)) == 1


def test_the_newest_hit_comes_first_and_pages_do_not_overlap(store: CrdtmemStore) -> None:
    for number in range(7):
        store.put(("a",), str(number), {"n": number})
    store.put(("a",), "2", {"n": 2})
    pages = [[hit.key for hit in store.search(("a",), limit=3, offset=at)] for at in (0, 3, 6)]
    assert pages == [["2", "6", "5"], ["4", "3", "1"], ["0"]]


def test_a_key_may_be_any_text(store: CrdtmemStore) -> None:
    keys = ["", ".", "..", "a..b", "..a", "a/b", "ä\n"]
    for key in keys:
        store.put(("x", "y"), key, {"key": key})
    assert {hit.key: hit.value["key"] for hit in store.search(("x",))} == dict(zip(keys, keys, strict=True))
    assert store.list_namespaces() == [("x", "y")]


# -- times -------------------------------------------------------------------------------------------


def test_an_item_keeps_the_time_it_was_made_at_until_it_is_deleted() -> None:
    hand = Hand()
    store = CrdtmemStore(memory(time=hand), time=hand)
    times = []
    for step in (0, 60, 120):
        hand.now = BEGUN + step
        store.put(("a",), "k", {"n": step})
        item = store.get(("a",), "k")
        assert item is not None
        times.append((item.created_at.timestamp() - BEGUN, item.updated_at.timestamp() - BEGUN))
    assert times == [(0, 0), (0, 60), (0, 120)]
    store.delete(("a",), "k")
    store.put(("a",), "k", {})
    again = store.get(("a",), "k")
    assert again is not None and again.created_at == again.updated_at == datetime.fromtimestamp(hand.now, UTC)


def test_what_was_put_in_an_open_change_is_read_in_it(store: CrdtmemStore) -> None:
    with store.memory.change(why="one step"):
        store.put(("a",), "k", {"n": 1})
        assert store.get(("a",), "k").value == {"n": 1}  # type: ignore[union-attr]
        assert len(store.search(("a",))) == 1
        store.batch([PutOp(("a",), "k", {"n": 2}), PutOp(("b",), "k", {"n": 3})])
    assert [entry.why for entry in store.siblings(("a",), "k")] == ["one step"]
    assert len(store.memory.changes()) == 1


def lives(store: CrdtmemStore) -> list[str]:
    return [key for key in ("short", "long", "ever") if store.get(("a",), key, refresh_ttl=False)]


def test_items_live_as_long_as_they_say_and_reading_prolongs_it() -> None:
    hand = Hand()
    store = CrdtmemStore(memory(time=hand), ttl={"default_ttl": 10}, time=hand)
    store.put(("a",), "short", {}, ttl=1)
    store.put(("a",), "long", {})
    store.put(("a",), "ever", {}, ttl=None)
    hand.now += 59
    assert lives(store) == ["short", "long", "ever"]
    hand.now += 1
    assert lives(store) == ["long", "ever"]
    assert store.search(("a",), query=None, filter=None, refresh_ttl=False, limit=1)
    assert store.list_namespaces() == [("a",)]
    hand.now += 8 * 60
    assert store.get(("a",), "long") is not None  # and begins anew
    hand.now += 9 * 60
    assert lives(store) == ["long", "ever"]
    assert {hit.key for hit in store.search(("a",))} == {"long", "ever"}  # and once more
    hand.now += 9 * 60
    assert lives(store) == ["long", "ever"]
    hand.now += 60
    assert lives(store) == ["ever"]
    assert store.sweep_ttl() == 2
    assert store.sweep_ttl() == 0
    assert store.memory.fields() == {"store": "records"}


def test_a_put_after_its_time_makes_a_new_item() -> None:
    hand = Hand()
    store = CrdtmemStore(memory(time=hand), time=hand)
    store.put(("a",), "k", {}, ttl=1)
    hand.now += 61
    store.put(("a",), "k", {})
    item = store.get(("a",), "k")
    assert item is not None and item.created_at == item.updated_at
    hand.now += 1e6
    assert store.get(("a",), "k") is not None


def test_reading_seldom_writes() -> None:
    hand = Hand()
    store = CrdtmemStore(memory(time=hand), ttl={"refresh_on_read": True}, time=hand)
    store.put(("a",), "k", {}, ttl=100)
    before = store.memory.version
    for _ in range(1000):
        hand.now += 1
        store.get(("a",), "k")
    assert len(store.memory.changes(before)) == 3
    quiet = CrdtmemStore(store.memory, ttl={"refresh_on_read": False}, time=hand)
    before = store.memory.version
    hand.now += 3000
    assert quiet.get(("a",), "k") is not None
    assert store.memory.changes(before) == []


def test_who_may_only_read_prolongs_nothing_and_reads() -> None:
    hand = Hand()
    shared = memory(time=hand)
    CrdtmemStore(shared, time=hand).put(("a",), "k", {"n": 1}, ttl=10)
    hand.now += 300
    pinned = CrdtmemStore(shared.at(shared.version), time=hand)
    assert pinned.get(("a",), "k") is not None
    assert len(pinned.search(("a",))) == 1


# -- several writers ---------------------------------------------------------------------------------


def test_concurrent_puts_stand_side_by_side_until_a_put_has_seen_them() -> None:
    ann, bob = CrdtmemStore(memory("ann")), CrdtmemStore(memory("bob"))
    ann.put(("plan",), "status", {"is": "open"})
    bob.put(("plan",), "status", {"is": "done"})
    bob.put(("plan",), "only bob", {})
    ann.memory.receive(bob.memory.changes())
    bob.memory.receive(ann.memory.changes())
    assert ann.memory.digest() == bob.memory.digest()
    for store in (ann, bob):
        standing = {one.by: one.value for one in store.siblings(("plan",), "status")}
        assert standing == {"ann": {"is": "open"}, "bob": {"is": "done"}}
        assert list(store.conflicts()) == [(("plan",), "status")]
    ann.put(("plan",), "status", {"is": "closed"})
    assert ann.conflicts() == {}
    assert [one.value for one in ann.siblings(("plan",), "status")] == [{"is": "closed"}]


def test_a_put_that_a_delete_had_not_seen_survives_it() -> None:
    ann, bob = CrdtmemStore(memory("ann")), CrdtmemStore(memory("bob"))
    ann.put(("a",), "k", {"n": 1})
    bob.memory.receive(ann.memory.changes())
    ann.delete(("a",), "k")
    bob.put(("a",), "k", {"n": 2})
    ann.memory.receive(bob.memory.changes())
    item = ann.get(("a",), "k")
    assert item is not None and item.value == {"n": 2}


def test_who_wrote_an_item_and_why(store: CrdtmemStore) -> None:
    analyst = CrdtmemStore(store.memory.acting_as("analyst"))
    with analyst.memory.change(why="CRM export"):
        analyst.put(("facts",), "churn", {"rate": 3.1})
    [entry] = store.siblings(("facts",), "churn")
    assert (entry.by, entry.why) == ("analyst", "CRM export")
    then = store.memory.version
    store.delete(("facts",), "churn")
    assert CrdtmemStore(store.memory.at(then)).get(("facts",), "churn") is not None


def test_records_that_others_write_are_items_too(store: CrdtmemStore) -> None:
    store.memory.records("store").put("docs..plan", {"is": "open"})
    store.memory.records("store").put("no namespace", {"is": "open"})
    store.memory.records("store").put("docs..number", 7)
    store.memory.records("store").merge("docs..plan", {"by": "bob"})
    assert [(hit.namespace, hit.key) for hit in store.search(())] == [(("docs",), "plan")]
    assert store.get(("docs",), "plan").value == {"is": "open", "by": "bob"}  # type: ignore[union-attr]
    assert store.get(("docs",), "number") is None
    assert store.list_namespaces() == [("docs",)]


@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
    )
    | st.dictionaries(
        st.sampled_from(["made", "ttl", "index"]),
        st.none() | st.integers(0, 2**62) | st.floats(0, 1e300) | st.lists(st.text(max_size=3), max_size=2),
    )
)
def test_whatever_others_write_beside_an_item_it_can_be_read(about: Any) -> None:
    store = CrdtmemStore(memory(), index={"dims": 3, "embed": letters})
    store.put(("n",), "x", {"text": "bb"})
    for field in ("store.about", "store.read"):
        store.memory.records(field).put("n..x", about)
    store.get(("n",), "x")
    store.search(("n",), query="b")
    store.put(("n",), "x", {"text": "b"}, ttl=1)
    item = store.get(("n",), "x")
    assert item is not None and item.value == {"text": "b"}


made = st.sampled_from([-5, 0, 1, 2**32 - 1, 2**32, BEGUN * 1000, int(BEGUN) * 1000, 253_402_300_800_000, 2**62, "x"])
beside = st.one_of(
    st.fixed_dictionaries({"made": made}),
    st.fixed_dictionaries({"made": made, "ttl": st.just(1)}),
    st.sampled_from([{}, {"ttl": 1.5}, {"madf": int(BEGUN) * 1000}, 7, "made", [int(BEGUN) * 1000]]),
)
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from([{}, {"ttl": None}, {"ttl": 2}, {"index": False}, {"index": ["n"]}])),
    st.tuples(st.just("beside"), beside),
    st.tuples(st.just("patch"), st.fixed_dictionaries({"made": made})),
    st.tuples(st.just("delete"), st.none()),
)


@given(st.lists(steps, max_size=8), st.sampled_from([None, {"default_ttl": 3}]))
def test_a_put_leaves_what_a_batch_of_one_leaves(steps: list[tuple[str, Any]], ttl: Any) -> None:
    def play(put: Callable[..., None], hand: Hand, memory: Memory) -> list[Any]:
        left = []
        for number, (what, told) in enumerate([("put", {}), ("put", {}), *steps, ("put", {})]):
            hand.now += 1
            if what == "put":
                put(("n",), "x", {"n": number}, **told)
            elif what == "delete":
                memory.records("store").delete("n..x")
            elif what == "beside":
                memory.records("store.about").put("n..x", told)
            elif isinstance(memory.records("store.about").get("n..x"), dict):
                memory.records("store.about").merge("n..x", told)
            left.append([memory.records(field).get("n..x") for field in ("store", "store.about")])
        return left

    found = []
    for put in (CrdtmemStore.put, BaseStore.put):
        hand = Hand()
        store = CrdtmemStore(memory(time=hand), ttl=ttl, time=hand)
        found.append(play(put.__get__(store), hand, store.memory))
    assert found[0] == found[1]


def test_a_time_to_live_counts_though_the_store_has_none() -> None:
    hand = Hand()
    store = CrdtmemStore(memory(time=hand), time=hand)
    for number in range(3):
        store.put(("n",), "x", {"n": number})
    store.put(("n",), "x", {"n": 3}, ttl=1)
    assert store.get(("n",), "x") is not None
    hand.now += 61
    assert store.get(("n",), "x") is None


# -- search by meaning -------------------------------------------------------------------------------


def letters(texts: list[str]) -> list[list[float]]:
    return [[float(text.count(letter)) for letter in "abc"] for text in texts]


async def aletters(texts: list[str]) -> list[list[float]]:
    return letters(texts)


def test_a_query_ranks_by_meaning_and_what_has_none_comes_last() -> None:
    store = CrdtmemStore(memory(), index={"dims": 3, "embed": letters, "fields": ["text"]})
    store.put(("n",), "a", {"text": "aaab"})
    store.put(("n",), "b", {"text": "abbb"})
    store.put(("n",), "c", {"text": "c", "more": "bbbb"}, index=["text", "more"])
    store.put(("n",), "d", {"text": "bbbb"}, index=False)
    store.put(("other",), "e", {"text": "bbbb"})
    assert [hit.key for hit in store.search(("n",), query="bb")] == ["c", "b", "a", "d"]
    assert [hit.score is None for hit in store.search(("n",), query="bb")] == [False, False, False, True]
    assert [hit.key for hit in store.search(("n",), query="bb", filter={"text": {"$ne": "c"}}, limit=1)] == ["b"]
    store.put(("n",), "a", {"text": "bbbbbb"})  # its vector is made anew
    assert [hit.key for hit in store.search(("n",), query="b", limit=2, offset=0)] == ["a", "c"]  # equals; a is newer
    assert store.search(("n",), query="b", limit=1, offset=3)[0].key == "d"


def test_what_others_put_is_found_too() -> None:
    ann = CrdtmemStore(memory("ann"), index={"dims": 3, "embed": aletters})
    bob = CrdtmemStore(memory("bob"))
    bob.put(("n",), "x", {"text": "bb"})
    ann.memory.receive(bob.memory.changes())
    [hit] = asyncio.run(ann.asearch(("n",), query="b"))
    assert hit.key == "x" and hit.score is not None and hit.score > 0.5


@pytest.mark.parametrize(
    ("embed", "why"),
    [
        (lambda texts: [[1.0]] * len(texts), "1 dimensions, and the index was declared with 3"),
        (lambda texts: [], "0 vectors for 1 texts"),
        (lambda texts: ["abc"] * len(texts), "gave str, not a list of numbers"),
        (lambda texts: [[1.0, float("nan"), 1.0]] * len(texts), "not finite"),
    ],
)
def test_an_embedder_that_gives_something_else_is_refused_and_nothing_is_lost(embed: Any, why: str) -> None:
    store = CrdtmemStore(memory(), index={"dims": 3, "embed": embed})
    store.put(("n",), "x", {"text": "bb"})
    with pytest.raises(ValueRefused, match=why):
        store.search(("n",), query="b")
    assert store.get(("n",), "x") is not None


def test_vectors_of_what_is_gone_are_let_go_of() -> None:
    store = CrdtmemStore(memory(), index={"dims": 3, "embed": letters})
    for number in range(1100):
        store.put(("n",), str(number), {"text": "a"})
    store.search(("n",), query="a")
    for number in range(1099):
        store.delete(("n",), str(number))
    store.search(("n",), query="a")
    assert store._vectors is not None and len(store._vectors._items) == 1


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", [(), ("",), ("a.b",), ("a", ""), ("a\x00",), (7,), ("langgraph", "x")])
def test_a_namespace_that_cannot_be_is_refused(store: CrdtmemStore, namespace: Any) -> None:
    with pytest.raises(InvalidNamespaceError):
        store.put(namespace, "k", {})
    if namespace and namespace[0] != "langgraph":
        ops: list[Any] = [GetOp(namespace, "k"), SearchOp(namespace), PutOp(namespace, "k", None)]
        for op in ops:
            with pytest.raises(InvalidNamespaceError):
                store.batch([PutOp(("a",), "k", {}), op])
    assert store.search(()) == []


@pytest.mark.parametrize(
    "value", [{"x": datetime.now(UTC)}, {"x": 2**70}, {"x": "x" * 300_000}, {1: 2}, [1], "text", {"x": float("nan")}]
)
def test_a_value_that_no_replica_would_take_is_refused(store: CrdtmemStore, value: Any) -> None:
    with pytest.raises(CrdtmemError):
        store.put(("a",), "k", value)
    with pytest.raises(CrdtmemError):
        store.batch([PutOp(("a",), "fine", {}), PutOp(("a",), "k", value)])
    assert store.search(()) == []


def test_what_is_no_operation_is_refused(store: CrdtmemStore) -> None:
    with pytest.raises(ValueRefused, match="str is no operation"):
        store.batch(["get"])  # type: ignore[list-item]
    with pytest.raises(ValueRefused, match=r"\$near is no operator|'\$near' is no operator"):
        store.put(("a",), "k", {"n": 1})
        store.search(("a",), filter={"n": {"$near": 1}})
    with pytest.raises(ValueRefused, match="1024"):
        store.put(("a",), "k" * 2000, {})


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_filter_answers_or_is_refused(wanted: Any) -> None:
    store = CrdtmemStore(memory())
    store.put(("a",), "k", {"n": {"deep": [1, "x"]}})
    for operator in ("$eq", "$gt", "$lte", "$ne"):
        store.search(("a",), filter={"n": {operator: wanted}})
    try:
        store.search(("a",), filter={"n": wanted})
    except ValueRefused as refused:
        assert "is no operator" in str(refused)


# -- as the store of a graph -------------------------------------------------------------------------


class State(TypedDict):
    done: str


def graph(store: BaseStore, who: str, items: int) -> Any:
    """Two branches that run in parallel, and each put items."""

    def branch(name: str) -> Callable[..., Any]:
        def node(state: State, *, store: BaseStore) -> dict[str, str]:
            for number in range(items):
                store.put(("found", who, name), str(number), {"by": name})
                store.put(("found", "shared"), f"{who} {name} {number}", {"by": name})
            return {}

        return node

    def join(state: State, *, store: BaseStore) -> State:
        return {"done": str(len(store.search(("found", who), limit=1000)))}

    built = StateGraph(State)
    for name in ("left", "right"):
        built.add_node(name, branch(name))  # type: ignore[call-overload]
        built.add_edge(START, name)
    built.add_node("join", join)  # type: ignore[call-overload]
    built.add_edge(["left", "right"], "join")
    built.add_edge("join", END)
    return built.compile(store=store)


def test_parallel_branches_of_a_graph_lose_nothing(store: CrdtmemStore) -> None:
    assert graph(store, "ann", 20).invoke({"done": ""}) == {"done": "40"}
    assert asyncio.run(graph(store, "bob", 20).ainvoke({"done": ""})) == {"done": "40"}
    assert len(store.search(("found", "shared"), limit=1000)) == 80


def crew(folder: str, who: str, items: int) -> Iterator[CrdtmemStore]:
    """One process of two: run the graph beside the other, and then be in step with it."""
    with Replica(who, store=f"{folder}/{who}.db") as replica:
        memory = replica.open(tenant="acme")
        with Peer(memory, meet=f"{folder}/team").blocking() as peer:
            peer.synced(timeout=60)  # both are there
            store = CrdtmemStore(memory)
            graph(store, who, items).invoke({"done": ""})
            yield store
            peer.synced(timeout=60)
            yield store


def test_parallel_branches_in_two_processes_lose_nothing(tmp_path: Path) -> None:
    items = 25
    script = f"""
import sys
from tests.test_langgraph import crew
steps = crew({str(tmp_path)!r}, "bob", {items})
next(steps)
print("written", flush=True)
sys.stdin.readline()
print(len(next(steps).search(("found",), limit=10_000)), next(steps, "").__class__.__name__ and "", flush=True)
"""
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None and other.stdout is not None
    with other:
        steps = crew(str(tmp_path), "ann", items)
        next(steps)
        assert other.stdout.readline() == "written\n"
        store = next(steps)
        assert len(store.search(("found",), limit=10_000)) == 8 * items
        assert len(store.search(("found", "shared"), limit=10_000)) == 4 * items
        assert store.conflicts() == {}
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline().split() == [str(8 * items)]
        list(steps)
