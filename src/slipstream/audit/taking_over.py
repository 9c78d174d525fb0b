"""
What an audit takes over from the one before it.

No audit sees every class. Digests do not show damage that the index's file was unaware of, and drift shows only to
who embeds anew. So what the audit before found, and this one did not, is looked at once more by itself: read from
both stores, vector and all. What differs still, stands. Drift stands as long as its record has not been written
anew, unless this audit has embedded it. As every audit passes on what it took over, the newest one says all that is
known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from slipstream.audit.comparing import Compared, Comparer, take_back
from slipstream.audit.findings import UNSETTLED, AuditReport
from slipstream.audit.pacing import Pace, paced
from slipstream.audit.words_found import OPEN_WORD_KINDS, WORD_KINDS
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.keys import RecordKey
from slipstream.ports.audits import AuditLog

DRIFTED = "drifted"
_WORDS = frozenset({*WORD_KINDS, *OPEN_WORD_KINDS})
"""Findings of word rows, which the audit of those looks at again."""
RECIPE = "recipe"
"""Under this name a kept report says by which views and models it was made."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the newest kept audit found; under another recipe its drift means nothing any more."""

    audits: AuditLog
    audit: KeptAudit | None
    recipe: str

    @classmethod
    def of(cls, audits: AuditLog, recipe: str) -> Earlier:
        """Return what there is to take over."""
        return cls(audits, next(iter(audits.audits(None, 1)), None), recipe)

    def findings(self, kind: str | None = None) -> Iterator[Finding]:
        """Yield what it found, of one class when it is given."""
        after: Finding | None = None
        while self.audit is not None and (page := self.audits.findings(self.audit.id, after, _PAGE, kind)):
            yield from page
            after = page[-1]

    def drifted(self) -> set[RecordKey]:
        """Return the keys whose vectors its model did not give any more."""
        if self.audit is None or self.audit.report.get(RECIPE) != self.recipe:
            return set()
        return {RecordKey.decode(finding.key) for finding in self.findings(DRIFTED)}

    def is_unchanged(self, compared: Compared, now: datetime | None) -> bool:
        """Whether a key's record was not written since that audit began; of one of a time to come nobody knows."""
        if self.audit is None or len(compared.stamps) != 1:
            return False
        began = datetime.fromisoformat(self.audit.report["started_at"])
        return compared.stamps[0].created_at < began and (now is None or began <= now)


def take_over(
    report: AuditReport, comparer: Comparer, earlier: Earlier, embedded: Collection[RecordKey], pace: Pace
) -> None:
    """Enter what stands of the earlier findings; keys in `embedded` are known not to have drifted."""
    known = report.named()
    drifted = earlier.drifted() - set(embedded)
    # A full audit has looked at everything but drift.
    findings = earlier.findings(DRIFTED if report.kind == "full" else None)
    taken = 0
    for found in paced(findings, pace):
        named = (RecordKey.decode(finding.key) for finding in found if finding.kind not in _WORDS)
        keys = [key for key in named if key not in known]
        outcome = comparer.decide(keys)
        for compared in outcome.decided:
            is_drifted = compared.key in drifted and earlier.is_unchanged(compared, report.started_at)
            if kind := compared.kind or (DRIFTED if is_drifted else None):
                take_back(report, compared, kind)
                taken += 1
        for compared in outcome.unsettled:
            report.note(UNSETTLED, compared.key, compared.entity_type)
    if taken and earlier.audit is not None:
        report.notes.append(f"{taken} findings of audit {earlier.audit.id} stand: this one alone does not see them")
