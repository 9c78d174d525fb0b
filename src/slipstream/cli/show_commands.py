"""The command `search`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Asked, Here, Owner, answered
from slipstream.cli.completing import types
from slipstream.cli.conditions import conditions_told
from slipstream.cli.context import Context
from slipstream.cli.moments import moment_told
from slipstream.cli.output import handled_errors, out, print_incident, print_json, print_table, print_warning
from slipstream.cli.since import K_MAX, ChangedSince
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_TEXT_SHOWN = 160
_PATIENCE_S = 600.0
_SOON_S = 1.0
"""How long a server may wait for the newest commit; what takes longer is waited for here, and told of."""
_LOOKED_AT = 1_000
"""Records that are looked at for the names that views keep."""
_METADATA = -1
"""Where a stamp, as JSON tells it, has its metadata."""
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
    metadata: Mapping[str, Any]
    since: datetime | None

    def arguments(self, k: int) -> dict[str, Any]:
        """Return what a search for so many hits is called with."""
        return {name: value for name, value in vars(self).items() if name != "since"} | {"k": k}


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
    entity_type: Annotated[str | None, typer.Option("--type", help="Only this type.", autocompletion=types)] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Only records that their view keeps this for (`metadata` of a view); may be repeated.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only what has changed since: 90s, 15m, 6h, 30d, 2w ago, or a time."),
    ] = None,
    min_schema_version: Annotated[
        int | None, typer.Option(help="Only records of this schema version or newer.")
    ] = None,
    expand: Annotated[int, typer.Option(help="Add neighbours within this many hops.")] = 0,
    as_json: Json = False,
) -> None:
    """Search by meaning; the index is brought up to date first."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        asked = _Asked(
            text=text,
            k=k,
            entity_type=entity_type,
            min_schema_version=min_schema_version,
            expand=expand,
            metadata=conditions_told(metadata or ()),
            since=None if since is None else moment_told(since, datetime.now(UTC), field="since"),
        )
        if asked.since is not None and not 1 <= k <= K_MAX:
            raise InvalidInputError(f"must be 1 to {K_MAX:,}, not {k}", field="k")
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

    def search(k: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = owner.call("search", **asked.arguments(k), after=head, timeout_s=_SOON_S)
        return found

    hits, answer, warnings = _wanted(owner, asked, search)
    if answer["incident"] is not None or answer["unasked"]:
        return None
    return _Found(
        hits=hits,
        frontier=answer["frontier"],
        degraded=False,
        unasked=(),
        known=_known(owner) if asked.entity_type else {},
        warnings=[*warnings, *_unkept(owner, asked, hits)],
    )


def _wanted(
    pkg: Asked, asked: _Asked, search: Callable[[int], Mapping[str, Any]]
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any], Sequence[str]]:
    """Return the hits that are wanted, the answer that they are of, and what is to be said of it."""
    if asked.since is None:
        answer = search(asked.k)
        return answer["hits"], answer, ()
    changed = ChangedSince(pkg, asked.since)
    hits, answer = changed.first(asked.k, search)
    return hits, answer, changed.warnings


def _known(pkg: Asked) -> Mapping[str, Any]:
    schema = pkg.call("pkg.schema")
    return {**schema["entity_types"], **schema["relationship_types"]}


def _unkept(pkg: Asked, asked: _Asked, hits: Sequence[Any]) -> list[str]:
    """Return a warning for each name that no record of the index is kept with, where nothing was found."""
    if hits or not asked.metadata:
        return []
    page = pkg.call("store.index.scan", after=None, limit=_LOOKED_AT)
    kept = {name for stamp in page for name in stamp[_METADATA]}
    return [
        f"no record is kept with {name!r}{near_miss(name, kept) if kept else ''}: name it in `metadata` of a view "
        "(docs/views.md)"
        for name in asked.metadata
        if name not in kept and len(page) < _LOOKED_AT
    ]


def _searched(settings: Context, asked: _Asked) -> _Found:
    """Search here."""
    from dataclasses import asdict

    with settings.opened() as slipstream:
        if (incident := slipstream.incident) is not None:
            print_incident(incident)
        after = slipstream.pkg.feed.head() if incident is None else None
        lines: list[str] = []

        def search(k: int) -> Mapping[str, Any]:
            found = slipstream.search(**asked.arguments(k), after=after, timeout_s=_PATIENCE_S)
            lines[:] = [unasked.line for unasked in found.unasked]
            told = {"frontier": found.frontier, "degraded": bool(found.incident), "unasked": found.unasked}
            return {**told, "hits": [asdict(hit) for hit in found.hits]}

        here = Here(slipstream)
        hits, answer, warnings = _wanted(here, asked, search)
        return _Found(
            hits=hits,
            frontier=answer["frontier"],
            degraded=answer["degraded"],
            unasked=[asdict(unasked) for unasked in answer["unasked"]],
            known=_known(here) if asked.entity_type and incident is None else {},
            warnings=[*lines, *warnings, *_unkept(here, asked, hits)],
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
