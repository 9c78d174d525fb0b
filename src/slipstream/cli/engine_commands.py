"""Commands about the engine: `status`, `verify`, `repair`, `dead-letters`."""

from __future__ import annotations

from typing import Annotated

import typer

from slipstream.cli.context import Context, drain
from slipstream.cli.output import (
    EXIT_DIVERGENT,
    EXIT_ERROR,
    handled_errors,
    out,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from slipstream.consistency.classes import CLASSES
from slipstream.consistency.report import AuditReport, report_as_dict
from slipstream.domain.errors import ConfigError
from slipstream.service.insights import status_as_dict
from slipstream.service.slipstream import Slipstream

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]

_SHOWN_MAX = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("status")(status)
    app.command("verify")(verify)
    app.command("repair")(repair)
    letters = typer.Typer(help="Keys and events that failed for good.", no_args_is_help=True)
    letters.command("list")(list_letters)
    letters.command("replay")(replay_letters)
    letters.command("discard")(discard_letters)
    app.add_typer(letters, name="dead-letters")


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show how far the index is behind the graph."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            facts = status_as_dict(slipstream)
        if as_json:
            print_json(facts)
            return
        print_facts({name: value for name, value in facts.items() if not isinstance(value, dict)})
        for title in ("entities_by_type", "embeddings_by_type", "embeddings_by_model"):
            counts = facts[title]
            if isinstance(counts, dict) and counts:
                print_table(
                    title.replace("_", " "), ["type" if "type" in title else "model", "count"], list(counts.items())
                )


def verify(
    context: typer.Context,
    as_json: Json = False,
    sync: Annotated[bool, typer.Option("--sync/--no-sync", help="First let the index catch up.")] = True,
) -> None:
    """Compare graph and index, both read anew. Exit code: 0 consistent, 1 divergent, 2 could not tell."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=sync) as slipstream:
            if sync:
                drain(slipstream, shown=not as_json)
            report = _audit(slipstream, shown=not as_json)
        _show_report(report, as_json=as_json)
        if not report.is_consistent:
            raise typer.Exit(EXIT_DIVERGENT)


def _audit(slipstream: Slipstream, *, shown: bool) -> AuditReport:
    with progress_bar("comparing", "keys", shown=shown) as update:
        return slipstream.verify(lambda compared: update(compared, None))


def _show_report(report: AuditReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report_as_dict(report))
        return
    rows = [(name, row.expected, row.found, row.fresh) for name, row in sorted(report.coverage.items())]
    print_table("coverage", ["type", "expected", "found", "fresh"], rows)
    for name in CLASSES:
        keys = report.divergences[name]
        if keys:
            shown = ", ".join(key.id for key in keys[:_SHOWN_MAX])
            more = f" and {len(keys) - _SHOWN_MAX} more (--json lists all)" if len(keys) > _SHOWN_MAX else ""
            out.print(f"{name}: {len(keys)}: {shown}{more}", markup=False)
    if report.unrenderable:
        out.print(f"unrenderable: {len(report.unrenderable)} (see dead-letters list)")
    out.print(f"consistency {report.consistency:.4%} at position {report.position}, in {report.duration_s:.2f} s")


def repair(context: typer.Context, as_json: Json = False) -> None:
    """Audit, mend what differs, and audit again. Exit code as of verify."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened() as slipstream:
            drain(slipstream, shown=not as_json)
            before = _audit(slipstream, shown=not as_json)
            marked = 0
            after = before
            if not before.is_consistent:
                marked = slipstream.repair(before)
                drain(slipstream, shown=not as_json)
                after = _audit(slipstream, shown=not as_json)
        if as_json:
            print_json({"marked": marked, "before": report_as_dict(before), "after": report_as_dict(after)})
        else:
            out.print(f"marked {marked} keys; consistency {before.consistency:.4%} -> {after.consistency:.4%}")
        if not after.is_consistent:
            raise typer.Exit(EXIT_DIVERGENT)


def list_letters(context: typer.Context, as_json: Json = False) -> None:
    """List the dead letters."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            letters = slipstream.list_dead_letters()
        if as_json:
            print_json(
                [
                    {
                        "id": letter.id,
                        "key": letter.key.encode() if letter.key else None,
                        "error": letter.error,
                        "attempts": letter.attempts,
                        "failed_at": letter.failed_at,
                        "position": letter.position,
                        "payload": letter.payload,
                    }
                    for letter in letters
                ]
            )
            return
        rows = [
            (letter.id, letter.attempts, letter.failed_at.isoformat(" ", "seconds"), letter.error)
            for letter in letters
        ]
        print_table(f"{len(letters)} dead letters", ["id", "attempts", "failed at (UTC)", "error"], rows)


def replay_letters(context: typer.Context, ids: Ids = None, every: All = False, as_json: Json = False) -> None:
    """Give dead letters another try. Exit code 1 when some failed again."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened() as slipstream:
            replayed = slipstream.replay_dead_letters(_chosen(ids, every=every))
            after = drain(slipstream, shown=not as_json)
        result = {"replayed": replayed, "dead_letters": after.dead_letters}
        if as_json:
            print_json(result)
        else:
            print_facts(result)
        if after.dead_letters:
            raise typer.Exit(EXIT_DIVERGENT)


def discard_letters(context: typer.Context, ids: Ids = None, every: All = False, as_json: Json = False) -> None:
    """Forget dead letters; their keys stay divergent until they change or are repaired."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            discarded = slipstream.discard_dead_letters(_chosen(ids, every=every))
        if as_json:
            print_json({"discarded": discarded})
        else:
            out.print(f"discarded {discarded}")
        if ids and discarded < len(ids):
            raise typer.Exit(EXIT_ERROR)


def _chosen(ids: list[str] | None, *, every: bool) -> list[str] | None:
    if bool(ids) == every:
        raise ConfigError("name the ids of dead letters, or pass --all")
    return ids or None
