"""The door, rule by rule: what may enter, what waits, what is refused and why, and that a refusal changes nothing."""

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from msgpack import packb, unpackb

from crdtmem import BadBytes, Memory, Namespace, Received, Replica, UpgradeNeeded
from crdtmem import inbox as door
from crdtmem.change import decode
from tests.crew import SCOPE, Time, alone, crew
from tests.hostile import COUNTER, RECORDS, SEQUENCE, SET, TEXT, Evil, container

NOBODY = bytes(16)


@pytest.fixture
def evil() -> Evil:
    return Evil(random.Random(1), SCOPE.digest)


def says(evil: Evil, value: object = "x", **odd: object) -> bytes:
    """A change that adds one member to a set."""
    return evil.write(evil.part(SET, "s", [[value]], []), **odd)


def waits_for(evil: Evil, *deps: list[object], **odd: object) -> bytes:
    """A change that names one that nobody has."""
    return says(evil, deps=list(deps) or [[NOBODY, 1, bytes(32)]], **odd)


def unsealed(record: bytes) -> bytes:
    return bytes(packb([*unpackb(record)[:2], b""]))


def with_seal_of(record: bytes, other: bytes) -> bytes:
    return bytes(packb([*unpackb(record)[:2], unpackb(other)[2]]))


def refuses(memory: Memory, records: list[bytes], reason: str) -> Received:
    """They are refused for that reason, and nothing else happens."""
    before = memory.version, memory.digest(), len(memory.refusals)
    got = memory.receive(records)
    assert (memory.version, memory.digest()) == before[:2]
    assert got.applied == 0
    assert any(reason in refusal.reason for refusal in got.refused), got
    assert memory.refusals[before[2] :] == got.refused
    return got


def honest(n: int, agent: str = "ann") -> tuple[Memory, list[bytes]]:
    """A memory with so many changes, and their records; the last one is sealed."""
    memory = alone(agent)
    for value in range(n):
        memory.set("s").add(value)
    return memory, memory.changes()


# -- bytes -------------------------------------------------------------------------------------------


def test_every_truncation_is_refused() -> None:
    (record,) = honest(1)[1]
    memory = alone("bob")
    memory.set("s").add("mine")
    for end in range(len(record)):
        refuses(memory, [record[:end]], "")
    assert memory.receive([record]).applied == 1


def test_every_flipped_bit_is_refused_or_waits_for_a_seal() -> None:
    (record,) = honest(1)[1]
    memory = alone("bob")
    for at in range(len(record)):
        got = memory.receive([record[:at] + bytes([record[at] ^ 1 << at % 8]) + record[at + 1 :]])
        assert got.applied == 0 and (got.refused or got.waiting)
    assert memory.version.heads == ()
    assert memory.receive([record]).applied == 1


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"trash", packb([]), packb([b"", [], b""]), packb({}), "text", None, 7])
def test_what_is_no_record_is_refused(junk: bytes) -> None:
    refuses(alone(), [junk], "")


def test_an_oversized_record_is_refused_unread() -> None:
    refuses(alone(), [bytes((1 << 20) + 1)], "more than a change may have")


def test_what_is_refused_is_remembered_in_few_words(evil: Evil) -> None:
    record = evil.write(evil.part(SET, "s", [["x", [None, None, "y" * 500_000]]], []))
    got = refuses(alone(), [record], "confidence")
    assert len(got.refused[0].reason) <= 200


def test_the_wrapping_of_a_record_is_canonical() -> None:
    """Neither hash nor seal covers it: another wrapping of the same change would be kept and then never be read."""
    (record,) = honest(1)[1]
    header, items, seal = unpackb(record)
    memory = alone("bob")
    refuses(memory, [b"\x93" + packb(header) + packb(items) + b"\xc5\x00\x40" + seal], "canonical")
    refuses(memory, [b"\xdc\x00\x03" + record[1:]], "canonical")
    refuses(memory, [b"\x93\xc5" + len(header).to_bytes(2, "big") + header + packb(items) + packb(seal)], "canonical")
    refuses(memory, [record + b"\xc0"], "")
    assert memory.receive([record]).applied == 1
    assert alone("cy").receive(memory.changes()).applied == 1


# -- order and number --------------------------------------------------------------------------------


