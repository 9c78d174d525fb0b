"""The lease among real processes: killed, stopped and gone on, and racing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from tests import warm

_ROOT = Path(__file__).parents[2]
_WORKER = "tests.faults.lease_worker"
_SILENCE_S = 2.0
_NEVER_S = 10_000.0


class Worker:
    """One process; told what to do by lines."""

    def __init__(self, path: Path, silence_s: float) -> None:
        command = [sys.executable, "-m", _WORKER, str(path), str(silence_s)]
        self.process = warm.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)

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

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def silence_s() -> float:
    """Return after how long an owner that is not heard of is replaced."""
    return _SILENCE_S


@pytest.fixture
def workers(path: Path, silence_s: float) -> Iterator[list[Worker]]:
    workers = [Worker(path, silence_s) for _ in range(4)]
    for worker in workers:
        assert worker.heard() == "ready"
    yield workers
    for worker in workers:
        worker.end()


def _value(path: Path) -> str | None:
    store = SqliteStore(path, shared=True)
    try:
        return store.journal.get("value")
    finally:
        store.close()


@pytest.mark.parametrize("silence_s", [_NEVER_S])
def test_who_waits_follows_an_owner_that_was_killed_without_missing_it_first(workers: list[Worker]) -> None:
    owner = workers[0]
    assert owner.ask("acquire 0") == "owned 1"
    for number, waiter in enumerate(workers[1:], 2):
        assert owner.ask(f"write {number}") == f"wrote {number}"
        waiter.tell("acquire 60")
        owner.kill()
        assert waiter.heard() == f"owned {number}"
        owner = waiter


def test_a_stopped_owner_is_replaced_and_writes_nothing_when_it_goes_on(workers: list[Worker], path: Path) -> None:
    old, new = workers[:2]
    assert old.ask("acquire 0") == "owned 1"
    assert old.ask("write old") == "wrote old"
    old.stop()
    assert new.ask("acquire 60") == "owned 2"
    assert new.ask("write new") == "wrote new"
    for late in ("late", "later"):
        old.tell(f"write {late}")
    old.go_on()
    assert [old.heard(), old.heard()] == ["LeaseLostError"] * 2
    assert _value(path) == "new"
    assert old.ask("acquire 0") == "in vain"
    new.kill()
    assert old.ask("acquire 60") == "owned 3"
    assert old.ask("write again") == "wrote again"


def test_one_of_many_waiters_replaces_a_stopped_owner(workers: list[Worker], path: Path) -> None:
    old, waiters = workers[0], workers[1:]
    assert old.ask("acquire 0") == "owned 1"
    old.stop()
    for waiter in waiters:
        waiter.tell(f"acquire {5 * _SILENCE_S}")
    assert sorted(waiter.heard() for waiter in waiters) == ["in vain", "in vain", "owned 2"]
    old.go_on()
    assert old.ask("write late") == "LeaseLostError"
    assert _value(path) is None


def test_an_owner_that_is_stopped_inside_a_write_ends_it_before_anybody_takes_over(
    workers: list[Worker], path: Path
) -> None:
    """SQLite lets nobody write until it goes on: it is waited for, and what it was writing counts."""
    old, new = workers[:2]
    assert old.ask("acquire 0") == "owned 1"
    assert old.ask("hold old") == "holding"
    old.stop()
    assert new.ask(f"acquire {3 * _SILENCE_S}") in ("in vain", "UnavailableError")
    new.tell("acquire 60")
    old.go_on()
    assert old.ask("") == "wrote old"
    assert _value(path) == "old"
    old.kill()
    assert new.heard() == "owned 2"


@pytest.mark.parametrize("silence_s", [_NEVER_S])  # nobody is taken for dead who is only slow
def test_processes_that_race_never_both_have_it(workers: list[Worker]) -> None:
    rounds, racing = 50, workers[:2]

    def run(worker: Worker) -> list[int]:
        worker.tell(f"race {rounds}")
        return [int(worker.heard().removeprefix("owned ")) for _ in range(rounds)]

    with ThreadPoolExecutor(len(racing)) as pool:
        epochs = [epoch for found in pool.map(run, racing) for epoch in found]
    assert sorted(epochs) == list(range(1, rounds * len(racing) + 1))
    assert [worker.heard() for worker in racing] == ["done"] * len(racing)
