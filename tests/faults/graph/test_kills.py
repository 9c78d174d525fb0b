"""
kill -9 before, inside and after chosen writes and syncs, and at random: nothing acknowledged is lost or half there.

`python -m bench.durability` walks through every call; docs/durability.md holds what it found.
"""

from __future__ import annotations

import random

import pytest

from tests.faults.graph.placing import Bench, Place
from tests.faults.preload import KILLS

PLACES = {"single": 18, "large": 9, "checkpoint": 13, "trim": 8, "migrate": 12}
"""How many kills are placed in each scenario."""
RANDOM = {"single": 10, "checkpoint": 4, "trim": 3, "large": 3}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", PLACES)
def test_killed_at_chosen_calls(bench: Bench, scenario: str) -> None:
    chance = random.Random(f"places {scenario}")
    chosen = spread(bench.places(scenario), PLACES[scenario], chance)
    killed = 0
    for number, place in enumerate(chosen):
        kind = KILLS[number % len(KILLS)]
        try:
            killed += bench.kill_at(place, kind, with_engine=number % 6 == 0)
        except BaseException as error:
            error.add_note(f"{kind.name} at {place}")
            raise
    assert killed >= len(chosen) - 2


def spread(places: list[Place], count: int, chance: random.Random) -> list[Place]:
    """Choose places so that each thing that is done to each file comes first, and the rest anywhere."""
    by_name: dict[str, list[Place]] = {}
    for place in places:
        by_name.setdefault(place.call, []).append(place)
    first = [chance.choice(each) for each in by_name.values()][:count]
    return first + chance.sample(places, count - len(first))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", RANDOM)
def test_killed_at_random(bench: Bench, scenario: str) -> None:
    chance = random.Random(f"random {scenario}")
    acknowledged = 0
    for number in range(RANDOM[scenario]):
        behind, spin = chance.randint(0, 8), chance.randint(0, 200_000)
        acknowledged += bench.kill_behind(scenario, behind, spin, with_engine=number % 6 == 5)
    assert acknowledged > RANDOM[scenario]
