"""`EmbeddingConsistencyValidator`: audits both stores, and repairs by marking dirty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from slipstream.consistency.audit import Auditor, Progress
from slipstream.consistency.report import CLASSES, AuditReport
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RecordKey
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import Recipe

_PAGE = 1_000


class AuditedStore(Protocol):
    """What the validator needs of a `SchemaVersionedEmbeddingStore`."""

    @property
    def index(self) -> VectorIndex:
        """The vector index below the store."""
        ...

    @property
    def recipe(self) -> Recipe | None:
        """Views and models, which say what a record should be."""
        ...

    def mark_dirty(self, keys: Sequence[RecordKey], reason: str) -> None:
        """Mark records to be made equal to the graph, durably."""
        ...


class EmbeddingConsistencyValidator:
    """Finds missing, orphaned, stale, outdated, wrong-model and duplicate vectors in the real stores."""

    def __init__(self, pkg_client: Graph, embedding_store: AuditedStore, *, recipe: Recipe | None = None) -> None:
        self._store = embedding_store
        chosen = recipe or embedding_store.recipe
        if chosen is None:
            raise ConfigError("the store knows no recipe (views and models): pass recipe= to tell what is expected")
        self._auditor = Auditor(pkg_client, embedding_store.index, chosen)

    def audit(self, on_progress: Progress | None = None) -> AuditReport:
        """Compare both sides and return the whole report."""
        return self._auditor.audit(on_progress)

    def validate_consistency(self) -> dict[str, Any]:
        """
        Compare both sides and return the report as plain data.

        Keys: `missing_embeddings, orphaned_embeddings, outdated_embeddings, stale_embeddings,
        wrong_model_embeddings, duplicate_embeddings` (lists of ids), `total_entities, total_embeddings,
        expected_embeddings, consistency, position, duration_s`, and the same divergences by record key under
        `divergences`.
        """
        return report_as_dict(self.audit())

    def repair_inconsistencies(self, validation_result: Mapping[str, Any] | AuditReport) -> int:
        """
        Mark everything divergent dirty, durably, and return how many keys; the engine then repairs them.

        A key that has been mended in the meantime is found equal and costs nothing but its mark.
        """
        if isinstance(validation_result, AuditReport):
            found = {name: list(keys) for name, keys in validation_result.divergences.items()}
            found["unrenderable"] = list(validation_result.unrenderable)
        else:
            found = {
                name: [RecordKey.decode(text) for text in keys]
                for name, keys in validation_result["divergences"].items()
            }
        marked = 0
        for name, keys in found.items():
            for start in range(0, len(keys), _PAGE):
                page = keys[start : start + _PAGE]
                self._store.mark_dirty(page, f"repair: {name}")
                marked += len(page)
        return marked


def report_as_dict(report: AuditReport) -> dict[str, Any]:
    """Return a report as plain data, ready for JSON."""
    result: dict[str, Any] = {
        "consistency": report.consistency,
        "consistent": report.is_consistent,
        "total_entities": report.total_entities,
        "total_embeddings": report.total_embeddings,
        "expected_embeddings": report.expected,
    }
    for name in CLASSES:
        result[f"{name}_embeddings"] = [key.id for key in report.divergences[name]]
    result["unrenderable"] = [key.id for key in report.unrenderable]
    result["divergences"] = {name: [key.encode() for key in keys] for name, keys in report.divergences.items()}
    result["coverage"] = {
        name: {"expected": row.expected, "found": row.found, "fresh": row.fresh}
        for name, row in sorted(report.coverage.items())
    }
    result["position"] = report.position
    result["frontier"] = report.frontier
    result["duration_s"] = round(report.duration_s, 4)
    return result
