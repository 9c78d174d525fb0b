"""
Run schedules of the real threads, many or one.

    python -m tests.simulation.threads --seeds 0..100000 --jobs 2
    python -m tests.simulation.threads --replay 4711
    python -m tests.simulation.threads --seeds 0..400 --variant "settles early"
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

from tests.simulation.threads.broken import BROKEN
from tests.simulation.threads.schedule import SOUND, Schedule, Variant

_CHUNK = 50
_VARIANTS = {variant.name: variant for variant in (SOUND, *BROKEN)}


class Outcome(NamedTuple):
    """What became of one seed."""

    seed: int
    points: int
    switches: int
    error: str | None


def run(seed: int, variant: Variant = SOUND) -> tuple[Schedule, Outcome]:
    """Run one seed; what it meets is in the outcome."""
    schedule, error = Schedule(seed, variant), None
    try:
        schedule.run()
    except Exception as failure:  # noqa: BLE001  (whatever ends a schedule is a finding)
        error = f"{type(failure).__name__}: {failure}"
    return schedule, Outcome(seed, schedule.scheduler.points, schedule.scheduler.switches, error)


def _run_chunk(variant: str, seeds: range) -> list[Outcome]:
    return [run(seed, _VARIANTS[variant])[1] for seed in seeds]


def _chunks(seeds: range) -> Iterable[range]:
    return (seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK))


def _outcomes(seeds: range, variant: str, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        for chunk in _chunks(seeds):
            yield from _run_chunk(variant, chunk)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for outcomes in pool.map(partial(_run_chunk, variant), _chunks(seeds)):
            yield from outcomes


def _run_many(seeds: range, variant: str, jobs: int) -> int:
    began, failed, points, switches = time.monotonic(), 0, 0, 0
    for number, outcome in enumerate(_outcomes(seeds, variant, jobs), start=1):
        points, switches = points + outcome.points, switches + outcome.switches
        if outcome.error is not None:
            failed += 1
            _say(f"seed {outcome.seed}: {outcome.error}")
            if failed == 1:
                _say("\n".join(run(outcome.seed, _VARIANTS[variant])[0].told()[-60:]))
        if number % 1_000 == 0 or number == len(seeds):
            each_ms = (time.monotonic() - began) / number * 1_000
            _say(f"{number} of {len(seeds)} schedules, {failed} failed, {each_ms:.1f} ms each")
    _say(f"{points} switch points, {switches} switches; replay a failure with --replay SEED")
    return 1 if failed else 0


def _replay(seed: int, variant: str) -> int:
    schedule, outcome = run(seed, _VARIANTS[variant])
    _say("\n".join(schedule.told()))
    _say(f"seed {seed}: {outcome.error or 'nothing found'}")
    return 1 if outcome.error else 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last)) if last else range(int(first))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Parse the command line, and run."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tests.simulation.threads", description=__doc__, formatter_class=shown)
    parser.add_argument("--seeds", type=_seeds, default=range(1_000), help="FIRST..LAST (exclusive), or how many")
    parser.add_argument("--replay", type=int, help="run one seed, and print its trace")
    parser.add_argument("--variant", choices=sorted(_VARIANTS), default=SOUND.name)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    if asked.replay is not None:
        return _replay(asked.replay, asked.variant)
    return _run_many(asked.seeds, asked.variant, asked.jobs)


if __name__ == "__main__":
    sys.exit(main())
