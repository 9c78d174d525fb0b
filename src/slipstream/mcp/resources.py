"""Resources: the schema and the views in force, whole but bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.slipstream import Slipstream
from slipstream.mcp.reading import shown_schema
from slipstream.mcp.results import NOTICE
from slipstream.mcp.shortening import ANSWER_MAX, shortened

_TEMPLATE_MAX = 2_000
_VIEWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, read from the open PKG each time."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Slipstream], Mapping[str, Any]]


def _schema(slipstream: Slipstream) -> Mapping[str, Any]:
    return shown_schema(slipstream).model_dump()


def _views(slipstream: Slipstream) -> Mapping[str, Any]:
    if isinstance(slipstream, RemoteSlipstream):
        rows = slipstream.wire.get("/v1/views")["items"][:_VIEWS_MAX]
        return {"views": {row["type"]: _view(row["kind"], row["model"], row["template"]) for row in rows}}
    schema, views = slipstream.pkg.schema(), slipstream.views
    declared = {view.type: view.is_relationship for view in views.views}
    names = {**dict.fromkeys(schema.entity_types, False), **declared}
    found: dict[str, Any] = {}
    for name, is_relationship in sorted(names.items())[:_VIEWS_MAX]:
        view = views.view_for(name, is_relationship=is_relationship)
        if view is not None:
            kind = "relationship" if is_relationship else "entity"
            found[name] = _view(kind, slipstream.recipes.pair.live.space_of(name).model_id, view.template)
    return {"views": found}


def _view(kind: str, model_id: str | None, template: str | None) -> dict[str, str | None]:
    shown = shortened(template or "(the properties, one after another)", _TEMPLATE_MAX)
    return {"kind": kind, "model": model_id, "template": shown}


RESOURCES: Mapping[str, Resource] = {
    resource.uri: resource
    for resource in (
        Resource(
            "slipstream://schema",
            "schema",
            "Schema",
            "The types of entities and relationships, and the types of their properties.",
            _schema,
        ),
        Resource(
            "slipstream://views",
            "views",
            "Views",
            "Which text stands for the records of each type when they are searched, and which model embeds it.",
            _views,
        ),
    )
}


def read_resource(resource: Resource, slipstream: Slipstream) -> str:
    """Return a resource as JSON, cut short where it is too long to be read whole."""
    content = {"notice": NOTICE, **resource.read(slipstream)}
    text = json.dumps(content, ensure_ascii=False)
    if len(text) <= ANSWER_MAX:
        return text
    told = {
        "notice": NOTICE,
        "left_out": "too long: this is its beginning",
        "part": text[:ANSWER_MAX],
    }
    return json.dumps(told, ensure_ascii=False)
