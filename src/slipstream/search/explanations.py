"""Why a hit is one, and why something is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Arm = Literal["exact", "typed", "vector", "keyword", "fuzzy", "corrected"]
"""
What found a hit: its name, its name beside its type, its meaning, its words, a name almost like it, or its words as
they are spelled right.
"""
Reason = Literal[
    "found",
    "rank",
    "filtered",
    "no_such_word",
    "not_yet_embedded",
    "not_yet_in_words",
    "dead_letter",
    "deleted",
    "unknown",
]
"""Why a record is not among the hits of a search; `found` when it is."""


@dataclass(frozen=True, slots=True)
class ArmShare:
    """What one arm says of a hit."""

    arm: Arm
    rank: int
    """From 1, among what the arm found."""
    score: float
    """As the arm tells it: a cosine, a bm25, a number of edits, the kind of an exact name."""
    share: float
    """What it adds to the score of the hit; 0 where it only moves the hit in front."""
    model_id: str | None = None
    """The model of a vector."""


@dataclass(frozen=True, slots=True)
class HitExplanation:
    """Why a hit is one."""

    arms: tuple[ArmShare, ...]
    """The arms that found it."""
    name_kind: str | None = None
    """What the text is to it: its `id`, a `key`, its `name` or an `alias`; None when it is none of them."""
    matched: tuple[str, ...] = ()
    """The words of it that the query has, as they stand there."""
    snippet: str = ""
    """A stretch of its text around them; empty when none matched."""


@dataclass(frozen=True, slots=True)
class SearchExplanation:
    """What a search asked each arm."""

    mode: str
    arms: Mapping[str, int] = field(default_factory=dict)
    """How many hits each arm that was asked had to give; at most as many as it was asked for."""
    words: tuple[str, ...] = ()
    """The words that the keyword arm looked for."""
    corrected: str | None = None
    """The text as it is spelled right, where a word of it was unknown."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """The conditions that hits had to meet."""
    fusion: str = ""
    """How the arms were put together: `scores`, or `ranks` where hits are of several models."""


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a record is not among the hits of a search."""

    entity_id: str
    reason: Reason
    line: str
    """The same in one sentence for people, with what to do about it."""
    rank: int | None = None
    """Its rank, from 1, over all arms and alive records; None where it has none."""
    arms: tuple[ArmShare, ...] = ()
    """What each arm says of it."""
