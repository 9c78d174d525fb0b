"""The README's Python and shell snippets run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import slipstream
from slipstream.cli.app import app
from slipstream.http import serve

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SERVED = "http://127.0.0.1:8420"


def test_the_python_quick_start_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snippet = PYTHON[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102  (our own README)
    output = capsys.readouterr().out.splitlines()
    assert "Ada Lovelace" in output[0]
    assert output[-1] == "1.0"


def test_the_server_of_the_readme_is_asked_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, of_a_client = PYTHON
    (curl,) = [line for line in re.findall(r"^\$ (curl .*)$", README, re.MULTILINE) if SERVED in line]
    exec(compile(PYTHON[0], "README.md", "exec"), {})  # noqa: S102  (our own README)
    with slipstream.open("my-pkg") as slip, serve(slip, "127.0.0.1:0") as server:
        capsys.readouterr()
        exec(compile(of_a_client.replace(SERVED, server.url), "README.md", "exec"), {})  # noqa: S102
        assert capsys.readouterr().out == "Ada Lovelace\n"
        if shutil.which("curl") is None:
            pytest.skip("there is no curl here")
        asked = subprocess.run(shlex.split(curl.replace(SERVED, server.url)), check=True, capture_output=True)
    assert json.loads(asked.stdout)["hits"][0]["entity_id"] == "ada"


def test_the_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    node = {"type": "node", "id": "0", "labels": ["Person"], "properties": {"id": "ada", "name": "Ada"}}
    (tmp_path / "graph.jsonl").write_text(json.dumps(node) + "\n")
    event = {
        "event_id": "1",
        "event_type": "entity_updated",
        "entity_id": "ada",
        "entity_type": "Person",
        "timestamp": "2026-01-01T00:00:00Z",
        "new_data": {"name": "Ada Lovelace"},
        "schema_version": 1,
    }
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "my-pkg init" in block)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) > 8
    for program, *arguments in commands:
        assert program == "slipstream"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)
