"""Generations side by side: the next one is planned, built, checked, cut over to, gone back from, and dropped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from slipstream.app.composition import load_candidate
from slipstream.app.config import CONFIG_NAME
from slipstream.app.slipstream import Slipstream
from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.models import TypeName
from slipstream.http.routes.audits import Audit
from slipstream.http.routes.quality import Comparison, Queries, told_comparison
from slipstream.http.scopes import Scope, demand, needs
from slipstream.http.served import Pkg
from slipstream.migration.migrations import MigrationStatus
from slipstream.quality.runs import SAMPLE
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.views.config import parse_views

_ADMIN = [needs(Scope.ADMIN)]
_MADE_OF = ConfigDict(from_attributes=True)


class SpaceTold(BaseModel):
    """The vectors of one model and generation."""

    model_config = _MADE_OF

    model_id: str
    model_version: str
    dimension: int
    generation: int


class BothSpaces(BaseModel):
    """Of one type, where its live vectors are, and those beside them."""

    live: SpaceTold | None
    other: SpaceTold | None


class BuildProgress(BaseModel):
    """How far the next generation is."""

    model_config = _MADE_OF

    done: int
    total: int
    rate: float
    ratio: float
    eta_s: float | None


class Migration(BaseModel):
    """How far a migration is."""

    phase: str = Field(description="alone, building, built, retired (after a cut-over) or dropping")
    is_paused: bool
    generation: int = Field(description="The live one")
    spaces: dict[str, BothSpaces] = Field(description="Of each type that differs")
    progress: BuildProgress | None
    waiting: int = Field(description="Keys that are known to lack their record beside the live one")
    outage: str | None
    started_at: datetime | None
    since: datetime | None
    is_declared: bool = Field(description="Whether slipstream.toml declares what is live now")


class MigrationPlan(BaseModel):
    """What a migration would do and cost; tokens, seconds and bytes are estimated from a sample."""

    model_config = _MADE_OF

    types: dict[str, int]
    texts: int
    sampled: int
    tokens: int
    embed_s: float
    disk_bytes: int


class Candidate(Order):
    """Views and routes that replace those of the live generation; the tables are those of slipstream.toml."""

    views: dict[TypeName, Any] = Field(default_factory=dict, max_length=1_000)
    relationship_views: dict[TypeName, Any] = Field(default_factory=dict, max_length=1_000)
    routes: dict[TypeName, TypeName] = Field(default_factory=dict, max_length=1_000)
    default: TypeName | None = Field(default=None, description="The model of all other types")


class ToPlan(Order):
    """What to migrate to."""

    candidate: Candidate | None = Field(
        default=None, description="Without it, what slipstream.toml in the server's folder declares now"
    )


class ToStart(ToPlan):
    """What to migrate to, and how long to wait."""

    wait_s: WaitFor = 20.0


class Waited(Order):
    """How long to wait."""

    wait_s: WaitFor = 20.0


class ToCutOver(Queries):
    """What is compared before the gate of [quality] decides."""

    sample: int = Field(default=SAMPLE, ge=0, le=100_000, description="Records that are compared")
    compared: bool = Field(default=True, description="Without a comparison, no gate is asked")
    wait_s: WaitFor = 20.0


class ToRollBack(Waited):
    """Whether the old generation is audited first."""

    force: bool = Field(default=False, description="Skip the audit: what the old generation lacks stays missing")


class CutOver(BaseModel):
    """The audit that allowed it, and the comparison that the gate decided by."""

    audit: Audit
    comparison: Comparison | None


class RolledBack(BaseModel):
    """The audit that allowed it; null when it was forced."""

    audit: Audit | None


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["migrations"])
    _add_building(routes)
    _add_cutting_over(routes)
    return routes


def _add_building(routes: APIRouter) -> None:
    @routes.get("/migrations")
    def read_migration(slipstream: Pkg) -> Migration:
        """Tell how far a migration is."""
        return _told(slipstream)

    @routes.post("/migrations/plan")
    def plan_migration(request: Request, slipstream: Pkg, body: ToPlan | None = None) -> MigrationPlan:
        """Tell what a migration would do and cost; changes nothing. A candidate of one's own needs admin."""
        body = body or ToPlan()
        if body.candidate is not None:
            demand(request, Scope.ADMIN)  # its templates are rendered
        plan = slipstream.migrations.plan(_candidate(slipstream, body))
        return MigrationPlan.model_validate(plan)

    @routes.post("/migrations/start", dependencies=_ADMIN, response_model=Migration, responses=ACCEPTED)
    async def start_migration(slipstream: Pkg, asks: Asks, body: ToStart | None = None) -> Migration | JSONResponse:
        """Begin to build the next generation beside the live one, in the background."""
        body = body or ToStart()
        chosen = await asks.aside(_candidate, slipstream, body)
        return await _step(slipstream, asks, "migrations.start", body.wait_s, candidate=chosen)

    @routes.post("/migrations/pause", dependencies=_ADMIN, response_model=Migration, responses=ACCEPTED)
    async def pause_migration(slipstream: Pkg, asks: Asks, body: Waited | None = None) -> Migration | JSONResponse:
        """Stop building; the live generation goes on as before."""
        return await _step(slipstream, asks, "migrations.pause", (body or Waited()).wait_s)

    @routes.post("/migrations/resume", dependencies=_ADMIN, response_model=Migration, responses=ACCEPTED)
    async def resume_migration(slipstream: Pkg, asks: Asks, body: Waited | None = None) -> Migration | JSONResponse:
        """Go on building; what has changed meanwhile is found by comparison."""
        return await _step(slipstream, asks, "migrations.resume", (body or Waited()).wait_s)

    @routes.post("/migrations/drop", dependencies=_ADMIN, response_model=Migration, responses=ACCEPTED)
    async def drop_generation(slipstream: Pkg, asks: Asks, body: Waited | None = None) -> Migration | JSONResponse:
        """Remove the generation beside the live one, in the background."""
        return await _step(slipstream, asks, "migrations.drop", (body or Waited()).wait_s)


