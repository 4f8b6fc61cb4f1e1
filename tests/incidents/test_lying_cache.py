"""The cache that lies: a fact was corrected, and the writer of the report goes on reading the old one.

Putting a prompt together is slow, so each process keeps the prompts it made. Who changes a fact clears the cache of its
own process, the only one it knows of. There is no time to live that is right, only one that is wrong for less long.
"""

from crdtmem import View
from tests.crew import crew, exchange


class NaiveAgent:
    """An agent over a store that all share, with a cache of its own."""

    def __init__(self, store: dict[str, str]) -> None:
        self._store = store
        self._prompts: dict[str, str] = {}

    def prompt(self, topic: str) -> str:
        if topic not in self._prompts:
            self._prompts[topic] = f"What we know of {topic}: {self._store[topic]}"
        return self._prompts[topic]

    def correct(self, topic: str, fact: str) -> None:
        self._store[topic] = fact
        self._prompts.clear()


def test_a_cache_that_only_its_own_process_clears_serves_what_is_no_longer_so() -> None:
    store = {"churn": "3.1 %"}
    analyst, writer = NaiveAgent(store), NaiveAgent(store)
    assert "3.1 %" in writer.prompt("churn")
    analyst.correct("churn", "4.7 %")
    assert "4.7 %" in analyst.prompt("churn")
    assert "3.1 %" in writer.prompt("churn")


def test_a_view_is_kept_under_its_version_and_made_anew_for_another() -> None:
    analyst, writer = crew("analyst", "writer")
    analyst.register("churn").assign("3.1 %")
    exchange(analyst, writer)
    old = View(writer, about="churn")
    assert "3.1 %" in str(old) and str(View(writer, about="churn")) is str(old)  # kept: nothing has changed

    analyst.register("churn").assign("4.7 %", why="CRM corrected")
    exchange(analyst, writer)
    new = View(writer, about="churn")
    assert "4.7 %" in str(new) and "3.1 %" not in str(new)
    assert new.version == writer.version != old.version  # who still holds the old page can see that it is old
