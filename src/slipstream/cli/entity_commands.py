"""Commands that look at entities: `get`, `list`, `neighbours`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Asked, asked
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.completing import entity_ids, entity_types, relationship_types
from slipstream.cli.near_ids import missing_line, near_ids
from slipstream.cli.output import err, handled_errors, out, print_facts, print_json, print_table, print_warning
from slipstream.cli.showing import name_of, properties_shown, value_shown
from slipstream.domain.errors import InvalidInputError, SlipstreamError
from slipstream.domain.hints import near_miss
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.texts import on_one_line

PAGE_MAX = 1_000
IDS_MAX = 1_000
_RELATED = """SELECT 'out' AS direction, type, count(*) AS count FROM relationship WHERE source = :id GROUP BY type
    UNION ALL SELECT 'in', type, count(*) FROM relationship WHERE target = :id GROUP BY type"""
_GONE = {"state": "unknown", "reason": "it has gone meanwhile"}
_DIRECTIONS = ("out", "in", "both")
_LAST = "\U0010ffff"
"""Behind the name of every type."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EntityId = Annotated[str, typer.Argument(help="The entity's id.", autocompletion=entity_ids)]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("get")(get)
    app.command("list")(list_entities)
    app.command("neighbours")(neighbours)


# ---------------------------------------------------------------------- get


def get(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of entities.", autocompletion=entity_ids)],
    as_json: Json = False,
) -> None:
    """
    Show entities: type, properties, how many relationships, and how they stand in the index.

    Exit code: 0; 1 when one is not there.
    """
    with handled_errors(as_json=as_json):
        if len(ids) > IDS_MAX:
            raise InvalidInputError(f"are {len(ids):,}: at most {IDS_MAX:,} at a time", field="ids")
        wanted = list(dict.fromkeys(ids))
        found, missing = asked(context.obj, lambda pkg: _looked_up(pkg, wanted))
        if as_json:
            print_json({"entities": found, "missing": [{"id": name, "near": near} for name, near in missing.items()]})
        else:
            for number, entity in enumerate(found):
                if number:
                    out.print()
                _show(entity)
        for name, near in missing.items():
            err.print(on_one_line(missing_line(name, near)), markup=False, highlight=False, soft_wrap=True)
        if missing:
            raise typer.Exit(EXIT_DIVERGENT)


def _looked_up(pkg: Asked, ids: list[str]) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Return the entities that are there, and of the others what may have been meant."""
    states = pkg.call("pkg.read", keys=[["e", name] for name in ids], hops={})["states"]
    there = {state["entity"][0]: state["entity"] for state in states}
    found = [_described(pkg, there[name]) for name in ids if name in there]
    return found, {name: near_ids(pkg, name) for name in ids if name not in there}


def _described(pkg: Asked, entity: list[Any]) -> dict[str, Any]:
    related = pkg.call("pkg.query_sql", statement=_RELATED, parameters={"id": entity[0]})
    return {
        **_named(*entity),
        "relationships": sorted(related, key=lambda row: (row["direction"], row["type"])),
        "index": _standing(pkg, entity[0]),
    }


def _standing(pkg: Asked, entity_id: str) -> dict[str, Any]:
    """Return how an entity stands in the index, or why that is not known."""
    try:
        found = pkg.call("sync_state", entity_id=entity_id)
        told = {name: value for name, value in (found or _GONE).items() if name not in ("entity_id", "entity_type")}
        if told["state"] == "fresh" and pkg.call("status")["lag_events"]:  # what is not read yet is not known there
            explained = pkg.call("explain", entity_id=entity_id)
            if explained["verdict"] != "fresh":
                told |= {"state": "pending", "reason": "the engine has not come to its last change yet"}
    except SlipstreamError as error:
        return {"state": "unknown", "reason": str(error)}
    return told


def _show(entity: Mapping[str, Any]) -> None:
    print_facts(
        {"id": on_one_line(entity["id"]), "type": on_one_line(entity["type"]), "index": _said(entity["index"])}
    )
    rows: list[tuple[str, ...]]
    if entity["properties"]:
        rows = [(on_one_line(name), value_shown(value, 1_000)) for name, value in entity["properties"].items()]
        print_table("", ["property", "value"], rows)
    if entity["relationships"]:
        rows = [(row["direction"], on_one_line(row["type"]), f"{row['count']:,}") for row in entity["relationships"]]
        print_table("", ["direction", "relationship", "count"], rows)


def _said(index: Mapping[str, Any]) -> str:
    details = (
        f"of position {index['position']}" if index.get("position") is not None else "",
        f"by {index['model_id']}" if index.get("model_id") else "",
        str(index.get("reason") or ""),
    )
    said = ", ".join(detail for detail in details if detail)
    return on_one_line(f"{index['state']} ({said})" if said else index["state"])


# ---------------------------------------------------------------------- list


def list_entities(
    context: typer.Context,
    entity_type: Annotated[
        str | None, typer.Option("--type", help="Only this entity type.", autocompletion=entity_types)
    ] = None,
    limit: Annotated[int, typer.Option(help=f"How many, 1 to {PAGE_MAX:,}.")] = 100,
    after: Annotated[str | None, typer.Option(help="Go on where a listing ended: what it gave as next.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"All of them, page by page; with --json a document for each {PAGE_MAX:,}.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List entities: id, type, name, properties."""
    with handled_errors(as_json=as_json):
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInputError(f"must be 1 to {PAGE_MAX:,}, not {limit}", field="limit")
        asked(context.obj, _Listing(entity_type, PAGE_MAX if every else limit, after, is_all=every, as_json=as_json))


