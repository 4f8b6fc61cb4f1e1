"""Bugs on purpose. Each is a context manager that breaks the core in one way a programmer might; tests must notice.

They change as little as they can, by wrapping one function, so that they keep meaning the same while the code around
them changes. `test_planted.py` says which of the general checks catches each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

import crdtmem.draft
import crdtmem.fields.field
import crdtmem.fields.keyed
import crdtmem.fields.records
import crdtmem.fields.register
import crdtmem.fields.resolve
import crdtmem.fit
import crdtmem.fork
import crdtmem.forks
import crdtmem.handover
import crdtmem.history
import crdtmem.inbox
import crdtmem.owed
import crdtmem.page
import crdtmem.rebuild
import crdtmem.receiving
import crdtmem.recovery
import crdtmem.taint
import crdtmem.writing
from crdtmem import BadBytes, Entry, Memory, Record, StoreError
from crdtmem.audit import Audit
from crdtmem.change import COUNTER, REGISTER, TEXT, Head, Intro, decode
from crdtmem.clock import Clock
from crdtmem.document import Document
from crdtmem.draft import KeyedDraft, OrderedDraft
from crdtmem.entry import Writer
from crdtmem.facts import Facts
from crdtmem.feed import Feed
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Gone, Moved, Ordered
from crdtmem.identity import client_id, session_id
from crdtmem.inbox import Inbox
from crdtmem.index import Index
from crdtmem.kept import Kept
from crdtmem.owed import Owed
from crdtmem.past import PastState
from crdtmem.recovery import Resumed
from crdtmem.seals import Seals
from crdtmem.snapshot import Snapshot
from crdtmem.state import State
from crdtmem.sync.pause import Pause
from crdtmem.tails import Tails
from crdtmem.taint import Taint
from crdtmem.trust import Trust

Bug = Callable[[], AbstractContextManager[object]]
BUGS: dict[str, Bug] = {}


@contextmanager
def swapped(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put something made from the real thing in its place."""
    real = vars(owner)[name]
    setattr(owner, name, make(real))
    try:
        yield
    finally:
        setattr(owner, name, real)


