"""Branch coverage of each module from its own tests alone: prints a table, exits with 1 if a module is below 100 %.

    python -m tests.coverage_by_module              the pure modules and every field
    python -m tests.coverage_by_module values set   some modules

The tests of crdtmem/values.py are tests/test_values.py, and so on. Every module is measured in a process of its own,
so that nothing another test has run counts.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from coverage import Coverage

from tests.layout import MODULES, ROOT

WHOLE = [
    *(f"crdtmem.{name}" for name in ("values", "namespace", "clock", "change", "entry", "yupdate")),
    *(name for name in MODULES if name.startswith("crdtmem.fields.")),
]


def measured(path: Path) -> tuple[float, str]:
    """The coverage of a module in percent, and its row of the table."""
    tests = ROOT / "tests" / f"test_{path.stem}.py"
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/coverage"
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "coverage",
                "run",
                f"--data-file={data}",
                "-m",
                "pytest",
                "-q",
                "--no-cov",
                str(tests),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            return 0.0, f"{path.relative_to(ROOT)}: its tests fail\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        coverage = Coverage(data_file=data, config_file=str(ROOT / "pyproject.toml"))
        coverage.load()
        table = io.StringIO()
        percent = coverage.report(include=[str(path)], show_missing=True, file=table)
        return percent, table.getvalue().splitlines()[2]


def main(wanted: list[str]) -> int:
    names = [name for name in MODULES if name.split(".")[-1] in wanted] if wanted else WHOLE
    worst = 100.0
    print(f"{'module':<32} statements  missed  branches  partial  coverage  missing")
    for name in names:
        percent, row = measured(MODULES[name])
        print(row, flush=True)
        worst = min(worst, percent)
    return int(worst < 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
