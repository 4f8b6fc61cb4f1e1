"""Short names of entries: each finds its entry again, or says that it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import EntryId, NoMatch
from crdtmem.change import PART_SHIFT
from crdtmem.entry import is_id
from crdtmem.mark import mark, marked

SESSIONS = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=6, unique=True)


@given(SESSIONS, st.integers(1, 2**53 - 1), st.integers(0, 2**32 - 1), st.data())
def test_a_mark_and_an_id_find_their_entry(sessions: list[bytes], seq: int, n: int, data: st.DataObject) -> None:
    id = EntryId(data.draw(st.sampled_from(sessions)), seq, n)
    assert marked(str(id), sessions) == id
    alike = [session for session in sessions if session[:4] == id.session[:4]]
    if len(alike) == 1:
        assert marked(mark(id), sessions) == id
    else:
        with pytest.raises(NoMatch, match="sessions begin so"):
            marked(mark(id), sessions)
    assert marked(f"{id.session.hex()}.{seq}.{n >> PART_SHIFT}.{n & ((1 << PART_SHIFT) - 1)}", sessions) == id


def test_two_sessions_that_begin_alike_are_never_taken_for_each_other() -> None:
    mine, forged = b"abcd" + bytes(12), b"abcd" + b"\1" * 12
    with pytest.raises(NoMatch, match="2 sessions begin so; give more digits"):
        marked(mark(EntryId(mine, 1, 0)), [mine, forged])
    assert marked(f"{mine.hex()}.1", [mine, forged]).session == mine


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-f]{0,40}\.[0-9]{0,20}(\.[0-9]{0,9}\.[0-9]{0,9})?", fullmatch=True))
def test_whatever_is_typed_names_an_entry_or_none(text: str) -> None:
    try:
        assert is_id(tuple(marked(text, [bytes(16)])))
    except NoMatch as error:
        assert "names no entry" in str(error)


def test_numbers_that_no_change_has_are_refused() -> None:
    for text in ("00000000.0", "00000000.9999999999999999", "00000000.1.5000.0", "00000000.1.0.9999999"):
        with pytest.raises(NoMatch, match="no change has such a number"):
            marked(text, [bytes(16)])