def bug(*places: tuple[Any, str]) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register a bug: a function from the real thing to the broken one, and where that belongs."""

    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @contextmanager
        def planted() -> Iterator[None]:
            with ExitStack() as stack:
                for owner, name in places:
                    stack.enter_context(swapped(owner, name, make))
                yield

        BUGS[make.__name__] = planted
        return make

    return register


# -- keyed fields ----------------------------------------------------------------------------------


@bug((Keyed, "apply"))
def removal_by_value(real):
    """A removal takes every entry of the key it sees one of, also those its writer had not seen."""

    def apply(self, part, *args):
        more = [e._id for id in part.removes if id in self.by_id for e in self.live(self.by_id[id].key)]
        return real(self, part._replace(removes=(*part.removes, *more)), *args)

    return apply


@bug((KeyedDraft, "part"))
def removal_that_does_not_travel(real):
    """A removal is staged, and left out of the change."""

    def part(self, *args):
        made, places = real(self, *args)
        return made._replace(removes=()), places

    return part


@bug((KeyedDraft, "_drop"))
def add_that_replaces_nothing(real):
    """What a write replaces is not named."""

    def drop(self, entry):
        if entry._id is None:
            real(self, entry)

    return drop


@bug((Keyed, "apply"))
def sibling_dropped(real):
    """Of concurrent assignments the last to arrive wins."""

    def apply(self, *args):
        came, went = real(self, *args)
        if self.kind == REGISTER:
            for entry in self.live(None)[:-1]:
                self.by_key[None] = self._take(entry, self.by_key[None])
        return came, went

    return apply


@bug((crdtmem.writing, "compose_one"))
def single_write_that_replaces_nothing(real):
    """What a write alone replaces is not named."""
    return lambda *args: real(*args[:-1], ())


@bug((Keyed, "put"))
def weight_of_the_replaced_kept(real):
    """What a write alone replaces still counts in the digest."""

    def put(self, *args):
        *_, old = args
        self.sum += 0 if old is None else old._weight
        return real(self, *args)

    return put


@bug((crdtmem.writing, "commit_one"))
def single_write_merges_nothing(real):
    """A write alone takes no note of what others have written."""

    def commit_one(document, *args):
        state, session = document.state, document.session
        heads = state.heads
        if session is None or session.id not in heads:
            return real(document, *args)
        state.heads = {session.id: heads[session.id]}
        try:
            return real(document, *args)
        finally:
            state.heads = {**heads, **state.heads}

    return commit_one


@bug((crdtmem.fields.register, "put_over"), (crdtmem.fields.records, "put_over"))
def seen_ignored(real):
    """An assignment replaces all that is here, whatever version it names."""
    return lambda part, about, key, frozen, past: crdtmem.draft.put(part, about, key, frozen)


@bug((crdtmem.draft, "_record"))
def patch_coverage_ignored(real):
    """A patch does not say what it lies over."""

    def record(entry, *args):
        made = real(entry, *args)
        if len(made) == 4:
            entry.extra = ()
            return (*made[:3], ())
        return made

    return record


@bug((crdtmem.fields.records, "_merge"))
def merge_that_replaces(real):
    """A merge writes over the whole key."""
    return lambda part, about, key, frozen: part.put(key, frozen, about)


@bug(
    (crdtmem.fields.field, "oldest_first"),
    (crdtmem.fields.resolve, "oldest_first"),
    (crdtmem.fields.register, "oldest_first"),
    (crdtmem.fields.records, "oldest_first"),
)
def siblings_in_order_of_arrival(real):
    """The latest is the one that came last."""
    return list


@bug((KeyedDraft, "finish"))
def lost_counter_total(real):
    """A session begins again at nought with each change."""

    def finish(self, session):
        entries = real(self, session)
        before = self.field.live(session.id) if self.field.kind == COUNTER else ()
        for entry in entries if before else ():
            entry._frozen -= before[0]._frozen
        return entries

    return finish


@bug((Keyed, "_supersede"))
def counter_counted_twice(real):
    """The total before stays beside the new one."""

    def supersede(self, entry):
        before = self.total
        gone = real(self, entry)
        self.total = before + entry._frozen
        return gone

    return supersede


@bug((Keyed, "apply"))
def digest_by_order_of_arrival(real):
    """The digest remembers in which order the changes came."""

    def apply(self, *args):
        self.sum *= 3
        return real(self, *args)

    return apply


# -- ordered fields --------------------------------------------------------------------------------


@bug((Ordered, "_observed"))
def byte_offsets(real):
    """Where Yjs counts bytes, they are taken for characters."""

    def observed(self, update):
        at = real(self, update)
        return len(self.units.chars()[:at].encode()) if self.kind == TEXT else at

    return observed


@bug((Ordered, "_husk"))
def deleted_values_forgotten(real):
    """What was deleted from a sequence is in the log alone, as what was deleted from a text is."""
    return lambda self, owner: Gone(owner._id, owner._stamp)


@bug((OrderedDraft, "_wide"))
def cut_inside_a_surrogate_pair(real):
    """What follows an astral character is put into its middle, and nobody minds."""

    return lambda self, place: False


@bug((Ordered, "_right"))
def place_by_order_of_arrival(real):
    """A run stands right after its left neighbour, whoever else has written there."""
    return lambda self, *args, **known: (real(self, *args, **known)[0], True)


@bug((Ordered, "hidden"))
def move_that_duplicates(real):
    """After two concurrent moves the value stands in both places."""
    return lambda self: set()


@bug((Ordered, "hidden"))
def first_place_holds(real):
    """Of two concurrent moves the place that comes first in the list shows."""

    def hidden(self):
        seen, lost = set(), set()
        for at, (_, owner, alive, _) in enumerate(self.units.each()):
            if alive:
                entry = owner.entry if type(owner) is Moved else owner
                (lost if entry._id in seen else set()).add(at)
                seen.add(entry._id)
        return lost

    return hidden


@bug((OrderedDraft, "__init__"))
def block_without_snapshot(real):
    """A block edits the list as it is, and keeps the places it had."""

    def init(self, field, *, snapshot):
        real(self, field, snapshot=False)

    return init


@bug((Ordered, "_right"))
def right_neighbour_forgotten(real):
    """A run is given to Yjs with only what it follows."""
    return lambda self, *args, **known: (None, False)


@bug((Ordered, "_right"))
def right_neighbour_of_the_day(real):
    """A run precedes what happens to stand there when it comes, instead of what its author saw."""

    def right(self, client, left, at, past, **known):
        return real(self, client, left, at, None, **known)

    return right


@bug((Ordered, "_right"))
def right_neighbour_of_last_time(real):
    """Whoever writes on where it had written is taken to have seen nothing in between."""

    def right(self, writer, *args):
        saw, writer.saw = writer.saw, 0
        try:
            return real(self, writer, *args)
        finally:
            writer.saw = saw

    return right


@bug((State, "_floor"))
def an_older_change_that_knew_the_future(real):
    """What a session had seen last is taken for what each of its changes had seen."""
    return lambda self, id, _: real(self, id, 1 << 60)


@bug((State, "_saw_whole"))
def a_merge_that_had_seen_all(real):
    """Whoever has merged something is taken to have seen all that is here."""
    return lambda self, session, seq, _: real(self, session, seq, self._log.newest)


# -- the door --------------------------------------------------------------------------------------


@bug((crdtmem.receiving, "receive"))
def skipped_dedupe(real):
    """What is here already is applied again."""

    def receive(document, records, sender):
        records = list(records)
        state = document.state
        known = []
        for data in records:
            change = crdtmem.inbox.decode(data)
            if change.seq <= (state.sessions[change.session].seq if change.session in state.sessions else 0):
                known.append(change)
        got = real(document, records, sender)
        for change in known:
            state.apply(change)
        return got

    return receive


@bug((crdtmem.inbox.Plan, "take"))
def delivery_before_deps(real):
    """A change enters before what it builds on."""

    def take(self, change):
        key = real(self, replace(change, deps=()))
        if key is None:
            self.changes[-1] = change
        return key

    return take


@bug((crdtmem.inbox, "decode"), (crdtmem.inbox, "verify"))
def unsealed_changes_enter(real):
    """What nobody has sealed is taken as if somebody had."""
    if real.__name__ == "verify":
        return lambda key, seal, digest: seal == bytes(64) or real(key, seal, digest)

    def decode(data):
        change = real(data)
        return change if change.seal else replace(change, seal=bytes(64))

    return decode


@bug((crdtmem.inbox, "verify"))
def seals_not_verified(real):
    """Any 64 bytes are a seal."""
    return lambda key, seal, digest: True


@bug((crdtmem.inbox, "_thinned"))
def inner_seals_lost(real):
    """Of the seals inside a chain none is kept."""
    return lambda path, session, *, apart: real(path, session, apart=len(path))


class _Anything(bytes):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


@bug((crdtmem.inbox.Plan, "chain"))
def chain_not_checked(real):
    """A change may follow another than it says."""

    def chain(self, session):
        known, seq, hash = real(self, session)
        return known, seq, _Anything(hash)

    return chain


@bug((Inbox, "_roused"))
def waiting_change_forgotten(real):
    """What waits is never looked at again."""
    return lambda self, plan: []


@bug((Inbox, "keep"))
def waiting_change_lost_with_the_store(real):
    """What could not be stored does not wait."""
    return lambda self, changes, sender="": None


@bug((State, "apply"))
def heads_never_replaced(real):
    """A version still names what others have built on."""
    return lambda self, change, *args: real(self, replace(change, deps=()), *args)


# -- writing ---------------------------------------------------------------------------------------


@bug((crdtmem.writing, "_introduce"))
def session_reused_after_restart(real):
    """A process that starts again goes by the same session, and counts from one."""

    def introduce(document):
        intro = Intro(document.key, document.actor.agent, document.actor.role, bytes(16))
        id = session_id(document.namespace.digest, intro)
        return Writer(id, client_id(id), *intro[:3]), intro

    return introduce


@bug((crdtmem.writing, "_deps"))
def deps_forgotten(real):
    """A change does not say what it builds on."""
    return lambda document, session: ()


@bug((crdtmem.writing, "_deps"))
def deps_cut_short(real):
    """A change names one head of several."""
    return lambda document, session: tuple(Head(*head) for head in real(document, session)[:1])


@bug((Clock, "saw"))
def clock_going_backwards(real):
    """Foreign stamps are not taken note of."""
    return lambda self, stamp: True


@bug((Memory, "_draft"))
def block_not_atomic(real):
    """Each write in a block is a change of its own."""
    return lambda self: None


@bug((crdtmem.writing, "commit"))
def write_lost_when_the_store_fails(real):
    """A write that was not stored looks as if it had been."""

    def commit(*args, **how):
        with suppress(StoreError):
            real(*args, **how)

    return commit


@bug((crdtmem.writing, "commit"))
def alias_ignored(real):
    """All writes of a process carry one name."""

    def commit(document, drafts, said, actor, **how):
        real(document, drafts, said, document.actor, **how)

    return commit


@bug((Entry, "id"))
def ids_not_wrapped(real):
    """An id is a bare tuple, which cannot be cited as text."""
    return property(lambda self: tuple(real.fget(self)))


# -- restarts and the past -------------------------------------------------------------------------


@bug((Document, "_load"))
def tail_left_unsealed(real):
    """What was written before a crash is never sealed."""

    def load(self):
        with swapped(Document, "seal", lambda _: lambda self: None):
            real(self)
        self.seals._sealed.clear()

    return load


@bug((Seals, "sealed"))
def late_seal_left_out(real):
    """What is read from the log goes out without the seal that is not stored yet."""
    return lambda self, kept: kept


@bug((Seals, "keep"))
def late_seal_never_stored(real):
    """The newest seal stays in memory."""
    return lambda self: None


@bug((Document, "past"))
def past_is_present(real):
    """Every version is today's."""

    def past(self, version):
        real(self, version)
        return {session.id: session.seq for session in self.state.sessions.values()}

    return past


