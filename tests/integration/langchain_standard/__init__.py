"""LangChain's own standard tests, in a pytest of their own: what plugins they bring is switched off elsewhere."""
