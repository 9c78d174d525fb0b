"""Properties as JSON text, and rows of the log as events. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any, NoReturn

from slipstream.adapters.graphs.evolution import evolution_data
from slipstream.adapters.graphs.values import DEPTH_MAX
from slipstream.domain.entities import Properties, PropertyValue
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.events import PKGEvent, PKGEventType, log_event_id
from slipstream.domain.keys import RelationshipRef, entity_key, relationship_key
from slipstream.domain.log import LogEntry, Rescan
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.values import decode_value, encode_value, jsonable
from slipstream.ports.feed import ChangedKey

RESCAN, SCHEMA = "*", "s"
KINDS = {
    "+e": PKGEventType.ENTITY_CREATED,
    "~e": PKGEventType.ENTITY_UPDATED,
    "-e": PKGEventType.ENTITY_DELETED,
    "+r": PKGEventType.RELATIONSHIP_CREATED,
    "~r": PKGEventType.RELATIONSHIP_UPDATED,
    "-r": PKGEventType.RELATIONSHIP_DELETED,
}
"""The event types of `change.kind`; two other kinds are schema versions and rescans."""
_UPDATES = ("~e", "~r")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = (str, int, float)
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_EMPTY = b"{}"
_SCALARS = frozenset((str, int, float, bool))
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_TEXT = frozenset((str,))
_DIGITS_MAX = 18
_Row = Sequence[Any]


def encode_properties(properties: Properties) -> str:
    """Return checked properties as JSON text."""
    if _TEXT.issuperset(map(type, properties.values())):  # as in most; the encoder takes twice as long to begin
        pairs = [f"{_quoted(name)}:{_quoted(str(value))}" for name, value in properties.items()]
        return f"{{{','.join(pairs)}}}"
    if not all(isinstance(value, _PLAIN) for value in properties.values()):
        properties = {name: encode_value(value) for name, value in properties.items()}
    return _ENCODER.encode(properties)


def decode_properties(text: str | bytes, identity: str) -> dict[str, PropertyValue]:
    """
    Return the properties that a row holds, without nulls and without a property `id`.

    Raises `PoisonEventError` for properties that another program wrote and that can not be used: not UTF-8, lone
    surrogates, nested too deeply.
    """
    if isinstance(text, bytes) and (plain := _plain(text)) is not None:
        return plain
    try:
        found = _loaded(text)
    except (ValueError, RecursionError) as error:
        raise PoisonEventError(f"the properties of {identity!r} can not be read: {error}") from error
    return _kept(found)


def readable_properties(text: str | bytes, identity: str) -> Properties:
    """Return the properties that a row holds; unreadable ones raise `PoisonEventError` only when they are used."""
    try:
        return decode_properties(text, identity)
    except PoisonEventError as error:
        return _Unreadable(str(error))


class _Unreadable(Mapping[str, PropertyValue]):
    """Stands in for unreadable properties, so that one such row fails no batch: raises when it is used."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def _refuse(self) -> NoReturn:
        raise PoisonEventError(self._reason)

    def __getitem__(self, name: str) -> PropertyValue:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:  # noqa: PLE0303  (it never returns)
        self._refuse()

    def __repr__(self) -> str:
        return f"<{self._reason}>"


