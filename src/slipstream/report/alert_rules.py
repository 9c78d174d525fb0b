"""The alert rules: what is measured, where the limits are, and whether a measurement is within them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slipstream.audit.ratios import percent
from slipstream.domain.errors import InvalidInputError

_REASON_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """A rule without a limit: either something is wrong, and a text says what, or nothing is."""

    rule: str
    """Also the field of `Measurements` that holds the text."""
    bad: str
    good: str
    is_held: bool = True
    """Whether the trouble must last for `for_s` before it fires, and be gone as long before it resolves."""


TROUBLES = (
    Trouble("scrub_failed", "scheduled audits fail", "scheduled audits do not fail"),
    Trouble("incident", "graph and index do not belong together", "graph and index belong together", is_held=False),
    Trouble("damage", "a store is damaged", "no store is known to be damaged", is_held=False),
    Trouble("halted", "the engine has halted", "the engine runs", is_held=False),
    Trouble("engine", "a part of the engine has died", "every part of the engine lives", is_held=False),
    Trouble("outage", "the engine waits", "nothing is out"),
    Trouble("brake", "a repair waits to be confirmed", "no repair waits to be confirmed"),
    Trouble("blind", "what is watched can not be read", "everything that is watched can be read"),
)
"""To add one: a row here, a field of `Measurements`, and who tells the text (`app/composition/watching.py`)."""
MEASURED = ("consistency", "lag", "dead_letters", "scrub_overdue", "disk")
RULES = (*MEASURED, *(trouble.rule for trouble in TROUBLES))
"""Every rule, in the order in which they are judged."""


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
    disk_free_mb_min: float = 100.0
    """What must be free on the disk of the PKG, in MB of 1,000,000 bytes."""
    for_s: float = 10.0
    """How long what comes and goes (lag, an outage, a full disk …) must hold, at every look, before it fires; and be
    gone, before it resolves."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.consistency_min <= 1.0:
            raise InvalidInputError("must be within 0..1 (0.999 is 99.9 %)", field="alerts.consistency_min")
        for name in ("lag_s_max", "dead_letters_max", "scrub_age_s_max", "disk_free_mb_min", "for_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidInputError("must be a finite number, 0 or more", field=f"alerts.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """
    What is known at one moment.

    None for a number means unknown: neither fires nor resolves. None for a trouble means that there is none; else it
    says what is wrong.
    """

    lag_s: float | None
    dead_letters: int | None
    consistency: float | None = None
    is_empty: bool = False
    """Whether the last audit found nothing to compare on either side."""
    scrub_age_s: float | None = None
    """Since the last full audit ended; of an index that never had one, since it was first opened."""
    disk_free_mb: float | None = None
    disk_full: str | None = None
    """What failed for want of room on the disk, however much is said to be free there; None when nothing did."""
    scrub_failed: str | None = None
    incident: str | None = None
    damage: str | None = None
    halted: str | None = None
    engine: str | None = None
    outage: str | None = None
    brake: str | None = None
    blind: str | None = None

    def __post_init__(self) -> None:
        if self.consistency is not None and not 0.0 <= self.consistency <= 1.0:
            raise InvalidInputError(f"is {self.consistency}, must be within 0..1", field="consistency")
        for name in ("lag_s", "dead_letters", "scrub_age_s", "disk_free_mb"):
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

    A reading does not depend on earlier ones: a command that looks once and ends with an exit code needs no more; a
    process that keeps looking uses `Alerts`.
    """
    at, limits = measurements, thresholds
    readings: list[Reading] = []
    if at.is_empty:
        good, said = limits.consistency_min, "there is nothing to compare, and nothing has diverged"
        readings.append(Reading("consistency", False, good, good, said))
    elif at.consistency is not None:
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
    if at.disk_free_mb is not None or at.disk_full is not None:
        readings.append(_disk(at.disk_free_mb or 0.0, at.disk_full, limits))
    readings.extend(_stopped(trouble, getattr(at, trouble.rule), limits.for_s) for trouble in TROUBLES)
    return readings


def _disk(free_mb: float, full: str | None, limits: AlertThresholds) -> Reading:
    said = f"{free_mb:,.0f} MB are free on the disk, at least {limits.disk_free_mb_min:,.0f} MB are wanted"
    if full is not None:
        said = f"the disk is full: {_on_one_line(full)}"
    is_low = full is not None or free_mb < limits.disk_free_mb_min
    return Reading("disk", is_low, free_mb, limits.disk_free_mb_min, said, limits.for_s)


def _stopped(trouble: Trouble, reason: str | None, for_s: float) -> Reading:
    hold_s = for_s if trouble.is_held else 0.0
    if reason is None:
        return Reading(trouble.rule, False, 0.0, 0.0, trouble.good, hold_s)
    return Reading(trouble.rule, True, 1.0, 0.0, f"{trouble.bad}: {_on_one_line(reason)}", hold_s)


def _on_one_line(reason: str) -> str:
    return " ".join(reason.split())[:_REASON_CHARACTERS_MAX]
