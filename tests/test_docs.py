"""Every Python block of every page runs, every console block prints what it says, and so does every docstring example.

The blocks of one page share one namespace and run in order, in an empty folder. A fence names its language, and
`python` or `console` stands alone in it, so that no block escapes by a tag. In a console block a line that begins with
`$ ` is typed into a shell, which lives as long as the block; what follows is what it prints, with `...` for whatever.
"""

import doctest
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from tests.layout import MODULES, ROOT
from tests.provider import Turn, provider

FREE = {"json", "mermaid", "sh", "text", "toml"}
FOLDERS = ["benchmarks", "coherence", "docs", "sync", "tests"]
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])

# What the model says on pages that talk to one.
SCRIPTS: dict[str, list[Turn]] = {
    "docs/tools.md": [
        [("recall", {"query": "churn"}), ("remember", {"fact": "Churn is 4.7 %.", "why": "the user said so"})],
        "Noted: churn is 4.7 %.",
    ],
    "docs/memory-tool.md": [
        [("memory", {"command": "create", "path": "/memories/likes.md", "file_text": "coffee\n"})],
        "I have noted that you like coffee.",
    ],
}


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The blocks of a page that run: python, padded with blank lines so that a traceback names the line, or console."""
    fence, language, start, block = "", "", 0, list[str]()
    for number, line in enumerate(page.splitlines(keepends=True), start=1):
        mark = re.match(r" *(`{3,}|~{3,})(.*)", line)
        if not fence and mark:
            fence, language, start, block = mark[1], mark[2].strip(), number, []
            if language not in ("python", "console") and language not in FREE:
                raise ValueError(f"line {number}: a block is python, console or of {sorted(FREE)}, not {language!r}")
        elif fence and line.strip() == fence:
            if language not in FREE:
                yield language, "\n" * (start if language == "python" else 0) + dedent("".join(block))
            fence = ""
        elif fence:
            block.append(line)
    if fence:
        raise ValueError(f"line {start}: this block never ends")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", namespace)
    with provider(SCRIPTS.get(str(path.relative_to(ROOT)), [""])) as local, ExitStack() as company:
        for name, where in (("ANTHROPIC", local.url), ("OPENAI", f"{local.url}/v1")):
            monkeypatch.setenv(f"{name}_BASE_URL", where)
            monkeypatch.setenv(f"{name}_API_KEY", "none")
        found = list(blocks(path.read_text()))
        if path == ROOT / "README.md":  # its first Python block is for two shells
            company.enter_context(pasted_elsewhere(next(block for language, block in found if language == "python")))
        for language, block in found:
            if language == "python":
                exec(compile(block, path, "exec"), vars(namespace))
            else:
                typed(block)


# What differs from run to run, and what stands for it: marks of entries and findings, times, versions.
VARYING = [
    (r"\b[0-9a-f]{8}\b", "mark"),
    (r"[A-Za-z0-9_-]{26,}", "token"),
    (r"\d{4}-\d\d-\d\d", "date"),
    (r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d\b", "date"),
    (r"T?\d\d:\d\d(:\d\d)?(\.\d+)?|:\d\d\b|\b\d\d-\d\d\b", "time"),
]


def typed(block: str) -> None:
    """Type the commands of a console block into a shell; each prints what stands behind it."""
    commands = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    said = [re.match(r"((?:.*\\\n)*.*)\n?((?:.|\n)*)", one) for one in commands]
    script = "".join(f"_code=$?; printf '\\0'; (exit $_code)\n{one[1]}\n" for one in said if one)
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("CRDTMEM_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.run(
        ["bash", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**surroundings, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    for one, got in zip(said, shell.stdout.split("\0")[1:], strict=True):
        assert one is not None
        want = one[2]
        for varying, stands in VARYING:
            want, got = re.sub(varying, stands, want), re.sub(varying, stands, got)
        if not doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
            pytest.fail(f"$ {one[1]}\nprinted\n{got}\nand the page says\n{want}", pytrace=False)


@contextmanager
def pasted_elsewhere(block: str) -> Iterator[None]:
    """A Python shell in this folder that has run a block, and stays."""
    shell = subprocess.Popen(
        [sys.executable, "-i", "-c", block], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        shell.communicate()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text())):
        if not re.match(r"\w+:", link):  # a page of the web is not ours to keep
            target, _, anchor = link.partition("#")
            there = path if not target else path.parent / target
            assert there.exists(), link
            assert not anchor or anchor in anchors(there.read_text()), link


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1 *$", "", page)


def anchors(page: str) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_map_names_every_page_and_the_incidents_every_story() -> None:
    docs = ROOT / "docs"
    assert {page.name for page in docs.glob("*.md")} - {"README.md"} <= linked(docs / "README.md")
    assert {story.name for story in (ROOT / "tests/incidents").glob("test_*.py")} == {
        link for link in linked(docs / "incidents.md") if link.startswith("test_")
    }


def linked(path: Path) -> set[str]:
    """The names of the files that a page links to."""
    return {link.partition("#")[0].rpartition("/")[2] for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())}


@pytest.mark.parametrize("name", MODULES)
def test_the_docstring_examples_of_a_module_hold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(example, out=report.append)
    if report:
        pytest.fail("".join(report), pytrace=False)


def test_anchors_are_those_of_headings_and_nothing_of_a_block_is_prose() -> None:
    page = "# Who is, who?\n\n```text\n# not [this](x)\n```\n\n## `at`, then\n"
    assert anchors(page) == {"who-is-who", "at-then"} and "(x)" not in prose(page)


def test_blocks_keep_their_line_numbers_and_lose_their_indent() -> None:
    page = "Text.\n\n- item\n\n  ```python\n  if True:\n      x = 1\n  ```\n\n```sh\nrm\n```\n"
    assert list(blocks(page)) == [("python", "\n" * 5 + "if True:\n    x = 1\n")]


@pytest.mark.parametrize("fence", ["```python no-run", "```py", "```", "~~~pycon", "```console x", "```python\n"])
def test_no_block_escapes_by_its_fence(fence: str) -> None:
    with pytest.raises(ValueError, match=r"a block is python, console or of|never ends"):
        list(blocks(f"{fence}\nx = 1\n"))


def test_a_console_block_is_typed_and_what_it_prints_compared() -> None:
    typed(
        "$ x=one\n$ echo $x; echo \\\n  two\none\ntwo\n$ echo 'a b c'; false\na...c\n$ echo $? at 12:30\n1 at 09:15\n"
    )
    with pytest.raises(pytest.fail.Exception, match=r"printed\nb\n"):
        typed("$ true\n$ echo b\na\n")
    with pytest.raises(pytest.fail.Exception, match=r"printed\nb\n"):
        typed("$ echo b\n")
