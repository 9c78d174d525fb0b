"""The session of docs/everyday.md runs, and says what the page says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app
from tests.docs import first_ten_minutes

STEPS = list(first_ten_minutes.steps(first_ten_minutes.ROOT / "docs" / "everyday.md"))


def test_each_command_runs_and_says_what_stands_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command, told in STEPS:
        program, *words = shlex.split(command)
        assert program == "slipstream"
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        assert result.exit_code == 0, (command, result.output)
        missing = [line for line in told if line not in result.output]
        assert not missing, (command, result.output)
    used = {shlex.split(command)[1] for command, _ in STEPS if command != "slipstream"}
    assert {"add", "set", "relate", "unrelate", "delete", "get", "list", "neighbours", "history", "doctor"} <= used
