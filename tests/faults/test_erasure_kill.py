"""Real `kill -9` between all steps of an erasure: the next open finishes it, and not one word is left."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest

from slipstream.app.erasure.state import load
from tests import warm
from tests.integration.erasure_world import ID, build_next, fill, is_known, leave_traces, opened, traces
from tests.until import until

KILLED = [f"erasure.{moment}:{count}" for count in range(1, 8) for moment in ("before", "after")]
"""Before and after each word in the journal of how far it is, from asked for to done."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made: dict[str, Path] = {}
    for adapter in ("sqlite", "chroma"):
        made[adapter] = tmp_path_factory.mktemp(adapter)
        with opened(made[adapter], adapter) as slip:
            fill(slip)
            build_next(slip)
            leave_traces(slip)
    return made


CASES = [
    *[("sqlite", place) for place in (*KILLED, "index.delete.before:1", "index.delete.after:1")],
    *[("chroma", place) for place in ("erasure.after:2", "erasure.after:6", "erasure.before:8", "erasure.after:8")],
]
"""Over Chroma there is one step more: its own store, before the journal's."""


@pytest.mark.parametrize(("adapter", "place"), CASES)
def test_an_erasure_that_was_killed_is_finished_by_the_next_open(
    tmp_path: Path, filled: dict[str, Path], adapter: str, place: str
) -> None:
    made = filled[adapter]
    root = tmp_path / "pkg"
    shutil.copytree(made, root)
    failpoint, _, count = place.partition(":")
    command = [sys.executable, "-m", "tests.faults.erasure_kill_worker", str(root), adapter, failpoint, count]
    run = warm.run(command, capture_output=True, timeout=120, check=False)
    assert run.returncode == -signal.SIGKILL, (run.returncode, run.stdout[-300:], run.stderr[-2000:])

    with opened(root, adapter) as slip:
        assert slip.incident is None
        if place == "erasure.before:1":  # nothing was promised yet
            assert is_known(slip)
            slip.erase(ID, with_neighbours_text=True)
        until(lambda: load(slip.journal) is None)
        assert not is_known(slip)
        assert traces(root) == []
        assert slip.verify(deep=10_000).is_consistent
        assert slip.migrations.audit().is_consistent
        assert len(list((root / "receipts").glob("erased-*.json"))) == 1
    assert traces(root) == []
