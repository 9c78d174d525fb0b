"""Limits and tempos of the engine: a limit on everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipstream.apply.reconciler import REEMBED_CONFIDENCE_GAIN
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import InvalidInputError
from slipstream.ports.feed import DEFAULT_RETENTION, Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """Every limit of the engine, with the unit in the name."""

    pending_max: int = 20_000
    """Dirty keys held in memory; past it the log is left unread, on disk."""
    log_page: int = 1_000
    batch_min: int = 16
    batch_max: int = 1_024
    batch_target_s: float = 0.25
    """A batch is sized to take about this long, so that a live change never waits long behind one."""
    background_target_s: float = 0.1
    """How long a migration, repair or backfill batch is to take: a live change may have to wait for one."""
    polite_target_s: float = 0.005
    """How long such a batch may take in all while live changes flow: it runs alone, and a change may wait for it."""
    quiet_after_s: float = 1.0
    """Without a live change for this long, work in the background no longer keeps out of the way."""
    attempts_max: int = 5
    backoff_base_s: float = 0.2
    backoff_max_s: float = 30.0
    idle_wait_s: float = 0.5
    """How long an idle engine waits for a commit before it looks at retries and the checkpoint."""
    checkpoint_interval_s: float = 0.05
    """How often checkpoint and frontier are saved while only irrelevant events pass: others may wait for them."""
    fanout_live_max: int = 1_000
    """Neighbours of one entity that are updated in the live lane; the rest goes to the backfill lane."""
    retention: Retention = DEFAULT_RETENTION
    """How much of the log is kept behind the checkpoint, for other readers of it."""
    reembed_confidence_gain: float | None = REEMBED_CONFIDENCE_GAIN
    """A record whose extraction confidence rose by more is embedded anew; None, or 1, switches it off."""

    brake: BrakeSettings = field(default_factory=BrakeSettings)
    """What may be deleted or embedded anew although no commit says so."""

    def __post_init__(self) -> None:
        if self.reembed_confidence_gain is not None and not 0 <= self.reembed_confidence_gain <= 1:
            raise InvalidInputError("must be within 0..1", field="quality.reembed_confidence_gain")
        for name in ("pending_max", "log_page", "batch_min", "batch_max", "attempts_max", "fanout_live_max"):
            if getattr(self, name) < 1:
                raise InvalidInputError("must be at least 1", field=f"sync.{name}")
        for name in (
            "batch_target_s",
            "background_target_s",
            "polite_target_s",
            "backoff_base_s",
            "backoff_max_s",
            "idle_wait_s",
        ):
            if not getattr(self, name) > 0:
                raise InvalidInputError("must be greater than 0", field=f"sync.{name}")
