"""Rerankers against the suite."""
