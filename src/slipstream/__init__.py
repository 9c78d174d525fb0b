"""
Slipstream keeps a vector index directly behind a property graph.

    import slipstream

    with slipstream.open("my-pkg", create=True) as slip:
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
        hits = slip.search("first programmer", after=position)
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipstream._version import __version__

if TYPE_CHECKING:
    from slipstream.app.backup.restoring import RestoreReport
    from slipstream.app.slipstream import Slipstream

_HOMES = {
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
    "Slipstream": "slipstream.app.slipstream",
    "FeedOptions": "slipstream.domain.feed_changes",
    "Chain": "slipstream.views.declaration",
    "View": "slipstream.views.declaration",
    "Via": "slipstream.views.declaration",
}
"""The public names and where they live; loaded when they are first used, so that importing costs nothing."""

__all__ = ["__version__", "connect", "open", "restore", *_HOMES]  # noqa: PLE0604  (the keys are strings)


def open(directory: Path | str, **options: Any) -> Slipstream:  # noqa: A001  (reads as slipstream.open)
    """
    Open the PKG in a directory, with the engine running.

    See `slipstream.app.composition.open_pkg` for the options and errors.
    """
    from slipstream.app.composition import open_pkg

    return open_pkg(directory, **options)


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


def restore(source: Path | str, directory: Path | str, replace: bool = False, **options: Any) -> RestoreReport:
    """
    Make a directory the PKG that a backup holds, in one step; with `replace` also where there is one already.

    See `slipstream.app.backup.restoring.restore` for the errors.
    """
    from slipstream.app.composition import restored

    return restored(source, directory, replace=replace, **options)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'slipstream' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
