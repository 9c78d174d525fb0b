"""
What a search keeps, weighs and orders by when something was, how surely it was extracted, and from where.

It looks at the live state that was read for each hit, so it holds whichever arm and index found it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar, get_args

from slipstream.domain.entities import EntityState, Properties, RecordState
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.stamps import Stamp
from slipstream.search.times import Span, bound, time_of

Sort = Literal["score", "newest", "oldest"]
"""What hits are ordered by: how well they fit, or when they were."""
SORTS: tuple[Sort, ...] = get_args(Sort)
SOURCE, GRAPHS, CONFIDENCE = "source_document_id", "graphs", "extraction_confidence"
HALF_LIFE_DAYS_MAX = 10_000_000
_DAY_S = 86_400.0


class Asked(Protocol):
    """What a search says of time, confidence and source, as it was given; `SearchOptions` has it all."""

    @property
    def since(self) -> datetime | date | str | None:
        """The first moment that counts."""
        ...

    @property
    def until(self) -> datetime | date | str | None:
        """The last moment that counts; of a date alone, all of that day."""
        ...

    @property
    def time_property(self) -> str | None:
        """The property that tells when a record was; None: the usual ones."""
        ...

    @property
    def min_confidence(self) -> float | None:
        """The least extraction confidence, in 0..1."""
        ...

    @property
    def source(self) -> str | None:
        """The document or named graph that a record was taken from."""
        ...

    @property
    def half_life_days(self) -> float | None:
        """After how many days a score counts half."""
        ...

    @property
    def sort(self) -> str:
        """One of `SORTS`."""
        ...


class Dated(Protocol):
    """What can be ordered by time: a hit."""

    @property
    def properties(self) -> Properties:
        """The properties of the record."""
        ...


_Dated = TypeVar("_Dated", bound=Dated)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """
    What one search keeps, and how it weighs and orders it.

    A record that does not tell its time is left out when a range is asked for, and so is one of unknown confidence
    when a least one is.
    """

    since: Span | None = None
    until: Span | None = None
    time_property: str | None = None
    min_confidence: float | None = None
    source: str | None = None
    half_life_days: float | None = None
    sort: str = "score"

    @classmethod
    def of(cls, options: Asked) -> Narrowing:
        """Return what the options of a search ask for; raises `InvalidInputError`, which names the option."""
        since, until = bound(options.since, "since"), bound(options.until, "until")
        if since is not None and until is not None and until.ends_before(since.start):
            raise InvalidInputError(f"{options.until} lies before since ({options.since}): swap them", field="until")
        _check_text(options.time_property, "time_property", "the name of a property, such as valid_from")
        _check_text(options.source, "source", "the source_document_id of records, or the name of their graph")
        if options.sort not in SORTS:
            raise InvalidInputError(f"must be one of {', '.join(SORTS)}, not {options.sort!r}", field="sort")
        return cls(
            since,
            until,
            options.time_property,
            _checked_confidence(options.min_confidence),
            options.source,
            _checked_half_life(options.half_life_days),
            options.sort,
        )

    @property
    def has_range(self) -> bool:
        """Whether a record must have been in a range of time."""
        return self.since is not None or self.until is not None

    @property
    def narrows(self) -> bool:
        """Whether any record can be left out, so that more of them must be looked at to have enough."""
        return self.has_range or self.min_confidence is not None or self.source is not None

    @property
    def line(self) -> str:
        """What is asked for, for people; empty when nothing is."""
        return "; ".join(self._parts())

    def admits(self, state: RecordState) -> bool:
        """Whether a record may be returned, by its state in the graph."""
        return self.refusal(state) is None

    def refusal(self, state: RecordState) -> str | None:
        """Return why a record may not be returned, for people; None when it may."""
        properties = properties_of(state)
        return (
            self._refused_time(time_of(properties, self.time_property))
            or self._refused_confidence(confidence_of(properties))
            or self._refused_source(list(sources_of(properties)))
        )

    def admits_stamp(self, stamp: Stamp) -> bool:
        """Whether a record may be returned whose state the graph can not tell; a stamp has no time of its record."""
        sources = [] if stamp.source_document_id is None else [stamp.source_document_id]
        return not (
            self._refused_time(None)
            or self._refused_confidence(stamp.extraction_confidence)
            or self._refused_source(sources)
        )

    def decayed(self, score: float, state: RecordState, now: datetime) -> float:
        """
        Return a score by the age of its record: half of it after `half_life_days`; as it is without a time.

        A score below zero, as a cosine can be, falls by what one above zero of that size would lose: towards zero it
        would rise, and older would be better. What is to come, or still holds, has no age.
        """
        if self.half_life_days is None or (span := time_of(properties_of(state), self.time_property)) is None:
            return score
        age_days = max(0.0, (now - span.end).total_seconds()) / _DAY_S
        left = math.pow(0.5, age_days / self.half_life_days)
        return score * left if score >= 0.0 else score * (2.0 - left)

    def ordered(self, hits: Iterable[_Dated]) -> list[_Dated]:
        """Return hits, given best first, in the order that is asked for; by time, those without one come last."""
        found = list(hits)
        if self.sort == "score":
            return found
        timed = [(span, hit) for hit in found if (span := time_of(hit.properties, self.time_property)) is not None]
        untimed = [hit for hit in found if time_of(hit.properties, self.time_property) is None]
        timed.sort(key=lambda pair: pair[0].start, reverse=self.sort == "newest")
        return [*(hit for _, hit in timed), *untimed]

    def _refused_time(self, span: Span | None) -> str | None:
        if not self.has_range:
            return None
        if span is None:
            return f"it tells no time ({self.time_property or 'none of the usual properties'})"
        if self.since is not None and span.ends_before(self.since.start):
            return f"its time ({_moment(span.end)}) is before {_moment(self.since.start)}"
        if self.until is not None and not _begins_by(span, self.until):
            return f"its time ({_moment(span.start)}) is after {_last_of(self.until)}"
        return None

    def _refused_confidence(self, held: float | None) -> str | None:
        if self.min_confidence is None or (held is not None and held >= self.min_confidence):
            return None
        return f"its {CONFIDENCE} is {'not known' if held is None else f'{held:g}'}, below {self.min_confidence:g}"

    def _refused_source(self, held: Sequence[str]) -> str | None:
        if self.source is None or self.source in held:
            return None
        return (
            f"it is from {' and '.join(held)}, not {self.source}" if held else f"nothing says it is of {self.source}"
        )

    def _parts(self) -> Iterator[str]:
        if self.since is not None:
            yield f"from {_moment(self.since.start)}"
        if self.until is not None:
            yield f"to {_last_of(self.until)}"
        if self.time_property is not None:
            yield f"time by {self.time_property}"
        if self.min_confidence is not None:
            yield f"{CONFIDENCE} at least {self.min_confidence:g}"
        if self.source is not None:
            yield f"source {self.source}"
        if self.half_life_days is not None:
            yield f"scores halve every {self.half_life_days:g} days"
        if self.sort != "score":
            yield f"{self.sort} first"


def properties_of(state: RecordState) -> Properties:
    """Return the properties of an entity or a relationship."""
    return state.entity.properties if isinstance(state, EntityState) else state.relationship.properties


def sources_of(properties: Properties) -> Iterator[str]:
    """Yield what a record was taken from: its document, or each of the named graphs that speak of it."""
    document, graphs = properties.get(SOURCE), properties.get(GRAPHS)
    if isinstance(document, str):
        yield document
    if isinstance(graphs, dict):
        yield from graphs


def _begins_by(span: Span, until: Span) -> bool:
    return span.start <= until.end if until.closed else span.start < until.end


def _last_of(until: Span) -> str:
    return _moment(until.end) if until.closed else _moment(until.end - timedelta(days=1))


def _moment(moment: datetime) -> str:
    is_day = moment.time() == datetime.min.time()
    return moment.date().isoformat() if is_day else moment.astimezone(UTC).isoformat()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def confidence_of(properties: Properties) -> float | None:
    """Return the extraction confidence of a record; None without one, and for what is no number in 0..1."""
    held: Any = properties.get(CONFIDENCE)
    return float(held) if _is_number(held) and 0.0 <= held <= 1.0 else None


def _checked_confidence(value: float | None) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0.0 <= value <= 1.0:
        raise InvalidInputError(f"must be a number in 0..1, not {value!r}", field="min_confidence")
    return float(value)


def _checked_half_life(value: float | None) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0.0 < value <= HALF_LIFE_DAYS_MAX:
        raise InvalidInputError(
            f"must be a number of days above 0, up to {HALF_LIFE_DAYS_MAX:,}, not {value!r}", field="half_life_days"
        )
    return float(value)


def _check_text(value: str | None, field: str, what: str) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidInputError(f"must be {what}, not {value!r}", field=field)
