"""The static WordLlama model fulfils the contract."""

from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestWordLlama(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return WordLlamaEmbedder()
