"""Commands that begin a PKG and follow feeds: `init`, `apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context, drain
from slipstream.cli.output import err, handled_errors, out, print_json, print_warning, progress_bar
from slipstream.cli.serving_options import Metrics, TokenFile
from slipstream.domain.texts import on_one_line

if TYPE_CHECKING:
    from slipstream.events.applying import ApplyReport

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_IN_JSON_ONLY = ("errors", "left_out", "notes")
FeedPrefix = Annotated[
    str | None,
    typer.Option(
        help="Before the key of a row, to make its entity's id: {space}, {source}, {schema} and {type} stand for "
        "where it is; without: '{space}:' for tables."
    ),
]
KeyColumns = Annotated[
    list[str] | None,
    typer.Option(help="TABLE=COLUMN[,COLUMN]: the key of a table whose messages come without one; * is any table."),
]
Tables = Annotated[
    list[str] | None,
    typer.Option(help="PARTITION=TABLE: treat the rows of a partition as those of its table."),
]
UnsentNulls = Annotated[
    list[str] | None,
    typer.Option(help="TABLE=COLUMN[,COLUMN]: columns whose null in an update means that the value was not sent."),
]
NoSync = Annotated[bool, typer.Option("--no-sync", help="Only capture; the index follows at the next open.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("init")(init)
    app.command("apply")(apply)


def init(context: typer.Context, as_json: Json = False) -> None:
    """Create a PKG: its slipstream.toml and its stores. What is there already stays."""
    from slipstream.app.composition import initialise

    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        created = initialise(settings.directory)
        if as_json:
            print_json({"directory": str(settings.directory.resolve()), "created": created})
        else:
            out.print(f"{'created' if created else 'already there:'} {settings.directory.resolve()}", markup=False)


def apply(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Change events as JSON lines; - reads standard input, live.")],
    no_sync: NoSync = False,
    as_json: Json = False,
    metrics: Metrics = None,
    token_file: TokenFile = None,
    id_prefix: FeedPrefix = None,
    key: KeyColumns = None,
    table: Tables = None,
    unsent_null: UnsentNulls = None,
) -> None:
    """Apply change events (native, CloudEvents, Neo4j CDC, Debezium), each once, none after a newer one."""
    from slipstream.cli.feeding import batches, opened_lines
    from slipstream.cli.serving import serving_metrics
    from slipstream.events.feed_options import told

    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with (
            opened_lines(file) as stream,
            settings.opened(run=not no_sync) as slipstream,
            serving_metrics(slipstream, metrics, token_file),
        ):
            feed = told(slipstream.applier().feed, id_prefix, key or (), table or (), unsent_null or ())
            applier = slipstream.applier(feed)
            with progress_bar("applying", "events", shown=not as_json) as update:

                def on_batch(report: ApplyReport) -> None:
                    update(report.seen, None)

                report = applier.run(batches(stream), on_batch, source=None if file == "-" else file)
            status = slipstream.status() if no_sync else drain(slipstream, shown=not as_json)
        result = {
            "applied": report.applied,
            "duplicates": report.duplicates,
            "outdated": report.outdated,
            "ignored": report.ignored,
            "passed": dict(report.passed),
            "rejected": report.rejected,
            "errors": report.errors,
            "notes": report.said,
            "position": report.position,
            "frontier": status.frontier,
            "dead_letters": status.dead_letters,
        }
        for note in report.said:
            print_warning(note)
        finish(result, report.rejected, report.errors, as_json=as_json)


def finish(result: dict[str, object], rejected: int, errors: list[str], *, as_json: bool) -> None:
    """Print what was brought in; exits with 1 when something was rejected."""
    if as_json:
        print_json(result)
    else:
        shown = {name: _counts(value) for name, value in result.items() if name not in _IN_JSON_ONLY}
        out.print(", ".join(f"{name}: {value}" for name, value in shown.items()), markup=False)
        for error in errors:
            err.print(f"rejected: {on_one_line(error)}", markup=False)
    if rejected:
        raise typer.Exit(EXIT_DIVERGENT)


def _counts(value: object) -> object:
    """Return counts by kind as a text, `3 heartbeats` say; any other value as it is."""
    return " + ".join(f"{count} {kind}" for kind, count in value.items()) or 0 if isinstance(value, dict) else value
