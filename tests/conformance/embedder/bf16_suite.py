"""
The embedder suite over MiniLM in bfloat16, for a processor with AMX.

`pytest tests/conformance/embedder/bf16_suite.py` runs it. It is no part of the tests: we have no machine with AMX, so
what tolerance holds there has never been measured.
"""

from __future__ import annotations

from slipstream.adapters.embedders.minilm import MiniLMBf16Embedder
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestBf16(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return MiniLMBf16Embedder()
