"""A backup or a restore that is killed leaves what was there, or what was to come; and the next one cleans up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm

ROOT = Path(__file__).parents[2]
OLD = {"entities": 1, "incident": False, "consistent": True, "old_settings": True}
NEW = {"entities": 10, "incident": False, "consistent": True, "old_settings": False}


def _walk(folder: Path, kind: str, calls: str) -> list[dict[str, Any]]:
    """Kill before some calls; `all` are walked through by hand, see docs/backup.md."""
    command = [sys.executable, "-m", "tests.faults.backup_kill_worker", str(folder), kind, calls]
    done = warm.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("kind", "calls", "turn"), [("restore", "exchange,replace,rmdir", 1), ("fallback", "rename", 2)]
)
def test_a_killed_restore_leaves_the_old_pkg_or_the_new_one(tmp_path: Path, kind: str, calls: str, turn: int) -> None:
    places = _walk(tmp_path, kind, calls)
    assert len(places) == 3
    for number, found in enumerate(places):
        first, after = found["looks"]
        expected = OLD if number < turn else NEW
        assert {**first, "left": 0} == {**expected, "left": 0}, found
        assert first["left"] <= 1, found
        assert after == {**NEW, "left": 0}, found


def test_a_killed_backup_is_none_and_the_next_one_removes_it(tmp_path: Path) -> None:
    places = _walk(tmp_path, "backup", "mkdir,rename")
    assert {found["call"] for found in places} == {"mkdir", "rename"}
    for found in places:
        first, after = found["looks"]
        assert first["whole"] == [], found
        assert first["left"] <= 1, found
        assert after == {"whole": [10], "left": 0}, found
