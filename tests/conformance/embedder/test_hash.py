"""The hash embedder fulfils the contract."""

from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestHashEmbedder(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return HashEmbedder()


class TestHashEmbedderThatCuts(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return HashEmbedder(dimension=384, id="small", version="2", tokens_max=16)
