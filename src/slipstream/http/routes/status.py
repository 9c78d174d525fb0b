"""How a PKG stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from slipstream.app.insights import status_as_dict
from slipstream.app.reading_facts import Facts
from slipstream.app.slipstream import Slipstream
from slipstream.http.served import Pkg, ServedPkg

Counts = dict[str, int]


class TypeCoverage(BaseModel):
    """Of one type, as the newest audit found it: records expected, found, and found to match the graph."""

    model_config = ConfigDict(extra="allow")

    expected: int
    found: int
    fresh: int
    counts: Counts = Field(default_factory=dict, description="Keys by class of divergence")


class LastAudit(BaseModel):
    """What the newest audit says."""

    id: int
    kind: str
    finished_at: datetime | None
    consistency: float | None
    verdict: str
    coverage: dict[str, TypeCoverage]


class Backfill(BaseModel):
    """How far a backfill is."""

    done: int
    total: int
    eta_s: float | None


class WordScan(BaseModel):
    """How far the comparison of word rows with the graph is."""

    reason: str
    done: int
    total: int
    rate: float = Field(description="Keys a second")
    eta_s: float | None


class Words(BaseModel):
    """How far the word rows are: what is searched by names and words."""

    frontier: int
    lag_events: int
    lag_s: float
    is_scanning: bool = Field(description="All rows are compared: the frontier stands still meanwhile")
    scan: WordScan | None
    counters: Counts
    outage: str | None


class Status(BaseModel):
    """The engine's numbers, the counts of both sides, and what is wrong; what can not be read is null."""

    name: str = Field(description="Of the PKG, at this server")
    incident: dict[str, Any] | None
    head: int | None
    frontier: int | None
    checkpoint: int | None
    lag_events: int | None
    lag_s: float | None
    pending: int | None
    retrying: int | None
    dead_letters: int | None
    outage: str | None
    halted: str | None
    dead: str | None
    words: Words | None
    lanes: Counts
    backfills: dict[str, Backfill]
    entities: int | None
    relationships: int | None
    schema_version: int | None
    entities_by_type: Counts
    embeddings: int | None
    embeddings_by_type: Counts
    embeddings_by_model: Counts
    embedded_at_by_type: dict[str, datetime] = Field(description="When the newest vector of each type was made")
    migration: str | None
    scrubber: str | None
    scrub_error: str | None
    brake: dict[str, Any] | None
    watch: str | None
    firing: list[str]
    alerts_unkept: str | None
    dead_parts: dict[str, str]
    last_audit: LastAudit | None
    unknown: dict[str, str] = Field(description="What can not be read, and why")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["status"])

    @routes.get("/status")
    def read_status(
        slipstream: Pkg,
        served: ServedPkg,
        counts: Annotated[bool, Query(description="Count the index too: 1 s for 100,000")] = True,
    ) -> Status:
        """Tell how far the index is behind the graph, what it holds and what is wrong."""
        facts = Facts()
        last_audit = facts.read("audits", lambda: _last_audit(slipstream))
        found = status_as_dict(slipstream, counts=counts)
        unknown = {**found.pop("unknown"), **facts.unknown}
        return Status(name=served.name, last_audit=last_audit, unknown=unknown, **found)

    return routes


def _last_audit(slipstream: Slipstream) -> LastAudit | None:
    newest = slipstream.audits.audits(None, 1)
    if not newest:
        return None
    report: Mapping[str, Any] = {**newest[0].report, "id": newest[0].id}
    return LastAudit.model_validate(report)