@bug((Document, "send"))
def first_change_not_sent(real):
    """Since a version, one change too few is handed out."""

    def send(self, since):
        return real(self, since)[0 if since is None else 1 :]

    return send


@bug((State, "apply"))
def taint_stops_at_the_superseded(real):
    """What has been replaced passes no taint on."""

    def apply(self, *args):
        effect = real(self, *args)
        for entry in effect.removed:
            self.taint.causes.pop(entry._id, None)
        return effect

    return apply


class _Everything(frozenset):  # type: ignore[type-arg]
    def __rsub__(self, other):
        return set()


@bug((crdtmem.taint, "_named"))
def affirmation_answers_all(real):
    """An affirmation holds against whatever is retracted later."""
    return lambda entry: _Everything()


@bug((Taint, "_settle"))
def circle_that_holds_itself(real):
    """When a retraction is lifted, what fell is looked at again, but not from nothing."""

    def settle(self):
        self._spread(list(self.tainted))

    return settle


@bug((crdtmem.fields.keyed, "undone"))
def undo_counted_twice(real):
    """Whoever takes an increment back takes it off."""
    return lambda entries: sum(entry._frozen for entry in entries)


@bug((PastState, "since"))
def pinned_memory_that_drifts(real):
    """What comes after the past was asked for is taken for part of it."""
    return lambda self, at: self._since.get(at, [])


