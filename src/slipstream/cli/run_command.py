"""The command `run`: the engine, the scrubber and the metrics, until it is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from slipstream.cli.context import Context
from slipstream.cli.output import EXIT_DIVERGENT, EXIT_ERROR, err, handled_errors, out
from slipstream.cli.serving import Metrics, TokenFile, serving

_LOOK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("run")(run)


def run(context: typer.Context, metrics: Metrics = None, token_file: TokenFile = None) -> None:
    """
    Keep the index behind the graph, audit and repair by the schedule, serve metrics; ends on Ctrl-C or SIGTERM.

    Exit code: 0, 1 when an alert was firing at the end, 2 when the engine could not go on.
    """
    with handled_errors():
        settings: Context = context.obj
        with settings.opened() as slipstream, serving(slipstream, metrics, token_file), _terminated() as ending:
            err.print("running; Ctrl-C ends", markup=False)
            while slipstream.sync.failure is None and not ending.wait(_LOOK_S):
                pass
            failure = slipstream.sync.failure
            firing = sorted(slipstream.watch.alerts.firing())
        if failure is not None:
            err.print(f"the engine has stopped: {failure}", markup=False)
            raise typer.Exit(EXIT_ERROR)
        out.print("ended; nothing is lost")
        if firing:
            err.print(f"alerts were firing: {', '.join(firing)}", markup=False)
            raise typer.Exit(EXIT_DIVERGENT)


@contextmanager
def _terminated() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set: a service manager's stop is no failure."""
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
