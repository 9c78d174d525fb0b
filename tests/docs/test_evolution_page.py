"""The page on evolution: its example runs, and its commands and options are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "evolution.md").read_text(encoding="utf-8")


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "evolution.md", "exec"), {})  # noqa: S102  (our own page)
    assert capsys.readouterr().out.splitlines() == [
        "{'Person': {'added': ['title'], 'removed': [], 'retyped': []}} ['Person'] True",
        "1",
        "1",
    ]


def test_every_command_and_option_is_known() -> None:
    for line in re.findall(r"^\$ slipstream (.*)$", PAGE, re.MULTILINE):
        words = line.split("#")[0].split()
        command = [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert shown.exit_code == 0, line
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
        assert all(word in plain for word in words if word.startswith("--")), line
