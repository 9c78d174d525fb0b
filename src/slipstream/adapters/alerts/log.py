"""Alerts in the program's log."""

from __future__ import annotations

import logging

from slipstream.ports.alerts import AlertEvent

_LOG = logging.getLogger("slipstream.alerts")


class LogSink:
    """Writes to the logger `slipstream.alerts`: a warning when a rule fires, an info when it resolves."""

    def notify(self, event: AlertEvent) -> None:
        """Log the event on one line."""
        level = logging.WARNING if event.state == "firing" else logging.INFO
        _LOG.log(level, "%s %s: %s (since %s)", event.rule, event.state, event.message, event.since.isoformat())
