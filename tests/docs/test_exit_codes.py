"""The page of exit codes has a row for each command that can answer no, and each row is what really happens."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("` "): [cell.strip() for cell in cells[1:]]
    for cells in (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `"))
}

Change = Callable[[Path], object]


def _nothing(pkg: Path) -> None:
    """Leave it as it is."""


def _lost_record(pkg: Path) -> None:
    with closing(sqlite3.connect(pkg / ".slipstream" / "index.db")) as raw, raw:
        assert raw.execute("DELETE FROM records").rowcount == 1


def _no_key(pkg: Path) -> None:
    text = '[models]\ndefault = "e"\n[models.openai.e]\nbase_url = "http://127.0.0.1:9"\napi_key_file = "gone"\n'
    (pkg / "slipstream.toml").write_text(text)


def _dead_letter(pkg: Path) -> None:
    assert _run(pkg, "apply @mixed") == 1


def _no_config(pkg: Path) -> None:
    (pkg / "slipstream.toml").unlink()


def _a_failing_view(pkg: Path) -> None:
    with (pkg / "slipstream.toml").open("a") as file:
        file.write("[views.Person]\ntemplate = '{{ name * 9999999 }}'\n")


def _a_broken_view(pkg: Path) -> None:
    with (pkg / "slipstream.toml").open("a") as file:
        file.write("[views.Person]\ntemplate = '{{ name '\n")


REALITY: dict[tuple[str, int], tuple[Change, str]] = {
    ("verify", 0): (_nothing, "verify"),
    ("verify", 1): (_lost_record, "verify"),
    ("verify", 2): (_no_key, "verify"),
    ("repair", 0): (_lost_record, "repair"),
    ("repair", 1): (_lost_record, "repair --dry-run"),
    ("repair", 2): (_nothing, "repair --confirm nope"),
    ("status", 0): (_dead_letter, "status"),
    ("status", 2): (_no_key, "status"),
    ("status --check", 0): (_nothing, "status --check"),
    ("status --check", 1): (_dead_letter, "status --check"),
    ("status --check", 2): (_no_key, "status --check"),
    ("import", 0): (_nothing, "import @dump"),
    ("import", 1): (_nothing, "import @mixed"),
    ("import", 2): (_nothing, "import @wrong"),
    ("import --dry-run", 0): (_nothing, "import --dry-run @dump"),
    ("import --dry-run", 1): (_nothing, "import --dry-run @mixed"),
    ("import --dry-run", 2): (_nothing, "import --dry-run @wrong"),
    ("apply", 0): (_nothing, "apply @feed"),
    ("apply", 1): (_nothing, "apply @mixed"),
    ("apply", 2): (_nothing, "apply @wrong"),
    ("dead-letters replay", 0): (_nothing, "dead-letters replay --all"),
    ("dead-letters replay", 1): (_dead_letter, "dead-letters replay --all"),
    ("dead-letters replay", 2): (_nothing, "dead-letters replay nope"),
    ("export", 0): (_nothing, "export @out"),
    ("export", 2): (_nothing, "export @gone/out"),
    ("evidence verify", 2): (_nothing, "evidence verify nowhere.json"),
    ("migrate audit", 2): (_nothing, "migrate audit"),
    ("quality compare", 2): (_nothing, "quality compare"),
    ("quality search --tune", 2): (_nothing, "quality search nowhere.jsonl --tune"),
    ("views check", 0): (_nothing, "views check"),
    ("views check", 2): (_a_broken_view, "views check"),
    ("run", 2): (_no_key, "run"),
    ("demo", 2): (_nothing, "demo --entities 1"),
    ("backup", 2): (_nothing, "backup @dump"),
    ("get", 0): (_nothing, "get ada"),
    ("get", 1): (_nothing, "get ada nobody"),
    ("get", 2): (_no_key, "get ada"),
    ("neighbours", 0): (_nothing, "neighbours ada"),
    ("neighbours", 1): (_nothing, "neighbours nobody"),
    ("neighbours", 2): (_nothing, "neighbours ada --direction up"),
    ("history", 0): (_nothing, "history ada"),
    ("history", 1): (_nothing, "history nobody"),
    ("history", 2): (_nothing, "history ada --limit 0"),
    ("erase", 0): (_nothing, "erase ada --yes"),
    ("erase", 2): (_nothing, "erase ada"),
    ("delete", 0): (_nothing, "delete ada"),
    ("delete", 2): (_nothing, "delete nobody"),
    ("watch", 2): (_no_config, "watch"),
    ("doctor", 0): (_nothing, "doctor"),
    ("doctor", 1): (_no_key, "doctor"),
    ("doctor", 2): (_nothing, "doctor --nonsense"),
}
ELSEWHERE = {
    ("backup", 0): "tests/e2e/test_backup_cli.py",
    ("delete", 1): "tests/e2e/test_cli_changing.py",
    ("erase", 1): "tests/e2e/test_cli_erase.py",
    ("watch", 0): "tests/e2e/test_cli_watch.py",
    ("demo", 0): "tests/e2e/test_demo.py",
    ("demo", 1): "tests/e2e/test_demo.py",
    ("export", 1): "tests/e2e/test_backup_cli.py",
    ("migrate audit", 0): "tests/e2e/test_cli_migrate.py",
    ("migrate audit", 1): "tests/e2e/test_cli_migrate.py",
    ("quality compare", 0): "tests/e2e/test_cli_quality.py",
    ("quality search --tune", 0): "tests/e2e/test_cli_search_quality.py",
    ("quality search --tune", 1): "tests/e2e/test_cli_search_quality.py",
    ("quality compare", 1): "tests/e2e/test_cli_quality.py",
    ("evidence verify", 0): "tests/e2e/test_cli_evidence.py",
    ("evidence verify", 1): "tests/e2e/test_cli_evidence.py",
    ("run", 0): "tests/e2e/test_cli_audits.py",
    ("run", 1): "tests/e2e/test_cli_audits.py",
    ("views check", 1): "tests/e2e/test_cli_views.py",
}
"""What takes a migration, a signal or minutes."""


def _run(pkg: Path, call: str) -> int:
    words = [word.replace("@", f"{pkg.parent}/") for word in call.split()]
    result = CliRunner().invoke(app, ["--dir", str(pkg), *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exit-codes")
    node = {"type": "node", "id": "0", "labels": ["Person"], "properties": {"id": "ada", "name": "Ada"}}
    event = {"event_id": "e1", "event_type": "entity_created", "entity_id": "bob", "entity_type": "Person"}
    more = {"timestamp": "2026-01-01T00:00:00Z", "schema_version": 1, "new_data": {"name": "Bob"}}
    (root / "dump").write_text(json.dumps(node) + "\n")
    (root / "feed").write_text(json.dumps({**event, **more}) + "\n")
    (root / "mixed").write_text('{"type": "nonsense"}\n')
    (root / "wrong").write_text("id,name\n" + "1,Ada\n" * 30)
    pkg = root / "pkg"
    assert _run(pkg, "init") == 0
    (pkg / "slipstream.toml").write_text('[models]\ndefault = "wordllama-l2"\n')
    assert _run(pkg, "import @dump") == 0
    return root


@pytest.mark.parametrize(("row", "code"), REALITY)
def test_a_command_ends_with_the_code_of_its_row(made: Path, tmp_path: Path, row: str, code: int) -> None:
    change, call = REALITY[row, code]
    shutil.copytree(made, tmp_path / "all")
    change(tmp_path / "all" / "pkg")
    assert _run(tmp_path / "all" / "pkg", call) == code


def test_each_row_says_all_its_codes_and_each_is_tried() -> None:
    said = {
        (name, code)
        for name, cells in ROWS.items()
        for code, cell in enumerate(cells)
        if cell or code == 2  # whatever can not be done ends with 2
    }
    assert said == REALITY.keys() | ELSEWHERE.keys()
    assert all((ROOT / path).is_file() for path in ELSEWHERE.values())


def test_every_command_that_can_answer_no_has_a_row() -> None:
    """A new command that ends with 1 must be on the page: their number is that of the places in the code."""
    places = sum(
        len(re.findall(r"raise typer\.Exit\(EXIT_DIVERGENT\)", path.read_text(encoding="utf-8")))
        for path in (ROOT / "src" / "slipstream" / "cli").glob("*.py")
    )
    with_one = {name for name, cells in ROWS.items() if cells[1]}
    by_audit = {"verify", "repair", "migrate audit"}  # one place, `exit_by`
    by_lines = {"import", "apply"}  # one place, `finish`
    assert places == len(with_one - by_audit - by_lines) + 2
