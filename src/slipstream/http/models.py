"""The values that several routes share, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from slipstream.domain.entities import Properties
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX
from slipstream.domain.names import NAME_SIZE_MAX
from slipstream.domain.positions import POSITION_MAX
from slipstream.domain.values import decode_value, encode_value

At = Annotated[int, Field(ge=0, le=int(POSITION_MAX), description="A position in the graph's log")]
Id = Annotated[str, Field(min_length=1, max_length=ID_SIZE_MAX)]
RelationshipId = Annotated[str, Field(min_length=1, max_length=8 * ID_SIZE_MAX)]
TypeName = Annotated[str, Field(min_length=1, max_length=NAME_SIZE_MAX)]
Values = Annotated[dict[str, Any], Field(description='Property values; a time is {"$datetime": "…"}')]


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a body that the description shows like this."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Body(BaseModel):
    """A body that is sent to us: nothing that is not known, and every value of its own kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """A body that we send."""


def told(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return property values as JSON tells them."""
    return {name: encode_value(value) for name, value in properties.items()}


def meant(values: dict[str, Any]) -> Properties:
    """Return the property values that JSON tells; raises `InvalidInputError` for what is nested beyond reason."""
    try:
        return {name: decode_value(value) for name, value in values.items()}
    except RecursionError:
        raise InvalidInputError("is nested too deeply", field="properties") from None
