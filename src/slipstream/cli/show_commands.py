"""The command `search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Owner, answered
from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_incident, print_json, print_table, print_warning
from slipstream.domain.hints import near_miss

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_TEXT_SHOWN = 160
_PATIENCE_S = 600.0
_SOON_S = 1.0
"""How long a server may wait for the newest commit; what takes longer is waited for here, and told of."""
_SHOWN = ("entity_id", "entity_type", "score", "name", "text", "model_id", "position")
_SHOWN_OF_NEIGHBOURS = ("entity_id", "entity_type", "name", "relationship_type", "direction", "hops")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("search")(search)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is searched for."""

    text: str
    k: int
    entity_type: str | None
    min_schema_version: int | None
    expand: int


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What was found, as plain data."""

    hits: Sequence[Mapping[str, Any]]
    frontier: int
    degraded: bool
    unasked: Sequence[Mapping[str, Any]]
    known: Mapping[str, Any]
    """The entity types that there are, where one was asked for."""
    warnings: Sequence[str] = ()


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
        asked = _Asked(text=text, k=k, entity_type=entity_type, min_schema_version=min_schema_version, expand=expand)
        found = answered(settings.directory, lambda owner: _asked_of(owner, asked)) or _searched(settings, asked)
        for warning in found.warnings:
            print_warning(warning)
        if entity_type is not None and found.known and entity_type not in found.known:
            print_warning(f"there is no entity type {entity_type!r}{near_miss(entity_type, found.known)}")
        if as_json:
            print_json([_as_dict(hit, found) for hit in found.hits])
        else:
            _show(found)


def _asked_of(owner: Owner, asked: _Asked) -> _Found | None:
    """Have the server search; None in an incident, or when a model was not asked: there is more to say then."""
    if owner.call("incident") is not None:
        return None
    head = owner.call("pkg.feed.head")
    found = owner.call("search", **vars(asked), after=head, timeout_s=_SOON_S)
    if found["incident"] is not None or found["unasked"]:
        return None
    return _Found(
        hits=found["hits"],
        frontier=found["frontier"],
        degraded=False,
        unasked=(),
        known=owner.call("pkg.schema")["entity_types"] if asked.entity_type else {},
    )


def _searched(settings: Context, asked: _Asked) -> _Found:
    """Search here."""
    from dataclasses import asdict

    with settings.opened() as slipstream:
        if (incident := slipstream.incident) is not None:
            print_incident(incident)
        after = slipstream.pkg.feed.head() if incident is None else None
        results = slipstream.search(**vars(asked), after=after, timeout_s=_PATIENCE_S)
        known = slipstream.pkg.schema().entity_types if asked.entity_type and incident is None else {}
    return _Found(
        hits=[asdict(hit) for hit in results.hits],
        frontier=results.frontier,
        degraded=results.degraded,
        unasked=[asdict(unasked) for unasked in results.unasked],
        known=known,
        warnings=[unasked.line for unasked in results.unasked],
    )


def _show(found: _Found) -> None:
    rows = [
        (f"{hit['score']:.3f}", hit["entity_type"], hit["entity_id"], hit["name"], _short(hit["text"]))
        for hit in found.hits
    ]
    print_table(f"at position {found.frontier}", ["score", "type", "id", "name", "text"], rows)
    for hit in found.hits:
        for neighbour in hit["neighbours"]:
            arrow = "->" if neighbour["direction"] == "out" else "<-"
            out.print(
                f"{hit['entity_id']} {arrow} {neighbour['relationship_type']} {neighbour['entity_id']} "
                f"({neighbour['name']})",
                markup=False,
            )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_SHOWN else flat[: _TEXT_SHOWN - 1] + "…"


def _as_dict(hit: Mapping[str, Any], found: _Found) -> dict[str, Any]:
    neighbours = [{name: neighbour[name] for name in _SHOWN_OF_NEIGHBOURS} for neighbour in hit["neighbours"]]
    shown = {name: hit[name] for name in _SHOWN}
    return {**shown, "neighbours": neighbours, "degraded": found.degraded, "unasked": list(found.unasked)}
