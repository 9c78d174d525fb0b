"""The command `run`: the engine, the scrubber and the metrics, until it is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import typer

from slipstream.app.incident import IncidentSlipstream
from slipstream.app.slipstream import Slipstream
from slipstream.cli.codes import EXIT_DIVERGENT, EXIT_ERROR
from slipstream.cli.context import Context
from slipstream.cli.output import err, handled_errors, out, print_incident
from slipstream.cli.serving import Metrics, TokenFile, serving
from slipstream.domain.errors import IncidentError

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
        with _terminated() as ending:
            while (ended := _served(settings, ending, metrics, token_file)) is None:
                pass  # an incident has begun or ended: open the PKG anew
        if ended.failure is not None:
            err.print(f"the engine has stopped: {ended.failure}", markup=False)
            raise typer.Exit(EXIT_ERROR)
        out.print("ended; nothing is lost")
        if ended.firing:
            err.print(f"alerts were firing: {', '.join(ended.firing)}", markup=False)
            raise typer.Exit(EXIT_DIVERGENT)


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the run ended: the engine's failure, if any, and the alerts still firing."""

    failure: BaseException | None = None
    firing: Sequence[str] = ()


def _served(
    settings: Context, ending: threading.Event, metrics: str | None, token_file: Path | None
) -> _Ended | None:
    """Open the PKG and serve until the end; None when the PKG must be opened anew."""
    with settings.opened(wait=_standing_by(ending)) as slipstream:
        if not slipstream.runs_engine:  # told to end while standing by
            return _Ended()
        with serving(slipstream, metrics, token_file):
            if isinstance(slipstream, IncidentSlipstream):
                is_over, failure = _wait_in_incident(ending, slipstream), None
            else:
                failure = _run_until(ending, slipstream)
                is_over = isinstance(failure, IncidentError)
            firing = sorted(slipstream.watch.alerts.firing())
    return None if is_over and not ending.is_set() else _Ended(failure, firing)


def _wait_in_incident(ending: threading.Event, slipstream: IncidentSlipstream) -> bool:
    """Serve searches and metrics until the end or a decision; returns whether the graph was adopted."""
    print_incident(slipstream.incident)
    err.print("waiting: it goes on by itself once the graph is adopted; to restore a backup, end it first (Ctrl-C)")
    while not slipstream.adopted.is_set() and not ending.wait(_LOOK_S):
        pass
    return slipstream.adopted.is_set()


def _run_until(ending: threading.Event, slipstream: Slipstream) -> BaseException | None:
    """Wait for the end; returns why the engine can not go on, None when it was told to end."""
    err.print("running; Ctrl-C ends", markup=False)
    while slipstream.sync.failure is None and not ending.wait(_LOOK_S):
        pass
    return slipstream.sync.failure


def _standing_by(ending: threading.Event) -> Callable[[float], bool]:
    """Return a `wait` for `open` that is True once this process must end; says once that it stands by."""
    told = threading.Event()

    def wait(timeout_s: float) -> bool:
        if not told.is_set():
            told.set()
            err.print("another process runs the engine: standing by; Ctrl-C ends", markup=False)
        return ending.wait(timeout_s)

    return wait


@contextmanager
def _terminated() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: a stop by a service manager is not a failure."""
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
