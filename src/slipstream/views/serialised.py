"""Views as JSON, without loss: how the recipe in force is kept from one process to the next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from slipstream.domain.entities import Direction
from slipstream.domain.errors import CorruptionError
from slipstream.views.declaration import Via, View

_FORMAT = 1


def views_to_json(views: Iterable[View]) -> str:
    """Return views as JSON, in their order."""
    return json.dumps({"format": _FORMAT, "views": [_view_content(view) for view in views]})


def views_from_json(text: str) -> list[View]:
    """Return the views that `views_to_json` wrote; raises `CorruptionError` for anything else."""
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise CorruptionError(f"views of format {content['format']!r} were written by a newer version")
        return [_view(item) for item in content["views"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(f"these are no views: {type(error).__name__}: {error}") from error


def _view_content(view: View) -> dict[str, Any]:
    plain = {field.name: getattr(view, field.name) for field in fields(view)}
    return {**plain, "via": {name: _via_content(via) for name, via in view.via.items()}}


def _via_content(via: Via) -> dict[str, Any]:
    return {field.name: getattr(via, field.name) for field in fields(via)}


def _view(content: Mapping[str, Any]) -> View:
    # Unknown names are a TypeError of the dataclass: what a newer version knows must not be lost in silence.
    return View(
        **{
            **content,
            "via": {name: _via(via) for name, via in content["via"].items()},
            "metadata": tuple(content["metadata"]),
        }
    )


def _via(content: Mapping[str, Any]) -> Via:
    return Via(
        **{
            **content,
            "direction": Direction(content["direction"]),
            "properties": tuple(content["properties"]),
        }
    )
