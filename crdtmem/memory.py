"""The memory of one namespace, as an agent sees it: names, docs and checks; what is done is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from crdtmem import asof, history, owning, receiving, writing
from crdtmem.block import OPEN, Block
from crdtmem.change import COUNTER, KINDS, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Version, is_field
from crdtmem.checkpoint import Checkpoint
from crdtmem.clock import aware, stamp
from crdtmem.difference import Difference, differences
from crdtmem.document import Actor, Document
from crdtmem.draft import Draft, KeyedDraft, OrderedDraft, put
from crdtmem.entry import Attributes, Entry, EntryId, about, is_light
from crdtmem.errors import KindMismatch, MisuseError, ValueRefused
from crdtmem.explain import Explanation, explain
from crdtmem.fields.counter import Counter
from crdtmem.fields.field import Field, alive
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered
from crdtmem.fields.records import Records, disagreement
from crdtmem.fields.register import Register
from crdtmem.fields.resolve import Resolve
from crdtmem.fields.sequence import Sequence
from crdtmem.fields.set import Set
from crdtmem.fields.text import Text
from crdtmem.forks import Equivocation
from crdtmem.inbox import Received, Refusal
from crdtmem.namespace import Namespace
from crdtmem.notify import Batch, Watch
from crdtmem.past import Pinned
from crdtmem.retention import Pruning, prune
from crdtmem.rules import FieldRule, Rules
from crdtmem.store import Damage
from crdtmem.timeline import Timeline
from crdtmem.values import Frozen

if TYPE_CHECKING:
    from crdtmem.nearness import Embed
    from crdtmem.search import Hit

R = TypeVar("R")
F = TypeVar("F", bound=Field[Any])


@dataclass(frozen=True, slots=True)
class Conflict:
    """Entries of one register, or one key of records, that cannot all hold."""

    field: str
    key: str | None
    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        place = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"{place}: " + "; ".join(f"{e.by} says {e.value!r:.80}" for e in self.entries)


class Memory:
    """A replicated memory; `replica.open(...)` makes it, `acting_as` gives the same one under another name.

    >>> from crdtmem import Replica
    >>> memory = Replica("researcher").open(tenant="acme", task="q3-brief")
    >>> with memory.change(why="first look"):
    ...     _ = memory.set("open_questions").add("Why did churn rise?")
    ...     _ = memory.counter("tokens_spent").add(1200)
    >>> [entry.why for entry in memory.set("open_questions").entries()]
    ['first look']
    """

    def __init__(self, document: Document, actor: Actor) -> None:
        self._document = document
        self._actor = actor
        self._fields: dict[tuple[int, str], Any] = {}

    @property
    def namespace(self) -> Namespace:
        """The scope."""
        return self._document.namespace

    @property
    def agent(self) -> str:
        """Under which name this writes."""
        return self._actor.agent

    # -- fields ------------------------------------------------------------------------------------

    def set(self, name: str, *misplaced: object) -> Set[Any]:
        """The add-wins set of that name."""
        return self._field(Set, name, misplaced)

    def counter(self, name: str, *misplaced: object) -> Counter:
        """The counter of that name."""
        return self._field(Counter, name, misplaced)

    def register(self, name: str, *misplaced: object, resolve: Resolve = "latest") -> Register[Any]:
        """The register of that name.

        Args:
            name: its name.
            misplaced: refused, with what to write instead.
            resolve: which value a reader gets while siblings stand: "latest", "confident", "append", "merge",
                "escalate", or a function from the entries, oldest first.
        """
        if (resolve == "latest" and self._declared(name) is None) or misplaced:
            return self._field(Register, name, misplaced)
        resolve = self._resolution(name, resolve)
        self._field(Register, name, ())
        return Register(self, name, resolve)

    def records(self, name: str, *misplaced: object, resolve: Resolve = "latest") -> Records[Any]:
        """The records of that name; `resolve` as for a register."""
        if (resolve == "latest" and self._declared(name) is None) or misplaced:
            return self._field(Records, name, misplaced)
        resolve = self._resolution(name, resolve)
        self._field(Records, name, ())
        return Records(self, name, resolve)

    def sequence(self, name: str, *misplaced: object) -> Sequence[Any]:
        """The sequence of that name."""
        return self._field(Sequence, name, misplaced)

    def text(self, name: str, *misplaced: object) -> Text:
        """The text of that name."""
        return self._field(Text, name, misplaced)

    def fields(self) -> dict[str, str]:
        """The fields that hold something: their names and kinds."""
        fields = list(self._document.state.fields.items())
        return {
            name: KINDS[kind]
            for (kind, name), field in sorted(fields, key=lambda f: f[0])
            if _holds(field) and name[0] != "@"
        }

    def _declared(self, name: str) -> FieldRule | None:
        rules = self.rules
        return None if rules is None else rules.fields.get(name)

    def _resolution(self, name: str, asked: Resolve) -> Resolve:
        """What is asked for, or else what the rules declare."""
        declared = self._declared(name)
        return declared.resolve if asked == "latest" and declared is not None else asked

    def _field(self, type: type[F], name: str, misplaced: tuple[object, ...]) -> F:
        kind = type._kind
        found = self._fields.get((kind, name))
        if found is not None and not misplaced:
            return found  # type: ignore[no-any-return]
        if misplaced:
            verb = _INSTEAD[kind].format(name=name, value=misplaced[0])
            raise TypeError(f"{KINDS[kind]}() opens a {KINDS[kind]}; to write: memory.{verb}")
        if not isinstance(name, str) or not is_field(name) or name[0] == "@":
            raise ValueRefused(
                f"{name!r:.60}: the name of a field is a printable str of 1 to 200 characters, the first of them not @"
            )
        for other, word in KINDS.items():
            here = self._document.state.fields.get((other, name))
            mine = self._document.state.fields.get((kind, name))
            if other != kind and here is not None and _holds(here) and not (mine is not None and _holds(mine)):
                raise KindMismatch(
                    f"{name!r} holds a {word}; open it with memory.{word}({name!r}), or take another name"
                )
        found = self._fields[kind, name] = type(self, name)
        return found

    # -- writing -----------------------------------------------------------------------------------

    def change(self, **attributes: Unpack[Attributes]) -> Block:
        """Make all writes of a `with` block one change: atomic, with one reason, and unseen until the block ends.

        The block reads its own writes and holds no lock, so it may stay open as long as it likes. It belongs to the
        context that opened it, and to the tasks and threads that inherit this context while it is open. An exception
        discards all of it.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> with memory.change(why="merge the two lists"):
        ...     _ = memory.set("a").discard(1)
        ...     _ = memory.set("b").add(1)
        """
        return Block(self, about(attributes))

    def acting_as(self, agent: str, role: str | None = None) -> Memory:
        """The same memory under another author, for programs that run several agents.

        >>> from crdtmem import Replica
        >>> memory = Replica("crew").open(tenant="acme")
        >>> memory.acting_as("analyst", role="analysis").counter("n").add(1).by
        'analyst'
        """
        return Memory(self._document, checked_actor(agent, role))

    def _write(
        self,
        at: tuple[int, str],
        operation: Callable[..., R],
        attributes: Attributes,
        *args: Any,
    ) -> R:
        """The one path of every write to a field: into the open block, or into a change of its own."""
        document = self._document
        if not document.state.plain:
            attributes = self._with_defaults(at[1], attributes)
        own = about(attributes) if attributes else None
        if OPEN.get():
            draft = self._draft()
            if draft is not None:
                with draft.lock:
                    if draft.open:
                        draft.cites = draft.cites or own is not None
                        return operation(draft.part(at), draft.said(own), *args)
        with document.lock:
            field = document.state.fields.get(at) or document.state.field(*at)
            part = KeyedDraft(field) if type(field) is Keyed else OrderedDraft(field, snapshot=False)  # type: ignore[arg-type]
            result = operation(part, own, *args)
            writing.commit(document, (part,), own, self._actor, cites=own is not None and len(own) > 1)
            return result

    def _put(self, at: tuple[int, str], key: Any, frozen: Frozen, attributes: Attributes) -> Entry:
        """Write one entry in place of all that is seen under its key; of a counter, add an amount."""
        document = self._document
        if document.state.plain and not OPEN.get():
            own = about(attributes) if attributes else None
            if own is None or is_light(own):
                with document.lock:
                    entry = writing.commit_one(document, at, key, frozen, own, self._actor)
                if entry is not None:
                    return entry
        return self._write(at, put, attributes, key, frozen)

    def _with_defaults(self, name: str, attributes: Attributes) -> Attributes:
        """What is said of a write, and what the rules declare for it."""
        declared = self._declared(name)
        if declared is None or declared.ttl is None or attributes.get("ttl") is not None:
            return attributes
        return {**attributes, "ttl": declared.ttl}

    def _draft(self) -> Draft | None:
        for memory, draft in OPEN.get():
            if memory._document is self._document and memory._actor == self._actor and draft.open:
                return draft
        return None

    # -- reading, for the field types --------------------------------------------------------------

    def _view(self, at: tuple[int, str]) -> Any:
        """What this context sees of a field: its open block's draft of it, or the field."""
        document = self._document
        document.usable()
        if OPEN.get():
            draft = self._draft()
            part = None if draft is None else draft.parts.get(at)
            if part is not None:
                return part
        return document.state.fields.get(at) or _blank(at[0])

    def _shown(self, at: tuple[int, str], key: Any) -> tuple[Entry, ...]:
        document = self._document
        if OPEN.get():
            view: Keyed | KeyedDraft = self._view(at)
            seen = view.live(key)
            return alive(seen, document.now()) if seen and view.mortal else seen
        document.usable()  # the rest is the same of no draft, in one call instead of four: every read comes here
        field: Any = document.state.fields.get(at)
        slot = None if field is None else field.by_key.get(key)
        if slot is None:
            return ()
        seen = slot if type(slot) is tuple else (slot,)
        return alive(seen, document.now()) if field.mortal else seen

    def _only(self, at: tuple[int, str], key: Any) -> Entry | None:
        """The entry under a key, where it is the only one and to see that takes no open block and no clock."""
        field: Any = None if OPEN.get() else self._document.state.fields.get(at)
        if field is None or field.mortal:
            return None
        slot = field.by_key.get(key)
        return None if type(slot) is tuple else slot

    def _held(self, at: tuple[int, str]) -> list[Any]:
        view: Keyed | KeyedDraft = self._view(at)
        if type(view) is Keyed and not view.mortal:
            return view.held()
        return [entries[0].key for entries in self._listed(at)]

    def _listed(self, at: tuple[int, str]) -> list[tuple[Entry, ...]]:
        view: Keyed | KeyedDraft = self._view(at)
        found = [view.live(key) for key in view.held()]
        if view.mortal:
            now = self._document.now()
            found = [alive(entries, now) for entries in found]
        return [entries for entries in found if entries]

    def _count(self, at: tuple[int, str]) -> int:
        view: Keyed | KeyedDraft = self._view(at)
        return len(self._listed(at)) if view.mortal else len(view.held())

    def _in_order(self, at: tuple[int, str]) -> list[Entry]:
        with self._document.lock:  # else a reader in another thread could find half of a change, and keep it
            view: Ordered | OrderedDraft = self._view(at)
            entries = view.entries()
        return list(alive(entries, self._document.now())) if view.mortal else entries

    def _read(self, at: tuple[int, str]) -> str:
        with self._document.lock:
            return self._view(at).text  # type: ignore[no-any-return]

    # -- versions and bytes ------------------------------------------------------------------------

    @property
    def version(self) -> Version:
        """What this replica has seen. `str(version)` is a short token that travels with a hand-off."""
        with self._document.lock:
            return self._document.state.version

    def reached(self, version: Version | str) -> bool:
        """Whether this replica has seen all of a version."""
        return self._document.reached(self._version(version))

    def wait(self, version: Version | str, timeout: float | None = None) -> None:
        """Block until this replica has seen a version: what its giver saw, you see.

        Raises:
            NotReached: it has not after `timeout` seconds.
        """
        self._document.wait(self._version(version), timeout)

    def refresh(self) -> bool:
        """Take in what the owner of the file has written since, where this memory only reads it; whether there was any.

        Nothing is to be done for a memory that writes: what comes is there at once.

        >>> from crdtmem import Replica, SqliteStore
        >>> with Replica("ann", store="ann.db") as ann:
        ...     mine = ann.open(tenant="acme")
        ...     _ = mine.counter("n").add(1)
        ...     with Replica("reader", store=SqliteStore("ann.db", readonly=True)) as reader:
        ...         theirs = reader.open(tenant="acme")
        ...         _ = mine.counter("n").add(1)
        ...         theirs.counter("n").value, theirs.refresh(), theirs.counter("n").value
        (1, True, 2)
        """
        return self._document.refresh()

    def at(self, version: Version | str | datetime) -> Memory:
        """This memory as of a version, or as of a moment by its writers' clocks, read-only.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.register("status").assign("draft")
        >>> then = memory.version
        >>> _ = memory.register("status").assign("final")
        >>> memory.at(then).register("status").value
        'draft'
        """
        if isinstance(version, datetime):
            state = asof.when(self._document, aware(version))
        else:
            state = asof.at(self._document, self._version(version))
        return Memory(Pinned(self._document, state), self._actor)  # type: ignore[arg-type]

    def changes(self, since: Version | str | None = None) -> list[bytes]:
        """The changes that a replica at `since` lacks, as records to hand to its `receive`; all of them by default.

        What this replica cannot tell whether the other has, because `since` is ahead of it, is among them.
        """
        return self._document.send(None if since is None else self._version(since))

    def receive(self, changes: Iterable[bytes], *, sender: str = "") -> Received:
        """Take in changes from anywhere, in any order, any number of times. Bad bytes are refused, never raised.

        Args:
            changes: records from `changes()`.
            sender: who handed them over; what must wait is bounded for each sender.

        >>> from crdtmem import Replica
        >>> a, b = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="acme")
        >>> _ = a.set("seen").add("x")
        >>> b.receive([*a.changes(), b"garbage"]).applied, a.digest() == b.digest()
        (1, True)
        """
        return receiving.receive(self._document, [changes] if isinstance(changes, bytes) else changes, sender)

    def digest(self) -> str:
        """Equal on replicas that hold the same content."""
        with self._document.lock:
            self._document.usable()
            return self._document.state.digest().hex()

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The last thousand refusals, oldest first."""
        return tuple(self._document.refusals)

    def changed(self, callback: Callable[[Batch], object], *, fields: Collection[str] | None = None) -> Watch:
        """Call back after every change of ours and every received batch, in order, outside every lock.

        Args:
            callback: takes a Batch. Runs on the event loop this is called from, else on the replica's notifier thread.
            fields: only batches that touch one of these.

        Returns:
            A handle; `close()` ends it.
        """
        if isinstance(fields, str):
            raise MisuseError(f"fields: a list of names, not one string; use fields=[{fields!r}]")
        return self._document.watch(callback, fields)

    def conflicts(self) -> list[Conflict]:
        """Every live disagreement: registers and keys whose concurrent values differ, with their authors."""
        found: list[Conflict] = []
        with self._document.lock:
            self._document.usable()
            for (kind, name), field in sorted(self._document.state.fields.items(), key=lambda f: f[0]):
                if type(field) is not Keyed or kind not in (REGISTER, RECORDS) or name[0] == "@":
                    continue
                for key in sorted(field.forked, key=str):
                    rivals = disagreement(self._shown((kind, name), key))
                    if rivals:
                        found.append(Conflict(name, key, tuple(rivals)))
        return found

    # -- the store ---------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """Make a checkpoint now, so that opening need not replay the log. They are also made as the log grows."""
        self._document.usable()
        return self._document.checkpoints.make()

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that are kept, newest first, with their age and size."""
        self._document.usable()
        return self._document.checkpoints.kept()

    def prune(self, *, older_than: timedelta | datetime | None = None, keep: int = 0) -> Pruning:
        """Let go of old changes: what the memory shows stays, how it came about goes.

        Nothing reaches further back after that: neither `at` and `undo`, nor `changes` for a replica that lacks what
        was pruned. So prune what all others have. In an owned namespace only what is settled goes: see `settle`.

        Args:
            older_than: an age, or a moment; only changes stamped before it go.
            keep: how many of the newest changes stay in any case.
        """
        if isinstance(older_than, timedelta):
            older_than = datetime.fromtimestamp(self._document.now(), UTC) - older_than
        return prune(self._document, None if older_than is None else stamp(aware(older_than)) & ~0xFFFF, keep)

    @property
    def owed(self) -> int:
        """How many changes are known by a checkpoint from a peer alone; their history is still on its way.

        What they come to is shown. The audit begins where history does, and `at` reaches no further back.

        >>> from crdtmem import Replica
        >>> Replica("ann").open(tenant="acme").owed
        0
        """
        with self._document.lock:
            return 0 if self._document.owed is None else self._document.owed.count()

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What was found broken in the store, was set aside, and no peer has brought back yet."""
        return self._document.damage()

    # -- finding -----------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        fields: str | Collection[str] | None = None,
        by: str | Collection[str] | None = None,
        role: str | Collection[str] | None = None,
        tags: str | Collection[str] | None = None,
        source: str | Collection[str] | None = None,
        since: datetime | Version | str | None = None,
        until: datetime | Version | str | None = None,
        confidence: float | None = None,
        where: Mapping[str, Any] | None = None,
        embed: Embed | None = None,
    ) -> list[Hit]:
        """The live entries that fit a query best, with their authors; without a query the newest.

        Any word of the query may fit; who holds more and rarer ones comes first. Equal ones come in one order on
        every replica that has seen the same. A memory pinned by `at` searches what stood there.

        Args:
            query: words in any language; no operators. Empty asks for all that the filters admit, newest first.
            limit: at most so many.
            fields: only in these.
            by: only what one of these agents wrote.
            role: only what was written in one of these roles.
            tags: only what has all of these tags.
            source: only what comes from user, agent, tool or import; one or several.
            since: only what was written at a moment or later, or after a version.
            until: only what was written before a moment, or a version had seen.
            confidence: only what its writer was at least so sure of.
            where: only structured values that have these values at these paths: {"customer.country": "FR"}.
            embed: a model, as a function from texts to vectors, also an async one: then meaning ranks beside words.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.set("facts").add("churn rose to 4.7 % in March")
        >>> _ = memory.records("accounts").put("acme", {"owner": "Bob", "risk": {"level": "high"}})
        >>> [(hit.field, hit.value) for hit in memory.search("why did churn rise?")]
        [('facts', 'churn rose to 4.7 % in March')]
        >>> [hit.key for hit in memory.search("", where={"risk.level": "high"})]
        ['acme']
        """
        from crdtmem.search import Filters, search

        filters = Filters(fields, by, role, tags, source, since, until, confidence, where)
        return search(self, query, filters, limit=limit, embed=embed)

    # -- who, when, what, why ----------------------------------------------------------------------

    def audit(
        self,
        *,
        field: str | Collection[str] | None = None,
        by: str | Collection[str] | None = None,
        role: str | Collection[str] | None = None,
        session: bytes | str | None = None,
        since: datetime | Version | str | None = None,
        until: datetime | Version | str | None = None,
        entry: Entry | EntryId | str | None = None,
        text: str | None = None,
        limit: int = 100,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Timeline:
        """Who wrote what, when and why: a page of events, in the order of their writers' clocks.

        Args:
            field: only of this field, or of one of these.
            by: only by this agent, or by one of these.
            role: only in this role, or in one of these.
            session: only by this session.
            since: only what was written after a version, or from a moment on.
            until: only what a version had seen, or what was written until a moment.
            entry: only what happened to this entry, and what it did to others.
            text: only what has this in its value or its reason, whatever the case.
            limit: so many events a page, the first ones.
            after: the `next` of the page before this one.
            last: so many events, the last ones.
            before: the `previous` of the page behind this one.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.register("status").assign("draft")
        >>> _ = memory.register("status").assign("final", why="all tests green")
        >>> [(event.action, event.value, event.by, event.why) for event in memory.audit(text="green")]
        [('added', 'final', 'ann', 'all tests green'), ('superseded', 'draft', 'ann', 'all tests green')]
        """
        with self._document.lock:
            self._document.usable()
            return self._document.audit.timeline(
                field=field,
                by=by,
                role=role,
                session=session,
                since=since,
                until=until,
                entry=entry,
                text=text,
                limit=limit,
                after=after,
                last=last,
                before=before,
            )

    def explain(self, entry: Entry | EntryId | str, *, depth: int = 3) -> Explanation:
        """Where an entry comes from and what became of it: who, when, why, what it rests on and what rests on it.

        Args:
            entry: the entry, or its id.
            depth: so many steps of what it rests on, and of what rests on it.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> source = memory.set("sources").add("churn.csv")
        >>> brief = memory.register("brief").assign("churn is 3.1%", because=[source], why="first look")
        >>> why = memory.explain(brief)
        >>> why.status, [cause.said.value for cause in why.rests_on]
        ('live', ['churn.csv'])
        """
        document = self._document
        with document.lock:
            document.usable()
            return explain(document.audit, document.state, entry, depth=depth, now=document.now())

    # -- acting on the past ------------------------------------------------------------------------

    def retract(self, entry: Entry | EntryId | str, *, why: str) -> Entry:
        """Take an entry back, with a reason; what rests on it, through any number of others, is tainted.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> source = memory.set("sources").add("churn.csv")
        >>> brief = memory.register("brief").assign("churn is 3.1%", because=[source])
        >>> _ = memory.retract(source, why="last year's file")
        >>> list(memory.set("sources")), brief.tainted
        ([], True)
        """
        return history.retract(self, entry, why)

    def affirm(self, entry: Entry | EntryId | str, *, why: str) -> Entry:
        """Say that a tainted entry holds all the same. A later retraction taints it again."""
        return history.affirm(self, entry, why)

    def undo(self, change: Entry | EntryId | str, *, why: str) -> int:
        """Take back what the change did that wrote this entry, as far as nothing was built over it.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.register("status").assign("open")
        >>> memory.undo(memory.register("status").assign("closed"), why="wrong ticket")
        2
        >>> memory.register("status").value
        'open'
        """
        return history.undo(self, change, why)

    def restore(self, version: Version | str | datetime, *, why: str) -> int:
        """Make this memory what it was, as one new change; how many entries came and went. Retractions stand.

        >>> from crdtmem import Replica
        >>> memory = Replica("ann").open(tenant="acme")
        >>> _ = memory.text("draft").append("Churn rose.")
        >>> then = memory.version
        >>> _ = memory.text("draft").replace("rose", "fell")
        >>> _ = memory.restore(then, why="it did rise")
        >>> str(memory.text("draft"))
        'Churn rose.'
        """
        return history.restore(self, self.at(version)._document.state, why)  # type: ignore[arg-type]

    # -- an owned namespace ------------------------------------------------------------------------

    @property
    def rules(self) -> Rules | None:
        """The rules that new writes are made under; None in an open namespace, or before they have come.

        >>> from crdtmem import FieldRule, Replica, Rules
        >>> memory = Replica("boss").own(tenant="acme", rules=Rules(fields={"n": FieldRule("counter", unit="EUR")}))
        >>> memory.rules.fields["n"].unit, memory.rules.notes
        ('EUR', ())
        """
        trust = self._document.state.trust
        return None if trust is None else trust.rules

    def revoke(self, who: str | bytes, *, since: Version | str | datetime | None, why: str) -> Entry:
        """Make void what a key wrote after a version, and whatever it writes from now on: only the owner can.

        Values become what they would have been; what rests on what is void is tainted. The key is no longer in the
        rules, and cannot come back; give the agent a new one.

        Args:
            who: an agent that the rules name, or a key.
            since: the last version, or moment, that still counts; None if nothing of it does.
            why: the reason, for the audit.

        >>> from crdtmem import Replica, Rules
        >>> boss, bot = Replica("boss"), Replica("bot")
        >>> memory = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}))
        >>> _ = memory.register("status").assign("open")
        >>> copy = bot.open(memory.namespace)
        >>> _ = copy.receive(memory.changes())
        >>> _ = copy.register("status").assign("pwned")
        >>> _ = memory.receive(copy.changes())
        >>> _ = memory.revoke("bot", since=None, why="its prompt was injected")
        >>> memory.register("status").value
        'open'
        """
        return owning.cut(self, who, None, since, why)

    def demote(self, who: str | bytes, field: str, *, since: Version | str | datetime | None, why: str) -> Entry:
        """Make void what a key wrote to one field after a version, and will write to it: only the owner can.

        >>> from crdtmem import Replica, Rules
        >>> boss, bot = Replica("boss"), Replica("bot")
        >>> memory = boss.own(tenant="acme", rules=Rules(agents={bot.identity.key: "bot"}))
        >>> copy = bot.open(memory.namespace)
        >>> _ = copy.receive(memory.changes())
        >>> _ = memory.demote("bot", "plan", since=memory.version, why="it keeps rewriting it")
        >>> _ = copy.receive(memory.changes())
        >>> _ = copy.set("ideas").add("still welcome")
        >>> copy.text("plan").append("mine")
        Traceback (most recent call last):
        crdtmem.errors.RulesRefused: text 'plan': its author's right to write it was taken back
        """
        return owning.cut(self, who, field, since, why)

    def settle(self, version: Version | str | None = None, *, why: str | None = None) -> Entry:
        """Say that no later cut reaches below a version, by default this one; `prune` lets go of nothing newer.

        Only the owner can, and from one place: of two who settle apart, neither knows the cuts of the other.

        >>> from crdtmem import Replica, Rules
        >>> memory = Replica("boss").own(tenant="acme", rules=Rules())
        >>> _ = memory.settle(why="all of it was reviewed")
        >>> memory.prune(keep=1).changes
        1
        """
        return owning.settle(self, version, why)

    @property
    def equivocations(self) -> tuple[Equivocation, ...]:
        """The sessions that wrote two histories; from where these part, they are void everywhere.

        It takes a program that cheats, or one process that was copied while it ran and went on twice.

        >>> from crdtmem import Replica
        >>> Replica("ann").open(tenant="acme").equivocations
        ()
        """
        with self._document.lock:
            return self._document.equivocations()

    def diff(self, before: Version | str | datetime, after: Version | str | datetime | None = None) -> list[Difference]:
        """What differs between two versions, field by field; by default between a version and now."""
        new = self._document.state if after is None else self.at(after)._document.state
        with self._document.lock:
            return differences(self.at(before)._document.state, new)

    def _past(self, version: Version | str) -> Mapping[bytes, int]:
        return self._document.past(self._version(version))

    def _version(self, version: Version | str) -> Version:
        found = Version.parse(version) if isinstance(version, str) else version
        if not isinstance(found, Version):
            raise TypeError(f"a Version or its token, not {type(version).__name__}")
        return found.check(self.namespace)

    def __repr__(self) -> str:
        fields = ", ".join(f"{word} {name!r}" for name, word in self.fields().items()) or "empty"
        return f"<Memory {self.namespace!r} of {self.agent!r}: {fields}; {self._document.state.count} changes>"


def checked_actor(agent: object, role: object = None) -> Actor:
    """An author's names, checked."""
    for what, name in (("agent", agent), ("role", role)):
        if not (name is None and what == "role") and not (isinstance(name, str) and is_field(name)):
            raise ValueRefused(f"{what}: a printable str of 1 to 200 characters, not {name!r:.60}")
    return Actor(agent, role)  # type: ignore[arg-type]


def _holds(field: Keyed | Ordered) -> bool:
    return bool(field.by_id if type(field) is Keyed else field.dead < field.size())  # type: ignore[union-attr]


@lru_cache
def _blank(kind: int) -> Keyed | Ordered:
    """What a field shows that nobody has written to."""
    return Ordered(kind, "") if kind in (SEQUENCE, TEXT) else Keyed(kind, "")


_INSTEAD = {
    SET: "set({name!r}).add({value!r}); to assign a value: memory.register({name!r}).assign({value!r})",
    COUNTER: "counter({name!r}).add({value!r})",
    REGISTER: "register({name!r}).assign({value!r})",
    RECORDS: "records({name!r}).put(key, {value!r})",
    SEQUENCE: "sequence({name!r}).append({value!r})",
    TEXT: "text({name!r}).append({value!r})",
}
