"""The watch: what is known of consistency, as metrics and as alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from slipstream.consistency.alert_rules import RULES, AlertThresholds, Measurements, Reading, judge
from slipstream.consistency.alerts import Alerts
from slipstream.consistency.repair import Repairer
from slipstream.consistency.scrubber import Scrubber
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.ports.audits import AuditLog
from slipstream.sync.status import SyncStatus


class Watch:
    """Joins engine, audits and alerts. `tick` is called now and then by the scrubber's thread."""

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

    def measurements(self) -> Measurements:
        """Return what alerts are decided by."""
        status = self._status()
        newest = self._audits.audits(None, 1)
        return Measurements(
            consistency=float(newest[0].report["consistency"]) if newest else None,
            lag_s=status.lag_s,
            dead_letters=status.dead_letters,
            scrub_age_s=self._scrubber.age_s(),
            halted=status.halted,
            outage=status.outage,
        )

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
        )
