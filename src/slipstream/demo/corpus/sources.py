"""Where the sources of the installed packages and of the standard library are."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from slipstream.demo.corpus.report import CorpusReport

PYTHON = "python"
"""The package that stands for the interpreter and its standard library."""

_TESTS = frozenset({"test", "tests", "idle_test"})
_MODULES_MAX = 20_000
"""Per package: more than any real one has."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The source of one module; `shown` is its path below the directory that is on the import path."""

    module: str
    path: Path
    shown: str

    @property
    def is_package(self) -> bool:
        """Whether this is the `__init__` of a package."""
        return self.path.name == "__init__.py"


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One package of the environment; `distribution` is None for Python itself."""

    name: str
    version: str
    distribution: metadata.Distribution | None
    stdlib: Path | None = None


def canonical_name(name: str) -> str:
    """Return a package name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_packages(site_paths: Sequence[str] | None, stdlib: Path | None) -> dict[str, InstalledPackage]:
    """
    Return the installed packages by canonical name: Python, then the others in order; the first on the path wins.

    `site_paths` None means the import path of this process, `stdlib` None the standard library of this Python.
    """
    found = (
        metadata.distributions() if site_paths is None else metadata.distributions(path=[str(p) for p in site_paths])
    )
    root = stdlib or Path(sysconfig.get_path("stdlib"))
    packages: dict[str, InstalledPackage] = {}
    for distribution in found:
        name = distribution.metadata["Name"]
        if name:  # a half-removed installation has no name
            packages.setdefault(
                canonical_name(name), InstalledPackage(name, distribution.version or "unknown", distribution)
            )
    packages.pop(PYTHON, None)
    return {PYTHON: InstalledPackage(PYTHON, platform.python_version(), None, root), **dict(sorted(packages.items()))}


def source_files(package: InstalledPackage, report: CorpusReport) -> list[SourceFile]:
    """Return the sources of a package's modules by module name, tests left out."""
    files: dict[str, SourceFile] = {}
    for path, shown in _paths(package, report):
        module = module_name(shown)
        if module is not None and (package.name != PYTHON or module.partition(".")[0] in sys.stdlib_module_names):
            files.setdefault(module, SourceFile(module, path, shown))
        if len(files) >= _MODULES_MAX:
            report.skip("more modules than the limit", package.name)
            break
    return [files[module] for module in sorted(files)]


def module_name(shown: str) -> str | None:
    """Return the module that a relative path is the source of; None for tests and for what can not be imported."""
    path = PurePosixPath(shown)
    parts = [*path.parts[:-1], path.stem]
    if path.suffix != ".py" or not all(part.isidentifier() for part in parts) or _TESTS.intersection(parts[:-1]):
        return None
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or None


def installed_file(package: InstalledPackage) -> Path | None:
    """Return the file whose modification time is that of the installation, None when there is none."""
    if package.stdlib is not None:
        candidates = [package.stdlib / "os.py"]
    else:
        files = _listed(package.distribution) or []
        # RECORD is what an installer writes last; METADATA may be older, linked from its cache.
        by_name = {file.name: path for file, path in files if file.parent.suffix == ".dist-info"}
        candidates = [by_name[name] for name in ("RECORD", "METADATA") if name in by_name]
    return next((path for path in candidates if path.is_file()), None)


def _paths(package: InstalledPackage, report: CorpusReport) -> Iterator[tuple[Path, str]]:
    if package.stdlib is not None:
        yield from _walk(package.stdlib)
        return
    files = _listed(package.distribution)
    if files is None:
        report.skip("no file list", package.name)
        return
    editable = _is_editable(package.distribution)
    for file, path in files:
        if file.suffix == ".py":
            yield path, file.as_posix()
        elif editable and file.suffix == ".pth":
            yield from _walk_linked(path, package, report)


def _listed(distribution: metadata.Distribution | None) -> list[tuple[PurePosixPath, Path]] | None:
    """
    Return the files that an installation lists, and where they are or should be; None when it lists none.

    `Distribution.files` leaves out what is gone, from Python 3.12 on.
    """
    if distribution is None:
        return None
    record = distribution.read_text("RECORD")
    if record is not None:
        files = [PurePosixPath(row[0]) for row in csv.reader(record.splitlines()) if row]
    elif distribution.files is not None:
        files = [PurePosixPath(file) for file in distribution.files]
    else:
        return None
    return [(file, Path(str(distribution.locate_file(file)))) for file in files]


def _is_editable(distribution: metadata.Distribution | None) -> bool:
    text = distribution.read_text("direct_url.json") if distribution else None
    try:
        origin = json.loads(text) if text else {}
    except ValueError:  # an installer's note that is damaged says nothing: the package counts as copied
        return False
    return bool(isinstance(origin, dict) and origin.get("dir_info", {}).get("editable"))


def _walk_linked(link: Path, package: InstalledPackage, report: CorpusReport) -> Iterator[tuple[Path, str]]:
    """Walk the source directories that an editable installation links to."""
    try:
        lines = link.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        report.skip("unreadable link", f"{package.name}: {error}")
        return
    for line in lines:
        if line and Path(line).is_dir():
            yield from _walk(Path(line))


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    for directory, names, files in os.walk(root):
        here = Path(directory)
        # Also prunes site-packages, __pycache__ and whatever else is not an importable directory.
        names[:] = sorted(name for name in names if name.isidentifier() and name not in _TESTS | {"__pycache__"})
        for file in sorted(files):
            yield here / file, (here / file).relative_to(root).as_posix()
