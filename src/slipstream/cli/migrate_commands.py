"""Commands about generations: `migrate start|status|wait|pause|resume|audit|cut-over|roll-back|drop`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.app.composition import OnOtherRecipe, Options, load_candidate, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.findings import AuditReport, report_as_dict
from slipstream.audit.ratios import consistency_text, counts_text
from slipstream.cli.audit_commands import exit_by
from slipstream.cli.context import Context
from slipstream.cli.output import (
    err,
    handled_errors,
    out,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from slipstream.cli.quality_commands import QueriesFile, Report, Sample, read_queries, show_comparison
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.models import Space
from slipstream.migration.migrations import MigrationStatus
from slipstream.quality.comparison import QualityComparison, comparison_as_dict
from slipstream.quality.runs import SAMPLE
from slipstream.recipes.generations import Phase

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Work until it is done; Ctrl-C leaves it resumable.")]
Force = Annotated[bool, typer.Option("--force", help="Skip the audit: what the old generation lacks stays missing.")]

_STAGES = {
    Phase.ALONE: "no migration: one generation",
    Phase.BUILDING: "the next generation is being built",
    Phase.BUILT: "the next generation is built and follows the log: `slipstream migrate cut-over`",
    Phase.RETIRED: "cut over; the old generation follows the log until it is dropped: `slipstream migrate roll-back`",
    Phase.DROPPING: "a generation is being removed",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    migrate = typer.Typer(
        help="Build the next generation of views or models beside the live one, and cut over to it.",
        no_args_is_help=True,
    )
    migrate.command("start")(start)
    migrate.command("status")(status)
    migrate.command("wait")(wait)
    migrate.command("pause")(pause)
    migrate.command("resume")(resume)
    migrate.command("audit")(audit)
    migrate.command("cut-over")(cut_over)
    migrate.command("roll-back")(roll_back)
    migrate.command("drop")(drop)
    app.add_typer(migrate, name="migrate")


@contextmanager
def _opened(context: typer.Context, *, run: bool = True) -> Iterator[Slipstream]:
    """Open with the recipe in force: the one that slipstream.toml declares is only the candidate."""
    settings: Context = context.obj
    options = Options(on_other_recipe=OnOtherRecipe.KEEP)
    with open_pkg(settings.directory, run=run, options=options) as slipstream:
        yield slipstream


# ---------------------------------------------------------------------- building


def start(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="A file with the views and routes to migrate to; default: slipstream.toml, as edited."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do and cost.")] = False,
    work: Wait = True,
    as_json: Json = False,
) -> None:
    """Begin to build the next generation beside the live one."""
    with handled_errors(as_json=as_json), _opened(context, run=not dry_run) as slipstream:
        migrations = slipstream.migrations
        candidate = migrations.candidate() if config is None else load_candidate(slipstream, config)
        if dry_run:
            _show_plan(asdict(migrations.plan(candidate)), as_json=as_json)
            return
        migrations.start(candidate)
        _work(slipstream, wait=work, as_json=as_json)


def wait(context: typer.Context, as_json: Json = False) -> None:
    """Work until the next generation is built and complete."""
    with handled_errors(as_json=as_json), _opened(context) as slipstream:
        _work(slipstream, wait=True, as_json=as_json)


def pause(context: typer.Context, as_json: Json = False) -> None:
    """Stop building; the live generation goes on as before."""
    with handled_errors(as_json=as_json), _opened(context, run=False) as slipstream:
        slipstream.migrations.pause()
        _show_status(slipstream.migrations.status(), as_json=as_json)


def resume(context: typer.Context, work: Wait = True, as_json: Json = False) -> None:
    """Go on building; what has changed meanwhile is found by comparison."""
    with handled_errors(as_json=as_json), _opened(context) as slipstream:
        slipstream.migrations.resume()
        _work(slipstream, wait=work, as_json=as_json)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the generations, and how far a migration is."""
    with handled_errors(as_json=as_json), _opened(context, run=False) as slipstream:
        _show_status(slipstream.migrations.status(), as_json=as_json)


def _work(slipstream: Slipstream, *, wait: bool, as_json: bool) -> None:
    if wait:
        with progress_bar("building", "records", shown=not as_json) as update:

            def on_progress(status: MigrationStatus) -> None:
                if status.progress is not None:
                    update(status.progress.done, status.progress.total)

            slipstream.migrations.wait(on_progress=on_progress)
    _show_status(slipstream.migrations.status(), as_json=as_json)


# ---------------------------------------------------------------------- cutting over


def audit(context: typer.Context, as_json: Json = False) -> None:
    """Audit the generation beside the live one. Exit code: 0 consistent, 1 divergent, 2 could not tell."""
    with handled_errors(as_json=as_json), _opened(context) as slipstream:
        with _comparing(slipstream, shown=not as_json) as on_progress:
            report = slipstream.migrations.audit(on_progress)
        _show_audit(report, as_json=as_json)
        exit_by(report)


