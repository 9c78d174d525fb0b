"""The walkthrough, built in a project of its own as somebody outside would: it passes, and broken it fails."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from slipstream.testkit.broken.index import BROKEN_INDEXES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adapters" / "walkthrough.md").read_text(encoding="utf-8")
LINES_MAX = 150
_FENCE = "    WHERE excluded.position >= record.position\n"


def _files() -> dict[str, str]:
    """Return the files of the page: the blocks under one name, in their order."""
    files: dict[str, list[str]] = {}
    for name, code in re.findall(r"^<!-- (\w+\.py) -->\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        files.setdefault(name, []).append(code)
    return {name: "\n".join(blocks) for name, blocks in files.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the files of the page, and nothing of this repository."""
    for name, text in _files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _pytest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=900)


def test_the_adapter_is_short() -> None:
    assert _files()["tiny_index.py"].count("\n") < LINES_MAX


def test_the_project_passes_suite_kills_and_faults(project: Path) -> None:
    run = _pytest(project)
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > 80 + len(BROKEN_INDEXES), "suite, kill harness and faults really ran"


def test_an_adapter_without_its_fence_fails(project: Path) -> None:
    adapter = project / "tiny_index.py"
    text = adapter.read_text(encoding="utf-8")
    assert _FENCE in text
    adapter.write_text(text.replace(_FENCE, ""), encoding="utf-8")
    run = _pytest(project, "test_tiny_index.py", "-k", "fenced or positions")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "test_stale_upsert_is_fenced" in run.stdout
    assert re.search(r"assert \[\] == \[RecordKey", run.stdout), "the failure shows both sides"


def test_an_adapter_that_acknowledges_before_it_writes_fails_when_it_is_killed(project: Path) -> None:
    broken = """
from slipstream.testkit.broken.index import AcknowledgesBeforeWriting
from slipstream.testkit.killing import IndexKillSuite
from tiny_index import TinyIndex


def open_hasty(folder):
    return AcknowledgesBeforeWriting(TinyIndex(folder / "tiny.db"))


class TestHastyKilled(IndexKillSuite):
    opener = "test_hasty:open_hasty"
"""
    (project / "test_hasty.py").write_text(broken, encoding="utf-8")
    run = _pytest(project, "test_hasty.py")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert re.search(r"AssertionError: .*behind (upsert|delete) \d+", run.stdout), run.stdout


def test_the_page_tells_nothing_else_to_run_and_its_extra_exists() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert [block.strip() for block in blocks] == [
        'pip install "slipstream-pkg[testkit]"',
        "pytest test_tiny_index.py",
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(package.startswith("pytest") for package in project["optional-dependencies"]["testkit"])
