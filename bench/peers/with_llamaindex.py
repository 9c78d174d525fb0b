"""LlamaIndex's `IngestionPipeline` with a document store and upserts, over an embedded Chroma."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chromadb
from chromadb.config import Settings
from llama_index.core import Document
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import NodeRelationship, TextNode, TransformComponent
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import VectorStoreQuery
from llama_index.vector_stores.chroma import ChromaVectorStore

from bench.peers.work import Graph, Hit, Node, Told, embed

_BATCH = 2_048  # the largest that the base class takes


class OneNode(TransformComponent):  # type: ignore[misc]
    """One node a document, with its source: no text here is long enough to be split."""

    def __call__(self, nodes: Sequence[Any], **options: Any) -> list[Any]:
        """Return a node for each document."""
        del options
        return [
            TextNode(text=each.text, relationships={NodeRelationship.SOURCE: each.as_related_node_info()})
            for each in nodes
        ]


class FreeEmbedding(BaseEmbedding):  # type: ignore[misc]
    """The embedding for free, as LlamaIndex asks for it: lists of floats."""

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = embed(texts).tolist()
        return found

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Peer:
    """A Chroma collection, and two pipelines on it: one for what changed, one that is told of everything."""

    def __init__(self, directory: Path) -> None:
        self.settings = f"docstore in memory, upserts, no cache, embedding in batches of {_BATCH:,}, cosine"
        directory.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(
            str(directory / "chroma"), settings=Settings(anonymized_telemetry=False)
        )
        self._collection = self._client.create_collection(
            "peers", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        self._store = ChromaVectorStore(chroma_collection=self._collection)
        self._documents = SimpleDocumentStore()
        self._some = self._pipeline(DocstoreStrategy.UPSERTS)
        self._all = self._pipeline(DocstoreStrategy.UPSERTS_AND_DELETE)

    def load(self, graph: Graph) -> None:
        """Run all documents through the pipeline."""
        self._run(self._some, graph.nodes)

    def edit(self, nodes: Sequence[Node]) -> None:
        """Run the new documents through the pipeline: what their documents said before is deleted first."""
        self._run(self._some, nodes)

    def delete(self, nodes: Sequence[Node], remaining: Sequence[Node]) -> None:
        """Run all that is left through the pipeline that deletes what is not said any more."""
        del nodes
        self._run(self._all, remaining)

    def search(self, text: str, k: int) -> Sequence[Hit]:
        """Search the vector store; the score is made of a distance."""
        query = VectorStoreQuery(query_embedding=embed([text])[0].tolist(), similarity_top_k=k)
        found = self._store.query(query)
        # ChromaVectorStore says exp(-distance): near enough to a cosine of 1 for equal vectors alone.
        return [Hit(node.ref_doc_id, score) for node, score in zip(found.nodes, found.similarities, strict=True)]

    def damage(self, removed: Node, changed: Node) -> None:
        """Write into the collection by Chroma's own client."""
        self._collection.delete(where={"document_id": removed.id})
        (wrong,) = self._collection.get(where={"document_id": changed.id})["ids"]
        self._collection.update(ids=[wrong], embeddings=embed(["another text"]))

    def look(self, remaining: Sequence[Node]) -> Told:
        """Run everything through the pipeline again, as a scheduled run does."""
        done = self._run(self._all, remaining)
        return Told(bool(done), f"run() took in {done} of {len(remaining)} documents")

    def rebuild(self, remaining: Sequence[Node]) -> str | None:
        """Clear store and document store, and run everything through the pipeline."""
        self._store.clear()
        for identity in list(self._documents.docs):
            self._documents.delete_document(identity)
        return f"clear() and run(): {self._run(self._all, remaining)} documents"

    def close(self) -> None:
        """Close Chroma."""
        self._client.close()

    def _pipeline(self, strategy: Any) -> Any:
        return IngestionPipeline(
            transformations=[OneNode(), FreeEmbedding(embed_batch_size=_BATCH)],
            vector_store=self._store,
            docstore=self._documents,
            docstore_strategy=strategy,
            disable_cache=True,
        )

    def _run(self, pipeline: Any, nodes: Sequence[Node]) -> int:
        return len(pipeline.run(documents=[Document(id_=node.id, text=node.text) for node in nodes]))
