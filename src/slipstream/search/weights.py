"""How much each arm of a search counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from slipstream.domain.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionWeights:
    """
    What puts the arms together; measured on questions of a graph, and set in `[search]`.

    Hits of one model are ordered by scores: their cosine, and what the other arms add to it. Where hits are of
    several models, whose cosines do not compare, they are ordered by ranks: each arm adds `weight / (rank_k + rank)`.
    """

    keyword: float = 0.4
    """What a hit adds that has all of the query's words; it adds the share of the query that it explains."""
    corrected: float = 0.8
    """What the best hit of the query as it is spelled right adds; the others in proportion."""
    fuzzy: float = 0.6
    """What a name adds that is one edit away; half of it for two."""
    rank_k: float = 5.0
    """How little the first ranks differ, where hits are ordered by ranks."""
    rank_depth: int = 30
    """How many hits of each arm count by their rank."""
    rank_vector: float = 1.0
    rank_keyword: float = 1.0
    rank_fuzzy: float = 2.0
    rank_corrected: float = 2.0
    depth: int = 50
    """How many hits each arm is asked for, unless more are searched for."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least = getattr(self, each.name), 1 if each.name in ("depth", "rank_depth") else 0
            if not (least <= value < math.inf):
                raise InvalidInputError(f"must be a number of at least {least}, not {value}", field=each.name)
        if not 1 <= self.depth <= 1_000:
            raise InvalidInputError(f"must be in 1..1000, not {self.depth}", field="depth")

    @property
    def tier(self) -> float:
        """How far one kind of exact name stands in front of the next: more than all arms can add to one another."""
        ranked = (self.rank_vector + self.rank_keyword + self.rank_fuzzy + self.rank_corrected) / (1.0 + self.rank_k)
        return math.ceil(max(2.0 + self.keyword + self.corrected + self.fuzzy, ranked))
