"""How far a test goes in the suite that everyone runs, and how far in the long one (`pytest -m long`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

long = pytest.mark.long
"""For what repeats, at a larger scale, what the usual suite has a case of."""

deeper = pytest.mark.deeper
"""For what both suites run, the long one with more examples."""

_SUITE = "SLIPSTREAM_SUITE"
"""An environment variable, because it decides what is collected, in each process that collects."""


def choose(suite: str) -> None:
    """Decide which suite this process collects, before it imports any test."""
    os.environ[_SUITE] = suite


def examples(usual: int, in_long: int) -> int:
    """Return how many examples a property is tried with; such a test is marked `deeper`."""
    return in_long if os.environ.get(_SUITE) == "long" else usual


def first_few(all_of_them: Iterable[Any], usual: int) -> list[Any]:
    """Return the parameters of a test: the first ones for every suite, the rest for the long one."""
    parameters: Sequence[Any] = list(all_of_them)
    rest = (each if isinstance(each, tuple) else (each,) for each in parameters[usual:])
    return [*parameters[:usual], *(pytest.param(*each, marks=long) for each in rest)]
