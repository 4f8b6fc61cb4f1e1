"""A replica: one process's identity, store and open memories."""

from __future__ import annotations

import os
import threading
import time
import weakref

from crdtmem.clock import Clock, TimeSource
from crdtmem.document import Document
from crdtmem.errors import Closed, ForkedReplica, MisuseError
from crdtmem.identity import Identity, fingerprint
from crdtmem.memory import Memory, checked_actor
from crdtmem.namespace import Namespace
from crdtmem.notify import Notifier
from crdtmem.rules import Rules
from crdtmem.store import MemoryStore, Store


class Replica:
    """What an agent process holds; it opens memories, one for each namespace.

    Args:
        agent: the name its writes carry, unless `acting_as` says otherwise.
        role: the role they are made in.
        store: where changes are kept: the path of a file, one for each agent, or a Store; None keeps them in memory.
        identity: the key that seals them; None takes the one kept beside the file, or makes one.
        time: seconds since 1970, for stamps.

    >>> with Replica("researcher") as replica:
    ...     memory = replica.open(tenant="acme", task="q3-brief")
    ...     _ = memory.register("status").assign("started")
    ...     memory.register("status").value
    'started'
    """

    def __init__(
        self,
        agent: str,
        *,
        role: str | None = None,
        store: Store | str | os.PathLike[str] | None = None,
        identity: Identity | None = None,
        time: TimeSource = time.time,
    ) -> None:
        self._actor = checked_actor(agent, role)
        self._lasting = store is not None
        self._owns_store = store is None or isinstance(store, str | os.PathLike)
        if store is None:
            self._store: Store = MemoryStore()
        elif isinstance(store, str | os.PathLike):
            from crdtmem.sqlite import SqliteStore

            self._store = SqliteStore(store)
        elif hasattr(store, "open"):
            self._store = store
        else:
            raise MisuseError(f"store: the path of a file or a Store, not {store!r:.60}")
        self.identity = identity or _kept(self._store)
        self._time = time
        self._notifier = Notifier()
        self._documents: dict[Namespace, Document] = {}
        self._lock = threading.Lock()
        self._gone: type[Closed] | None = None
        _ALIVE.add(self)

    def open(self, namespace: Namespace | None = None, /, **labels: str | None) -> Memory:
        """The memory of a namespace, given as labels or as a Namespace. `owner=` names the owner of an owned one.

        Raises:
            NamespaceError: no tenant, or a label that cannot be.
        """
        if namespace is None:
            unknown = labels.keys() - Namespace.__annotations__.keys() | labels.keys() & {"digest"}
            if unknown:
                raise TypeError(
                    f"unknown label {sorted(unknown)[0]!r}; a namespace has tenant, task, role, user, thread and agent"
                )
            labels.setdefault("tenant", None)
            namespace = Namespace(**labels)  # type: ignore[arg-type]
        elif labels or not isinstance(namespace, Namespace):
            raise TypeError("open() takes labels, as in open(tenant='acme', task='q3-brief'), or one Namespace")
        self._usable()
        with self._lock:
            document = self._documents.get(namespace)
            if document is None:
                document = self._documents[namespace] = Document(
                    namespace,
                    self._store,
                    self.identity,
                    self._actor,
                    Clock(self._time),
                    self._notifier,
                    self._usable,
                    checkpoints=self._lasting,
                )
        return Memory(document, self._actor)

    def own(self, *, rules: Rules, why: str | None = None, **labels: str | None) -> Memory:
        """The memory of a namespace that belongs to this replica's key, under these rules.

        Called again with others, it writes them as successors. Everybody else opens the same `memory.namespace`, or the
        same labels with `owner=`. This replica's own key is bound to its agent, unless the rules say otherwise.

        >>> from crdtmem import FieldRule, Rules
        >>> boss, worker = Replica("boss"), Replica("worker")
        >>> rules = Rules(
        ...     agents={worker.identity.key: "worker"},
        ...     fields={"plan": FieldRule("sequence", writers=["boss"])},
        ... )
        >>> plan = boss.own(tenant="acme", task="launch", rules=rules)
        >>> _ = plan.sequence("plan").append("ask")
        >>> mine = worker.open(plan.namespace)
        >>> _ = mine.receive(plan.changes())
        >>> mine.sequence("plan").append("skip the tests")
        Traceback (most recent call last):
        crdtmem.errors.RulesRefused: sequence 'plan': by the rules only boss may write it
        """
        from crdtmem.owning import decree

        memory = self.open(owner=fingerprint(self.identity.key), **labels)
        decree(memory, rules.binding(self.identity.key, *self._actor), why)
        return memory

    def fork(self, memory: Memory, namespace: Namespace | None = None, /, **labels: str | None) -> Memory:
        """A new memory that begins with all that another, maybe a pinned one, shows; each entry cites its origin.

        >>> replica = Replica("ann")
        >>> plan = replica.open(tenant="acme", task="plan")
        >>> _ = plan.sequence("steps").extend(["ask", "write"])
        >>> list(replica.fork(plan, tenant="acme", task="plan-b").sequence("steps"))
        ['ask', 'write']
        """
        from crdtmem.fork import fork

        found = self.open(namespace, **labels)
        fork(memory, found)
        return found

    def _usable(self) -> None:
        if self._gone is not None:
            if self._gone is ForkedReplica:
                raise ForkedReplica("this replica was opened before fork(); open one of its own in the child process")
            raise Closed("this replica has been closed; open a new one")

    def close(self) -> None:
        """Seal what was written, deliver what watchers are owed, let go of the store; closing twice does nothing."""
        if self._gone is not None:
            return
        for document in self._documents.values():
            document.close()
        self._gone = Closed
        for document in self._documents.values():
            document.wake()
        self._notifier.close()
        if self._owns_store:
            self._store.close()

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._gone else f"{len(self._documents)} memories"
        return f"<Replica {self._actor.agent!r}: {state}>"


def _kept(store: Store) -> Identity:
    """The key beside a file, so that what a crash left unsealed can be sealed by the next process; else a new one."""
    if isinstance(store, MemoryStore):
        return Identity()
    from crdtmem.sqlite import SqliteStore

    return Identity.kept(f"{store.path}-key") if isinstance(store, SqliteStore) and not store.readonly else Identity()


_ALIVE: weakref.WeakSet[Replica] = weakref.WeakSet()


def _disown() -> None:
    """In a forked child: a session must never be continued by two processes."""
    for replica in _ALIVE:
        replica._gone = ForkedReplica
        for document in replica._documents.values():
            document.disown()


os.register_at_fork(after_in_child=_disown)
