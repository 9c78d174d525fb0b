"""How property values travel as JSON. Pure."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_DATETIME_TAG, _BYTES_TAG, _FLOAT_TAG = "$datetime", "$bytes", "$float"


def encode_value(value: Any) -> Any:
    """Return a value as plain JSON types that `decode_value` turns back into the same value, datetimes included."""
    if isinstance(value, datetime):
        return {_DATETIME_TAG: value.isoformat()}
    if isinstance(value, list):
        return [encode_value(item) for item in value]
    if isinstance(value, dict):
        tagged = {key: encode_value(item) for key, item in value.items()}
        only = next(iter(tagged)) if len(tagged) == 1 else ""
        return {f"${only}": tagged[only]} if only.startswith("$") else tagged  # a lone $key would look like a tag
    return value


def decode_value(value: Any) -> Any:
    """Return the value that `encode_value` was given; a value that only looks like a tag stays as it is."""
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    only = next(iter(value)) if len(value) == 1 else ""
    if only == _DATETIME_TAG and isinstance(value[only], str):
        return _moment_or_same(value)
    decoded = {key: decode_value(item) for key, item in value.items()}
    return {only[1:]: decoded[only]} if only.startswith("$$") else decoded


def _moment_or_same(tagged: dict[str, str]) -> Any:
    """Return the time of a tag in UTC, or the tag as it is: another program may have written anything."""
    try:
        moment = datetime.fromisoformat(tagged[_DATETIME_TAG])
        return tagged if moment.utcoffset() is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return tagged


def encode_cell(value: Any) -> Any:
    """Return a value of a query's row as plain JSON types: as `encode_value`, with bytes and infinite numbers too."""
    return _tagged(encode_value(value))


def decode_cell(value: Any) -> Any:
    """Return the value that `encode_cell` was given."""
    return decode_value(_untagged(value))


def _tagged(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES_TAG: base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT_TAG: str(value)}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, dict):
        return {key: _tagged(item) for key, item in value.items()}
    return value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_BYTES_TAG}:  # nobody's own: `encode_value` has put another $ in front of those
        return base64.b64decode(value[_BYTES_TAG])
    if value.keys() == {_FLOAT_TAG}:
        return float(value[_FLOAT_TAG])
    return {key: _untagged(item) for key, item in value.items()}


def jsonable(value: Any) -> Any:
    """Return a value as plain JSON types, datetimes as ISO 8601 text: what a change event carries."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    return value
