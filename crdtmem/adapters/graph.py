"""A knowledge graph over a memory: entities with a type, observations about them, relations between them.

Entities are records from a name to a type, observations and relations are sets. So what several agents add at once is
all there; two who give one entity different types stand side by side in `conflicts()`; and whoever deletes takes away
what it has seen: an observation that comes in meanwhile keeps its entity, with the type `UNTYPED` if nobody gives
another. Each call that writes is one change.

Reading makes one pass over everything, once for each version of the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import msgspec

from crdtmem import Memory, NoMatch, Version
from crdtmem.adapters.together import together
from crdtmem.change import is_key
from crdtmem.values import freeze

ENTITIES, OBSERVATIONS, RELATIONS = "entities", "observations", "relations"
UNTYPED = "unknown"
_PORTION = 200_000  # characters of a file that is read in, for each change


class Entity(TypedDict):
    """One entity, as tools show it."""

    name: str
    entityType: str
    observations: list[str]


Relation = TypedDict("Relation", {"from": str, "to": str, "relationType": str})


class Observed(TypedDict):
    """What is to be said of an entity."""

    entityName: str
    contents: list[str]


class Unsaid(TypedDict):
    """What is not to be said of an entity any more."""

    entityName: str
    observations: list[str]


class Shown(TypedDict):
    """A graph, or a part of one."""

    entities: list[Entity]
    relations: list[Relation]


class Loaded(NamedTuple):
    """What a file brought."""

    entities: int
    observations: int
    relations: int
    unreadable: tuple[int, ...]  # the numbers of lines that say nothing


class Graph:
    """The graph of one memory.

    >>> from crdtmem import Replica
    >>> graph = Graph(Replica("ann").open(tenant="acme"))
    >>> _ = graph.create_entities([{"name": "Ann", "entityType": "person", "observations": ["drinks tea"]}])
    >>> graph.add_observations([{"entityName": "Ann", "contents": ["drinks tea", "codes"]}])
    [{'entityName': 'Ann', 'addedObservations': ['codes']}]
    >>> graph.search("tea")["entities"]
    [{'name': 'Ann', 'entityType': 'person', 'observations': ['drinks tea', 'codes']}]
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._types = memory.records(ENTITIES)
        self._said = memory.set(OBSERVATIONS)
        self._relations = memory.set(RELATIONS)
        self._seen: tuple[Version, Shown] | None = None

    # -- writing -----------------------------------------------------------------------------------

    def create_entities(self, entities: Sequence[Entity], **about: Any) -> list[Entity]:
        """Those that are new, with what is said of them; names that exist already are left as they are."""
        made: dict[str, Entity] = {}
        seen = self.memory.version  # a type that comes in meanwhile stands beside ours
        with together(self.memory, **about):
            for entity in entities:
                name = entity["name"]
                if name in made or name in self._types:
                    continue
                said = list(dict.fromkeys(entity["observations"]))
                self._types.put(name, entity["entityType"], seen=seen)
                for content in said:
                    self._said.add({"entity": name, "content": content})
                made[name] = {"name": name, "entityType": entity["entityType"], "observations": said}
        return list(made.values())

    def create_relations(self, relations: Sequence[Relation], **about: Any) -> list[Relation]:
        """Those that are new."""
        made: list[Relation] = []
        with together(self.memory, **about):
            for relation in map(_relation, relations):
                if relation not in self._relations:
                    self._relations.add(dict(relation))
                    made.append(relation)
        return made

    def add_observations(self, observations: Sequence[Observed], **about: Any) -> list[dict[str, Any]]:
        """What is new of what is to be said.

        Raises:
            NoMatch: an entity is not there; then nothing of it is said.
        """
        results: list[dict[str, Any]] = []
        with together(self.memory, **about):
            for one in observations:
                name = one["entityName"]
                if name not in self._types and not self._named([name]):
                    raise NoMatch(f"Entity with name {name} not found")
                values = [{"entity": name, "content": content} for content in dict.fromkeys(one["contents"])]
                new = [value for value in values if value not in self._said]
                for value in new:
                    self._said.add(value)
                results.append({"entityName": name, "addedObservations": [value["content"] for value in new]})
        return results

    def delete_entities(self, names: Sequence[str], **about: Any) -> None:
        """Take away entities, what is said of them, and their relations."""
        shown = self.read()
        gone = set(names)
        with together(self.memory, **about):
            for entity in shown["entities"]:
                if entity["name"] in gone:
                    self._types.delete(entity["name"])
                    for content in entity["observations"]:
                        self._said.discard({"entity": entity["name"], "content": content})
            for relation in shown["relations"]:
                if relation["from"] in gone or relation["to"] in gone:
                    self._relations.discard(dict(relation))

    def delete_observations(self, deletions: Sequence[Unsaid], **about: Any) -> None:
        """Take away what is said of entities."""
        with together(self.memory, **about):
            for one in deletions:
                for content in one["observations"]:
                    self._said.discard({"entity": one["entityName"], "content": content})

    def delete_relations(self, relations: Sequence[Relation], **about: Any) -> None:
        """Take away relations."""
        with together(self.memory, **about):
            for relation in relations:
                self._relations.discard(dict(_relation(relation)))

    # -- reading -----------------------------------------------------------------------------------

    def read(self) -> Shown:
        """All of it, oldest first. What is given is kept for the next who asks: do not change it."""
        if self.memory._draft() is not None:
            return self._all()  # what an open block has written is no version yet
        version = self.memory.version
        if self._seen is None or self._seen[0] != version:
            self._seen = version, self._all()
        return self._seen[1]

    def search(self, query: str) -> Shown:
        """The entities that have this in their name, type or observations, whatever the case; and their relations."""
        wanted = query.lower()

        def fits(entity: Entity) -> bool:
            texts = (entity["name"], entity["entityType"], *entity["observations"])
            return any(wanted in text.lower() for text in texts)

        return self._part([entity for entity in self.read()["entities"] if fits(entity)])

    def open(self, names: Sequence[str]) -> Shown:
        """The entities of these names, and their relations."""
        return self._part(self._named(names))

    def _named(self, names: Sequence[str]) -> list[Entity]:
        wanted = set(names)
        return [entity for entity in self.read()["entities"] if entity["name"] in wanted]

    def _part(self, entities: list[Entity]) -> Shown:
        names = {entity["name"] for entity in entities}
        ends = [one for one in self.read()["relations"] if one["from"] in names or one["to"] in names]
        return {"entities": entities, "relations": ends}

    def _all(self) -> Shown:
        entities: dict[str, Entity] = {}
        for entry in self._types.entries():
            name = entry.key
            kind = self._types.get(name, UNTYPED)
            entities[name] = {"name": name, "entityType": str(kind), "observations": []}
        for value in _valid(self._said.entries(), "entity", "content"):
            name = value["entity"]
            found = entities.setdefault(name, {"name": name, "entityType": UNTYPED, "observations": []})
            found["observations"].append(value["content"])
        relations = [_relation(value) for value in _valid(self._relations.entries(), "from", "to", "relationType")]
        return {"entities": list(entities.values()), "relations": relations}

    # -- files of the reference server -------------------------------------------------------------

    def load(self, text: str) -> Loaded:
        """Take in what the reference memory server keeps in its file: one JSON object a line. Twice does nothing.

        Lines that cannot be read, as that server leaves them when several write at once, are named and left out.

        >>> from crdtmem import Replica
        >>> graph = Graph(Replica("ann").open(tenant="acme"))
        >>> graph.load('{"type":"entity","name":"Ann","entityType":"person","observations":["codes"]}\\n{"type":"ent')
        Loaded(entities=1, observations=1, relations=0, unreadable=(2,))
        """
        unreadable: list[int] = []
        entities: list[Entity] = []
        relations: list[Relation] = []
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    item = _item(line)
                except ValueError:
                    unreadable.append(number)
                    continue
                (entities if "name" in item else relations).append(item)  # type: ignore[arg-type]
        bare: list[Entity] = [{**entity, "observations": []} for entity in entities]
        said: list[Observed] = [
            {"entityName": entity["name"], "contents": [content]}
            for entity in entities
            for content in entity["observations"]
        ]
        about = {"why": "read from a file", "source": "import"}
        made = sum(len(self.create_entities(some, **about)) for some in _portions(bare))
        added = [one for some in _portions(said) for one in self.add_observations(some, **about)]
        related = sum(len(self.create_relations(some, **about)) for some in _portions(relations))
        return Loaded(made, sum(len(one["addedObservations"]) for one in added), related, tuple(unreadable))