@bug((Audit, "removers"))
def past_forgets_the_removals_of_others(real):
    """What one removes after two had comes back."""
    return lambda self, id: {}


@bug((crdtmem.history, "_rekey"))
def restore_resurrects_the_retracted(real):
    """What was taken back for being wrong is there again."""
    return lambda now, then, part, said, fallen, undone: real(now, then, part, said, set(), undone)


@bug((crdtmem.history, "_again"))
def restore_cites_nothing(real):
    """What is written again stands on its own."""
    return lambda entry, said: said


@bug((crdtmem.fork, "zip_longest"))
def fork_takes_one_of_several(real):
    """Of siblings only the oldest is copied."""
    return lambda *keys: [[entries[0] for entries in keys]]


@bug((Snapshot, "__init__"))
def checkpoint_forgets_who_had_seen_what(real):
    """Who writes on where he left off is taken to have seen nothing in between."""

    def init(self, state):
        real(self, state)
        self._sessions = [(*session[:6], 0) for session in self._sessions]

    return init


@bug((Snapshot, "__init__"))
def checkpoint_forgets_what_is_empty(real):
    """A field that holds nothing has no past."""

    def init(self, state):
        real(self, state)
        self._keyed = [field for field in self._keyed if field[2]]

    return init


@bug((crdtmem.recovery, "resume"))
def checkpoint_without_its_tail(real):
    """What came after the checkpoint is not applied."""

    def resume(state, log, place, clock):
        return Resumed([], {}) if place else real(state, log, place, clock)

    return resume


