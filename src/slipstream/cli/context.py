"""
What every command shares: the directory, and how to open it.

Loads next to nothing by itself: a command that a server answers opens nothing.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.domain.errors import UnavailableError

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream
    from slipstream.engine.facts import SyncStatus


@dataclass(frozen=True, slots=True)
class Context:
    """The root command's options."""

    directory: Path

    @contextmanager
    def opened(
        self, *, run: bool = True, wait: Callable[[float], bool] | None = None, mend: bool = True
    ) -> Iterator[Slipstream]:
        """
        Open the PKG; with `run` the engine works from the start, here or in the process that runs it already.

        With `wait` the PKG is opened when no other process runs the engine any more, or when `wait` returns True.
        Without `mend` nothing is repaired here unless asked for, and no edited view is put in force.

        Warns of models that slipstream.toml declares but that are not in force: they need a migration.
        """
        from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
        from slipstream.cli.output import print_warning
        from slipstream.cli.waiting import telling, telling_of_opening

        options = Options(on_other_recipe=OnOtherRecipe.KEEP_MODELS if mend else OnOtherRecipe.KEEP_AND_TELL)
        with nullcontext() if wait else telling_of_opening(self.directory):  # standing by is said elsewhere
            opened = open_pkg(self.directory, run=run, options=options, wait=wait, mend=mend)
        with opened as slipstream:
            if slipstream.refused_recipe is not None:
                print_warning(f"the recipe in force is kept: {slipstream.refused_recipe}")
            spare_the_collector()
            with telling(slipstream, running=run):
                yield slipstream


def spare_the_collector() -> None:
    """
    Take all objects loaded so far out of garbage collection: they live until the process ends.

    A full audit makes so many short-lived values that collecting among all others takes a fifth of its time.
    """
    gc.collect()
    gc.freeze()


class _PatienceEndedError(Exception):
    """An outage has lasted too long for a command that need not wait for its end."""


def drain(slipstream: Slipstream, *, shown: bool, patience_s: float = math.inf) -> SyncStatus:
    """
    Wait, with a progress bar, until the index reflects everything; returns the status then.

    Gives up when an outage has lasted for `patience_s` without a break, counted from this call: an earlier outage may
    be ending. Raises `UnavailableError` when the engine has halted.
    """
    from slipstream.cli.output import progress_bar

    began = time.monotonic()
    outage_since: float | None = None
    first = slipstream.status()
    behind = max(first.lag_events, first.pending)
    with progress_bar("embedding", "events", shown=shown and behind > 0) as update:

        def on_progress(status: SyncStatus) -> None:
            nonlocal outage_since
            if status.halted:
                raise UnavailableError(status.halted)
            outage_since = None if status.outage is None else (outage_since or time.monotonic())
            call = slipstream.embedding.calls.longest()
            # A server that hangs counts as an outage, too.
            asked_s = 0.0 if call is None else min(call.lasts_s, time.monotonic() - began)
            if asked_s > patience_s or (outage_since and time.monotonic() - outage_since > patience_s):
                raise _PatienceEndedError
            left = max(status.lag_events, status.pending)
            update(max(0, behind - left), behind)

        with suppress(_PatienceEndedError):
            slipstream.sync.drain(on_progress=on_progress, migration=False)
    return slipstream.status()
