"""A PKG whose graph file is lost, replaced or put back, and what is in its index."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder

PEOPLE = 150
"""More than what the brake lets pass in any case."""
ADAPTERS = ("sqlite", "chroma")


class World:
    """One PKG in a directory; every open counts what it embeds."""

    def __init__(self, root: Path, adapter: str) -> None:
        self.root, self._adapter = root, adapter
        self.embedder = HashEmbedder(dimension=16)

    @property
    def graph(self) -> Path:
        """The graph's file."""
        return self.root / ".slipstream" / "graph.db"

    @property
    def index(self) -> Path:
        """The file of the journal, and of the index unless it is Chroma."""
        return self.graph.with_name("index.db")

    def open(self, *, run: bool = True, adopt: bool = False) -> Slipstream:
        """Open it without a cache, so that whatever is embedded anew is seen."""
        self.embedder = HashEmbedder(dimension=16)
        options = Options(embedders=(self.embedder,), settings=SyncSettings(idle_wait_s=0.02))
        config = Config.model_validate({"index": {"adapter": self._adapter}, "models": {"cache_mb": 0}})
        return open_pkg(self.root, run=run, config=config, options=options, adopt=adopt)

    def fill(self) -> None:
        """Make the people, and let the index follow."""
        with self.open() as slip:
            with slip.pkg.transaction() as tx:
                for number in range(PEOPLE):
                    tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
            assert slip.sync.drain(timeout_s=60)

    def copied(self, path: Path) -> Path:
        """Copy a file as a backup does, whoever has it open."""
        copy = self.root / f"{path.name}.copy"
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy

    def put(self, copy: Path, path: Path) -> None:
        """Put another file in the place of one."""
        self.remove(path)
        shutil.copy(copy, path)

    def remove(self, path: Path | None = None) -> None:
        """Remove a file, the graph unless another one is named."""
        gone = path or self.graph
        for end in ("", "-wal", "-shm"):
            gone.with_name(f"{gone.name}{end}").unlink(missing_ok=True)


def _removed(world: World) -> None:
    world.remove()


def _cut(world: World) -> None:
    world.remove()
    world.graph.touch()


def _emptied(world: World) -> None:
    world.remove()
    SqliteGraph(world.graph, clock=SystemClock()).close()


def _another(world: World) -> None:
    world.remove()
    graph = SqliteGraph(world.graph, clock=SystemClock())
    for number in range(200):  # its log is longer, and half of the people are the same
        graph.upsert_entity("Person", f"p{100 + number}", {"name": f"name {100 + number}"})
    graph.close()


def _older(world: World) -> None:
    copy = world.copied(world.graph)
    with world.open() as slip:
        for number in range(5):
            slip.pkg.update_entity(f"p{number}", {"name": f"lost {number}"})
        slip.pkg.delete_entity("p20")
        slip.pkg.create_entity("Person", "lost", {"name": "never to be seen again"})
        assert slip.sync.drain(timeout_s=60)
    world.put(copy, world.graph)


HAPPENED: Mapping[str, tuple[Callable[[World], None], str, int, int]] = {
    "removed": (_removed, "missing", 0, 0),
    "cut to nothing": (_cut, "missing", 0, 0),
    "replaced by an empty one": (_emptied, "empty", 0, 0),
    "replaced by another PKG's": (_another, "another", 200, 150),
    "an older copy put back": (_older, "older", PEOPLE, 6),
}
"""What happened, the incident's kind, how many entities there are then, and how many texts adopting embeds."""
