"""The page on migrations: its example runs, its phases and steps are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app
from slipstream.recipes.generations import Phase

PAGE = (Path(__file__).parents[2] / "docs" / "migrations.md").read_text(encoding="utf-8")


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "migrations.md", "exec"), {})  # noqa: S102  (our own page)
    plan, text = capsys.readouterr().out.splitlines()
    assert "texts=1" in plan
    assert text == "Ada Lovelace, born in 1815"


def test_the_phases_are_the_real_ones() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [phase.value for phase in Phase]


def test_every_command_is_known() -> None:
    named = set(re.findall(r"slipstream migrate ([a-z-]+)", PAGE))
    shown = CliRunner().invoke(app, ["migrate", "--help"]).output
    assert {"start", "cut-over", "roll-back", "drop", "status"} <= named
    assert all(re.search(rf"\b{command}\b", shown) for command in named)
