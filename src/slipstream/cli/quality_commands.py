"""Commands about quality: `quality run`, `show`, `list`, `reembed`, `trend`, `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.cli import search_quality_commands
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context, drain
from slipstream.cli.output import err, handled_errors, out, print_json, print_table, progress_bar
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.quality.comparison import QualityGate, Query, comparison_as_dict, parse_queries
from slipstream.quality.page import (
    Table,
    comparison_page,
    comparison_tables,
    confidence_text,
    quality_page,
    quality_tables,
    record_page,
    record_table,
    trend_table,
    write_page,
)
from slipstream.quality.runs import SAMPLE
from slipstream.quality.tracking import QualitySettings, Weakness

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Report = Annotated[Path | None, typer.Option("--report", help="Write a page, FILE.html.")]
Sync = Annotated[bool, typer.Option("--sync/--no-sync", help="First let the index catch up.")]
Invalid = Annotated[bool, typer.Option("--invalid", help="Vectors that are gone, not finite or not of unit length.")]
NearDuplicates = Annotated[bool, typer.Option("--near-duplicates", help="Records that lie almost on another.")]
Hubs = Annotated[bool, typer.Option("--hubs", help="Records among far too many others' nearest.")]
NotSelfRetrieved = Annotated[bool, typer.Option("--not-self-retrieved", help="Their own name does not find them.")]
Below = Annotated[float | None, typer.Option("--confidence-below", help="Extraction confidence below this, now.")]
QueriesFile = Annotated[
    Path | None,
    typer.Option("--queries", help='JSON lines {"query": "...", "expected": ["id"], "class": "..."}.'),
]
Sample = Annotated[int, typer.Option("--sample", help="Records whose neighbours are compared.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    quality = typer.Typer(
        help="How good the vectors are, record by record, and what searches find.", no_args_is_help=True
    )
    quality.command("run")(run)
    quality.command("show")(show)
    quality.command("list")(list_weak)
    quality.command("reembed")(reembed)
    quality.command("trend")(trend)
    quality.command("compare")(compare)
    search_quality_commands.register(quality)
    app.add_typer(quality, name="quality")


def run(
    context: typer.Context,
    as_json: Json = False,
    sample: Annotated[str, typer.Option(help="Records whose neighbours are asked for: a number, or all.")] = "1000",
    self_sample: Annotated[
        str | None, typer.Option(help="How many of them are searched by name; default: 200, all with --sample all.")
    ] = None,
    report: Report = None,
    sync: Sync = True,
) -> None:
    """Measure the vectors of all records, and the neighbourhoods of a sample; the report is kept."""
    with handled_errors(as_json=as_json):
        size = _size(sample, "--sample")
        names = _size(self_sample or ("all" if size is None else "200"), "--self-sample")
        settings = QualitySettings(sample=size, self_sample=names)
        opened: Context = context.obj
        with opened.opened(run=sync) as slipstream:
            if sync:
                drain(slipstream, shown=not as_json)
            with progress_bar("measuring", "records", shown=not as_json) as update:
                found = slipstream.quality.run(settings, lambda done: update(done, None))
            runs = slipstream.quality.trend()
        if report is not None:
            _written(write_page(report, quality_page(found, runs)))
        _show(found, quality_tables(found), found["notes"], as_json=as_json)


def show(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of an entity or a relationship.")],
    as_json: Json = False,
    report: Report = None,
) -> None:
    """Show what the last runs measured of one record, and how its extraction confidence went."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        with opened.opened(run=False) as slipstream:
            found = slipstream.quality.record(identity)
        if report is not None:
            _written(write_page(report, record_page(found)))
        notes = [confidence_text(found)]
        if not found["runs"]:
            notes.append("no kept run looked at it: `slipstream quality run --sample all` looks at every record")
        _show(found, [record_table(found)], notes, as_json=as_json)


def list_weak(
    context: typer.Context,
    as_json: Json = False,
    invalid: Invalid = False,
    near_duplicates: NearDuplicates = False,
    hubs: Hubs = False,
    not_self_retrieved: NotSelfRetrieved = False,
    confidence_below: Below = None,
) -> None:
    """List weak records: those of the last run; with --confidence-below, those that are below it now."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        kinds = _kinds(invalid=invalid, near=near_duplicates, hubs=hubs, not_found=not_self_retrieved)
        with opened.opened(run=False) as slipstream:
            rows = _chosen(slipstream, kinds, confidence_below)
        if as_json:
            print_json(rows)
            return
        columns = ("kind", "key", "type", "value", "other")
        print_table("weak records", columns, [["" if row[c] is None else row[c] for c in columns] for row in rows])


def reembed(
    context: typer.Context,
    as_json: Json = False,
    invalid: Invalid = False,
    near_duplicates: NearDuplicates = False,
    hubs: Hubs = False,
    not_self_retrieved: NotSelfRetrieved = False,
    confidence_below: Below = None,
    reason: Annotated[str, typer.Option(help="Kept with the records until they are embedded.")] = "low quality",
    sync: Sync = True,
) -> None:
    """Embed weak records anew, past the cache: those that `list` shows with the same options."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        kinds = _kinds(invalid=invalid, near=near_duplicates, hubs=hubs, not_found=not_self_retrieved)
        if not kinds and confidence_below is None:
            raise InvalidInputError("say which, such as --invalid or --confidence-below 0.5", field="reembed")
        with opened.opened(run=sync) as slipstream:
            rows = _chosen(slipstream, kinds, confidence_below)
            marked = slipstream.quality.reembed([RecordKey.decode(row["key"]) for row in rows], reason)
            if sync:
                drain(slipstream, shown=not as_json)
        if as_json:
            print_json({"marked": marked})
        else:
            out.print(f"marked: {marked}")


