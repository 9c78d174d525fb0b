"""
A whole PKG is killed at chosen calls, and has calls fail, over both indexes.

72 places are tried in all, 216 in the long suite.

`python -m bench.durability.whole` walks through every call; docs/durability.md holds what it found.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.depth import deeper, examples
from tests.faults.placed.placing import Place, Whole
from tests.faults.placed.working import INDEXES
from tests.faults.placed.workloads import WORKLOADS
from tests.faults.preload import KILLS, Call, Kind

PLACES = examples(72, 216)
KILLS_EACH = {"sqlite": examples(6, 24), "chroma": examples(2, 8)}
"""In each workload: over Chroma one takes ten times as long. With the failing calls that makes all the places."""
FAILING = (
    (Kind.FAIL, Call.WRITE | Call.TRUNCATE, errno.ENOSPC),
    (Kind.FAIL, Call.SYNC, errno.EIO),
    (Kind.SHORT, Call.WRITE, errno.ENOSPC),
    (Kind.FAIL, Call.WRITE, errno.EIO),
)
FAILING_EACH, SPAN = len(FAILING), 20
"""Calls fail over SQLite alone: one that fails in Chroma may hold Python's lock for ever (docs/durability.md)."""


@deeper
@pytest.mark.slow
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("index", INDEXES)
def test_killed_at_chosen_calls(whole: Whole, index: str, workload: str) -> None:
    """A call that another order of the threads leaves out is no kill: few are."""
    chosen = spread(whole.places(index, workload), KILLS_EACH[index])
    killed = [whole.kill_at(place, kind).is_killed for place, kind in chosen]
    assert sum(killed) >= len(chosen) - 2


@deeper
def test_the_places_are_as_many_as_promised() -> None:
    assert (sum(KILLS_EACH.values()) + FAILING_EACH) * len(WORKLOADS) == PLACES


@pytest.mark.slow
@pytest.mark.parametrize("workload", WORKLOADS)
def test_calls_fail_for_a_span(whole: Whole, workload: str) -> None:
    places = whole.places("sqlite", workload)
    failed = 0
    for number, (kind, calls, error) in enumerate(FAILING, 1):
        counted = [place for place in places if Call[place.call.split(" ")[0]] in calls]
        place = Place("sqlite", workload, number * len(counted) // (FAILING_EACH + 1), "a span of calls")
        failed += len(whole.fail_from(place, SPAN, kind, calls, error).calls)
    assert failed >= SPAN


def spread(places: Sequence[Place], count: int) -> list[tuple[Place, Kind]]:
    """Choose a place out of each of so many equal parts, with each kind of kill in turn, over all workloads."""
    turn = list(WORKLOADS).index(places[0].workload)
    chance = random.Random(f"{places[0].index} {places[0].workload}")
    bounds = [number * len(places) // count for number in range(count + 1)]
    parts = [places[start:end] for start, end in pairwise(bounds)]
    return [(chance.choice(part), KILLS[(turn + number) % len(KILLS)]) for number, part in enumerate(parts)]
