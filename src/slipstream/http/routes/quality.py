"""How good the vectors are: kept runs and their trend, a new run, weak records, two generations compared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.models import RelationshipId
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg
from slipstream.quality.comparison import QualityComparison, comparison_as_dict
from slipstream.quality.comparison import Query as Asked
from slipstream.quality.runs import SAMPLE
from slipstream.quality.tracking import QualitySettings, Weakness

QUERIES_MAX = 1_000


class Run(BaseModel):
    """One measurement, as it is kept."""

    model_config = ConfigDict(extra="allow")  # its figures, by type and for all

    id: int
    at: datetime


class Runs(BaseModel):
    """Kept runs, oldest first, and what the gate of a cut-over asks for."""

    runs: list[Run]
    gate: dict[str, float | None]


class NewRun(Order):
    """How closely to look."""

    sample: int = Field(default=1_000, ge=0, le=100_000, description="Records whose neighbours are asked for")
    self_sample: int = Field(default=200, ge=0, le=10_000, description="Entities whose name is searched for")
    wait_s: WaitFor = 20.0


class WeakRecord(BaseModel):
    """A record of low quality."""

    kind: Weakness
    key: str
    entity_type: str
    value: float | None = Field(description="Its norm, distance, or count among others' neighbours")
    other: str | None = Field(description="The record that a near-duplicate is near to")


class WeakRecords(BaseModel):
    """What the last run found."""

    items: list[WeakRecord]
    total: int


class QueryAsked(Order):
    """A query, and the ids of what it should find."""

    text: str = Field(min_length=1, max_length=10_000)
    expected: list[RelationshipId] = Field(default_factory=list, max_length=1_000)
    class_name: str = Field(default="", max_length=100, alias="class", description="What kind of question it is")


class Queries(Order):
    """Queries that both generations are asked."""

    queries: list[QueryAsked] = Field(default_factory=list, max_length=QUERIES_MAX)

    def as_queries(self) -> list[Asked]:
        """Return them."""
        return [Asked(query.text, tuple(query.expected), query.class_name) for query in self.queries]


class ToCompare(Queries):
    """What two generations are compared by."""

    sample: int = Field(default=SAMPLE, ge=0, le=100_000, description="Records whose neighbours are compared")
    k: int = Field(default=10, ge=1, le=100)
    wait_s: WaitFor = 20.0


class Comparison(BaseModel):
    """What two generations find, beside each other."""

    model_config = ConfigDict(extra="allow")

    old: str
    new: str
    k: int
    sampled: int
    skipped: int
    summary: dict[str, float]
    passed: bool = Field(description="Whether the gate of [quality] lets it pass")
    reasons: list[str]
    samples: list[dict[str, Any]]
    queries: list[dict[str, Any]]


def told_comparison(comparison: QualityComparison, reasons: Sequence[str] = ()) -> Comparison:
    """Return a comparison as it is told."""
    return Comparison.model_validate(comparison_as_dict(comparison, reasons))


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["quality"])

    @routes.get("/quality")
    def read_quality(slipstream: Pkg, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Runs:
        """Tell the newest kept runs, oldest first: their trend."""
        gate = slipstream.quality.gate
        asked = {name: getattr(gate, name) for name in type(gate).__dataclass_fields__}
        return Runs(runs=[Run.model_validate(run) for run in slipstream.quality.trend()[-limit:]], gate=asked)

    @routes.post("/quality", dependencies=[needs(Scope.WRITE)], response_model=Run, responses=ACCEPTED)
    async def measure_quality(asks: Asks, body: NewRun | None = None) -> Run | JSONResponse:
        """Measure the live generation; the run is kept."""
        body = body or NewRun()
        settings = QualitySettings(sample=body.sample, self_sample=body.self_sample)
        report = await asks.result("quality.run", body.wait_s, settings=settings)
        return report if isinstance(report, JSONResponse) else Run.model_validate(report)

    @routes.get("/quality/weak")
    def list_weak_records(
        slipstream: Pkg, kind: Weakness | None = None, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
    ) -> WeakRecords:
        """List the weak records of the last run; none when there was no run."""
        if not slipstream.quality.trend():
            return WeakRecords(items=[], total=0)
        found = slipstream.quality.weak(tuple(Weakness) if kind is None else (kind,))
        items = [WeakRecord.model_validate(weak._asdict()) for weak in found[:limit]]
        return WeakRecords(items=items, total=len(found))

    @routes.post("/quality/compare", response_model=Comparison, responses=ACCEPTED)
    async def compare_generations(
        slipstream: Pkg, asks: Asks, body: ToCompare | None = None
    ) -> Comparison | JSONResponse:
        """Compare the live generation with the one beside it, and tell what the gate says; changes nothing."""
        body = body or ToCompare()
        found = await asks.result(
            "quality.compare", body.wait_s, queries=body.as_queries(), sample=body.sample, k=body.k
        )
        if isinstance(found, JSONResponse):
            return found
        return told_comparison(found, slipstream.quality.gate.reasons(found))

    return routes
