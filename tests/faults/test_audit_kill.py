"""Real `kill -9` in the middle of audits and repairs: what follows is right, and a repair goes on where it was."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests import warm
from tests.faults.audit_kill_worker import ENTITIES, open_for_test

DAMAGED = 1_100


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a PKG that is in line, once; each test damages a copy."""
    root = tmp_path_factory.mktemp("filled")
    with open_for_test(root) as slipstream:
        with slipstream.pkg.transaction() as transaction:
            for number in range(ENTITIES):
                transaction.create_entity("Person", f"p{number:05}", {"name": f"Person {number}"})
        assert slipstream.sync.drain(timeout_s=60)
    return root


def damage(root: Path) -> None:
    with closing(sqlite3.connect(root / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("DELETE FROM records WHERE key IN (SELECT key FROM records ORDER BY key LIMIT ?)", (DAMAGED,))


def kill(root: Path, action: str, failpoint: str, count: int = 1) -> None:
    command = [sys.executable, "-m", "tests.faults.audit_kill_worker", str(root), action, failpoint, str(count)]
    done = warm.run(command, capture_output=True, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout[-500:], done.stderr[-2000:])


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [
        ("audit_ledger.before", 1),
        ("audit_ledger.after", 1),
        ("leaves.clear.before", 1),
        ("leaves.clear.after", 1),
        ("leaves.put.before", 1),
        ("leaves.put.after", 1),
        ("audit_ledger.before", 2),
        ("audit_ledger.after", 2),
        ("audit.keep.before", 1),
        ("audit.keep.after", 1),
    ],
)
def test_a_full_audit_that_dies_leaves_nothing_that_misleads_the_next_one(
    filled: Path, tmp_path: Path, failpoint: str, count: int
) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    kill(tmp_path, "full", failpoint, count)
    damage(tmp_path)
    with open_for_test(tmp_path, run=False) as slipstream:
        report = slipstream.verify(incremental=True)
        assert len(report.divergences["missing"]) == DAMAGED
        assert report.expected == ENTITIES


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [("leaves.put.before", 1), ("leaves.put.after", 1), ("audit_ledger.before", 1), ("audit_ledger.after", 1)],
)
def test_an_incremental_audit_that_dies_is_as_if_it_had_not_been(
    filled: Path, tmp_path: Path, failpoint: str, count: int
) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    with open_for_test(tmp_path) as slipstream:
        slipstream.verify()
        with slipstream.pkg.transaction() as transaction:
            for number in range(0, ENTITIES, 10):
                transaction.update_entity(f"p{number:05}", {"name": f"changed {number}"})
            transaction.delete_entity("p00007")
        assert slipstream.sync.drain(timeout_s=60)
    kill(tmp_path, "incremental", failpoint, count)
    with open_for_test(tmp_path, run=False) as slipstream:
        report = slipstream.verify(incremental=True)
        assert report.counts() == slipstream.verify().counts()
        assert (report.is_consistent, report.expected) == (True, ENTITIES - 1)


@pytest.mark.parametrize(
    ("failpoint", "count"), [("repair.before", 1), ("repair.after", 1), ("repair.before", 3), ("repair.after", 3)]
)
def test_a_confirmed_repair_that_dies_goes_on_where_it_was(
    filled: Path, tmp_path: Path, failpoint: str, count: int
) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    damage(tmp_path)
    with open_for_test(tmp_path, run=False) as slipstream:
        audit_id = slipstream.verify().kept_id
    kill(tmp_path, "repair", failpoint, count)
    with open_for_test(tmp_path) as slipstream:
        if (failpoint, count) == ("repair.before", 1):
            assert slipstream.repairer.unfinished is None  # it had not even begun
            plan = slipstream.repairer.braked(audit_id)
            assert plan is not None
            result = slipstream.repairer.confirm(plan.id)
            assert result.keys == DAMAGED
        else:
            assert slipstream.repairer.unfinished == audit_id
            result = slipstream.repairer.repair()
            assert result.keys == DAMAGED - {1: 0, 3: 500 if failpoint == "repair.before" else 1000}[count]
        assert slipstream.repairer.unfinished is None
        assert slipstream.sync.drain(timeout_s=60)
        assert slipstream.repairer.verify(result).is_consistent
        assert slipstream.verify().consistency == 1.0


@pytest.mark.parametrize("failpoint", ["scrub.before", "scrub.after"])
def test_a_scrub_that_dies_is_due_again_or_done(filled: Path, tmp_path: Path, failpoint: str) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    kill(tmp_path, "scrub", failpoint)
    with open_for_test(tmp_path, run=False) as slipstream:
        assert ("full" in slipstream.scrubber.state.ended_at) == (failpoint == "scrub.after")
        assert slipstream.verify(incremental=True).is_consistent
