"""The brake in the journal: what is braked, and the plans that wait for somebody to confirm them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from slipstream.audit.brake import (
    DELETING,
    BrakePlan,
    findings_digest,
    plan_id,
    weight,
    weighty,
    word_deletions,
    word_weight,
    words_held,
)
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.brake import BRAKE, Braked, BrakeSettings
from slipstream.domain.errors import NotFoundError
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

logger = logging.getLogger(__name__)

PLANS = "repair_plans"
"""Where the journal keeps the newest plans."""
_PLANS_MAX = 20
_PAGE = 1_000


class Brake:
    """
    Weighs repairs, keeps their plans, and says what is braked.

    `identity` tells graphs apart: a plan that was made for one is not the plan of another.
    """

    def __init__(
        self,
        audits: AuditLog,
        journal: Journal,
        clock: Clock,
        settings: BrakeSettings,
        identity: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._audits, self._journal, self._clock = audits, journal, clock
        self.settings, self._identity = settings, identity

    def is_over(self, report: Mapping[str, Any], kinds: Sequence[str]) -> bool:
        """
        Whether mending what an audit found of some classes is more than may be done unasked.

        Vectors and word rows are weighed apart: a damaged graph has both of a key orphaned, which is one loss.
        """
        counts, limit = report["counts"], self.settings.limit
        return weight(counts, kinds) > limit(report["total_embeddings"]) or (
            word_weight(counts, kinds) > limit(words_held(report))
        )

    # ------------------------------------------------------------------ plans

    def planned(self, audit: KeptAudit, kinds: Sequence[str]) -> BrakePlan:
        """Return the plan of a kept audit, kept as well; the earlier one where nothing has changed since."""
        report, counts = audit.report, audit.report["counts"]
        chosen = weighty(counts, kinds)
        findings = findings_digest(self._findings(audit.id, chosen))
        plans = self._plans()
        for earlier in reversed(plans):
            is_same = (earlier.findings, earlier.kinds, earlier.applied) == (findings, chosen, None)
            if is_same and self._audits.audit(earlier.audit_id) is not None:
                return earlier
        deletions = sum(counts[kind] for kind in DELETING.intersection(chosen))
        rows, row_deletions = words_held(report), word_deletions(counts, chosen)
        plan = BrakePlan(
            id=plan_id(audit.id, findings, report["position"], self._identity()),
            audit_id=audit.id,
            kinds=chosen,
            position=report["position"],
            findings=findings,
            keys={kind: counts[kind] for kind in chosen},
            index_records=report["total_embeddings"],
            limit=self.settings.limit(report["total_embeddings"]),
            deletions=deletions,
            texts=weight(counts, chosen) - deletions,
            word_records=rows,
            word_limit=self.settings.limit(rows),
            word_deletions=row_deletions,
            word_rows=word_weight(counts, chosen) - row_deletions,
        )
        self._keep(plan)
        return plan

    def priced(self, plan: BrakePlan, tokens: int, embed_s: float) -> BrakePlan:
        """Return a plan, kept, with what it would cost."""
        priced = replace(plan, tokens=tokens, embed_s=round(embed_s, 4))
        self._keep(priced)
        return priced

    def plan(self, plan_id: str) -> BrakePlan:
        """Return a kept plan; raises `NotFoundError` for one that is not kept, or not of this graph."""
        found = next((plan for plan in self._plans() if plan.id == plan_id), None)
        if found is None or found.id != self._id_now(found):
            raise NotFoundError(f"there is no plan {plan_id!r} (any more): `slipstream repair` makes a new one")
        return found

    def _id_now(self, plan: BrakePlan) -> str:
        return plan_id(plan.audit_id, plan.findings, plan.position, self._identity())

    def findings(self, plan: BrakePlan) -> list[Finding]:
        """Return what a plan is to mend; raises `NotFoundError` when its audit is not kept as it was."""
        found = list(self._findings(plan.audit_id, plan.kinds))
        if findings_digest(found) != plan.findings:
            raise NotFoundError(f"audit {plan.audit_id} of plan {plan.id} is not kept (any more): audit again")
        return found

    def _findings(self, audit_id: int, kinds: Sequence[str]) -> Iterator[Finding]:
        for kind in kinds:
            after: Finding | None = None
            while page := self._audits.findings(audit_id, after, _PAGE, kind):
                yield from page
                after = page[-1]

    def precondition(self, audit: KeptAudit, kinds: Sequence[str]) -> str:
        """Return what tells the findings of some classes, with their audit and graph, from all others."""
        found = findings_digest(self._findings(audit.id, sorted(set(kinds))))
        return plan_id(audit.id, found, audit.report["position"], self._identity())

    def needed_audits(self) -> list[int]:
        """Return the audits of the plans that wait: they are not to be forgotten."""
        return [plan.audit_id for plan in self._plans() if plan.applied is None]

    def _plans(self) -> list[BrakePlan]:
        return [BrakePlan.from_dict(data) for data in json.loads(self._journal.get(PLANS) or "[]")]

    def _keep(self, plan: BrakePlan) -> None:
        others = [other for other in self._plans() if other.id != plan.id]
        kept = [*others, plan][-_PLANS_MAX:]
        self._journal.set(PLANS, json.dumps([each.as_dict() for each in kept]))

    # ------------------------------------------------------------------ what is braked

    def braked(self) -> Braked | None:
        """Return what is braked, None when nothing is."""
        return Braked.load(self._journal.get(BRAKE))

    def hold(self, plan: BrakePlan, since: datetime) -> None:
        """Note that a plan waits to be confirmed; what the engine has braked after `since` is still to be audited."""
        held = self.braked()
        if held is not None and (held.plan_id == plan.id or (held.plan_id is None and self._is_newer(held, since))):
            return
        logger.error(
            "braked: %s. Look at them (`slipstream audits show %d`), then: %s", plan.said, plan.audit_id, plan.command
        )
        at = self._clock.now() if held is None else held.at
        self._journal.set(BRAKE, Braked(plan.said, at, plan.id).dump())

    def let_go(self, since: datetime) -> None:
        """Note that nothing is braked any more, but for what the engine has braked after `since`."""
        held = self.braked()
        if held is not None and not self._is_newer(held, since):
            logger.warning("no longer braked: %s", held.why)
            self._journal.set(BRAKE, None)

    def _is_newer(self, held: Braked, since: datetime) -> bool:
        """Whether something was braked after `since`; one of a time to come is not: the clock has been set back."""
        return since < held.at <= self._clock.now()

    def note_applied(self, audit_id: int, kinds: Sequence[str], marked: Mapping[str, int]) -> None:
        """Note that everything an audit found of some classes has been marked."""
        for plan in self._plans():
            if (plan.audit_id, plan.kinds, plan.applied) == (audit_id, tuple(kinds), None):
                self._keep(replace(plan, applied=dict(marked)))
                held = self.braked()
                if held is not None and held.plan_id == plan.id:
                    self.let_go(self._clock.now())

    def said(self) -> str | None:
        """Return in one line what is braked and what to do about it, None when nothing is."""
        found = self.summary()
        return None if found is None else f"{found['command']}: {found['why']}"

    def summary(self) -> dict[str, Any] | None:
        """Return what is braked as plain data, ready for JSON; None when nothing is."""
        held = self.braked()
        if held is None:
            return None
        plan = next((plan for plan in self._plans() if plan.id == held.plan_id), None)
        return {
            "why": held.why,
            "at": held.at.isoformat(),
            "command": "slipstream repair" if plan is None else plan.command,
            "plan": None if plan is None else plan.as_dict(),
        }
