"""
Keeps a model's vector of one fixed text beside the index, to notice that a server has changed the model's weights.

A server goes on to answer under a model's name when the file behind it is replaced. Vectors of two models must never
be compared with each other, so from then on nothing is embedded with the model.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError, LeaseLostError, PoisonEventError, TransientError
from slipstream.domain.models import ModelSpec
from slipstream.domain.stamps import Vector
from slipstream.ports.embedder import Cutting, Embedder

logger = logging.getLogger(__name__)

PROBE = "A lighthouse keeper counts 12 ships, three gulls and one small storm before breakfast."
"""Must never change: kept vectors are of this text."""
DISTANCE_MAX = 2e-4
"""Batching and threads move a vector by less than 1e-6, 8-bit instead of 16-bit weights by 3e-4."""
EVERY_S = 300.0


class ProbeMemory(Protocol):
    """Where the vectors are kept, that is, the journal."""

    def get(self, name: str) -> str | None:
        """Return a named value, None when it was never set."""
        ...

    def set(self, name: str, value: str | None) -> None:
        """Set a named value; raises `LeaseLostError` in a process that may not."""
        ...


class ProbedEmbedder:
    """
    Checks the model before the first text, after each outage, and every few minutes.

    Raises `ConfigError` when the kept vector differs. A model's first vector is kept as it is.
    """

    def __init__(
        self, embedder: Embedder, memory: ProbeMemory, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._embedder, self._memory, self._monotonic = embedder, memory, monotonic
        self._due_s = float("-inf")

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._embedder.spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, of the model that the index was built with."""
        try:
            if texts and self._monotonic() >= self._due_s:
                self._compare()
                self._due_s = self._monotonic() + EVERY_S
            return self._embedder.embed(texts)
        except TransientError:
            self._due_s = float("-inf")  # the model may have been replaced meanwhile
            raise

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text has, in their order."""
        return self._embedder.count_tokens(texts)

    def shares(self, texts: Sequence[str]) -> Sequence[float | None]:
        """Return the share of each text that went into its vector, None where that is unknown."""
        return self._embedder.shares(texts) if isinstance(self._embedder, Cutting) else [None] * len(texts)

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        self._embedder.close()

    def _compare(self) -> None:
        spec = self.spec
        name = f"probe:{spec.id}:{spec.version}:{spec.dimension}"
        try:
            (vector,) = self._embedder.embed([PROBE])
        except PoisonEventError as error:
            raise ConfigError(f"model {spec.id!r} does not embed a plain sentence: {error}") from error
        kept = self._memory.get(name)
        if kept is None:
            self._keep(name, vector)
            return
        similarity = float(np.dot(_decoded(kept).astype(np.float64), vector.astype(np.float64)))
        if 1.0 - similarity > DISTANCE_MAX:
            raise ConfigError(
                f"model {spec.id!r} (version {spec.version!r}) is another one than the index was built with: of the "
                f"same text its vector has a cosine of {similarity:.4f} to what it was, so the "
                "weights behind its name were replaced. Put the old ones back; or declare the new ones under "
                "another name in [models.openai.NAME], with `model` and another `version`, and migrate to it "
                "(`slipstream migrate start`)"
            )

    def _keep(self, name: str, vector: Vector) -> None:
        try:
            self._memory.set(name, base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode())
        except LeaseLostError:
            logger.debug("%s is left to the process that runs the engine", name)


def _decoded(kept: str) -> Vector:
    return np.frombuffer(base64.b64decode(kept), dtype="<f4").astype(np.float32)