def _loaded(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object as values; raises `ValueError` for one that can not be used."""
    if isinstance(text, bytes):
        text = text.decode()  # strictly: `json` would let surrogates through
    found = _parsed(text)
    if not isinstance(found, dict):
        raise ValueError("they are not a JSON object")  # noqa: TRY004  (of the value, not of our argument)
    # Search for one character first: two at a time is slower, and most texts have neither.
    if "\\" in text and "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()  # raises for a lone surrogate
    if "$" in text and '"$' in text:
        found = {name: decode_value(value) for name, value in found.items()}
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_too_deep(found):
        raise ValueError(f"they are nested deeper than {DEPTH_MAX} levels")
    return found


def _plain(text: bytes) -> dict[str, PropertyValue] | None:
    """Return properties if all are texts and numbers, as nearly always; None when they must be parsed in full."""
    if b"\\" in text and b"\\u" in text:  # one character first: a search for two is slower
        return None
    try:
        decoded = text.decode()
        found, end = _scan(decoded, 0)
    except (StopIteration, ValueError, RecursionError):
        return None
    is_flat = type(found) is dict and "id" not in found and _SCALARS.issuperset(map(type, found.values()))
    return found if is_flat and end == len(decoded) else None


def _parsed(text: str) -> Any:
    """Return what `json.loads` does, faster for a text that ends with its object, as nearly all in the tables do."""
    try:
        found, end = _scan(text, 0)
    except (StopIteration, ValueError):
        return json.loads(text)
    return found if end == len(text) else json.loads(text)


def _is_too_deep(found: dict[str, Any]) -> bool:
    level: list[Any] = list(found.values())
    for _ in range(DEPTH_MAX):
        level = [item for value in level if isinstance(value, dict | list) for item in _items(value)]
    return any(isinstance(value, dict | list) for value in level)


def _items(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def rescan_types(text: object) -> frozenset[str] | None:
    """Return the types that a rescan is about, None for all."""
    try:
        types = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        return None
    return frozenset(types)


def entry_of(row: _Row, graph_id: str, schema_version: int) -> LogEntry:
    """Return the entry of a row of the log with the columns `feed.COLUMNS`."""
    position, kind, entity_id, kind_type, source, target, key, old, new, at, source_type, target_type = row
    if not is_of_the_triggers(row):
        return Rescan(Position(position), rescan_types(_text_of(new)) if kind == RESCAN else None)
    event_type = KINDS[kind]
    is_entity = event_type.is_entity
    before = None if old is None else _told(old)
    after = None if new is None else _told(new)
    if kind in _UPDATES and (after is None or (before == after and old != new)):
        before = None  # equal as JSON, or one was too long to keep: it must not look like no change
    data = after if after is not None else before
    return PKGEvent.unchecked(
        {
            "event_id": log_event_id(graph_id, position),
            "event_type": event_type,
            "entity_id": entity_id if is_entity else RelationshipRef(kind_type, source, target, key).id,
            "entity_type": kind_type,
            "timestamp": _moment_of(at),
            "old_data": before,
            "new_data": after,
            "source_document_id": _text_or_none(data.get("source_document_id")) if data else None,
            "extraction_confidence": _confidence_or_none(data.get("extraction_confidence")) if data else None,
            "schema_version": schema_version,
            "position": position,
            "source_id": None if is_entity else source,
            "source_type": source_type,
            "target_id": None if is_entity else target,
            "target_type": target_type,
        }
    )


def changed_key(row: _Row) -> ChangedKey | None:
    """Return what a row of the log is about, None for one that is about something unknown."""
    position, kind, entity_id, kind_type, source, target, key = row
    if kind == SCHEMA:
        return ChangedKey(Position(position), None, "")
    if not is_of_the_triggers(row):
        return None
    is_entity = kind.endswith("e")
    record = (
        entity_key(entity_id) if is_entity else relationship_key(RelationshipRef(kind_type, source, target, key).id)
    )
    return ChangedKey(Position(position), record, kind_type)


def is_of_the_triggers(row: _Row) -> bool:
    """Whether a row of the log is about an entity or a relationship; a row written by hand may be about nothing."""
    kind, entity_id, kind_type, source, target, key = row[1:7]
    event_type = KINDS.get(kind)
    if event_type is None or not _is_name(kind_type):
        return False
    if event_type.is_entity:
        return _is_name(entity_id)
    return _is_name(source) and _is_name(target) and isinstance(key, str)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def is_number(text: object) -> bool:
    """Whether a text is a whole number, short enough for a position or a version."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX


def version_told(row: _Row) -> int | None:
    """Return which schema version a row of the log begins, None when it is about something else."""
    number = _text_of(row[8])
    return int(str(number)) if row[1] == SCHEMA and is_number(number) else None


def schema_event(old: GraphSchema, new: GraphSchema, graph_id: str, position: Position) -> PKGEvent:
    """Return the event of a schema version; the log keeps only its number."""
    old_data, new_data = evolution_data(old, new)
    return PKGEvent.model_construct(
        event_id=log_event_id(graph_id, position),
        event_type=PKGEventType.SCHEMA_EVOLVED,
        entity_id="schema",
        entity_type="Schema",
        timestamp=new.created_at or _EPOCH,
        old_data=old_data,
        new_data=new_data,
        schema_version=new.version,
        position=position,
    )


@lru_cache(maxsize=64)
def _moment_of(at_ms: object) -> datetime:
    """Return the time of a row; an invalid one counts as 1970. Cached, for many rows have the same."""
    if not isinstance(at_ms, int):
        return _EPOCH
    try:
        return _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        return _EPOCH


def _told(text: str | bytes | None) -> dict[str, Any] | None:
    """Return logged properties as plain JSON for an event; None when they were not kept or can not be read."""
    if isinstance(text, bytes):
        if (plain := {} if text == _EMPTY else _plain(text)) is not None:
            return plain
    elif not isinstance(text, str):
        return None
    try:
        found = _loaded(text)
    except (ValueError, RecursionError):
        return None
    kept = _kept(found)
    return {name: jsonable(value) for name, value in kept.items()} if _is_tagged(text) else kept


def _kept(found: dict[str, Any]) -> dict[str, Any]:
    """Return properties without nulls and without `id`."""
    if "id" not in found and None not in found.values():
        return found
    return {name: value for name, value in found.items() if value is not None and name != "id"}


def _is_tagged(text: str | bytes) -> bool:
    return b"$" in text if isinstance(text, bytes) else "$" in text


def _text_of(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _confidence_or_none(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0.0 <= value <= 1.0 else None  # type: ignore[operator, arg-type]
