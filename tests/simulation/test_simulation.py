"""The real engine on a virtual clock: safety at every step, convergence once faults stop."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.depth import first_few
from tests.simulation.migrating import MigratingSimulation
from tests.simulation.simulator import Simulation


@pytest.mark.parametrize("seed", first_few(range(60), 24))
def test_faults_and_crashes_never_break_safety_and_always_converge(seed: int) -> None:
    report = Simulation(seed).run()
    assert report.total_embeddings >= report.fresh


@pytest.mark.parametrize("seed", first_few(range(1000, 1020), 8))
def test_a_storm_of_faults_converges_too(seed: int) -> None:
    simulation = Simulation(seed, steps=400, fault_rate=0.15, crash_rate=0.02)
    simulation.run()
    assert simulation.faults > 0


@pytest.mark.parametrize("seed", first_few(range(2000, 2030), 10))
def test_a_graph_that_is_restored_again_and_again_converges_too(seed: int) -> None:
    Simulation(seed, steps=400, restore_rate=0.9).run()


def test_the_same_seed_runs_the_same_way() -> None:
    first, second = Simulation(7), Simulation(7)
    first.run()
    second.run()
    assert first.actions == second.actions


def test_the_simulation_does_crash_and_fail() -> None:
    runs = [Simulation(seed, restore_rate=0.9) for seed in range(24)]
    for run in runs:
        run.run()
    assert sum(run.crashes for run in runs) > 5
    assert sum(run.faults for run in runs) > 50
    assert sum(run.restores for run in runs) > 2


@pytest.mark.parametrize("seed", first_few(range(3000, 3060), 20))
def test_generations_come_and_go_and_the_live_one_is_always_whole(seed: int) -> None:
    MigratingSimulation(seed, steps=900).run()


@pytest.mark.parametrize("seed", first_few(range(4000, 4020), 8))
def test_a_storm_of_faults_in_migrations_converges_too(seed: int) -> None:
    MigratingSimulation(seed, steps=900, fault_rate=0.1, crash_rate=0.02).run()


def test_the_simulation_does_migrate() -> None:
    taken: Counter[str] = Counter()
    for seed in range(3000, 3030):
        run = MigratingSimulation(seed, steps=900)
        run.run()
        taken.update(run.steps_taken)
    assert min(taken[step] for step in ("start", "pause", "resume", "cut over", "roll back", "drop")) > 2
