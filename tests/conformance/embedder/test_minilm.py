"""The packaged MiniLM fulfils the contract."""

from slipstream.adapters.embedders.minilm import MiniLMEmbedder
from slipstream.ports.embedder import Embedder
from slipstream.testing.suites.embedder import EmbedderSuite


class TestMiniLM(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return MiniLMEmbedder()
