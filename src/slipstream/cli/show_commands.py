"""Commands that answer questions: `query`, `search`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from slipstream.cli.context import Context, drain
from slipstream.cli.output import handled_errors, out, print_json, print_table
from slipstream.domain.errors import InvalidInputError
from slipstream.search.searcher import SearchHit

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_TEXT_SHOWN = 160


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("query")(query)
    app.command("search")(search)


def query(
    context: typer.Context,
    cypher: Annotated[str, typer.Argument(help="Cypher; reads only, unless --write.")],
    param: Annotated[list[str] | None, typer.Option("--param", help="A parameter as name=JSON.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Allow writes; the index follows before it returns.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run Cypher on the graph."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        params = _params(param or [])
        with settings.opened(run=write) as slipstream:
            if write:
                position = slipstream.pkg.execute(cypher, **params)
                drain(slipstream, shown=not as_json)
                rows: list[dict[str, Any]] = [{"position": position}]
            else:
                rows = slipstream.pkg.query(cypher, **params)
        if as_json:
            print_json(rows)
        elif rows:
            print_table("", list(rows[0]), [list(row.values()) for row in rows])
        else:
            out.print("no rows")


def _params(pairs: list[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name.isidentifier():
            raise InvalidInputError(f"{pair!r} is not name=JSON", field="param")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value  # a bare word is a string
    return params


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
            results = slipstream.search(
                text,
                k,
                entity_type=entity_type,
                min_schema_version=min_schema_version,
                expand=expand,
                after=slipstream.pkg.last_commit,
                timeout_s=600.0,
            )
        if as_json:
            print_json([_as_dict(hit) for hit in results.hits])
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
