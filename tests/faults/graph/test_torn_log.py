"""A write-ahead log that lost its end, as a loss of power leaves it: what is before the cut is there, whole."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition.opening import DATA_FOLDER
from tests.faults.graph.checking import Acknowledged, check
from tests.faults.graph.placing import NOTHING
from tests.faults.preload import Nursery


@pytest.fixture(scope="module")
def killed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the directory that a killed writer has left, and what it was told."""
    data = tmp_path_factory.mktemp("torn") / DATA_FOLDER
    data.mkdir()
    ended = nursery.run("single", data, NOTHING, kill_behind=20)
    assert ended.signal == signal.SIGKILL
    assert (data / "graph.db-wal").stat().st_size > 200_000
    return data, [line for line in ended.said if line.startswith("ack")]


@pytest.mark.parametrize("cut", [1, 100, 4_096, 20_000, 100_000])
def test_the_end_is_cut_off(killed: tuple[Path, list[str]], tmp_path: Path, cut: int) -> None:
    data, told = killed
    copy = shutil.copytree(data, tmp_path / DATA_FOLDER)
    with (copy / "graph.db-wal").open("r+b") as log:
        log.truncate((data / "graph.db-wal").stat().st_size - cut)
    kept = commits_kept(copy, told)
    assert kept >= len(told) - 1 - cut // 1_000
    check_prefix(copy, told[:kept])


def test_bytes_in_the_middle_are_others(killed: tuple[Path, list[str]], tmp_path: Path) -> None:
    data, told = killed
    chance = random.Random(5)
    for number in range(5):
        copy = shutil.copytree(data, tmp_path / str(number) / DATA_FOLDER)
        with (copy / "graph.db-wal").open("r+b") as log:
            log.seek(chance.randrange(100_000, 200_000))
            log.write(b"\x5a" * 3_000)
        check_prefix(copy, told[: commits_kept(copy, told)])


def commits_kept(data: Path, told: list[str]) -> int:
    """Return how many of the commits are there: the first ones, without a gap."""
    with closing(sqlite3.connect(data / "graph.db")) as connection:
        (head,) = connection.execute("SELECT max(position) FROM change").fetchone()
    return sum(int(line.split(" ")[1]) <= (head or 0) for line in told)


def check_prefix(data: Path, told: list[str]) -> None:
    """Check the file against the commits that it has."""
    acknowledged = Acknowledged()
    acknowledged.add(told)
    check(data, acknowledged)
