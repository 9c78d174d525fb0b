"""Real `kill -9` at every step of a migration: one generation is live, never a mix, and the migration goes on."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from slipstream.recipes.generations import Phase
from tests import warm
from tests.depth import first_few
from tests.faults.migration_kill_worker import COMMITTED, NEW, OLD, finish, models_seen, open_for_test

STEPS = range(2, 11)
"""Changes of the generations: start, pause, resume, built, cut over, roll back, cut over, drop, end of the drop."""

CASES = [
    *[("sqlite", "generations.before", step) for step in STEPS],
    *[("sqlite", "generations.after", step) for step in STEPS[::3]],
    *[("sqlite", COMMITTED, step) for step in STEPS[1::3]],
    *[("sqlite", f"migration_scan.{moment}", count) for moment in ("before", "after") for count in (1, 4)],
    *[("sqlite", f"recipe.{moment}", count) for moment in ("before", "after") for count in (2, 3)],
    *[("sqlite", failpoint, count) for failpoint in ("embed.before", "embed.after") for count in (12, 20)],
    *[("sqlite", f"index.upsert.{moment}", 15) for moment in ("before", "middle", "after")],
    *[("sqlite", f"index.delete.{moment}", count) for moment in ("before", "after") for count in (1, 2)],
    *[("chroma", COMMITTED, step) for step in (2, 6, 7, 9)],
    *[("chroma", failpoint, 15) for failpoint in ("index.upsert.middle", "journal.commit.before")],
]
MORE = [
    *[("sqlite", "generations.after", step) for step in STEPS if step not in STEPS[::3]],
    *[("sqlite", COMMITTED, step) for step in STEPS if step not in STEPS[1::3]],
    *[("sqlite", f"migration_scan.{moment}", count) for moment in ("before", "after") for count in (2, 3, 5)],
]


def _killed(root: Path, adapter: str, failpoint: str, count: int) -> int:
    command = [sys.executable, "-m", "tests.faults.migration_kill_worker", str(root), adapter, failpoint, str(count)]
    run = warm.run(command, capture_output=True, timeout=600, check=False)
    assert run.returncode == -signal.SIGKILL, (run.returncode, run.stdout[-300:], run.stderr[-2000:])
    acknowledged = [line for line in run.stdout.decode().splitlines() if line.startswith("ack ")]
    return int(acknowledged[-1].split()[1]) if acknowledged else 0


@pytest.mark.parametrize(("adapter", "failpoint", "count"), first_few([*CASES, *MORE], len(CASES)))
def test_killed_in_a_migration_one_generation_is_live_and_it_goes_on(
    tmp_path: Path, adapter: str, failpoint: str, count: int
) -> None:
    acknowledged = _killed(tmp_path, adapter, failpoint, count)
    with open_for_test(tmp_path, adapter) as slip:
        before = slip.migrations.generations
        assert models_seen(slip) == {before.live.model_of("Person")}
        assert slip.pkg.feed.head() >= acknowledged
        slip.sync.drain(timeout_s=60, migration=False)
        assert slip.verify().is_consistent
        wanted = NEW if count % 2 else OLD
        finish(slip, wanted=wanted)
        assert models_seen(slip) == {wanted}
        report = slip.verify()
        assert report.is_consistent, report.divergences
        assert slip.migrations.status().phase is Phase.ALONE
        assert {stamp.space.model_id for stamp in slip.store.index.scan(None, 100_000)} == {wanted}
        assert slip.status().dead_letters == 0
