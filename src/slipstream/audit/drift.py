"""The deep check: embeds texts anew and compares the vectors. Nothing else notices a model that changed silently."""

from __future__ import annotations

import random
from collections.abc import Collection

import numpy as np

from slipstream.audit.comparing import Comparer, take_back
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import Pace
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp, Vector
from slipstream.ports.embedding_service import EmbeddingService

_BATCH = 64


class DriftCheck:
    """
    Takes `size` of the records that look right, and all that are doubted, and embeds them past the cache.

    About `expected` records are to come. A vector has drifted when its cosine distance from the new one is past the
    model's tolerance.
    """

    def __init__(
        self,
        service: EmbeddingService,
        comparer: Comparer,
        size: int,
        expected: int,
        rng: random.Random,
        pace: Pace,
        doubted: Collection[RecordKey] = (),
    ) -> None:
        self._service, self._comparer = service, comparer
        self._wanted, self._coming, self._rng, self._pace = size, expected, rng, pace
        self._doubted = doubted
        self._sampled: list[tuple[Target, Stamp, Vector]] = []
        self._drifted: list[Stamp] = []
        self.checked = 0

    def draws(self, key: RecordKey) -> bool:
        """Whether a record is to be in the sample: each that comes is as likely as any other one."""
        chance = self._wanted / max(1, self._coming)
        self._coming -= 1
        is_drawn = self._wanted > 0 and self._rng.random() < chance
        self._wanted -= is_drawn
        return is_drawn or key in self._doubted

    def take(self, target: Target, stamp: Stamp, vector: Vector) -> None:
        """Take a record into the sample."""
        self._sampled.append((target, stamp, vector))
        if len(self._sampled) >= min(_BATCH, self._pace.page):
            self._compute()
            self._pace.rest()

    def offer(self, target: Target, stamp: Stamp, vector: Vector) -> None:
        """Take a record into the sample if it is drawn."""
        if self.draws(stamp.key):
            self.take(target, stamp, vector)

    def _compute(self) -> None:
        if not self._sampled:
            return
        requests = [target.request._replace(bypass_cache=True) for target, _, _ in self._sampled]
        results = self._service.embed_batch(requests)
        for (target, stamp, vector), result in zip(self._sampled, results, strict=True):
            spec = self._service.spec_for(target.entity_type, target.request.model_id)
            distance = 1.0 - float(np.dot(result.embedding.astype(np.float64), vector.astype(np.float64)))
            if distance > spec.tolerance:
                self._drifted.append(stamp)
        self.checked += len(self._sampled)
        self._sampled.clear()

    def enter(self, report: AuditReport) -> None:
        """Finish what was offered, and move drifted records of the report from fresh to divergent."""
        self._compute()
        drifted = {stamp.key: stamp for stamp in self._drifted}
        self._drifted.clear()
        for compared in self._comparer.decide(list(drifted)).decided:
            # One that was written anew meanwhile is judged by its next audit.
            if compared.kind is None and compared.stamps == (drifted[compared.key],):
                take_back(report, compared, "drifted")