def test_changes_may_come_in_any_order_and_any_number_of_times() -> None:
    ann, records = honest(200)
    shuffled = random.Random(1).sample(records, 200)
    for order in (records[::-1], shuffled, records * 2, [record for record in shuffled for _ in (1, 2)]):
        one_by_one, at_once = crew("bob", "cy")
        for record in order:
            assert not one_by_one.receive([record]).refused
        assert at_once.receive(order).applied == 200
        assert one_by_one.version == at_once.version == ann.version
        assert one_by_one.digest() == at_once.digest() == ann.digest()
        assert at_once.receive(order) == Received(0, 0, ())


def test_more_changes_than_may_wait_can_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_WAITING", 100)
    ann, records = honest(1000)
    bob = alone("bob")
    assert bob.receive(records).applied == 1000
    assert bob.digest() == ann.digest()


def test_an_unsealed_tail_is_held_back_until_a_later_seal_comes(evil: Evil) -> None:
    memory = alone()
    tail = [says(evil, n, sealed=False) for n in range(3)]
    for count, record in enumerate(tail, 1):
        assert memory.receive([record]) == Received(0, count, ())
    assert memory.receive([says(evil, "last")]) == Received(4, 0, ())
    assert set(memory.set("s")) == {0, 1, 2, "last"}


def test_a_change_may_follow_one_that_is_planned_with_it(evil: Evil) -> None:
    """The first waits for a dep; dep and second come together, the dep first in the order of sessions."""
    for seed in range(20):
        memory, other = alone(), Evil(random.Random(seed), SCOPE.digest)
        dep = says(other)
        late = Evil(random.Random(-seed - 1), SCOPE.digest)
        first = waits_for(late, [other.session, 1, other.hash])
        second = says(late, "y")
        assert memory.receive([first]).waiting == 1
        assert memory.receive([second, dep]) == Received(3, 0, ())


# -- forgeries ---------------------------------------------------------------------------------------


def test_a_seal_must_verify(evil: Evil) -> None:
    memory, other = alone(), Evil(random.Random(2), SCOPE.digest)
    record = says(evil)
    refuses(memory, [with_seal_of(record, says(other))], "its seal does not verify")
    refuses(memory, [with_seal_of(record, says(evil))], "its seal does not verify")
    assert memory.receive([record]) == Received(1, 0, ())


def test_a_wrong_seal_harms_nobody_but_its_bearer(evil: Evil) -> None:
    """Before, after, or together with the right one, and while its chain is still broken."""
    other = says(Evil(random.Random(2), SCOPE.digest))
    first, second = says(evil), says(evil, "y")
    for batches in (
        [[first], [with_seal_of(second, other)], [second]],
        [[first], [with_seal_of(second, other), second]],
        [[first], [second, with_seal_of(second, other)]],
        [[with_seal_of(second, other)], [second], [first]],
        [[second], [with_seal_of(second, other)], [first], [second]],
    ):
        memory = alone()
        for batch in batches:
            memory.receive(batch)
        assert memory.version.heads[0].seq == 2


def test_seals_that_were_not_verified_are_not_handed_on(evil: Evil) -> None:
    memory, other = alone(), Evil(random.Random(2), SCOPE.digest)
    forged = with_seal_of(says(evil), says(other))
    assert memory.receive([forged, says(evil, "y")]).applied == 2
    assert [unpackb(record)[2] != b"" for record in memory.changes()] == [False, True]
    assert alone("bob").receive(memory.changes()) == Received(2, 0, ())


def test_a_session_is_the_hash_of_what_it_introduces(evil: Evil) -> None:
    other = Evil(random.Random(2), SCOPE.digest)
    refuses(alone(), [says(evil, intro=other.intro, advance=False)], "session id is not")
    refuses(alone(), [says(evil, session=other.session)], "session id is not")


def test_a_change_belongs_to_one_namespace() -> None:
    elsewhere = Replica("ann").open(Namespace(tenant="acme", task="another"))
    elsewhere.set("s").add(1)
    refuses(alone(), elsewhere.changes(), "another namespace")
    header, items, seal = unpackb(elsewhere.changes()[0])
    moved = unpackb(header)
    moved[1] = SCOPE.digest
    refuses(alone(), [packb([packb(moved), items, seal])], "session id is not")


def test_a_change_must_continue_its_chain(evil: Evil) -> None:
    memory = alone()
    memory.receive([says(evil)])
    refuses(memory, [says(evil, advance=False, prev=bytes(32))], "does not continue its session's chain")


def test_a_chain_is_not_spliced_from_two_sessions(evil: Evil) -> None:
    memory, other = alone(), Evil(random.Random(2), SCOPE.digest)
    memory.receive([says(evil)])
    start = says(other)
    assert memory.receive([start]).applied == 1
    got = memory.receive([says(evil, prev=other.prev, seq=3, advance=False)])
    assert got.applied == 0
    assert set(memory.set("s")) == {"x"}


