"""The alert rules: what is measured, where the limits are, and whether a measurement is within them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slipstream.consistency.ratios import percent
from slipstream.domain.errors import InvalidInputError

RULES = ("consistency", "lag", "dead_letters", "scrub_overdue", "scrub_failed", "halted", "outage")
"""Every rule, in the order in which they are judged."""

_REASON_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """
    Where each rule begins to fire. A value at its limit is still good.

    To switch a rule off, put its limit out of reach (`consistency_min=0`, `lag_s_max=1e9`).
    """

    consistency_min: float = 0.999
    lag_s_max: float = 1.0
    dead_letters_max: int = 0
    scrub_age_s_max: float = 2 * 86_400.0
    """How old the last full look at both sides may be: about twice the interval of the scrub."""
    for_s: float = 10.0
    """How long lag, an outage or failing audits must hold, at every look, before it fires; and be gone, before it
    resolves."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.consistency_min <= 1.0:
            raise InvalidInputError("must be within 0..1 (0.999 is 99.9 %)", field="alerts.consistency_min")
        for name in ("lag_s_max", "dead_letters_max", "scrub_age_s_max", "for_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidInputError("must be a finite number, 0 or more", field=f"alerts.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """
    What is known at one moment.

    None for a number means unknown: neither fires nor resolves. None for `scrub_failure`, `halted` and `outage` means
    that there is none; else they say why.
    """

    lag_s: float | None
    dead_letters: int | None
    consistency: float | None = None
    scrub_age_s: float | None = None
    """Since the last full audit ended; of an index that never had one, since it was first opened."""
    scrub_failure: str | None = None
    halted: str | None = None
    outage: str | None = None

    def __post_init__(self) -> None:
        if self.consistency is not None and not 0.0 <= self.consistency <= 1.0:
            raise InvalidInputError(f"is {self.consistency}, must be within 0..1", field="consistency")
        for name in ("lag_s", "dead_letters", "scrub_age_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidInputError(f"is {value}, must be a finite number, 0 or more", field=name)


@dataclass(frozen=True, slots=True)
class Reading:
    """One rule held against one measurement."""

    rule: str
    is_breached: bool
    value: float
    threshold: float
    message: str
    hold_s: float = 0.0
    """How long the reading must last before it counts."""


def judge(measurements: Measurements, thresholds: AlertThresholds) -> Sequence[Reading]:
    """
    Hold every measurement that is known against its limit, in the order of `RULES`.

    A reading knows nothing of the ones before it: for a command that looks once and ends with an exit code, this
    is all; what keeps looking asks `Alerts`.
    """
    at, limits = measurements, thresholds
    readings: list[Reading] = []
    if at.consistency is not None:
        said = f"consistency is {percent(at.consistency)}, at least {percent(limits.consistency_min)} is wanted"
        is_low = at.consistency < limits.consistency_min
        readings.append(Reading("consistency", is_low, at.consistency, limits.consistency_min, said))
    if at.lag_s is not None:
        said = f"the index is {at.lag_s:,.3f} s behind the graph, at most {limits.lag_s_max:g} s is wanted"
        readings.append(Reading("lag", at.lag_s > limits.lag_s_max, at.lag_s, limits.lag_s_max, said, limits.for_s))
    if at.dead_letters is not None:
        said = (
            f"{at.dead_letters:,} dead letters, at most {limits.dead_letters_max:,} are accepted: replay or discard"
        )
        has_more = at.dead_letters > limits.dead_letters_max
        readings.append(Reading("dead_letters", has_more, at.dead_letters, limits.dead_letters_max, said))
    if at.scrub_age_s is not None:
        said = (
            f"the last full audit was {at.scrub_age_s:,.0f} s ago, at most {limits.scrub_age_s_max:,.0f} s is wanted"
        )
        is_old = at.scrub_age_s > limits.scrub_age_s_max
        readings.append(Reading("scrub_overdue", is_old, at.scrub_age_s, limits.scrub_age_s_max, said))
    audits = ("scheduled audits fail", "scheduled audits do not fail")
    readings.append(_stopped("scrub_failed", *audits, at.scrub_failure, limits.for_s))
    readings.append(_stopped("halted", "the engine has halted", "the engine runs", at.halted))
    readings.append(_stopped("outage", "the engine waits", "nothing is out", at.outage, limits.for_s))
    return readings


def _stopped(rule: str, bad: str, good: str, reason: str | None, hold_s: float = 0.0) -> Reading:
    if reason is None:
        return Reading(rule, False, 0.0, 0.0, good, hold_s)
    one_line = " ".join(reason.split())[:_REASON_CHARACTERS_MAX]
    return Reading(rule, True, 1.0, 0.0, f"{bad}: {one_line}", hold_s)
