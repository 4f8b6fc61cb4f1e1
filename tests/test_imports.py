"""The import rule: who may import whom, as tables, checked over the syntax tree of every module.

    cli, adapters -> {coherence, sync, patterns} -> core -> data -> third party

`sync` and `coherence` never meet, nothing imports `cli`, and only the front (`crdtmem` itself, which loads its outer
names on first use) reaches `adapters`. An import counts wherever it stands: in a function and under TYPE_CHECKING too.
"""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.layout import MODULES, PACKAGES

# Pure data. Each module may import those above it.
DATA = ("errors", "values", "namespace", "clock", "entry", "change", "yupdate")

# Ring -> the rings it may import. A module's ring is its first name below crdtmem, if that is a key here; else core.
RINGS = {
    "front": {"front", "data", "core", "sync", "coherence", "patterns", "adapters"},
    "core": {"data", "core"},
    "sync": {"data", "core", "sync"},
    "coherence": {"data", "core", "coherence"},
    "patterns": {"front", "data", "core", "patterns"},
    "telemetry": {"data", "core", "telemetry"},
    "adapters": {"front", "data", "core", "sync", "coherence", "patterns", "adapters"},
    "cli": {"front", "data", "core", "sync", "coherence", "patterns", "adapters", "cli"},
    "__main__": {"cli"},
}

# Third-party package -> the modules, or packages with all below them, that may import it.
THIRD_PARTY: dict[str, str | tuple[str, ...]] = {
    "msgspec": "crdtmem",
    "pycrdt": "crdtmem.fields.ordered",
    "nacl": "crdtmem.identity",
    "apsw": "crdtmem.sqlite",
    "sqlite_vec": "crdtmem.sqlite.vectors",
    "opentelemetry": "crdtmem.telemetry",
    "websockets": "crdtmem.sync.websocket",
    "typer": "crdtmem.cli",
    "jwt": "crdtmem.sync.tokens",
    "cryptography": "crdtmem.sync.tokens",
    "anthropic": ("crdtmem.coherence.judges", "crdtmem.adapters.anthropic"),
    "langgraph": ("crdtmem.adapters.langgraph", "crdtmem.adapters.vectors"),
    "mcp": "crdtmem.adapters.mcp",
    "mcp_types": "crdtmem.adapters.mcp",
    "uvicorn": "crdtmem.adapters.mcp",
    "openai": "crdtmem.coherence.judges",
    "snowballstemmer": "crdtmem.coherence.lexicon",
    "rich": ("crdtmem.cli", "crdtmem.coherence.shown"),
}


def ring(module: str) -> str:
    name = module.split(".")[1] if "." in module else "front"
    return "data" if name in DATA else name if name in RINGS else "core"


def imports(module: str, source: str, known: set[str]) -> Iterator[str]:
    """Every module that `source` imports, with `from package import module` resolved to the module."""
    package = module.split(".") if module in PACKAGES else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            target = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield name if (name := f"{target}.{alias.name}") in known else target


def objection(module: str, target: str) -> str | None:
    """Why `module` may not import `target`, or None if it may."""
    root = target.split(".")[0]
    if root in ("sync", "coherence"):
        return f"{root} is imported as crdtmem.{root}"
    if root in sys.stdlib_module_names:
        return None
    if root != "crdtmem":
        homes = THIRD_PARTY.get(root)
        if homes is None:
            return f"{root} has no line in THIRD_PARTY"
        homes = (homes,) if isinstance(homes, str) else homes
        at_home = any(f"{module}.".startswith(f"{home}.") for home in homes)
        return None if at_home else f"only {' and '.join(homes)} imports {root}"
    here, there = ring(module), ring(target)
    if here == "data":
        above = DATA[: DATA.index(module.split(".")[1])]
        return None if target.removeprefix("crdtmem.") in above else f"{module} may import only {above or 'nothing'}"
    return None if there in RINGS[here] else f"{here} never imports {there}"


def objections(module: str, source: str, known: set[str]) -> list[str]:
    targets = sorted(set(imports(module, source, known)))
    found = [(target, objection(module, target)) for target in targets]
    return [f"{module} imports {target}: {why}" for target, why in found if why]


@pytest.mark.parametrize("module", MODULES)
def test_the_import_rule_holds(module: str) -> None:
    found = objections(module, MODULES[module].read_text(), set(MODULES))
    assert not found, "\n".join(found)


