"""Ranking by meaning: each text embedded once, kept beside the store, never trusted; with and without sqlite-vec."""

import asyncio
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import EmbedderFailed, Memory, Replica, SqliteStore, StoreError
from crdtmem.nearness import BATCH, called, fused
from crdtmem.sqlite.vectors import Vectors, unit
from tests.crew import SCOPE, alone, crew, exchange

TOPICS = (("cat", "dog", "pet", "kitten"), ("invoice", "money", "payment", "bill"), ("berlin", "paris", "city", "town"))


class Model:
    """A model that knows what three topics are about; it counts what it is asked."""

    name = "topics-1"

    def __init__(self, size: int = 4) -> None:
        self.asked: list[list[str]] = []
        self.size = size

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(texts)
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        found = [float(sum(word in text.lower() for word in topic)) for topic in TOPICS]
        return [*found, 0.1, *[0.0] * (self.size - 4)]

    @property
    def texts(self) -> list[str]:
        return [text for texts in self.asked[2:] for text in texts if texts]


def filled() -> Memory:
    memory = alone()
    for text in ("the kitten sleeps", "a payment is late", "the town is quiet", "nothing of the kind"):
        memory.set("facts").add(text)
    memory.register("pet").assign({"kind": "dog"})
    memory.text("draft").append("Paris in spring.\nA bill for the dog.")
    return memory


def test_meaning_ranks_beside_words() -> None:
    memory, model = filled(), Model()
    found = [hit.value for hit in memory.search("my cat", embed=model)]
    assert set(map(str, found[:2])) == {"the kitten sleeps", "{'kind': 'dog'}"}
    assert memory.search("my cat") == []
    assert [hit.value for hit in memory.search("town", limit=2, embed=model)] == [
        "the town is quiet",
        "Paris in spring.",
    ]


def test_each_text_is_embedded_once_and_only_what_filters_admit() -> None:
    memory, model = filled(), Model()
    memory.search("cat", fields="facts", embed=model)
    assert sorted(model.texts) == ["a payment is late", "nothing of the kind", "the kitten sleeps", "the town is quiet"]
    memory.search("cat", embed=model)
    memory.set("facts").add("a new dog")
    before = len(model.asked)
    memory.search("cat", embed=model)
    assert model.asked[before:] == [["cat"], ["a new dog"]]
    memory.set("facts").discard("a new dog")
    memory.set("other").add("a new dog")
    memory.search("cat", embed=model)
    assert model.asked[before + 2 :] == [["cat"]]
    assert memory.search("", embed=model) and model.asked[before + 3 :] == []


def test_texts_go_in_batches() -> None:
    memory, model = alone(), Model()
    memory.sequence("log").extend([f"dog {nth}" for nth in range(2 * BATCH + 5)])
    memory.search("cat", embed=model)
    assert [len(texts) for texts in model.asked[2:]] == [BATCH, BATCH, 5]


def test_an_asynchronous_model_serves_with_and_without_a_running_loop() -> None:
    model = Model()

    async def embed(texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return model(texts)

    memory = filled()
    expected = [hit.entry.id for hit in filled().search("cat", embed=Model())]
    assert len(memory.search("cat", embed=embed)) == len(expected)

    async def inside() -> int:
        memory.set("facts").add("a new dog")
        return len(memory.search("cat", embed=embed))

    assert asyncio.run(inside()) == len(expected) + 1


def test_every_converged_replica_ranks_alike() -> None:
    ann, bob = crew("ann", "bob")
    for nth in range(40):
        (ann if nth % 3 else bob).sequence("log").append(f"dog {nth % 4}")
    bob.search("cat", embed=Model())
    exchange(ann, bob)
    answers = [[hit.entry.id for hit in memory.search("dog 1", limit=30, embed=Model())] for memory in (ann, bob)]
    assert answers[0] == answers[1]


def test_vectors_outlive_the_process(tmp_path: Path) -> None:
    for expected in (2, 0):
        model = Model()
        with SqliteStore(tmp_path / "a.db") as store, Replica("ann", store=store) as replica:
            memory = replica.open(SCOPE)
            if expected:
                memory.set("facts").add("a dog")
                memory.set("facts").add("a bill")
            assert [hit.value for hit in memory.search("cat", limit=1, embed=model)] == ["a dog"]
        assert len(model.texts) == expected


class Turned(Model):
    def vector(self, text: str) -> list[float]:
        return [0.3, *super().vector(text)[::-1][1:]]


def test_a_model_that_changed_under_the_same_name_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for model, anew in ((Model(), False), (Model(), False), (Turned(), True), (Model(size=9), True)):
        caplog.clear()
        with SqliteStore(tmp_path / "a.db") as store, Replica("ann", store=store) as replica:
            memory = replica.open(SCOPE)
            known = "a dog" in memory.set("facts")
            memory.set("facts").add("a dog")
            memory.search("cat", embed=model)
        told = [record.message for record in caplog.records if "other vectors than before" in record.message]
        assert len(told) == anew
        assert model.texts == (["a dog"] if anew or not known else [])


def test_models_of_other_names_have_vectors_of_their_own() -> None:
    memory = filled()
    one, two = Model(), Model(size=7)
    two.name = "topics-2"  # type: ignore[misc]
    memory.search("cat", embed=one)
    memory.search("cat", embed=two)
    assert len(one.texts) == len(two.texts) == 7
    assert called(len) == "builtins.len" and called(one) == "topics-1" and called(lambda: 1).endswith("<lambda>")


class Broken(Model):
    """Right for the first calls, then not."""

    def __init__(self, answer: Any, after: int) -> None:
        super().__init__()
        self.answer = answer
        self.after = after

    def __call__(self, texts: list[str]) -> Any:
        if len(self.asked) < self.after:
            return super().__call__(texts)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    "answer",
    [
        ZeroDivisionError("quota"),
        None,
        [],
        [[1.0]] * 99,
        [[float("nan")] * 4],
        [[0.0] * 4],
        [["a"]],
        ["abcd"],
        [[1e300] * 4],
        [[1.0, 2.0]] * 7,
        3,
    ],
    ids=lambda answer: repr(answer)[:20],
)
def test_a_model_that_fails_is_told_and_harms_nothing(answer: Any, after: int) -> None:
    memory = filled()
    broken = Broken(answer, after)
    if after == 0 and answer in ([[1.0, 2.0]] * 7,):
        broken.answer = [[1.0, 2.0]] * 2
    with pytest.raises(EmbedderFailed, match="embedder topics-1"):
        memory.search("cat", embed=broken)
    assert memory.search("kitten") and memory.search("cat", embed=Model())


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match="embed: a function"):
        alone().search("x", embed="ada")  # type: ignore[arg-type]


