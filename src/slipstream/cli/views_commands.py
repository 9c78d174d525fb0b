"""Commands about views: `views list`, `views explain`, `views check`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from slipstream.app.composition import OnOtherRecipe, Options, edited_recipe, open_pkg
from slipstream.app.explaining import Explanation
from slipstream.app.slipstream import Slipstream
from slipstream.app.view_check import SAMPLE, Edited, ViewCheck
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_facts, print_json, print_table
from slipstream.cli.schema_commands import check_types
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.texts import on_one_line

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    views = typer.Typer(help="Which text stands for what, and why.", no_args_is_help=True)
    views.command("list")(list_views)
    views.command("explain")(explain)
    views.command("check")(check)
    app.add_typer(views, name="views")


def _opened(context: typer.Context) -> Slipstream:
    """Open with the views in force: views that were edited in slipstream.toml are not applied."""
    settings: Context = context.obj
    return open_pkg(settings.directory, run=False, options=Options(on_other_recipe=OnOtherRecipe.KEEP))


def list_views(context: typer.Context, as_json: Json = False) -> None:
    """List the views in force: types, models, templates, and what they read."""
    with handled_errors(as_json=as_json):
        with _opened(context) as slipstream:
            rows = _views(slipstream)
        if as_json:
            print_json(rows)
            return
        columns = ("type", "records", "model", "template", "reads", "neighbours")
        print_table("views", columns, [[_cell(row[name]) for name in columns] for row in rows])


def _views(slipstream: Slipstream) -> list[dict[str, Any]]:
    counts, schema = slipstream.pkg.counts(), slipstream.pkg.schema()
    declared = {view.type: view.is_relationship for view in slipstream.views.views}
    names = {**dict.fromkeys(schema.entity_types, False), **declared}
    rows: list[dict[str, Any]] = []
    for name, is_relationship in sorted(names.items()):
        view = slipstream.views.view_for(name, is_relationship=is_relationship)
        reads = slipstream.views.dependencies(name, is_relationship=is_relationship)
        if view is None or reads is None:
            continue
        rows.append(
            {
                "type": name,
                "kind": "relationship" if is_relationship else "entity",
                "records": counts.get(name, 0),
                "model": slipstream.recipes.pair.live.space_of(name).model_id,
                "template": view.template or "(default text)",
                "reads": [*reads.properties, *(["every property"] if reads.all_properties else [])],
                "neighbours": [f"{step.relationship_type}.{name}" for step in view.steps for name in step.properties],
                "metadata": list(view.metadata),
                "temporal": reads.is_temporal,
                "template_version": reads.template_version,
            }
        )
    return rows


def _cell(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def explain(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(help="An entity's id, or a record's key (e:ID, r:ID).")],
    as_json: Json = False,
) -> None:
    """Tell why a record is as it is: its text, what that depends on, and what the last changes did."""
    with handled_errors(as_json=as_json):
        with _opened(context) as slipstream:
            key = RecordKey.decode(entity) if entity[:2] in ("e:", "r:") else entity_key(entity)
            explanation = slipstream.explain(key)
        if as_json:
            print_json(explanation.as_dict())
        else:
            _show_explanation(explanation)


def _show_explanation(found: Explanation) -> None:
    reads, stored = found.dependencies, found.stored
    facts: dict[str, object] = {
        "record": f"{found.key} ({found.entity_type})",
        "text": found.text if found.text is not None else "none",
        "template": found.template or "(default text)",
        "reads": "" if reads is None else ", ".join(reads.properties) + (", all text" if reads.all_text else ""),
    }
    facts.update({f"shows {name}": ", ".join(keys) or "nobody" for name, keys in found.neighbours.items()})
    if found.temporal_context:
        facts["time and causes"] = found.temporal_context
    facts["model"] = found.model
    facts["fingerprint"] = found.fingerprint
    if stored is not None:
        facts["stored"] = stored.fingerprint
        facts["embedded at"] = f"{stored.created_at.isoformat(timespec='seconds')}, by {stored.space.model_id}"
        facts["embedded for"] = found.embedded_for
        facts["position, schema"] = f"{stored.position}, version {stored.schema_version}"
    facts["verdict"] = f"{found.verdict}: {'; '.join(found.reasons)}"
    print_facts(facts)
    rows = [
        (h.position, h.event, h.about, "?" if h.changed is None else ", ".join(h.changed), h.outcome)
        for h in found.happenings
    ]
    title = f"last changes (the log was looked through back to {found.looked_back_to})"
    print_table(title, ("position", "event", "of", "changed", "outcome"), rows)


def check(
    context: typer.Context,
    *,
    as_json: Json = False,
    config: Annotated[
        Path | None, typer.Option(help="A file with the edited views; default: slipstream.toml, as edited.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Records of each type that are rendered.")] = SAMPLE,
    everything: Annotated[bool, typer.Option("--all", help="Render all records: counts are exact.")] = False,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")] = None,
) -> None:
    """
    Render a sample by the views in force and by the edited ones; nothing is applied.

    Exit code 1 when a template fails on a record.
    """
    with handled_errors(as_json=as_json):
        with _opened(context) as slipstream:
            check_types(slipstream, types or ())
            edited = edited_recipe(slipstream, config)
            found = slipstream.check_views(edited, sample=None if everything else sample, types=types or ())
        if as_json:
            print_json(found.as_dict())
        else:
            _show_check(found)
        if found.failed:
            raise typer.Exit(EXIT_DIVERGENT)


def _show_check(found: ViewCheck) -> None:
    columns = ("type", "records", "sampled", "changed", "of all", "restamped", "removed", "failed", "cut", "no text")
    rows = [
        (
            *(check.type, check.records, check.sampled, check.changed),
            f"{check.changed_low} to {check.changed_high}",
            *(check.restamped, check.removed, check.failed, check.truncated, check.without_text),
        )
        for check in found.types
    ]
    print_table("what the edited views would do", columns, rows)
    for check in found.types:
        for example in check.examples:
            _show_example(example)
    print_facts(
        {
            "to embed": f"about {found.texts:,} texts",
            "tokens": f"about {found.tokens:,}",
            "embedding": f"about {found.embed_s:,.1f} s",
        }
    )


def _show_example(example: Edited) -> None:
    out.print(f"[bold]{escape(on_one_line(example.key))}[/bold]")
    if example.error is not None:
        out.print(f"  ! {example.error}", markup=False)
        return
    lines = difflib.ndiff([example.before or ""], [example.after or ""])
    for line in lines:
        if line[:1] in "+-":
            out.print(f"  {line.rstrip()}", markup=False)
