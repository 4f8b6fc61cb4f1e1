"""Other projects' own tests of their implementations, run against ours: `make campaign ARGS="conformance langgraph"`.

Their source packages are fetched into a temporary folder, of which nothing is kept. A `conftest.py` there stands ours
in the place of theirs, under the names that their tests import. Tests of what is theirs alone are left out by name,
with the reason, below. `reference` has no tests to fetch: it makes the same random calls to the reference memory
server, from npm, and to ours, and compares what they say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
REFERENCE = "@modelcontextprotocol/server-memory@2026.8.31"


class Suite(NamedTuple):
    """Tests of another project.

    Args:
        package: where they come from, at the version that is installed, or that is named.
        files: which, below the unpacked package.
        conftest: what stands ours in the place of theirs.
        needs: packages that only their tests need.
        left: tests of what is theirs alone, with the reason.
    """

    package: str
    files: tuple[str, ...]
    conftest: str
    needs: tuple[str, ...]
    left: dict[str, str]


_LANGGRAPH = """
import sys, types
from contextlib import asynccontextmanager, contextmanager

import langgraph.store.sqlite.base as theirs

from crdtmem import Replica
from crdtmem.adapters.langgraph import CrdtmemStore


class Shown(CrdtmemStore):
    def __init__(self, path, index, ttl):
        if index is not None:
            index = {**index, "fields": index.get("fields") or index.get("text_fields")}
        replica = Replica("ann", store=None if path == ":memory:" else f"{path}-crdtmem")
        super().__init__(replica.open(tenant="t"), index=index, ttl=ttl)


class Sync(Shown):
    def setup(self):
        pass

    @staticmethod
    @contextmanager
    def from_conn_string(path, *, index=None, ttl=None):
        yield Sync(path, index, ttl)


class Async(Shown):
    async def setup(self):
        pass

    async def sweep_ttl(self):
        return super().sweep_ttl()

    @staticmethod
    @asynccontextmanager
    async def from_conn_string(path, *, index=None, ttl=None):
        yield Async(path, index, ttl)


