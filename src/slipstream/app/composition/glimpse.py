"""What the files alone tell of a PKG that can not be opened now, without waiting for any process."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

from slipstream.app.composition.factories import alert_memory, glimpses, lock_holder, lock_touched, room_of
from slipstream.app.reading_facts import Facts
from slipstream.domain.errors import ConfigError
from slipstream.report.alerts import STATE

_BYTES_PER_MB = 1_000_000


def glimpse(directory: Path | str, data_folder: str = ".slipstream") -> dict[str, Any]:
    """
    Return what the files of a PKG tell, ready for JSON; `unknown` says what could not be read, and why.

    For a PKG that can not be opened: a full disk, a locked journal, a damaged index, an owner that does not answer.
    Only reads, and waits for a lock for a second at most. What the engine keeps in memory alone is left out. Raises
    `ConfigError` when there is no PKG.
    """
    data = Path(directory) / data_folder
    if not data.is_dir():
        raise ConfigError(f"{directory} holds no PKG: run `slipstream --dir {directory} init`")
    facts = Facts()
    found: dict[str, Any] = {
        "engine": facts.read("engine", lambda: _engine(data)),
        **_of_files(facts, data),
        "alerts": facts.read("alerts", lambda: firing_alerts(data)),
        "disk_free_mb": facts.read("disk_free_mb", lambda: room_of(data)() // _BYTES_PER_MB),
        "size_mb": facts.read("size_mb", lambda: size_bytes(data) // _BYTES_PER_MB),
    }
    for lag, frontier in (("lag_events", "frontier"), ("words_lag_events", "words_frontier")):
        found[lag] = _behind(found["head"], found[frontier])
    return {**found, "unknown": dict(facts.unknown)}


def _behind(head: int | None, frontier: int | None) -> int | None:
    return None if head is None or frontier is None else max(0, head - frontier)


def engine_holder(directory: Path | str, data_folder: str = ".slipstream") -> str | None:
    """Return the process that runs the engine of a PKG, as its lock says; None when no other process does."""
    holder = lock_holder(Path(directory) / data_folder)
    return None if holder == str(os.getpid()) else holder


def _engine(data: Path) -> str:
    holder = lock_holder(data)
    return "nobody runs it" if holder is None else heard_of(holder, silence_s(data))


def silence_s(data: Path) -> float:
    """Return for how long whoever runs the engine was not heard of; raises `OSError`."""
    return max(0.0, time.time() - lock_touched(data))


def heard_of(holder: str, silent_s: float) -> str:
    """Return what is told of whoever runs the engine."""
    return f"process {holder} runs it, heard of {silent_s:,.0f} s ago"


def _of_files(facts: Facts, data: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file, queries in glimpses(data).items():
        with file:
            if facts.read(file.path.name, file.open) is None:  # do not wait for each of its facts in turn
                found |= dict.fromkeys(queries)
                continue
            found |= {name: facts.read(name, partial(file.value, query)) for name, query in queries.items()}
            if file.is_old:
                facts.note(file.path.name, "its write-ahead log can not be read now: as of its last checkpoint")
    return found


def firing_alerts(data: Path) -> list[str]:
    """Return the rules whose alerts are firing."""
    text = alert_memory(data, lambda: False).get(STATE)
    return [] if text is None else [str(event["rule"]) for event in json.loads(text)["firing"]]


def size_bytes(data: Path) -> int:
    """Return how much a folder takes; 0 where there is none."""
    return sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
