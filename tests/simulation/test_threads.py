"""
The engine's real threads under a seeded scheduler, and broken engines that it must catch.

500 schedules are run, and 1,500 more in the long suite.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.depth import first_few
from tests.simulation.threads.__main__ import run
from tests.simulation.threads.broken import BROKEN
from tests.simulation.threads.schedule import SOUND, Schedule, Variant

_SEEDS_EACH = 125
_CAUGHT_WITHIN = 1_000
"""How many seeds it takes at most to catch any of the broken engines."""


@pytest.mark.parametrize("first", first_few(range(0, 2_000, _SEEDS_EACH), 4))
def test_no_schedule_of_the_real_threads_breaks_a_property(first: int) -> None:
    failed = {seed: error for seed in range(first, first + _SEEDS_EACH) if (error := run(seed)[1].error) is not None}
    assert not failed, "see the trace: python -m tests.simulation.threads --replay SEED"


@pytest.mark.parametrize("variant", BROKEN, ids=lambda variant: variant.name)
def test_a_broken_engine_is_caught_by_the_same_schedules(variant: Variant) -> None:
    assert any(run(seed, variant)[1].error is not None for seed in range(_CAUGHT_WITHIN))


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    here = [_digestible(seed) for seed in (3, 24, 57)]
    code = "from tests.simulation.test_threads import _digestible; print([_digestible(seed) for seed in (3, 24, 57)])"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()}
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert told.strip() == str(here)


def _digestible(seed: int) -> list[str]:
    schedule = Schedule(seed)
    schedule.run()
    return schedule.told()


def test_the_schedules_meet_everything_that_they_are_for() -> None:
    met: Counter[str] = Counter()
    for seed in range(100):
        schedule, outcome = run(seed, SOUND)
        met["switches"] += outcome.switches
        met["crashes"] += schedule.crashes
        met["openings"] += schedule.openings
        met["refused writes"] += schedule.durable.refused
        met["schema versions"] += schedule.graph.schema().version - 1
        met["edited views"] += schedule.edition - 1
        met["dead letters"] += bool(schedule.truth.ever_dead)
        met["apart" if not schedule.together else "together"] += 1
        met.update(
            what.split()[0] for _, _, what in schedule.scheduler.trace if what.split()[0] in {"fault", "hiccup"}
        )
    for thread in ("read", "embed", "write", "words"):
        assert any(f".{thread}" in line for line in schedule.told())
    assert met["switches"] > 5_000
    rare = ("crashes", "refused writes", "schema versions", "edited views", "dead letters", "fault", "hiccup")
    assert {name: met[name] for name in rare if met[name] < 3} == {}
    assert met["openings"] > 120
    assert min(met["apart"], met["together"]) > 20
