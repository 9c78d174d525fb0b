"""Several processes on one graph file: each hears of the others' commits, none is lost, nobody waits for the dead."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import LogEntry, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import Retention
from tests import warm
from tests.architecture.sources import ROOT
from tests.integration.graph_process import count, number_of, opened

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes as POSIX does")
PATIENCE_S = 120.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db"


@pytest.fixture
def graph(path: Path) -> Iterator[SqliteGraph]:
    graph = opened(path)
    for name in ("root", "counter", "ping", "pong"):
        graph.create_entity("Thing", name, {"n": 0})
    yield graph
    graph.close()


class Process:
    """Another process that works on the file."""

    def __init__(self, path: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "tests.integration.graph_process", str(path), *map(str, arguments)]
        self.popen = warm.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def heard(self) -> str:
        """Return the next line that it says, empty at its end."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def tell(self) -> None:
        """Let it go on."""
        _open(self.popen.stdin).write("on\n")
        _open(self.popen.stdin).flush()

    def finished(self) -> list[str]:
        """Wait for its end, and return what else it said; fails when it failed."""
        said, _ = self.popen.communicate(timeout=PATIENCE_S)
        assert self.popen.returncode == 0
        return said.splitlines()


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def processes(path: Path, *each: tuple[object, ...]) -> Iterator[list[Process]]:
    """Run other processes; whatever happens, none is left."""
    started = [Process(path, *arguments) for arguments in each]
    try:
        yield started
    finally:
        for process in started:
            process.popen.kill()
            process.popen.communicate()


def _followed(graph: SqliteGraph, through: Position) -> list[LogEntry]:
    """Follow the log by waiting, from its beginning to a position."""
    found: list[LogEntry] = []
    while not found or position_of(found[-1]) < through:
        after = position_of(found[-1]) if found else ORIGIN
        assert graph.feed.wait(after, PATIENCE_S)
        found += graph.feed.read(after, 7)
    return found


def test_a_waiting_process_hears_of_each_commit_of_another_one(graph: SqliteGraph, path: Path) -> None:
    """A ball is played to and fro: each side waits for the other one's commit, and nobody looks at a clock."""
    with processes(path, ("echo", graph.feed.head(), 20)) as (other,):
        assert other.heard() == "ready"
        for number in range(20):
            position = graph.update_entity("ping", {"n": number + 1})
            assert graph.feed.wait(position, PATIENCE_S)
            (answer,) = graph.feed.read(position, 10)
            assert (answer.position, number_of(graph, "pong")) == (int(other.heard()), number + 1)
        other.finished()
    assert not graph.feed.wait(graph.feed.head(), 0.0)


def test_two_processes_that_count_end_at_the_sum(graph: SqliteGraph, path: Path) -> None:
    with processes(path, ("count", "counter", 150), ("count", "counter", 150)) as others:
        count(graph, "counter", 50)
        for other in others:
            other.finished()
    assert number_of(graph, "counter") == 350
    numbers = [
        entry.new_data["n"]
        for entry in graph.feed.read(ORIGIN, 10_000)
        if isinstance(entry, PKGEvent) and entry.entity_id == "counter" and entry.new_data
    ]
    assert numbers == list(range(351))


def test_who_follows_misses_nothing_of_what_several_processes_commit(graph: SqliteGraph, path: Path) -> None:
    """They bring new types, too: each is in the schema as soon as the feed has returned it."""
    with processes(path, ("write", "A", 60), ("write", "B", 60)) as others:
        positions = [int(line) for other in others for line in other.finished()]
        followed = _followed(graph, Position(max(positions)))
    assert followed == graph.feed.read(ORIGIN, 10_000)
    assert {position_of(entry) for entry in followed} >= set(positions)
    assert graph.counts() == {"Thing": 4, "FromA": 60, "FromB": 60, "COMES_FROM": 120}
    assert {"FromA", "FromB"} <= graph.schema().entity_types.keys()
    with opened(path).transaction() as tx:  # what a new process would see
        assert tx.position == graph.feed.head()


def test_what_a_process_acknowledged_holds_for_the_others(graph: SqliteGraph, path: Path) -> None:
    other = opened(path)
    with processes(path, ("write", "A", 5)) as (writer,):
        positions = [Position(int(line)) for line in writer.finished()]
    other.feed.acknowledge("index", positions[2])
    other.close()
    graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0))
    assert position_of(graph.feed.read(positions[2], 1)[0]) == positions[2] + 1


def test_a_process_that_is_killed_in_its_transaction_leaves_nothing_and_blocks_nobody(
    graph: SqliteGraph, path: Path
) -> None:
    before = (graph.feed.head(), graph.counts(), graph.schema())
    for _ in range(3):
        with processes(path, ("die", "counter")) as (other,):
            assert other.heard() == "inside"
            assert other.popen.wait(PATIENCE_S) == -signal.SIGKILL
        assert (graph.feed.head(), graph.counts(), graph.schema()) == before
        assert number_of(graph, "counter") == 0
    position = graph.update_entity("counter", {"n": 1})  # nobody is waited for
    assert position == before[0] + 1


def test_a_process_that_holds_its_transaction_is_waited_for(graph: SqliteGraph, path: Path) -> None:
    with processes(path, ("hold", "counter"), ("hold", "counter")) as others:
        for other in _in_turn(others):
            assert number_of(graph, "counter") < 2  # what is not committed is not seen, and no reader waits
            other.tell()
        count(graph, "counter", 1)
        for other in others:
            other.finished()
    assert number_of(graph, "counter") == 3


def _in_turn(others: list[Process]) -> Iterator[Process]:
    """Yield each process when it is inside its transaction, whoever is first."""
    with selectors.DefaultSelector() as selector:
        for other in others:
            selector.register(_open(other.popen.stdout), selectors.EVENT_READ, other)
        for _ in others:
            key, _events = selector.select(PATIENCE_S)[0]
            assert key.data.heard() == "inside"
            selector.unregister(key.fileobj)
            yield key.data


def test_a_process_that_is_killed_while_it_waits_its_turn_blocks_nobody(graph: SqliteGraph, path: Path) -> None:
    with processes(path, ("queue", "counter")) as (waiter,):
        assert waiter.heard() == "open"
        with processes(path, ("hold", "counter")) as (holder,):
            assert holder.heard() == "inside"
            waiter.tell()
            assert waiter.heard() == "begins"
            os.kill(waiter.popen.pid, signal.SIGKILL)
            waiter.popen.wait(PATIENCE_S)
            holder.tell()
            holder.finished()
    count(graph, "counter", 1)
    assert number_of(graph, "counter") == 2


def test_opening_waits_for_no_writer(graph: SqliteGraph, path: Path) -> None:
    with graph.transaction() as tx:
        tx.create_entity("Thing", "unfinished")
        with_reader = opened(path)
        assert with_reader.counts() == {"Thing": 4}
        with_reader.close()
