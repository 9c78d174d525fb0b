"""Names under which the journal keeps the engine's small values."""

from __future__ import annotations

CHECKPOINT = "checkpoint"
"""How far the log is consumed."""
FULL_SCAN = "full_scan_due"
"""Set while every key of both sides is to be compared."""
MIGRATION_SCAN = "migration_scan"
"""How far the next generation is filled; absent when that is not going on."""
RESTAMPED = "restamped_schema_version"
"""The schema version that all stamps have been moved to."""
SELECTIONS = "selections"
"""Records that are to be embedded anew, by what their stamps say, and how far each has been looked through."""
TIMELINE = "timeline"
"""The mark, or for a moment two, that the graph must carry: it was left there by the last process."""
WRITE_BACK = "write_back"
"""Whether the graph's sync view was complete when the last process closed."""
