"""Commands about evolution: `schema history`, `schema diff`, and `reembed`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from slipstream.app.slipstream import Slipstream
from slipstream.cli.context import Context
from slipstream.cli.output import err, handled_errors, out, print_facts, print_json, print_table, progress_bar
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.hints import near_miss
from slipstream.domain.keys import entity_key
from slipstream.domain.schema import GraphSchema
from slipstream.evolution.changes import SchemaChanges
from slipstream.evolution.reembedding import ReembeddingPlan, ReembeddingProgress, ReembeddingResult
from slipstream.evolution.selector import ReembeddingSelector

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_OLDER_S_MAX = 36_500 * _UNITS_S["d"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    schema = typer.Typer(help="Versions of the graph's schema.", no_args_is_help=True)
    schema.command("history")(history)
    schema.command("diff")(diff)
    app.add_typer(schema, name="schema")
    app.command("reembed")(reembed)


def history(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, help="How many versions, the newest ones.")] = 20,
) -> None:
    """List the versions of the schema, newest first: when, why, and what each one has added."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        with opened.opened(run=False) as slipstream:
            newest = slipstream.pkg.schema().version
            rows = [_version(slipstream, number) for number in range(newest, max(0, newest - limit), -1)]
        if as_json:
            print_json(rows)
            return
        columns = ("version", "created at", "hash", "types", "properties", "reason")
        print_table("schema versions", columns, [[row[name.replace(" ", "_")] for name in columns] for row in rows])
        if newest > limit:
            err.print(f"{newest - limit} older versions: --limit {newest}", markup=False)


def _version(slipstream: Slipstream, number: int) -> dict[str, Any]:
    schema = slipstream.pkg.schema_at(number) or GraphSchema(number)
    declared = [*schema.entity_types.values(), *schema.relationship_types.values()]
    return {
        "version": number,
        "created_at": schema.created_at.isoformat(timespec="seconds") if schema.created_at else "",
        "hash": schema.hash,
        "types": len(declared),
        "properties": sum(len(properties) for properties in declared),
        "reason": schema.reason or ("the empty schema" if number == 1 else ""),
    }


def diff(
    context: typer.Context,
    old: Annotated[int, typer.Argument(help="A version.")],
    new: Annotated[int | None, typer.Argument(help="Another one; the current one when it is left out.")] = None,
    as_json: Json = False,
) -> None:
    """Show what differs between two versions, and which views show some of that."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        with opened.opened(run=False) as slipstream:
            newer = slipstream.pkg.schema().version if new is None else new
            changes = slipstream.reembedding.changes(old, newer)
        if as_json:
            print_json(changes.as_dict())
        else:
            _show_changes(changes)


def _show_changes(changes: SchemaChanges) -> None:
    rows: list[tuple[str, str]] = []
    for sign, kind, names in (
        ("+", "entity type", changes.new_entity_types),
        ("-", "entity type", changes.removed_entity_types),
        ("+", "relationship type", changes.new_relationship_types),
        ("-", "relationship type", changes.removed_relationship_types),
    ):
        rows += [(f"{sign} {kind}", name) for name in names]
    for name, change in changes.changed_properties.items():
        for sign, properties in (("+", change.added), ("-", change.removed), ("~", change.retyped)):
            rows += [(f"{sign} property", f"{name}.{prop}") for prop in properties]
    print_table(f"schema version {changes.old_version} to {changes.new_version}", ("change", "name"), rows)
    out.print(f"views that show some of it: {', '.join(changes.views_affected) or 'none'}", markup=False)
    out.print(f"requires re-embedding: {'yes' if changes.requires_reembedding else 'no'}")


def reembed(
    context: typer.Context,
    *,
    as_json: Json = False,
    ids: Annotated[list[str] | None, typer.Option("--id", help="An entity; may be given several times.")] = None,
    schema_version: Annotated[
        int | None, typer.Option(help="Records stamped with this schema version or an older one.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Records of this model.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Records of this type; may be repeated.")] = None,
    confidence_below: Annotated[float | None, typer.Option(help="Extraction confidence below this.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Embedded longer ago: 90s, 15m, 6h, 30d, 2w.")] = None,
    marked: Annotated[bool, typer.Option("--marked", help="Records that are marked already.")] = False,
    reason: Annotated[str, typer.Option(help="Kept with the records.")] = "requested",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do and cost.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Records that are marked at a time.")] = 100,
) -> None:
    """
    Embed records anew, past the cache: those that meet all given conditions, highest extraction confidence first.

    It can be interrupted: the selection is kept, and done by the next `slipstream run` or `reembed --marked`.
    """
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        selector = ReembeddingSelector(
            entity_ids=tuple(ids) if ids else None,
            schema_version=schema_version,
            model_id=model,
            entity_types=tuple(types) if types else None,
            confidence_below=confidence_below,
            older_than_s=None if older_than is None else _seconds(older_than),
            needs_reembedding=True if marked else None,
        )
        with opened.opened(run=not dry_run) as slipstream:
            check_types(slipstream, types or ())
            _check_ids(slipstream, ids or ())
            if dry_run:
                _show_plan(slipstream.reembedding.plan(selector), as_json=as_json)
                return
            result = _run(slipstream, selector, reason, batch_size, shown=not as_json)
        if as_json:
            print_json({"selected": result.selected, "elapsed_s": result.elapsed_s})
        else:
            out.print(f"embedded anew: {result.selected:,} in {result.elapsed_s:,.1f} s")


def check_types(slipstream: Slipstream, types: Sequence[str]) -> None:
    """Raise `NotFoundError` for a type that the graph does not have."""
    schema = slipstream.pkg.schema()
    known = sorted({*schema.entity_types, *schema.relationship_types})
    for name in types:
        if name not in known:
            raise NotFoundError(f"there is no type {name!r}{near_miss(name, known)}")


def _check_ids(slipstream: Slipstream, ids: Sequence[str]) -> None:
    there = slipstream.pkg.read([entity_key(name) for name in ids], {}).states if ids else {}
    for name in ids:
        if entity_key(name) not in there:
            raise NotFoundError(f"there is no entity {name!r}: `slipstream query` finds those there are")


def _run(
    slipstream: Slipstream, selector: ReembeddingSelector, reason: str, batch_size: int, *, shown: bool
) -> ReembeddingResult:
    with progress_bar("embedding", "records", shown=shown) as update:

        def on_progress(progress: ReembeddingProgress) -> None:
            update(progress.done, progress.total)

        return slipstream.reembedding.trigger_reembedding(
            selector=selector, reason=reason, batch_size=batch_size, on_progress=on_progress
        )


def _show_plan(plan: ReembeddingPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "records": plan.records,
                "texts": plan.texts,
                "sampled": plan.sampled,
                "tokens": plan.tokens,
                "embed_s": plan.embed_s,
            }
        )
        return
    rows = [(name or "(no record yet)", n) for name, n in plan.records.items()]
    print_table("to embed anew", ("type", "records"), rows)
    print_facts(
        {
            "texts": f"{plan.texts:,}",
            "tokens": f"{plan.tokens:,} (from {plan.sampled} texts)",
            "embedding": f"{plan.embed_s:,.1f} s",
        }
    )


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if match is None:
        raise InvalidInputError(f"must look like 90s, 15m, 6h, 30d or 2w, not {text!r}", field="older_than")
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if seconds > _OLDER_S_MAX:
        raise InvalidInputError(f"must be at most {_OLDER_S_MAX // _UNITS_S['d']}d, not {text}", field="older_than")
    return seconds