def trend(context: typer.Context, as_json: Json = False) -> None:
    """Show past runs, oldest first."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        with opened.opened(run=False) as slipstream:
            runs = slipstream.quality.trend()
        if as_json:
            print_json(runs)
        else:
            _print_table(trend_table(runs))


def compare(
    context: typer.Context,
    *,
    as_json: Json = False,
    queries: QueriesFile = None,
    sample: Sample = SAMPLE,
    k: Annotated[int, typer.Option("-k", help="How many neighbours and hits are compared.")] = 10,
    overlap_min: Annotated[float | None, typer.Option(help="Least mean overlap@k.")] = None,
    rank_correlation_min: Annotated[float | None, typer.Option(help="Least mean Kendall tau-b.")] = None,
    recall_min: Annotated[float | None, typer.Option(help="Least mean recall@k of the next generation.")] = None,
    mrr_min: Annotated[float | None, typer.Option(help="Least mean reciprocal rank of the next generation.")] = None,
    ndcg_min: Annotated[float | None, typer.Option(help="Least mean nDCG@k of the next generation.")] = None,
    worse_max: Annotated[
        float | None, typer.Option(help="How much less recall@5 any class of questions may have, by its interval.")
    ] = None,
    report: Report = None,
) -> None:
    """Compare the two generations of a migration. Exit code: 0 passed, 1 below a threshold, 2 could not tell."""
    with handled_errors(as_json=as_json):
        opened: Context = context.obj
        options = Options(on_other_recipe=OnOtherRecipe.KEEP)
        asked = read_queries(queries)
        with open_pkg(opened.directory, run=False, options=options) as slipstream:
            gate = slipstream.quality.gate_with(
                overlap_min=overlap_min,
                rank_correlation_min=rank_correlation_min,
                recall_min=recall_min,
                mrr_min=mrr_min,
                ndcg_min=ndcg_min,
                worse_max=worse_max,
            )
            reasons, data = judged(slipstream, gate, asked, sample, k)
        show_comparison(data, report, as_json=as_json)
        if as_json:
            print_json(data)
        if reasons:
            raise typer.Exit(EXIT_DIVERGENT)


def judged(
    slipstream: Slipstream, gate: QualityGate, queries: Sequence[Query], sample: int = SAMPLE, k: int = 10
) -> tuple[Sequence[str], dict[str, Any]]:
    """Compare the two generations; return the reasons against a cut-over, and the report."""
    comparison = slipstream.quality.compare(queries, sample=sample, k=k)
    reasons = gate.reasons(comparison)
    return reasons, comparison_as_dict(comparison, reasons)


def show_comparison(data: dict[str, Any], report: Path | None, *, as_json: bool) -> None:
    """Write the page of a comparison, if asked for, and print the figures and the reasons against a cut-over."""
    if report is not None:
        _written(write_page(report, comparison_page(data)))
    if not as_json:
        _show(data, comparison_tables(data), data["reasons"], as_json=False)


def read_queries(path: Path | None) -> list[Query]:
    """Read a file of queries; raises `ConfigError` when it can not be read, `InvalidInputError` for a wrong line."""
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8") as lines:
            return parse_queries(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the queries in {path} can not be read: {error}") from error


def _size(text: str, field: str) -> int | None:
    """Return a sample's size, None for all; raises `InvalidInputError`."""
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit():
        raise InvalidInputError(f"must be a number or all, not {text!r}", field=field)
    return int(text)


def _kinds(*, invalid: bool, near: bool, hubs: bool, not_found: bool) -> tuple[Weakness, ...]:
    wanted = (
        (Weakness.INVALID, invalid),
        (Weakness.NEAR_DUPLICATE, near),
        (Weakness.HUB, hubs),
        (Weakness.NOT_SELF_RETRIEVED, not_found),
    )
    return tuple(kind for kind, is_wanted in wanted if is_wanted)


def _chosen(slipstream: Slipstream, kinds: Sequence[Weakness], below: float | None) -> list[dict[str, Any]]:
    """Return the weak records of the given kinds; without any, every kind of the last run."""
    rows: list[dict[str, Any]] = []
    if kinds or below is None:
        found = slipstream.quality.weak(kinds or tuple(Weakness))
        rows += [_row(weak.kind.value, weak.key, weak.entity_type, weak.value, weak.other) for weak in found]
    if below is not None:
        unsure = slipstream.quality.confidence_below(below)
        rows += [_row("confidence", key.encode(), entity_type, value) for key, entity_type, value in unsure]
    return rows


def _row(kind: str, key: str, entity_type: str, value: float | None, other: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "key": key, "type": entity_type, "value": value, "other": other}


def _show(data: dict[str, Any], tables: Sequence[Table], notes: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(data)
        return
    for table in tables:
        _print_table(table)
    for note in notes:
        out.print(f"note: {note}", markup=False)


def _print_table(table: Table) -> None:
    print_table(table.title, table.columns, table.rows)


def _written(path: Path) -> None:
    err.print(f"written: {path}", markup=False, highlight=False)