class _Line(TypedDict):
    type: str


def _item(line: str) -> Entity | Relation:
    """What a line of a file says.

    Raises:
        ValueError: nothing that this memory could keep.
    """
    try:
        if msgspec.json.decode(line, type=_Line)["type"] == "relation":
            relation = _relation(msgspec.json.decode(line, type=Relation))
            freeze(dict(relation))
            return relation
        entity = msgspec.json.decode(line, type=Entity)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not is_key(entity["name"]):
        raise ValueError("its name is too long")
    for content in ("", entity["entityType"], *entity["observations"]):
        freeze({"entity": entity["name"], "content": content})
    return {"name": entity["name"], "entityType": entity["entityType"], "observations": entity["observations"]}


def _relation(given: Any) -> Relation:
    return {"from": given["from"], "to": given["to"], "relationType": given["relationType"]}


def _valid(entries: Iterable[Any], *keys: str) -> Iterator[dict[str, str]]:
    """The values that are what this graph writes; others may write to its fields, too."""
    for entry in entries:
        value = entry.value
        if isinstance(value, dict) and all(isinstance(value.get(key), str) for key in keys):
            yield value


def _portions(items: list[Any]) -> Iterator[list[Any]]:
    """Parts of a long list that each fit one change."""
    some: list[Any] = []
    size = 0
    for item in items:
        if some and size > _PORTION:
            yield some
            some, size = [], 0
        some.append(item)
        size += len(repr(item))
    if some:
        yield some
