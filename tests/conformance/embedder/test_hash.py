"""The hash embedder fulfils the contract."""

from slipstream.ports.embedder import Embedder
from slipstream.testing.embedders import HashEmbedder
from slipstream.testing.suites.embedder import EmbedderSuite


class TestHashEmbedder(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return HashEmbedder()


class TestHashEmbedderThatCuts(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return HashEmbedder(dimension=384, id="small", version="2", tokens_max=16)
