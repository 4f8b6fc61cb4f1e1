"""The nine tools of the reference memory server: the same names, arguments and results, over a graph that is shared."""

from __future__ import annotations

from typing import Any, TypedDict

from crdtmem.adapters.graph import Entity, Observed, Relation, Shown, Unsaid
from crdtmem.adapters.mcp.desk import Desk
from crdtmem.adapters.mcp.tool import DRAFT, Tool, array, obj, text


class _Entities(TypedDict):
    entities: list[Entity]


class _Relations(TypedDict):
    relations: list[Relation]


class _Observations(TypedDict):
    observations: list[Observed]


class _Deletions(TypedDict):
    deletions: list[Unsaid]


class _EntityNames(TypedDict):
    entityNames: list[str]


class _Query(TypedDict):
    query: str


class _Names(TypedDict):
    names: list[str]


def _entity(*, closed: bool) -> dict[str, Any]:
    return obj(
        {
            "name": text("The name of the entity"),
            "entityType": text("The type of the entity"),
            "observations": array(text(), "An array of observation contents associated with the entity"),
        },
        closed=closed,
    )


def _link(*, closed: bool) -> dict[str, Any]:
    return obj(
        {
            "from": text("The name of the entity where the relation starts"),
            "to": text("The name of the entity where the relation ends"),
            "relationType": text("The type of the relation"),
        },
        closed=closed,
    )


def _takes(properties: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, **obj(properties)}


def _gives(properties: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, **obj(properties, closed=True)}


_GRAPH = _gives({"entities": array(_entity(closed=True)), "relations": array(_link(closed=True))})
_DONE = _gives({"success": {"type": "boolean"}, "message": text()})


def _done(what: str) -> dict[str, Any]:
    return {"success": True, "message": f"{what} deleted successfully"}


def _delete_entities(desk: Desk, given: _EntityNames) -> dict[str, Any]:
    desk.graph.delete_entities(given["entityNames"])
    return _done("Entities")


def _delete_observations(desk: Desk, given: _Deletions) -> dict[str, Any]:
    desk.graph.delete_observations(given["deletions"])
    return _done("Observations")


def _delete_relations(desk: Desk, given: _Relations) -> dict[str, Any]:
    desk.graph.delete_relations(given["relations"])
    return _done("Relations")


def _read(desk: Desk, given: dict[str, Any]) -> Shown:
    return desk.graph.read()


NINE = (
    Tool(
        "create_entities",
        "Create Entities",
        "Create multiple new entities in the knowledge graph",
        _takes({"entities": array(_entity(closed=False))}),
        _Entities,
        lambda desk, given: desk.graph.create_entities(given["entities"]),
        _gives({"entities": array(_entity(closed=True))}),
        "entities",
    ),
    Tool(
        "create_relations",
        "Create Relations",
        "Create multiple new relations between entities in the knowledge graph. Relations should be in active voice",
        _takes({"relations": array(_link(closed=False))}),
        _Relations,
        lambda desk, given: desk.graph.create_relations(given["relations"]),
        _gives({"relations": array(_link(closed=True))}),
        "relations",
    ),
    Tool(
        "add_observations",
        "Add Observations",
        "Add new observations to existing entities in the knowledge graph",
        _takes(
            {
                "observations": array(
                    obj(
                        {
                            "entityName": text("The name of the entity to add the observations to"),
                            "contents": array(text(), "An array of observation contents to add"),
                        }
                    )
                )
            }
        ),
        _Observations,
        lambda desk, given: desk.graph.add_observations(given["observations"]),
        _gives({"results": array(obj({"entityName": text(), "addedObservations": array(text())}, closed=True))}),
        "results",
    ),
    Tool(
        "delete_entities",
        "Delete Entities",
        "Delete multiple entities and their associated relations from the knowledge graph",
        _takes({"entityNames": array(text(), "An array of entity names to delete")}),
        _EntityNames,
        _delete_entities,
        _DONE,
        destroys=True,
        again=True,
    ),
    Tool(
        "delete_observations",
        "Delete Observations",
        "Delete specific observations from entities in the knowledge graph",
        _takes(
            {
                "deletions": array(
                    obj(
                        {
                            "entityName": text("The name of the entity containing the observations"),
                            "observations": array(text(), "An array of observations to delete"),
                        }
                    )
                )
            }
        ),
        _Deletions,
        _delete_observations,
        _DONE,
        destroys=True,
        again=True,
    ),
    Tool(
        "delete_relations",
        "Delete Relations",
        "Delete multiple relations from the knowledge graph",
        _takes({"relations": array(_link(closed=False), "An array of relations to delete")}),
        _Relations,
        _delete_relations,
        _DONE,
        destroys=True,
        again=True,
    ),
    Tool(
        "read_graph",
        "Read Graph",
        "Read the entire knowledge graph",
        _takes({}),
        dict[str, Any],
        _read,
        _GRAPH,
        reads=True,
        again=True,
    ),
    Tool(
        "search_nodes",
        "Search Nodes",
        "Search for nodes in the knowledge graph based on a query",
        _takes({"query": text("The search query to match against entity names, types, and observation content")}),
        _Query,
        lambda desk, given: desk.graph.search(given["query"]),
        _GRAPH,
        reads=True,
        again=True,
    ),
    Tool(
        "open_nodes",
        "Open Nodes",
        "Open specific nodes in the knowledge graph by their names",
        _takes({"names": array(text(), "An array of entity names to retrieve")}),
        _Names,
        lambda desk, given: desk.graph.open(given["names"]),
        _GRAPH,
        reads=True,
        again=True,
    ),
)