PLANTED = [
    ("crdtmem.memory", "import crdtmem.sync.session", "core never imports sync"),
    ("crdtmem.memory", "def f():\n    from crdtmem.coherence import review", "core never imports coherence"),
    ("crdtmem.memory", "from crdtmem import Replica", "core never imports front"),
    ("crdtmem.memory", "from crdtmem import sync", "core never imports sync"),
    ("crdtmem.fields.set", "from .. import sync", "core never imports sync"),
    ("crdtmem.sync.peer", "from crdtmem.coherence.review import review", "sync never imports coherence"),
    ("crdtmem.sync.peer", "if TYPE_CHECKING:\n    from ..coherence import review", "sync never imports coherence"),
    ("crdtmem.coherence.review", "from crdtmem.sync.peer import Peer", "coherence never imports sync"),
    ("crdtmem.patterns.lease", "from crdtmem.sync.peer import Peer", "patterns never imports sync"),
    ("crdtmem.adapters.mcp", "import crdtmem.cli", "adapters never imports cli"),
    ("crdtmem", "from crdtmem.cli import main", "front never imports cli"),
    ("crdtmem.memory", "from crdtmem.adapters.graph import Graph", "core never imports adapters"),
    ("crdtmem.adapters.tools", "import mcp.server", "only crdtmem.adapters.mcp imports mcp"),
    ("crdtmem.values", "from crdtmem.clock import Clock", "may import only ('errors',)"),
    ("crdtmem.errors", "import crdtmem.values", "may import only nothing"),
    ("crdtmem.entry", "from crdtmem.change import Change", "may import only"),
    ("crdtmem.entry", "from crdtmem.memory import Memory", "may import only"),
    ("crdtmem.entry", "from crdtmem import Memory", "may import only"),
    ("crdtmem.fields.keyed", "import pycrdt", "only crdtmem.fields.ordered imports pycrdt"),
    ("crdtmem.fields.ordered_extra", "import pycrdt", "only crdtmem.fields.ordered imports pycrdt"),
    ("crdtmem.sync.peer", "from websockets.asyncio.client import connect", "only crdtmem.sync.websocket"),
    ("crdtmem.memory", "import apsw", "only crdtmem.sqlite"),
    ("crdtmem.document", "from opentelemetry import trace", "only crdtmem.telemetry imports opentelemetry"),
    ("crdtmem.document", "from crdtmem.telemetry import observe", "core never imports telemetry"),
    ("crdtmem", "from crdtmem.telemetry import observe", "front never imports telemetry"),
    ("crdtmem.change", "from nacl.signing import SigningKey", "only crdtmem.identity"),
    ("crdtmem.coherence.review", "import anthropic", "only crdtmem.coherence.judges"),
    ("crdtmem.memory", "import requests", "no line in THIRD_PARTY"),
    ("crdtmem.cli.main", "import sync", "imported as crdtmem.sync"),
    ("crdtmem.cli.main", "from coherence.review import review", "imported as crdtmem.coherence"),
]


@pytest.mark.parametrize(("module", "source", "why"), PLANTED, ids=[f"{m}: {s}" for m, s, _ in PLANTED])
def test_a_planted_bad_import_is_caught(module: str, source: str, why: str) -> None:
    [objected] = objections(module, source, known={"crdtmem.sync", "crdtmem.coherence"})
    assert why in objected


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("crdtmem.yupdate", "from crdtmem.errors import BadBytes"),
        ("crdtmem.memory", "from crdtmem.fields.ordered import Text"),
        ("crdtmem.fields.ordered", "import json, msgspec, pycrdt"),
        ("crdtmem.sync.peer", "from crdtmem.memory import Memory"),
        ("crdtmem.coherence.judges.anthropic", "import anthropic"),
        ("crdtmem", "def __getattr__(name):\n    from crdtmem.sync.peer import Peer"),
        ("crdtmem.adapters.tools", "from crdtmem import Replica"),
        ("crdtmem.adapters.anthropic", "from anthropic.lib.tools import ToolError"),
        ("crdtmem.cli.mcp", "from crdtmem.adapters.mcp import serve"),
    ],
)
def test_a_good_import_passes(module: str, source: str) -> None:
    assert objections(module, source, known=set()) == []
