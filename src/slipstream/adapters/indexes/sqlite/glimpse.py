"""The queries for a `FileGlimpse` of the store's file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

JOURNAL_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "pending": "SELECT count(*) FROM work",
        "dead_letters": "SELECT count(*) FROM letters",
        "checkpoint": "SELECT CAST(value AS INTEGER) FROM named_values WHERE name = 'checkpoint'",
        "frontier": "SELECT CAST(value AS INTEGER) FROM named_values WHERE name = 'frontier'",
        "words_frontier": "SELECT CAST(value AS INTEGER) FROM named_values WHERE name = 'words_frontier'",
        "words_scan": "SELECT json_extract(value, '$.reason') FROM named_values WHERE name = 'words_scan'",
        "consistency": """SELECT json_extract(report, '$.consistency') FROM audits
            WHERE report <> '' ORDER BY id DESC LIMIT 1""",
    }
)
"""Each query gives one number or text, or no row when there is none yet."""
