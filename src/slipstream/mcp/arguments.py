"""What each tool takes. Texts arrive as they are; an argument that a tool does not have is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX
from slipstream.domain.names import NAME_SIZE_MAX
from slipstream.domain.positions import POSITION_MAX
from slipstream.search.narrowing import Sort
from slipstream.search.options import Mode

TEXT_MAX = 20_000
"""Longest text that is searched for, and longest query, in characters."""
HITS_MAX, ITEMS_MAX, ROWS_MAX = 50, 100, 500
SHOWN_MAX = 20_000
"""How many characters of one text an answer may be asked for."""
WAIT_S_MAX = 30.0
DEPTH_MAX = 64
"""How deeply an object may be nested; a graph keeps half of that."""
_RELATIONSHIP_ID_MAX = 4 * 3 * ID_SIZE_MAX  # four parts, whose characters may be encoded as three each
_CURSOR_MAX = 8 * ID_SIZE_MAX


def _opened(value: object) -> object:
    """Return what a text says, where only an object can be meant: some clients send objects as their JSON."""
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
    level = [found]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level if isinstance(outer, list | dict) for inner in _inside(outer)]
    if level:
        raise ValueError(f"is nested deeper than {DEPTH_MAX} levels")
    return found


def _inside(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


Id = Annotated[str, Field(min_length=1, max_length=_RELATIONSHIP_ID_MAX)]
TypeName = Annotated[str, Field(min_length=1, max_length=NAME_SIZE_MAX)]
Moment = Annotated[str, Field(min_length=1, max_length=64)]
Source = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
Cursor = Annotated[str, Field(max_length=_CURSOR_MAX, description="`next` of the page before.")]
Log = Annotated[int, Field(ge=0, le=POSITION_MAX)]
Object = Annotated[dict[str, Any], BeforeValidator(_opened)]
Shown = Annotated[int, Field(ge=0, le=SHOWN_MAX, description="Characters shown of each text.")]


class Arguments(BaseModel):
    """The arguments of one tool."""

    model_config = ConfigDict(extra="forbid")


class Search(Arguments):
    """Arguments of `search`."""

    text: Annotated[str, Field(min_length=1, max_length=TEXT_MAX, description="What to look for, in plain words.")]
    k: Annotated[int, Field(ge=1, le=HITS_MAX, description="How many hits.")] = 10
    mode: Annotated[Mode, Field(description="By name, words and meaning (hybrid), or by one of them.")] = "hybrid"
    entity_type: Annotated[TypeName | None, Field(description="Only hits of this type.")] = None
    since: Annotated[Moment | None, Field(description="Only what was then or later: an ISO date or time.")] = None
    until: Annotated[Moment | None, Field(description="Only what was then or earlier.")] = None
    sort: Annotated[Sort, Field(description="Order the hits by fit or by time.")] = "score"
    min_confidence: Annotated[float | None, Field(ge=0, le=1, description="The least extraction_confidence.")] = None
    source: Annotated[Source | None, Field(description="Only from this document or named graph.")] = None
    explain: Annotated[bool, Field(description="Also say why each hit is one.")] = False
    why_not: Annotated[Id | None, Field(description="Also say why the record with this id is no hit.")] = None
    after: Annotated[Log | None, Field(description="First wait until this position is searchable.")] = None
    expand: Annotated[int, Field(ge=0, le=3, description="Also show neighbours within so many hops.")] = 0
    with_properties: Annotated[bool, Field(description="Also show the properties of each hit.")] = False
    text_max: Shown = 500


class Get(Arguments):
    """Arguments of `get`."""

    id: Id
    kind: Annotated[Literal["entity", "relationship"] | None, Field(description="Else an entity goes first.")] = None
    property: Annotated[TypeName | None, Field(description="Read this one only, from `offset`.")] = None
    offset: Annotated[int, Field(ge=0, description="Where in the text of `property` to begin.")] = 0
    text_max: Shown = 2_000


class Neighbours(Arguments):
    """Arguments of `neighbours`."""

    id: Id
    relationship_type: TypeName | None = None
    direction: Literal["out", "in", "both"] = "both"
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = 25
    text_max: Shown = 200


class Query(Arguments):
    """Arguments of `query`."""

    cypher: Annotated[str, Field(min_length=1, max_length=TEXT_MAX, description="Only reads; end it with LIMIT.")]
    parameters: Annotated[Object, Field(description="Values of $names in the query.")] = {}
    limit: Annotated[int, Field(ge=1, le=ROWS_MAX, description="How many rows are shown.")] = 50
    text_max: Shown = 500


class Status(Arguments):
    """Arguments of `status`."""

    with_schema: Annotated[bool, Field(description="Also show types and their properties.")] = False


class Changes(Arguments):
    """Arguments of `changes`."""

    after: Annotated[Log | None, Field(description="Changes behind this position; else the newest ones.")] = None
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = 50


class Writing(Arguments):
    """What every tool that writes takes."""

    wait: Annotated[bool, Field(description="Return once the change is searchable.")] = False
    wait_s: Annotated[float, Field(gt=0, le=WAIT_S_MAX, description="How long to wait at most.")] = 10.0


class AddEntity(Writing):
    """Arguments of `add_entity`."""

    id: Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]
    type: TypeName
    properties: Object = {}


class UpdateEntity(Writing):
    """Arguments of `update_entity`."""

    id: Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]
    properties: Annotated[Object, Field(description="Merged into what is there; null removes a property.")]


class DeleteEntity(Writing):
    """Arguments of `delete_entity`."""

    id: Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]


class Relate(Writing):
    """Arguments of `relate`."""

    source_id: Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]
    type: TypeName
    target_id: Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]
    properties: Object = {}
    discriminator: Annotated[str, Field(max_length=ID_SIZE_MAX, description="Tells parallel ones apart.")] = ""


class Unrelate(Writing):
    """Arguments of `unrelate`."""

    id: Annotated[Id, Field(description="The relationship's id, as `neighbours` and `relate` give it.")]


def parsed(kind: type[Arguments], given: dict[str, Any]) -> Arguments:
    """Return the arguments of a call; raises `InvalidInputError` that names each wrong one, and echoes no value."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        told = [_told(dict(fault), kind) for fault in error.errors(include_url=False, include_input=False)]
        raise InvalidInputError("; ".join(told[:8]), field="arguments") from None


def _told(fault: dict[str, Any], kind: type[Arguments]) -> str:
    name = ".".join(str(part) for part in fault["loc"])[:100]
    if fault["type"] == "extra_forbidden":
        return f"there is no {name!r} among {', '.join(kind.model_fields)}"
    return f"{name!r}: {fault['msg']}"
