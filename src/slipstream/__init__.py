"""
Slipstream keeps a vector index directly behind a property graph.

    import slipstream

    with slipstream.open("my-pkg", create=True) as slip:
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
        hits = slip.search("first programmer", after=position)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream._version import __version__

if TYPE_CHECKING:
    from slipstream.app.backup.parts import OnStep
    from slipstream.app.backup.restoring import RestoreReport
    from slipstream.app.composition.options import Options as Options
    from slipstream.app.config import Config as Config
    from slipstream.app.slipstream import Slipstream as Slipstream
    from slipstream.audit.validator import EmbeddingConsistencyValidator as EmbeddingConsistencyValidator
    from slipstream.domain.entities import Entity as Entity
    from slipstream.domain.entities import Relationship as Relationship
    from slipstream.domain.errors import SlipstreamError as SlipstreamError
    from slipstream.domain.events import PKGEvent as PKGEvent
    from slipstream.domain.events import PKGEventType as PKGEventType
    from slipstream.domain.feed_changes import FeedOptions as FeedOptions
    from slipstream.domain.positions import Position as Position
    from slipstream.domain.requests import EmbeddingRequest as EmbeddingRequest
    from slipstream.domain.requests import EmbeddingResult as EmbeddingResult
    from slipstream.domain.temporal import TemporalEmbeddingContext as TemporalEmbeddingContext
    from slipstream.embedding.registry import ModelRegistry as ModelRegistry
    from slipstream.embedding.router import ModelRouter as ModelRouter
    from slipstream.embedding.service import MultiModelEmbeddingService as MultiModelEmbeddingService
    from slipstream.events.handler import PKGSyncHandler as PKGSyncHandler
    from slipstream.events.queue import EventQueue as EventQueue
    from slipstream.events.updater import IncrementalEmbeddingUpdater as IncrementalEmbeddingUpdater
    from slipstream.evolution.reembedding import ReembeddingService as ReembeddingService
    from slipstream.evolution.selector import ReembeddingSelector as ReembeddingSelector
    from slipstream.evolution.store import SchemaVersionedEmbeddingStore as SchemaVersionedEmbeddingStore
    from slipstream.importers.options import ReadOptions as ReadOptions
    from slipstream.search.hits import SearchHit as SearchHit
    from slipstream.search.hits import SearchResults as SearchResults
    from slipstream.views.declaration import Chain as Chain
    from slipstream.views.declaration import Via as Via
    from slipstream.views.declaration import View as View

_HOMES = {
    "Slipstream": "slipstream.app.slipstream",
    "Options": "slipstream.app.composition.options",
    "Config": "slipstream.app.config",
    "ReadOptions": "slipstream.importers.options",
    "Entity": "slipstream.domain.entities",
    "Relationship": "slipstream.domain.entities",
    "Position": "slipstream.domain.positions",
    "SearchHit": "slipstream.search.hits",
    "SearchResults": "slipstream.search.hits",
    "SlipstreamError": "slipstream.domain.errors",
    "View": "slipstream.views.declaration",
    "Via": "slipstream.views.declaration",
    "Chain": "slipstream.views.declaration",
    "FeedOptions": "slipstream.domain.feed_changes",
    "PKGEvent": "slipstream.domain.events",
    "PKGEventType": "slipstream.domain.events",
    "TemporalEmbeddingContext": "slipstream.domain.temporal",
    "PKGSyncHandler": "slipstream.events.handler",
    "IncrementalEmbeddingUpdater": "slipstream.events.updater",
    "EventQueue": "slipstream.events.queue",
    "EmbeddingConsistencyValidator": "slipstream.audit.validator",
    "MultiModelEmbeddingService": "slipstream.embedding.service",
    "ModelRegistry": "slipstream.embedding.registry",
    "ModelRouter": "slipstream.embedding.router",
    "EmbeddingRequest": "slipstream.domain.requests",
    "EmbeddingResult": "slipstream.domain.requests",
    "SchemaVersionedEmbeddingStore": "slipstream.evolution.store",
    "ReembeddingSelector": "slipstream.evolution.selector",
    "ReembeddingService": "slipstream.evolution.reembedding",
}
"""
The public names and where they live; loaded when they are first used, so that importing costs nothing.

The imports above say the same to whoever checks types.
"""

__all__ = ["__version__", "open", "connect", "restore", *_HOMES]  # noqa: PLE0604  (the keys are strings)


def open(  # noqa: A001  (reads as slipstream.open)
    directory: Path | str,
    *,
    run: bool = True,
    create: bool = False,
    config: Config | None = None,
    options: Options | None = None,
    wait: Callable[[float], bool] | None = None,
    mend: bool = True,
    adopt: bool = False,
) -> Slipstream:
    """
    Open the PKG in a directory; with `run` the engine works from the start.

    The configuration is the directory's `slipstream.toml` unless `config` is given; `create` makes one with the
    defaults. `options` has what a file can not say: models and views of Python. Raises `ConfigError` for a wrong
    configuration.

    One process at a time runs the engine. In any other process the same facade reads for itself and asks that one for
    the rest; with `run` it stands by, and runs the engine as soon as that process has ended. With `wait` the PKG is
    opened only once that process has ended: `wait` is called at intervals, and returns True to stop waiting. Without
    `mend` the index only follows the log: nothing is repaired unless asked for.

    In an incident (`Slipstream.incident`) the PKG is open for search only. With `adopt` the graph is then taken for
    the truth, even if it is empty or missing; without an incident `adopt` changes nothing.
    """
    from slipstream.app.composition import open_pkg

    return open_pkg(
        directory, run=run, create=create, config=config, options=options, wait=wait, mend=mend, adopt=adopt
    )


def connect(place: Path | str, *, token: str | None = None, timeout_s: float = 30.0) -> Slipstream:
    """
    Return the PKG at the URL of a server, or in a directory; the calls are those of `open`.

    A directory is asked by the socket of its server (`slipstream serve`) if one listens there, and opened by its
    files if none does. A URL is `http://HOST:PORT` or `https://HOST:PORT`, with `/pkgs/NAME` behind it for a PKG
    that is not the server's first one; `token` is what its `--token-file` holds. `timeout_s` is how long the server
    may be silent. Nothing is sent before the first call, which raises `UnavailableError` when nobody answers. What
    needs files or functions of this process raises `UnsupportedError`, which says what to do instead.
    """
    from slipstream.app.composition import connect_pkg

    return connect_pkg(place, token=token, timeout_s=timeout_s)


def restore(
    source: Path | str, directory: Path | str, *, replace: bool = False, on_progress: OnStep | None = None
) -> RestoreReport:
    """
    Make a directory the PKG that a backup holds, in one step; with `replace` also where there is one already.

    `on_progress` is called with each step and how far it is. See `slipstream.app.backup.restoring.restore` for the
    errors.
    """
    from slipstream.app.composition import restored

    return restored(source, directory, replace=replace, on_progress=on_progress)


if not TYPE_CHECKING:  # to a type checker, a name that is not imported above is a mistake

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'slipstream' has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)
