"""LangChain's `index()` with its SQL record manager, over an embedded Chroma."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chromadb
from chromadb.config import Settings
from langchain_chroma import Chroma
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index

from bench.peers.work import Graph, Hit, Node, Told, embed

_SOURCE = "source"
_BATCH = 5_000


class FreeEmbeddings(Embeddings):  # type: ignore[misc]
    """The embedding for free, as LangChain asks for it: lists of floats."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector a text."""
        found: list[list[float]] = embed(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]


class Peer:
    """A Chroma collection, and the record manager's SQLite file beside it."""

    def __init__(self, directory: Path) -> None:
        self.settings = f"index(), batches of {_BATCH:,}, blake2b keys, SQLRecordManager on SQLite, cosine"
        directory.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(
            str(directory / "chroma"), settings=Settings(anonymized_telemetry=False)
        )
        self._store = Chroma(
            "peers",
            embedding_function=FreeEmbeddings(),
            client=self._client,
            collection_configuration={"hnsw": {"space": "cosine"}},
        )
        self._records = SQLRecordManager("chroma/peers", db_url=f"sqlite:///{directory}/records.db")
        self._records.create_schema()

    def load(self, graph: Graph) -> None:
        """Index all documents; with nothing there, nothing is cleaned up."""
        self._index(graph.nodes, cleanup=None)

    def edit(self, nodes: Sequence[Node]) -> None:
        """Index the new documents; "incremental" removes what their sources said before."""
        self._index(nodes, cleanup="incremental")

    def delete(self, nodes: Sequence[Node], remaining: Sequence[Node]) -> None:
        """Index all that is left: only "full" removes what is not said any more."""
        del nodes
        self._index(remaining, cleanup="full")

    def search(self, text: str, k: int) -> Sequence[Hit]:
        """Search by similarity; the score is a distance."""
        found = self._store.similarity_search_with_score(text, k=k)
        return [Hit(document.metadata[_SOURCE], 1.0 - distance) for document, distance in found]

    def damage(self, removed: Node, changed: Node) -> None:
        """Write into the collection by Chroma's own client."""
        collection = self._client.get_collection("peers")
        (gone,) = collection.get(where={_SOURCE: removed.id})["ids"]
        collection.delete(ids=[gone])
        (wrong,) = collection.get(where={_SOURCE: changed.id})["ids"]
        collection.update(ids=[wrong], embeddings=embed(["another text"]))

    def look(self, remaining: Sequence[Node]) -> Told:
        """Index everything again, as a scheduled run does."""
        result = self._index(remaining, cleanup="full")
        return Told(bool(result["num_added"] or result["num_updated"] or result["num_deleted"]), f"index(): {result}")

    def rebuild(self, remaining: Sequence[Node]) -> str | None:
        """Write everything anew, whatever the record manager says."""
        return f"index(force_update=True): {self._index(remaining, cleanup='full', force_update=True)}"

    def close(self) -> None:
        """Close Chroma."""
        self._client.close()

    def _index(self, nodes: Sequence[Node], **options: Any) -> dict[str, int]:
        documents = [Document(page_content=node.text, metadata={_SOURCE: node.id}) for node in nodes]
        result: dict[str, int] = index(
            documents,
            self._records,
            self._store,
            batch_size=_BATCH,
            cleanup_batch_size=_BATCH,
            source_id_key=_SOURCE,
            key_encoder="blake2b",
            **options,
        )
        return result
