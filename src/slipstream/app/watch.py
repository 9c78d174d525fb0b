"""The watch: what is known of the engine and of consistency, as metrics and as alerts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slipstream.app.reading_facts import Facts
from slipstream.app.ticker import Ticker
from slipstream.audit.below import damage_in
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.errors import DiskFullError
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.engine.facts import SyncStatus
from slipstream.ports.audits import AuditLog
from slipstream.report.alert_rules import RULES, AlertThresholds, Measurements, Reading, judge
from slipstream.report.alerts import Alerts

Trouble = Callable[[], str | None]
"""Returns what is wrong; None when nothing is."""
_BYTES_PER_MB = 1_000_000
_STATUS = "status"
_STOP_S = 5.0


class Watch:
    """
    Joins engine, audits and alerts.

    Alerts are evaluated on a thread of their own, about once a second, so that neither a long or failing audit nor
    anything the engine waits for keeps them from firing. Each fact is read by itself; one that can not be read fires
    the alert `blind`. `troubles` gives, by rule, what is wrong for rules that are judged elsewhere.
    """

    def __init__(
        self,
        status: Callable[[], SyncStatus],
        audits: AuditLog,
        repairer: Repairer,
        scrubber: Scrubber,
        alerts: Alerts,
        thresholds: AlertThresholds,
        *,
        free_bytes: Callable[[], int] | None = None,
        troubles: Mapping[str, Trouble] | None = None,
    ) -> None:
        self._status, self._audits, self._repairer, self._scrubber = status, audits, repairer, scrubber
        self.alerts, self._thresholds = alerts, thresholds
        self._free_bytes, self._troubles = free_bytes, dict(troubles or {})
        self._parts: dict[str, Trouble] = {}
        self._facts = Facts(rests=True)
        self._halted: str | None = None
        self._ticker = Ticker(self.tick, "slipstream-alerts")
        self.mind("scrubber", lambda: "its thread has ended" if scrubber.is_dead else None)

    def mind(self, part: str, trouble: Trouble) -> None:
        """Watch a part of the engine from now on; its trouble fires the rule `engine`."""
        self._parts[part] = trouble

    def start(self) -> None:
        """Evaluate the alerts from now on; starting twice is harmless."""
        self._ticker.start()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Stop evaluating; a call or a sink that hangs is waited for `timeout_s` at most, each."""
        if self._ticker.stop(timeout_s):
            last = threading.Thread(target=self.alerts.leave, name="slipstream-last-alerts", daemon=True)
            last.start()
            last.join(timeout_s)

    @property
    def is_dead(self) -> bool:
        """Whether the scheduled audits or the alerts have died, while the engine may go on unwatched."""
        return self._ticker.is_dead or self._scrubber.is_dead

    @property
    def dead_parts(self) -> Mapping[str, str]:
        """What is wrong with parts of the engine, by name; reads memory only."""
        return {part: reason for part, trouble in list(self._parts.items()) if (reason := trouble()) is not None}

    def summary(self) -> dict[str, Any]:
        """Return the state of the watch itself as plain data, ready for JSON."""
        health = "dead" if self._ticker.is_dead else "working" if self._ticker.is_running else "stopped"
        firing = [{"rule": event.rule, "message": event.message} for event in self.alerts.firing().values()]
        return {"health": health, "firing": firing, "unkept": self.alerts.unkept, "dead_parts": dict(self.dead_parts)}

    def measurements(self, facts: Facts | None = None) -> Measurements:
        """Return what alerts are decided by; a fact that can not be read is unknown, and `blind` names it."""
        facts = Facts() if facts is None else facts
        status, outage = self._asked(facts)
        newest = facts.read("audits", self._newest) or {}
        consistency = newest.get("consistency")
        age_s = facts.read("scrubber", self._scrubber.age_s)
        scrub_failed = facts.read("scrubber's state", lambda: self._scrubber.failure)
        dead = facts.read("parts of the engine", lambda: self.dead_parts) or {}
        told = {rule: facts.read(rule, trouble) for rule, trouble in self._troubles.items()}
        free = None if self._free_bytes is None else facts.read("disk", self._free_bytes)
        return Measurements(
            consistency=consistency,
            is_empty=bool(newest) and consistency is None and newest["verdict"] == "consistent",
            lag_s=None if status is None else status.lag_s,
            dead_letters=None if status is None else status.dead_letters,
            scrub_age_s=age_s,
            disk_free_mb=None if free is None else free / _BYTES_PER_MB,
            disk_full=_full(outage, self._halted, self.alerts.unkept),
            scrub_failed=scrub_failed,
            damage="; ".join(damage.told for damage in damage_in(newest)) or None,
            halted=self._halted,
            engine="; ".join(f"{part}: {reason}" for part, reason in dead.items()) or None,
            outage=outage,
            blind=_blind({**facts.unknown, **({} if status is None else status.unknown)}),
            **told,
        )

    def _asked(self, facts: Facts) -> tuple[SyncStatus | None, str | None]:
        """Return the engine's status and its outage; a log that does not answer is an outage too."""
        status = facts.read(_STATUS, self._status)
        if status is None:
            return None, facts.unknown.get(_STATUS)
        self._halted = status.halted  # an engine that has halted stays so, whether the log answers or not
        return status, status.outage

    def _newest(self) -> Mapping[str, Any]:
        newest = self._audits.audits(None, 1)
        return newest[0].report if newest else {}

    def readings(self) -> Sequence[Reading]:
        """Judge the present measurements by the thresholds, without any state: for an exit code."""
        return judge(self.measurements(), self._thresholds)

    def tick(self) -> None:
        """Decide which alerts fire and resolve, and tell the sinks."""
        self.alerts.evaluate(self.measurements(self._facts))

    def metrics(self) -> ConsistencyMetrics:
        """Return what the newest audit found, what was repaired since the start, and which alerts fire."""
        facts = Facts()
        newest = facts.read("audits", lambda: self._audits.audits(None, 1))
        report = newest[0].report if newest else None
        firing = self.alerts.firing()
        failing = facts.read("scrubber", lambda: self._scrubber.failure is not None)
        return ConsistencyMetrics(
            ratio=None if report is None else report["consistency"],
            divergences={} if report is None else dict(report["counts"]),
            last_verified_at=None if report is None else datetime.fromisoformat(report["finished_at"]),
            repairs=dict(self._repairer.repaired),
            alerts={rule: rule in firing for rule in RULES},
            scrub_failing=failing,
        )


def _blind(unknown: Mapping[str, str]) -> str | None:
    """Return what can not be read, as one text, without the status: an unreadable status is an outage already."""
    return "; ".join(f"{name}: {reason}" for name, reason in unknown.items() if name != _STATUS) or None


def _full(*reasons: str | None) -> str | None:
    """Return the first reason that says that the disk is full, else None."""
    return next((reason for reason in reasons if reason and reason.startswith(f"{DiskFullError.__name__}: ")), None)
