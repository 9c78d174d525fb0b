"""What the demo looks like on a terminal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from slipstream.cli.output import out, progress_bar
from slipstream.demo.asking import Answer
from slipstream.demo.capturing import Backfill, Capture, Update
from slipstream.demo.healing import Rewriting, Tampering
from slipstream.demo.killing import Kill
from slipstream.demo.live import Live
from slipstream.demo.story import Facts

_BAR = 40
_EDGES_MS = (0, 5, 10, 20, 30, 50, 100, 200, 500, 1_000)


class SilentNarrator:
    """Says nothing: the result is printed as JSON."""

    def chapter(self, title: str) -> None:
        """Say nothing."""

    @contextmanager
    def bar(self, label: str, unit: str) -> Iterator[Update]:
        """Show nothing."""
        del label, unit

        def update(done: int, total: int | None) -> None:
            del done, total

        yield update

    def tell(self, result: object) -> None:
        """Say nothing."""


class RichNarrator:
    """Tells the story on the terminal, chapter by chapter."""

    def __init__(self) -> None:
        self._number = itertools.count(1)

    def chapter(self, title: str) -> None:
        """Print a numbered heading."""
        out.print(f"\n[bold cyan]{next(self._number)}. {escape(title)}[/bold cyan]")

    def bar(self, label: str, unit: str) -> AbstractContextManager[Update]:
        """Show a progress bar on stderr."""
        return progress_bar(label, unit, shown=True)

    def tell(self, result: object) -> None:
        """Print the result of a chapter."""
        match result:
            case Capture():
                _capture(result)
            case Backfill():
                _backfill(result)
            case Live():
                _live(result)
            case Kill():
                _kill(result)
            case Tampering():
                _tampering(result)
            case Rewriting():
                _rewriting(result)
            case _ if isinstance(result, Sequence):
                _answers(result)


def _line(text: str, *, holds: bool | None = None) -> None:
    mark = "  " if holds is None else "[green]✓[/green] " if holds else "[red]✗[/red] "
    out.print(f"{mark}{escape(text)}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _capture(result: Capture) -> None:
    rows = result.entities + result.relationships
    _line(f"{result.entities:,} entities: {_counts(result.entities_by_type)}")
    _line(f"{result.relationships:,} relationships: {_counts(result.relationships_by_type)}")
    if result.skipped:
        _line(f"left out: {_counts(result.skipped)}")
    _line(f"{rows:,} rows committed in {result.seconds:.1f} s, {result.rows_per_s:,.0f} a second")


def _backfill(result: Backfill) -> None:
    _line(f"{result.embedded:,} entities embedded in {result.seconds:.1f} s, {result.per_s:,.0f} a second")
    _line(f"graph and index agree: {result.consistency:.2%}", holds=result.consistency == 1.0)


def _live(result: Live) -> None:
    _line(f"{result.edits} edits: {_counts(result.edits_by_kind)}")
    _line(f"entities embedded for them: {_counts(result.embedded_by_kind)}")
    _line(
        f"code that only moved to another line: {result.irrelevant} edits, {result.irrelevant_embedded} embedded",
        holds=result.irrelevant_embedded == 0,
    )
    _line(
        f"commit to searchable, the others: p50 {result.p50_ms:.0f} ms, p95 {result.p95_ms:.0f} ms, "
        f"p99 {result.p99_ms:.0f} ms"
    )
    for low, high in itertools.pairwise((*_EDGES_MS, math.inf)):
        count = sum(low <= value < high for value in result.latencies_ms)
        if count:
            label = f"{low:,} ms or more" if high == math.inf else f"{low} to {high} ms"
            out.print(f"  {label:>14} {'█' * max(1, round(_BAR * count / len(result.latencies_ms)))} {count}")


def _kill(result: Kill) -> None:
    _line(f"it had acknowledged {result.acknowledged} edits; {result.behind} log entries were not in the index yet")
    _line(
        f"opened again: {result.lost} of what was acknowledged is lost; caught up in {result.seconds:.1f} s",
        holds=result.lost == 0,
    )
    _line(f"audit: {_counts(result.divergences)}", holds=result.consistency == 1.0)


def _tampering(result: Tampering) -> None:
    _line(f"damaged by raw SQL: {_counts(result.damaged)}")
    _line(
        f"found by the audit: {_counts(result.found)} (consistency {result.consistency_before:.2%})",
        holds=result.all_found,
    )
    _line(
        f"{result.repaired} repaired in {result.seconds:.1f} s, a second repair had {result.repaired_again} to do "
        f"(consistency {result.consistency:.2%})",
        holds=result.consistency == 1.0,
    )


def _rewriting(result: Rewriting) -> None:
    _line(
        f"{result.topics} topics, which {result.packages} packages have, got another name: not a word to the engine"
    )
    _line(
        f"{result.hits} of them found by it after {result.seconds:.1f} s; entities embedded: {result.embedded}",
        holds=result.hits == result.topics and result.embedded <= result.topics + result.packages,
    )
    _line(
        f"renamed back: {result.hits_after_undoing} found by it (consistency {result.consistency:.2%})",
        holds=result.hits_after_undoing == 0 and result.consistency == 1.0,
    )


def _answers(answers: Sequence[Answer]) -> None:
    for answer in answers:
        question = answer.question
        options = [f"type={question.entity_type}"] if question.entity_type else []
        options += [f"expand={question.expand}"] if question.expand else []
        title = f"“{question.text}”" + (f" ({', '.join(options)})" if options else "")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for hit in answer.hits:
            near = f"near: {', '.join(hit.neighbours)}" if hit.neighbours else ""
            table.add_row(f"  {hit.score:.3f}", hit.type, escape(hit.name), escape(near))
        out.print(f"  {escape(title)}")
        out.print(table)


def show_report(facts: Facts, directory: Path, peak_mb: float | None) -> None:
    """Print the closing table, what did not hold, and what to try next."""
    totals, live, kill, tampering = facts.totals, facts.live, facts.kill, facts.tampering
    table = Table(show_header=False, title="What was seen", title_justify="left", title_style="bold cyan")
    rows = (
        ("graph", f"{totals.entities:,} entities, {totals.relationships:,} relationships"),
        ("index", f"{totals.embeddings:,} embeddings"),
        ("import", f"{facts.capture.rows_per_s:,.0f} rows/s"),
        ("embedding", f"{facts.backfill.per_s:,.0f} entities/s"),
        ("commit to searchable", f"p50 {live.p50_ms:.0f} ms, p95 {live.p95_ms:.0f} ms, p99 {live.p99_ms:.0f} ms"),
        ("killed with SIGKILL", f"{kill.lost} of {kill.acknowledged} acknowledged edits lost"),
        (
            "tampered with",
            f"{sum(tampering.damaged.values())} records damaged, {tampering.repaired} found and repaired",
        ),
        ("consistency", f"{totals.consistency:.2%}"),
        ("peak memory", "not known" if peak_mb is None else f"{peak_mb:,.0f} MB"),
        ("took", f"{facts.seconds:.0f} s"),
    )
    for name, value in rows:
        table.add_row(name, value)
    out.print()
    out.print(table)
    for name, holds in facts.checks.items():
        if not holds:
            out.print(f"[red]did not hold:[/red] {escape(name)}")
    if facts.held:
        out.print(f"[green]everything held[/green] ({len(facts.checks)} checks)")
    out.print(f"\nThe PKG is yours to try, in {escape(str(directory))}:\n", soft_wrap=True)
    packages = (
        "MATCH (:Package)-[:DEPENDS_ON]->(p:Package) RETURN p.name, count(*) AS users ORDER BY users DESC LIMIT 5"
    )
    commands = (
        'search "read a file line by line" -k 5',
        'search "http" --type Package --expand 1',
        f'query "{packages}"',
    )
    for command in (*commands, "verify"):
        out.print(f"  uv run slipstream --dir {directory} {command}", markup=False, soft_wrap=True)
