"""The rules of an owned namespace: who is who, what each field is, and who may write it. Pure data <-> a plain value.

Its owner writes them as one value; every replica judges each change by the rules it names, and needs nothing else for
that (invariant 4). What is judged has the format number; a newer one makes a memory read-only. All else in the value
is for readers: what this program does not know there is kept, handed on and listed in `unknown`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from crdtmem.change import KINDS, is_field
from crdtmem.errors import ValueRefused
from crdtmem.fields.resolve import rule

FORMAT = 1
EVERYONE = "everyone"
CONSISTENCY = ("eventual", "causal", "strong")
_APPENDABLE = ("set", "records", "sequence", "text")
_NUMBERS = {word: kind for kind, word in KINDS.items()}


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What a field is, and who may write it.

    Args:
        kind: set, counter, register, records, sequence or text.
        writers: the agents and roles that may write it; by default everyone.
        append_only: whether nothing in it may be removed, replaced or moved.
        single_writer: whether only one key may; `Rules` refuses two that could.
        cardinality: "one" where only one value can hold at a time; told to readers and reviews.
        unit: what its numbers count; told to readers.
        tolerance: how far two numbers may lie apart and agree; told to readers.
        resolve: which value is read while several stand, unless the reader says otherwise.
        ttl: seconds that an entry lives, unless its writer says otherwise.
        consistency: eventual, causal or strong; told to readers.

    >>> FieldRule("sequence", writers=["analyst"], append_only=True).writers
    ('analyst',)
    """

    kind: str
    _: KW_ONLY
    writers: Collection[str] | None = None
    append_only: bool = False
    single_writer: bool = False
    cardinality: str = "many"
    unit: str | None = None
    tolerance: float | None = None
    resolve: str = "latest"
    ttl: float | None = None
    consistency: str = "eventual"
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, _NUMBERS)
        _one_of("cardinality", self.cardinality, ("one", "many"))
        _one_of("consistency", self.consistency, CONSISTENCY)
        rule(self.resolve)
        writers = self.writers
        if isinstance(writers, str):
            raise ValueRefused(f"writers: a list of agents and roles, not one string; use writers=[{writers!r}]")
        object.__setattr__(self, "writers", None if writers is None else tuple(dict.fromkeys(map(_name, writers))))
        if self.append_only and self.kind not in _APPENDABLE:
            raise ValueRefused(f"append_only: {', '.join(_APPENDABLE)} can be; a {self.kind} replaces what it holds")
        if self.single_writer and not self.writers:
            raise ValueRefused("single_writer: say who, as in writers=['supervisor']")
        for what, number in (("ttl", self.ttl), ("tolerance", self.tolerance)):
            if number is not None and not (isinstance(number, int | float) and 0 <= number < float("inf")):
                raise ValueRefused(f"{what}: a number, 0 or more, not {number!r:.40}")

    @property
    def number(self) -> int:
        """The kind, as it travels."""
        return _NUMBERS[self.kind]

    @property
    def who(self) -> str:
        """Who may write it, in words."""
        return EVERYONE if self.writers is None else ", ".join(self.writers) or "nobody"

    def wire(self) -> dict[str, Any]:
        """As it travels: what differs from the default."""
        told = dict(self.unknown)
        for name, usual in _FIELD.items():
            value = getattr(self, name)
            if value != usual:
                told[name] = list(value) if name == "writers" else value
        return told


