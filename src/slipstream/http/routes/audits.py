"""Audits: kept ones with all they found, and a new one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.routes.status import Counts, TypeCoverage
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg

AuditId = Annotated[int, Path(ge=1, le=2**62)]
FindingKind = Literal[
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
    "owed",
    "unsettled",
    "word_owed",
    "word_unsettled",
]
_NEXT = Field(description="Give it as `after` for the next page; null at the end")


class AuditedWords(BaseModel):
    """What an audit found of word rows; `counts` of the audit says how many are of each class."""

    model_config = ConfigDict(extra="allow")

    looked: str = Field(description="all, or changed: what has changed since the last audit, or was wrong in it")
    expected: int
    held: int
    fresh: int
    consistency: float | None
    owed: int
    unsettled: int
    frontier: int | None = Field(description="How far the rows reflected the graph when the audit ended")
    rows_read: int = Field(description="With all their texts")
    duration_s: float
    counted: bool = Field(description="Whether all rows were counted against the graph")


class Audit(BaseModel):
    """A kept audit, with counts instead of the keys that it names."""

    model_config = ConfigDict(extra="allow")  # an older version may have kept more

    id: int | None = Field(description="Null for one that is not kept: of a generation that is not live")
    kind: str
    position: int
    position_after: int | None
    frontier: int | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float
    rows_read: Counts
    consistency: float | None = Field(
        description="Share of what is fresh, of vectors or of word rows, whichever is lower; null when there are none"
    )
    verdict: str = Field(description="consistent, divergent or undecided")
    total_entities: int
    total_embeddings: int
    expected_embeddings: int
    coverage: dict[str, TypeCoverage]
    counts: Counts
    owed: Counts = Field(default_factory=dict, description="Keys that the engine is still to do, by lane")
    unsettled: int = 0
    notes: list[str] = Field(default_factory=list)
    damage: list[Any] = Field(default_factory=list)
    words: AuditedWords | None = Field(default=None, description="Null where word rows were not compared")


class AuditPage(BaseModel):
    """Kept audits, newest first."""

    items: list[Audit]
    next: int | None = Field(description="Give it as `before` for the next page; null at the end")


class FoundKey(BaseModel):
    """A key that an audit names."""

    kind: FindingKind
    key: str
    type: str = Field(description="Of the entity or relationship; empty where it is not known")


class FindingPage(BaseModel):
    """Keys that an audit names, by kind and key."""

    items: list[FoundKey]
    next: str | None = _NEXT


class NewAudit(Order):
    """Which audit is to be made."""

    incremental: bool = Field(default=False, description="Read only what has changed since, or differs by digest")
    deep: Annotated[int, Field(ge=1, le=DEEP_ALL)] | Literal["all"] | None = Field(
        default=None, description="Embed about so many records anew, and compare with their vectors"
    )
    hurry: bool = Field(default=False, description="Keep no share free for live changes")
    wait_s: WaitFor = 20.0


def told_audit(kept: KeptAudit) -> Audit:
    """Return a kept audit as it is told."""
    told = {name: value for name, value in kept.report.items() if name != "signature"}  # it fits `/evidence` alone
    return Audit.model_validate({**told, "id": kept.id})


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["audits"])

    @routes.get("/audits")
    def list_audits(
        slipstream: Pkg,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AuditPage:
        """List kept audits, newest first."""
        rows = slipstream.audits.audits(before, limit + 1)
        return AuditPage(
            items=[told_audit(kept) for kept in rows[:limit]], next=rows[limit - 1].id if len(rows) > limit else None
        )

    @routes.post("/audits", dependencies=[needs(Scope.WRITE)], response_model=Audit, responses=ACCEPTED)
    async def make_audit(slipstream: Pkg, asks: Asks, body: NewAudit) -> Audit | JSONResponse:
        """Compare graph and index. The audit is kept; one that takes longer than `wait_s` goes on as a request."""
        report = await asks.result(
            "verify", body.wait_s, incremental=body.incremental, deep=_depth(body), hurry=body.hurry
        )
        if isinstance(report, JSONResponse):
            return report
        return told_audit(await run_sync(kept_audit, slipstream, report.kept_id))

    @routes.get("/audits/{audit_id}")
    def read_audit(slipstream: Pkg, audit_id: AuditId) -> Audit:
        """Tell what an audit found, by type and class."""
        return told_audit(kept_audit(slipstream, audit_id))

    @routes.get("/audits/{audit_id}/findings")
    def list_findings(
        slipstream: Pkg,
        audit_id: AuditId,
        kind: FindingKind | None = None,
        after: Annotated[str | None, Query(max_length=20_000)] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> FindingPage:
        """List the keys that an audit names."""
        kept_audit(slipstream, audit_id)
        rows = slipstream.audits.findings(audit_id, _behind(after), limit + 1, kind)
        last = rows[limit - 1] if len(rows) > limit else None
        return FindingPage(
            items=[FoundKey.model_validate(row._asdict()) for row in rows[:limit]],
            next=None if last is None else json.dumps([last.kind, last.key]),
        )

    return routes


def _depth(body: NewAudit) -> int | None:
    if body.deep is None:
        return None
    if body.incremental:
        raise InvalidInputError("reads everything, an incremental audit does not: choose one", field="deep")
    return DEEP_ALL if body.deep == "all" else body.deep


def kept_audit(slipstream: Slipstream, audit_id: int) -> KeptAudit:
    """Return a kept audit; raises `NotFoundError`."""
    found = slipstream.audits.audit(audit_id)
    if found is None:
        raise NotFoundError(f"audit {audit_id} is not kept (any more): list the audits, or audit again")
    return found


def _behind(after: str | None) -> Finding | None:
    if after is None:
        return None
    try:
        kind, key = json.loads(after)
        return Finding(str(kind), str(key))
    except (ValueError, TypeError) as error:
        raise InvalidInputError("is not what a page gave as `next`", field="after") from error
