"""Audits of a real PKG while mutations flow: no false alarm, no divergence missed."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.testkit.embedders import HashEmbedder
from tests.depth import deeper, examples

ENTITIES = 600
CHANGES_PER_S = 150.0
AUDITS = examples(4, 40)

pytestmark = [pytest.mark.timeout(1_200), deeper]  # polite audits beside writers take minutes on a busy machine


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "pkg"


@pytest.fixture
def pkg(directory: Path) -> Iterator[Slipstream]:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(directory, create=True, options=options) as slipstream:
        with slipstream.pkg.transaction() as transaction:
            for number in range(ENTITIES):
                transaction.create_entity("Person", f"p{number}", {"name": f"Person {number}"})
        assert slipstream.sync.drain(timeout_s=60)
        yield slipstream


@contextmanager
def mutations(slipstream: Slipstream) -> Iterator[list[int]]:
    """Create, change back and forth, delete and recreate entities at a steady rate while the block runs."""
    ending, done, failures = threading.Event(), [0], list[BaseException]()
    rng = random.Random(7)

    def mutate() -> None:
        number = 0
        while not ending.wait(1 / CHANGES_PER_S):
            number += 1
            victim = f"p{rng.randrange(100)}"  # few of them, so that many change while they are looked at
            try:
                if number % 10 == 0:
                    slipstream.pkg.delete_entity(victim)
                    slipstream.pkg.create_entity("Person", victim, {"name": "again"})
                else:
                    slipstream.pkg.update_entity(victim, {"name": f"name {number % 2}"})
            except BaseException as error:
                failures.append(error)
                raise
            done[0] += 1

    thread = threading.Thread(target=mutate)
    thread.start()
    try:
        yield done
    finally:
        ending.set()
        thread.join()
    assert not failures


def break_behind_its_back(directory: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(directory / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("DELETE FROM records WHERE key = 'e:p300'")
        raw.execute("UPDATE records SET fingerprint = 'forged' WHERE key = 'e:p400'")
        raw.execute(
            "UPDATE vectors SET vector = zeroblob(64) WHERE record = (SELECT id FROM records WHERE key = 'e:p500')"
        )
    return {"missing": ["p300"], "stale": ["p400"], "corrupt": ["p500"]}


@pytest.mark.parametrize("incremental", [False, True], ids=["full", "incremental"])
def test_no_false_alarm_while_mutations_flow(pkg: Slipstream, incremental: bool) -> None:
    pkg.verify()
    with mutations(pkg) as done:
        reports = [pkg.verify(incremental=incremental) for _ in range(AUDITS)]
        while done[0] < 100:  # the audits were quicker than the traffic
            reports.append(pkg.verify(incremental=incremental))
    assert [report.counts() for report in reports if report.is_divergent] == []
    assert {report.kind for report in reports} == {"incremental" if incremental else "full"}
    assert pkg.sync.drain(timeout_s=60)
    last = pkg.verify(incremental=incremental)
    assert (last.consistency, last.unsettled, last.expected) == (1.0, 0, ENTITIES)
    assert last.graph_digest == last.index_digest


@pytest.mark.parametrize("incremental", [False, True], ids=["full", "incremental"])
def test_no_divergence_is_missed_while_mutations_flow(pkg: Slipstream, directory: Path, incremental: bool) -> None:
    pkg.verify()
    with mutations(pkg) as done:
        while done[0] < 20:
            pkg.verify(incremental=incremental)
        expected = break_behind_its_back(directory)
        report = pkg.verify(incremental=incremental)
        assert {name: [key.id for key in keys] for name, keys in report.divergences.items() if keys} == expected
        assert pkg.repair(report) == 3
        while pkg.sync.engine.pending() and not pkg.verify(incremental=incremental).is_consistent:
            assert done[0] < 100_000
    assert pkg.sync.drain(timeout_s=60)
    assert pkg.verify().consistency == 1.0
