"""
LangChain: a vector store and a retriever over a PKG.

    from slipstream.integrations.langchain import SlipstreamRetriever, SlipstreamVectorStore

    with slipstream.open("my-pkg") as slip:
        retriever = SlipstreamRetriever(slip=slip, k=3, expand=1)
        documents = retriever.invoke("first programmer")

The store keeps documents as entities of one type; the retriever finds entities of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

import numpy as np

from slipstream.app.composition import Options, directory_of, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.pacing import batched
from slipstream.domain.entities import Entity, Properties
from slipstream.domain.errors import InvalidInputError, NotFoundError, UnsupportedError
from slipstream.domain.requests import EmbeddingRequest
from slipstream.integrations.bringing import Writing
from slipstream.integrations.finding import FACTS, Finding, facts_of
from slipstream.integrations.langchain_documents import (
    DOCUMENT,
    TEXT,
    declare_in_new,
    document_view,
    kept_name,
    told_name,
)
from slipstream.integrations.langchain_models import LangChainEmbedder, SlipstreamEmbeddings, check_same_model
from slipstream.search.hits import SearchHit, entity_name
from slipstream.search.options import Mode, SearchArguments

try:
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore
    from langchain_core.vectorstores.utils import maximal_marginal_relevance
except ImportError as error:
    raise ImportError("this needs LangChain: install slipstream-pkg[langchain]") from error

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.embeddings import Embeddings

__all__ = [
    "DOCUMENT",
    "FACTS",
    "LangChainEmbedder",
    "SlipstreamEmbeddings",
    "SlipstreamRetriever",
    "SlipstreamVectorStore",
    "document_view",
]

_BATCH = 500
_TRIES = 5

Filter = Mapping[str, Any] | Callable[[Document], bool]
"""What documents must have in their metadata, or what says whether one is wanted."""


class SlipstreamVectorStore(VectorStore):  # type: ignore[misc]  # LangChain is not followed by mypy
    """
    A LangChain vector store: each document is an entity, its metadata are the entity's properties.

    The graph is the truth: what other programs change there, a search here finds changed. A search sees every write
    that was made through this PKG before it. `mode` says how it searches (see `SearchOptions`): by meaning alone, so
    that scores are cosines as LangChain means them, unless it is given. `embedding` is for checking only: the PKG
    embeds with its own models (see `open`), and another model is refused, as is a model for a PKG that a server
    holds.
    """

    def __init__(
        self,
        slip: Slipstream,
        *,
        embedding: Embeddings | None = None,
        entity_type: str = DOCUMENT,
        text_property: str = TEXT,
        timeout_s: float = 10.0,
        mode: Mode = "vector",
    ) -> None:
        self.slip, self.entity_type, self.text_property = slip, entity_type, text_property
        self._finding = Finding(slip, entity_type, timeout_s, mode)
        self._embedding, self._is_ours = embedding, False
        if embedding is not None:
            check_same_model(slip, entity_type, embedding)

    @classmethod
    def open(
        cls,
        directory: Path | str,
        embedding: Embeddings | None = None,
        *,
        entity_type: str = DOCUMENT,
        text_property: str = TEXT,
        metadata: Sequence[str] = (),
        model_id: str | None = None,
        model_version: str = "1",
        timeout_s: float = 10.0,
        mode: Mode = "vector",
    ) -> Self:
        """
        Open the PKG in a directory, which is made if need be, as a store that embeds with a model of LangChain.

        Without `embedding` the PKG's own model embeds. `metadata` is kept with the vectors, so that filters by it
        cost nothing. A PKG that is made here has the view of its documents in its `slipstream.toml`; where that has
        one, `text_property` and `metadata` are what it says. `model_id` and `model_version` name the model in the
        index (see `LangChainEmbedder`). Closing the store closes the PKG. Raises `ConfigError` when its index was
        built with another model.
        """
        made = () if embedding is None else (LangChainEmbedder(embedding, id=model_id, version=model_version),)
        view = document_view(entity_type, text_property=text_property, metadata=metadata)
        views = () if declare_in_new(directory_of(directory), view) else (view,)
        slip = open_pkg(directory, options=Options(embedders=made, views=views))
        try:
            store = cls(slip, entity_type=entity_type, text_property=text_property, timeout_s=timeout_s, mode=mode)
        except BaseException:
            slip.close()
            raise
        store._embedding, store._is_ours = embedding, True
        return store

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        directory: Path | str | None = None,
        slip: Slipstream | None = None,
        **options: Any,
    ) -> Self:
        """
        Return a store with these texts: of the PKG in a `directory`, as `open` opens it, or of an open one, `slip`.

        `options` are those of `open`, or of the constructor. Raises `InvalidInputError` when neither place is given.
        """
        if (directory is None) is (slip is None):
            raise InvalidInputError(
                "give a directory for the documents, or slip= with an open PKG: Slipstream keeps nothing in memory",
                field="directory",
            )
        if slip is not None:
            store = cls(slip, embedding=embedding, **options)
        else:
            store = cls.open(directory or "", embedding, **options)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def embeddings(self) -> Embeddings | None:
        """The model that embeds the documents; None over a connection, where it is the server's."""
        if self._embedding is not None:
            return self._embedding
        try:
            return SlipstreamEmbeddings(self.slip, self.entity_type)
        except UnsupportedError:
            return None

    # ------------------------------------------------------------------ writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int = _BATCH,
    ) -> list[str]:
        """
        Add documents, or replace those with these ids, and return the ids; made ones where none are given.

        They commit `batch_size` at a time, or fewer if they are long. A None in metadata counts as absent. Raises
        `InvalidInputError` for metadata that a graph can not keep, and `AlreadyExistsError` for an id that an entity
        of another type has.
        """
        told = list(texts)
        about = [{} for _ in told] if metadatas is None else list(metadatas)
        names = [None for _ in told] if ids is None else list(ids)
        for field, given in (("metadatas", about), ("ids", names)):
            if len(given) != len(told):
                raise InvalidInputError(f"{len(given)} for {len(told)} texts: give one for each text", field=field)
        named = [name or str(uuid4()) for name in names]
        rows = [self._properties(text, metadata) for text, metadata in zip(told, about, strict=True)]
        with Writing(self.slip, batch_size) as writing:
            for name, properties in zip(named, rows, strict=True):
                writing.entity(self.entity_type, name, properties)
        return named

    def delete(self, ids: Sequence[str] | None = None) -> bool:
        """Delete documents: those with these ids that exist, or with None all of the store."""
        for batch in self._every_id() if ids is None else batched(list(dict.fromkeys(ids)), _BATCH):
            self._delete(batch)
        return True

    def _delete(self, ids: Sequence[str]) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                with self.slip.pkg.transaction() as tx:
                    for entity in self._documents(ids):
                        tx.delete_entity(entity.id)
                return
            except NotFoundError:  # somebody else has just deleted one of them: nothing of this batch was done
                if attempt == _TRIES:
                    raise

    def _every_id(self) -> Iterator[list[str]]:
        while page := self.slip.entities(self.entity_type, limit=_BATCH).items:
            yield [entity.id for entity in page]

    def _properties(self, text: str, metadata: Mapping[str, Any]) -> Properties:
        if self.text_property in metadata:
            raise InvalidInputError(
                f"has {self.text_property!r}, where the document's text is kept: rename it, or make the store with "
                "another text_property",
                field="metadata",
            )
        kept = {kept_name(name): value for name, value in metadata.items() if value is not None}
        return {**kept, self.text_property: text}

    # ------------------------------------------------------------------ reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids that exist, in their order."""
        wanted = list(dict.fromkeys(ids))
        return [
            self._document(entity.id, entity.properties, entity_name(entity))
            for batch in batched(wanted, _BATCH)
            for entity in self._documents(batch)
        ]

    def similarity_search(self, query: str, k: int = 4, filter: Filter | None = None) -> list[Document]:  # noqa: A002
        """Return the `k` documents that fit best; `filter` is equal metadata, or says yes to a document."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter)]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[tuple[Document, float]]:
        """Return the `k` documents that fit best, each with its score: in mode `vector` its cosine similarity."""
        return [(self._hit(hit), hit.score) for hit in self._hits(query, k, filter)]

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[Document]:
        """
        Return the `k` documents nearest to a vector of the model that embeds them (`embeddings`).

        Raises `InvalidInputError` for one of another dimension, and `UnsupportedError` over a connection.
        """
        wanted, keep = self._conditions(filter)
        return [self._hit(hit) for hit in self._finding.by_vector(embedding, k, self.entity_type, wanted, keep)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,  # noqa: A002
    ) -> list[Document]:
        """
        Return `k` of the `fetch_k` nearest documents, which are near to the query and far from each other.

        Raises `UnsupportedError` over a connection, where vectors stay with the server.
        """
        model = self._finding.model_of(self.entity_type)
        hits = self._hits(query, fetch_k, filter)
        asked = [EmbeddingRequest(self.entity_type, hit.text, model_id=model) for hit in hits]
        vectors = [result.embedding for result in self.slip.embedding.embed_batch(asked)]
        query_vector = self.slip.embedding.embed_query(query, model)
        chosen = maximal_marginal_relevance(np.asarray(query_vector), vectors, lambda_mult, k) if hits else []
        return [self._hit(hits[number]) for number in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """
        Return what makes a relevance, 0 to 1, of a score: the cosine, and 0 for what points the other way.

        Raises `UnsupportedError` in mode `hybrid`: what several arms say together orders hits, and is no share of
        anything.
        """
        if self._finding.mode == "hybrid":
            raise UnsupportedError(
                "a hybrid search has no relevance from 0 to 1: ask for scores, or make the store with mode='vector'"
            )
        return lambda score: min(1.0, max(0.0, score))

    def _hits(self, query: str, k: int, wished: Filter | None) -> list[SearchHit]:
        wanted, keep = self._conditions(wished)
        return self._finding.by_text(query, k, wanted, keep)

    def _conditions(self, wished: Filter | None) -> tuple[Mapping[str, Any], Callable[[SearchHit], bool] | None]:
        if wished is None or isinstance(wished, Mapping):
            return {kept_name(name): value for name, value in (wished or {}).items()}, None
        return {}, lambda hit: wished(self._hit(hit))

    def _hit(self, hit: SearchHit) -> Document:
        return self._document(hit.entity_id, hit.properties, hit.text or hit.name)

    def _documents(self, ids: Sequence[str]) -> list[Entity]:
        return [entity for entity in self.slip.find(ids) if entity.type == self.entity_type]

    def _document(self, entity_id: str, properties: Properties, other_text: str) -> Document:
        """Return an entity as a document; `other_text` stands for one without a text property, made elsewhere."""
        metadata = {told_name(name): value for name, value in properties.items() if name != self.text_property}
        text = properties.get(self.text_property)
        return Document(id=entity_id, page_content=text if isinstance(text, str) else other_text, metadata=metadata)

    # ------------------------------------------------------------------ life

    def close(self) -> None:
        """Close the PKG if `open` or `from_texts` opened it here; closing twice is harmless."""
        if self._is_ours:
            self.slip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SlipstreamRetriever(BaseRetriever):  # type: ignore[misc]  # LangChain is not followed by mypy
    """
    A LangChain retriever: the entities and relationships that fit a query best, of one type or of all.

    It searches by name, words and meaning, unless `mode` says otherwise; `search_options` are further options of
    `Slipstream.search`, such as `since` or `min_confidence`. The text of a document is what stands for the record by
    its view, or the property `text_property`; its metadata are the record's properties, and under `slipstream` its
    type, name, score and model, and with `expand` its neighbours within that many hops. A search sees every write
    that was made through `slip` before it.
    """

    slip: Slipstream
    k: int = 4
    entity_type: str | None = None
    filter: dict[str, Any] | None = None
    expand: int = 0
    text_property: str | None = None
    timeout_s: float = 10.0
    mode: Mode = "hybrid"
    search_options: dict[str, Any] | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        options = cast("SearchArguments", self.search_options or {})
        finding = Finding(self.slip, self.entity_type, self.timeout_s, self.mode, options)
        hits = finding.by_text(query, self.k if k is None else k, self.filter, expand=self.expand)
        return [self._document(hit) for hit in hits]

    def _document(self, hit: SearchHit) -> Document:
        own = hit.properties.get(self.text_property) if self.text_property else None
        metadata = {**hit.properties, FACTS: facts_of(hit)}
        return Document(
            id=hit.entity_id, page_content=own if isinstance(own, str) else hit.text or hit.name, metadata=metadata
        )
