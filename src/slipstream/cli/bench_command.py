"""The commands `bench`, `bench-audits` and `bench-migrations`: what everything costs on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from slipstream.cli.output import err, handled_errors, out, print_facts, print_json, print_table
from slipstream.domain.errors import InvalidInputError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_ROWS = (
    # label, unit, figure, raw figure, ratio figure, decimals
    ("freshness p50", "ms", "freshness_p50_ms", "freshness_raw_p50_ms", None, 1),
    ("freshness p95", "ms", "freshness_p95_ms", "freshness_raw_p95_ms", "freshness_ratio_p95", 1),
    ("freshness p99", "ms", "freshness_p99_ms", "freshness_raw_p99_ms", None, 1),
    ("updates, MiniLM", "/s", "model_updates_per_s", "model_raw_per_s", "model_ratio", 0),
    ("updates, static", "/s", "static_updates_per_s", "static_raw_per_s", "static_ratio", 0),
    ("irrelevant updates", "/s", "irrelevant_updates_per_s", None, None, 0),
    ("verify", "/s", "verify_entities_per_s", None, None, 0),
    ("import", "/s", "import_entities_per_s", None, None, 0),
    ("start-up", "s", "startup_s", None, None, 2),
    ("  to first search", "s", "startup_search_s", None, None, 2),
    ("peak memory, bench", "MB", "peak_rss_mb", None, None, 0),
    ("  of one PKG", "MB", "pkg_peak_rss_mb", None, None, 0),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("bench")(bench)
    app.command("bench-audits")(bench_audits)
    app.command("bench-migrations")(bench_migrations)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: ends within a minute.")] = False,
    entities: Annotated[
        int | None, typer.Option(help="Entities in the graph; every workload scales with it.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="How long freshness is measured.")] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: the engine beside the raw parts, in a temporary directory. Missed targets are shown."""
    with handled_errors(as_json=as_json):
        from slipstream.bench.run import run_benchmark
        from slipstream.bench.sizes import chosen_sizes

        sizes = chosen_sizes(quick=quick, entities=entities, seconds=seconds)
        with err.status("starting", spinner="line") as status:
            figures = run_benchmark(sizes, status.update)
        if as_json:
            print_json(figures)
        else:
            show_figures(figures)


