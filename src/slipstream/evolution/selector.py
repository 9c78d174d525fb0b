"""Which records are to be embedded anew."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Self

from slipstream.apply.records import flag
from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import Stamp
from slipstream.ports.index import VectorIndex

MARKING = "marking_for_reembedding"
"""The journal's name for the reason of a `mark_for_reembedding` that has begun and not ended: see `Selections`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembeddingSelector:
    """
    Records by what their stamps say; what is given must all hold, and something must be given.

    `schema_version`: stamped with that version or an older one. `confidence_below`: an extraction confidence is
    known, and below that. `older_than_s`: embedded longer ago. `needs_reembedding`: flagged, or not.
    Raises `InvalidInputError` that names the field.
    """

    entity_ids: tuple[str, ...] | None = None
    schema_version: int | None = None
    model_id: str | None = None
    entity_types: tuple[str, ...] | None = None
    confidence_below: float | None = None
    older_than_s: float | None = None
    created_before: datetime | None = None
    needs_reembedding: bool | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise InvalidInputError("say which records: by " + ", ".join(_NAMES), field="selector")
        for name in ("entity_ids", "entity_types"):
            if isinstance(getattr(self, name), str):
                raise InvalidInputError("must be a sequence of texts, not one text", field=name)
        if self.entity_ids is not None:
            object.__setattr__(self, "entity_ids", tuple(dict.fromkeys(self.entity_ids)))
        if self.entity_types is not None:
            object.__setattr__(self, "entity_types", tuple(dict.fromkeys(self.entity_types)))
        if self.schema_version is not None and self.schema_version < 1:
            raise InvalidInputError(f"must be at least 1, not {self.schema_version}", field="schema_version")
        if self.confidence_below is not None and not 0.0 <= self.confidence_below <= 1.0:
            raise InvalidInputError(f"must be within 0..1, not {self.confidence_below:g}", field="confidence_below")
        if self.older_than_s is not None and not (math.isfinite(self.older_than_s) and self.older_than_s >= 0):
            raise InvalidInputError(f"must be at least 0, not {self.older_than_s:g}", field="older_than_s")
        if self.created_before is not None and self.created_before.tzinfo is None:
            raise InvalidInputError("must carry a time zone", field="created_before")

    @property
    def keys(self) -> list[RecordKey] | None:
        """The keys of the entities that it names; None when it names none."""
        return None if self.entity_ids is None else [entity_key(entity_id) for entity_id in self.entity_ids]

    @property
    def is_by_id_alone(self) -> bool:
        """Whether it takes entities as they are named, also those that have no record yet."""
        named = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        return named == ["entity_ids"]

    def at(self, now: datetime) -> Self:
        """Return the same with its age fixed to a time, so that going on later selects the same records."""
        if self.older_than_s is None:
            return self
        before = now - timedelta(seconds=self.older_than_s)
        return replace(self, older_than_s=None, created_before=min(before, self.created_before or before))

    def matches(self, stamp: Stamp) -> bool:
        """Whether it selects a record; call it on what `at` returns."""
        confidence = stamp.extraction_confidence
        return (
            (self.schema_version is None or stamp.schema_version <= self.schema_version)
            and (self.model_id is None or stamp.space.model_id == self.model_id)
            and (self.entity_types is None or stamp.entity_type in self.entity_types)
            and (self.confidence_below is None or (confidence is not None and confidence < self.confidence_below))
            and (self.created_before is None or stamp.created_at < self.created_before)
            and (self.needs_reembedding is None or stamp.needs_reembedding is self.needs_reembedding)
        )

    # ------------------------------------------------------------------ as JSON

    def as_dict(self) -> dict[str, Any]:
        """Return what is given, as plain data."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in given.items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return what `as_dict` was called on; raises `CorruptionError` for anything else."""
        try:
            given: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
            }
            if "created_before" in data:
                given["created_before"] = datetime.fromisoformat(data["created_before"])
            return cls(**given)
        except (TypeError, ValueError) as error:
            raise CorruptionError(f"{json.dumps(data)[:200]} selects no records: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class SelectedPage:
    """What one look at the index has found."""

    keys: list[RecordKey]
    """The keys selected, in key order."""
    stamps: list[Stamp]
    """The records of them that are there."""
    after: RecordKey | None
    """Where to go on; None at the end."""

    def confidences(self) -> dict[RecordKey, float]:
        """Return the highest extraction confidence of each key, as far as it is known."""
        found: dict[RecordKey, float] = {}
        for stamp in self.stamps:
            if stamp.extraction_confidence is not None:
                found[stamp.key] = max(found.get(stamp.key, 0.0), stamp.extraction_confidence)
        return found

    def flag(self, index: VectorIndex, reason: str) -> frozenset[RecordKey]:
        """
        Flag the records that were selected, and return the keys whose records all bear the flag now.

        A record that was written since its stamp was read refuses the flag.
        """
        flag(index, self.stamps, reason)
        held = index.stamps([stamp.key for stamp in self.stamps])
        bears = {(stamp.key, stamp.space): stamp.needs_reembedding for k in held.values() for stamp in k.records}
        bare = {stamp.key for stamp in self.stamps if not bears.get((stamp.key, stamp.space), False)}
        return frozenset(stamp.key for stamp in self.stamps) - bare


def selected_page(
    index: VectorIndex, selector: ReembeddingSelector, after: RecordKey | None, limit: int
) -> SelectedPage:
    """
    Return what is selected of the next `limit` records or so behind `after`.

    A selector that names entities and nothing else selects them whether they have a record or not.
    """
    if selector.keys is not None:
        behind = [key for key in selector.keys if after is None or key.encode() > after.encode()]
        keys = sorted(behind, key=RecordKey.encode)[:limit]
        held = index.stamps(keys)
        stamps = [stamp for key in keys if key in held for stamp in held[key].records if selector.matches(stamp)]
        last = keys[-1] if keys else None
    else:
        page = index.scan(after, limit)
        keys = []
        stamps = [stamp for stamp in page if selector.matches(stamp)]
        last = page[-1].key if page else None
    chosen = keys if selector.is_by_id_alone else list(dict.fromkeys(stamp.key for stamp in stamps))
    return SelectedPage(chosen, stamps, last)


def selected_pages(index: VectorIndex, selector: ReembeddingSelector, size: int) -> Iterator[SelectedPage]:
    """Yield what is selected of the whole index, page by page."""
    after: RecordKey | None = None
    while (page := selected_page(index, selector, after, size)).after is not None:
        yield page
        after = page.after


_NAMES = ("entity_ids", "schema_version", "model_id", "entity_types", "confidence_below", "older_than_s")


def selector_of(
    selector: ReembeddingSelector | None,
    *,
    entity_ids: Sequence[str] | None = None,
    schema_version: int | None = None,
    model_id: str | None = None,
    entity_type: str | None = None,
    confidence_below: float | None = None,
    older_than_s: float | None = None,
) -> ReembeddingSelector:
    """Return a selector made of keywords, or the one given; raises `InvalidInputError` for both or neither."""
    named = (entity_ids, schema_version, model_id, entity_type, confidence_below, older_than_s)
    if selector is not None:
        if any(value is not None for value in named):
            raise InvalidInputError("give a selector or keywords, not both", field="selector")
        return selector
    return ReembeddingSelector(
        entity_ids=None if entity_ids is None else _texts(entity_ids, "entity_ids"),
        schema_version=schema_version,
        model_id=model_id,
        entity_types=None if entity_type is None else (entity_type,),
        confidence_below=confidence_below,
        older_than_s=older_than_s,
    )


def _texts(values: Sequence[str], field: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise InvalidInputError("must be a sequence of texts, not one text", field=field)
    return tuple(values)
