"""Views as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from slipstream.domain.entities import Direction
from slipstream.domain.errors import CorruptionError
from slipstream.views.declaration import Via, View


def views_to_json(views: Iterable[View]) -> str:
    """Return views as JSON."""
    return json.dumps({"format": 1, "views": [asdict(view) for view in views]})


def views_from_json(text: str) -> list[View]:
    """Return views."""
    content = json.loads(text)
    if content["format"] != 1:
        raise CorruptionError("format")
    views = []
    for item in content["views"]:
        via = {
            name: Via(x["relationship_type"], Direction(x["direction"]), tuple(x["properties"]), x["limit"])
            for name, x in item.pop("via").items()
        }
        item["metadata"] = tuple(item["metadata"])
        views.append(View(via=via, **item))
    return views
