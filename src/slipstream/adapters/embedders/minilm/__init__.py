"""Sentence encoders on onnxruntime: the packaged MiniLM (the default model) and local directories."""

from slipstream.adapters.embedders.minilm.embedders import (
    MINILM_INT8_SPEC,
    MINILM_SPEC,
    MiniLMEmbedder,
    MiniLMInt8Embedder,
    OnnxEmbedder,
)
from slipstream.adapters.embedders.minilm.processor import fastest_minilm

__all__ = [
    "MINILM_SPEC",
    "MINILM_INT8_SPEC",
    "MiniLMEmbedder",
    "MiniLMInt8Embedder",
    "OnnxEmbedder",
    "fastest_minilm",
]
