"""The guide for adapter authors: its code runs, and it names every port and capability that there is."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from slipstream.ports import clock, cypher, embedder, feed, graph, index, journal, lease, requests, sql, sync_view

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adapters" / "writing-an-adapter.md").read_text(encoding="utf-8")
PORTS = [
    graph.GraphReader, graph.GraphWriter, graph.RestoreMarks, feed.ChangeFeed, sync_view.SyncView, cypher.Cypher,
    sql.Sql, index.VectorIndex, journal.Journal, journal.DeadLetters, journal.MessageStore, lease.Lease,
    requests.Requests, embedder.Embedder, embedder.EmbeddingCache, clock.Clock,
]  # fmt: skip


def _run_suite(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "test_guide.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-x"]
    return subprocess.run(
        [*command, "--rootdir", str(directory), "-c", str(ROOT / "pyproject.toml"), str(directory / "test_guide.py")],
        cwd=directory, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


@pytest.fixture
def code() -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))


def test_the_example_is_a_whole_test_file_that_passes(code: str, tmp_path: Path) -> None:
    run = _run_suite(code, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > 30, "the suite really ran"


def test_the_example_fails_for_an_adapter_that_ignores_positions(code: str, tmp_path: Path) -> None:
    broken = "\nMemoryIndex._upsert = lambda self, r: bool(self._records.setdefault(r.stamp.key, {}).update({r.stamp.space: r}) or True)\n"  # noqa: E501
    run = _run_suite(code + broken, tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "FAILED" in run.stdout


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_every_port_is_named(port: type) -> None:
    assert f"`{port.__name__}`" in GUIDE
    assert f"`{port.__module__}`" in GUIDE


def test_every_capability_is_named() -> None:
    names = {field.name for kind in (graph.GraphCapabilities, index.IndexCapabilities) for field in fields(kind)}
    assert [name for name in sorted(names) if f"| `{name}` |" not in GUIDE] == []
