"""A disk that is full, fails or writes too little: the commit raises, readers go on, the next one works."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from slipstream.app.composition.opening import DATA_FOLDER
from tests.faults.graph.checking import Acknowledged, check, check_engine
from tests.faults.preload import Call, Ended, Fault, Kind, Nursery

FOR_EVER = 1_000_000
FULL, BROKEN = errno.ENOSPC, errno.EIO
FAULTS = {
    "no room": (Kind.FAIL, Call.WRITE | Call.TRUNCATE, FULL),
    "writes fail": (Kind.FAIL, Call.WRITE, BROKEN),
    "writes are short": (Kind.SHORT, Call.WRITE, FULL),
    "syncs fail": (Kind.FAIL, Call.SYNC, BROKEN),
    "truncates fail": (Kind.FAIL, Call.TRUNCATE, BROKEN),
}
FAILING = [name for name in FAULTS if name not in ("truncates fail", "writes are short")]
"""Those that a commit can not do without. (SQLite goes on behind a short write until it is complete.)"""


def run(nursery: Nursery, data: Path, scenario: str, fault: str, first: int, last: int) -> Ended:
    """Run a worker over a fault, which it must survive, and check what it leaves."""
    kind, calls, error = FAULTS[fault]
    ended = nursery.run(scenario, data, Fault(str(data / "graph.db"), first, last, kind, calls, error))
    assert (ended.signal, ended.error) == (None, "")
    assert ended.said[-1] == "closed"
    acknowledged = Acknowledged()
    acknowledged.add(line for line in ended.said if line.startswith("ack"))
    acknowledged.gone |= failed(ended).keys()
    check(data, acknowledged)
    return ended


def failed(ended: Ended) -> dict[str, str]:
    """Return which commits failed, and how."""
    lines = (line.split(" ", 2) for line in ended.said if line.startswith("failed"))
    return {name: reason for _, name, reason in lines}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pkg" / DATA_FOLDER
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_every_commit_fails_until_it_works_again(nursery: Nursery, data: Path, fault: str) -> None:
    ended = run(nursery, data, "disk commits", fault, 1, FOR_EVER)
    reads = [line for line in ended.said if line.startswith("read")]
    assert len(reads) == 7
    assert all(line.startswith("read 1 ") for line in reads)
    if fault in FAILING:
        assert len(failed(ended)) == 6
        reason = "the disk is full; free some space" if fault == "no room" else "look after the disk"
        assert all(reason in each for each in failed(ended).values())
    check_engine(data, data.parent)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_fault_costs_one_commit_at_most(nursery: Nursery, data: Path, fault: str) -> None:
    for first in (1, 2, 3, 7, 20):
        ended = run(nursery, data, "disk commits", fault, first, first)
        assert len(failed(ended)) <= 1


@pytest.mark.parametrize("fault", ["no room", "writes fail", "writes are short"])
def test_amid_a_commit_that_spills(nursery: Nursery, data: Path, fault: str) -> None:
    """What does not fit into memory is written before the commit, and SQLite rolls back by itself."""
    ended = run(nursery, data, "disk large", fault, 3_000, FOR_EVER)
    assert [line.split()[0] for line in ended.said] == ["failed", "read", "ack", "closed"] or (
        fault == "writes are short" and "failed" not in ended.said[0]
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_upkeep_and_closing_on_a_broken_disk(nursery: Nursery, data: Path, fault: str) -> None:
    ended = run(nursery, data, "disk upkeep", fault, 1, FOR_EVER)
    assert sum(line.startswith("read 1 ") for line in ended.said) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_opening_on_a_broken_disk(nursery: Nursery, data: Path, fault: str) -> None:
    ended = run(nursery, data, "disk opening", fault, 1, FOR_EVER)
    if fault in FAILING:
        assert len(failed(ended)) == 1
    run(nursery, data, "disk opening", fault, 1, FOR_EVER)
