"""Slipstream keeps a vector index directly behind a property graph."""

from slipstream._version import __version__

__all__ = ["__version__"]
