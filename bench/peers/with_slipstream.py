"""Slipstream over SQLite or Chroma, as it comes: the graph with its relationships, a view that shows neighbours."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.peers.work import DIMENSION, SHOWN, SHOWN_MAX, VIEW, Graph, Hit, Node, Told, Vectors, embed
from slipstream.app.composition import DATA_FOLDER, Options, open_pkg
from slipstream.bench.subject import batches
from slipstream.domain.models import ModelSpec
from slipstream.views.declaration import Via, View

COMMIT_SIZE = 1_000
TYPES = ("Noun", "Verb", "Adjective", "AdjectiveSatellite", "Adverb")
_PATIENCE_S = 600.0


class FreeEmbedder:
    """The embedding for free, as a port of Slipstream's."""

    spec = ModelSpec("free", "1", DIMENSION, tokens_max=8_192, cacheable=False)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text."""
        return embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many words each text has."""
        return [text.count(" ") + 1 for text in texts]

    def close(self) -> None:
        """Do nothing."""


class Peer:
    """A PKG with its engine running."""

    def __init__(self, directory: Path, index: str) -> None:
        self._file = directory / DATA_FOLDER / "index.db"
        self._chroma = directory / DATA_FOLDER / "chroma"
        self.settings = f"defaults, index {index}; one transaction for edits, {COMMIT_SIZE:,} rows each for loading"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "slipstream.toml").write_text(f'[index]\nadapter = "{index}"\n', encoding="utf-8")
        via = Via(SHOWN, limit=SHOWN_MAX)
        views = tuple(View(name, VIEW, {"broader": via}) for name in TYPES)
        self._slip = open_pkg(directory, run=False, options=Options(views=views, embedders=(FreeEmbedder(),)))

    def load(self, graph: Graph) -> None:
        """Commit entities, then relationships; only then start the engine, or it would embed most of them twice."""
        for nodes in batches(graph.nodes, COMMIT_SIZE):
            with self._slip.pkg.transaction() as tx:
                for node in nodes:
                    tx.create_entity(node.type, node.id, {"name": node.name, "description": node.description})
        for relationships in batches(graph.relationships, COMMIT_SIZE):
            with self._slip.pkg.transaction() as tx:
                for source, kind, target in relationships:
                    tx.relate(source, kind, target)
        self._slip.sync.start()
        self._wait()

    def edit(self, nodes: Sequence[Node]) -> None:
        """Commit the new descriptions together, and wait."""
        with self._slip.pkg.transaction() as tx:
            for node in nodes:
                tx.update_entity(node.id, {"description": node.description})
        self._wait()

    def delete(self, nodes: Sequence[Node], remaining: Sequence[Node]) -> None:
        """Delete entities, and with them their relationships, and wait."""
        del remaining
        with self._slip.pkg.transaction() as tx:
            for node in nodes:
                tx.delete_entity(node.id)
        self._wait()

    def search(self, text: str, k: int) -> Sequence[Hit]:
        """Search by meaning."""
        return [Hit(hit.entity_id, hit.score) for hit in self._slip.search(text, k, mode="vector")]

    def damage(self, removed: Node, changed: Node) -> None:
        """Write into the index past Slipstream: by another connection to the file, or by Chroma's own client."""
        vector = embed(["another text"])[0]
        harm = self._harm_chroma if self._chroma.exists() else self._harm_sqlite
        harm(f"e:{removed.id}", f"e:{changed.id}", vector)

    def look(self, remaining: Sequence[Node]) -> Told:
        """Audit in full, repair what it found, and wait."""
        del remaining
        report = self._slip.verify(hurry=True)
        self._slip.repair(report)
        self._slip.sync.drain()
        return Told(report.is_divergent, f"verify found {report.counts()}; repair")

    def rebuild(self, remaining: Sequence[Node]) -> str | None:
        """Do nothing: there is nothing stronger."""
        del remaining
        return None

    def close(self) -> None:
        """Close the PKG."""
        self._slip.close()

    def _wait(self) -> None:
        if not self._slip.sync.wait(self._slip.pkg.feed.head(), timeout_s=_PATIENCE_S):
            raise RuntimeError("the engine did not come so far in ten minutes")

    def _harm_sqlite(self, gone: str, wrong: str, vector: Vectors) -> None:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            ((lost,), (spoilt,)) = (
                connection.execute("SELECT id FROM records WHERE key = ?", (key,)).fetchone() for key in (gone, wrong)
            )
            connection.execute("DELETE FROM vectors WHERE record = ?", (lost,))
            connection.execute("DELETE FROM records WHERE id = ?", (lost,))
            connection.execute("UPDATE vectors SET vector = ? WHERE record = ?", (vector.tobytes(), spoilt))

    def _harm_chroma(self, gone: str, wrong: str, vector: Vectors) -> None:
        import chromadb
        from chromadb.config import Settings

        # With the same settings it is a handle to the very client that the index has: Chroma admits no second one.
        client = chromadb.PersistentClient(
            str(self._chroma), settings=Settings.model_construct(anonymized_telemetry=False)
        )
        for collection in client.list_collections():
            if collection.get(ids=[wrong])["ids"]:
                collection.delete(ids=[gone])
                collection.update(ids=[wrong], embeddings=[vector])