def bench_audits(
    entities: Annotated[
        list[int] | None, typer.Option(help="Entities in the graph; may be given several times.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long each phase of live changes lasts; 0 leaves them out.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Measure audits: full and incremental at several sizes, and beside 100 live changes a second."""
    with handled_errors(as_json=as_json):
        from slipstream.bench.audits import measure_audits

        sizes = entities or [10_000, 100_000]
        if min(sizes) < 10:
            raise InvalidInputError("must be at least 10, or there is nothing to measure", field="entities")
        if not 0 <= seconds <= 3_600:
            raise InvalidInputError("must be at least 0 and at most 3600", field="seconds")
        with err.status("starting", spinner="line") as status:
            figures = measure_audits(sizes, seconds, status.update)
        if as_json:
            print_json(figures)
        else:
            _show_audits(figures)


def bench_migrations(
    entities: Annotated[int, typer.Option(help="Entities in the graph.")] = 20_000,
    seconds: Annotated[float, typer.Option(help="How long it is measured before and after each migration.")] = 20.0,
    case: Annotated[
        list[str] | None, typer.Option(help="'same model' or 'static model'; both, when none is given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure migrations beside 50 live changes a second: freshness and searches before, during and after them."""
    with handled_errors(as_json=as_json):
        from slipstream.bench.migrations import CASES, measure_migrations

        if unknown := set(case or ()) - set(CASES):
            raise InvalidInputError(f"has no {sorted(unknown)}: there are {', '.join(CASES)}", field="case")
        if entities < 10:
            raise InvalidInputError("must be at least 10, or there is nothing to measure", field="entities")
        if not 0 < seconds <= 3_600:
            raise InvalidInputError("must be greater than 0 and at most 3600", field="seconds")
        with err.status("starting", spinner="line") as status:
            figures = measure_migrations(entities, seconds, status.update, case or CASES)
        if as_json:
            print_json(figures)
        else:
            _show_migrations(figures)


def _show_migrations(figures: Mapping[str, Any]) -> None:
    for case, found in figures["migrations"].items():
        names = list(next(iter(found["phases"].values())))
        rows = [(phase, *(samples[name] for name in names)) for phase, samples in found["phases"].items()]
        print_table(
            f"{case}: beside 50 changes and 5 searches a second", ["", *(n.replace("_", " ") for n in names)], rows
        )
        print_facts({name: value for name, value in found.items() if name != "phases"})


_BESIDE = {
    "plain": "no audit",
    "full": "beside full scrubs",
    "incremental": "incremental scrubs",
    "verify_full": "beside verify",
    "verify_incremental": "verify, incremental",
}
_AUDITS = ("full", "incremental_first", "incremental_unchanged", "incremental_after_changes")


def _show_audits(figures: Mapping[str, Any]) -> None:
    rows = [
        (
            f"{found['entities']:,}",
            name.replace("_", " "),
            f"{found[name]['seconds']:.3f}",
            _shown(found[name]["memory_above_mb"], 0),
            f"{found[name]['rows_graph']:,}",
            f"{found[name]['rows_index']:,}",
            found[name]["queries"],
        )
        for found in figures["audits"]
        for name in _AUDITS
    ]
    columns = ["entities", "audit", "seconds", "memory above, MB", "rows of the graph", "of the index", "queries"]
    print_table("audits", columns, rows)
    beside = [
        (f"{found['entities']:,}", name, *(values.get(audits, "") for audits in _BESIDE))
        for found in figures["audits"]
        if "beside_changes" in found
        for name, values in (
            ("p50, ms", found["beside_changes"]["freshness_p50_ms"]),
            ("p95, ms", found["beside_changes"]["freshness_p95_ms"]),
        )
    ]
    if beside:
        columns = ["entities", "freshness", *_BESIDE.values()]
        print_table("at 100 changes a second", columns, beside)


def show_figures(figures: Mapping[str, Any]) -> None:
    """Print the figures of a run as tables: each figure, what it is compared with, and whether its target is met."""
    table = Table("", "value", "raw", "/ raw", "target", "met", header_style="bold")
    for column in table.columns:
        column.no_wrap = True  # keeps several targets of one row beside their verdicts
    for column in table.columns[1:4]:
        column.justify = "right"
    for label, unit, figure, raw, ratio, decimals in _ROWS:
        targets = [target for target in figures["targets"] if target["figure"] in (figure, ratio)]
        table.add_row(
            label,
            _shown(figures[figure], decimals, unit),
            _shown(figures[raw], decimals, unit) if raw else "",
            _shown(figures[ratio], 2) if ratio else "",
            "\n".join(_target_text(target, figure, unit) for target in targets),
            "\n".join(_verdict(target["met"]) for target in targets),
        )
    out.print(table)
    _show_stages(figures)
    for note in figures["notes"]:
        out.print(f"[yellow]{escape(note)}[/yellow]")
    machine = figures["machine"]
    size = f"{machine['cores']} cores, {machine['memory_mb']} MB, {machine['filesystem']}"
    print_facts(
        {
            "machine": f"{machine['cpu']}, {size}",
            "load": f"{machine['load_before']} when it began (other work on this machine counts against both sides)",
            "software": f"slipstream {machine['slipstream']}, Python {machine['python']}",
            "sizes": ", ".join(f"{name} {value}" for name, value in figures["sizes"].items()),
        }
    )


def _show_stages(figures: Mapping[str, Any]) -> None:
    for title, stages in (
        ("where the engine's time goes", figures["freshness_stages_ms"]),
        ("and by hand", figures["freshness_raw_stages_ms"]),
    ):
        shown: Sequence[str] = [f"{name} {value:.2f}" for name, value in stages.items()]
        out.print(f"{title}, ms on average: {', '.join(shown)}")


def _shown(value: float | None, decimals: int, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:,.{decimals}f} {unit}".rstrip()


def _target_text(target: Mapping[str, Any], figure: str, unit: str) -> str:
    return f"{target['target']} {unit}" if target["figure"] == figure else f"{target['target']} x raw"


def _verdict(met: bool | None) -> str:
    if met is None:
        return "[yellow]not measured[/yellow]"
    return "[green]yes[/green]" if met else "[bold red]MISSED[/bold red]"
