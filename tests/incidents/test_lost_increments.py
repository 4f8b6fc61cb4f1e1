"""The lost increments: a team counts the tokens it spends, and the total is too small.

An agent reads the total, calls the model, and writes the total plus what the call took. What others spent during the
call is overwritten. The budget is never reached. (Redis has INCR for this, and it holds; a total inside a larger value,
or read in order to decide, has nothing like it.)
"""

from collections.abc import Callable

from crdtmem import Memory
from tests.crew import crew, exchange


def naive_spends(store: dict[str, int], tokens: int, call_the_model: Callable[[], None]) -> None:
    total = store.get("tokens", 0)
    call_the_model()
    store["tokens"] = total + tokens


def spends(memory: Memory, tokens: int, call_the_model: Callable[[], None]) -> None:
    call_the_model()
    memory.counter("tokens").add(tokens)


def test_a_total_that_is_read_and_written_back_forgets_what_others_spent() -> None:
    store: dict[str, int] = {}
    naive_spends(store, 1200, call_the_model=lambda: naive_spends(store, 4100, call_the_model=lambda: None))
    assert store["tokens"] == 1200


def test_a_counter_counts_what_everybody_spent() -> None:
    web, docs = crew("web", "docs")
    spends(web, 1200, call_the_model=lambda: spends(docs, 4100, call_the_model=lambda: None))
    exchange(web, docs)
    exchange(web, docs)  # what arrives twice counts once
    assert web.counter("tokens").value == docs.counter("tokens").value == 5300
