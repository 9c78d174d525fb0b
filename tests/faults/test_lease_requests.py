"""A request outlives the process that was at it: the one that takes over does it, and answers whoever asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.remote.calling import Caller
from tests import warm

_ROOT = Path(__file__).parents[2]
_LONG_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def workers(path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes, the first of which runs the engine."""
    command = [sys.executable, "-m", "tests.faults.request_worker", str(path)]
    workers: list[subprocess.Popen[str]] = []
    for lines in (2, 1):
        workers.append(warm.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT))
        heard = {_heard(workers[-1]) for _ in range(lines)}
        assert heard == ({"ready", "serving"} if lines == 2 else {"ready"})
    yield workers
    for worker in workers:
        worker.kill()
        worker.communicate()


def _heard(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def test_the_next_owner_does_what_a_killed_one_was_asked(path: Path, workers: list[subprocess.Popen[str]]) -> None:
    begun, told = threading.Event(), []

    def on_progress(done: int) -> None:
        told.append(done)
        begun.set()

    with closing(SqliteStore(path, shared=True)) as store, ThreadPoolExecutor(1) as pool:
        caller = Caller(store.requests, store.audits, SystemClock(), patience_s=_LONG_S)
        audit = pool.submit(caller.call, "verify", on_progress)
        assert begun.wait(_LONG_S)
        workers[0].send_signal(signal.SIGKILL)
        assert _heard(workers[1]) == "serving"
        assert not audit.done()
        path.with_name("go").touch()
        report = audit.result(_LONG_S)
        assert (report.position, report.is_consistent) == (7, True)
        request = store.requests.look(1)
        assert request is not None
        assert request.attempts == 2
        assert caller.call("scrubber.health") == "ok"