@bug((crdtmem.recovery, "fits"), (crdtmem.recovery, "Plan"))
def damage_not_noticed(real):
    """What rests on a damaged change is applied as if it were there."""
    return (lambda state, change: True) if real.__name__ == "fits" else lambda state: SimpleNamespace(take=_nothing)


def _nothing(change):
    return None


@bug((crdtmem.recovery, "set_aside"))
def set_aside_and_forgotten(real):
    """What rests on a damaged change is taken out of the log and kept nowhere."""

    def set_aside(state, log, *args):
        found = real(state, log, *args)
        for name in log.names():
            if name.startswith("astray/"):
                log.drop(name)
        return found

    return set_aside


@bug((crdtmem.recovery, "mend"))
def hole_filled_by_anybody(real):
    """Whatever claims the place of a damaged change is put there."""

    def mend(state, log, records):
        for data in records:
            with suppress(BadBytes, StoreError):
                change = decode(data)
                log.mend(Record(change.session, change.seq, change.hash, change.core, b""))

    return mend


# -- trust -----------------------------------------------------------------------------------------


@bug((Ordered, "bury"))
def cut_ignored_for_deletes(real):
    """What a void part inserts does not show, but what it deletes stays deleted."""

    def bury(self, part, number, stamp, past):
        real(self, part, number, stamp, past)
        self._delete(part.deletes)

    return bury


@bug((Trust, "rights"))
def judged_by_the_current_rules(real):
    """Whatever rules a change names, those are applied that are here now."""
    return lambda self, named, *author: real(self, self.current if named in self.book else named, *author)


@bug((crdtmem.forks, "put"))
def proof_of_a_fork_not_kept(real):
    """It is known as long as the process lives."""
    return lambda log, fork: None


@bug((Taint, "voiding"))
def taint_not_raised_by_a_cut(real):
    """What rests on something void is as good as ever."""
    return lambda self, id: real(self, id) if id[0] in self.forks else ()


@bug((crdtmem.rebuild, "rebuild"))
def cut_that_does_not_reach_back(real):
    """What was applied before the cut came stays."""

    def rebuild(state, *rest):
        state.stale = False

    return rebuild


@bug((Keyed, "recount"))
def void_increment_taken_back_twice(real):
    """An increment that was undone and then voided is subtracted all the same."""
    return lambda self, void: None


@bug((Trust, "_mark"))
def cut_below_what_is_settled(real):
    """A cut reaches as far as it says."""
    return lambda self, cut, session: cut.marks.get(session, 0)


@bug((Tails, "without"))
def void_units_followed(real):
    """Who followed a unit of a forked session follows it still."""
    return lambda self, change, own, field: change.parts


