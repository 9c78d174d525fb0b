"""Audit reports read back: from the log of audits, or from another process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from slipstream.audit.below import damage_in
from slipstream.audit.findings import (
    OWED,
    UNRENDERABLE,
    UNSETTLED,
    AuditReport,
    RowsRead,
    TypeCoverage,
    owed_in,
)
from slipstream.audit.words_found import OPEN_WORD_KINDS, WORD_KINDS, WORDS_LANE, words_of_summary
from slipstream.domain.audits import Finding
from slipstream.domain.digests import Digest
from slipstream.domain.errors import NotFoundError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.audits import AuditLog

_PAGE = 1_000
_LAGGING = "lagging"
"""What audits of older versions called keys that are owed."""


def kept_report(audits: AuditLog, audit_id: int) -> AuditReport:
    """Return a kept audit as the report that it was; raises `NotFoundError` when it is not kept any more."""
    kept = audits.audit(audit_id)
    if kept is None:
        raise NotFoundError(f"audit {audit_id} is not kept (any more): audit again")
    findings: list[Finding] = []
    while page := audits.findings(audit_id, findings[-1] if findings else None, _PAGE):
        findings += page
    return report_of(kept.report, findings)


def report_of(summary: Mapping[str, Any], findings: Iterable[Finding]) -> AuditReport:
    """
    Return the report that `AuditReport.summary` and `findings` were called on.

    What neither of them tells is lost: the start on the monotonic clock, and digits of the duration.
    """
    rows = summary["rows_read"]
    report = AuditReport(
        Position(summary["position"]),
        kind=summary["kind"],
        id=summary["id"],
        position_after=_position(summary.get("position_after")),  # audits of older versions do not know it
        frontier=_position(summary["frontier"]),
        started_at=_moment(summary["started_at"]),
        finished_at=_moment(summary["finished_at"]),
        total_entities=summary["total_entities"],
        total_embeddings=summary["total_embeddings"],
        duration_s=summary["duration_s"],
        rows=RowsRead(rows["graph"], rows["index"], rows["vectors"], rows["queries"]),
        coverage={name: _coverage(row) for name, row in summary["coverage"].items()},
        owed_by_lane=owed_in(summary),
        notes=list(summary["notes"]),
        damage=damage_in(summary),
        looked_below=summary.get("looked_below", ""),
    )
    if summary.get("words") is not None:  # audits of older versions compared none
        report.words = words_of_summary(summary["words"], _digest)
        del report.owed_by_lane[WORDS_LANE]
    for finding in findings:
        _name(report, finding)
    report.strays = _strays(report, summary.get("embedding_consistency", summary["consistency"]))
    return report


def _name(report: AuditReport, finding: Finding) -> None:
    key = RecordKey.decode(finding.key)
    if report.words is not None and finding.kind in (*WORD_KINDS, *OPEN_WORD_KINDS):
        report.words.note(finding.kind, key, finding.type)
        return
    named = {
        UNRENDERABLE: report.unrenderable,
        OWED: report.owed,
        _LAGGING: report.owed,
        UNSETTLED: report.unsettled_keys,
    }
    (named[finding.kind] if finding.kind in named else report.divergences.setdefault(finding.kind, [])).append(key)
    if finding.type:
        report.types[key] = finding.type


def _strays(report: AuditReport, consistency: float | None) -> int:
    """Return what the summary counts as too much beyond what it names, from the ratio that it tells."""
    if not report.fresh or not consistency:
        return 0  # the ratio is 0, or there is none, however many there are
    surplus = len(report.divergences["orphaned"]) + len(report.divergences["duplicate"])
    return round(report.fresh / consistency) - report.expected - surplus


def _coverage(row: Mapping[str, Any]) -> TypeCoverage:
    return TypeCoverage(
        expected=row["expected"],
        found=row["found"],
        fresh=row["fresh"],
        graph=_digest(row["graph_digest"]),
        index=_digest(row["index_digest"]),
        counts=Counter(row["counts"]),
    )


def _digest(text: str) -> Digest:
    records, _, total = text.partition(":")
    return Digest(int(records), int(total, 16))


def _position(number: int | None) -> Position | None:
    return None if number is None else Position(number)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
