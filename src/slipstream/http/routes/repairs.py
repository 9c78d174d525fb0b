"""Repairs of kept audits: planned first, then applied as they were planned."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.audit.repair import KINDS
from slipstream.domain.errors import InvalidInputError
from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.routes.status import Counts
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg

RepairKind = Literal[
    "missing",
    "orphaned",
    "stale",
    "outdated",
    "wrong_model",
    "duplicate",
    "corrupt",
    "drifted",
    "unrenderable",
    "word_missing",
    "word_orphaned",
    "word_stale",
    "word_corrupt",
]
Kinds = Annotated[
    list[RepairKind] | None,
    Field(default=None, min_length=1, max_length=len(KINDS), description="Classes of divergence; default: all"),
]


class ToPlan(Order):
    """What is to be repaired."""

    audit_id: int = Field(ge=1, le=2**62)
    kinds: Kinds = None


class RepairPlan(BaseModel):
    """What a repair would do and cost."""

    audit_id: int
    kinds: list[str]
    keys: Counts = Field(description="By class of divergence")
    texts: int = Field(description="To embed, at most: one whose vector is in the cache costs nothing")
    tokens: int
    embed_s: float = Field(description="Of the embedder alone, measured on some of the texts")
    deletions: int
    restamps: int
    word_rows: int = Field(description="Word rows to write, which costs no embedding")
    word_deletions: int
    precondition: str = Field(description="Give it to apply exactly this")
    braked: dict[str, Any] | None = Field(
        description="The plan that has to be confirmed by its `id`: it deletes or embeds more than the brake allows"
    )


class ToRepair(ToPlan):
    """A planned repair: its precondition, or the id of the brake's plan that is confirmed."""

    precondition: str | None = Field(default=None, max_length=100)
    confirm: str | None = Field(default=None, max_length=100)
    wait_s: WaitFor = 20.0


class Repaired(BaseModel):
    """What a repair did: it marks keys, and the engine makes both sides equal soon."""

    audit_id: int
    kinds: list[str]
    marked: Counts
    marked_before: int = Field(description="By the same repair, before it was cut short")
    mended: list[str] = Field(description="Below the records, by store and place")


class Repairs(BaseModel):
    """What waits."""

    unfinished: int | None = Field(description="The audit whose repair was cut short")
    brake: dict[str, Any] | None = Field(description="What is not mended unasked, with the plan to confirm")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["repairs"])

    @routes.get("/repairs")
    def read_repairs(slipstream: Pkg) -> Repairs:
        """Tell which repair was cut short, and which one waits for a confirmation."""
        return Repairs(unfinished=slipstream.repairer.unfinished, brake=slipstream.scrubber.summary().get("brake"))

    @routes.post("/repairs/plan")
    def plan_repair(slipstream: Pkg, body: ToPlan) -> RepairPlan:
        """Tell what the repair of a kept audit would do and cost; changes nothing."""
        kinds, repairer = _chosen(body), slipstream.repairer
        plan, braked = repairer.plan(body.audit_id, kinds), repairer.braked(body.audit_id, kinds)
        return RepairPlan(
            audit_id=body.audit_id,
            kinds=kinds,
            keys=dict(plan.keys),
            texts=plan.texts,
            tokens=plan.tokens,
            embed_s=plan.embed_s,
            deletions=plan.deletions,
            restamps=plan.restamps,
            word_rows=plan.word_rows,
            word_deletions=plan.word_deletions,
            precondition=repairer.precondition(body.audit_id, kinds),
            braked=None if braked is None else braked.as_dict(),
        )

    @routes.post("/repairs", dependencies=[needs(Scope.ADMIN)], response_model=Repaired, responses=ACCEPTED)
    async def apply_repair(asks: Asks, body: ToRepair) -> Repaired | JSONResponse:
        """Apply a planned repair. 409 when the plan is out of date, or has to be confirmed."""
        if (body.precondition is None) == (body.confirm is None):
            raise InvalidInputError(
                "give that of the plan (POST /v1/repairs/plan), or the id of a braked one as `confirm`",
                field="precondition",
            )
        arguments = {"kinds": _chosen(body), "precondition": body.precondition, "confirm": body.confirm}
        result = await asks.result("repairs.apply", body.wait_s, audit_id=body.audit_id, **arguments)
        if isinstance(result, JSONResponse):
            return result
        return Repaired(
            audit_id=result.audit_id,
            kinds=list(result.kinds),
            marked=result.marked,
            marked_before=result.marked_before,
            mended=result.mended,
        )

    return routes


def _chosen(body: ToPlan) -> list[str]:
    """Return the chosen classes, in their own order: the same choice is the same plan."""
    return [kind for kind in KINDS if body.kinds is None or kind in body.kinds]
