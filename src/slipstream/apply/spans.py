"""The spans of the engine's stages: their names and attributes, in one place."""

from __future__ import annotations

from contextlib import AbstractContextManager

from slipstream.apply.reconciler import Prepared
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.telemetry import NO_SPAN, NO_TRACER, AttributeValue, Span, Tracer

INTAKE = "slipstream.intake"
PREPARE = "slipstream.prepare"
EMBED = "slipstream.embed"
WRITE = "slipstream.write"


class StageSpans:
    """
    Makes the span of each stage. Attribute names are OpenTelemetry's where it has one.

    A batch's stages run on different threads: embed and write are children of the batch's prepare.
    """

    def __init__(self, tracer: Tracer, graph: GraphReader, index: VectorIndex) -> None:
        self._tracer = tracer
        self._enabled = tracer is not NO_TRACER  # looked at first: the hot path makes no attributes for nobody
        self._graph, self._index = graph.capabilities.system, index.capabilities.system

    def intake(self, operation: str, entries: int) -> AbstractContextManager[Span]:
        """Return the span of turning log entries, or a page of a scan, into dirty keys."""
        if not self._enabled:
            return NO_SPAN
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "slipstream",
            "messaging.operation.name": operation,
            "messaging.batch.message_count": entries,
        }
        return self._tracer.span(INTAKE, attributes)

    def prepare(self, keys: int) -> AbstractContextManager[Span]:
        """Return the span of reading both sides and rendering."""
        if not self._enabled:
            return NO_SPAN
        return self._tracer.span(PREPARE, _store(self._graph, "read", keys))

    def embed(self, prepared: Prepared) -> AbstractContextManager[Span]:
        """Return the span of computing a batch's vectors; none where there are none to compute."""
        if not self._enabled or not prepared.targets:
            return NO_SPAN
        return self._tracer.span(EMBED, {"slipstream.batch.texts": len(prepared.targets)}, prepared.span)

    def write(self, prepared: Prepared) -> AbstractContextManager[Span]:
        """Return the span of the index write, with the checkpoint that commits beside it."""
        if not self._enabled:
            return NO_SPAN
        records = len(prepared.targets) + len(prepared.deletions) + len(prepared.restamps)
        return self._tracer.span(WRITE, _store(self._index, "upsert", records), prepared.span)


def _store(system: str, operation: str, size: int) -> dict[str, AttributeValue]:
    return {"db.system.name": system, "db.operation.name": operation, "db.operation.batch.size": size}