sqlite, aio = types.ModuleType("langgraph.store.sqlite"), types.ModuleType("langgraph.store.sqlite.aio")
sqlite.__path__ = []
sqlite.SqliteStore, sqlite.AsyncSqliteStore, sqlite.base = Sync, Async, theirs
aio.AsyncSqliteStore = Async
sys.modules |= {"langgraph.store.sqlite": sqlite, "langgraph.store.sqlite.aio": aio}
"""

_ANTHROPIC = '''
from pathlib import Path

import anyio
import anthropic.lib.tools._beta_builtin_memory_tool as theirs

from crdtmem import Replica
from crdtmem.adapters.anthropic import AsyncMemoryTool, MemoryTool


class OnDisk:
    """Ours, and its files on the disk, where the tests look for them."""

    def __init__(self, base_path):
        super().__init__(Replica("claude").open(tenant="t"))
        self.base_path = base_path
        self.disk = Path(base_path) / "memories"
        self.disk.mkdir()
        self.memory_root = anyio.Path(self.disk) if isinstance(self, AsyncMemoryTool) else self.disk

    def _mirror(self):
        for path in self.disk.rglob("*"):
            if path.is_file():
                path.unlink()
        for name in self.files._names:
            path = Path(self.base_path) / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.files.read(name).encode())

    def _take_in(self):
        for path in self.disk.rglob("*"):
            name = f"/{path.relative_to(self.base_path)}"
            if path.is_file() and name not in self.files._names:
                self.files.create(name, path.read_bytes().decode())


def blocking(call):
    def called(self, command):
        self._take_in()
        try:
            return getattr(MemoryTool, call)(self, command)
        finally:
            self._mirror()

    return called


def awaited(call):
    async def called(self, command):
        self._take_in()
        try:
            return await getattr(AsyncMemoryTool, call)(self, command)
        finally:
            self._mirror()

    return called


def ours(tool, way):
    calls = ("view", "create", "str_replace", "insert", "delete", "rename")
    return type("Ours", (OnDisk, tool), {call: way(call) for call in calls})


theirs.BetaLocalFilesystemMemoryTool = ours(MemoryTool, blocking)
theirs.BetaAsyncLocalFilesystemMemoryTool = ours(AsyncMemoryTool, awaited)
'''

_PRIVATE, _DISK = "a function inside theirs", "files on a disk"
SUITES = {
    "langgraph": Suite(
        "langgraph-checkpoint-sqlite==3.1.2",
        ("tests/__init__.py", "tests/test_store.py", "tests/test_async_store.py", "tests/test_ttl.py"),
        _LANGGRAPH,
        ("langgraph-checkpoint-sqlite==3.1.2", "sqlite-vec", "aiosqlite", "pytest-asyncio"),
        {
            "test_nonnull_migrations": "SQL",
            "test_vector_store_initialization": "tables for vectors",
            "test_escape_glob_literal": _PRIVATE,
            "test_namespace_match_pattern": _PRIVATE,
            "test_list_namespaces_prefix_uses_indexable_condition": _PRIVATE,
            "test_no_running_loop": "theirs may not be called where a loop runs; ours may",
            "test_sql_injection_vulnerability": "SQL; ours takes any key of a filter",
            "test_filter_keys_with_hyphens_and_digits": "dots in the keys of filters, paths to SQLite's store alone",
            "test_ttl_sweeper": "a thread that sweeps; ours never shows what is over, and has none",
            "test_async_ttl_sweeper": "the same",
            "test_ttl_override_default": "expects that reading prolongs nothing by default, unlike the interface",
        },
    ),
    "anthropic": Suite(
        f"anthropic=={version('anthropic')}",
        ("tests/lib/tools/memory_tools/test_filesystem.py",),
        _ANTHROPIC,
        ("pytest-asyncio",),
        {
            "umask": _DISK,
            "symlink": _DISK,
            "too_many_lines": "a file of five megabytes; ours says that it is too large when it is made",
        },
    ),
}


def tests(name: str, folder: Path) -> int:
    """Run one suite in a folder."""
    suite = SUITES[name]
    subprocess.run([*PIP, "install", "--no-deps", "--target", folder / "needs", *suite.needs], check=True)
    got = ["download", "--no-deps", "--no-binary", ":all:", "--dest", folder, suite.package]
    subprocess.run([*PIP, *got], check=True, capture_output=True)
    [package] = folder.glob("*.tar.gz")
    root = folder / package.name.removesuffix(".tar.gz")
    with tarfile.open(package) as archive:
        for file in suite.files:
            archive.extract(f"{root.name}/{file}", folder, filter="data")
    (root / "conftest.py").write_text(suite.conftest)
    left = " or ".join(suite.left)
    words = ["-m", "pytest", "-q", "-rf", "--tb=short", "-o", "asyncio_mode=auto", "-k", f"not ({left})", "--no-header"]
    path = os.pathsep.join([str(folder / "needs"), str(Path(__file__).parents[1])])
    ran = subprocess.run(
        [sys.executable, *words, *suite.files], cwd=root, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    for test, why in suite.left.items():
        print(f"left out: {test}: {why}")
    return ran.returncode


def reference(folder: Path, *, calls: int = 2000, seed: int = 1) -> int:
    """Make the same calls to the reference memory server and to ours; 0 if all results are equal."""
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", folder, REFERENCE], check=True)
    main = folder / "node_modules/@modelcontextprotocol/server-memory/dist/index.js"
    theirs = StdioServerParameters(
        command="node", args=[str(main)], env={**os.environ, "MEMORY_FILE_PATH": str(folder / "memory.jsonl")}
    )
    command = "from crdtmem.cli import main; main()"
    ours = StdioServerParameters(
        command=sys.executable, args=["-c", command, "mcp", "--meet", str(folder / "team")], env=dict(os.environ)
    )
    return asyncio.run(_compared(theirs, ours, calls, random.Random(seed)))


async def _compared(theirs: Any, ours: Any, calls: int, chance: random.Random) -> int:
    async with Client(theirs, mode="legacy") as one, Client(ours, mode="legacy") as other:
        wanted, found = [(await client.list_tools()).tools for client in (one, other)]
        shown = {tool.name: _described(tool) for tool in found}
        different = [tool.name for tool in wanted if shown.get(tool.name) != _described(tool)]
        for number in range(calls):
            name, arguments = _call(chance)
            said = [_said(await client.call_tool(name, arguments)) for client in (one, other)]
            if said[0] != said[1]:
                different.append(f"call {number}: {name} {arguments}: {said[0]} and {said[1]}")
        print(f"{len(wanted)} tools, {calls} calls, {len(different)} differ", *different[:5], sep="\n")
        return 1 if different else 0


def _described(tool: Any) -> dict[str, Any]:
    shown: dict[str, Any] = tool.model_dump(by_alias=True, exclude_none=True)
    return {key: value for key, value in shown.items() if key != "execution"}


def _said(result: Any) -> Any:
    """What a result says; two servers complain of malformed arguments each in its own words."""
    if result.is_error and not result.content[0].text.startswith("Entity with name"):
        return "error"
    return result.is_error, [part.text for part in result.content], result.structured_content


def _call(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A call; nothing is there twice in one list, of which the reference would keep both."""
    names = [chance.choice("abcdefgh") * 3, "Zoë\n", "x y"]
    chance.shuffle(names)
    some = [f"says {chance.randrange(9)}", "Tea \U0001f375"][: chance.randrange(3)]
    link = {"from": names[0], "to": names[1], "relationType": chance.choice("rs")}
    entity = {"name": names[0], "entityType": chance.choice("pq"), "observations": some}
    choices: list[tuple[str, dict[str, Any]]] = [
        ("create_entities", {"entities": [entity, {**entity, "name": names[1]}]}),
        ("create_relations", {"relations": [link, {**link, "to": names[2]}]}),
        ("add_observations", {"observations": [{"entityName": names[0], "contents": some}]}),
        ("delete_entities", {"entityNames": names[:1]}),
        ("delete_observations", {"deletions": [{"entityName": names[0], "observations": some}]}),
        ("delete_relations", {"relations": [link]}),
        ("read_graph", {}),
        ("search_nodes", {"query": chance.choice(["SAYS 1", "zoë", "", "p"])}),
        ("open_nodes", {"names": names[:2]}),
        ("add_observations", {"observations": [{"entityName": names[0]}]}),
        ("no_such_tool", {}),
    ]
    return json.loads(json.dumps(chance.choice(choices)))  # type: ignore[no-any-return]


RUNS: dict[str, Callable[[Path], int]] = {
    "langgraph": lambda folder: tests("langgraph", folder),
    "anthropic": lambda folder: tests("anthropic", folder),
    "reference": reference,
}


def options(parser: argparse.ArgumentParser) -> None:
    """Of the campaign."""
    parser.add_argument("names", nargs="*", choices=[*RUNS, []], metavar="NAME", help=", ".join(RUNS))


def run(args: argparse.Namespace) -> int:
    """The campaign."""
    worst = 0
    for name in args.names or RUNS:
        with TemporaryDirectory(prefix="conformance-") as folder:
            print(f"\n{name}", flush=True)
            worst = max(worst, RUNS[name](Path(folder)))
    return worst


CONFORMANCE = ("other projects' own tests, against ours; needs the network", options, run)
