"""What is declared is what is there, and importing crdtmem is cheap: no optional package comes along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layout import PACKAGES, ROOT

OPTIONAL = ["anthropic", "apsw", "cryptography", "jwt", "langgraph", "mcp", "openai", "opentelemetry", "rich"]
OPTIONAL += ["snowballstemmer", "sqlite_vec", "typer", "websockets"]


def test_every_package_is_declared() -> None:
    tops = {"crdtmem": ROOT / "crdtmem", "crdtmem.sync": ROOT / "sync", "crdtmem.coherence": ROOT / "coherence"}
    there = {
        ".".join([name, *Path(folder).relative_to(top).parts])
        for name, top in tops.items()
        for folder, _, files in os.walk(top)
        if "__init__.py" in files
    }
    assert sorted(PACKAGES) == sorted(there)


@pytest.mark.parametrize("name", ["sync", "coherence"])
def test_the_links_into_the_package_lead_to_the_top_level_folders(name: str) -> None:
    assert os.readlink(ROOT / "crdtmem" / name) == f"../{name}"


@pytest.mark.parametrize(
    ("module", "brings"), [("crdtmem", []), ("crdtmem.sync", ["websockets"]), ("crdtmem.coherence", [])]
)
def test_importing_loads_no_optional_package(module: str, brings: list[str], tmp_path: Path) -> None:
    script = f"import sys, {module}; print(sorted((set({OPTIONAL}) - set({brings})) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
