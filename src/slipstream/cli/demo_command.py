"""The command `demo`: the main job end to end, on real input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from slipstream._interrupts import EXIT_INTERRUPTED
from slipstream.bench.machine import load_average, peak_rss_mb
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context
from slipstream.cli.demo_output import RichNarrator, SilentNarrator, show_report
from slipstream.cli.output import err, handled_errors, print_json
from slipstream.demo.place import FOLDER
from slipstream.demo.story import Facts, run


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    context: typer.Context,
    entities: Annotated[int, typer.Option(help="How many entities to read from the environment.", min=200)] = 3_000,
    keep: Annotated[
        bool, typer.Option("--keep/--fresh", help="Go on with the PKG of an earlier demo, or begin anew.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """
    Show the main job on the graph of this Python environment, in about a minute.

    Works in the folder slipstream-demo below --dir, which stays. Exit code 1 when something did not hold.
    """
    with handled_errors(as_json=as_json), _interruptible():
        settings: Context = context.obj
        load = load_average()
        narrator = SilentNarrator() if as_json else RichNarrator()
        facts = run(settings.directory / FOLDER, entities, narrator, keep=keep)
        peak_mb = peak_rss_mb()
        if as_json:
            print_json(_as_dict(facts) | {"peak_rss_mb": peak_mb, "load_average_before": load})
        else:
            show_report(facts, settings.directory / FOLDER, peak_mb)
        if not facts.held:
            raise typer.Exit(EXIT_DIVERGENT)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        err.print("[yellow]interrupted[/yellow]: the worker, if there was one, is gone; the next demo begins anew")
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _as_dict(facts: Facts) -> dict[str, Any]:
    return {"held": facts.held, "checks": dict(facts.checks), **asdict(facts)}
