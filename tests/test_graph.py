"""The knowledge graph: as a slow model of the reference server has it, and what several writers make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import CrdtmemError, Memory, NoMatch, Replica
from crdtmem.adapters.graph import UNTYPED, Graph


def memory(agent: str = "ann") -> Memory:
    return Replica(agent).open(tenant="acme")


@pytest.fixture
def graph() -> Graph:
    return Graph(memory())


def met(one: Graph, other: Graph) -> None:
    one.memory.receive(other.memory.changes())
    other.memory.receive(one.memory.changes())
    assert one.memory.digest() == other.memory.digest()


def entity(name: str, *observations: str, type: str = "person") -> Any:
    return {"name": name, "entityType": type, "observations": list(observations)}


def link(start: str, end: str, type: str = "knows") -> Any:
    return {"from": start, "to": end, "relationType": type}


def shown(graph: Graph) -> dict[str, list[str]]:
    return {one["name"]: one["observations"] for one in graph.read()["entities"]}


# -- beside a model ----------------------------------------------------------------------------------


class Model:
    """What the reference server does, in lists; but that nothing is there twice."""

    def __init__(self) -> None:
        self.entities: list[dict[str, Any]] = []
        self.relations: list[dict[str, str]] = []

    def _entity(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.entities if one["name"] == name), None)

    def create_entities(self, entities: list[dict[str, Any]]) -> Any:
        made = []
        for one in entities:
            if self._entity(one["name"]) is None:
                unique = {**one, "observations": list(dict.fromkeys(one["observations"]))}
                made.append(json.loads(json.dumps(unique)))
                self.entities.append(unique)
        return made

    def create_relations(self, relations: list[dict[str, str]]) -> Any:
        made = [
            one for place, one in enumerate(relations) if one not in self.relations and one not in relations[:place]
        ]
        self.relations += made
        return made

    def add_observations(self, observations: list[dict[str, Any]]) -> Any:
        results = []
        if any(self._entity(one["entityName"]) is None for one in observations):
            return None
        for one in observations:
            here = self._entity(one["entityName"])["observations"]  # type: ignore[index]
            new = [text for text in dict.fromkeys(one["contents"]) if text not in here]
            here += new
            results.append({"entityName": one["entityName"], "addedObservations": new})
        return results

    def delete_entities(self, names: list[str]) -> None:
        self.entities = [one for one in self.entities if one["name"] not in names]
        self.relations = [one for one in self.relations if one["from"] not in names and one["to"] not in names]

    def delete_observations(self, deletions: list[dict[str, Any]]) -> None:
        for one in deletions:
            here = self._entity(one["entityName"])
            if here:
                here["observations"] = [text for text in here["observations"] if text not in one["observations"]]

    def delete_relations(self, relations: list[dict[str, str]]) -> None:
        self.relations = [one for one in self.relations if one not in relations]

    def part(self, names: list[str]) -> Any:
        found = [one for one in self.entities if one["name"] in names]
        here = [one["name"] for one in found]
        return {
            "entities": found,
            "relations": [one for one in self.relations if one["from"] in here or one["to"] in here],
        }

    def search(self, query: str) -> Any:
        fits = [one["name"] for one in self.entities if query.lower() in repr(list(one.values())).lower()]
        return self.part(fits)

    def open(self, names: list[str]) -> Any:
        return self.part(names)

    def read(self) -> Any:
        return {"entities": self.entities, "relations": self.relations}


names = st.sampled_from(["Ann", "bob", "", "Zoë"])
few = st.lists(st.sampled_from(["x", "Tea", "y\nz"]), max_size=3)
entities = st.builds(lambda name, type, said: entity(name, *said, type=type), names, st.sampled_from(["p", "q"]), few)
links = st.builds(link, names, names, st.sampled_from(["r", "s"]))
calls = st.one_of(
    st.tuples(st.just("create_entities"), st.lists(entities, max_size=3)),
    st.tuples(st.just("create_relations"), st.lists(links, max_size=3)),
    st.tuples(
        st.just("add_observations"), st.lists(st.fixed_dictionaries({"entityName": names, "contents": few}), max_size=2)
    ),
    st.tuples(st.just("delete_entities"), st.lists(names, max_size=2)),
    st.tuples(
        st.just("delete_observations"),
        st.lists(st.fixed_dictionaries({"entityName": names, "observations": few}), max_size=2),
    ),
    st.tuples(st.just("delete_relations"), st.lists(links, max_size=2)),
    st.tuples(st.just("search"), st.sampled_from(["tea", "AN", "q"])),
    st.tuples(st.just("open"), st.lists(names, max_size=2)),
)


@given(st.lists(calls, max_size=12))
def test_it_does_what_a_list_of_everything_does(given: list[tuple[str, Any]]) -> None:
    graph, model = Graph(memory()), Model()
    for call, arguments in given:
        wanted = getattr(model, call)(arguments)
        if wanted is None and call == "add_observations":
            with pytest.raises(NoMatch, match="not found"):
                graph.add_observations(arguments)
        else:
            assert getattr(graph, call)(arguments) == wanted
        assert graph.read() == model.read()


def test_each_call_that_writes_is_one_change_and_one_that_fails_is_none(graph: Graph) -> None:
    graph.create_entities([entity("Ann", "x", "y"), entity("Bob", "z")], why="meeting")
    assert len(graph.memory.changes()) == 1
    with pytest.raises(NoMatch, match="Cleo not found"):
        graph.add_observations([{"entityName": "Ann", "contents": ["new"]}, {"entityName": "Cleo", "contents": ["x"]}])
    assert shown(graph) == {"Ann": ["x", "y"], "Bob": ["z"]}
    with graph.memory.change(why="both"):
        graph.create_entities([entity("Dan")])
        graph.add_observations([{"entityName": "Dan", "contents": ["x"]}])
        assert shown(graph)["Dan"] == ["x"]
    assert len(graph.memory.changes()) == 2
    assert graph.read() is graph.read()  # one pass for each version


# -- several writers ---------------------------------------------------------------------------------


def test_what_two_say_of_one_entity_at_once_is_all_there_once() -> None:
    ann, bob = Graph(memory("ann")), Graph(memory("bob"))
    ann.create_entities([entity("Cleo", "tall", "kind"), entity("Dan")])
    bob.create_entities([entity("Cleo", "kind", "fast", type="cat")])
    ann.create_relations([link("Cleo", "Dan")])
    bob.create_relations([link("Cleo", "Dan")])
    met(ann, bob)
    for graph in (ann, bob):
        assert sorted(shown(graph)["Cleo"]) == ["fast", "kind", "tall"]
        assert graph.read()["relations"] == [link("Cleo", "Dan")]
        [conflict] = graph.memory.conflicts()
        assert {one.value for one in conflict.entries} == {"person", "cat"}


def test_an_observation_that_a_deletion_had_not_seen_keeps_its_entity() -> None:
    ann, bob = Graph(memory("ann")), Graph(memory("bob"))
    ann.create_entities([entity("Cleo", "tall")])
    met(ann, bob)
    ann.delete_entities(["Cleo"])
    bob.add_observations([{"entityName": "Cleo", "contents": ["fast"]}])
    met(ann, bob)
    assert ann.read()["entities"] == [entity("Cleo", "fast", type=UNTYPED)]
    ann.add_observations([{"entityName": "Cleo", "contents": ["kind"]}])
    assert ann.create_entities([entity("Cleo")]) == [entity("Cleo")]  # whoever knows gives it a type again
    assert ann.read()["entities"] == [entity("Cleo", "fast", "kind")]


def test_what_others_write_to_its_fields_does_no_harm(graph: Graph) -> None:
    graph.memory.records("entities").put("number", 7)
    graph.memory.set("observations").add("just text")
    graph.memory.set("relations").add({"from": "a"})
    assert graph.read() == {"entities": [entity("number", type="7")], "relations": []}


# -- files -------------------------------------------------------------------------------------------


def test_a_file_of_the_reference_server_is_taken_in_once_and_what_is_broken_in_it_is_named(graph: Graph) -> None:
    lines = [
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["x", "y", "x"]},
        {"type": "relation", "from": "Ann", "to": "Bob", "relationType": "knows", "extra": 1},
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["z"]},
    ]
    broken = [
        '{"type":"entity","name":"Bo',
        "[]",
        "7",
        '{"type":"entity","name":7,"entityType":"x","observations":[]}',
        '{"type":"relation","from":"a"}',
        '{"type":"entity","name":"\\ud800","entityType":"x","observations":[]}',
        json.dumps({**lines[0], "name": "n" * 2000}),
        json.dumps({**lines[0], "observations": ["o" * 300_000]}),
        "[" * 100_000,
    ]
    text = "\n".join([*map(json.dumps, lines), "", *broken])
    found = graph.load(text)
    assert found == (1, 3, 1, tuple(range(5, 14)))
    assert shown(graph) == {"Ann": ["x", "y", "z"]}
    assert graph.load(text)[:3] == (0, 0, 0)
    assert {one.source for one in graph.memory.set("observations").entries()} == {"import"}


def test_a_long_file_is_taken_in_piece_by_piece(graph: Graph) -> None:
    line = {"type": "entity", "entityType": "t", "observations": ["o" * 2000 + str(number) for number in range(20)]}
    found = graph.load("\n".join(json.dumps({**line, "name": str(number)}) for number in range(40)))
    assert found == (40, 800, 0, ())
    assert len(graph.memory.changes()) > 5


@given(
    st.text()
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_any_file_is_read_or_named(text: str) -> None:
    graph = Graph(memory())
    found = graph.load(text)
    assert all(0 < number <= text.count("\n") + 1 for number in found.unreadable)


def test_what_is_too_large_for_a_memory_is_refused_whole(graph: Graph) -> None:
    for name, content in (("n" * 2000, "x"), ("Ann", "x" * 300_000), ("Ann\ud800", "x")):
        with pytest.raises(CrdtmemError):
            graph.create_entities([entity("Bob"), entity(name, content)])
    assert shown(graph) == {}
