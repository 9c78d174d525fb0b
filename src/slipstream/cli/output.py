"""How commands speak: tables for people, JSON for programs, errors on stderr with an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from slipstream.domain.errors import InvalidInputError, SlipstreamError

EXIT_DIVERGENT = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(data: object) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(data, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; cells are shown as they are, never as markup."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, aligned."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        out.print(f"[bold]{escape(name):<{width}}[/bold]  {escape(str(value))}")


def print_warning(text: str) -> None:
    """Say on stderr, in one line for logs, what is not as somebody may think."""
    err.print(f"[yellow]warning[/yellow]: {escape(text)}", soft_wrap=True)


@contextmanager
def handled_errors(*, as_json: bool = False, more: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Turn errors into a message on stderr (and JSON on stdout with `more`, when asked for) and an exit code."""
    try:
        yield
    except KeyboardInterrupt as error:
        err.print("[yellow]interrupted[/yellow]: nothing is lost, run the same command again to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except SlipstreamError as error:
        if as_json:
            details: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
            if isinstance(error, InvalidInputError):
                details["field"] = error.field
            print_json({**details, **(more or {})})
        err.print(f"[red]{type(error).__name__}[/red]: {escape(str(error))}")
        raise typer.Exit(EXIT_ERROR) from error


@contextmanager
def progress_bar(label: str, unit: str, *, shown: bool) -> Iterator[Any]:
    """Show a bar with rate and ETA on stderr; yields `update(done, total)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not shown, transient=True) as progress:
        task = progress.add_task(label, total=None, rate="")

        def update(done: int, total: int | None) -> None:
            speed = progress.tasks[task].speed
            rate = f"{speed:,.0f} {unit}/s" if speed else ""
            progress.update(task, completed=done, total=total, rate=rate)

        yield update
