"""What a schema of Kafka Connect says of a row: how each column is decoded, and which columns are never null."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Note
from slipstream.events.formats.debezium_values import Decode, decoder_of, is_scaled, key_decoder_of, scaled_text
from slipstream.events.formats.reader import shown, shown_name
from slipstream.events.formats.unsent import is_unsent

SCHEMAS_MAX = 500
"""How many parsed schemas are kept; a feed has a few for each table."""
_DEPTH_MAX = 20
_MAY_BE_TIME = (
    "comes without a schema: whether the number is a date, a time or an interval can not be told: it is kept"
)
_MAY_BE_BYTES = "comes without a schema: whether the text is an encoded decimal or bytes can not be told: it is kept"


@dataclass(slots=True)
class Row:
    """A row: its decoded values, the columns that were not sent, and notes of what is unclear without a schema."""

    values: dict[str, Any] = field(default_factory=dict)
    unsent: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns of one struct are decoded; columns without a decoder stay as they are."""

    decoders: Mapping[str, Decode]
    required: frozenset[str] = frozenset()
    """Columns that are never null: a null there was not sent (an unchanged vector has no other placeholder)."""
    key_decoders: Mapping[str, Decode] = field(default_factory=dict)

    def read(self, data: Mapping[str, Any], prefix: str, space: str) -> Row:  # noqa: ARG002  (as `PlainColumns`)
        """Return the row in a struct; raises `InvalidInputError` naming the column."""
        row = Row()
        values, decoders = row.values, self.decoders
        for name, value in data.items():
            if value is None:
                if name in self.required:
                    row.unsent.add(name)
                else:
                    values[name] = None
            elif is_unsent(value):
                row.unsent.add(name)
            elif name in decoders:
                values[name] = _decoded(decoders[name], value, f"{prefix}{shown_name(name)}")
            else:
                values[name] = value
        return row

    def identify(self, data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Return the values of key columns, decoded as a key's; raises `InvalidInputError` naming the column."""
        decoders = self.key_decoders
        return {
            name: _decoded(decoders[name], value, f"{prefix}{shown_name(name)}")
            if name in decoders and value is not None
            else value
            for name, value in data.items()
        }


class PlainColumns:
    """Columns that come without a schema: decoded where the value itself says what it is."""

    def read(self, data: Mapping[str, Any], prefix: str, space: str) -> Row:
        """Return the row in a struct, with notes of what is unclear; raises `InvalidInputError` naming the column."""
        row = Row()
        values = row.values
        for name, value in data.items():
            if is_unsent(value):
                row.unsent.add(name)
                continue
            unclear = _unclear(value)
            if unclear is not None:
                row.notes.append(Note(f"{space}.{name}", unclear))
            values[name] = (
                _decoded(_self_told, value, f"{prefix}{shown_name(name)}") if type(value) in (dict, list) else value
            )
        return row

    def identify(self, data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Return the values of key columns; raises `InvalidInputError` naming the column."""
        return {
            name: _decoded(scaled_text, value, f"{prefix}{shown_name(name)}") if is_scaled(value) else value
            for name, value in data.items()
        }


PLAIN = PlainColumns()
AnyColumns = Columns | PlainColumns


def _self_told(value: Any) -> Any:
    """Return a value in which decimals that carry their scale are decoded."""
    if isinstance(value, list):
        return [scaled_text(item) if is_scaled(item) else item for item in value]
    return scaled_text(value) if is_scaled(value) else value


def _unclear(value: Any) -> str | None:
    """Return what is unclear of a value (of a list's first one) without its schema; None when nothing is."""
    if type(value) is list:
        value = next((item for item in value if item is not None), None)
    if type(value) is int:
        return _MAY_BE_TIME
    return _MAY_BE_BYTES if type(value) is str and value[-1:] == "=" and is_padded_base64(value) else None


def is_padded_base64(text: str) -> bool:
    """Whether a text that ends with `=` looks like bytes in base64."""
    body = text.rstrip("=")
    return len(text) % 4 == 0 and len(text) - len(body) <= 2 and body.replace("+", "a").replace("/", "a").isalnum()


def _decoded(decode: Decode, value: Any, where: str) -> Any:
    try:
        return decode(value)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise InvalidInputError(str(error), field=where) from error


class Schemas:
    """Keeps parsed schemas, so that messages with an equal schema are decoded without parsing it again."""

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[str, str | None], tuple[Any, AnyColumns]] = OrderedDict()

    def columns(self, schema: Any, member: str | None = None) -> AnyColumns:
        """Return how the columns of a struct are decoded, or of the struct in its field `member` (`after`, say)."""
        if not isinstance(schema, dict):
            return PLAIN
        key = (str(schema.get("name")), member)
        known = self._read.get(key)
        if known is not None and (known[0] is schema or known[0] == schema):
            self._read.move_to_end(key)
            return known[1]
        struct = schema if member is None else _field(schema, member)
        columns: AnyColumns = PLAIN if struct is None or "fields" not in struct else _columns(struct, 0)
        self._read[key] = (schema, columns)
        if len(self._read) > SCHEMAS_MAX:
            self._read.popitem(last=False)
        return columns


def scalar_key(part: Any, schema: Any, where: str) -> Any:
    """Return the decoded value of a key that is not a struct; raises `InvalidInputError`."""
    decode = _decoder(schema, 0, key_decoder_of)
    return part if decode is None else _decoded(decode, part, where)


def _fields(schema: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not all(
        isinstance(each, dict) and isinstance(each.get("field"), str) for each in fields
    ):
        raise InvalidInputError("must be an array of objects that name their field", field="schema.fields")
    return fields


def _field(schema: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return next((each for each in _fields(schema) if each["field"] == name), None) if "fields" in schema else None


def _columns(schema: Mapping[str, Any], depth: int) -> Columns:
    fields = _fields(schema)
    found = {each["field"]: decode for each in fields if (decode := _decoder(each, depth + 1)) is not None}
    required = frozenset(each["field"] for each in fields if each.get("optional") is False)
    in_keys = {each["field"]: decode for each in fields if (decode := _decoder(each, depth + 1, key_decoder_of))}
    return Columns(found, required, in_keys)


def _decoder(
    schema: Any, depth: int, by_name: Callable[[str, Mapping[str, Any]], Decode | None] = decoder_of
) -> Decode | None:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return None
    name, parameters, kind = schema.get("name"), schema.get("parameters"), schema.get("type")
    if isinstance(name, str):
        decode = by_name(name, parameters if isinstance(parameters, dict) else {})
        if decode is not None:
            return decode
    make = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    return None if make is None else make(schema, depth)


def _struct(schema: Mapping[str, Any], depth: int) -> Decode | None:
    if "fields" not in schema:
        return None
    decoders = _columns(schema, depth).decoders

    def decode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"must be an object, got {shown(value)}")  # noqa: TRY004  (of the data)
        return {
            name: decoders[name](item) if name in decoders and item is not None else item
            for name, item in value.items()
        }

    return decode if decoders else None


def _array(schema: Mapping[str, Any], depth: int) -> Decode | None:
    item = _decoder(schema.get("items"), depth + 1)
    if item is None:
        return None

    def decode(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"must be an array, got {shown(value)}")  # noqa: TRY004  (of the data)
        return [None if each is None else item(each) for each in value]

    return decode


def _map(schema: Mapping[str, Any], depth: int) -> Decode | None:
    item = _decoder(schema.get("values"), depth + 1)

    def decode(value: Any) -> dict[str, Any]:
        """Return the map; one whose keys are not texts comes as an array of pairs."""
        pairs = list(value.items()) if isinstance(value, dict) else value
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
        ):
            raise ValueError(f"must be an object or an array of pairs, got {shown(value)}")
        return {str(name): each if item is None or each is None else item(each) for name, each in pairs}

    return decode


_BY_TYPE: Mapping[str, Callable[[Mapping[str, Any], int], Decode | None]] = {
    "struct": _struct,
    "array": _array,
    "map": _map,
}
