"""Anthropic's memory tool over the texts of a memory: what Claude writes down is shared, merged and audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crdtmem import CrdtmemError, Memory
from crdtmem.adapters.files import Files
from crdtmem.extras import extra

with extra("anthropic"):
    from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError
    from anthropic.types.beta import (
        BetaCacheControlEphemeralParam,
        BetaMemoryTool20250818CreateCommand,
        BetaMemoryTool20250818DeleteCommand,
        BetaMemoryTool20250818InsertCommand,
        BetaMemoryTool20250818RenameCommand,
        BetaMemoryTool20250818StrReplaceCommand,
        BetaMemoryTool20250818ViewCommand,
    )

T = TypeVar("T")
_OPTIONAL = {"view_range": list, "new_str": str}
_COMMANDS: Mapping[str, Mapping[str, type]] = {
    "view": {"path": str},
    "create": {"path": str, "file_text": str},
    "str_replace": {"path": str, "old_str": str},
    "insert": {"path": str, "insert_line": int, "insert_text": str},
    "delete": {"path": str},
    "rename": {"old_path": str, "new_path": str},
}


class MemoryTool(BetaAbstractMemoryTool):
    """The memory tool for `client.beta.messages.run_tools(tools=[...])`.

    Args:
        memory: where the files are kept, and whose agent writes them.
        field: the records of their names.
        cache_control: as in the tool of the SDK.

    >>> from crdtmem import Replica
    >>> tool = MemoryTool(Replica("claude").open(tenant="acme"))
    >>> tool.call({"command": "create", "path": "/memories/likes.md", "file_text": "coffee"})
    'File created successfully at: /memories/likes.md'
    """

    def __init__(
        self,
        memory: Memory,
        *,
        field: str = "files",
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self.files = Files(memory, field=field)

    def call(self, input: object) -> Any:
        """Do what a model asked for; what it got wrong is said to it."""
        return super().call(_checked(input))

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """A file or a folder."""
        return _told(self.files.view, command.path, command.view_range)

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """A new file."""
        return _told(self.files.create, command.path, command.file_text)

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace the one occurrence of a passage."""
        return _told(self.files.replace, command.path, command.old_str, command.new_str)

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Put lines behind a line."""
        return _told(self.files.insert, command.path, command.insert_line, command.insert_text)

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file or a folder."""
        return _told(self.files.delete, command.path)

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Give a file or a folder another path."""
        return _told(self.files.rename, command.old_path, command.new_path)

    def clear_all_memory(self) -> str:
        """Delete all files."""
        return self.files.clear()


class AsyncMemoryTool(BetaAsyncAbstractMemoryTool):
    """The memory tool for an `AsyncAnthropic` client. Nothing in it waits: it is `MemoryTool` in other clothes.

    >>> import asyncio
    >>> from crdtmem import Replica
    >>> tool = AsyncMemoryTool(Replica("claude").open(tenant="acme"))
    >>> asyncio.run(tool.call({"command": "delete", "path": "/memories/../secrets"}))
    Traceback (most recent call last):
    anthropic.lib.tools._beta_functions.ToolError: Path /memories/../secrets would escape /memories directory
    """

    def __init__(
        self,
        memory: Memory,
        *,
        field: str = "files",
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._tool = MemoryTool(memory, field=field)
        self.files = self._tool.files

    async def call(self, input: object) -> Any:
        """Do what a model asked for; what it got wrong is said to it."""
        return await super().call(_checked(input))

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """A file or a folder."""
        return self._tool.view(command)

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """A new file."""
        return self._tool.create(command)

    async def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace the one occurrence of a passage."""
        return self._tool.str_replace(command)

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Put lines behind a line."""
        return self._tool.insert(command)

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file or a folder."""
        return self._tool.delete(command)

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Give a file or a folder another path."""
        return self._tool.rename(command)

    async def clear_all_memory(self) -> str:
        """Delete all files."""
        return self._tool.clear_all_memory()


def _checked(input: object) -> dict[str, Any]:
    """What a model gave, if it is a command; the SDK takes it as it is."""
    if not isinstance(input, Mapping):
        raise ToolError(f"a command is an object, not {type(input).__name__}")
    needed = _COMMANDS.get(str(input.get("command")))
    if needed is None:
        raise ToolError(f"Unknown command: {input.get('command')!r:.40}; use one of {', '.join(_COMMANDS)}")
    for name, kind in needed.items():
        if name not in input:
            raise ToolError(f"`{name}` is missing; {input['command']} needs {', '.join(needed)}")
        if not isinstance(input[name], kind) or isinstance(input[name], bool):
            raise ToolError(f"`{name}` must be of type {kind.__name__}, not {type(input[name]).__name__}")
    for name, kind in _OPTIONAL.items():
        if input.get(name) is not None and not isinstance(input[name], kind):
            raise ToolError(f"`{name}` must be of type {kind.__name__}, not {type(input[name]).__name__}")
    return {"view_range": None, **input, "new_str": input.get("new_str") or ""}


def _told(act: Callable[..., T], *given: Any) -> T:
    try:
        return act(*given)
    except CrdtmemError as error:
        raise ToolError(str(error)) from error