def test_nobody_builds_under_a_name_that_is_not_his(evil: Evil) -> None:
    """A waiting change that is sound must not lend its key to a change of another session that follows it."""
    ann, records = honest(1)
    memory = alone("bob")
    memory.receive(records)
    memory.receive([waits_for(evil)])
    session = ann.version.heads[0].session
    memory.receive([says(evil, "I am ann", session=session, seq=3, advance=False)])
    ann.set("s").add("I am")
    ann.set("s").add("really")
    assert memory.receive(ann.changes()).applied == 2
    assert "I am ann" not in memory.set("s")
    assert memory.digest() == ann.digest()


@pytest.mark.parametrize("waiting", [False, True])
def test_of_two_sealed_changes_with_one_seq_neither_counts(evil: Evil, *, waiting: bool) -> None:
    """Also when the other one waits, sound, for something that comes later, alone or in the same batch."""
    dep = Evil(random.Random(2), SCOPE.digest)
    missing = says(dep, "dep")
    memory = alone()
    memory.receive([says(evil)])
    fork = says(evil, "fork", advance=False, **({"deps": [[dep.session, 1, dep.hash]]} if waiting else {}))
    memory.receive([fork] if waiting else [])
    assert memory.receive([says(evil, "taken")]).applied == 1
    assert memory.receive([missing]).applied == 1
    if not waiting:
        refuses(memory, [unsealed(fork)], "another change at this seq")  # altered bytes prove nothing
    memory.receive([fork])
    assert set(memory.set("s")) == {"x", "dep"}
    assert [(e.by, e.seq) for e in memory.equivocations] == [("mallory", 2)]
    assert memory.receive([fork]).refused == ()  # it is part of the proof that is kept
    refuses(memory, [says(evil, "more")], "two histories")


def test_a_fork_that_comes_with_what_it_waited_for(evil: Evil) -> None:
    dep = Evil(random.Random(2), SCOPE.digest)
    missing = says(dep, "dep")
    memory = alone()
    memory.receive([says(evil)])
    memory.receive([says(evil, "fork", advance=False, deps=[[dep.session, 1, dep.hash]])])
    got = memory.receive([says(evil, "taken"), missing])
    assert memory.version.heads and got.waiting == 0
    assert set(memory.set("s")) == {"x", "dep"}


def test_what_follows_either_branch_of_a_fork_does_not_enter(evil: Evil) -> None:
    dep = Evil(random.Random(2), SCOPE.digest)
    missing = says(dep, "dep")
    memory = alone()
    memory.receive([says(evil)])
    start = evil.seq, evil.prev
    branch = [says(evil, "fork", deps=[[dep.session, 1, dep.hash]]), says(evil, "after it")]
    memory.receive(branch)
    evil.seq, evil.prev = start
    memory.receive([says(evil, "taken")])
    memory.receive([missing])
    assert set(memory.set("s")) == {"x", "dep"}
    memory.receive([says(evil, "goes on")])
    assert set(memory.set("s")) == {"x", "dep"}


# -- waiting -----------------------------------------------------------------------------------------


def _remove(evil: Evil, id: list[object]) -> bytes:
    return evil.write(evil.part(SET, "s", [], [id]))


def _move(evil: Evil, id: list[object]) -> bytes:
    return evil.write(evil.part(SEQUENCE, "s", [], [], [[None, id]]))


def _patch(evil: Evil, id: list[object]) -> bytes:
    return evil.write(evil.part(RECORDS, "s", [[container({"a": 1}), None, "k", [id]]], []))


def _dep(evil: Evil, id: list[object]) -> bytes:
    return says(evil, deps=[[id[0], id[1], SAID.hash]])


SAID = Evil(random.Random(3), SCOPE.digest)
NAMED = says(SAID)


@pytest.mark.parametrize("names", [_remove, _move, _patch, _dep])
def test_a_change_waits_for_what_it_names(evil: Evil, names: Callable[[Evil, list[object]], bytes]) -> None:
    record = names(evil, [SAID.session, 1, 0])
    after = says(evil, "after")
    for batches in (
        [[record], [after], [NAMED]],
        [[after], [record], [NAMED]],
        [[after, record, NAMED]],
        [[NAMED, after], [record]],
    ):
        memory = alone()
        for batch in batches:
            got = memory.receive(batch)
            if not memory.version.heads:
                assert (SAID.session, 1) in got.missing or (evil.session, 1) in got.missing
        assert got.waiting == 0 and got.missing == ()
        assert sum(head.seq for head in memory.version.heads) >= 2


