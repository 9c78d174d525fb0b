"""Watches a folder of notes, and keeps a graph in step with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from slipstream.domain.errors import ConfigError, TransientError
from slipstream.importers.notes.keeping import Kept, OnNote, VaultKeeper, tell_nobody
from slipstream.importers.notes.vault import is_skipped

logger = logging.getLogger(__name__)

STEP_MS = 20
"""What is quiet for so long is taken: an editor writes a file in several steps."""
DEBOUNCE_MS = 500
"""What is never quiet is taken after so long."""
_LOOK_MS = 200
_POLL_MS = 300
_ROUNDS_BETWEEN_LISTINGS = 150
"""Every 30 s of quiet the whole folder is listed: the system forgets events when there are too many at once."""


def follow(
    keeper: VaultKeeper,
    on_kept: Callable[[Kept], None],
    stop: threading.Event,
    *,
    poll: bool = False,
    on_note: OnNote = tell_nobody,
) -> None:
    """
    Keep a graph equal to a folder of notes until `stop` is set: all of it first, then what is touched.

    `on_kept` is told of each round in which something was to be done, the first one included; it may raise, to end
    this. With `poll` the folder is looked at over and over: for a file system that tells no events, as those of other
    machines do. While the graph can not be reached, what is touched waits. Raises `ConfigError` when the folder is
    gone, or can not be watched.
    """
    root = keeper.vault.root
    with closing(cast("Any", _changes(root, stop, poll=poll))) as changes:
        next(changes, None)  # from here on nothing is missed
        owed: set[Path] | None = None
        """What is still to be taken; None: everything."""
        quiet = 0
        for found in changes:
            quiet = 0 if found else quiet + 1
            if quiet >= _ROUNDS_BETWEEN_LISTINGS:
                quiet, found = 0, keeper.vault.changed()  # noqa: PLW2901
            if not root.is_dir():
                raise ConfigError(f"{root} is gone: nothing was deleted; make it reachable again, and start anew")
            owed = None if owed is None else owed | found
            owed = _take(keeper, owed, on_kept, on_note)


def _take(
    keeper: VaultKeeper, owed: set[Path] | None, on_kept: Callable[[Kept], None], on_note: OnNote
) -> set[Path] | None:
    """Take what is owed, and return what still is."""
    if owed is not None and not owed:
        return owed
    try:
        kept = keeper.catch_up(on_note) if owed is None else keeper.take(owed)
    except TransientError as error:
        logger.warning("the notes wait: %s", error)
        return None  # a part may be written: everything is compared
    if owed is None or kept.told_something:
        on_kept(kept)
    return set()


def _changes(root: Path, stop: threading.Event, *, poll: bool) -> Iterator[set[Path]]:
    """Yield what was touched; an empty set each time that nothing was for a while, and at once when it begins."""
    from watchfiles import watch

    if not root.is_dir():
        raise ConfigError(f"{root} is no folder: look at the path")

    def is_of_notes(change: object, path: str) -> bool:
        del change
        place = Path(path)
        return place.is_relative_to(root) and not is_skipped((*place.relative_to(root).parts, ""))

    try:
        for found in watch(
            root,
            watch_filter=is_of_notes,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=True,
            force_polling=True if poll else None,
            poll_delay_ms=_POLL_MS,
        ):
            yield {Path(path) for _, path in found}
    except OSError as error:
        raise ConfigError(
            f"{root} can not be watched ({error}): try --poll; of inotify's watches there may be too few "
            "(sysctl fs.inotify.max_user_watches)"
        ) from error
