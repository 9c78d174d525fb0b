"""How commands speak: tables for people, JSON for programs, errors on stderr with an exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import typer

from slipstream._interrupts import EXIT_INTERRUPTED, in_order
from slipstream.cli.codes import EXIT_ERROR
from slipstream.domain.errors import InvalidInputError, NeedsConfirmationError, SlipstreamError
from slipstream.domain.incidents import Incident
from slipstream.domain.texts import printable, printable_json

if TYPE_CHECKING:
    from slipstream.cli.terminal import SafeConsole

_MAY = "change who may use it, or choose another place"
_ROOM = "make room, and run the same command again"
_FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _MAY),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "look at the path"),
    errno.EISDIR: "name a file",
    errno.EMFILE: "let the process open more files (`ulimit -n`)",
}
"""What to do about errors of the operating system."""


class _Late:
    """A console that is made when it is first used: what prints JSON, or nothing, need not load all that draws."""

    def __init__(self, *, stderr: bool) -> None:
        self._stderr = stderr

    @cached_property
    def made(self) -> SafeConsole:
        """The console."""
        from slipstream.cli.terminal import SafeConsole

        return SafeConsole(stderr=self._stderr, highlight=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made, name)


_out, _err = _Late(stderr=False), _Late(stderr=True)
out, err = cast("SafeConsole", _out), cast("SafeConsole", _err)


def _escape(text: str) -> str:
    """Return a text that rich prints as it is."""
    from rich.markup import escape

    return escape(text)


def print_json(data: object) -> None:
    """Write one JSON document to standard output."""
    is_plain = (sys.stdout.encoding or "utf-8").lower() not in ("utf-8", "utf8")
    try:
        sys.stdout.write(printable_json(json.dumps(data, default=_plain, ensure_ascii=is_plain)) + "\n")
    except OSError as error:
        error.filename = "standard output"
        raise


def print_plain(lines: Iterable[str]) -> None:
    """Write lines for programs, as they are; to a terminal with what it would obey as escapes."""
    is_shown = sys.stdout.isatty()
    try:
        for line in lines:
            sys.stdout.write(printable(line) if is_shown else line)
    except OSError as error:
        error.filename = "standard output"
        raise


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; cells are shown as they are, never as markup."""
    from rich.table import Table

    table = Table(*columns, title=title, title_justify="left", header_style="bold")
    for row in rows:
        table.add_row(*(_escape(printable(str(cell))) for cell in row))
    out.print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, aligned."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        out.print(f"[bold]{_escape(name):<{width}}[/bold]  {_escape(printable(str(value)))}")


def print_warning(text: str) -> None:
    """Print a warning on stderr, in one line, for logs."""
    err.print(f"[yellow]warning[/yellow]: {_escape(printable(text))}", soft_wrap=True)


def brake_line(brake: Mapping[str, Any]) -> str:
    """Return what the brake holds and what to do about it, from the scrubber's summary."""
    return f"braked: {brake['why']}: {brake['command']}"


def print_incident(incident: Incident) -> None:
    """Print on stderr what is wrong, in one line, and every way on."""
    err.print(f"[red]{_escape(printable(incident.line))}[/red]", soft_wrap=True)
    err.print("ways on:")
    for way in incident.ways:
        err.print(f"  - {_escape(printable(way))}", soft_wrap=True)


@contextmanager
def handled_errors(*, as_json: bool = False, more: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Turn errors into a message on stderr (and JSON on stdout with `more`, when asked for) and an exit code."""
    try:
        with in_order():
            yield
    except KeyboardInterrupt as error:
        err.print("[yellow]interrupted[/yellow]: nothing is lost, run the same command again to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except (SlipstreamError, OSError, MemoryError) as error:
        if not isinstance(error, BrokenPipeError):  # the reader has gone, as in `| head`: say nothing
            _tell(error, as_json=as_json, more=more or {})
        raise typer.Exit(EXIT_ERROR) from error


def _tell(error: Exception, *, as_json: bool, more: Mapping[str, Any]) -> None:
    """Print in one line what failed, on what, and what to do; for programs also as JSON."""
    message, name = _message(error), type(error).__name__
    if as_json:
        details: dict[str, Any] = {"error": name, "message": message}
        if isinstance(error, InvalidInputError):
            details["field"] = error.field
        if isinstance(error, NeedsConfirmationError):
            details["plan"] = error.plan
        with suppress(OSError):  # standard output may be what failed
            print_json({**details, **more})
    err.print(f"[red]{name}[/red]: {_escape(printable(message))}", soft_wrap=True)


def _message(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory: end other programs, or ask for less"
    if not isinstance(error, OSError):
        return str(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    fix = _FIXES.get(error.errno or 0, "look at it, and run the same command again")
    return f"{where}{error.strerror or error}: {fix}"


@contextmanager
def progress_bar(label: str, unit: str, *, shown: bool) -> Iterator[Any]:
    """Show a bar with rate and ETA on stderr; yields `update(done, total)`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err.made, disable=not shown, transient=True) as progress:
        task = progress.add_task(label, total=None, rate="")

        def update(done: int, total: int | None) -> None:
            speed = progress.tasks[task].speed
            rate = f"{speed:,.0f} {unit}/s" if speed else ""
            progress.update(task, completed=done, total=total, rate=rate)

        yield update
