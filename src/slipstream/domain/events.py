"""Change events: what happened to one entity or relationship, or to the schema."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX, RecordKey, entity_key, relationship_key


class PKGEventType(StrEnum):
    """The seven kinds of mutation of a PKG."""

    ENTITY_CREATED = "entity_created"
    ENTITY_UPDATED = "entity_updated"
    ENTITY_DELETED = "entity_deleted"
    RELATIONSHIP_CREATED = "relationship_created"
    RELATIONSHIP_UPDATED = "relationship_updated"
    RELATIONSHIP_DELETED = "relationship_deleted"
    SCHEMA_EVOLVED = "schema_evolved"

    def __init__(self, value: str) -> None:
        # Plain attributes: they are asked for several times an event, and an enum's `value` is slow.
        self.is_entity = value.startswith("entity_")
        """Whether the event is about an entity."""
        self.is_relationship = value.startswith("relationship_")
        """Whether the event is about a relationship."""
        self.is_deletion = value.endswith("_deleted")
        """Whether the event says that something is gone."""


# The slots of the frozen model, to be set directly: that takes a third less time than by name, for every log entry.
_set_values, _set_given, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
_Identifier = Annotated[str, StringConstraints(min_length=1, max_length=ID_SIZE_MAX)]
_RelationshipId = Annotated[str, StringConstraints(min_length=1, max_length=8 * ID_SIZE_MAX)]


class PKGEvent(BaseModel):
    """
    One committed mutation of the graph.

    `entity_id` is the entity's id, or the relationship's id for relationship events (then `entity_type` is the
    relationship type and both endpoints are given), or `schema` for an evolution. `position` is None until a
    graph's log has assigned one. Timestamps must carry a time zone and are kept in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: _Identifier
    event_type: PKGEventType
    entity_id: _RelationshipId
    entity_type: _Identifier
    timestamp: AwareDatetime

    old_data: dict[str, Any] | None = None
    new_data: dict[str, Any] | None = None

    source_document_id: str | None = None
    extraction_confidence: float | None = Field(default=None, ge=0.0, le=1.0, allow_inf_nan=False)
    schema_version: int = Field(ge=1)

    position: int | None = Field(default=None, ge=0)
    source_id: _Identifier | None = None
    source_type: _Identifier | None = None
    target_id: _Identifier | None = None
    target_type: _Identifier | None = None

    @field_validator("timestamp")
    @classmethod
    def _to_utc(cls, value: AwareDatetime) -> AwareDatetime:
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(
                f"{value.isoformat()} can not be told in UTC: it is outside of the years 1 to 9999"
            ) from error

    @model_validator(mode="after")
    def _has_endpoints(self) -> Self:
        if self.event_type.is_relationship and (self.source_id is None or self.target_id is None):
            raise ValueError("source_id and target_id are required for relationship events")
        return self

    @classmethod
    def parse(cls, data: object) -> PKGEvent:
        """
        Build an event from JSON text, bytes or a mapping.

        Raises `InvalidInputError` that names the first wrong field.
        """
        try:
            if isinstance(data, str | bytes):
                return cls.model_validate_json(data)
            return cls.model_validate(data)
        except ValidationError as error:
            raise invalid_input(error) from error

    @classmethod
    def unchecked(cls, fields: dict[str, Any]) -> PKGEvent:
        """Return the event of `fields`, which are all there and checked: `model_construct`, a few times as fast."""
        event = cls.__new__(cls)
        _set_values(event, fields)
        _set_given(event, _ALL_FIELDS)
        _set_extra(event, None)
        _set_private(event, None)
        return event

    @property
    def key(self) -> RecordKey | None:
        """The key of the record that this event is about; None for a schema evolution."""
        if self.event_type.is_entity:
            return entity_key(self.entity_id)
        if self.event_type.is_relationship:
            return relationship_key(self.entity_id)
        return None

    @property
    def changed_properties(self) -> frozenset[str] | None:
        """Names of the properties that differ between old and new data; None when that is not known."""
        if self.old_data is None or self.new_data is None:
            return None
        old, new = self.old_data, self.new_data
        # 1 == 1.0 == True and 0.0 == -0.0, also deep inside of lists and maps, but each is rendered differently.
        changed = [
            name
            for name, value in new.items()
            if (before := old.get(name)) is not value
            and (before != value or (type(value) is not str and repr(before) != repr(value)))
        ]
        if not old.keys() <= new.keys():
            changed += [name for name, value in old.items() if name not in new and value is not None]
        return frozenset(changed)


_ALL_FIELDS = set(PKGEvent.model_fields)


def invalid_input(error: ValidationError) -> InvalidInputError:
    """Translate a pydantic error to one that names the first wrong field."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "event"
    field = field if field.isprintable() else ascii(field)  # the name of an unknown field may hold anything
    return InvalidInputError(first["msg"].removeprefix("Value error, "), field=field)


def deterministic_event_id(parts: Iterable[object]) -> str:
    """Return an id that is the same whenever the same parts are given, so that replays deduplicate."""
    return hashlib.blake2b(b"".join(map(_sized, parts)), digest_size=16).hexdigest()


def log_event_id(graph_id: str, position: int) -> str:
    """Return `deterministic_event_id` of a graph and a position, which nearly every event has."""
    return hashlib.blake2b(_begin(graph_id) + _sized(position), digest_size=16).hexdigest()


@lru_cache(maxsize=16)
def _begin(graph_id: str) -> bytes:
    return _sized(graph_id)


def _sized(part: object) -> bytes:
    encoded = str(part).encode("utf-8", "surrogatepass")  # texts with lone surrogates need ids too
    return len(encoded).to_bytes(8, "big") + encoded
