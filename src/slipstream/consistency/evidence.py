"""Writes an audit's report to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_evidence(path: Path, report: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write the report and its history as JSON; returns the files written."""
    target = path.with_suffix(".json")
    target.write_text(json.dumps({"report": report, "history": list(history)}), encoding="utf-8")
    return [target]
