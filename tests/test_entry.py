"""Entries: what a write says about itself, what is refused, and what a reader of an entry sees."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem.entry import (
    ABOUT,
    MAX_BECAUSE,
    MAX_TAG,
    MAX_TAGS,
    MAX_WHY,
    SOURCES,
    About,
    Entry,
    EntryId,
    Stamp,
    Writer,
    about,
    about_flaw,
    is_id,
    over,
    settled,
    trimmed,
    with_because,
)
from crdtmem.errors import BadBytes, MisuseError, ValueRefused
from crdtmem.values import freeze

ids = st.builds(EntryId, st.binary(min_size=16, max_size=16), st.integers(1, 2**53 - 1), st.integers(0, 2**32 - 1))
HERE = EntryId(bytes(16), 1, 0)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


WHEN = round(NOON.timestamp() * 1000)


def entry(value: Any = "x", said: About | None = None, actor: tuple[str, str | None] | None = None) -> Entry:
    writer = Writer(bytes(16), 7, bytes(32), "ann", "writer")
    return Entry(tuple(HERE), "notes", None, freeze(value), said, Stamp(writer, 1, WHEN << 16, actor))


# -- ids -------------------------------------------------------------------------------------------


@given(ids)
def test_an_id_survives_its_text(id: EntryId) -> None:
    assert EntryId.parse(str(id)) == id


@given(st.text(max_size=40) | ids.map(lambda id: str(id)[:-1]))
def test_any_text_gives_an_id_or_one_error(text: str) -> None:
    try:
        found = EntryId.parse(text)
    except BadBytes as error:
        assert str(error) == f"{text[:40]!r} is not an entry id"
    else:
        assert is_id(tuple(found))


@pytest.mark.parametrize("id", [(bytes(15), 1, 0), (bytes(16), 0, 0), (bytes(16), 1, 2**32), (bytes(16), 2**53, 0)])
def test_an_id_out_of_bounds_is_none(id: tuple[bytes, int, int]) -> None:
    with pytest.raises(BadBytes, match="is not an entry id"):
        EntryId.parse(str(EntryId(*id)))


# -- the keywords of a write -----------------------------------------------------------------------


def test_a_write_that_says_nothing_costs_nothing() -> None:
    assert about({}) is None
    assert about({"why": None, "tags": [], "because": (), "valid": (None, None), "valid": None}) is None  # noqa: F601


def test_keywords_are_taken_in_the_forms_people_use() -> None:
    said = about(
        {
            "why": "spike in March",
            "because": [HERE],
            "confidence": 1,
            "tags": ["churn", "q3", "churn"],
            "source": "tool",
            "ttl": timedelta(minutes=2),
            "valid": (None, datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
        }
    )
    assert said == ("spike in March", (HERE,), 1.0, ("churn", "q3"), "tool", 120.0, (None, WHEN))


def test_a_reason_alone_is_taken_whatever_it_is_written_in() -> None:
    for why in ("", "why", "é\U0001f600", "x" * MAX_WHY):
        assert about({"why": why}) == about({"why": why, "tags": []}) == (why,)


def test_one_cause_needs_no_list() -> None:
    one = entry()
    for cause in (one, HERE):
        said = about({"because": cause})
        assert said == (None, (cause,))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"why": 5}, "why: a str, not int"),
        ({"why": "x" * (MAX_WHY + 1)}, f"why: at most {MAX_WHY} characters"),
        ({"why": "\ud800"}, "why: value: lone surrogate"),
        ({"because": ["an id"]}, "because: entries or their ids, not str"),
        ({"because": [EntryId(b"short", 1, 0)]}, "because: entries or their ids, not (b'short', 1, 0)"),
        ({"because": [HERE] * (MAX_BECAUSE + 1)}, f"because: {MAX_BECAUSE + 1} entries, more than {MAX_BECAUSE}"),
        ({"confidence": 1.5}, "confidence: a number from 0 to 1, not 1.5"),
        ({"confidence": float("nan")}, "confidence: a number from 0 to 1, not nan"),
        ({"confidence": "high"}, "confidence: a number from 0 to 1, not 'high'"),
        ({"tags": "churn"}, "tags: a list of strings, not one string; use tags=['churn']"),
        ({"tags": [5]}, f"tags: each a str of 1 to {MAX_TAG} characters, not 5"),
        ({"tags": [""]}, f"tags: each a str of 1 to {MAX_TAG} characters, not ''"),
        ({"tags": ["t" * (MAX_TAG + 1)]}, f"tags: each a str of 1 to {MAX_TAG} characters"),
        ({"tags": ["\ud800"]}, f"tags: each a str of 1 to {MAX_TAG} characters, not '\\ud800'"),
        ({"tags": map(str, range(MAX_TAGS + 1))}, f"tags: 1 to {MAX_TAGS} of them"),
        ({"source": "rumour"}, "source: one of user, agent, tool, import, not 'rumour'"),
        ({"ttl": 0}, "ttl: seconds above 0, not 0.0"),
        ({"ttl": -1}, "ttl: seconds above 0, not -1.0"),
        ({"ttl": float("inf")}, "ttl: seconds above 0, not inf"),
        ({"ttl": "3 days"}, "ttl: seconds above 0, not '3 days'"),
        ({"valid": (NOON, NOON)}, "valid: the start must come before the end"),
        ({"valid": (NOON, None, None)}, "valid: a pair (from, until) of aware datetimes or None"),
        ({"valid": (datetime(2026, 3, 1), None)}, "valid: a pair (from, until) of aware datetimes or None"),
        ({"valid": (date(2026, 3, 1), None)}, "valid: a pair (from, until) of aware datetimes or None"),
        ({"valid": NOON}, "valid: a pair (from, until) of aware datetimes or None"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_a_keyword_out_of_bounds_says_what_it_takes(given_: Any, message: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        about(given_)
    assert message in str(refused.value)


def test_an_unknown_keyword_names_the_known_ones() -> None:
    with pytest.raises(TypeError, match="unknown keyword 'reason'; a write takes why, because, confidence, tags"):
        about({"reason": "x"})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    ("said", "flaw"),
    [
        (None, "attributes: a list of at most 7, trailing absences cut"),
        (["why"], "attributes: a list"),
        ((None,), "attributes: a list"),
        (("why", None), "attributes: a list"),
        ((*(None,) * 7, 1), "attributes: a list"),
        ((5,), "why: a str, not int"),
        ((None, ()), f"because: 1 to {MAX_BECAUSE} entry ids"),
        ((None, [tuple(HERE)]), "because: 1 to"),
        ((None, ((bytes(16), 0, 0),)), "because: 1 to"),
        ((None, (tuple(HERE),) * (MAX_BECAUSE + 1)), "because: 1 to"),
        ((None, None, 1), "confidence: a number from 0 to 1, not 1"),
        ((None, None, None, ()), f"tags: 1 to {MAX_TAGS} of them"),
        ((None, None, None, ["a"]), "tags: 1 to"),
        ((None, None, None, (5,)), "tags: each a str"),
        ((None, None, None, None, "rumour"), "source: one of user, agent, tool, import, not 'rumour'"),
        ((None, None, None, None, None, 1), "ttl: seconds above 0, not 1"),
        ((*(None,) * 6, (None, None)), "valid: a pair (from, until) of aware datetimes or None"),
        ((*(None,) * 6, (1,)), "valid: a pair"),
        ((*(None,) * 6, [1, 2]), "valid: a pair"),
        ((*(None,) * 6, (1.0, None)), "valid: a pair"),
        ((*(None,) * 6, (2**53, None)), "valid: a pair"),
        ((*(None,) * 6, (2, 1)), "valid: the start must come before the end"),
    ],
    ids=range(22),
)
def test_attributes_from_foreign_bytes_keep_the_same_rules(said: object, flaw: str) -> None:
    assert str(about_flaw(said)).startswith(flaw)


def test_attributes_within_bounds_have_no_flaw() -> None:
    said = ("x" * MAX_WHY, (tuple(HERE),), 0.0, ("t" * MAX_TAG,) * MAX_TAGS, SOURCES[0], 0.001, (-1, 1))
    assert len(said) == len(ABOUT)
    assert about_flaw(said) is None
    assert about_flaw(()) is None


sayings = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.lists(ids.map(tuple), min_size=1, max_size=3).map(tuple),
    st.none() | st.floats(0, 1),
    st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple),
    st.none() | st.sampled_from(SOURCES),
    st.none() | st.floats(0.1, 1e9),
    st.none() | st.tuples(st.none() | st.integers(-9, 0), st.integers(1, 9)),
).map(trimmed)


@given(sayings)
def test_what_a_write_may_say_others_accept(said: tuple[Any, ...]) -> None:
    one = entry("x", said or None)
    given_: Any = {
        "why": one.why,
        "because": one.because,
        "confidence": one.confidence,
        "tags": one.tags,
        "source": one._said(ABOUT.index("source")),
        "ttl": one.ttl,
        "valid": one.valid,
    }
    found = about(given_)
    assert settled(found) == (said or None)
    assert about_flaw(said) is None


@given(st.none() | sayings, st.none() | sayings)
def test_a_write_speaks_over_its_block_word_by_word(block: Any, own: Any) -> None:
    said = over(block or None, own or None) or ()
    for place in range(len(ABOUT)):
        pair = [wire[place] if wire is not None and place < len(wire) else None for wire in (own, block, said)]
        assert pair[2] == (pair[0] if pair[0] is not None else pair[1])
    assert said == trimmed(said)


def test_causes_are_settled_into_plain_ids() -> None:
    one = entry()
    assert settled(None) is None
    assert settled(("why",)) == ("why",)
    assert settled(("why", None, 0.5)) == ("why", None, 0.5)
    assert settled(("why", (one, HERE), 0.5)) == ("why", (tuple(HERE), tuple(HERE)), 0.5)
    assert with_because((), (HERE,)) == (None, (HERE,))


# -- reading ---------------------------------------------------------------------------------------


def test_an_entry_tells_who_when_and_why() -> None:
    cause = EntryId(bytes(16), 1, 9)
    yesterday = NOON - timedelta(days=1)
    start = round(yesterday.timestamp() * 1000)
    one = entry({"a": 1}, ("own", (tuple(cause),), 0.5, ("t",), "user", 60.0, (start, None)))
    assert (one.id, one.field, one.value, one.by, one.role, one.at) == (HERE, "notes", {"a": 1}, "ann", "writer", NOON)
    assert (one.why, one.because, one.confidence, one.tags) == ("own", (cause,), 0.5, ("t",))
    assert (one.source, one.ttl, one.valid) == ("user", 60.0, (yesterday, None))
    assert entry("x", (*(None,) * 6, (None, start))).valid == (None, yesterday)


def test_an_entry_is_by_whoever_its_session_acted_as() -> None:
    one = entry(actor=("bob", None))
    assert (one.by, one.role) == ("bob", None)


def test_what_nobody_said_reads_as_nothing() -> None:
    one = entry()
    assert (one.why, one.because, one.confidence, one.tags) == (None, (), None, ())
    assert (one.source, one.ttl, one.valid) == ("agent", None, (None, None))


def test_an_entry_that_is_not_committed_has_its_reasons_but_no_name() -> None:
    staged = Entry(None, "notes", None, "x", ("because", (entry(),)), None)
    assert (staged.value, staged.why, staged.because) == ("x", "because", (HERE,))
    assert staged.confidence is None
    with pytest.raises(MisuseError, match="has no id yet; read it after the block"):
        _ = staged.id
    with pytest.raises(MisuseError, match="has no author or time yet; read them after the block"):
        _ = staged.by
    assert repr(staged) == "<Entry notes: 'x' (not committed yet)>"


def test_entries_are_the_same_when_their_ids_are() -> None:
    staged = Entry(None, "notes", None, "x", None, None)
    assert entry() == entry("another value")
    assert not entry() != entry("another value")  # noqa: SIM202
    assert len({entry(), entry()}) == 1
    assert staged == staged
    assert staged != Entry(None, "notes", None, "x", None, None)
    assert entry() != staged
    assert entry() != "x"
    with pytest.raises(MisuseError):
        hash(staged)


def test_a_value_is_a_fresh_copy_each_time() -> None:
    one = entry(["a"])
    one.value.append("b")
    assert one.value == ["a"]


def test_an_entry_shows_who_said_what_and_when() -> None:
    assert repr(entry()) == "<Entry notes: 'x' by ann at 2026-03-01 12:00:00>"


def test_an_entry_is_tainted_as_long_as_its_memory_says_so() -> None:
    writer = Writer(bytes(16), 1, b"", "ann", None)
    entry = Entry((bytes(16), 1, 0), "f", None, 1, None, Stamp(writer, 1, 0, None))
    assert not entry.tainted
    writer.tainted = {(bytes(16), 1, 0)}
    assert entry.tainted
    assert not Entry(None, "f", None, 1, None, None).tainted  # of an open block


def test_a_name_is_a_claim_unless_the_rules_bind_it() -> None:
    writer = Writer(bytes(16), 1, bytes(32), "ann", None)
    assert not Entry((bytes(16), 1, 0), "f", None, 1, None, Stamp(writer, 1, 0, None)).verified
    assert Entry((bytes(16), 1, 0), "f", None, 1, None, Stamp(writer, 1, 0, None, verified=True)).verified