def test_a_change_waits_for_the_units_it_names_and_a_run_for_what_its_author_had_seen(evil: Evil) -> None:
    ann = alone()
    ann.text("t").append("ab")
    client = ann._document.state.sessions[ann.version.heads[0].session].client
    inside = evil.write(evil.part(TEXT, "t", [[[client, 0], "-"]], [], []), deps=[list(ann.version.heads[0])])
    gone = evil.write(evil.part(TEXT, "t", [], [[client, 0, 2]], []))
    stray = Evil(random.Random(2), SCOPE.digest)
    unseen = stray.write(stray.part(TEXT, "t", [[[client, 0], "?"]], [], []))
    memory = alone("bob")
    assert memory.receive([gone, inside, unseen]).waiting == 3
    got = memory.receive(ann.changes())
    assert (got.applied, got.waiting) == (4, 0)
    assert [refusal.session for refusal in got.refused] == [stray.session]
    assert str(memory.text("t")) == "-"


def test_missing_names_what_to_ask_for(evil: Evil) -> None:
    memory = alone()
    first, second, third = says(evil), says(evil, sealed=False), says(evil)
    assert memory.receive([third]).missing == ((evil.session, 2),)
    assert memory.receive([second]).missing == ((evil.session, 1),)
    assert memory.receive([first]) == Received(3, 0, ())
    assert memory.receive([waits_for(evil)]).missing == ((NOBODY, 1),)


def test_the_room_is_bounded_by_count_for_each_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_WAITING", 10)
    memory, rng = alone(), random.Random(5)
    mine = waits_for(Evil(rng, SCOPE.digest))
    memory.receive([mine], sender="friend")
    authors = [Evil(rng, SCOPE.digest) for _ in range(15)]
    for n, author in enumerate(authors, 1):
        got = memory.receive([waits_for(author)], sender="flood")
        assert got.waiting == min(n, 10) + 1
        assert bool(got.refused) == (n > 10)
    assert got.refused[0][1:] == (authors[4].session, 1)
    assert "ask for it again" in got.refused[0].reason
    inbox = memory._document.inbox
    assert sum(map(len, inbox._awaited.values())) == len(inbox) == 11


def test_the_room_is_bounded_by_bytes_for_each_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_WAITING_BYTES", 10_000)
    memory, rng = alone(), random.Random(5)
    for _ in range(20):
        got = memory.receive([waits_for(Evil(rng, SCOPE.digest), value="x" * 3000)], sender="flood")
    assert got.waiting == 3
    small = Evil(rng, SCOPE.digest)
    members = small.part(SET, "s", [[n] for n in range(1000)], [])
    assert memory.receive([small.write(members, deps=[[NOBODY, 1, bytes(32)]])], sender="small").refused


def test_what_was_evicted_may_come_again(monkeypatch: pytest.MonkeyPatch, evil: Evil) -> None:
    """Also when it was the sound beginning of a chain whose rest was waiting, and comes back without a seal."""
    monkeypatch.setattr(door, "MAX_WAITING", 4)
    memory, rng = alone(), random.Random(5)
    dep = Evil(rng, SCOPE.digest)
    missing = says(dep)
    chain = [says(evil, 0, deps=[[dep.session, 1, dep.hash]], sealed=False), says(evil, 1, sealed=False), says(evil, 2)]
    assert memory.receive(chain).waiting == 3
    got = memory.receive([waits_for(Evil(rng, SCOPE.digest)) for _ in range(2)])
    assert {refusal.session for refusal in got.refused} == {evil.session}
    assert memory.receive([missing]).applied == 1
    assert memory.receive(chain).applied == 3


def test_sending_it_again_and_again_fills_nothing(evil: Evil) -> None:
    memory = alone()
    records = [waits_for(evil), says(evil)]
    late = says(Evil(random.Random(9), SCOPE.digest), sealed=False)
    for _ in range(100):
        memory.receive([*records[::-1], late])
    inbox = memory._document.inbox
    assert len(inbox) == 3 and sum(map(len, inbox._awaited.values())) <= 3


# -- newer formats -----------------------------------------------------------------------------------


