"""Other projects' own tests of their implementations, run against ours: `python -m tests.conformance langgraph ...`.

Their source packages are fetched into a temporary folder and nothing of them is kept. A `conftest.py` there stands
ours in the place of theirs, under the names that their tests import. What fails is listed with the reason; tests of
what only theirs has (SQL, files on a disk) are left out by name, and the list of those is in this file.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple


class Suite(NamedTuple):
    """Tests of another project.

    Args:
        package: where they come from, at the version that is installed.
        files: which, below the unpacked package.
        conftest: what stands ours in the place of theirs.
        needs: packages that only their tests need.
        leave: tests of what is theirs alone, with the reason.
    """

    package: str
    files: tuple[str, ...]
    conftest: str
    needs: tuple[str, ...] = ()
    leave: dict[str, str] = {}  # noqa: RUF012


_LANGGRAPH = """
import sys, types
from contextlib import asynccontextmanager, contextmanager

import pytest
import langgraph.store.sqlite.base as theirs

from crdtmem import Replica
from crdtmem.adapters.langgraph import CrdtmemStore

STORES = {}


def made(path, index, ttl):
    if index is not None:
        index = {**index, "fields": index.get("fields") or index.get("text_fields")}
    if path == ":memory:":
        path = None
    return CrdtmemStore(Replica("ann", store=None if path is None else f"{path}-crdtmem").open(tenant="t"), index=index, ttl=ttl)


class Sync:
    @staticmethod
    @contextmanager
    def from_conn_string(path, *, index=None, ttl=None):
        store = made(path, index, ttl)
        Sync.current = store
        yield Shown(store)


class Async:
    @staticmethod
    @asynccontextmanager
    async def from_conn_string(path, *, index=None, ttl=None):
        yield AShown(made(path, index, ttl))


class Shown:
    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def setup(self):
        pass


class AShown(Shown):
    async def setup(self):
        pass

    async def sweep_ttl(self):
        return self._store.sweep_ttl()


module = types.ModuleType("langgraph.store.sqlite")
module.__path__ = theirs.__spec__.submodule_search_locations or []
module.SqliteStore, module.AsyncSqliteStore, module.base = Sync, Async, theirs
aio = types.ModuleType("langgraph.store.sqlite.aio")
aio.AsyncSqliteStore = Async
sys.modules |= {"langgraph.store.sqlite": module, "langgraph.store.sqlite.aio": aio}
"""

_PRIVATE = "a function inside theirs"
_SWEEPER = "a thread that sweeps; ours never shows what is over, and has no thread"
SUITES = {
    "langgraph": Suite(
        "langgraph-checkpoint-sqlite",
        ("tests/test_store.py", "tests/test_async_store.py", "tests/test_ttl.py"),
        _LANGGRAPH,
        ("langgraph-checkpoint-sqlite", "pytest-asyncio", "pytest-retry"),
        {
            "test_nonnull_migrations": "SQL",
            "test_escape_glob_literal": _PRIVATE,
            "test_namespace_match_pattern": _PRIVATE,
            "test_list_namespaces_prefix_uses_indexable_condition": _PRIVATE,
            "test_ttl_sweeper": _SWEEPER,
            "test_async_ttl_sweeper": _SWEEPER,
        },
    ),
}


def run(name: str, folder: Path) -> int:
    """Run one suite in a folder; print what passed, failed and was left out."""
    suite = SUITES[name]
    number = version(suite.package)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    if suite.needs:
        subprocess.run([*pip, "install", "--target", folder / "needs", "--no-deps", *suite.needs], check=True)
    got = ["download", "--no-deps", "--no-binary", ":all:", "--dest", folder, f"{suite.package}=={number}"]
    subprocess.run([*pip, *got], check=True, capture_output=True)
    [package] = folder.glob("*.tar.gz")
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    [root] = [path for path in folder.iterdir() if path.is_dir() and path.name != "needs"]
    (root / "conftest.py").write_text(suite.conftest)
    left = [flag for test in suite.leave for flag in ("--deselect-name", test)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=line", *left, *suite.files],
        cwd=root,
        text=True,
        capture_output=True,
        check=False,
    )
    print(ran.stdout)
    return ran.returncode
