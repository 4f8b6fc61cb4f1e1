"""The bytes written for Yjs are those Yjs itself emits for the same edits, and it shows what they say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Text

from crdtmem.change import utf16
from crdtmem.yupdate import Unit, deletion, gap, insertion, neighbours
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


@given(st.data())
def test_deletions_are_the_bytes_yjs_emits(data: st.DataObject) -> None:
    doc: Doc[Any] = Doc(client_id=7)
    text = doc.get("", type=Text)
    text += "0123456789" * 20
    before = doc.get_update()
    spans = sorted(data.draw(st.sets(st.integers(0, 66), min_size=1)))

    def edit() -> None:
        with doc.transaction():
            for start in reversed(spans):
                del text[start * 3 : start * 3 + 2]

    update = deletion([(7, start * 3, 2) for start in spans])
    assert update == emitted(doc, edit)
    here: Doc[Any] = Doc()
    here.apply_update(before)
    here.apply_update(update)
    assert str(here.get("", type=Text)) == str(text)


def test_deletions_name_several_authors_each_in_the_order_of_its_clocks() -> None:
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    here.apply_update(insertion(7, 0, None, None, "abc"))
    here.apply_update(insertion(9, 0, (7, 2), None, "xyz"))
    here.apply_update(deletion([(9, 2, 1), (7, 1, 1), (9, 0, 1)]))
    assert str(shown) == "acy"


@given(clients, st.integers(1, 300), runs)
def test_what_follows_a_gap_shows_and_can_be_written_after(client: int, size: int, content: str) -> None:
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    here.apply_update(gap(client, 0, size))
    here.apply_update(insertion(client, size, None, None, content))
    here.apply_update(insertion(client, size + utf16(content), (client, size + utf16(content) - 1), None, "!"))
    assert str(shown) == f"{content}!"


units_ = st.none() | st.tuples(clients, st.sampled_from([0, 127, 128, 300, 2**40]))


@given(clients, units_, units_, runs | st.integers(1, 300))
def test_the_neighbours_of_a_run_are_read_back(client: int, left: Any, right: Any, content: str | int) -> None:
    assert neighbours(insertion(client, 200, left, right, content)) == (left, right)


def test_yjs_names_deleted_units_too() -> None:
    doc: Doc[Any] = Doc(client_id=7)
    text = doc.get("", type=Text)
    text += "abc"
    del text[1:2]
    assert neighbours(emitted(doc, lambda: text.insert(1, "x"))) == ((7, 1), (7, 2))


def test_deleting_nothing_is_the_empty_update() -> None:
    doc: Doc[Any] = Doc()
    assert deletion([]) == doc.get_update() == b"\x00\x00"


@pytest.mark.parametrize("char", HARD)
def test_what_follows_a_character_stands_after_all_of_it(char: str) -> None:
    here: Doc[Any] = Doc()
    shown = here.get("", type=Text)
    here.apply_update(insertion(7, 0, None, None, char))
    last = utf16(char) - 1
    here.apply_update(insertion(9, 0, (7, last), None, "after"))
    here.apply_update(insertion(8, 0, None, (7, 0), "before"))
    assert str(shown) == f"before{char}after"
