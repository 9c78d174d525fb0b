"""
Which kept audits are forgotten: the oldest of each kind, so that frequent audits do not push rare ones out.

Past a number of bytes the oldest of all go too, for an audit that names a million keys takes as much as a thousand
others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from slipstream.audit.findings import owed_in
from slipstream.domain.audits import KeptAudit
from slipstream.ports.audits import AuditLog

KEPT_MAX = 500
"""Audits that are kept of each kind."""
CLEAN_MAX = 100
"""Incremental audits that found nothing, and are all kept; of older ones, one an hour."""
FORGET_EVERY = 16
"""After so many audits it is looked again what is to be forgotten; after a large one at once."""
HISTORY_BYTES_MAX = 64 * 1024 * 1024
_FINDING_BYTES = 120
"""About what one key takes that an audit names: twice in the file, in the row and in its index."""
_PAGE = 50
_INCREMENTAL = "incremental"


def superfluous(
    newest_first: Iterable[KeptAudit], spared: Collection[int] = (), bytes_max: int = HISTORY_BYTES_MAX
) -> Iterator[int]:
    """Yield the audits to forget; never the newest, nor one that is spared, whose repair is not finished or waits."""
    kept: Counter[str] = Counter()
    clean, last_hour, size_bytes = 0, "", 0
    for number, audit in enumerate(newest_first):
        kind, hour = audit.report["kind"], audit.report["finished_at"][:13]
        is_thin = kind == _INCREMENTAL and audit.report["consistent"]
        is_kept = kept[kind] < KEPT_MAX and (not is_thin or clean < CLEAN_MAX or hour != last_hour)
        audit_bytes = size_bytes_of(audit.report)
        has_room = number == 0 or size_bytes + audit_bytes <= bytes_max
        if not (is_kept and has_room) and audit.id not in spared:
            yield audit.id
            continue
        size_bytes += audit_bytes
        kept[kind] += 1
        if is_thin:
            clean, last_hour = clean + 1, hour


def size_bytes_of(report: Mapping[str, Any]) -> int:
    """Return about how much a kept audit takes: its report, and the keys that it names."""
    named = sum(report.get("counts", {}).values()) + sum(owed_in(report).values()) + report.get("unsettled", 0)
    return len(json.dumps(report, default=str)) + _FINDING_BYTES * int(named)


def is_large(report: Mapping[str, Any], bytes_max: int) -> bool:
    """Whether a few audits of this size would fill all the room that there is."""
    return size_bytes_of(report) * FORGET_EVERY > bytes_max


def every_audit(log: AuditLog) -> Iterator[KeptAudit]:
    """Yield all kept audits, newest first, read page by page."""
    before: int | None = None
    while page := log.audits(before, _PAGE):
        yield from page
        before = page[-1].id
