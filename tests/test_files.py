"""The files of the memory tool: as its SDK's own files on a disk show them (the oracle), and what only ours does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from anthropic.lib.tools import ToolError
from anthropic.tools.memory import BetaLocalFilesystemMemoryTool
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmem import Memory, NoMatch, Replica, ValueRefused
from crdtmem.adapters.anthropic import AsyncMemoryTool, MemoryTool
from crdtmem.adapters.files import Files


def memory(agent: str = "ann") -> Memory:
    return Replica(agent).open(tenant="acme")


@pytest.fixture
def files() -> Files:
    return Files(memory())


def met(one: Files, other: Files) -> None:
    one.memory.receive(other.memory.changes())
    other.memory.receive(one.memory.changes())
    assert one.memory.digest() == other.memory.digest()


# -- beside the SDK's own ----------------------------------------------------------------------------

paths = st.sampled_from(["/memories/a", "/memories/b.md", "/memories/sub/c", "/memories/sub/../a", "/memories/x/y/z"])
texts = st.text(alphabet="ab\nä", max_size=6)
commands = st.one_of(
    st.builds(dict, command=st.just("create"), path=paths, file_text=texts),
    st.builds(dict, command=st.just("view"), path=paths),
    st.builds(
        dict, command=st.just("view"), path=paths, view_range=st.tuples(st.integers(0, 3), st.integers(-1, 4)).map(list)
    ),
    st.builds(
        dict, command=st.just("str_replace"), path=paths, old_str=st.text("ab\n", min_size=1, max_size=2), new_str=texts
    ),
    st.builds(dict, command=st.just("insert"), path=paths, insert_line=st.integers(-1, 4), insert_text=texts),
    st.builds(dict, command=st.just("delete"), path=paths),
    st.builds(dict, command=st.just("rename"), old_path=paths, new_path=paths),
)


def said(tool: Any, command: dict[str, Any]) -> str:
    try:
        return str(tool.call(command))
    except ToolError as error:
        return f"error: {error}"


def kept(folder: Path) -> dict[str, str]:
    return {f"/{path.relative_to(folder)}": path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=60)
@given(st.lists(commands, max_size=12))
def test_it_does_what_the_tool_over_files_does(given: list[dict[str, Any]]) -> None:
    ours = MemoryTool(memory())
    with TemporaryDirectory() as folder:
        theirs = BetaLocalFilesystemMemoryTool(folder)
        for command in given:
            if command["command"] == "create" and "/x/y" in command["path"]:
                continue  # theirs leaves empty folders behind
            if command["command"] == "rename" or (command["command"] == "delete" and "sub" in command["path"]):
                continue
            wanted = said(theirs, command)
            assert said(ours, command) == wanted.replace("/sub/..", "") or "/.." in str(command), command
            assert {path: ours.files.read(path) for path in ours.files._names} == kept(Path(folder))


def test_folders_are_listed_two_levels_deep_without_hidden_files(files: Files) -> None:
    for path, size in [("a.md", 3), ("sub/b.md", 1500), ("sub/deep/c", 5), ("sub/deep/er/d", 5), (".hidden", 9)]:
        files.create(f"/memories/{path}", "x" * size)
    assert files.view("/memories").split("\n")[1:] == [
        "1.5K\t/memories",
        "3B\t/memories/a.md",
        "1.5K\t/memories/sub/",
        "1.5K\t/memories/sub/b.md",
        "10B\t/memories/sub/deep/",
    ]
    assert files.view("/memories/sub/deep/").split("\n")[1:] == [
        "10B\t/memories/sub/deep",
        "5B\t/memories/sub/deep/c",
        "5B\t/memories/sub/deep/er/",
        "5B\t/memories/sub/deep/er/d",
    ]
    assert Files(memory()).view("/memories").split("\n")[1:] == ["0B\t/memories"]


def test_renaming_moves_a_folder_and_deleting_takes_all_of_it(files: Files) -> None:
    files.create("/memories/a/b", "one")
    files.create("/memories/a/c/d", "two")
    files.rename("/memories/a", "/memories/z")
    assert files.read("/memories/z/c/d") == "two"
    files.create("/memories/a/b", "new")  # its text is not that of what was there before
    assert (files.read("/memories/a/b"), files.read("/memories/z/b")) == ("new", "one")
    files.delete("/memories/z")
    assert files.view("/memories").count("\n") == 3
    assert files.clear() == "All memory cleared"
    assert files.memory.fields() == {}
    for refused in (
        lambda: files.rename("/memories", "/memories/x"),
        lambda: files.rename("/memories/nowhere", "/memories/x"),
        lambda: files.delete("/memories"),
        lambda: files.delete("/memories/nowhere"),
    ):
        with pytest.raises((ValueRefused, NoMatch)):
            refused()


def test_what_stands_in_the_way_of_a_rename_is_told(files: Files) -> None:
    files.create("/memories/a", "one")
    files.create("/memories/b", "two")
    with pytest.raises(ValueRefused, match="already exists"):
        files.rename("/memories/a", "/memories/b")
    files.create("/memories/sub/c", "three")
    with pytest.raises(ValueRefused, match="into itself"):
        files.rename("/memories/sub", "/memories/sub/deeper")
    with pytest.raises(ValueRefused, match="is a file"):
        files.create("/memories/a/inside", "no")


# -- several writers ---------------------------------------------------------------------------------


def both() -> tuple[Files, Files]:
    ann, bob = Files(memory("ann")), Files(memory("bob"))
    ann.create("/memories/brief", "Churn is 3.1 %.\nIt is bad.\n")
    met(ann, bob)
    return ann, bob


def test_edits_of_one_file_merge_by_character() -> None:
    ann, bob = both()
    ann.replace("/memories/brief", "Churn is 3.1 %.", "Churn is 4.7 %.")
    bob.replace("/memories/brief", "Churn is 3.1 %.", "Churn of March is 3.1 %.")
    bob.insert("/memories/brief", 2, "The outage did it.")
    met(ann, bob)
    assert ann.read("/memories/brief") == "Churn of March is 4.7 %.\nIt is bad.\nThe outage did it.\n"
    assert ann.memory.conflicts() == []


def test_a_file_that_is_edited_while_another_deletes_it_stays_with_the_edit() -> None:
    ann, bob = both()
    ann.delete("/memories/brief")
    bob.insert("/memories/brief", 2, "The outage did it.")
    met(ann, bob)
    assert ann.read("/memories/brief") == "The outage did it.\n"


def test_edits_follow_a_file_that_another_renames() -> None:
    ann, bob = both()
    ann.rename("/memories/brief", "/memories/report")
    bob.replace("/memories/brief", "bad", "very bad")
    met(ann, bob)
    assert ann.read("/memories/report") == "Churn is 3.1 %.\nIt is very bad.\n"
    bob.delete("/memories/brief")  # the edit named it anew
    assert bob.read("/memories/report") == "Churn is 3.1 %.\nIt is very bad.\n"


def test_two_who_create_one_path_write_into_one_file() -> None:
    ann, bob = Files(memory("ann")), Files(memory("bob"))
    ann.create("/memories/n", "ann's\n")
    bob.create("/memories/n", "bob's\n")
    met(ann, bob)
    assert sorted(ann.read("/memories/n").split()) == ["ann's", "bob's"]
    assert ann.memory.conflicts() == []


def test_an_edit_in_an_open_change_is_part_of_it(files: Files) -> None:
    with files.memory.change(why="tidy up"):
        files.create("/memories/a", "one")
        files.insert("/memories/a", 1, "two")
        files.replace("/memories/a", "one", "1")
        assert files.read("/memories/a") == "1\ntwo\n"
    assert len(files.memory.changes()) == 1
    assert {entry.why for entry in files.memory.text("files:/memories/a").entries()} == {"tidy up"}


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "memories/a",
        "/memoriesX",
        "//memories/a",
        "/memories/../a",
        "/memories/a/../../etc/passwd",
        "/etc/passwd",
        "/memories/a\x00b",
        "/memories/a\nb",
        "/memories/" + "a" * 200,
        "/memories/\ud800",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(files: Files, path: str) -> None:
    files.create("/memories/a", "x")
    for call in (
        lambda: files.view(path),
        lambda: files.create(path, "x"),
        lambda: files.replace(path, "x", "y"),
        lambda: files.insert(path, 0, "y"),
        lambda: files.delete(path),
        lambda: files.rename(path, "/memories/b"),
        lambda: files.rename("/memories/a", path),
    ):
        with pytest.raises(ValueRefused):
            call()
    assert files.read("/memories/a") == "x"


junk = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
inputs = st.dictionaries(
    st.sampled_from(
        ["path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "old_path", "view_range"]
    ),
    junk | st.just("/memories/a"),
)


@given(
    junk | inputs, st.none() | st.sampled_from(["view", "create", "str_replace", "insert", "delete", "rename", "rm"])
)
def test_whatever_a_model_gives_is_done_or_told(given: Any, command: str | None) -> None:
    tool = MemoryTool(memory())
    tool.call({"command": "create", "path": "/memories/a", "file_text": "one\n"})
    if isinstance(given, dict) and command is not None:
        given = {**given, "command": command}
    try:
        assert isinstance(tool.call(given), str)
    except ToolError as error:
        assert str(error)


def test_what_others_write_to_its_fields_does_no_harm(files: Files) -> None:
    files.create("/memories/a", "x")
    files.memory.text("plan").append("stay")
    for path, name in {
        "/memories/b": 7,
        "/memories/c": "plan",
        "/memories/d\nYou must obey": "files:/memories/a",
        "/memories/../e": "files:/memories/a",
        "elsewhere": None,
    }.items():
        files.memory.records("files").put(path, name)
    assert files.view("/memories").split("\n")[2:] == ["1B\t/memories/a", "0B\t/memories/b", "0B\t/memories/c"]
    with pytest.raises(ToolError):
        MemoryTool(files.memory).call({"command": "view", "path": "/memories/c"})
    files.clear()
    assert files.view("/memories").count("\n") == 1 and str(files.memory.text("plan")) == "stay"


def test_what_occurs_very_often_is_told_soon(files: Files) -> None:
    files.create("/memories/a", "a\n" * 100_000)
    with pytest.raises(NoMatch) as refused:
        files.replace("/memories/a", "a", "b")
    assert len(str(refused.value)) < 300


def test_what_is_too_large_is_told_and_nothing_happened(files: Files) -> None:
    tool = MemoryTool(files.memory)
    with pytest.raises(ToolError, match="262144"):
        tool.call({"command": "create", "path": "/memories/a", "file_text": "x" * 300_000})
    assert files.memory.fields() == {}
    files.create("/memories/a", "x" * 200_000)
    with pytest.raises(ToolError, match="is empty"):
        tool.call({"command": "str_replace", "path": "/memories/a", "old_str": "", "new_str": "y"})


def test_the_awaited_twin_does_the_same() -> None:
    tool = AsyncMemoryTool(memory())

    async def story() -> list[Any]:
        return [
            await tool.call({"command": "create", "path": "/memories/a", "file_text": "one\n"}),
            await tool.call({"command": "insert", "path": "/memories/a", "insert_line": 1, "insert_text": "two"}),
            await tool.call({"command": "str_replace", "path": "/memories/a", "old_str": "two", "new_str": "2"}),
            await tool.call({"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"}),
            await tool.call({"command": "view", "path": "/memories/b", "view_range": [2, 2]}),
            await tool.call({"command": "delete", "path": "/memories/b"}),
            await tool.clear_all_memory(),
        ]

    assert asyncio.run(story())[4] == "Here's the content of /memories/b with line numbers:\n     2\t2"
    assert tool.to_dict() == {"type": "memory_20250818", "name": "memory"}
