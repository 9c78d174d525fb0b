"""Questions to the graph in Cypher or SQL."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field, JsonValue
from pydantic_core import to_json

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.values import encode_value
from slipstream.http.models import Answer, Body, meant
from slipstream.http.served import Pkg

STATEMENT_SIZE_MAX = 100_000
PARAMETERS_MAX = 1_000
ROWS_MAX = 10_000
ROWS_BYTES_MAX = 8 * 1024 * 1024
"""Of the rows of one answer, as JSON: the row that goes beyond is the first that is cut off."""


class Query(Body):
    """A question, in either language; it can only read."""

    cypher: str | None = Field(default=None, min_length=1, max_length=STATEMENT_SIZE_MAX)
    sql: str | None = Field(
        default=None,
        min_length=1,
        max_length=STATEMENT_SIZE_MAX,
        description="One SELECT over the tables of the graph file; a parameter is `:name`",
    )
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict,
        max_length=PARAMETERS_MAX,
        description='Values by name, `$name` in Cypher; a time is {"$datetime": "…"}',
    )
    limit: int = Field(
        default=1_000,
        ge=1,
        le=ROWS_MAX,
        description="How many rows to send; `is_cut` says whether there are more",
    )
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"cypher": "MATCH (p:Person {name: $name}) RETURN p.id AS id", "parameters": {"name": "Ada"}},
                {"sql": "SELECT type, count(*) AS n FROM entity GROUP BY type"},
            ]
        }
    )


class QueryAnswer(Answer):
    """Rows."""

    columns: list[str] = Field(description="Empty when there is no row")
    rows: list[list[Any]] = Field(
        description='A time is {"$datetime": "…"}, bytes are {"$bytes": "base64"}, NaN and infinity are null'
    )
    is_cut: bool = Field(description="Whether there are more rows: raise `limit`, or ask for less")
    position: int = Field(description="The answer is as of this position, or newer")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["query"])

    @routes.post("/query")
    def query(slipstream: Pkg, asked: Query) -> QueryAnswer:
        """
        Ask the graph in Cypher or SQL; nothing can be written this way.

        422 for a statement that is wrong or would write, and for one that takes too many rows, too much time or
        memory (`[query]` in slipstream.toml).
        """
        position = slipstream.pkg.feed.head()
        rows = _rows(slipstream, asked)
        columns = list(rows[0]) if rows else []
        shown: list[list[Any]] = []
        size = 0
        for row in rows[: asked.limit]:
            values = [_told(value) for value in row.values()]
            size += len(to_json(values))
            if size > ROWS_BYTES_MAX:
                break
            shown.append(values)
        return QueryAnswer(columns=columns, rows=shown, is_cut=len(shown) < len(rows), position=position)

    return routes


def _rows(slipstream: Slipstream, asked: Query) -> list[dict[str, Any]]:
    if (asked.cypher is None) == (asked.sql is None):
        raise InvalidInputError("give either cypher or sql", field="cypher")
    parameters = meant(asked.parameters)
    if asked.cypher is not None:
        return slipstream.pkg.query(asked.cypher, **parameters)
    for name, value in parameters.items():
        if isinstance(value, datetime | list | Mapping):
            raise InvalidInputError("SQL takes texts, numbers, booleans and null only", field=f"parameters.{name}")
    return slipstream.pkg.query_sql(asked.sql or "", **parameters)


def _told(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    return _plain(encode_value(value))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
