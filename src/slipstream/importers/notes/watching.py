"""Watches a folder of notes, and keeps a graph in step with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

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
_LISTED_EVERY_S = 30.0
"""The whole folder is listed now and then: the system forgets events when there are too many at once."""


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
    while not stop.is_set():
        _follow_one(keeper, on_kept, stop, poll=poll, on_note=on_note)


def _follow_one(
    keeper: VaultKeeper, on_kept: Callable[[Kept], None], stop: threading.Event, *, poll: bool, on_note: OnNote
) -> None:
    """Follow a folder until `stop` is set, or another folder is in its place: of that one no event would come."""
    root = keeper.vault.root
    watched = _identity(root)
    with closing(_changes(root, stop, poll=poll)) as changes:
        next(changes, None)  # from here on nothing is missed
        owed: set[Path] | None = None
        """What is still to be taken; None: everything."""
        listed_s = time.monotonic()
        for found in changes:
            if _identity(root) != watched:
                return
            touched = found
            if time.monotonic() > listed_s + _LISTED_EVERY_S:
                touched, listed_s = found | keeper.vault.changed(), time.monotonic()
            owed = None if owed is None else owed | touched
            owed = _take(keeper, owed, on_kept, on_note)


def _identity(root: Path) -> tuple[int, int]:
    """Return what tells a folder from another one of its name; raises `ConfigError` when there is none."""
    try:
        stat = root.stat()
    except OSError as error:
        raise ConfigError(
            f"{root} is gone ({error.strerror}): nothing was deleted; make it reachable again, and start anew"
        ) from error
    return stat.st_dev, stat.st_ino


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


def _changes(root: Path, stop: threading.Event, *, poll: bool) -> Generator[set[Path], None, None]:
    """Yield what was touched; an empty set each time that nothing was for a while, and at once when it begins."""
    from watchfiles import watch

    def is_of_notes(place: Path) -> bool:
        return place.is_relative_to(root) and not is_skipped((*place.relative_to(root).parts, ""))

    try:
        for found in watch(
            root,
            watch_filter=None,  # what it drops would keep empty sets from being yielded
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=True,
            force_polling=True if poll else None,
            poll_delay_ms=_POLL_MS,
        ):
            yield {place for _, path in found if is_of_notes(place := Path(path))}
    except OSError as error:
        raise ConfigError(
            f"{root} can not be watched ({error}): try --poll; of inotify's watches there may be too few "
            "(sysctl fs.inotify.max_user_watches)"
        ) from error
