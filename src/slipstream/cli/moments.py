"""Moments as people type them: how long ago, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from slipstream.domain.errors import InvalidInputError

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN_LOOKS_LIKE = "must look like 15m, 6h, 30d, 2w (so long ago), 2026, 2026-01, 2026-01-31 or 2026-01-31T12:00:00Z"
_LOOKS_LIKE = "must look like 90s, 15m, 6h, 30d, 2w (so long ago), 2026-01-31 or 2026-01-31T12:00:00+00:00"


def moment_told(text: str, now: datetime, *, field: str) -> datetime:
    """
    Return the moment that a text tells, in UTC; a time without its zone is one of this machine's zone.

    Raises `InvalidInputError` for anything else.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now.astimezone(UTC) - timedelta(seconds=float(ago[1]) * _UNITS_S[ago[2]])
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{_LOOKS_LIKE}, not {text!r}", field=field) from None


def span_told(text: str, now: datetime, *, field: str) -> str:
    """
    Return what a text tells as one end of a range of time, as searches take it.

    A day, a month or a year is all of it, and what has no zone is of UTC, as in the graph. Raises
    `InvalidInputError` for anything else.
    """
    from slipstream.search.times import bound  # it loads what the help of a command has no use for

    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return moment_told(text, now, field=field).isoformat()
        bound(text, field)
    except InvalidInputError:
        raise InvalidInputError(f"{_SPAN_LOOKS_LIKE}, not {text!r}", field=field) from None
    return text.strip()