@bug((Tails, "look"))
def sights_forgotten(real):
    """What an author had seen is told by what it names as its past alone, though that may be void."""
    return lambda self, change, fields, marks: None


@bug((Snapshot, "__init__"))
def checkpoint_forgets_the_cuts(real):
    """Opening from a checkpoint, nobody was ever cut off."""

    def init(self, state, **how):
        real(self, state, **how)
        if self._trust is not None:
            self._trust = (*self._trust[:4], [], [])

    return init


# -- reading ---------------------------------------------------------------------------------------


@bug((Index, "follow"))
def index_made_once(real):
    """What was written after the first search is not found."""
    return lambda self, state, log: None if self._sessions is state.sessions else real(self, state, log)


@bug((Index, "_drop"))
def index_that_forgets_nothing(real):
    """What is gone is found for ever."""
    return lambda self, at, row: None


@bug((Index, "rank"))
def hits_in_order_of_arrival(real):
    """Of equal hits the one that came last comes first."""
    return lambda self, row: (row, (), "", row)


@bug((Kept, "_forget"))
def kept_over_a_cut(real):
    """What was worked out before a cut is served after it."""
    return lambda self, sessions: None


@bug((PastState, "taint"))
def taint_of_today_in_the_past(real):
    """A pinned memory marks what fell later."""
    return property(lambda self: self.now.taint)


@bug((crdtmem.fit, "_trimmed"))
def budget_by_estimate(real):
    """What fits by its parts is never counted as a whole."""
    return lambda choice, pieces, fitting, render: (
        len(pieces),
        render(crdtmem.fit._page(choice, pieces, crdtmem.fit._clip(fitting))),
    )


@bug((crdtmem.page, "hidden"))
def invisible_characters_shown(real):
    """What cannot be seen reaches the prompt."""
    return lambda text: text


@bug((Facts, "_holds"))
def any_unit_will_do(real):
    """A number is known whatever its unit."""
    return lambda self, number, scale, sign: real(self, number, scale, "")


# -- checkpoints from peers ------------------------------------------------------------------------


@bug((State, "recall"))
def past_of_an_offline_edit_guessed(real):
    """What a newcomer had seen when it wrote is taken to be all that the checkpoint shows."""

    def recall(self, change, older):
        self.recalled[change.hash] = {id: session.seq for id, session in self.sessions.items()}

    return recall


@bug((crdtmem.handover, "_shelf"))
def own_history_let_go(real):
    """Who was away takes it that what it had will come again."""

    def shelf(given, held, log):
        return real(given, [], log)

    return shelf


@bug((crdtmem.handover, "_helps"))
def history_given_up_for_less(real):
    """Who has everything takes the checkpoint of whoever pruned anything at all."""
    return lambda document, given: bool(given.husks)


@bug((Pause, "failed"))
def tried_again_at_the_same_pace(real):
    """What can never succeed is tried for ever, as often as at first."""
    return lambda self: self.again()


@bug((Owed, "take"))
def history_from_anybody(real):
    """Records in front of the log need not be what those behind them name."""

    def take(self, records):
        found = []
        due = dict(self._due)
        for data in records:
            change = decode(data)
            if change.seq == due.get(change.session, (0, b""))[0]:
                due[change.session] = (change.seq - 1, change.prev)
                found.append(Record(change.session, change.seq, change.hash, change.core, b""))
        self._log.fill(found)
        self._due = due
        return len(found)

    return take


@bug((Feed, "has"))
def lends_before_what_it_rests_on(real):
    """Who lacks some of the history lends what it has of it."""
    return lambda self, id: True


@bug((crdtmem.owed, "_settle"))
def checkpoint_believed_for_ever(real):
    """Once its history is here, what the checkpoint showed still counts."""

    def settle(document, fresh, *, base_lasts):
        document.owed.forget()
        document.owed = None
        document.state.resumed_over(document.log)
        return True

    return settle


@bug((Owed, "forget"))
def owed_for_ever(real):
    """The shelf still says that history is to come when all is here."""
    return lambda self: None
