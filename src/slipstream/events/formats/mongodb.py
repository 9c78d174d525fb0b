"""
Documents of MongoDB in change events of Debezium: texts of extended JSON.

By Debezium's documentation, not by recorded events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.events.formats.connect_schemas import Row
from slipstream.events.formats.envelopes import Message
from slipstream.events.formats.naming import row_name
from slipstream.events.formats.reader import Reader, load_json, shown, shown_name
from slipstream.events.formats.rows import DELETED, RowKey
from slipstream.events.formats.unsent import is_unsent

_ID = "_id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FULL = "set capture.mode=change_streams_update_full"


def document(value: Reader, kind: str) -> tuple[Row | None, bool]:
    """Return the document after a change (before a deletion), and whether it is whole, not a difference."""
    name = "before" if kind == DELETED else "after"
    if value.has(name):
        return _row(_document(value, name)), True
    if kind == DELETED:
        return None, True
    description = value.object_or_none("updateDescription")
    if description is None:
        raise value.refused("after", f"is required: {_FULL}")
    return _difference(description), False


def key_of(message: Message, row: Row | None) -> RowKey:
    """Return the key of a document: the message's `id`, a text of extended JSON, else its own `_id`."""
    part = message.key
    if part is not None:
        key = Reader(part.payload if isinstance(part.payload, dict) else {}, part.prefix)
        identity: Any = key.identity("id")
        where = f"{part.prefix}id"
        if isinstance(key.data["id"], str):
            try:
                identity = plain(load_json(identity, whole=where))
            except InvalidInputError:
                identity = key.data["id"]  # a text that is not JSON is the id itself
    else:
        where = _ID
        identity = None if row is None else row.values.get(_ID)
        if identity is None:
            raise InvalidInputError("is required: the document has no _id, and the message no key", field="key")
    values = list(identity.values()) if isinstance(identity, dict) else [identity]
    if row is not None:
        row.values.pop(_ID, None)
    return RowKey(row_name(values, where))


def _document(value: Reader, name: str) -> dict[str, Any]:
    found, where = value.data[name], f"{value.prefix}{name}"
    loaded = load_json(found, whole=where) if isinstance(found, str) else found
    if not isinstance(loaded, dict):
        raise InvalidInputError(f"must be a document, got {shown(loaded)}", field=where)
    return {field: _told(item, f"{where}.{shown_name(field)}") for field, item in loaded.items()}


def _row(values: Mapping[str, Any]) -> Row:
    unsent = {name for name, value in values.items() if is_unsent(value)}
    return Row({name: value for name, value in values.items() if name not in unsent}, unsent)


def _difference(description: Reader) -> Row:
    """Return what an update changed; raises `InvalidInputError` for a change inside of a field."""
    updated = _document(description, "updatedFields") if description.has("updatedFields") else {}
    removed = description.texts("removedFields")
    if description.data.get("truncatedArrays") or any("." in name for name in (*updated, *removed)):
        raise description.refused("updatedFields", f"changes the inside of a field: {_FULL}")
    return _row({**updated, **dict.fromkeys(removed)})


def _told(value: Any, where: str) -> Any:
    try:
        return plain(value)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise InvalidInputError(str(error), field=where) from error


def plain(value: Any) -> Any:
    """Return a value of extended JSON as a property's value; raises `ValueError` for an invalid one."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, inner)] = value.items()
        decode = _BY_NAME.get(name)
        if decode is not None:
            return decode(inner)
    return {name: plain(item) for name, item in value.items()}


def _date(value: Any) -> Any:
    inner = plain(value)
    if isinstance(inner, str):
        return Reader({"$date": inner}).moment("$date")
    if isinstance(inner, bool) or not isinstance(inner, int):
        raise ValueError(f"$date must be a time or an integer of milliseconds, got {shown(value)}")  # noqa: TRY004  (of the data)
    try:
        return _EPOCH + timedelta(milliseconds=inner)
    except OverflowError:
        return f"{inner} milliseconds since 1970-01-01"


def _whole(value: Any) -> int:
    return int(_text(value))


def _number(value: Any) -> Any:
    text = _text(value)
    return text if text in ("NaN", "Infinity", "-Infinity") else float(text)


def _binary(value: Any) -> Any:
    return value.get("base64", value) if isinstance(value, dict) else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, got {shown(value)}")  # noqa: TRY004  (of the data)
    return value


_BY_NAME: Mapping[str, Callable[[Any], Any]] = {
    "$oid": _text,
    "$date": _date,
    "$numberLong": _whole,
    "$numberInt": _whole,
    "$numberDouble": _number,
    "$numberDecimal": _text,
    "$binary": _binary,
    "$uuid": _text,
    "$symbol": _text,
    "$code": _text,
    "$undefined": lambda _: None,
    "$minKey": lambda _: "$minKey",
    "$maxKey": lambda _: "$maxKey",
}
