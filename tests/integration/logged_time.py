"""The log of a graph file notes the machine's time; here a test that stands its clock still has it note that one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from slipstream.testkit.clock import ManualClock


def log_time_of(clock: ManualClock, root: Path) -> None:
    """Note the clock's present time with every commit from now on, until it is told another one."""
    at_ms = int(clock.now().timestamp() * 1000)
    with closing(sqlite3.connect(root / ".slipstream" / "graph.db")) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS tests_time")
        noting = f"UPDATE change SET at = {at_ms} WHERE position = new.position"  # noqa: S608  (a number)
        connection.execute(f"CREATE TRIGGER tests_time AFTER INSERT ON change BEGIN {noting}; END")
