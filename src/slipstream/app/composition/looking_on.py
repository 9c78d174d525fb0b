"""Looking on: the log of a PKG and how far its index is, beside whoever runs the engine, and when nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.composition.factories import DATA_FOLDER
from slipstream.app.composition.options import Options
from slipstream.app.composition.stores import open_shared
from slipstream.app.config import load_config
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.domain.errors import ConfigError
from slipstream.ports.feed import ChangeFeed


@dataclass(frozen=True, slots=True)
class Looking:
    """What somebody who looks on sees; nothing here can be written."""

    feed: ChangeFeed
    frontier: PublishedFrontier


@contextmanager
def looking_on(directory: Path) -> Iterator[Looking]:
    """
    Open the log of a PKG without its engine, and without a claim to run it: others come and go meanwhile.

    Raises `ConfigError` where there is no PKG, or none that was ever opened.
    """
    config, data = load_config(directory), directory / DATA_FOLDER
    if not data.is_dir():
        raise ConfigError(
            f"{directory} was never opened: there is no log to look at yet. Import or add something first"
        )
    with ExitStack() as stack:
        shared = open_shared(config, data, Options(), stack)
        yield Looking(shared.pkg.feed, PublishedFrontier(shared.store.journal, shared.store.watch))
