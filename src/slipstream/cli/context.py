"""What every command shares: the directory, and how to open it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipstream.bootstrap import OnOtherRecipe, Options, open_pkg
from slipstream.cli.output import print_warning, progress_bar
from slipstream.domain.errors import UnavailableError
from slipstream.service.slipstream import Slipstream
from slipstream.sync.status import SyncStatus


@dataclass(frozen=True, slots=True)
class Context:
    """The root command's options."""

    directory: Path

    @contextmanager
    def opened(self, *, run: bool = True) -> Iterator[Slipstream]:
        """
        Open the PKG; with `run` the engine works from the start.

        Models that slipstream.toml declares, and that nothing has migrated to, are warned of and left alone.
        """
        options = Options(on_other_recipe=OnOtherRecipe.KEEP_MODELS)
        with open_pkg(self.directory, run=run, options=options) as slipstream:
            if slipstream.refused_recipe is not None:
                print_warning(f"the recipe in force is kept: {slipstream.refused_recipe}")
            spare_the_collector()
            yield slipstream


def spare_the_collector() -> None:
    """
    Take what is loaded by now out of garbage collection: it stays until the process ends.

    A full audit makes so many short-lived values that looking through all the rest takes a fifth of its time.
    """
    gc.collect()
    gc.freeze()


def drain(slipstream: Slipstream, *, shown: bool) -> SyncStatus:
    """Wait, with a progress bar, until the index reflects everything; returns the status then."""
    first = slipstream.status()
    behind = max(first.lag_events, first.pending)
    with progress_bar("embedding", "events", shown=shown and behind > 0) as update:

        def on_progress(status: SyncStatus) -> None:
            if status.halted:
                raise UnavailableError(status.halted)
            left = max(status.lag_events, status.pending)
            update(max(0, behind - left), behind)

        slipstream.sync.drain(on_progress=on_progress, migration=False)
    return slipstream.status()
