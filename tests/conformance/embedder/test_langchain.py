"""A model of LangChain fulfils the contract."""

import pytest

pytest.importorskip("langchain_core")

from langchain_core.embeddings import DeterministicFakeEmbedding

from slipstream.integrations.langchain import LangChainEmbedder
from slipstream.ports.embedder import Embedder, QueryEmbedding
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestLangChainEmbedder(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return LangChainEmbedder(DeterministicFakeEmbedding(size=64))

    def test_it_asks_otherwise(self, embedder: Embedder) -> None:
        """Has what its spec promises."""
        assert embedder.spec.asks_otherwise
        assert isinstance(embedder, QueryEmbedding)
        assert embedder.embed_queries(["one", "two"]).shape == (2, 64)
        assert embedder.embed_queries([]).size == 0
