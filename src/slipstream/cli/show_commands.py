"""The command `search`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipstream.cli.completing import entity_ids, modes, sorts, types
from slipstream.cli.conditions import conditions_told
from slipstream.cli.context import Context
from slipstream.cli.moments import moment_told, span_told
from slipstream.cli.output import handled_errors, print_warning
from slipstream.cli.search_output import print_found, print_found_as_json
from slipstream.cli.searching import Question, found
from slipstream.cli.since import K_MAX
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Text = Annotated[str, typer.Argument(help="What to look for, in words.")]
K = Annotated[int, typer.Option("-k", help="How many hits.")]
Mode = Annotated[
    str,
    typer.Option(
        help="By name, words and meaning (hybrid), or by one: vector, keyword, exact.", autocompletion=modes
    ),
]
Type = Annotated[str | None, typer.Option("--type", help="Only this type.", autocompletion=types)]
_KEPT = "Only records that their view keeps this for (`metadata` of a view); may be repeated."
Metadata = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help=_KEPT)]
_SINCE = "Only what was then or later: 2026, 2026-01, 2026-01-31, a time, or 30d (so long ago)."
Since = Annotated[str | None, typer.Option(metavar="WHEN", help=_SINCE)]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Only what was then or earlier.")]
TimeProperty = Annotated[str | None, typer.Option(metavar="NAME", help="The property that tells when a record was.")]
_CHANGED = "Only what has changed since: 90s, 15m, 6h, 30d, 2w ago, or a time."
ChangedSince = Annotated[str | None, typer.Option(metavar="WHEN", help=_CHANGED)]
MinConfidence = Annotated[float | None, typer.Option(help="The least extraction_confidence, in 0..1.")]
Source = Annotated[str | None, typer.Option(help="Only from this document or named graph.")]
HalfLife = Annotated[float | None, typer.Option("--half-life-days", help="After so many days a score counts half.")]
Sort = Annotated[str, typer.Option(help="Order of the hits: score, newest or oldest.", autocompletion=sorts)]
SchemaVersion = Annotated[int | None, typer.Option(help="Only records of this schema version or newer.")]
Expand = Annotated[int, typer.Option(help="Add neighbours within this many hops.")]
Rerank = Annotated[
    bool | None, typer.Option("--rerank/--no-rerank", help="Let a second model read the best hits again.")
]
GraphArm = Annotated[
    bool | None, typer.Option("--graph-arm/--no-graph-arm", help="Let what is near the best hits move up.")
]
Explain = Annotated[bool, typer.Option("--explain", help="Tell of each hit which arm found it, and how.")]
WhyNot = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Tell why this record is not among the hits.", autocompletion=entity_ids),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("search")(search)


def search(
    context: typer.Context,
    text: Text,
    *,
    k: K = 10,
    mode: Mode = "hybrid",
    entity_type: Type = None,
    metadata: Metadata = None,
    since: Since = None,
    until: Until = None,
    time_property: TimeProperty = None,
    changed_since: ChangedSince = None,
    min_confidence: MinConfidence = None,
    source: Source = None,
    half_life_days: HalfLife = None,
    sort: Sort = "score",
    min_schema_version: SchemaVersion = None,
    expand: Expand = 0,
    rerank: Rerank = None,
    graph_arm: GraphArm = None,
    explain: Explain = False,
    why_not: WhyNot = None,
    as_json: Json = False,
) -> None:
    """Search by name, words and meaning; the index is brought up to date first."""
    with handled_errors(as_json=as_json):
        now = datetime.now(UTC)
        changed_at = None if changed_since is None else moment_told(changed_since, now, field="changed_since")
        options = _given(
            mode=None if mode == "hybrid" else mode,
            entity_type=entity_type,
            metadata=conditions_told(metadata or ()) or None,
            since=None if since is None else span_told(since, now, field="since"),
            until=None if until is None else span_told(until, now, field="until"),
            time_property=time_property,
            min_confidence=min_confidence,
            source=source,
            half_life_days=half_life_days,
            sort=None if sort == "score" else sort,
            min_schema_version=min_schema_version,
            expand=expand or None,
            rerank=rerank,
            graph_arm=graph_arm,
            explain=explain or None,
        )
        question = Question(text=text, k=k, options=options, changed_since=changed_at, why_not=why_not)
        _answer(context.obj, question, as_json=as_json)


def _answer(settings: Context, question: Question, *, as_json: bool) -> None:
    entity_type = question.options.get("entity_type")
    if question.changed_since is not None and not 1 <= question.k <= K_MAX:
        raise InvalidInputError(f"must be 1 to {K_MAX:,}, not {question.k}", field="k")
    answer = found(settings, question)
    for warning in answer.warnings:
        print_warning(warning)
    if entity_type is not None and answer.known and entity_type not in answer.known:
        print_warning(f"there is no entity type {entity_type!r}{near_miss(entity_type, answer.known)}")
    if as_json:
        print_found_as_json(answer, whole="explain" in question.options or question.why_not is not None)
    else:
        print_found(answer)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not at their defaults: a server of an older version may not know the others."""
    return {name: value for name, value in options.items() if value is not None}
