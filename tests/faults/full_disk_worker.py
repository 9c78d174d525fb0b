"""A PKG whose disk is full for a while: says what its watch told, and what its status says meanwhile."""

from __future__ import annotations

import errno
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import parse_config
from slipstream.app.insights import status_as_dict
from slipstream.engine.settings import SyncSettings
from slipstream.ports.alerts import AlertEvent
from slipstream.testkit.embedders import HashEmbedder
from tests.faults.preload import Call, Fault, Kind, arm, disarm

PATIENCE_S = 60.0
CONFIG = "[scrub]\nenabled = false\n[alerts]\nfor_s = 0\nlag_s_max = 1e9\ndisk_free_mb_min = 0\n"


class Spoken:
    """A sink that tells whoever started this process."""

    def notify(self, event: AlertEvent) -> None:
        """Say the turn on a line of its own."""
        say(told=f"{event.rule} {event.state}", incident=event.incident)


def say(**facts: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def main(directory: Path, full: str) -> None:
    """Fill the disk, for the files whose names begin so, while an entity is embedded; and free it again."""
    held, go_on = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "embed.before":
            held.set()
            go_on.wait(PATIENCE_S)

    options = Options(
        embedders=(HashEmbedder(dimension=16),),
        settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.05, backoff_max_s=0.2),
        wrapping=Wrapping(embedder=lambda inner: FaultyEmbedder(inner, hold)),
    )
    with open_pkg(directory, create=True, config=parse_config(CONFIG), options=options) as slip:
        alerts = slip.watch.alerts
        alerts._sinks["spoken"] = Spoken()
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        until(held.is_set)
        prefix = str(directory / ".slipstream" / full)
        arm(Fault(prefix, 1, 2**40, Kind.FAIL, Call.WRITE, errno.ENOSPC))
        go_on.set()
        until(lambda: {"disk", "outage"} <= alerts.firing().keys())
        facts = status_as_dict(slip)
        say(**{name: facts[name] for name in ("outage", "unknown", "firing", "lag_events", "alerts_unkept")})
        disarm()
        until(lambda: not alerts.firing())
        until(lambda: slip.sync.drain(1))
        say(alerts_unkept=alerts.unkept, embeddings=status_as_dict(slip)["embeddings"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
