"""The source tree as pyproject.toml declares it: import name of every package and module -> its file."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent

_setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def _folder(package: str) -> Path:
    """A package lies where package-dir maps it, else inside its parent."""
    if package in _setuptools["package-dir"]:
        return ROOT / _setuptools["package-dir"][package]
    parent, _, name = package.rpartition(".")
    return _folder(parent) / name


PACKAGES: dict[str, Path] = {package: _folder(package) for package in _setuptools["packages"]}

MODULES: dict[str, Path] = {
    package if path.stem == "__init__" else f"{package}.{path.stem}": path
    for package, folder in PACKAGES.items()
    for path in sorted(folder.glob("*.py"))
}
