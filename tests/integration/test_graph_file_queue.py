"""Writers of several processes queue: a single commit gets in between those of a bulk writer."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from slipstream.adapters.sqlite import queueing
from slipstream.adapters.sqlite.queueing import WriterQueue
from slipstream.domain.errors import UnavailableError
from tests import warm
from tests.integration.graph_files import opened
from tests.integration.queue_writer import BULK_ROWS

BULK, SINGLE = 80, 30


def test_single_commits_get_in_between_those_of_a_bulk_writer(tmp_path: Path) -> None:
    with started(tmp_path, "bulk", BULK) as bulk, started(tmp_path, "single", SINGLE) as single:
        begin(bulk)
        assert heard(bulk.stdout) == "begun"
        begin(single)
        told, _ = single.communicate()
        bulk.communicate()
    *waited, end = told.split()
    assert end == "ended"
    passed = [int(rows) / BULK_ROWS for rows in waited]
    assert len(passed) == SINGLE
    assert sum(passed) <= 1.5 * SINGLE  # the one under way, and now and then one that was quicker
    assert max(passed) <= 4
    graph = opened(tmp_path)
    assert graph.counts() == {"Bulk": BULK * BULK_ROWS, "Single": SINGLE}
    graph.close()


def started(directory: Path, kind: str, count: int) -> warm.Popen[str]:
    """Start a writer, and wait until it has opened the graph."""
    command = [sys.executable, "-m", "tests.integration.queue_writer", str(directory / "graph.db"), kind, str(count)]
    writer = warm.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert heard(writer.stdout) == "opened"
    return writer


def begin(writer: warm.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("begin\n")
    writer.stdin.flush()


def heard(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline().rstrip()


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "slipstream-queue"]


def open_files(directory: Path) -> int:
    return sum(
        str(directory) in os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
    )


def test_one_that_gave_up_gives_back_what_it_gets(tmp_path: Path) -> None:
    holder, other = WriterQueue(tmp_path / "lock"), WriterQueue(tmp_path / "lock", wait_s=0.01)
    holder.acquire()
    for _ in range(3):
        with pytest.raises(UnavailableError, match=r"has been writing for 0\.01 s"):
            other.acquire()
    assert len(waiters()) == 3
    holder.release()
    for waiter in waiters():
        waiter.join(30)
    third = WriterQueue(tmp_path / "lock")
    third.acquire()
    third.close()
    holder.close()
    other.close()
    if Path("/proc/self/fd").exists():
        assert open_files(tmp_path) == 0


def test_ctrl_c_while_it_waits_leaves_the_queue_as_it_was(tmp_path: Path) -> None:
    holder, other = WriterQueue(tmp_path / "lock"), WriterQueue(tmp_path / "lock")
    holder.acquire()

    def interrupt() -> None:
        while not waiters():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        other.acquire()
    holder.release()
    while waiters():
        pass  # it gets the lock, and gives it back
    for queue in (other, holder, other):
        queue.acquire()
        queue.release()
    holder.close()
    other.close()


def test_ctrl_c_just_as_it_gets_its_turn_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, other = WriterQueue(tmp_path / "lock"), WriterQueue(tmp_path / "lock")
    holder.acquire()
    wait = threading.Event.wait

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout != queueing.WAIT_S:
            return wait(event, timeout)
        holder.release()
        wait(event, 30)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        other.acquire()
    monkeypatch.undo()
    third = WriterQueue(tmp_path / "lock", wait_s=0)
    third.acquire()
    third.close()
    holder.close()
    other.close()


def test_one_that_was_stopped_while_it_is_next_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "_NEXT_TRIES", 3)
    queue = WriterQueue(tmp_path / "lock")
    queue.acquire()
    queue.release()
    with (tmp_path / "lock-next").open() as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        queue.acquire()
        assert _is_locked(tmp_path / "lock")
        queue.release()
    assert not _is_locked(tmp_path / "lock")
    queue.close()


def _is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
