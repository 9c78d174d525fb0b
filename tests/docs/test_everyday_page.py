"""The session of docs/everyday.md runs, and says what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "everyday.md").read_text(encoding="utf-8")
STEPS = [
    (command, told)
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for command, *told in (part.splitlines() for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
]


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
