"""Exit code 1 means "divergent": what the operating system or the configuration refuses is 2, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app
from tests.e2e.processes import made

GONE_KEY = """
[models]
default = "embedder"
[models.openai.embedder]
base_url = "http://127.0.0.1:9/v1"
dimension = 8
api_key_file = "gone"
"""


def assert_could_not_tell(directory: Path, *arguments: str) -> None:
    result = CliRunner().invoke(app, ["--dir", str(directory), *arguments])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert result.stderr.strip()


@pytest.mark.parametrize("arguments", [["verify"], ["status", "--check"], ["search", "x"], ["repair"]], ids=str)
def test_a_key_that_is_gone(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "slipstream.toml").write_text(GONE_KEY)
    assert_could_not_tell(tmp_path, *arguments)


@pytest.mark.parametrize("name", ["folder", "missing.jsonl"])
def test_what_is_no_file_is_not_imported(tmp_path: Path, name: str) -> None:
    directory = made(tmp_path / "pkg")
    (tmp_path / "folder").mkdir()
    assert_could_not_tell(directory, "import", str(tmp_path / name))
    assert_could_not_tell(directory, "apply", str(tmp_path / name))


@pytest.mark.parametrize("arguments", [["verify"], ["status", "--check"]], ids=str)
def test_a_file_in_the_place_of_the_directory(tmp_path: Path, arguments: list[str]) -> None:
    place = tmp_path / "pkg"
    place.write_text("no directory")
    assert_could_not_tell(place, *arguments)
