"""Shared memory for teams of LLM agents: never loses a write, never blocks, always knows who wrote what and why.

>>> from crdtmem import Replica
>>> ann, bob = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="acme")
>>> _ = ann.set("facts").add("churn is 3.1 %", why="CRM export")
>>> _ = bob.set("facts").add("churn is 4.7 %")
>>> _ = ann.receive(bob.changes())
>>> _ = bob.receive(ann.changes())
>>> ann.digest() == bob.digest(), len(ann.set("facts"))
(True, 2)
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from crdtmem.change import Version
from crdtmem.checkpoint import Checkpoint
from crdtmem.difference import Difference
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import (
    AmbiguousMatch,
    BadBytes,
    Closed,
    CrdtmemError,
    EmbedderFailed,
    ForkedReplica,
    KindMismatch,
    MisuseError,
    NamespaceError,
    NoMatch,
    NotReached,
    QuotaExceeded,
    ReadOnly,
    RulesRefused,
    StoreError,
    Undecided,
    UpgradeNeeded,
    ValueRefused,
)
from crdtmem.event import Event
from crdtmem.explain import Explanation
from crdtmem.fields.counter import Counter
from crdtmem.fields.records import Records
from crdtmem.fields.register import Register
from crdtmem.fields.sequence import Sequence
from crdtmem.fields.set import Set
from crdtmem.fields.text import Text
from crdtmem.forks import Equivocation
from crdtmem.identity import Identity
from crdtmem.inbox import Received, Refusal
from crdtmem.memory import Conflict, Memory
from crdtmem.namespace import Namespace
from crdtmem.notify import Batch, Watch
from crdtmem.replica import Replica
from crdtmem.retention import Pruning
from crdtmem.rules import FieldRule, Rules
from crdtmem.store import Damage, MemoryStore, Record, Store
from crdtmem.timeline import Timeline

if TYPE_CHECKING:
    from crdtmem.adapters.tools import tools
    from crdtmem.citation import Check, check
    from crdtmem.coherence.review import review
    from crdtmem.doctor import examine
    from crdtmem.search import Hit
    from crdtmem.sqlite import SqliteStore
    from crdtmem.sync import Peer
    from crdtmem.view import View

__version__ = "0.1.0"

__all__ = [
    "AmbiguousMatch",
    "BadBytes",
    "Batch",
    "Check",
    "Checkpoint",
    "Closed",
    "Conflict",
    "Counter",
    "CrdtmemError",
    "Damage",
    "Difference",
    "EmbedderFailed",
    "Entry",
    "EntryId",
    "Equivocation",
    "Event",
    "Explanation",
    "FieldRule",
    "ForkedReplica",
    "Hit",
    "Identity",
    "KindMismatch",
    "Memory",
    "MemoryStore",
    "MisuseError",
    "Namespace",
    "NamespaceError",
    "NoMatch",
    "NotReached",
    "Peer",
    "Pruning",
    "QuotaExceeded",
    "ReadOnly",
    "Received",
    "Record",
    "Records",
    "Refusal",
    "Register",
    "Replica",
    "Rules",
    "RulesRefused",
    "Sequence",
    "Set",
    "SqliteStore",
    "Store",
    "StoreError",
    "Text",
    "Timeline",
    "Undecided",
    "UpgradeNeeded",
    "ValueRefused",
    "Version",
    "View",
    "Watch",
    "check",
    "examine",
    "review",
    "tools",
]

logging.getLogger("crdtmem").addHandler(logging.NullHandler())


_LATER = {
    "Check": "citation",
    "check": "citation",
    "Hit": "search",
    "Peer": "sync",
    "SqliteStore": "sqlite",
    "examine": "doctor",
    "View": "view",
    "review": "coherence",
    "tools": "adapters.tools",
}  # loaded on first use


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"crdtmem.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
