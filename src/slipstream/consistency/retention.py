"""Which kept audits are forgotten: the oldest of each kind, so that frequent audits do not push rare ones out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from slipstream.domain.audits import KeptAudit
from slipstream.ports.audits import AuditLog

KEPT_MAX = 500
"""Audits that are kept of each kind."""
CLEAN_MAX = 100
"""Incremental audits that found nothing, and are all kept; of older ones, one an hour."""
FORGET_EVERY = 16
"""Audits between two looks at what is to be forgotten."""
_PAGE = 50
_INCREMENTAL = "incremental"


def superfluous(newest_first: Iterable[KeptAudit], spared: Collection[int] = ()) -> Iterator[int]:
    """Yield the audits to forget; never one that is spared, such as one whose repair is not finished."""
    kept: Counter[str] = Counter()
    clean, last_hour = 0, ""
    for audit in newest_first:
        kind, hour = audit.report["kind"], audit.report["finished_at"][:13]
        is_thin = kind == _INCREMENTAL and audit.report["consistent"]
        is_kept = kept[kind] < KEPT_MAX and (not is_thin or clean < CLEAN_MAX or hour != last_hour)
        if not is_kept and audit.id not in spared:
            yield audit.id
            continue
        kept[kind] += 1
        if is_thin:
            clean, last_hour = clean + 1, hour


def every_audit(log: AuditLog) -> Iterator[KeptAudit]:
    """Yield all kept audits, newest first, read page by page."""
    before: int | None = None
    while page := log.audits(before, _PAGE):
        yield from page
        before = page[-1].id
