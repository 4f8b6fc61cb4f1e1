"""What strangers install: the wheel holds what is declared and no more, and importing crdtmem is cheap and quiet."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.layout import PACKAGES, ROOT
from tests.test_docs import blocks

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What comes along with an import, beside the standard library. The names after crdtmem are packages inside the others.
CORE = {"crdtmem", "msgspec", "nacl", "_cffi_backend", "_sodium", "typing_extensions"}
SLOW = {"asyncio", "email", "pycrdt", "sqlite3", "ssl"}  # what would show in the time that it takes

# Extra -> a package that comes with it, and who needs it. No module needs those of NEEDLESS: `vectors` makes a search
# quicker, the others are for those who work on crdtmem.
NEEDLESS = {"bench", "dev", "vectors"}
EXTRAS = [
    ("anthropic", "anthropic", "import crdtmem.adapters.anthropic"),
    ("anthropic", "anthropic", "import crdtmem.coherence.judges.anthropic"),
    ("langgraph", "langgraph", "import crdtmem.adapters.langgraph"),
    ("mcp", "mcp", "import crdtmem.adapters.mcp"),
    ("openai", "openai", "import crdtmem.coherence.judges.openai"),
    ("otel", "opentelemetry", "import crdtmem.telemetry"),
    ("tokens", "jwt", "import crdtmem; crdtmem.Peer(crdtmem.Replica('a').open(tenant='t'), dial=[], issuer=bytes(32))"),
]


def ran(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """What a Python process says; it must end well and complain of nothing."""
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# -- what is declared ------------------------------------------------------------------------------


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


# -- what an import brings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "brings"), [("crdtmem", set()), ("crdtmem.sync", {"websockets"}), ("crdtmem.coherence", set())]
)
def test_importing_loads_no_optional_package(module: str, brings: set[str], tmp_path: Path) -> None:
    script = f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    loaded = {name.partition(".")[0] for name in ran("-c", script, cwd=tmp_path).split()}
    assert loaded - sys.stdlib_module_names <= CORE | brings


def test_importing_crdtmem_loads_nothing_that_takes_long_and_no_outer_room(tmp_path: Path) -> None:
    loaded = set(ran("-c", "import crdtmem, sys; print(*sys.modules)", cwd=tmp_path).split())
    assert not loaded & SLOW
    assert not [name for name in loaded if name.startswith(("crdtmem.adapters", "crdtmem.cli", "crdtmem.sqlite"))]
    assert not [name for name in loaded if name.startswith(("crdtmem.sync", "crdtmem.coherence", "crdtmem.patterns"))]


def test_every_extra_is_named_by_the_error_of_who_lacks_it() -> None:
    assert {extra for extra, _, _ in EXTRAS} == PROJECT["optional-dependencies"].keys() - NEEDLESS


@pytest.mark.parametrize(("extra", "package", "use"), EXTRAS, ids=[f"{extra}: {use:.45}" for extra, _, use in EXTRAS])
def test_without_a_package_the_error_says_what_to_install(extra: str, package: str, use: str, tmp_path: Path) -> None:
    script = f"import sys; sys.modules[{package!r}] = None\ntry:\n    {use}\nexcept Exception as error: print(error)"
    assert f"pip install 'crdtmem[{extra}]'" in ran("-c", script, cwd=tmp_path)


# -- what is built ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this tree, and in `again/` the wheel of that sdist."""
    folder = tmp_path_factory.mktemp("built")
    passed_over = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=passed_over)
    build("wheel", folder / "tree", folder)
    build("sdist", folder / "tree", folder)
    [sdist] = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.3 and older know none
        tar.extractall(folder / "unpacked", **safely)
    [tree] = (folder / "unpacked").iterdir()
    build("wheel", tree, folder / "again")
    return folder


def build(what: str, tree: Path, folder: Path) -> None:
    """What pip does, without the network."""
    script = f"from setuptools import build_meta; build_meta.build_{what}({str(folder)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=tree, check=True, capture_output=True)


def wheel(folder: Path) -> zipfile.ZipFile:
    [path] = folder.glob("*.whl")
    assert path.name.endswith("-py3-none-any.whl")  # nothing to compile
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_module_once_and_nothing_else(built: Path) -> None:
    expected = {
        f"{package.replace('.', '/')}/{path.name}"
        for package, folder in PACKAGES.items()
        for path in folder.glob("*.py")
    }
    names = wheel(built).namelist()
    assert len(names) == len(set(names))
    assert {name for name in names if ".dist-info/" not in name} == expected | {"crdtmem/py.typed"}


