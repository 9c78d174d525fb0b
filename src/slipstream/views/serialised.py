"""Views as JSON, without loss: how the recipe in force is kept from one process to the next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from slipstream.domain.entities import Direction
from slipstream.domain.errors import CorruptionError
from slipstream.views.declaration import Chain, Via, View

_FORMAT = 1
_CHAINS = ("causes", "sequence")
_NOT_KEPT = "words"
"""No part of the recipe: what is searched by words needs no vectors made anew."""


def views_to_json(views: Iterable[View]) -> str:
    """Return views as JSON, in their order."""
    return json.dumps({"format": _FORMAT, "views": [_view_content(view) for view in views]})


def views_from_json(text: str) -> list[View]:
    """Return the views that `views_to_json` wrote; raises `CorruptionError` for anything else."""
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise CorruptionError(
                f"views of format {content['format']!r} were written by a newer version: install that one"
            )
        return [_view(item) for item in content["views"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(f"these are no views: {type(error).__name__}: {error}") from error


def _view_content(view: View) -> dict[str, Any]:
    plain = {name: getattr(view, name) for field in fields(view) if (name := field.name) not in (*_CHAINS, _NOT_KEPT)}
    # Left out where there is none, so that views written without chains read, and compare, the same.
    chains = {name: _content(chain) for name in _CHAINS if (chain := getattr(view, name)) is not None}
    return {**plain, "via": {name: _content(via) for name, via in view.via.items()}, **chains}


def _content(step: Via | Chain) -> dict[str, Any]:
    return {field.name: getattr(step, field.name) for field in fields(step)}


def _view(content: Mapping[str, Any]) -> View:
    # Unknown names are a TypeError of the dataclass: what a newer version knows must not be lost in silence.
    return View(
        **{
            **content,
            "via": {name: Via(**_step(via)) for name, via in content["via"].items()},
            "metadata": tuple(content["metadata"]),
            **{name: Chain(**_step(content[name])) for name in _CHAINS if name in content},
        }
    )


def _step(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **content,
        "direction": Direction(content["direction"]),
        "properties": tuple(content["properties"]),
    }