_FIELD: dict[str, Any] = {
    "kind": None,
    "writers": None,
    "append_only": False,
    "single_writer": False,
    "cardinality": "many",
    "unit": None,
    "tolerance": None,
    "resolve": "latest",
    "ttl": None,
    "consistency": "eventual",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of an owned namespace. `Replica.own` writes them; nobody but the owner can.

    Args:
        agents: who is who: the key of an identity, as bytes or hex, and its agent, or its agent and roles.
        fields: what each declared field is.
        closed: whether only declared fields may be written.
        schema: the version of what the fields mean.
        migrations: fields that have another name since: a write to the old one is told the new one.
        changes_per_minute: so many changes one key may write.
        bytes_per_minute: so many bytes one key may write.

    >>> ann = "ab" * 32
    >>> rules = Rules(agents={ann: ("ann", ["analyst"])}, fields={"facts": FieldRule("records", writers=["analyst"])})
    >>> rules.named(bytes.fromhex(ann)), Rules.read(rules.wire()) == rules
    (('ann', ('analyst',)), True)
    """

    agents: Mapping[Any, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldRule] = field(default_factory=dict)
    closed: bool = False
    schema: int = 1
    migrations: Mapping[str, str] = field(default_factory=dict)
    changes_per_minute: int | None = None
    bytes_per_minute: int | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.agents, Mapping) or not isinstance(self.fields, Mapping):
            raise ValueRefused("agents and fields: mappings, as in agents={identity.key: 'ann'}")
        agents = dict(sorted((as_key(key), _agent(told)) for key, told in self.agents.items()))
        names = [agent for agent, _ in agents.values()]
        roles = {role for _, some in agents.values() for role in some}
        for name in (*names, *roles):
            if name == EVERYONE or (name in roles and name in names):
                raise ValueRefused(f"agents: {name!r} is an agent and a role, or kept for all; take another name")
        fields = {_field(name): rule for name, rule in sorted(self.fields.items())}
        for name, one in fields.items():
            if not isinstance(one, FieldRule):
                raise ValueRefused(f"fields[{name!r}]: FieldRule('set'), not {one!r:.40}")
            if one.single_writer and sum(map(one_of(one), agents.values())) > 1:
                raise ValueRefused(f"fields[{name!r}]: single_writer, and several keys may write it: {one.who}")
        for what in ("changes_per_minute", "bytes_per_minute"):
            limit = getattr(self, what)
            if limit is not None and (type(limit) is not int or limit < 1):
                raise ValueRefused(f"{what}: an int above 0, not {limit!r:.40}")
        if type(self.schema) is not int or not 0 < self.schema < 2**53:
            raise ValueRefused(f"schema: an int above 0, not {self.schema!r:.40}")
        object.__setattr__(self, "agents", agents)
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "migrations", {_field(old): _field(new) for old, new in self.migrations.items()})

    def named(self, key: bytes) -> tuple[str, tuple[str, ...]] | None:
        """The agent and roles that a key has here, or None."""
        return self.agents.get(key)

    def keys(self, agent: str) -> list[bytes]:
        """The keys bound to an agent."""
        return [key for key, told in self.agents.items() if told[0] == agent]

    def without(self, key: bytes) -> Rules:
        """These rules without that key."""
        return self._but(agents={other: told for other, told in self.agents.items() if other != key})

    def binding(self, key: bytes, agent: str, role: str | None) -> Rules:
        """These rules with that key bound to an agent, unless they bind it already."""
        if key in self.agents:
            return self
        return self._but(agents={**self.agents, key: (agent, () if role is None else (role,))})

    def _but(self, **given: Any) -> Rules:
        return Rules(**({name: getattr(self, name) for name in self.__dataclass_fields__} | given))

    def wire(self) -> dict[str, Any]:
        """As a plain value, as it travels."""
        told: dict[str, Any] = {**self.unknown, "format": FORMAT}
        told["agents"] = {key.hex(): [agent, list(roles)] for key, (agent, roles) in self.agents.items()}
        told["fields"] = {name: rule.wire() for name, rule in self.fields.items()}
        for name, usual in _RULES.items():
            if getattr(self, name) != usual:
                told[name] = getattr(self, name)
        return told

    @classmethod
    def read(cls, told: Any) -> Rules:
        """The rules in a plain value.

        Raises:
            ValueRefused: they are not rules.
            NewerRules: they are judged by a newer format.
        """
        if type(told) is not dict or type(told.get("format")) is not int or told["format"] < 1:
            raise ValueRefused("not rules")
        if told["format"] > FORMAT:
            raise NewerRules(told["format"])
        try:
            fields = {name: _read_field(rule) for name, rule in told["fields"].items()}
            agents = {key: (agent, tuple(roles)) for key, (agent, roles) in told["agents"].items()}
            closed = _flag(told, "closed")
            rest = {name: told[name] for name in told.keys() - {"format", "agents", "fields", "closed"}}
            found: Rules = _reading(cls, {"agents": agents, "fields": fields, "closed": closed}, rest, _RULES)
            return found
        except ValueRefused:
            raise
        except Exception as error:
            raise ValueRefused(f"not rules: {type(error).__name__}") from None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is in these rules that this program does not know; it is kept, and handed on."""
        return (*sorted(self.unknown), *(f"{at}.{n}" for at, rule in self.fields.items() for n in sorted(rule.unknown)))


_RULES: dict[str, Any] = {
    "closed": False,
    "schema": 1,
    "migrations": {},
    "changes_per_minute": None,
    "bytes_per_minute": None,
}


class NewerRules(ValueRefused):
    """Rules of a format that this program cannot judge by."""


def one_of(rule: FieldRule) -> Any:
    """Tells of an agent and its roles whether the rule names one of them."""
    writers = rule.writers
    return lambda told: writers is None or told[0] in writers or any(role in writers for role in told[1])


def as_key(key: object) -> bytes:
    """A public key given as bytes or hex."""
    try:
        found = bytes.fromhex(key) if isinstance(key, str) else key
    except ValueError:
        found = None
    if not isinstance(found, bytes) or len(found) != 32:
        raise ValueRefused(f"agents: a key is 32 bytes or their hex, as in identity.key, not {key!r:.40}")
    return found


def _read_field(told: Any) -> FieldRule:
    judged = {"kind": told["kind"], "writers": told.get("writers")}
    judged |= {flag: _flag(told, flag) for flag in ("append_only", "single_writer")}
    found: FieldRule = _reading(FieldRule, judged, {name: told[name] for name in told.keys() - judged.keys()}, _FIELD)
    return found


def _reading(cls: Any, judged: dict[str, Any], rest: dict[str, Any], known: Mapping[str, Any]) -> Any:
    """What is judged must be understood; of the rest, what is not understood is kept as it is."""
    told, unknown = judged, {}
    for name, value in rest.items():
        try:
            cls(**told, **{name: value} if name in known else {"unknown": {name: value}})
        except Exception:
            unknown[name] = value
        else:
            told = {**told, name: value} if name in known else told
            unknown |= {} if name in known else {name: value}
    return cls(**told, unknown=unknown)


def _flag(told: Any, name: str) -> bool:
    flag = told.get(name, False)
    if type(flag) is not bool:
        raise ValueRefused(f"{name}: True or False")
    return flag


def _agent(told: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(told, str):
        return _name(told), ()
    try:
        agent, roles = told
    except (TypeError, ValueError):
        raise ValueRefused(f"agents: 'ann', or ('ann', ['analyst']), not {told!r:.40}") from None
    if isinstance(roles, str):
        raise ValueRefused(f"agents: a list of roles, not one string; use ({agent!r}, [{roles!r}])")
    return _name(agent), tuple(dict.fromkeys(map(_name, roles)))


def _name(name: object) -> str:
    if not isinstance(name, str) or not is_field(name):
        raise ValueRefused(f"{name!r:.60}: the name of an agent or role is a printable str of 1 to 200 characters")
    return name


def _field(name: object) -> str:
    if not isinstance(name, str) or not is_field(name) or name[0] == "@":
        raise ValueRefused(f"{name!r:.60}: the name of a field is printable, and does not begin with @")
    return name


def _one_of(what: str, word: Any, words: Iterable[str]) -> None:
    if word not in words:
        raise ValueRefused(f"{what}: one of {', '.join(words)}, not {word!r:.40}")