def test_who_writes_faster_than_the_model_embeds_is_told() -> None:
    memory = filled()

    class Slow(Model):
        def __call__(self, texts: list[str]) -> list[list[float]]:
            memory.set("facts").add(f"written meanwhile {len(self.asked)}")
            return super().__call__(texts)

    with pytest.raises(EmbedderFailed, match="faster than"):
        memory.search("cat", embed=Slow())


def test_vectors_of_what_is_gone_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtmem.nearness._SPARE", 3)
    memory, model = alone(), Model()
    for nth in range(30):
        memory.register("status").assign(f"dog {nth}")
        memory.search("cat", embed=model)
    assert len(memory._document.kept.near["topics-1"]._known) < 10
    [[rows]] = memory._document.log.index().execute("SELECT count(*) FROM near").fetchall()
    assert int(rows) < 10  # type: ignore[arg-type]


def test_a_pinned_memory_is_searched_by_meaning_too() -> None:
    memory, model = filled(), Model()
    version = memory.version
    memory.set("facts").discard("the kitten sleeps")
    then = memory.at(version)
    assert "the kitten sleeps" in [hit.value for hit in then.search("cat", embed=model)]
    assert "the kitten sleeps" not in [hit.value for hit in memory.search("cat", embed=model)]


def test_a_store_that_cannot_keep_vectors_says_so(tmp_path: Path) -> None:
    memory = filled()
    memory._document.log.index().execute("CREATE TABLE near (other)")
    with pytest.raises(StoreError, match="vectors beside the store"):
        memory.search("cat", embed=Model())


# -- vectors ---------------------------------------------------------------------------------------

numbers = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3).filter(
    lambda v: any(abs(n) > 1e-3 for n in v)
)


@given(st.lists(numbers, min_size=1, max_size=5), numbers)
def test_with_and_without_sqlite_vec_all_is_alike(vectors: list[list[float]], wanted: list[float]) -> None:
    fast, slow = Vectors(), Vectors()
    assert fast._fast
    slow._fast = False
    for one in (fast, slow):
        one.add({bytes([nth]): unit(vector) for nth, vector in enumerate(vectors)})
    found = [one.near(unit(wanted)) for one in (fast, slow)]
    assert found[0].keys() == found[1].keys()
    for name, nth in zip(sorted(found[0]), range(len(vectors)), strict=True):
        cosine = sum(a * b for a, b in zip(vectors[nth], wanted, strict=True)) / (length(vectors[nth]) * length(wanted))
        assert abs(found[0][name] - cosine) < 1e-5 and abs(found[1][name] - cosine) < 1e-5


def length(vector: Sequence[float]) -> float:
    return sum(number * number for number in vector) ** 0.5


def test_without_the_extra_it_serves_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    assert not Vectors()._fast
    assert [hit.value for hit in filled().search("cat", limit=1, embed=Model())] != []


def test_a_unit_vector_has_length_one() -> None:
    assert list(array("f", unit([3, 4]))) == pytest.approx([0.6, 0.8])
    for wrong in ([], [0.0], [float("inf")], [float("nan")]):
        with pytest.raises(ValueError, match="finite numbers"):
            unit(wrong)


def test_fusion_adds_up_places() -> None:
    assert sorted(fused([1, 2, 3], [3, 1]).items(), key=lambda one: -one[1])[0][0] == 1
