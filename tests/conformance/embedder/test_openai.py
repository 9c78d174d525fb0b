"""The OpenAI-compatible client fulfils the contract over a real HTTP server."""

from collections.abc import Iterator

import pytest

from slipstream.adapters.embedders.openai import OpenAIEmbedder, RequestLimits
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import EmbedderSuite
from tests.conformance.embedder.server import BATCH_MAX, serving


class TestOpenAI(EmbedderSuite):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with serving() as server:
            self.url = server.url
            yield

    def make_embedder(self) -> Embedder:
        return OpenAIEmbedder(self.url, "served", limits=RequestLimits(texts_max=BATCH_MAX), timeout_s=60)
