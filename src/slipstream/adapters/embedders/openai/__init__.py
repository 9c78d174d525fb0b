"""Any server that answers the OpenAI-compatible `/v1/embeddings`: Ollama, llama-server, TEI, vLLM, OpenAI itself."""

from slipstream.adapters.embedders.openai.embedder import OpenAIEmbedder
from slipstream.adapters.embedders.openai.limits import RequestLimits, TooLong

__all__ = ["OpenAIEmbedder", "RequestLimits", "TooLong"]
