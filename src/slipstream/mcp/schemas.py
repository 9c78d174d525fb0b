"""JSON schemas of what tools take and return, without what pydantic adds for people who read Python."""

from __future__ import annotations

from typing import Any

from slipstream.mcp.arguments import Arguments
from slipstream.mcp.results import Result


def input_schema(kind: type[Arguments]) -> dict[str, Any]:
    """Return the schema of a tool's arguments."""
    return _plain(kind.model_json_schema())


def output_schema(kind: type[Result]) -> dict[str, Any]:
    """Return the schema of a tool's answer, in which what is null may be absent."""
    return _plain(kind.model_json_schema(by_alias=True))


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out titles, which repeat names, and the docstrings of classes."""
    found = {name: value for name, value in schema.items() if not (name == "title" and isinstance(value, str))}
    if "properties" in found:
        found.pop("description", None)
        found["properties"] = {name: _plain(value) for name, value in found["properties"].items()}
    if "$defs" in found:
        found["$defs"] = {name: _plain(value) for name, value in found["$defs"].items()}
    return found
