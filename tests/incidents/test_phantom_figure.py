"""The phantom figure: the report says churn is 5.2 %, with a source, and no agent ever wrote 5.2 %.

The guard before publication asks what such guards ask: does every source that the report cites exist? It does. The
figure beside it came from the model that wrote the report.
"""

import re

import pytest

from crdtmem import View
from tests.crew import alone

PHANTOM = "Churn rose to 5.2 % in March [{}]."
TRUE = "Churn rose to 4.7 % in March [{}]."


def naive_publish(store: dict[str, str], report: str) -> str:
    cited = re.findall(r"\[(\w+)\]", report)
    if not cited or any(key not in store for key in cited):
        raise ValueError("every statement needs a source that exists")
    return report


def test_a_guard_that_asks_whether_the_source_exists_lets_the_figure_pass() -> None:
    store = {"churn": "churn rose to 4.7 % in March"}
    with pytest.raises(ValueError, match="a source that exists"):
        naive_publish(store, PHANTOM.format("crm"))
    assert "5.2 %" in naive_publish(store, PHANTOM.format("churn"))


def test_a_check_names_the_figure_that_nobody_wrote() -> None:
    memory = alone("analyst")
    memory.set("facts").add("churn rose to 4.7 % in March", why="CRM export")
    view = View(memory, about="churn")

    checked = view.check(PHANTOM.format("f1"))
    assert not checked.ok
    assert [phantom.text for phantom in checked.phantoms] == ["5.2 %"]
    assert view.check(TRUE.format("f1")).ok


def test_a_figure_is_held_against_what_its_writer_was_shown_not_against_what_came_later() -> None:
    memory = alone("analyst")
    memory.register("churn").assign("4.7 % in March")
    view = View(memory, about="churn")
    memory.register("churn").assign("5.2 % in March", why="CRM corrected")
    assert [phantom.text for phantom in view.check(PHANTOM.format("f1")).phantoms] == ["5.2 %"]
    assert [citation.status for citation in view.check(TRUE.format("f1")).citations] == ["superseded"]