def _add_cutting_over(routes: APIRouter) -> None:
    @routes.post("/migrations/audit", dependencies=[needs(Scope.WRITE)], response_model=Audit, responses=ACCEPTED)
    async def audit_generation(asks: Asks, body: Waited | None = None) -> Audit | JSONResponse:
        """Audit the generation beside the live one: every key, every vector. Such an audit is not kept."""
        report = await asks.result("migrations.audit", (body or Waited()).wait_s)
        return report if isinstance(report, JSONResponse) else Audit.model_validate(report.summary())

    @routes.post("/migrations/cut-over", dependencies=_ADMIN, response_model=CutOver, responses=ACCEPTED)
    async def cut_over(asks: Asks, body: ToCutOver | None = None) -> CutOver | JSONResponse:
        """Audit the next generation, compare it with the live one, and let it answer searches."""
        body = body or ToCutOver()
        report = await asks.result(
            "cut_over", body.wait_s, queries=body.as_queries(), sample=body.sample, compared=body.compared
        )
        if isinstance(report, JSONResponse):
            return report
        heard = asks.heard("on_comparison")
        return CutOver(
            audit=Audit.model_validate(report.summary()),
            comparison=None if heard is None else told_comparison(heard[0]),
        )

    @routes.post("/migrations/roll-back", dependencies=_ADMIN, response_model=RolledBack, responses=ACCEPTED)
    async def roll_back(asks: Asks, body: ToRollBack | None = None) -> RolledBack | JSONResponse:
        """Let searches be answered by the retired generation again."""
        body = body or ToRollBack()
        report = await asks.result("migrations.roll_back", body.wait_s, force=body.force)
        if isinstance(report, JSONResponse):
            return report
        return RolledBack(audit=None if report is None else Audit.model_validate(report.summary()))


async def _step(
    slipstream: Slipstream, asks: Asks, name: str, wait_s: float, **arguments: object
) -> Migration | JSONResponse:
    result = await asks.result(name, wait_s, **arguments)
    return result if isinstance(result, JSONResponse) else await asks.aside(_told, slipstream)


def _candidate(slipstream: Slipstream, body: ToPlan) -> RecipeDeclaration:
    """Return what to migrate to: slipstream.toml is read anew, for it may have been edited since the start."""
    chosen = body.candidate
    if chosen is not None:
        views = parse_views(chosen.views, chosen.relationship_views)
        return slipstream.migrations.candidate(views, chosen.routes, chosen.default)
    path = slipstream.opened.directory / CONFIG_NAME
    return load_candidate(slipstream, path) if path.is_file() else slipstream.migrations.candidate()


def _told(slipstream: Slipstream) -> Migration:
    status: MigrationStatus = slipstream.migrations.status()
    spaces = {
        name: BothSpaces(live=_space(live), other=_space(other)) for name, (live, other) in status.spaces.items()
    }
    return Migration(
        phase=status.phase.value,
        is_paused=status.is_paused,
        generation=status.generation,
        spaces=spaces,
        progress=None if status.progress is None else BuildProgress.model_validate(status.progress),
        waiting=status.waiting,
        outage=status.outage,
        started_at=status.started_at,
        since=status.since,
        is_declared=slipstream.migrations.is_declared,
    )


def _space(space: object | None) -> SpaceTold | None:
    return None if space is None else SpaceTold.model_validate(space)
