"""Commands that change the graph: `add`, `set`, `relate`, `unrelate`, `delete`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Asked, asked
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.completing import entity_ids, entity_types, relationship_types
from slipstream.cli.context import Context
from slipstream.cli.output import err, handled_errors, out, print_json
from slipstream.cli.property_values import properties_told
from slipstream.cli.writing import Mutation, Written, write
from slipstream.domain.errors import AlreadyExistsError, ConfigError, InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.texts import on_one_line

UNASKED_MAX = 10
"""Relationships that go along with what is deleted, without a question."""
IDS_MAX = 1_000
_PARTS = 3
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NoSync = Annotated[bool, typer.Option("--no-sync", help="Do not wait until searches find it.")]
Values = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=TEXT|NAME:=JSON]...",
        help='Properties. name=Ada is a text, born:=1815 JSON, at:={"$datetime": "2026-01-31T12:00:00+00:00"} a '
        "time; =@FILE and :=@FILE take it from a file.",
    ),
]
Key = Annotated[str, typer.Option("--key", help="Tells parallel relationships of one type apart.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("add")(add)
    app.command("set")(set_properties)
    app.command("relate")(relate)
    app.command("unrelate")(unrelate)
    app.command("delete")(delete)


def add(
    context: typer.Context,
    entity_type: Annotated[str, typer.Argument(metavar="TYPE", help="Its type.", autocompletion=entity_types)],
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, unique in the graph.")],
    values: Values = None,
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Create an entity; returns when searches find it."""
    with handled_errors(as_json=as_json):
        properties = {name: value for name, value in properties_told(values or ()).items() if value is not None}
        given = {"entity_type": entity_type, "entity_id": entity_id, "properties": properties}
        with _said(f"entity {entity_id!r} exists already: change it with `slipstream set`, or delete it first"):
            done = write(context.obj, [Mutation("create_entity", given)], sync=not no_sync)
        _tell(f"added {entity_type} {entity_id}", done, {"id": entity_id}, as_json=as_json)


def set_properties(
    context: typer.Context,
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="The entity's id.", autocompletion=entity_ids)],
    values: Values = None,
    unset: Annotated[list[str] | None, typer.Option(help="Remove a property, as NAME:=null does.")] = None,
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Change properties of an entity, and keep the others; returns when searches find it."""
    with handled_errors(as_json=as_json):
        properties = properties_told(values or (), unset=unset or ())
        if not properties:
            raise InvalidInputError("are missing: give name=TEXT, name:=JSON or --unset name", field="properties")
        given = {"entity_id": entity_id, "properties": properties}
        done = write(context.obj, [Mutation("update_entity", given)], sync=not no_sync)
        _tell(f"set {', '.join(properties)} of {entity_id}", done, {"id": entity_id}, as_json=as_json)


def relate(
    context: typer.Context,
    source_id: Annotated[str, typer.Argument(metavar="A", help="From which entity.", autocompletion=entity_ids)],
    relationship_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Its type.", autocompletion=relationship_types)
    ],
    target_id: Annotated[str, typer.Argument(metavar="B", help="To which entity.", autocompletion=entity_ids)],
    values: Values = None,
    key: Key = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Give one that is there exactly these properties.")
    ] = False,
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Relate an entity to another one; returns when searches find it."""
    with handled_errors(as_json=as_json):
        properties = {name: value for name, value in properties_told(values or ()).items() if value is not None}
        given = {
            "source_id": source_id,
            "relationship_type": relationship_type,
            "target_id": target_id,
            "properties": properties,
            "discriminator": key,
            "replace": replace,
        }
        with _said("this relationship exists already: give --replace to change it, or --key for one more beside it"):
            done = write(context.obj, [Mutation("relate", given)], sync=not no_sync)
        made = done.ids[0] if done.ids else None
        relationship_id = made or RelationshipRef(relationship_type, source_id, target_id, key).id
        _tell(f"related: {relationship_id}", done, {"id": relationship_id}, as_json=as_json)


def unrelate(
    context: typer.Context,
    parts: Annotated[
        list[str],
        typer.Argument(
            metavar="ID|A TYPE B", help="The relationship's id (type:source:target[:key]), or what it is."
        ),
    ],
    key: Key = "",
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Delete a relationship; returns when searches know."""
    with handled_errors(as_json=as_json):
        relationship_id = _named(parts, key)
        done = write(context.obj, [Mutation("unrelate", {"relationship_id": relationship_id})], sync=not no_sync)
        _tell(f"deleted relationship {relationship_id}", done, {"id": relationship_id}, as_json=as_json)


def _named(parts: list[str], key: str) -> str:
    """Return the id of the relationship that was named; raises `InvalidInputError`."""
    if len(parts) == 1 and not key:
        return parts[0]
    if len(parts) == _PARTS:
        source_id, relationship_type, target_id = parts
        return RelationshipRef(relationship_type, source_id, target_id, key).id
    raise InvalidInputError("give either its id, or A TYPE B with --key where it has one", field="relationship")


def delete(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of entities.", autocompletion=entity_ids)],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help=f"Do not ask, also when more than {UNASKED_MAX} relationships go too.")
    ] = False,
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """
    Delete entities with their relationships, all or none; asks when many relationships go too.

    Exit code: 0; 1 when the question is answered with no; 2 also where nobody can be asked, without --yes.
    """
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        named = list(dict.fromkeys(ids))
        if len(named) > IDS_MAX:
            raise InvalidInputError(f"are {len(named):,}: at most {IDS_MAX:,} at a time", field="ids")
        count = asked(settings, lambda pkg: _along(pkg, named))
        if count > UNASKED_MAX and not yes and not _is_wanted(named, count, as_json=as_json):
            err.print("nothing was deleted")
            raise typer.Exit(EXIT_DIVERGENT)
        done = write(settings, [Mutation("delete_entity", {"entity_id": name}) for name in named], sync=not no_sync)
        what = named[0] if len(named) == 1 else f"{len(named):,} entities"
        _tell(
            f"deleted {what}, {count:,} relationships", done, {"ids": named, "relationships": count}, as_json=as_json
        )


def _along(pkg: Asked, ids: list[str]) -> int:
    """Return how many relationships would go along."""
    named = {f"id{number}": name for number, name in enumerate(ids)}
    there = f"IN ({', '.join(f':{name}' for name in named)})"
    ends = (f"SELECT id FROM relationship WHERE {end} {there}" for end in ("source", "target"))  # noqa: S608  (names)
    statement = f"SELECT count(*) AS count FROM ({' UNION '.join(ends)})"  # noqa: S608  (our own text)
    (row,) = pkg.call("pkg.query_sql", statement=statement, parameters=named)
    return int(row["count"])


def _is_wanted(ids: list[str], count: int, *, as_json: bool) -> bool:
    """Ask whoever sits there; raises `ConfigError` where nobody does."""
    what = f"{len(ids):,} {'entity' if len(ids) == 1 else 'entities'} and {count:,} relationships"
    if as_json or not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError(f"this would delete {what}: give --yes if that is meant")
    return typer.confirm(f"Delete {what}?", err=True)


@contextmanager
def _said(message: str) -> Iterator[None]:
    """Say of what is there already what a person at a shell can do about it."""
    try:
        yield
    except AlreadyExistsError as error:
        raise AlreadyExistsError(message) from error


def _tell(what: str, done: Written, more: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({**more, **done.as_dict()})
        return
    then = "searchable" if done.is_searchable else "the index follows"
    out.print(
        on_one_line(f"{what} at position {done.position}: {then}"), markup=False, highlight=False, soft_wrap=True
    )
