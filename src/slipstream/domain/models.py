"""Identity of embedding models and of the spaces their vectors live in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """
    Identity and limits of an embedding model.

    `id` and `version` together must change whenever a vector for the same text may change. `tolerance` is the
    largest cosine distance between two embeddings of the same text by this model.
    """

    id: str
    version: str
    dimension: int
    tokens_max: int = 256
    tolerance: float = 1e-5
    cacheable: bool = True
    """False for static models, which are faster than any cache."""
    counts_tokens: bool = True
    """False when `count_tokens` only estimates: then nothing is said about how much of a text was used."""
    asks_otherwise: bool = False
    """True for a model that embeds a query in another way than a text: its embedder is a `QueryEmbedding` too."""


@dataclass(frozen=True, slots=True, order=True)
class Space:
    """
    One set of comparable vectors: a model identity and a generation.

    Vectors of different spaces are never compared with each other.
    """

    model_id: str
    model_version: str
    dimension: int
    generation: int = 1

    @classmethod
    def of(cls, spec: ModelSpec, generation: int = 1) -> Space:
        """Return the space of a model's vectors."""
        return cls(spec.id, spec.version, spec.dimension, generation)


class SpaceScope(NamedTuple):
    """A space to search, and the types whose live records are in it (None: every record there is live)."""

    space: Space
    types: frozenset[str] | None = None
    homed: tuple[str, ...] = ()
    """The types whose live records belong there, for messages."""
