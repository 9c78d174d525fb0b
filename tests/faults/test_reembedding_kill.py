"""Real `kill -9` while selected records are embedded anew: what was selected gets done, all of it."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from slipstream.domain.journal_names import SELECTIONS
from tests import warm
from tests.depth import first_few
from tests.faults.migration_kill_worker import PEOPLE, fill, open_for_test
from tests.faults.reembedding_kill_worker import REASON

PAGES = range(1, 8)
"""Changes of what is selected: it is kept, five pages and the end are reached."""

CASES = [
    *[("sqlite", f"selections.{moment}", n) for moment in ("before", "after") for n in PAGES[::3]],
    *[("sqlite", f"index.restamp.{moment}", n) for moment in ("before", "after") for n in (1, 3)],
    *[("sqlite", f"embed.{moment}", n) for moment in ("before", "after") for n in (1, 3)],
    *[("sqlite", f"index.upsert.{moment}", n) for moment in ("before", "middle", "after") for n in (1, 3)],
    *[("sqlite", f"journal.commit.{moment}", n) for moment in ("before", "after") for n in (2, 8, 10)],
    *[("chroma", f"selections.{moment}", n) for moment in ("before", "after") for n in (2, 4)],
    *[("chroma", failpoint, 2) for failpoint in ("index.restamp.after", "index.upsert.middle")],
]
MORE = [("sqlite", f"selections.{moment}", n) for moment in ("before", "after") for n in PAGES if n not in PAGES[::3]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a PKG with each kind of index, once; each test works on a copy."""

    @cache
    def made(adapter: str) -> Path:
        root = tmp_path_factory.mktemp(adapter)
        with open_for_test(root, adapter) as slip:
            fill(slip)
            assert slip.sync.drain(timeout_s=60)
        return root

    return made


@pytest.mark.parametrize(("adapter", "failpoint", "count"), first_few([*CASES, *MORE], len(CASES)))
def test_killed_while_embedding_anew_the_rest_is_done_later(
    filled: Callable[[str], Path], tmp_path: Path, adapter: str, failpoint: str, count: int
) -> None:
    shutil.copytree(filled(adapter), tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tests.faults.reembedding_kill_worker"]
    run = warm.run(
        [*command, str(tmp_path), adapter, failpoint, str(count)], capture_output=True, timeout=600, check=False
    )
    assert run.returncode == -signal.SIGKILL, (run.returncode, run.stdout[-300:], run.stderr[-2000:])
    with open_for_test(tmp_path, adapter) as slip:
        slip.reembedding.resume()
        assert slip.journal.get(SELECTIONS) is None
        assert slip.journal.work_count() == 0
        stamps = list(slip.store.index.scan(None, 100_000))
        done = {stamp.reembedding_reason for stamp in stamps}
        assert done == {REASON} or (done == {None} and run.stdout == b""), "all or, unless acknowledged, nothing"
        assert not any(stamp.needs_reembedding for stamp in stamps)
        assert len(stamps) == PEOPLE
        report = slip.verify()
        assert report.is_consistent, report.divergences
        assert slip.status().dead_letters == 0
