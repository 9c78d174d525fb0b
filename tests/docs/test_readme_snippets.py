"""The README's Python and shell snippets run as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_python_quick_start_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102  (our own README)
    output = capsys.readouterr().out.splitlines()
    assert "Ada Lovelace" in output[0]
    assert output[-1] == "1.0"


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
        if arguments[0] == "bench":
            continue  # a minute of its own: tests/e2e/test_bench.py runs it
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)
