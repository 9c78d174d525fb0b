"""Property values as text: the same value always gives the same characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from slipstream.domain.stamps import MetadataValue

TEXT_SIZE_MAX = 8_000
"""Longest text that stands for a record, in characters; the rest is cut off, deterministically."""

WORKING_SIZE_MAX = 8 * TEXT_SIZE_MAX
"""Longest text that a list or a map is written out to: far past what is kept."""


def format_value(value: object) -> str:
    """Return a property value as text; of a list or a map that is far too long, only the beginning."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | Mapping):
        return bounded_join(_pieces(value))
    return _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for number, name in enumerate(sorted(value)):
            yield f"; {name}: " if number else f"{name}: "
            yield from _pieces(value[name])
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            if number:
                yield ", "
            yield from _pieces(item)
    else:
        yield format_value(value)


def bounded_join(pieces: Iterator[str]) -> str:
    """Return the pieces joined, up to and including the one that makes the text longer than `WORKING_SIZE_MAX`."""
    taken: list[str] = []
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > WORKING_SIZE_MAX:
            break
    return "".join(taken)


def joined(pieces: Sequence[str]) -> str:
    """Return what `bounded_join` does; fast where the text is not too long, as nearly always."""
    text = "".join(pieces)
    return text if len(text) <= WORKING_SIZE_MAX else bounded_join(iter(pieces))


def is_text(value: object) -> bool:
    """Whether the default view counts a value as text: a string, or a list that holds one."""
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(item, str) for item in value))


def normalised(text: str) -> str:
    """Return the text with white space collapsed, cut to the limit."""
    return " ".join(text.split())[:TEXT_SIZE_MAX].rstrip()


def as_metadata(value: object) -> MetadataValue:
    """Return a value in a form that every index can filter by: scalars as they are, the rest as text."""
    return value if isinstance(value, str | bool | int | float) else format_value(value)
