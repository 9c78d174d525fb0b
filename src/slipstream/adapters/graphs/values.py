"""Which names, ids and property values a graph accepts. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from slipstream.domain.entities import Properties, PropertyValue
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX
from slipstream.domain.names import NAME_SIZE_MAX, name_fault, property_fault
from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from slipstream.domain.values import encode_value

TEXT_BYTES_MAX = 1 << 20
DEPTH_MAX = 32
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1


def check_name(name: object, field: str) -> str:
    """Return a type or property name; raises `InvalidInputError` for one that can not stand in a schema."""
    fault = name_fault(name)
    if fault is not None:
        raise InvalidInputError(fault, field=field)
    return str(name)


def check_type_name(name: object, field: str) -> str:
    """Return the name of an entity or relationship type."""
    return check_name(name, field)


def checked_advance(position: Position) -> Position:
    """Return a position that a log can be advanced to; raises `InvalidInputError` for any other."""
    if not ORIGIN <= position <= POSITION_MAX:
        raise InvalidInputError(f"{position} is no position: 0 to {POSITION_MAX}", field="position")
    return position


def check_id(identity: object, field: str) -> str:
    """Return an entity id; raises `InvalidInputError` for an empty, oversized or unencodable one."""
    if not isinstance(identity, str) or not identity:
        raise InvalidInputError(f"an id must be a non-empty text, got {identity!r}", field=field)
    if len(identity) > ID_SIZE_MAX:
        raise InvalidInputError(f"has {len(identity)} characters, an id has at most {ID_SIZE_MAX}", field=field)
    if "\x00" in identity:
        raise InvalidInputError("contains a NUL character, which no id can have", field=field)
    _encoded_size(identity, field)
    return identity


def check_properties(properties: Properties | None, identity: str) -> dict[str, PropertyValue]:
    """
    Return a copy of the properties with plain values only; None stays (it removes a property).

    A property `id` must equal the identity and is dropped. Raises `InvalidInputError` that names the property.
    """
    checked: dict[str, PropertyValue] = {}
    for name, value in (properties or {}).items():
        if name == "id":
            if value != identity:
                raise InvalidInputError(f"{value!r} differs from the identity {identity!r}: leave it out", field="id")
            continue
        fault = property_fault(name)
        if fault is not None:
            raise InvalidInputError(fault, field=str(name)[:NAME_SIZE_MAX] or "property")
        checked[name] = check_value(value, name)
    return checked


def check_value(value: object, field: str) -> PropertyValue:
    """Return a property value as plain Python, datetimes in UTC; raises `InvalidInputError` naming the property."""
    if type(value) is str:
        _encoded_size(value, field)
        return value
    plain: PropertyValue = _plain(value, field, 0)
    if isinstance(plain, list | dict):
        _encoded_size(json.dumps(encode_value(plain), ensure_ascii=False), field)
    return plain


def _plain(value: object, field: str, depth: int) -> Any:  # noqa: PLR0911 - one case a type
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        _encoded_size(value, field)
        return str(value)
    if isinstance(value, int):
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise InvalidInputError(f"{value} does not fit 64 bits: store it as text", field=field)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInputError(f"{value} is not a finite number: leave the property out instead", field=field)
        return float(value)
    if isinstance(value, datetime):
        return _utc(value, field)
    if depth >= DEPTH_MAX:
        raise InvalidInputError(f"is nested deeper than {DEPTH_MAX} levels", field=field)
    if isinstance(value, list | tuple):
        return [_plain(item, field, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return _plain_map(value, field, depth)
    raise InvalidInputError(
        f"{type(value).__name__} can not be stored: use text, number, boolean, aware datetime, list, map",
        field=field,
    )


def _plain_map(value: Mapping[Any, Any], field: str, depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise InvalidInputError(f"the map has the key {key!r}, keys must be texts", field=field)
        _encoded_size(key, field)
    return {str(key): _plain(item, field, depth + 1) for key, item in value.items()}


def _encoded_size(text: str, field: str) -> None:
    if text.isascii() and len(text) <= TEXT_BYTES_MAX:
        return  # nearly always
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError("contains a surrogate that is not valid Unicode text", field=field) from error
    if size > TEXT_BYTES_MAX:
        raise InvalidInputError(f"has {size} bytes, at most {TEXT_BYTES_MAX} are allowed", field=field)


def _utc(value: datetime, field: str) -> datetime:
    if value.utcoffset() is None:
        raise InvalidInputError(f"{value.isoformat()} has no time zone: give an aware datetime", field=field)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError(f"{value.isoformat()} can not be expressed in UTC", field=field) from error


def same_properties(left: Properties, right: Properties) -> bool:
    """Whether both hold the same values; unlike with `==`, 1, 1.0 and True are three different values."""
    return left.keys() == right.keys() and all(same_value(left[name], right[name]) for name in left)


def same_value(left: Any, right: Any) -> bool:
    """Whether two property values are the same; unlike with `==`, 1, 1.0 and True are three different values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(same_value(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        return same_properties(left, right)
    return bool(left == right)
