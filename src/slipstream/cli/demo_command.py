"""The command `demo`: the main job end to end, on real input."""

from __future__ import annotations

import itertools
import resource
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.bootstrap import initialise, open_pkg
from slipstream.cli.context import Context
from slipstream.cli.output import (
    EXIT_DIVERGENT,
    handled_errors,
    out,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from slipstream.demo import story
from slipstream.domain.errors import ConfigError
from slipstream.service.config import CONFIG_NAME
from slipstream.service.slipstream import Slipstream

FOLDER = "slipstream-demo"
_EDITS = 100
_ACKNOWLEDGEMENTS = 150
_TAMPERED = 5
_BAR = 40


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    context: typer.Context,
    entities: Annotated[int, typer.Option(help="How many entities to read from the environment.", min=100)] = 3_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show the main job on the graph of this Python environment. Exit code 1 when something did not hold."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        directory = settings.directory / FOLDER
        facts = _run(directory, entities, shown=not as_json)
        if as_json:
            print_json(facts)
        else:
            _report(directory, facts)
        if not facts["held"]:
            raise typer.Exit(EXIT_DIVERGENT)


def _run(directory: Path, entities: int, *, shown: bool) -> dict[str, Any]:
    _start_afresh(directory)
    facts: dict[str, Any] = {"directory": str(directory.resolve())}
    with open_pkg(directory, run=False) as slip:
        _say("1. The graph of this Python environment, and its vectors", shown=shown)
        with progress_bar("capturing", "rows", shown=shown) as update:
            facts["capture"] = story.capture(slip, entities, update)
        _facts(facts["capture"], shown=shown)
        with progress_bar("embedding", "events", shown=shown) as update:
            facts["backfill"] = story.backfill(slip, update)
        _facts(facts["backfill"], shown=shown)
        _say("2. Live edits, 20 a second: from commit to searchable", shown=shown)
        with progress_bar("editing", "edits", shown=shown) as update:
            facts["live"] = story.edit_live(slip, _EDITS, update)
        _facts(facts["live"], shown=shown)
        if shown:
            _histogram(facts["live"]["latencies_ms"])
    _say("3. A worker is killed (SIGKILL) in the middle of its edits, and recovers", shown=shown)
    facts["kill"] = story.kill_worker(directory, _ACKNOWLEDGEMENTS)
    with open_pkg(directory) as slip:
        facts["kill"].update(story.recover(slip, facts["kill"]["acknowledged_position"]))
    _facts(facts["kill"], shown=shown)
    _say("4. The index is tampered with behind the engine's back, found out, and repaired", shown=shown)
    facts["tamper"] = story.find_and_repair(directory, lambda: open_pkg(directory), _TAMPERED)
    _facts(facts["tamper"], shown=shown)
    with open_pkg(directory) as slip:
        _finish(slip, facts, shown=shown)
    return facts


def _finish(slip: Slipstream, facts: dict[str, Any], *, shown: bool) -> None:
    _say("5. The graph is rewritten by arbitrary Cypher", shown=shown)
    facts["cypher"] = story.rewrite_by_cypher(slip)
    _facts(facts["cypher"], shown=shown)
    _say("6. Searches", shown=shown)
    facts["searches"] = story.ask(slip)
    if shown:
        _show_answers(facts["searches"])
    report = slip.verify()
    facts["totals"] = {
        "entities": report.total_entities,
        "embeddings": report.total_embeddings,
        "consistency": report.consistency,
        "dead_letters": slip.status().dead_letters,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    facts["held"] = _held(facts)


def _held(facts: Mapping[str, Any]) -> bool:
    kill, tamper, totals = facts["kill"], facts["tamper"], facts["totals"]
    return bool(
        kill["lost"] == 0
        and kill["consistency"] == 1.0
        and tamper["all_found"]
        and tamper["consistency"] == 1.0
        and tamper["marked_again"] == 0
        and facts["cypher"]["hits_that_show_it"] > 0
        and facts["cypher"]["consistency"] == 1.0
        and totals["consistency"] == 1.0
        and totals["dead_letters"] == 0
    )


def _start_afresh(directory: Path) -> None:
    """Remove what an earlier demo left; anything else in that folder stays untouched."""
    if (directory / CONFIG_NAME).exists():
        shutil.rmtree(directory)
    elif directory.exists():
        raise ConfigError(f"{directory} exists and is not an earlier demo: choose another place with --dir")
    initialise(directory)


def _say(title: str, *, shown: bool) -> None:
    if shown:
        out.print(f"\n[bold cyan]{title}[/bold cyan]")


def _facts(facts: Mapping[str, Any], *, shown: bool) -> None:
    if shown:
        print_facts({name: _plain(value) for name, value in facts.items() if name != "latencies_ms"})


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


def _histogram(latencies_ms: Sequence[float]) -> None:
    edges = [0, 5, 10, 15, 20, 30, 50, 100, 1_000, float("inf")]
    for low, high in itertools.pairwise(edges):
        count = sum(low <= value < high for value in latencies_ms)
        if count:
            out.print(f"  {low:>5} to {high:<5} ms {'█' * max(1, round(_BAR * count / len(latencies_ms)))} {count}")


def _show_answers(answers: Sequence[Mapping[str, Any]]) -> None:
    for answer in answers:
        options = ", ".join(f"{name}={value}" for name, value in answer.items() if name in ("entity_type", "expand"))
        rows = [(hit["score"], hit["type"], hit["name"], hit["neighbours"] or "") for hit in answer["hits"]]
        title = f"{answer['question']} ({options})" if options else answer["question"]
        print_table(title, ["score", "type", "name", "neighbours"], rows)


def _report(directory: Path, facts: Mapping[str, Any]) -> None:
    live, kill, tamper, totals = facts["live"], facts["kill"], facts["tamper"], facts["totals"]
    _say("What was seen", shown=True)
    print_table(
        "",
        ["", ""],
        [
            ("graph", f"{totals['entities']:,} entities, {facts['capture']['relationships']:,} relationships"),
            ("captured", f"{facts['capture']['per_s']:,} rows/s"),
            ("embedded", f"{facts['backfill']['per_s']:,} texts/s"),
            ("commit to searchable", f"p50 {live['p50_ms']} ms, p95 {live['p95_ms']} ms, p99 {live['p99_ms']} ms"),
            ("irrelevant edits", f"{live['irrelevant']} of {live['edits']}; {live['embedded']} texts embedded"),
            ("killed with SIGKILL", f"{kill['lost']} acknowledged mutations lost, back in {kill['seconds']} s"),
            ("tampered with", f"all found: {tamper['all_found']}, repaired to {tamper['consistency']:.2%}"),
            ("consistency", f"{totals['consistency']:.2%} of {totals['embeddings']:,} embeddings"),
            ("peak memory", f"{totals['peak_rss_mb']} MB"),
        ],
    )
    verdict = "[green]everything held[/green]" if facts["held"] else "[red]something did not hold[/red]"
    out.print(f"{verdict}. The PKG is yours to try:\n")
    commands = ('search "read a file line by line"', 'query "MATCH (p:Package) RETURN p.name LIMIT 5"', "verify")
    for command in commands:
        out.print(f"  uv run slipstream --dir {directory} {command}", markup=False, soft_wrap=True)
