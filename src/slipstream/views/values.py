"""Property values as text: the same value always gives the same characters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from slipstream.domain.stamps import MetadataValue

TEXT_SIZE_MAX = 8_000
"""Longest text that stands for a record, in characters; the rest is cut off, deterministically."""


def format_value(value: object) -> str:
    """Return a property value as text."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {format_value(value[name])}" for name in sorted(value))
    if isinstance(value, list | tuple):
        return ", ".join(format_value(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)


def is_text(value: object) -> bool:
    """Whether the default view counts a value as text: a string, or a list that holds one."""
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(item, str) for item in value))


def normalised(text: str) -> str:
    """Return the text with white space collapsed, cut to the limit."""
    return " ".join(text.split())[:TEXT_SIZE_MAX]


def as_metadata(value: object) -> MetadataValue:
    """Return a value in a form that every index can filter by: scalars as they are, the rest as text."""
    return value if isinstance(value, str | bool | int | float) else format_value(value)
