"""Temporal context out of an event's properties."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from slipstream.domain.entities import Properties
from slipstream.domain.temporal import TemporalEmbeddingContext

TEMPORAL_PROPERTIES = ("timestamp", "duration", "temporal_type", "event_sequence", "causal_chain")
_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def temporal_context(
    properties: Properties, chains: Mapping[str, tuple[str, ...]] | None = None
) -> TemporalEmbeddingContext | None:
    """
    Return when and why something happened, None when nothing is known of it.

    `chains` are an event sequence or causal chain that was read out of the graph; it replaces the property of that
    name. A malformed value is left out rather than failing the entity; a time without a zone is taken as UTC.
    """
    fields: dict[str, Any] = {
        "timestamp": moment_of(properties.get("timestamp")),
        "duration": duration_of(properties.get("duration")),
        "temporal_type": _text(properties.get("temporal_type")),
        "event_sequence": _texts(properties.get("event_sequence")),
        "causal_chain": _texts(properties.get("causal_chain")),
        **(chains or {}),
    }
    if all(value is None or value == () for value in fields.values()):
        return None
    return TemporalEmbeddingContext(**fields)


def moment_of(value: object) -> datetime | None:
    """Return the moment that a value tells, in UTC; a time without a zone is one of UTC. None for all else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar, in a zone that leaves it
        return None


def duration_of(value: object) -> timedelta | None:
    """Return the duration that a value tells: seconds, or text as ISO 8601 has it. None for all else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return _DURATION.validate_python(value)
    except (ValidationError, OverflowError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(item for item in value if isinstance(item, str) and item) if isinstance(value, list) else ()
