"""The watch: what is known of consistency, as metrics and as alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from slipstream.consistency.alert_rules import RULES, AlertThresholds, Measurements, Reading, judge
from slipstream.consistency.alerts import Alerts
from slipstream.consistency.repair import Repairer
from slipstream.consistency.scrubber import Scrubber
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.ports.audits import AuditLog
from slipstream.service.ticker import Ticker
from slipstream.sync.status import SyncStatus


class Watch:
    """
    Joins engine, audits and alerts.

    Alerts are looked at on a thread of their own, about once a second: neither a long audit nor one that fails, nor
    whatever else the engine waits for, keeps them from firing.
    """

    def __init__(
        self,
        status: Callable[[], SyncStatus],
        audits: AuditLog,
        repairer: Repairer,
        scrubber: Scrubber,
        alerts: Alerts,
        thresholds: AlertThresholds,
    ) -> None:
        self._status, self._audits, self._repairer, self._scrubber = status, audits, repairer, scrubber
        self.alerts, self._thresholds = alerts, thresholds
        self._halted: str | None = None
        self._ticker = Ticker(self.tick, "slipstream-alerts")

    def start(self) -> None:
        """Look at the alerts from now on; starting twice is harmless."""
        self._ticker.start()

    def stop(self) -> None:
        """Look at them no more."""
        self._ticker.stop()

    @property
    def is_dead(self) -> bool:
        """Whether the scheduled audits or the alerts have died, while the engine may go on unwatched."""
        return self._ticker.is_dead or self._scrubber.is_dead

    def measurements(self) -> Measurements:
        """Return what alerts are decided by."""
        newest = self._audits.audits(None, 1)
        status, outage = self._asked()
        return Measurements(
            consistency=float(newest[0].report["consistency"]) if newest else None,
            lag_s=None if status is None else status.lag_s,
            dead_letters=None if status is None else status.dead_letters,
            scrub_age_s=self._scrubber.age_s(),
            scrub_failure=self._scrubber.failure,
            halted=self._halted,
            outage=outage,
        )

    def _asked(self) -> tuple[SyncStatus | None, str | None]:
        """Return the engine's status and its outage; a log that does not answer is an outage too."""
        try:
            status = self._status()
        except SlipstreamError as error:
            return None, f"{type(error).__name__}: {error}"
        self._halted = status.halted  # an engine that has halted stays so, whether the log answers or not
        return status, status.outage

    def readings(self) -> Sequence[Reading]:
        """Hold what is measured now against the thresholds, without a memory: for an exit code."""
        return judge(self.measurements(), self._thresholds)

    def tick(self) -> None:
        """Decide which alerts fire and resolve, and tell the sinks."""
        self.alerts.evaluate(self.measurements())

    def metrics(self) -> ConsistencyMetrics:
        """Return what the newest audit found, what was repaired since the start, and which alerts fire."""
        newest = self._audits.audits(None, 1)
        report = newest[0].report if newest else None
        firing = self.alerts.firing()
        return ConsistencyMetrics(
            ratio=None if report is None else float(report["consistency"]),
            divergences={} if report is None else dict(report["counts"]),
            last_verified_at=None if report is None else datetime.fromisoformat(report["finished_at"]),
            repairs=dict(self._repairer.repaired),
            alerts={rule: rule in firing for rule in RULES},
            scrub_failing=self._scrubber.failure is not None,
        )
