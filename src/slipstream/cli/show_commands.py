"""The command `search`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_incident, print_json, print_table, print_warning
from slipstream.domain.hints import near_miss
from slipstream.search.hits import SearchHit

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_TEXT_SHOWN = 160


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("search")(search)


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for, in words.")],
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 10,
    entity_type: Annotated[str | None, typer.Option("--type", help="Only this entity type.")] = None,
    min_schema_version: Annotated[
        int | None, typer.Option(help="Only records of this schema version or newer.")
    ] = None,
    expand: Annotated[int, typer.Option(help="Add neighbours within this many hops.")] = 0,
    as_json: Json = False,
) -> None:
    """Search by meaning; the index is brought up to date first."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened() as slipstream:
            if (incident := slipstream.incident) is not None:
                print_incident(incident)
            results = slipstream.search(
                text,
                k,
                entity_type=entity_type,
                min_schema_version=min_schema_version,
                expand=expand,
                after=slipstream.pkg.feed.head() if incident is None else None,
                timeout_s=600.0,
            )
            known = slipstream.pkg.schema().entity_types if entity_type and incident is None else {}
        for unasked in results.unasked:
            print_warning(unasked.line)
        if known and entity_type not in known:
            print_warning(f"there is no entity type {entity_type!r}{near_miss(entity_type, known)}")
        if as_json:
            left_out = [asdict(unasked) for unasked in results.unasked]
            print_json([{**_as_dict(hit), "degraded": results.degraded, "unasked": left_out} for hit in results.hits])
            return
        rows = [
            (f"{hit.score:.3f}", hit.entity_type, hit.entity_id, hit.name, _short(hit.text)) for hit in results.hits
        ]
        print_table(f"at position {results.frontier}", ["score", "type", "id", "name", "text"], rows)
        for hit in results.hits:
            for neighbour in hit.neighbours:
                out.print(
                    f"{hit.entity_id} {'->' if neighbour.direction.value == 'out' else '<-'} "
                    f"{neighbour.relationship_type} {neighbour.entity_id} ({neighbour.name})",
                    markup=False,
                )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_SHOWN else flat[: _TEXT_SHOWN - 1] + "…"


def _as_dict(hit: SearchHit) -> dict[str, Any]:
    return {
        "entity_id": hit.entity_id,
        "entity_type": hit.entity_type,
        "score": hit.score,
        "name": hit.name,
        "text": hit.text,
        "model_id": hit.model_id,
        "position": hit.position,
        "neighbours": [
            {
                "entity_id": neighbour.entity_id,
                "entity_type": neighbour.entity_type,
                "name": neighbour.name,
                "relationship_type": neighbour.relationship_type,
                "direction": neighbour.direction.value,
                "hops": neighbour.hops,
            }
            for neighbour in hit.neighbours
        ],
    }
