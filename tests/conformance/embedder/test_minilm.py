"""The packaged MiniLM fulfils the contract, in float32 and in integers."""

from slipstream.adapters.embedders.minilm import MiniLMEmbedder, MiniLMInt8Embedder
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestMiniLM(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return MiniLMEmbedder()


class TestMiniLMInt8(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return MiniLMInt8Embedder()
