"""Commands about consistency: `verify`, `repair`, `audits`, `scrub`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.audit.brake import BrakePlan
from slipstream.audit.findings import FINDING_KINDS, AuditReport, report_as_dict
from slipstream.audit.ratios import consistency_text, counts_text, percent
from slipstream.audit.repair import KINDS, RepairBudget, RepairResult
from slipstream.audit.words_found import ALL, WordsFound
from slipstream.cli.adopting import adopt
from slipstream.cli.codes import EXIT_DIVERGENT, EXIT_ERROR
from slipstream.cli.context import Context, drain
from slipstream.cli.output import (
    brake_line,
    err,
    handled_errors,
    out,
    print_facts,
    print_json,
    print_table,
    print_warning,
    progress_bar,
)
from slipstream.domain.audits import Finding
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.report.evidence import evidence_base, write_evidence

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Incremental = Annotated[
    bool, typer.Option("--incremental", help="Compare digests, and read only what has changed or differs.")
]
Sync = Annotated[bool, typer.Option("--sync/--no-sync", help="First let the index catch up.")]

_SHOWN_MAX = 20
_OUTAGE_PATIENCE_S = 30.0
_HISTORY_MAX = 200
_PAGING = "slipstream audits show {id} --class {name} --after {name}/{after}"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("verify")(verify)
    app.command("repair")(repair)
    audits = typer.Typer(help="Past audits and what they found.", no_args_is_help=True)
    audits.command("list")(list_audits)
    audits.command("show")(show_audit)
    app.add_typer(audits, name="audits")
    scrub = typer.Typer(help="The scheduled audits of a running engine.", no_args_is_help=True)
    scrub.command("status")(scrub_status)
    scrub.command("pause")(scrub_pause)
    scrub.command("resume")(scrub_resume)
    app.add_typer(scrub, name="scrub")


# ---------------------------------------------------------------------- verify


def verify(
    context: typer.Context,
    as_json: Json = False,
    sync: Sync = True,
    incremental: Incremental = False,
    deep: Annotated[
        str | None, typer.Option(help="Embed so many records anew and compare: a number, or `all`.")
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write the report as JSON and as a page, FILE.json and FILE.html.")
    ] = None,
) -> None:
    """
    Compare graph, vectors and word rows, read anew. Exit code: 0 consistent, 1 divergent, 2 could not tell.

    The index catches up with the log as with any command; nothing else is changed.
    """
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        if incremental and deep is not None:
            raise InvalidInputError("reads everything, --incremental does not: choose one", field="deep")
        sample = _sample_size(deep)
        if report_file is not None:
            evidence_base(report_file)
        with settings.opened(run=sync, mend=False) as slipstream:
            if sync:
                drain(slipstream, shown=not as_json, patience_s=_OUTAGE_PATIENCE_S)
            report = _audit(slipstream, incremental=incremental, deep=sample, shown=not as_json)
            history = [kept.report for kept in reversed(slipstream.audits.audits(None, _HISTORY_MAX))]
            plan = slipstream.repairer.braked(report.kept_id) if report.is_divergent else None
            written: Sequence[Path] = ()
            if report_file is not None:
                told, evidence = report_as_dict(report), slipstream.evidence
                written = write_evidence(report_file, told, history, paging=_PAGING, evidence=evidence)
        for path in written:
            err.print(f"written: {path}", markup=False, highlight=False)
        _show_report(report, plan, as_json=as_json)
        exit_by(report)


def exit_by(report: AuditReport) -> None:
    """Return when everything is consistent; else exit with the code for what the audit found."""
    if report.is_divergent:
        raise typer.Exit(EXIT_DIVERGENT)
    if not report.is_consistent:
        raise typer.Exit(EXIT_ERROR)


def _sample_size(deep: str | None) -> int | None:
    if deep is None:
        return None
    if deep == "all":
        return DEEP_ALL
    if not (deep.isascii() and deep.isdigit()) or int(deep) < 1:
        raise InvalidInputError(f"{deep!r} is neither a number of records nor `all`", field="deep")
    return int(deep)


def _audit(slipstream: Slipstream, *, incremental: bool, deep: int | None, shown: bool) -> AuditReport:
    # A full audit compares relationships that no view covers too, so these are all its keys.
    total = None if incremental else sum(slipstream.pkg.counts().values())
    with progress_bar("comparing", "keys", shown=shown) as update:
        # In a process of its own, the only live changes are those that this command waits for.
        return slipstream.verify(
            lambda compared: update(compared, total),
            incremental=incremental,
            deep=deep,
            hurry=slipstream.runs_engine,
        )


def _show_report(report: AuditReport, plan: BrakePlan | None = None, *, as_json: bool) -> None:
    if as_json:
        print_json({**report_as_dict(report), "plan": None if plan is None else plan.as_dict()})
        return
    rows = [
        (name, row.expected, row.found, row.fresh, counts_text(row.counts))
        for name, row in sorted(report.coverage.items())
    ]
    print_table("coverage", ["type", "expected", "found", "fresh", "classes"], rows)
    found = {
        **report.all_divergences(),
        "unrenderable": report.unrenderable,
        "owed (the engine is still to bring them up to date)": report.owed,
        "unsettled (they changed every time they were looked at)": report.unsettled_keys,
    }
    if report.words is not None:
        _show_words(report.words)
        found["word rows owed"] = report.words.owed
        found["word rows unsettled"] = report.words.unsettled
    for name, keys in found.items():
        if keys:
            shown = ", ".join(key.id for key in keys[:_SHOWN_MAX])
            more = f" and {len(keys) - _SHOWN_MAX} more (slipstream audits show {report.id})"
            out.print(f"{name}: {len(keys)}: {shown}{more if len(keys) > _SHOWN_MAX else ''}", markup=False)
    for damage in report.damage:
        out.print(f"damage: {damage.told}", markup=False)
    for note in report.notes:
        out.print(f"note: {note}", markup=False)
    said = consistency_text(report.consistency, report.owed_lanes)
    if report.verdict == "undecided":
        out.print("could not tell: no divergence was found, but not every key could be judged")
    out.print(
        f"{said} at position {report.position} ({report.kind} audit {report.id}: "
        f"{report.rows.graph:,} rows of the graph, {report.rows.index:,} of the index, {report.duration_s:.2f} s)"
    )
    out.print(f"digests: graph {report.graph_digest.hex}, index {report.index_digest.hex}", markup=False)
    if plan is not None:
        out.print(f"braked: {plan.said}. To apply exactly that: {plan.command}", markup=False, soft_wrap=True)


def _show_words(words: WordsFound) -> None:
    """Say in one line how word rows stand, and how closely they were looked at."""
    looked = "every row read" if words.looked == ALL else "what has changed or was wrong; the rest was not read"
    counted = ", but counted" if words.is_counted else ""
    said = f"{words.expected:,} expected, {words.held:,} found, {words.fresh:,} fresh"
    out.print(f"word rows: {said} ({looked}{counted}; {words.duration_s:.2f} s)", markup=False)


# ---------------------------------------------------------------------- repair


def repair(
    context: typer.Context,
    as_json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do and cost.")] = False,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class (of word rows: word_missing …); may be given several times."),
    ] = None,
    incremental: Incremental = False,
    deep: Annotated[str | None, typer.Option(help="Audit as `verify --deep` does.")] = None,
    keys_per_s: Annotated[float, typer.Option(help="Mark at most so many keys a second.")] = 1_000.0,
    confirm: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Apply exactly the plan of this id, and nothing else.")
    ] = None,
    adopting: Annotated[
        bool, typer.Option("--adopt", help="In an incident: take the graph for the truth (docs/incidents.md).")
    ] = False,
) -> None:
    """
    Audit, mend what differs, and compare that again; an interrupted repair is continued first.

    What is more than the brake allows is not mended: its plan is shown, and `--confirm PLAN` applies it.

    Exit code as of verify, and 2 when the brake held and nothing was done; with --dry-run, 1 when there is something
    to mend.
    """
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        chosen = [_known(kind, KINDS, "kinds") for kind in kinds or KINDS]
        budget = RepairBudget(keys_per_s=keys_per_s)
        if confirm is not None and (dry_run or kinds or incremental or deep is not None):
            raise InvalidInputError("applies a plan as it is: it goes with no other choice", field="confirm")
        if adopting:
            if confirm is not None or dry_run or kinds or incremental or deep is not None:
                raise InvalidInputError("takes the graph as it is: it goes with no other choice", field="adopt")
            exit_by(adopt(settings, as_json=as_json))
            return
        with settings.opened() as slipstream:
            drain(slipstream, shown=not as_json)
            if confirm is not None:
                exit_by(_confirmed(slipstream, confirm, budget, as_json=as_json))
                return
            resumed = None
            if slipstream.repairer.unfinished is not None and not dry_run:
                resumed, _ = _mend(slipstream, None, chosen, budget, shown=not as_json)
            before = _audit(slipstream, incremental=incremental, deep=_sample_size(deep), shown=not as_json)
            if dry_run:
                _show_plan(slipstream, before.kept_id, chosen, as_json=as_json)
                last = before
            else:
                last = _repair(slipstream, before, chosen, budget, resumed, as_json=as_json)
        exit_by(last)


def _repair(
    slipstream: Slipstream,
    before: AuditReport,
    kinds: list[str],
    budget: RepairBudget,
    resumed: RepairResult | None,
    *,
    as_json: bool,
) -> AuditReport:
    after, marked = before, 0 if resumed is None else resumed.keys
    if before.is_divergent:
        result, remaining = _mend(slipstream, before.kept_id, kinds, budget, shown=not as_json)
        marked += result.keys
        after = remaining
        if not remaining.is_divergent:
            after = slipstream.verify(incremental=True, hurry=slipstream.runs_engine)
    if as_json:
        went_on = None if resumed is None else _resumed(resumed)
        reports = {"before": report_as_dict(before), "after": report_as_dict(after)}
        print_json({"marked": marked, "resumed": went_on, **reports})
    else:
        if resumed is not None:
            before_it = f"{resumed.keys} keys, behind {resumed.marked_before} that were marked before"
            out.print(f"went on with the repair of audit {resumed.audit_id}: {before_it}")
        shown = f"{percent(before.consistency)} -> {percent(after.consistency)}"
        out.print(f"marked {marked} keys; consistency {shown}", markup=False)
        if after.is_divergent:
            out.print(f"still divergent: {counts_text(after.counts()) or 'damage below'}", markup=False)
            for damage in after.damage:
                out.print(f"damage: {damage.told}", markup=False)
        elif not after.is_consistent:
            open_keys = {"owed": sum(after.owed_lanes.values()), "unsettled": after.unsettled}
            out.print(f"could not tell: {counts_text(open_keys)}", markup=False)
    return after


def _confirmed(slipstream: Slipstream, plan_id: str, budget: RepairBudget, *, as_json: bool) -> AuditReport:
    """Apply a plan, and return the audit of its keys afterwards."""
    with slipstream.scrubber.aside(), progress_bar("repairing", "keys", shown=not as_json) as update:
        result = slipstream.repairer.confirm(plan_id, budget, update)
    drain(slipstream, shown=not as_json)
    after = slipstream.repairer.verify(result)
    done = {"plan": plan_id, "marked": result.keys, "marked_before": result.marked_before}
    if as_json:
        print_json({**done, "after": report_as_dict(after)})
    else:
        print_facts({**done, "its keys": after.verdict})
    return after


def _resumed(result: RepairResult) -> dict[str, object]:
    return {"audit": result.audit_id, "marked": dict(result.marked), "marked_before": result.marked_before}


def _mend(
    slipstream: Slipstream, audit_id: int | None, kinds: list[str], budget: RepairBudget, *, shown: bool
) -> tuple[RepairResult, AuditReport]:
    # One repair at a time; this one goes first, for somebody waits for it.
    with slipstream.scrubber.aside(), progress_bar("repairing", "keys", shown=shown) as update:
        result = slipstream.repairer.repair(audit_id, kinds, budget, update)
    drain(slipstream, shown=shown)
    return result, slipstream.repairer.verify(result)


def _show_plan(slipstream: Slipstream, audit_id: int, kinds: list[str], *, as_json: bool) -> None:
    plan = slipstream.repairer.plan(audit_id, kinds)
    braked = slipstream.repairer.braked(audit_id, kinds)
    facts: dict[str, object] = {
        "audit": audit_id,
        "keys": dict(plan.keys),
        "texts": plan.texts,
        "tokens": plan.tokens,
        "embed_s": round(plan.embed_s, 4),
        "deletions": plan.deletions,
        "restamps": plan.restamps,
        "word_rows": plan.word_rows,
        "word_deletions": plan.word_deletions,
        "confirm": None if braked is None else braked.command,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


# ---------------------------------------------------------------------- past audits


def list_audits(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 20,
    before: Annotated[int | None, typer.Option(help="Only audits older than this one.")] = None,
) -> None:
    """List past audits, newest first."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            kept = slipstream.audits.audits(before, limit)
            braked = slipstream.scrubber.summary().get("brake")
        if as_json:
            print_json([audit.report for audit in kept])
            return
        rows = [
            (
                audit.id,
                audit.report["kind"],
                audit.report["finished_at"],
                audit.report["position"],
                percent(audit.report["consistency"]),
                sum(audit.report["counts"].values()),
            )
            for audit in kept
        ]
        print_table("audits", ["id", "kind", "finished at (UTC)", "position", "consistency", "divergent"], rows)
        _warn_of(braked)


