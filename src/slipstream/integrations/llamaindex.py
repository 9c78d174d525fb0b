"""
LlamaIndex: a retriever over a PKG.

    from slipstream.integrations.llamaindex import SlipstreamRetriever

    with slipstream.open("my-pkg") as slip:
        retriever = SlipstreamRetriever(slip, similarity_top_k=3, expand=1)
        nodes = retriever.retrieve("first programmer")
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.app.browsing import NeighbourRow
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Direction
from slipstream.domain.errors import NotFoundError
from slipstream.integrations.finding import FACTS, Finding, facts_of
from slipstream.search.hits import SearchHit
from slipstream.search.options import Mode, SearchArguments

try:
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode
except ImportError as error:
    raise ImportError("this needs LlamaIndex: install slipstream-pkg[llamaindex]") from error

_RELATED_MAX = 100
"""Neighbours of one kind that a node names."""

__all__ = ["FACTS", "SlipstreamRetriever"]


class SlipstreamRetriever(BaseRetriever):  # type: ignore[misc]  # LlamaIndex is not followed by mypy
    """
    A LlamaIndex retriever: the entities and relationships that fit a query best, of one type or of all.

    It searches by name, words and meaning, unless `mode` says otherwise; `search_options` are further options of
    `Slipstream.search`, such as `since` or `min_confidence`. The text of a node is what stands for the record by its
    view; its metadata are the record's properties, and under `slipstream` its type, name, score and model, and with
    `expand` its neighbours within that many hops; what is under that key is shown to no model. `relations` says which
    outgoing relationships are LlamaIndex's own, such as `{"NEXT": NodeRelationship.NEXT}`. A search sees every write
    that was made through `slip` before it.
    """

    def __init__(
        self,
        slip: Slipstream,
        *,
        similarity_top_k: int = 4,
        entity_type: str | None = None,
        filters: Mapping[str, Any] | None = None,
        expand: int = 0,
        relations: Mapping[str, NodeRelationship] | None = None,
        timeout_s: float = 10.0,
        mode: Mode = "hybrid",
        search_options: SearchArguments | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.similarity_top_k, self.expand = similarity_top_k, expand
        self.filters, self.relations = dict(filters or {}), dict(relations or {})
        self._finding = Finding(slip, entity_type, timeout_s, mode, search_options or {})

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._finding.by_text(query_bundle.query_str, self.similarity_top_k, self.filters, expand=self.expand)
        return [NodeWithScore(node=self._node(hit), score=hit.score) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve in a thread: what the base class does would stop the loop until the search has ended."""
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _node(self, hit: SearchHit) -> TextNode:
        return TextNode(
            id_=hit.entity_id,
            text=hit.text or hit.name,
            metadata={**hit.properties, FACTS: facts_of(hit)},
            excluded_llm_metadata_keys=[FACTS],
            excluded_embed_metadata_keys=[FACTS],
            relationships=self._relationships(hit.entity_id),
        )

    def _relationships(self, entity_id: str) -> dict[NodeRelationship, Any]:
        """Return the neighbours that LlamaIndex has a name for; where it knows only one of a kind, the first."""
        found: dict[NodeRelationship, Any] = {}
        for relationship_type, relation in self.relations.items():
            for row in self._outgoing(entity_id, relationship_type):
                other = RelatedNodeInfo(node_id=row.entity_id, metadata={"name": row.name})
                if relation is NodeRelationship.CHILD:
                    found.setdefault(relation, []).append(other)
                else:
                    found.setdefault(relation, other)
        return found

    def _outgoing(self, entity_id: str, relationship_type: str) -> Sequence[NeighbourRow]:
        try:
            page = self._finding.slip.neighbours(
                entity_id, relationship_type=relationship_type, direction=Direction.OUT, limit=_RELATED_MAX
            )
        except NotFoundError:  # what was found is a relationship, or has just been deleted
            return ()
        return page.items
