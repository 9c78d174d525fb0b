"""The sides of a comparison, each in a process of its own, asked in turns."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.result_files import say

_TEXTS_PER_ROUND = {256: 512, 32: 256, 1: 64}
_SEED = 14

Rounds = dict[str, dict[int, list[Mapping[str, Any]]]]
"""By side and size of batch: what each round took."""


class ModelProcess:
    """A child process that holds one model."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.loaded = self._answer()

    def embed(self, first: int, end: int, batch: int, save: str = "") -> Mapping[str, Any]:
        """Have texts embedded; with `save` their vectors are written there."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"first": first, "end": end, "batch": batch, "save": save}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        answer: Mapping[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def started(python: Path | str, name: str, texts: Path) -> Iterator[ModelProcess]:
    """Start a side, `old`, `float32` or `int8`, with the texts of a file."""
    child = Path(__file__).with_name("child.py")
    command = [str(python), str(child), name, str(texts)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield ModelProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def alternated(
    sides: Mapping[str, ModelProcess], rounds: int, texts: int
) -> dict[str, dict[int, list[Mapping[str, Any]]]]:
    """Let every side embed the same texts, round by round in another order."""
    chance = random.Random(_SEED)
    found: Rounds = {name: {} for name in sides}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}")
        for batch, count in _TEXTS_PER_ROUND.items():
            first = chance.randrange(texts - count)
            for name in chance.sample(sorted(sides), len(sides)):
                times = sides[name].embed(first, first + count, batch)
                if number:  # the first one warms up
                    found[name].setdefault(batch, []).append({**times, "texts": count})
    return found


def rates_of(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """Return texts per second of each side, by wall clock and by processor time: medians over the rounds."""
    return {
        name: {
            str(batch): {
                "texts_per_s": round(statistics.median(one["texts"] / one["wall_s"] for one in each), 1),
                "texts_per_cpu_s": round(statistics.median(one["texts"] / one["cpu_s"] for one in each), 1),
            }
            for batch, each in batches.items()
        }
        for name, batches in rounds.items()
    }


def ratios_of(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """Return by how much each side is faster than the first one: the median of the rounds' ratios."""
    base, *others = rounds
    return {
        f"{name} / {base}": {
            str(batch): {unit: _ratio(rounds[base][batch], rounds[name][batch], unit) for unit in ("wall_s", "cpu_s")}
            for batch in rounds[base]
        }
        for name in others
    }


def _ratio(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], unit: str) -> float:
    ratio: float = statistics.median(one[unit] / other[unit] for one, other in zip(was, now, strict=True))
    return round(ratio, 3)
