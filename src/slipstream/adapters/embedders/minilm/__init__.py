"""Sentence encoders on onnxruntime: the packaged MiniLM (the default model) and local directories."""

from slipstream.adapters.embedders.minilm.embedders import (
    MINILM_BF16_SPEC,
    MINILM_INT8_SPEC,
    MINILM_SPEC,
    MiniLMBf16Embedder,
    MiniLMEmbedder,
    MiniLMInt8Embedder,
    OnnxEmbedder,
    fastest_minilm,
)

__all__ = [
    "MINILM_SPEC",
    "MINILM_INT8_SPEC",
    "MINILM_BF16_SPEC",
    "MiniLMEmbedder",
    "MiniLMInt8Embedder",
    "MiniLMBf16Embedder",
    "OnnxEmbedder",
    "fastest_minilm",
]
