"""When something was, as its properties tell it; and the bounds of a range of time, as people type them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from slipstream.domain.entities import Properties
from slipstream.domain.errors import InvalidInputError
from slipstream.views.temporal import duration_of, moment_of

TIME_PROPERTIES = ("timestamp", "valid_from", "occurred_at", "published_at", "date")
"""Where the time of a record is looked for, unless a search names the property: the first that tells one counts."""
VALID_FROM, VALID_TO = "valid_from", "valid_to"
_DURATION = {"timestamp": "duration"}
"""How long it took, beside the property that tells when it began."""
_MONTHS = re.compile(r"(\d{4})(?:-(\d{2}))?")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LOOKS_LIKE = "must be an ISO date or time, such as 2026-01-31 (the whole day) or 2026-01-31T12:00:00+00:00"

Moment = datetime | date | str
"""A moment as it is given: a time, or a day, month or year as a whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to another one: the end belongs to it when it is `closed`, as that of a single moment does."""

    start: datetime
    end: datetime
    closed: bool = True

    def ends_before(self, moment: datetime) -> bool:
        """Whether nothing of the span is at or after a moment."""
        return self.end < moment if self.closed else self.end <= moment


def span_told(value: object) -> Span | None:
    """
    Return when a value says that something was; None when it tells no time.

    A date alone is the whole day, `2026-01` the month, `2026` (as text) the year. What has no zone is of UTC.
    """
    if isinstance(value, str):
        text = value.strip()
        return _whole(text) or _instant(text.upper())
    if isinstance(value, date) and not isinstance(value, datetime):
        return _days(datetime(value.year, value.month, value.day, tzinfo=UTC))
    return _instant(value)


def time_of(properties: Properties, name: str | None = None) -> Span | None:
    """
    Return when a record was, None when it does not tell.

    By the property `name`; without one by the first of `TIME_PROPERTIES` that tells a time. A `timestamp` lasts for
    its `duration`; `valid_from` reaches to `valid_to`, and has no end (or beginning) where one of the two is missing.
    """
    if name is not None:
        return span_told(properties.get(name))
    for candidate in TIME_PROPERTIES:
        span = _valid(properties) if candidate == VALID_FROM else _lasting(properties, candidate)
        if span is not None:
            return span
    return None


def bound(moment: object, field: str) -> Span | None:
    """
    Return the span that one end of a range tells: an instant, or a whole day, month or year.

    Raises `InvalidInputError`, which names the `field`, for what tells no time.
    """
    if moment is None:
        return None
    span = span_told(moment)
    if span is None:
        raise InvalidInputError(f"{_LOOKS_LIKE}, not {moment!r}", field=field)
    return span


def moment_as_data(moment: Moment | None) -> str | None:
    """Return a moment as text that `bound` reads as the same one."""
    return moment if moment is None or isinstance(moment, str) else moment.isoformat()


def _valid(properties: Mapping[str, Any]) -> Span | None:
    first, last = span_told(properties.get(VALID_FROM)), span_told(properties.get(VALID_TO))
    if first is None and last is None:
        return None
    start = _FIRST if first is None else first.start
    return Span(start, _LAST) if last is None else Span(start, max(start, last.end), last.closed)


def _lasting(properties: Mapping[str, Any], name: str) -> Span | None:
    span = span_told(properties.get(name))
    lasts = duration_of(properties.get(_DURATION[name])) if span is not None and name in _DURATION else None
    if span is None or lasts is None or lasts <= timedelta(0):
        return span
    return Span(span.start, max(span.end, _later(span.start, lasts)))


def _whole(text: str) -> Span | None:
    """Return the day, month or year that a text names; None for all else."""
    months = _MONTHS.fullmatch(text)
    try:
        if months is None:
            day = date.fromisoformat(text)
            return _days(datetime(day.year, day.month, day.day, tzinfo=UTC))
        start = datetime(int(months[1]), int(months[2] or 1), 1, tzinfo=UTC)
    except ValueError:
        return None
    if months[2] is None:
        return Span(start, _LAST if start.year == _LAST.year else start.replace(year=start.year + 1), closed=False)
    return Span(start, _later(start.replace(day=28), timedelta(days=4)).replace(day=1), closed=False)


def _days(start: datetime) -> Span:
    return Span(start, _later(start, timedelta(days=1)), closed=False)


def _instant(value: object) -> Span | None:
    moment = moment_of(value)
    return None if moment is None else Span(moment, moment)


def _later(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return _LAST
