"""Limits of the follower of word rows, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipstream.domain.brake import BrakeSettings
from slipstream.domain.positions import Position

LOG_PAGE, SCAN_PAGE = 500, 250
"""How many log entries, and keys of a scan, are dealt with at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSettings:
    """Limits and tempos of the follower."""

    log_page: int = LOG_PAGE
    """Log entries that are read at once; what they name is written in one transaction."""
    scan_page: int = SCAN_PAGE
    """Keys that a scan compares at once: a live change waits for one page at most."""
    turns_max: int = 4
    """Pages of the log in a row before a scan that is due has its turn."""
    save_every_s: float = 0.05
    """How often the frontier is published while only events without word rows pass: others may wait for it."""
    house_every_s: float = 30.0
    """How often the log is told how far it is no longer needed."""
    idle_wait_s: float = 0.5
    backoff_base_s: float = 0.2
    backoff_max_s: float = 30.0
    brake: BrakeSettings = field(default_factory=BrakeSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordScanProgress:
    """How far a scan of word rows is."""

    reason: str
    done: int
    total: int
    rate: float
    """Keys a second, of this process."""
    eta_s: float | None
    """Seconds still to go at this rate; None while the rate is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsStatus:
    """
    How far the word rows are.

    `lag_events` is head minus frontier in log positions, `lag_s` the age of the oldest mutation that is not found by
    words yet; while a scan is due, how long it has been for this process. Counters count since the engine was opened.
    """

    frontier: Position
    lag_events: int
    lag_s: float
    is_scanning: bool
    scan: WordScanProgress | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    """`written`, `deleted`, `unchanged` and `failed` (records that can not be made a row)."""
    outage: str | None = None
    """The error of the store that is waited for."""
