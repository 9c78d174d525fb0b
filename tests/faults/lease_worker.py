"""A process that wants to run the engine: does what it is told, line by line, and says what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming
from slipstream.domain.errors import SlipstreamError


def main(path: Path, silence_s_max: float) -> None:
    """Obey: `acquire SECONDS`, `write VALUE`, `hold VALUE` (until the next line, inside a write), `race ROUNDS`."""
    timing = LeaseTiming(beat_s=silence_s_max / 10, silence_s_max=silence_s_max)
    store = SqliteStore(path, shared=True, busy_timeout_s=1.0, timing=timing)
    say("ready")
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        try:
            if command == "acquire":
                say(f"owned {store.lease.epoch}" if store.lease.acquire(float(argument)) else "in vain")
            elif command == "hold":
                hold(store, argument)
            elif command == "race":
                race(store, int(argument))
            else:
                store.journal.set("value", argument)
                say(f"wrote {argument}")
        except SlipstreamError as error:
            say(type(error).__name__)


def hold(store: SqliteStore, value: str) -> None:
    """Write, and leave the transaction open until the next line."""
    with store.journal.transaction():
        store.journal.set("value", value)
        say("holding")
        sys.stdin.readline()
    say(f"wrote {value}")


def race(store: SqliteStore, rounds: int) -> None:
    """Take the lease and let go of it, over and over; tell each epoch, and whoever else was inside."""
    marker = store.path.with_name("inside")
    for _ in range(rounds):
        if not store.lease.acquire(60.0):
            say("in vain")
            return
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))  # raises when another process is inside
        store.journal.set("value", str(os.getpid()))
        say(f"owned {store.lease.epoch}")
        marker.unlink()
        store.lease.release()
    say("done")


def say(text: str) -> None:
    """Tell the test."""
    print(text, flush=True)  # noqa: T201  (a pipe)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