@dataclass
class _Listing:
    """Prints pages, each once it is whole; asked anew (a server broke off), it goes on behind the last."""

    entity_type: str | None
    limit: int
    after: str | None
    is_all: bool
    as_json: bool
    has_begun: bool = False

    def __call__(self, pkg: Asked) -> bool:
        """Print what is wanted; returns True, for it was."""
        if not self.has_begun:
            self._warn(pkg)
        while True:
            items, self.after = _page(pkg, self.entity_type, self.after, self.limit)
            self.has_begun = True
            if self.as_json:
                print_json({"entities": items, "next": self.after})
            else:
                print_table("", ["id", "type", "name", "properties"], [_entity_row(item) for item in items])
            if self.after is None or not self.is_all:
                break
        if self.after is not None and not self.as_json:
            err.print(f"there are more: --after {on_one_line(self.after)!r}, or --all", markup=False, highlight=False)
        return True

    def _warn(self, pkg: Asked) -> None:
        wanted = self.entity_type
        if wanted is not None and wanted not in (known := pkg.call("pkg.schema")["entity_types"]):
            print_warning(f"there is no entity type {wanted!r}{near_miss(wanted, known) if known else ''}")


def _entity_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    return (*(on_one_line(item[key]) for key in ("id", "type", "name")), properties_shown(item["properties"]))


def _page(
    pkg: Asked, entity_type: str | None, after: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    if entity_type is not None:
        found, following = pkg.call("pkg.of_type", entity_type=entity_type, after=after, limit=limit)
    else:
        start = None if after is None else ["e", after]
        rows = pkg.call("pkg.scan", after=start, limit=limit + 1, relationship_types=[])
        keys = [row["key"] for row in rows[:limit]]
        found = [state["entity"] for state in pkg.call("pkg.read", keys=keys, hops={})["states"]] if keys else []
        following = keys[-1][1] if len(rows) > limit else None
    return [_named(*entity) for entity in found], following


def _named(entity_id: str, entity_type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    name = name_of(entity_id, properties)
    return {"id": entity_id, "type": entity_type, "name": name, "properties": properties}


# ---------------------------------------------------------------------- neighbours


def neighbours(
    context: typer.Context,
    entity_id: EntityId,
    relationship_type: Annotated[
        str | None,
        typer.Option("--type", help="Only relationships of this type.", autocompletion=relationship_types),
    ] = None,
    direction: Annotated[str, typer.Option(help="out, in or both.")] = "both",
    limit: Annotated[int, typer.Option(help=f"How many, 1 to {PAGE_MAX:,}.")] = 100,
    as_json: Json = False,
) -> None:
    """
    Show what an entity is related to, incoming relationships first.

    Exit code: 0; 1 when there is no such entity.
    """
    with handled_errors(as_json=as_json):
        if direction not in _DIRECTIONS:
            raise InvalidInputError(f"must be out, in or both, not {direction!r}", field="direction")
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInputError(f"must be 1 to {PAGE_MAX:,}, not {limit}", field="limit")
        found = asked(context.obj, lambda pkg: _around(pkg, entity_id, relationship_type, direction, limit))
        if isinstance(found, list):
            if as_json:
                print_json({"neighbours": [], "more": False, "missing": [{"id": entity_id, "near": found}]})
            err.print(on_one_line(missing_line(entity_id, found)), markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(EXIT_DIVERGENT)
        if as_json:
            print_json({**found, "missing": []})
            return
        rows = [_neighbour_row(row) for row in found["neighbours"]]
        print_table("", ["", "relationship", "id", "type", "name", "properties"], rows)
        if found["more"]:
            err.print("there are more: raise --limit, or ask for one --type", markup=False, highlight=False)


def _neighbour_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    arrow = "->" if row["direction"] == "out" else "<-"
    named = (on_one_line(row[key]) for key in ("relationship_type", "entity_id", "entity_type", "name"))
    return (arrow, *named, properties_shown(row["properties"]))


def _around(
    pkg: Asked, entity_id: str, relationship_type: str | None, direction: str, limit: int
) -> dict[str, Any] | list[str]:
    """Return what is around an entity; where there is none, the ids that may have been meant."""
    if not pkg.call("pkg.read", keys=[["e", entity_id]], hops={})["states"]:
        return near_ids(pkg, entity_id)
    types = None if relationship_type is None else [relationship_type]
    behind = [entity_id, [_LAST, _LAST, entity_id, ""], "in", _LAST, ""] if direction == "out" else None
    rows = pkg.call("pkg.adjacent", entity_ids=[entity_id], hop_types=types, after=behind, limit=limit + 1)
    rows = [row for row in rows if direction == "both" or row[2] == direction]
    keys = {_relationship_id(row[1]): None for row in rows[:limit]}
    states = pkg.call("pkg.read", keys=[["r", name] for name in keys], hops={})["states"] if keys else []
    there = {_relationship_id(state["relationship"][0]): state for state in states}
    return {
        "neighbours": [
            _neighbour(row, there[name]) for row in rows[:limit] if (name := _relationship_id(row[1])) in there
        ],
        "more": len(rows) > limit,
    }


def _relationship_id(parts: list[str]) -> str:
    return RelationshipRef(*parts).id


def _neighbour(row: list[Any], state: Mapping[str, Any]) -> dict[str, Any]:
    other = state["target"] if row[2] == "out" else state["source"]
    return {
        "relationship_id": _relationship_id(row[1]),
        "relationship_type": row[1][0],
        "direction": row[2],
        "entity_id": other[0],
        "entity_type": other[1],
        "name": name_of(other[0], other[2]),
        "properties": state["relationship"][1],
    }
