"""Commands that bring data in: `init`, `import`, `apply`."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from slipstream.bootstrap import initialise
from slipstream.cli.context import Context, drain
from slipstream.cli.output import EXIT_DIVERGENT, err, handled_errors, out, print_json, progress_bar
from slipstream.cli.serving import Metrics, TokenFile, serving
from slipstream.domain.errors import ConfigError
from slipstream.service.applying import BATCH, Applier, ApplyReport
from slipstream.service.importing import Importer, ImportProgress

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NoSync = Annotated[bool, typer.Option("--no-sync", help="Only capture; the index follows at the next open.")]

_CHUNK_BYTES = 1 << 16
_PIPE_PAUSE_S = 0.02
"""A live pipe's events are committed together until it pauses for this long."""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("init")(init)
    app.command("import")(import_file)
    app.command("apply")(apply)


def init(context: typer.Context, as_json: Json = False) -> None:
    """Create a PKG: its slipstream.toml and its stores. What is there already stays."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        created = initialise(settings.directory)
        if as_json:
            print_json({"directory": str(settings.directory.resolve()), "created": created})
        else:
            out.print(f"{'created' if created else 'already there:'} {settings.directory.resolve()}", markup=False)


def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A graph as JSON lines, as apoc.export.json writes them.")],
    no_sync: NoSync = False,
    as_json: Json = False,
) -> None:
    """Import a whole graph; returns when all of it is in the index. Idempotent, resumes after an interruption."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=not no_sync) as slipstream:
            importer = Importer(slipstream.pkg, slipstream.journal, slipstream.dead_letters, slipstream.clock)
            with progress_bar("importing", "bytes", shown=not as_json) as update:

                def on_progress(progress: ImportProgress) -> None:
                    update(progress.done_bytes, progress.total_bytes)

                report = importer.run(file, on_progress)
            status = slipstream.status() if no_sync else drain(slipstream, shown=not as_json)
        result = {
            "entities": report.entities,
            "relationships": report.relationships,
            "rejected": report.rejected,
            "errors": report.errors,
            "position": report.position,
            "frontier": status.frontier,
            "dead_letters": status.dead_letters,
        }
        _finish(result, report.rejected, report.errors, as_json=as_json)


def apply(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Change events as JSON lines; - reads standard input, live.")],
    no_sync: NoSync = False,
    as_json: Json = False,
    metrics: Metrics = None,
    token_file: TokenFile = None,
) -> None:
    """Apply change events (native, CloudEvents, Neo4j CDC, Debezium); each exactly as often as its id is new."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with (
            _source(file) as stream,
            settings.opened(run=not no_sync) as slipstream,
            serving(slipstream, metrics, token_file),
        ):
            applier = Applier(slipstream.pkg, slipstream.dead_letters, slipstream.clock)
            with progress_bar("applying", "events", shown=not as_json) as update:

                def on_batch(report: ApplyReport) -> None:
                    update(report.applied + report.duplicates + report.rejected, None)

                report = applier.run(_batches(stream), on_batch)
            status = slipstream.status() if no_sync else drain(slipstream, shown=not as_json)
        result = {
            "applied": report.applied,
            "duplicates": report.duplicates,
            "ignored": report.ignored,
            "rejected": report.rejected,
            "errors": report.errors,
            "position": report.position,
            "frontier": status.frontier,
            "dead_letters": status.dead_letters,
        }
        _finish(result, report.rejected, report.errors, as_json=as_json)


def _finish(result: dict[str, object], rejected: int, errors: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        out.print(", ".join(f"{name}: {value}" for name, value in result.items() if name != "errors"))
        for error in errors:
            err.print(f"rejected: {error}", markup=False)
    if rejected:
        raise typer.Exit(EXIT_DIVERGENT)


@contextmanager
def _source(file: str) -> Iterator[Iterable[str]]:
    """Open the lines of a file, or of standard input for `-`."""
    if file == "-":
        yield _standard_input()
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise ConfigError(f"{file} can not be read: {error}") from error
        yield stream


def _standard_input() -> Iterable[str]:
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # replaced by something that is no file
        return sys.stdin
    return _lines_of(descriptor)


def _lines_of(descriptor: int) -> Iterator[str]:
    # Not through `sys.stdin`: a thread that waits in it holds its lock, and an interrupted process could not end.
    rest = b""
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", errors="replace")
    if rest:
        yield rest.decode("utf-8", errors="replace")


def _batches(stream: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines together while they come quickly, and at once when the stream pauses."""
    lines: queue.Queue[str | None] = queue.Queue(maxsize=4 * BATCH)

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="slipstream-stdin", daemon=True).start()
    ended = False
    while not ended:
        batch: list[str] = []
        line = lines.get()
        while line is not None:
            batch.append(line)
            if len(batch) >= BATCH:
                break
            try:
                line = lines.get(timeout=_PIPE_PAUSE_S)
            except queue.Empty:
                break
        ended = line is None
        if batch:
            yield batch
