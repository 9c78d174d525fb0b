"""The embedded graph: ladybug, with the change log as an outbox inside the same database."""

from slipstream.adapters.graphs.ladybug.graph import LadybugGraph

__all__ = ["LadybugGraph"]