def _warn_of(braked: Mapping[str, Any] | None) -> None:
    if braked is not None:
        print_warning(brake_line(braked))


def show_audit(
    context: typer.Context,
    audit_id: Annotated[int, typer.Argument(help="Id of the audit, as `list` shows it.")],
    kind: Annotated[
        str | None, typer.Option("--class", help="Only this class of divergence, `owed` or `unsettled`.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Go on after this CLASS/KEY, the last one shown.")] = None,
    limit: Annotated[int, typer.Option(help="How many keys.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """Show an audit and, page by page, every key that it found divergent or could not judge."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        if kind is not None:
            _known(kind, FINDING_KINDS, "class")
        with settings.opened(run=False) as slipstream:
            kept = slipstream.audits.audit(audit_id)
            findings = slipstream.audits.findings(audit_id, _finding(after), limit, kind)
        if kept is None:
            raise NotFoundError(
                f"audit {audit_id} is not kept (any more): `slipstream audits list` shows those that are"
            )
        if as_json:
            print_json({**kept.report, "findings": [[f.kind, f.key] for f in findings]})
            return
        print_facts(_plain(kept.report))
        for finding in findings:
            named = f"  {finding.type}" if finding.type else ""
            out.print(f"{finding.kind}/{finding.key}{named}", markup=False, highlight=False)
        if len(findings) == limit:
            last = findings[-1]
            err.print(f"more may follow: --after {last.kind}/{last.key}", markup=False, highlight=False)


def _known(kind: str, kinds: Sequence[str], field: str) -> str:
    if kind not in kinds:
        raise InvalidInputError(f"unknown class {kind!r}; known are {', '.join(kinds)}", field=field)
    return kind


def _finding(text: str | None) -> Finding | None:
    if text is None:
        return None
    kind, separator, key = text.partition("/")
    if not separator:
        raise InvalidInputError(f"{text!r} is not CLASS/KEY", field="after")
    return Finding(kind, key)


def _plain(report: Mapping[str, Any]) -> dict[str, object]:
    shown = {name: value for name, value in report.items() if not isinstance(value, dict | list)}
    by_type = {
        f"{name} ": counts_text(row["counts"]) for name, row in report["coverage"].items() if row.get("counts")
    }
    return {**shown, **{f"{name} ": n for name, n in report["counts"].items() if n}, **by_type}


# ---------------------------------------------------------------------- the scrubber


def scrub_status(context: typer.Context, as_json: Json = False) -> None:
    """Show when scheduled audits ran last and are due, and what the newest audit found."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            facts = slipstream.scrubber.summary()
        if as_json:
            print_json(facts)
        else:
            print_facts({name: value for name, value in facts.items() if name not in ("last_audit", "brake")})
            _warn_of(facts.get("brake"))


def scrub_pause(context: typer.Context) -> None:
    """Start no further scheduled audit until `resume`."""
    with handled_errors():
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            slipstream.scrubber.pause()


def scrub_resume(context: typer.Context) -> None:
    """Go on with the schedule."""
    with handled_errors():
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            slipstream.scrubber.resume()