def test_an_authentic_change_of_a_newer_format_keeps_us_from_writing_but_not_from_reading(evil: Evil) -> None:
    memory = alone()
    memory.set("s").add("here")
    newer = evil.write(b"whatever a later version says", format=2)
    got = memory.receive([newer, says(evil, "after it")])
    assert (got.applied, got.waiting, got.refused) == (0, 2, ())
    assert list(memory.set("s")) == ["here"]
    with pytest.raises(UpgradeNeeded, match="format 2"):
        memory.set("s").add("more")
    assert memory.receive([says(SAID, "others go on", seq=1, prev=b"", intro=SAID.intro, advance=False)]).applied == 1


def test_a_newer_format_inside_a_sealed_chain_counts_too(evil: Evil) -> None:
    memory = alone()
    memory.receive([evil.write(b"later", format=2, sealed=False), says(evil)])
    with pytest.raises(UpgradeNeeded):
        memory.set("s").add("more")


def test_a_newer_format_that_nobody_sealed_changes_nothing(evil: Evil) -> None:
    memory, other = alone(), Evil(random.Random(2), SCOPE.digest)
    newer = evil.write(b"later", format=2)
    memory.receive([unsealed(newer)])
    refuses(memory, [with_seal_of(newer, says(other))], "its seal does not verify")
    memory.set("s").add("more")


# -- time --------------------------------------------------------------------------------------------


def test_a_stamp_from_the_far_future_is_applied_and_does_not_drag_our_clock(evil: Evil) -> None:
    memory = alone(time=Time(1_700_000_000.0))
    assert memory.receive([says(evil, hlc=2**63 - 1)]).applied == 1
    assert memory.set("s").add("mine").at.year == 2023
    assert {entry.value: entry.at.year for entry in memory.set("s").entries()} == {"x": 6429, "mine": 2023}


# -- verdicts ----------------------------------------------------------------------------------------


def test_whether_a_change_enters_does_not_depend_on_what_was_void(evil: Evil) -> None:
    """A void part spends its clocks, or who names them would enter in one batch and wait for ever in another."""
    void = evil.write(evil.part(TEXT, "t", [[[evil.client, 9], "void, and long enough"]], [], []))
    names = evil.write(evil.part(TEXT, "t", [[[evil.client, 3], "after it"]], [], []), evil.part(SET, "s", [["x"]], []))
    good = evil.write(evil.part(TEXT, "t", [[None, "good"]], [], []))
    together, apart = crew("bob", "cy")
    got = together.receive([void, names, good])
    assert got.applied == 3 and [refusal.reason[:4] for refusal in got.refused] == ["void", "void"]
    for record in (good, names, void):
        apart.receive([record])
    assert apart.version == together.version and apart.digest() == together.digest()
    assert str(apart.text("t")) == "good" and list(apart.set("s")) == ["x"]


def test_two_parts_for_one_field_are_refused(evil: Evil) -> None:
    parts = [evil.part(TEXT, "t", [[None, "x"]], [], []) for _ in range(2)]
    refuses(alone(), [evil.write(*parts)], "two parts for one field")


def test_two_adds_for_one_key_are_refused_except_in_counters(evil: Evil) -> None:
    memory = alone()
    for part in (
        evil.part(SET, "s", [[1], [2], [1]], []),
        evil.part(3, "s", [[1], [2]], []),
        evil.part(RECORDS, "s", [[1, None, "k"], [2, None, "k"]], []),
    ):
        refuses(memory, [evil.write(part, advance=False)], "two adds for one key")
    assert memory.receive([evil.write(evil.part(COUNTER, "n", [[1], [3]], []))]).applied == 1
    assert memory.counter("n").value == 3


def test_a_false_end_of_a_chain_does_not_hold_up_the_true_one() -> None:
    """What a chain broke off at when last looked may be here by now, though its false end was all that heard of it."""
    ann, bob = alone("ann"), alone("bob")
    records = []
    for n in range(4):
        known = ann.version
        ann.set("s").add(n)
        records += ann.changes(known)
    first, second, third, fourth = records
    bare = unsealed(second)
    true = decode(third)
    for at in range(len(third) * 8):
        false = bytearray(third)
        false[at // 8] ^= 1 << at % 8
        with suppress(BadBytes):
            change = decode(bytes(false))
            same = (change.namespace, change.session, change.seq, change.prev) == (
                true.namespace,
                true.session,
                3,
                true.prev,
            )
            if same and change.hash != true.hash:
                break
    else:
        raise AssertionError("no false change")
    bob.receive([bare], sender="cid")
    bob.receive([bytes(false)], sender="cid")
    bob.receive([fourth], sender="cid")
    assert len(bob.receive([first], sender="dan").refused) == 1
    bob.receive([third], sender="eve")
    assert bob.digest() == ann.digest()
