"""Temporal context of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator


class TemporalEmbeddingContext(BaseModel):
    """
    When something happened, for how long, and after and because of what.

    A naive `timestamp` is refused; `duration` accepts seconds or an ISO 8601 duration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestamp: AwareDatetime | None = None
    duration: timedelta | None = None
    temporal_type: str | None = None
    event_sequence: tuple[str, ...] = Field(default=())
    causal_chain: tuple[str, ...] = Field(default=())

    @field_validator("timestamp")
    @classmethod
    def _to_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return None if value is None else value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("lies outside of the years 1 to 9999 in UTC") from error
