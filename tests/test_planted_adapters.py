"""Bugs on purpose in the adapters, each as somebody might make it: the tests beside it here must notice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import pytest

import crdtmem.adapters.filters
import crdtmem.adapters.langgraph
import crdtmem.adapters.mcp.serve
from crdtmem import CrdtmemError
from crdtmem.adapters.citing import Citations
from crdtmem.adapters.files import Files
from crdtmem.adapters.graph import Graph
from crdtmem.adapters.langgraph import CrdtmemStore
from crdtmem.adapters.together import together
from crdtmem.adapters.tools import Toolbox
from crdtmem.adapters.vectors import Vectors
from tests import test_files, test_graph, test_langgraph, test_mcp, test_tools
from tests.planted import swapped


class Bug(NamedTuple):
    """How to make it, and what must fail then."""

    plant: Callable[[], AbstractContextManager[object]]
    caught_by: Callable[[], object]


def _graph() -> Graph:
    return Graph(test_graph.memory())


def _store() -> CrdtmemStore:
    return CrdtmemStore(test_langgraph.memory())


def _toolbox() -> Toolbox:
    return crdtmem.tools(test_tools.memory(), agent="researcher")


def _cached_in_a_block(real: Any) -> Any:
    def read(self: Graph) -> Any:
        self._seen = self.memory.version, self._all()
        return self._seen[1]

    return read


def _unnamed(real: Any) -> Any:
    """An edit that does not name its file anew."""

    def edit(self: Files, path: str, change: Any) -> Any:
        text = self._text(path)
        with together(self.memory):
            text.delete(0, 0)
            return change(text, str(text))

    return edit


def _all_gone(real: Any) -> Any:
    """Deleting one path empties a text that has another one, too."""

    def remove(self: Files, paths: list[str]) -> None:
        for path in paths:
            name = self._names[path]
            self._names.delete(path)
            self.memory.text(name).delete(0)

    return remove


def _forgetful(real: Any) -> Any:
    def put(self: CrdtmemStore, key: str, op: Any) -> None:
        if op.value is None:
            self._drop(key)
        else:
            self._items.put(key, dict(op.value))

    return put


BUGS = {
    "a graph read in a block that failed is shown": Bug(
        lambda: swapped(Graph, "read", _cached_in_a_block),
        lambda: test_graph.test_each_call_that_writes_is_one_change_and_one_that_fails_is_none(_graph()),
    ),
    "an edit does not name its file anew": Bug(
        lambda: swapped(Files, "_edit", _unnamed),
        test_files.test_a_file_that_is_edited_while_another_deletes_it_stays_with_the_edit,
    ),
    "deleting one path empties the other": Bug(
        lambda: swapped(Files, "_remove", _all_gone), test_files.test_edits_follow_a_file_that_another_renames
    ),
    "a path is not made plain before it is checked": Bug(
        lambda: swapped(crdtmem.adapters.files, "_checked", lambda real: lambda path: path),
        lambda: test_files.test_a_path_that_leads_elsewhere_is_refused(Files(test_files.memory()), "/memories/../a"),
    ),
    "an item forgets when it was made": Bug(
        lambda: swapped(CrdtmemStore, "_put", _forgetful),
        test_langgraph.test_an_item_keeps_the_time_it_was_made_at_until_it_is_deleted,
    ),
    "whatever stands beside an item is left as it is": Bug(
        lambda: swapped(crdtmem.adapters.langgraph, "_FIRST", lambda real: b""),
        test_langgraph.test_a_put_leaves_what_a_batch_of_one_leaves,
    ),
    "an item that was made beyond the calendar stays so": Bug(
        lambda: swapped(crdtmem.adapters.langgraph, "_LAST", lambda real: b"\xff"),
        test_langgraph.test_a_put_leaves_what_a_batch_of_one_leaves,
    ),
    "an item lives on without being read": Bug(
        lambda: swapped(CrdtmemStore, "_last_used", lambda real: lambda self, key, changed: self._time()),
        test_langgraph.test_items_live_as_long_as_they_say_and_reading_prolongs_it,
    ),
    "each read is a write": Bug(
        lambda: swapped(crdtmem.adapters.langgraph, "FRESH", lambda real: 0),
        test_langgraph.test_reading_seldom_writes,
    ),
    "a vector outlives its value": Bug(
        lambda: swapped(
            Vectors,
            "_lacking",
            lambda real: lambda self, some: [pair for pair in real(self, some) if pair[0].key not in self._items],
        ),
        test_langgraph.test_a_query_ranks_by_meaning_and_what_has_none_comes_last,
    ),
    "a key with dots is cut": Bug(
        lambda: swapped(
            crdtmem.adapters.langgraph, "_parsed", lambda real: lambda key: (real(key)[0], key.split(".")[-1])
        ),
        lambda: test_langgraph.test_a_key_may_be_any_text(_store()),
    ),
    "what a killed server left is not taken in": Bug(
        lambda: swapped(crdtmem.adapters.mcp.serve, "_adopt", lambda real: lambda memory, path: None),
        test_mcp.test_what_a_server_had_not_sent_is_taken_in_by_the_next,
    ),
    "a revision overwrites what the model has not seen": Bug(
        lambda: swapped(Toolbox, "_looked", lambda real: lambda self: self.memory.version),
        lambda: test_tools.test_a_revision_leaves_standing_what_the_model_had_not_seen(_toolbox()),
    ),
    "only citations shown here are known": Bug(
        lambda: swapped(Citations, "find", lambda real: lambda self, text: self._known[text]),
        test_mcp.test_a_citation_from_elsewhere_is_found,
    ),
    "values are shown as they are": Bug(
        lambda: swapped(crdtmem.adapters.citing, "shown", lambda real: str),
        test_tools.test_what_agents_wrote_stays_in_its_line,
    ),
}


FAILURES = (AssertionError, CrdtmemError, KeyError, ExceptionGroup, pytest.fail.Exception)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_planted_in_an_adapter_is_caught(name: str) -> None:
    with BUGS[name].plant(), pytest.raises(FAILURES):
        BUGS[name].caught_by()


@pytest.mark.parametrize("name", BUGS)
def test_its_catcher_passes_without_it(name: str) -> None:
    BUGS[name].caught_by()
