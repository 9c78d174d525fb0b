"""A process that waits to run the engine, and then does what others ask: an audit that lasts until it is let go."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.remote.desk import Desk
from slipstream.app.remote.standby import Standby
from slipstream.audit.findings import AuditReport
from slipstream.domain.positions import Position


def main(path: Path) -> None:
    """Stand by, then serve for ever."""
    store, go = SqliteStore(path, shared=True), path.with_name("go")

    def verify(on_progress: Callable[[int], None]) -> AuditReport:
        done = 0
        while not go.exists():
            done += 1
            on_progress(done)
        report = AuditReport(Position(7), kind="full")
        report.id = store.audits.keep(report.summary(), report.findings())
        return report

    def take_over() -> None:
        owner = SimpleNamespace(verify=verify, audits=store.audits, scrubber=SimpleNamespace(health="ok"))
        Desk(owner, store.requests, SystemClock()).start()  # type: ignore[arg-type]
        print("serving", flush=True)  # noqa: T201 - a pipe

    Standby(store.lease, take_over).start()
    print("ready", flush=True)  # noqa: T201 - a pipe
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
