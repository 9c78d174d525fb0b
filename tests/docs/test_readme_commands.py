"""The commands that the README gives are the ones that continuous integration runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci" / "run"
_MARKED = re.compile(r"^<!-- (?P<name>[a-z]+)-command -->\n```sh\n(?P<command>[^\n]+)\n```$", re.MULTILINE)


def marked_commands() -> dict[str, str]:
    """Return the README's marked commands by name; each is a single line."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return {match["name"]: match["command"] for match in _MARKED.finditer(readme)}


def test_continuous_integration_runs_the_very_test_command_of_the_readme() -> None:
    lines = CI.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == marked_commands()["test"], "the last line decides the exit status"
    assert os.access(CI, os.X_OK), "run `chmod +x .ci/run`"


def test_newer_pythons_are_tried_before_the_suite() -> None:
    """The script finds by itself which ones are declared; the oldest is that of the suite."""
    assert ".ci/pythons" in CI.read_text(encoding="utf-8").splitlines()
    assert os.access(CI.with_name("pythons"), os.X_OK), "run `chmod +x .ci/pythons`"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.findall(r'^    "Programming Language :: Python :: 3\.(\d+)",$', project, re.MULTILINE)
    assert declared == sorted(declared, key=int)
    assert f'requires-python = ">=3.{declared[0]}"' in project


@pytest.mark.parametrize("name", ["demo", "test"])
def test_a_marked_command_needs_nothing_but_pip_and_the_lock_file(name: str) -> None:
    first, _, second = marked_commands()[name].partition(" && ")
    assert first == "pip install uv"
    assert second.startswith("uv run --locked ")
    assert (ROOT / "uv.lock").is_file()
