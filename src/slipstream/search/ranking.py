"""What arms find: rankings of records, and the candidates that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Stamp
from slipstream.domain.words import NameKind
from slipstream.search.explanations import Arm


class Found(NamedTuple):
    """One record that an arm has found, with the score that the arm gives it."""

    key: RecordKey
    entity_type: str
    score: float
    stamp: Stamp | None = None
    """Its stamp in the index, where its vector was found."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one arm found, best first."""

    arm: Arm
    hits: Sequence[Found]
    is_exhausted: bool
    """Whether there are no more than these."""
    model: tuple[str, str] | None = None
    """Id and version of the model, of an arm by vectors."""


@dataclass(frozen=True, slots=True)
class Named(Ranking):
    """What was found by its name, with the kind of each name."""

    kinds: Sequence[NameKind] = ()


@dataclass(slots=True)
class Candidate:
    """One record that some arm has found, before it is joined with the graph."""

    key: RecordKey
    entity_type: str
    score: float
    stamp: Stamp | None
    cosine: float | None = None
    front: float = 0.0
    """What puts it in front of all others, added to its score."""

    @property
    def total(self) -> float:
        """What it is ordered by."""
        return self.front + self.score
