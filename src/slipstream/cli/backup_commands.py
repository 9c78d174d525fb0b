"""Commands about copies of a PKG: `backup`, `restore`, `export`. None opens the PKG, or asks who has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.app.backup.manifest import Manifest
from slipstream.app.backup.parts import OnStep, Step
from slipstream.app.composition import backups_of, checked_backup, exporter_of, restored
from slipstream.app.exporting import STANDARD_OUTPUT, ExportReport
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context
from slipstream.cli.output import err, handled_errors, print_facts, print_json, progress_bar
from slipstream.cli.table_command import export_table, table_spec
from slipstream.domain.errors import ConfigError
from slipstream.domain.texts import on_one_line

_ELSEWHERE = {
    "chroma": "not in the backup (chroma): they are made anew behind a restore",
    "chroma-server": "not in the backup (chroma-server): a restore does not touch the server. What differs there is "
    "made anew; where it is newer than the backup, behind `slipstream repair --adopt`",
}
"""Where vectors that a backup does not hold are, and what becomes of them, by adapter of the index."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("export")(export)


def backup(
    context: typer.Context,
    destination: Annotated[Path | None, typer.Argument(help="The folder that gets the new backup.")] = None,
    keep: Annotated[int | None, typer.Option(help="Keep only so many backups of this graph there.")] = None,
    with_cache: Annotated[bool, typer.Option("--with-cache", help="Take the cache of embeddings along.")] = False,
    rate_mb_s: Annotated[float | None, typer.Option(help="Copy at most so many megabytes a second.")] = None,
    keep_divergent: Annotated[
        bool, typer.Option("--keep-divergent", help="Keep it also if graph and index differ for no known reason.")
    ] = False,
    verify: Annotated[Path | None, typer.Option(help="Make no backup; check this one again.")] = None,
    as_json: Json = False,
) -> None:
    """Make a backup while everything runs, as of one moment; it is restored aside and audited before it counts."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with _bars(shown=not as_json) as on_progress:
            if verify is not None:
                if destination is not None:
                    raise ConfigError("name a folder for a new backup, or one to --verify, not both")
                checked = checked_backup(verify, on_progress)
                result = {"path": str(checked.path), "verified": True, **_told(checked.manifest)}
            elif destination is None:
                raise ConfigError("name the folder that is to get the backup")
            else:
                made = backups_of(settings.directory).backup(
                    destination,
                    keep=keep,
                    with_cache=with_cache,
                    rate_mb_s=rate_mb_s,
                    keep_divergent=keep_divergent,
                    on_progress=on_progress,
                )
                result = {
                    "path": str(made.path),
                    **_told(made.manifest),
                    "copy_s": round(made.copy_s, 3),
                    "check_s": round(made.check_s, 3),
                    "removed": [str(folder) for folder in made.removed],
                }
        _show(result, as_json=as_json)


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="A backup: the folder with its manifest.json.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace the PKG that is there, in one step.")] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into --dir. What is there stays untouched until the restored PKG is complete beside it."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with _bars(shown=not as_json) as on_progress:
            report = restored(source, settings.directory, replace=replace, on_progress=on_progress)
        result = {
            "directory": str(report.directory.resolve()),
            "replaced": report.has_replaced,
            **_told(report.manifest),
        }
        _show(result, as_json=as_json)


def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The file; .gz and .zst are packed; - writes to standard output.")],
    plain: Annotated[
        bool, typer.Option("--plain", help="Without the row that only Slipstream reads: position and schema.")
    ] = False,
    entity_type: Annotated[
        str | None, typer.Option("--type", help="Write a table instead: CSV (or .tsv) of the entities of this type.")
    ] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="What a table calls the column of the ids.")] = None,
    relate: Annotated[
        list[str] | None, typer.Option(help="COLUMN:TYPE:OTHERTYPE, as for import: a column of a table.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=list: a column of --relate that holds several ids.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the cells of a table.")] = None,
    as_json: Json = False,
) -> None:
    """Write the graph as JSON lines, or a type as a table, as of one moment, for `import` and for others."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        to_output = file == STANDARD_OUTPUT
        if to_output and as_json:
            raise ConfigError("the graph goes to standard output, so --json can not: name a file")
        table = table_spec(
            file,
            entity_type=entity_type,
            id_column=id_column,
            relate=relate or (),
            columns=column or (),
            delimiter=delimiter,
        )
        with progress_bar("exporting", "rows", shown=not as_json) as update:
            if table is None:
                report = exporter_of(settings.directory).export(file, update, head=not plain)
            else:
                report = export_table(settings.directory, file, table, update)
        result = _told_of_export(report)
        if as_json:
            print_json(result)
        elif to_output:
            err.print(", ".join(f"{name}: {value}" for name, value in result.items() if name != "errors"))
        else:
            print_facts({name: value for name, value in result.items() if name != "errors"})
        for error in [] if as_json else report.errors:
            err.print(f"not exported: {on_one_line(error)}", markup=False)
        if report.unreadable:
            raise typer.Exit(EXIT_DIVERGENT)


def _told_of_export(report: ExportReport) -> dict[str, Any]:
    return {
        "position": report.position,
        "schema_version": report.schema_version,
        "entities": report.entities,
        "relationships": report.relationships,
        "unreadable": report.unreadable,
        "errors": report.errors,
    }


def _told(manifest: Manifest) -> dict[str, Any]:
    index = manifest.index
    vectors = "in the backup" if index.has_vectors else _ELSEWHERE.get(index.adapter, "not in the backup")
    return {
        "created_at": manifest.created_at.isoformat(),
        "position": manifest.position,
        "frontier": manifest.frontier,
        "entities": manifest.entities,
        "relationships": manifest.relationships,
        "records": index.records,
        "owed": index.owed,
        "divergent": index.divergent,
        "vectors": vectors,
        "size_bytes": manifest.size_bytes,
    }


def _show(result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print_facts({name: value for name, value in result.items() if value != []})


@contextmanager
def _bars(*, shown: bool) -> Iterator[OnStep]:
    """Show one bar for each stage, one after the other."""
    with ExitStack() as stack:
        bars: dict[str, Any] = {}

        def on_step(step: Step) -> None:
            if step.stage not in bars:
                stack.close()
                bars.clear()
                bars[step.stage] = stack.enter_context(progress_bar(step.stage, step.unit, shown=shown))
            bars[step.stage](step.done, step.total)

        yield on_step
