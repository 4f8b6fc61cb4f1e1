"""Taint: the least set that contains what rests on the retracted, whatever the order in which the news comes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import BadBytes, EntryId, Memory, MisuseError, Replica, ValueRefused
from crdtmem.change import COUNTER, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Keyed, Ordered, decode
from crdtmem.taint import AFFIRMED, RETRACTED, Taint
from crdtmem.values import freeze, thaw
from tests.crew import alone, crew, exchange, tell
from tests.forger import Forger

Id = tuple[bytes, int, int]


# -- the oracle ------------------------------------------------------------------------------------


def least(rests: dict[Id, Any], retracted: dict[Id, set[Id]], affirmed: dict[Id, list[set[Id]]]) -> dict[Id, Any]:
    """Round after round until nothing changes: the retractions that each entry falls with."""
    tainted: dict[Id, set[Id]] = {}
    while True:
        found = {}
        for id, causes in rests.items():
            by = set().union(*(retracted.get(cause, set()) | tainted.get(cause, set()) for cause in causes))
            by -= set().union(*affirmed.get(id, ()))
            if by:
                found[id] = frozenset(by)
        if found == tainted:
            return tainted
        tainted = found  # type: ignore[assignment]


def parsed(text: str) -> Id | None:
    try:
        return tuple(EntryId.parse(text))
    except BadBytes:
        return None


def due(records: list[bytes]) -> dict[Id, Any]:
    """What these changes taint, read off their bytes."""
    rests: dict[Id, Any] = {}
    spoken: dict[Id, tuple[str, str, Any]] = {}
    gone: set[Id] = set()
    for change in map(decode, records):
        for number, part in enumerate(change.parts):
            n = number << 20
            rows: list[tuple[Any, Any]] = []
            if isinstance(part, Keyed):
                gone |= set(part.removes)
                rows = [(add[0], add[1] if len(add) > 1 and add[1] else part.about) for add in part.adds]
            else:
                for run in part.runs:
                    rows += [(None, run[2] if len(run) > 2 else part.about)] * (len(run[1]) if part.kind != TEXT else 1)
            for place, (value, about) in enumerate(rows):
                id = (change.session, change.seq, n + place)
                rests[id] = about[1] if about and len(about) > 1 and about[1] else ()
                if part.kind == RECORDS and part.field in (RETRACTED, AFFIRMED):
                    spoken[id] = (part.field, part.adds[place][2], value)
    retracted: dict[Id, set[Id]] = {}
    affirmed: dict[Id, list[set[Id]]] = {}
    for id, (field, key, value) in spoken.items():
        target = parsed(key)
        if id in gone or target is None:
            continue
        if field == RETRACTED:
            retracted.setdefault(target, set()).add(id)
        else:
            named = thaw(value) if type(thaw(value)) is list else []
            affirmed.setdefault(target, []).append({parsed(text) for text in named})  # type: ignore[misc]
    return least(rests, retracted, affirmed)


def agrees(memory: Memory) -> None:
    """What a memory holds for tainted is what its changes make so."""
    state = memory._document.state
    assert state.taint.tainted == due(memory.changes())
    for field in memory.fields():
        kind = memory.fields()[field]
        for entry in getattr(memory, kind)(field).entries():
            assert entry.tainted == (tuple(entry.id) in state.taint.tainted)


# -- any order -------------------------------------------------------------------------------------

DEEDS = ["write", "write", "write", "text", "move", "retract", "retract", "lift", "affirm", "unsay", "tell", "tell"]
steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(DEEDS), st.integers(0, 99), st.integers(0, 99)), max_size=25
)


@given(steps)
def test_it_is_the_least_fixpoint_on_every_replica_at_every_moment(moves: list[tuple[int, str, int, int]]) -> None:
    memories = crew("ann", "bob", "cyd")
    known: list[list[Any]] = [[], [], []]  # entries that each has heard of
    notes: list[list[Any]] = [[], [], []]  # retractions and affirmations
    for who, what, n, to in moves:
        memory, mine = memories[who], known[who]
        causes = [mine[(n + i) % len(mine)] for i in range(to % 3)] if mine else []
        if what == "write":  # the register supersedes, the set keeps
            field: Any = memory.register("r") if n % 2 else memory.set("s")
            mine.append(field.assign(n, because=causes) if n % 2 else field.add(n, because=causes))
        elif what == "text":
            mine.append(memory.text("t").append("ab", because=causes))
            mine += memory.sequence("q").extend([n, to], because=causes)
        elif what == "move" and len(memory.sequence("q")) > 1:
            memory.sequence("q").move(n % len(memory.sequence("q")), 0)
        elif what == "retract" and mine:
            notes[who].append(memory.retract(mine[n % len(mine)], why="wrong"))
        elif what == "affirm" and mine and mine[n % len(mine)].tainted:
            notes[who].append(memory.affirm(mine[n % len(mine)], why="checked"))
        elif what in ("lift", "unsay") and notes[who]:
            memory.undo(notes[who][n % len(notes[who])], why="not so")
        elif what == "tell":
            to = (who + 1 + n % 2) % 3
            tell(memory, memories[to])
            known[to] += [entry for entry in mine if entry not in known[to]]
            notes[to] += [note for note in notes[who] if note not in notes[to]]
        agrees(memories[to] if what == "tell" else memory)
    exchange(*memories)
    for memory in memories:
        agrees(memory)
    assert len({str(sorted(memory._document.state.taint.tainted)) for memory in memories}) == 1


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=6, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(10, 13)), max_size=4),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_news_does_not_matter_even_where_entries_rest_in_circles(
    causes: list[list[int]], retractions: list[tuple[int, int]], order: Any
) -> None:
    taint = Taint()
    news: list[Any] = [("rest", id, tuple(on)) for id, on in enumerate(causes)]
    news += [("retract", *retraction) for retraction in retractions]
    order.shuffle(news)
    told: set[Any] = set()
    for what, *given_ in news:
        told |= getattr(taint, what)(*given_)
    retracted: dict[Any, set[Any]] = {}
    for target, retraction in retractions:
        retracted.setdefault(target, set()).add(retraction)
    assert taint.tainted == least(dict(enumerate(map(tuple, causes))), retracted, {})  # type: ignore[arg-type, comparison-overlap]
    assert told == set(taint.tainted)


def test_in_every_order_of_delivery_a_chain_a_retraction_and_its_answer_end_the_same() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    source = ann.set("s").add("source")
    exchange(ann, bob, cyd)
    figure = bob.set("s").add("figure", because=[source])
    ann.retract(source, why="wrong")
    tell(bob, cyd)
    brief = cyd.set("s").add("brief", because=[figure])
    second = ann.set("s").add("second", because=[source])
    exchange(ann, bob, cyd)
    bob.affirm(figure, why="true all the same")
    ann.retract(figure, why="no")
    exchange(ann, bob, cyd)
    records = ann.changes()
    expected = due(records)
    assert set(expected) == {tuple(brief.id), tuple(second.id)}
    by_session: dict[bytes, list[bytes]] = {}
    for record in records:
        by_session.setdefault(decode(record).session, []).append(record)
    for order in permutations(by_session.values()):
        reader = alone("reader")
        for some in order:
            for record in some:
                reader.receive([record])
        assert reader._document.state.taint.tainted == expected


# -- what falls ------------------------------------------------------------------------------------


def test_it_passes_through_what_has_been_superseded_since() -> None:
    ann = alone()
    source = ann.set("s").add("x")
    draft = ann.register("r").assign("draft", because=[source])
    brief = ann.text("t").append("brief", because=[draft])
    ann.register("r").assign("final")
    ann.retract(source, why="wrong")
    assert draft.tainted and brief.tainted
    assert [entry.tainted for entry in ann.text("t").entries()] == [True]
    assert not ann.register("r").entries()[0].tainted


def test_what_comes_later_and_rests_on_the_retracted_falls_at_once() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    tell(ann, bob)
    ann.retract(source, why="wrong")
    late = bob.register("r").assign(1, because=[source])
    assert not late.tainted
    exchange(ann, bob)
    assert late.tainted
    assert bob.register("r").assign(2, because=[late]).tainted


def test_the_retracted_itself_is_gone_and_not_tainted() -> None:
    ann = alone()
    source = ann.set("s").add("x")
    note = ann.retract(source, why="wrong")
    assert (list(ann.set("s")), source.tainted, note.tainted) == ([], False, False)
    assert (note.why, note.by) == ("wrong", "ann")


def test_entries_that_rest_on_each_other_fall_together_and_rise_together() -> None:
    """Only forged ids can name what comes later."""
    for first in (True, False):
        ann, mallory = alone(), Forger()
        source = ann.set("s").add("source")
        circle = [(mallory.session, 1, 0), (mallory.session, 2, 0)]
        records = [
            mallory.write(Keyed(SET, "c", None, (("one", (None, (circle[1], tuple(source.id)))),), ()), seen=ann),
            mallory.write(Keyed(SET, "c", None, (("two", (None, (circle[0],))),), ())),
        ]
        note: Any = None
        if first:
            note = ann.retract(source, why="wrong")
        ann.receive(records)
        note = note or ann.retract(source, why="wrong")
        assert [entry.tainted for entry in ann.set("c").entries()] == [True, True]
        ann.undo(note, why="it was right")
        assert [entry.tainted for entry in ann.set("c").entries()] == [False, False]
        agrees(ann)


def test_an_entry_may_rest_on_itself_and_on_what_nobody_wrote() -> None:
    ann, mallory = alone(), Forger()
    itself, nobody = (mallory.session, 1, 0), (bytes(16), 9, 9)
    ann.receive([mallory.write(Keyed(SET, "s", None, (("x", (None, (itself, nobody))),), ()))])
    [entry] = ann.set("s").entries()
    assert not entry.tainted
    ann.retract(entry, why="it says so itself")
    agrees(ann)


# -- affirmations ----------------------------------------------------------------------------------


def test_an_affirmation_answers_what_it_saw_and_nothing_later() -> None:
    ann, bob = crew("ann", "bob")
    sources = [ann.set("s").add(n) for n in range(3)]
    figure = ann.register("f").assign(1, because=sources)
    brief = ann.register("b").assign(2, because=[figure])
    exchange(ann, bob)
    ann.retract(sources[0], why="wrong")
    bob.retract(sources[1], why="concurrently")
    ann.affirm(figure, why="from elsewhere as well")
    assert not figure.tainted and not brief.tainted
    exchange(ann, bob)
    assert figure.tainted and brief.tainted
    bob.affirm(figure, why="again")
    exchange(ann, bob)
    assert not figure.tainted and not brief.tainted
    ann.retract(sources[2], why="wrong too")
    assert figure.tainted and brief.tainted


def test_a_second_retraction_of_the_same_taints_what_was_affirmed() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    brief = ann.register("b").assign(1, because=[source])
    exchange(ann, bob)
    ann.retract(source, why="wrong")
    bob.retract(source, why="wrong, says bob")
    ann.affirm(brief, why="holds")
    assert not brief.tainted
    exchange(ann, bob)
    assert brief.tainted


def test_an_affirmation_further_up_does_not_lift_what_falls_by_another_way() -> None:
    ann = alone()
    source = ann.set("s").add("x")
    left, right = (ann.set("m").add(side, because=[source]) for side in ("left", "right"))
    brief = ann.register("b").assign(1, because=[left, right])
    ann.retract(source, why="wrong")
    ann.affirm(left, why="holds")
    assert (left.tainted, right.tainted, brief.tainted) == (False, True, True)
    ann.affirm(right, why="holds")
    assert not brief.tainted


def test_there_is_nothing_to_affirm_where_nothing_is_tainted() -> None:
    ann = alone()
    entry = ann.set("s").add("x")
    with pytest.raises(MisuseError, match="this entry is not tainted; there is nothing to affirm"):
        ann.affirm(entry, why="sure")
    assert len(ann.changes()) == 1


def test_an_affirmation_that_is_undone_answers_no_more_and_one_before_it_does_again() -> None:
    ann = alone()
    sources = [ann.set("s").add(n) for n in range(2)]
    brief = ann.register("b").assign(1, because=sources)
    ann.retract(sources[0], why="wrong")
    first = ann.affirm(brief, why="holds")
    ann.retract(sources[1], why="wrong")
    second = ann.affirm(brief, why="holds all the same")
    assert not brief.tainted
    ann.undo(second, why="too rash")
    assert brief.tainted
    [by] = ann._document.state.taint.tainted.values()
    assert len(by) == 1  # the first answer stands again
    ann.undo(first, why="that was undone with it, and made again")
    agrees(ann)


# -- retracting, kind by kind ----------------------------------------------------------------------


def test_retracting_twice_and_on_two_sides_at_once_is_one_retraction_more_and_no_harm() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    brief = ann.register("b").assign(1, because=[source])
    exchange(ann, bob)
    notes = [ann.retract(source, why="wrong"), ann.retract(source, why="wrong again"), bob.retract(source, why="wrong")]
    exchange(ann, bob)
    assert (list(bob.set("s")), brief.tainted) == ([], True)
    for note in notes:
        assert brief.tainted
        bob.undo(note, why="no")
    exchange(ann, bob)
    assert not brief.tainted


def test_an_entry_that_has_been_superseded_can_be_retracted() -> None:
    ann = alone()
    old = ann.register("r").assign("old")
    brief = ann.register("b").assign(1, because=[old])
    ann.register("r").assign("new")
    ann.retract(old, why="wrong")
    assert (ann.register("r").value, brief.tainted) == ("new", True)


def test_an_increment_is_taken_off_once_however_many_retract_or_undo_it() -> None:
    ann, bob, cyd = crew("ann", "bob", "cyd")
    ann.counter("n").add(100)
    wrong = ann.counter("n").add(7)
    ann.counter("n").add(1000)
    brief = ann.register("b").assign(1, because=[wrong])
    exchange(ann, bob, cyd)
    ann.retract(wrong, why="wrong")
    bob.undo(wrong, why="wrong")
    cyd.retract(wrong, why="wrong")
    assert {memory.counter("n").value for memory in (ann, bob, cyd)} == {1100}
    exchange(ann, bob, cyd)
    assert (ann.counter("n").value, brief.tainted) == (1100, True)
    assert ann.retract(wrong, why="again") and ann.undo(wrong, why="again") == 0
    assert ann.counter("n").value == 1100


def test_a_text_is_retracted_as_far_as_it_still_shows_and_a_moved_value_wherever_it_stands() -> None:
    ann = alone()
    wrong = ann.text("t").append("wrong\U0001f600 text")
    ann.text("t").insert(2, "[mine]")
    ann.text("t").delete(0, 1)
    one = ann.sequence("q").append("one")
    ann.sequence("q").extend(["two", "three"])
    ann.sequence("q").move(0, 2)
    with ann.change(why="both"):
        ann.retract(wrong, why="wrong")
        ann.retract(one, why="wrong")
    assert (str(ann.text("t")), list(ann.sequence("q"))) == ("[mine]", ["two", "three"])
    assert len(ann.changes()) == 7


def test_in_an_open_block_it_is_one_change_with_the_other_writes_and_keeps_its_own_reason() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    n = ann.counter("n").add(5)
    with ann.change(why="clean up", tags=["review"]):
        ann.set("s").add("y")
        note = ann.retract(source, why="wrong feed")
        again = ann.retract(source, why="said twice")
        ann.retract(n, why="never happened")
        ann.counter("n").add(1)
        ann.counter("n").add(1)
        assert (list(ann.set("s")), ann.counter("n").value) == (["y"], 2)
    assert len(ann.changes()) == 3
    assert note is again
    assert (note.why, note.tags) == ("wrong feed", ("review",))
    exchange(ann, bob)
    assert (list(bob.set("s")), bob.counter("n").value) == (["y"], 2)
    assert bob._document.state.taint.retracted.keys() == {tuple(source.id), tuple(n.id)}


def test_an_entry_that_the_block_itself_has_replaced_is_still_retracted() -> None:
    ann, bob = crew("ann", "bob")
    old = ann.register("r").assign("old")
    with ann.change():
        ann.register("r").assign("new")
        ann.retract(old, why="wrong")
    exchange(ann, bob)
    assert bob.register("r").value == "new"


def test_what_is_staged_has_no_id_to_be_retracted_by() -> None:
    ann = alone()
    with ann.change():
        staged = ann.set("s").add("x")
        for act in (ann.retract, ann.affirm, ann.undo):
            with pytest.raises(MisuseError, match=r"an entry of an open change\(\) has no id yet; read it after"):
                act(staged, why="wrong")
    assert list(ann.set("s")) == ["x"]
    assert len(ann.changes()) == 1


def test_an_entry_is_named_by_itself_its_id_or_the_text_of_its_id() -> None:
    for name in (lambda entry: entry, lambda entry: entry.id, lambda entry: str(entry.id)):
        ann = alone()
        source = ann.set("s").add("x")
        ann.retract(name(source), why="wrong")
        assert list(ann.set("s")) == []


@pytest.mark.parametrize("act", ["retract", "affirm", "undo"])
def test_what_is_not_of_this_memory_is_refused(act: str) -> None:
    ann, other = alone(), Replica("ann").open(tenant="other")
    mine, foreign = ann.set("s").add("x"), other.set("s").add("x")
    session, seq, _ = mine.id
    for unknown in (foreign, foreign.id, str(foreign.id), EntryId(session, seq + 1, 0)):
        with pytest.raises(ValueRefused, match=r"no entry .* was written to Namespace.*, as far as this"):
            getattr(ann, act)(unknown, why="wrong")
    with pytest.raises(BadBytes, match="'nonsense' is not an entry id"):
        getattr(ann, act)("nonsense", why="wrong")
    for wrong in (7, None, mine.id[0], tuple(mine.id)):
        with pytest.raises(TypeError, match="an Entry or its id, not"):
            getattr(ann, act)(wrong, why="wrong")
    assert len(ann.changes()) == 1


def test_a_place_in_a_change_where_nothing_was_written_is_refused() -> None:
    ann = alone()
    entry = ann.sequence("q").extend([1, 2])[0]
    ann.sequence("q").move(0, 1)
    session = entry.id.session
    for n in (2, 1 << 20):
        with pytest.raises(ValueRefused, match="was written to"):
            ann.retract(EntryId(session, 1, n), why="wrong")
    with pytest.raises(ValueRefused, match="was written to"):  # a move writes none
        ann.retract(EntryId(session, 2, 0), why="wrong")


# -- forged ----------------------------------------------------------------------------------------

NONSENSE = ["", "x", "nonsense", "é" * 5, "=" * 7, "A" * 1024, "\x00", str(EntryId(bytes(16), 1, 0))]
VALUES: list[Any] = [None, True, 7, "text", b"bytes", 0.5]


@pytest.mark.parametrize("field", [RETRACTED, AFFIRMED])
def test_forged_notes_with_nonsense_in_them_do_nothing_and_harm_nobody(field: str) -> None:
    ann, mallory = alone(), Forger()
    source = ann.set("s").add("x")
    brief = ann.register("b").assign(1, because=[source])
    digest = ann.at(ann.version).digest()
    start = ann.version
    for value in VALUES:
        part = Keyed(RECORDS, field, None, tuple((value, None, key) for key in NONSENSE), ())
        assert ann.receive([mallory.write(part)]).applied == 1
    assert not brief.tainted
    assert (ann.fields(), ann.conflicts()) == ({"b": "register", "s": "set"}, [])
    note = ann.retract(source, why="wrong")
    assert brief.tainted
    agrees(ann)
    ann.undo(note, why="right")
    assert not brief.tainted
    for seq in range(1, len(VALUES) + 1):
        ann.undo(EntryId(mallory.session, seq, 0), why="nonsense")
    assert ann.at(start).digest() == digest
    assert ann.diff(start) == [] or [d.field for d in ann.diff(start)] == ["s"]


@pytest.mark.parametrize("field", [RETRACTED, AFFIRMED, "@other"])
@pytest.mark.parametrize("kind", [SET, COUNTER, REGISTER, SEQUENCE, TEXT])
def test_a_forged_field_of_a_reserved_name_and_another_kind_speaks_of_nothing(kind: int, field: str) -> None:
    ann, mallory = alone(), Forger()
    source = ann.set("s").add("x")
    brief = ann.register("b").assign(1, because=[source])
    name = str(source.id)
    body: Any = {
        SET: Keyed(SET, field, None, ((name,), (None,), (5,)), ()),
        COUNTER: Keyed(COUNTER, field, None, ((5,), (1, None, tuple(source.id))), ()),
        REGISTER: Keyed(REGISTER, field, None, ((name,),), ()),
        SEQUENCE: Ordered(SEQUENCE, field, None, ((None, (name, None)),), (), ()),
        TEXT: Ordered(TEXT, field, None, ((None, name),), (), ()),
    }[kind]
    start, digest = ann.version, ann.digest()
    assert ann.receive([mallory.write(body)]).applied == 1
    assert not brief.tainted
    assert ann.fields() == {"b": "register", "s": "set"}
    assert ann.at(start).digest() == digest
    ann.undo(EntryId(mallory.session, 1, 0), why="nonsense")
    ann.restore(start, why="nonsense")
    agrees(ann)
    assert Replica("x").fork(ann, tenant="copy").fields() == ann.fields()


def test_a_forged_affirmation_may_answer_what_it_never_saw() -> None:
    """Who has a key may say so; all replicas take it the same way, whichever comes first."""
    ann, mallory = alone(), Forger()
    source = ann.set("s").add("x")
    brief = ann.register("b").assign(1, because=[source])
    before = ann.changes()
    note = ann.retract(source, why="wrong")
    named = freeze([str(note.id), 7, "x"])
    answer = mallory.write(Keyed(RECORDS, AFFIRMED, None, ((named, None, str(brief.id)),), ()))
    late = alone("late")
    late.receive([*before, answer])
    tell(ann, late)
    ann.receive([answer])
    assert [m._document.state.taint.tainted for m in (ann, late)] == [{}, {}]


@pytest.mark.parametrize("kind", ["set", "counter", "register", "records", "sequence", "text"])
@pytest.mark.parametrize("name", [RETRACTED, AFFIRMED, "@", "@mine"])
def test_names_that_begin_with_an_at_sign_are_refused_to_users(kind: str, name: str) -> None:
    ann = alone()
    ann.retract(ann.set("s").add("x"), why="wrong")
    with pytest.raises(ValueRefused, match="the first of them not @"):
        getattr(ann, kind)(name)


def test_two_who_retract_the_same_are_no_conflict() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("x")
    ann.register("b").assign(1, because=[source])
    exchange(ann, bob)
    for memory in (ann, bob):
        memory.retract(source, why="wrong")
    exchange(ann, bob)
    for memory in (ann, bob):
        memory.affirm(memory.register("b").entries()[0], why="holds")
    exchange(ann, bob)
    assert (ann.conflicts(), ann.fields()) == ([], {"b": "register"})


def test_what_stays_tainted_is_so_all_the_while() -> None:
    """Readers take no lock: a retraction that is lifted must not lift the others for a moment."""

    class Watched(dict):  # type: ignore[type-arg]
        lost: list[Any] = []  # noqa: RUF012

        def clear(self) -> None:
            self.lost += self
            super().clear()

        def __delitem__(self, key: Any) -> None:
            self.lost.append(key)
            super().__delitem__(key)

    ann = alone()
    sources = [ann.set("s").add(n) for n in range(2)]
    kept = ann.register("kept").assign(1, because=sources)
    freed = ann.register("freed").assign(1, because=[sources[1]])
    for session in ann._document.state.sessions.values():
        ann._document.state.taint.tainted = session.tainted = Watched()
    ann.retract(sources[0], why="wrong")
    note = ann.retract(sources[1], why="wrong")
    ann.undo(note, why="right")
    assert (kept.tainted, freed.tainted) == (True, False)
    assert Watched.lost == [tuple(freed.id)]
