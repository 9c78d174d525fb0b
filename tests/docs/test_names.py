"""What pages and docstrings name is there: modules, files, commands, settings, tables of the graph file."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tools.docs import configuration
from typer.main import get_command

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.cli.app import app

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "slipstream"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent.name != "adr"]
"""Those that speak of what is, and not of what was."""
_MODULE = re.compile(r"`(slipstream(?:\.\w+)+)`")
_FILE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.py)`")
_SETTING = re.compile(r"`\[(\w+(?:\.\w+)*)\] (\w+)`")
_LINE = re.compile(r"^(?:\$ )?(slipstream .+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _is_there(dotted: str) -> bool:
    parts = dotted.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.parametrize("path", [*TEXTS, PACKAGE], ids=_shown)
def test_every_module_and_name_that_is_spelled_out_is_there(path: Path) -> None:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    named = {name for file in files for name in _MODULE.findall(file.read_text(encoding="utf-8"))}
    # A PKG that is opened is called `slipstream` in some pages: its members are names too.
    members = dir(importlib.import_module("slipstream").Slipstream)
    # So are those of spans, loggers and files, which the code has as texts.
    sources = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    emitted = set(re.findall(r'"(slipstream(?:\.\w+)+)"', sources))
    gone = [name for name in sorted(named - emitted) if not _is_there(name)]
    assert [name for name in gone if name.split(".")[1] not in members] == []


@pytest.mark.parametrize("page", TEXTS, ids=_shown)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = set(_FILE.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not any((base / name).is_file() for base in (ROOT, PACKAGE))] == []


@pytest.mark.parametrize("page", TEXTS, ids=_shown)
def test_every_setting_that_is_named_is_one(page: Path) -> None:
    known = {name: configuration.keys(model) for name, model in configuration.sections()}
    named = set(_SETTING.findall(page.read_text(encoding="utf-8")))
    assert [f"[{section}] {key}" for section, key in sorted(named) if key not in known.get(section, {})] == []


def _commands(page: Path) -> Iterator[str]:
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in _LINE.findall(block.replace("\\\n", " ")):
            yield re.split(r"\s(?:[|<>&]|2>)", line)[0]


def _parsed(line: str) -> None:
    """Parse a line as the program would, without running it; raises what the program would refuse it with."""
    command: Any = get_command(app)
    words = shlex.split(line, comments=True)[1:]
    context = command.make_context("slipstream", words, resilient_parsing=False)
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, words, parent=context)


@pytest.mark.parametrize("page", [page for page in TEXTS if list(_commands(page))], ids=_shown)
def test_every_command_is_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = []
    for line in _commands(page):
        try:
            _parsed(line)
        except Exception as error:  # noqa: BLE001  (whatever refuses it)
            refused.append(f"{line}: {error!r}")
    assert refused == []


def test_a_command_that_is_not_there_is_refused() -> None:
    for line in ("slipstream verify --depp 3", "slipstream verfy", "slipstream audits show one"):
        with pytest.raises(Exception, match=r"depp|verfy|integer"):
            _parsed(line)


def test_the_page_of_the_graph_file_has_its_tables_and_columns(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "graph.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page.partition("\n## Tables\n")[2], re.MULTILINE))
    SqliteGraph(tmp_path / "graph.db", clock=SystemClock()).close()
    with closing(sqlite3.connect(tmp_path / "graph.db")) as raw:
        tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        columns = {name: [row[1] for row in raw.execute(f"PRAGMA table_xinfo({name})")] for name in tables}
    own = {name for name in tables if not name.startswith("sqlite_")}
    assert own <= rows.keys()
    assert [
        (name, column) for name in sorted(own) for column in columns[name] if not re.search(rf"\b{column}\b", page)
    ] == []


def test_every_public_name_is_loaded() -> None:
    import slipstream

    assert [name for name in slipstream.__all__ if not hasattr(slipstream, name)] == []
    assert all(inspect.getdoc(getattr(slipstream, name)) for name in slipstream.__all__ if name != "__version__")
