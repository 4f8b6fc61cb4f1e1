"""The bytes written for Yjs are those Yjs itself emits for the same edits, and it shows what they say."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Text

from crdtmem.change import utf16
from crdtmem.yupdate import Unit, gap, insertion
from tests.drawn import HARD

clients = st.sampled_from([1, 127, 128, 2**32, 2**53 - 1])
runs = st.lists(st.sampled_from(HARD), min_size=1, max_size=4).map("".join)


def emitted(doc: Doc[Any], edit: Any) -> bytes:
    """The update that pycrdt emits for one edit."""
    updates: list[bytes] = []
    watch = doc.observe(lambda event: updates.append(event.update))
    edit()
    doc.unobserve(watch)
    [update] = updates
    return update


@given(clients, st.lists(st.tuples(st.integers(0, 9), runs), min_size=1, max_size=5))
def test_insertions_into_a_text_are_the_bytes_yjs_emits(client: int, edits: list[tuple[int, str]]) -> None:
    doc: Doc[Any] = Doc(client_id=client)
    text = doc.get("", type=Text)
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    units: list[Unit] = []  # by code point: its last UTF-16 unit
    firsts: list[Unit] = []
    clock = 0
    for place, content in edits:
        at = min(place, len(units))
        byte = len(str(text)[:at].encode())
        left = units[at - 1] if at else None
        right = firsts[at] if at < len(units) else None
        update = insertion(client, clock, left, right, content)
        assert update == emitted(doc, lambda byte=byte, content=content: text.insert(byte, content))
        here.apply_update(update)
        assert str(shown) == str(text)
        starts = [(client, clock + utf16(content[:i])) for i in range(len(content))]
        firsts[at:at] = starts
        units[at:at] = [(client, first + utf16(char) - 1) for (_, first), char in zip(starts, content, strict=True)]
        clock += utf16(content)


@given(clients, st.lists(st.tuples(st.integers(0, 9), st.integers(1, 200)), min_size=1, max_size=5))
def test_insertions_into_an_array_are_the_bytes_yjs_emits(client: int, edits: list[tuple[int, int]]) -> None:
    doc: Doc[Any] = Doc(client_id=client)
    array = doc.get("", type=Array)
    here: Doc[Any] = Doc()
    shown = here.get("", type=Array)
    units: list[Unit] = []
    clock = 0
    for place, size in edits:
        at = min(place, len(units))
        update = insertion(client, clock, units[at - 1] if at else None, units[at] if at < len(units) else None, size)
        cells: list[None] = [None] * size

        def edit(at: int = at, cells: list[None] = cells) -> None:
            with doc.transaction():
                array[at:at] = cells

        assert update == emitted(doc, edit)
        here.apply_update(update)
        units[at:at] = [(client, clock + i) for i in range(size)]
        clock += size
        assert list(shown) == list(array)


@given(clients, st.integers(1, 300), runs)
def test_what_follows_a_gap_shows_and_can_be_written_after(client: int, size: int, content: str) -> None:
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    here.apply_update(gap(client, 0, size))
    here.apply_update(insertion(client, size, None, None, content))
    here.apply_update(insertion(client, size + utf16(content), (client, size + utf16(content) - 1), None, "!"))
    assert str(shown) == f"{content}!"


def test_a_run_between_deleted_units_is_the_bytes_yjs_emits() -> None:
    """Yjs names deleted units too, as we do."""
    doc: Doc[Any] = Doc(client_id=7)
    text = doc.get("", type=Text)
    text += "abcd"
    del text[1:2]
    assert insertion(7, 4, (7, 1), (7, 2), "x") == emitted(doc, lambda: text.insert(1, "x"))


@pytest.mark.parametrize("char", HARD)
def test_what_follows_a_character_stands_after_all_of_it(char: str) -> None:
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    here.apply_update(insertion(7, 0, None, None, char))
    last = utf16(char) - 1
    here.apply_update(insertion(9, 0, (7, last), None, "after"))
    here.apply_update(insertion(8, 0, None, (7, 0), "before"))
    assert str(shown) == f"before{char}after"


def test_concurrent_runs_between_two_units_stand_by_client_whatever_comes_first() -> None:
    base = insertion(5, 0, None, None, "[]")
    runs = [insertion(client, 0, (5, 0), (5, 1), str(client)) for client in (7, 8, 9)]
    for order in permutations(runs):
        here: Doc[Any] = Doc()
        shown = here.get("", type=Text)
        for update in (base, *order):
            here.apply_update(update)
        assert str(shown) == "[789]"
