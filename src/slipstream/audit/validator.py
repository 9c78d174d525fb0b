"""`EmbeddingConsistencyValidator`: audits both stores, and repairs by marking dirty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from slipstream.audit.auditor import Auditor
from slipstream.audit.classes import PAST_THE_CACHE
from slipstream.audit.findings import UNRENDERABLE, AuditReport, divergent_keys_of, report_as_dict
from slipstream.audit.full import Progress
from slipstream.audit.pacing import batched
from slipstream.audit.repair import PAST_THE_DIGEST, ReconcileWords
from slipstream.audit.unfencing import unfence
from slipstream.audit.words_found import WORD_KINDS
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RecordKey
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
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

    @property
    def clock(self) -> Clock:
        """The clock."""
        ...

    def mark_dirty(self, keys: Sequence[RecordKey], reason: str, *, force: bool = False) -> None:
        """Mark records to be made equal to the graph, durably."""
        ...


class EmbeddingConsistencyValidator:
    """
    Finds missing, orphaned, stale, outdated, wrong-model, duplicate and corrupt vectors in the real stores.

    With an `auditor` of a running engine the audit is exact while mutations flow, and kept; without one it is a
    full comparison of both stores as they are. `words` mends word rows; without it they are left as they are.
    """

    def __init__(
        self,
        pkg_client: GraphReader,
        embedding_store: AuditedStore,
        *,
        recipe: Recipe | None = None,
        auditor: Auditor | None = None,
        words: ReconcileWords | None = None,
    ) -> None:
        self._words = words
        self._store, self._graph = embedding_store, pkg_client
        if auditor is None:
            chosen = recipe or embedding_store.recipe
            if chosen is None:
                raise ConfigError(
                    "the store knows no recipe (views and models): pass recipe= to tell what is expected"
                )
            auditor = Auditor(pkg_client, embedding_store.index, chosen, embedding_store.clock)
        self._auditor = auditor

    def audit(self, on_progress: Progress | None = None) -> AuditReport:
        """Compare both sides and return the whole report."""
        return self._auditor.audit(on_progress)

    def validate_consistency(self) -> dict[str, Any]:
        """
        Compare both sides and return the report as plain data.

        Keys: `missing_embeddings, orphaned_embeddings, outdated_embeddings, stale_embeddings,
        wrong_model_embeddings, duplicate_embeddings, corrupt_embeddings` (lists of ids), `total_entities,
        total_embeddings, expected_embeddings, consistency, position, duration_s`, and the same divergences by
        record key under `divergences`.
        """
        return report_as_dict(self.audit())

    def repair_inconsistencies(self, validation_result: Mapping[str, Any] | AuditReport) -> int:
        """
        Mark everything divergent dirty, durably, and return how many keys; the engine then repairs them, but for word
        rows, which are right when it returns.

        A key that has been mended in the meantime is found equal and costs nothing but its mark; corrupt and
        drifted vectors are computed anew, past the cache.
        """
        if isinstance(validation_result, AuditReport):
            found = validation_result.all_divergences()
            found[UNRENDERABLE] = list(validation_result.unrenderable)
        else:
            found = divergent_keys_of(validation_result)
        marked = 0
        for name, keys in found.items():
            for page in batched(keys, _PAGE):
                if name in WORD_KINDS:
                    marked += self._reconcile(name, page)
                    continue
                unfence(self._graph, self._store.index, page)
                self._store.mark_dirty(page, f"repair: {name}", force=name in PAST_THE_CACHE)
                marked += len(page)
        return marked

    def _reconcile(self, name: str, keys: Sequence[RecordKey]) -> int:
        if self._words is None:
            return 0
        self._words(keys, anew=name in PAST_THE_DIGEST)
        return len(keys)
