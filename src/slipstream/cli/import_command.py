"""The command `import`: files of every format that Slipstream reads, a folder of notes, standard input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.completing import entity_types, formats
from slipstream.cli.context import Context, drain
from slipstream.cli.data_commands import Json, NoSync, finish
from slipstream.cli.output import err, handled_errors, out, print_json, print_warning, progress_bar
from slipstream.cli.piped import piped
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.texts import on_one_line

if TYPE_CHECKING:
    from slipstream.app.rehearsing import Rehearsal
    from slipstream.app.slipstream import Slipstream
    from slipstream.events.import_state import ImportProgress
    from slipstream.importers.options import ReadOptions

STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import")(import_command)


def import_command(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files that belong together, packed or not; a folder of notes; - for standard input.",
            metavar="PATH...",
        ),
    ],
    *,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="apoc, csv, neo4j, graphml, node-link, rdf or notes; default: what the files look like.",
            autocompletion=formats,
        ),
    ] = None,
    entity_type: Annotated[
        str | None,
        typer.Option("--type", help="The type of entities that say none.", autocompletion=entity_types),
    ] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="The column that holds the ids.")] = None,
    relate: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN:TYPE:OTHERTYPE: relate each row to the entity whose id is in a column."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=KIND: string, integer, float, boolean, datetime or list; a column without one is text."
        ),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the fields of a row.")] = None,
    id_prefix: Annotated[
        str | None, typer.Option(help="Before ids that are names within the source only, row numbers among them.")
    ] = None,
    replace_source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="This is all that the source NAME says now: what it said before, and no longer says, is deleted.",
        ),
    ] = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Delete as much as PLAN says, which was told before.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, in a copy of the graph; change nothing.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="For -: the name of a file that would hold this.")] = None,
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Import files, or a folder of notes; returns when all of it is in the index. Idempotent, and resumes."""
    with handled_errors(as_json=as_json), ExitStack() as stack:
        settings: Context = context.obj
        said: dict[str, Any] = {
            "format": format_name,
            "options": _options(entity_type, id_column, relate or (), column or (), delimiter, id_prefix),
            "replace_source": replace_source,
        }
        files = _files(settings, paths, name, format_name, stack)
        if dry_run and confirm is not None:
            raise InvalidInputError("a dry run deletes nothing: leave it out", field="confirm")
        if dry_run:
            _rehearse(settings, files, said, as_json=as_json)
        else:
            _import(settings, files, {**said, "confirm": confirm}, no_sync=no_sync, as_json=as_json)


def _options(
    entity_type: str | None,
    id_column: str | None,
    relate: Sequence[str],
    columns: Sequence[str],
    delimiter: str | None,
    id_prefix: str | None,
) -> ReadOptions:
    from slipstream.importers.options import ReadOptions, Relate, parse_column

    return ReadOptions(
        entity_type=entity_type,
        id_column=id_column,
        relate=tuple(Relate.parse(text) for text in relate),
        columns=tuple(parse_column(text) for text in columns),
        delimiter=delimiter,
        id_prefix=id_prefix,
    )


def _files(
    settings: Context, paths: Sequence[str], name: str | None, format_name: str | None, stack: ExitStack
) -> list[Path]:
    """Return the files; standard input is kept in one until the import has ended."""
    if STANDARD_INPUT not in paths:
        if name is not None:
            raise InvalidInputError("only what is piped in (-) needs one", field="name")
        return [Path(path).expanduser() for path in paths]
    if len(paths) > 1:
        raise InvalidInputError("- is read alone: import files and standard input one by one", field="paths")
    return [stack.enter_context(piped(settings.directory, name, format_name))]


def _import(
    settings: Context, files: Sequence[Path], said: Mapping[str, Any], *, no_sync: bool, as_json: bool
) -> None:
    with settings.opened(run=not no_sync) as slipstream:
        with progress_bar("importing", "bytes", shown=not as_json) as update:

            def on_progress(progress: ImportProgress) -> None:
                update(progress.done_bytes, progress.total_bytes)

            report = slipstream.import_files(*files, **said, on_progress=on_progress)
        status = slipstream.status() if no_sync else drain(slipstream, shown=not as_json)
    result: dict[str, object] = {
        "entities": report.entities,
        "relationships": report.relationships,
        "deleted": report.deleted,
        "rejected": report.rejected,
        "left_out": report.left_out,
        "errors": report.errors,
        "notes": report.notes,
        "position": report.position,
        "frontier": status.frontier,
        "dead_letters": status.dead_letters,
    }
    for note in report.notes:
        print_warning(note)
    finish(result, report.rejected, report.errors, as_json=as_json)


def _rehearse(settings: Context, files: Sequence[Path], said: Mapping[str, Any], *, as_json: bool) -> None:
    with settings.opened(run=False) as slipstream:
        found = _rehearsed(slipstream, files, said, as_json=as_json)
    if as_json:
        print_json({name: getattr(found, name) for name in found.__slots__})
    else:
        for done in ("created", "updated", "deleted"):
            counts: Mapping[str, int] = getattr(found, done)
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
            out.print(f"would be {done}: {on_one_line(kinds) or 'nothing'}", markup=False)
        for note in found.notes:
            print_warning(note)
        if found.needs_confirmation is not None:
            print_warning(found.needs_confirmation)
        for error in found.errors:
            err.print(f"would be rejected: {on_one_line(error)}", markup=False)
    if found.rejected or found.needs_confirmation is not None:
        raise typer.Exit(EXIT_DIVERGENT)


def _rehearsed(slipstream: Slipstream, files: Sequence[Path], said: Mapping[str, Any], *, as_json: bool) -> Rehearsal:
    with progress_bar("rehearsing", "bytes", shown=not as_json) as update:

        def on_progress(progress: ImportProgress) -> None:
            update(progress.done_bytes, progress.total_bytes)

        return slipstream.rehearse_import(*files, **said, on_progress=on_progress)
