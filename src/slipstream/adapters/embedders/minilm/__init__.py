"""Sentence encoders on onnxruntime: the packaged MiniLM (the default model) and local directories."""

from slipstream.adapters.embedders.minilm.embedders import MINILM_SPEC, MiniLMEmbedder, OnnxEmbedder

__all__ = ["MINILM_SPEC", "MiniLMEmbedder", "OnnxEmbedder"]
