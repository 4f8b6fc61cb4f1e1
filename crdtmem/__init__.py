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

from crdtmem.change import Version
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import (
    AmbiguousMatch,
    BadBytes,
    Closed,
    CrdtmemError,
    ForkedReplica,
    KindMismatch,
    MisuseError,
    NamespaceError,
    NoMatch,
    NotReached,
    ReadOnly,
    StoreError,
    Undecided,
    UpgradeNeeded,
    ValueRefused,
)
from crdtmem.fields.counter import Counter
from crdtmem.fields.records import Records
from crdtmem.fields.register import Register
from crdtmem.fields.sequence import Sequence
from crdtmem.fields.set import Set
from crdtmem.fields.text import Text
from crdtmem.identity import Identity
from crdtmem.inbox import Received, Refusal
from crdtmem.memory import Conflict, Memory
from crdtmem.namespace import Namespace
from crdtmem.notify import Batch, Watch
from crdtmem.replica import Replica
from crdtmem.store import MemoryStore, Record, Store

__version__ = "0.1.0"

__all__ = [
    "AmbiguousMatch",
    "BadBytes",
    "Batch",
    "Closed",
    "Conflict",
    "Counter",
    "CrdtmemError",
    "Entry",
    "EntryId",
    "ForkedReplica",
    "Identity",
    "KindMismatch",
    "Memory",
    "MemoryStore",
    "MisuseError",
    "Namespace",
    "NamespaceError",
    "NoMatch",
    "NotReached",
    "ReadOnly",
    "Received",
    "Record",
    "Records",
    "Refusal",
    "Register",
    "Replica",
    "Sequence",
    "Set",
    "Store",
    "StoreError",
    "Text",
    "Undecided",
    "UpgradeNeeded",
    "ValueRefused",
    "Version",
    "Watch",
]

logging.getLogger("crdtmem").addHandler(logging.NullHandler())
