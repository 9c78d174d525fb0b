"""How a search is asked: its options, checked once, before anything is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal, TypedDict, get_args

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.domain.positions import Position
from slipstream.domain.stamps import MetadataValue
from slipstream.search.narrowing import Narrowing, Sort

K_MAX = 1_000
HOPS_MAX = 3

Mode = Literal["hybrid", "vector", "keyword", "exact"]
"""Which arms answer: all of them, the vectors alone, the words alone, or names alone."""
MODES: tuple[Mode, ...] = get_args(Mode)


class SearchArguments(TypedDict, total=False):
    """What every search takes by name, each as `SearchOptions` tells it; what is not given keeps its default."""

    mode: Mode
    entity_type: str | None
    after: Position | None
    min_schema_version: int | None
    expand: int
    metadata: Mapping[str, MetadataValue] | None
    timeout_s: float
    since: datetime | str | None
    until: datetime | str | None
    time_property: str | None
    min_confidence: float | None
    source: str | None
    half_life_days: float | None
    sort: Sort
    explain: bool
    rerank: bool | None
    graph_arm: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """The options of one search; raises `InvalidInputError`, which names the option."""

    mode: Mode = "hybrid"
    entity_type: str | None = None
    """Only this type of entities or relationships."""
    after: Position | None = None
    """A commit that the answer must reflect."""
    min_schema_version: int | None = None
    """Only records that were embedded at this version of the schema or a later one."""
    expand: int = 0
    """How many hops of neighbours come with each hit, at most `HOPS_MAX`."""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    """Values that the view's metadata must have."""
    timeout_s: float = 10.0
    """How long `after` is waited for, in seconds."""
    since: datetime | str | None = None
    """Only what is of this moment or later; a day, month or year counts from its beginning. Without a zone: UTC."""
    until: datetime | str | None = None
    """Only what is of this moment or earlier; a day, month or year counts to its end."""
    time_property: str | None = None
    """The property that holds the moment of a record; None: the usual ones (`TIME_PROPERTIES`)."""
    min_confidence: float | None = None
    """Only what was extracted with this confidence at least, in 0..1."""
    source: str | None = None
    """Only what comes from this source document, or named graph."""
    half_life_days: float | None = None
    """After so many days a score counts half; None: age does not matter."""
    sort: Sort = "score"
    explain: bool = False
    """Whether each hit says why it is one."""
    rerank: bool | None = None
    """Whether the best hits are read again by a second model; None: as configured."""
    graph_arm: bool | None = None
    """Whether what is near the best hits in the graph moves up; None: as configured."""

    @classmethod
    def of(cls, asked: SearchArguments) -> SearchOptions:
        """Return the options of a call, with None as the default; raises `TypeError` for an unknown name."""
        unknown = asked.keys() - _NAMES
        if unknown:
            name = min(unknown)
            raise TypeError(f"search() got an unexpected keyword argument {name!r}{near_miss(name, _NAMES)}")
        given = dict(asked)
        if given.get("metadata") is None:
            given.pop("metadata", None)
        return cls(**given)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, MODES)
        _check_number("expand", self.expand, 0, HOPS_MAX)
        _check_number("timeout_s", self.timeout_s, 0, math.inf)
        if self.entity_type == "":
            raise InvalidInputError("is empty: leave it out, or name one", field="entity_type")
        self.narrowing()

    def narrowing(self) -> Narrowing:
        """Return what is asked of time, confidence, source and order."""
        return Narrowing.of(self)


_NAMES = frozenset(each.name for each in fields(SearchOptions))


def check_asked(text: str, k: int) -> None:
    """Raise `InvalidInputError` for an empty or undecodable text, or a number of hits that no search returns."""
    if not text.strip():
        raise InvalidInputError("is empty: say what to look for", field="text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"is not valid Unicode (a lone surrogate at character {error.start + 1}?): correct it at its source",
            field="text",
        ) from error
    if not 1 <= k <= K_MAX:
        raise InvalidInputError(f"must be in 1..{K_MAX}, not {k}", field="k")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidInputError(f"must be one of {', '.join(allowed)}, not {value!r}", field=name)


def _check_number(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        bounds = f"{least}..{most}" if most != math.inf else f"at least {least}"
        raise InvalidInputError(f"must be in {bounds}, not {value}", field=name)
