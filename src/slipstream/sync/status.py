"""How far the engine is, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipstream.domain.positions import Position
from slipstream.sync.stats import Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """
    The engine's numbers at one moment.

    `lag_events` is head minus frontier in log positions; `lag_s` is the age of the oldest mutation that is not
    searchable yet. `pending` counts all dirty keys, `retrying` those of them that wait for a retry.
    """

    head: Position
    frontier: Position
    checkpoint: Position
    lag_events: int
    lag_s: float
    pending: int
    retrying: int
    dead_letters: int
    lanes: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    freshness: Freshness
    outage: str | None = None
    halted: str | None = None
    dead: str | None = None
    """Which of the engine's threads has died, and of what."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Numbers that could not be read, and why: they are of memory, and may be too low."""
