"""An owner that is stopped (SIGSTOP) and goes on: another one has taken over, and its own writes are refused."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import slipstream
from slipstream.app.composition import DATA_FOLDER
from tests.e2e.processes import Process, command, made

_SILENCE_S = 3.0
LONG_S = 120.0


class Worker(Process):
    """A worker, told what to do by lines."""

    def __init__(self, directory: Path, silence_s: float = _SILENCE_S) -> None:
        super().__init__("-m", "tests.faults.process_worker", str(directory), str(silence_s))
        self.role = self.heard()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.heard()


def stop(process: Process, directory: Path) -> None:
    """Stop it outside of a write: inside of one SQLite lets nobody write until it goes on (test_lease_processes)."""
    for _ in range(100):
        process.send(signal.SIGSTOP)
        while not _stands(process.process.pid):
            time.sleep(0.001)
        if all(_can_write(directory / DATA_FOLDER / name) for name in ("index.db", "graph.db")):
            return
        process.send(signal.SIGCONT)
    raise AssertionError("it is always writing")


def _stands(pid: int) -> bool:
    """Whether every thread of a process is stopped."""
    threads = [thread.read_text() for thread in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(text.rpartition(")")[2].split()[0] == "T" for text in threads)


def _can_write(path: Path) -> bool:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0.2)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.send(signal.SIGCONT)
        process.close()


def test_run_that_was_stopped_is_replaced_and_then_stands_by(directory: Path, started: list[Process]) -> None:
    old = command(directory, "run")
    started.append(old)
    old.wait_for("running")
    new = Worker(directory)
    started.append(new)
    assert new.role == "guest"
    assert new.ask("write ada before").startswith("searchable")
    stop(old, directory)
    assert new.ask("write ada behind").startswith("searchable")
    old.send(signal.SIGCONT)
    old.wait_for("standing by")
    assert new.ask("write ada afterwards").startswith("searchable")
    assert new.ask("verify") == "consistency 1"
    old.send(signal.SIGTERM)
    assert old.ended() == 0
    with slipstream.open(directory, run=False) as pkg:
        assert pkg.search("afterwards", 1, mode="vector").hits[0].text == "afterwards"


def test_what_a_replaced_owner_writes_is_refused(directory: Path, started: list[Process]) -> None:
    old = Worker(directory)
    new = Worker(directory)
    started += [old, new]
    assert (old.role, new.role) == ("owner", "guest")
    assert old.ask("write ada before").startswith("searchable")
    stop(old, directory)
    assert new.ask("write bob behind").startswith("searchable")
    for line in ("mark ada", "mark bob"):
        old.tell(line)
    old.send(signal.SIGCONT)
    assert [old.heard().split(":")[0], old.heard().split(":")[0]] == ["LeaseLostError"] * 2
    # The graph is everybody's; only the engine is not its own any more.
    assert "another process has taken over" in old.ask("write carol late")
    assert old.ask("reopen") == "guest"
    assert old.ask("write carol again").startswith("searchable")
    assert old.ask("verify") == "consistency 1"
    new.kill()
    assert old.ask("write dave later").startswith("searchable")
    assert old.ask("verify") == "consistency 1"