def cut_over(
    context: typer.Context,
    *,
    queries: QueriesFile = None,
    sample: Sample = SAMPLE,
    report: Report = None,
    skip_comparison: Annotated[
        bool, typer.Option("--skip-comparison", help="Compare nothing: cut over whatever the quality gate asks for.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Audit the next generation, compare it with the live one, and let it answer searches.

    Refused below 100 %, and by the thresholds of the quality gate.
    """
    found: dict[str, Any] = {}
    with handled_errors(as_json=as_json, more=found), _opened(context) as slipstream, ExitStack() as bar:
        if skip_comparison and (queries is not None or report is not None):
            raise InvalidInputError("can not go with --queries or --report", field="--skip-comparison")

        def on_comparison(comparison: QualityComparison) -> None:
            bar.close()  # no progress bar amid the figures
            found["comparison"] = comparison_as_dict(comparison, slipstream.quality.gate.reasons(comparison))
            show_comparison(found["comparison"], report, as_json=as_json)

        audited = slipstream.cut_over(
            read_queries(queries),
            sample=sample,
            compared=not skip_comparison,
            on_progress=bar.enter_context(_comparing(slipstream, shown=not as_json)),
            on_comparison=on_comparison,
        )
        bar.close()
        _show_audit(audited, as_json=as_json, more=found)
        if not as_json:
            _warn_of_config(slipstream)
            out.print("cut over: `slipstream migrate roll-back` goes back, `slipstream migrate drop` ends it")


def roll_back(context: typer.Context, force: Force = False, as_json: Json = False) -> None:
    """Audit the old generation and, at 100 %, let it answer searches again."""
    with handled_errors(as_json=as_json), _opened(context) as slipstream:
        with _comparing(slipstream, shown=not (as_json or force)) as on_progress:
            slipstream.migrations.roll_back(force=force, on_progress=on_progress)
        _show_status(slipstream.migrations.status(), as_json=as_json)
        if not as_json:
            _warn_of_config(slipstream)


def drop(context: typer.Context, work: Wait = True, as_json: Json = False) -> None:
    """Remove the generation beside the live one: an unwanted new one, or the old one after a cut-over."""
    with handled_errors(as_json=as_json), _opened(context) as slipstream:
        slipstream.migrations.drop()
        if work:
            slipstream.sync.drain()
        _show_status(slipstream.migrations.status(), as_json=as_json)
        if not as_json:
            _warn_of_config(slipstream)


@contextmanager
def _comparing(slipstream: Slipstream, *, shown: bool) -> Iterator[Any]:
    total = sum(slipstream.pkg.counts().values())
    with progress_bar("comparing", "keys", shown=shown) as update:
        yield lambda compared: update(compared, total)


# ---------------------------------------------------------------------- printing


def _show_plan(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    print_table("records to build", ["type", "records"], list(plan["types"].items()))
    print_facts(
        {name: value for name, value in plan.items() if name != "types"} | {"embed_s": f"{plan['embed_s']:.1f}"}
    )


def _show_status(status: MigrationStatus, *, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "phase": status.phase.value,
        "paused": status.is_paused,
        "waiting": status.waiting,
        "outage": status.outage,
        "started_at": status.started_at,
        "since": status.since,
    }
    if status.progress is not None:
        progress = status.progress
        facts |= {"done": progress.done, "total": progress.total, "eta_s": progress.eta_s}
    if as_json:
        spaces = {name: [_space(live), _space(beside)] for name, (live, beside) in status.spaces.items()}
        print_json({**facts, "spaces": spaces})
        return
    out.print(_STAGES[status.phase] + (" (paused)" if status.is_paused else ""), markup=False)
    print_facts({name: value for name, value in facts.items() if value is not None})
    if status.spaces:
        rows = [(name, _space(live), _space(beside)) for name, (live, beside) in status.spaces.items()]
        print_table("what differs", ["type", "live", "beside it"], rows)


def _show_audit(report: AuditReport, *, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    if as_json:
        print_json({**report_as_dict(report), **(more or {})})
        return
    named = {**report.counts(), "owed": len(report.owed), "unsettled": report.unsettled}
    if found := counts_text(named):
        out.print(found, markup=False)
    said = consistency_text(report.consistency, report.owed_by_lane)
    out.print(f"{said} at position {report.position}, {report.duration_s:.2f} s")


def _space(space: Space | None) -> str:
    if space is None:
        return "unknown (model unreachable)"
    return f"{space.model_id} {space.model_version[:12]}, {space.dimension}-d, generation {space.generation}"


def _warn_of_config(slipstream: Slipstream) -> None:
    if not slipstream.migrations.is_declared:
        err.print(
            "slipstream.toml does not declare the live recipe: change it before the other generation is dropped",
            markup=False,
            highlight=False,
        )
