"""How much a run measures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slipstream.domain.errors import InvalidInputError

COMMITS_PER_S = 20
"""The load under which freshness is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of one run. A round of a throughput workload is one backlog, drained."""

    entities: int
    """Entities that the graph holds while freshness and the model's throughput are measured."""
    freshness_s: float
    model_updates: int
    model_rounds: int
    static_updates: int
    static_rounds: int
    irrelevant_updates: int
    startup_runs: int
    memory_entities: int
    """Entities of the memory workload; 0 leaves it out."""

    @property
    def samples(self) -> int:
        """How many commits the freshness workload makes."""
        return max(1, round(self.freshness_s * COMMITS_PER_S))


FULL = Sizes(
    entities=10_000,
    freshness_s=60.0,
    model_updates=2_000,
    model_rounds=3,
    static_updates=10_000,
    static_rounds=5,
    irrelevant_updates=50_000,
    startup_runs=5,
    memory_entities=10_000,
)
QUICK = Sizes(
    entities=500,
    freshness_s=8.0,
    model_updates=300,
    model_rounds=2,
    static_updates=3_000,
    static_rounds=2,
    irrelevant_updates=10_000,
    startup_runs=2,
    memory_entities=0,
)


def chosen_sizes(*, quick: bool, entities: int | None = None, seconds: float | None = None) -> Sizes:
    """
    Return the sizes of a quick or a full run; `entities` scales every workload with it, `seconds` is freshness.

    Raises `InvalidInputError` for sizes that measure nothing.
    """
    sizes = QUICK if quick else FULL
    if seconds is not None:
        if not 0 < seconds <= 3_600:
            raise InvalidInputError("must be more than 0 and at most 3600", field="seconds")
        sizes = replace(sizes, freshness_s=seconds)
    return sizes if entities is None else _scaled(sizes, entities)


def _scaled(sizes: Sizes, entities: int) -> Sizes:
    if entities < 10:
        raise InvalidInputError("must be at least 10, or there is nothing to measure", field="entities")
    factor = entities / sizes.entities
    return replace(
        sizes,
        entities=entities,
        model_updates=max(10, round(sizes.model_updates * factor)),
        static_updates=max(10, round(sizes.static_updates * factor)),
        irrelevant_updates=max(10, round(sizes.irrelevant_updates * factor)),
        memory_entities=round(sizes.memory_entities * factor),
    )
