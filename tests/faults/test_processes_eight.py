"""Eight processes on one PKG: writers of all kinds, searches for one's own writes, and somebody who keeps dying."""

from __future__ import annotations

from pathlib import Path

from tests.faults.eight import KINDS, Soak

STEPS = 120
KILLS = 8


def test_eight_processes_and_one_of_them_is_killed_again_and_again(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "pkg", STEPS, seed=11)
    try:
        for _ in range(KILLS):
            soak.kill_one()
        soak.wait_for_work()
        soak.end()
    finally:
        soak.close()
    soak.prove()
    assert soak.takeovers_s
    assert len(soak.told.searched) >= 2 * STEPS - KILLS
    assert all(len(soak.told.commits[kind]) >= STEPS for kind in KINDS)
