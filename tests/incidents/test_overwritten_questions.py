"""The overwritten list: two agents add an open question at once, and one of the two questions is gone.

Both read the list, think, append, and write the list back. Who writes last writes a list that never held the other's
question. Nothing fails, so nobody asks why it was never answered.
"""

import json
from collections.abc import Callable

from crdtmem import Memory
from tests.crew import crew, exchange


def naive_asks(store: dict[str, str], question: str, think: Callable[[], None]) -> None:
    questions = json.loads(store.get("open_questions", "[]"))
    think()
    questions.append(question)
    store["open_questions"] = json.dumps(questions)


def asks(memory: Memory, question: str, think: Callable[[], None]) -> None:
    assert question not in memory.set("open_questions")
    think()
    memory.set("open_questions").add(question)


def test_a_list_that_is_read_and_written_back_loses_a_question() -> None:
    store: dict[str, str] = {}
    naive_asks(store, "Why did churn rise?", think=lambda: naive_asks(store, "Who left first?", think=lambda: None))
    assert json.loads(store["open_questions"]) == ["Why did churn rise?"]


def test_in_a_set_both_questions_stay_open() -> None:
    web, docs = crew("web", "docs")
    asks(web, "Why did churn rise?", think=lambda: asks(docs, "Who left first?", think=lambda: None))
    exchange(web, docs)
    assert (
        set(web.set("open_questions"))
        == set(docs.set("open_questions"))
        == {
            "Why did churn rise?",
            "Who left first?",
        }
    )


def test_who_closes_a_question_does_not_close_it_for_somebody_who_asks_again() -> None:
    web, docs = crew("web", "docs")
    web.set("open_questions").add("Why did churn rise?")
    exchange(web, docs)
    web.set("open_questions").discard("Why did churn rise?", why="the outage")
    docs.set("open_questions").add("Why did churn rise?", why="it rose before the outage, too")
    exchange(web, docs)
    assert "Why did churn rise?" in web.set("open_questions")