def test_the_wheel_says_what_it_needs_and_names_its_command(built: Path) -> None:
    archive = wheel(built)
    [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
    said = HeaderParser().parsestr(archive.read(metadata).decode())
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("crdtmem", PROJECT["version"], "MIT")
    assert set(said.get_all("Provides-Extra", [])) == PROJECT["optional-dependencies"].keys()
    entry_points = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "crdtmem = crdtmem.cli:main" in entry_points
    assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())


def test_the_sdist_makes_the_same_wheel_and_leaves_out_what_is_not_for_users(built: Path) -> None:
    assert sorted(wheel(built / "again").namelist()) == sorted(wheel(built).namelist())
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        names = {name.split("/")[1] for name in tar.getnames() if "/" in name}
    assert names == {
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "coherence",
        "crdtmem",
        "crdtmem.egg-info",
        "pyproject.toml",
        "setup.cfg",
        "sync",
    }


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """Where the wheel is unpacked, for PYTHONPATH: before the tree that these tests run in."""
    wheel(built).extractall(built / "installed")
    return built / "installed"


def test_what_is_installed_is_what_runs(installed: Path, tmp_path: Path) -> None:
    script = """
import sys
import crdtmem.coherence, crdtmem.sync
print(*(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "crdtmem"))
"""
    for path in ran("-c", script, cwd=tmp_path, path=installed).split():
        assert Path(path).is_relative_to(installed)


def test_python_m_crdtmem_is_the_command(installed: Path, tmp_path: Path) -> None:
    assert ran("-m", "crdtmem", "version", cwd=tmp_path, path=installed) == f"{PROJECT['version']}\n"
    assert "relay" in ran("-m", "crdtmem", "--help", cwd=tmp_path, path=installed)


def test_what_the_readme_says_to_paste_works_in_two_shells(installed: Path, tmp_path: Path) -> None:
    pasted = next(block for language, block in blocks(README) if language == "python").strip()
    assert len(list(filter(None, pasted.splitlines()))) == 11
    with Terminal(installed, tmp_path) as one, Terminal(installed, tmp_path) as other:
        for shell in (one, other):
            shell.types(pasted)
        for shell in (one, other):
            shown = shell.shows(r"\n2400 headline: agent-.*\n").string
            assert "Error" not in shown and all(f"asks agent-{each.process.pid}'" in shown for each in (one, other))
            shell.types("print('digest', 'is', memory.digest())")
        assert one.shows(r"digest is (.+)\n")[1] == other.shows(r"digest is (.+)\n")[1]
        store = f"agent-{one.process.pid}.db"
        commands = re.findall(r"(?m)^crdtmem (\w+) agent-4711\.db", README)
        said = {command: commanded(installed, tmp_path, command, store) for command in commands}
        assert "1 open" in said.pop("doctor")
        assert said.keys() == {"timeline", "conflicts", "check"}
        assert all(f"draft {each.process.pid}" in text for each in (one, other) for text in said.values())
        for shell in (one, other):
            shell.types("exit()")
            assert shell.process.wait(timeout=60) == 0
    assert len([*tmp_path.glob("agent-*.db")]) == 2


def test_the_configuration_in_the_readme_starts_a_server(installed: Path, tmp_path: Path) -> None:
    [block] = re.findall(r"(?ms)^```json\n(.*?)^```", README)
    server = json.loads(block.replace("/home/ann", str(tmp_path)))["mcpServers"]["memory"]
    assert server["command"] == "crdtmem"
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    answer = json.loads(commanded(installed, tmp_path, *server["args"], said=json.dumps(hello) + "\n").splitlines()[0])
    assert answer["result"]["serverInfo"]["name"] == "crdtmem"
    assert (tmp_path / ".crdtmem").is_dir()


def commanded(installed: Path, folder: Path, *arguments: str, said: str = "") -> str:
    """What the command says; 1 is its code for something found."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "crdtmem", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, input=said, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and done.stderr == ""
    return done.stdout


class Terminal:
    """A Python shell in a terminal of its own, as somebody has it who types."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self._screen, far = os.openpty()
        environment = {**os.environ, "PYTHONPATH": str(installed), "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-q"], cwd=folder, stdin=far, stdout=far, stderr=far, env=environment
        )
        os.close(far)
        self.shows(">>> ")

    def types(self, text: str) -> None:
        os.write(self._screen, f"{text}\n".encode())

    def shows(self, pattern: str) -> re.Match[str]:
        """What comes, once all of it holds what is awaited; the test fails when nothing comes for a minute."""
        shown = b""
        while not (found := re.search(pattern, shown.decode(errors="replace").replace("\r", ""))):
            assert select.select([self._screen], [], [], 60)[0], f"{pattern!r} never came after {shown!r}"
            shown += os.read(self._screen, 4096)
        return found

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)
